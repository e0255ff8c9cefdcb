"""The blob strategy against a real Azurite: between machines of provider-local, and alone on folders of this host."""
import contextlib, json, os, random, re, signal, subprocess, threading, time
import azurite, e2e, machines, pace
from machines import REGIONS, fill, no_keys, put, result, same, tree

DRIVE = os.environ["AZLIN_BLOB_DRIVE"]
store = None


def need_store():
    global store
    if store is None:
        os.makedirs(e2e.SCRATCH, mode=0o700, exist_ok=True)
        store = azurite.Azurite(os.path.join(e2e.SCRATCH, "azurite-%d" % os.getpid()))
    return store


def need():
    """Three machines whose copies go through the store."""
    need_store()
    cloud = machines.need()
    cloud.write_config("[bricks]\nprovider=local\nsync=blob\n" + store.config(azurite.key_file(), chunk=1, connections=4))
    return cloud


class Alone(e2e.Home):
    """The brick without machines: `copy` runs its two scripts on this host."""

    def __init__(self, **options):
        need_store()
        super().__init__("[bricks]\nprovider=local\n" + store.config(azurite.key_file(), **options))
        self.source = os.path.join(self.root, "source")
        self.targets = [os.path.join(self.root, "target%d" % i) for i in (0, 1, 2)]
        for folder in (self.source, *self.targets):
            os.mkdir(folder)

    def popen_copy(self, n=1, **env):
        return subprocess.Popen([DRIVE, self.path, "copy", self.source, *self.targets[:n]], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.env(DRIVE_TRACE="1", **env))

    def copy(self, n=1, code=0, **env):
        p = self.popen_copy(n, **env)
        out, err = p.communicate(timeout=120)
        assert p.returncode == code, "exit %d\n%s\n%s" % (p.returncode, out, err[-6000:])
        return out, err

    def follow(self, process, pattern):
        """Reads the trace until a line has `pattern`; its match."""
        for line in process.stderr:
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError("no line with %s: %s" % (pattern, process.stdout.read()))


def nothing_left(home=None):
    left = [name for name in store.containers() if name.startswith("azlin-sync-")]
    assert not left, left
    if home is not None:
        for region in REGIONS:
            found = subprocess.run(["find", home.at(region), "-name", ".azlin-partial"], capture_output=True, text=True).stdout
            assert not found, found


def big(path, mib, seed=1):
    put(path, random.Random(seed).randbytes(mib << 20))


def make_tree(root):
    big(os.path.join(root, "deep", "big 1"), 9)
    put(os.path.join(root, "deep", "big\n2"), random.Random(2).randbytes((5 << 20) + 12345), 0o640)
    fill(os.path.join(root, "small"), 200)
    put(os.path.join(root, "-rf"), b"1")
    put(os.path.join(os.fsencode(root), b"bad\xff"), b"2", 0o600)
    os.symlink("nowhere", os.path.join(root, "link"))
    os.link(os.path.join(root, "-rf"), os.path.join(root, "hard"))
    os.makedirs(os.path.join(root, "empty", "deeper"))
    os.chmod(os.path.join(root, "empty"), 0o750)
    with open(os.path.join(root, "holes"), "wb") as f:
        f.seek(40 << 20)
        f.write(b"end")
    os.utime(os.path.join(root, "deep", "big 1"), ns=(1, 1234567890123456789))
    os.utime(os.path.join(root, "deep"), (1, 1500000000))


# -- between machines --


def test_a_tree_is_the_same_on_every_machine():
    home = need()
    make_tree(home.at("eastus", "whole"))
    for one in result(home.sync("--all", "--paths", "/home/azureuser/whole")):
        assert one["strategy_used"] == "blob" and one["verified"] is True and one["errors"] == [], one
    for region in ("westus2", "westeurope"):
        same(home.at("eastus", "whole"), home.at(region, "whole"))
        there = home.at(region, "whole")
        assert os.stat(os.path.join(there, "deep", "big 1")).st_mtime_ns == 1234567890123456789
        assert os.stat(os.path.join(there, "hard")).st_nlink == 2
        assert os.stat(os.path.join(there, "holes")).st_blocks * 512 < 1 << 20, "holes were filled"
    nothing_left(home)
    no_keys(home)


