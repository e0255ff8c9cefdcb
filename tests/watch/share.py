"""Several watches share the regions through etcd: each has its part, and what one had is taken over when it is killed, stopped
or cut off; one judges the primary, all are its vantages. AZLIN_SHARE_ROUNDS rounds of each fault, AZLIN_SHARE_SCENES side by
side, AZLIN_SHARE_PAUSE seconds of a stop."""
import base64, hashlib, json, os, signal, threading, time
import e2e, etcd, pace
from between import Between
from fleet import LOCAL, Fleet
from local import Watch

ROUNDS = int(os.environ.get("AZLIN_SHARE_ROUNDS", "1"))
SCENES = int(os.environ.get("AZLIN_SHARE_SCENES", "1"))
# Many rounds on a quiet host measure how soon it is taken over, and go on behind what is late; a single one beside other
# suites shows that it is: there, leases of ten seconds run out because the host is busy, again and again.
TTL, MORE = int(os.environ.get("AZLIN_SHARE_TTL", "10" if ROUNDS > 1 else "20")), 18
PAUSE = float(os.environ.get("AZLIN_SHARE_PAUSE", TTL + 4))
PATIENCE, EASE, BEAT_MS = (120, 1, 100) if ROUNDS > 1 else (pace.longer(180), pace.longer(4), 300)
# Where watches vouch for each other no witnesses are asked beside other suites: by each watch about each suspect, and on a
# busy host all are suspects, they keep it busy.
WITNESSES = 3 if ROUNDS > 1 else 0
FEW = 4  # where faults go round: on a busy host all are suspects now and then, and each of them is asked about all over
REAL = ("eastus", "westus2", "westeurope")
BEARER = "northeurope"  # a machine behind many records; no primary, or its end would be that of all of them
FURTHER = ["shared-%02d" % number for number in range(MORE + 62)]  # with all of them one watch looks at most from afar
CONFIG = LOCAL.replace("[bricks]\n", "[bricks]\ncoordinator=etcd\n") + """[policy]
allowed-regions=%s
[failover.hybrid]
primary-interval=%d
probe-timeout=%d
fall=4
cool-down=0
never-promote=%s
witnesses=%d
""" % (";".join([*REAL, BEARER, *FURTHER]), EASE, EASE, ";".join([BEARER, *FURTHER]), WITNESSES)


def at_most(seconds):
    """What is to be done in that time: held to it where there are many rounds."""
    return seconds if ROUNDS > 1 else PATIENCE


IN_TIME = at_most(TTL + 5)


class Daemon(Watch):
    """One of them, with its own way to etcd and a record of its looks."""

    def __init__(self, scene, name, **how):
        self.scene, self.name, self.looks, self.last, self.facts = scene, name, [], {}, {}
        self.reached = threading.Event()
        self.reached.set()
        self.roads = [Between(member.client, self.fate) for member in scene.cluster.members] if scene.cuts else []
        self.path = os.path.join(scene.fleet.root, name + ".conf")
        with open(self.path, "w") as f:
            f.write(scene.config(";".join(road.url for road in self.roads) or scene.cluster.endpoints()) + "[watch]\nmember-ttl=%d\nname=%s\nplace=%s\n"
                    % (TTL, name, how.pop("place", name)))
        self.how = how
        self.start()

    def start(self):
        self.process = self.scene.fleet.popen("watch", "-o", "jsonl", "--verbose", "--config", self.path, **self.how)
        self.events, self.more = [], threading.Condition()
        self.words = []  # of its log; read as it comes, or it would wait for a reader
        self.readers = [threading.Thread(target=reader, args=(self.process,), daemon=True)
                        for reader in (self.read, self.listen)]
        for reader in self.readers:
            reader.start()
        self.reader = self.readers[0]

    def listen(self, process):
        self.words.extend(process.stderr)

    def fate(self, *_):
        """Nothing comes through while it is cut off: no answer and no refusal."""
        if self.reached.wait(120):
            return "pass"
        return "drop"

    def read(self, process):
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "region":
                self.note(event["region"], event["facts"])
                continue
            with self.more:
                self.events.append(event)
                self.more.notify_all()

    def note(self, region, facts):
        """An answer from the machine, or that there was none; what is only shown once more says nothing new."""
        self.facts[region] = facts
        answer = facts.get("last_answer")
        if answer and (self.last.get(region) != answer or facts.get("state") in ("suspect", "dark")):
            self.looks.append((time.monotonic(), region))
            self.last[region] = answer

    def members(self):
        with self.more:
            found = [e for e in self.events if e["event"] == "members"]
        return found[-1] if found else {}

    def stand(self, name):
        """The line that stands, or None."""
        with self.more:
            found = [e for e in self.events if e["event"] == name]
        return found[-1].get("line") if found else None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.readers[1].join()
        self.process.stderr.close()

    def close(self):
        self.reached.set()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        for road in self.roads:
            road.__exit__()


