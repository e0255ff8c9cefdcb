"""The strategy stream between real machines: both roads, any names, cut connections, and nothing left behind."""
import contextlib, fcntl, hashlib, io, json, os, random, shutil, signal, socket, subprocess, tarfile, threading, time
import e2e
from e2e import until
from faults import Proxy
from machines import REGIONS, clean_up, landing_script, make_hostile, need, no_keys, put, result, same

ROUNDS = int(os.environ.get("AZLIN_SYNC_KILLS", "10"))


@contextlib.contextmanager
def road(home, name):
    with open(home.config) as f:
        before = f.read()
    home.write_config(before + "[sync.stream]\nroad=%s\n" % name)
    try:
        yield
    finally:
        home.write_config(before)


def stream(home, name, *args, code=0):
    one, = result(home.sync("--strategy", "stream", "--source", "eastus", "--dest", "westus2",
                            "--paths", "/home/azureuser/" + name, *args), code)
    return one


def is_on_a_machine_of(home, pid):
    """Another suite's machines have homes of their own."""
    there = os.stat("/proc/%s/root/home/azureuser" % pid)
    return any(os.path.samestat(there, os.stat(home.at(region))) for region in REGIONS)


def workers(home):
    """Processes of a copy by stream on either machine, or in a folder of this test."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                line = f.read()
            place = line + os.fsencode(os.readlink("/proc/%s/cwd" % pid))
            if not any(mark in place for mark in (b".azlin-partial", b"/.local/state/azlin/jobs/")):
                continue
            if home.root.encode() in place or is_on_a_machine_of(home, pid):
                found.append(line[:200])
        except OSError:
            continue
    return found


def nothing_left(home, name):
    until(lambda: not workers(home), "the copy has ended on both machines", 10)
    no_keys(home)
    assert not os.path.exists(home.at("westus2", name, ".azlin-partial"))
    jobs = home.at("westus2", ".local", "state", "azlin", "jobs")
    assert not os.path.isdir(jobs) or not os.listdir(jobs), "a receiver is left"
    assert not [n for n in os.listdir(home.at("westus2", ".local", "state", "azlin", "sync")) if n.startswith(".arrived")]


def full_tree(home, name):
    """Names of all kinds, small, large, sparse and linked files, folders that nobody may write."""
    root = home.at("eastus", name)
    make_hostile(root)
    put(os.path.join(root, "large", "it's\nlarge"), os.urandom(20 << 20), 0o400)
    put(os.path.join(root, "large", "-rf"), os.urandom(9 << 20))
    with open(os.path.join(root, "sparse"), "wb") as f:
        f.truncate(50 << 20)
        f.seek(30 << 20)
        f.write(b"island")
    os.link(os.path.join(root, "large", "-rf"), os.path.join(root, "twin"))
    put(os.path.join(root, "locked", "in", "file"), b"x")
    os.setxattr(os.path.join(root, "locked", "in", "file"), "user.azlin", b"kept")
    os.utime(os.path.join(root, "zero"), ns=(5, 1234567890123456789))
    os.chmod(os.path.join(root, "locked", "in"), 0o555)
    os.chmod(os.path.join(root, "locked"), 0o555)
    return root


def check_full(home, name):
    here, there = home.at("eastus", name), home.at("westus2", name)
    same(here, there)
    assert os.stat(os.path.join(there, "twin")).st_nlink == 2
    assert os.stat(os.path.join(there, "sparse")).st_blocks < 30 << 11
    assert os.getxattr(os.path.join(there, "locked", "in", "file"), "user.azlin") == b"kept"
    for place in ("", "locked/in", "zero", "large", "large/it's\nlarge"):
        a, b = os.stat(os.path.join(here, place)), os.stat(os.path.join(there, place))
        assert a.st_mtime_ns == b.st_mtime_ns and a.st_mode == b.st_mode, place


def copy_by(name):
    home = need()
    root = full_tree(home, name)
    with road(home, name):
        one = stream(home, name)
        assert one["strategy_used"] == "stream" and one["verified"] is True and one["errors"] == [], one
        check_full(home, name)
        again = stream(home, name)
        assert again["files_synced"] == 0 and again["verified"] is True, again
        put(os.path.join(root, "large", "-rf"), os.urandom(10 << 20))
        put(os.path.join(root, "new\nfolder", "deep", "x"), b"1")
        with open(os.path.join(root, "a b"), "ab") as f:
            f.write(b"more")
        third = stream(home, name)
        assert third["files_synced"] <= 6 and third["verified"] is True, third
        check_full(home, name)
    nothing_left(home, name)


def test_direct():
    copy_by("direct")


def test_relay():
    copy_by("relay")


def test_a_single_file_leaves_its_folder_alone():
    home = need()
    put(home.at("eastus", "one", "file"), b"1")
    put(home.at("westus2", "one", "other"), b"2")
    os.chmod(home.at("westus2", "one"), 0o711)
    for way in ("direct", "relay"):
        with road(home, way):
            put(home.at("eastus", "one", "file"), way.encode())
            stream(home, "one/file")
            assert open(home.at("westus2", "one", "file")).read() == way
            assert os.stat(home.at("westus2", "one")).st_mode & 0o777 == 0o711
            assert open(home.at("westus2", "one", "other")).read() == "2"
    nothing_left(home, "one")


def test_a_link_at_the_target_is_not_followed():
    home = need()
    outside = home.at("westus2", "outside")
    os.makedirs(outside)
    for way in ("direct", "relay"):
        put(home.at("eastus", "planted-" + way, "folder", "file"), b"1")
        put(home.at("eastus", "planted-" + way, "file"), b"2")
        os.makedirs(home.at("westus2", "planted-" + way))
        os.symlink(outside, home.at("westus2", "planted-" + way, "folder"))
        os.symlink(os.path.join(outside, "file"), home.at("westus2", "planted-" + way, "file"))
        with road(home, way):
            home.sync("--strategy", "stream", "--dest", "westus2", "--paths", "/home/azureuser/planted-" + way)
        assert os.listdir(outside) == [], "something was written through a link"
        assert open(home.at("westus2", "planted-" + way, "file")).read() == "2"
        nothing_left(home, "planted-" + way)


def refuse_keys(home, over):
    """Takes every job key off the target as soon as it is admitted: the source's ssh does not get in."""
    path = home.at("westus2", ".ssh", "authorized_keys")
    while not over.is_set():
        with open(path) as f:
            lines = f.readlines()
        kept = [line for line in lines if "azlin-job" not in line]
        if kept != lines:
            with open(path + "-refused", "w") as f:
                f.writelines(kept)
            os.chmod(path + "-refused", 0o600)
            shutil.copystat(path, path + "-refused")
            os.chown(path + "-refused", os.stat(path).st_uid, os.stat(path).st_gid)
            os.rename(path + "-refused", path)
        time.sleep(0.001)


