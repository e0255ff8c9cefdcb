"""SIGKILL of azlind under load, at instants spread evenly over the life of its jobs: the bus has it back at once, every job goes on
or says that it failed, and what the jobs do to the world is done once. AZLIN_SERVICE_KILLS rounds."""
import collections, json, os, random, signal, time
import e2e
from bus import AZLIND, CONFIG, NAME, PATH, Bus, Gio, GLib
from crowd import Member

KILLS = int(os.environ.get("AZLIN_SERVICE_KILLS", "4"))
REGIONS = ("eastus", "westus2", "westeurope", "northeurope", "uksouth", "centralus")
LISTS = 6
BEYOND = 1.6  # of that duration: what follows a kill, with an azlind that has just begun, takes longer; and the end is a phase, too
MORE_KILLS = 20  # where so few have not met everything
UNDISTURBED = 5  # rounds whose duration is measured first, and again
AGAIN = 25  # before so many kills: a host is not always as fast
PHASES = ("created", "started", "intended", "made", "recorded", "ended")  # of a deployment, as it was when azlind was killed
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
    """A deployment of three regions, lists and a watch at once, of which each client hears its own; then the kill."""

    def __init__(self, bus, chance):
        self.started, self.finished, self.troubles, self.deploy = [], {}, [], None
        self.journal, self.world = Tail(bus.home, "journal.log"), Tail(bus.home, WORLD)
        self.begun = time.monotonic()
        self.members = [Member(bus.address, self.over, self.troubles.append) for _ in range(4)]
        for member in self.members:
            member.call = self.noting(member, member.call)
        self.regions = chance.sample(REGIONS, 3)
        self.members[0].submit("deploy", regions=GLib.Variant("as", self.regions))
        self.members[3].submit("watch")
        for i in range(LISTS):
            self.members[i % 4].submit("regions-list")

    def noting(self, member, call):
        """As `call`, but it keeps the jobs whose Start was answered: those must not vanish."""
        def noted(path, interface, method, arguments, done=lambda *reply: None):
            deploys, after = method == "Submit" and arguments.unpack()[0] == "deploy", done

            def answered(*reply):
                if method == "Start":
                    self.started.append(path)
                if deploys:
                    self.deploy, = reply
                after(*reply)
            call(path, interface, method, arguments, answered)
        return noted

    def is_over(self):
        return len(self.finished) == 1 + LISTS

    def run_until(self, instant):
        turn(max(self.begun + instant - time.monotonic(), 0))

    def phase(self, region, home):
        """How far the deployment of this region had come: read while no azlind is there."""
        if self.deploy in self.finished:
            return "ended"
        if region in recorded(home):
            return "recorded"
        if region in machines(home).values():
            return "made"
        if any("{'%s': " % region in line for line in self.journal.lines()):
            return "intended"
        return "started" if self.deploy in self.started else "created"

    def over(self, _member, followed):
        self.finished[followed.path] = followed.finished[0]

    def close(self):
        for member in self.members:
            member.close()


def recorded(home):
    """The regions that have a record."""
    path = os.path.join(home.path, "config.json")
    if not os.path.exists(path):
        return set()
    with open(path) as f:
        return {record["region"] for record in json.load(f)["regions"]}


class Tail:
    """What a log of the home has got since."""

    def __init__(self, home, name):
        self.path = os.path.join(home.path, name)
        self.offset = os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def lines(self):
        if not os.path.exists(self.path):
            return []
        with open(self.path) as f:
            f.seek(self.offset if os.path.getsize(self.path) >= self.offset else 0)
            return f.read().splitlines()


WORLD = "bricks/provider-sim/world.log"


def changes(lines):
    return [GLib.Variant.parse(GLib.VariantType("(xsv)"), line, None, None).unpack() for line in lines]


def check_made_once(world):
    """No region has got a second machine, whatever became of the first."""
    made = collections.defaultdict(set)
    for _, what, facts in changes(world.lines()):
        if what == "vm":
            made[facts[1]].add(facts[0])
    assert all(len(names) == 1 for names in made.values()), made
    return len(made)


