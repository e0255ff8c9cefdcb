#!/usr/bin/env python3
"""The ARM double plays Azure: resources, operations, deployments, lists, tags, power, quotas, budgets, tokens."""
import base64, copy, time
import e2e
from armdouble import ArmDouble, HOME, TENANT
from machine import *

DOUBLE = ArmDouble()
FAST = {"duration_ms": {"create": 5, "create.virtualMachines": 20, "delete": 5, "delete.virtualMachines": 10,
                        "delete.resourceGroups": 10, "power": 10, "runCommand": 10}, "poll_retry_after": 0}
VM = path(VM_TYPE, "vm1")
NIC = path(NIC_TYPE, "vm1-nic")


def fresh(**control):
    DOUBLE.reset(**{**FAST, **control})
    return DOUBLE


def put_all(double, until=VM_TYPE, **options):
    for kind, name, version, body in resources(home=HOME, **options):
        reply = double.arm("PUT", path(kind, name), version, body)
        assert reply.status == 201, reply
        assert double.settle(reply).body["status"] == "Succeeded", reply
        if kind == until:
            return


def power(double, vm=VM):
    codes = [s["code"] for s in double.arm("GET", vm + "/instanceView", COMPUTE).body["statuses"]]
    return next((c.split("/")[1] for c in codes if c.startswith("PowerState/")), None)


def test_group_lives():
    double = fresh()
    assert double.arm("HEAD", GROUP, RESOURCES).status == 404
    made = double.arm("PUT", GROUP, RESOURCES, {"location": "East US", "tags": TAGS})
    assert made.status == 201 and made.body["properties"]["provisioningState"] == "Succeeded", made
    assert double.arm("PUT", GROUP, RESOURCES, {"location": "eastus", "tags": TAGS}).status == 200
    assert double.arm("PUT", GROUP, RESOURCES, {"location": "westus", "tags": TAGS}).code == "InvalidResourceGroupLocation"
    assert double.arm("HEAD", GROUP.upper().replace("RESOURCEGROUPS", "resourcegroups"), RESOURCES).status == 204
    assert double.arm("PATCH", GROUP, RESOURCES, {"tags": {"azlin:x": "1"}}).body["tags"] == {"azlin:x": "1"}
    gone = double.arm("DELETE", GROUP, RESOURCES)
    assert gone.status == 202 and "Location" in gone.headers and "Azure-AsyncOperation" not in gone.headers
    assert double.arm("PUT", GROUP, RESOURCES, {"location": "eastus", "tags": TAGS}).code == "ResourceGroupBeingDeleted"
    assert double.settle(gone).status == 204
    assert double.arm("GET", GROUP, RESOURCES).code == "ResourceGroupNotFound"
    double.assert_clean()


def test_deployment_makes_a_machine():
    double = fresh()
    make_group(double)
    begun = double.arm("PUT", GROUP + DEPLOYMENT % "vm1", RESOURCES, deployment())
    assert begun.status == 201 and begun.body["properties"]["provisioningState"] == "Accepted", begun
    assert len(begun.headers["Azure-AsyncOperation"]) > 1024
    assert double.arm("PUT", GROUP + DEPLOYMENT % "vm1", RESOURCES, deployment()).code == "DeploymentActive"
    ended = double.settle(begun)
    assert ended.body["status"] == "Succeeded", ended
    done = double.arm("GET", GROUP + DEPLOYMENT % "vm1", RESOURCES).body["properties"]
    assert done["outputs"]["ip"]["value"].startswith("127.77."), done
    assert done["outputs"]["group"]["value"].endswith("/rg1") and len(done["outputResources"]) == 5
    assert "value" not in done["parameters"]["key"] and done["parameters"]["name"]["value"] == "vm1"
    machine = double.arm("GET", VM + "?$expand=instanceView", COMPUTE).body
    assert "customData" not in machine["properties"]["osProfile"] and machine["etag"] and machine["properties"]["vmId"]
    assert machine["properties"]["instanceView"]["statuses"][1]["code"] == "PowerState/running"
    assert double.arm("GET", path("Microsoft.Compute/disks", "vm1-osdisk"), DISKS).body["managedBy"].endswith("/vm1")
    made = double.arm("GET", GROUP + "/deployments/azlin-vm1/operations", RESOURCES).body["value"]
    assert len(made) == 5 and {o["properties"]["provisioningState"] for o in made} == {"Succeeded"}
    double.assert_clean()


