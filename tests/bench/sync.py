#!/usr/bin/env python3
"""azlin sync against rsync, azcopy and rclone: the same data, the same emulated link, in turns, in one run.

sync.py [--rows KEY,...] [--runs N] [--quick] [--strategy NAME] [--list] [--no-write]

Prints medians and ratios, and writes them into docs/benchmarks.md. --quick measures once and writes nothing."""
import argparse, os, random, shutil, statistics, subprocess, sys
import place

place.find()
import datasets, e2e, measure, netns, page, wan
from rows import ROWS

TIMEOUT_S = 600


class Wrong(Exception):
    """A copy that failed or is not one."""


class Case:
    """One row under way: its network, what stands there before each copy, and the copies."""

    def __init__(self, row, strategy):
        self.row, self.strategy = row, strategy or row.strategy
        self.lab = wan.Wan(row.link, place.config())
        self.path = ("/work/" if row.state == "edited" else "/data/") + row.data
        self.source, self.target = (self.lab.at(region, self.path) for region in (wan.SOURCE, wan.TARGET))
        self.rng = random.Random(11)
        self.settle()

    def settle(self):
        """What stands before the first copy."""
        if self.row.state == "edited":
            self.copy("D1", self.source)
        if self.row.state != "empty":
            self.copy("D1" if self.row.state == "edited" else self.row.data, self.target)
        self.kept = os.path.join(self.lab.root, "kept")
        shutil.copytree(self.lab.path, self.kept)

    def copy(self, data, folder):
        subprocess.run(["cp", "-a", os.path.join(datasets.ROOT, data), folder], check=True)
        subprocess.run(["chown", "-R", "%d:%d" % (netns.UID, netns.UID), folder], check=True)

    def before(self, through_store):
        if self.row.state == "edited":
            datasets.rewrite_files(self.source, self.rng)
        if self.row.state == "empty":
            shutil.rmtree(self.target, ignore_errors=True)
            os.mkdir(self.target)
            os.chown(self.target, netns.UID, netns.UID)
            self.forget()
        if through_store:
            self.lab.start_store()

    def forget(self):
        """azlin knows nothing of earlier copies, neither here nor on the machines."""
        shutil.rmtree(self.lab.path)
        shutil.copytree(self.kept, self.lab.path)
        for machine in self.lab.machines.values():
            shutil.rmtree(os.path.join(machine.home, ".local"), ignore_errors=True)

    def check(self, sample, who):
        if sample.code != 0:
            raise Wrong("%s: exit %d: %s" % (who, sample.code, sample.output[-1500:]))
        found = subprocess.run(["diff", "-rq", "--no-dereference", self.source, self.target], stdout=subprocess.PIPE, text=True)
        if found.returncode != 0:
            raise Wrong("%s: not the same: %s" % (who, found.stdout[:1500]))

    def azlin(self):
        self.before(self.strategy in ("blob", "auto"))
        argv = [*self.lab.within("op"), e2e.BIN, "sync", "-o", "json", "--source", wan.SOURCE, "--dest", wan.TARGET, "--paths",
                self.path, "--strategy", self.strategy, *self.row.options]
        sample = measure.run(argv, self.lab.env(), TIMEOUT_S)
        self.check(sample, "azlin")
        return sample

    def peer(self, peer):
        self.before(peer.through_store)
        peer.ready(self.lab)
        sample = measure.Sample()
        for argv in peer.commands(self.lab, self.path):
            sample += measure.run(argv, timeout=TIMEOUT_S)
        self.check(sample, peer.name)
        return sample

    def login(self):
        """The operator's own way in: connect, key exchange, authentication, one echo."""
        argv = [*self.lab.within("op"), e2e.BIN, "regions", "health", "--region", wan.SOURCE]
        return statistics.median(measure.run(argv, self.lab.env()).wall for _ in range(3))


def say(who, samples):
    walls = [s.wall for s in samples]
    print("  %-20s %7.2f s (%.2f..%.2f)  CPU %.2f s  %.1f MiB  host's CPU %.1f s" % (
        who, statistics.median(walls), min(walls), max(walls), statistics.median(s.cpu for s in samples),
        max(s.memory for s in samples) / 2**20, statistics.median(s.busy for s in samples)), flush=True)
    return statistics.median(walls)


def measure_row(row, options):
    case = Case(row, options.strategy)
    try:
        ours, theirs = [], {peer.name: [] for peer in row.peers}
        login = case.login()
        for _ in range(options.runs):
            if not options.peers_only:
                ours.append(case.azlin())
            for peer in row.peers:
                theirs[peer.name].append(case.peer(peer))
    finally:
        case.lab.close()
    medians = {name: say(name, samples) for name, samples in theirs.items()}
    if not ours:
        return None
    wall = say("azlin, " + case.strategy, ours)
    best = min(medians, key=medians.get)
    print("  ratio %.3f, without the operator's login of %.2f s %.3f (goal: at most %.2f)" % (
        wall / medians[best], login, (wall - login) / medians[best], row.goal), flush=True)
    return page.line(row, case.strategy, ours, medians[best], best, login)


def chosen(options):
    keys = options.rows.split(",") if options.rows else [row.key for row in ROWS]
    unknown = set(keys) - {row.key for row in ROWS}
    if unknown:
        sys.exit("no such row: %s; --list shows them" % ", ".join(sorted(unknown)))
    return [row for row in ROWS if row.key in keys]


def left_out(row, options):
    """Why this row cannot be measured here, or None."""
    strategy = options.strategy or row.strategy
    if not options.peers_only and strategy not in ("auto", *place.strategies()):
        return "this azlin has no strategy " + strategy
    if row.warm:
        return "azlin keeps no sessions yet"
    if any(peer.through_store for peer in row.peers) and wan.missing():
        return "%s is missing (tools/install-bench-peers.sh)" % wan.missing()
    return None


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", metavar="KEY,...", help="only these")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="how often each is measured (default: 3)")
    parser.add_argument("--quick", action="store_true", help="once, and nothing is written")
    parser.add_argument("--strategy", metavar="NAME", help="instead of the one that the row names")
    parser.add_argument("--peers-only", action="store_true", help="without azlin")
    parser.add_argument("--list", action="store_true", help="the rows, and no measurement")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md alone")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.no_write = 1, True
    return options


def main():
    options = parse()
    if options.list:
        for row in ROWS:
            print("%-14s %s, %s" % (row.key, row.title, wan.LINKS[row.link][0]))
        return
    datasets.make()
    reason = wan.enter()
    if reason:
        print("skipped: " + reason)
        sys.exit(77)
    failed = False
    for row in chosen(options):
        print("%s: %s, %s" % (row.key, row.title, wan.LINKS[row.link][0]), flush=True)
        reason = left_out(row, options)
        if reason:
            print("  left out: " + reason)
            continue
        try:
            line = measure_row(row, options)
        except (Wrong, AssertionError) as wrong:
            failed = True
            print("  FAILED: %s" % wrong, flush=True)
            continue
        if line and not options.no_write:
            page.put("sync", line)
    sys.exit(1 if failed else 0)


main()
