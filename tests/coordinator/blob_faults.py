"""Leases on blobs of a real Azurite while holders die and sleep, answers are lost, and somebody else's hand is in it."""
import json, os, time, urllib.parse
import azurite, blob_scene, e2e, hosts
from between import Between

TTL = 15
store = None


def need():
    global store
    store = store or blob_scene.store("faults")
    return store


def scene_of(**options):
    return hosts.Scene("coordinator=blob\n" + blob_scene.config(need(), **options))


def record(key, container="azlin-locks"):
    status, body = need().request("GET", "/%s/%s" % (container, key))
    return json.loads(body) if status == 200 else None


def lease(action, key, **headers):
    status, body = need().request("PUT", "/azlin-locks/%s?comp=lease" % key, headers={
        "x-ms-lease-action": action, **{"x-ms-" + k.replace("_", "-"): v for k, v in headers.items()}})
    assert status < 300, (status, body)


def test_dead_and_sleeping_holders_lose_it():
    with scene_of() as scene:
        dead, sleeper, heir = (scene.host() for _ in range(3))
        first, second = dead.acquire("dead", TTL), sleeper.acquire("asleep", TTL)
        sleeper.pause()
        dead.kill()
        heir_token, seconds = hosts.until_had(heir, "dead", TTL + 10, TTL)
        assert heir_token == first + 1 and seconds > TTL - 3, (heir_token, first, seconds)
        other_token, _ = hosts.until_had(heir, "asleep", TTL + 10, TTL)
        print("# of a dead holder after %.1f s" % seconds)
        sleeper.go_on()
        assert sleeper.renew("asleep", second).startswith("Superseded"), "a token that slept is good no more"
        sleeper.release("asleep", second)
        assert heir.renew("asleep", other_token) == "ok", "the late release took nothing away"
        for key, token in (("dead", heir_token), ("asleep", other_token)):
            assert record(key)["epoch"] == token, record(key)
            heir.release(key, token)


def test_renewed_leases_last():
    with scene_of() as scene:
        a, b = scene.host(), scene.host()
        token, end = a.acquire("lasting", TTL), time.monotonic() + TTL + 5
        while time.monotonic() < end:
            assert a.renew("lasting", token) == "ok"
            assert b.ask("acquire", "lasting", TTL).startswith("LockUnavailable")
            time.sleep(2)
        a.release("lasting", token)


def test_a_lease_that_an_operator_broke_is_lost():
    with scene_of() as scene:
        a, b = scene.host(), scene.host()
        token = a.acquire("broken", 60)
        lease("break", "broken", lease_break_period="0")
        assert a.renew("broken", token).startswith("Superseded")
        heir = b.acquire("broken", 60)
        assert heir == token + 1
        a.release("broken", token)
        assert b.renew("broken", heir) == "ok"
        b.release("broken", heir)


def test_a_blob_that_was_deleted_is_lost():
    with scene_of() as scene:
        a = scene.host()
        token = a.acquire("deleted", 60)
        lease("break", "deleted", lease_break_period="0")
        assert need().request("DELETE", "/azlin-locks/deleted")[0] == 202
        assert a.renew("deleted", token).startswith("Superseded")


def test_a_damaged_epoch_is_refused():
    """Tokens that were given out would come back."""
    with scene_of() as scene:
        host = scene.host()
        host.release("damaged", host.acquire("damaged", TTL))
        for text in (b"", b"{}", b"7", b'{"epoch":"7"}', b'{"epoch":-1}', b'{"epoch":9223372036854775807}',
                     b'{"epoch":1e3}', b"[" * 3000, b'{"epoch":1,"mark":"' + b"x" * 5000 + b'"}'):
            assert need().put("azlin-locks", "damaged", text) == 201
            said = host.ask("acquire", "damaged", TTL)
            assert said.startswith(("InvalidConfig", "UnexpectedError")), (text[:40], said)
        assert need().put("azlin-locks", "damaged", b'{"epoch":41,"holder":"\\u001b[31m"}') == 201
        assert host.acquire("damaged", TTL) == 42


def kind(method, target):
    parts = urllib.parse.urlsplit(target)
    return method + (" lease" if "comp=lease" in parts.query else " container" if "restype=container" in parts.query else "")


