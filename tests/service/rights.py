"""Who may do what in system mode: every method and property of the interfaces, every kind of job, every query, for those
who have exactly what it needs, and for those who have all but one part of it. What has no entry here fails."""
import os, time
import xml.etree.ElementTree as ElementTree
import e2e
from bus import NAME, PATH, Gio, GLib, Refused
from systembus import SERVICE, SystemBus

ACTIONS = {"look", "inspect", "deploy", "change", "sync", "connect", "failover", "destroy", "jobs-of-others"}
NEVER = "nobody may"


def words(*names):
    return GLib.Variant("as", names)


EAST = {"region": GLib.Variant("s", "eastus")}
# kind: what it needs, arguments with which the engine takes it
KINDS = {
    "deploy": ("deploy", {"regions": words("eastus")}),
    "destroy": ("destroy", {}),
    "failover": ("failover", {"auto": GLib.Variant("b", True)}),
    "failover-ack": ("failover", {}),
    "failover-commit": ("failover", {}),
    "failover-pause": ("failover", {}),
    "failover-replay": ("inspect", {}),
    "failover-resume": ("failover", {}),
    "failover-rollback": ("failover", {}),
    "logs": ("inspect", {}),
    "recover": ("change", {}),
    "regions-add": ("change", {**EAST, "public-ip": GLib.Variant("s", "127.0.0.1")}),
    "regions-health": ("look", {}),
    "regions-list": ("look", {}),
    "regions-refresh": ("change", {}),
    "regions-remove": ("destroy", EAST),
    "regions-set-primary": ("failover", EAST),
    "simulate": (NEVER, {"scenario": GLib.Variant("s", "quiet")}),
    "ssh-config": ("connect", {}),
    "ssh-target": ("connect", {}),
    "status": ("look", {}),
    "sync": ("sync", {"all": GLib.Variant("b", True)}),
    "sync-verify": ("sync", {}),
    "vm-deallocate": ("change", EAST),
    "vm-delete": ("destroy", EAST),
    "vm-restart": ("change", EAST),
    "vm-start": ("change", EAST),
    "vm-status": ("look", {}),
    "vm-stop": ("change", EAST),
    "watch": ("failover", {}),
}
QUERIES = {"audit": "inspect", "audit-verify": "inspect", "bricks": "look", "bricks-info": "look", "config": "inspect", "counts": "look",
           "engine": "look", "jobs": "look", "nonsense": NEVER, "audit-": NEVER}
KIND = "what its kind needs"
# of the interfaces in the XML file: what a call needs, its arguments
MANAGER = {"Submit": KIND, "Query": KIND, "Inhibit": "failover"}
JOB = {"Listen": ("look", "(t)", 0), "Answer": (KIND, "(a{sv})", {"yes": GLib.Variant("b", False)}), "Start": (KIND, "()"),
       "Cancel": ("look", "()")}
MANAGER_PROPERTIES = {"Version", "Home", "Config", "Kinds"}
JOB_PROPERTIES = {"Kind", "State", "Progress", "ProgressValid", "Message", "Regions", "Started", "Deadline", "Question",
                  "ExitCode", "Result"}
REGION_PROPERTIES = {"Name", "VmName", "PublicIp", "SshPort", "SshUser", "ResourceGroup", "CreatedAt", "Status",
                     "LastHealthCheck", "IsPrimary", "Epoch", "FencePending", "LastSync", "State", "Since", "SeenBy",
                     "DarkFrom", "UnreachableFromMe", "LastAnswer", "LatencyMs"}
JOB_SIGNALS = {"RegionChanged", "Said", "Finished"}
PROPERTIES, OBJECTS = "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.ObjectManager"


def interfaces():
    tree = ElementTree.parse(os.path.join(SERVICE, NAME + ".xml")).getroot()
    return {node.get("name"): {kind: {child.get("name") for child in node.findall(kind)}
                               for kind in ("method", "property", "signal")} for node in tree.findall("interface")}


def outcome(call):
    """What came of it; one user's calls are counted, and this test has many."""
    while True:
        try:
            call()
            return "done"
        except Refused as error:
            if error.name != "io.azlin.Error.ApiThrottled":
                return error.name
            time.sleep(0.2)


def passes(what):
    """Whether the call got past the door; what happens behind it is not asked here."""
    assert what == "done" or what.startswith("io.azlin.Error."), what
    return what != "io.azlin.Error.PermissionDenied"


class Matrix:
    def __init__(self, bus):
        self.bus, self.wrong, self.asked = bus, [], 0

    def look_at(self, client, granted, expected, call, what):
        self.bus.grant(client, *granted)
        self.asked += 1
        came = outcome(call)
        if passes(came) != expected:
            self.wrong.append("%s with %s: %s" % (what, ", ".join(sorted(granted)) or "nothing", came))

    def try_all(self, client, needed, call, what):
        """`needed`: a set, or None when nobody may. What is refused changes nothing, so the one that is not comes last."""
        self.look_at(client, (), False, call, what)
        if needed is None:
            self.look_at(client, ACTIONS, False, call, what)
            return
        for one in needed:
            self.look_at(client, ACTIONS - {one}, False, call, what)
        self.look_at(client, needed, True, call, what)

    def end(self):
        assert not self.wrong, "%d of %d are wrong:\n%s" % (len(self.wrong), self.asked, "\n".join(self.wrong))
        print("# %d calls" % self.asked)