def agree(daemons, names, count):
    """Those say that they are all, that each of so many regions is one's, and that one judges the primary."""
    told = [daemons[name].members() for name in names]
    assert all(daemons[name].process.poll() is None for name in names), \
        [daemons[name].words for name in names if daemons[name].process.poll() is not None]
    return all(set(one.get("names", ())) == names for one in told) and sum(one["share"] for one in told) == count \
        and sum(one["judge"] for one in told) == 1


def judge_of(daemons):
    (found,) = [daemon for daemon in daemons.values() if daemon.members()["judge"]]
    return found


class Host:
    """How long the host itself let a sleeper wait: what is late in a stall of the host is not late by azlin."""
    def __init__(self):
        self.longest, self.runs = 0, True
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while self.runs:
            before = time.monotonic()
            time.sleep(0.05)
            self.longest = max(self.longest, time.monotonic() - before - 0.05)


class Scene:
    """A fleet of three machines, and of one more behind further records; three watches."""
    count = 0

    def __init__(self, cluster, names="abc", further=MORE, options="", cuts=False, **how):
        Scene.count += 1
        # one machine bears all further ones, and watches that do not share yet all look at all of them
        self.interval = EASE * (3 if further <= FEW else 8)
        self.options, self.cuts = "interval=%d\n" % self.interval + options, cuts
        self.cluster, self.daemons, self.prefix = cluster, {}, "/share-%d/" % Scene.count
        machines = (*REAL, BEARER) if further else REAL
        self.fleet = Fleet(*machines, config=self.config(cluster.endpoints()))
        try:
            if further:
                self.register(FURTHER[:further])
            self.regions = [*machines, *FURTHER[:further]]
            for name in names:
                self.daemons[name] = Daemon(self, name, **how.get(name, {}))
            self.settle()
        except BaseException:
            self.close()
            raise

    def config(self, endpoints):
        return CONFIG + self.options + "[coordinator.etcd]\nendpoints=%s\nprefix=%s\n" % (endpoints, self.prefix)

    def register(self, names):
        """As further addresses of one machine."""
        with open(os.path.join(self.fleet.path, "config.json")) as f:
            (bearer,) = [record for record in json.load(f)["regions"] if record["region"] == BEARER]
        path = os.path.join(self.fleet.root, "static.conf")
        with open(path, "w") as f:
            f.write(self.config(self.cluster.endpoints()).replace("provider=local", "provider=static"))
        for name in names:
            argv = ["regions", "add", name, "--config", path, "--vm-name", name, "--public-ip", bearer["public_ip"],
                    "--ssh-port", str(bearer["ssh_port"]), "--ssh-user", bearer["ssh_user"], "--host-key", bearer["host_key"]]
            e2e.until(lambda argv=argv: self.fleet.run(*argv).code == 0, "%s is on record" % name)

    def settle(self, *names):
        """Until those, or all, agree about who is there, and each region is one's."""
        names = set(names or self.daemons)

        def all_agree():
            return agree(self.daemons, names, len(self.regions)) \
                and all(self.daemons[name].stand("no-lock") is None for name in names)
        try:
            e2e.until(all_agree, "%s share the regions" % sorted(names), PATIENCE)
        except AssertionError as error:
            raise AssertionError(str(error), [(d.name, d.process.poll(), d.members(), d.stand("no-lock"), d.events[-3:])
                                              for d in self.daemons.values()])
        return self

    def judge(self):
        return judge_of(self.daemons)

    def epoch(self):
        return self.fleet.state()["epoch"]

    def switches(self):
        """Those that the audit log knows."""
        told = self.fleet.ok("audit", "show", "--limit", "1000", "-o", "json").json()
        return [e for e in told["events"] if e["what"] == "failover" and e["facts"]["outcome"].startswith("switched")]

    def longest_gap(self, region, since, until):
        looks = sorted(at for d in self.daemons.values() for at, name in list(d.looks) if name == region and at >= since)
        times = [since, *[at for at in looks if at <= until], until]
        return max(b - a for a, b in zip(times, times[1:]))

    def close(self):
        for daemon in self.daemons.values():
            daemon.close()
        self.fleet.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