def test_deleting_the_machine_takes_its_parts_along():
    double = fresh()
    put_all_group(double)
    gone = double.arm("DELETE", VM, COMPUTE)
    assert gone.status == 202 and {"Azure-AsyncOperation", "Location"} <= set(gone.headers), gone
    assert double.settle(gone).body["status"] == "Succeeded"
    left = {r["type"] for r in double.arm("GET", GROUP + "/resources", RESOURCES).body["value"]}
    assert left == {RULES_TYPE, NETWORK_TYPE}, left
    assert {o["id"].rsplit("/", 1)[1] for o in double.state()["orphans"]} == {"vm1-nsg", "vm1-vnet"}
    assert double.arm("DELETE", VM, COMPUTE).status == 204
    for kind, name in ((NETWORK_TYPE, "vm1-vnet"), (RULES_TYPE, "vm1-nsg")):
        double.settle(double.arm("DELETE", path(kind, name), NETWORK))
    assert [o["reason"] for o in double.state()["orphans"]] == ["the group is empty"]
    double.settle(double.arm("DELETE", GROUP, RESOURCES))
    double.assert_clean()


def put_all_group(double, **options):
    make_group(double)
    put_all(double, **options)


def test_without_delete_options_pieces_stay():
    double = fresh()
    make_group(double)
    for kind, name, version, body in resources(home=HOME):
        if kind == VM_TYPE:
            del body["properties"]["networkProfile"]["networkInterfaces"][0]["properties"]["deleteOption"]
            del body["properties"]["storageProfile"]["osDisk"]["deleteOption"]
        double.settle(double.arm("PUT", path(kind, name), version, body))
    assert double.arm("DELETE", NIC, NETWORK).code == "NicInUse"
    assert double.arm("DELETE", path(ADDRESS_TYPE, "vm1-pip"), NETWORK).code == "PublicIPAddressCannotBeDeleted"
    assert double.arm("DELETE", path(NETWORK_TYPE, "vm1-vnet"), NETWORK).code == "InUseSubnetCannotBeDeleted"
    assert double.arm("DELETE", path(RULES_TYPE, "vm1-nsg"), NETWORK).code == "InUseNetworkSecurityGroupCannotBeDeleted"
    assert double.arm("DELETE", path("Microsoft.Compute/disks", "vm1-osdisk"), DISKS).code == "OperationNotAllowed"
    double.settle(double.arm("DELETE", VM, COMPUTE))
    names = {o["id"].rsplit("/", 1)[1] for o in double.state()["orphans"]}
    assert names == {"vm1-nic", "vm1-osdisk"}, names
    double.settle(double.arm("DELETE", NIC, NETWORK))
    assert {"vm1-pip", "vm1-nsg", "vm1-vnet"} < {o["id"].rsplit("/", 1)[1] for o in double.state()["orphans"]}


def test_put_again_changes_nothing():
    double = fresh()
    put_all_group(double)
    before = double.arm("GET", VM, COMPUTE).body
    body = resources(home=HOME)[4][3]
    again = double.arm("PUT", VM, COMPUTE, body)
    assert again.status == 200 and again.body["properties"]["vmId"] == before["properties"]["vmId"], again
    assert double.arm("PUT", VM, COMPUTE, body, headers={"If-None-Match": "*"}).status == 412
    other = copy.deepcopy(body)
    other["properties"]["osProfile"]["customData"] = "eA=="
    assert double.arm("PUT", VM, COMPUTE, other).code == "PropertyChangeNotAllowed"
    double.assert_clean()


def test_group_takes_everything_along():
    double = fresh()
    deploy(double)
    double.settle(double.arm("DELETE", GROUP + "?forceDeletionTypes=Microsoft.Compute/virtualMachines", RESOURCES))
    state = double.assert_clean()
    assert state["resources"] == {}, state["resources"]


