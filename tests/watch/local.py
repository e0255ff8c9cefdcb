"""azlin watch for real: processes of provider-local are killed under it; it switches, waits, recovers, ends in order."""
import json, os, signal, threading, time
import e2e
from fleet import LOCAL, Fleet as Machines

CONFIG = LOCAL + """[failover.hybrid]
primary-interval=1
interval=2
probe-timeout=1
fall=4
"""


class Fleet(Machines):
    """With a short beat, so that a switch takes seconds."""

    def __init__(self, *regions, config=CONFIG):
        super().__init__(*regions, config=config)


class Watch:
    """A watch in the background: its events as they come; ended in order when nobody ended it before."""

    def __init__(self, fleet, *args):
        self.process = fleet.popen("watch", "-o", "jsonl", *args)
        self.events, self.more = [], threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.more:
                self.events.append(json.loads(line))
                self.more.notify_all()
        with self.more:
            self.more.notify_all()

    def wait_for(self, name, seconds=120, **facts):
        def found():
            return [e for e in self.events if e["event"] == name and all(e.get(k) == v for k, v in facts.items())]
        with self.more:
            assert self.more.wait_for(found, seconds), ("%s %r never came" % (name, facts), self.events[-20:])
            return found()[0]

    def up(self, *regions):
        for region in regions:
            self.wait_for("state", region=region, state="up")
        return self

    def has(self, name):
        with self.more:
            return [e for e in self.events if e["event"] == name]

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        self.reader.join(timeout=10)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()


def test_killed_primary_is_switched_and_ssh_enters_the_new_one():
    with Fleet("eastus", "westus2", "westeurope") as fleet, Watch(fleet) as watch:
        watch.up("eastus", "westus2", "westeurope")
        fleet.kill("eastus")
        begun = watch.wait_for("switch", phase="begun")
        ended = watch.wait_for("switch", phase="ended")
        assert ended["success"] and ended["epoch"] == 2 and ended["fence"] == "confirmed", ended
        assert (begun["from"], ended["to"]) == ("eastus", "westus2"), (begun, ended)
        moved = watch.wait_for("primary", to="westus2")
        assert moved["by"] == "watch", moved
        seen = fleet.ok("ssh", "--", "hostname; cat ~/.local/state/azlin/epoch").out.split()
        assert "westus2" in seen[0] and seen[1] == "2", seen
        assert watch.end() == 0
        assert watch.events[-1]["event"] == "result" and watch.events[-1]["exit_code"] == 0, watch.events[-1]


def test_paused_is_said_and_not_switched():
    with Fleet("eastus", "westus2", "westeurope") as fleet:
        fleet.ok("failover", "pause")
        with Watch(fleet) as watch:
            watch.wait_for("paused")
            watch.up("eastus", "westus2", "westeurope")
            fleet.kill("eastus")
            verdict = watch.wait_for("verdict", should_auto_failover=True)
            assert "paused" in verdict["held_back_by"], verdict
            time.sleep(5)
            assert fleet.primary() == "eastus" and not watch.has("switch")
            fleet.ok("failover", "resume")
            watch.wait_for("switch", phase="ended", success=True)
            assert fleet.primary() == "westus2"


def test_a_state_that_cannot_be_read_holds_switches_back_and_ends_no_watch():
    with Fleet("eastus", "westus2", "westeurope") as fleet, Watch(fleet) as watch:
        watch.up("eastus", "westus2", "westeurope")
        path = os.path.join(fleet.path, "failover.json")
        with open(path, "w") as f:
            f.write("{")
        time.sleep(6)
        assert watch.process.poll() is None, watch.process.stderr.read()[-2000:]
        fleet.kill("eastus")
        verdict = watch.wait_for("verdict", should_auto_failover=True)
        assert verdict["held_back_by"] == "what holds switches back cannot be read", verdict
        time.sleep(5)
        assert watch.process.poll() is None, watch.process.stderr.read()[-2000:]
        assert fleet.primary() == "eastus" and not watch.has("switch")
        os.unlink(path)
        watch.wait_for("switch", phase="ended", success=True)


def test_second_watch_is_refused():
    with Fleet("eastus", "westus2") as fleet, Watch(fleet) as watch:
        watch.up("eastus", "westus2")
        r = fleet.run("watch", "--for", "5")
        assert r.code == 4 and "Another watch" in r.err and "process %d" % watch.process.pid in r.err, r
        r = fleet.run("regions", "health", "--watch", "--for", "3")
        assert r.code == 0, r
        assert watch.end(signal.SIGTERM) == 0
        assert fleet.run("watch", "--for", "2").code == 0


def test_others_change_the_records():
    with Fleet("eastus", "westus2") as fleet, Watch(fleet) as watch:
        watch.up("eastus", "westus2")
        fleet.ok("regions", "set-primary", "westus2")
        moved = watch.wait_for("primary", to="westus2")
        assert moved["by"] == "other" and moved["from"] == "eastus", moved
        fleet.ok("new", "--region", "westeurope")
        watch.wait_for("record", region="westeurope", change="added")
        watch.up("westeurope")
        fleet.ok("regions", "remove", "eastus", "--remove-vm", "--yes")
        watch.wait_for("record", region="eastus", change="removed")


def test_killed_watch_leaves_what_recover_finishes():
    for moment in (0.0, 0.3, 0.8, 1.5):
        with Fleet("eastus", "westus2", "westeurope") as fleet, Watch(fleet) as watch:
            watch.up("eastus", "westus2", "westeurope")
            fleet.kill("eastus")
            watch.wait_for("switch", phase="begun")
            time.sleep(moment)
            watch.process.kill()
            watch.process.wait()
            fleet.ok("recover", "--yes")
            state = fleet.state()
            assert (state["primary"], state["epoch"]) in (("eastus", 1), ("westus2", 2)), (moment, state)
            with Watch(fleet) as again:  # the lock went with the process
                again.wait_for("watching")


def test_ctrl_c_in_a_switch_waits_for_its_end():
    with Fleet("eastus", "westus2", "westeurope") as fleet, Watch(fleet) as watch:
        watch.up("eastus", "westus2", "westeurope")
        fleet.kill("eastus")
        watch.wait_for("switch", phase="begun")
        assert watch.end() == 0
        assert watch.has("switch")[-1]["phase"] == "ended", watch.events[-5:]
        assert fleet.state()["primary"] == "westus2"
        assert "open" not in fleet.run("recover", "--yes").out


def test_suspended_watch_starts_anew():
    """A stopped process is like a laptop that slept: what was silent meanwhile is no darkness."""
    with Fleet("eastus", "westus2", "westeurope") as fleet, Watch(fleet) as watch:
        watch.up("eastus", "westus2", "westeurope")
        watch.process.send_signal(signal.SIGSTOP)
        time.sleep(8)
        watch.process.send_signal(signal.SIGCONT)
        time.sleep(6)
        assert not watch.has("switch") and fleet.primary() == "eastus"
        fleet.kill("eastus")
        watch.wait_for("switch", phase="ended", success=True)


if __name__ == "__main__":
    e2e.main(globals())
