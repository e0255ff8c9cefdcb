"""Failover for real: machines of provider-local are killed, stopped and switched; ssh then enters the new primary."""
import fcntl, os, signal, struct
import e2e
from fleet import LOCAL, Fleet, gone

F_OFD_SETLK = 37  # of Linux; python 3.11 does not name it


def test_killed_primary_is_automatic():
    with Fleet("eastus", "westus2", "westeurope") as fleet:
        fleet.kill("eastus")
        r = fleet.run("failover", "--check-only")
        assert r.code == 1, r
        r, result = fleet.failover("--auto")
        assert r.code == 0 and result["success"], r
        assert (result["source_region"], result["target_region"]) == ("eastus", "westus2"), r
        assert result["fence"] == "confirmed" and result["epoch"] == 2 and result["duration_seconds"] < 60, r
        decision = result["decision"]
        assert decision["should_auto_failover"] and decision["confidence"] > 0.99, r
        assert {e["vantage"] for e in decision["evidence"] if e["outcome"] == "refused"} >= {"here", "westus2"}, r
        assert fleet.primary() == "westus2"
        seen = fleet.ok("ssh", "--", "hostname; cat ~/.local/state/azlin/epoch").out.split()
        assert "westus2" in seen[0] and seen[1] == "2", seen


def test_second_run_is_a_no_op():
    with Fleet("eastus", "westus2") as fleet:
        fleet.kill("eastus")
        fleet.ok("failover", "--auto")
        before = fleet.state()["epoch"]
        r, result = fleet.failover("--auto")
        assert r.code == 0 and result["success"], r
        r = fleet.ok("failover", "--to", "westus2")
        assert "Nothing to do" in r.out, r
        assert fleet.state()["epoch"] == before == 2


def test_an_outage_looked_at_before_is_still_automatic():
    with Fleet("eastus", "westus2") as fleet:
        fleet.kill("eastus")
        assert fleet.run("regions", "health").code == 1
        assert fleet.run("failover", "--check-only").code == 1
        assert fleet.run("failover", "--auto").code == 0
        assert fleet.primary() == "westus2"


def test_intended_stop_is_manual():
    with Fleet("eastus", "westus2", "westeurope") as fleet:
        fleet.ok("vm", "stop", "--region", "eastus", "--yes")
        assert fleet.run("failover", "--check-only").code == 3
        r, result = fleet.failover("--auto", "--yes")
        assert r.code == 3 and not result["success"], r
        assert "on request" in result["decision"]["reason"] and result["decision"]["confidence"] < 0.6, r
        assert fleet.primary() == "eastus"
        r = fleet.run("failover", "--to", "westeurope")
        assert r.code == 2 and fleet.primary() == "eastus", r
        r, result = fleet.failover("--to", "westeurope", "--yes")
        assert r.code == 0 and result["fence"] == "confirmed", r
        assert fleet.primary() == "westeurope"


def test_one_vantage_is_never_automatic():
    with Fleet("eastus", "westus2") as fleet:
        os.unlink(os.path.join(fleet.path, "vantages.json"))
        fleet.kill("eastus")
        r, result = fleet.failover("--auto")
        assert r.code == 3 and "needs two" in result["decision"]["reason"], r
        assert fleet.primary() == "eastus"


def test_hanging_sshd_is_switched_behind_a_fence():
    """The machine is on and accepts connections, but its sshd says nothing: settled darkness, then power off."""
    quick = LOCAL + "[failover.hybrid]\nfall=4\nprimary-interval=1\n"
    with Fleet("eastus", "westus2", config=quick) as fleet:
        pid = fleet.pid("eastus")
        os.kill(pid, signal.SIGSTOP)
        r, result = fleet.failover("--auto")
        assert r.code == 0 and result["fence"] == "confirmed" and fleet.primary() == "westus2", r
        assert result["decision"]["failure_type"] == "ssh_connection_failed", r
        assert result["duration_seconds"] >= 4, r
        assert gone(pid), "the fence left the old machine running"


def test_machines_that_nobody_can_power_off():
    """Registered machines: without a fence a verdict on SSH alone does not act; a person may, and it is on record."""
    with Fleet("eastus", "westus2") as fleet:
        rows = fleet.state()["regions"]
        quick = "[failover.hybrid]\nfall=4\nprimary-interval=1\n[ssh]\nkey-file=%s/keys/id_ed25519\n" % fleet.path
        with e2e.Home(LOCAL.replace("local", "static") + quick) as home:
            for row in rows:
                home.ok("regions", "add", "--region", row["region"], "--vm-name", row["vm_name"], "--public-ip", row["public_ip"],
                        "--ssh-port", str(row["ssh_port"]), "--ssh-user", row["ssh_user"], "--host-key", row["host_key"])
            home.ok("regions", "health")
            fleet.kill("eastus")
            r = home.run("failover", "--auto", "-o", "json")
            assert r.code == 1 and r.json()["fence"] == "unconfirmed", r
            assert r.json()["decision"]["should_auto_failover"], r
            r = home.run("failover", "--to", "westus2", "--yes", "-o", "json")
            assert r.code == 0 and r.json()["fence"] == "unconfirmed" and r.json()["success"], r
            assert home.ok("regions", "list", "-o", "json").json()["primary"] == "westus2"


