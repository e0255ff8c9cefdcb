#!/usr/bin/env python3
"""Start-up of azlin as ratios against an empty GIO program, interleaved in one run: startup.py EMPTY-GIO."""
import json, os, statistics, subprocess, sys, time
from e2e import BIN, Home

RUNS = int(os.environ.get("RUNS", "60"))
EMPTY = sys.argv[1]


def wall(argv, env):
    start = time.perf_counter()
    subprocess.run(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - start) * 1000


with Home("[bricks]\nprovider=static\n") as home:
    for region in ("eastus", "westeurope", "southeastasia"):
        home.run("regions", "add", region, "--vm-name", "vm-" + region, "--public-ip", "127.0.0.1", "--ssh-port", "9",
                 "--host-key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEeyUjHC8r4mDEUHYEPvFBjzrLs0yMBvL3wPpQ7cUS4k")
    assert len(home.ok("regions", "list", "-o", "json").json()["regions"]) == 3
    rows = {"empty GIO program": [EMPTY], "azlin version": [BIN, "version"], "azlin regions list": [BIN, "regions", "list"]}
    env = home.env()
    times = {name: [] for name in rows}
    for _ in range(RUNS):
        for name, argv in rows.items():
            times[name].append(wall(argv, env))
base = statistics.median(times["empty GIO program"])
for name, values in times.items():
    median = statistics.median(values)
    print("%-20s median %6.2f ms (%.2f..%.2f)  ratio %.2f" % (name, median, min(values), max(values), median / base))
