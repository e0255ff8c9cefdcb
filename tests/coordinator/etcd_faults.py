"""Leases of a real etcd while holders die and sleep, members fail, answers are lost, and passwords are asked for."""
import os, shutil, time
import e2e, etcd, hosts
from between import Between

TTL = 10


def scene_of(cluster, **options):
    return hosts.Scene("coordinator=etcd\n" + cluster.config(**options))


# ---- holders ----

def test_dead_and_sleeping_holders_lose_it():
    """A killed one's lease passes on when its time is over; one that slept through it is told no."""
    with etcd.Etcd() as cluster, scene_of(cluster) as scene:
        dead, sleeper, heir = (scene.host() for _ in range(3))
        first, second = dead.acquire("dead", TTL), sleeper.acquire("asleep", TTL)
        sleeper.pause()
        dead.kill()
        begun = time.monotonic()
        heir_token, seconds = hosts.until_had(heir, "dead", TTL + 8)
        assert heir_token > first and seconds > TTL - 2, (heir_token, first, seconds)
        other_token, _ = hosts.until_had(heir, "asleep", TTL + 8)
        assert other_token > second
        print("# of a dead holder after %.1f s, of a sleeping one after %.1f s" % (seconds, time.monotonic() - begun))
        sleeper.go_on()
        assert sleeper.renew("asleep", second).startswith("Superseded"), "a token that slept is good no more"
        sleeper.release("asleep", second)
        assert heir.renew("asleep", other_token) == "ok", "the late release took nothing away"
        assert sleeper.ask("acquire", "asleep", TTL).startswith("LockUnavailable")


def test_renewed_leases_last():
    with etcd.Etcd() as cluster, scene_of(cluster) as scene:
        a, b = scene.host(), scene.host()
        token, end = a.acquire("k", TTL), time.monotonic() + TTL + 5
        while time.monotonic() < end:
            assert a.renew("k", token) == "ok"
            assert b.ask("acquire", "k", TTL).startswith("LockUnavailable")
            time.sleep(1)
        leases = cluster.leases()
        assert len(leases) == 1, "those who wait leave no leases: %s" % leases
        a.release("k", token)
        assert cluster.keys() == {} and cluster.leases() == []


def test_a_key_taken_away_by_hand_is_lost():
    with etcd.Etcd() as cluster, scene_of(cluster) as scene:
        a, b = scene.host(), scene.host()
        token = a.acquire("k", 60)
        cluster.delete("k")
        assert a.renew("k", token).startswith("Superseded")
        token = a.acquire("k", 60)
        cluster.delete("k")
        heir = b.acquire("k", 60)
        assert heir > token
        a.release("k", token)
        assert b.renew("k", heir) == "ok", "who was robbed takes nothing from who came after"


def test_prefixes_are_worlds():
    with etcd.Etcd() as cluster, scene_of(cluster) as scene:
        a, b = scene.host(), scene.host("coordinator=etcd\n" + cluster.config(prefix="/another/"))
        a.acquire("k")
        b.acquire("k")
        assert set(cluster.keys()) == {"k"} and set(cluster.keys("/another/")) == {"k"}


def test_many_contend():
    """Five hosts at once: one has it."""
    with etcd.Etcd() as cluster, scene_of(cluster) as scene:
        crowd, last = [scene.host() for _ in range(5)], 0
        for race in range(40):
            for host in crowd:
                host.send("acquire", "k", TTL)
            answers = [host.answer() for host in crowd]
            had = [i for i, answer in enumerate(answers) if answer.startswith("ok ")]
            assert len(had) == 1, (race, answers)
            token = int(answers[had[0]].split()[1])
            assert token > last
            last = token
            crowd[had[0]].release("k", token)


# ---- members ----

def test_the_next_member_is_asked():
    with etcd.Etcd(3) as cluster, scene_of(cluster) as scene:
        a = scene.host()
        token = a.acquire("k", 60)
        cluster.members[0].kill()
        assert a.renew("k", token) == "ok", "one of three is gone"
        begun = time.monotonic()
        assert a.renew("k", token) == "ok"
        assert time.monotonic() - begun < 2, "and is not asked first again"
        cluster.members[0].start()
        e2e.until(cluster.answers, "the member is back", 30)
        cluster.members[1].pause()
        assert a.renew("k", token) == "ok", "a member that hangs is passed over"
        a.release("k", token)
        cluster.members[1].go_on()


