#!/usr/bin/env python3
"""Syncs under random faults: exit 0 means identical, 1 means said, 2 and a kill mean nothing torn; nothing is left over.

Each round draws a tree, an older state of the target, options and faults from its seed, syncs once under the faults and
once without. AZLIN_SYNC_CHAOS = syncs (24), AZLIN_SYNC_CHAOS_SEED = the first seed (1), AZLIN_SYNC_CHAOS_JOBS = rounds
side by side (2), AZLIN_SYNC_CHAOS_FAULTS = only these, AZLIN_SYNC_CHAOS_VERBOSE=1 prints a line for each round. A
failing round prints its seed: AZLIN_SYNC_CHAOS=2 AZLIN_SYNC_CHAOS_SEED=it plays it alone. The last line is the sums."""
import collections, concurrent.futures, json, os, queue, random, re, shutil, signal, subprocess, sys, threading, time
import e2e, machines
from faults import Attacker, Filler, Killer, Proxy, Writer, processes
from trees import Maker, differences, look, skipped, stages

SYNCS = int(os.environ.get("AZLIN_SYNC_CHAOS", "24"))
FIRST = int(os.environ.get("AZLIN_SYNC_CHAOS_SEED", "1"))
JOBS = int(os.environ.get("AZLIN_SYNC_CHAOS_JOBS", "2"))
FAULTS = os.environ.get("AZLIN_SYNC_CHAOS_FAULTS", "calm,kill,kill,interrupt,processes,processes,cut-source,cut-target,"
                                                   "cut-target,full,writer,writer,attacker,planted").split(",")
SOURCE, TARGET = "eastus", "westus2"
LIMIT_S = 150  # of one command: no wait that azlin is told of comes near it
SMALL = "small"  # in the target's home: a disk of few MiB
HOME = "/home/azureuser"
sums, lock = collections.Counter(), threading.Lock()


class Trouble(Exception):
    """What must never be; `kind` is what it counts as."""

    def __init__(self, kind, text):
        super().__init__("%s: %s" % (kind, text))
        self.kind = kind


class Ground(machines.Cloud):
    """Two machines behind a proxy each, for many rounds one after the other."""

    def __init__(self):
        super().__init__((SOURCE, TARGET))
        self.span = 0.6  # seconds that a sync takes here, about
        self.small = os.fsencode(self.at(TARGET, SMALL))
        self.has_small = MAY_MOUNT and machines.mount(self, TARGET, SMALL, "tmpfs", "size=32m")
        self.proxies = {}
        with open(os.path.join(self.path, "config.json")) as f:
            document = json.load(f)
        for record in document["regions"]:
            proxy = Proxy(record["public_ip"], record["ssh_port"])
            self.proxies[record["region"]] = proxy
            record["ssh_port"] = proxy.port
        document.pop("checksum")  # written by hand
        with open(os.path.join(self.path, "config.json"), "w") as f:
            json.dump(document, f, indent=2)
        self.pids = {region: self.pid(region) for region in self.folders}

    def open_entries(self):
        entries, path = set(), os.path.join(self.path, "journal.log")
        for line in open(path, errors="replace") if os.path.exists(path) else []:
            text = line[line.find("{"):line.rfind("}") + 1]
            record = json.loads(text) if text else {}
            if record.get("step") == "intent":
                entries.add(record.get("id"))
            elif record.get("step") == "done":
                entries.discard(record.get("id"))
        return entries

    def close(self):
        if self.has_small:
            subprocess.run(["umount", "-l", self.small])
        for proxy in self.proxies.values():
            proxy.calm()
        super().close()
        for proxy in self.proxies.values():
            proxy.close()


