"""Connections that stay (plugins/sync-blob/lanes.py): the program against a real Azurite, and in the midst of copies."""
import hashlib, os, random, re, shutil, signal, socketserver, subprocess, threading, time
import azurite, blob, e2e, machines, pace
from blob import Alone, big, need, need_store, nothing_left, script
from faults import Proxy
from machines import fill, put, result, same

MIB = 1 << 20


class Stalling(Proxy):
    """A proxy in which one connection can be made to hang."""

    def __init__(self, port):
        self.stalled, self.passed = None, {}
        super().__init__("127.0.0.1", port)

    def pump(self, a, b, pair):
        try:
            while data := a.recv(32768):
                while self.stalled is pair:
                    time.sleep(0.05)
                self.passed[pair, a is pair[0]] = self.passed.get((pair, a is pair[0]), 0) + len(data)
                b.sendall(data)
            b.shutdown(2)
        except OSError:
            self.drop(pair)

    def carrying(self, up, before):
        """What each connection has carried that way in all, of those that have carried on since."""
        return {pair: n for (pair, way), n in self.passed.items() if way == up and n > before.get((pair, way), 0) + 100000}

    def stall(self, up):
        """Of what has carried the most that way and still carries."""
        before = dict(self.passed)
        e2e.until(lambda: self.carrying(up, before), "a connection that carries on: the copy was too quick", 20)
        moved = self.carrying(up, before)
        self.stalled = max(moved, key=moved.get)


