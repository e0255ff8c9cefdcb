"""What decide() has to say, worked out from the decision table of the design by itself: it shares no line with the brick.

`expect.py --write` writes the corpus beside it; without arguments it checks that the files say what the table says.
The rules, in the order in which they bind:

  healthy                         never; `maintenance` when it is announced: automatic with its option, a fit target, a
                                  host without trouble
  auth failed, host key changed,  never, whatever the numbers say
  performance degraded
  off, requested or unexplained   never: intent
  off, by the platform            never without auto-on-platform-stop; with it, as a network outage
  unknown failure                 never
  a vantage sees life             never; `unreachable_from_me` unless it is this host that sees it
  no vantage proved its road      never; `observer_blind`
  fewer than two vantages         never
  settled, confidence reached     automatic in mode auto and hybrid while this host's score is below 3
  anything else                   never
"""
import itertools, math, os, sys

HERE = os.path.dirname(os.path.abspath(__file__))
MODES = ("hybrid", "auto", "manual")
DEFAULTS = {"fall": 7, "primary-interval": 5, "probe-timeout": 4, "threshold": 0.85, "prior": 1e-4,
            "auto-on-platform-stop": False, "auto-on-maintenance": False, "never-promote": ""}
BUILT_IN = {"here": 3e-3}
WITNESS = 1e-3


class Vantage:
    def __init__(self, name, dark=0, seconds=0.0, up=True, check=True, alive=False, refused=False, healed=0.0):
        self.name, self.dark, self.seconds, self.up, self.check = name, dark, seconds, up, check
        self.alive, self.refused, self.healed = alive, refused, healed

    def words(self):
        words = ["alive"] if self.alive else ["dark %d in %g s" % (self.dark, self.seconds)] if self.dark else ["silent"]
        words += ["refused"] * self.refused + ["never-up"] * (not self.up) + ["no-self-check"] * (not self.check)
        if self.healed:
            words.append("healed %g" % self.healed)
        return "vantage %s: %s" % (self.name, ", ".join(words))

    def most(self):
        rate = min(max(self.healed, 1e-4), 1.0) if self.healed else BUILT_IN.get(self.name, WITNESS)
        return -math.log(rate)