def test_lost_answers_are_looked_up():
    """Whatever came through without an answer: held once, with one epoch."""
    for number, fate in enumerate(("lose", "drop")):
        container = "azlin-lost-%d" % number
        with Between(need().url, lambda _, n: fate if n % 2 else "pass", kind) as between, \
                scene_of(endpoint=between.url, container=container) as scene:
            host = scene.host()
            for expected in (1, 2, 3):
                token = host.acquire("k", 60)
                assert token == expected == record("k", container)["epoch"], (fate, token, expected)
                assert host.renew("k", token) == "ok"
                host.release("k", token)


def test_a_service_that_comes_back_in_time_costs_nothing():
    cut = []
    with Between(need().url, lambda *_: "drop" if cut else "pass", kind) as between, \
            scene_of(endpoint=between.url) as scene:
        host = scene.host()
        token = host.acquire("outage", 60)
        cut.append(True)
        host.send("renew", "outage", token)
        time.sleep(6)
        cut.clear()
        assert host.answer() == "ok"
        host.release("outage", token)


def test_a_service_that_stays_away_loses_it_before_others_can_have_it():
    cut = []
    with Between(need().url, lambda *_: "drop" if cut else "pass", kind) as between, \
            scene_of(endpoint=between.url) as scene:
        host, other = scene.host(), scene.host("coordinator=blob\n" + blob_scene.config(need()))
        token = host.acquire("away", TTL)
        cut.append(True)
        said = host.renew("away", token)
        assert said.startswith("Superseded") and "in time" in said, said
        assert other.ask("acquire", "away", TTL).startswith("LockUnavailable")
        assert host.ask("acquire", "away", TTL, 20000).startswith("NetworkFailure")
        assert host.ask("check").startswith("NetworkFailure")
        cut.clear()
        assert host.acquire("away", TTL) > token


def test_a_lease_that_was_given_up_keeps_nobody_out_of_its_own_house():
    cut = []
    with Between(need().url, lambda *_: "drop" if cut else "pass", kind) as between, \
            scene_of(endpoint=between.url) as scene:
        host, other = scene.host(), scene.host()
        token = host.acquire("house", 60)
        cut.append(True)
        assert not host.ask("release", "house", token).startswith("ok")
        cut.clear()
        assert other.ask("acquire", "house", 60).startswith("LockUnavailable")
        again = host.acquire("house", 60)
        assert again == token + 1 and host.renew("house", again) == "ok"
        host.release("house", again)


def test_containers_are_worlds():
    with scene_of() as scene:
        a, b = scene.host(), scene.host("coordinator=blob\n" + blob_scene.config(need(), container="azlin-others"))
        a.release("k", a.acquire("k"))
        assert b.acquire("k") == 1 and "azlin-others" in need().containers()


def test_a_wrong_key_is_said():
    path = os.path.join(e2e.SCRATCH, "wrong-%d.key" % os.getpid())
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
        f.write("d3JvbmcgYnV0IGxvbmcgZW5vdWdoIGtleQ==\n")
    with scene_of(**{"key-file": path}) as scene:
        said = scene.host().ask("acquire", "k", TTL)
        assert said.startswith(("AuthenticationFailed", "PermissionDenied")), said
    os.chmod(path, 0o644)
    with scene_of(**{"key-file": path}) as scene:
        said = scene.host().ask("check")
        assert said.startswith("InvalidConfig") and "mode 0600" in said, said
    os.unlink(path)


def test_what_may_not_be_configured():
    cases = (({"endpoint": ""}, "no endpoint is set"), ({"endpoint": "http://192.0.2.1/acct"}, "must be https"),
             ({"endpoint": "https://192.0.2.1/?x"}, "no address of a blob service"),
             *(({"container": name}, "no name of a container") for name in ("", "ab", "-ab", "a--b", "Locks", "a/b", "x" * 64)))
    for options, words in cases:
        with scene_of(**options) as scene:
            said = scene.host().first
            assert said.startswith("InvalidConfig") and words in said and "[coordinator.blob]" in said, (options, said)


if __name__ == "__main__":
    e2e.main(globals())