CLUSTER, COMES_UP = None, threading.Lock()


def new_scene(**how):
    """One fleet comes up at a time: many at once would keep each other from being ready."""
    with COMES_UP:
        return Scene(cluster(), **how)


def cluster():
    global CLUSTER
    CLUSTER = CLUSTER or etcd.Etcd(3, beat_ms=BEAT_MS)
    return CLUSTER


def several(work):
    """Rounds of it in so many scenes side by side; what failed in any of them fails here."""
    failed, late = [], []

    def one():
        try:
            with new_scene(further=FEW, cuts=work is cut_off) as scene:
                for _ in range(-(-ROUNDS // SCENES)):
                    late.extend(work(scene))
                    print("# %s: a round is over" % work.__name__, flush=True)
        except BaseException as error:
            failed.append(error)
    threads = [threading.Thread(target=one) for _ in range(min(SCENES, ROUNDS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    assert not late, late


def strike(scene, begin, heal):
    """One round: the judge of the primary is lost, and the primary with it. The others take over, one switch comes, nobody
    who comes back makes another. Returns what was late: a series goes on behind it."""
    late, host = [], Host()
    before, epoch, switches, lost = time.monotonic(), scene.epoch(), len(scene.switches()), scene.judge()
    rest = [name for name in scene.daemons if name != lost.name]
    old = scene.fleet.primary()
    begin(lost)
    scene.fleet.kill(old)
    scene.settle(*rest)
    if time.monotonic() - before > IN_TIME:
        late.append("taken over after %.1f s" % (time.monotonic() - before))
    e2e.until(lambda: scene.fleet.primary() != old, "the others switch", PATIENCE)
    heal(lost)
    scene.settle()
    scene.fleet.ok("vm", "start", "--region", old)
    scene.fleet.run("failover", "ack")
    for daemon in scene.daemons.values():
        e2e.until(lambda d=daemon: up(d, old), "%s sees %s again" % (daemon.name, old), PATIENCE)
    end = time.monotonic()
    assert scene.epoch() == epoch + 1 and len(scene.switches()) == switches + 1, (scene.epoch(), scene.switches())
    gaps = {region: scene.longest_gap(region, before, end) for region in scene.regions}
    host.runs = False
    if max(gaps.values()) > IN_TIME:
        late.append("without a look: %s" % gaps)
    print("# lost: %s; longest without a look: %.1f s; the host stood still for %.2f s at most%s"
          % (lost.name, max(gaps.values()), host.longest, "; LATE: %s" % late if late else ""), flush=True)
    return late


def up(daemon, region):
    with daemon.more:
        states = [e for e in daemon.events if e["event"] == "state" and e["region"] == region]
    return bool(states) and states[-1]["state"] == "up"


def killed(scene):
    def heal(daemon):
        daemon.start()
    return strike(scene, Daemon.kill, heal)


def stopped(scene):
    begun = []

    def begin(daemon):
        begun.append(time.monotonic())
        daemon.process.send_signal(signal.SIGSTOP)

    def heal(daemon):
        time.sleep(max(0, begun[0] + PAUSE - time.monotonic()))
        asleep = len(daemon.has("no-lock"))
        daemon.process.send_signal(signal.SIGCONT)
        e2e.until(lambda: len(daemon.has("no-lock")) > asleep, "it wakes up to a no", at_most(10))
    return strike(scene, begin, heal)


def cut_off(scene):
    def begin(daemon):
        daemon.reached.clear()

    def heal(daemon):
        e2e.until(lambda: "No switch by itself" in (daemon.stand("no-lock") or ""), "it is cut off and knows it", at_most(0))
        daemon.reached.set()
    return strike(scene, begin, heal)


def test_killed_watch_is_replaced():
    several(killed)


def test_stopped_watch_is_replaced_and_wakes_up_to_a_no():
    several(stopped)


def test_watch_that_is_cut_off_from_etcd_is_replaced_and_only_looks():
    several(cut_off)


def looked_at_by(scene, since):
    """Who has looked at each region since then."""
    return {region: {name for name, d in scene.daemons.items() for at, r in list(d.looks) if r == region and at > since}
            for region in scene.regions}


def of_owners_alone(by):
    """Those beyond the company of the primary."""
    return sum(len(names) == 1 for names in by.values()) == len(by) - 16


def of_all(by):
    return all(by[region] == set("abc") for region in REAL)


def test_each_region_is_one_watchs_and_status_shows_them():
    with Scene(cluster()) as scene:
        def told():
            return scene.fleet.ok("status", "-o", "json").json()

        def shares():
            return {name: d.members()["share"] for name, d in scene.daemons.items()}

        def daemons():
            return told()["daemons"] or []  # none: etcd has not answered in time
        e2e.until(lambda: {d["name"]: d["share"] for d in daemons()} == shares(), "each has told its share", PATIENCE)
        assert all(share >= 3 for share in shares().values()), shares()
        e2e.until(lambda: [d["name"] for d in daemons() if d["judges_primary"]] == [scene.judge().name],
                  "the judge is named", PATIENCE)
        e2e.until(lambda: len(daemons()) == 3 and all(
            d["is_here"] and d["regions"] == len(scene.regions) and d["since"] for d in daemons()), "each is here", PATIENCE)
        e2e.until(lambda: "%d of %d" % (shares()["a"], len(scene.regions)) in scene.fleet.ok("status").out,
                  "the screen shows shares", PATIENCE)
        assert "judges the primary" in scene.fleet.ok("status").out

        # what is nobody's company is looked at by its owner alone, once all know of each other
        settled, span = time.monotonic(), 2.5 * scene.interval

        def by():
            return looked_at_by(scene, time.monotonic() - span)
        try:
            e2e.until(lambda: time.monotonic() > settled + span and of_owners_alone(by()) and of_all(by()), "", PATIENCE)
        except AssertionError:
            raise AssertionError(by())
        for daemon in scene.daemons.values():
            assert daemon.end() == 0
        assert told()["daemons"] == [], told()
        assert "none is there" in scene.fleet.ok("status").out


def test_of_many_regions_the_best_target_is_known_to_work():
    with Scene(cluster(), names="a", further=len(FURTHER), options="witnesses=3\n") as scene:
        old = scene.fleet.primary()
        scene.fleet.kill(old)
        e2e.until(lambda: scene.fleet.primary() != old, "it switches", PATIENCE)
        assert scene.epoch() == 2


def test_losing_etcd_demotes_nobody():
    with etcd.Etcd(3) as own, Scene(own, further=0) as scene:
        for member in own.members[1:]:
            member.kill()
        for daemon in scene.daemons.values():
            e2e.until(lambda d=daemon: "No switch by itself" in (d.stand("no-lock") or ""), "it is said", IN_TIME)
        told = scene.fleet.ok("status", "-o", "json").json()
        assert told["coordinator_trouble"] and told["daemons"] is None, told
        scene.fleet.kill("eastus")
        time.sleep(12 * EASE)
        assert scene.fleet.primary() == "eastus" and scene.epoch() == 1 and not scene.switches()
        for member in own.members[1:]:
            member.start()
        e2e.until(lambda: scene.fleet.primary() != "eastus", "etcd is back, and so is the switch", PATIENCE)
        scene.settle()
        e2e.until(scene.switches, "the switch is over", PATIENCE)
        assert scene.epoch() == 2 and len(scene.switches()) == 1, scene.switches()


def test_same_name_gets_a_number_and_other_records_are_refused():
    with Scene(cluster(), names="a", further=0) as scene:
        second = Daemon(scene, "a")
        scene.daemons["a-2"] = second
        scene.settle()
        assert second.members()["name"] == "a-2", second.members()
        with e2e.Home(scene.config(cluster().endpoints()).replace("[bricks]\n", "[bricks]\ncontext=file\n")) as other:
            def refused():  # once etcd answers
                r = other.run("watch", "--for", "5")
                return r.code == 4 and "looks after other records" in r.out + r.err
            e2e.until(refused, "other records are refused", PATIENCE)


def test_dry_run_takes_no_part_of_the_work():
    with Scene(cluster(), names="a", further=0) as scene:
        r = scene.fleet.run("watch", "--for", str(max(15, 2 * scene.interval)), "--dry-run", "-o", "jsonl", timeout=3 * PATIENCE)
        events = [json.loads(line) for line in r.out.splitlines()]
        assert r.code == 0 and {e["region"] for e in events if e["event"] == "state"} == set(REAL), r
        assert scene.daemons["a"].members()["names"] == ["a"], scene.daemons["a"].members()


def test_pause_of_another_home_binds_all():
    with Scene(cluster(), names="ab", further=0) as scene, e2e.Home(scene.config(cluster().endpoints())) as laptop:
        laptop.ok("failover", "pause")
        for daemon in scene.daemons.values():
            e2e.until(lambda d=daemon: d.stand("paused"), "%s knows of it" % daemon.name, PATIENCE)
        judge, old = scene.judge(), scene.fleet.primary()
        scene.fleet.kill(old)
        held = judge.wait_for("verdict", should_auto_failover=True)
        assert "paused" in held["held_back_by"], held
        time.sleep(5)
        assert scene.fleet.primary() == old and scene.epoch() == 1
        laptop.ok("failover", "resume")
        e2e.until(lambda: scene.fleet.primary() != old, "nothing holds it back any more", PATIENCE)


def owner(names, region):
    """By the rule that all azlins share, written down once more: the highest weight has it."""
    mask = 2 ** 64 - 1

    def key(text):
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def weight(name):
        x = key(name) ^ (key(region) * 0x9e3779b97f4a7c15 & mask)
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9 & mask
        x = (x ^ x >> 27) * 0x94d049bb133111eb & mask
        return x ^ x >> 31
    return max(names, key=weight)


def test_what_holds_back_elsewhere_binds_the_judge():
    """A watch of another host tells that switches are paused there; this one is made up of what a real one says."""
    with etcd.Etcd() as own, Scene(own, names="ab", further=0) as scene:
        said = json.loads(base64.b64decode(own.keys(scene.prefix + "members/")["a"]["value"]))
        name = next(n for n in ("far-%d" % i for i in range(99)) if owner(["a", "b", n], "eastus") in "ab")
        said.update(held_by="paused", place=name, since="2026-01-01T00:00:00Z")
        own.call("/v3/kv/put", {"key": own.b64(scene.prefix + "members/" + name), "value": own.b64(json.dumps(said))})
        for daemon in scene.daemons.values():
            e2e.until(lambda d=daemon: name in d.members()["names"], "%s knows of it" % daemon.name, PATIENCE)
        judge = scene.judge()
        assert judge.name == owner(["a", "b", name], "eastus")
        scene.fleet.kill("eastus")
        held = judge.wait_for("verdict", held_back_by="daemon %s holds switches back (paused)" % name)
        assert held["should_auto_failover"], held
        time.sleep(5)
        assert scene.fleet.primary() == "eastus" and scene.epoch() == 1
        own.delete("members/" + name, prefix=scene.prefix)
        e2e.until(lambda: scene.fleet.primary() != "eastus", "nothing holds it back any more", PATIENCE)


if __name__ == "__main__":
    try:
        e2e.main(globals())
    finally:
        if CLUSTER:
            CLUSTER.close()
