"""`azlin regions health` over 1,000 machines that never answer or refuse: wall time against the deadline of one check.

Half accept a connection and never say a word, half refuse. Goal: at most 1.10 of the deadline.
Usage: health-silent.py [MACHINES [ROUNDS]]
"""
import json, os, shutil, socket, statistics, subprocess, sys, tempfile, time

MACHINES = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
DEADLINE, GOAL = 5.0, 1.10
AZLIN = os.environ["AZLIN_BIN"]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx0aGlzIGlzIG5vdCB0aGUga2V5IG9mIHRoaXMgaG9zdA=="


def write_config(path, names, seconds):
    with open(path, "w") as f:
        f.write("[bricks]\nprovider=static\n[policy]\nallowed-regions=%s\n[health]\ntcp-timeout=%g\nssh-timeout=%g\n"
                % (";".join(names), seconds, seconds))
    os.chmod(path, 0o600)


def listener():
    """The kernel accepts; nobody ever answers."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(4096)
    return s


def dead_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(root, silent):
    names = ["region%d" % k for k in range(MACHINES)]
    config = os.path.join(root, "azlin.conf")
    env = dict(os.environ, AZLIN_HOME=os.path.join(root, "home"), AZLIN_CONFIG=config, NO_COLOR="1")
    env.pop("SSH_AUTH_SOCK", None)
    write_config(config, names, 0.1)  # registering checks as well; that part is not measured
    ports = [silent.getsockname()[1], dead_port()]
    for k, name in enumerate(names):
        subprocess.run([AZLIN, "regions", "add", name, "--vm-name", "vm%d" % k, "--public-ip", "127.0.0.1", "--ssh-port",
                        str(ports[k % 2]), "--host-key", KEY], env=env, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    write_config(config, names, DEADLINE)
    times = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        done = subprocess.run([AZLIN, "regions", "health", "-o", "json"], env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        times.append(time.monotonic() - began)
        answer = json.loads(done.stdout)
        assert done.returncode == 1 and answer["healthy"] == 0 and answer["total"] == MACHINES, done
    median = statistics.median(times)
    print("%d machines, %d rounds: %.3f s (%.3f..%.3f) = %.3f of the deadline of %g s (goal %.2f)"
          % (MACHINES, ROUNDS, median, min(times), max(times), median / DEADLINE, DEADLINE, GOAL))


def main():
    os.makedirs(os.environ["AZLIN_TEST_DIR"], mode=0o700, exist_ok=True)
    root = tempfile.mkdtemp(dir=os.environ["AZLIN_TEST_DIR"])
    try:
        with listener() as silent:
            run(root, silent)
    finally:
        shutil.rmtree(root, ignore_errors=True)


main()
