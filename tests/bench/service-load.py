#!/usr/bin/env python3
"""azlind under load: CLIENTS=100 connections run JOBS=1000 jobs at once, then MORE=10000 with as many under way; stalls of the main
loop, CPU seconds for each job, memory."""
import os, re, sys, time
sys.path.insert(0, os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "tests", "service"))
from e2e import Home
from bus import Bus
from crowd import Crowd, check
from costs import Stalls, resident_mib, seconds_of

CLIENTS, JOBS, MORE = (int(os.environ.get(name, usual)) for name, usual in (("CLIENTS", "100"), ("JOBS", "1000"), ("MORE", "10000")))
KIND = os.environ.get("KIND", "regions-health")


def measured(what, bus, crowd, jobs, at_once, stalls):
    before, begun = seconds_of(bus.daemon.pid), time.monotonic()
    said = check(crowd.run(jobs, at_once, KIND, 3600))
    crowd.settle()
    cpu = seconds_of(bus.daemon.pid) - before
    print("%s: %d jobs, %d things said of each, none lost; %.1f s, %.2f ms of CPU a job; stalls %s; %.1f MiB resident"
          % (what, jobs, said, time.monotonic() - begun, 1000 * cpu / jobs, stalls.read(), resident_mib(bus.daemon.pid)), flush=True)


home = Home()
path = os.path.join(home.root, "metrics")
home.write_config("[bricks]\nprovider=sim\n[metrics]\nlisten=%s\n" % path)
with Bus(home=home) as bus:
    bus.start()
    home.ok("deploy", "-r", "eastus,westus2,westeurope", "--no-daemon")
    stalls, crowd = Stalls(path), Crowd(bus.address, CLIENTS)
    print("%d clients; at rest %.1f MiB resident" % (CLIENTS, resident_mib(bus.daemon.pid)), flush=True)
    measured("at once", bus, crowd, JOBS, JOBS, stalls)
    for part in range(4):
        measured("and more", bus, crowd, MORE // 4, min(JOBS, MORE // 4), stalls)
    crowd.close()
