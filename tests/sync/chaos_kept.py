#!/usr/bin/env python3
"""sync --watch under random faults: while it stays, changes of all kinds and what goes wrong meanwhile; then both trees must be
the same, and never may they differ once it says that it has verified what stands there now. Knobs and sums as of chaos.py."""
import json, os, random, signal, subprocess, threading, time
import chaos, e2e
from trees import differences, look, stages

FAULTS = ("calm", "calm", "processes", "processes", "cut-source", "cut-target", "full", "writer", "kill", "interrupt")
IN_STEP_S = 120
LATER_S = 1.0  # that an event may be read behind what it tells of
AGAIN_S = 3  # until the look that counts: far below the minute after which everything is looked at


class Told(threading.Thread):
    """What a watch says, with when it was read."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.events, self.words = process, [], []
        self.start()

    def run(self):
        for line in self.process.stdout:
            try:
                self.events.append((time.monotonic(), json.loads(line)))
            except ValueError:  # cut off as it was killed
                self.words.append(line)
        self.words += self.process.stderr.readlines()

    def lags(self):
        return [(at, event) for at, event in list(self.events) if event["event"] == "lag"]

    def has_verified_since(self, moment):
        """A round that began after it has found everything equal."""
        return any(at - region["lag_seconds"] > moment + LATER_S for at, event in self.lags() for region in event["regions"]
                   if region["lag_seconds"] >= 0)

    def asks(self):
        """Its last word is a question."""
        said = [event["text"] for _, event in list(self.events) if event.get("level") in ("warn", "ok")]
        return bool(said) and "--delete would remove" in said[-1]

    def said(self):
        told = [event for _, event in self.events if event["event"] != "lag"][-40:] + [event for _, event in self.lags()[-3:]]
        return "\n".join([json.dumps(event) for event in told] + self.words)


class Kept(chaos.Round):
    """One watch after the other on the same trees, through several changes."""

    def __init__(self, seed, ground):
        super().__init__(seed, ground)
        rng = random.Random(seed)
        self.faults, self.delete, self.exclude, self.attacked = ["calm"], True, False, False
        self.options = ["--delete", "--yes", "--max-delete", "100000", "--interval", "1"]
        if rng.random() < 0.3:
            self.options += ["--strategy", "stream"]
        self.changes = rng.randint(2, 5)
        self.described, self.told, self.short = "seed %d: kept" % seed, None, 0

    def start_watch(self):
        process = self.command("sync", "--watch", "-o", "jsonl", "--dest", chaos.TARGET, "--paths", self.path, *self.options)
        self.told = Told(process)
        e2e.until(lambda: self.told.lags() or process.poll() is not None, "its first round", IN_STEP_S)
        self.wait_in_step(time.monotonic())

    def end_watch(self):
        """Its exit status; what it has left to be taken away is."""
        process, told = self.told.process, self.told
        try:
            code = process.wait(chaos.LIMIT_S)
        except subprocess.TimeoutExpired:
            raise chaos.Trouble("hung", "the watch did not end within %d s" % chaos.LIMIT_S)
        told.join()
        self.short += max([event["short_rounds"] for _, event in told.lags()] or [0])
        self.said.append("-> %d\n%s" % (code, told.said()))
        process.stdout.close()
        process.stderr.close()
        if code not in (0, 130):
            self.recover()
        return code

    def wait_in_step(self, since):
        """Until both trees are the same; it is a lie if it claims to have seen that they are, and they are not."""
        end, lie = time.monotonic() + IN_STEP_S, None
        while True:
            try:
                self.look_again()
                wrong = differences(self.final, self.now, False) + [n for n in self.now if n not in self.final]
            except OSError:  # something was put in place just then
                time.sleep(0.05)
                continue
            if not wrong:
                return
            now = time.monotonic()
            lie = (lie or now) if self.told.has_verified_since(since) else None
            what = "%r: %r, %r" % (wrong[0], self.final.get(wrong[0]), self.now.get(wrong[0]))
            if lie is not None and now > lie + AGAIN_S:
                raise chaos.Trouble("silent_mismatches", what)
            if self.told.asks():  # nobody answers it: whoever wants that says so once
                self.end(self.command("sync", "--dest", chaos.TARGET, "--paths", self.path, "--delete", "--yes"))
                since = time.monotonic()
            if self.told.process.poll() is not None:
                raise chaos.Trouble("strange_end", "the watch ended by itself, with %d" % self.told.process.poll())
            if now > end:
                raise chaos.Trouble("never_in_step", what)
            time.sleep(0.1)

    def strike(self, running):
        super().strike(running)
        if not {"kill", "interrupt"} & set(self.faults):
            return
        code = self.end_watch()
        if code not in (0, 130, -9, -2):
            raise chaos.Trouble("strange_end", "exit %d" % code)
        self.told = None

    def change(self):
        rng = self.rng
        self.faults, self.running, self.writer = [rng.choice(FAULTS)], [], None
        self.described += ", " + self.faults[0]
        self.before, self.old = look(self.here), look(self.there)
        self.start_faults()
        try:
            for _ in range(0 if self.writer else 2):  # two at once would be in each other's way
                self.maker.change(self.here)
                time.sleep(rng.random() * self.ground.span)
            self.strike(self.told.process)
        finally:
            self.end_faults()
        changed = time.monotonic()
        self.count("syncs")
        if not any(one.kind != "d" for one in look(self.here).values()):  # it refuses to empty the target
            self.maker.write(os.path.join(self.here, b"first"), b"first")
            changed = time.monotonic()
        if self.told is None:
            self.start_watch()
        else:
            self.wait_in_step(changed)
        self.count("identical")

    def play(self):
        self.prepare()
        try:
            self.start_watch()
            for _ in range(self.changes):
                self.change()
            self.told.process.send_signal(signal.SIGINT)
            code = self.end_watch()
        except BaseException:
            if self.told is not None:
                self.told.process.kill()
                self.told.join()
                self.said.append(self.told.said())
            raise
        if code not in (0, 130):
            raise chaos.Trouble("strange_end", "exit %d" % code)
        with chaos.lock:
            chaos.sums["short_rounds"] += self.short
        self.before, self.writer = look(self.here), None
        self.check_left("after a watch")
        self.check_around()
        if stages(self.there):
            raise chaos.Trouble("stages_left", repr(stages(self.there)))
        self.clean()
        return code


def test_chaos_kept():
    chaos.play_all(Kept, (chaos.SYNCS + 3) // 4)


if __name__ == "__main__":
    e2e.main(globals())
