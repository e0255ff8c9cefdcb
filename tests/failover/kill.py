"""SIGKILL of `azlin failover` at random instants, then recover: one primary, nothing left open, every machine explained."""
import json, os, random, signal, subprocess, time
import e2e
from fleet import Cloud, Fleet, gone

KILLS = int(os.environ.get("AZLIN_KILLS", "20"))


def killed_run(home, after, *args):
    """Exit code and JSON of a failover that is killed after so many seconds; None where it did not get to say it."""
    p = home.popen("failover", "-o", "json", "--yes", *args)
    try:
        out, _ = p.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        p.kill()
        out, _ = p.communicate()
    try:
        return p.returncode, json.loads(out)
    except ValueError:
        return p.returncode, None


def config_of(home):
    with open(os.path.join(home.path, "config.json")) as f:
        return json.load(f)


def check(home, before, target, said):
    """What must hold after the kill, before and after recover."""
    config_of(home)
    home.ok("recover", "--yes")
    state = home.ok("regions", "list", "-o", "json").json()
    primaries = [row["region"] for row in state["regions"] if row["is_primary"]]
    assert len(primaries) == 1 and len(state["regions"]) == len(before["regions"]), state
    moved = primaries[0] != before["primary"]
    assert state["epoch"] == before["epoch"] + moved, (before, state)
    assert primaries[0] in (before["primary"], target), state
    if said and said["success"]:
        assert moved, ("an acknowledged switch was lost", said, state)
    again = home.ok("recover", "--yes", "-o", "json").json()
    assert again["recovered"] == [] and again["failed"] == 0, again
    left = [name for name in os.listdir(home.path) if "tmp" in name or "draft" in name]
    assert left == [], left
    assert home.ok("audit", "verify").code == 0
    return state["primary"], moved


def power(home, region):
    return home.run("vm", "status", "--region", region, "-o", "json").json()["power_state"]


def other(region):
    return "westus2" if region == "eastus" else "eastus"


def test_simulated_switches_killed():
    """Virtual time, so that one run takes a moment: planned switches, and switches away from a machine that is dark."""
    chance = random.Random(int(os.environ.get("AZLIN_SEED", "1")))
    with Cloud("eastus", "westus2") as cloud:
        start = time.monotonic()
        cloud.ok("failover", "--to", "westus2", "--yes")
        whole = time.monotonic() - start
        outcomes = set()
        for i in range(KILLS):
            before = cloud.ok("regions", "list", "-o", "json").json()
            source, target = before["primary"], other(before["primary"])
            dark = chance.random() < 0.5
            cloud.faults(*(["probe %s timeout" % source] if dark else []))
            _, said = killed_run(cloud, chance.uniform(0, whole), "--to", target)
            cloud.faults()
            primary, moved = check(cloud, before, target, said)
            outcomes.add((dark, moved))
            assert power(cloud, primary) == "running", (i, dark, moved)
            if not moved or not dark:
                assert power(cloud, other(primary)) == "running", ("undone, yet off", i, dark, moved)
            cloud.ok("vm", "start", "--region", other(primary))
        print("# seen (dark, moved): %s" % sorted(outcomes))


def test_real_switches_killed():
    """Real machines and a real fence: a stopped sshd accepts and stays silent, so its machine is dark but on."""
    chance = random.Random(int(os.environ.get("AZLIN_SEED", "2")))
    with Fleet("eastus", "westus2") as fleet:
        for i in range(KILLS):
            before = fleet.state()
            source, target = before["primary"], other(before["primary"])
            dark = i % 4 == 3
            if dark:
                fleet.signal(source, signal.SIGSTOP)
            pid = fleet.pid(source)
            _, said = killed_run(fleet, chance.uniform(0, 4.0 if dark else 0.4), "--to", target)
            if dark and not gone(pid):
                os.kill(pid, signal.SIGCONT)
            primary, moved = check(fleet, before, target, said)
            assert power(fleet, primary) == "running", (i, dark, moved)
            if not moved or not dark:
                assert power(fleet, other(primary)) == "running", ("undone, yet off", i, dark, moved)
            fleet.ok("vm", "start", "--region", other(primary))
            if moved:
                seen = fleet.ok("ssh", "--", "cat ~/.local/state/azlin/epoch").out.strip()
                assert seen == str(before["epoch"] + 1), (i, seen, before["epoch"])


if __name__ == "__main__":
    e2e.main(globals())