def test_only_what_changed_is_sent():
    home = need()
    make_tree(home.at("eastus", "delta"))
    args = ("--dest", "westus2", "--paths", "/home/azureuser/delta")
    result(home.sync(*args))
    put(home.at("eastus", "delta", "small", "f7"), b"changed")
    os.unlink(home.at("westus2", "delta", "link"))
    before = len(store.seen("PUT"))
    one, = result(home.sync(*args))
    assert one["verified"] is True and one["bytes_transferred"] < 100, one
    assert len(store.seen("PUT")) - before == 2, store.seen("PUT")[before:]  # the container and one piece
    same(home.at("eastus", "delta"), home.at("westus2", "delta"))


def test_each_target_gets_what_it_lacks_the_first_time():
    home = need()
    for name in ("a", "b", "c"):
        put(home.at("eastus", "lacking", name), name.encode() * 1000)
    put(home.at("westus2", "lacking", "a"), b"")
    result(home.sync("--all", "--paths", "/home/azureuser/lacking"))
    os.unlink(home.at("westus2", "lacking", "a"))
    os.unlink(home.at("westeurope", "lacking", "b"))
    os.unlink(home.at("westeurope", "lacking", "c"))
    found = {r["target_region"]: r for r in result(home.sync("--all", "--paths", "/home/azureuser/lacking"))}
    for region, lacked in (("westus2", 1), ("westeurope", 2)):
        same(home.at("eastus", "lacking"), home.at(region, "lacking"))
        assert found[region]["files_synced"] == lacked, "%s took more than one round: %r" % (region, found[region])


def test_one_file():
    home = need()
    big(home.at("eastus", "single", "f"), 6)
    put(home.at("eastus", "single", "other"), b"stays here")
    one, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/single/f"))
    assert one["verified"] is True and one["files_synced"] == 1, one
    assert os.listdir(home.at("westus2", "single")) == ["f"]


def test_an_interrupt_leaves_nothing():
    """Not when the scripts have only begun, and not in the midst of it."""
    home = need()
    big(home.at("eastus", "interrupt", "f"), 12)
    for fetches in (False, False, True):
        fetched = len(store.seen("GET", "/b/0/"))
        p = home.popen("sync", "--dest", "westus2", "--paths", "/home/azureuser/interrupt", "--bwlimit", "1000")
        e2e.until(lambda: any(n.startswith("azlin-sync-") for n in store.containers()), "the container stands")
        if fetches:
            e2e.until(lambda: len(store.seen("GET", "/b/0/")) > fetched, "the target fetches")
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 130, (p.returncode, out, err)
        nothing_left(home)
        assert not os.path.exists(home.at("westus2", "interrupt", "f")), "a torn file is visible"
        assert "Nothing to recover" in home.ok("recover", "--yes").out


def test_a_killed_azlin_is_recovered():
    home = need()
    big(home.at("eastus", "killed", "f"), 12)
    p = home.popen("sync", "--dest", "westus2", "--paths", "/home/azureuser/killed", "--bwlimit", "1000")
    seen = len(store.seen("GET", "/b/0/"))
    e2e.until(lambda: len(store.seen("GET", "/b/0/")) > seen, "the target fetches")
    p.kill()
    p.communicate(timeout=60)
    assert [n for n in store.containers() if n.startswith("azlin-sync-")]
    home.ok("recover", "--yes")
    nothing_left(home)
    no_keys(home)


def test_a_target_that_cannot_be_written_is_said():
    home = need()
    fill(home.at("eastus", "blocked"), 3)
    there = home.at("westus2", "blocked")
    os.makedirs(there)
    put(os.path.join(there, "f1", "in", "the", "way"), b"x")
    one, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/blocked"), 1)
    assert any("f1" in e for e in one["errors"]), one
    assert open(os.path.join(there, "f2")).read() == "2"
    nothing_left(home)


