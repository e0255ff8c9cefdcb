#!/usr/bin/env python3
"""Three watches in homes of their own share many regions through three members of etcd: REGIONS=10000, three of them real machines
and the rest addresses of one server that says SSH's banner. ROUNDS=2 of each of FAULTS=kill,stop,cut: what judges the primary is
lost, and the primary with it. Says how the regions are shared, the longest that any was left without a look, and how many switches
came. TTL=10 seconds of a lease, PAUSE=90 of a stop, INTERVAL=10 between calm looks."""
import base64, json, os, shutil, signal, statistics, sys, threading, time
sys.path[:0] = [os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "tests", folder) for folder in ("watch", "service")]
import e2e, etcd
from banners import Banners, address
from between import Between
from costs import resident_mib, seconds_of
from fleet import LOCAL, Fleet
from local import Watch
from share import agree, judge_of

REGIONS, ROUNDS, TTL, INTERVAL = (int(os.environ.get(name, usual)) for name, usual in (
    ("REGIONS", "10000"), ("ROUNDS", "2"), ("TTL", "10"), ("INTERVAL", "10")))
PAUSE = float(os.environ.get("PAUSE", "90"))
FAULTS = os.environ.get("FAULTS", "kill,stop,cut").split(",")
REAL = ("eastus", "westus2", "westeurope")
FAR = ["far-%05d" % i for i in range(REGIONS - len(REAL))]
BATCH = 100
CONFIG = LOCAL.replace("[bricks]\n", "[bricks]\ncoordinator=etcd\n") + """[policy]
allowed-regions=%s
[failover.hybrid]
primary-interval=1
interval=%d
probe-timeout=1
fall=4
cool-down=0
never-promote=%s
""" % (";".join((*REAL, FAR[0], FAR[-1])), INTERVAL, ";".join(FAR))


class Daemon(Watch):
    """One of them, with a home and a way to etcd of its own."""

    def __init__(self, scene, name, home):
        self.scene, self.name, self.home, self.reached = scene, name, home, threading.Event()
        self.reached.set()
        self.roads = [Between(member.client, self.fate) for member in scene.cluster.members]
        self.path = os.path.join(home.root, name + ".conf")
        with open(self.path, "w") as f:
            f.write(config(";".join(road.url for road in self.roads))
                    + "[watch]\nmember-ttl=%d\nname=%s\nplace=%s\n" % (TTL, name, name))
        self.start()

    def start(self):
        super().__init__(self.home, "--config", self.path, "--no-daemon")
        self.words = []
        threading.Thread(target=self.words.extend, args=(self.process.stderr,), daemon=True).start()

    def fate(self, *_):
        return "pass" if self.reached.wait(200) else "drop"

    def sees_up(self, region):
        states = [e["state"] for e in self.has("state") if e["region"] == region]
        return bool(states) and states[-1] == "up"

    def members(self):
        found = self.has("members")
        return found[-1] if found else {}


def config(endpoints):
    return CONFIG + "[coordinator.etcd]\nendpoints=%s\nprefix=/many/\n" % endpoints


