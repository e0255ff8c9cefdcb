"""The command line is the same on all roads: every command in this process and through azlind, and some of each kind through
the azlind of the machine; screens and documents compared."""
import difflib, re, shutil
import e2e
from bus import Bus
from systembus import SystemBus

SIM = "[bricks]\nprovider=sim\n"
# commands of one story, in their order; each runs in a home of its own on either road
STORY = (
    ("deploy", "--regions", "eastus,westus2"),
    ("regions", "list"),
    ("list",),
    ("regions", "health"),
    ("vm", "status", "--region", "eastus"),
    ("regions", "set-primary", "westus2"),
    ("vm", "stop", "--region", "eastus"),
    ("vm", "stop", "--region", "eastus", "--yes"),
    ("vm", "start", "--region", "eastus"),
    ("failover", "--check-only"),
    ("failover", "--to", "eastus", "--yes"),
    ("failover", "--explain"),
    ("failover", "pause", "--region", "eastus"),
    ("failover", "resume", "--region", "eastus"),
    ("regions", "refresh", "--dry-run"),
    ("new", "--region", "westeurope"),
    ("regions", "remove", "westeurope", "--yes"),
    ("simulate", "quiet"),
    ("recover",),
    ("audit", "show"),
    ("audit", "verify"),
    ("logs",),
    ("logs", "-n", "1", "--region", "eastus"),
    ("config", "show"),
    ("bricks", "list"),
    ("bricks", "info", "provider-sim"),
    ("ssh-config",),
    ("sync", "--dry-run"),
    ("deploy",),
    ("deploy", "--regions", "nowhere"),
    ("regions", "remove", "atlantis", "--yes"),
    ("vm", "stop", "--region", "nowhere", "--yes"),
    ("destroy",),
    ("destroy", "--yes"),
)


# what each kind of command and each way to fail looks like through the azlind of the machine
SYSTEM_STORY = (
    ("deploy", "--regions", "eastus,westus2"),
    ("regions", "list"),
    ("regions", "health"),
    ("vm", "stop", "--region", "eastus"),
    ("vm", "stop", "--region", "eastus", "--yes"),
    ("failover", "--check-only"),
    ("audit", "verify"),
    ("logs", "-n", "1", "--region", "eastus"),
    ("bricks", "info", "provider-sim"),
    ("vm", "stop", "--region", "nowhere", "--yes"),
    ("destroy", "--yes"),
)


# what differs from one run to the next anywhere
VARIES = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "UUID"),
    (r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z|[+-][\d:]+)?", "TIME"),
    (r"AAAAC3Nza[A-Za-z0-9/+]+", "KEY"),
    (r'"azlin:home": ?"[0-9a-f]{12}"', "HOME"),
    (r"-[0-9a-f]{6,8}\b", "-ID"),
    (r"\b[0-9a-f]{8}([0-9a-f]{24,56})?\b", "HASH"),
    (r"\b198\.1[89]\.\d+\.\d+", "ADDRESS"),
    (r"\b\d+(\.\d+)?( ?m?s\b)", "TIME"),
    (r'("[a-z_]*(seconds|_ms|duration)": ?)[\d.e-]+', r"\1N"),
    (r'"pid": ?\d+', "PID"),
    (r'"job": ?\d+,\s*', ""),  # a process of its own has no numbers
    (r"  +", "  "),
    ("─+", "─"),
)


def clean(text, root):
    text = text.replace(root, "ROOT")
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return text


def tell(bus, command, *more):
    result = bus.home.run(*command, *more, env={bus.variable: bus.address})
    return result.code, clean(result.out, bus.home.root), clean(result.err, bus.home.root)


def difference(command, here, there):
    if here == there:
        return None
    lines = [("exit %d\n%s%s" % told).splitlines() for told in (here, there)]
    return "\n".join(["azlin " + " ".join(command), *difflib.unified_diff(*lines, "in process", "by azlind", lineterm="")])


def differences(alone, served, story, output, *there):
    wrong = [difference(command, tell(alone, command, "--no-daemon", *output), tell(served, command, *there, *output))
             for command in story]
    return [text for text in wrong if text]


def compare(*output):
    with Bus(SIM) as alone, Bus(SIM) as served:
        client = served.start()
        wrong = differences(alone, served, STORY, output)
        assert not wrong, "%d of %d differ\n%s" % (len(wrong), len(STORY), "\n".join(wrong))
        client.until(lambda: True, "")
        made = {path for path, name, _ in client.heard if name == "Said"}
        assert len(made) > 15, "the service did none of it"


def test_screens_are_the_same():
    compare()


def test_documents_are_the_same():
    compare("-o", "json")


def test_events_are_the_same():
    compare("-o", "jsonl")


def compare_system(*output):
    with Bus(SIM) as alone, SystemBus(SIM) as served:
        served.start()
        served.grant_everybody("look", "inspect", "deploy", "change", "failover", "destroy")
        wrong = differences(alone, served, SYSTEM_STORY, output, "--system")
        assert not wrong, "%d of %d differ\n%s" % (len(wrong), len(SYSTEM_STORY), "\n".join(wrong))
        kinds = {details["kind"] for *_, details, _ in served.questions() if details["method"] == "Start"}
        assert kinds >= {"deploy", "regions-list", "vm-stop", "failover", "logs", "destroy"}, kinds


def test_screens_are_the_same_through_the_azlind_of_the_machine():
    compare_system()


def test_documents_are_the_same_through_the_azlind_of_the_machine():
    compare_system("-o", "json")


def test_events_are_the_same_through_the_azlind_of_the_machine():
    compare_system("-o", "jsonl")


def test_no_daemon_means_none():
    with Bus(SIM) as bus:
        client = bus.start()
        bus.home.ok("regions", "list", "--no-daemon", env={"DBUS_SESSION_BUS_ADDRESS": bus.address})
        client.until(lambda: True, "")
        assert not client.heard


def test_another_home_is_another_matter():
    with Bus(SIM) as bus:
        client = bus.start()
        other = bus.home.root + "/other"
        bus.home.ok("regions", "list", "--home", other, env={"DBUS_SESSION_BUS_ADDRESS": bus.address})
        shutil.copy(bus.home.config, bus.home.root + "/copy.conf")
        bus.home.ok("regions", "list", "--config", bus.home.root + "/copy.conf",
                    env={"DBUS_SESSION_BUS_ADDRESS": bus.address})
        client.until(lambda: True, "")
        assert not client.heard


if __name__ == "__main__":
    e2e.main(globals())