def test_without_a_majority_nobody_has_it():
    """Two of three stopped: nothing is given out, and the holder says that it lost it before anybody can have it."""
    with etcd.Etcd(3) as cluster, scene_of(cluster) as scene:
        holder, heir = scene.host(), scene.host()
        token = holder.acquire("k", TTL)
        for member in cluster.members[:2]:
            member.pause()
        begun = time.monotonic()
        answer = heir.ask("acquire", "free", TTL)
        assert answer.startswith("NetworkFailure no member of etcd could answer"), answer
        assert time.monotonic() - begun < 16, time.monotonic() - begun
        assert heir.ask("check").startswith("NetworkFailure")
        answer = holder.renew("k", token)
        assert answer.startswith("Superseded"), answer
        for member in cluster.members[:2]:
            member.go_on()
        cluster.await_leader()
        heir_token, _ = hosts.until_had(heir, "k", 30)
        assert heir_token > token
        assert holder.renew("k", token).startswith("Superseded")
        assert heir.ask("check") == "ok"


def test_a_short_outage_of_the_majority_costs_nothing():
    with etcd.Etcd(3) as cluster, scene_of(cluster) as scene:
        holder = scene.host()
        token = holder.acquire("k", 30)
        for member in cluster.members[:2]:
            member.pause()
        holder.send("renew", "k", token)
        time.sleep(4)
        for member in cluster.members[:2]:
            member.go_on()
        assert holder.answer() == "ok", "the renewal waited for them"


def test_leases_survive_a_restart():
    with etcd.Etcd() as cluster, scene_of(cluster) as scene:
        a, b = scene.host(), scene.host()
        token = a.acquire("k", 30)
        cluster.members[0].kill()
        a.send("renew", "k", token)
        time.sleep(1)
        cluster.members[0].start()
        assert a.answer() == "ok"
        assert b.ask("acquire", "k", TTL).startswith("LockUnavailable")
        a.release("k", token)
        assert b.acquire("k") > token


def test_nobody_there():
    with hosts.Scene("coordinator=etcd\n[coordinator.etcd]\nendpoints=http://127.0.0.1:1;http://127.0.0.2:1\n") as scene:
        host, begun = scene.host(), time.monotonic()
        answer = host.ask("acquire", "k", TTL)
        assert answer.startswith("NetworkFailure"), answer
        assert 5 < time.monotonic() - begun < 12
        begun = time.monotonic()
        assert host.ask("check").startswith("NetworkFailure")
        assert time.monotonic() - begun < 2, "one round is enough to look"


# ---- answers that are lost, and answers that nobody should believe ----

def test_lost_answers_are_looked_up():
    """Whatever came through without an answer: held once, and gone when it is released."""
    paths = ("/v3/lease/grant", "/v3/kv/txn", "/v3/lease/keepalive", "/v3/lease/revoke", "/v3/kv/range")
    with etcd.Etcd() as cluster:
        for fate in ("lose", "drop"):
            with Between(cluster.members[0].client, lambda path, number: fate if number % 2 else "pass") as between, \
                    scene_of(cluster, endpoints=between.url) as scene:
                host = scene.host()
                token = host.acquire("k", 60)
                assert int(cluster.keys()["k"]["create_revision"]) == token and len(cluster.leases()) == 1
                assert host.renew("k", token) == "ok"
                host.release("k", token)
                assert cluster.keys() == {} and cluster.leases() == [], fate
                assert all(between.counts[path] >= 2 for path in paths), between.counts


def test_a_lease_that_was_given_up_keeps_nobody_out_of_its_own_house():
    """Released while nobody could hear it: who held it has it again at once, others when its time is over."""
    cut = []
    with etcd.Etcd() as cluster, Between(cluster.members[0].client, lambda *_: "drop" if cut else "pass") as between, \
            scene_of(cluster, endpoints=between.url) as scene:
        host, other = scene.host(), scene.host()
        token = host.acquire("k", 60)
        cut.append(True)
        assert host.ask("release", "k", token).startswith("NetworkFailure")
        cut.clear()
        assert other.ask("acquire", "k", 60).startswith("LockUnavailable")
        again = host.acquire("k", 60)
        assert again > token and host.renew("k", again) == "ok" and len(cluster.leases()) == 1


def test_an_answer_lost_for_good_is_no_lock():
    """Taken, and never told so: not held; the key goes with its lease."""
    def fate(path, number):
        return "lose" if path == "/v3/kv/txn" else "pass"
    with etcd.Etcd() as cluster, Between(cluster.members[0].client, fate) as between, \
            scene_of(cluster, endpoints=between.url) as scene:
        host = scene.host()
        assert host.ask("acquire", "k", 60).startswith("NetworkFailure")
        e2e.until(lambda: cluster.keys() == {} and cluster.leases() == [], "the lease is given back", 5)


