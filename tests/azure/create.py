#!/usr/bin/env python3
"""Machines in Azure are made, adopted, deleted and recovered: against the double, nothing is left behind or touched."""
import json, os
from concurrent.futures import ThreadPoolExecutor
import e2e
from armdouble import ArmDouble, HOME

NETWORK = ["networkSecurityGroups", "virtualNetworks", "publicIPAddresses", "networkInterfaces"]
STEPS = ["NetworkSecurityGroups_CreateOrUpdate", "VirtualNetworks_CreateOrUpdate", "PublicIPAddresses_CreateOrUpdate",
         "NetworkInterfaces_CreateOrUpdate", "VirtualMachines_CreateOrUpdate"]
ROADS = ["template", "direct"]
QUICK = {"nic_reserve_s": 3, "duration_ms": {"create": 20, "create.virtualMachines": 200}}


class Azure:
    """One double and one home that points at it."""

    def __init__(self, create="template", options=None, **control):
        self.double = ArmDouble(**{**QUICK, **control})
        self.home = e2e.Home(self.double.config(create=create, **(options or {})))

    def run(self, *args, **kw):
        return self.home.run(*args, env=self.double.env(), **kw)

    def ok(self, *args, **kw):
        result = self.run(*args, **kw)
        assert result.code == 0, "azlin %s: %r" % (" ".join(args), result)
        return result

    def popen(self, *args):
        return self.home.popen(*args, env=self.double.env())

    def deploy(self, regions="eastus", *more, **kw):
        return self.run("deploy", "-r", regions, "--vm-name", "m", *more, **kw)

    def forget(self):
        """The records are lost, copies too."""
        for name in os.listdir(self.home.path):
            if name.startswith("config.json"):
                os.unlink(os.path.join(self.home.path, name))

    def resources(self, kind=None):
        """{type without its namespace: [resource]} of all that stands, deployments aside."""
        found = {name.split("/")[-1]: list_ for name, list_ in self.double.state()["resources"].items()}
        found.pop("deployments", None)
        return found.get(kind, []) if kind else {name: len(list_) for name, list_ in found.items()}

    def kinds(self):
        return self.double.state()["requests"]["kinds"]

    def open_entries(self):
        """Entries of the journal that are not closed."""
        open_ = set()
        path = os.path.join(self.home.path, "journal.log")
        for line in open(path, errors="replace") if os.path.exists(path) else []:
            text = line[line.find("{"):line.rfind("}") + 1]
            record = json.loads(text) if text else {}
            (open_.add if record.get("step") == "intent" else open_.discard)(record.get("id")) \
                if record.get("step") in ("intent", "done") else None
        return open_

    def assert_nothing(self):
        assert self.resources() == {}, self.double.state()["resources"]
        self.double.assert_clean()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.home.run("destroy", "--yes", env=self.double.env())
        self.home.close()
        self.double.__exit__(kind, *_)


def group_of(region):
    return HOME + "/resourceGroups/azlin-vms-" + region


def machine(**body):
    return {"location": "eastus", "properties": {"hardwareProfile": {"vmSize": "Standard_B2s"},
            "provisioningState": "Succeeded"}, **body}


def side_by_side(work, items):
    """Each with a cloud and a home of its own: they mostly wait."""
    with ThreadPoolExecutor(len(items)) as pool:
        list(pool.map(work, items))


def both_roads(test):
    return lambda: side_by_side(test, ROADS)


# ---- creation ----

@both_roads
def test_deploy_one_region(road):
    with Azure(road) as azure:
        result = azure.deploy("eastus", "-o", "json").json()
        assert result["successful"][0]["public_ip"].startswith("127."), result
        record = json.load(open(os.path.join(azure.home.path, "config.json")))
        vm = azure.resources("virtualMachines")[0]
        assert vm["tags"]["azlin:managed"] == "true" and vm["tags"]["azlin:region"] == "eastus", vm
        assert "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5" in json.dumps(record), record
        ops = {r["tags"]["azlin:op"] for kind in NETWORK + ["virtualMachines"] for r in azure.resources(kind)}
        assert len(ops) == 1, ops
        assert azure.open_entries() == set()
        azure.double.assert_clean()


