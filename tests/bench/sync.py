#!/usr/bin/env python3
"""azlin sync against rsync, azcopy and rclone: the same data, the same emulated link, in turns, in one run.

sync.py [--rows KEY,...] [--runs N] [--quick] [--strategy NAME] [--peers-only] [--timeline] [--list]
        [--no-write]

Prints medians and ratios, and writes them into docs/benchmarks.md. --quick measures once and writes nothing."""
import statistics, subprocess
import place

place.find()
import e2e, kept, page, session, wan
from case import Case
from rows import ROWS


def say(who, samples):
    wall, busy = (statistics.median(getattr(s, what) for s in samples) for what in ("wall", "busy"))
    parts = {part: statistics.median(s.parts[part] for s in samples) for part in samples[0].parts}
    others = "; others %.1f" % (busy - sum(parts.values())) if parts else ""
    print("  %-16s %7.2f s (%.2f..%.2f)  CPU s: %s%s" % (
        who, wall, min(s.wall for s in samples), max(s.wall for s in samples),
        ", ".join("%s %.1f" % pair for pair in parts.items()), others), flush=True)
    return wall


def say_results(results):
    """Which strategies it was, and how well they were foreseen."""
    used = ", ".join(sorted({r["strategy_used"] for r in results}))
    print("  by %s: moving the bytes took %.2f s of it, predicted were %.2f s" % (used, *(
        statistics.median(r.get(key) or 0 for r in results) for key in ("transfer_seconds", "predicted_seconds"))))
    return used


def show_timeline(row, strategy):
    with Case(row) as case:
        for seconds, event in case.timeline(strategy):
            if '"event":"progress"' not in event and '"event":"target"' not in event:
                print("  %7.3f %s" % (seconds, event))


def measure_row(row, options):
    """Measures, says and writes one row."""
    reason = left_out(row, options)
    if reason:
        print("  left out: " + reason)
        return
    strategy = options.strategy or row.strategy
    if options.timeline:
        show_timeline(row, strategy)
        return
    with Case(row) as case:
        ours, theirs, login = kept.in_turns(case, options.runs, None if options.peers_only else strategy, row.peers)
    medians = {name: say(name, samples) for name, samples in theirs.items()}
    if not ours:
        return
    wall, memory = say("azlin, " + strategy, ours), max(s.memory for s in ours)
    print("  azlin itself: %.1f MiB, %.1f %% of a core" % (memory / 2**20, 100 * max(s.cpu / s.wall for s in ours)))
    used = "watching" if row.warm else say_results([s.document()["results"][0] for s in ours])
    best = min(medians, key=medians.get, default=None)
    if best:
        print("  ratio %.3f, without the operator's login of %.2f s %.3f (goal: at most %.2f)" % (
            wall / medians[best], login, (wall - login) / medians[best], row.goal), flush=True)
    if not options.no_write:
        page.put("sync", page.line(row, used, ours, best, medians.get(best), login))


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


def main():
    options = session.options(__doc__, "rows", [row.key for row in ROWS])
    session.run([row for row in ROWS if row.key in options.keys], options, lambda row: measure_row(row, options))


main()