NONSENSE = (b"", b"{}", b"[]", b"null", b"true", b"<html>", b'{"succeeded":"true"}', b'{"succeeded":1}', b'{"header":{}}',
            b'{"succeeded":true}', b'{"succeeded":true,"responses":{}}', b'{"succeeded":true,"responses":[null]}',
            b'{"header":{},"kvs":[]}', b'{"header":{},"kvs":{},"count":"1"}', b'{"header":{},"kvs":[{"create_revision":"-1"}]}',
            b'{"ID":"1","TTL":"0"}', b'{"ID":"1","TTL":"-5"}', b'{"ID":"1","TTL":"x"}', b'{"result":{"ID":"1"}}',
            b'{"result":{"ID":"1","TTL":0}}', b'{"error":{"http_code":-3}}', b'{"error":[]}', b"[" * 100000,
            b'{"a":"' + b"x" * 400000 + b'"}')


def test_nonsense_is_never_a_lock():
    bad = {}
    with etcd.Etcd() as cluster, Between(cluster.members[0].client, lambda path, _: bad.get(path, "pass")) as between, \
            scene_of(cluster, endpoints=between.url) as scene:
        host = scene.host()
        for path in ("/v3/lease/grant", "/v3/kv/txn"):
            for answer in NONSENSE:
                bad = {path: answer}
                said = host.ask("acquire", "k", 60, 300)
                assert not said.startswith("ok") and said, (path, answer[:60], said)


def test_nonsense_is_never_a_renewal():
    nonsense = [answer for answer in NONSENSE if answer != b'{"succeeded":true}'
                and not answer.startswith(b'{"succeeded":true,')]
    bad = {}
    with etcd.Etcd() as cluster, Between(cluster.members[0].client, lambda path, _: bad.get(path, "pass")) as between, \
            scene_of(cluster, endpoints=between.url) as scene:
        host = scene.host()
        for path in ("/v3/lease/keepalive", "/v3/kv/txn"):
            for answer in nonsense:
                bad = {}
                token = host.acquire("k", 60)
                bad = {path: answer}
                said = host.ask("renew", "k", token, 300)
                assert not said.startswith("ok") and said, (path, answer[:60], said)
                bad = {}
                host.release("k", token)


# ---- access ----

def locked_up(cluster):
    """Whoever is not named may do nothing any more; user azlin has the prefix."""
    name, b64 = cluster.call, cluster.b64
    name("/v3/auth/role/add", {"name": "root"})
    name("/v3/auth/user/add", {"name": "root", "password": "pw-of-root"})
    name("/v3/auth/user/grant", {"user": "root", "role": "root"})
    name("/v3/auth/role/add", {"name": "azlin"})
    name("/v3/auth/role/grant", {"name": "azlin", "perm": {"permType": "READWRITE", "key": b64("/azlin/"),
                                                          "range_end": b64("/azlin0")}})
    name("/v3/auth/user/add", {"name": "azlin", "password": 'p"w \\\u00e9'})
    name("/v3/auth/user/grant", {"user": "azlin", "role": "azlin"})
    name("/v3/auth/enable", {})


def password_file(text, mode=0o600):
    path = os.path.join(e2e.SCRATCH, "etcd-password-%d" % os.getpid())
    with open(path, "w", encoding="utf-8") as f:
        f.write(text + "\n")
    os.chmod(path, mode)
    return path


def test_users_and_passwords():
    with etcd.Etcd() as cluster:
        locked_up(cluster)
        path = password_file('p"w \\\u00e9')
        with scene_of(cluster, user="azlin", password_file=path) as scene:
            host = scene.host()
            token = host.acquire("k", 60)
            # a password that is set ends the tokens that were given out for it
            root = cluster.call("/v3/auth/authenticate", {"name": "root", "password": "pw-of-root"})["token"]
            cluster.call("/v3/auth/user/changepw", {"name": "azlin", "password": 'p"w \\\u00e9'}, token=root)
            assert host.renew("k", token) == "ok", "logged in again"
            host.release("k", token)
            nobody = scene.host("coordinator=etcd\n" + cluster.config())
            answer = nobody.ask("acquire", "k", TTL)
            assert answer.startswith("AuthenticationFailed"), answer
            stray = scene.host("coordinator=etcd\n" + cluster.config(user="azlin", password_file=path, prefix="/x/"))
            answer = stray.ask("acquire", "k", TTL)
            assert answer.startswith("PermissionDenied"), answer
        password_file("wrong")
        with scene_of(cluster, user="azlin", password_file=path) as scene:
            answer = scene.host().ask("acquire", "k", TTL)
            assert answer.startswith("AuthenticationFailed") and "wrong" not in answer, answer
        password_file('p"w \\\u00e9', 0o644)
        with scene_of(cluster, user="azlin", password_file=path) as scene:
            answer = scene.host().ask("check")
            assert answer.startswith("InvalidConfig") and "mode 0600" in answer, answer
        os.unlink(path)