class Round:
    def __init__(self, seed, ground):
        self.seed, self.ground, self.rng = seed, ground, random.Random(seed)
        rng = self.rng
        self.faults = [rng.choice(FAULTS)]
        if rng.random() < 0.3:
            self.faults = list(dict.fromkeys([*self.faults, rng.choice(FAULTS)]))
        self.small = "full" in self.faults and ground.has_small
        base = os.path.join(SMALL, "r%d" % seed) if self.small else "r%d" % seed
        self.path = os.path.join(HOME, base)
        self.here, self.there = (os.fsencode(ground.at(region, base)) for region in (SOURCE, TARGET))
        self.corner = os.fsencode(ground.at(TARGET, "corner%d" % seed))
        self.outside = os.fsencode(ground.at(TARGET, "canary"))
        self.maker = Maker(rng, not self.small)
        self.delete, self.exclude = rng.random() < 0.4, rng.random() < 0.3
        self.options = []
        if self.delete:
            self.options += ["--delete", "--yes"]
        if self.exclude:
            self.options += ["--exclude", "*.skip"]
        if rng.random() < 0.25:
            self.options += ["--bwlimit", str(rng.choice([500, 2000, 20000]))]
        self.strategy = rng.choice(STRATEGIES)
        if "attacker" in self.faults and "stream" in STRATEGIES:  # rsync 3.5.0 makes folders and links by their paths
            self.strategy = "stream"
        if "attacker-rsync" in self.faults:  # by name alone: see plugins/sync-rsync/README.md
            self.strategy = "rsync"
        if self.strategy:
            self.options += ["--strategy", self.strategy]
        self.running, self.said, self.killed = [], [], []
        self.described = "seed %d: %s %s" % (seed, "+".join(self.faults), " ".join(self.options))
        self.writer, self.attacked = None, any(f.startswith("attacker") for f in self.faults)

    # ---- before ----

    def prepare(self):
        maker, rng = self.maker, self.rng
        maker.make(self.here)
        if rng.random() < 0.65:
            os.makedirs(os.path.dirname(self.there), exist_ok=True)
            self.copy_old()
            if self.delete or rng.random() < 0.5:
                maker.extras(self.there)
            maker.change(self.here)
        os.makedirs(self.corner)
        self.lay_canaries()
        if "planted" in self.faults:
            self.plant()
        self.old = look(self.there)
        self.before = look(self.here)
        self.around = self.look_around()

    def copy_old(self):
        done = subprocess.run(["cp", "-a", "--sparse=always", self.here, self.there], stderr=subprocess.DEVNULL)
        if done.returncode != 0:  # too much for the small disk
            shutil.rmtree(self.there)
            self.maker.make(self.there)

    def lay_canaries(self):
        """Outside the target stands what a link that is followed would change: the same names as inside."""
        shutil.rmtree(self.outside, ignore_errors=True)
        os.makedirs(self.outside)
        names = {os.path.basename(name) for name, one in look(self.here).items() if one.kind == "f"}
        for name in sorted(names)[:40] + [b"stays"]:
            self.maker.write(os.path.join(self.outside, name), b"canary")

    def plant(self):
        """Links where folders or files are expected, and a second name of a file outside."""
        rng, outside = self.rng, os.path.relpath(self.outside, os.fsencode(self.ground.at(TARGET)))
        inside_out = os.path.join(os.fsencode(HOME), outside)
        os.makedirs(self.there, exist_ok=True)
        names = [n for n, one in look(self.here).items() if one.kind in "df" and n != b"."]
        for name in rng.sample(names, min(len(names), rng.randint(1, 4))):
            path = os.path.join(self.there, name)
            if not os.path.isdir(os.path.dirname(path)) or os.path.islink(os.path.dirname(path)):
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            elif os.path.lexists(path):
                os.unlink(path)
            if os.path.isdir(os.path.join(self.here, name)):
                os.symlink(inside_out, path)
            elif rng.random() < 0.5 or self.small:  # no second name on another disk
                os.symlink(os.path.join(inside_out, b"stays"), path)
            else:
                os.link(os.path.join(self.outside, b"stays"), path)

    def look_around(self):
        """All of the target's home but the copy itself and what is azlin's own; all of the source's but its tree."""
        found = {}
        for region, tree in ((SOURCE, self.here), (TARGET, self.there)):
            home = os.fsencode(self.ground.at(region))
            left_out = [os.path.relpath(p, home) for p in (tree, self.corner)] + [b".ssh", b".local", b".cache", b"."]
            left_out += [os.fsencode(SMALL)]
            for name, one in look(home).items():
                if not any(name == o or name.startswith(o + b"/") for o in left_out) and b"r%d.new" % self.seed != name:
                    found[region, name] = one
        return found

    # ---- the sync ----

    def command(self, *args):
        self.said.append("$ azlin " + " ".join(args))
        return self.ground.popen(*args, start_new_session=True)  # a signal to the test is none to azlin

    def end(self, running):
        try:
            out, err = running.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            running.kill()
            out, err = running.communicate()
            self.said.append(out + err)
            raise Trouble("hung", "azlin did not end within %d s" % LIMIT_S)
        self.said.append("-> %d\n%s%s" % (running.returncode, out, err))
        return e2e.Result(running.returncode, out, err)

    def start_faults(self):
        rng, ground, span = self.rng, self.ground, self.ground.span
        for fault in self.faults:
            if fault == "processes":
                self.running.append(Killer(rng, list(ground.pids.values()), span))
            elif fault == "full" and self.small:
                self.running.append(Filler(rng, ground.small, span))
            elif fault == "writer" and self.writer is None:
                names = sorted(n for n, one in self.before.items() if one.kind == "f")
                self.writer = Writer(rng, self.here, rng.sample(names, min(len(names), rng.randint(1, 8))), span)
                self.running.append(self.writer)
            elif fault.startswith("attacker"):
                outside = os.path.join(os.fsencode(HOME), b"canary")
                self.running.append(Attacker(rng, self.there, self.corner, outside))
            elif fault.startswith("cut-"):
                region = SOURCE if fault == "cut-source" else TARGET
                most = rng.choice([2000, 20000, 300000, 4000000])
                ground.proxies[region].arm([rng.randint(1, most) for _ in range(rng.choice([1, 1, 2, 5]))])
        for fault in self.running:
            fault.start()

    def end_faults(self):
        for proxy in self.ground.proxies.values():
            proxy.calm()
        for fault in self.running:
            fault.end()
            self.killed += getattr(fault, "killed", [])

    def strike(self, running):
        how = signal.SIGKILL if "kill" in self.faults else signal.SIGINT if "interrupt" in self.faults else None
        if how is None:
            return
        try:
            running.wait(timeout=self.rng.random() * self.ground.span * 1.3)
        except subprocess.TimeoutExpired:
            running.send_signal(how)

    def sync(self):
        args = ["sync", "-o", "json", "--dest", TARGET, "--paths", self.path, *self.options]
        began = time.monotonic()
        running = self.command(*args)
        self.start_faults()
        try:
            self.strike(running)
            result = self.end(running)
        finally:
            self.end_faults()
        if not self.running and result.code == 0 and "--bwlimit" not in self.options:
            self.ground.span = 0.9 * self.ground.span + 0.1 * (time.monotonic() - began)
        allowed = {0, 1, 2, 3} | ({-9} if "kill" in self.faults else set()) \
            | ({130, -2} if "interrupt" in self.faults else set())  # -2: before it was ready to be interrupted
        if result.code not in allowed:
            raise Trouble("strange_end", "exit %d" % result.code)
        return result

    # ---- what must hold ----

    def versions(self, name):
        """Digests of a file that may stand on the target."""
        found = {one.sum for one in (self.before.get(name), self.old.get(name), self.final.get(name))
                 if one is not None and one.kind == "f"}
        return found | (self.writer.versions.get(name, set()) if self.writer else set())

    def check_torn(self, settled):
        """`settled`: nothing may be half done any more, either."""
        in_place = self.writer.in_place if self.writer else set()
        for name, one in self.now.items():
            known = any(name in tree for tree in (self.before, self.old, self.final))
            if one.kind == "f" and (known or settled) and name not in in_place and one.sum not in self.versions(name):
                raise Trouble("torn" if known else "left_over", "%r of %d bytes" % (name, one.size))
        for name, one in self.old.items():
            if self.delete and self.writer and name in self.writer.touched:
                continue  # it was gone from the source for a while
            gone = name not in self.now and one.kind == "f" and (self.before.get(name) or one)[0] == "f"
            if gone and not self.has_way_made(name) and (not self.delete or name in self.before):
                raise Trouble("torn", "%r is gone from the target" % name)

    def has_way_made(self, name):
        """A folder above it gave way to something else."""
        parts = name.split(b"/")
        above = [b"/".join(parts[:i]) for i in range(1, len(parts))]
        return any(a in self.before and self.before[a].kind != "d" for a in above) or \
            any(a in self.final and self.final[a].kind != "d" for a in above)

    def check_equal(self, kind, exact):
        wrong = differences(self.final, self.now, self.exclude)
        if not exact:  # what was changed meanwhile must be one of its versions
            wrong = [n for n in wrong if not self.is_a_version(n)]
        if wrong:
            raise Trouble(kind, "%r: %r, %r" % (wrong[0], self.final.get(wrong[0]), self.now.get(wrong[0])))
        for name in self.now:
            extra = name not in self.final and name not in self.before
            if extra and self.delete and not (self.exclude and self.is_kept(name)):
                raise Trouble(kind, "%r is on the target alone" % name)
        for name, one in self.old.items() if not self.delete else []:
            if name not in self.now and name not in self.before and one.kind == "f" and not self.has_way_made(name):
                raise Trouble("torn", "%r was on the target alone and is gone" % name)

    def is_kept(self, name):
        """Left out, or a folder that holds what is left out."""
        return skipped(name) or any(n.startswith(name + b"/") and skipped(n) for n in self.now)

    def is_blocked(self):
        """A folder of the target that holds what is left out, and so stays, stands where the source has something else."""
        return bool(self.exclude) and any(
            one.kind == "d" and name in self.final and self.final[name].kind != "d" and self.is_kept(name)
            for name, one in self.now.items())

    def is_a_version(self, name):
        touched = self.writer.touched if self.writer else set()
        if name not in touched:  # a folder in which something came or went has another time
            return self.final[name].kind == "d" and any(os.path.dirname(t) == name or name == b"." for t in touched)
        one = self.now.get(name)
        return one is None or one.sum in self.versions(name)

    def check_reported(self, result):
        """All that differs is named, or an error says that the path as a whole cannot be answered for."""
        errors = [e for one in result.json()["results"] for e in one["errors"]]
        if not errors:
            raise Trouble("silent_mismatches", "exit 1 without a word")
        named = [e for e in errors if e.startswith("CHANGED ") or "goes with --delete only" in e
                 or "could not be compared" in e or "/" in e.removeprefix(self.path).split(" ")[0]]
        if len(named) < len(errors) or any(e.startswith("CHANGED: ") for e in errors):
            return
        text = "\n".join(errors).encode(errors="surrogateescape")
        for name in differences(self.final, self.now, self.exclude):
            if self.final[name].kind == "d" and name in self.now or self.is_a_version(name):
                continue
            if shown(name) not in text and not any(shown(name).startswith(shown(p) + b"/") and shown(p) in text
                                                   for p in parents(name)):
                raise Trouble("silent_mismatches", "%r differs and is not named" % name)

    def check_left(self, when):
        ground = self.ground
        try:
            machines.no_keys(ground)
        except AssertionError as error:
            raise Trouble("keys_left", "%s: %s" % (when, error))
        if ground.open_entries():
            raise Trouble("keys_left", "%s: open entries %r" % (when, ground.open_entries()))
        end, left = time.monotonic() + 10, None
        while time.monotonic() < end:
            left = {r: {p: c for p, c in processes(pid).items() if "sshd: " not in c} for r, pid in ground.pids.items()}
            if not any(left.values()):
                return
            time.sleep(0.05)
        raise Trouble("processes_left", "%s: %r" % (when, left))

    def check_around(self):
        now = self.look_around()
        wrong = [key for key in sorted(set(now) | set(self.around)) if self.around.get(key) != now.get(key)]
        if wrong:
            raise Trouble("outside", repr([(key, self.around.get(key), now.get(key)) for key in wrong[:5]]))
        if self.writer is None and look(self.here) != self.before:
            raise Trouble("outside", "the source was changed")

    def recover(self):
        result = self.end(self.command("recover", "--yes"))
        if result.code != 0:
            raise Trouble("keys_left", "recover ended with %d" % result.code)

    def count(self, what):
        with lock:
            sums[what] += 1

    def look_again(self):
        self.final, self.now = look(self.here), look(self.there)

    def judge(self, result):
        whole = result.code in (0, 1) and "azlin recover" not in result.err
        self.look_again()
        if not whole:
            if not self.attacked:
                self.check_torn(False)
            self.recover()
        self.check_left("after exit %d" % result.code if whole else "after recover")
        self.look_again()
        if self.attacked:
            self.count("attacked")
            return
        self.check_torn(True)
        if result.code == 0:
            self.check_equal("silent_mismatches", self.writer is None)
            self.count("identical")
        elif result.code == 1:
            self.check_reported(result)
            self.count("reported")
        else:
            self.count("interrupted" if result.code in (-9, -2, 130) else "failed_honestly")

    def again(self):
        """Without faults, from whatever state that left: now there is no excuse."""
        self.before, self.old = self.final, look(self.there)
        self.options = [o for o in self.options if o != "--bwlimit" and not o.isdigit()]
        self.writer, self.running, self.faults = None, [], []
        if not self.delete:  # what stands in the way of something else
            self.options += ["--delete", "--yes"]
            self.delete = True
        result = self.sync()
        self.now = look(self.there)
        in_the_way = ("a folder that is not empty stands where this belongs", "could not make way for")
        if result.code == 1 and self.is_blocked() and any(words in result.out for words in in_the_way):
            return self.count("reported")
        empty = not any(one.kind != "d" for one in self.final.values())
        if result.code == 2 and empty and "would empty the target" in result.out:
            return self.count("failed_honestly")
        if result.code != 0:
            raise Trouble("strange_end", "exit %d with nothing in its way" % result.code)
        self.check_equal("silent_mismatches", True)
        self.count("identical")

    def play(self):
        self.prepare()
        self.count("syncs")
        result = self.sync()
        self.judge(result)
        self.check_around()
        self.count("syncs")
        self.again()
        self.check_left("after a clean sync")
        self.check_around()
        if stages(self.there) and not self.attacked:  # it may have made that folder of another
            raise Trouble("stages_left", repr([(s, os.listdir(s)) for s in stages(self.there)]))
        self.clean()
        return result.code

    def clean(self):
        for path in (self.here, self.there, self.corner, self.here + b".new"):
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            elif os.path.lexists(path):
                os.unlink(path)

    def describe(self):
        return self.described + (" killed %r" % self.killed if self.killed else "")


