"""azlind --system: polkit is asked about each call, nobody hears what is not his, and nobody takes what is everybody's."""
import e2e
from bus import NAME, PATH, Refused
from systembus import SystemBus
from gi.repository import GLib


def refused(call, name="PermissionDenied"):
    try:
        call()
    except Refused as error:
        assert error.name == "io.azlin.Error." + name, error
        return error.message
    raise AssertionError("nothing was refused")


def deploy(client, *regions):
    path = client.submit("deploy", regions=GLib.Variant("as", list(regions)))
    client.job(path, "Start")
    return path, client.finish(path)


def test_who_may_deploys_and_hears_of_it():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("look", "deploy")
        path, (code, result) = deploy(client, "eastus", "westus2")
        assert code == 0 and result["total_regions"] == 2, result
        assert client.get(path, "State") == "done"
        said = client.job(path, "Listen", "(t)", 0)[0]
        assert [tuple(entry) for entry in said] == client.signals(path, "Said") and len(said) > 3


def test_who_may_not_is_refused():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("look")
        message = refused(lambda: client.submit("deploy", regions=GLib.Variant("as", ["eastus"])))
        assert "io.azlin.Azlin1.deploy" in message, message
        client.submit("regions-list")


def test_without_polkit_nothing_is_allowed():
    with SystemBus(polkit=False) as bus:
        client = bus.start()
        message = refused(lambda: client.submit("regions-list"))
        assert "polkit" in message, message


if __name__ == "__main__":
    e2e.main(globals())
