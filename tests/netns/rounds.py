"""Rounds: one laboratory each, somebody who runs azlin in it, one fault, and what the primary does; many at once."""
import json, os, signal, statistics, sys, threading, time, traceback
from concurrent.futures import ThreadPoolExecutor
import netns, pace

ROUNDS = int(os.environ.get("AZLIN_NETNS_ROUNDS", "2"))
AT_ONCE = int(os.environ.get("AZLIN_NETNS_AT_ONCE", pace.fewer(20)))
BEAT = 5


class Observer:
    """Reads the events of azlin as they come, and keeps when it decided to switch and when the switch was committed."""

    def __init__(self, lab):
        self.lab, self.stopping, self.process = lab, threading.Event(), None
        self.verdict = self.commit = None  # monotonic seconds
        self.fence = None  # how that of the switch ended
        self.events, self.codes, self.trouble = [], [], []
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def run(self, *args):
        self.process = self.lab.popen(*args, "-o", "jsonl")
        complaints = threading.Thread(target=lambda p: self.trouble.append(p.stderr.read()), args=(self.process,))
        complaints.start()
        for line in self.process.stdout:
            self.note(json.loads(line), time.monotonic())
        complaints.join()
        self.codes.append(self.process.wait())

    def note(self, event, now):
        self.events.append((now, event))
        text = event.get("text", "")
        if text.startswith("Executing failover to ") and self.verdict is None:
            self.verdict = now
        if text.startswith("Primary region: "):
            self.commit = now
        result = event.get("result") or {}
        if result.get("success") and result.get("target_region"):
            self.fence = result["fence"]

    def stop(self, seconds=90):
        self.stopping.set()
        self.thread.join(seconds)
        assert not self.thread.is_alive(), "azlin goes on and on: %r" % self.events[-5:]


class Once(Observer):
    """`azlin failover --auto`, again and again, as a timer would run it."""

    def loop(self):
        while not self.stopping.is_set():
            began = time.monotonic()
            self.run("failover", "--auto")
            self.stopping.wait(max(0.0, began + BEAT - time.monotonic()))


class Watch(Observer):
    """`azlin watch`, in the foreground all the time."""

    def loop(self):
        self.run("watch")

    def note(self, event, now):
        super().note(event, now)
        if event.get("event") == "verdict" and event.get("should_auto_failover") and self.verdict is None:
            self.verdict = now
        if event.get("event") == "switch" and event.get("phase") == "ended":
            self.fence = event.get("fence")

    def stop(self, seconds=90):
        if self.process:
            self.process.send_signal(signal.SIGINT)
        super().stop(seconds)
        assert self.codes == [0], "azlin watch ended with %r: %s" % (self.codes, "".join(self.trouble))


class Scenario:
    """What happens to a laboratory, and for how long it is looked at. `switches`: whether the primary has to move."""
    switches, seconds, config, sshd, provider = False, 75, "", "", "static"

    def begin(self, lab, number):
        raise NotImplementedError

    def during(self, lab, number, began, observer):
        """Until the end of the time, or of the switch."""
        end = began + self.seconds
        while time.monotonic() < end and not (self.switches and observer.commit):
            time.sleep(0.05)

    def end(self, lab, number):
        """What was broken is mended, where a test wants to see the peace after it."""

    def check(self, lab, number, observer):
        """More to be seen after the observer has gone."""


class Outcome:
    def __init__(self, number):
        self.number, self.switched, self.detect, self.act, self.wrong, self.last = number, False, None, None, None, ""


def told(event):
    """One event in a few words; progress says nothing that the rest does not."""
    words = [event.get(key) for key in ("region", "state", "reason", "held_back_by", "text", "phase")]
    return "" if event.get("event") == "progress" else " ".join([event["event"], *filter(None, words)])


def servers(lab):
    """The last words of every sshd."""
    logs = ""
    for region, machine in lab.machines.items():
        with open(machine.log) as f:
            logs += "\n--- sshd of %s\n%s" % (region, "".join(f.readlines()[-30:]))
    return logs


def one_round(scenario, number, observer_kind):
    outcome = Outcome(number)
    try:
        with netns.Lab(config=scenario.config, sshd=scenario.sshd, provider=scenario.provider,
                       prepare=getattr(scenario, "prepare", None)) as lab:
            observer = observer_kind(lab).start()
            time.sleep(BEAT + number * 0.37 % BEAT)  # faults come at any point of the beat
            assert observer.commit is None and observer.verdict is None, "a switch before anything happened"
            began = time.monotonic()
            scenario.begin(lab, number)
            scenario.during(lab, number, began, observer)
            scenario.end(lab, number)
            observer.stop()
            outcome.last = ["%.1f %s" % (at - began, told(event)) for at, event in observer.events if told(event)][-15:]
            state = lab.state()
            outcome.switched = state["epoch"] != 1 or state["primary"] != "eastus"
            if outcome.switched and observer.commit:
                outcome.detect, outcome.act = observer.commit - began, observer.commit - observer.verdict
            assert outcome.switched == scenario.switches, "primary %s, epoch %s; azlin ended with %r and said %r %s%s" % (
                state["primary"], state["epoch"], observer.codes, outcome.last, "".join(observer.trouble)[-2000:],
                servers(lab))
            scenario.check(lab, number, observer)
    except Exception:
        outcome.wrong = traceback.format_exc()
    return outcome


def spread(values):
    return "max %.1f s, median %.1f s" % (max(values), statistics.median(values)) if values else "none"


class Series:
    """All rounds of all scenarios of a file: started together, told apart by the tests."""

    def __init__(self, observer, *scenarios):
        self.observer, self.scenarios, self.futures, self.pool = observer, scenarios, {}, ThreadPoolExecutor(AT_ONCE)

    def begin(self, wanted):
        """All at once; but one by one when tests were named on the command line."""
        netns.need()
        scenarios = [s for s in ((wanted,) if sys.argv[1:] else self.scenarios) if s not in self.futures]
        self.futures.update((s, []) for s in scenarios)
        for number in range(ROUNDS):
            for scenario in scenarios:
                self.futures[scenario].append(self.pool.submit(one_round, scenario(), number, self.observer))

    def result(self, scenario, outage_to_commit=None, verdict_to_commit=None):
        """Waits for the rounds of one scenario, prints what came out, and holds it against the bounds."""
        self.begin(scenario)
        outcomes = [f.result() for f in self.futures[scenario]]
        detect = [o.detect for o in outcomes if o.detect is not None]
        act = [o.act for o in outcomes if o.act is not None]
        print("# %s (%s): n=%d, switches=%d, failed=%d; outage->commit %s; verdict->commit %s"
              % (scenario.__name__, self.observer.__name__, len(outcomes), sum(o.switched for o in outcomes),
                 sum(o.wrong is not None for o in outcomes), spread(detect), spread(act)), flush=True)
        wrong = [o for o in outcomes if o.wrong]
        for o in wrong[1:]:
            print("# round %d: %s" % (o.number, o.wrong.strip().split("\n")[-1]))
        assert not wrong, "round %d: %s" % (wrong[0].number, wrong[0].wrong)
        for what, values, bound in (("outage->commit", detect, outage_to_commit), ("verdict->commit", act, verdict_to_commit)):
            assert bound is None or len(values) == len(outcomes) and max(values) <= bound, (what, values)
        return outcomes
