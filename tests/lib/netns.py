"""A laboratory of network namespaces: machines with a real sshd each on a bridge of their own, and what can go wrong
between them. All of it lives in namespaces that end with process 1 of the test, so nothing outlives a killed test."""
import collections, ctypes, os, shutil, signal, subprocess, sys, tempfile, threading, time
import e2e

REGIONS = ("eastus", "westus2", "westeurope")
PORT, USER, UID = 2222, "azureuser", 1000
ADDRESSES = dict(zip(("op", *REGIONS), ("10.77.0.1", "10.77.0.11", "10.77.0.12", "10.77.0.13")))
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
FREEZER = "/sys/fs/cgroup/freezer"
SSHD_CONFIG = """ListenAddress %s
Port %d
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile none
StrictModes no
UsePAM no
UseDNS no
AuthenticationMethods publickey
AllowUsers %s
PrintMotd no
PrintLastLog no
LogLevel VERBOSE
SetEnv SHLVL=5
Subsystem sftp internal-sftp
"""
skip_reason = freezer = None


# ---- the namespaces that everything lives in ----

NEW_NS, NEW_PID, NEW_NET = 0x00020000, 0x20000000, 0x40000000  # CLONE_NEW... of <sched.h>
SLAVE_OF_NOBODY = 0x4000 | 0x40000  # MS_REC | MS_PRIVATE
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
libc = ctypes.CDLL(None, use_errno=True)
PARTS = """ip netns add a
ip -n a link add name bridge0 type bridge
ip -n a link add name v type veth peer name w
ip netns exec a tc qdisc add dev v root tbf rate 8kbit burst 1600 latency 400ms
ip netns exec a nft add table bridge t
ip netns exec a nft add chain bridge t c { type filter hook forward priority 0 ; }
ip netns exec a nft add rule bridge t c ip protocol icmp limit rate over 1/second drop
ip netns exec a nft add table inet u
ip netns exec a nft add chain inet u c { type filter hook input priority 0 ; }
ip netns exec a nft add rule inet u c tcp dport 1 reject with tcp reset
ip netns del a"""


def missing():
    """The program that a laboratory needs and that is not here, or None."""
    for tool, package in (("nsenter", "util-linux"), ("ip", "iproute2"), ("tc", "iproute2"), ("nft", "nftables"),
                          ("bwrap", "bubblewrap"), ("sshd", "openssh-server"), ("ssh-keyscan", "openssh-client"),
                          ("ssh-keygen", "openssh-client")):
        if not shutil.which(tool):
            return "%s is not installed (package %s)" % (tool, package)
    return None if os.geteuid() == 0 else "network namespaces with machines in them need root"


def checked(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), "%s: %s" % (what, os.strerror(ctypes.get_errno())))


def private_mounts():
    """/proc shows this namespace's processes; `ip netns` keeps its names below /run, and so they vanish with it."""
    checked(libc.mount(b"none", b"/", None, SLAVE_OF_NOBODY, None), "mounting privately")
    checked(libc.mount(b"proc", b"/proc", b"proc", 0, None), "mounting /proc")
    checked(libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, b"mode=755"), "mounting /run")


