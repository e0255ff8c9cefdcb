"""What a user reads in `azlin failover --explain` after each scenario: why it acts or does not, and what to type next."""
import e2e
from fleet import Cloud

HEADS = ("Evidence about eastus", "Weights (log-odds)", "Confidence that the machine is lost", "Policy", "Targets, best first",
         "Verdict: ", "What would change it: ", "Stored as decision ")


def explain(*rules, code, verdict, says, next, options="", failover="", regions=()):
    with Cloud(*regions, options=options, failover=failover) as cloud:
        cloud.faults(*rules)
        r = cloud.run("failover", "--explain")
        assert r.code == code, r
        for head in HEADS:
            assert head in r.out, (head, r)
        assert "Verdict: " + verdict in r.out, r
        for text in says:
            assert text in r.out, (text, r)
        assert "Next: " + next in r.out, r
        assert len(r.out.splitlines()) <= 48, r  # one screen
        return r


def test_region_down():
    explain("probe eastus timeout", code=1, verdict="network_unreachable",
            says=("Automatic: the machine is unreachable from", "settled", "Nothing holds an automatic switch back"),
            next="azlin failover --auto")


def test_laptop_offline():
    explain("probe * from here timeout", code=3, verdict="observer_blind",
            says=("Not automatic: this host reaches no other machine either", "a working network here"),
            next="azlin failover --explain")


def test_asymmetric_partition():
    explain("probe eastus from here timeout", code=3, verdict="unreachable_from_me",
            says=("Not automatic: ", "path problem on your side", "vetoes an automatic switch", "look at the local path"),
            next="azlin ssh --region w")


def test_paused_machine_is_waited_for():
    explain("probe eastus timeout", "at 30 probe eastus ok", code=0, verdict="healthy",
            says=("Not automatic: eastus is healthy",), next="azlin failover --to ")


def test_wrong_key():
    explain("probe eastus auth_failed", code=3, verdict="auth_failed",
            says=("Not automatic: the machine answers but refuses the key", "never a reason to switch"),
            next="azlin audit show")


def test_changed_host_key():
    explain("probe eastus host_key_changed", code=3, verdict="host_key_changed",
            says=("Not automatic: the host key is not the pinned one", "never automatic", "verify the machine's key"),
            next="azlin regions health")


def test_stopped_on_purpose():
    explain("machine eastus stop", code=3, verdict="vm_stopped",
            says=("Not automatic: the machine was stopped on request", "intent, not an outage"),
            next="azlin vm start --region eastus")


def test_slow_sshd():
    explain("probe eastus slow 3500", code=3, verdict="performance_degraded",
            says=("Not automatic: the machine is slow but serves",), next="azlin ssh --region eastus")


def test_control_plane_down():
    explain("get * fail network", code=0, verdict="healthy", says=("Not automatic: eastus is healthy",),
            next="azlin failover --to ")
    explain("get * fail network", "probe eastus timeout", code=1, verdict="network_unreachable",
            says=("Automatic: the machine is unreachable",), next="azlin failover --auto")


def test_healthy():
    explain(code=0, verdict="healthy", says=("Not automatic: eastus is healthy", "sees the machine alive"),
            next="azlin failover --to westus2 --sync")


def test_policy_shows():
    with Cloud() as cloud:
        cloud.ok("failover", "pause", "--reason", "works")
        cloud.faults("probe eastus timeout")
        r = cloud.run("failover", "--explain")
        assert "Held back: failovers are paused" in r.out and "(works)" in r.out, r
        assert "Next: azlin failover resume" in r.out, r
    explain("probe eastus timeout", code=1, verdict="network_unreachable", failover="never-promote=westus2",
            says=("westus2: healthy", "never chosen by itself (never-promote)"), next="azlin failover --auto")


if __name__ == "__main__":
    e2e.main(globals())