def shown(name):
    try:
        name.decode()
        odd = rb"[\x00-\x1f\x7f\\]"
    except UnicodeDecodeError:
        odd = rb"[\x00-\x1f\x7f\\\x80-\xff]"
    return re.sub(odd, lambda m: b"\\%03o" % m[0][0], name)


def parents(name):
    parts = name.split(b"/")
    return [b"/".join(parts[:i]) for i in range(1, len(parts))]


def work(seeds, kind):
    """One pair of machines until no seed is left; a broken one is made anew."""
    ground = None
    while True:
        try:
            seed = seeds.get_nowait()
        except queue.Empty:
            break
        ground = ground or Ground()
        one = kind(seed, ground)
        try:
            code = one.play()
            if os.environ.get("AZLIN_SYNC_CHAOS_VERBOSE"):
                print("# %s: exit %d" % (one.describe(), code), flush=True)
        except Exception as error:  # a broken round must not end the others
            with lock:
                sums[error.kind if isinstance(error, Trouble) else "broken"] += 1
                print("# " + one.describe() + "\n#   " + repr(error), flush=True)
                print("\n".join("#   " + line for text in one.said for line in text.splitlines()), flush=True)
                if not isinstance(error, Trouble):
                    import traceback
                    traceback.print_exception(error, file=sys.stdout)
            if not os.environ.get("AZLIN_SYNC_CHAOS_KEEP"):
                ground.close()
            ground = None
    if ground:
        ground.close()


