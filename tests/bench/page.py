"""The tables of docs/benchmarks.md that benchmarks write themselves: one line a case, found again by its first two cells."""
import os, statistics
import wan

PAGE = os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "docs", "benchmarks.md")


def spread(samples):
    walls = [s.wall for s in samples]
    return "%.2f s (%.2f..%.2f)" % (statistics.median(walls), min(walls), max(walls))


def line(row, strategy, ours, peer, peer_wall, login):
    wall = statistics.median(s.wall for s in ours)
    ratios = ("%.2f s, `%s`" % (peer_wall, peer), "%.3f" % (wall / peer_wall), "%.3f" % ((wall - login) / peer_wall),
              "%.2f" % row.goal) if peer else ("", "", "", "64 MiB, 10 %")
    return ["%s (`%s`)" % (row.title, row.key), wan.LINKS[row.link][0], "%s, %s" % (spread(ours), strategy), *ratios,
            "%.1f %%, %.1f MiB" % (100 * max(s.cpu / s.wall for s in ours), max(s.memory for s in ours) / 2**20)]


def cells(text):
    return [cell.strip() for cell in text.strip().strip("|").split("|")]


def put(table, new):
    """Replaces the line of this case, or adds it; other lines stay as they were measured."""
    with open(PAGE) as f:
        text = f.read()
    begin, end = "<!-- %s: begin -->\n" % table, "<!-- %s: end -->\n" % table
    before, rest = text.split(begin)
    lines, after = rest.split(end)
    lines = lines.splitlines()
    written = "| %s |" % " | ".join(new)
    same = [i for i, old in enumerate(lines) if cells(old)[:2] == new[:2]]
    if same:
        lines[same[0]] = written
    else:
        lines.append(written)
    with open(PAGE + ".new", "w") as f:
        f.write(before + begin + "\n".join(lines) + "\n" + end + after)
    os.replace(PAGE + ".new", PAGE)
