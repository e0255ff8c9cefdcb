"""The cases that copies are measured in, each with its link, its data, its peers and the ratio that is aimed at."""
import collections
from peers import AZCOPY, CHECKSUM, RCLONE_PEER, RSYNC

# state: "empty" target; "same": both are equal and stay so; both are equal, and then the source changes before each copy, in
# some of its files ("edited") or inside of its one file ("overwritten")
Row = collections.namedtuple("Row", "key title link data state strategy goal peers options warm")


def row(key, title, link, data, strategy, goal, *peers, state="empty", options=(), warm=False):
    return Row(key, title, link, data, state, strategy, goal, peers, options, warm)


ROWS = (
    row("d2-blob-200", "one 500 MiB file through blobs", "200", "D2", "blob", 0.50, AZCOPY, RCLONE_PEER),
    row("d2-blob-1g", "one 500 MiB file through blobs", "1g", "D2", "blob", 0.40, AZCOPY, RCLONE_PEER),
    row("d2-blob-lan", "one 500 MiB file through blobs", "lan", "D2", "blob", 0.35, AZCOPY, RCLONE_PEER),
    row("d2-ssh-1g", "one 500 MiB file by SSH", "1g", "D2", "stream", 0.27, RSYNC),
    row("d2-ssh-200", "one 500 MiB file by SSH", "200", "D2", "stream", 1.0, RSYNC),
    row("d2s-lossy", "one 50 MiB file by SSH", "lossy", "D2s", "stream", 0.05, RSYNC),
    row("d5-cold", "100 of 10,000 files changed", "200", "D5", "auto", 0.35, RSYNC, state="edited"),
    row("d5-warm", "100 of 10,000 files changed, on kept sessions", "200", "D5", "auto", 0.10, RSYNC, state="edited",
        warm=True),
    row("d3-ssh-200", "a tree of 3,946 files by SSH", "200", "D3", "stream", 0.65, RSYNC),
    row("d3-blob-200", "a tree of 3,946 files through blobs", "200", "D3", "blob", 0.10, AZCOPY),
    row("d1-ssh-lan", "10,000 small files by SSH", "lan", "D1", "stream", 0.55, RSYNC),
    row("conduct-200", "what azlin itself takes while one machine sends 500 MiB to another", "200", "D2", "rsync", None),
    row("same-d1-200", "nothing changed in 10,000 files", "200", "D1", "auto", 1.05, RSYNC, state="same"),
    row("same-d1-lan", "nothing changed in 10,000 files", "lan", "D1", "auto", 1.05, RSYNC, state="same"),
    row("verify-d1-lan", "10,000 equal files read again", "lan", "D1", "auto", 1.05, CHECKSUM, state="same",
        options=("--verify",)),
    row("verify-d2-lan", "an equal file of 500 MiB read again", "lan", "D2", "auto", 1.05, CHECKSUM, state="same",
        options=("--verify",)),
)
