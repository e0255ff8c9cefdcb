"""Deployed machines for tests: real processes of provider-local, and a cloud on provider-sim's virtual clock."""
import glob, os, re, shutil, signal
import e2e

REGIONS = ("eastus", "westus2", "westeurope")
LOCAL = """[bricks]
provider=local
[health]
tcp-timeout=1
ssh-timeout=1
login-timeout=2
"""


def need_parts():
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for part in ("bwrap", "sshd", "ssh-keyscan"):
        if not shutil.which(part, path=path):
            raise e2e.Skip(part + " is not installed")


def gone(pid):
    """Ended; a zombie that nobody collects in this container has ended, too."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def machine_pid(home, region):
    """The first process of a machine of provider-local."""
    (path,) = glob.glob(os.path.join(home.path, "bricks/provider-local/*-%s-*/machine.ini" % region))
    with open(path) as f:
        return int(re.search(r"^pid=(\d+)", f.read(), re.M).group(1))


class Machines(e2e.Home):
    """What tests ask of any fleet."""

    def state(self):
        return self.ok("regions", "list", "-o", "json").json()

    def primary(self):
        found = [r["region"] for r in self.state()["regions"] if r["is_primary"]]
        assert len(found) == 1, found
        return found[0]

    def failover(self, *args):
        r = self.run("failover", "-o", "json", *args)
        return r, r.json()


class Fleet(Machines):
    """Deployed regions, looked at once, so that every vantage has a verdict to start from."""

    def __init__(self, *regions, config=LOCAL):
        need_parts()
        super().__init__(config)
        try:
            self.ok("deploy", "--regions", ",".join(regions))
            e2e.until(lambda: self.run("regions", "health").code == 0, "all machines are up on a busy host")
        except BaseException:
            self.close()
            raise

    def pid(self, region):
        return machine_pid(self, region)

    def signal(self, region, number):
        os.kill(self.pid(region), number)

    def kill(self, region):
        """The machine ends, and nobody asked for it."""
        pid = self.pid(region)
        os.kill(pid, signal.SIGKILL)
        e2e.until(lambda: gone(pid), "the machine's end")


class Cloud(Machines):
    """Three simulated regions with what happens to them; `faults` come into force when they are named."""

    def __init__(self, *regions, options="", failover=""):
        self.options, self.failover_options = options, failover
        super().__init__()
        self.prepare()
        self.faults()
        self.ok("deploy", "--regions", ",".join(regions or REGIONS))
        self.ok("regions", "health")

    def prepare(self):
        """Before anything stands."""

    def faults(self, *rules):
        script = os.path.join(self.root, "script")
        with open(script, "w") as f:
            f.write("".join(rule + "\n" for rule in rules))
        self.write_config("[bricks]\nprovider=sim\n[provider.sim]\nscript=%s\ncreate-seconds=5\npower-seconds=3\n%s\n"
                          "[failover.hybrid]\n%s\n" % (script, self.options, self.failover_options))

    def power(self, region):
        return self.run("vm", "status", "--region", region, "-o", "json").json()
