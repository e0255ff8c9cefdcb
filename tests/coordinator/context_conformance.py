"""What every place of records that holds the epoch must do, whichever brick it is: run for file and etcd."""
import atexit, os, sys
import e2e, hosts

RACES = int(os.environ.get("AZLIN_CONTEXT_RACES", "60"))
BRICK = sys.argv.pop(1)
backend = None


def set_up():
    """Every scene has records of its own: a home, or a prefix of one etcd."""
    global backend
    if BRICK == "file":
        return hosts.Scene("context=file\n")
    import etcd
    if backend is None:
        backend = etcd.Etcd()
        backend.scenes = 0
        atexit.register(backend.close)
    backend.scenes += 1
    return hosts.Scene("context=etcd\n[context.etcd]\nendpoints=%s\nprefix=/%d/\n" % (backend.endpoints(), backend.scenes))


def two(scene):
    first = scene.keeper()
    return first, scene.again(scene.homes[0], hosts.CONTEXT_DRIVE) if BRICK == "file" else scene.keeper()


def epoch(host):
    info = host.ok("info")
    return int(info.split("'epoch': <uint64 ")[1].split(">")[0])


def test_records_are_listed_primary_first():
    with set_up() as scene:
        a, b = two(scene)
        assert a.ok("list") == "" and epoch(a) == 0
        a.ok("put", "westus2", "w")
        a.ok("put", "northeurope", "n", "primary")
        b.ok("put", "eastus", "e", "primary")  # one stands: it stays
        for host in (a, b):
            assert host.ok("list") == "northeurope/n/unknown* eastus/e/unknown westus2/w/unknown", host.ok("list")
            assert epoch(host) == 1


def test_a_record_is_updated_in_its_place():
    with set_up() as scene:
        a, b = two(scene)
        a.ok("put", "eastus", "one", "primary")
        b.ok("put", "eastus", "two")
        assert a.ok("list") == "eastus/two/unknown*" and epoch(a) == 1


def test_the_primary_moves_by_compare_and_swap():
    with set_up() as scene:
        a, b = two(scene)
        a.ok("put", "eastus", "e", "primary")
        a.ok("put", "westus2", "w")
        assert a.ok("primary", "eastus", "westus2", 1) == "2"
        for stale in (("eastus", "westus2", 1), ("westus2", "eastus", 1), ("eastus", "eastus", 2), ("-", "eastus", 2)):
            answer = b.ask("primary", *stale)
            assert answer.startswith("Superseded the primary is westus2 at epoch 2, no longer"), answer
        assert b.ask("primary", "westus2", "nowhere", 2).startswith("NotFound"), "a region that is not there"
        assert b.ok("primary", "westus2", "-", 2) == "3" and epoch(a) == 3
        assert a.ok("list") == "eastus/e/unknown westus2/w/unknown"


def test_forgetting_the_primary_leaves_none():
    with set_up() as scene:
        a, b = two(scene)
        a.ok("put", "eastus", "e", "primary")
        a.ok("put", "westus2", "w")
        b.ok("forget", "westus2")
        assert epoch(a) == 1
        b.ok("forget", "eastus")
        assert epoch(a) == 2 and a.ok("list") == ""
        assert a.ask("forget", "eastus").startswith("NotFound Region eastus does not exist")


def test_status_touches_what_is_there_alone():
    with set_up() as scene:
        a, b = two(scene)
        a.ok("put", "eastus", "e")
        b.ok("status", "eastus", "e", "down", 5)
        b.ok("status", "eastus", "other", "ok", 6)
        b.ok("status", "gone", "g", "ok", 6)
        assert a.ok("list") == "eastus/e/down"


def test_what_does_not_change_is_not_written():
    with set_up() as scene:
        a, b = two(scene)
        a.ok("put", "eastus", "e", "primary")
        a.ok("status", "eastus", "e", "ok", 5)
        before = a.ok("info")
        b.ok("status", "eastus", "e", "ok", 5)
        b.ok("raise", 1)
        assert b.ok("info") == before, before
        b.ok("status", "eastus", "e", "ok", 6)
        assert b.ok("info") != before, before


def test_the_epoch_is_raised_and_never_lowered():
    with set_up() as scene:
        a, b = two(scene)
        a.ok("put", "eastus", "e", "primary")
        a.ok("raise", 40)
        b.ok("raise", 7)
        assert epoch(b) == 40 and b.ok("list") == "eastus/e/unknown*"
        assert b.ok("primary", "eastus", "-", 40) == "41"


def test_names_that_are_none_are_refused():
    with set_up() as scene:
        a, _ = two(scene)
        for bad in (("-", "vm"), ("eastus", "-")):
            assert a.ask("put", *bad).startswith("InvalidUsage"), bad
        assert a.ok("list") == ""


def test_of_two_that_race_one_wins():
    with set_up() as scene:
        a, b = two(scene)
        wins = [0, 0]
        a.ok("put", "east", "e", "primary")
        a.ok("put", "west", "w")
        for race in range(RACES):
            there, to, now = ("east", "west", race + 1) if race % 2 == 0 else ("west", "east", race + 1)
            for host in (a, b):
                host.send("primary", there, to, now)
            answers = [host.answer() for host in (a, b)]
            won = [i for i, answer in enumerate(answers) if answer == "ok %d" % (now + 1)]
            assert len(won) == 1 and answers[1 - won[0]].startswith("Superseded"), "race %d: %s" % (race, answers)
            wins[won[0]] += 1
        assert epoch(a) == RACES + 1
        print("# %d races: %d and %d" % (RACES, *wins))


def test_ten_thousand_records():
    with set_up() as scene:
        a, b = two(scene)
        a.ok("put-many", 10000)
        records = b.ok("list").split()
        assert len(records) == 10000 and records == sorted(records) and records[-1] == "r09999/vm/unknown", records[-1]
        a.ok("status-many", 10000, "ok", 9)
        assert b.ok("list").split()[1234] == "r01234/vm/ok"


e2e.main(globals())