class Case:
    def __init__(self, name, failure="network_unreachable", vantages=(), mode="hybrid", power="unknown", cause="unknown",
                 platform=None, control_plane=False, score=0, blind=False, maintenance=False, target="healthy",
                 policy=None, typed=False, **options):
        self.name, self.failure, self.vantages, self.mode = name, failure, list(vantages), mode
        self.power, self.cause, self.platform, self.control_plane = power, cause, platform, control_plane
        self.score, self.blind, self.maintenance, self.target = score, blind, maintenance, target
        self.policy, self.typed = policy, typed
        self.given = {k.replace("_", "-"): v for k, v in options.items()}
        self.options = dict(DEFAULTS, **self.given)

    # ---- facts of the case ----

    def off(self):
        return self.power in ("stopped", "deallocated")

    def by_platform(self):
        return self.off() and self.cause == "ended" and self.platform == "unavailable"

    def ended(self):
        return self.power == "stopped" and self.cause == "ended" and not self.by_platform()

    def intended(self):
        return self.off() and not self.ended() and not self.by_platform()

    def counting(self):
        return [v for v in self.vantages if v.dark and not v.alive and v.up and v.check and not self.intended()]

    def refusal(self, v):
        return v.refused and (self.ended() or self.by_platform())

    def span(self):
        return (self.options["fall"] - 1) * self.options["primary-interval"]

    def settled(self):
        counting = self.counting()
        alone = all(self.refusal(v) or (v.dark >= self.options["fall"] and v.seconds >= self.span() - 0.01)
                    for v in counting)
        explained = any(self.refusal(v) and v.dark < self.options["fall"] for v in counting)
        longest = max([v.seconds for v in counting], default=0)
        return alone and (explained or longest >= self.span() + self.options["probe-timeout"] - 0.01)

    # ---- confidence: the sum of log-odds ----

    def of_vantage(self, v):
        if v.alive:
            return -v.most()
        if not v.dark or self.intended() or not v.up:
            return 0.0
        if not v.check:
            return min(v.dark * math.log(5), math.log(30), v.most())
        if self.refusal(v):
            return v.most()
        return min(v.dark * math.log(5), v.most())

    def confidence(self):
        prior = self.options["prior"]
        service = self.failure == "ssh_connection_failed"
        start = min(10 * prior, max(prior, 0.5)) if service and not self.off() else prior
        total = math.log(start / (1 - start)) + sum(self.of_vantage(v) for v in self.vantages)
        if self.ended() or self.by_platform():
            total += math.log(1000)
        elif self.platform == "unavailable":
            total += math.log(50)
        if self.intended() and self.cause != "requested":
            total -= math.log(prior / (1 - prior))
        if self.power == "running" and not service:
            total -= 1.2
        if self.control_plane:
            total += 1.6
        return 1 / (1 + math.exp(-total))

    # ---- the table ----

    def judge(self):
        """(verdict, automatic, words of the reason)"""
        troubled = self.score >= 3
        if self.failure == "healthy":
            if not self.maintenance:
                return "healthy", False, "is healthy"
            fit = self.target == "healthy"
            wanted = self.options["auto-on-maintenance"] and self.mode != "manual"
            return "maintenance", wanted and fit and not troubled, "announced maintenance"
        if self.failure == "auth_failed":
            return self.failure, False, "refuses the key"
        if self.failure == "host_key_changed":
            return self.failure, False, "not the pinned one"
        if self.failure == "performance_degraded":
            return self.failure, False, "slow but serves"
        stopped = "vm_" + self.power
        if self.intended():
            return stopped, False, "stopped on request" if self.cause == "requested" else "may be intended"
        if self.by_platform() and not self.options["auto-on-platform-stop"]:
            return stopped, False, "the platform stopped the machine"
        failure = self.failure
        if self.off() and failure in ("vm_stopped", "vm_deallocated"):
            failure = "network_unreachable"
        if failure not in ("network_unreachable", "ssh_connection_failed"):
            return failure, False, "cannot be told apart"
        alive = [v for v in self.vantages if v.alive]
        if any(v.name == "here" for v in alive):
            return failure, False, "this host sees the machine alive"
        if alive:
            return "unreachable_from_me", False, "path problem on your side"
        if self.blind or (self.vantages and not any(v.check for v in self.vantages)):
            return "observer_blind", False, "cannot tell"
        if len(self.counting()) < 2:
            return failure, False, "needs two"
        if not self.settled():
            return failure, False, "not for long enough"
        if self.confidence() < self.options["threshold"]:
            return failure, False, "confidence is"
        if self.mode == "manual":
            return failure, False, "mode is manual"
        if troubled:
            return failure, False, "this host itself is in trouble"
        return failure, True, "of %d vantages" % len(self.counting())

    def holds(self):
        """What the policy says to a switch, typed by a person or automatic."""
        if self.policy is None:
            return None
        binding = {"fence-pending"}
        return self.policy if not self.typed or self.policy in binding else None

    # ---- as a block of the file ----

    def block(self):
        verdict, automatic, reason = self.judge()
        lines = ["case " + self.name, "failure " + self.failure, "mode " + self.mode]
        if self.power != "unknown":
            lines.append("power %s" % self.power + (" %s" % self.cause if self.off() else ""))
        lines += ["platform " + self.platform] if self.platform else []
        lines += ["control-plane fails"] if self.control_plane else []
        lines += ["score %d" % self.score] if self.score else []
        lines += ["blind"] if self.blind else []
        lines += ["maintenance announced"] if self.maintenance else []
        lines += ["target " + self.target] if self.target != "healthy" else []
        lines += [v.words() for v in self.vantages]
        if self.given:
            lines.append("options " + ",".join("%s=%s" % (k, str(v).lower()) for k, v in sorted(self.given.items())))
        lines += ["policy " + self.policy + (" typed" if self.typed else "")] if self.policy else []
        acts = "automatic" if automatic else "manual"
        if self.policy:
            held = self.holds()
            acts = "held" if held else ("typed" if self.typed else acts)
        lines.append("=> %s | %s | %.3f | %s" % (verdict, acts, self.confidence(), reason))
        return "\n".join(lines) + "\n"


