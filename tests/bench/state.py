"""State: read + change one + durable write of azlin beside json.load + json.dump + fsync + rename of Python, in one run."""
import json, os, statistics, subprocess, sys, tempfile, time

ROUNDS = 15


def region(i):
    name = "region%05d" % i
    return {"region": name, "vm_name": "azlin-%s-3f9c" % name, "public_ip": "10.%d.%d.%d" % (i >> 16, i >> 8 & 255, i & 255),
            "ssh_port": 22, "ssh_user": "azureuser", "resource_group": "azlin-vms-" + name, "provider": "azure",
            "id": "/vms/" + name, "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx0Yb1m2o9s0b2w%05d" % i,
            "created_at": "2025-12-01T10:00:00Z", "last_health_check": "2025-12-01T10:00:00Z", "is_primary": i == 0,
            "status": "ok", "tags": {"azlin:region": name}}


def python_change(path):
    start = time.perf_counter()
    with open(path) as f:
        state = json.load(f)
    state["regions"][len(state["regions"]) // 2]["public_ip"] = "192.0.2.1"
    with open(path + ".new", "w") as f:
        json.dump(state, f, indent=2)
        f.flush()
        os.fsync(f.fileno())
    os.replace(path + ".new", path)
    return (time.perf_counter() - start) * 1e3


def main():
    scratch = os.environ.get("AZLIN_TEST_DIR", tempfile.gettempdir())
    os.makedirs(scratch, mode=0o700, exist_ok=True)
    ok = subprocess.run([sys.argv[1]]).returncode == 0
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        for regions in (3, 1000, 10000):
            path = os.path.join(folder, "state.json")
            with open(path, "w") as f:
                json.dump({"version": "2.0", "regions": [region(i) for i in range(regions)]}, f, indent=2)
            times = [python_change(path) for _ in range(ROUNDS)]
            print("%6d regions: Python, the same in %8.2f ms" % (regions, statistics.median(times)))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