def test_no_store_is_an_honest_failure():
    home = need()
    fill(home.at("eastus", "alone"), 3)
    config = open(home.config).read()
    home.write_config(config.replace(str(store.port), str(azurite.free_port())))
    one, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/alone"), 2)
    assert "127.0.0.1" in one["errors"][0], one
    home.write_config(config.replace("endpoint=", "#endpoint="))
    refused = home.sync("--dest", "westus2", "--paths", "/home/azureuser/alone", "--strategy", "blob")
    assert refused.code != 0 and "no endpoint is set" in refused.out + refused.err, refused
    home.write_config(config)
    home.run("recover", "--yes")
    nothing_left(home)


def watch_for_secrets(process, home, moves):
    """Until this azlin has ended: in no command line, environment, output or file is a secret. How often a process was
    seen of whose command line or environment `moves` is true."""
    seen, ours = 0, (b"sig=", b"sig%", azurite.KEY.encode())
    while process.poll() is None:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            for name in ("cmdline", "environ"):
                try:
                    with open("/proc/%s/%s" % (pid, name), "rb") as f:
                        text = f.read()
                except OSError:
                    continue
                seen += moves(text)
                for secret in ours:
                    assert secret not in text, "%s of %s: %r" % (name, pid, text[:200])
        time.sleep(0.02)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, (out, err)
    for text in (out, err):
        assert "sig=" not in text and azurite.KEY not in text, text
    for folder, _, names in os.walk(home.path):
        if "/root/" in folder + "/":
            continue  # the machines' own files
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                text = f.read()
            for secret in ours:
                assert secret not in text, os.path.join(folder, name)
    return seen


def test_no_secret_is_seen():
    home = need()
    big(home.at("eastus", "canary", "f"), 10)
    fill(home.at("eastus", "canary"), 50)
    p = home.popen("--verbose", "sync", "--dest", "westus2", "--paths", "/home/azureuser/canary", "--bwlimit", "4000",
                   env={"G_MESSAGES_DEBUG": "all"})
    seen = watch_for_secrets(p, home, lambda text: b"curl" in text)
    assert seen > 10, "no curl was seen: the look was too short"
    nothing_left(home)


# -- alone --


def test_a_long_line_is_measured_before_much_goes_over_it():
    with Alone() as home:
        big(os.path.join(home.source, "f"), 65)
        for environment, lines in (({"DRIVE_RTT": "80", "DRIVE_COLD": "1"}, 400), ({"DRIVE_RTT": "80"}, 0),
                                   ({"DRIVE_COLD": "1"}, 0)):
            _, err = home.copy(**environment)
            assert err.count("< east @train ") == lines, err.count("< east @train ")
            same(home.source, home.targets[0])
            os.unlink(os.path.join(home.targets[0], "f"))
        nothing_left()


def test_several_targets_are_stored_once():
    with Alone(chunk=1, connections=4) as home:
        make_tree(home.source)
        before = len(store.seen("PUT"))
        out, err = home.copy(3, DRIVE_LIMIT="500000")  # with a limit nothing late is sent twice, however busy the host
        assert out.count("done") == 3, out
        for target in home.targets:
            same(home.source, target)
        stored = store.seen("PUT")[before:]
        assert len(stored) == len(set(stored)), "something was stored twice: %r" % stored
        assert len([path for path in stored if "/b/" in path]) == err.count("< north @got "), stored
        nothing_left()


def script(process, home, side):
    """Process ids of the script of that side: of the shell that azlin started, which leads its group."""
    folder, found = os.fsencode(home.source if side == "east" else home.targets[0]), []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as f:
                above = int(f.read().rsplit(")", 1)[1].split()[1])
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if above == process.pid and words[0] == b"sh" and folder in words:
            found.append(int(pid))
    assert found, "no script of %s runs" % side
    return found


def signatures(trace):
    """Container and the queries of source and target, from the lines that azlin wrote to the scripts."""
    container = re.search(r"> base \S+/(azlin-sync-\S+)", trace)[1]
    queries = re.findall(r"> sas (\S+)", trace)
    return container, next(q for q in queries if "sp=w" in q), next(q for q in queries if "sp=r" in q)


