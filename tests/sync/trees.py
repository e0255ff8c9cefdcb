"""Random trees with hostile names for the tests of sync: made, changed, and looked at without azlin's help."""
import collections, hashlib, os, shutil, stat

HOSTILE = [b"a b", b"new\nline", b";rm -rf x", b"$(id)", b"`id`", b"-rf", b"--", b"bad\xff\xfe", b"'q\"", b"back\\slash",
           b"*", b"\\#012", b"#", b"!", b"\x1b[31m", b".hidden", b"\xc3\xa9t\xc3\xa9", b"~", b"[a]", b"?", b" lead", b"end ",
           b"tab\there", b"\\134", b"x" * 200]
STAGE, TRASH = b".azlin-partial", b".azlin-trash"
SKIPPED = b".skip"  # names that end so are left out where a round excludes
FILE_MODES = (0o644, 0o644, 0o600, 0o755, 0o444, 0o640)
FOLDER_MODES = (0o755, 0o755, 0o700, 0o750)

Entry = collections.namedtuple("Entry", "kind mode mtime size sum inode")


def skipped(name):
    return any(part.endswith(SKIPPED) for part in name.split(b"/"))


def digest(path):
    with open(path, "rb") as f:
        return hashlib.blake2b(f.read(), digest_size=16).hexdigest()


def look(root):
    """name -> Entry of all below root, and of root itself as b"."; trash and stages are left out."""
    found = {}
    if not os.path.isdir(root):
        return found
    found[b"."] = entry_of(root)
    for folder, folders, files in os.walk(root):
        for own in (STAGE, TRASH):
            if own in folders:
                folders.remove(own)
        for name in folders + files:
            path = os.path.join(folder, name)
            try:
                found[os.path.relpath(path, root)] = entry_of(path)
            except FileNotFoundError:  # a copy that was killed has ends that are still at work
                continue
    return found


def entry_of(path):
    s = os.lstat(path)
    if stat.S_ISLNK(s.st_mode):
        return Entry("l", 0, 0, 0, os.readlink(path), s.st_ino)
    if stat.S_ISDIR(s.st_mode):
        return Entry("d", stat.S_IMODE(s.st_mode), s.st_mtime_ns, 0, None, s.st_ino)
    if stat.S_ISREG(s.st_mode):
        return Entry("f", stat.S_IMODE(s.st_mode), s.st_mtime_ns, s.st_size, digest(path), s.st_ino)
    return Entry("?", s.st_mode, 0, 0, None, s.st_ino)


def stages(root):
    """Folders that stand only while something is copied."""
    return [os.path.join(folder, STAGE) for folder, folders, _ in os.walk(root) if STAGE in folders]


def differences(source, target, excluding):
    """Names that do not stand on the target as on the source, hard links too; what the target has more is not one."""
    wrong, links = [], collections.defaultdict(set)
    for name, one in source.items():
        other = target.get(name)
        if excluding and skipped(name):
            continue
        if other is None or one[:5] != other[:5]:
            wrong.append(name)
        elif one.kind == "f":
            links[one.inode].add(other.inode)
    for name, one in source.items():
        if one.kind == "f" and len(links[one.inode]) > 1:
            wrong.append(name)
    return wrong


