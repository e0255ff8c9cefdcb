"""SIGHUP: watches go over to the new configuration with what they have seen, other jobs end as they began, and a
configuration that is no good changes nothing."""
import os, signal, time
import e2e
from bus import Bus
from notices import Machine, lines, watch
from gi.repository import GLib

RULES = "[bricks]\nprovider=static\n[failover.hybrid]\nprimary-interval=%d\ninterval=%d\nprobe-timeout=0.5\nfall=%d\n"
GOES_ON = "The configuration was read again; this goes on by the new one"


class Timed(Machine):
    """Knows when it was probed; may vanish."""

    def __init__(self):
        self.times = []
        super().__init__()

    def serve(self):
        try:
            while True:
                connection, _ = self.socket.accept()
                self.times.append(time.monotonic())
                connection.close()
        except OSError:
            pass  # it has vanished

    def vanish(self):
        self.socket.shutdown(2)
        self.socket.close()

    def longest_gap(self):
        return max(after - before for before, after in zip(self.times, self.times[1:]))


def fleet(bus, *regions):
    machines = [Timed() for _ in regions]
    for region, machine in zip(regions, machines):
        bus.home.ok("regions", "add", region, "--public-ip", "127.0.0.1", "--ssh-port", str(machine.port), "--vm-name", region)
    return machines


def hang_up(bus, client, words):
    before = len(lines(bus, words))
    bus.daemon.send_signal(signal.SIGHUP)
    client.until(lambda: len(lines(bus, words)) > before, "it says that " + words)


def messages(client, path, text):
    return [said for said in client.signals(path, "Said") if said[2] == "message" and said[3]["text"] == text]


def states(client, path, region):
    """What it was in, one after the other; each turn of a watch tells the present one anew."""
    told = [said[3]["state"] for said in client.signals(path, "Said") if said[2] == "state" and said[3]["region"] == region]
    return [state for state, before in zip(told, [None] + told) if state != before]


def test_an_outage_is_judged_by_the_new_rules_from_its_beginning():
    with Bus(RULES % (1, 1, 60)) as bus:
        east, _west = fleet(bus, "eastus", "westus2")
        bus.listen()
        client = bus.start()
        path = watch(client, **{"dry-run": GLib.Variant("b", True)})
        client.until(lambda: states(client, path, "eastus") == ["up"] and states(client, path, "westus2") == ["up"], "both are up")
        east.vanish()
        client.until(lambda: states(client, path, "eastus") == ["up", "suspect"], "it is missed")
        began, probes = time.monotonic(), 4
        client.until(lambda: time.monotonic() > began + probes, "some seconds pass")
        bus.home.write_config(RULES % (1, 1, 8))
        hang_up(bus, client, "The configuration was read again")
        client.until(lambda: "dark" in states(client, path, "eastus"), "it is settled by the new rules", 50)
        took = time.monotonic() - began
        assert states(client, path, "eastus") == ["up", "suspect", "dark"], states(client, path, "eastus")
        assert states(client, path, "westus2") == ["up"], states(client, path, "westus2")
        assert took < probes + 7, "it began anew: %.1f s" % took
        assert len(messages(client, path, GOES_ON)) == 1
        client.job(path, "Cancel")
        code, result = client.finish(path)
        assert code == 0 and {entry["region"]: entry["state"] for entry in result["regions"]}["eastus"] == "dark", result


def test_nothing_is_unwatched_for_longer_than_an_interval():
    with Bus(RULES % (2, 2, 7)) as bus:
        east, west = fleet(bus, "eastus", "westus2")
        bus.listen()
        client = bus.start()
        path = watch(client)
        client.until(lambda: len(west.times) > 2 and len(east.times) > 2, "both are watched")
        for _ in range(3):
            hang_up(bus, client, "The configuration was read again")
            seen = len(west.times), len(east.times)
            client.until(lambda: len(west.times) > seen[0] and len(east.times) > seen[1], "it is looked at again")
        assert max(west.longest_gap(), east.longest_gap()) < 3, (west.longest_gap(), east.longest_gap())
        client.until(lambda: len(messages(client, path, GOES_ON)) == 3, "the watch says so")
        assert states(client, path, "eastus") == ["up"], states(client, path, "eastus")
        client.job(path, "Cancel")
        client.finish(path)


