# What live-source.py and live-target.py have in common; it stands before each of them.
import grp, hashlib, os, pwd, stat, sys, zlib
SURE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
PARTIAL, TRASH = b".azlin-partial", b".azlin-trash"
home = os.path.realpath(os.fsencode(os.environ.get("HOME", "/")))
class LongWay(Exception):
    pass
def frame(kind, payload=b""):
    rest = memoryview(b"%s %d\n" % (kind, len(payload)) + payload)
    while rest:
        rest = rest[os.write(1, rest):]
def is_own(look):
    # what belongs to this machine alone; `look` finds the facts of what is asked about
    for below in b"/.ssh", b"/.local/state/azlin":
        try:
            if os.path.samestat(os.lstat(home + below), look()):
                return True
        except OSError:
            pass
    return False
def epochs():
    # of its data, and the highest that it has heard of: digits
    found = []
    for name in b"/epoch", b"/superseded":
        try:
            with open(home + b"/.local/state/azlin" + name, "rb") as file:
                text = file.read(32)
        except OSError:
            text = b""
        found.append(text[:len(text) - len(text.lstrip(b"0123456789"))] or b"0")
    return found
