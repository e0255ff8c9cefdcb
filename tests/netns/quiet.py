"""Probing is no burden: sshd with its usual limits refuses nobody, and strangers knock at most once in five seconds.
AZLIN_NETNS_SECONDS of probing."""
import os, re, time
from concurrent.futures import ThreadPoolExecutor
import e2e, netns
from rounds import Once, Watch

SECONDS = int(os.environ.get("AZLIN_NETNS_SECONDS", "60"))
OBSERVERS = (Once, Watch)
LIMITS = "MaxStartups 10:30:100\n"  # of sshd, as it comes


def read(machine):
    with open(machine.log) as f:
        return f.read()


def probed(lab, observer):
    """SECONDS of it; region -> source -> (connections, of these without a login)."""
    logs = {region: len(read(machine)) for region, machine in lab.machines.items()}
    running = observer(lab).start()
    time.sleep(SECONDS)
    running.stop()
    found = {}
    for region, machine in lab.machines.items():
        text = read(machine)[logs[region]:]
        for word in ("MaxStartups", "drop connection", "penalty", "refused connect", "Too many"):
            assert word not in text, (region, word, text[-500:])
        every = re.findall(r"^Connection from (\S+) port (\d+)", text, re.M)
        logins = set(re.findall(r"^Accepted \S+ for \S+ from (\S+) port (\d+)", text, re.M))
        for source, port in every:
            total, strange = found.setdefault(region, {}).get(source, (0, 0))
            found[region][source] = (total + 1, strange + ((source, port) not in logins))
    return found


def rates(what, found):
    most = SECONDS / 5 + 2
    for region, sources in found.items():
        print("# %s: %s: %s" % (what, region, ", ".join("%s %d connections, %d without login" % (s, *n)
                                                      for s, n in sorted(sources.items()))), flush=True)
        for source, (total, strange) in sources.items():
            # a login costs sshd no penalty; each run of failover looks at the others when it begins, twice more at a suspect
            assert total <= 3 * most and strange <= most, (region, source, total, strange)


def calm(observer):
    with netns.Lab(sshd=LIMITS) as lab:
        return probed(lab, observer)


def unreachable_from_here(observer):
    """azlin cannot reach the primary, the others can: they knock there all the time, and nothing moves."""
    with netns.Lab(sshd=LIMITS) as lab:
        lab.cut_way("op", "eastus")
        found = probed(lab, observer)
        assert any(strange for _, strange in found["eastus"].values()), "nobody was asked: %r" % found
        assert lab.primary() == "eastus"
        return found


pool, looks = ThreadPoolExecutor(), {}


def look(kind, observer):
    """All of them look at the same time, each at a laboratory of its own."""
    netns.need()
    if not looks:
        looks.update({(k, o): pool.submit(k, o) for k in (calm, unreachable_from_here) for o in OBSERVERS})
    rates("%s, %s" % (kind.__name__, observer.__name__), looks[kind, observer].result())


def test_calm():
    look(calm, Once)


def test_calm_watch():
    look(calm, Watch)


def test_watch_while_witnesses_are_asked():
    look(unreachable_from_here, Watch)


def test_while_witnesses_are_asked():
    look(unreachable_from_here, Once)


if __name__ == "__main__":
    netns.enter()
    e2e.main(globals())