# ---- the cases, each file one question ----

def dark(name, dark=8, seconds=36.0, **more):
    return Vantage(name, dark, seconds, **more)


def once(name, **more):
    return Vantage(name, 1, 0.0, **more)


def alive(name):
    return Vantage(name, alive=True)


LOOKS = {
    "nobody": [],
    "here alone": [dark("here")],
    "here without self-check": [dark("here", check=False)],
    "here and a witness": [dark("here"), dark("westus2")],
    "here and two witnesses": [dark("here"), dark("westus2"), dark("westeurope")],
    "two witnesses, here never saw it": [dark("here", up=False), dark("westus2"), dark("westeurope")],
    "here, and a witness that never saw it": [dark("here"), dark("westus2", up=False)],
    "here, one witness of two alive": [dark("here"), dark("westus2"), alive("westeurope")],
    "here alive, a witness dark": [alive("here"), dark("westus2")],
    "here one probe, a witness one probe": [once("here"), once("westus2")],
    "here, and a witness that does not answer": [dark("here"), Vantage("westus2")],
    "here without self-check, a witness": [dark("here", check=False), dark("westus2")],
}
PLATFORMS = {
    "platform silent": {},
    "last known running": {"power": "running"},
    "platform failed": {"platform": "unavailable"},
    "control plane fails there alone": {"control_plane": True},
}
TWO = LOOKS["here and a witness"]


def network():
    for (look, vantages), (said, facts), mode in itertools.product(LOOKS.items(), PLATFORMS.items(), MODES):
        yield Case("%s; %s; %s" % (look, said, mode), vantages=vantages, mode=mode, **facts)


def service():
    looks = ("here alone", "here and a witness", "here and two witnesses", "here, one witness of two alive")
    for look, power, refused, mode in itertools.product(looks, ("unknown", "running"), (False, True), MODES):
        vantages = [Vantage(v.name, v.dark, v.seconds, alive=v.alive, refused=refused and not v.alive)
                    for v in LOOKS[look]]
        yield Case("sshd %s: %s; power %s; %s" % ("refuses" if refused else "hangs", look, power, mode),
                   failure="ssh_connection_failed", vantages=vantages, power=power, mode=mode)


def stopped():
    for power, cause, platform, option, mode in itertools.product(
            ("stopped", "deallocated"), ("requested", "unknown", "ended"), (None, "unavailable"), (False, True), MODES):
        failure = "network_unreachable" if cause == "ended" else "vm_" + power
        more = {"auto_on_platform_stop": True} if option else {}
        yield Case("%s, %s, platform %s%s; %s" % (power, cause, platform or "silent", ", option on" if option else "",
                                                 mode),
                   failure=failure, power=power, cause=cause, platform=platform, vantages=TWO, mode=mode, **more)
    for cause, refused, mode in itertools.product(("ended", "unknown"), (False, True), MODES):
        yield Case("just stopped, %s, %s; %s" % (cause, "refused" if refused else "silent", mode), power="stopped",
                   cause=cause, vantages=[once("here", refused=refused), once("westus2", refused=refused)], mode=mode,
                   failure="network_unreachable" if cause == "ended" else "vm_stopped")


def notices():
    for failure, look, mode in itertools.product(
            ("auth_failed", "host_key_changed", "performance_degraded", "unknown"),
            ("here and two witnesses", "here alive, a witness dark", "nobody"), MODES):
        yield Case("%s; %s; %s" % (failure, look, mode), failure=failure, vantages=LOOKS[look], power="running",
                   mode=mode)
    for look, mode in itertools.product(("nobody", "here alive, a witness dark"), MODES):
        yield Case("healthy; %s; %s" % (look, mode), failure="healthy", vantages=LOOKS[look], power="running", mode=mode)


