"""Epochs on real machines: a revived old primary overwrites nothing, records that are behind are told so, the way back
takes the data along."""
import os, stat
import e2e
from fleet import Fleet as Machines

# a machine that is killed refuses at once; the others may be slow on a busy host
CONFIG = "[bricks]\nprovider=local\n[health]\ntcp-timeout=10\nssh-timeout=15\nlogin-timeout=20\n"


class Fleet(Machines):
    def __init__(self, *regions, config=CONFIG):
        super().__init__(*regions, config=config)


def home_of(fleet, region):
    (folder,) = [d for d in os.listdir(os.path.join(fleet.path, "bricks/provider-local")) if "-%s-" % region in d]
    return os.path.join(fleet.path, "bricks/provider-local", folder, "root/home/azureuser")


def put(fleet, region, name, text):
    with open(os.path.join(home_of(fleet, region), name), "w") as f:
        f.write(text)


def get(fleet, region, name):
    with open(os.path.join(home_of(fleet, region), name)) as f:
        return f.read()


def tree(fleet, region):
    """Every file below the user's home, with its bytes and its time."""
    found = {}
    for folder, _, names in os.walk(home_of(fleet, region)):
        for name in names:
            path = os.path.join(folder, name)
            if "/.ssh/" in path or "/.local/" in path:
                continue
            with open(path, "rb") as f:
                found[path] = (f.read(), os.stat(path).st_mtime_ns)
    return found


def test_a_revived_old_primary_overwrites_nothing():
    with Fleet("eastus", "westus2") as fleet:
        put(fleet, "eastus", "data", "of both\n")
        fleet.ok("sync", "--all")
        put(fleet, "eastus", "data", "newer, and lost with the old primary\n")
        fleet.kill("eastus")
        fleet.ok("failover", "--to", "westus2", "--yes")
        put(fleet, "westus2", "data", "written after the switch, and what counts\n")
        fleet.ok("vm", "start", "--region", "eastus")
        before = tree(fleet, "westus2")
        for args in ((), ("--paths", "/home/azureuser"), ("--delete", "--yes"), ("--dry-run",)):
            r = fleet.run("sync", "--source", "eastus", "--dest", "westus2", *args)
            assert r.code == 5 and "stale primary (epoch 1 < 2)" in r.err, (args, r)
            assert "azlin sync --source westus2 --dest eastus" in r.err, r
        assert fleet.run("sync", "--source", "eastus", "--all").code == 5
        assert tree(fleet, "westus2") == before
        fleet.ok("sync", "--source", "westus2", "--dest", "eastus")
        assert get(fleet, "eastus", "data") == "written after the switch, and what counts\n"
        put(fleet, "eastus", "note", "made on what is up to date\n")
        fleet.ok("sync", "--source", "eastus", "--dest", "westus2")
        assert get(fleet, "westus2", "note") == "made on what is up to date\n"


def test_records_that_are_behind_are_told_so():
    """Another laptop, which saw nothing of the switch: its home is a copy made before."""
    with Fleet("eastus", "westus2", "westeurope") as fleet:
        with open(os.path.join(fleet.path, "config.json")) as f:
            old = f.read()
        fleet.ok("failover", "--to", "westus2", "--yes")
        put(fleet, "westus2", "data", "new\n")
        put(fleet, "eastus", "data", "old\n")
        for name in ("config.json", "config.json.good", "config.json.1"):
            path = os.path.join(fleet.path, name)
            if os.path.exists(path):
                os.unlink(path)
        with open(os.path.join(fleet.path, "config.json"), "w") as f:
            f.write(old)
        before = tree(fleet, "westus2")
        assert fleet.primary() == "eastus" and fleet.state()["epoch"] == 1
        for args in (("sync", "--dest", "westus2"), ("sync", "--all"), ("ssh", "--", "true"), ("ssh", "--region", "westus2", "--", "true"),
                     ("ssh", "--region", "westeurope", "--", "true"), ("regions", "set-primary", "westus2")):
            r = fleet.run(*args)
            assert r.code == 5 and "stale primary (epoch 1 < 2)" in r.err, (args, r)
            assert "azlin regions refresh" in r.err, r
        assert tree(fleet, "westus2") == before and fleet.primary() == "eastus"


def test_the_way_back_takes_the_data_along():
    with Fleet("eastus", "westus2") as fleet:
        fleet.kill("eastus")
        fleet.ok("failover", "--to", "westus2", "--yes")
        put(fleet, "westus2", "data", "written meanwhile\n")
        r = fleet.run("failover", "--back", "--yes")
        assert r.code == 1 and fleet.primary() == "westus2", r
        fleet.ok("vm", "start", "--region", "eastus")
        r = fleet.run("failover", "--back")
        assert r.code == 2 and fleet.primary() == "westus2", r
        r, result = fleet.failover("--back", "--yes")
        assert r.code == 0 and fleet.primary() == "eastus" and result["sync"]["verified"], r
        assert result["fence"] == "epoch" and result["epoch"] == 3, r
        assert get(fleet, "eastus", "data") == "written meanwhile\n"
        seen = fleet.ok("ssh", "--", "cat ~/.local/state/azlin/epoch").out
        assert seen == "3\n", seen
        r = fleet.run("sync", "--source", "westus2", "--dest", "eastus")
        assert r.code == 5 and "stale primary (epoch 2 < 3)" in r.err, r


def test_what_stands_in_the_epoch_file_is_not_trusted():
    with Fleet("eastus", "westus2") as fleet:
        folder = os.path.join(home_of(fleet, "westus2"), ".local/state/azlin")
        os.makedirs(folder, exist_ok=True)
        for text in ("", "seven\n", "-1\n", "$(touch /tmp/x)\n", "9" * 400, "\x00\n"):
            with open(os.path.join(folder, "epoch"), "w") as f:
                f.write(text)
            fleet.ok("ssh", "--region", "westus2", "--", "true")


def test_a_hook_that_hangs_is_a_veto():
    with Fleet("eastus", "westus2", config=CONFIG + "[failover.hybrid]\nhook-timeout=1\n") as fleet:
        folder = os.path.join(fleet.path, "hooks")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = os.path.join(folder, "failover-pre")
        with open(path, "w") as f:
            f.write("#!/bin/sh\nexec sleep 60\n")
        os.chmod(path, stat.S_IRWXU)
        r = fleet.run("failover", "--to", "westus2", "--yes")
        assert r.code == 3 and "hooks/failover-pre" in r.err and fleet.primary() == "eastus", r


if __name__ == "__main__":
    e2e.main(globals())
