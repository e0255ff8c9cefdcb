"""Failover against provider-sim on a virtual clock: outages, blind observers, fences that fail, races, each in milliseconds."""
import e2e
from fleet import Cloud


def weights(result):
    return "\n".join(w["what"] for w in result["decision"]["weights"])


def test_region_down_is_switched_within_a_minute():
    with Cloud() as cloud:
        cloud.faults("probe eastus timeout")
        r, result = cloud.failover("--auto")
        assert r.code == 0 and result["success"], r
        assert 35 <= result["duration_seconds"] < 60, result["duration_seconds"]
        assert result["decision"]["failure_type"] == "network_unreachable", r
        assert result["decision"]["confidence"] >= 0.90, r
        assert result["fence"] == "confirmed" and result["target_region"] == "westus2", r
        assert cloud.primary() == "westus2"


def test_region_down_with_quick_refusals_waits_for_settled_darkness():
    with Cloud() as cloud:
        cloud.faults("probe eastus refused")
        r, result = cloud.failover("--auto")
        assert r.code == 0 and 35 <= result["duration_seconds"] < 60, r
        assert result["decision"]["failure_type"] == "ssh_connection_failed", r


def test_killed_machine_is_switched_at_once():
    with Cloud() as cloud:
        cloud.faults("machine eastus kill")
        r, result = cloud.failover("--auto")
        assert r.code == 0 and result["duration_seconds"] < 20, r
        assert "ended by itself" in weights(result), r


def test_vanished_machine_needs_darkness():
    with Cloud() as cloud:
        cloud.faults("machine eastus vanish")
        r, result = cloud.failover("--auto")
        assert r.code == 0 and 35 <= result["duration_seconds"] < 60, r


def test_stopped_by_request_is_manual():
    with Cloud() as cloud:
        cloud.faults("machine eastus stop")
        r, result = cloud.failover("--auto")
        assert r.code == 3 and result["decision"]["confidence"] < 0.6, r
        assert result["duration_seconds"] < 15, r
        assert cloud.primary() == "eastus"


def test_laptop_offline_never_fails_over():
    with Cloud() as cloud:
        cloud.faults("probe * from here timeout")
        r, result = cloud.failover("--auto")
        assert r.code == 3 and "own network" in result["decision"]["reason"], r
        assert result["decision"]["confidence"] < 0.01 and cloud.primary() == "eastus", r


def test_laptop_that_loses_its_network_while_it_looks():
    with Cloud() as cloud:
        cloud.faults("probe eastus timeout", "at 30 probe * from here timeout")  # deployed at 5 s, looked at until 45 s
        r, result = cloud.failover("--auto")
        assert r.code == 3 and cloud.primary() == "eastus", r


def test_path_problem_of_this_host_is_vetoed():
    with Cloud() as cloud:
        cloud.faults("probe eastus from here timeout")
        r, result = cloud.failover("--auto")
        assert r.code == 3 and "sees the machine alive" in result["decision"]["reason"], r
        assert result["decision"]["confidence"] < 0.001 and cloud.primary() == "eastus", r


def test_asymmetric_one_witness_alive_vetoes():
    with Cloud() as cloud:
        cloud.faults("probe eastus timeout", "probe eastus from westeurope ok")
        r, result = cloud.failover("--auto")
        assert r.code == 3 and "westeurope sees the machine alive" in result["decision"]["reason"], r


def test_outage_that_heals_while_it_is_looked_at():
    with Cloud() as cloud:
        cloud.faults("probe eastus timeout", "at 30 probe eastus ok")
        r, result = cloud.failover("--auto")
        assert r.code in (0, 3) and not result["fence"] and cloud.primary() == "eastus", r


def test_witness_behind_a_network_rule_is_no_evidence():
    with Cloud("eastus", "westus2", options="events=probe eastus from westus2 timeout") as cloud:
        cloud.faults("probe eastus timeout")
        r, result = cloud.failover("--auto")
        assert r.code == 3 and "had not seen the machine up before" in weights(result), r
        assert cloud.primary() == "eastus"


def test_target_unhealthy_is_not_safe():
    with Cloud() as cloud:
        cloud.faults("probe westus2 timeout")
        r, result = cloud.failover("--to", "westus2", "--yes")
        assert r.code == 1 and "Target region is also unhealthy" in result["error"]["error_message"], r
        assert cloud.primary() == "eastus"


def test_auto_chooses_the_healthy_target():
    with Cloud() as cloud:
        cloud.faults("probe eastus timeout", "probe westus2 timeout")
        r, result = cloud.failover("--auto")
        assert result["target_region"] == "westeurope", r
        assert r.code in (0, 3), r


