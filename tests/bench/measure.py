"""One command under the clock: wall, CPU of its process tree, its peak of memory, and how busy the host was meanwhile."""
import os, subprocess, threading, time

SAMPLE_S = 0.05
TICKS = os.sysconf("SC_CLK_TCK")


class Sample:
    def __init__(self, wall=0.0, cpu=0.0, memory=0, busy=0.0, output="", code=0):
        self.wall, self.cpu, self.memory, self.busy, self.output, self.code = wall, cpu, memory, busy, output, code

    def __add__(self, other):
        """One after the other."""
        return Sample(self.wall + other.wall, self.cpu + other.cpu, max(self.memory, other.memory), self.busy + other.busy,
                      self.output + other.output, self.code or other.code)


def busy_seconds():
    """CPU seconds that the host has spent on anything so far."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq = map(int, f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


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


def run(argv, env=None, timeout=600):
    busy, start = busy_seconds(), time.perf_counter()
    child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, errors="replace")
    peak = Peak(child.pid)
    timer = threading.Timer(timeout, child.kill)
    timer.start()
    try:
        output = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
    finally:
        timer.cancel()
        memory = peak.end()
    return Sample(wall, used.ru_utime + used.ru_stime, memory, busy_seconds() - busy, output, child.returncode)
