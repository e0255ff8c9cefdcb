"""The scripts of docs/examples deploy, follow and cancel a job with nothing of azlin's at hand."""
import os, shutil, signal, subprocess, sys
import e2e
from bus import Bus

LOCAL = "[bricks]\nprovider=local\n"
EXAMPLES = os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "docs", "examples")


def run(interpreter, name, bus, *regions):
    return subprocess.Popen([interpreter, os.path.join(EXAMPLES, name), *regions], env=bus.env(), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def deploys(interpreter, name):
    with Bus() as bus:
        bus.start()
        child = run(interpreter, name, bus, "eastus", "westus2")
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0 and "eastus" in out and "Deployment complete" in out, (out, err)
        assert len(bus.home.ok("regions", "list", "-o", "json").json()["regions"]) == 2


def cancels(interpreter, name):
    with Bus(LOCAL) as bus:
        bus.start()
        child = run(interpreter, name, bus, "eastus", "westus2")
        first = child.stdout.readline()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
        assert child.returncode == 130, (child.returncode, first, out, err)
        jobs = bus.home.ok("jobs", "list", "-o", "json", env={"DBUS_SESSION_BUS_ADDRESS": bus.address}).json()["jobs"]
        assert [(job["kind"], job["state"]) for job in jobs] == [("deploy", "cancelled")], jobs
        assert bus.home.ok("regions", "list", "-o", "json").json()["regions"] == []


def test_python_deploys_and_follows():
    deploys(sys.executable, "deploy.py")


def test_python_cancels():
    cancels(sys.executable, "deploy.py")


def test_javascript_deploys_and_follows():
    if shutil.which("gjs") is None:
        raise e2e.Skip("gjs is not there")
    deploys("gjs", "deploy.js")


def test_javascript_cancels():
    if shutil.which("gjs") is None:
        raise e2e.Skip("gjs is not there")
    cancels("gjs", "deploy.js")


if __name__ == "__main__":
    e2e.main(globals())