def test_power():
    double = fresh()
    deploy(double)
    for action, after in (("powerOff?skipShutdown=true", "stopped"), ("start", "running"), ("restart", "running"),
                          ("deallocate", "deallocated")):
        begun = double.arm("POST", VM + "/" + action, COMPUTE)
        assert begun.status == 202 and double.settle(begun).body["status"] == "Succeeded", begun
        assert power(double) == after, (action, power(double))
    assert double.arm("POST", VM + "/restart", COMPUTE).code == "OperationNotAllowed"
    double.control(faults=[{"do": "fail", "on": "VirtualMachines_Start", "code": "AllocationFailed"}])
    ended = double.settle(double.arm("POST", VM + "/start", COMPUTE))
    assert ended.body["error"]["code"] == "AllocationFailed" and power(double) == "deallocated"
    double.control(change={HOME + VM: {"power": "stopped"}}, power_state=False)
    assert power(double) is None
    double.assert_clean()


def test_host_key_is_stable():
    double = fresh()
    deploy(double)
    command = {"commandId": "RunShellScript", "script": ["cat /etc/ssh/ssh_host_ed25519_key.pub"]}
    keys = set()
    for _ in range(2):
        begun = double.arm("POST", VM + "/runCommand", COMPUTE, command)
        ended = double.settle(begun)
        text = ended.body["properties"]["output"]["value"][0]["message"]
        assert double.arm("GET", begun.headers["Location"]).body["value"][0]["message"] == text
        keys.add(text.split("[stdout]\n")[1].splitlines()[0])
    kind, blob = keys.pop().split()[:2]
    assert not keys and kind == "ssh-ed25519" and len(base64.b64decode(blob)) == 51
    where = double.arm("POST", VM + "/retrieveBootDiagnosticsData", COMPUTE).body["serialConsoleLogBlobUri"]
    log = double.request("GET", where).raw.decode()
    assert blob in log and "BEGIN SSH HOST KEY KEYS" in log
    double.assert_clean()
    double.arm("GET", where)
    assert double.state()["leaked_tokens"], "a bearer token went to a blob"


def test_lists_and_pages():
    double = fresh(page_size=2)
    for i in range(3):
        deploy(double, "vm%d" % i)
    double.control(empty_first_page=True)
    names, link, pages = [], HOME + "/providers/Microsoft.Compute/virtualMachines?api-version=" + COMPUTE, 0
    while link:
        page = double.arm("GET", link).body
        names += [m["name"] for m in page["value"]]
        assert all("/RG1/" in m["id"] for m in page["value"]), page
        link, pages = page.get("nextLink"), pages + 1
        assert link is None or "%24skiptoken" in link or "$skiptoken" in link
    assert names == ["vm0", "vm1", "vm2"] and pages == 3, (names, pages)
    double.control(page_size=500, empty_first_page=False)
    states = double.arm("GET", "/providers/Microsoft.Compute/virtualMachines?statusOnly=true", COMPUTE).body["value"]
    assert [s["properties"]["instanceView"]["statuses"][1]["code"] for s in states] == ["PowerState/running"] * 3
    assert "tags" not in states[0]
    found = double.arm("GET", "/resources?$filter=tagName%20eq%20'azlin:region'%20and%20tagValue%20eq%20'eastus'", RESOURCES)
    kinds = {r["type"] for r in found.body["value"]}
    assert VM_TYPE in kinds and "Microsoft.Compute/disks" in kinds and not any("tags" in r for r in found.body["value"])
    wrong = double.arm("GET", "/resources?$filter=tagName%20eq%20'a'%20and%20resourceType%20eq%20'b'", RESOURCES)
    assert wrong.status == 400, wrong
    assert len(double.arm("GET", path(NIC_TYPE, "")[:-1], NETWORK).body["value"]) == 3
    assert len(double.arm("GET", "/resourcegroups", RESOURCES).body["value"]) == 1
    double.assert_clean()


