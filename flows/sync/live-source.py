# What the source runs while a sync is kept, see flow-sync-live.c. Arguments: the path, bytes and names that go at most,
# blanks to send with the news of a change. It hears of every change below the path (inotify), says "x" when there is
# one, and once more after a line "heard". A line "round" asks for what has changed since the last one, as far as the
# kernel has it by then. It says
# frames, "KIND LENGTH\n" and so many bytes: "u" it listens from now on, "x" something changed, "w" means nothing, "n"
# why this is for the long way, "d" a piece of what is to be copied (for live-target.py), "e" epochs, "r" records as
# scan.sh has them, and "- NAME" for what is gone, "h" hashes, "z" that was all. It ends with its input.
import ctypes, errno, select, struct
MODIFY, ATTRIB, CLOSED, FROM, TO, CREATE, DELETE, GONE, MOVED = 2, 4, 8, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800
OVERFLOW, IGNORED, ISDIR = 0x4000, 0x8000, 0x40000000
HEARD = MODIFY | ATTRIB | CLOSED | FROM | TO | CREATE | DELETE | GONE | MOVED | 0x7000000 # folders alone, through no link
NEVER = PARTIAL, TRASH
PIECE, TRIES = 8192, 3
path = os.fsencode(sys.argv[1])
most_bytes, most_names, blanks = map(int, sys.argv[2:])
libc = ctypes.CDLL(None, use_errno=True)
owners = {}
class Ears:
    def __init__(self):
        self.fd = libc.inotify_init1(0o4000)
        self.names, self.dirty, self.loud, self.lost = {}, set(), False, None
    def enter(self, top, new):
        stack = [top]
        while stack:
            name = stack.pop()
            if is_own(lambda: os.lstat(name)):
                continue
            watch = libc.inotify_add_watch(self.fd, name, HEARD)
            if watch < 0:
                why = ctypes.get_errno()
                if why in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    continue # its own news follow
                sys.exit("%s cannot be heard: %s" % (name, os.strerror(why)))
            self.names[watch] = name
            try:
                with os.scandir(name) as found:
                    for entry in found:
                        if entry.name in NEVER:
                            continue
                        if new:
                            self.dirty.add(entry.path)
                        if entry.is_dir(follow_symlinks=False):
                            stack.append(entry.path)
            except OSError:
                self.lost = b"a folder cannot be read"
    def leave(self, top):
        for watch, name in list(self.names.items()):
            if name == top or name.startswith(top + b"/"):
                libc.inotify_rm_watch(self.fd, watch)
                del self.names[watch]
    def take(self, watch, mask, last):
        if mask & OVERFLOW:
            self.lost, self.loud = b"more changed at once than the kernel keeps", True
        folder = self.names.get(watch)
        if folder is None or last in NEVER:
            return
        if mask & (IGNORED | GONE | MOVED):
            if folder == b".":
                sys.exit(3)
            if mask & IGNORED:
                del self.names[watch]
            return
        name = folder + b"/" + last if last else folder
        self.dirty.add(name)
        self.loud = self.loud or mask & ~(MODIFY | ISDIR) != 0
        if mask & (CREATE | DELETE | FROM | TO):
            self.dirty.add(folder)
        if mask & ISDIR and mask & FROM:
            self.leave(name)
        if mask & ISDIR and mask & (CREATE | TO):
            self.enter(name, True)
    def hear(self):
        while True:
            try:
                events = os.read(self.fd, 1 << 18)
            except BlockingIOError:
                break
            at = 0
            while at < len(events):
                watch, mask, _, length = struct.unpack_from("iIII", events, at)
                at += 16 + length
                self.take(watch, mask, events[at - length:at].rstrip(b"\0"))
        if len(self.dirty) > most_names:
            self.dirty.clear()
            self.lost = b"much has changed"