def test_a_target_out_of_reach_is_said_and_gone_around():
    home = need()
    put(home.at("eastus", "shut", "file"), b"1")
    over = threading.Event()
    thread = threading.Thread(target=refuse_keys, args=(home, over))
    thread.start()
    try:
        with road(home, "direct"):
            r = home.run("sync", "--strategy", "stream", "--dest", "westus2", "--paths", "/home/azureuser/shut")
    finally:
        over.set()
        thread.join()
    assert r.code == 0, r
    assert "cannot reach" in r.out + r.err, r
    same(home.at("eastus", "shut"), home.at("westus2", "shut"))
    nothing_left(home, "shut")


class Narrow(Proxy):
    """A line that carries 200 kB a second on each connection and way."""

    def pump(self, a, b, pair):
        try:
            while data := a.recv(8192):
                time.sleep(len(data) / 200e3)
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            self.drop(pair)


@contextlib.contextmanager
def narrow(home, region):
    """The line between azlin and that machine is a narrow one."""
    path = os.path.join(home.path, "config.json")
    with open(path) as f:
        before = f.read()
    document = json.loads(before)
    record, = [r for r in document["regions"] if r["region"] == region]
    proxy = Narrow(record["public_ip"], record["ssh_port"])
    record["ssh_port"] = proxy.port
    document.pop("checksum")  # written by hand
    with open(path, "w") as f:
        json.dump(document, f)
    try:
        yield
    finally:
        with open(path, "w") as f:
            f.write(before)
        proxy.close()


