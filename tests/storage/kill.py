"""config.json under the real program: SIGKILL of set-primary at random instants, damage, many programs at once."""
import json, os, random, re, subprocess, time
import e2e

KILLS = int(os.environ.get("AZLIN_KILLS", "200"))
FLEET = ["eastus", "westus2", "westeurope"]
CONFIG = "[bricks]\nprovider=sim\n"


def fleet(home):
    for number, region in enumerate(FLEET):
        home.ok("regions", "add", region, "--vm-name", "vm-" + region, "--public-ip", "127.0.0.%d" % (number + 1),
                "--ssh-port", "1")


def state(home):
    with open(os.path.join(home.path, "config.json")) as f:
        return json.load(f)


def primary_of(config):
    primaries = [r["region"] for r in config["regions"] if r.get("is_primary")]
    assert len(primaries) == 1, primaries
    return primaries[0]


def is_a_torn_record(home, name):
    """The kernel may end the write of a killed program between two pages: a log keeps such a beginning beside it."""
    if not re.fullmatch(r"(audit|journal)\.log\.corrupt-\d+", name):
        return False
    with open(os.path.join(home.path, name), "rb") as f:
        torn = f.read()
    return torn != b"" and b"\n" not in torn


def test_set_primary_killed_at_random():
    chance = random.Random(int(os.environ.get("AZLIN_SEED", "1")))
    with e2e.Home(CONFIG) as home:
        fleet(home)
        start = time.monotonic()
        home.ok("regions", "set-primary", "westus2")
        whole = time.monotonic() - start
        done = 0
        for _ in range(KILLS):
            before = state(home)
            target = chance.choice([r for r in FLEET if r != primary_of(before)])
            p = home.popen("regions", "set-primary", target)
            try:
                p.communicate(timeout=chance.uniform(0, 1.2 * whole))
            except subprocess.TimeoutExpired:
                p.kill()
                p.communicate()
            after = state(home)
            moved = after["epoch"] - before["epoch"]
            assert (primary_of(after), moved) in [(primary_of(before), 0), (target, 1)], (before, after)
            assert [r["region"] for r in after["regions"]] == FLEET, after
            if p.returncode == 0:
                assert moved == 1, "an acknowledged change was lost"
            done += moved
        home.ok("recover", "--yes")
        listed = home.ok("regions", "list", "-o", "json").json()
        assert listed["primary"] == primary_of(state(home)) and listed["epoch"] == state(home)["epoch"], listed
        assert home.ok("audit", "verify").code == 0
        left = [name for name in os.listdir(home.path) if name.endswith(".new") or "corrupt" in name]
        assert all(is_a_torn_record(home, name) for name in left), left
        print("# %d of %d changes had been made when the kill came" % (done, KILLS))


def test_corrupt_state_is_restored_and_told():
    with e2e.Home(CONFIG) as home:
        fleet(home)
        home.ok("regions", "set-primary", "westus2")
        with open(os.path.join(home.path, "config.json"), "r+") as f:
            f.truncate(100)
        r = home.ok("regions", "list", "-o", "json")
        assert r.json()["primary"] == "westus2" and r.json()["epoch"] == 2, r
        assert "restored" in r.err and "config.json.corrupt-1" in r.err, r
        assert os.path.getsize(os.path.join(home.path, "config.json.corrupt-1")) == 100


def test_corrupt_state_without_copies_is_78():
    with e2e.Home(CONFIG) as home:
        os.makedirs(home.path, mode=0o700)
        with open(os.path.join(home.path, "config.json"), "w") as f:
            f.write('{"version": "2.0", "regions": [')
        for args in (["regions", "list"], ["regions", "set-primary", "eastus"], ["vm", "status"],
                     ["regions", "add", "eastus", "--vm-name", "a", "--public-ip", "127.0.0.1"]):
            r = home.run(*args)
            assert r.code == 78, (args, r)
            assert "config.json" in r.err, r
        with open(os.path.join(home.path, "config.json")) as f:
            assert f.read() == '{"version": "2.0", "regions": ['
        os.unlink(os.path.join(home.path, "config.json"))


def test_two_primaries_by_hand_are_78():
    with e2e.Home(CONFIG) as home:
        fleet(home)
        config = state(home)
        for region in config["regions"]:
            region["is_primary"] = region["region"] != "eastus"
        with open(os.path.join(home.path, "config.json"), "w") as f:
            json.dump(config, f)
        r = home.run("regions", "list")
        assert r.code == 78 and "westus2 and westeurope" in r.err, r
        config["regions"][2]["is_primary"] = False
        with open(os.path.join(home.path, "config.json"), "w") as f:
            json.dump(config, f, indent=2)
        assert home.ok("regions", "list", "-o", "json").json()["primary"] == "westus2"


def test_sixteen_programs_at_once():
    with e2e.Home(CONFIG + "[policy]\nallowed-regions=" + ";".join("r%02d" % n for n in range(16)) + "\n") as home:
        running = [home.popen("regions", "add", "r%02d" % n, "--vm-name", "vm%d" % n, "--public-ip", "127.0.0.1",
                              "--ssh-port", "1") for n in range(16)]
        for p in running:
            out, err = p.communicate(timeout=120)
            assert p.returncode == 0, err
        config = state(home)
        assert sorted(r["region"] for r in config["regions"]) == ["r%02d" % n for n in range(16)]
        assert config["epoch"] == 1
        primary_of(config)


if __name__ == "__main__":
    e2e.main(globals())