def test_tags():
    double = fresh()
    deploy(double)
    where = VM + "/providers/Microsoft.Resources/tags/default"

    def patch(operation, **tags):
        return double.arm("PATCH", where, RESOURCES, {"operation": operation, "properties": {"tags": {
            k.replace("_", ":"): v for k, v in tags.items()}}})
    assert patch("Merge", azlin_primary="true").body["properties"]["tags"] == {**TAGS, "azlin:primary": "true"}
    assert patch("Merge", AZLIN_PRIMARY="false").body["properties"]["tags"]["azlin:primary"] == "false"
    assert patch("Delete", azlin_primary="").body["properties"]["tags"] == TAGS
    assert double.arm("GET", where, RESOURCES).body["properties"]["tags"] == TAGS
    assert double.arm("GET", VM, COMPUTE).body["tags"] == TAGS
    illegal = double.arm("PATCH", where, RESOURCES, {"operation": "Merge", "properties": {"tags": {"a/b": "x"}}})
    assert illegal.code == "InvalidTagNameCharacters", illegal
    assert patch("Merge", azlin_x="y" * 257).code == "InvalidTagValueLength"
    double.control(tags_async=True)
    later = patch("Merge", azlin_x="y")
    assert later.status == 202 and double.settle(later).status == 200
    double.assert_clean()


def test_catalogue():
    double = fresh(unavailable=[{"region": "westus", "size": "Standard_B2s"},
                                {"region": "eastus", "size": "Standard_B2s", "zone": "2"}],
                   quota=[{"region": "westus", "name": "cores", "limit": 10, "used": 9}])

    def sku(region, name="Standard_B2s"):
        found = double.arm("GET", "/providers/Microsoft.Compute/skus?$filter=location%%20eq%%20'%s'" % region, "2021-07-01")
        return next(s for s in found.body["value"] if s["name"] == name)
    assert [r["type"] for r in sku("westus")["restrictions"]] == ["Location"]
    zonal = sku("eastus")
    assert zonal["restrictions"][0]["restrictionInfo"]["zones"] == ["2"] and len(zonal["locationInfo"][0]["zones"]) == 3
    assert {"name": "vCPUs", "value": "2"} in zonal["capabilities"] and sku("westeurope")["restrictions"] == []
    usages = double.arm("GET", "/providers/Microsoft.Compute/locations/westus/usages", COMPUTE).body["value"]
    cores = next(u for u in usages if u["name"]["value"] == "cores")
    assert (cores["currentValue"], cores["limit"]) == (9, 10)
    assert double.arm("GET", "/providers/Microsoft.Network/locations/westus/usages", NETWORK).status == 200
    regions = {r["name"]: r for r in double.arm("GET", "/locations", "2022-12-01").body["value"]}
    assert regions["westeurope"]["metadata"]["pairedRegion"][0]["name"] == "northeurope"
    assert regions["polandcentral"]["metadata"]["pairedRegion"] == []
    assert double.arm("GET", "", "2022-12-01").body["state"] == "Enabled"
    assert len(double.arm("GET", "/subscriptions", "2022-12-01").body["value"]) == 1
    double.assert_clean()


def test_preflight_of_a_deployment():
    double = fresh(unavailable=[{"region": "eastus", "size": "Standard_B2s"}],
                   quota=[{"region": "eastus", "name": "standardDSv5Family", "limit": 3}])
    make_group(double)
    for size, code in (("Standard_B2s", "SkuNotAvailable"), ("Standard_D4s_v5", "QuotaExceeded")):
        refused = deploy(double, size=size)
        assert refused.status == 400 and refused.code == "InvalidTemplateDeployment", refused
        assert code in [d["code"] for d in refused.body["error"]["details"]], refused
    checked = double.arm("POST", GROUP + DEPLOYMENT % "vm1" + "/validate", RESOURCES, deployment(size="Standard_B2s"))
    assert checked.status == 400, checked
    assert double.arm("POST", GROUP + DEPLOYMENT % "vm1" + "/validate", RESOURCES, deployment(size="Standard_F2s_v2")).status == 200
    assert list(double.state()["resources"]) == ["Microsoft.Resources/resourceGroups"]
    put_all(double, until=NIC_TYPE)
    vm = double.arm("PUT", VM, COMPUTE, resources(home=HOME)[4][3])
    assert vm.status == 409 and vm.code == "SkuNotAvailable", vm