def split(ret_inside):
    """From here on this is process 1 of namespaces of its own; the process that it was waits for its end, and takes it
    along if it is killed. Returns why that is forbidden, where it is: then nothing has changed."""
    try:
        checked(libc.unshare(NEW_NS | NEW_PID | NEW_NET), "namespaces")
    except OSError as error:
        return str(error)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        checked(libc.prctl(DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0), "prctl")
        ret_inside.append(parent)
        return None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both; the tests clean up after it
    _, status = os.waitpid(child, 0)
    sys.stdout.flush()
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def try_parts():
    """What forbids the parts of a laboratory, each tried once; None = nothing."""
    for line in PARTS.split("\n"):
        p = subprocess.run(line.split(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if p.returncode:
            return "%s: %s" % (line, " ".join(p.stdout.split()))
    return None


def sweep(folder):
    """Thaws and removes the cgroups of a test that has ended; frozen processes cannot even die before."""
    end = time.monotonic() + 20
    while os.path.isdir(folder) and time.monotonic() < end:
        for below in [os.path.join(folder, n) for n in os.listdir(folder)]:
            if os.path.isdir(below):
                with open(os.path.join(below, "freezer.state"), "w") as f:
                    f.write("THAWED")
        try:
            for below in [os.path.join(folder, n) for n in os.listdir(folder)]:
                if os.path.isdir(below):
                    os.rmdir(below)
            os.rmdir(folder)
        except OSError:
            time.sleep(0.1)


def guarded_freezer():
    """A folder for the freezer's cgroups, or None; a guard outside of the namespaces removes it whatever ends the test."""
    try:
        folder = tempfile.mkdtemp(prefix="azlin-netns-", dir=FREEZER)
    except OSError:
        return None
    reader, writer = os.pipe()  # the other end is held by nobody but the test: programs that it starts do not inherit it
    if os.fork() == 0:
        os.setsid()
        os.close(writer)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.read(reader, 1)
        sweep(folder)
        os._exit(0)
    os.close(reader)
    return folder


def enter():
    """Puts the calling program into namespaces of its own. Where that is not possible it goes on outside, and every test
    that needs a laboratory is skipped with the reason."""
    global skip_reason, freezer
    os.environ["PATH"] = PATH
    skip_reason = missing()
    if skip_reason:
        return
    sys.stdout.flush()
    freezer, inside = guarded_freezer(), []
    skip_reason = split(inside)
    try:
        if inside:
            private_mounts()
            skip_reason = try_parts()
    except OSError as error:
        skip_reason = str(error)
    if skip_reason:
        skip_reason = "this machine's rights forbid network namespaces: " + skip_reason


def need():
    if skip_reason:
        raise e2e.Skip(skip_reason)


def run(*argv, text=None):
    p = subprocess.run(argv, input=text, stdin=None if text is not None else subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 0, "%s: exit %d: %s" % (" ".join(argv), p.returncode, p.stdout)
    return p.stdout


# ---- machines ----

class Machine:
    """One machine of one region: a namespace, a root of its own for bubblewrap, a real sshd with its own host key."""

    def __init__(self, lab, region):
        self.lab, self.region, self.space = lab, region, lab.space(region)
        self.address = ADDRESSES[region]
        self.root = os.path.join(lab.root, "machines", region)
        self.home = os.path.join(self.root, "home", USER)
        self.log = os.path.join(self.root, "var", "log", "sshd.log")
        self.process, self.config, self.cgroup = None, "", lab.cgroup(region)
        self.binds = []  # more of bubblewrap's arguments, from the next start on
        self.make()

    def make(self):
        for folder in ("dev", "proc", "run", "tmp", "usr", "etc", "var/log", "ssh", "files", "home/%s/.ssh" % USER):
            os.makedirs(os.path.join(self.root, folder))
        os.chmod(os.path.join(self.root, "tmp"), 0o1777)
        for part in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
            if os.path.islink("/" + part):
                os.symlink(os.readlink("/" + part), os.path.join(self.root, part))
            elif os.path.isdir("/" + part):
                os.mkdir(os.path.join(self.root, part))
        self.write("files/passwd", "root:x:0:0::/root:/bin/sh\n%s:x:%d:%d::/home/%s:/bin/bash\n"
                   "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n" % (USER, UID, UID, USER))
        self.write("files/group", "root:x:0:\n%s:x:%d:\nnogroup:x:65534:\n" % (USER, UID))
        self.write("files/shadow", "root:*:::::::\n%s:*:::::::\nsshd:*:::::::\n" % USER)
        self.write("files/hosts", "127.0.0.1 localhost\n%s %s\n" % (self.address, self.name))
        self.new_host_key()
        self.write("home/%s/.ssh/authorized_keys" % USER, self.lab.public_key)
        for folder, folders, files in os.walk(self.home):
            for name in [folder, *(os.path.join(folder, n) for n in files)]:
                os.chown(name, UID, UID)

    @property
    def name(self):
        return "vm-" + self.region

    def write(self, below, text):
        path = os.path.join(self.root, below)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600 if below.endswith(("shadow", "_key")) else 0o644)

    def new_host_key(self):
        """Another identity; from the next start on."""
        key = os.path.join(self.root, "ssh", "ssh_host_ed25519_key")
        for path in (key, key + ".pub"):
            if os.path.exists(path):
                os.unlink(path)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key)
        with open(key + ".pub") as f:
            self.host_key = " ".join(f.read().split()[:2])

    def argv(self, *program):
        line = ["bwrap", "--bind", self.root, "/", "--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc"]
        for part in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
            if os.path.isdir("/" + part) and not os.path.islink("/" + part):
                line += ["--ro-bind", "/" + part, "/" + part]
        line += ["--ro-bind", os.path.join(self.root, "ssh"), "/etc/ssh"]
        for name in ("passwd", "group", "shadow", "hosts"):
            line += ["--ro-bind", os.path.join(self.root, "files", name), "/etc/" + name]
        line += ["--dev", "/dev", "--proc", "/proc", "--perms", "0755", "--tmpfs", "/run", "--perms", "0755", "--dir",
                 "/run/sshd", "--unshare-pid", "--unshare-uts", "--unshare-ipc", "--hostname", self.name, "--clearenv",
                 "--setenv", "PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "--chdir", "/", *self.binds]
        return [*self.lab.within(self.region), *line, "--as-pid-1", *program]

    def start(self, extra=""):
        """`extra`: more lines of sshd_config; the first value of each key counts, so they go before the usual ones. Twenty
        laboratories on two cores keep logins waiting as no single machine would: of these sshd refuses none."""
        self.config = extra + SSHD_CONFIG % (self.address, PORT, USER)
        self.write("ssh/sshd_config", self.config)
        self.process = subprocess.Popen(self.argv("/usr/sbin/sshd", "-D", "-E", "/var/log/sshd.log"),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        preexec_fn=self.join_cgroup)
        e2e.until(self.answers, "sshd of %s: %s" % (self.region, self.said()))

    def join_cgroup(self):
        if self.cgroup:
            with open(os.path.join(self.cgroup, "cgroup.procs"), "w") as f:
                f.write("0")

    def said(self):
        if self.process.poll() is None:
            return "runs"
        return "ended: " + self.process.stderr.read().decode(errors="replace")

    def answers(self):
        assert self.process.poll() is None, self.said()
        seen = subprocess.run([*self.lab.within(self.region), "ssh-keyscan", "-T", "2", "-t", "ed25519", "-p", str(PORT),
                               self.address], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        return self.host_key in seen

    def stop(self):
        """Ends all that runs on it."""
        if self.process is None:
            return
        self.resume()
        for pid in self.pids():
            self.signal_one(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.process = None

    def restart(self, extra=""):
        self.stop()
        self.start(extra)

    # -- what runs on it --

    def pids(self):
        """All processes in its namespace, sshd first."""
        return sorted(int(pid) for pid in run("ip", "netns", "pids", self.space).split())

    def signal_one(self, pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def listener(self):
        """The sshd that accepts connections."""
        for pid in self.pids():
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                if b"[listener]" in f.read():
                    return pid
        raise AssertionError("no sshd listens on " + self.region)

    def freeze(self):
        """Nothing on it runs any more, while its kernel goes on answering: like a machine that hangs."""
        if self.cgroup:
            self.freezer("FROZEN")
            return
        for _ in range(3):  # what was being born meanwhile, too
            for pid in self.pids():
                self.signal_one(pid, signal.SIGSTOP)

    def resume(self):
        if self.cgroup:
            self.freezer("THAWED")
            return
        for pid in self.pids():
            self.signal_one(pid, signal.SIGCONT)

    def freezer(self, state):
        path = os.path.join(self.cgroup, "freezer.state")
        with open(path, "w") as f:
            f.write(state)

        def there():
            with open(path) as f:
                return f.read().strip() == state
        e2e.until(there, "%s %s" % (self.region, state))

    def read(self, below):
        with open(os.path.join(self.home, below)) as f:
            return f.read()


# ---- the laboratory ----

class Lab(e2e.Home):
    """One operator and the machines of REGIONS, registered with azlin; each laboratory is a network of its own.
    `prepare` is called with it before the machines start; `sshd` are lines of theirs."""

    count, lock = 0, threading.Lock()

    def __init__(self, config="", provider="static", sshd="", health=True, prepare=None):
        need()
        with Lab.lock:
            Lab.count += 1
            self.prefix_name = "l%d-" % Lab.count
        self.faults, self.machines, self.provider = collections.OrderedDict(), {}, provider
        super().__init__("")
        self.key = os.path.join(self.root, "id_ed25519")
        self.write_config("[bricks]\nprovider=static\n[ssh]\nkey-file=%s\n%s" % (self.key, config))
        try:
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.key)
            with open(self.key + ".pub") as f:
                self.public_key = f.read()
            self.make_network()
            for region in REGIONS:
                self.machines[region] = Machine(self, region)
            if prepare:
                prepare(self)
            for machine in self.machines.values():
                machine.start(sshd)
                self.register(machine)
            if health:
                self.ok("regions", "health")
        except BaseException:
            self.close()
            raise

    def space(self, name):
        return self.prefix_name + name

    def within(self, name):
        return ["nsenter", "--net=/run/netns/" + self.space(name), "--"]

    def cgroup(self, name):
        if freezer is None:
            return None
        folder = os.path.join(freezer, self.space(name))
        os.makedirs(folder, exist_ok=True)
        return folder

    def ip(self, name, *lines):
        run("ip", "-n", self.space(name), "-batch", "-", text="\n".join(lines) + "\n")

    def make_network(self):
        for name in ("net", *ADDRESSES):
            run("ip", "netns", "add", self.space(name))
        lines = ["link add name bridge0 type bridge forward_delay 0 mcast_snooping 0", "link set dev bridge0 up"]
        for name in ADDRESSES:
            lines += ["link add name %s type veth peer name eth0 netns %s" % (name, self.space(name)),
                      "link set dev %s master bridge0 up" % name]
        self.ip("net", *lines)
        for name, address in ADDRESSES.items():
            self.ip(name, "link set dev lo up", "addr add %s/24 dev eth0" % address, "link set dev eth0 up")

    def register(self, machine):
        self.ok("regions", "add", machine.region, "--vm-name", machine.name, "--public-ip", machine.address, "--ssh-port",
                str(PORT), "--ssh-user", USER, "--host-key", machine.host_key, "--provider", self.provider)

    def popen(self, *args, **kw):
        """azlin, where the operator is."""
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([*self.within("op"), e2e.BIN, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=self.env(**kw.pop("env", {})), text=True, **kw)

    def close(self):
        for machine in self.machines.values():
            machine.stop()
        for name in ("net", *ADDRESSES):
            subprocess.run(["ip", "netns", "del", self.space(name)], stderr=subprocess.DEVNULL)
        for machine in self.machines.values():
            if machine.cgroup:
                e2e.until(lambda: not open(os.path.join(machine.cgroup, "cgroup.procs")).read(), "the cgroup's end")
                os.rmdir(machine.cgroup)
        shutil.rmtree(self.root, ignore_errors=True)

    # -- what azlin keeps --

    def state(self):
        return self.ok("regions", "list", "-o", "json").json()

    def primary(self):
        found = [r["region"] for r in self.state()["regions"] if r["is_primary"]]
        assert len(found) == 1, found
        return found[0]

    # -- faults: rules on the bridge between the machines, all in one ruleset that is replaced at once --

    def apply(self):
        rules = "".join("  %s\n" % line for lines in self.faults.values() for line in lines)
        text = ("add table bridge faults\ndelete table bridge faults\ntable bridge faults {\n chain forward {\n"
                "  type filter hook forward priority 0; policy accept;\n%s }\n}\n" % rules)
        run(*self.within("net"), "nft", "-f", "-", text=text)

    def fault(self, name, *lines):
        self.faults[name] = lines
        self.apply()

    def heal(self, *names):
        """These faults end; without a name, all."""
        for name in names or list(self.faults):
            self.faults.pop(name, None)
        self.apply()

    def cut(self, name):
        """Silence: nothing goes in or out, and nobody says so. (Addresses are still resolved, as beyond any router.)"""
        self.fault("cut " + name, "meta protocol ip iifname %s drop" % name, "meta protocol ip oifname %s drop" % name)

    def cut_way(self, source, target):
        """One direction only."""
        self.fault("way %s %s" % (source, target), "meta protocol ip iifname %s oifname %s drop" % (source, target))

    def cut_icmp(self):
        self.fault("icmp", "ip protocol icmp drop")

    def lose(self, name, percent):
        """Packets of and to it are lost by chance."""
        self.fault("lose " + name, *("meta protocol ip %s %s numgen random mod 100 < %d drop" % (way, name, percent)
                                     for way in ("iifname", "oifname")))

    def limit(self, name, packets):
        """At most so many packets a second each way."""
        self.fault("limit " + name, *("meta protocol ip %s %s limit rate over %d/second drop" % (way, name, packets)
                                      for way in ("iifname", "oifname")))

    def quota(self, name, size):
        """So many bytes still come out of it, then none."""
        self.fault("quota " + name, "meta protocol ip iifname %s quota over %d bytes drop" % (name, size))

    def unplug(self, name):
        """The cable is pulled: neighbours notice, so connecting fails at once or after three seconds."""
        self.ip("net", "link set dev %s down" % name)

    def plug(self, name):
        self.ip("net", "link set dev %s up" % name)

    def shape(self, name, rate):
        """All that goes to it and comes from it passes a bucket of this rate ("8kbit"); None ends it."""
        for where, device in (("net", name), (name, "eth0")):
            line = [*self.within(where), "tc", "qdisc"]
            if rate is None:
                subprocess.run([*line, "del", "dev", device, "root"], stderr=subprocess.DEVNULL)
            else:
                run(*line, "replace", "dev", device, "root", "tbf", "rate", rate, "burst", "1600", "latency", "2s")

    def reject(self, name):
        """Its kernel answers connections to sshd with a reset, as where nothing listens; existing ones end as well."""
        run(*self.within(name), "nft", "-f", "-", text="table inet faults { chain input { type filter hook input priority 0;\n"
            " tcp dport %d reject with tcp reset\n }\n}\n" % PORT)

    def accept(self, name):
        run(*self.within(name), "nft", "delete", "table", "inet", "faults")

    def pause(self, region):
        """The whole machine stands still, its kernel too: as when a hypervisor pauses it."""
        self.cut(region)
        self.machines[region].freeze()

    def go_on(self, region):
        self.machines[region].resume()
        self.heal("cut " + region)
