"""Servers that are slow, full or silent: each health check ends in time, and beside them the others are unaffected."""
import os, signal, subprocess, sys, time
import e2e, netns

PER_REGION, ALL = 10.0, 11.0  # seconds
STARTUP = 1.0                 # of azlin itself, under sanitizers and beside other tests
HOLD = """
import socket, sys, time
held = []
for _ in range(120):
    s = socket.socket()
    s.settimeout(5)
    try:
        s.connect((sys.argv[1], int(sys.argv[2])))
        held.append(s)
    except OSError:
        pass
print("HELD", flush=True)
time.sleep(600)
"""
CLOSED = """
import socket, sys
for _ in range(5):
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
    try:
        if s.recv(100).startswith(b"SSH-"):
            sys.exit("it still talks")
    except OSError:
        pass
"""
TARPIT = """
import socket, sys, threading, time
def drip(c):
    try:
        while True:
            c.sendall(b"S")
            time.sleep(1)
    except OSError:
        pass
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen(50)
print("HELD", flush=True)
while True:
    threading.Thread(target=drip, args=(s.accept()[0],), daemon=True).start()
"""


def helper(lab, where, program, target):
    p = subprocess.Popen([*lab.within(where), sys.executable, "-c", program, target.address, str(netns.PORT)],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "HELD\n"
    return p


def end(p):
    p.kill()
    p.wait()
    p.stdout.close()


def seconds_of(row):
    """What the steps of one check took together; they follow one another."""
    return sum(e["ms"] for e in row["evidence"] if e["probe"] in ("tcp", "ssh", "login")) / 1000


def health(lab):
    """Seconds of the whole command, and region -> row."""
    began = time.monotonic()
    r = lab.run("regions", "health", "-o", "json")
    took = time.monotonic() - began
    return took, {row["region"]: row for row in r.json()["regions"]}


def held_to(lab, what, expected):
    """One region and all of them in time; `expected`: what eastus may be called."""
    took, rows = health(lab)
    alone, found = seconds_of(rows["eastus"]), rows["eastus"]["failure_type"]
    print("# %s: eastus %.1f s, all %.1f s: %s" % (what, alone, took, found), flush=True)
    assert alone <= PER_REGION and took <= ALL + STARTUP, (what, alone, took)
    assert found in expected, rows["eastus"]
    assert all(rows[r]["is_healthy"] for r in rows if r != "eastus"), rows


def test_full_of_strangers():
    """MaxStartups is reached: sshd closes new connections, at random at first."""
    with netns.Lab(sshd="MaxStartups 10:100:10\nLoginGraceTime 600\n") as lab:
        east = lab.machines["eastus"]
        p = helper(lab, "westeurope", HOLD, east)
        full = [*lab.within("westeurope"), sys.executable, "-c", CLOSED, east.address, str(netns.PORT)]
        try:
            e2e.until(lambda: subprocess.run(full, stderr=subprocess.DEVNULL).returncode == 0, "a full sshd")
            held_to(lab, "MaxStartups full", ("ssh_connection_failed", "performance_degraded"))
        finally:
            end(p)


def test_tarpit():
    with netns.Lab() as lab:
        east = lab.machines["eastus"]
        os.kill(east.listener(), signal.SIGKILL)
        e2e.until(lambda: not east.pids(), "the end of sshd")
        p = helper(lab, "eastus", TARPIT, east)
        try:
            held_to(lab, "tarpit, one byte a second", ("ssh_connection_failed",))
        finally:
            end(p)


def test_stopped():
    with netns.Lab() as lab:
        os.kill(lab.machines["eastus"].listener(), signal.SIGSTOP)
        held_to(lab, "SIGSTOP of sshd", ("ssh_connection_failed",))


def test_trickle():
    with netns.Lab() as lab:
        lab.shape("eastus", "8kbit")
        held_to(lab, "8 kbit/s", ("ssh_connection_failed", "performance_degraded"))


def test_all_at_once():
    with netns.Lab() as lab:
        os.kill(lab.machines["eastus"].listener(), signal.SIGSTOP)
        lab.shape("westus2", "8kbit")
        lab.cut("westeurope")
        took, rows = health(lab)
        print("# stopped, 8 kbit/s and silent at once: %.1f s: %s" % (took, {r: rows[r]["failure_type"] for r in rows}))
        assert took <= ALL + STARTUP, took
        assert not any(row["is_healthy"] for row in rows.values() if row["region"] != "westus2"), rows


if __name__ == "__main__":
    netns.enter()
    e2e.main(globals())
