"""provider-local for real: machines are made, entered with OpenSSH's own client, killed, stopped and deleted."""
import json, os, pwd, shutil, signal, subprocess, tempfile, time
import e2e

DRIVE = os.environ["AZLIN_DRIVE"]
CONFIG = "[bricks]\nprovider=local\n"
TOOLS = ["bwrap", "sshd", "ssh", "ssh-keygen"]


def which(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not within %d s: %s" % (seconds, what)
        time.sleep(0.02)


def gone(pid):
    """Ended; a zombie that nobody collects in this container has ended, too."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Cloud:
    """One state folder with machines in it; deletes them at the end."""

    def __init__(self, config=CONFIG, prefix=(), root=None):
        os.makedirs(e2e.SCRATCH, mode=0o700, exist_ok=True)
        self.root = root or tempfile.mkdtemp(dir=e2e.SCRATCH)
        self.prefix, self.names = list(prefix), set()
        self.home, self.key = os.path.join(self.root, "home"), os.path.join(self.root, "key")
        self.config = os.path.join(self.root, "azlin.conf")
        self.drive, self.plugins = DRIVE, os.environ["AZLIN_PLUGIN_PATH"]
        with open(self.config, "w") as f:
            f.write(config)
        if not os.path.exists(self.key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)

    def popen(self, *words):
        env = dict(os.environ, AZLIN_CONFIG=self.config, HOME=self.root, AZLIN_PLUGIN_PATH=self.plugins)
        return subprocess.Popen([*self.prefix, self.drive, self.home, "local", *words], env=env, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def call(self, *words):
        p = self.popen(*words)
        out, err = p.communicate(timeout=60)
        return p.returncode, out, err

    def ok(self, *words):
        code, out, err = self.call(*words)
        assert code == 0, "%s: %d %s %s" % (words, code, out, err)
        found = [json.loads(line) for line in out.splitlines()]
        return found[0] if found and words[0] != "list" else found

    def fails(self, *words):
        code, out, err = self.call(*words)
        assert code == 1, "%s should fail: %d %s %s" % (words, code, out, err)
        return err

    def create_words(self, name, region="eastus"):
        self.names.add(name)
        return "create", name, region, "azureuser", self.key + ".pub"

    def create(self, name, region="eastus"):
        return self.ok(*self.create_words(name, region))

    def folder(self, name):
        return os.path.join(self.home, "bricks", "provider-local", name)

    def record(self, name):
        with open(os.path.join(self.folder(name), "machine.ini")) as f:
            return dict(line.rstrip("\n").split("=", 1) for line in f if "=" in line)

    def pid(self, name):
        return int(self.record(name)["pid"])

    def ssh_command(self, vm, *words):
        known = os.path.join(self.root, "known-" + vm["vm_name"])
        with open(known, "w") as f:
            f.write("[%s]:%d %s\n" % (vm["public_ip"], vm["ssh_port"], vm["host_key"]))
        return [*self.prefix, "ssh", "-F", "none", "-i", self.key, "-p", str(vm["ssh_port"]),
                "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
                "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes",
                "-o", "KexAlgorithms=curve25519-sha256", "azureuser@" + vm["public_ip"], *words]

    def ssh(self, vm, *words):
        p = subprocess.run(self.ssh_command(vm, *words), text=True, capture_output=True, timeout=30,
                           stdin=subprocess.DEVNULL)
        assert p.returncode == 0, "ssh %s: %d %s" % (words, p.returncode, p.stderr)
        return p.stdout.strip()

    def journal(self):
        return self.call("journal")[1].splitlines()

    def traces(self, name):
        """Processes of the machine and entries of the state folder."""
        folder, found = self.folder(name), []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    if any(word.startswith(folder.encode() + b"/") for word in f.read().split(b"\0")):
                        found.append("process " + pid)
            except OSError:
                pass
        parent = os.path.dirname(folder)
        return found + [e for e in (os.listdir(parent) if os.path.isdir(parent) else []) if name in e]

    def __enter__(self):
        for tool in TOOLS:
            if not which(tool):
                raise e2e.Skip(tool + " is not installed")
        return self

    def __exit__(self, *_):
        for name in self.names:
            self.call("delete", name)
        shutil.rmtree(self.root, ignore_errors=True)


def test_create_enter_delete():
    with Cloud() as cloud:
        vm = cloud.create("alpha")
        assert vm["power"] == "running" and vm["public_ip"].startswith("127.") and vm["ssh_port"] >= 1024, vm
        assert vm["provider"] == "local" and vm["region"] == "eastus" and vm["resource_group"] == "rg", vm
        assert vm["tags"].pop("azlin:managed") == "true" and vm["tags"].pop("azlin:op"), vm
        assert vm["tags"] == {"made by": "drive=1", "äöü": ""}, vm
        assert cloud.ssh(vm, "id -un; echo ~; hostname").split() == ["azureuser", "/home/azureuser", "alpha"]
        for tool in ["rsync", "ssh", "ssh-keyscan", "ssh-keygen", "sh"]:
            if which(tool):
                assert cloud.ssh(vm, "command -v " + tool), tool
        pid = cloud.pid("alpha")
        assert cloud.journal() == [], cloud.journal()
        cloud.ok("delete", "alpha")
        assert gone(pid) and cloud.traces("alpha") == [], cloud.traces("alpha")
        assert cloud.fails("get", "alpha").startswith("13 "), "NOT_FOUND"
        assert cloud.ok("delete", "alpha") == []


def test_terminal_and_login_user():
    with Cloud() as cloud:
        vm = cloud.create("term")
        assert "/dev/pts/" in cloud.ssh(vm, "-tt", "tty")
        assert cloud.ssh(vm, "id -u") == str(os.getuid())


def test_wrong_host_key_and_wrong_user_key_are_refused():
    with Cloud() as cloud:
        vm = cloud.create("pinned")
        cloud.ssh(vm, "true")
        other = dict(vm, host_key=vm["host_key"][:-8] + "AAAAAAAA")
        p = subprocess.run(cloud.ssh_command(other, "true"), capture_output=True, text=True)
        assert p.returncode == 255 and "verification failed" in p.stderr, p.stderr
        os.remove(cloud.key)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", cloud.key], check=True)
        p = subprocess.run(cloud.ssh_command(vm, "true"), capture_output=True, text=True)
        assert p.returncode == 255 and "Permission denied" in p.stderr, p.stderr


def test_kill_is_an_outage_and_stop_is_not():
    with Cloud() as cloud:
        vm = cloud.create("beta")
        os.kill(cloud.pid("beta"), signal.SIGKILL)
        until(lambda: cloud.ok("get", "beta")["power"] == "stopped", "the killed machine is off")
        assert cloud.ok("get", "beta")["stop_cause"] == "ended"
        assert cloud.ok("power", "beta", "running")["power"] == "running"
        cloud.ssh(vm, "true")
        for want in ["stopped", "deallocated"]:
            pid = cloud.pid("beta")
            off = cloud.ok("power", "beta", want)
            assert (off["power"], off["stop_cause"]) == (want, "requested"), off
            assert gone(pid), "the process is still there"
            on = cloud.ok("power", "beta", "running")
            assert (on["power"], on["id"], on["host_key"]) == ("running", vm["id"], vm["host_key"])
        assert cloud.journal() == []


def test_stop_keeps_files_and_address():
    with Cloud() as cloud:
        vm = cloud.create("keeper")
        cloud.ssh(vm, "echo kept > data; mkdir -p /srv/site && echo site > /srv/site/x; echo top > /top")
        cloud.ok("power", "keeper", "stopped")
        again = cloud.ok("power", "keeper", "running")
        assert (again["public_ip"], again["ssh_port"]) == (vm["public_ip"], vm["ssh_port"])
        assert cloud.ssh(vm, "cat ~/data /srv/site/x /top").split() == ["kept", "site", "top"]
        before = cloud.pid("keeper")
        assert cloud.ok("restart", "keeper")["power"] == "running"
        assert gone(before) and cloud.pid("keeper") != before
        assert cloud.ssh(vm, "cat ~/data") == "kept"


def test_sessions_end_with_the_machine():
    with Cloud() as cloud:
        vm = cloud.create("busy")
        session = subprocess.Popen(cloud.ssh_command(vm, "trap '' TERM HUP; echo up; sleep 600"), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert session.stdout.readline().strip() == "up"
        cloud.ok("power", "busy", "stopped")
        assert session.wait(timeout=20) == 255


def test_second_create_adopts():
    with Cloud() as cloud:
        first = cloud.create("gamma")
        cloud.ssh(first, "echo mine > data")
        second = cloud.create("gamma")
        assert (second["id"], second["host_key"], second["ssh_port"]) == \
            (first["id"], first["host_key"], first["ssh_port"])
        os.kill(cloud.pid("gamma"), signal.SIGKILL)
        third = cloud.create("gamma")
        assert third["power"] == "running" and third["id"] == first["id"]
        assert cloud.ssh(third, "cat data; wc -l < ~/.ssh/authorized_keys").split() == ["mine", "1"]
        assert cloud.fails(*cloud.create_words("gamma", "westus2")).startswith("14 "), "EXISTS"


def test_machines_are_isolated():
    with Cloud() as cloud:
        one, two = cloud.create("one"), cloud.create("two", "westus2")
        assert one["public_ip"] != two["public_ip"] and one["host_key"] != two["host_key"]
        cloud.ssh(one, "echo secret > ~/f; echo secret > /tmp/f; echo secret > /srv/f")
        assert cloud.ssh(two, "ls ~ /srv; ls /tmp").split() == ["/home/azureuser:", "/srv:"]
        assert cloud.ssh(two, "test -e %s || echo hidden" % cloud.home) == "hidden"
        assert cloud.ssh(two, "touch /usr/bin/azlin-x 2>/dev/null || echo read-only") == "read-only"
        assert "%d" % os.getpid() not in cloud.ssh(two, "ls /proc").split()
        listed = cloud.ok("list")
        assert [vm["vm_name"] for vm in listed] == ["one", "two"]
        assert [vm["power"] for vm in listed] == ["running", "running"]


def test_restart_never_looks_like_an_outage():
    with Cloud() as cloud:
        cloud.create("again")
        p, seen = cloud.popen("restart", "again"), set()
        while p.poll() is None:
            now = cloud.ok("get", "again")
            seen.add((now["power"], now["stop_cause"]))
        p.communicate()
        assert p.returncode == 0 and ("stopped", "ended") not in seen, seen
        assert cloud.ok("get", "again")["power"] == "running"


def test_namesake_is_not_touched():
    with Cloud() as cloud:
        old = cloud.create("twin")
        cloud.ok("delete", "twin", old["id"])
        new = cloud.create("twin")
        assert new["id"] != old["id"] and new["host_key"] != old["host_key"]
        assert cloud.fails("get", "twin", old["id"]).startswith("13 ")
        cloud.ok("delete", "twin", old["id"])
        assert cloud.ok("get", "twin", new["id"])["power"] == "running"


def test_killed_creation_recovers():
    """SIGKILL at many instants of a creation: recovery leaves a whole machine or none at all."""
    with Cloud() as cloud:
        seen = set()
        for step in range(14):
            name = "crash%d" % step
            p = cloud.popen(*cloud.create_words(name))
            time.sleep(step * 0.03)
            p.kill()
            p.communicate()
            open_entries = [line for line in cloud.journal() if "'%s'" % name in line]
            if open_entries:
                code, out, err = cloud.call("recover", "provider-local", "vm-create", name)
                assert code == 0, err
            complete = cloud.call("get", name)[0] == 0
            seen.add((bool(open_entries), complete))
            if complete:
                assert cloud.ok("get", name)["power"] == "running"
            else:
                assert cloud.traces(name) == [], (step, cloud.traces(name))
            vm = cloud.create(name)
            cloud.ssh(vm, "true")
            cloud.ok("delete", name)
            assert cloud.traces(name) == []
        assert (True, False) in seen, "no kill met a machine in the making: %s" % seen


def test_recovery_finishes_stop_and_delete():
    with Cloud() as cloud:
        cloud.create("half")
        cloud.ok("recover", "provider-local", "vm-power", "half", "deallocated")
        assert cloud.ok("get", "half")["power"] == "deallocated"
        os.rename(cloud.folder("half"), os.path.join(os.path.dirname(cloud.folder("half")), ".removed-half"))
        cloud.ok("recover", "provider-local", "vm-delete", "half")
        assert cloud.traces("half") == []


def test_create_goes_on_from_half_a_machine():
    with Cloud() as cloud:
        p = cloud.popen(*cloud.create_words("semi"))
        until(lambda: os.path.isdir(os.path.join(cloud.folder("semi"), "ssh")) or p.poll() is not None, "begun")
        p.kill()
        p.communicate()
        vm = cloud.create("semi")
        assert cloud.ssh(vm, "echo ok") == "ok"


def test_bad_input():
    with Cloud() as cloud:
        for name in ["", "../x", "a/b", ".hidden", "-x", "a b", "x" * 64, "a\nb"]:
            assert cloud.fails("create", name, "eastus", "azureuser", cloud.key + ".pub").startswith("10 "), name
        for user in ["", "Root", "a:b", "a\nb", "../x"]:
            assert cloud.fails("create", "ok", "eastus", user, cloud.key + ".pub").startswith("10 "), user
        for key in ["", "ssh-ed25519 AAAA\nssh-rsa BBBB", "x" * 20000]:
            assert cloud.fails("create", "ok", "eastus", "azureuser", key).startswith("10 "), key
        assert cloud.call("list")[1] == ""


def test_missing_programs_are_named():
    with Cloud(CONFIG + "[provider.local]\nbwrap=/nonexistent/bwrap\n") as cloud:
        error = cloud.fails(*cloud.create_words("none"))
        assert "apt install bubblewrap" in error and error.startswith("15 "), error
    with Cloud(CONFIG + "[provider.local]\nsshd=no-such-sshd\n") as cloud:
        assert "apt install openssh-server" in cloud.fails(*cloud.create_words("none"))


def test_failed_start_says_why_and_leaves_nothing():
    with Cloud(CONFIG + "[provider.local]\nsshd=/usr/bin/false\nstart-timeout=5\n") as cloud:
        error = cloud.fails(*cloud.create_words("broken"))
        assert "does not come up" in error, error
        assert cloud.traces("broken") == [] and cloud.journal() == []


def test_address_range_is_checked_and_kept():
    with Cloud(CONFIG + "[provider.local]\naddress-range=10.0.0.0/8\n") as cloud:
        assert "127.0.0.0/8" in cloud.fails(*cloud.create_words("out"))
    with Cloud(CONFIG + "[provider.local]\naddress-range=127.99.7.0/29\nfirst-port=1234\n") as cloud:
        vm = cloud.create("near")
        assert vm["public_ip"].startswith("127.99.7.") and 1234 <= vm["ssh_port"] < 11234, vm


def test_links_out_of_the_tree_are_not_followed():
    with Cloud() as cloud:
        vm = cloud.create("sly")
        outside = os.path.join(cloud.root, "outside")
        os.mkdir(outside)
        cloud.ssh(vm, "mv ~/.ssh ~/keys && ln -s %s ~/.ssh; rm -rf /var /run/sshd; ln -s %s /var" % (outside, outside))
        cloud.ok("power", "sly", "stopped")
        assert cloud.ok("power", "sly", "running")["power"] == "running"
        assert "~/.ssh" in cloud.fails(*cloud.create_words("sly"))
        assert os.listdir(outside) == []
        cloud.ok("delete", "sly")
        assert os.path.isdir(outside)


def test_locked_machine():
    import fcntl
    with Cloud() as cloud:
        cloud.create("lock")
        fd = os.open(cloud.folder("lock"), os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        assert cloud.fails("power", "lock", "stopped").startswith("17 "), "LOCKED"
        assert cloud.fails("delete", "lock").startswith("17 ")
        assert cloud.ok("get", "lock")["power"] == "running"
        os.close(fd)
        cloud.ok("delete", "lock")


def test_two_creations_at_once():
    with Cloud() as cloud:
        both = [cloud.popen(*cloud.create_words("race")) for _ in range(4)]
        ends = [(p.communicate(timeout=60)[1], p.returncode) for p in both]
        assert all(code == 0 or err.startswith("17 ") for err, code in ends), ends
        assert any(code == 0 for _, code in ends), ends
        vm = cloud.create("race")
        assert cloud.ssh(vm, "echo one") == "one"
        assert len([t for t in cloud.traces("race") if t.startswith("process")]) == 1, cloud.traces("race")
        assert cloud.journal() == []


def test_corrupt_record_can_be_deleted():
    with Cloud() as cloud:
        cloud.create("rot")
        pid = cloud.pid("rot")
        with open(os.path.join(cloud.folder("rot"), "machine.ini"), "w") as f:
            f.write("\0\0 no record")
        assert cloud.fails("get", "rot").startswith("21 "), "STORAGE"
        cloud.ok("delete", "rot")
        assert gone(pid) and cloud.traces("rot") == []


def test_pid_reuse_is_no_life():
    with Cloud() as cloud:
        cloud.create("reuse")
        pid = cloud.pid("reuse")
        path = os.path.join(cloud.folder("reuse"), "machine.ini")
        os.kill(pid, signal.SIGKILL)
        until(lambda: gone(pid), "killed")
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(text.replace("pid=%d\n" % pid, "pid=%d\n" % os.getpid()))
        assert cloud.ok("get", "reuse")["power"] == "stopped"
        cloud.ok("power", "reuse", "stopped")
        cloud.ok("delete", "reuse")


def plain_cloud():
    """A cloud that belongs to a user without rights, with its own copy of what it runs: the build may be out of reach."""
    if os.getuid() != 0:
        raise e2e.Skip("already a plain user: every other test is this one")
    if not which("setpriv"):
        raise e2e.Skip("setpriv is not installed")
    # OpenSSH's tools want a user that has an account.
    user = pwd.getpwnam("nobody")
    prefix = ["setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
    probe = subprocess.run([*prefix, "bwrap", "--ro-bind", "/", "/", "--unshare-pid", "true"], capture_output=True)
    if probe.returncode != 0:
        raise e2e.Skip("no user namespaces here: %s" % probe.stderr)
    # Not under /tmp: azlin refuses configuration and bricks below a folder that everybody can write to.
    root = tempfile.mkdtemp(dir="/var/lib", prefix="azlin-test-")
    cloud = Cloud(prefix=prefix, root=root)
    cloud.drive, cloud.plugins = os.path.join(root, "drive"), os.path.join(root, "plugins")
    os.mkdir(cloud.plugins)
    shutil.copy(DRIVE, cloud.drive)
    for folder in os.environ["AZLIN_PLUGIN_PATH"].split(":"):
        if os.path.exists(os.path.join(folder, "provider-local.so")):
            shutil.copy(os.path.join(folder, "provider-local.so"), cloud.plugins)
    for folder, _, names in os.walk(root):
        for name in [folder] + [os.path.join(folder, n) for n in names]:
            os.chown(name, user.pw_uid, user.pw_gid)
    return cloud, user.pw_uid


def test_plain_user():
    cloud, uid = plain_cloud()
    with cloud:
        vm = cloud.create("plain")
        assert cloud.ssh(vm, "id -u; id -un; echo ~").split() == [str(uid), "azureuser", "/home/azureuser"]
        assert "/dev/pts/" in cloud.ssh(vm, "-tt", "tty")
        cloud.ssh(vm, "echo kept > data; echo top > /top; mkdir -p ro/x && touch ro/x/f && chmod -R a-w ro")
        assert cloud.ok("power", "plain", "stopped")["stop_cause"] == "requested"
        cloud.ok("power", "plain", "running")
        assert cloud.ssh(vm, "cat data /top").split() == ["kept", "top"]
        os.kill(cloud.pid("plain"), signal.SIGKILL)
        until(lambda: cloud.ok("get", "plain")["stop_cause"] == "ended", "the killed machine is off")
        cloud.ok("delete", "plain")
        assert cloud.traces("plain") == []


if __name__ == "__main__":
    e2e.main(globals())
