"""What a person at a terminal sees of a watch: one table that is repainted, a log above it, an end at Ctrl-C."""
import os, re, shutil, signal, time
import e2e
from ptylib import Session

LOCAL = """[bricks]
provider=local
[failover.hybrid]
primary-interval=1
interval=2
probe-timeout=1
fall=4
"""


def at_terminal(home, *args, **kw):
    return Session([e2e.BIN, *args], home.env(), **kw)


def need_local():
    for tool in ("bwrap", "sshd", "ssh-keyscan"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin"):
            raise e2e.Skip("no %s here" % tool)


def fleet():
    need_local()
    home = e2e.Home(LOCAL)
    home.ok("deploy", "-r", "eastus,westus2,westeurope")
    home.ok("regions", "health")
    return home


def test_one_table_under_a_log():
    with fleet() as home:
        s = at_terminal(home, "watch", columns=120)
        s.wait_for(r"westus2: UP(?s:.)*SEEN FROM")
        time.sleep(3)
        while s.read_some(0):
            pass
        text = s.glass().text()
        assert text.count("REGION") == 1, text
        (row,) = [line for line in text.splitlines() if line.startswith("eastus (primary)")]
        assert re.search(r"UP +\d+s +(just now|\d+s ago) +\d+ms +here", row), row
        assert re.search(r"^Primary: eastus \(epoch 1\)$", text, re.M), text
        assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  .*Watching 3 regions", text, re.M), text
        assert text.index("Watching 3 regions") < text.index("REGION"), text
        s.kill()
        assert s.finish() == 0, s.raw
        assert "recover" not in s.raw and s.glass().text().count("REGION") == 1, s.glass().text()


def test_the_verdict_stands_under_the_table():
    with fleet() as home:
        home.ok("failover", "pause", "--reason", "works on the network")
        s = at_terminal(home, "watch", columns=160)
        s.wait_for("Paused")
        s.wait_for("westeurope: UP")
        (path,) = [os.path.join(home.path, "bricks/provider-local", d, "machine.ini")
                   for d in os.listdir(os.path.join(home.path, "bricks/provider-local")) if "-eastus-" in d]
        with open(path) as f:
            os.kill(int(re.search(r"^pid=(\d+)", f.read(), re.M).group(1)), signal.SIGKILL)
        s.wait_for("eastus: SUSPECT")
        s.wait_for("eastus is lost, but failovers are paused", 40)
        while s.read_some(0.5):
            pass
        text = s.glass().text()
        under = text[text.index("REGION"):]
        assert "works on the network" in under and "azlin failover resume" in under, text
        assert "eastus is lost, but failovers are paused" in under, text
        s.kill()
        assert s.finish() == 0, s.raw


def test_health_is_repainted_until_ctrl_c():
    with fleet() as home:
        s = at_terminal(home, "regions", "health", "--watch", columns=120)
        s.wait_for(r"westeurope +UP")
        painted = s.raw.count("REGION")
        time.sleep(3)
        while s.read_some(0):
            pass
        assert s.raw.count("REGION") >= painted + 2, "nothing is repainted"
        s.kill()
        assert s.finish() == 0, s.raw
        assert s.glass().text().count("REGION") == 1


def test_low_terminal_shows_what_fits():
    with e2e.Home() as home:
        home.ok("deploy", "-r", "eastus,westus2,westeurope,eastus2,northeurope,uksouth,japaneast,southeastasia")
        s = at_terminal(home, "regions", "health", "--watch", "--for", "600", rows=10, columns=60)
        assert s.finish() == 0, s.raw
        glass = s.glass().text()
        table = glass[glass.rindex("REGION"):].splitlines()
        assert len(table) <= 9 and any("more" in line for line in table), glass
        assert all(len(line) <= 59 for line in table), table


if __name__ == "__main__":
    e2e.main(globals())
