"""A provider that can switch machines: the fence is confirmed by a link that is really down, and then it stays so."""
import os
import e2e, netns
from rounds import Once, Scenario, Series

PROGRAM = """#!/bin/sh
# Called by provider-netns: the power of a machine is its cable.
set -eu
state=%(state)s/$2
case $1 in
stop) ip -n %(space)s link set dev "$2" down; echo stopped > "$state" ;;
start) ip -n %(space)s link set dev "$2" up; echo running > "$state" ;;
esac
[ -f "$state" ] && cat "$state" || echo running
"""


def prepare(lab):
    """The program that stands for the cloud's control plane, and the provider that asks it."""
    state, program = os.path.join(lab.root, "power"), os.path.join(lab.root, "power-program")
    os.mkdir(state)
    with open(program, "w") as f:
        f.write(PROGRAM % {"state": state, "space": lab.space("net")})
    os.chmod(program, 0o700)
    with open(lab.config, "a") as f:
        f.write("[provider.netns]\nprogram=%s\n" % program)


def link_is_up(lab, region):
    flags = netns.run("ip", "-n", lab.space("net"), "-o", "link", "show", region).split("<")[1].split(">")[0]
    return "UP" in flags.split(",")


class Fenced(Scenario):
    """Silence, or an sshd that hangs or is not there while its machine lives: for these a fence must be confirmed."""
    switches, seconds, provider = True, 75, "netns"
    prepare = staticmethod(prepare)

    def begin(self, lab, number):
        (lab.machines["eastus"].freeze, lambda: lab.cut("eastus"), lambda: lab.reject("eastus"))[number % 3]()

    def check(self, lab, number, observer):
        assert observer.fence == "confirmed", observer.fence
        assert not link_is_up(lab, "eastus") and link_is_up(lab, "westus2")
        lab.heal()
        lab.machines["eastus"].resume()
        if number % 3 == 2:
            lab.accept("eastus")
        r = lab.run("regions", "health", "-o", "json")
        assert r.code == 1 and lab.primary() != "eastus", r


class Unfenced(Scenario):
    """The same where nobody can switch the machine off: it may still serve, so nothing moves by itself."""

    def begin(self, lab, number):
        (lab.machines["eastus"].freeze, lambda: lab.reject("eastus"))[number % 2]()


series = Series(Once, Fenced, Unfenced)


def test_fence_is_confirmed():
    series.result(Fenced, outage_to_commit=56, verdict_to_commit=17)


def test_a_machine_that_may_serve_is_not_left_without_a_fence():
    series.result(Unfenced)


if __name__ == "__main__":
    netns.enter()
    e2e.main(globals())
