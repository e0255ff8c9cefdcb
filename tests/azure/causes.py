#!/usr/bin/env python3
"""Why a machine in Azure is off, and what is announced for it: as `regions health` and `vm status` tell it."""
import json, time
import e2e
from create import Azure

SOON = "2099-12-01T10:00:00Z"


class Causes(Azure):
    def vm(self, region="eastus"):
        return next(vm["id"] for vm in self.resources("virtualMachines") if vm["location"] == region)

    def health(self, region="eastus"):
        doc = self.run("regions", "health", "-o", "json").json()
        return next(one for one in doc["regions"] if one["region"] == region)

    def status(self):
        return self.ok("vm", "status", "-r", "eastus", "-o", "json").json()

    def off(self, power="stopped"):
        """Somebody or something has switched it off, not azlin."""
        self.double.control(change={self.vm(): {"power": power}})

    def platform(self, **properties):
        self.double.control(resource_health=["Unavailable", properties])


def deployed(**control):
    azure = Causes(**control)
    azure.ok("deploy", "-r", "eastus")
    return azure


def test_who_switched_it_off():
    with deployed() as azure:
        azure.off()
        one = azure.health()
        assert (one["power_state"], one["stop_cause"], one["failure_type"]) == ("stopped", "unknown", "vm_stopped"), one
        azure.platform(reasonType="Unplanned")
        assert azure.health()["stop_cause"] == azure.status()["stop_cause"] == "ended"
        azure.platform(reasonType="UserInitiated")
        assert azure.health()["stop_cause"] == azure.status()["stop_cause"] == "requested"
        azure.platform(reasonType="Unplanned", healthEventCause="UserInitiated")
        assert azure.health()["stop_cause"] == "requested"
        azure.double.control(resource_health=["Unknown"])
        assert azure.health()["stop_cause"] == "unknown"
        azure.off("deallocated")
        assert azure.health()["stop_cause"] == "requested", "nothing but a request takes it off its host"
        azure.double.assert_clean()


def test_azlin_remembers_what_it_stopped():
    with deployed() as azure:
        azure.ok("vm", "stop", "-r", "eastus", "--yes")
        one = azure.health()
        assert (one["stop_cause"], one["failure_type"]) == ("requested", "vm_stopped"), one
        power = next(e for e in one["evidence"] if e["probe"] == "power")
        assert power["outcome"] == "stopped" and "azlin itself switched it off (vm.stop" in power["detail"], power
        assert azure.status()["stop_cause"] == "requested"
        assert "is stopped (azlin itself switched it off (vm.stop" in azure.ok("vm", "status", "-r", "eastus").out
        assert "VM Status: stopped (azlin itself" in azure.run("regions", "health").out
        azure.ok("vm", "start", "-r", "eastus")
        azure.off()  # later, and not by azlin
        assert azure.health()["stop_cause"] == azure.status()["stop_cause"] == "unknown"
        azure.double.assert_clean()


def test_a_stop_whose_answer_was_lost_was_meant():
    with deployed(faults=[]) as azure:
        azure.double.control(faults=[{"do": "status", "on": "VirtualMachines_PowerOff", "status": 403,
                                      "code": "AuthorizationFailed"}])
        assert azure.run("vm", "stop", "-r", "eastus", "--yes").code != 0
        azure.off()
        assert azure.health()["stop_cause"] == "requested"


def test_maintenance_is_shown():
    with deployed() as azure:
        assert azure.health()["maintenance_at"] is None and azure.status()["maintenance_at"] is None
        name = azure.vm().split("/")[-1]
        azure.double.control(maintenance={name: {"maintenanceWindowStartTime": SOON}})
        before = azure.kinds()
        assert azure.health()["maintenance_at"] == SOON
        reads = {k: n - before.get(k, 0) for k, n in azure.kinds().items() if n != before.get(k, 0)}
        assert sum(n for k, n in reads.items() if k not in ("Token",)) == 1, "it comes with the state: %r" % reads
        assert azure.status()["maintenance_at"] == SOON
        for command in (["regions", "health"], ["vm", "status", "-r", "eastus"]):
            assert "Maintenance: announced for " + SOON in azure.run(*command).out, azure.run(*command)
        azure.double.control(maintenance={name: {"maintenanceWindowStartTime": "2001-01-01T00:00:00Z",
                                                 "maintenanceWindowEndTime": "2001-01-02T00:00:00Z"}})
        assert azure.health()["maintenance_at"] is None, "its window is over"
        azure.double.assert_clean()


if __name__ == "__main__":
    e2e.main(globals())