def test_each_machine_may_do_its_part_and_no_more():
    with Alone(chunk=1, connections=1) as home:
        big(os.path.join(home.source, "f"), 8)
        store.make("other-container")
        p = home.popen_copy(DRIVE_LIMIT="1500")
        lines = []
        for line in p.stderr:
            lines.append(line)
            if "@got" in line:
                break
        container, source, target = signatures("".join(lines))
        for query, may in ((source, {"put"}), (target, {"get"})):
            verdicts = {
                "put": store.put(container, "x", b"1", query),
                "get": store.request("GET", "/%s/b/0/0" % container, query)[0],
                "list": store.request("GET", "/%s?restype=container&comp=list" % container, query)[0],
                "delete": store.request("DELETE", "/%s/b/0/0" % container, query)[0],
                "remove": store.request("DELETE", "/%s?restype=container" % container, query)[0],
                "containers": store.request("GET", "/?comp=list", query)[0],
                "elsewhere": store.put("other-container", "x", b"1", query),
            }
            for what, status in verdicts.items():
                assert (200 <= status < 300) == (what in may), (query.split("&sig")[0], what, status)
            assert "sr=c" in query and "st=" in query and "se=" in query
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0, (out, err)
        same(home.source, home.targets[0])
        store.request("DELETE", "/other-container?restype=container")


def test_a_torn_chunk_is_sent_again():
    with Alone(chunk=1, connections=1) as home:
        big(os.path.join(home.source, "f"), 8)
        p = home.popen_copy(DRIVE_LIMIT="4000")
        seen, target = [], []
        for line in p.stderr:
            seen.append(line)
            if "< west @got 0 1 " in line:
                target = script(p, home, "west")
                os.killpg(target[0], signal.SIGSTOP)
            if target and re.search(r"< east @put 0 5 201", line):
                break
        container, source, _ = signatures("".join(seen))
        assert store.put(container, "b/0/5", b"X" * (1 << 20), source) == 201
        os.killpg(target[0], signal.SIGCONT)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0, (out, err)
        assert "@put 0 5 201" in err, "the torn chunk was not sent again"
        same(home.source, home.targets[0])
        nothing_left()


def test_torn_and_lost_pieces_are_sent_again():
    with Alone(chunk=1, connections=1) as home:
        for i in range(12):
            put(os.path.join(home.source, "f%d" % i), random.Random(i).randbytes(700000))
        p = home.popen_copy(DRIVE_LIMIT="4000", DRIVE_RTT="80")
        seen, target = [], []
        for line in p.stderr:
            seen.append(line)
            if "< west @unpack 1" in line:
                target = script(p, home, "west")
                os.killpg(target[0], signal.SIGSTOP)
            if target and "< east @pack 6 " in line:
                break
        container, source, _ = signatures("".join(seen))
        assert store.put(container, "t/5", b"X" * (1 << 20), source) == 201
        assert store.request("DELETE", "/%s/t/6" % container)[0] == 202
        os.killpg(target[0], signal.SIGCONT)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0, (out, err)
        assert "@torn t/5" in err and "@torn t/6" in err, err
        same(home.source, home.targets[0])
        nothing_left()


def test_a_store_that_is_killed_and_comes_back():
    with Alone(chunk=1, connections=2) as home:
        big(os.path.join(home.source, "f"), 20)
        for i in range(12):
            put(os.path.join(home.source, "s%d" % i), random.Random(i).randbytes(700000))
        p = home.popen_copy(DRIVE_LIMIT="2000")
        began = time.monotonic()
        home.follow(p, "< west @got 0 3")
        time.sleep(max(0, began + 6 - time.monotonic()))  # Azurite writes down what it holds every five seconds
        assert p.poll() is None, "the copy was too quick"
        store.kill()
        time.sleep(1)
        store.start()
        out, err = p.communicate(timeout=100)
        assert p.returncode == 0, (out, err[-4000:])
        same(home.source, home.targets[0])
        nothing_left()


def curls(leader):
    """Process ids of the curls that this script has at work."""
    found = subprocess.run(["pgrep", "-x", "curl", "-g", str(leader)], stdout=subprocess.PIPE, text=True).stdout
    return [int(pid) for pid in found.split()]