def test_both_dead_is_not_safe():
    with Fleet("eastus", "westus2") as fleet:
        fleet.kill("eastus")
        fleet.kill("westus2")
        r, result = fleet.failover("--to", "westus2", "--yes")
        assert r.code == 1 and "Target region is also unhealthy" in result["error"]["error_message"], r
        r, result = fleet.failover("--auto")
        assert r.code == 3, r
        assert fleet.primary() == "eastus"


def test_planned_switch_and_explanation():
    with Fleet("eastus", "westus2") as fleet:
        r = fleet.run("failover", "--explain")
        assert r.code == 0 and "sees the machine alive" in r.out and "What would change it" in r.out, r
        r, result = fleet.failover("--to", "westus2", "--yes", "--deallocate-source")
        assert r.code == 0 and result["fence"] == "epoch", r
        rows = {row["region"]: row for row in fleet.state()["regions"]}
        assert rows["westus2"]["is_primary"] and rows["eastus"]["status"] == "stopped", rows
        assert all(row["last_health_check"] for row in rows.values()), rows
        events = fleet.ok("audit", "show", "-o", "json").out
        assert '"failover"' in events and '"switched"' in events, events


def test_data_goes_first_where_it_can():
    with Fleet("eastus", "westus2") as fleet:
        fleet.ok("ssh", "--", "echo precious > data")
        r = fleet.run("failover", "--to", "westus2", "--sync", "--yes")
        assert r.code == 0, r
        assert fleet.ok("ssh", "--", "cat data").out == "precious\n"
        fleet.ok("sync", "--dest", "eastus")
        r = fleet.run("failover", "--to", "eastus", "--yes")
        assert r.code == 0 and "Last verified sync to eastus: " in r.out, r
        fleet.kill("eastus")
        r, result = fleet.failover("--auto", "--sync")
        assert r.code == 0 and result["sync"] is None and "cannot be read" in r.err, r


def test_one_switch_at_a_time():
    with Fleet("eastus", "westus2") as fleet:
        lock = os.path.join(fleet.path, "bricks/coordinator-file/failover.lock")
        os.makedirs(os.path.dirname(lock), mode=0o700, exist_ok=True)
        with open(os.open(lock, os.O_RDWR | os.O_CREAT, 0o600), "r+") as held:
            fcntl.fcntl(held, F_OFD_SETLK, struct.pack("hhlli4x", fcntl.F_WRLCK, 0, 0, 0, 0))
            r = fleet.run("failover", "--to", "westus2", "--yes")
            assert r.code == 4 and fleet.primary() == "eastus", r
        assert fleet.run("failover", "--to", "westus2", "--yes").code == 0


def test_a_planned_switch_leaves_the_witnesses_informed():
    with Fleet("eastus", "westus2", "westeurope") as fleet:
        fleet.ok("failover", "--to", "westus2", "--yes")
        fleet.kill("westus2")
        r, result = fleet.failover("--auto")
        assert r.code == 0 and result["source_region"] == "westus2", r


def test_wrong_words():
    with Fleet("eastus", "westus2") as fleet:
        for args, text in ((("--to", "westus"), "did you mean westus2"),
                           (("--from", "eastus", "--to", "eastus"), "source and target regions cannot be the same"),
                           ((), "--to REGION"),
                           (("--from", "westus2", "--to", "eastus", "--from", "westus2"), "already"),
                           (("--from", "westus2", "--auto"), "is not the primary")):
            r = fleet.run("failover", *args)
            expected = 0 if text == "already" else 64
            assert r.code == expected and text in r.out + r.err, (args, r)
        assert fleet.state()["epoch"] == 1


def test_manual_mode_only_proposes():
    with Fleet("eastus", "westus2", config=LOCAL + "[failover.hybrid]\nmode=manual\n") as fleet:
        fleet.kill("eastus")
        r, result = fleet.failover("--auto")
        assert r.code == 3 and "mode is manual" in result["decision"]["reason"], r
        assert fleet.primary() == "eastus"


if __name__ == "__main__":
    e2e.main(globals())
