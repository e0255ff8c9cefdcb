"""How many lines the direct road keeps: the source's own script, with a stand-in for ssh that carries so many bytes a second to the
target's own script."""
import os, subprocess, tempfile
import e2e
from e2e import until
from machines import landing_script, plugin_file, put

RATE, LARGE, RTT_MS = 3 << 20, 60 << 20, 80
SSH = """#!/usr/bin/python3
import os, subprocess, sys, time
target = subprocess.Popen(["sh", os.environ["RECEIVE"], os.environ["TARGET"], "run-1"], stdin=subprocess.PIPE)
while data := sys.stdin.buffer.read1(65536):
    time.sleep(len(data) / %d)
    target.stdin.write(data)
    target.stdin.flush()
target.stdin.close()
sys.exit(target.wait())
""" % RATE


class Copy:
    """Of one large file, on a way of which 2 MiB fill a line."""

    def __init__(self, root, lines):
        self.stream = os.path.join(root, "job", "stream")
        for name in ("target", "job"):
            os.mkdir(os.path.join(root, name))
        put(root + "/source/large", os.urandom(LARGE))
        put(root + "/bin/ssh", SSH.encode(), 0o700)
        put(root + "/receive", landing_script("receive.sh").encode())
        env = dict(os.environ, PATH="%s/bin:%s" % (root, os.environ["PATH"]), RECEIVE=root + "/receive", TARGET=root + "/target")
        argv = ["sh", "-c", plugin_file("sync-stream", "send.sh"), "azlin", root + "/job/key", root + "/job/known", "user@host", "22",
                root + "/source", str(lines), str(lines), "0", "0", str(RTT_MS), ""]
        self.process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.process.stdin.write(b"./large\0")
        self.process.stdin.close()

    def leaving(self):
        """How many lines have been told to end."""
        try:
            return sum(name.startswith("off.") for name in os.listdir(self.stream))
        except FileNotFoundError:  # it has yet to begin
            return 0

    def ended(self):
        """Lines that have, as the others are told."""
        try:
            return os.stat(os.path.join(self.stream, "freed")).st_size
        except FileNotFoundError:
            return 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def test_those_beyond_what_the_rate_needs_go_at_once():
    # four lines carry 12 MiB a second, for which one of 2 MiB in 80 ms is enough
    with tempfile.TemporaryDirectory(dir=e2e.SCRATCH) as root, Copy(root, 4) as copy:
        until(lambda: copy.leaving() > 0, "lines go", 30)
        until(lambda: copy.leaving() == 3, "all but one", 0.9)
        until(lambda: copy.ended() == 3, "the one that stays is told that they have gone", 30)
        assert copy.process.wait(120) == 0


os.makedirs(e2e.SCRATCH, mode=0o700, exist_ok=True)
e2e.main(globals())