def settling():
    for probes, seconds in itertools.product((6, 7, 8), (29.9, 30, 33.9, 34, 39)):
        yield Case("both %d probes in %g s" % (probes, seconds),
                   vantages=[dark("here", probes, seconds), dark("westus2", probes, seconds)])
    for seconds in (29.9, 30, 33):
        yield Case("here settled, the witness %g s" % seconds,
                   vantages=[dark("here", 7, 34), dark("westus2", 7, seconds)])
    for fall, interval, timeout in ((3, 5, 4), (5, 2, 1), (5, 2, 4), (7, 10, 4), (1, 5, 4), (2, 5, 4)):
        edge = (fall - 1) * interval + timeout
        for seconds in (edge - 0.5, edge):
            yield Case("fall %d, interval %d, timeout %d, %g s" % (fall, interval, timeout, seconds),
                       vantages=[dark("here", fall, seconds), dark("westus2", fall, max(seconds - timeout, 0))],
                       fall=fall, primary_interval=interval, probe_timeout=timeout)


def numbers():
    for rate, mode in itertools.product((0, 1e-6, 1e-4, 3e-3, 0.05, 0.5, 1.5), ("hybrid", "manual")):
        yield Case("own history %g; %s" % (rate, mode), mode=mode,
                   vantages=[dark("here", healed=rate), dark("westus2", healed=rate)])
    for prior, look in itertools.product((1e-6, 1e-5, 1e-3, 0.01, 0.5), ("here alone", "here and a witness",
                                                                       "here, one witness of two alive")):
        yield Case("prior %g; %s" % (prior, look), vantages=LOOKS[look], prior=prior)
    for threshold, power in itertools.product((0.5, 0.9, 0.95, 0.971, 0.99), ("unknown", "running")):
        yield Case("threshold %g; power %s" % (threshold, power), vantages=TWO, power=power, threshold=threshold)


def observer():
    for score, mode in itertools.product((1, 2, 3, 5, 8), MODES):
        yield Case("this host's score is %d; %s" % (score, mode), vantages=TWO, score=score, mode=mode)
    for look, mode in itertools.product(("nobody", "here without self-check", "here and a witness",
                                        "here, one witness of two alive"), MODES):
        yield Case("blind; %s; %s" % (look, mode), vantages=LOOKS[look], blind=True, mode=mode)


def maintenance():
    for option, target, mode in itertools.product((False, True), ("healthy", "unhealthy", "never-promote", "maintenance",
                                                                 "none"), MODES):
        more = {"auto_on_maintenance": True} if option else {}
        if target == "never-promote":
            more["never_promote"] = "westus2"
        yield Case("announced%s; target %s; %s" % (", option on" if option else "", target, mode), failure="healthy",
                   vantages=[alive("here")], power="running", maintenance=True, target=target, mode=mode, **more)
    yield Case("announced, option on, this host in trouble", failure="healthy", vantages=[alive("here")], power="running",
               maintenance=True, score=3, auto_on_maintenance=True)
    for look in ("here alone", "here and a witness", "here, one witness of two alive"):
        yield Case("announced, option on, and it is down already: %s" % look, vantages=LOOKS[look], maintenance=True,
                   auto_on_maintenance=True)


def policy():
    holds = ("paused", "window-open", "cooling-down", "no-target", "never-promote", "fence-pending", "data-age")
    for hold, typed, mode in itertools.product(holds, (False, True), MODES):
        yield Case("%s; %s; %s" % (hold, "typed" if typed else "automatic", mode), vantages=TWO, policy=hold,
                   typed=typed, mode=mode)


FILES = (network, service, stopped, notices, settling, numbers, observer, maintenance, policy)


def text_of(cases):
    return "\n".join(case.block() for case in cases)


def main():
    total, wrong = 0, []
    for cases in FILES:
        path = os.path.join(HERE, cases.__name__ + ".txt")
        text = text_of(cases())
        total += text.count("\n=> ")
        if "--write" in sys.argv[1:]:
            with open(path, "w") as f:
                f.write(text)
        elif open(path).read() != text:
            wrong.append(path)
    print("1..2")
    print("%sok 1 - the corpus says what the table says%s" % ("not " if wrong else "", " ".join([""] + wrong)))
    print("%sok 2 - %d cases" % ("" if total >= 300 else "not ", total))
    return 1 if wrong or total < 300 else 0


if __name__ == "__main__":
    sys.exit(main())