class Scene:
    OF_ALL = ("bricks", "keys")  # the machines and what they let in

    def __init__(self, cluster, banners):
        self.cluster, self.banners, self.daemons = cluster, banners, {}
        self.fleet = Fleet(*REAL, config=config(cluster.endpoints()))
        self.homes = [self.fleet, *(e2e.Home(config(cluster.endpoints())) for _ in "bc")]
        for home in self.homes[1:]:  # the machines of the first one
            os.makedirs(home.path, mode=0o700)
            for name in self.OF_ALL:
                os.symlink(os.path.join(self.fleet.path, name), os.path.join(home.path, name))
        self.register()

    def register(self):
        """The first and the last by azlin; those between them as it wrote the first."""
        path = os.path.join(self.fleet.root, "static.conf")
        with open(path, "w") as f:
            f.write(config(self.cluster.endpoints()).replace("provider=local", "provider=static"))

        def add(i):
            self.fleet.ok("regions", "add", FAR[i], "--config", path, "--vm-name", "m%05d" % i, "--public-ip", address(i),
                          "--ssh-port", str(self.banners.port))
        add(0)
        pattern = json.dumps(json.loads(self.value("state/region/" + FAR[0])))
        for first in range(1, len(FAR) - 1, BATCH):
            put = []
            for i in range(first, min(first + BATCH, len(FAR) - 1)):
                record = pattern.replace(FAR[0], FAR[i]).replace("m00000", "m%05d" % i).replace(address(0), address(i))
                put.append({"requestPut": {"key": self.cluster.b64("/many/state/region/" + FAR[i]), "value": self.cluster.b64(record)}})
            self.cluster.call("/v3/kv/txn", {"success": put})
        add(len(FAR) - 1)

    def value(self, key):
        (found,) = self.cluster.call("/v3/kv/range", {"key": self.cluster.b64("/many/" + key)})["kvs"]
        return base64.b64decode(found["value"]).decode()

    def head(self):
        """(primary, epoch), asked of etcd alone: a list of so many regions costs more than what is measured here."""
        found = json.loads(self.value("state/head"))
        return found["primary"], found["epoch"]

    def await_switch(self, old):
        try:
            e2e.until(lambda: self.head()[0] != old, "the others switch", 60)
        except AssertionError as error:
            raise AssertionError(str(error), [(d.name, [e for e in d.events if e.get("region") not in FAR][-14:])
                                              for d in self.daemons.values()])

    def settle(self, names, seconds):
        begun, names = time.monotonic(), set(names)
        try:
            e2e.until(lambda: agree(self.daemons, names, REGIONS), "%s share the regions" % sorted(names), seconds)
        except AssertionError as error:
            raise AssertionError(str(error), [(d.name, d.process.poll(), d.members(), d.events[-3:]) for d in self.daemons.values()])
        return time.monotonic() - begun

    def switches(self):
        count = 0
        for home in self.homes:
            told = home.ok("audit", "show", "--limit", "1000", "-o", "json").json()
            count += sum(e["what"] == "failover" and e["facts"]["outcome"].startswith("switched") for e in told["events"])
        return count

    def strike(self, fault):
        before, lost, (old, epoch) = self.switches(), judge_of(self.daemons), self.head()
        self.banners.longest()
        begun = time.monotonic()
        if fault == "kill":
            lost.process.kill()
            lost.process.wait()
        elif fault == "stop":
            lost.process.send_signal(signal.SIGSTOP)
        else:
            lost.reached.clear()
        self.fleet.kill(old)
        rest = [name for name in self.daemons if name != lost.name]
        taken = self.settle(rest, TTL + 60)
        self.await_switch(old)
        switched = time.monotonic() - begun
        if fault == "kill":
            lost.start()
        elif fault == "stop":
            time.sleep(max(0, begun + PAUSE - time.monotonic()))
            lost.process.send_signal(signal.SIGCONT)
        else:
            time.sleep(max(0, begun + TTL + 10 - time.monotonic()))
            lost.reached.set()
        back = self.settle(self.daemons, 90)
        self.fleet.ok("vm", "start", "--region", old)
        for home in self.homes:
            home.run("failover", "ack")
        e2e.until(lambda: all(d.sees_up(old) for d in self.daemons.values()), "all see that it is up again", 60)
        e2e.until(lambda: self.switches() > before, "the switch is on record", 30)
        longest, seen = self.banners.longest()
        made, epochs = self.switches() - before, self.head()[1] - epoch
        print("%s of %s: its share taken over after %.1f s, switched after %.1f s, shared anew after %.1f s; longest without a look "
              "%.1f s of %d regions (interval %d s); switches %d, epochs %d" % (
                  fault, lost.name, taken, switched, back, longest, seen, INTERVAL, made, epochs), flush=True)
        return longest, made == 1 and epochs == 1

    def close(self):
        for daemon in self.daemons.values():
            daemon.reached.set()
            if daemon.process.poll() is None:
                daemon.process.send_signal(signal.SIGCONT)
                daemon.process.kill()
        for region in REAL:
            try:
                self.fleet.signal(region, signal.SIGKILL)
            except (ProcessLookupError, ValueError):
                pass
        for home in self.homes[::-1]:
            shutil.rmtree(home.root)


def main():
    scene = None
    with etcd.Etcd(3) as cluster:
        try:
            banners = Banners()
            begun = time.monotonic()
            scene = Scene(cluster, banners)
            print("%d regions on record after %.1f s" % (REGIONS, time.monotonic() - begun), flush=True)
            for name, home in zip("abc", scene.homes):
                scene.daemons[name] = Daemon(scene, name, home)
            print("shared after %.1f s" % scene.settle("abc", 180), flush=True)
            shares = [d.members()["share"] for d in scene.daemons.values()]
            print("shares %s: the largest is %.3f of the smallest" % (shares, max(shares) / min(shares)), flush=True)
            e2e.until(lambda: len(banners.last) == len(FAR), "each is looked at", 180)
            time.sleep(20)
            pids = [d.process.pid for d in scene.daemons.values()]
            cpu = [seconds_of(pid) for pid in pids]
            time.sleep(20)
            print("calm: %s of a core, %s MiB" % (
                ", ".join("%.3f" % ((seconds_of(pid) - was) / 20) for pid, was in zip(pids, cpu)),
                ", ".join("%.0f" % resident_mib(pid) for pid in pids)), flush=True)
            found = [scene.strike(fault) for _ in range(ROUNDS) for fault in FAULTS]
            print("%d rounds: longest without a look %.1f s, median %.1f s; %d of them with one switch" % (
                len(found), max(gap for gap, _ in found), statistics.median(gap for gap, _ in found),
                sum(one for _, one in found)), flush=True)
        finally:
            if scene:
                scene.close()


main()
