#!/usr/bin/env python3
"""The ARM double refuses and records what the official files do not allow, and what comes out of order or bounds."""
import copy
import e2e
from armdouble import ArmDouble, HOME
from machine import *

DOUBLE = ArmDouble()
FAST = {"duration_ms": {"create": 2, "create.virtualMachines": 5}, "poll_retry_after": 0}
VM = path(VM_TYPE, "vm1")


def fresh(**control):
    DOUBLE.reset(**{**FAST, **control})
    make_group(DOUBLE)
    return DOUBLE


def reasons(double):
    return [v["reason"] for v in double.state()["violations"]]


def assert_refused(double, reply, *words):
    """400, and one more violation that has all the words in it."""
    found = reasons(double)
    assert reply.status == 400, reply
    assert found and all(w in found[-1] for w in words), (words, found)


def body_of(kind):
    return copy.deepcopy(next(r[3] for r in resources(home=HOME) if r[0] == kind))


def test_paths_methods_versions():
    double = fresh()
    for method, where, version, words in (
            ("GET", "/resourceGroups/rg1/provider/Microsoft.Compute/virtualMachines/x", COMPUTE, ["no operation"]),
            ("GET", "/nothing", RESOURCES, ["no operation"]),
            ("PUT", VM + "/start", COMPUTE, ["no operation", "method"]),
            ("GET", VM, "2024-11-01", ["api-version 2024-11-01", "2024-07-01"]),
            ("GET", VM, None, ["api-version is missing"]),
            ("GET", path(NIC_TYPE, "n"), COMPUTE, ["api-version", NETWORK]),
            ("GET", VM + "?$expand=everything", COMPUTE, ["query $expand", "everything"]),
            ("GET", VM + "?%24expand=instanceView&x=1", COMPUTE, ["query x is unknown"]),
            ("POST", VM + "/powerOff?skipShutdown=yes", COMPUTE, ["skipShutdown", "not a boolean"]),
            ("GET", "/resourceGroups/" + "g" * 91, RESOURCES, ["resourceGroupName", "too many"]),
            ("GET", "/resourceGroups/a%2Cb", RESOURCES, ["resourceGroupName", "does not match"])):
        assert_refused(double, double.arm(method, where, version), *words)
    assert double.arm("GET", VM + "?api-version=%s&api-version=%s" % (COMPUTE, COMPUTE)).status in (400, 404)
    assert "twice" in reasons(double)[-1]


def test_bodies():
    double = fresh()

    def put(kind, change, *words):
        body = body_of(kind)
        change(body)
        version = COMPUTE if kind == VM_TYPE else NETWORK
        assert_refused(double, double.arm("PUT", path(kind, "x"), version, body), *words)

    def rule(body):
        return body["properties"]["securityRules"][0]["properties"]
    put(VM_TYPE, lambda b: b.pop("location"), "location is missing")
    put(VM_TYPE, lambda b: b.update(id="x"), "body.id: read-only")
    put(VM_TYPE, lambda b: b["properties"].update(vmId="x"), "vmId: read-only")
    put(VM_TYPE, lambda b: b["properties"].update(vmSize="x"), "properties.vmSize: unknown")
    put(VM_TYPE, lambda b: b["properties"]["storageProfile"]["osDisk"].pop("createOption"), "createOption is missing")
    put(VM_TYPE, lambda b: b["properties"]["storageProfile"]["osDisk"].update(deleteOption="delete"), "deleteOption")
    put(VM_TYPE, lambda b: b["properties"]["osProfile"]["linuxConfiguration"].update(disablePasswordAuthentication="true"),
        "not a boolean")
    put(VM_TYPE, lambda b: b.update(tags={"a": 1}), "tags.a: not a string")
    put(VM_TYPE, lambda b: b.update(zones="1"), "zones: not an array")
    put(VM_TYPE, lambda b: b["properties"].update(osProfile=None), "osProfile: null")
    put(RULES_TYPE, lambda b: rule(b).update(priority="1000"), "priority: not an integer")
    put(RULES_TYPE, lambda b: rule(b).update(access="Permit"), "access")
    put(RULES_TYPE, lambda b: rule(b).pop("direction"), "direction is missing")
    put(RULES_TYPE, lambda b: b["properties"].update(resourceGuid="x"), "resourceGuid: read-only")
    put(ADDRESS_TYPE, lambda b: b["sku"].update(name="Premium"), "sku.name")
    put(ADDRESS_TYPE, lambda b: b["properties"].update(ipAddres="1.2.3.4"), "ipAddres: unknown")
    assert_refused(double, double.arm("PUT", VM, COMPUTE), "body is missing")
    assert_refused(double, double.arm("PUT", VM, COMPUTE, b'{"location":'), "no JSON")
    assert_refused(double, double.arm("POST", VM + "/start", COMPUTE, {}), "a body where none belongs")
    assert_refused(double, double.arm("PUT", GROUP, RESOURCES, {"location": "eastus"}, {"Content-Type": "text/plain"}),
                   "Content-Type")
    assert_refused(double, double.arm("POST", VM + "/runCommand", COMPUTE, {"script": ["id"]}), "commandId is missing")
    assert_refused(double, double.arm("PATCH", VM + "/providers/Microsoft.Resources/tags/default", RESOURCES,
                                      {"operation": "merge", "properties": {"tags": {}}}), "operation")