def play_all(kind, rounds):
    """So many of this kind; fails behind its sums when anything happened that may not."""
    for tool in ("bwrap", "rsync", "rrsync", "ssh-keygen"):
        if not shutil.which(tool):
            raise e2e.Skip("%s is missing" % tool)
    if not MAY_MOUNT:
        print("# left out: full (no rights to mount a small disk)")
    seeds = queue.Queue()
    for seed in range(FIRST, FIRST + rounds):
        seeds.put(seed)
    signal.signal(signal.SIGTERM, lambda *_: seeds.queue.clear())  # what runs ends, and the sums are printed
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        running = [pool.submit(work, seeds, kind) for _ in range(JOBS)]
        while concurrent.futures.wait(running, timeout=1).not_done:
            pass
    for done in running:
        done.result()
    good = ("syncs", "identical", "reported", "failed_honestly", "interrupted", "attacked", "short_rounds")
    bad = ("silent_mismatches", "torn", "keys_left", "stages_left", "outside")
    print("# " + json.dumps({**{k: sums[k] for k in good + bad}, **{k: n for k, n in sums.items()}}), flush=True)
    assert not set(sums) - set(good), {k: n for k, n in sums.items() if k not in good}


def test_chaos():
    play_all(Round, (SYNCS + 1) // 2)


def strategies():
    plugins = [n for folder in os.environ["AZLIN_PLUGIN_PATH"].split(":") for n in os.listdir(folder)]
    return ["", "rsync"] + (["stream", "stream"] if "sync-stream.so" in plugins else [])


MAY_MOUNT = machines.own_mounts()
STRATEGIES = strategies()
if __name__ == "__main__":
    e2e.main(globals())
