"""Hosts that share their records in etcd: who sees what, who is refused, and what a home does while etcd is away."""
import base64, json, os
import e2e, etcd, hosts
from between import Between
from fleet import Cloud


class Host(e2e.Home):
    """A home whose locks, and with them records, come from `cluster`."""

    def __init__(self, endpoints, more="", bricks=""):
        self.endpoints, self.more = endpoints, more
        super().__init__("[bricks]\nprovider=static\n" + bricks)
        self.share()

    def share(self, endpoints=None):
        self.write_config("[bricks]\nprovider=static\ncoordinator=etcd\n[coordinator.etcd]\nendpoints=%s\n%s"
                          % (endpoints or self.endpoints, self.more))

    def alone(self):
        self.write_config("[bricks]\nprovider=static\n")

    def add(self, region, *more):
        """A machine that answers nobody; it goes on record all the same."""
        return self.run("regions", "add", region, "--vm-name", "vm-" + region, "--public-ip", "127.0.0.1",
                        "--ssh-port", "1", "--host-key", KEY, *more)

    def regions(self):
        found = self.ok("regions", "list", "-o", "json").json()
        return [r["region"] for r in found["regions"]], found["primary"], found["epoch"]

    def file(self):
        with open(os.path.join(self.path, "config.json")) as f:
            return json.load(f)

    def close(self):
        self.alone()
        super().close()


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBkYb0kFMBWMTkFhIjLyVWuH9uY9bkN3gBxkqBPKlKBn"


def test_two_homes_share_what_stands():
    with etcd.Etcd() as cluster, Host(cluster.endpoints()) as a, Host(cluster.endpoints()) as b:
        assert a.add("eastus").code == 0
        assert b.regions() == (["eastus"], "eastus", 1)
        assert b.add("westus2").code == 0
        assert a.regions() == (["eastus", "westus2"], "eastus", 1)
        a.ok("regions", "set-primary", "--region", "westus2")
        assert b.regions() == (["westus2", "eastus"], "westus2", 2)
        assert b.file()["epoch"] == 2 and b.file()["copy_of"].startswith("etcd "), b.file()
        b.ok("regions", "remove", "--region", "westus2", "--yes")
        assert a.regions() == (["eastus"], None, 3)


def test_the_configuration_says_where_records_are():
    with Host("http://127.0.0.1:1", "prefix=/here/\n") as a:
        shown = a.ok("config", "show", "--origin").out
        assert any("etcd;file" in line and "[bricks] coordinator=etcd" in line for line in shown.splitlines()), shown
        a.write_config("[bricks]\nprovider=static\ncoordinator=etcd\ncontext=file\n[coordinator.etcd]\n"
                       "endpoints=http://127.0.0.1:1\n")
        assert a.regions() == ([], None, 0), "what is set holds"


def test_without_etcd_readers_have_the_copy_and_writers_nothing():
    with etcd.Etcd() as cluster, Host(cluster.endpoints()) as a, Host(cluster.endpoints()) as b:
        for region in ("eastus", "westus2"):
            assert a.add(region).code == 0
        assert b.regions()[1] == "eastus"
        cluster.members[0].kill()
        before = b.file()
        for words in (("regions", "list"), ("status",), ("ssh-config",)):
            r = b.run(*words)
            assert r.code == 0 and ("eastus" in r.out or words == ("ssh-config",)), (words, r)
            assert (r.out + r.err).count("this is the copy as last seen, at epoch 1") == 1, (words, r)
        for words in (("regions", "set-primary", "--region", "westus2"), ("regions", "remove", "--region", "eastus", "--yes"),
                      ("failover", "--to", "westus2", "--yes"), ("failover", "--to", "westus2", "--yes", "--without-lock"),
                      ("regions", "refresh")):
            r = b.run(*words)
            assert r.code == 4 and "cannot be asked" in r.out + r.err, (words, r)
        assert b.add("uksouth").code == 4
        assert b.file() == before
        cluster.members[0].start()
        cluster.await_leader()
        a.ok("regions", "set-primary", "--region", "westus2")
        assert b.file() == before, "it catches up when it reads"
        assert b.regions() == (["westus2", "eastus"], "westus2", 2) and b.file()["epoch"] == 2