def gone_around(home, name, region, files):
    """Copies so many files while azlin's line to that machine is a narrow one."""
    for i in range(files):
        put(home.at("eastus", name, "f%d" % i), os.urandom(100000))
    with narrow(home, region):
        r = home.run("sync", "--strategy", "stream", "--dest", "westus2", "--paths", "/home/azureuser/" + name, timeout=60)
        assert r.code == 0, r
        assert "copied from machine to machine" in r.out + r.err, r
    same(home.at("eastus", name), home.at("westus2", name))
    nothing_left(home, name)


def test_a_narrow_line_from_the_source_is_gone_around():
    home = need()
    gone_around(home, "narrow", "eastus", 30)
    shutil.rmtree(home.at("westus2", "narrow"))
    with narrow(home, "eastus"), road(home, "relay"):  # as asked for, however long that takes
        r = home.run("sync", "--strategy", "stream", "--dest", "westus2", "--paths", "/home/azureuser/narrow", timeout=60)
    assert r.code == 0, r
    assert "copied from machine to machine" not in r.out + r.err, r
    same(home.at("eastus", "narrow"), home.at("westus2", "narrow"))
    nothing_left(home, "narrow")


def test_a_narrow_line_to_the_target_is_gone_around():
    gone_around(need(), "queued", "westus2", 60)


def test_the_limit_is_kept():
    home = need()
    put(home.at("eastus", "limit", "large"), os.urandom(12 << 20))
    for way in ("direct", "relay"):
        with road(home, way):
            put(home.at("eastus", "limit", "large"), os.urandom(12 << 20))
            start = time.monotonic()
            stream(home, "limit", "--bwlimit", "3072")
            seconds = time.monotonic() - start
            assert seconds > 12 / 3 * 0.9, "%s: %g s" % (way, seconds)
    nothing_left(home, "limit")


def begin(home, name):
    put(home.at("eastus", name, "large"), os.urandom(16 << 20))
    for i in range(20):
        put(home.at("eastus", name, "f%d" % i), b"%d" % i)
    p = home.popen("sync", "--strategy", "stream", "--dest", "westus2", "--paths", "/home/azureuser/" + name,
                   "--bwlimit", "2048")
    until(lambda: os.path.isdir(home.at("westus2", name, ".azlin-partial")), "it arrives")
    return p


def test_interrupted():
    home = need()
    for way in ("direct", "relay"):
        with road(home, way):
            p = begin(home, "interrupted-" + way)
            time.sleep(random.random() * 2)
            p.send_signal(signal.SIGINT)
            p.communicate(timeout=60)
            assert p.returncode == 130, p.returncode
            nothing_left(home, "interrupted-" + way)
            assert not os.path.exists(home.at("westus2", "interrupted-" + way, "large")), "a torn file is visible"


def test_killed():
    home = need()
    for way in ("direct", "relay"):
        with road(home, way):
            p = begin(home, "killed-" + way)
            time.sleep(random.random() * 2)
            p.kill()
            p.communicate(timeout=60)
            until(lambda: not workers(home), "the copy has ended without azlin", 10)
            home.ok("recover", "--yes")
            nothing_left(home, "killed-" + way)
            stream(home, "killed-" + way)
            same(home.at("eastus", "killed-" + way), home.at("westus2", "killed-" + way))


def of_lines(home, kind):
    """The files of that kind, one for each line, that the copies under way have on the source."""
    jobs = home.at("eastus", ".local", "state", "azlin", "jobs")
    return [os.path.join(folder, name) for folder, _, names in os.walk(jobs) for name in names if name.startswith(kind + ".")]


