"""1,000 regions of 180 virtual seconds on provider-sim: how far from the ideal, how much memory, how long for real."""
import resource, time

from e2e import Home

REGIONS = ["region%03d" % i for i in range(1000)]
CONFIG = "[bricks]\nprovider=sim\n[policy]\nallowed-regions=%s\n[provider.sim]\nevents=create * seconds 180\n"

with Home(CONFIG % ";".join(REGIONS)) as home:
    begun = time.monotonic()
    doc = home.ok("deploy", "-r", ",".join(REGIONS), "--max-concurrent", "1000", "-o", "json", timeout=280).json()
    wall = time.monotonic() - begun
    # the largest child so far: nothing else has run yet
    rss = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    virtual = doc["total_duration_seconds"]
    print("%d of 1000 regions, %.2f virtual seconds (%.2f %% over the ideal 180), %.1f MiB at most, %.1f s of real time"
          % (len(doc["successful"]), virtual, 100 * (virtual / 180 - 1), rss, wall))
