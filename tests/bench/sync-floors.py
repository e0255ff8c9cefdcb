#!/usr/bin/env python3
"""What plain tools need for the same work: how much of a case's goal is left for whoever also looks, checks and reports.

sync-floors.py [--rows KEY,...] [--runs N] [--quick] [--list] [--no-write]

Each stands for a part that no copy can do without. None of them compares, resumes or verifies, but for the one that says
"hashed". Prints medians beside azlin's in the same turns, and writes them into docs/benchmarks.md."""
import os, statistics, subprocess
import place

place.find()
import kept, netns, page, session, wan
from case import Case
from peers import Peer
from rows import ROWS

CIPHER = "aes128-gcm@openssh.com"
SSH = 'ssh -c %s "$2"' % CIPHER
TAR = 'tar -C "$1" -cf - . | %s "tar -C \'$1\' -xf -"' % SSH
ZSTD = 'tar -C "$1" -cf - . | zstd -q -3 -T0 | %s "zstd -q -d | tar -C \'$1\' -xf -"' % SSH
CHANGED = 'tar -C "$1" -T changed -cf - | ssh -S kept "$2" "tar -C \'$1\' -xf -"'
HASH = "find . -type f -print0 | xargs -0 -P 2 b2sum >/dev/null"
HASHED = '%s; { cd "$1" && %s; } & %s "cd \'$1\' && %s"; wait' % (TAR, HASH, SSH, HASH)
# one connection has 2 MiB on the way at most
RANGES = """size=$(stat -c %%s "$1/big.bin"); part=$((size / %d + 1)); i=0
while [ $i -lt %d ]; do
  dd if="$1/big.bin" bs=1M skip=$((i * part)) count=$part iflag=skip_bytes,count_bytes status=none |
    %s "dd of='$1/big.bin' bs=1M seek=$((i * part)) oflag=seek_bytes conv=notrunc status=none" &
  i=$((i + 1))
done; wait"""


class Plain(Peer):
    """A script at the source; $1 the path of the copy, $2 the target."""

    def __init__(self, name, script):
        self.name, self.script = name, script

    def commands(self, lab, path):
        return [("source", lab.on(wan.SOURCE, "sh", "-c", self.script, "sh", path, netns.ADDRESSES[wan.TARGET]))]


class OfWhatChanged(Plain):
    """Over a connection that stands already."""

    def ready(self, lab):
        address = netns.ADDRESSES[wan.TARGET]
        subprocess.run(lab.on(wan.SOURCE, "ssh", "-O", "exit", "-S", "kept", address), stderr=subprocess.DEVNULL)
        netns.run(*lab.on(wan.SOURCE, "ssh", "-M", "-S", "kept", "-N", "-f", "-c", CIPHER, address))

    def commands(self, lab, path):
        source, target = (lab.at(region, path) + "/" for region in (wan.SOURCE, wan.TARGET))
        changed = netns.run("rsync", "-rtn", "--out-format=%n", source, target)
        names = os.path.join(lab.machines[wan.SOURCE].home, "changed")
        with open(names, "w") as f:
            f.write("".join(name + "\n" for name in changed.split("\n") if name and not name.endswith("/")))
        return super().commands(lab, path)


FLOORS = {
    "d5-warm": (OfWhatChanged("`tar` of what changed, by an ssh that stands", CHANGED),),
    "d1-ssh-lan": (Plain("`tar` by ssh", TAR), Plain("`tar` by ssh, then hashed on both sides", HASHED)),
    "d3-ssh-200": (Plain("`tar`, `zstd -3 -T0` by ssh", ZSTD),),
    "d2-ssh-1g": tuple(Plain("%d range%s, `dd` by ssh" % (n, "s"[n == 1:]), RANGES % (n, n, SSH)) for n in (4, 8)),
    "d2-ssh-200": tuple(Plain("%d range%s, `dd` by ssh" % (n, "s"[n == 1:]), RANGES % (n, n, SSH)) for n in (1, 4)),
}


def measure_row(row, options):
    with Case(row) as case:
        ours, theirs, login = kept.in_turns(case, options.runs, row.strategy, (*row.peers, *FLOORS[row.key]))
    wall = statistics.median(s.wall for s in ours) - login
    peer = statistics.median(s.wall for s in theirs[row.peers[0].name])
    print("  azlin without the operator's login %.2f s, goal %.2f s, %s %.2f s" % (
        wall, row.goal * peer, row.peers[0].name, peer))
    for plain in FLOORS[row.key]:
        ratio = "%.3f" % (statistics.median(s.wall for s in theirs[plain.name]) / peer)
        print("  %-40s %s = %s of %s; CPU %.1f s" % (plain.name, page.spread(theirs[plain.name]), ratio, row.peers[0].name,
                                                     statistics.median(s.busy for s in theirs[plain.name])), flush=True)
        if not options.no_write:
            page.put("floors", ["`%s`" % row.key, plain.name, page.spread(theirs[plain.name]), ratio, "%.2f s" % wall,
                                "%.2f s" % (row.goal * peer)])


def main():
    options = session.options(__doc__, "rows", list(FLOORS))
    session.run([row for row in ROWS if row.key in options.keys], options, lambda row: measure_row(row, options))


main()
