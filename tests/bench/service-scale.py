#!/usr/bin/env python3
"""What watching many regions costs one azlind at the calm interval: of a core and of memory, by minutes. REGIONS=10000
MINUTES=5 FLEET=sim|banner; records of provider-sim (a probe of 45 ms without a network), or of provider-static that point to one
server on loopback that says SSH's banner at as many addresses."""
import json, os, shutil, subprocess, sys, time
from e2e import Home
from banners import Banners, address
sys.path.insert(0, os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "tests", "service"))
from bus import Bus
from costs import Stalls, resident_mib, seconds_of
from metrics import Unix, ask, parse

REGIONS = int(os.environ.get("REGIONS", "10000"))
MINUTES = float(os.environ.get("MINUTES", "5"))
FLEET = os.environ.get("FLEET", "sim")
SETTLED_S = 59  # by then each region has been seen up, and is on record so
IN_PROCESS = os.environ.get("IN_PROCESS")
# On real time, which provider-sim does not have where it is the provider of all.
CONFIG = "[bricks]\nprovider=static\n[metrics]\nlisten=%s\n%s"


def read_record(home):
    """The one that azlin wrote."""
    with open(os.path.join(home.path, "config.json")) as f:
        return json.load(f)["regions"][0]


def add_records(home, first, records):
    """Behind the first one as many as that, like it. Whoever calls this has azlin write once more: what it wrote itself, it reads
    line by line."""
    with open(os.path.join(home.path, "config.json")) as f:
        document = json.load(f)
    document["regions"] = [first] + [dict(first, is_primary=False, **record) for record in records]
    for name in "config.json", "config.json.good", "config.json.1":
        with open(os.path.join(home.path, name), "w") as f:
            json.dump(document, f)


def simulated(home):
    """Two machines that provider-sim made, and as many more like them."""
    home.write_config("[bricks]\nprovider=sim\n")
    home.ok("deploy", "-r", "eastus")
    first = read_record(home)
    with open(os.path.join(home.path, "bricks", "provider-sim", "world.log"), "r+") as world:
        line = [line for line in world if "'vm'" in line][-1]
        world.writelines(line.replace("'%s'" % first["vm_name"], "'azlin-region%05d'" % i).replace("'eastus'", "'region%05d'" % i)
                         .replace(first["id"], "vm-of-%d" % i) for i in range(2, REGIONS))
    add_records(home, first, [{"region": "region%05d" % i, "vm_name": "azlin-region%05d" % i, "id": "vm-of-%d" % i, "tags": {}}
                              for i in range(2, REGIONS)])
    home.ok("deploy", "-r", "westus2")


def on_loopback(home):
    port = Banners().port

    def add(i):
        home.ok("regions", "add", "region%05d" % i, "--vm-name", "m%d" % i, "--public-ip", address(i), "--ssh-port", str(port))
    home.write_config("[bricks]\nprovider=static\n[policy]\nallowed-regions=region00000;region%05d\n" % (REGIONS - 1))
    add(0)
    add_records(home, read_record(home), [{"region": "region%05d" % i, "vm_name": "m%d" % i, "public_ip": address(i)}
                                          for i in range(1, REGIONS - 1)])
    add(REGIONS - 1)


def report(pid, figures):
    last, begun, settled = seconds_of(pid), time.monotonic(), None
    end = begun + MINUTES * 60
    while time.monotonic() < end:
        at = time.monotonic()
        time.sleep(min(30, end - at))
        now = seconds_of(pid)
        print("%5.1f min: %.3f of a core, %.1f MiB resident%s"
              % ((time.monotonic() - begun) / 60, (now - last) / (time.monotonic() - at), resident_mib(pid), figures()), flush=True)
        last = now
        if settled is None and time.monotonic() - begun >= SETTLED_S:
            settled = time.monotonic(), now
    if settled is not None and time.monotonic() > settled[0]:
        print("after the first minute: %.3f of a core"
              % ((seconds_of(pid) - settled[1]) / (time.monotonic() - settled[0])), flush=True)


def through_azlind(home):
    path = os.path.join(home.root, "metrics")
    home.write_config(CONFIG % (path, "[failover.hybrid]\n"))
    with Bus(home=home) as bus:
        client = bus.start()
        client.connection.signal_unsubscribe(client.all)
        job = client.submit("watch")
        client.job(job, "Start")

        stalls = Stalls(path)

        def figures():
            try:
                samples = parse(ask(Unix(path))[1])
            except OSError as error:
                return "; no figures: %s" % error
            probes = sum(value for key, value in samples.items() if key.startswith("azlin_probes_total"))
            return "; %d probes, stalls %s" % (probes, stalls.read())
        report(bus.daemon.pid, figures)


def in_process(home):
    home.write_config(CONFIG % ("", ""))
    with open(os.devnull, "w") as nothing, subprocess.Popen([os.environ["AZLIN_BIN"], "watch", "--no-daemon"], env=home.env(),
                                                            stdout=nothing, stderr=nothing) as watch:
        report(watch.pid, str)
        watch.terminate()


class Fleet(Home):
    """Whose machines are nobody's."""

    def close(self):
        shutil.rmtree(self.root)


home = Fleet()
try:
    simulated(home) if FLEET == "sim" else on_loopback(home)
    in_process(home) if IN_PROCESS else through_azlind(home)
finally:
    if os.path.exists(home.root):
        home.close()
