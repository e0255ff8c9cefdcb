"""azlind under load: many clients and jobs at once lose no signal, hold up no main loop, and leave no memory behind.
AZLIN_LOAD_CLIENTS, AZLIN_LOAD_JOBS (at once) and AZLIN_LOAD_MORE (after that) have the full numbers."""
import os
import e2e
from bus import Bus
from costs import resident_mib
from crowd import Crowd, check

CLIENTS = int(os.environ.get("AZLIN_LOAD_CLIENTS", "20"))
JOBS = int(os.environ.get("AZLIN_LOAD_JOBS", "100"))
MORE = int(os.environ.get("AZLIN_LOAD_MORE", "200"))
SECONDS = 200 + (JOBS + MORE) // 20
GROWTH_MIB = 4  # that many jobs leave less: kept documents of jobs are a hundred at most


def is_sanitized(pid):
    """Memory that was freed stays in AddressSanitizer's quarantine for a while."""
    with open("/proc/%d/maps" % pid) as f:
        return "libasan" in f.read()


def test_clients_hear_all_of_their_jobs_and_no_memory_stays():
    with Bus() as bus:
        bus.home.ok("deploy", "-r", "eastus,westus2,westeurope")
        bus.start()
        crowd = Crowd(bus.address, CLIENTS)
        said = check(crowd.run(JOBS, JOBS, "regions-health", SECONDS))
        assert said >= 3, "%d things said about three regions" % said
        check(crowd.run(MORE // 2, JOBS, "regions-health", SECONDS))
        crowd.settle()
        before = resident_mib(bus.daemon.pid)
        check(crowd.run(MORE, JOBS, "regions-health", SECONDS))
        grown = resident_mib(bus.daemon.pid) - before
        assert is_sanitized(bus.daemon.pid) or grown < GROWTH_MIB, "%d jobs have left %.1f MiB" % (MORE, grown)
        print("# %d clients, %d jobs at once, %d more: %.1f MiB grown, to %.1f MiB" % (CLIENTS, JOBS, MORE, grown, before + grown))
        crowd.close()
        assert bus.stop() == 0


if __name__ == "__main__":
    e2e.main(globals())