class Lanes:
    """The program alone, on a folder of its own."""

    def __init__(self, way, url, folder, check="md5", count=1, **env):
        os.makedirs(os.path.join(folder, "big"), exist_ok=True)
        self.way, self.folder, self.said, self.changed = way, folder, [], threading.Condition()
        with open(os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "plugins", "sync-blob", "lanes.py")) as f:
            program = f.read()
        self.process = subprocess.Popen(["/usr/bin/python3", "-I", "-S", "-c", program, way, folder, check, str(count), url],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **env})
        threading.Thread(target=self.read, daemon=True).start()
        self.url = url

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.said.append(line.strip())
                self.changed.notify_all()

    def order(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def aim(self, container):
        self.order("base %s/%s" % (self.url, container))
        self.order("sas " + blob.store.account_query())

    def file(self, number=0):
        return os.path.join(self.folder, "big", str(number))

    def until(self, pattern, seconds=20):
        with self.changed:
            found = self.changed.wait_for(lambda: [m for m in map(re.compile(pattern).match, self.said) if m], seconds)
            assert found, "no %s in %r" % (pattern, self.said)
            return found[0]

    def land(self, *sizes):
        for number, size in enumerate(sizes):
            self.order("whole %d %d" % (number, size))
        self.order("land")
        assert self.process.wait(20) == 0
        path = os.path.join(self.folder, "sum.0")
        return open(path).read().strip() if os.path.exists(path) else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


def scratch(name):
    return os.path.join(e2e.SCRATCH, "lanes-%d-%s" % (os.getpid(), name))


class Container:
    def __init__(self):
        self.name = "lanes-%d" % time.monotonic_ns()
        need_store().make(self.name)

    def __enter__(self):
        return self.name

    def __exit__(self, *_):
        blob.store.request("DELETE", "/%s?restype=container" % self.name)


def test_chunks_go_up_and_come_down():
    with Container() as name:
        for check in ("md5", "crc"):
            data = random.Random(1).randbytes(3 * MIB + 17)
            with Lanes("put", blob.store.url, scratch("up"), check, 2) as up, \
                    Lanes("get", blob.store.url, scratch("down"), check, 2) as down:
                put(up.file(), data)
                for lanes in (up, down):
                    lanes.aim(name)
                    for k in (1, 0): # the end is longer than the file is by now: as many bytes as were told
                        lanes.order("run %d 0 %d 0 %d %d" % (k, k, k * 2 * MIB, (2 * MIB, MIB + 100)[k]))
                    for k in (0, 1):
                        assert lanes.until("@end %d (.)" % k)[1] == "0", lanes.said
                for k in (0, 1):
                    sums = {lanes.until(r"@(sum|got) 0 %d (\S{32})" % k)[2] for lanes in (up, down)}
                    assert len(sums) == 1, sums
                assert open(down.file(), "rb").read() == data + bytes(83)
                assert down.land(3 * MIB + 100) == hashlib.sha256(data + bytes(83)).hexdigest()


def test_what_was_written_over_or_is_not_whole_is_not_told():
    with Container() as name:
        for case in ("same", "other", "gap", "longer"):
            with Lanes("get", blob.store.url, scratch("twice")) as down:
                down.aim(name)
                for k in (0, 1):
                    assert blob.store.put(name, "b/0/%d" % k, bytes([k]) * MIB) == 201
                for k in (0, 1)[:1 if case == "gap" else 2]:
                    down.order("run %d 0 %d 0 %d %d" % (k, k, k * MIB, MIB))
                    down.until("@end %d 0" % k)
                if case == "other":
                    assert blob.store.put(name, "b/0/0", b"X" * MIB) == 201
                down.order("run 7 0 0 0 0 %d" % MIB)
                down.until("@end 7 0")
                told = down.land(2 * MIB + (case == "longer"))
                assert (told is not None) == (case == "same"), (case, told)


def test_what_is_gone_or_of_another_length_is_said():
    with Container() as name, Lanes("get", blob.store.url, scratch("gone")) as down:
        down.aim(name)
        down.order("run 1 0 5 0 0 100")
        down.until("@bad 0 5 404")
        down.until("@end 1 1")
        assert blob.store.put(name, "b/0/6", b"short") == 201
        down.order("run 2 0 6 0 0 100")
        assert down.until(r"@got 0 6 (\S+) 2")[1] == "0" * 32
        down.until("@end 2 1")
        down.order("run 3 0 6 0 0 5") # the connection is good again
        down.until("@end 3 0")


def test_a_connection_that_the_service_closed_is_no_failure():
    need_store()
    proxy = Stalling(blob.store.port)
    with Container() as name, Lanes("put", "http://127.0.0.1:%d/%s" % (proxy.port, azurite.ACCOUNT), scratch("closed")) as up:
        put(up.file(), b"x" * 1000)
        up.aim(name)
        for k in range(3):
            up.order("run %d 0 %d 0 0 1000" % (k, k))
            up.until("@end %d 0" % k)
            proxy.cut_all()
        assert not any(line.startswith("@say") for line in up.said), up.said
        proxy.to = ("127.0.0.1", azurite.free_port()) # nobody is there
        up.order("run 8 0 8 0 0 1000")
        up.until("@say .")
        up.until("@end 8 1")
    proxy.close()


class Service(socketserver.ThreadingTCPServer):
    """Answers requests with 201, but asks `then` before, by their turn on their connection: "end" ends that."""
    daemon_threads = allow_reuse_address = True

    def __init__(self, then):
        self.then, self.connections = then, 0
        super().__init__(("127.0.0.1", 0), Service.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def lanes(self, name):
        up = Lanes("put", "http://127.0.0.1:%d/none" % self.server_address[1], scratch(name))
        up.order("base %s" % up.url)
        up.order("sas none")
        return up

    def server_close(self):
        self.shutdown()
        super().server_close()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.server.connections += 1
            for turn in range(9):
                words, length = self.rfile.readline().split(), 0
                while (line := self.rfile.readline().strip()):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split()[1])
                if not words or self.server.then(turn, words[1], self.wfile) == "end":
                    return
                self.rfile.read(length)
                self.wfile.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")


def test_a_connection_that_ends_behind_the_look_at_it_is_no_failure():
    with Service(lambda turn, path, _: "end" if turn == 1 else "go on") as service, service.lanes("ends") as up:
        put(up.file(), b"x" * 1000)
        for k in range(4):
            up.order("run %d 0 %d 0 0 1000" % (k, k))
            up.until("@end %d 0" % k)
        assert not any(line.startswith("@say") for line in up.said) and service.connections == 4, (up.said, service.connections)


def test_what_the_service_refuses_before_it_has_all_is_said():
    def refuse(turn, path, out):
        if b"/b/0/1?" not in path:
            return "go on"
        out.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        out.flush()
        time.sleep(1) # so that what is sent meets it
        return "end"
    with Service(refuse) as service, service.lanes("refused") as up:
        put(up.file(), bytes(20 * MIB))
        up.order("run 1 0 1 0 0 %d" % (20 * MIB))
        up.until("@put 0 1 403")
        up.until("@end 1 1")
        up.order("run 2 0 2 0 0 1000")
        up.until("@put 0 2 201")
        assert not any(line.startswith(("@say", "@sum 0 1 ")) for line in up.said), up.said


def test_what_hangs_is_dropped_and_its_lane_goes_on():
    need_store()
    proxy = Stalling(blob.store.port)
    with Container() as name, Lanes("put", "http://127.0.0.1:%d/%s" % (proxy.port, azurite.ACCOUNT), scratch("hangs")) as up:
        put(up.file(), bytes(200 * MIB))
        up.aim(name)
        up.order("run 1 0 0 0 0 %d" % (200 * MIB))
        up.until("@begun 1")
        e2e.until(lambda: any(n > MIB for n in proxy.passed.values()), "it is under way")
        proxy.stall(True)
        up.order("run 2 0 2 0 0 1000")
        time.sleep(0.5)
        assert not any(line.startswith("@end") for line in up.said), "nothing hung: %r" % up.said
        up.order("drop 1")
        up.until("@end 1 1", 5)
        up.until("@end 2 0", 5)
        assert not any(line.startswith("@say") for line in up.said), up.said
    proxy.stalled = None
    proxy.close()


def test_a_certificate_that_nobody_has_signed_is_refused():
    need_store()
    cert, key = scratch("cert.pem"), scratch("key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    secure = azurite.Azurite(scratch("secure"), cert, key)
    plain, blob.store = blob.store, secure
    try:
        for trusted in (True, False):
            with Lanes("put", secure.url, scratch("tls"), **({"SSL_CERT_FILE": cert} if trusted else {})) as up:
                put(up.file(), b"x" * 1000)
                up.aim("none")
                up.order("run 1 0 0 0 0 1000")
                up.until("@put 0 0 404" if trusted else "@say .*certificate verify failed")
                up.until("@end 1 1")
    finally:
        blob.store = plain
        secure.close()


# -- in the midst of copies --


def far(**env):
    return {"DRIVE_RTT": "80", **env}


def lanes_of(leader):
    found = subprocess.run(["pgrep", "-f", "-g", str(leader), "^/usr/bin/python3 -I -S -c"], stdout=subprocess.PIPE, text=True)
    assert found.stdout, "no lanes"
    return [int(pid) for pid in found.stdout.split()]


def arrived(home):
    path = os.path.join(home.env()["HOME"], ".local", "state", "azlin", "sync", ".arrived.run-1")
    return open(path).read().splitlines() if os.path.exists(path) else []


def test_hashes_of_what_arrived_are_told():
    for environment in ({}, far()):
        with Alone() as home:
            big(os.path.join(home.source, "deep", "it's big"), 90)
            big(os.path.join(home.source, "b"), 70, 2)
            fill(home.source, 5)
            home.copy(**environment)
            same(home.source, home.targets[0])
            told = set()
            for name in ("deep/it's big", "b"):
                there = os.path.join(home.targets[0], name)
                fact = subprocess.run(["stat", "-c", "=%i %s %.9Y %.9Z", there], stdout=subprocess.PIPE, text=True).stdout.strip()
                told.add("%s %s" % (fact, hashlib.sha256(open(there, "rb").read()).hexdigest()))
            assert set(arrived(home)) == told, (arrived(home), told)


def test_without_python_it_goes_by_curl():
    for environment, what in ((far(AZLIN_NO_PYTHON="1"), "@cold"), (far(DRIVE_COLD="1"), ""), (far(https_proxy="http://nowhere"), "@cold")):
        with Alone() as home:
            big(os.path.join(home.source, "f"), 30)
            fill(home.source, 5)
            _, err = home.copy(**environment)
            assert what in err and "@begun" not in err and "@got 0 " in err, err[-3000:]
            same(home.source, home.targets[0])
            assert arrived(home) == []
            nothing_left()


def test_lanes_that_are_killed_are_done_without():
    for side in ("east", "west"):
        with Alone(chunk=1, connections=2) as home:
            big(os.path.join(home.source, "f"), 200)
            p = home.popen_copy(**far())
            home.follow(p, "< west @got 0 20 ")
            for pid in lanes_of(script(p, home, side)[0]):
                os.kill(pid, signal.SIGKILL)
            out, err = p.communicate(timeout=100)
            assert p.returncode == 0, (side, out, err[-3000:])
            again = set(re.findall(r"@got 0 (\d+) ", err))
            assert "@cold" in err and not again & set(map(str, range(10))), "%s: all of it was sent again" % side
            same(home.source, home.targets[0])
            nothing_left()


def test_a_script_that_is_killed_goes_on_where_it_was():
    for side in ("east", "west"):
        with Alone(chunk=1, connections=2) as home:
            big(os.path.join(home.source, "f"), 200)
            before = len(blob.store.seen("PUT", "/b/"))
            p = home.popen_copy(**far())
            home.follow(p, "< west @got 0 20 ")
            os.kill(script(p, home, side)[0], signal.SIGKILL)
            out, err = p.communicate(timeout=100)
            assert p.returncode == 0, (side, out, err[-3000:])
            same(home.source, home.targets[0])
            stored = len(blob.store.seen("PUT", "/b/")) - before
            assert stored <= 205 + 8, "%s: %d chunks were stored" % (side, stored)
            nothing_left()


def test_a_connection_that_hangs_is_not_waited_for():
    for up, word in ((True, "east @put"), (False, "west @got")):
        need_store()
        proxy = Stalling(blob.store.port)
        with Alone(chunk=1, connections=4, endpoint="http://127.0.0.1:%d/%s" % (proxy.port, azurite.ACCOUNT)) as home:
            big(os.path.join(home.source, "f"), 250)
            p = home.popen_copy(**far())
            home.follow(p, "< %s 0 30 " % word)
            proxy.stall(up)
            late = threading.Timer(pace.longer(20), setattr, (proxy, "stalled", None))
            late.start()
            dropped = any(re.search(r"> drop \d+", line) for line in p.stderr)
            waited = not late.is_alive()
            late.cancel()
            out, err = p.communicate(timeout=pace.longer(100))
            proxy.stalled = None
            assert dropped and not waited, "%s: no other connection took over" % word
            assert p.returncode == 0, (word, out, err[-3000:])
            same(home.source, home.targets[0])
            nothing_left()
        proxy.close()


def test_no_secret_is_seen():
    home = need()
    big(home.at("eastus", "warm", "f"), 200)
    p = home.popen("--verbose", "sync", "--dest", "westus2", "--paths", "/home/azureuser/warm",
                   env={"G_MESSAGES_DEBUG": "all"})
    seen = blob.watch_for_secrets(p, home, lambda text: text.startswith(b"/usr/bin/python3\0-I\0-S\0") and b"Lane" in text)
    assert seen > 3, "no lanes were seen: the look was too short"
    same(home.at("eastus", "warm"), home.at("westus2", "warm"))
    nothing_left(home)


def test_zz_clean_up():
    blob.test_zz_clean_up()


if __name__ == "__main__":
    e2e.main(globals())
