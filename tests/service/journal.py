"""The journal gets fields, not only lines: azlind before a journal of the test's own, in a mount namespace."""
import os, shutil, subprocess, sys
import e2e
from bus import AZLIND, Bus
from fleet import Cloud
from gi.repository import GLib

# Runs inside: /run/systemd/journal is empty there. GLib asks whom stderr speaks to, and sends fields to the other socket.
INSIDE = """
import os, socket, subprocess, sys
folder = "/run/systemd/journal/"
os.makedirs(folder, exist_ok=True)
stdout = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); stdout.bind(folder + "stdout"); stdout.listen()
fields = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); fields.bind(folder + "socket")
err = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); err.connect(folder + "stdout")
daemon = subprocess.Popen(sys.argv[2:], stderr=err.fileno())
with open(sys.argv[1], "ab", 0) as log:
    fields.settimeout(0.2)
    while daemon.poll() is None:
        try:
            log.write(fields.recv(1 << 16) + b"\\n")
        except socket.timeout:
            pass
sys.exit(daemon.returncode)
"""


def entries(path):
    with open(path, encoding="utf-8") as f:
        return [dict(line.split("=", 1) for line in entry.splitlines() if "=" in line) for entry in f.read().split("\n\n")]


def test_entries_have_fields():
    if not shutil.which("bwrap"):
        raise e2e.Skip("bwrap is not installed")
    cloud = Cloud()
    with Bus(home=cloud) as bus:
        log = os.path.join(bus.folder, "journal")
        open(log, "w").close()
        cloud.faults("at 100 probe eastus timeout")
        bus.daemon = subprocess.Popen(["bwrap", "--die-with-parent", "--dev-bind", "/", "/", "--tmpfs", "/run/systemd", sys.executable,
                                       "-c", INSIDE, log, AZLIND], env=bus.env(), stderr=subprocess.PIPE, text=True)
        client = bus.client()
        e2e.until(lambda: bus.daemon.poll() is not None or bus.is_there(client), "azlind is on the bus")
        if bus.daemon.poll() is not None:
            raise e2e.Skip("no mount namespace here: " + bus.daemon.stderr.read()[:200])
        client.until(lambda: len(client.regions()) == 3, "the regions are there")
        job = client.submit("watch", **{"for": GLib.Variant("u", 600)})
        client.job(job, "Start")
        client.finish(job, 60)
        client.until(lambda: "AZLIN_EPOCH=2" in open(log).read(), "the move is in the journal")
        told = entries(log)
        (dark,) = [entry for entry in told if entry.get("AZLIN_STATE") == "dark"]
        wanted = {"AZLIN_REGION": "eastus", "AZLIN_WAS": "suspect", "AZLIN_PRIMARY": "yes", "PRIORITY": "4",
                  "MESSAGE_ID": "f9187c1e0ee0469a95f85310c1c8d057", "MESSAGE": "eastus is DARK, the primary, and was suspect"}
        assert wanted.items() <= dark.items(), dark
        (moved,) = [entry for entry in told if "AZLIN_EPOCH" in entry]
        assert {"AZLIN_FROM": "eastus", "AZLIN_TO": "westus2", "PRIORITY": "4"}.items() <= moved.items(), moved


if __name__ == "__main__":
    e2e.main(globals())
