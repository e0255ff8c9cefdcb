"""What a process costs, as the kernel and azlind's own figures say."""
import os, re
from metrics import Unix, ask, parse

TICKS = os.sysconf("SC_CLK_TCK")


def seconds_of(pid):
    """Of CPU so far."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mib(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Rss")) / 1024


class Stalls:
    """Turns of the main loop since the last look, by azlind's own histogram."""
    NAME = "azlin_main_loop_stall_seconds"

    def __init__(self, path):
        self.path, self.before = path, {}

    def read(self):
        samples = parse(ask(Unix(self.path))[1])
        now = {re.search('le="(.*)"', key)[1]: value for key, value in samples.items() if key.startswith(self.NAME + "_bucket")}
        turns = {bound: value - self.before.get(bound, 0) for bound, value in now.items()}
        self.before = now
        every = turns["+Inf"]
        return "p99.9 <= %s s of %d turns" % (next(bound for bound, n in turns.items() if n >= 0.999 * every), every)
