"""SIGKILL of azlind at random instants under load: the bus has it back at once, every job goes on or says that it failed, and what
the jobs do to the world is done once. AZLIN_SERVICE_KILLS rounds."""
import json, os, random, signal, time
import e2e
from bus import AZLIND, CONFIG, NAME, PATH, Bus, Gio, GLib
from crowd import Member

KILLS = int(os.environ.get("AZLIN_SERVICE_KILLS", "4"))
REGIONS = ("eastus", "westus2", "westeurope", "northeurope", "uksouth", "centralus")
LISTS = 20
SIM = "[bricks]\nprovider=sim\n[policy]\nallowed-regions=%s\n" % ";".join(REGIONS)
DBUS = "org.freedesktop.DBus"


class Activated(Bus):
    """A bus that starts azlind whenever somebody calls it."""

    def write_config(self):
        os.mkdir(self.folder + "/services")
        with open(self.folder + "/services/%s.service" % NAME, "w") as f:
            f.write("[D-BUS Service]\nName=%s\nExec=/usr/bin/env %s %s\n"
                    % (NAME, " ".join("%s=%s" % pair for pair in self.home.env(DBUS_SESSION_BUS_ADDRESS=self.address).items()
                                      if pair[0].startswith(("AZLIN_", "DBUS_", "HOME", "ASAN", "UBSAN"))), AZLIND))
        return (CONFIG % self.folder).replace("</busconfig>", "<servicedir>%s/services</servicedir></busconfig>" % self.folder)

    def pid(self, client):
        """None: it is not there."""
        try:
            reply = client.connection.call_sync(DBUS, "/", DBUS, "GetConnectionUnixProcessID", GLib.Variant("(s)", (NAME,)), None,
                                                Gio.DBusCallFlags.NO_AUTO_START, 20000, None)
        except GLib.Error:
            return None
        return reply.unpack()[0]


def jobs_of(client):
    listed = client.call(PATH, NAME + ".Manager", "Query", "(sa{sv})", "jobs", {})[0]["jobs"]
    return {PATH + "/job/%d" % job["job"]: job["state"] for job in listed}


def turn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not GLib.MainContext.default().iteration(False):
            time.sleep(0.001)


class Round:
    """Deployments, lists and a watch at once, of which each client hears its own; then the kill."""

    def __init__(self, bus, chance):
        self.started, self.finished, self.troubles = [], {}, []
        self.members = [Member(bus.address, self.over, self.troubles.append) for _ in range(4)]
        for member in self.members:
            member.call = self.noting(member, member.call)
        for i, region in enumerate(chance.sample(REGIONS, 3)):
            self.members[i].submit("deploy", regions=GLib.Variant("as", [region]))
        self.members[3].submit("watch")
        for i in range(LISTS):
            self.members[i % 4].submit("regions-list")

    def noting(self, member, call):
        """As `call`, but it keeps the jobs whose Start was answered: those must not vanish."""
        def noted(path, interface, method, arguments, done=lambda *reply: None):
            if method == "Start":
                done = lambda started: self.started.append(path)
            call(path, interface, method, arguments, done)
        return noted

    def run_until(self, steps):
        """So many jobs have begun or ended: how far that is does not depend on how fast this host is."""
        end = time.monotonic() + 60
        while len(self.started) + len(self.finished) < steps and time.monotonic() < end:
            turn(0.001)

    def over(self, _member, followed):
        self.finished[followed.path] = followed.finished[0]

    def close(self):
        for member in self.members:
            member.close()


def machines(home):
    """Of the simulated world: {name: region} of those that stand."""
    standing, world = {}, os.path.join(home.path, "bricks/provider-sim/world.log")
    if not os.path.exists(world):
        return standing
    with open(world) as f:
        for line in f:
            change = GLib.Variant.parse(GLib.VariantType("(xsv)"), line, None, None).unpack()
            if change[1] == "vm":
                standing[change[2][0]] = change[2][1]
            elif change[1] == "gone":
                standing.pop(change[2], None)
    return standing


def done(client, kind, seconds=60, **flags):
    job = client.submit(kind, **flags)
    client.job(job, "Start")
    code, result = client.finish(job, seconds)
    client.heard.clear()
    return code, result


def is_of_a_kill(trouble):
    return any(word in trouble for word in ("NoReply", "ServiceUnknown", "disconnected", "UnknownMethod", "UnknownObject"))


def check_jobs(round_, states):
    """How many went on and how many failed."""
    for path in round_.started:
        if path in round_.finished:
            continue
        assert states.get(path) in ("running", "failed"), (path, states.get(path), "vanished")
    return sum(state == "running" for state in states.values()), sum(state == "failed" for state in states.values())


def check_world(client, home):
    code, result = done(client, "recover", yes=GLib.Variant("b", True))
    assert code == 0 and result["failed"] == 0, result
    code, result = done(client, "recover", yes=GLib.Variant("b", True))
    assert code == 0 and list(result["recovered"]) == [], result
    recorded = {row["region"]: row["vm_name"] for row in done(client, "regions-list")[1]["regions"]}
    standing = machines(home)
    assert len(set(standing.values())) == len(standing), "two machines in one region: %s" % standing
    assert {name: region for region, name in recorded.items()}.items() <= standing.items(), (recorded, standing)


def test_a_killed_service_is_back_and_nothing_is_done_twice():
    chance = random.Random(int(os.environ.get("AZLIN_SEED", "1")))
    back, went_on, failed, ended, made = [], 0, 0, 0, 0
    home = e2e.Home(SIM)
    with Activated(home=home) as bus:
        for _ in range(KILLS):
            client = bus.client()
            jobs_of(client)
            pid = bus.pid(client)
            round_ = Round(bus, chance)
            round_.run_until(chance.randint(0, 2 * LISTS))
            turn(chance.uniform(0, 0.05))
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            states = jobs_after(bus, client, pid)
            back.append(time.monotonic() - killed)
            turn(0.05)
            assert all(is_of_a_kill(trouble) for trouble in round_.troubles), round_.troubles
            counts = check_jobs(round_, states)
            went_on, failed, ended = went_on + counts[0], failed + counts[1], ended + len(round_.finished)
            for path, state in states.items():
                if state == "running":
                    client.job(path, "Cancel")
                    client.until(lambda: jobs_of(client)[path] != "running", "the watch ends")
            check_world(client, home)
            e2e.until(lambda: os.listdir(home.path + "/jobs") == ["last"], "no job is left on disk")
            made += len(machines(home))
            assert done(client, "destroy", yes=GLib.Variant("b", True))[0] == 0 and not machines(home)
            round_.close()
            client.close()
        client = bus.client()
        code, _ = done(client, "deploy", regions=GLib.Variant("as", REGIONS))
        assert code == 0 and sorted(machines(home).values()) == sorted(REGIONS)
        os.kill(bus.pid(client), signal.SIGTERM)
        e2e.until(lambda: not bus.is_there(client), "it ends")
    print("# %d kills: back within %.2f s (median %.2f s); %d jobs had ended, %d went on, %d were told to have failed, %d machines"
          % (KILLS, max(back), sorted(back)[len(back) // 2], ended, went_on, failed, made))
    assert went_on > 0 and failed > 0 and made > 0 and max(back) < 20, (went_on, failed, made, max(back))


def jobs_after(bus, client, pid):
    """As soon as the bus has noticed the end; this call starts the next azlind."""
    e2e.until(lambda: bus.pid(client) != pid, "the bus notices")
    return jobs_of(client)


if __name__ == "__main__":
    e2e.main(globals())
