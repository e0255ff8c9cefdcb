"""azlin --system: the azlind of the machine or nothing at all; what polkit refuses is said in words, and not done."""
import os, signal
import e2e
from bus import Bus
from ptylib import Session
from systembus import ACTION, SystemBus


def told(result):
    """The error of a document."""
    return result.json()["error"]


def test_what_polkit_does_not_grant_is_not_done():
    with SystemBus() as bus:
        bus.start()
        bus.grant_everybody("look")
        result = bus.run("deploy", "-r", "eastus")
        assert result.code == 1 and ACTION + "deploy is not granted to you" in result.err, result
        assert "with sudo" in result.err and "account that azlin uses" not in result.err, result
        assert told(bus.run("deploy", "-r", "eastus", "-o", "json"))["error_type"] == "PermissionDenied"
        assert told(bus.run("config", "show", "-o", "json"))["error_type"] == "PermissionDenied"
        assert bus.run("regions", "list", "-o", "json").json()["regions"] == []
        bus.grant_everybody("look", "deploy")
        assert bus.run("deploy", "-r", "eastus").code == 0
        assert len(bus.run("regions", "list", "-o", "json").json()["regions"]) == 1


def test_a_file_is_not_read_for_others():
    with SystemBus() as bus:
        bus.start()
        bus.grant_everybody("look", "deploy")
        result = bus.run("deploy", "-r", "eastus", "--ssh-key", bus.home.config)
        assert result.code == 1 and "'ssh-key' names a file" in result.err, result


def test_another_place_or_no_service_is_bad_usage():
    with e2e.Home() as home:
        for words, what in (("regions list --no-daemon", "--no-daemon"), ("regions list --home /nowhere", "--home"),
                            ("regions list --config /nowhere", "--config"), ("simulate quiet", "simulate")):
            result = home.run(*words.split(), "--system")
            assert result.code == 64 and what in result.err, (words, result)


def test_without_that_service_nothing_is_done_here():
    with Bus() as bus:
        no_bus = bus.home.run("deploy", "-r", "eastus", "--system", env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"})
        assert no_bus.code == 1 and "the system bus cannot be reached" in no_bus.err, no_bus
        nobody = bus.home.run("deploy", "-r", "eastus", "--system", env={"DBUS_SYSTEM_BUS_ADDRESS": bus.address})
        assert nobody.code == 1 and "no azlind serves this machine" in nobody.err, nobody
        assert "systemctl status azlind" in nobody.err, nobody
        assert not os.path.exists(bus.home.path), os.listdir(bus.home.path)


def test_the_service_of_the_session_is_another_one():
    with Bus() as session, SystemBus() as system:
        client = session.start()
        system.start()
        system.grant_everybody("look", "deploy")
        both = {"DBUS_SESSION_BUS_ADDRESS": session.address, "DBUS_SYSTEM_BUS_ADDRESS": system.address}
        assert session.home.run("deploy", "-r", "eastus", "--system", env=both).code == 0
        client.until(lambda: True, "")
        assert not client.heard and session.home.run("regions", "list", "-o", "json", env=both).json()["regions"] == []
        assert len(system.run("regions", "list", "-o", "json").json()["regions"]) == 1


def test_a_password_is_asked_for_at_a_terminal_alone():
    with SystemBus() as bus:
        bus.start()
        bus.mock("GrantByPassword", "(as)", [ACTION + "look"])
        away = bus.run("regions", "list")
        assert away.code == 1 and "Run it at a terminal" in away.err, away
        env = bus.home.env(DBUS_SYSTEM_BUS_ADDRESS=bus.address)
        there = Session([e2e.BIN, "regions", "list", "--system"], env)
        assert there.finish() == 0, there.raw
        bus.mock("HaveAgent", "(b)", False)
        alone = Session([e2e.BIN, "regions", "list", "--system"], env)
        assert alone.finish() == 1 and "pkttyagent" in alone.raw, alone.raw


def test_whoever_waits_for_a_permission_may_leave():
    with SystemBus() as bus:
        bus.start()
        bus.grant_everybody("look", "deploy")
        bus.mock("Hold", "(as)", ["Start"])
        azlin = bus.home.popen("deploy", "-r", "eastus", "--system", env={"DBUS_SYSTEM_BUS_ADDRESS": bus.address})
        e2e.until(lambda: bus.mock("Waiting")[0] == 1, "polkit is asked")
        azlin.send_signal(signal.SIGINT)
        out, err = azlin.communicate(timeout=20)
        assert azlin.returncode == 130, (azlin.returncode, out, err)
        bus.mock("Hold", "(as)", [])
        bus.mock("BeSlow", "(b)", False)
        assert bus.run("regions", "list", "-o", "json").json()["regions"] == []
        assert [job["kind"] for job in bus.run("jobs", "list", "-o", "json").json()["jobs"]] == ["regions-list"]


def test_jobs_of_others_are_theirs():
    with SystemBus("[bricks]\nprovider=static\n") as bus:
        bus.start()
        other = bus.caller("look", user=bus.other_user())
        path = other.submit("regions-list")
        bus.grant_everybody("look")
        number = path.rsplit("/", 1)[1]
        for verb in ("cancel", "attach"):
            result = bus.run("jobs", verb, number)
            assert result.code == 1 and ACTION + "jobs-of-others is not granted" in result.err, result
        missing = bus.run("jobs", "cancel", "99")
        assert missing.code == 1 and "there is no job 99" in missing.err, missing
        assert other.get(path, "State") == "created"
        assert bus.run("jobs", "list", "-o", "json").json()["jobs"] == []
        bus.grant_everybody("look", "jobs-of-others")
        assert [job["kind"] for job in bus.run("jobs", "list", "-o", "json").json()["jobs"]] == ["regions-list"]
        assert bus.run("jobs", "cancel", number).code == 0


if __name__ == "__main__":
    e2e.main(globals())
