"""`azlin regions health` over 200 real sshds on loopback against `parallel-ssh -p 64` on the same machines, in one run.

Prints medians and their ratios. Goals: wall <= 0.20, client CPU <= 0.012.
Usage: health-fanout.py [MACHINES [ROUNDS]]
"""
import json, os, resource, shutil, signal, statistics, subprocess, sys, tempfile, time

MACHINES = int(sys.argv[1]) if len(sys.argv) > 1 else 200
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
WALL_GOAL, CPU_GOAL = 0.20, 0.012
AZLIN = os.environ["AZLIN_BIN"]
USER = subprocess.check_output(["id", "-un"], text=True).strip()


def address(k):
    return "127.77.%d.%d" % (k // 250, k % 250 + 1)


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o600)


class Farm:
    """One sshd a machine, each with a host key, a configuration and an address of its own."""

    def __init__(self, root):
        self.root, self.daemons, self.keys = root, [], []
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.key = os.path.join(root, "id_ed25519")
        subprocess.check_call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key])
        for k in range(MACHINES):
            self.start(k)

    def start(self, k):
        d = os.path.join(self.root, "vm%d" % k)
        os.mkdir(d)
        subprocess.check_call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", d + "/key"])
        self.keys.append(" ".join(open(d + "/key.pub").read().split()[:2]))
        write(d + "/sshd_config", "ListenAddress %s:2200\nHostKey %s/key\nPidFile none\nAuthorizedKeysFile %s.pub\n"
              "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\n"
              "PermitRootLogin prohibit-password\nPrintMotd no\nPrintLastLog no\nMaxStartups 200:30:400\n"
              "SetEnv SHLVL=5\n" % (address(k), d, self.key))
        self.daemons.append(subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", d + "/sshd_config", "-E", d + "/log"]))

    def stop(self):
        for p in self.daemons:
            p.terminate()
        for p in self.daemons:
            p.wait()


def measure(argv, env):
    """Wall and CPU seconds (user + system of the whole process tree) of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode != 0:
        sys.exit("%s: exit %d\n%s\n%s" % (argv, done.returncode, done.stdout.decode()[-2000:], done.stderr.decode()[-2000:]))
    return wall, cpu, done.stdout


def azlin_home(root, farm):
    names = ["region%d" % k for k in range(MACHINES)]
    config = os.path.join(root, "azlin.conf")
    write(config, "[bricks]\nprovider=static\n[policy]\nallowed-regions=%s\n[ssh]\nuser=%s\nkey-file=%s\n"
          % (";".join(names), USER, farm.key))
    env = dict(os.environ, AZLIN_HOME=os.path.join(root, "home"), AZLIN_CONFIG=config, NO_COLOR="1")
    env.pop("SSH_AUTH_SOCK", None)
    for k, name in enumerate(names):
        subprocess.run([AZLIN, "regions", "add", name, "--vm-name", "vm%d" % k, "--public-ip", address(k), "--ssh-port",
                        "2200", "--host-key", farm.keys[k]], env=env, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)
    return env


def pssh_argv(root, farm):
    hosts, config = os.path.join(root, "hosts"), os.path.join(root, "ssh_config")
    write(hosts, "".join("%s@%s:2200\n" % (USER, address(k)) for k in range(MACHINES)))
    write(config, "Host *\n  IdentityFile %s\n  IdentitiesOnly yes\n  StrictHostKeyChecking no\n"
          "  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n  ControlMaster no\n  BatchMode yes\n" % farm.key)
    return ["parallel-ssh", "-h", hosts, "-p", "64", "-t", "30", "-x", "-F " + config, "true"]


def show(name, runs):
    wall, cpu = [r[0] for r in runs], [r[1] for r in runs]
    print("%-28s wall %6.3f s (%.3f..%.3f)  client CPU %6.3f s (%.3f..%.3f)"
          % (name, statistics.median(wall), min(wall), max(wall), statistics.median(cpu), min(cpu), max(cpu)))
    return statistics.median(wall), statistics.median(cpu)


def run(root):
    farm = Farm(root)
    try:
        env = azlin_home(root, farm)
        pssh = pssh_argv(root, farm)
        health = [AZLIN, "regions", "health", "-o", "json"]
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(measure(health, env))
            theirs.append(measure(pssh, env))
        answer = json.loads(ours[-1][2])
        assert answer["healthy"] == answer["total"] == MACHINES, (answer["healthy"], answer["total"])
    finally:
        farm.stop()
    wall, cpu = show("azlin regions health", ours)
    wall_peer, cpu_peer = show("parallel-ssh -p 64", theirs)
    print("%d machines, %d rounds: wall %.3f of the peer's (goal %.3f), CPU %.4f (goal %.4f)"
          % (MACHINES, ROUNDS, wall / wall_peer, WALL_GOAL, cpu / cpu_peer, CPU_GOAL))


def main():
    if shutil.which("parallel-ssh") is None:
        print("skipped: parallel-ssh is not installed")
        sys.exit(77)
    os.makedirs(os.environ["AZLIN_TEST_DIR"], mode=0o700, exist_ok=True)
    root = tempfile.mkdtemp(dir=os.environ["AZLIN_TEST_DIR"])
    try:
        run(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


main()