def test_a_pause_is_everybodys():
    with etcd.Etcd() as cluster, Host(cluster.endpoints()) as a, Host(cluster.endpoints()) as b:
        assert a.add("eastus").code == 0
        a.ok("failover", "pause", "--reason", "the \"move\" of tonight")
        for words in (("regions", "list"), ("status",)):
            held = b.ok(*words, "-o", "json").json()["failover"]
            assert held["paused"] and held["pause_reason"] == "the \"move\" of tonight", (words, held)
        r = b.ok("failover", "resume")
        assert "by themselves again" in r.out + r.err, r
        assert not a.ok("status", "-o", "json").json()["failover"]["paused"]
        assert a.ok("failover", "resume", "-o", "json").json()["changed"] is False
        assert all(host["host"] for host in a.ok("status", "-o", "json").json()["hosts"]), "no host is made up"
        assert b.ok("failover", "pause", "--ttl", "2h", "-o", "json").json()["paused_until"]
        assert a.ok("status", "-o", "json").json()["failover"]["paused_until"]


def test_a_pause_without_etcd_holds_here_and_is_told_later():
    with etcd.Etcd() as cluster, Host(cluster.endpoints()) as a, Host(cluster.endpoints()) as b:
        assert a.add("eastus").code == 0
        cluster.members[0].kill()
        r = a.run("failover", "pause")
        assert r.code == 4 and "in this home alone" in r.out + r.err and "once more" in r.out + r.err, r
        r = b.run("failover", "resume")
        assert r.code == 4 and "Nothing was changed" in r.out + r.err, r
        r = b.run("failover", "ack", "--fenced", "eastus")
        assert r.code == 0 and "No fence of eastus is pending" in r.out + r.err, "a fence is its home's own: %r" % r
        assert a.ok("status", "-o", "json").json()["failover"]["paused"]
        cluster.members[0].start()
        cluster.await_leader()
        a.ok("regions", "list")
        assert b.ok("status", "-o", "json").json()["failover"]["paused"]


def test_a_majority_is_enough():
    with etcd.Etcd(3) as cluster, Host(cluster.endpoints()) as a, Host(cluster.endpoints()) as b:
        assert a.add("eastus").code == 0 and b.add("westus2").code == 0
        cluster.members[0].kill()
        r = b.run("regions", "set-primary", "--region", "westus2")
        assert r.code == 0, r
        assert a.regions() == (["westus2", "eastus"], "westus2", 2)
        cluster.members[1].kill()
        assert a.run("regions", "set-primary", "--region", "eastus").code == 4
        r = a.run("regions", "list")
        assert r.code == 0 and "this is the copy" in r.out + r.err, r


def test_records_of_a_home_are_shared_when_asked_for():
    with etcd.Etcd() as cluster, Host(cluster.endpoints()) as a, Host(cluster.endpoints()) as b:
        for home, region in ((a, "eastus"), (b, "westus2")):
            home.alone()
            assert home.add(region).code == 0
            home.share()
        own = b.file()
        for words in (("regions", "list"), ("status",), ("regions", "set-primary", "--region", "eastus")):
            r = a.run(*words)
            assert r.code == 78 and "azlin regions refresh --share" in r.out + r.err, (words, r)
        assert not any("region" in key for key in cluster.keys()), cluster.keys()
        a.ok("regions", "refresh", "--share")
        assert a.regions() == (["eastus"], "eastus", 2), "the epoch rises"
        r = b.run("regions", "list")
        assert r.code == 78 and "holds 1 regions of its own" in r.out + r.err and "config.json" in r.out + r.err, r
        r = b.run("regions", "refresh", "--share")
        assert r.code == 1 and "1 regions are shared already" in r.out + r.err, r
        assert b.file() == own and a.regions() == (["eastus"], "eastus", 2), "nobody overwrote anybody"
        for name in os.listdir(b.path):
            if name.startswith("config.json"):
                os.unlink(os.path.join(b.path, name))
        assert b.regions() == (["eastus"], "eastus", 2)
        assert a.run("regions", "refresh", "--share", "--rebuild").code == 64


