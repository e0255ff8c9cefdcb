"""Probing is no burden: sshd with its usual limits refuses nobody, and strangers knock at most once in five seconds."""
import re, time
import e2e, netns
from rounds import Once

SECONDS = 120
LIMITS = "MaxStartups 10:30:100\n"  # of sshd, as it comes


def read(machine):
    with open(machine.log) as f:
        return f.read()


def probed(lab, observer):
    """Two minutes; region -> source -> (connections, of these without a login)."""
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


def held_to(what, found):
    most = SECONDS / 5 + 2
    for region, sources in found.items():
        print("# %s: %s: %s" % (what, region, ", ".join("%s %d connections, %d without login" % (s, *n)
                                                      for s, n in sorted(sources.items()))), flush=True)
        for source, (total, strange) in sources.items():
            assert total <= 2 * most and strange <= most, (region, source, total, strange)


def test_calm():
    with netns.Lab(sshd=LIMITS) as lab:
        held_to("calm", probed(lab, Once))


def test_while_witnesses_are_asked():
    """azlin cannot reach the primary, the others can: they knock there all the time, and nothing moves."""
    with netns.Lab(sshd=LIMITS) as lab:
        lab.cut_way("op", "eastus")
        found = probed(lab, Once)
        held_to("unreachable from here", found)
        assert any(strange for _, strange in found["eastus"].values()), "nobody was asked: %r" % found
        assert lab.primary() == "eastus"


if __name__ == "__main__":
    netns.enter()
    e2e.main(globals())