class Maker:
    """Draws trees and changes to them from `rng` alone."""

    def __init__(self, rng, big=True):
        self.rng, self.big = rng, big
        self.n = 0

    def name(self):
        self.n += 1
        if self.rng.random() < 0.4:
            return self.rng.choice(HOSTILE) + (b"" if self.rng.random() < 0.5 else b"%d" % self.n)
        return b"n%d%s" % (self.n, SKIPPED if self.rng.random() < 0.1 else b"")

    def content(self):
        rng = self.rng
        size = rng.choice([0, 1, 100, 3000, 3000, 20000, 20000, rng.randint(60000, 300000)])
        return rng.randbytes(size) if rng.random() < 0.7 else (rng.randbytes(16) * (size // 16 + 1))[:size]

    def time(self):
        rng = self.rng
        return rng.choice([rng.randint(0, 2 * 10 ** 18), 1700000000 * 10 ** 9, 1700000000 * 10 ** 9 + rng.randint(0, 999) * 10 ** 6,
                           -rng.randint(1, 10 ** 18) if rng.random() < 0.2 else 1600000000 * 10 ** 9 + 1])

    def write(self, path, content):
        with open(path, "wb") as f:
            f.write(content)
        self.dress(path, FILE_MODES)

    def dress(self, path, modes):
        os.chmod(path, self.rng.choice(modes))
        time = self.time()
        os.utime(path, ns=(time, time))

    def fill(self, folder, depth):
        rng = self.rng
        for _ in range(rng.randint(0, 6)):
            path = os.path.join(folder, self.name())
            if not os.path.lexists(path):
                self.write(path, self.content())
        for _ in range(rng.randint(0, 3) if depth < 6 else 0):
            path = os.path.join(folder, self.name())
            if not os.path.lexists(path):
                os.mkdir(path)
                self.fill(path, depth + 1)
        if rng.random() < 0.4:
            path = os.path.join(folder, b"link" + self.name())
            if not os.path.lexists(path):
                os.symlink(rng.choice([b"nowhere\n", b"/etc", b"../..", b"n1", b"/home/azureuser/canary", b"."]), path)
        self.dress(folder, FOLDER_MODES)

    def make(self, root):
        os.makedirs(root)
        self.write(os.path.join(root, b"first"), b"first")
        self.fill(root, 0)
        deep = os.path.join(root, *([b"deep"] * self.rng.randint(1, 30)))
        os.makedirs(deep, exist_ok=True)
        self.write(os.path.join(deep, b"down here"), self.content())
        if self.big:
            self.write(os.path.join(root, b"big"), self.rng.randbytes(self.rng.randint(1 << 20, 6 << 20)))
        if self.rng.random() < 0.5:
            with open(os.path.join(root, b"sparse"), "wb") as f:
                f.truncate(1 << 20 if not self.big else 8 << 20)
                f.seek(300000)
                f.write(self.rng.randbytes(5000))
        files = self.files(root)
        for i in range(self.rng.randint(0, 3)):
            os.link(self.rng.choice(files), os.path.join(self.rng.choice(self.folders(root)), b"hard%d" % i))

    def files(self, root):
        return sorted(os.path.join(root, n) for n, e in look(root).items() if e.kind == "f")

    def folders(self, root):
        return sorted(os.path.normpath(os.path.join(root, n)) for n, e in look(root).items() if e.kind == "d")

    def change(self, root):
        """What a project goes through between two copies, and what a copy finds hard to see."""
        rng = self.rng
        for _ in range(rng.randint(0, 12)):
            files = self.files(root)
            if len(files) < 2:
                break
            path = rng.choice(files)
            rng.choice([self.rewrite, self.rewrite_unseen, self.rewrite_unseen, self.patch, self.append, self.remove,
                        self.rename, self.become_folder, self.touch, self.add])(path)
        if rng.random() < 0.3:
            folder = rng.choice(self.folders(root))
            if folder != root:
                shutil.rmtree(folder)
                if rng.random() < 0.5:
                    self.write(folder, b"a file where a folder was")

    def rewrite(self, path):
        self.write(path, self.content())

    def rewrite_unseen(self, path):
        """Same size, same time to the nanosecond."""
        s = os.stat(path)
        with open(path, "r+b") as f:
            f.write(self.rng.randbytes(min(s.st_size, 1 << 20)))
        os.utime(path, ns=(s.st_atime_ns, s.st_mtime_ns))

    def patch(self, path):
        size = os.path.getsize(path)
        with open(path, "r+b") as f:
            f.seek(self.rng.randint(0, size))
            f.write(self.rng.randbytes(50))

    def append(self, path):
        with open(path, "ab") as f:
            f.write(self.rng.randbytes(self.rng.randint(1, 5000)))

    def remove(self, path):
        os.unlink(path)

    def rename(self, path):
        os.rename(path, os.path.join(os.path.dirname(path), b"moved" + self.name()))

    def become_folder(self, path):
        os.unlink(path)
        os.mkdir(path)
        self.write(os.path.join(path, b"inside"), self.content())

    def touch(self, path):
        self.dress(path, FILE_MODES)

    def add(self, path):
        self.write(os.path.join(os.path.dirname(path), b"added" + self.name()), self.content())

    def extras(self, root):
        """What only the target has."""
        for i in range(self.rng.randint(0, 3)):
            self.write(os.path.join(self.rng.choice(self.folders(root)), b"extra%d" % i), self.content())
        if self.rng.random() < 0.3:
            folder = os.path.join(self.rng.choice(self.folders(root)), b"extra folder")
            if not os.path.lexists(folder):
                os.mkdir(folder)
                self.write(os.path.join(folder, b"kept" + SKIPPED if self.rng.random() < 0.3 else b"e"), b"e")
