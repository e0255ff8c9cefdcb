#!/usr/bin/env python3
"""A machine in Azure is cut off its network and let back: two rules in its own group, under faults, beside admission."""
import json, os, subprocess, time
import e2e
from armdouble import HOME
from create import Azure

WALLS = {"azlin-isolate-in", "azlin-isolate-out"}
NSG, NIC = "NetworkSecurityGroups_CreateOrUpdate", "NetworkInterfaces_Get"
FAILED, NOT_FOUND, NOT_SUPPORTED, PERMISSION = 0, 13, 15, 3


class Isolated(Azure):
    def machine(self, region="eastus"):
        found = next(vm for vm in self.resources("virtualMachines") if vm["location"] == region)
        return {"id": found["id"], "name": found["id"].split("/")[-1]}

    def drive(self, word, vm, call="isolate", limit=60, **extra):
        env = self.home.env(**self.double.env(), **extra)
        return subprocess.run([os.environ["AZLIN_DRIVE"], self.home.path, "azure", call, vm["name"], word, vm["id"]],
                              env=env, text=True, capture_output=True, timeout=limit, stdin=subprocess.DEVNULL)

    def isolate(self, word, vm):
        done = self.drive(word, vm)
        assert done.returncode == 0, done
        return done

    def refused(self, code, vm, word="on"):
        done = self.drive(word, vm)
        assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("%d " % code), done
        return done.stderr

    def group(self, vm):
        path = vm["id"].replace("Microsoft.Compute/virtualMachines", "Microsoft.Network/networkSecurityGroups") + "-nsg"
        return self.double.arm("GET", path, "2024-01-01").body

    def rules(self, vm):
        return {r["name"]: r["properties"] for r in self.group(vm)["properties"]["securityRules"]}

    def assert_in_force(self, vm):
        rules = self.rules(vm)
        assert WALLS <= set(rules), rules
        for name, direction in (("azlin-isolate-in", "Inbound"), ("azlin-isolate-out", "Outbound")):
            wall = rules[name]
            assert wall["access"] == "Deny" and wall["direction"] == direction and wall["protocol"] == "*", wall
            others = [r["priority"] for r in rules.values() if r["direction"] == direction and r["access"] == "Allow"]
            assert all(wall["priority"] < p for p in others), rules
        assert self.group(vm)["properties"]["provisioningState"] == "Succeeded"

    def writes(self):
        return self.kinds().get(NSG, 0)


def deployed(regions="eastus", options=None, **control):
    azure = Isolated(options=options, **control)
    azure.ok("deploy", "-r", regions)
    return azure


def test_on_and_off():
    with deployed(duration_ms={"create": 1500}) as azure:
        vm = azure.machine()
        before, writes = azure.rules(vm), azure.writes()
        azure.double.control(poll_retry_after=40)  # a fence has no time for the polls of an operation
        polls, began = azure.kinds()["Poll"], time.monotonic()
        azure.isolate("on", vm)
        assert time.monotonic() - began < 30 and azure.kinds()["Poll"] == polls
        azure.double.control(poll_retry_after=1)
        azure.assert_in_force(vm)
        assert azure.writes() - writes == 1, "both directions at once, by one request"
        assert {k: v for k, v in azure.rules(vm).items() if k not in WALLS} == before
        assert azure.group(vm)["properties"]["flushConnection"] is True
        assert azure.group(vm)["tags"]["azlin:managed"] == "true", azure.group(vm)
        azure.isolate("on", vm)
        assert azure.writes() - writes == 1, "done already"
        azure.isolate("off", vm)
        assert azure.rules(vm) == before, azure.rules(vm)
        azure.isolate("off", vm)
        assert azure.writes() - writes == 2
        azure.double.assert_clean()


def test_faults():
    faults = [
        [{"do": "throttle", "on": "NetworkSecurityGroups_*", "times": 2, "retry_after": 1}],
        [{"do": "status", "on": "NetworkSecurityGroups_*", "status": 503, "times": 2}],
        [{"do": "conflict", "on": NSG, "times": 2}],
        [{"do": "reset", "on": NSG, "when": "before", "times": 1}],
        [{"do": "reset", "on": NSG, "when": "after", "times": 1}],
        [{"do": "expire", "on": NIC, "times": 1}],
        [{"do": "duration", "on": NSG, "ms": 3000}],
        [{"do": "never", "on": "Poll"}, {"do": "duration", "on": NSG, "ms": 1200}],
    ]
    with deployed() as azure:
        vm = azure.machine()
        for one in faults:
            azure.double.control(faults=one)
            azure.isolate("on", vm)
            azure.assert_in_force(vm)
            azure.double.control(faults=one)
            azure.isolate("off", vm)
            assert not WALLS & set(azure.rules(vm)), (one, azure.rules(vm))
        azure.double.control(faults=[])
        azure.double.assert_clean()