def test_another_etcd_is_not_taken_for_the_same():
    with etcd.Etcd() as cluster, etcd.Etcd() as other, Host(cluster.endpoints()) as a, Host(other.endpoints()) as b:
        assert a.add("eastus").code == 0 and b.add("westus2").code == 0
        before = a.file()
        a.share(other.endpoints())
        assert a.run("regions", "list").code == 78 and a.file() == before
        a.alone()  # what was a copy goes on alone, where its user says so
        assert a.regions() == (["eastus"], "eastus", 1)
        assert a.add("uksouth").code == 0 and "copy_of" not in a.file()
        a.share()
        r = a.run("regions", "list")
        assert r.code == 78 and "holds 2 regions of its own" in r.out + r.err, r


def keeper_of(scene, cluster, prefix="/azlin/"):
    return scene.keeper("context=etcd\n[context.etcd]\nendpoints=%s\nprefix=%s\n" % (cluster.endpoints(), prefix))


def test_whoever_lost_the_lease_writes_nothing():
    with etcd.Etcd() as cluster, hosts.Scene("coordinator=etcd\n" + cluster.config()) as scene:
        first, second, keeper = scene.host(), scene.host(), keeper_of(scene, cluster)
        keeper.ok("put", "eastus", "e", "primary")
        keeper.ok("put", "westus2", "w")
        token = first.acquire("failover", 60)
        keeper.ok("fence", "failover", token)
        assert keeper.ok("primary", "eastus", "westus2", 1) == "2"
        first.pause()
        cluster.call("/v3/lease/revoke", {"ID": cluster.keys()["failover"]["lease"]})
        writes = [("primary", "westus2", "eastus", 2), ("put", "uksouth", "u"), ("forget", "eastus"), ("raise", 9),
                  ("status", "eastus", "e", "down", 7)]
        for holder in ("has run out", "has gone to"):
            before = keeper.ok("info"), keeper.ok("list")
            for words in writes:
                answer = keeper.ask(*words)
                assert answer.startswith("Superseded") and holder in answer and "nothing was written" in answer, (words, answer)
            assert (keeper.ok("info"), keeper.ok("list")) == before
            if holder == "has run out":
                taken = second.acquire("failover", 60)
        keeper.ok("fence", "failover", taken)
        assert keeper.ok("primary", "westus2", "eastus", 2) == "3"
        first.go_on()


def lost_once(path, number):
    return "lose" if (path, number) == ("/v3/kv/txn", LOST) else "pass"


LOST = 2


def test_a_change_whose_answer_is_lost_is_made_once():
    global LOST
    with etcd.Etcd() as cluster, hosts.Scene("") as scene:
        keeper_of(scene, cluster).ok("put", "eastus", "e", "primary")
        keeper_of(scene, cluster).ok("put", "westus2", "w")
        for words, answer in ((("primary", "eastus", "westus2", 1), "2"), (("primary", "westus2", "eastus", 2), "3"),
                              (("put", "uksouth", "u"), ""), (("forget", "uksouth"), ""), (("forget", "eastus"), ""),
                              (("raise", 50), "")):
            LOST = 2  # its own transaction; the first one reads
            with Between(cluster.endpoints(), lost_once) as between:
                keeper = scene.keeper("context=etcd\n[context.etcd]\nendpoints=%s\n" % between.url)
                assert keeper.ok(*words) == answer, words
                assert between.counts["/v3/kv/txn"] >= 3, between.counts
        keeper = keeper_of(scene, cluster)
        assert keeper.ok("list") == "westus2/w/unknown" and "'epoch': <uint64 50>" in keeper.ok("info"), keeper.ok("info")


