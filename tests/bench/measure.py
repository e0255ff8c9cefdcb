"""One command under the clock: wall, CPU of its process tree, its peak of memory, and how busy the host was meanwhile."""
import json, os, subprocess, tempfile, threading, time
from accounts import FOLDER, seconds_on

SAMPLE_S = 0.05
TICKS = os.sysconf("SC_CLK_TCK")


class Sample:
    def __init__(self, wall=0.0, cpu=0.0, memory=0, busy=0.0, output="", errors="", code=0, parts=None):
        self.wall, self.cpu, self.memory, self.busy, self.code, self.parts = wall, cpu, memory, busy, code, parts or {}
        self.output, self.errors = output, errors

    def __add__(self, other):
        """One after the other."""
        return Sample(self.wall + other.wall, self.cpu + other.cpu, max(self.memory, other.memory), self.busy + other.busy,
                      self.output + other.output, self.errors + other.errors, self.code or other.code,
                      {part: self.parts.get(part, 0) + seconds for part, seconds in other.parts.items()})

    def document(self):
        return json.loads(self.output)


def busy_seconds():
    """CPU seconds that the host has spent on anything so far; ticks miss who wakes for less than one, as lines do."""
    if os.path.exists(os.path.join(FOLDER, "release_agent")):  # the group that holds all others
        return seconds_on(FOLDER)
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq = map(int, f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def busy_cores(seconds=1.0):
    """How many cores are busy while this program waits: other work on the host falsifies what is measured."""
    busy = busy_seconds()
    time.sleep(seconds)
    return (busy_seconds() - busy) / seconds


class Peak:
    """The most memory that one process has used; its own figure, which exec() begins anew."""

    def __init__(self, pid):
        self.pid, self.bytes, self.over = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.over.wait(SAMPLE_S):
            try:
                with open("/proc/%d/status" % self.pid) as f:
                    self.bytes = next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))
            except (OSError, StopIteration):
                pass

    def end(self):
        self.over.set()
        self.thread.join()
        return self.bytes


def run(argv, accounts, part, env=None, timeout=600):
    """As this part of the network's. Its output is kept in a file: whoever would read it along the way would take part in
    the measurement."""
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        before, busy, start = accounts.read(), busy_seconds(), time.perf_counter()
        child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 preexec_fn=lambda: accounts.join(part))
        peak = Peak(child.pid)
        timer = threading.Timer(timeout, child.kill)
        timer.start()
        try:
            _, status, used = os.wait4(child.pid, 0)
            wall, busy = time.perf_counter() - start, busy_seconds() - busy
            child.returncode = os.waitstatus_to_exitcode(status)
        finally:
            timer.cancel()
            memory = peak.end()
        out.seek(0)
        err.seek(0)
        return Sample(wall, used.ru_utime + used.ru_stime, memory, busy, out.read(), err.read(), child.returncode,
                      accounts.since(before))


def lines(argv, env=None):
    """(seconds, line) of its output as it comes."""
    start = time.perf_counter()
    with subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace") as child:
        for line in child.stdout:
            yield time.perf_counter() - start, line.rstrip()
    yield time.perf_counter() - start, "exit %d" % child.returncode