class Pack:
    def __init__(self, root, ears):
        self.root, self.ears, self.folders = root, ears, {b".": root}
        self.squeeze, self.waiting = zlib.compressobj(1), b""
        self.records, self.hashes, self.bytes = [], [], 0
    def folder(self, name):
        if name not in self.folders:
            above, _, last = name.rpartition(b"/")
            self.folders[name] = os.open(last, SURE, dir_fd=self.folder(above))
        return self.folders[name]
    def facts(self, name):
        if name == b".":
            return os.fstat(self.root)
        above, _, last = name.rpartition(b"/")
        try:
            return os.stat(last, dir_fd=self.folder(above), follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise
    def add(self, name, facts, kind, content):
        head = b"%s %o %d %d %s %s\0" % (kind, stat.S_IMODE(facts.st_mode), facts.st_mtime_ns, len(content), owner(facts), name)
        self.waiting += self.squeeze.compress(head + content)
        if len(self.waiting) >= PIECE:
            self.send()
        link = b"//" + content if kind == b"l" else b""
        times = [b"%d.%09d" % divmod(ns, 10**9) for ns in (facts.st_mtime_ns, facts.st_ctime_ns)]
        self.records.append(b"%s %o %d %s %s %d %d %d %s%s\0" % (
            kind, stat.S_IMODE(facts.st_mode), facts.st_size, *times, facts.st_ino, facts.st_nlink, facts.st_blocks, name, link))
    def send(self):
        for at in range(0, len(self.waiting), PIECE):
            frame(b"d", self.waiting[at:at + PIECE])
        self.waiting = b""
    def gone(self, name):
        self.records.append(b"- %s\0" % name)
    def file(self, name):
        above, _, last = name.rpartition(b"/")
        for _ in range(TRIES):
            fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self.folder(above))
            with open(fd, "rb", buffering=0) as file:
                facts = os.fstat(fd)
                if not stat.S_ISREG(facts.st_mode):
                    raise LongWay("it is another file by now")
                self.check(fd, facts)
                content = file.read(facts.st_size + 1) or b""
                after = os.fstat(fd)
            if (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns) == (len(content), after.st_mtime_ns, after.st_ctime_ns):
                break
        else:
            raise LongWay("it is being written")
        self.hashes.append(hashlib.blake2b(content, digest_size=32).hexdigest().encode() + b"  " + name + b"\0")
        self.add(name, facts, b"f", content)
    def check(self, fd, facts):
        self.bytes += facts.st_size
        if self.bytes > most_bytes:
            raise LongWay("much has changed")
        if facts.st_nlink > 1 or facts.st_blocks < facts.st_size // 512:
            raise LongWay("it has other names or holes")
        try:
            if any(name.startswith("user.") for name in os.listxattr(fd)):
                raise LongWay("it has attributes of its user")
        except OSError:
            pass
    def entry(self, name):
        if any(part in NEVER for part in name.split(b"/")) or is_own(lambda: os.lstat(name)):
            return
        facts = self.facts(name)
        if facts is None:
            self.gone(name)
        elif stat.S_ISDIR(facts.st_mode):
            self.add(name, facts, b"d", b"")
        elif stat.S_ISREG(facts.st_mode):
            self.file(name)
        elif stat.S_ISLNK(facts.st_mode):
            above, _, last = name.rpartition(b"/")
            self.add(name, facts, b"l", os.readlink(last, dir_fd=self.folder(above)))
        else:
            self.gone(name)
    def all(self, names):
        above = {name.rpartition(b"/")[0] for name in names}
        for name in sorted((names | above | {b"."}) - {b""}, key=lambda name: name.replace(b"/", b"\0")): # as azlin does
            self.entry(name)
        self.waiting += self.squeeze.flush()
        self.send()
        frame(b"e", b" ".join(epochs()))
        frame(b"r", b"".join(self.records))
        frame(b"h", b"".join(self.hashes))
        frame(b"z")
    def close(self):
        for fd in self.folders.values():
            if fd != self.root:
                os.close(fd)
def name_of(number, find):
    try:
        return find(number)[0].encode()
    except (KeyError, UnicodeError):
        return b""
def owner(facts):
    key = facts.st_uid, facts.st_gid
    if key not in owners:
        names = name_of(key[0], pwd.getpwuid), name_of(key[1], grp.getgrgid)
        owners[key] = b"%d:%s:%d:%s" % (key[0], names[0], key[1], names[1])
    return owners[key]
def answer(root, ears):
    ears.hear()
    names, ears.dirty, why, ears.lost, ears.loud = ears.dirty, set(), ears.lost, None, False
    pack = Pack(root, ears)
    try:
        if why is not None:
            raise LongWay(os.fsdecode(why))
        if not os.path.samestat(os.stat(path), os.fstat(root)):
            raise LongWay("the path leads elsewhere by now")
        pack.all(names)
    except (LongWay, OSError) as error:
        frame(b"n", os.fsencode(str(error)))
    pack.close()
def main():
    os.chdir(path)
    root, ears = os.open(b".", os.O_RDONLY | os.O_DIRECTORY), Ears()
    ears.enter(b".", False)
    frame(b"u")
    asked, told = b"", False
    while True:
        ready = select.select([0, ears.fd], [], [])[0]
        if ears.fd in ready:
            ears.hear()
        if 0 in ready:
            more = os.read(0, 4096)
            if not more:
                break
            *lines, asked = (asked + more).split(b"\n")
            for line in lines:
                told = False
                if line == b"round":
                    answer(root, ears)
        if ears.loud and not told:
            told, ears.loud = True, False
            frame(b"x")
            frame(b"w", b" " * blanks)
main()