def test_failed_machine_holds_its_interface():
    double = fresh(capacity=[{"region": "eastus", "code": "ZonalAllocationFailed"}], nic_reserve_s=1)
    failed = deploy(double)
    error = failed.body["error"]
    assert failed.body["status"] == "Failed" and error["code"] == "DeploymentFailed", failed
    assert error["details"][0]["details"][0]["code"] == "ZonalAllocationFailed", failed
    view = double.arm("GET", VM + "/instanceView", COMPUTE).body["statuses"]
    assert view[0]["code"] == "ProvisioningState/failed/ZonalAllocationFailed" and power(double) is None
    assert "the VM's creation failed" in [o["reason"] for o in double.state()["orphans"]]
    double.settle(double.arm("DELETE", VM, COMPUTE))
    assert double.arm("DELETE", NIC, NETWORK).code == "NicReservedForAnotherVm"
    time.sleep(1)
    assert double.arm("DELETE", NIC, NETWORK).status == 202
    double.control(errors_as_text=True)
    again = deploy(double, "vm2")
    assert "ZonalAllocationFailed" in again.body["error"]["details"][0]["message"]


def test_cancel_and_preempt():
    double = fresh(faults=[{"do": "never", "on": "VirtualMachines_CreateOrUpdate"}])
    make_group(double)
    begun = double.arm("PUT", GROUP + DEPLOYMENT % "vm1", RESOURCES, deployment())
    time.sleep(0.1)
    assert double.arm("GET", begun.headers["Azure-AsyncOperation"]).body["status"] == "Running"
    assert double.arm("POST", GROUP + DEPLOYMENT % "vm1" + "/cancel", RESOURCES).status == 204
    assert double.settle(begun).body["status"] == "Canceled"
    assert double.arm("POST", GROUP + DEPLOYMENT % "vm1" + "/cancel", RESOURCES).code == "DeploymentCannotBeCancelled"
    assert double.arm("GET", VM, COMPUTE).body["properties"]["provisioningState"] == "Creating"
    double.settle(double.arm("DELETE", VM, COMPUTE))
    assert double.arm("GET", VM, COMPUTE).status == 404
    assert double.settle(double.arm("DELETE", GROUP + DEPLOYMENT % "vm1", RESOURCES)).status == 204
    double.assert_clean(orphans=False)


def test_providers():
    double = fresh(unregistered=["Microsoft.Network"])
    make_group(double)
    refused = double.arm("PUT", path(RULES_TYPE, "x"), NETWORK, {"location": "eastus", "tags": TAGS})
    assert refused.code == "MissingSubscriptionRegistration", refused
    assert double.arm("GET", "/providers/Microsoft.Network", RESOURCES).body["registrationState"] == "NotRegistered"
    assert double.arm("POST", "/providers/Microsoft.Network/register", RESOURCES).body["registrationState"] == "Registering"
    time.sleep(0.25)
    assert double.arm("GET", "/providers/Microsoft.Network", RESOURCES).body["registrationState"] == "Registered"
    health = HOME + VM + "/providers/Microsoft.ResourceHealth/availabilityStatuses/current?api-version=2020-05-01"
    double.assert_clean(orphans=False)
    assert double.arm("GET", health).status == 400
    assert "ResourceHealth" in double.state()["violations"][0]["reason"]
    double.control(resource_health=["Unavailable"])
    assert double.arm("GET", health).body["properties"]["availabilityState"] == "Unavailable"


def test_write_budget():
    double = fresh(budget={"writes": [3, 2]})
    for i in range(3):
        double.arm("PUT", "/resourceGroups/g%d" % i, RESOURCES, {"location": "eastus", "tags": TAGS})
    refused = double.arm("PUT", "/resourceGroups/g3", RESOURCES, {"location": "eastus", "tags": TAGS})
    assert refused.status == 429 and refused.headers["Retry-After"] == "1", refused
    left = double.arm("GET", "/resourcegroups", RESOURCES).headers["x-ms-ratelimit-remaining-subscription-reads"]
    assert int(left) > 200, left
    assert double.state()["early_requests"] == []
    again = double.arm("PUT", "/resourceGroups/g3", RESOURCES, {"location": "eastus", "tags": TAGS})
    assert again.status == 429
    assert [e["scope"] for e in double.state()["early_requests"]] == ["request"]
    time.sleep(0.4)
    double.arm("PUT", "/resourceGroups/g4", RESOURCES, {"location": "eastus", "tags": TAGS})
    assert [e["scope"] for e in double.state()["early_requests"]] == ["request", "budget"]
    time.sleep(1.01)
    assert double.arm("PUT", "/resourceGroups/g3", RESOURCES, {"location": "eastus", "tags": TAGS}).status == 201
    assert len(double.state()["early_requests"]) == 2