def stop_one_of(leader):
    """Stops a curl of this script, whose process id it returns."""
    stopped = []

    def stop_one():
        for pid in curls(leader)[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
        return stopped

    e2e.until(stop_one, "a curl is at work: the copy was too quick", 20)
    return stopped[0]


def test_a_connection_that_hangs_is_not_waited_for():
    for side, word in (("east", "@put"), ("west", "@got")):
        with Alone(chunk=1, connections=4) as home:
            big(os.path.join(home.source, "f"), 160)
            p = home.popen_copy(DRIVE_COLD="1")
            home.follow(p, "< %s %s 0 " % (side, word))
            leader = script(p, home, side)[0]
            stopped = stop_one_of(leader)
            late = threading.Timer(pace.longer(20), os.kill, (stopped, signal.SIGCONT))
            late.start()
            dropped = any(re.search(r"> drop \d+", line) for line in p.stderr)
            waited = not late.is_alive()
            late.cancel()
            if not waited:
                os.kill(stopped, signal.SIGCONT)
            out, err = p.communicate(timeout=pace.longer(100))
            assert dropped and not waited, "%s: no other connection took over" % side
            assert p.returncode == 0, (side, out, err[-3000:])
            same(home.source, home.targets[0])
            nothing_left()


def test_a_script_that_is_killed_goes_on_where_it_was():
    for side in ("east", "west"):
        with Alone(chunk=1, connections=2) as home:
            big(os.path.join(home.source, "f"), 12)
            for i in range(8):
                put(os.path.join(home.source, "s%d" % i), random.Random(i).randbytes(700000))
            before = len(store.seen("PUT", "/b/"))
            p = home.popen_copy(DRIVE_LIMIT="4000")
            home.follow(p, "< west @got 0 4")
            os.kill(script(p, home, side)[0], signal.SIGKILL)
            out, err = p.communicate(timeout=100)
            assert p.returncode == 0, (side, out, err[-3000:])
            same(home.source, home.targets[0])
            stored = len(store.seen("PUT", "/b/")) - before
            assert stored <= 12 + 3, "%s: %d chunks were stored" % (side, stored)
            nothing_left()


def test_a_full_disk_is_said_and_leaves_what_was_there():
    if os.geteuid() != 0:
        raise e2e.Skip("only root can make a small file system")
    for what in ("big", "small"):
        with Alone(chunk=1, connections=2) as home:
            put(os.path.join(home.targets[0], "old"), b"stays")
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", home.targets[0]]).returncode != 0:
                raise e2e.Skip("no file system can be mounted here")
            try:
                put(os.path.join(home.targets[0], "old"), b"stays")
                for i in range(1 if what == "big" else 12):
                    put(os.path.join(home.source, "f%d" % i), random.Random(i).randbytes((10 << 20) if what == "big" else 900000))
                out, _ = home.copy(code=1)
                assert "its disk is full" in out, out
                assert os.listdir(home.targets[0]) == ["old"], os.listdir(home.targets[0])
            finally:
                subprocess.run(["umount", home.targets[0]], check=True)
            nothing_left()


def test_a_source_that_shrinks_does_not_hang():
    with Alone(chunk=1, connections=1) as home:
        big(os.path.join(home.source, "f"), 8)
        p = home.popen_copy(DRIVE_LIMIT="4000")
        home.follow(p, "< west @got 0 0 ")
        os.truncate(os.path.join(home.source, "f"), 5 << 20)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0, (out, err[-3000:])
        assert os.path.getsize(os.path.join(home.targets[0], "f")) == 8 << 20
        nothing_left()


def test_old_containers_are_swept():
    need_store()
    old, young, foreign = ("azlin-sync-20260101t000000-0123abcd-4567", "azlin-sync-20260102t000000-0123abcd-4567",
                           "azlin-sync-mine")
    store.make(old, azurite.stamp(-25 * 3600))
    store.make(young, azurite.stamp(-23 * 3600))
    store.make(foreign, azurite.stamp(-1000 * 3600))
    with Alone() as home:
        fill(home.source, 3)
        home.copy()
        left = [name for name in store.containers() if name.startswith("azlin-sync-")]
        assert sorted(left) == sorted((young, foreign)), left
    for name in (young, foreign):
        store.request("DELETE", "/%s?restype=container" % name)


def test_zz_clean_up():
    machines.clean_up()


if __name__ == "__main__":
    e2e.main(globals())
