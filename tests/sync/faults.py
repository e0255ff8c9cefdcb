"""What goes wrong while a sync runs: connections cut, processes killed, a full disk, a writer, an attacker, signals."""
import ctypes, hashlib, os, random, signal, socket, struct, threading, time
from trees import STAGE, TRASH, digest

EXCHANGE = 2  # of renameat2
libc = ctypes.CDLL(None, use_errno=True)


def exchange(a, b):
    """Both names change places in one instant; FALSE where one of them is gone."""
    return libc.renameat2(-100, a, -100, b, EXCHANGE) == 0


def processes(machine):
    """pid -> command line of all that run on a machine, but for the server that is its first process."""
    found = {}
    try:
        space = os.readlink("/proc/%d/ns/pid" % machine)
    except OSError:
        return found
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(pid) != machine and os.readlink("/proc/%s/ns/pid" % pid) == space:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    found[int(pid)] = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return {pid: line for pid, line in found.items() if line}


class Proxy:
    """Stands before a machine's server on the same address. Armed, it cuts what runs through it once so many bytes have
    passed, several times in a row; else it only passes on."""

    def __init__(self, address, port):
        self.to, self.lock = (address, port), threading.Lock()
        self.pairs, self.budgets, self.left = set(), [], None
        self.server = socket.create_server((address, 0), backlog=64)
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                here, _ = self.server.accept()
            except OSError:
                return
            try:
                there = socket.create_connection(self.to, timeout=10)
            except OSError:
                here.close()
                continue
            there.settimeout(None)
            pair = (here, there)
            for one in pair: # before it can be cut: that would end this thread
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.pairs.add(pair)
            for a, b in ((here, there), (there, here)):
                threading.Thread(target=self.pump, args=(a, b, pair), daemon=True).start()

    def pump(self, a, b, pair):
        try:
            while data := a.recv(32768):
                cut = self.spend(len(data))
                b.sendall(data[:cut] if cut is not None else data)
                if cut is not None:
                    self.cut_all()
                    return
            b.shutdown(socket.SHUT_WR)
        except OSError:
            self.drop(pair)

    def spend(self, n):
        """How many of these bytes still pass; None = all."""
        with self.lock:
            if self.left is None:
                return None
            self.left -= n
            if self.left > 0:
                return None
            over = n + self.left
            self.left = self.budgets.pop() if self.budgets else None
            return max(over, 0)

    def arm(self, budgets):
        with self.lock:
            self.budgets = list(budgets)
            self.left = self.budgets.pop()

    def calm(self):
        with self.lock:
            self.budgets, self.left = [], None

    def drop(self, pair):
        with self.lock:
            self.pairs.discard(pair)
        for one in pair:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def cut_all(self):
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            for one in pair:
                try:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                except OSError:
                    pass
            self.drop(pair)

    def close(self):
        self.server.close()
        self.cut_all()


class Fault(threading.Thread):
    """Works beside a sync from start() to end()."""

    def __init__(self, rng):
        super().__init__(daemon=True)
        self.rng, self.over, self.error = random.Random(rng.random()), threading.Event(), None

    def run(self):
        try:
            self.work()
        except Exception as error:  # seen by end()
            self.error = error

    def end(self):
        self.over.set()
        self.join()
        self.undo()
        if self.error is not None:
            raise self.error

    def undo(self):
        pass


class Killer(Fault):
    """Ends processes of a machine, which cannot see it coming."""

    def __init__(self, rng, machines, span):
        super().__init__(rng)
        self.machines, self.span, self.killed = machines, span, []

    def work(self):
        for _ in range(self.rng.randint(1, 3)):
            if self.over.wait(self.rng.random() * self.span):
                return
            alive = processes(self.rng.choice(self.machines))
            if alive:
                pid = self.rng.choice(sorted(alive))
                try:
                    os.kill(pid, signal.SIGKILL)
                    self.killed.append(alive[pid][:60])
                except ProcessLookupError:
                    pass


class Filler(Fault):
    """Fills the target's disk at a random instant."""

    def __init__(self, rng, folder, span):
        super().__init__(rng)
        self.path, self.span = os.path.join(folder, b"filler"), span

    def work(self):
        self.over.wait(self.rng.random() * self.span)
        with open(self.path, "wb", buffering=0) as f:
            try:
                while not self.over.is_set():
                    f.write(b"x" * 4096)
            except OSError:
                pass

    def undo(self):
        if os.path.exists(self.path):
            os.unlink(self.path)


