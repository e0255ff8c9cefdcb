"""What the source's ssh connects with: bbr while something gets lost, the usual way where nothing does; it ends with ssh."""
import os, shutil, socket, subprocess, tempfile
import e2e, netns
from e2e import until

DIAL = os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "plugins", "sync-stream", "dial.py")
CC_INFO = 26
CONGESTION = "/proc/sys/net/ipv4/tcp_%scongestion_control"
SSH = """import subprocess, sys, time
code = subprocess.call(["/usr/bin/python3", "-I", "-S", *sys.argv[1:]])
time.sleep(0 if code else 60)
sys.exit(code)"""
LOSS = "add table inet loss; add chain inet loss in { type filter hook input priority 0; }; " \
       "add rule inet loss in tcp dport %d numgen random mod 8 0 drop"


def need():
    """A network of this process's own, in which cubic is the usual way."""
    netns.need()
    with open(CONGESTION % "allowed_") as f:
        if not {"bbr", "cubic"} <= set(f.read().split()):
            raise e2e.Skip("bbr or cubic is not allowed here")
    netns.run("ip", "link", "set", "lo", "up")
    with open(CONGESTION % "", "w") as f:
        f.write("cubic")


class Line:
    """A connection that is made for a process that stands for ssh."""

    def __init__(self, dial=DIAL):
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        here, there = socket.socketpair()
        self.ssh = subprocess.Popen(["/usr/bin/python3", "-c", SSH, dial, "127.0.0.1", str(self.port), "0"], stdout=there)
        _, ancillary, _, _ = here.recvmsg(1, socket.CMSG_SPACE(4))
        self.near = socket.socket(fileno=int.from_bytes(ancillary[0][2], "little"))
        self.far, _ = listener.accept()
        for end in (here, there, listener):
            end.close()

    def congestion(self):
        return self.near.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()

    def carries(self):
        """Bytes a second, as bbr has seen it; 0: it has yet to look."""
        return int.from_bytes(self.near.getsockopt(socket.IPPROTO_TCP, CC_INFO, 20)[:8], "little")

    def close(self):
        self.ssh.kill()
        self.ssh.wait()
        self.near.close()
        self.far.close()


def test_bbr_comes_back_with_the_loss():
    need()
    line = Line()
    try:
        assert line.congestion() == "bbr"
        assert line.near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        until(lambda: line.congestion() == "cubic", "nothing gets lost", 10)
        netns.run("nft", LOSS % line.port)

        def back():
            line.near.sendall(bytes(10000))
            line.far.recv(1 << 20)
            return line.congestion() == "bbr"
        until(back, "something got lost")
    finally:
        netns.run("nft", "flush ruleset")
        line.close()


def test_bbr_looks_anew_where_another_line_has_ended():
    need()
    with tempfile.TemporaryDirectory() as folder:
        line = Line(shutil.copy(DIAL, folder))
        try:
            for _ in range(20):
                line.near.sendall(bytes(1000))
                line.far.recv(1000)
            assert line.carries() > 0
            with open(os.path.join(folder, "freed"), "a") as f:
                f.write("\n")
            until(lambda: line.carries() == 0, "it looks anew", 2)
            assert line.congestion() == "bbr"
        finally:
            line.close()


def test_what_sshd_says_is_acknowledged_at_once():
    need()
    line = Line()
    try:
        def quick():
            return line.near.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)

        for _ in range(20):  # the kernel takes it for a talk, in which an answer will acknowledge
            line.far.sendall(b"said")
            line.near.sendall(line.near.recv(4))
            line.far.recv(4)
        until(quick, "the next word is acknowledged by itself", 1)
    finally:
        line.close()


def test_the_connection_ends_with_ssh():
    need()
    line = Line()
    try:
        line.near.close()  # this test's own hold of it
        line.far.settimeout(5)
        line.ssh.kill()
        assert line.far.recv(1) == b""
    finally:
        line.close()


def test_nobody_there_is_said():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        r = subprocess.run(["/usr/bin/python3", "-c", SSH, DIAL, "127.0.0.1", str(s.getsockname()[1]), "0"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=30)
    assert r.returncode == 1 and r.stderr.startswith("it cannot be reached: "), r


netns.enter()
e2e.main(globals())