def test_early_poll_is_noticed():
    double = fresh(poll_retry_after=1)
    make_group(double)
    body = resources(home=HOME)[0][3]
    begun = double.arm("PUT", path(RULES_TYPE, "vm1-nsg"), NETWORK, body)
    double.arm("GET", begun.headers["Azure-AsyncOperation"])
    assert [e["scope"] for e in double.state()["early_requests"]] == ["poll"]
    double.settle(begun)
    assert len(double.state()["early_requests"]) == 1
    begun = double.arm("DELETE", path(RULES_TYPE, "vm1-nsg"), NETWORK)
    double.control(forget_waits=True)
    double.arm("GET", begun.headers["Azure-AsyncOperation"])
    assert len(double.state()["early_requests"]) == 1


def test_tokens():
    double = fresh(token_life=1)
    first = double.login()
    assert double.arm("GET", "/resourcegroups", RESOURCES).status == 200
    time.sleep(1.01)
    old = double.arm("GET", "/resourcegroups", RESOURCES)
    assert old.status == 401 and old.code == "ExpiredAuthenticationToken" and "Bearer" in old.headers["WWW-Authenticate"]
    assert double.login() != first and double.arm("GET", "/resourcegroups", RESOURCES).status == 200
    double.control(revoke_tokens=True)
    assert double.arm("GET", "/resourcegroups", RESOURCES).code == "InvalidAuthenticationToken"
    double.login("https://storage.azure.com/.default")
    assert double.arm("GET", "/resourcegroups", RESOURCES).code == "InvalidAuthenticationToken"
    assert "audience" in double.state()["violations"][0]["reason"]
    assert double.request("GET", HOME + "/resourcegroups?api-version=" + RESOURCES).code == "AuthenticationFailed"
    form = b"grant_type=client_credentials&client_id=c&client_secret=wrong&scope=https://management.azure.com/.default"
    where, kind = "/%s/oauth2/v2.0/token" % TENANT, {"Content-Type": "application/x-www-form-urlencoded"}
    double.control(clients=[{"id": "c", "secret": "right"}])
    refused = double.request("POST", where, form, kind)
    assert refused.status == 401 and refused.body["error_codes"] == [7000215], refused
    assert double.request("POST", where, form.replace(b"wrong", b"right"), kind).status == 200
    assert double.request("POST", where, form.replace(b"id=c", b"id=d"), kind).body["error"] == "unauthorized_client"


def test_managed_identity():
    double = fresh()
    where = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F"
    answer = double.request("GET", where, headers={"Metadata": "true"}).body
    assert answer["expires_in"] == "3600" and answer["expires_on"].isdigit()
    double.token = answer["access_token"]
    assert double.arm("GET", "/resourcegroups", RESOURCES).status == 200
    service = "/msi/token?api-version=2019-08-01&resource=https://management.azure.com"
    assert double.request("GET", service, headers={"X-IDENTITY-HEADER": "h"}).body["access_token"]
    double.assert_clean()
    assert double.request("GET", where).status == 400, "without Metadata: true"
    assert double.request("GET", service).status == 400
    assert len(double.state()["violations"]) == 2
    double.control(identity=False)
    assert double.request("GET", where, headers={"Metadata": "true"}).body["error"] == "invalid_request"


def test_many_regions_at_once():
    double = fresh(extra_regions=200, budget={"writes": [1000, 100], "reads": [5000, 500]}, latency_ms=20)
    double.login()
    from concurrent.futures import ThreadPoolExecutor

    def one(i):
        group = "/resourceGroups/many-%03d" % i
        return deploy(double, "vm%d" % i, group, region="region%03d" % i).body["status"]
    began = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(one, range(60))) == {"Succeeded"}
    assert time.monotonic() - began < 15
    state = double.assert_clean()
    assert len(state["resources"][VM_TYPE]) == 60
    addresses = {double.arm("GET", path(ADDRESS_TYPE, "vm%d-pip" % i, "/resourceGroups/many-%03d" % i), NETWORK)
                 .body["properties"]["ipAddress"] for i in range(60)}
    assert len(addresses) == 60


if __name__ == "__main__":
    with DOUBLE:
        e2e.main(globals())