def machines(home):
    """Of the simulated world: {name: region} of those that stand."""
    standing, world = {}, Tail(home, WORLD)
    world.offset = 0
    for _, what, facts in changes(world.lines()):
        if what == "vm":
            standing[facts[0]] = facts[1]
        elif what == "gone":
            standing.pop(facts, None)
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
    print("# %d kills: back within %.2f s (median %.3f s); %d jobs had ended, %d went on, %d were told to have failed, %d machines"
          % (KILLS, max(back), sorted(back)[len(back) // 2], ended, went_on, failed, made))
    assert went_on > 0 and failed > 0 and made > 0 and max(back) < 20, (went_on, failed, made, max(back))


def end_watches(client, states):
    for path, state in states.items():
        if state == "running":
            client.job(path, "Cancel")
            client.until(lambda: jobs_of(client)[path] != "running", "the watch ends")


def clear(client, home):
    assert done(client, "destroy", yes=GLib.Variant("b", True))[0] == 0 and not machines(home)


def undisturbed(bus, chance):
    """Seconds from the first word of a round to the end of its deployment, where nobody kills azlind."""
    durations = []
    for _ in range(UNDISTURBED):
        client, round_, took = bus.client(), Round(bus, chance), None
        while took is None or not round_.is_over():
            turn(0.001)
            took = time.monotonic() - round_.begun if took is None and round_.deploy in round_.finished else took
            assert time.monotonic() < round_.begun + 60, "the jobs of a round end"
        durations.append(took)
        assert round_.finished[round_.deploy] == 0, round_.finished
        assert not round_.troubles, round_.troubles
        end_watches(client, jobs_of(client))
        clear(client, bus.home)
        round_.close()
        client.close()
    return sorted(durations)[UNDISTURBED // 2]


class Tally:
    """What became of all rounds."""

    def __init__(self):
        self.back, self.went_on, self.failed, self.ended, self.made = [], 0, 0, 0, 0
        self.phases, self.durations = collections.Counter(), []

    def has_seen_all(self):
        return self.went_on > 0 and self.failed > 0 and self.made > 0

    def print(self):
        print("# %d kills in the %.3f to %.3f s that a deployment takes: back within %.2f s (median %.3f s); %d jobs had ended, %d went "
              "on, %d were told to have failed, %d machines"
              % (len(self.back), min(self.durations), max(self.durations), max(self.back), sorted(self.back)[len(self.back) // 2],
                 self.ended, self.went_on, self.failed, self.made))
        print("# regions of deployments as they were when it was killed: "
              + ", ".join("%s %d" % (phase, self.phases[phase]) for phase in PHASES))


def kill_once(bus, chance, instant, tally):
    client = bus.client()
    jobs_of(client)
    pid, round_ = bus.pid(client), Round(bus, chance)
    round_.run_until(instant)
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    e2e.until(lambda: bus.pid(client) != pid, "the bus notices")
    phases = [round_.phase(region, bus.home) for region in round_.regions]
    states = jobs_of(client)  # this call starts the next azlind
    tally.back.append(time.monotonic() - killed)
    turn(0.05)
    assert all(is_of_a_kill(trouble) for trouble in round_.troubles), round_.troubles
    went_on, failed = check_jobs(round_, states)
    end_watches(client, states)
    check_world(client, bus.home)
    e2e.until(lambda: os.listdir(bus.home.path + "/jobs") == ["last"], "no job is left on disk")
    tally.made += check_made_once(round_.world)
    tally.phases.update(phases)
    tally.went_on, tally.failed, tally.ended = tally.went_on + went_on, tally.failed + failed, tally.ended + len(round_.finished)
    clear(client, bus.home)
    round_.close()
    client.close()


def test_a_killed_service_is_back_and_nothing_is_done_twice():
    chance, tally = random.Random(int(os.environ.get("AZLIN_SEED", "1"))), Tally()
    home = e2e.Home(SIM)
    with Activated(home=home) as bus:
        kills = [(i + chance.random()) / KILLS for i in range(KILLS)]
        chance.shuffle(kills)
        while kills or (not tally.has_seen_all() and len(tally.back) < KILLS + MORE_KILLS):
            if len(tally.back) % AGAIN == 0:
                tally.durations.append(undisturbed(bus, chance))
            kill_once(bus, chance, BEYOND * tally.durations[-1] * (kills.pop() if kills else chance.random()), tally)
        client = bus.client()
        code, _ = done(client, "deploy", regions=GLib.Variant("as", REGIONS))
        assert code == 0 and sorted(machines(home).values()) == sorted(REGIONS)
        os.kill(bus.pid(client), signal.SIGTERM)
        e2e.until(lambda: not bus.is_there(client), "it ends")
    tally.print()
    assert tally.has_seen_all() and max(tally.back) < 20, vars(tally)


if __name__ == "__main__":
    e2e.main(globals())