def test_an_answer_that_never_comes_is_no_success():
    with etcd.Etcd() as cluster, hosts.Scene("") as scene:
        keeper_of(scene, cluster).ok("put", "eastus", "e", "primary")
        with Between(cluster.endpoints(), lambda path, number: "pass" if number == 1 else "drop") as between:
            keeper = scene.keeper("context=etcd\n[context.etcd]\nendpoints=%s\n" % between.url)
            answer = keeper.ask("primary", "eastus", "-", 1)
            assert answer.startswith("LockUnavailable") and "nobody knows whether the change was made" in answer, answer


class SharedCloud(Cloud):
    """Simulated machines whose records and locks are in etcd, asked for at `endpoints`."""
    endpoints = ""

    def write_config(self, text):
        text = text.replace("[bricks]\n", "[bricks]\ncoordinator=etcd\n", 1)
        super().write_config(text + "[coordinator.etcd]\nendpoints=%s\n" % self.endpoints)

    def commits(self):
        """A switch stands before its commit, or behind it."""
        with open(os.path.join(self.path, "journal.log")) as f:
            return "COMMITTING" in f.read()

    def open_entries(self):
        return self.ok("status", "-o", "json").json()["journal"]["open"]


def switch(cluster, fate, after):
    """A switch away from a dead primary, with `fate(cloud)` of the requests from the commit on; then `after(cloud, r)` and
    recover."""
    SharedCloud.endpoints = cluster.endpoints()
    with SharedCloud() as cloud, \
            Between(cluster.endpoints(), lambda path, number: fate(cloud) if cloud.commits() else "pass") as between:
        SharedCloud.endpoints = between.url
        cloud.faults("probe eastus timeout")
        r = cloud.run("failover", "--to", "westus2", "--yes")
        SharedCloud.endpoints = cluster.endpoints()
        cloud.faults()
        assert r.code != 0 and cloud.open_entries() == 1, r
        assert cloud.power("eastus")["power_state"] == "stopped", "nobody but recover may start it"
        after(cloud, r)


def test_a_commit_without_an_answer_is_left_to_recover():
    def after(cloud, r):
        assert "Nobody knows whether the switch was made" in r.out + r.err, r
        assert cloud.primary() == "eastus"
        cluster.call("/v3/lease/revoke", {"ID": cluster.keys()["failover"]["lease"]})  # which it could not give back
        cloud.ok("recover", "--yes")
        assert cloud.power("eastus")["power_state"] == "running" and cloud.open_entries() == 0
    with etcd.Etcd() as cluster:
        switch(cluster, lambda cloud: "drop", after)


def test_a_commit_that_has_lost_its_lock_moves_nothing():
    with etcd.Etcd() as cluster, hosts.Scene("coordinator=etcd\n" + cluster.config()) as scene:
        other, taken = scene.host(), []

        def take_lock(cloud):
            if not taken:
                cluster.call("/v3/lease/revoke", {"ID": cluster.keys()["failover"]["lease"]})
                taken.append(other.acquire("failover", 60))
            return "pass"

        def after(cloud, r):
            assert "The lock was lost" in r.out + r.err and cloud.primary() == "eastus", r
            other.release("failover", taken[0])
            cloud.ok("recover", "--yes")
            assert cloud.power("eastus")["power_state"] == "running" and cloud.state()["epoch"] == 1
        switch(cluster, take_lock, after)


def test_what_a_dead_host_left_open_is_seen_by_another():
    with etcd.Etcd() as cluster, Host(cluster.endpoints()) as other:
        def after(cloud, r):
            (told,) = other.ok("status", "-o", "json").json()["hosts"]
            assert told["open"] == 1 and told["what"] == "flow-failover switch", told
            shown = other.ok("status").out
            assert "Other host" in shown and "1 open (flow-failover switch) since 2" in shown, shown
            r = other.ok("recover")
            assert "only there can it be recovered" in r.out and "Nothing to recover" in r.out, r
            cluster.call("/v3/lease/revoke", {"ID": cluster.keys()["failover"]["lease"]})
            cloud.ok("recover", "--yes")
            (told,) = other.ok("status", "-o", "json").json()["hosts"]
            assert told["open"] == 0 and "Other host" not in other.ok("status").out, told
        switch(cluster, lambda cloud: "drop", after)


