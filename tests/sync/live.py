"""azlin sync --watch by its programs on the machines: what changed alone is looked at, whatever is unusual is not."""
import json, os, shutil, signal, threading, time
import e2e
from e2e import until
from machines import HOSTILE, clean_up, fill, make_hostile, need, no_keys, put, same

WHOLE_LOOK_S = 60  # at least this often everything is looked at


class Watching:
    """A watch from eastus whose targets are equal, and which may go the short way from now on."""

    def __init__(self, name, *options, dest="westus2", short=True):
        self.home, self.seen, self.name, self.began = need(), [], name, time.monotonic()
        where = ("--all",) if dest is None else ("--dest", dest)
        self.process = self.home.popen("sync", "--watch", "--source", "eastus", *where, "--paths",
                                       "/home/azureuser/" + name, "-o", "jsonl", *options)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        until(lambda: len(self.lags()) >= (2 if short else 1), "the first rounds")

    def read(self):
        for line in self.process.stdout:
            self.seen.append(dict(json.loads(line), seen_at=time.monotonic()))

    def lags(self):
        return [event for event in list(self.seen) if event["event"] == "lag"]

    def short(self):
        return self.lags()[-1]["short_rounds"]

    def whole(self):
        return self.lags()[-1]["rounds"] - self.short()

    def early_looks(self, first):
        """Whole looks behind the first so many that did not come for their time: something was not for the short way."""
        looks, before, count = [], self.began, 0
        for event in self.lags():
            if event["rounds"] - event["short_rounds"] > count:
                count += 1
                looks.append((before, event["seen_at"]))  # it began later than this, and was over then
            before = event["seen_at"]
        return [look for last, look in list(zip(looks, looks[1:]))[first - 1:] if look[1] - last[0] < WHOLE_LOOK_S]

    def at(self, region, *names):
        return self.home.at(region, self.name, *names)

    def in_step(self, region="westus2", seconds=60):
        """Waits until both trees are the same."""
        end = time.monotonic() + seconds
        while True:
            try:
                same(self.at("eastus"), self.at(region))
                return
            except (AssertionError, OSError):
                if time.monotonic() > end:
                    raise
            time.sleep(0.02)

    def settled(self):
        """Waits until no round has ended for a while."""
        count = -1
        while count != len(self.lags()):
            count = len(self.lags())
            time.sleep(0.4)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.code = self.process.wait(20)
        finally:
            self.process.kill()
            self.reader.join(20)
            self.process.stdout.close()
            self.process.stderr.close()
        if kind is None:
            no_keys(self.home)
            for region in ("westus2", "westeurope"):
                assert not os.path.exists(self.at(region, ".azlin-partial")), "a stage is left on " + region


def goes_the_short_way(watch, change):
    """`change` is told how often it was made before; how often it was, then. A whole look comes now and then by itself, and
    may take a change along."""
    for number in range(4):
        short, whole = watch.short(), watch.whole()
        change(number)
        watch.in_step()
        until(lambda: watch.short() > short or watch.whole() > whole, "a round")
        if watch.whole() == whole:
            return number
        watch.settled()
    raise AssertionError("only whole looks: %r" % watch.lags())


def put_goes_the_short_way(watch, name):
    goes_the_short_way(watch, lambda number: put(watch.at("eastus", name), b"short again %d" % number))