def test_few_requests():
    with Azure() as azure:
        assert azure.deploy("eastus,westus2,westeurope").code == 0
        state = azure.double.state()
        assert state["requests"]["total"] <= 50, state["requests"]
        assert state["requests"]["kinds"]["Deployments_CreateOrUpdate"] == 3, state["requests"]
        azure.double.assert_clean()


def test_open_ssh_is_said_once():
    with Azure() as azure:
        result = azure.deploy("eastus,westus2")
        assert result.err.count("SSH of new machines is open") == 1, result
    with Azure(options={"ssh-source": "203.0.113.0/24"}) as azure:
        result = azure.deploy()
        assert "is open" not in result.err, result


@both_roads
def test_existing_group_stays(road):
    foreign = group_of("eastus") + "/providers/Microsoft.Network/virtualNetworks/mine"
    with Azure(road, resources=[{"id": group_of("eastus"), "body": {"location": "westus"}},
                                {"id": foreign, "body": {"location": "eastus", "properties": {}}}],
               faults=[{"on": "VirtualMachines_CreateOrUpdate", "do": "fail", "code": "InternalExecutionError"}]
               ) as azure:
        azure.deploy()
        assert azure.resources() == {"resourceGroups": 1, "virtualNetworks": 1}, azure.resources()
        azure.double.control(faults=[])
        azure.deploy()
        assert azure.resources("virtualMachines"), azure.resources()
        azure.ok("destroy", "--yes")
        assert azure.resources() == {"resourceGroups": 1, "virtualNetworks": 1}, azure.resources()
        azure.double.assert_clean()


def test_foreign_machine_and_pieces_are_refused():
    for kind, name in (("Microsoft.Compute/virtualMachines", "m"), ("Microsoft.Network/networkSecurityGroups", "m-nsg"),
                       ("Microsoft.Network/publicIPAddresses", "m-pip"), ("Microsoft.Compute/disks", "m-osdisk")):
        there = group_of("eastus") + "/providers/%s/%s" % (kind, name)
        with Azure(resources=[{"id": group_of("eastus"), "body": {"location": "eastus"}},
                              {"id": there, "body": machine(tags={"azlin:op": "x"})}]) as azure:
            before = azure.double.state()["resources"]
            result = azure.deploy("eastus", "-o", "json")
            assert result.code == 2 and result.json()["failed"][0]["error"]["error_type"] == "AlreadyExists", result
            assert azure.double.state()["resources"] == before
            assert "PUT" not in azure.double.state()["requests"]["methods"], azure.double.state()["requests"]
            azure.double.assert_clean(orphans=False)


def test_adoption():
    with Azure() as azure:
        assert azure.deploy().code == 0
        azure.forget()
        vm = azure.resources("virtualMachines")[0]["id"]
        azure.double.control(change={vm: {"power": "deallocated"}})
        puts = azure.kinds()["Deployments_CreateOrUpdate"]
        result = azure.deploy("eastus", "-o", "json")
        assert result.code == 0 and result.json()["successful"][0]["public_ip"], result
        assert azure.kinds()["Deployments_CreateOrUpdate"] == puts
        assert azure.resources("virtualMachines")[0]["power"] == "running", azure.resources("virtualMachines")
        azure.double.assert_clean()


@both_roads
def test_failed_machine_of_ours_is_made_again(road):
    with Azure(road) as azure:
        assert azure.deploy().code == 0
        vm = azure.resources("virtualMachines")[0]
        azure.double.control(change={vm["id"]: {"properties.provisioningState": "Failed"}})
        azure.forget()
        result = azure.deploy()
        assert result.code == 0, result
        after = azure.resources("virtualMachines")[0]
        assert after["state"] == "Succeeded" and after["tags"]["azlin:op"] == vm["tags"]["azlin:op"], after
        azure.double.assert_clean()