def test_a_configuration_that_a_watch_cannot_go_by_changes_nothing():
    with Bus(RULES % (1, 1, 7)) as bus:
        east, = fleet(bus, "eastus")
        bus.listen()
        client = bus.start()
        path = watch(client)
        client.until(lambda: states(client, path, "eastus") == ["up"], "it is up")
        bus.home.write_config(RULES % (5, 1, 7) + "[policy]\nallowed-regions=mars\n")
        hang_up(bus, client, "The configuration stays as it was")
        assert "job 1, which runs, could not go on by it: interval must not be shorter" in lines(bus, "stays as it was")[0]
        allowed = [entry["value"] for entry in client.call("/io/azlin/Azlin1", "io.azlin.Azlin1.Manager", "Query", "(sa{sv})",
                                                           "config", {})[0]["config"] if entry["name"] == "allowed-regions"]
        assert allowed != ["mars"]
        seen = len(east.times)
        client.until(lambda: len(east.times) > seen + 1, "it is looked at as before")
        assert client.get(path, "State") == "running" and not messages(client, path, GOES_ON)
        client.job(path, "Cancel")
        assert client.finish(path)[0] == 0


def test_a_job_ends_as_it_began():
    with Bus() as bus:
        bus.home.ok("deploy", "-r", "eastus,westus2")
        bus.listen()
        client = bus.start()
        path = client.submit("vm-stop", region=GLib.Variant("s", "eastus"))
        client.job(path, "Start")
        client.until(lambda: client.get(path, "State") == "waiting-answer", "it asks")
        bus.home.write_config("[bricks]\nprovider=sim\n[policy]\nallowed-regions=mars\n")
        hang_up(bus, client, "The configuration was read again")
        client.job(path, "Answer", "(a{sv})", {"yes": GLib.Variant("b", True)})
        assert client.finish(path)[0] == 0 and not messages(client, path, GOES_ON)


def test_engines_go_with_their_watches():
    with Bus(RULES % (1, 1, 7)) as bus:
        fleet(bus, "eastus")
        bus.listen()
        client = bus.start()
        path = watch(client, **{"for": GLib.Variant("u", 4000)})
        client.until(lambda: states(client, path, "eastus") == ["up"], "it is up")

        def files():
            return len(os.listdir("/proc/%d/fd" % bus.daemon.pid))
        counts = []
        for n in range(1, 9):
            bus.daemon.send_signal(signal.SIGHUP)
            client.until(lambda: len(messages(client, path, GOES_ON)) == n, "it goes on")
            counts.append(files())
        client.until(lambda: files() <= counts[0] + 1, "no engine is left open: %r" % counts)
        assert client.get(path, "State") == "running" and len({at for at, name, _ in client.heard if name == "Said"}) == 1
        bus.daemon.send_signal(signal.SIGHUP)
        client.job(path, "Cancel")
        assert client.finish(path)[0] == 0
        assert bus.stop() == 0, bus.log()


def test_it_may_be_ended_while_it_goes_over():
    with Bus(RULES % (1, 1, 7)) as bus:
        fleet(bus, "eastus")
        bus.listen()
        client = bus.start()
        for _ in range(5):
            path = watch(client)
            client.until(lambda: states(client, path, "eastus") == ["up"], "it is up")
            bus.daemon.send_signal(signal.SIGHUP)
            client.job(path, "Cancel")
            code, _result = client.finish(path)
            assert code == 0 and len(client.signals(path, "Finished")) == 1
        assert bus.stop() == 0, bus.log()


if __name__ == "__main__":
    e2e.main(globals())