def needed_by(entry):
    return None if entry == NEVER else {entry}


def test_everything_has_its_entry():
    found = interfaces()
    with SystemBus() as bus:
        bus.start()
        kinds = bus.caller("look").call(PATH, PROPERTIES, "Get", "(ss)", NAME + ".Manager", "Kinds")[0]
    assert set(kinds) == set(KINDS), set(kinds) ^ set(KINDS)
    assert set(found) == {NAME + ".Manager", NAME + ".Job", NAME + ".Region"}, found
    region = found[NAME + ".Region"]
    assert region == {"method": set(), "property": REGION_PROPERTIES, "signal": set()}, region
    manager, job = found[NAME + ".Manager"], found[NAME + ".Job"]
    assert manager["method"] == set(MANAGER) and manager["property"] == MANAGER_PROPERTIES and not manager["signal"], manager
    assert job["method"] == set(JOB) and job["property"] == JOB_PROPERTIES and job["signal"] == JOB_SIGNALS, job


def test_the_manager():
    with SystemBus() as bus:
        bus.start()
        client, admin, matrix = bus.caller(), bus.caller(*ACTIONS), Matrix(bus)

        def submit(kind):
            path = client.call(PATH, NAME + ".Manager", "Submit", "(sa{sv})", kind, KINDS[kind][1])[0]
            outcome(lambda: admin.job(path, "Cancel"))

        for kind, (entry, _) in KINDS.items():
            matrix.try_all(client, needed_by(entry), lambda: submit(kind), "Submit of " + kind)
        for what, entry in QUERIES.items():
            matrix.try_all(client, needed_by(entry),
                           lambda: client.call(PATH, NAME + ".Manager", "Query", "(sa{sv})", what, {}), "Query of " + what)
        matrix.try_all(client, {"failover"}, lambda: os.close(client.inhibit("a test", "it tests")), "Inhibit")
        for name in MANAGER_PROPERTIES:
            matrix.try_all(client, {"look"}, lambda: client.call(PATH, PROPERTIES, "Get", "(ss)", NAME + ".Manager", name),
                           "Get of " + name)
        matrix.try_all(client, {"look"}, lambda: client.call(PATH, PROPERTIES, "GetAll", "(s)", NAME + ".Manager"), "GetAll")
        matrix.try_all(client, {"look"}, lambda: client.call(PATH, OBJECTS, "GetManagedObjects"), "GetManagedObjects")
        matrix.end()


def test_regions():
    with SystemBus("[bricks]\nprovider=static\n") as bus:
        bus.home.ok("regions", "add", "eastus", "--public-ip", "127.0.0.1", "--ssh-port", "1", "--vm-name", "none")
        bus.start()
        client, matrix, path = bus.caller("look"), Matrix(bus), PATH + "/regions/eastus"
        e2e.until(lambda: outcome(lambda: client.call(path, PROPERTIES, "GetAll", "(s)", NAME + ".Region")) == "done",
                  "the region is shown")
        for name in sorted(REGION_PROPERTIES):
            matrix.try_all(client, {"look"}, lambda: client.call(path, PROPERTIES, "Get", "(ss)", NAME + ".Region", name),
                           "Get of a region's " + name)
        matrix.try_all(client, {"look"}, lambda: client.call(path, PROPERTIES, "GetAll", "(s)", NAME + ".Region"), "GetAll")
        matrix.end()


def calls_of_job(kind):
    """(what it needs, interface, method, signature, arguments), those last that change the most."""
    for name in sorted(JOB_PROPERTIES) if kind == "regions-list" else ("State",):
        yield "look", PROPERTIES, "Get", "(ss)", NAME + ".Job", name
    yield "look", PROPERTIES, "GetAll", "(s)", NAME + ".Job"
    for method, (entry, signature, *arguments) in JOB.items():
        yield KINDS[kind][0] if entry == KIND else entry, NAME + ".Job", method, signature, *arguments


def ask_about_jobs(bus, owner, client, more):
    """All kinds: each has a job of `owner`, whom `client` asks about; `more`: what he needs besides."""
    matrix = Matrix(bus)
    admin = bus.caller(*ACTIONS)
    for kind, (entry, arguments) in KINDS.items():
        if entry == NEVER:
            continue
        bus.grant(owner, entry)
        made = []
        outcome(lambda: made.append(owner.call(PATH, NAME + ".Manager", "Submit", "(sa{sv})", kind, arguments)[0]))
        path = made[0]
        for needs, interface, method, signature, *given in calls_of_job(kind):
            matrix.try_all(client, {needs, *more}, lambda: client.call(path, interface, method, signature, *given),
                           "%s.%s of a job %s" % (interface, method, kind))
        for _ in range(2):
            outcome(lambda: admin.job(path, "Cancel"))
    matrix.end()


def test_jobs_of_the_same_user():
    with SystemBus() as bus:
        bus.start()
        ask_about_jobs(bus, bus.caller(), bus.caller(), set())


def test_jobs_of_another_user():
    with SystemBus() as bus:
        bus.start()
        ask_about_jobs(bus, bus.caller(), bus.caller(user=bus.other_user()), {"jobs-of-others"})


if __name__ == "__main__":
    e2e.main(globals())