def test_refusals():
    with deployed() as azure:
        vm = azure.machine()
        azure.double.control(faults=[{"do": "status", "on": NSG, "status": 403, "code": "AuthorizationFailed"}])
        azure.refused(PERMISSION, vm)
        azure.double.control(faults=[{"do": "fail", "on": NSG, "code": "InternalServerError", "message": "broken"}])
        assert "broken" in azure.refused(FAILED, vm)
        azure.double.control(faults=[])
        azure.isolate("on", vm)  # a half-made one is completed
        azure.assert_in_force(vm)
        azure.isolate("off", vm)

        group = azure.group(vm)["id"]
        first = {"name": "mine", "properties": {"priority": 100, "direction": "Inbound", "access": "Allow",
                 "protocol": "Tcp", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*",
                 "destinationPortRange": "443"}}
        azure.double.control(change={group: {"properties.securityRules": [first]}})
        assert "'mine'" in azure.refused(FAILED, vm)
        first["properties"]["access"] = "Deny"  # of somebody else, and not everything
        azure.double.control(change={group: {"properties.securityRules": [first]}})
        azure.isolate("on", vm)
        azure.assert_in_force(vm)
        assert azure.rules(vm)["azlin-isolate-in"]["priority"] == 101
        azure.isolate("off", vm)
        assert set(azure.rules(vm)) == {"mine"}
        azure.double.assert_clean()


def test_only_what_azlin_made():
    with deployed() as azure:
        vm = azure.machine()
        group, writes = azure.group(vm), azure.writes()
        azure.double.control(change={group["id"]: {"tags": {"owner": "me"}}})
        azure.refused(NOT_SUPPORTED, vm)
        azure.double.control(change={group["id"]: {"tags": group["tags"]}})
        nic = azure.resources("networkInterfaces")[0]
        other = group["id"].replace("-nsg", "-other")
        azure.double.control(change={nic["id"]: {"properties.networkSecurityGroup": {"id": other}}})
        azure.refused(NOT_SUPPORTED, vm)  # rules that the machine is not behind would isolate nobody
        azure.double.control(change={nic["id"]: {"properties.networkSecurityGroup": {"id": group["id"]}}})
        gone = dict(vm, id=vm["id"] + "x", name=vm["name"] + "x")
        azure.refused(NOT_FOUND, gone)
        assert azure.writes() == writes
        azure.double.assert_clean()


def test_without_flush():
    with deployed() as azure:
        vm = azure.machine()
        azure.double.control(faults=[{"do": "status", "on": NSG, "status": 400, "times": 1,
                                      "code": "SubscriptionNotRegisteredForFeature"}])
        done = azure.isolate("on", vm)
        assert "does not cut connections that stand" in done.stderr, done
        azure.assert_in_force(vm)
        assert "flushConnection" not in azure.group(vm)["properties"]


def test_admission_keeps_it():
    with deployed("eastus", options={"ssh-source": "203.0.113.0/24"}) as azure:
        vm = azure.machine()
        azure.isolate("on", vm)
        azure.ok("deploy", "-r", "westus2")  # a round of admission over all groups
        rules = azure.rules(vm)
        assert len(rules["azlin-machines"]["sourceAddressPrefixes"]) == 2, rules
        azure.assert_in_force(vm)
        azure.ok("deploy", "-r", "eastus")  # adopts the machine as it is
        azure.assert_in_force(vm)
        azure.isolate("off", vm)
        assert set(azure.rules(vm)) == {"ssh", "azlin-machines"}, azure.rules(vm)
        azure.double.assert_clean()


def test_beside_admission():
    """Isolated while a deploy brings the rules of all groups up to date: both are there in the end."""
    with deployed("eastus", options={"ssh-source": "203.0.113.0/24"}, duration_ms={"create": 300}) as azure:
        vm = azure.machine()
        running = azure.popen("deploy", "-r", "westus2")
        while running.poll() is None:
            azure.isolate("on", vm)
            azure.isolate("off", vm)
        running.communicate()
        azure.isolate("on", vm)
        azure.assert_in_force(vm)
        azure.ok("deploy", "-r", "westeurope")
        assert len(azure.rules(vm)["azlin-machines"]["sourceAddressPrefixes"]) == 3, azure.rules(vm)
        azure.assert_in_force(vm)
        azure.double.assert_clean()


def test_fence():
    """A failover cuts the power at once, an operator's stop gives the guest its time; off is what the cloud calls off."""
    with deployed(options={"stop-timeout": "600"}, duration_ms={"power": 2500}) as azure:
        vm = azure.machine()
        for urgent, extra in ((True, {"DRIVE_URGENT": "1"}), (False, {})):
            azure.double.control(poll_retry_after=40)
            before = len(azure.double.log())
            began = time.monotonic()
            done = azure.drive("stopped", vm, "power", **extra)
            assert done.returncode == 0 and json.loads(done.stdout)["power"] == "stopped", done
            assert 2.5 <= time.monotonic() - began < 30
            sent = [r["target"] for r in azure.double.log()[before:] if r["kind"] == "VirtualMachines_PowerOff"]
            assert len(sent) == 1 and ("skipShutdown=true" in sent[0]) == urgent, sent
            azure.double.control(poll_retry_after=1)
            azure.ok("vm", "start", "-r", "eastus")
        azure.double.assert_clean()


def test_isolated_machine_can_be_deleted():
    with deployed() as azure:
        azure.isolate("on", azure.machine())
        azure.ok("destroy", "--yes")
        azure.assert_nothing()


if __name__ == "__main__":
    e2e.main(globals())