class Writer(Fault):
    """Changes files of the source, also so that size and time stay as they were. Keeps every content that ever was."""

    def __init__(self, rng, root, names, span):
        super().__init__(rng)
        self.root, self.names, self.span = root, names, span
        self.versions = {}    # name -> digests
        self.in_place = set()  # names whose content was, for a moment, no version at all
        self.touched = set()

    def work(self):
        end = time.monotonic() + self.rng.random() * self.span * 2
        pause = self.rng.choice([0.001, 0.01, 0.05])
        while self.names and time.monotonic() < end and not self.over.wait(self.rng.random() * pause):
            name = self.rng.choice(self.names)
            path = os.path.join(self.root, name)
            self.touched.add(name)
            try:
                self.rng.choice([self.rewrite, self.rewrite, self.append, self.replace, self.remove])(name, path)
            except FileNotFoundError:
                self.replace(name, path)

    def keep(self, name, content):
        self.versions.setdefault(name, set()).add(hashlib.blake2b(content, digest_size=16).hexdigest())

    def names_of(self, path):
        """All names in the tree that the file has."""
        s = os.stat(path)
        if s.st_nlink > 1:
            for folder, _, names in os.walk(self.root):
                for name in names:
                    other = os.path.join(folder, name)
                    if os.path.samestat(os.lstat(other), s):
                        yield os.path.relpath(other, self.root)

    def write_in_place(self, name, path):
        self.in_place |= {name, *self.names_of(path)}

    def rewrite(self, name, path):
        s = os.stat(path)
        content = self.rng.randbytes(min(s.st_size, 400000))
        self.write_in_place(name, path)
        with open(path, "r+b") as f:
            f.write(content)
            f.truncate(len(content))
        if self.rng.random() < 0.6:
            os.utime(path, ns=(s.st_atime_ns, s.st_mtime_ns))
        self.keep(name, content)

    def append(self, name, path):
        self.write_in_place(name, path)
        with open(path, "ab") as f:
            f.write(self.rng.randbytes(100))
        self.versions.setdefault(name, set()).add(digest(path))

    def replace(self, name, path):
        content = self.rng.randbytes(self.rng.randint(0, 9000))
        self.keep(name, content)
        temporary = self.root + b".new"
        with open(temporary, "wb") as f:
            f.write(content)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.rename(temporary, path)

    def remove(self, name, path):
        os.unlink(path)


class Attacker(Fault):
    """Exchanges folders of the target with links that lead out of it, and back, as fast as it can."""

    def __init__(self, rng, root, corner, outside):
        super().__init__(rng)
        self.root, self.link, self.outside, self.swaps = root, os.path.join(corner, b"link"), outside, 0

    def pick(self):
        folders = []
        for folder, below, _ in os.walk(self.root):
            folders += [os.path.join(folder, name) for name in below if not os.path.islink(os.path.join(folder, name))]
            below[:] = [name for name in below if name not in (STAGE, TRASH)]  # into these nobody else can look
            if len(folders) > 30:
                break
        return self.rng.choice(folders) if folders else None

    def have_link(self):
        if os.path.lexists(self.link) and not os.path.islink(self.link):
            os.rename(self.link, self.link + b".%d" % self.swaps)
        if not os.path.lexists(self.link):
            os.symlink(self.outside, self.link)

    def work(self):
        while not self.over.is_set():
            victim = self.pick()
            if victim is None:
                time.sleep(0.002)
                continue
            self.have_link()
            for _ in range(self.rng.choice([1, 20, 200])):
                if self.over.is_set() or not exchange(victim, self.link):
                    break
                self.swaps += 1
                time.sleep(self.rng.choice([0, 0, 0.0005, 0.01]))
                self.put_back(victim)

    def put_back(self, victim):
        """The folder stands at its place again, or what azlin has made there since."""
        if os.path.islink(victim) and not os.path.islink(self.link):
            exchange(victim, self.link)

    def undo(self):
        if os.path.islink(self.link):
            os.unlink(self.link)
