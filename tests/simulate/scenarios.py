"""The shipped scenarios: no false failover in noise, every outage found in time, and each part of the judgement is needed."""
import os, re, signal, time
import e2e

FOLDER = os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "data", "scenarios")
SHIPPED = sorted(name[:-len(".scenario")] for name in os.listdir(FOLDER) if name.endswith(".scenario"))
OUTAGES = {"region-down", "region-down-noisy", "region-and-control-plane-down", "hardware-failed", "machine-ended",
           "sshd-refuses", "sshd-hangs"}
EITHER = {"flapping", "everyone-cut-off"}  # a switch is neither false nor due
MINE = int(os.environ.get("AZLIN_TEST_WINDOWS", "1"))  # times as many windows


def simulate(home, scenario, windows, *args, code=0, executions=0):
    r = home.run("simulate", scenario, "--windows", str(windows), "--executions", str(executions), "-o", "json", *args,
                 timeout=280)
    assert r.code == code, (scenario, r)
    return r.json()


def test_noise_moves_nothing():
    with e2e.Home() as home:
        for scenario, windows in (("noisy", 20000), ("noisy-20", 4000)):
            doc = simulate(home, scenario, windows * MINE)
            assert doc["windows"] == windows * MINE and doc["false_failovers"] == 0 and doc["failovers"] == 0, doc
            assert doc["decisions"] > windows / 10, doc  # there was something to be wrong about


def test_outages_are_found_within_forty_seconds():
    with e2e.Home() as home:
        # where every fifth packet is lost some questions come to nothing, and rows of darkness begin again
        for scenario, mean, most in (("region-down", 38, 40), ("region-down-noisy", 42, 120)):
            doc = simulate(home, scenario, 1000)
            assert doc["outages"] == doc["detected_outages"] == 1000 and doc["missed_outages"] == 0, doc
            assert 30 < doc["detection_mean_s"] < mean and doc["detection_max_s"] <= most, doc
            assert doc["outages_while_offline"] < 100 and doc["false_failovers"] == 0, doc


def test_every_scenario_that_is_shipped():
    with e2e.Home() as home:
        for scenario in SHIPPED:
            doc = simulate(home, scenario, 20 if scenario == "flapping" else 200)
            assert doc["false_failovers"] == 0 and doc["missed_outages"] == 0, (scenario, doc)
            if scenario in OUTAGES:
                assert doc["detected_outages"] == doc["windows"], (scenario, doc)
                assert doc["detection_max_s"] <= (120 if scenario.endswith("noisy") else 45), (scenario, doc)
            elif scenario not in EITHER:
                assert doc["failovers"] == 0 and doc["outages"] == 0, (scenario, doc)


def test_each_part_of_the_judgement_is_needed():
    with e2e.Home() as home:
        for scenario, windows, part, least in (("laptop-offline", 100, "self-check", 80), ("asymmetric-partition", 100, "veto", 100),
                                               ("noisy", 3000, "witness", 3), ("noisy", 3000, "self-check", 30)):
            good = simulate(home, scenario, windows)
            bad = simulate(home, scenario, windows, "--without", part, code=1)
            assert good["false_failovers"] == 0 and bad["false_failovers"] >= least, (scenario, part, bad)
            assert bad["without"] == part and bad["wrong_windows"], bad


def test_flapping_is_switched_once_an_hour():
    with e2e.Home() as home:
        doc = simulate(home, "flapping", 20)
        assert doc["failovers"] == 40 and doc["held_back"] == 20, doc  # two hours each
        home.write_config("[bricks]\nprovider=sim\n[failover.hybrid]\ncool-down=0\n")
        loose = simulate(home, "flapping", 20)
        assert loose["failovers"] >= 70, loose


def test_the_configuration_decides():
    with e2e.Home("[bricks]\nprovider=sim\n[failover.hybrid]\nfall=3\n") as home:
        quick = simulate(home, "region-down", 100)
        assert quick["detection_max_s"] < 25, quick
        home.write_config("[bricks]\nprovider=sim\n[failover.hybrid]\nmode=manual\n")
        manual = simulate(home, "region-down", 20, code=1)
        assert manual["failovers"] == 0 and manual["missed_outages"] == 20, manual
        home.write_config("[bricks]\nprovider=sim\n[failover.hybrid]\nnever-promote=westus2;westeurope\n")
        never = simulate(home, "region-down", 20)
        assert never["failovers"] == 0 and never["held_back"] == 20, never


def without_times(doc):
    return {key: value for key, value in doc.items() if key != "duration_seconds"}


def test_totals_follow_from_the_seed_alone():
    with e2e.Home() as home:
        one = simulate(home, "region-down-noisy", 700, "--seed", "5")
        assert without_times(one) == without_times(simulate(home, "region-down-noisy", 700, "--seed", "5"))
        assert one["detection_mean_s"] != simulate(home, "region-down-noisy", 700, "--seed", "6")["detection_mean_s"]
        if not hasattr(os, "sched_setaffinity"):
            return
        all_of_them = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(all_of_them)})
        try:
            alone = simulate(home, "region-down-noisy", 700, "--seed", "5")
        finally:
            os.sched_setaffinity(0, all_of_them)
        assert without_times(one) == without_times(alone)


def test_switches_are_carried_out():
    with e2e.Home() as home:
        for scenario, n in (("region-down", 4), ("machine-ended", 2), ("region-and-control-plane-down", 2), ("sshd-hangs", 2)):
            doc = simulate(home, scenario, 10, executions=n)
            assert doc["executed"] == n and doc["failed_executions"] == 0, doc
            assert 0 < doc["execution_max_s"] < 60, doc
        assert os.listdir(os.path.join(home.path, "simulate")) == []
        assert "config.json" not in os.listdir(home.path)


def test_one_window_is_told():
    with e2e.Home() as home:
        text = home.ok("simulate", "region-down", "--only", "3", "--executions", "0").out
        for words in ("drawn: the region is down: eastus, to the end", "eastus is suspect", "eastus is dark", "automatic: ", "switched to westus2: right"):
            assert words in text, text
        bad = home.run("simulate", "asymmetric-partition", "--windows", "5", "--without", "veto", "--executions", "0")
        command = re.search(r"azlin (simulate asymmetric-partition --seed 1 --only \d+ --without veto)", bad.out)
        assert bad.code == 1 and command, bad
        again = home.run(*command[1].split())
        assert again.code == 1 and "FALSE" in again.out, again


def test_an_interrupt_ends_it():
    with e2e.Home() as home:
        p = home.popen("simulate", "noisy", "--windows", "100000000")
        time.sleep(1)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=20)
        assert p.returncode == 130 and "interrupted" in err and "recover" not in err, (out, err)


e2e.main(globals())