def test_https():
    with etcd.Etcd(tls=True) as cluster:
        with hosts.Scene("coordinator=etcd\n[http]\nca-file=%s\n%s" % (cluster.cert, cluster.config())) as scene:
            a, b = scene.host(), scene.host()
            token = a.acquire("k", 60)
            assert a.renew("k", token) == "ok" and b.ask("acquire", "k", 60).startswith("LockUnavailable")
            a.release("k", token)
            wins = hosts.contend(a, b, "race", 20)
            assert sum(wins) == 20
        with scene_of(cluster) as scene:  # a certificate that nobody vouches for
            answer = scene.host().ask("acquire", "k", 60, 4000)
            assert not answer.startswith("ok"), answer
            assert cluster.keys() == {}


def own(cluster, cert, **options):
    return {"ca_file": cluster.ca, "certificate_file": cert, "key_file": cert + ".key", **options}


def test_certificates_of_clients():
    with etcd.Etcd(mutual=True) as cluster:
        with scene_of(cluster, **own(cluster, cluster.client_cert)) as scene:
            a, b = scene.host(), scene.host()
            token = a.acquire("k", 60)
            assert a.renew("k", token) == "ok" and b.ask("acquire", "k", 60).startswith("LockUnavailable")
            a.release("k", token)
        stranger = cluster.issue("stranger", cluster.authority("another"))
        name = cluster.members[0].client.replace("127.0.0.1", "localhost")
        refused = {"no certificate": {"ca_file": cluster.ca}, "of nobody it knows": own(cluster, stranger),
                   "an authority that it is not of": own(cluster, cluster.client_cert, ca_file=stranger),
                   "the system's authorities": own(cluster, cluster.client_cert, ca_file=""),
                   "a name that it has not": own(cluster, cluster.client_cert, endpoints=name),
                   "the key of another": own(cluster, cluster.client_cert, key_file=stranger + ".key")}
        for what, options in refused.items():
            with scene_of(cluster, **options) as scene:
                answer = scene.host().ask("check")
                assert answer.startswith("NetworkFailure"), (what, answer)
                print("# %s: %s" % (what, answer))


def test_a_certificate_may_be_renewed():
    """Whoever renews it puts another in its place; the process goes on."""
    with etcd.Etcd(mutual=True) as cluster:
        mine = os.path.join(cluster.folder, "mine.pem")

        def put(cert):
            for end in ("", ".key"):
                shutil.copy(cert + end, mine + end)
        put(cluster.issue("stranger", cluster.authority("another")))
        with scene_of(cluster, **own(cluster, mine)) as scene:
            host = scene.host()
            assert host.ask("check").startswith("NetworkFailure")
            put(cluster.client_cert)
            assert host.ask("check") == "ok"


def test_what_may_not_be_configured():
    cases = (("endpoints=http://192.0.2.1:2379", "must be https"), ("endpoints=ftp://127.0.0.1", "must be https"),
             ("endpoints=https://u:p@192.0.2.1", "no address of an etcd member"), ("endpoints=nonsense", "no address"),
             ("endpoints=https://192.0.2.1/?a", "no address"), ("endpoints=", "1 to 16 members"),
             ("endpoints=https://127.0.0.1\ncertificate-file=/x", "certificate-file and key-file go together"),
             ("endpoints=https://127.0.0.1;http://127.0.0.1\nca-file=/etc/passwd", "are for https"),
             ("certificate-file=/etc/passwd\nkey-file=/etc/passwd", "are for https"),
             ("endpoints=https://127.0.0.1\nca-file=/nonexistent", "ca-file /nonexistent cannot be read"),
             ("endpoints=https://127.0.0.1\ncertificate-file=/nonexistent\nkey-file=/x", "certificate-file /nonexistent cannot"),
             ("endpoints=https://127.0.0.1\ncertificate-file=/etc/passwd\nkey-file=/etc/passwd", "mode 0600"),
             ("user=me", "go together"), ("password-file=/x", "go together"), ("prefix=", "1 to 200 bytes"))
    for line, words in cases:
        with hosts.Scene("coordinator=etcd\n[coordinator.etcd]\n%s\n" % line) as scene:
            said = scene.host().first
            assert said.startswith("InvalidConfig") and words in said, (line, said)


if __name__ == "__main__":
    e2e.main(globals())