@both_roads
def test_guest_that_is_late_keeps_its_machine(road):
    with Azure(road, faults=[{"on": "VirtualMachines_CreateOrUpdate", "do": "fail", "code": "OSProvisioningTimedOut",
                              "message": "OS provisioning did not finish in the allotted time."}]) as azure:
        result = azure.deploy()
        assert result.code == 0 and "did not report in time" in result.err, result
        assert len(azure.resources("virtualMachines")) == 1


# ---- host keys ----

def key_of(azure):
    return json.dumps(json.load(open(os.path.join(azure.home.path, "config.json")))).count("ssh-ed25519 AAAA")


def test_host_key_from_serial_log():
    with Azure(faults=[{"on": "VirtualMachines_RunCommand", "do": "status", "status": 403,
                        "code": "AuthorizationFailed"}]) as azure:
        assert azure.deploy().code == 0
        assert key_of(azure) == 1
        azure.double.assert_clean()


def test_no_host_key_is_said():
    with Azure(faults=[{"on": "VirtualMachines_RunCommand", "do": "status", "status": 403, "code": "AuthorizationFailed"},
                       {"on": "VirtualMachines_RetrieveBootDiagnosticsData", "do": "status", "status": 403,
                        "code": "AuthorizationFailed"}]) as azure:
        result = azure.deploy()
        assert result.code == 0 and "--accept-new" in result.err, result
        assert key_of(azure) == 0
        azure.double.assert_clean()


# ---- deletion ----

def test_delete_takes_all_along():
    with Azure() as azure:
        assert azure.deploy("eastus,westus2").code == 0
        azure.ok("destroy", "--yes")
        azure.assert_nothing()
        assert azure.open_entries() == set()


def test_delete_refuses_foreign():
    vm = group_of("eastus") + "/providers/Microsoft.Compute/virtualMachines/m"
    with Azure() as azure:
        assert azure.deploy().code == 0
        azure.double.control(change={vm: {"tags": {}}})
        result = azure.run("destroy", "--yes")
        assert result.code != 0 and "azlin:managed" in result.out + result.err, result
        assert azure.resources("virtualMachines")
        azure.double.control(change={vm: {"tags": {"azlin:managed": "true"}}})


# ---- the rule for azlin's own machines ----

def rule_of(azure, region):
    path = group_of(region) + "/providers/Microsoft.Network/networkSecurityGroups/m-%s-nsg" % region
    body = azure.double.arm("GET", path, "2024-01-01").body
    rules = {rule["name"]: rule["properties"] for rule in body["properties"]["securityRules"]}
    machines = rules.get("azlin-machines", {})
    return rules["ssh"].get("sourceAddressPrefix"), machines.get("sourceAddressPrefixes") or \
        [machines[name] for name in ("sourceAddressPrefix",) if name in machines]


def test_machines_let_each_other_in():
    with Azure(options={"ssh-source": "203.0.113.0/24"}) as azure:
        assert azure.deploy("eastus,westus2").code == 0
        both = {address["region"]: address["public_ip"] for address in azure.ok("regions", "list", "-o", "json")
                .json()["regions"]}
        for region in both:
            ssh, machines = rule_of(azure, region)
            assert ssh == "203.0.113.0/24" and sorted(machines) == sorted(both.values()), (ssh, machines, both)
        azure.double.assert_clean()


def test_destroy_leaves_what_others_made():
    """A subscription is shared: only what this home made goes, also where a record of it is lost or a name is used twice."""
    with Azure() as azure:
        other = e2e.Home(azure.double.config())
        try:
            result = other.run("deploy", "-r", "westeurope", "--vm-name", "theirs", env=azure.double.env())
            assert result.code == 0, result
            assert azure.deploy("eastus").code == 0
            assert azure.deploy("westus2").code == 0
            azure.forget()
            result = azure.ok("destroy", "--yes")
            left = [vm["id"].split("/")[-1] for vm in azure.resources("virtualMachines")]
            assert left == ["theirs"] and "another home" in result.out + result.err, (left, result)
            result = other.run("destroy", "--yes", env=azure.double.env())
            assert result.code == 0, result
            azure.assert_nothing()
        finally:
            other.close()


if __name__ == "__main__":
    e2e.main(globals())
