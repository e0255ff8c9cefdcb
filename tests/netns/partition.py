"""A region that is cut off while it lives: what its machine goes on writing never gets over the new primary's data."""
import hashlib, os, shutil, time
import e2e, netns
from rounds import Once

WRITER = """mkdir -p work && cd work && i=0
while :; do i=$((i+1)); echo "east $i" >> log; echo "east $i" > shared; echo "east $i" > "east-$i"; sleep 0.1; done"""


def manifest(home):
    """Name -> hash of all below, but for what azlin keeps of its own."""
    found = {}
    for folder, folders, files in os.walk(home):
        folders[:] = [f for f in folders if f not in (".local", ".ssh", ".cache")]
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, home)] = hashlib.sha256(f.read()).hexdigest()
    return found


def lost(before, after):
    return {name for name in before if after.get(name) != before[name]}


class Stale(e2e.Home):
    """Another operator's home, as it was before the switch."""

    def __init__(self, lab):
        self.lab = lab
        self.root, self.config = lab.root, lab.config
        self.path = os.path.join(lab.root, "stale")
        shutil.copytree(lab.path, self.path)

    def popen(self, *args, **kw):
        return self.lab.popen(*args, env={"AZLIN_HOME": self.path}, **kw)


def test_a_healed_old_primary_overwrites_nothing():
    with netns.Lab() as lab:
        lab.ok("ssh", "--", "mkdir -p work; echo base > work/base; echo base > work/shared")
        for region in ("westus2", "westeurope"):
            lab.ok("sync", "--dest", region)
        lab.ok("ssh", "--", "setsid nohup sh -c '%s' >/dev/null 2>&1 </dev/null & echo" % WRITER)
        east = lab.machines["eastus"]
        e2e.until(lambda: os.path.exists(os.path.join(east.home, "work", "east-5")), "the writer's first files")
        stale = Stale(lab)
        began = time.monotonic()
        observer = Once(lab).start()
        lab.cut("eastus")
        e2e.until(lambda: observer.commit, "the switch", 60)
        time.sleep(max(0, began + 43 - time.monotonic()))
        observer.stop()
        new = lab.primary()
        assert new != "eastus"
        lab.ok("ssh", "--", "cd work; echo west > shared; echo west >> log; for i in 1 2 3 4 5; do echo west $i > east-$i; done")
        count = len(os.listdir(os.path.join(east.home, "work")))
        lab.heal()
        e2e.until(lambda: len(os.listdir(os.path.join(east.home, "work"))) > count + 3, "that the writer still writes")
        target, other = lab.machines[new], next(r for r in netns.REGIONS if r not in ("eastus", new))
        before = manifest(target.home)
        for home, name in ((stale, "the home before the switch"), (lab, "the home that switched")):
            for more in ((), ("--delete", "--yes")):
                args = ("sync", "--source", "eastus", "--dest", new, *more)
                r = home.run(*args)
                print("# %s, azlin %s: exit %d: %s" % (name, " ".join(args), r.code, (r.err or r.out).strip().split("\n")[0]))
                gone = lost(before, manifest(target.home))
                assert not gone, "%s, azlin %s overwrote %r: %r" % (name, " ".join(args), sorted(gone)[:5], r)
                assert r.code == 5, r
        for region in (new, other):
            r = stale.run("regions", "set-primary", region)
            assert r.code == 5, (region, r)
        assert not lost(before, manifest(target.home)) and lab.primary() == new


if __name__ == "__main__":
    netns.enter()
    e2e.main(globals())