def test_cut_connections():
    """The lines of a direct copy are cut again and again; it ends whole, or says so, and the next one is whole."""
    home = need()
    rng = random.Random(5)
    with road(home, "direct"):
        for i in range(ROUNDS):
            put(home.at("eastus", "cut", "large"), os.urandom(12 << 20))
            put(home.at("eastus", "cut", "small"), b"%d" % i)
            p = home.popen("sync", "--strategy", "stream", "--dest", "westus2", "--paths", "/home/azureuser/cut",
                           "--bwlimit", "8192")
            while p.poll() is None:
                time.sleep(rng.random())
                for line in of_lines(home, "ssh"):
                    try:
                        os.kill(int(open(line).read()), signal.SIGKILL)
                    except (OSError, ValueError):
                        pass
                    break
            p.communicate()
            if p.returncode != 0:
                stream(home, "cut")
            same(home.at("eastus", "cut"), home.at("westus2", "cut"))
            nothing_left(home, "cut")


@contextlib.contextmanager
def far_apart(home):
    """azlin takes the two machines to be so far apart that a key is on its target before anybody can show it."""
    path = os.path.join(home.path, "sync", "links.ini")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write("[eastus>westus2]\nrtt-ms=1000\nrtt-at=%d\n" % (time.time() * 1e6))
    try:
        with road(home, "direct"):
            yield home.popen("sync", "--strategy", "stream", "--dest", "westus2", "--paths", "/home/azureuser/early")
    finally:
        os.unlink(path)


def denied(home):
    """Whether the target has refused a key of the copy that is under way."""
    for words in of_lines(home, "err"):
        with contextlib.suppress(OSError), open(words, "rb") as f:
            if b"Permission denied" in f.read():
                return True
    return False


