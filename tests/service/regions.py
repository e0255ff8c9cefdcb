"""Regions on the bus: what is on record, who changed it, and what a watch sees, without asking."""
import os, re, subprocess, time
import e2e
from bus import NAME, PATH, Bus
from fleet import Cloud
from gi.repository import GLib

STATIC = "[bricks]\nprovider=static\n"
REGION = NAME + ".Region"


def path_of(region):
    return PATH + "/regions/" + region


def add(home, region, *more):
    home.ok("regions", "add", region, "--no-daemon", "--public-ip", "127.0.0.1", "--ssh-port", "1", "--vm-name", "none", *more)


def changes(client, region):
    """[(name, value)] of what was said to have changed, in order."""
    said = client.signals(path_of(region), "PropertiesChanged")
    return [change for _, changed, _ in said for change in changed.items()]


def states(client, region):
    return [value for name, value in changes(client, region) if name == "State"]


def test_regions_are_what_is_on_record():
    with Bus(STATIC) as bus:
        add(bus.home, "eastus", "--ssh-user", "alice")
        client = bus.start()
        client.until(lambda: client.regions(), "the region is there")
        (listed,) = bus.home.ok("regions", "list", "-o", "json", "--no-daemon").json()["regions"]
        (told,) = client.regions().values()
        for key, value in listed.items():
            name = "".join(part.title() for part in key.split("_")) if key != "region" else "Name"
            if name in told and isinstance(value, (str, int, bool)) and not name.endswith(("At", "Check")):
                assert told[name] == value, (name, told[name], value)
        assert told["SshUser"] == "alice" and told["IsPrimary"] and told["Epoch"] == 1, told
        assert told["State"] == "unknown" and told["LatencyMs"] < 0 and told["SeenBy"] == [], told
        introspected = client.call(path_of("eastus"), "org.freedesktop.DBus.Introspectable", "Introspect")[0]
        declared = {name for name in re.findall(r'<property type="[a-z]+" name="(\w+)"', introspected)}
        assert declared == set(told), (declared ^ set(told), introspected)
        assert client.call(path_of("eastus"), "org.freedesktop.DBus.Properties", "GetAll", "(s)", REGION)[0] == told
        assert "eastus" in client.call(PATH + "/regions", "org.freedesktop.DBus.Introspectable", "Introspect")[0]
        assert 0 <= time.time() - told["CreatedAt"] / 1e6 < 600 or told["CreatedAt"] == 0, told


def test_what_other_processes_change_is_noticed():
    with Bus(STATIC) as bus:
        client = bus.start()
        add(bus.home, "eastus")
        client.until(lambda: set(client.regions()) == {"eastus"}, "it appears")
        add(bus.home, "westus2")
        client.until(lambda: set(client.regions()) == {"eastus", "westus2"}, "so does the next")
        bus.home.ok("regions", "set-primary", "westus2", "--no-daemon")
        client.until(lambda: ("IsPrimary", True) in changes(client, "westus2"), "it becomes primary")
        client.until(lambda: ("IsPrimary", False) in changes(client, "eastus"), "the other one is not any more")
        regions = client.regions()
        assert regions["westus2"]["Epoch"] == 2 and regions["eastus"]["Epoch"] == 0, regions
        bus.home.ok("regions", "remove", "eastus", "--yes", "--no-daemon")
        client.until(lambda: set(client.regions()) == {"westus2"}, "it is gone")
        client.until(lambda: (path_of("eastus"), [REGION]) in client.signals(PATH, "InterfacesRemoved"), "which is said")


def test_records_that_cannot_be_read_are_said_once_and_read_again():
    with Bus(STATIC) as bus:
        bus.listen()
        add(bus.home, "eastus")
        client = bus.start()
        client.until(lambda: client.regions(), "the region is there")
        for name in "config.json", "config.json.good", "config.json.1":
            path = os.path.join(bus.home.path, name)
            if os.path.exists(path):
                os.rename(path, path + ".away")
            with open(path, "w") as f:
                f.write("{ nonsense")
        client.until(lambda: "regions on the bus are not kept up to date" in bus.log(), "it says so")
        assert set(client.regions()) == {"eastus"}
        for name in "config.json.good", "config.json.1", "config.json":
            path = os.path.join(bus.home.path, name)
            if os.path.exists(path + ".away"):
                os.rename(path + ".away", path)
        add(bus.home, "westus2")
        client.until(lambda: set(client.regions()) == {"eastus", "westus2"}, "it goes on")
        assert bus.log().count("are not kept up to date") == 1, bus.log()


def watch(client, seconds):
    path = client.submit("watch", **{"for": GLib.Variant("u", seconds)})
    client.job(path, "Start")
    return path


def test_a_region_is_seen_going_dark():
    cloud = Cloud()
    with Bus(home=cloud) as bus:
        cloud.faults("at 100 probe eastus timeout")
        client = bus.start()
        client.until(lambda: len(client.regions()) == 3, "the regions are there")
        client.finish(watch(client, 600), 60)
        client.until(lambda: ("IsPrimary", True) in changes(client, "westus2"), "the switch shows")
        assert states(client, "eastus")[:3] == ["up", "suspect", "dark"], states(client, "eastus")
        assert states(client, "eastus")[-1] == "unknown" == client.regions()["eastus"]["State"]
        assert states(client, "westeurope") == ["up", "unknown"], states(client, "westeurope")
        dark_from = [value for name, value in changes(client, "eastus") if name == "DarkFrom"]
        assert any("here" in names for names in dark_from), dark_from
        client.until(lambda: client.regions()["eastus"]["Status"] in ("down", "stopped"), "what was seen is on record")
        said = {name for name, _ in changes(client, "westeurope")}
        assert not said & {"LastAnswer", "LatencyMs", "LastHealthCheck", "LastSync"}, said
        assert client.regions()["westeurope"]["LastAnswer"] > 0


def test_gdbus_needs_nothing_of_ours():
    with Bus(STATIC) as bus:
        client = bus.start()
        address = dict(bus.env())
        monitor = subprocess.Popen(["gdbus", "monitor", "--session", "--dest", NAME], env=address, stdout=subprocess.PIPE, text=True)
        try:
            lines = iter(monitor.stdout.readline, "")
            assert any("is owned by" in line for line in lines), "it does not listen"
            add(bus.home, "eastus")
            assert any("InterfacesAdded" in line and "/regions/eastus" in line for line in lines)
            add(bus.home, "westus2")
            assert any("InterfacesAdded" in line and "/regions/westus2" in line for line in lines)
            bus.home.ok("regions", "set-primary", "westus2", "--no-daemon")
            assert any("PropertiesChanged" in line and "'IsPrimary': <true>" in line and "/westus2" in line for line in lines)
        finally:
            monitor.kill()
            monitor.communicate()
        assert client.regions()["westus2"]["IsPrimary"]


if __name__ == "__main__":
    e2e.main(globals())
