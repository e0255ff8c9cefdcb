"""What commands do while the coordinator answers, is held by another, and cannot be asked: by itself nothing, by hand what
a person asks for."""
import json
import e2e, etcd, hosts
from between import Between
from fleet import Cloud as Simulated

DEAD = "http://127.0.0.1:1"


class Cloud(Simulated):
    """One whose locks come from etcd, or cannot come from anywhere, and whose records are its own."""

    def __init__(self, endpoints, create_seconds=5, **options):
        self.create_seconds = create_seconds
        self.endpoints = ""  # deployed with the lock of this host: what comes then may have none
        super().__init__(**options)
        self.endpoints = endpoints
        self.faults()

    def write_config(self, text):
        if self.endpoints:
            text = text.replace("create-seconds=5", "create-seconds=%d" % self.create_seconds)
            text = text.replace("[bricks]\n", "[bricks]\ncoordinator=etcd\ncontext=file\n", 1)
            text += "[coordinator.etcd]\nendpoints=%s\n" % self.endpoints
        super().write_config(text)

    def watch(self, seconds, *args):
        r = self.run("watch", "--for", str(seconds), "-o", "jsonl", *args)
        r.events = [json.loads(line) for line in r.out.splitlines()]
        return r

    def status(self):
        return self.ok("status", "-o", "json").json()

    def audited(self):
        return self.run("audit", "show", "--limit", "5").out


def named(r, name):
    return [e for e in r.events if e["event"] == name]


def test_nothing_happens_by_itself_without_a_coordinator():
    with Cloud(DEAD) as cloud:
        cloud.faults("machine eastus kill")
        r, _ = cloud.failover("--auto")
        assert r.code == 4 and cloud.primary() == "eastus", r
        assert "The coordinator cannot be asked" in r.out + r.err and "--without-lock" in r.out + r.err, r
        r = cloud.run("failover", "--check-only")
        assert r.code == 3, r
        assert "only a person may switch while nobody can tell who else does" in r.out + r.err, r
        r = cloud.run("deploy", "--regions", "northeurope")
        assert r.code == 4, r


def test_a_person_may_go_on_without_it():
    with Cloud(DEAD) as cloud:
        cloud.faults("machine eastus kill")
        r, _ = cloud.failover("--to", "westus2", "--yes")
        assert r.code == 4 and cloud.primary() == "eastus", r
        r, result = cloud.failover("--to", "westus2", "--yes", "--without-lock")
        assert r.code == 0 and result["epoch"] == 2 and cloud.primary() == "westus2", r
        assert "Going on without the lock" in r.err, r
        assert "without_lock=yes" in cloud.audited(), cloud.audited()
    for words in (("--auto",), ("--check-only",), ("--to", "westus2", "--drill"), ("--explain",)):
        with Cloud(DEAD) as cloud:
            assert cloud.run("failover", "--without-lock", *words).code == 64, words


def test_a_lock_that_is_held_binds_a_person_too():
    with etcd.Etcd() as cluster, Cloud(cluster.endpoints()) as cloud, \
            hosts.Scene("coordinator=etcd\n" + cluster.config()) as scene:
        other = scene.host()
        token = other.acquire("failover", 60)
        for more in ((), ("--without-lock",)):
            r, _ = cloud.failover("--to", "westus2", "--yes", *more)
            assert r.code == 4 and "is held by" in r.out + r.err and cloud.primary() == "eastus", r
        other.release("failover", token)
        r, _ = cloud.failover("--to", "westus2", "--yes")
        assert r.code == 0 and cloud.primary() == "westus2", r
        assert "without_lock=no" in cloud.audited(), cloud.audited()
        assert cluster.keys() == {} and cluster.leases() == [], "everything was given back"


