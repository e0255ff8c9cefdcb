"""What azlind tells by itself, and what the world tells it: dark regions and switches, sleep, a configuration that changed."""
import os, signal, socket, subprocess, threading, time
import e2e
from bus import NAME, PATH, Bus
from fleet import Cloud
from gi.repository import GLib

WATCHED = "[bricks]\nprovider=static\n[failover.hybrid]\nprimary-interval=1\ninterval=1\nprobe-timeout=0.5\n"
PYTHON = "/usr/bin/python3"


class Mock:
    """A service of the desktop or of the system, played by python3-dbusmock on the test's bus."""

    def __init__(self, bus, template, name, path):
        self.bus, self.path, self.name = bus, path, name
        self.log = os.path.join(bus.folder, template)
        env = dict(bus.env(), DBUS_SYSTEM_BUS_ADDRESS=bus.address)
        if subprocess.run([PYTHON, "-c", "import dbusmock"], stderr=subprocess.DEVNULL).returncode != 0:
            raise e2e.Skip("python3-dbusmock is not there")
        self.process = subprocess.Popen([PYTHON, "-m", "dbusmock", "--template", template, "--logfile", self.log], env=env,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.client = bus.client()
        e2e.until(self.is_there, "%s is on the bus" % name)

    def is_there(self):
        reply = self.client.connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                                 "NameHasOwner", GLib.Variant("(s)", (self.name,)), None, 0, 5000, None)
        return reply.unpack()[0]

    def call(self, interface, method, signature="()", *arguments):
        return self.client.connection.call_sync(self.name, self.path, interface, method, GLib.Variant(signature, arguments),
                                                None, 0, 20000, None).unpack()

    def calls(self, method):
        with open(self.log) as f:
            return [line.split(" ", 2)[2] for line in f.read().splitlines() if line.split(" ")[1:2] == [method]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def notifications(bus):
    return Mock(bus, "notification_daemon", "org.freedesktop.Notifications", "/org/freedesktop/Notifications")


def watch(client, **args):
    path = client.submit("watch", **args)
    client.job(path, "Start")
    return path


def lines(bus, words):
    return [line for line in bus.log().splitlines() if words in line]


def test_a_lost_region_is_told_once():
    cloud = Cloud()
    with Bus(home=cloud) as bus, notifications(bus) as desktop:
        bus.listen()
        cloud.faults("at 100 probe eastus timeout")
        client = bus.start()
        client.until(lambda: len(client.regions()) == 3, "the regions are there")
        client.finish(watch(client, **{"for": GLib.Variant("u", 600)}), 60)
        client.until(lambda: lines(bus, "The primary is westus2 now, and was eastus (epoch 2)"), "the switch is told")
        assert len(lines(bus, "eastus is SUSPECT, the primary, and was up")) == 1, bus.log()
        assert len(lines(bus, "eastus is DARK, the primary, and was suspect")) == 1, bus.log()
        assert len(lines(bus, "The primary is")) == 1 and not lines(bus, "westeurope is"), bus.log()
        client.until(lambda: any("The primary has moved" in call for call in desktop.calls("Notify")), "the desktop is told")
        client.until(lambda: any("eastus" in call.split('"')[5] for call in desktop.calls("Notify")), "of the region, too")
        assert len(desktop.calls("Notify")) <= 5, desktop.calls("Notify")


def test_a_switch_that_fails_is_told():
    cloud = Cloud()
    with Bus(home=cloud) as bus:
        bus.listen()
        cloud.faults("at 100 probe eastus timeout")
        hook = os.path.join(cloud.path, "hooks", "failover-pre")
        os.makedirs(os.path.dirname(hook), 0o700)
        with open(os.open(hook, os.O_WRONLY | os.O_CREAT, 0o700), "w") as f:
            f.write("#!/bin/sh\necho not on Fridays >&2; exit 7\n")
        client = bus.start()
        client.until(lambda: len(client.regions()) == 3, "the regions are there")
        client.finish(watch(client, **{"for": GLib.Variant("u", 900)}), 60)
        events = [facts for name, facts in ((said[2], said[3]) for said in client.signals(PATH + "/job/1", "Said"))
                  if name == "switch" and facts["phase"] == "ended"]
        failed = [facts for facts in events if facts["exit_code"] != 0]
        assert failed, events
        told = lines(bus, "The primary eastus should have been left, and was not")
        assert len(told) == len(failed) and all("not on Fridays" in line for line in told), (events, told)


class Machine:
    """Lets everybody in and counts them."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.probes = self.socket.getsockname()[1], 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.socket.accept()
            self.probes += 1
            connection.close()


def test_a_sleep_is_no_outage():
    with Bus(WATCHED) as bus, Mock(bus, "logind", "org.freedesktop.login1", "/org/freedesktop/login1") as logind:
        machine = Machine()
        bus.home.ok("regions", "add", "eastus", "--public-ip", "127.0.0.1", "--ssh-port", str(machine.port), "--vm-name", "one")
        bus.listen()

        def sleep(asleep):
            arguments = GLib.Variant("(sssav)", (NAME_OF_MANAGER, "PrepareForSleep", "b", [GLib.Variant("b", asleep)]))
            logind.client.connection.call_sync(logind.name, logind.path, "org.freedesktop.DBus.Mock", "EmitSignal", arguments,
                                               None, 0, 20000, None)

        def held_up():
            return [entry for entry in logind.call(NAME_OF_MANAGER, "ListInhibitors")[0] if entry[1] == "azlin"]

        client = bus.start()
        path = watch(client)
        client.until(lambda: client.regions().get("eastus", {}).get("State") == "up", "it is seen")
        client.until(held_up, "azlin holds sleep up until it has stopped looking")
        assert held_up()[0][0] == "sleep" and held_up()[0][3] == "delay", held_up()
        sleep(True)
        client.until(lambda: not held_up(), "it may sleep now")
        before = machine.probes
        time.sleep(2.5)
        assert machine.probes == before, "%d probes while it sleeps" % (machine.probes - before)
        sleep(False)
        client.until(lambda: machine.probes > before, "it looks again")
        client.until(lambda: [entry for entry in client.signals(path, "Said")
                              if entry[2] == "state" and entry[3]["state"] == "unknown"], "what was seen does not count")
        client.until(held_up, "the next sleep is held up again")
        assert lines(bus, "was asleep")
        client.job(path, "Cancel")
        client.finish(path)


NAME_OF_MANAGER = "org.freedesktop.login1.Manager"


def allowed(client):
    config = client.call(PATH, NAME + ".Manager", "Query", "(sa{sv})", "config", {})[0]["config"]
    return [entry["value"] for entry in config if entry["name"] == "allowed-regions"][0]


def hang_up(bus, client, words):
    before = len(lines(bus, words))
    bus.daemon.send_signal(signal.SIGHUP)
    client.until(lambda: len(lines(bus, words)) > before, "it says that " + words)


def test_a_new_configuration_holds_for_what_comes():
    with Bus(WATCHED) as bus:
        bus.home.ok("regions", "add", "eastus", "--public-ip", "127.0.0.1", "--ssh-port", "1", "--vm-name", "one")
        bus.listen()
        client = bus.start()
        held = client.inhibit("release.py", "a deploy is under way")
        path = watch(client)
        client.until(lambda: client.signals(path, "Said"), "it watches")
        bus.home.write_config(WATCHED + "[policy]\nallowed-regions=eastus;mars\n")
        hang_up(bus, client, "The configuration was read again")
        assert allowed(client) == "eastus;mars"
        said = len(client.signals(path, "Said"))
        client.until(lambda: len(client.signals(path, "Said")) > said + 2, "the watch goes on")
        assert client.get(path, "State") == "running"
        status = client.submit("status")
        client.job(status, "Start")
        assert client.finish(status)[1]["inhibited_by"] == "release.py: a deploy is under way"
        bus.home.write_config(WATCHED + "[policy]\nallowed-region=venus\n")
        hang_up(bus, client, "The configuration stays as it was")
        assert "allowed-region" in lines(bus, "stays as it was")[0] and allowed(client) == "eastus;mars"
        bus.home.write_config(WATCHED)
        for _ in range(5):
            hang_up(bus, client, "The configuration was read again")

        def is_at_work():
            told = [said[3]["text"] for said in client.signals(path, "Said") if said[2] == "message"]
            turns = [text.startswith("Watching ") for text in told if "goes on by the new one" in text or "Watching " in text]
            return turns[-1]
        client.until(is_at_work, "the watch has gone over")
        os.close(held)
        client.job(path, "Cancel")
        assert client.finish(path)[0] == 0
        status = client.submit("status")
        client.job(status, "Start")
        client.finish(status)
        assert bus.stop() == 0, bus.log()


if __name__ == "__main__":
    e2e.main(globals())
