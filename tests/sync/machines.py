"""What the end-to-end tests of sync share: three machines of provider-local, trees, keys and transfers looked for."""
import ctypes, os, shutil, stat, subprocess, time
import e2e, fleet

REGIONS = ("eastus", "westus2", "westeurope")
cloud = None


class Cloud(e2e.Home):
    """Three machines that all tests of this file share; every test has a folder of its own on them."""

    def __init__(self, regions=REGIONS):
        super().__init__("[bricks]\nprovider=local\n")
        self.ok("deploy", "--regions", ",".join(regions), "--primary", "eastus")
        self.folders, self.addresses = {}, {}
        for region in self.ok("regions", "list", "-o", "json").json()["regions"]:
            root = os.path.join(self.path, "bricks", "provider-local", region["vm_name"], "root")
            self.folders[region["region"]] = os.path.join(root, "home", "azureuser")
            self.addresses[region["region"]] = region["public_ip"]

    def at(self, region, *names):
        return os.path.join(self.folders[region], *names)

    def pid(self, region):
        return fleet.machine_pid(self, region)

    def sync(self, *args, **kw):
        return self.run("sync", "-o", "json", *args, **kw)


def own_mounts():
    """A mount table of this process's own, so that nothing stays mounted after it. FALSE: there are no rights to."""
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(0x20000) != 0:  # CLONE_NEWNS
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], stderr=subprocess.DEVNULL).returncode == 0


def mount(home, region, name, kind, options="defaults"):
    """Puts a file system into a machine's home; it is off meanwhile, since what is mounted later it does not see."""
    home.ok("vm", "stop", "--region", region, "--yes")
    os.makedirs(home.at(region, name), exist_ok=True)
    done = subprocess.run(["mount", "-t", kind, "-o", options, "none", home.at(region, name)], stderr=subprocess.DEVNULL)
    home.ok("vm", "start", "--region", region)
    return done.returncode == 0


def need():
    global cloud
    for tool in ("bwrap", "rsync", "rrsync", "ssh-keygen"):
        if not shutil.which(tool):
            raise e2e.Skip("%s is missing" % tool)
    if cloud is None:
        cloud = Cloud()
    return cloud


def put(path, content=b"x", mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(content)
    os.chmod(path, mode)


HOSTILE = [b"a b", b"new\nline", b";rm -rf x", b"$(id)", b"`id`", b"-rf", b"--", b"bad\xff\xfe", b"'q\"", b"back\\slash",
           b"*", b"\\#012", b"#", b"!", b"\x1b[31m", b".hidden", b"azlin:*deleting   x"]


def make_hostile(root):
    os.makedirs(root, exist_ok=True)
    raw = os.fsencode(root)
    for i, name in enumerate(HOSTILE):
        put(os.path.join(raw, name), b"content %d" % i, (0o644, 0o600, 0o755, 0o444)[i % 4])
        put(os.path.join(raw, b"d " + name, name), name)
    os.symlink(b"to \n nowhere", os.path.join(raw, b"dangling"))
    os.symlink(b"a b", os.path.join(raw, b"link\n"))
    os.symlink(b"/etc", os.path.join(raw, b"outside"))
    os.makedirs(os.path.join(raw, b"empty", b"deeper"))
    os.chmod(os.path.join(raw, b"empty"), 0o750)
    put(os.path.join(raw, b"zero"), b"")
    os.link(os.path.join(raw, b"zero"), os.path.join(raw, b"hard"))


def tree(root):
    """Everything below root: name -> type, mode, content or link target, seconds of the time."""
    found = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        if b".azlin-trash" in folders:
            folders.remove(b".azlin-trash")
        for name in folders + files:
            path = os.path.join(folder, name)
            s = os.lstat(path)
            key = os.path.relpath(path, os.fsencode(root))
            if stat.S_ISLNK(s.st_mode):
                found[key] = ("l", os.readlink(path))
            elif stat.S_ISDIR(s.st_mode):
                found[key] = ("d", stat.S_IMODE(s.st_mode))
            elif stat.S_ISREG(s.st_mode):
                with open(path, "rb") as f:
                    found[key] = ("f", stat.S_IMODE(s.st_mode), int(s.st_mtime), f.read())
    return found


def same(a, b):
    left, right = tree(a), tree(b)
    for key in sorted(set(left) | set(right)):
        assert left.get(key) == right.get(key), "%r: %r, %r" % (key, str(left.get(key))[:80], str(right.get(key))[:80])


def no_keys(home):
    """No job key on any machine, nothing open in the journal."""
    for region in home.folders:
        with open(home.at(region, ".ssh", "authorized_keys")) as f:
            assert "azlin-job" not in f.read(), "a job key is left on " + region
        jobs = home.at(region, ".local", "state", "azlin", "jobs")
        assert not os.path.isdir(jobs) or not os.listdir(jobs), "a private key is left on " + region
        left = [n for n in os.listdir(home.at(region, ".ssh")) if n.startswith("authorized_keys.")]
        assert not left, left


def transfers(home, target="westus2"):
    """Processes of rsync that send to this machine, and their ssh; other clouds may be at work beside."""
    found, address = [], home.addresses[target].encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                line = f.read()
        except OSError:
            continue
        if line.split(b"\0")[0] in (b"rsync", b"ssh") and address in line:
            found.append(line)
    return found


def result(reply, code=0):
    assert reply.code == code, "expected exit %d: %r" % (code, reply)
    return reply.json()["results"]


def plugin_file(*path):
    with open(os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "plugins", *path)) as f:
        return f.read()


def landing_script(name):
    """What sync-stream runs on the target, with the functions of the landing before it."""
    return plugin_file("common", "landing.sh") + plugin_file("sync-stream", name)


def fill(folder, count, first=0):
    for i in range(first, count):
        put(os.path.join(folder, "f%d" % i), b"%d" % i)


def clean_up():
    if cloud is not None:
        cloud.close()
