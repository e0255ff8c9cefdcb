# What a target runs while a sync is kept, see flow-sync-live.c. Arguments: the path, and the folder that it leads to. It
# reads frames, "KIND LENGTH\n" and so many bytes: "d" a piece of what live-source.py packs, which goes to a private
# stage, "c" with epochs and a digest: put it in place, "q" drop it. It answers "n" and why this is for the long way, or
# "z" behind what it has read back from where it stands now: "s" its digest, where it is the one that was expected, else
# "r" records and "h" hashes of all that was named. Nothing is opened or moved by a name that holds a folder: each is
# entered through no link. It ends with its input.
import signal
STAGE = b"live-"
MOST_HEAD, MOST_BYTES = 16384, 1 << 26
path, wanted = map(os.fsencode, sys.argv[1:])
class Input(Exception):
    pass
def split(name):
    above, _, last = name.rpartition(b"/")
    return above, last
def is_name(name):
    return name == b"." or (name.startswith(b"./") and not {b"", b".", b"..", PARTIAL, TRASH} & set(name.split(b"/")[1:]))
def number_of(name, find, number):
    try:
        return find(name.decode())[2]
    except (KeyError, UnicodeError):
        return int(number)
def own(file, owner, **how):
    # as its user's name is here; nobody but root can give it away
    if os.geteuid() == 0:
        uid, user, gid, group = owner.split(b":")
        os.chown(file, number_of(user, pwd.getpwnam, uid), number_of(group, grp.getgrnam, gid), **how)
class Stage:
    # what has arrived: a folder of this process's own inside the tree, its files under numbers
    def __init__(self, root):
        self.root, self.times = root, os.fstat(root)
        try:
            os.mkdir(PARTIAL, 0o700, dir_fd=root)
        except FileExistsError:
            pass
        self.partial = os.open(PARTIAL, SURE, dir_fd=root)
        if os.fstat(self.partial).st_uid != os.geteuid():
            os.close(self.partial)
            raise LongWay("the stage belongs to somebody else")
        os.fchmod(self.partial, 0o700)
        self.name = STAGE + b"%d" % os.getpid()
        os.mkdir(self.name, 0o700, dir_fd=self.partial)
        self.fd = os.open(self.name, SURE, dir_fd=self.partial)
    def drop(self):
        empty(self.partial, self.name)
        os.close(self.fd)
        os.close(self.partial)
        try:
            os.rmdir(PARTIAL, dir_fd=self.root)
        except OSError:
            return
        os.utime(self.root, ns=(self.times.st_atime_ns, self.times.st_mtime_ns))
def empty(above, name):
    fd = os.open(name, SURE, dir_fd=above)
    for last in os.listdir(fd):
        os.unlink(last, dir_fd=fd)
    os.close(fd)
    os.rmdir(name, dir_fd=above)
def sweep(root):
    # stages whose process was killed
    try:
        partial = os.open(PARTIAL, SURE, dir_fd=root)
    except OSError:
        return
    for name in os.listdir(os.fsencode("/proc/self/fd/%d" % partial)):
        pid = name[len(STAGE):]
        gone = pid.isdigit() and (int(pid) == os.getpid() or not os.path.exists(b"/proc/" + pid))
        if name.startswith(STAGE) and gone:
            empty(partial, name)
    os.close(partial)
