"""What the benchmarks of copies have in common: their options, their namespaces, and that one case's failure ends no other."""
import argparse, os, sys
import datasets, measure, wan
from case import Wrong

QUIET = 0.2  # cores that other work may keep busy


def options(doc, things, keys):
    """The command line; `things` is what its --rows or --cells choose from, all of `keys` by default."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--" + things, metavar="KEY,...", dest="keys", help="only these")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="how often each is measured (default: 3)")
    parser.add_argument("--quick", action="store_true", help="once, and nothing is written")
    parser.add_argument("--strategy", metavar="NAME", help="instead of the one that the case names")
    parser.add_argument("--peers-only", action="store_true", help="without azlin")
    parser.add_argument("--timeline", action="store_true", help="azlin's events of one copy and their seconds; no measurement")
    parser.add_argument("--list", action="store_true", help="the cases, and no measurement")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md alone")
    found = parser.parse_args()
    found.keys = found.keys.split(",") if found.keys else list(keys)
    unknown = [key for key in found.keys if key not in keys]
    if unknown:
        parser.error("no such case: %s; --list shows them" % ", ".join(unknown))
    if found.quick:
        found.runs, found.no_write = 1, True
    return found


def run(cases, chosen, each):
    """each(case) for all of them; the exit status says whether all went well."""
    if chosen.list:
        for case in cases:
            print("%-14s %s, %s" % (case.key, case.title, wan.LINKS[case.link][0]))
        return
    reason = wan.enter()
    if reason:
        print("skipped: " + reason)
        sys.exit(77)
    datasets.make()
    failed, others = False, measure.busy_cores()
    if others > QUIET:
        print("other work keeps %.1f of this host's %d cores busy: what follows is preliminary" % (others, os.cpu_count()))
    for case in cases:
        print("%s: %s, %s" % (case.key, case.title, wan.LINKS[case.link][0]), flush=True)
        try:
            each(case)
        except (Wrong, AssertionError) as wrong:
            failed = True
            print("  FAILED: %s" % wrong, flush=True)
        except KeyboardInterrupt:
            sys.exit(130)
    sys.exit(1 if failed else 0)
