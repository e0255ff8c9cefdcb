"""The laboratory itself: each fault does what its name says, and nothing of it outlives a test, killed or not."""
import os, signal, subprocess, sys, time
import e2e, netns


PING = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.settimeout(1)
s.sendto(struct.pack("!BBHHH", 8, 0, 0xf7fd, 1, 1), (sys.argv[1], 0))
try:
    s.recv(100)
except TimeoutError:
    sys.exit(1)
"""


def pings(lab, target):
    p = subprocess.run([*lab.within("op"), sys.executable, "-c", PING, netns.ADDRESSES[target]])
    return p.returncode == 0


def scan(lab, source, target, seconds=2):
    """What ssh-keyscan of `source` sees of `target`: seconds it took, whether a key came."""
    began = time.monotonic()
    out = subprocess.run([*lab.within(source), "ssh-keyscan", "-T", str(seconds), "-t", "ed25519", "-p", str(netns.PORT),
                          netns.ADDRESSES[target]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return time.monotonic() - began, lab.machines[target].host_key in out


def sees(lab, source, target):
    return scan(lab, source, target)[1]


def test_every_fault_does_what_its_name_says():
    with netns.Lab() as lab:
        east = lab.machines["eastus"]
        assert sees(lab, "op", "eastus") and sees(lab, "westus2", "eastus")
        lab.cut("eastus")
        took, key = scan(lab, "op", "eastus")
        assert took > 1.5 and not key and not sees(lab, "westus2", "eastus") and sees(lab, "op", "westus2")
        lab.heal()
        for way in (("op", "eastus"), ("eastus", "op")):
            lab.cut_way(*way)
            assert not sees(lab, "op", "eastus") and sees(lab, "westus2", "eastus"), way
            lab.heal()
        lab.reject("eastus")
        took, key = scan(lab, "op", "eastus")
        assert took < 1 and not key
        lab.accept("eastus")
        lab.cut_icmp()
        assert sees(lab, "op", "eastus") and not pings(lab, "eastus")
        lab.heal()
        assert pings(lab, "eastus")
        lab.quota("eastus", 200)
        assert not sees(lab, "op", "eastus")
        lab.heal()
        lab.unplug("eastus")
        assert not sees(lab, "op", "eastus")
        lab.plug("eastus")
        lab.shape("eastus", "8kbit")
        took, key = scan(lab, "op", "eastus", 10)
        assert took > 1, "8 kbit/s made no difference: %.2f s" % took
        lab.shape("eastus", None)
        east.freeze()
        assert not sees(lab, "op", "eastus")
        east.resume()
        lab.pause("eastus")
        assert not sees(lab, "op", "eastus")
        lab.go_on("eastus")
        assert sees(lab, "op", "eastus")
        os.kill(east.listener(), signal.SIGSTOP)
        assert not sees(lab, "op", "eastus")
        os.kill(east.listener(), signal.SIGCONT)
        assert sees(lab, "op", "eastus")
        old = east.host_key
        east.new_host_key()
        east.restart()
        assert east.host_key != old and sees(lab, "op", "eastus")


def test_azlin_is_in_the_laboratory():
    with netns.Lab() as lab:
        assert lab.ok("ssh", "--", "hostname").out.strip() == "vm-eastus"
        rows = lab.state()["regions"]
        assert {(r["public_ip"], r["ssh_port"]) for r in rows} == {(netns.ADDRESSES[r], 2222) for r in netns.REGIONS}, rows
        lab.cut("eastus")
        r = lab.run("regions", "health", "-o", "json")
        assert r.code == 1, r


def leave_behind():
    """Another process of this file: a laboratory with a frozen machine, said to the parent, that waits to be killed."""
    lab = netns.Lab(health=False)
    lab.pause("eastus")
    print("READY %s %s" % (lab.root, netns.freezer), flush=True)
    time.sleep(600)


def remains(cgroup, root):
    """Processes whose command line names this laboratory's folder, and its cgroup."""
    found = [cgroup] if os.path.isdir(cgroup) else []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                if root.encode() in f.read():
                    found.append(pid)
        except OSError:
            pass
    return found


def test_nothing_outlives_a_killed_test():
    netns.need()
    for number in (signal.SIGTERM, signal.SIGKILL):
        p = subprocess.Popen([sys.executable, __file__, "leave-behind"], stdout=subprocess.PIPE, text=True)
        word, root, cgroup = p.stdout.readline().split()
        assert word == "READY" and remains(cgroup, root)
        p.send_signal(number)
        p.wait()
        e2e.until(lambda: not remains(cgroup, root), "the end of %r" % remains(cgroup, root))
        p.stdout.close()


if __name__ == "__main__":
    netns.enter()
    if sys.argv[1:] == ["leave-behind"]:
        leave_behind()
    e2e.main(globals())
