#!/usr/bin/env python3
"""azlin sync against rsync, azcopy and rclone: the same data, the same emulated link, in turns, in one run.

sync.py [--rows KEY,...] [--runs N] [--quick] [--strategy NAME] [--list] [--no-write]

Prints medians and ratios, and writes them into docs/benchmarks.md. --quick measures once and writes nothing."""
import argparse, os, statistics, subprocess, sys
import place

place.find()
import datasets, e2e, page, wan
from case import Case, Wrong
from rows import ROWS


def say(who, samples):
    wall, cpu, busy = (statistics.median(getattr(s, what) for s in samples) for what in ("wall", "cpu", "busy"))
    print("  %-16s %7.2f s (%.2f..%.2f)  CPU %5.2f s  host %.1f of %d cores busy" % (
        who, wall, min(s.wall for s in samples), max(s.wall for s in samples), cpu, busy / wall, os.cpu_count()), flush=True)
    return wall


def measured(row, strategy, options):
    """(samples of azlin, samples of each peer by its name, seconds of the operator's login), in turns."""
    ours, theirs = [], {peer.name: [] for peer in row.peers}
    with Case(row) as case:
        login = case.login()
        for _ in range(options.runs):
            if not options.peers_only:
                ours.append(case.azlin(strategy))
            for peer in row.peers:
                theirs[peer.name].append(case.peer(peer))
    return ours, theirs, login


def measure_row(row, options):
    """Measures, says and writes one row."""
    strategy = options.strategy or row.strategy
    ours, theirs, login = measured(row, strategy, options)
    medians = {name: say(name, samples) for name, samples in theirs.items()}
    if not ours:
        return
    wall, memory = say("azlin, " + strategy, ours), max(s.memory for s in ours)
    used = ", ".join(sorted({s.document()["results"][0]["strategy_used"] for s in ours}))
    print("  azlin itself: %.1f MiB, %.1f %% of a core, by %s" % (memory / 2**20, 100 * max(s.cpu / s.wall for s in ours), used))
    best = min(medians, key=medians.get, default=None)
    if best:
        print("  ratio %.3f, without the operator's login of %.2f s %.3f (goal: at most %.2f)" % (
            wall / medians[best], login, (wall - login) / medians[best], row.goal), flush=True)
    if not options.no_write:
        page.put("sync", page.line(row, used, ours, best, medians.get(best), login))


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
    help_text = subprocess.run([e2e.BIN, "sync", "--help"], stdout=subprocess.PIPE, text=True).stdout
    absent = [flag for flag in (*row.options, *(("--watch",) if row.warm else ())) if flag not in help_text]
    if absent:
        return "this azlin has no %s" % absent[0]
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
            measure_row(row, options)
        except (Wrong, AssertionError) as wrong:
            failed = True
            print("  FAILED: %s" % wrong, flush=True)
    sys.exit(1 if failed else 0)


main()
