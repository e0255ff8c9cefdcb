"""azlin watch on provider-sim's virtual clock: hours in seconds. What it sees, says, switches and leaves alone."""
import json, os, re, shutil, tempfile, time
import e2e
from fleet import REGIONS, Cloud as Simulated

# What is freed under ASan stays for a while, which would pass for growth.
QUARANTINE = "detect_leaks=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=16"


class Cloud(Simulated):
    """One that is watched; `in_memory` where a day has thousands of durable writes."""

    def __init__(self, *regions, in_memory=False, **options):
        self.in_memory = in_memory
        super().__init__(*regions, **options)

    def prepare(self):
        if self.in_memory and os.access("/dev/shm", os.W_OK):
            self.path = os.path.join(tempfile.mkdtemp(dir="/dev/shm"), "home")

    def close(self):
        super().close()
        if self.path.startswith("/dev/shm/"):
            shutil.rmtree(os.path.dirname(self.path), ignore_errors=True)

    def watch(self, seconds, *args):
        """Watches for so long; the events, the last of which is the result."""
        r = self.run("watch", "--for", str(seconds), "-o", "jsonl", *args)
        r.events = [json.loads(line) for line in r.out.splitlines()]
        return r


def named(r, name, **facts):
    return [e for e in r.events if e["event"] == name and all(e.get(k) == v for k, v in facts.items())]


def at(event):
    """Seconds of an event's time, whole."""
    return time.mktime(time.strptime(event["time"], "%Y-%m-%dT%H:%M:%SZ"))


def test_calm_hour_says_little():
    with Cloud() as cloud:
        r = cloud.watch(3600)
        assert r.code == 0, r
        assert {e["region"] for e in named(r, "state", state="up")} == set(REGIONS), r
        assert len(named(r, "state")) == 3 and not named(r, "verdict") and not named(r, "switch"), r
        result = r.events[-1]["result"]
        assert 3600 <= result["duration_seconds"] <= 3601 and result["switches"] == 0 and result["primary"] == "eastus", r
        assert {row["region"]: row["state"] for row in result["regions"]} == {name: "up" for name in REGIONS}, r


def test_region_down_is_switched_and_watched_on():
    with Cloud() as cloud:
        cloud.faults("at 100 probe eastus timeout")
        r = cloud.watch(600)
        assert r.code == 0, r
        (begun,), (ended,) = named(r, "switch", phase="begun"), named(r, "switch", phase="ended")
        assert (begun["from"], begun["to"]) == ("eastus", "westus2"), r
        assert ended["success"] and ended["exit_code"] == 0 and ended["epoch"] == 2, r
        assert at(ended) - at(begun) <= 17, r
        suspect, dark = named(r, "state", region="eastus", state="suspect")[0], named(r, "state", region="eastus", state="dark")[0]
        assert suspect["was"] == "up" and 25 <= at(dark) - at(suspect) <= 40, r
        assert at(begun) - at(suspect) <= 40, r
        assert named(r, "verdict", verdict="network_unreachable", should_auto_failover=True), r
        (moved,) = named(r, "primary")
        assert (moved["from"], moved["to"], moved["epoch"], moved["by"]) == ("eastus", "westus2", 2, "watch"), r
        assert cloud.primary() == "westus2" and r.events[-1]["result"]["switches"] == 1, r


def test_second_outage_waits_for_the_cool_down():
    with Cloud() as cloud:
        cloud.faults("at 100 probe eastus timeout", "at 1000 probe westus2 timeout")
        r = cloud.watch(2000)
        assert len(named(r, "switch", phase="begun")) == 1 and cloud.primary() == "westus2", r
        held = [e for e in named(r, "verdict", region="westus2") if e["should_auto_failover"]]
        assert held and "cools down" in held[-1]["held_back_by"], r
        assert named(r, "cool-down"), r
    with Cloud(failover="cool-down=600") as cloud:
        cloud.faults("at 100 probe eastus timeout", "at 1000 probe westus2 timeout")
        r = cloud.watch(2000)
        assert len(named(r, "switch", phase="begun")) == 2 and cloud.primary() == "westeurope", r


def test_dry_run_only_says():
    with Cloud() as cloud:
        cloud.faults("at 100 probe eastus timeout")
        r = cloud.watch(600, "--dry-run")
        assert r.code == 0 and not named(r, "switch") and cloud.primary() == "eastus", r
        assert [e for e in named(r, "message") if "Would switch from eastus to westus2" in e["text"]], r


def test_path_problem_is_named():
    with Cloud() as cloud:
        cloud.faults("at 100 probe eastus from here timeout")
        r = cloud.watch(900)
        assert not named(r, "switch") and cloud.primary() == "eastus", r
        verdicts = named(r, "verdict", verdict="unreachable_from_me")
        assert verdicts and "the machine alive" in verdicts[-1]["line"], r
        assert [e for e in named(r, "message") if "the machine alive" in e["text"]], r
        rows = {row["region"]: row for row in r.events[-1]["result"]["regions"]}
        assert rows["eastus"]["unreachable_from_me"] and "here" in rows["eastus"]["dark_from"], rows
        assert set(rows["eastus"]["seen_by"]) & {"westus2", "westeurope"}, rows
        listed = cloud.ok("failover", "replay", "-o", "json").json()["decisions"]
        kept = [one for one in listed if one["why"] == "watch" and one["verdict"] == "unreachable_from_me"]
        assert kept and cloud.run("failover", "replay", kept[-1]["id"]).code == 0, listed


def test_blind_observer_does_nothing():
    with Cloud() as cloud:
        cloud.faults("at 100 probe * timeout", "at 400 probe * ok")
        r = cloud.watch(900)
        assert not named(r, "switch") and cloud.primary() == "eastus", r
        assert named(r, "verdict", verdict="observer_blind"), r
        assert all(row["state"] == "up" for row in r.events[-1]["result"]["regions"]), r


