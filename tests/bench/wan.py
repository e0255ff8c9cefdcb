"""A wide-area network to measure copies on: an operator and machines behind emulated lines, a blob store, what peers need."""
import os, shutil, signal, subprocess
import accounts, datasets, e2e, netns

SOURCE, TARGET = "eastus", "westus2"
OPERATOR = netns.ADDRESSES["op"]
BLOB_PORT, BLOB_ACCOUNT = 10000, "devstoreaccount1"
# Azurite's published key of its one account: it protects nothing.
BLOB_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
BLOB_URL = "http://127.0.0.1:%d/%s" % (BLOB_PORT, BLOB_ACCOUNT)
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "azlin")
AZURITE = next((path for path in (os.path.join(CACHE, folder, "node_modules/azurite/dist/src/blob/main.js")
                                  for folder in ("azurite", "bench-peers")) if os.path.exists(path)), "Azurite")
AZCOPY = os.path.join(CACHE, "bench-peers/node_modules/@azure-tools/azcopy-linux/dist/bin")
CONGESTION = "cubic"  # what Debian's and Ubuntu's images use
ALLOWED = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"
LINKS = {  # what the emulator is told; None: the kernel's own bridge, with neither delay nor rate
    "200": ("200 Mbit/s, 80 ms", ("--rate=200", "--delay=40", "--queue=50")),
    "1g": ("1 Gbit/s, 80 ms", ("--rate=1000", "--delay=40", "--queue=50")),
    "lossy": ("200 Mbit/s, 80 ms, 0.5 % loss", ("--rate=200", "--delay=40", "--queue=50", "--loss=0.5")),
    "lan": ("loopback", None),
}
PARTS = {"source": SOURCE, "target": TARGET}
SSHD = "MaxStartups 200:30:400\nMaxSessions 100\n"
SSH_CONFIG = """Host *
  Port %d
  User %s
  IdentityFile ~/.ssh/id_ed25519
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  BatchMode yes
""" % (netns.PORT, netns.USER)
LOOPBACK_IS_THE_STORE = """table ip azurite {
 chain out {
  type nat hook output priority -100
  ip daddr 127.0.0.1 tcp dport %d dnat to %s
 }
 chain back {
  type nat hook postrouting priority 100
  ip daddr %s tcp dport %d masquerade
 }
}
""" % (BLOB_PORT, OPERATOR, OPERATOR, BLOB_PORT)


def allow_congestion():
    """Namespaces may only choose what the first one allows to everybody."""
    with open(ALLOWED) as f:
        allowed = f.read().split()
    if CONGESTION not in allowed and os.geteuid() == 0:
        with open(ALLOWED, "w") as f:
            f.write(" ".join([*allowed, CONGESTION]))


def enter():
    """Namespaces of their own for this process and all that it starts; they end with it. Returns why not, or None."""
    if not os.path.exists("/dev/net/tun"):
        return "/dev/net/tun is missing"
    allow_congestion()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started this in the background
    netns.enter()
    return netns.skip_reason


