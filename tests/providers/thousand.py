"""A thousand regions of three virtual minutes each through the real engine: time, memory, and that none is lost."""
import json, os, signal, subprocess
import e2e

REGIONS = ["region%04d" % i for i in range(1000)]
# A sanitizer keeps freed memory and shadows all of it; the bound itself is for the program as people run it.
LIMIT_KIB = 64 * 1024 * (6 if os.environ.get("AZLIN_SANITIZED") else 1)


class Thousand(e2e.Home):
    def __init__(self, *rules):
        super().__init__()
        script = os.path.join(self.root, "script")
        with open(script, "w") as f:
            f.write("".join(rule + "\n" for rule in rules))
        self.write_config("[bricks]\nprovider=sim\n[policy]\nallowed-regions=%s\n[provider.sim]\nscript=%s\n"
                          % (";".join(REGIONS), script))

    def deploy(self, regions=REGIONS):
        out, err = os.path.join(self.root, "out"), os.path.join(self.root, "err")
        options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"
        with open(out, "w") as stdout, open(err, "w") as stderr:
            p = subprocess.Popen([e2e.BIN, "deploy", "--max-concurrent", "1000", "-r", ",".join(regions), "-o", "json"],
                                 stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                 env=self.env(ASAN_OPTIONS=options))
            _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        with open(out) as f:
            return p.returncode, json.load(f), usage.ru_maxrss


def test_a_thousand_regions():
    with Thousand() as home:
        code, result, rss = home.deploy()
        assert code == 0 and result["total_regions"] == 1000 and len(result["successful"]) == 1000, code
        seconds = result["total_duration_seconds"]
        assert 180 <= seconds <= 180 * 1.02, seconds
        assert rss <= LIMIT_KIB, "%d KiB" % rss
        print("# %.3f virtual seconds, %d KiB" % (seconds, rss))
        listed = home.ok("regions", "list", "-o", "json").json()["regions"]
        assert sorted(row["region"] for row in listed) == REGIONS
        assert len({row["public_ip"] for row in listed}) == 1000, "two machines have one address"
        assert sum(row["is_primary"] for row in listed) == 1


def test_regions_with_faults():
    """One in ten fails for good, one in ten is throttled once: the others neither fail nor wait."""
    with Thousand("create region*5 fail permission", "create region*3 fail throttled x20") as home:
        code, result, _ = home.deploy(REGIONS[:200])
        failed = {row["region"]: row["error"] for row in result["failed"]}
        assert code == 1 and sorted(failed) == [r for r in REGIONS[:200] if r.endswith("5")], sorted(failed)[:5]
        assert all(error["error_type"] == "PermissionDenied" for error in failed.values()), list(failed.values())[:1]
        quick = [row for row in result["successful"] if not row["region"].endswith("3")]
        assert len(quick) == 160 and all(row["duration_seconds"] <= 180 * 1.02 for row in quick)
        listed = home.ok("regions", "list", "-o", "json").json()["regions"]
        assert len(listed) == 180


def requested(home):
    """How many deletions the audit log knows of."""
    with open(os.path.join(home.path, "audit.log"), errors="replace") as f:
        return sum('"vm.delete"' in line and '"requested"' in line for line in f)


def test_destroy_answers_in_the_middle():
    """Not when the last of them is begun: 130 at once, and recover makes records and machines agree."""
    with Thousand() as home:
        assert home.deploy(REGIONS[:60])[0] == 0
        p = home.popen("destroy", "--yes")
        e2e.until(lambda: requested(home) > 0, "it has begun")
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=60)
        begun = requested(home)
        assert p.returncode == 130 and "azlin recover" in err, (p.returncode, out, err)
        print("# it had begun with %d of 60" % begun)
        assert begun < 60, begun
        home.ok("recover", "--yes")
        home.ok("destroy", "--yes")
        assert home.ok("regions", "list", "-o", "json").json()["regions"] == []


if __name__ == "__main__":
    e2e.main(globals())