def test_short_outage_is_none():
    with Cloud() as cloud:
        cloud.faults("at 100 probe eastus timeout", "at 125 probe eastus ok")
        r = cloud.watch(600)
        assert not named(r, "switch") and cloud.primary() == "eastus", r
        states = [e["state"] for e in named(r, "state", region="eastus")]
        assert states == ["up", "suspect", "up"], states


def test_intended_stop_is_not_switched():
    with Cloud() as cloud:
        cloud.faults("at 100 machine eastus stop")
        r = cloud.watch(900)
        assert not named(r, "switch") and cloud.primary() == "eastus", r
        assert named(r, "verdict", should_auto_failover=False), r
        rows = {row["region"]: row for row in cloud.state()["regions"]}
        assert rows["eastus"]["status"] == "stopped", rows


def test_status_is_kept_and_rarely_written():
    with Cloud() as cloud:
        before = cloud.state()
        def generation():
            with open(os.path.join(cloud.path, "config.json")) as f:
                return json.load(f)["generation"]
        first = generation()
        cloud.watch(3600)
        after = generation()
        assert 1 <= after - first <= 20, after - first
        old = {row["region"]: row["last_health_check"] for row in before["regions"]}
        for row in cloud.state()["regions"]:
            assert row["status"] == "ok" and row["last_health_check"] > old[row["region"]], row


def test_a_day_in_flat_memory():
    """The size of the process is read while it runs: the first virtual hour is its start."""
    with Cloud(in_memory=True) as cloud:
        p = cloud.popen("watch", "--for", "86400", "-o", "jsonl", "--verbose", env={"ASAN_OPTIONS": QUARANTINE})
        first, last, start = None, None, None
        for line in p.stdout:
            event = json.loads(line)
            if event["event"] != "region" or "since" not in event["facts"]:
                continue
            seen = event["facts"]["last_answer"]
            if not seen:
                continue
            now = at({"time": seen})
            start = start or now
            if (first is None and now - start > 3600) or now - start > 86000:
                last = rss(p.pid) or last
                first = first or last
        assert p.wait(timeout=60) == 0
        assert first and last and last - first < 2048, (first, last)


def rss(pid):
    """kB; None once it has ended: what it wrote is read after it."""
    with open("/proc/%d/status" % pid) as f:
        found = re.search(r"VmRSS:\s+(\d+) kB", f.read())
    return int(found.group(1)) if found else None


def test_pending_fence_is_tried_again():
    with Cloud() as cloud:
        cloud.faults("at 100 probe eastus timeout", "power eastus hang x3", "isolate eastus hang x3")
        r = cloud.watch(900)
        assert named(r, "switch", phase="ended", fence="unconfirmed") and cloud.primary() == "westus2", r
        lines = [e["line"] for e in named(r, "fence-pending")]
        assert "eastus" in lines[0] and lines[-1] is None, lines
        assert cloud.run("vm", "status", "--region", "eastus", "-o", "json").json()["power_state"] == "stopped", r


def test_switch_that_nobody_confirms_is_taken_back():
    with Cloud(failover="commit-window=300") as cloud:
        cloud.faults("at 100 probe eastus timeout", "at 300 probe eastus ok")
        r = cloud.watch(1200)
        ended = named(r, "switch", phase="ended")
        assert [e["cause"] for e in ended][:2] == ["automatic", "rollback"], r
        lines = [e["line"] for e in named(r, "commit-window")]
        assert lines and "azlin failover commit" in lines[0] and lines[-1] is None, lines


def test_json_is_refused():
    with Cloud() as cloud:
        for args in (("watch", "--for", "10"), ("regions", "health", "--watch", "--for", "10")):
            r = cloud.run(*args, "-o", "json")
            assert r.code == 64 and "jsonl" in r.json()["error"]["error_message"], r


def test_bad_times():
    with Cloud() as cloud:
        for args in (("watch", "--for", "0"), ("watch", "--for", "4294967295"), ("regions", "health", "--for", "5"),
                     ("regions", "health", "--watch", "--for", "0")):
            r = cloud.run(*args)
            assert r.code == 64 and "--for" in r.err, (args, r)


def test_no_region_yet():
    with e2e.Home() as home:
        r = home.run("watch", "--for", "60")
        assert r.code == 0 and "No region is set up yet" in r.out, r


def test_log_without_a_terminal():
    with Cloud() as cloud:
        cloud.faults("at 100 probe eastus timeout")
        r = cloud.run("watch", "--for", "600")
        assert r.code == 0, r
        lines = r.out.splitlines()
        assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in lines), r
        for text in ("eastus: SUSPECT", "eastus: DARK", "Primary region: westus2", "Failover complete"):
            assert any(text in line for line in lines), (text, r)


def test_health_watch_looks_and_never_acts():
    with Cloud() as cloud:
        cloud.faults("at 100 probe eastus timeout")
        r = cloud.run("regions", "health", "--watch", "--for", "600", "-o", "jsonl")
        r.events = [json.loads(line) for line in r.out.splitlines()]
        assert r.code == 0 and cloud.primary() == "eastus", r
        assert named(r, "state", region="eastus", state="dark") and not named(r, "verdict"), r
        times = [e for e in named(r, "region") if e["region"] == "westus2"]
        assert 600 / 15 - 5 <= len(times) <= 600 / 5 + 20, len(times)
        rows = {row["region"]: row["status"] for row in cloud.state()["regions"]}
        assert rows["eastus"] == "down" and rows["westus2"] == "ok", rows


if __name__ == "__main__":
    e2e.main(globals())
