"""CPU seconds by part of the network that is measured, where cgroups (version 1) count them: who is the bottleneck."""
import fcntl, glob, os

FOLDER = "/sys/fs/cgroup/cpuacct"
PREFIX = "azlin-bench-"


def hold(folder):
    """A hold on the group that ends with this process at the latest; None: another process has it."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return held
    except OSError:
        os.close(held)
        return None


def remove(folder, held):
    try:
        os.rmdir(folder)
    except OSError:
        pass  # a process is about to end in it; the next bench finds it empty
    os.close(held)


def sweep():
    """Removes the groups of benches that were killed."""
    for folder in glob.glob(os.path.join(FOLDER, PREFIX + "*")):
        held = hold(folder)
        if held is not None:
            remove(folder, held)


def seconds_on(folder):
    with open(os.path.join(folder, "cpuacct.usage")) as f:
        return int(f.read()) / 1e9


class Accounts:
    """One group a part; without cgroups nothing is counted."""

    def __init__(self, owner, parts):
        self.folders, self.held = {}, {}
        sweep()
        for part in parts if os.access(FOLDER, os.W_OK) else ():
            self.folders[part] = os.path.join(FOLDER, "%s%s-%s" % (PREFIX, owner, part))
            os.mkdir(self.folders[part])
            self.held[part] = hold(self.folders[part])

    def join(self, part):
        """Puts the calling process, and what it starts from now on, on this account."""
        if part in self.folders:
            with open(os.path.join(self.folders[part], "cgroup.procs"), "w") as f:
                f.write("0")

    def read(self):
        return {part: seconds_on(folder) for part, folder in self.folders.items()}

    def since(self, before):
        return {part: now - before[part] for part, now in self.read().items()}

    def close(self):
        for part, folder in self.folders.items():
            remove(folder, self.held[part])
        self.folders = {}
