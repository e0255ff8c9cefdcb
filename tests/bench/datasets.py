"""The data sets that copies are measured with, made once in memory and the same on every machine that has Debian's headers.

D1  10,000 files of 10 KiB in 100 folders, half of them random, half of them text; D1s: a tenth of it
D2  one random file of 500 MiB; D2s: 50 MiB of it
D3  a real tree of about 109 MB: /usr/include, and programs
D4  D2 of which 1 % is overwritten in place before each copy
D5  D1 of which 100 files are rewritten before each copy"""
import fcntl, glob, os, random, shutil, stat, subprocess

ROOT = "/dev/shm/azlin-bench-data-%d" % os.getuid()
FILES, FILE_SIZE, FOLDERS = 10000, 10240, 100
BIG = 500 * 1024 * 1024
BLOCK = 65536
HEADERS, TREE = 3922, 104 << 20  # files, bytes
LARGEST_HEADER, LARGEST_PROGRAM = 1_000_000, 4_000_000
NAMES = ("D1", "D1s", "D2", "D2s", "D3")


def small_name(number):
    return "d%02d/f%05d" % (number % FOLDERS, number)


def make_small(folder, rng):
    text = bytearray()
    for path in sorted(glob.glob("/usr/include/**/*.h", recursive=True))[:3000]:
        if os.path.isfile(path):
            with open(path, "rb") as f:
                text += f.read()
    noise = rng.randbytes(FILES // 2 * FILE_SIZE)
    for i in range(FILES):
        path = os.path.join(folder, small_name(i))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        start = i // 2 * FILE_SIZE if i % 2 else (i * FILE_SIZE * 7) % (len(text) - FILE_SIZE)
        with open(path, "wb") as f:
            f.write((noise if i % 2 else text)[start:start + FILE_SIZE])


def make_big(path, rng):
    os.makedirs(os.path.dirname(path))
    with open(path, "wb") as f:
        for _ in range(BIG >> 20):
            f.write(rng.randbytes(1 << 20))


def headers():
    """The first of /usr/include in the order of their names; links to them count as files."""
    found = []
    for folder, folders, files in os.walk("/usr/include", followlinks=True):
        folders.sort()
        paths = [os.path.join(folder, name) for name in sorted(files)]
        found += [path for path in paths if os.path.isfile(path) and os.path.getsize(path) < LARGEST_HEADER]
        if len(found) >= HEADERS:
            break
    return found[:HEADERS]


def make_tree(folder):
    """Headers, then the largest programs below the limit until the tree has its size."""
    total = 0
    for path in headers():
        copy = os.path.join(folder, "include", os.path.relpath(path, "/usr/include"))
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copy2(path, copy)
        total += os.path.getsize(copy)
    os.mkdir(os.path.join(folder, "bin"))
    programs = [e for e in os.scandir("/usr/bin") if stat.S_ISREG(e.stat(follow_symlinks=False).st_mode)]
    for entry in sorted(programs, key=lambda e: (-e.stat().st_size, e.name)):
        if entry.stat().st_size < LARGEST_PROGRAM and total < TREE:
            shutil.copy2(entry.path, os.path.join(folder, "bin"))
            total += entry.stat().st_size


def make_all(root):
    rng = random.Random(7)

    def at(name):
        return os.path.join(root, name)
    make_small(at("D1"), rng)
    os.mkdir(at("D1s"))
    for i in range(FOLDERS // 10):
        shutil.copytree(at("D1/d%02d" % i), at("D1s/d%02d" % i))
    make_big(at("D2/big.bin"), rng)
    os.mkdir(at("D2s"))
    with open(at("D2/big.bin"), "rb") as whole, open(at("D2s/big.bin"), "wb") as part:
        part.write(whole.read(BIG // 10))
    make_tree(at("D3"))
    subprocess.run(["chmod", "-R", "a+rX", root], check=True)


def make():
    """The folder that holds all of them; made where it is missing, by one process at a time."""
    os.makedirs(ROOT, mode=0o755, exist_ok=True)
    with open(os.path.join(ROOT, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = os.path.join(ROOT, "complete")
        if not os.path.exists(done):
            for name in NAMES:
                shutil.rmtree(os.path.join(ROOT, name), ignore_errors=True)
            make_all(ROOT)
            open(done, "w").close()
    return ROOT


# ---- what changes before a copy ----

def overwrite_blocks(path, rng):
    with open(path, "r+b") as f:
        for _ in range(BIG // 100 // BLOCK):
            f.seek(rng.randrange(BIG // BLOCK) * BLOCK)
            f.write(rng.randbytes(BLOCK))


def rewrite_files(folder, rng, count=100):
    """Other content of the same size, as an editor leaves it: this is the 1 % that changed."""
    for i in rng.sample(range(FILES), count):
        with open(os.path.join(folder, small_name(i)), "r+b") as f:
            f.write(rng.randbytes(4000))
