#!/usr/bin/env python3
"""What azlind costs: a command through it against the same one in process, in turns in one run; its memory at rest."""
import json, os, statistics, subprocess, sys, time
from e2e import BIN
sys.path.insert(0, os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "tests", "service"))
from bus import Bus

RUNS = int(os.environ.get("RUNS", "60"))
SETTLED_S = 5
COMMANDS = (("regions", "list"), ("status",))


def wall(argv, env):
    start = time.perf_counter()
    subprocess.run(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - start) * 1000


def memory(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        kib = {line.split(":")[0]: int(line.split()[1]) for line in f if line.startswith(("Rss", "Pss"))}
    return kib["Rss"] / 1024, kib["Pss"] / 1024


def roads(bus):
    for words in COMMANDS:
        times = {"in process": [], "by azlind": []}
        for _ in range(RUNS):
            times["in process"].append(wall([BIN, *words, "--no-daemon"], bus.env()))
            times["by azlind"].append(wall([BIN, *words], bus.env()))
        medians = {road: statistics.median(values) for road, values in times.items()}
        print("%-14s in process %5.2f ms, by azlind %5.2f ms: %+.2f ms"
              % (" ".join(words), medians["in process"], medians["by azlind"], medians["by azlind"] - medians["in process"]))


def at_rest(bus, what):
    time.sleep(SETTLED_S)
    print("azlind at rest, %s: %.1f MiB resident, %.1f MiB with shared pages by parts" % (what, *memory(bus.daemon.pid)))


with Bus("[bricks]\nprovider=sim\n") as bus:
    bus.start()
    bus.home.ok("deploy", "-r", "eastus,westus2,westeurope")
    assert len(json.loads(bus.home.ok("regions", "list", "-o", "json").out)["regions"]) == 3
    at_rest(bus, "3 regions")
    roads(bus)