def test_the_lock_is_asked_for_once_more_before_what_must_not_happen_twice():
    """A host that slept wakes up where it was: the fence and the commit do not come without a yes of the coordinator."""
    gone = b'{"result":{"header":{},"ID":"1"}}'
    for number, words, power in ((1, "has run out", "running"), (2, "The lock was lost", "stopped")):
        with etcd.Etcd() as cluster, Between(cluster.members[0].client, lambda path, n: gone if "keepalive" in path
                                             and n == number else "pass") as between, Cloud(between.url) as cloud:
            cloud.faults("probe eastus timeout")
            r, _ = cloud.failover("--to", "westus2", "--yes")
            assert r.code in (5, 130) and words in r.out + r.err, r
            assert cloud.primary() == "eastus", r
            cloud.faults()
            assert cloud.power("eastus")["power_state"] == power, cloud.power("eastus")
            cluster.delete("failover")  # which had not gone: that was made up
            cloud.ok("recover", "--yes")
            assert cloud.primary() == "eastus" and cloud.power("eastus")["power_state"] == "running"


def test_a_long_job_keeps_its_lock():
    """A machine takes five minutes and a lease two: it is renewed, and given back at the end."""
    with etcd.Etcd() as cluster, Between(cluster.members[0].client, lambda *_: "pass") as between, \
            Cloud(between.url, create_seconds=300) as cloud:
        cloud.ok("deploy", "--regions", "northeurope")
        assert between.counts.get("/v3/lease/keepalive", 0) >= 10, between.counts
        assert cluster.keys() == {} and cluster.leases() == []


def test_a_lock_that_is_lost_ends_what_it_protects():
    gone = b'{"result":{"header":{},"ID":"1"}}'
    with etcd.Etcd() as cluster, Between(cluster.members[0].client, lambda path, number: gone if "keepalive" in path
                                         and number > 2 else "pass") as between, \
            Cloud(between.url, create_seconds=300) as cloud:
        r = cloud.run("deploy", "--regions", "northeurope")
        assert r.code not in (0, 64) and "The lock was lost: the lease" in r.out + r.err, r
        assert between.counts["/v3/lease/keepalive"] == 3, between.counts


def test_status_says_so():
    with etcd.Etcd() as cluster, Cloud(cluster.endpoints()) as cloud:
        told = cloud.status()
        assert told["coordinator"] == "etcd" and told["coordinator_trouble"] is None, told
        assert "by hand alone" not in cloud.ok("status").out
        cluster.members[0].kill()
        told = cloud.status()
        assert told["coordinator"] == "etcd" and "no member of etcd could answer" in told["coordinator_trouble"], told
        screen = cloud.ok("status").out
        assert "by hand alone, as long as the coordinator cannot be asked" in screen, screen
        assert "etcd: no member of etcd could answer" in screen, screen


def test_watch_switches_while_the_coordinator_answers():
    with etcd.Etcd() as cluster, Cloud(cluster.endpoints()) as cloud:
        cloud.faults("at 100 machine eastus kill")
        r = cloud.watch(400)
        assert r.code == 0 and cloud.primary() == "westus2", r
        assert not named(r, "no-lock"), r


def test_watch_only_looks_without_it():
    with Cloud(DEAD) as cloud:
        cloud.faults("at 100 machine eastus kill")
        r = cloud.watch(600)
        assert r.code == 0 and cloud.primary() == "eastus" and not named(r, "switch"), r
        assert named(r, "no-lock") and named(r, "state"), r
        held = [e for e in named(r, "verdict") if e["should_auto_failover"]]
        assert held and "only a person may switch" in held[-1]["held_back_by"], r


def test_watch_acts_again_when_it_answers_again():
    with etcd.Etcd() as cluster, Between(cluster.members[0].client, lambda path, _: "drop" if len(seen) < 400 and
                                         seen.append(path) is None else "pass") as between:
        seen = []
        with Cloud(between.url) as cloud:
            seen.clear()
            cloud.faults("at 20 machine eastus kill")
            r = cloud.watch(600)
            assert r.code == 0 and len(seen) == 400, (len(seen), r)
            assert any("The coordinator answers again" in e.get("text", "") for e in named(r, "message")), r
            assert cloud.primary() == "westus2", r


if __name__ == "__main__":
    e2e.main(globals())