def test_bodies_without_strictness():
    double = fresh(strict=False)
    assert double.arm("PUT", GROUP, RESOURCES, {"location": "eastus", "colour": "red", "tags": TAGS}).status == 200
    assert "colour: unknown" in reasons(double)[0]


def test_order():
    double = fresh()
    assert_refused(double, double.arm("PUT", VM, COMPUTE, body_of(VM_TYPE)), "order", "vm1-nic")
    nic = double.arm("PUT", path(NIC_TYPE, "vm1-nic"), NETWORK, body_of(NIC_TYPE))
    assert_refused(double, nic, "order", "vm1-nsg")
    assert nic.code == "InvalidResourceReference"
    double.control(duration_ms={"create": 60000})
    for kind, name, version, body in resources(home=HOME)[:3]:
        double.arm("PUT", path(kind, name), version, body)
    early = double.arm("PUT", path(NIC_TYPE, "vm1-nic"), NETWORK, body_of(NIC_TYPE))
    assert early.status == 409 and early.code == "ReferencedResourceNotProvisioned", early
    elsewhere = double.arm("PUT", "/resourceGroups/other" + VM[len(GROUP):], COMPUTE, body_of(VM_TYPE))
    assert elsewhere.code == "ResourceGroupNotFound", elsewhere
    assert double.arm("PUT", path(RULES_TYPE, "y"), NETWORK, {"location": "mars"}).code == "LocationNotAvailableForResourceType"


def test_platform_rules():
    double = fresh()

    def put(kind, change, version=NETWORK):
        body = body_of(kind)
        change(body)
        return double.arm("PUT", path(kind, "x"), version, body).code
    assert put(ADDRESS_TYPE, lambda b: b["properties"].update(publicIPAllocationMethod="Dynamic")) == \
        "StandardSkuPublicIPAddressesMustBeStatic"
    assert put(ADDRESS_TYPE, lambda b: b.pop("sku")) == "IPv4BasicSkuPublicIpCountLimitReached"

    def os(body):
        return body["properties"]["osProfile"]
    for change in (lambda b: os(b).update(adminUsername="root"), lambda b: os(b).update(customData="QUJD" * 22000),
                   lambda b: os(b)["linuxConfiguration"]["ssh"]["publicKeys"][0].update(path="/root/.ssh/authorized_keys"),
                   lambda b: os(b)["linuxConfiguration"]["ssh"]["publicKeys"][0].update(keyData="nonsense")):
        assert put(VM_TYPE, change, COMPUTE) == "InvalidParameter"


