#!/usr/bin/env python3
"""What `azlin sync --strategy auto` chooses against every strategy by itself, over sets of data and links.

sync-auto.py [--cells DATA-LINK,...] [--runs N] [--quick] [--list] [--no-write]

Each cell measures all strategies and auto in turns, and all of them are shown. Goal: auto at most 1.1 of the best."""
import statistics
import place

place.find()
import page, session, wan
from case import Case, Wrong
from rows import row

GOAL = 1.1
CELLS = ("D1-lan", "D1-200", "D1s-200", "D1s-lossy", "D2-lan", "D2-200", "D2-1g", "D2s-lossy", "D3-lan", "D3-200", "D3-1g",
         "D4-lan", "D4-200", "D5-lan", "D5-200")
TITLES = {"D1": "10,000 files of 10 KiB", "D1s": "1,000 files of 10 KiB", "D2": "500 MiB in one file",
          "D2s": "50 MiB in one file", "D3": "a tree of 3,946 files", "D4": "1 % of one 500 MiB file changed",
          "D5": "100 of 10,000 files changed"}
STATES = {"D4": "overwritten", "D5": "edited"}


def cell(name):
    data, link = name.split("-")
    return row(name, TITLES[data], link, data, "auto", GOAL, state=STATES.get(data, "empty"))


def measured(one, names, runs):
    """Samples of each strategy; a strategy that cannot do this job has none, and the reason is said."""
    samples, given_up = {name: [] for name in names}, set()
    with Case(one) as case:
        for _ in range(runs):
            for name in names:
                if name in given_up:
                    continue
                try:
                    samples[name].append(case.azlin(name))
                except Wrong as wrong:
                    given_up.add(name)
                    print("  %s gives up: %s" % (name, str(wrong)[-300:]), flush=True)
                    if name == "auto":
                        raise
    return {name: found for name, found in samples.items() if name not in given_up}


def measure_cell(one, options):
    names = [*place.strategies(), "auto"]
    samples = measured(one, names, options.runs)
    walls = {name: statistics.median(s.wall for s in found) for name, found in samples.items()}
    forced = {name: wall for name, wall in walls.items() if name != "auto"}
    best = min(forced, key=forced.get)
    used = ", ".join(sorted({s.document()["results"][0]["strategy_used"] for s in samples["auto"]}))
    ratio = walls["auto"] / forced[best]
    print("  %s; auto took %s; %.2f of the best, %s%s" % (
        ", ".join("%s %.2f s" % pair for pair in walls.items()), used, ratio, best, "" if ratio <= GOAL else " <-- MISSED"),
        flush=True)
    if not options.no_write:
        page.put("auto", [one.title, wan.LINKS[one.link][0], *("%.2f s" % walls[n] if n in walls else "-" for n in place.KNOWN),
                          "%.2f s (%s)" % (walls["auto"], used), "%.2f" % ratio])
    return ratio


def main():
    options = session.options(__doc__, "cells", CELLS)
    ratios = []
    try:
        session.run([cell(name) for name in options.keys], options, lambda one: ratios.append(measure_cell(one, options)))
    finally:
        if ratios:
            print("auto to the best of each of %d cells: worst %.2f, median %.2f (goal: at most %.1f)" % (
                len(ratios), max(ratios), statistics.median(ratios), GOAL))


main()