HEADER = b'"header":{"cluster_id":"7","revision":"9"}'


def record(key, value, revision=b"5"):
    return b'{"key":"%s","value":"%s","mod_revision":"%s"}' % (base64.b64encode(key), base64.b64encode(value), revision)


def shown(records, head=b"{%s}" % HEADER, more=b""):
    return b'{%s,"succeeded":true,"responses":[{"response_range":%s},{"response_range":{%s}},{"response_range":{%s,%s"kvs":[%s]}}]}' \
        % (HEADER, head, HEADER, HEADER, more, records)


GOOD = b'{"region":"a","vm_name":"v"}'
HOSTILE = [
    b"", b"nonsense", b"[]", b"{}", b'{"succeeded":true}', b'{%s,"succeeded":true,"responses":[]}' % HEADER,
    shown(b"").replace(b'"succeeded":true,', b""),
    shown(b"").replace(b'"cluster_id":"7"', b'"cluster_id":"../7"'), shown(b"").replace(b'"revision":"9"', b'"revision":"x"'),
    shown(record(b"/azlin/state/region/b", GOOD)), shown(record(b"/other/state/region/a", GOOD)),
    shown(record(b"/azlin/state/region/a", b"{}")), shown(record(b"/azlin/state/region/a", b"\xff\x00")),
    shown(record(b"/azlin/state/region/a", b'{"region":"a","vm_name":""}')),
    shown(record(b"/azlin/state/region/a", b'{"region":"a","vm_name":"v","ssh_port":99999999}')),
    shown(record(b"/azlin/state/region/a", b'{"region":"a","vm_name":"v","tags":[]}')),
    shown(record(b"/azlin/state/region/a", GOOD, b"0")), shown(record(b"/azlin/state/region/a", b'{"a":"' + b"x" * 50000 + b'"}')),
    shown(record(b"/azlin/state/region/a", b"[" * 5000)),
    shown(b",".join([record(b"/azlin/state/region/a", GOOD)] * 2)), shown(b"", more=b'"more":true,'),
    shown(b"", head=b'{%s,"kvs":[%s]}' % (HEADER, record(b"h", b'{"epoch":-1,"primary":""}'))),
    shown(b"", head=b'{%s,"kvs":[%s]}' % (HEADER, record(b"h", b'{"epoch":"1","primary":""}'))),
    shown(b"", head=b'{%s,"kvs":[%s]}' % (HEADER, record(b"h", b'{"epoch":1,"primary":"a\\u001bb"}'))),
]


def test_what_makes_no_sense_is_refused():
    with etcd.Etcd() as cluster, hosts.Scene("") as scene:
        answers = iter(HOSTILE)
        with Between(cluster.endpoints(), lambda path, number: current[0]) as between:
            current = [shown(record(b"/azlin/state/region/a", GOOD))]
            keeper = scene.keeper("context=etcd\n[context.etcd]\nendpoints=%s\n" % between.url)
            assert keeper.ok("list") == "a/v/unknown", "what the others are made of"
            for current[0] in answers:
                if json_of(current[0]) is None:
                    continue  # goes round the members for its eight seconds: the case after this loop
                answer = keeper.ask("list")
                assert answer.startswith(("StorageFailure what stands in etcd is no state of azlin", "LockUnavailable")), \
                    (current[0][:200], answer)
                assert "\x1b" not in answer, answer
            current[0] = b"nonsense"
            assert keeper.ask("info").startswith("LockUnavailable The shared records cannot be asked")


def json_of(text):
    try:
        return json.loads(text) if isinstance(json.loads(text), dict) else None
    except ValueError:
        return None


e2e.main(globals())