class Copy:
    def __init__(self, root):
        self.root, self.stage, self.entries = root, None, []
        self.unpack, self.plain, self.file, self.left, self.bytes = zlib.decompressobj(), bytearray(), None, 0, 0
        self.folders, self.why = {b".": root}, None
    # ---- what arrives ----
    def take(self, piece):
        if self.stage is None:
            self.stage = Stage(self.root)
        self.plain += self.unpack.decompress(piece)
        while self.step():
            pass
    def step(self):
        if self.left > 0:
            part = bytes(self.plain[:self.left])
            del self.plain[:len(part)]
            self.left -= len(part)
            self.content(part)
            return bool(part)
        end = self.plain.find(b"\0", 0, MOST_HEAD)
        if end < 0:
            if len(self.plain) >= MOST_HEAD:
                raise LongWay("this is no copy of azlin")
            return False
        head = bytes(self.plain[:end])
        del self.plain[:end + 1]
        self.begin(head)
        return True
    def begin(self, head):
        kind, mode, mtime, size, owner, name = head.split(b" ", 5)
        mode, mtime, self.left = int(mode, 8) & 0o7777, int(mtime), int(size)
        self.bytes += self.left
        free = os.fstatvfs(self.root)
        if kind not in (b"d", b"f", b"l") or not is_name(name) or self.bytes > MOST_BYTES:
            raise LongWay("this is no copy of azlin")
        if free.f_blocks and self.bytes + self.bytes // 10 > free.f_bavail * free.f_frsize:
            raise LongWay("it does not fit")
        self.entries.append([kind, mode, mtime, name, b"", owner])
        if kind == b"f":
            self.file = os.open(self.number(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self.stage.fd)
        if self.left == 0:
            self.end()
    def number(self):
        return b"%d" % len(self.entries)
    def content(self, part):
        if self.file is None:
            self.entries[-1][4] += part
        else:
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(self.file, rest):]
        if self.left == 0:
            self.end()
    def end(self):
        kind, mode, mtime, _, link, owner = self.entries[-1]
        if kind == b"f":
            own(self.file, owner)
            os.fchmod(self.file, mode)
            os.utime(self.file, ns=(mtime, mtime))
            os.close(self.file)
            self.file = None
        if kind == b"l":
            os.symlink(link, self.number(), dir_fd=self.stage.fd)
            own(self.number(), owner, dir_fd=self.stage.fd, follow_symlinks=False)
            os.utime(self.number(), ns=(mtime, mtime), dir_fd=self.stage.fd, follow_symlinks=False)
    # ---- into place ----
    def folder(self, name):
        if name not in self.folders:
            above, last = split(name)
            fd = self.folders[name] = os.open(last, SURE, dir_fd=self.folder(above))
            if is_own(lambda: os.fstat(fd)):
                raise LongWay("that belongs to this machine alone")
        return self.folders[name]
    def place(self):
        for number, (kind, _, _, name, _, _) in enumerate(self.entries, 1):
            above, last = split(name)
            if kind != b"d":
                os.rename(b"%d" % number, last, src_dir_fd=self.stage.fd, dst_dir_fd=self.folder(above))
            elif name != b".":
                try:
                    os.mkdir(last, 0o700, dir_fd=self.folder(above))
                except FileExistsError:
                    pass
                self.folder(name)
        self.drop()
        for kind, mode, mtime, name, _, owner in reversed(self.entries):
            if kind == b"d":
                fd = self.folder(name)
                own(fd, owner)
                os.fchmod(fd, mode)
                os.utime(fd, ns=(os.fstat(fd).st_atime_ns, mtime))
    def commit(self, limits):
        *numbers, self.expected = limits.split()
        epoch, mine, whole = map(int, numbers)
        own, heard = map(int, epochs())
        if self.why is not None:
            raise LongWay(self.why)
        if max(own, heard) > epoch or own > mine or (whole and own < mine):
            raise LongWay("the epoch of its data is another one")
        if not self.unpack.eof or self.left > 0 or self.plain:
            raise LongWay("not all has arrived")
        if os.path.realpath(path) != wanted or not os.path.samestat(os.stat(path), os.fstat(self.root)):
            raise LongWay("the path leads elsewhere by now")
        self.place()
    # ---- what stands there now ----
    def tell(self):
        self.close()
        records, hashes, digest = [], [], hashlib.sha256()
        for entry in self.entries:
            records.append(self.record(entry[3], hashes, digest))
        if digest.hexdigest().encode() == self.expected:
            frame(b"s", self.expected)
        else:
            frame(b"r", b"".join(records))
            frame(b"h", b"".join(hashes))
        frame(b"z")
    def record(self, name, hashes, digest):
        above, last = split(name)
        facts = os.stat(last, dir_fd=self.folder(above), follow_symlinks=False) if above else os.fstat(self.root)
        kind, link, sum = b"d", b"", b""
        if stat.S_ISREG(facts.st_mode):
            kind = b"f"
            with open(os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self.folder(above)), "rb") as file:
                sum = hashlib.blake2b(file.read(MOST_BYTES), digest_size=32).hexdigest().encode()
                facts = os.fstat(file.fileno())
            hashes.append(sum + b"  " + name + b"\0")
        elif stat.S_ISLNK(facts.st_mode):
            kind, link = b"l", b"//" + os.readlink(last, dir_fd=self.folder(above))
        elif not stat.S_ISDIR(facts.st_mode):
            raise LongWay("something else stands there now")
        mtime = 0 if kind == b"l" else facts.st_mtime_ns
        mode, size = 0 if kind == b"l" else stat.S_IMODE(facts.st_mode), facts.st_size if kind == b"f" else 0
        digest.update(b"%s %o %d %d %s %s%s\0" % (kind, mode, size, mtime, sum, name, link))
        times = [b"%d.%09d" % divmod(ns, 10**9) for ns in (facts.st_mtime_ns, facts.st_ctime_ns)]
        return b"%s %o %d %s %s %d %d %d %s%s\0" % (kind, stat.S_IMODE(facts.st_mode), facts.st_size, *times, facts.st_ino,
                                                    facts.st_nlink, facts.st_blocks, name, link)
    def drop(self):
        stage, self.stage = self.stage, None
        if self.file is not None:
            os.close(self.file)
            self.file = None
        if stage is not None:
            stage.drop()
    def close(self):
        for name, fd in list(self.folders.items()):
            if fd != self.root:
                os.close(fd)
                del self.folders[name]
def read(size):
    parts = []
    while size > 0:
        part = os.read(0, min(size, 1 << 20))
        if not part:
            raise Input()
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
def head():
    line = b""
    while not line.endswith(b"\n"):
        line += read(1)
    kind, length = line.split()
    return kind, int(length)
def serve(copy, kind, payload):
    # returns the copy that goes on
    try:
        if kind == b"d" and copy.why is None:
            copy.take(payload)
        elif kind == b"c":
            copy.commit(payload)
            copy.tell()
    except (LongWay, OSError, ValueError, zlib.error) as error:
        copy.why = copy.why or str(error)
        copy.drop()
        if kind == b"c":
            frame(b"n", os.fsencode(copy.why))
    if kind == b"d":
        return copy
    copy.drop()
    copy.close()
    return Copy(copy.root)
def main():
    for number in signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE:
        signal.signal(number, lambda *_: sys.exit(0))
    os.umask(0o077)
    root = os.open(wanted, SURE)
    if os.path.realpath(wanted) != wanted:
        sys.exit(66)
    sweep(root)
    copy = Copy(root)
    try:
        while True:
            copy = serve(copy, *(lambda kind, length: (kind, read(length)))(*head()))
    except Input:
        pass
    finally:
        copy.drop()
main()