def test_templates():
    double = fresh()

    def put(change, *words):
        body = deployment()
        change(body["properties"])
        before = len(reasons(double))
        reply = double.arm("PUT", GROUP + DEPLOYMENT % "vm1", RESOURCES, body)
        assert reply.status == 400, reply
        texts = reasons(double)[before:]
        assert any(all(w in t for w in words) for t in texts), (words, texts)

    def vm(properties):
        return properties["template"]["resources"][4]
    put(lambda p: p.update(mode="Partial"), "mode")
    put(lambda p: p["template"].pop("contentVersion"), "contentVersion")
    put(lambda p: p["template"]["parameters"].pop("key"), "'key'", "not valid")
    put(lambda p: p["parameters"].pop("name"), "'name'", "not provided")
    put(lambda p: vm(p).update(apiVersion="2023-01-01"), "api-version 2023-01-01")
    put(lambda p: vm(p).update(type="Microsoft.Compute/machines"), "no resource of the official files")
    put(lambda p: vm(p)["properties"].update(colour="red"), "colour: unknown")
    put(lambda p: vm(p).update(dependsOn=["nothing"]), "'nothing' is not defined")
    put(lambda p: vm(p).update(name="[parameters('nme')]"), "'nme' is not found")
    put(lambda p: vm(p).update(name="[shout('x')]"), "'shout' is not valid")
    put(lambda p: vm(p).update(name="[concat('a']"), "no function")
    body = deployment()
    del body["properties"]["template"]["resources"][4]["dependsOn"]
    ended = double.settle(double.arm("PUT", GROUP + DEPLOYMENT % "vm1", RESOURCES, body))
    assert ended.body["status"] == "Failed" and "order" in reasons(double)[-1], ended


def test_writes_outside():
    foreign = HOME + path(VM_TYPE, "theirs")
    double = fresh(resources=[{"id": foreign, "power": "running", "body": {
        "location": "eastus", "tags": {"owner": "somebody"}, "properties": {"hardwareProfile": {"vmSize": "Standard_B2s"}}}}])
    double.arm("PUT", path(RULES_TYPE, "x"), NETWORK, {"location": "eastus", "tags": TAGS})
    assert double.state()["writes_outside"] == []
    double.arm("PUT", path(RULES_TYPE, "y"), NETWORK, {"location": "eastus"})
    double.arm("POST", foreign + "/deallocate", COMPUTE)
    double.arm("DELETE", foreign, COMPUTE)
    double.arm("DELETE", GROUP, RESOURCES)
    outside = [(o["method"], o["id"].rsplit("/", 1)[1]) for o in double.state()["writes_outside"]]
    assert outside == [("PUT", "y"), ("POST", "theirs"), ("DELETE", "theirs"), ("DELETE", "theirs")], outside


def test_polling_urls_are_used_as_they_are():
    double = fresh()
    begun = double.arm("PUT", path(RULES_TYPE, "x"), NETWORK, {"location": "eastus", "tags": TAGS})
    url = begun.headers["Azure-AsyncOperation"]
    assert double.arm("GET", url).status == 200
    assert_refused(double, double.arm("GET", url.split("&t=")[0]), "polling URL")
    assert double.arm("GET", url.replace("/operations/", "/operations/0")).status == 404


def test_unknown_subscription_and_control():
    double = fresh()
    other = "/subscriptions/99999999-9999-4999-8999-999999999999/resourcegroups?api-version=" + RESOURCES
    assert double.arm("GET", other).code == "SubscriptionNotFound"
    for wrong in ({"latency": 1}, {"faults": [{"do": "explode"}]}, {"faults": [{"do": "reset", "path_": "x"}]}):
        assert double.request("POST", "/__control", wrong).status == 400, wrong
    double.assert_clean(orphans=False)


if __name__ == "__main__":
    with DOUBLE:
        e2e.main(globals())
