"""failover --drill: every step is tried and measured, nothing is switched, and nothing stays behind but the report."""
import json, os, signal, time
import e2e
from fleet import Fleet

STEPS = ["lock", "target", "fence", "canary on source", "canary on target", "pointer", "verify", "clean-up"]


def drill(fleet, *args):
    r = fleet.run("failover", "--drill", "-o", "json", *args)
    return r, r.json()


def untouched(fleet, before):
    now = fleet.state()
    for one in (*before["regions"], *now["regions"]):
        one.pop("last_health_check", None), one.pop("status", None)
    assert now == before, (before, now)
    assert not os.path.exists(os.path.join(fleet.path, "drill-primary")), os.listdir(fleet.path)


def test_a_drill_measures_and_changes_nothing():
    with Fleet("eastus", "westus2") as fleet:
        before = fleet.state()
        r, result = drill(fleet, "--to", "westus2")
        assert r.code == 0 and result["success"] is True and result["drill"] is True, r
        assert [step["name"] for step in result["steps"]] == STEPS, r
        assert all(step["outcome"] in ("ok", "skipped") and step["seconds"] >= 0 for step in result["steps"]), r
        assert result["rto_detection_seconds"] == 7 * 5 + 4, r
        measured = sum(s["seconds"] for s in result["steps"] if not s["name"].startswith("canary"))
        assert abs(result["rto_seconds"] - 39 - measured) < 0.01 and result["rto_switch_seconds"] < 17, r
        assert result["rpo_seconds"] is None, r  # nothing was ever copied
        with open(result["report"]) as f:
            assert json.load(f)["steps"] == result["steps"]
        assert os.stat(result["report"]).st_mode & 0o777 == 0o600
        untouched(fleet, before)
        again, second = drill(fleet, "--to", "westus2", "--sync")
        assert again.code == 0 and second["rpo_from"].startswith("age of the canary"), again
        assert 0 <= second["rpo_seconds"] < 60, again
        assert "sync" in [step["name"] for step in second["steps"]], again
        untouched(fleet, before)
        assert "failover.drill" in fleet.ok("audit", "show", "-o", "json").out


def test_a_damaged_canary_fails_the_drill():
    with Fleet("eastus", "westus2") as fleet:
        assert drill(fleet, "--to", "westus2", "--sync")[0].code == 0
        fleet.ok("ssh", "--region", "westus2", "--", "sed -i s/azlin-canary-1\\ 2/azlin-canary-1\\ 3/ .azlin-canary")
        r, result = drill(fleet, "--to", "westus2")
        assert r.code == 1 and result["success"] is False, r
        (bad,) = [step for step in result["steps"] if step["outcome"] == "failed"]
        assert bad["name"] == "canary on target" and "hash" in bad["detail"], r


def test_a_dead_target_fails_the_drill():
    with Fleet("eastus", "westus2") as fleet:
        before = fleet.state()
        fleet.kill("westus2")
        r, result = drill(fleet)
        assert r.code == 1 and result["success"] is False and result["target_region"] == "westus2", r
        untouched(fleet, before)


def test_bad_words_are_refused():
    with Fleet("eastus", "westus2") as fleet:
        for args in (["--auto"], ["--check-only"]):
            r = fleet.run("failover", "--drill", *args)
            assert r.code == 64 and "--drill switches nothing" in r.err, r
        r = fleet.run("failover", "--drill", "--from", "westus2", "--to", "eastus")
        assert r.code == 64 and "not the primary" in r.err, r


def test_a_killed_drill_is_cleaned_up():
    with Fleet("eastus", "westus2") as fleet:
        before = fleet.state()
        for after in (0.3, 0.6, 0.9, 1.2):
            running = fleet.popen("failover", "--drill", "--to", "westus2", "--sync")
            time.sleep(after)
            running.send_signal(signal.SIGKILL)
            running.communicate()
            r = fleet.run("recover", "--yes")
            assert r.code == 0, r
            untouched(fleet, before)
        r, result = drill(fleet, "--to", "westus2")
        assert r.code == 0, r


if __name__ == "__main__":
    e2e.main(globals())
