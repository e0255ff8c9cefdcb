"""Support of the end-to-end tests: a home of its own per test, the real azlin program, TAP on stdout."""
import json, os, re, shutil, signal, subprocess, sys, tempfile, time, traceback

BIN = os.environ["AZLIN_BIN"]
SCRATCH = os.environ["AZLIN_TEST_DIR"]


class Skip(Exception):
    """Raised by a test that this machine's rights or parts forbid; says which."""


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return "exit %d\n--- stdout\n%s\n--- stderr\n%s" % (self.code, self.out, self.err)


class Home:
    """One $AZLIN_HOME and one azlin.conf; destroyed with everything azlin made in it."""

    def __init__(self, config="[bricks]\nprovider=sim\n"):
        os.makedirs(SCRATCH, mode=0o700, exist_ok=True)
        self.root = tempfile.mkdtemp(dir=SCRATCH)
        self.path = os.path.join(self.root, "home")
        self.config = os.path.join(self.root, "azlin.conf")
        self.write_config(config)

    def write_config(self, text):
        with open(self.config, "w") as f:
            f.write(text)
        os.chmod(self.config, 0o600)

    def env(self, **extra):
        # LeakSanitizer's own tracer dies now and then beside an ending thread, and takes the exit code with it; the C
        # tests look for leaks. AZLIN_E2E_LEAKS=1 looks for them here, too.
        if not os.environ.get("AZLIN_E2E_LEAKS"):
            extra.setdefault("ASAN_OPTIONS", "detect_leaks=0")
        env = dict(os.environ, AZLIN_HOME=self.path, AZLIN_CONFIG=self.config, NO_COLOR="1", HOME=self.root)
        env.update(extra)
        return env

    def popen(self, *args, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([BIN, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=self.env(**kw.pop("env", {})), text=True, **kw)

    def run(self, *args, timeout=120, **kw):
        p = self.popen(*args, **kw)
        out, err = p.communicate(timeout=timeout)
        return Result(p.returncode, out, err)

    def ok(self, *args, **kw):
        r = self.run(*args, **kw)
        assert r.code == 0, "azlin %s: %r" % (" ".join(args), r)
        return r

    def close(self):
        self.run("destroy", "--yes")
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def until(condition, what, seconds=60):
    """Asks again after as long as the asking took, at least: who asks without a rest keeps a busy host busy."""
    begun = asked = time.monotonic()
    while not condition():
        now = time.monotonic()
        assert now < begun + seconds, "not within %g s: %s" % (seconds, what)
        time.sleep(max(0.02, now - asked))
        asked = time.monotonic()


def main(namespace):
    """Runs every test_* function of the module and prints TAP; of those named on the command line, or of every share
    ("2/3": the second of three, which run side by side)."""
    names = [n for n in namespace if n.startswith("test_") and callable(namespace[n])]
    share = re.fullmatch(r"(\d+)/(\d+)", sys.argv[1]) if sys.argv[1:] else None
    if share:
        names = names[int(share[1]) - 1::int(share[2])]
    elif sys.argv[1:]:
        names = [n for n in names if n in sys.argv[1:]]
    # whoever ends a test that takes too long lets it take down what it has put up
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print("1..%d" % len(names), flush=True)
    failed = 0
    for number, name in enumerate(names, 1):
        try:
            namespace[name]()
            print("ok %d %s" % (number, name), flush=True)
        except Skip as reason:
            print("ok %d %s # SKIP %s" % (number, name, reason), flush=True)
        except Exception:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print("not ok %d %s" % (number, name), flush=True)
    sys.exit(1 if failed else 0)