class Wan(netns.Lab):
    """One operator and the machines, with `link` between any two of them. /data on the source holds the data sets, and on
    the others nothing; /changing is everybody's own."""

    def __init__(self, link, config=""):
        self.link, self.emulator, self.store, self.disks = link, None, None, None
        self.accounts = accounts.Accounts("", ())
        super().__init__(config, sshd=SSHD, prepare=Wan.prepare)

    # -- the network --

    def make_network(self):
        self.accounts = accounts.Accounts(os.path.basename(self.root), (*PARTS, "store", "lines", "operator"))
        self.disks = os.path.join(self.root, "machines")
        os.mkdir(self.disks)
        netns.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.disks)
        arguments = LINKS[self.link][1]
        if arguments is None:
            super().make_network()
        else:
            self.make_lines(arguments)
        for name in netns.ADDRESSES:
            netns.run(*self.within(name), "sysctl", "-qw", "net.ipv4.tcp_congestion_control=" + CONGESTION,
                      "net.ipv4.tcp_no_metrics_save=1", "net.ipv4.conf.all.route_localnet=1")
            if name != "op":
                netns.run(*self.within(name), "nft", "-f", "-", text=LOOPBACK_IS_THE_STORE)

    def make_lines(self, arguments):
        for name in ("net", *netns.ADDRESSES):
            netns.run("ip", "netns", "add", self.space(name))
        ends = ["%s=%s" % (self.space(name), address) for name, address in netns.ADDRESSES.items()]
        self.emulator = subprocess.Popen([os.environ["WAN_BIN"], *arguments, *ends], stdout=subprocess.PIPE, text=True,
                                         preexec_fn=lambda: self.accounts.join("lines"))
        assert self.emulator.stdout.readline() == "ready\n", "the emulator did not start"
        for name, address in netns.ADDRESSES.items():
            self.ip(name, "link set dev lo up", "addr add %s/24 dev wan0" % address,
                    "link set dev wan0 up mtu 1500 txqueuelen 5000")

    def received(self, name):
        """Bytes that have come in over its line."""
        device = "wan0" if self.emulator else "eth0"
        line = subprocess.run([*self.within(name), "cat", "/proc/net/dev"], stdout=subprocess.PIPE, text=True).stdout
        return next(int(words[1]) for words in map(str.split, line.split("\n")) if words and words[0] == device + ":")

    # -- the machines --

    def prepare(self):
        for machine in self.machines.values():
            for folder in ("data", "changing", "opt/azcopy"):
                os.makedirs(os.path.join(machine.root, folder))
            os.chown(os.path.join(machine.root, "data"), netns.UID, netns.UID)
            os.chown(os.path.join(machine.root, "changing"), netns.UID, netns.UID)
            machine.binds += ["--ro-bind-try", AZCOPY, "/opt/azcopy"]
        for part, region in PARTS.items():
            self.put_on_account(self.machines[region], part)
        self.machines[SOURCE].binds += ["--ro-bind", datasets.ROOT, "/data"]
        self.let_peers_log_in()

    def put_on_account(self, machine, part):
        before = machine.join_cgroup

        def join():
            before()
            self.accounts.join(part)
        machine.join_cgroup = join

    def let_peers_log_in(self):
        """The peers run on the source as its user, with a key that the target admits."""
        source, target = self.machines[SOURCE], self.machines[TARGET]
        folder = os.path.join(source.home, ".ssh")
        netns.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder + "/id_ed25519")
        source.write("home/%s/.ssh/config" % netns.USER, SSH_CONFIG)
        for name in ("id_ed25519", "id_ed25519.pub", "config"):
            os.chown(os.path.join(folder, name), netns.UID, netns.UID)
        with open(folder + "/id_ed25519.pub") as key, open(target.home + "/.ssh/authorized_keys", "a") as keys:
            keys.write(key.read())

    def on(self, region, *argv):
        """argv as this machine's user would start it there."""
        return ["nsenter", "-t", str(self.machines[region].listener()), "-m", "-n", "-p", "-i", "-u", "setpriv", "--reuid",
                str(netns.UID), "--regid", str(netns.UID), "--clear-groups", "env", "-i", "-C", "/home/" + netns.USER,
                "HOME=/home/" + netns.USER, "USER=" + netns.USER, "PATH=/usr/bin:/bin:/opt/azcopy", "LC_ALL=C.UTF-8", "SHLVL=5",
                *argv]

    def at(self, region, below):
        """Where a path of this machine is for the bench."""
        if region == SOURCE and below.startswith("/data/"):
            return os.path.join(datasets.ROOT, below[len("/data/"):])
        return self.machines[region].root + below

    # -- the blob store --

    def start_store(self):
        """A fresh one: Azurite slows down with what it has held."""
        self.stop_store()
        argv = ["node", AZURITE, "--blobHost", "0.0.0.0", "--blobPort", str(BLOB_PORT), "--silent", "--loose",
                "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence", "--extentMemoryLimit", "8192"]
        self.store = subprocess.Popen([*self.within("op"), *argv], cwd=self.root, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      preexec_fn=lambda: self.accounts.join("store"))
        e2e.until(self.store_answers, "Azurite")

    def store_answers(self):
        assert self.store.poll() is None, "Azurite ended"
        answer = subprocess.run([*self.within("op"), "curl", "-s", "-o", os.devnull, "-m", "2", BLOB_URL])
        return answer.returncode == 0

    def stop_store(self):
        if self.store:
            self.store.kill()
            self.store.wait()
            self.store = None

    def close(self):
        self.stop_store()
        super().close()
        if self.emulator:
            self.emulator.terminate()
            self.emulator.wait()
            self.emulator.stdout.close()
        if self.disks:
            subprocess.run(["umount", self.disks], stderr=subprocess.DEVNULL)
            shutil.rmtree(self.root, ignore_errors=True)
        self.accounts.close()


def missing():
    """What the blob rows need and is not here."""
    for tool in ("node", "rclone", "curl"):
        if not shutil.which(tool):
            return tool
    return next((path for path in (AZURITE, AZCOPY + "/azcopy") if not os.path.exists(path)), None)
