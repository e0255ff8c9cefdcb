"""The scenarios that the issue of failover names, each with its variants by the number of the round."""
import time
import netns
from rounds import Scenario


class Outage(Scenario):
    """The primary's region is gone: silent, unplugged, or its machine is dead."""
    switches, seconds = True, 70

    def begin(self, lab, number):
        (lab.cut, lab.unplug, lab.pause)[number % 3]("eastus")

    def check(self, lab, number, observer):
        assert observer.fence == "unconfirmed", observer.fence
        row = next(r for r in lab.state()["regions"] if r["is_primary"])
        target = lab.machines[row["region"]]
        assert target.read(".local/state/azlin/epoch").strip() == "2"
        assert lab.ok("ssh", "--", "hostname").out.strip() == target.name


class LaptopOffline(Scenario):
    """Where azlin runs, the network is gone for a minute: by silence, or the link is down."""

    def begin(self, lab, number):
        if number % 2:
            lab.ip("op", "link set dev eth0 down")
        else:
            lab.cut("op")

    def during(self, lab, number, began, observer):
        time.sleep(max(0, began + 60 - time.monotonic()))
        if number % 2:
            lab.ip("op", "link set dev eth0 up")
        lab.heal()
        super().during(lab, number, began, observer)


class VmPause(Scenario):
    """The machine stands still for 30 s, its kernel with it (even rounds) or its processes alone."""

    def begin(self, lab, number):
        if number % 2:
            lab.machines["eastus"].freeze()
        else:
            lab.pause("eastus")

    def during(self, lab, number, began, observer):
        time.sleep(max(0, began + 30 - time.monotonic()))
        lab.go_on("eastus")
        super().during(lab, number, began, observer)


class AsymmetricPartition(Scenario):
    """The path between azlin and the primary is broken, in one direction or in both; the other machines see it."""

    def begin(self, lab, number):
        for way in ((("op", "eastus"),), (("eastus", "op"),), (("op", "eastus"), ("eastus", "op")))[number % 3]:
            lab.cut_way(*way)


class IcmpBlocked(Scenario):
    """As most clouds' rules have it."""
    seconds = 60

    def begin(self, lab, number):
        lab.cut_icmp()


class Lossy(Scenario):
    """A fifth of the primary's packets is lost each way, or only ten a second come through."""

    def begin(self, lab, number):
        if number % 2:
            lab.limit("eastus", 10)
        else:
            lab.lose("eastus", 20)


class WrongKey(Scenario):
    """The machine presents another host key (even rounds), or lets azlin's key in no more."""
    seconds = 60

    def begin(self, lab, number):
        east = lab.machines["eastus"]
        if number % 2:
            east.write("home/%s/.ssh/authorized_keys" % netns.USER, "")
        else:
            east.new_host_key()
            east.restart()