def test_a_key_that_comes_after_its_login_is_waited_for():
    home = need()
    put(home.at("eastus", "early", "file"), os.urandom(9 << 20))
    with open(home.at("westus2", ".ssh", ".azlin-lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with far_apart(home) as p:
            until(lambda: denied(home), "a login comes before its key", 20)
            fcntl.flock(lock, fcntl.LOCK_UN)
            out, err = p.communicate(timeout=60)
    assert p.returncode == 0 and "cannot reach" not in out + err, (p.returncode, out, err)
    same(home.at("eastus", "early"), home.at("westus2", "early"))
    nothing_left(home, "early")


def test_a_key_that_is_not_admitted_ends_the_copy():
    home = need()
    put(home.at("eastus", "early", "file"), os.urandom(9 << 20))
    lock = home.at("westus2", ".ssh", ".azlin-lock")
    os.unlink(lock)
    os.mkdir(lock)  # cannot be written
    try:
        with far_apart(home) as p:
            out, err = p.communicate(timeout=60)
    finally:
        os.rmdir(lock)
    assert p.returncode == 2 and "the job key on" in out + err, (p.returncode, out, err)
    home.ok("recover", "--yes")
    nothing_left(home, "early")


def archive(*members):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755
            if kind == tarfile.SYMTYPE:
                info.linkname = content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if kind == tarfile.REGTYPE else None)
    return packed.getvalue()


def hostile_source(folder, *units):
    """A receiver, and then the end of the copy, fed by somebody who has the key and no good in mind."""
    said = b"".join(b"A a.%d %d\n" % (i, len(unit)) + unit for i, unit in enumerate(units))
    receive = subprocess.run(["sh", "-c", landing_script("receive.sh"), "azlin", folder, "run-1"], input=said, capture_output=True)
    done = subprocess.run(["sh", "-c", landing_script("finish.sh"), "azlin", folder, "run-1", "all"], capture_output=True)
    return receive, done


def test_a_link_of_one_archive_leads_no_other_one_outside():
    home = need()
    folder, outside = (os.path.realpath(home.root) + name for name in ("/inside", "/outside"))
    os.makedirs(folder)
    os.makedirs(outside)
    put(os.path.join(outside, "kept"), b"as it was")
    link = archive(("./d", tarfile.SYMTYPE, outside))
    through = archive(("./d/planted", tarfile.REGTYPE, b"x"), ("./d/kept", tarfile.REGTYPE, b"overwritten"))
    honest = archive(("./e/f", tarfile.REGTYPE, b"content"))
    hostile_source(folder, link, through, honest)
    assert os.listdir(outside) == ["kept"] and open(os.path.join(outside, "kept")).read() == "as it was"
    shutil.rmtree(folder)
    os.makedirs(folder)
    receive, done = hostile_source(folder, honest, archive(("./e/g", tarfile.REGTYPE, b"more")))
    assert receive.returncode == 0 and done.returncode == 0, (receive, done)
    assert open(os.path.join(folder, "e", "f")).read() == "content" and open(os.path.join(folder, "e", "g")).read() == "more"
    assert not os.path.exists(os.path.join(folder, ".azlin-partial"))


LARGE = 12 << 20


def end_copy(folder):
    """The lines of the hashes that the end of a copy tells of."""
    done = subprocess.run(["sh", "-c", landing_script("finish.sh"), "azlin", folder, "run-1", "all"], capture_output=True,
                          env=dict(os.environ, HOME=folder + "-home"))
    assert done.returncode == 0, done
    path = os.path.join(folder + "-home", ".local", "state", "azlin", "sync", ".arrived.run-1")
    return open(path).read().splitlines() if os.path.exists(path) else []


def arrive(folder, *pieces):
    """One large file arrives in pieces: where each begins, and what it holds."""
    os.makedirs(folder + "-home")
    os.makedirs(folder)
    names, twin = b"./large\0", archive(("./large", tarfile.REGTYPE, b""))
    said = b"F f.large large %d\n" % len(names) + names + b"F f.large.tar large.tar %d\n" % len(twin) + twin
    for at, piece in pieces:
        said += b"R r.1.%d 1 %d %d %d\n" % (at, at, len(piece), LARGE) + piece
    receive = subprocess.run(["sh", "-c", landing_script("receive.sh"), "azlin", folder, "run-1"], input=said, capture_output=True)
    assert receive.returncode == 0 and receive.stdout.count(b"done r.1.") == len(pieces), receive


def test_hashes_are_made_while_a_large_file_arrives():
    home = need()
    folder = os.path.realpath(home.root) + "/arriving"
    content, other = os.urandom(LARGE), os.urandom(LARGE // 2)
    first, second = (0, content[:LARGE // 2]), (LARGE // 2, content[LARGE // 2:])
    for name, pieces, holds, told in (("in-turn", (first, second), content, 1), ("out-of-turn", (second, first), content, 1),
                                      ("written-over", (first, second, (0, other)), other + content[LARGE // 2:], 0),
                                      ("not-whole", (first,), content[:LARGE // 2], 0),
                                      ("longer", (first, second, (LARGE, b"x")), content + b"x", 0)):
        arrive(folder + name, *pieces)
        lines = end_copy(folder + name)
        path = os.path.join(folder + name, "large")
        with open(path, "rb") as f:
            assert f.read() == holds, name
        now = os.stat(path)
        assert len(lines) == told, (name, lines)
        for line in lines:
            inode, size, _, _, digest = line.removeprefix("=").split()
            assert (int(inode), int(size), digest) == (now.st_ino, LARGE, hashlib.sha256(holds).hexdigest()), (name, line)
        until(lambda: not workers(home), "the copy has ended", 5)


def test_nobody_waits_for_pieces_of_a_sender_that_is_gone():
    home = need()
    folder = os.path.realpath(home.root) + "/gone"
    arrive(folder, (0, b"x" * 100))
    assert workers(home), "it waits for the next piece"
    until(lambda: not workers(home), "nobody is left who could write it", 10)


def test_zz_clean_up():
    clean_up()


e2e.main(globals())
