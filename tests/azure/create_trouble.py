#!/usr/bin/env python3
"""Machines in Azure that are made while something goes wrong: failures, lost answers, cancels, deadlines, kills."""
import os, random, signal, time
import e2e
from create import Azure, QUICK, STEPS, both_roads, side_by_side

SLOW = {**QUICK, "duration_ms": {"create.virtualMachines": 4000}}


# ---- refusals and failures ----

@both_roads
def test_each_failure_leaves_nothing(road):
    with Azure(road) as azure:
        for step in STEPS:
            for fault in ({"do": "status", "status": 400, "code": "InvalidParameter"},
                          {"do": "fail", "code": "InternalExecutionError", "message": "Something broke."}):
                azure.double.reset(**QUICK, faults=[{"on": step, **fault}])
                result = azure.deploy("eastus", "-o", "json")
                assert result.code != 0, (step, fault, result)
                azure.assert_nothing()
                assert azure.open_entries() == set(), (step, fault, result)


# ---- lost answers ----

@both_roads
def test_lost_answers(road):
    kinds = ["ResourceGroups_CreateOrUpdate"] + (STEPS if road == "direct" else ["Deployments_CreateOrUpdate"])

    def lose(fault):
        with Azure(road) as azure:
            for kind in kinds:
                azure.double.reset(**QUICK, faults=[{"on": kind, "times": 1, **fault}])
                result = azure.deploy()
                assert result.code == 0, (kind, fault, result)
                assert len(azure.resources("virtualMachines")) == 1, azure.resources()
                azure.ok("destroy", "--yes")
                azure.assert_nothing()
    side_by_side(lose, [{"do": "reset", "when": "after"}, {"do": "truncate"}, {"do": "status", "status": 503},
                        {"do": "lag", "gets": 2}])


# ---- cancel, deadline ----

@both_roads
def test_cancel(road):
    with Azure(road) as azure:
        for wait in (0.3, 0.8, 1.5, 3.0):
            azure.double.reset(**SLOW)
            running = azure.popen("deploy", "-r", "eastus", "--vm-name", "m")
            e2e.until(azure.kinds, "the first request")
            time.sleep(wait)
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=90)
            assert running.returncode == 130, (running.returncode, out, err)
            azure.assert_nothing()


@both_roads
def test_deadline(road):
    with Azure(road, faults=[{"on": "VirtualMachines_CreateOrUpdate", "do": "never"}]) as azure:
        result = azure.deploy("eastus", "--timeout", "3", "-o", "json")
        assert result.code == 2 and result.json()["failed"][0]["error"]["error_type"] == "Timeout", result
        azure.assert_nothing()


def test_reserved_interface_is_waited_for():
    with Azure(nic_reserve_s=8, faults=[{"on": "VirtualMachines_CreateOrUpdate", "do": "fail",
                                         "code": "AllocationFailed"}]) as azure:
        result = azure.deploy("eastus", "--timeout", "120")
        assert result.code == 2, result
        azure.assert_nothing()


# ---- kill -9 and recover ----

@both_roads
def test_kill_and_recover(road):
    rng = random.Random(int(os.environ.get("AZLIN_TEST_SEED", "11")))
    with Azure(road, latency_ms=[5, 60], duration_ms={"create": 100, "create.virtualMachines": 600}) as azure:
        for turn in range(int(os.environ.get("AZLIN_TEST_KILLS", "6"))):
            running = azure.popen("deploy", "-r", "eastus,westus2", "--vm-name", "m")
            time.sleep(rng.uniform(0.1, 3.0))
            running.kill()
            running.communicate()
            result = azure.run("recover", "--yes")
            assert result.code == 0, (turn, result)
            assert azure.open_entries() == set(), (turn, result)
            listed = azure.ok("regions", "list", "-o", "json").json()["regions"]
            assert len(listed) == len(azure.resources("virtualMachines")), (turn, listed, azure.resources(), result)
            azure.double.assert_clean()
            if listed:
                azure.ok("destroy", "--yes")
            azure.assert_nothing()


def test_recover_finishes_a_deletion():
    with Azure(duration_ms={"delete.virtualMachines": 1500}) as azure:
        for wait in (0.4, 1.0, 2.2):
            assert azure.deploy().code == 0
            running = azure.popen("destroy", "--yes")
            time.sleep(wait)
            running.kill()
            running.communicate()
            result = azure.run("recover", "--yes")
            assert result.code == 0, result
            azure.run("destroy", "--yes")
            azure.assert_nothing()


@both_roads
def test_recover_keeps_a_machine_made_since(road):
    """A deletion that failed half way, then done by hand; the name is used again; only then recover."""
    with Azure(road) as azure:
        assert azure.deploy().code == 0
        azure.double.control(faults=[{"on": "VirtualMachines_Delete", "do": "status", "status": 403,
                                      "code": "AuthorizationFailed"}])
        assert azure.run("destroy", "--yes").code != 0
        assert azure.open_entries() != set()
        azure.double.control(faults=[])
        azure.run("destroy", "--yes")
        assert azure.resources("virtualMachines") == [], azure.resources()
        assert azure.deploy().code == 0
        result = azure.run("recover", "--yes")
        assert result.code == 0 and "was made anew since" in result.out + result.err, result
        assert azure.resources("virtualMachines") and azure.open_entries() == set(), result
        azure.double.assert_clean()


@both_roads
def test_recover_keeps_what_was_finished_since(road):
    """Undoing a failed creation fails too; a second run takes the pieces over and succeeds; only then recover."""
    with Azure(road, faults=[{"on": "VirtualMachines_CreateOrUpdate", "do": "fail", "code": "InternalExecutionError"},
                             {"on": "VirtualMachines_Delete", "do": "status", "status": 403,
                              "code": "AuthorizationFailed"}]) as azure:
        assert azure.deploy().code != 0
        assert azure.open_entries() != set()
        azure.double.control(faults=[])
        result = azure.deploy()
        assert result.code == 0, result
        result = azure.run("recover", "--yes")
        assert result.code == 0, result
        machines = azure.resources("virtualMachines")
        assert len(machines) == 1 and machines[0]["state"] == "Succeeded", (machines, result)
        assert azure.open_entries() == set(), result
        azure.double.assert_clean()


if __name__ == "__main__":
    e2e.main(globals())