def test_policy_bounds_the_targets():
    with Cloud() as cloud:
        cloud.faults("machine eastus kill")
        with open(cloud.config, "a") as f:
            f.write("[policy]\nallowed-regions=eastus;westeurope\n")
        r = cloud.run("failover", "--to", "westus2", "--yes")
        assert r.code == 3 and "allowed-regions" in r.err and cloud.primary() == "eastus", r
        r, result = cloud.failover("--auto")
        assert r.code == 0 and result["target_region"] == "westeurope", r


def test_second_run_does_nothing():
    with Cloud() as cloud:
        cloud.faults("machine eastus kill")
        assert cloud.failover("--auto")[0].code == 0
        for args in (("--auto",), ("--to", "westus2"), ("--to", "westus2", "--yes")):
            r, result = cloud.failover(*args)
            assert r.code == 0 and result["epoch"] == 2, (args, r)


def test_two_at_once_switch_one_after_the_other_or_not_at_all():
    with Cloud() as cloud:
        for i in range(5):
            before = cloud.ok("regions", "list", "-o", "json").json()
            targets = [row["region"] for row in before["regions"] if not row["is_primary"]]
            runs = [cloud.popen("failover", "--to", target, "--yes") for target in targets]
            codes = [p.wait(timeout=60) for p in runs if p.communicate(timeout=60)]
            assert set(codes) <= {0, 4, 5} and 0 in codes, codes
            after = cloud.ok("regions", "list", "-o", "json").json()
            assert after["epoch"] == before["epoch"] + codes.count(0), (codes, before["epoch"], after["epoch"])
            assert cloud.primary() in targets + [before["primary"]]


def test_check_only_says_how_it_would_go():
    with Cloud() as cloud:
        assert cloud.failover("--check-only")[0].code == 0
        cloud.faults("probe eastus timeout")
        r, result = cloud.failover("--check-only")
        assert r.code == 1 and result["decision"]["should_auto_failover"], r
        cloud.faults("machine eastus deallocate")
        assert cloud.failover("--check-only")[0].code == 3
        assert cloud.primary() == "eastus"


def test_ssh_alone_fails_needs_a_confirmed_fence():
    with Cloud() as cloud:
        cloud.faults("probe eastus refused", "power eastus hang", "isolate eastus hang")
        r, result = cloud.failover("--auto")
        assert r.code == 1 and result["fence"] == "unconfirmed" and cloud.primary() == "eastus", r
        cloud.faults()  # what could not be undone at once is undone later
        assert "runs again" in cloud.ok("recover", "--yes").out
        assert cloud.power("eastus")["power_state"] == "running"
    with Cloud() as cloud:
        cloud.faults("probe eastus refused")
        r, result = cloud.failover("--auto")
        assert r.code == 0 and result["fence"] == "confirmed", r


def test_unreachable_network_goes_on_without_a_fence():
    with Cloud() as cloud:
        cloud.faults("probe eastus timeout", "power eastus hang", "get eastus hang", "isolate eastus hang")
        r, result = cloud.failover("--auto")
        assert r.code == 0 and result["fence"] == "unconfirmed", r
        assert result["duration_seconds"] < 60, result["duration_seconds"]
        assert '"unconfirmed"' in cloud.ok("audit", "show", "-o", "json").out


def test_modes_and_threshold_act():
    for options, code in (("mode=auto", 0), ("mode=manual", 3), ("threshold=0.999", 3)):
        with Cloud("eastus", "westus2", failover=options) as cloud:
            cloud.faults("probe eastus timeout")
            r, result = cloud.failover("--auto")
            assert r.code == code, (options, r)


def test_fall_and_interval_act():
    with Cloud(failover="fall=4\nprimary-interval=2") as cloud:
        cloud.faults("probe eastus refused")
        r, result = cloud.failover("--auto")
        assert r.code == 0 and result["duration_seconds"] < 30, r


def test_full_sshd_is_no_outage():
    with Cloud() as cloud:
        cloud.faults("probe eastus closed")
        r, result = cloud.failover("--auto")
        assert r.code == 3 and result["decision"]["failure_type"] == "performance_degraded", r
        assert cloud.primary() == "eastus", r


def test_bad_mode_is_bad_configuration():
    with Cloud() as cloud:
        cloud.failover_options = "mode=always"
        cloud.faults()
        r = cloud.run("failover", "--auto")
        assert r.code == 78 and "auto, hybrid, manual" in r.err, r
        cloud.failover_options = "fal=3"
        cloud.faults()
        r = cloud.run("failover", "--auto")
        assert r.code == 78 and "fall" in r.err, r
        cloud.failover_options = ""
        cloud.faults()


def test_explain_shows_evidence_weights_and_targets():
    with Cloud() as cloud:
        cloud.faults("probe eastus timeout")
        r = cloud.run("failover", "--explain")
        assert r.code == 1, r
        for text in ("Evidence about eastus", "prior", "vantage westus2", "settled", "What would change it",
                     "same geography as eastus", "Automatic"):
            assert text in r.out, (text, r)


if __name__ == "__main__":
    e2e.main(globals())