def programs(home, region, word):
    """Processes of a program that stays on this machine: `word` is something that it alone holds."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                line = f.read()
            if line.startswith(b"/usr/bin/python3\0-I") and word in line and os.path.samefile("/proc/%s/root/home/azureuser" % pid,
                                                                                               home.at(region)):
                found.append(int(pid))
        except OSError:
            continue
    return found


def source_program(home):
    return programs(home, "eastus", b"class Ears")


def target_program(home, region="westus2"):
    return programs(home, region, b"class Stage")


def only(find, home):
    """The one program of this kind, once it has begun."""
    until(lambda: len(find(home)) == 1, "the program")
    return find(home)[0]


def test_what_changes_goes_the_short_way_whatever_its_name():
    home = need()
    make_hostile(home.at("eastus", "short"))
    os.unlink(home.at("eastus", "short", "hard"))
    with Watching("short") as watch:
        whole, raw = watch.whole(), os.fsencode(watch.at("eastus"))

        def everything(number):
            for i, name in enumerate(HOSTILE):
                put(os.path.join(raw, name), b"new %d %d" % (i, number), 0o640)
                put(os.path.join(raw, b"made %d " % number + name, name), name)
            os.symlink(b"other\n place", os.path.join(raw, b"new link %d" % number))
            os.unlink(os.path.join(raw, b"outside"))
            os.symlink(b"/usr", os.path.join(raw, b"outside"))
            os.chmod(os.path.join(raw, b"empty"), 0o700 + number)
            os.utime(os.path.join(raw, b"zero"), (1, 1 + number))

        def a_folder_moves(number):
            was = "moved %d" % (number - 1) if number else "empty"
            os.rename(watch.at("eastus", was), watch.at("eastus", "moved %d" % number))
            shutil.rmtree(watch.at("westus2", was))  # without --delete it would stay
            put(watch.at("eastus", "moved %d" % number, "deeper %d" % number, "below"), b"heard in its new place")
        goes_the_short_way(watch, everything)
        number = goes_the_short_way(watch, a_folder_moves)
        watch.settled()
        assert not watch.early_looks(whole) and watch.short() >= 2, watch.lags()
        deeper = os.path.join("moved %d" % number, "deeper %d" % number)
        assert os.stat(watch.at("westus2", deeper)).st_mtime_ns == os.stat(watch.at("eastus", deeper)).st_mtime_ns
    verified = home.run("sync", "verify", "--dest", "westus2", "--paths", "/home/azureuser/short", "-o", "json")
    assert verified.code == 0, verified


def test_all_targets_at_once_and_no_deletions():
    home = need()
    fill(home.at("eastus", "both"), 20)
    with Watching("both", dest=None) as watch:
        put_goes_the_short_way(watch, "f1")
        watch.in_step("westeurope")
        os.unlink(watch.at("eastus", "f2"))
        watch.settled()
        assert os.path.exists(watch.at("westus2", "f2")), "nothing goes without --delete"


def test_deletions_take_a_whole_look_and_what_was_agreed_to_binds():
    home = need()
    fill(home.at("eastus", "less"), 20)
    with Watching("less", "--delete", "--max-delete", "2") as watch:
        os.unlink(watch.at("eastus", "f3"))
        watch.in_step()
        assert os.listdir(watch.at("westus2", ".azlin-trash")), "it went to the trash"
        watch.settled()
        put_goes_the_short_way(watch, "f4")
        for i in range(5, 9):
            os.unlink(watch.at("eastus", "f%d" % i))
        until(lambda: any("would remove" in str(event) for event in list(watch.seen)), "the question")
        assert os.path.exists(watch.at("westus2", "f5")), "more went than may go unasked"


def test_much_at_once_and_names_that_belong_together_take_a_whole_look():
    home = need()
    fill(home.at("eastus", "much"), 5)
    with Watching("much") as watch:
        whole = watch.whole()
        put(watch.at("eastus", "large"), os.urandom(9 << 20))
        watch.in_step()
        until(lambda: watch.whole() > whole, "a whole look")
        os.link(watch.at("eastus", "f0"), watch.at("eastus", "other name"))
        watch.in_step()
        assert os.stat(watch.at("westus2", "f0")).st_nlink == 2
        watch.settled()
        put_goes_the_short_way(watch, "f1")


def test_no_link_on_the_target_leads_out():
    home = need()
    fill(home.at("eastus", "attacked", "inner"), 5)
    put(home.at("westus2", "precious", "f1"), b"not yours")
    with Watching("attacked") as watch:
        inner = watch.at("westus2", "inner")
        shutil.rmtree(inner)
        os.symlink(home.at("westus2", "precious"), inner)
        put(watch.at("eastus", "inner", "f1"), b"mine")
        watch.settled()
        with open(home.at("westus2", "precious", "f1"), "rb") as f:
            assert f.read() == b"not yours"
        assert sorted(os.listdir(home.at("westus2", "precious"))) == ["f1"]
        put(watch.at("eastus", "inner", "f2"), b"mine, too")
        watch.in_step()


def test_what_somebody_else_changes_is_found_by_whole_looks():
    home = need()
    fill(home.at("eastus", "foreign"), 5)
    with Watching("foreign", "--interval", "2") as watch:
        put(watch.at("westus2", "f1"), b"foreign")
        end, number = time.monotonic() + WHOLE_LOOK_S + 15, 0
        while open(watch.at("westus2", "f1"), "rb").read() == b"foreign":
            assert time.monotonic() < end, "nobody looked, since something changed all the time"
            number += 1
            put(watch.at("eastus", "busy"), b"%d" % number)
            time.sleep(0.5)
        watch.in_step()
        assert watch.short() > 10, watch.lags()


def test_a_program_that_dies_costs_time_alone():
    home = need()
    fill(home.at("eastus", "dying"), 5)
    with Watching("dying", "--interval", "1") as watch:
        pid = only(target_program, home)
        os.kill(pid, signal.SIGSTOP)
        put(watch.at("eastus", "f1"), os.urandom(3 << 20))
        time.sleep(0.7)
        os.kill(pid, signal.SIGKILL)
        watch.in_step()
        until(lambda: target_program(home) not in ([], [pid]), "another one")
        watch.settled()
        put_goes_the_short_way(watch, "f2")
        pid = only(source_program, home)
        os.kill(pid, signal.SIGKILL)
        put(watch.at("eastus", "f3"), b"unheard of")
        watch.in_step()


def test_a_session_that_dies_in_the_midst_of_a_copy():
    home = need()
    fill(home.at("eastus", "cut"), 5)
    with Watching("cut", "--interval", "1") as watch:
        pid = only(target_program, home)
        os.kill(pid, signal.SIGSTOP)
        put(watch.at("eastus", "f1"), os.urandom(3 << 20))
        time.sleep(0.7)
        with open("/proc/%d/stat" % pid) as f:
            server = int(f.read().rpartition(")")[2].split()[1])
        os.kill(server, signal.SIGKILL)
        os.kill(pid, signal.SIGCONT)
        watch.in_step()
        until(lambda: pid not in target_program(home), "the end of the one without a session")


def test_a_target_with_newer_data_is_not_written_to():
    home = need()
    fill(home.at("eastus", "stale"), 5)
    kept = home.at("westus2", ".local", "state", "azlin", "epoch")
    before = open(kept, "rb").read() if os.path.exists(kept) else None
    try:
        with Watching("stale") as watch:
            put(kept, b"99\n")
            put(watch.at("eastus", "f1"), b"of a stale primary")
            until(lambda: watch.process.poll() is not None, "the refusal")
            assert watch.process.returncode == 5, watch.process.returncode
            with open(watch.at("westus2", "f1"), "rb") as f:
                assert f.read() == b"1"
    finally:
        os.unlink(kept)
        if before is not None:
            put(kept, before)


def test_patterns_take_whole_looks():
    home = need()
    fill(home.at("eastus", "filtered"), 5)
    with Watching("filtered", "--exclude", "*.tmp", "--interval", "1", short=False) as watch:
        put(watch.at("eastus", "f1"), b"new")
        watch.in_step()
        assert watch.short() == 0 and not source_program(home), watch.lags()


def test_zz_clean_up():
    clean_up()


e2e.main(globals())
