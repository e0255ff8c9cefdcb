"""What every coordinator must do, whichever brick it is: run for file, etcd and blob."""
import atexit, os, sys
import e2e, hosts

BRICK = sys.argv.pop(1)
# a race for a blob is a dozen requests to a server that is slow
RACES = int(os.environ.get("AZLIN_COORDINATOR_RACES", "200" if BRICK == "blob" else "1000"))
scene_config, backend = None, None


def set_up():
    """The part of azlin.conf that selects the brick; its server is started once."""
    global scene_config, backend
    if BRICK == "etcd" and backend is None:
        import etcd
        backend = etcd.Etcd()
        atexit.register(backend.close)
        scene_config = "coordinator=etcd\n" + backend.config()
    elif BRICK == "blob" and backend is None:
        import blob_scene
        backend = blob_scene.store("conformance")
        scene_config = "coordinator=blob\n" + blob_scene.config(backend)
    elif scene_config is None:
        scene_config = "coordinator=file\n"
    return hosts.Scene(scene_config)


def two(scene):
    """Two contenders: on two hosts, or in one home where the lock is of that home."""
    first = scene.host()
    return first, scene.again(scene.homes[0]) if BRICK == "file" else scene.host()


def test_one_holder():
    with set_up() as scene:
        a, b = two(scene)
        token = a.acquire("deploy/azlin-vms")
        refused = b.ask("acquire", "deploy/azlin-vms", 10)
        assert refused.startswith('LockUnavailable "deploy/azlin-vms" is held by '), refused
        assert "process %d" % a.process.pid in refused, refused
        assert a.ask("acquire", "deploy/azlin-vms", 10).startswith("LockUnavailable")
        other = b.acquire("deploy/azlin-vms2")
        a.release("deploy/azlin-vms", token)
        next_token = b.acquire("deploy/azlin-vms")
        assert next_token > token
        b.release("deploy/azlin-vms", next_token)
        b.release("deploy/azlin-vms2", other)


def test_renewal_needs_the_token():
    with set_up() as scene:
        a, b = two(scene)
        token = a.acquire("k")
        assert a.renew("k", token) == "ok"
        assert a.renew("k", token + 1).startswith("Superseded"), "another token"
        assert b.renew("k", token).startswith("Superseded"), "of another host"
        assert a.renew("k2", token).startswith("Superseded"), "another key"
        a.release("k", token)
        assert a.renew("k", token).startswith("Superseded"), "after its release"


def test_release_is_idempotent():
    with set_up() as scene:
        a, b = two(scene)
        a.release("never", 7)
        first = a.acquire("k")
        b.release("k", first)
        assert b.ask("acquire", "k", 10).startswith("LockUnavailable"), "released by who did not hold it"
        a.release("k", first)
        a.release("k", first)
        second = b.acquire("k")
        a.release("k", first)
        assert b.renew("k", second) == "ok"
        b.release("k", second)


def test_keys_are_kept_apart():
    with set_up() as scene:
        a, b = two(scene)
        keys = ["a/b", "a%2Fb", "../../etc/passwd", ".hidden", "A", "a", "\u00e9", "x" * 3000, "x" * 3000 + "y"]
        assert a.ask("acquire", "", 10).startswith("InvalidUsage")
        tokens = {key: a.acquire(key, 60) for key in keys}
        for key in keys:
            assert b.ask("acquire", key, 10).startswith("LockUnavailable"), key
        for key in keys:
            a.release(key, tokens[key])


def test_check_finds_nothing_in_the_way():
    with set_up() as scene:
        assert scene.host().ask("check") == "ok"


def test_races_have_one_winner():
    with set_up() as scene:
        wins = hosts.contend(*two(scene), "race", RACES)
        print("# %d races, won %d to %d, 0 double holders" % (RACES, *wins))
        assert sum(wins) == RACES


if __name__ == "__main__":
    e2e.main(globals())
