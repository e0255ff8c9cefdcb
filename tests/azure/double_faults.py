#!/usr/bin/env python3
"""The ARM double strikes with each of its faults, when and where it was told to."""
import gzip, json, os, random, shutil, socket, subprocess, tempfile, time
from concurrent.futures import ThreadPoolExecutor
import e2e
from armdouble import ArmDouble, HOME, SUBSCRIPTION
from machine import *

DOUBLE = ArmDouble()
FAST = {"duration_ms": {"create": 2, "create.virtualMachines": 5, "delete": 2}, "poll_retry_after": 0}
LIST = "/providers/Microsoft.Compute/virtualMachines"


def fresh(*faults, **control):
    DOUBLE.reset(**{**FAST, **control})
    make_group(DOUBLE)
    DOUBLE.control(faults=list(faults))
    return DOUBLE


def rules(name="x", region="eastus"):
    return DOUBLE.arm("PUT", path(RULES_TYPE, name), NETWORK, {"location": region, "tags": TAGS})


def listed():
    return DOUBLE.arm("GET", LIST, COMPUTE)


def exists(name="x"):
    DOUBLE.control(faults=[])
    return DOUBLE.arm("GET", path(RULES_TYPE, name), NETWORK).status == 200


def test_statuses():
    fresh({"do": "status", "status": 503, "on": "VirtualMachines_ListAll", "times": 1, "retry_after": 1},
          {"do": "status", "status": 500, "on": "VirtualMachines_ListAll", "times": 1, "body": "none"},
          {"do": "status", "status": 409, "code": "Odd", "on": "VirtualMachines_ListAll", "times": 1, "body": "bare"},
          {"do": "html", "on": "*_Get", "times": 1})
    first = listed()
    assert first.status == 503 and first.headers["Retry-After"] == "1" and first.code == "InternalServerError", first
    DOUBLE.control(forget_waits=True)
    second = listed()
    assert second.status == 500 and second.raw == b"", second
    third = listed()
    assert third.status == 409 and third.body["code"] == "Odd" and "error" not in third.body, third
    assert listed().status == 200
    html = DOUBLE.arm("GET", GROUP, RESOURCES)
    assert html.status == 502 and html.raw.startswith(b"<html>") and html.headers["Content-Type"] == "text/html", html
    fired = [f["fired"] for f in DOUBLE.state()["faults"]]
    assert fired == [1, 1, 1, 1], fired


def test_storm_of_429():
    fresh({"do": "throttle", "path": "*/networksecuritygroups/*", "method": "PUT", "times": 2, "retry_after": 1})
    assert rules().status == 429
    early = rules()
    assert early.status == 429 and early.headers["Retry-After"] == "1", early
    assert [e["scope"] for e in DOUBLE.state()["early_requests"]] == ["request"]
    time.sleep(1.01)
    last = rules()
    while last.status == 429:
        time.sleep(float(last.headers["Retry-After"]) + 0.01)
        last = rules()
    assert last.status == 201 and len(DOUBLE.state()["early_requests"]) == 1


def test_chance_is_seeded():
    def pattern(seed):
        fresh({"do": "conflict", "on": "VirtualMachines_ListAll", "chance": 0.5, "seed": seed})
        return [listed().status for _ in range(24)]
    first = pattern(7)
    assert set(first) == {200, 409} and first == pattern(7) and first != pattern(8)


def test_region_and_latency():
    fresh({"do": "conflict", "on": "NetworkSecurityGroups_CreateOrUpdate", "region": "westus"},
          {"do": "latency", "on": "VirtualMachines_ListAll", "ms": 150}, latency_ms=[1, 3])
    assert rules(region="eastus").status == 201 and rules("y", "westus").code == "AnotherOperationInProgress"
    began = time.monotonic()
    listed()
    assert time.monotonic() - began >= 0.15


def test_resets():
    fresh({"do": "reset", "on": "NetworkSecurityGroups_CreateOrUpdate", "when": "before"})
    lost = rules()
    assert lost.status == 0 and isinstance(lost.error, (ConnectionError, OSError)), lost
    assert not exists()
    fresh({"do": "reset", "on": "NetworkSecurityGroups_CreateOrUpdate", "when": "after"})
    assert rules().status == 0 and exists(), "the effect came before the reset"
    fresh({"do": "reset", "on": "Token", "times": 1})
    assert DOUBLE.request("POST", "/t/oauth2/v2.0/token", b"").status == 0


def test_hangs():
    for when, effect in (("before", False), ("after", True)):
        fresh({"do": "hang", "on": "NetworkSecurityGroups_CreateOrUpdate", "when": when})
        began = time.monotonic()
        late = DOUBLE.arm("PUT", path(RULES_TYPE, "x"), NETWORK, {"location": "eastus", "tags": TAGS}, timeout=0.3)
        assert late.status == 0 and time.monotonic() - began >= 0.3, late
        assert exists() == effect, when


def test_broken_json():
    fresh({"do": "truncate", "on": "ResourceGroups_Get", "times": 1}, {"do": "cut", "on": "ResourceGroups_Get", "after": 1})
    half = DOUBLE.arm("GET", GROUP, RESOURCES)
    try:
        raise AssertionError(half.body)
    except json.JSONDecodeError:
        assert half.status == 200 and half.raw.startswith(b"{")
    torn = DOUBLE.arm("GET", GROUP, RESOURCES)
    assert torn.status == 0 and torn.error is not None, torn


def test_hostile_bodies():
    for kind, check in (("brackets", lambda r: r.raw == b"[" * 200000), ("nul", lambda r: b"\0" in r.raw),
                        ("bad-utf8", lambda r: b"\xc3\x28" in r.raw), ("huge", lambda r: len(r.raw) == 1000)):
        fresh({"do": "body", "kind": kind, "on": "ResourceGroups_Get", **({"size": 1000} if kind == "huge" else {})})
        reply = DOUBLE.arm("GET", GROUP, RESOURCES)
        assert reply.status == 200 and check(reply), (kind, reply)
    fresh({"do": "body", "kind": "wrong-types", "when": "after", "on": "ResourceGroups_Get"})
    reply = DOUBLE.arm("GET", GROUP, RESOURCES).body
    assert not isinstance(reply["id"], str) and not isinstance(reply["properties"]["provisioningState"], str), reply


def test_gzip_bomb():
    fresh({"do": "body", "kind": "gzip-bomb", "size": 64 << 20, "on": "ResourceGroups_Get"})
    bomb = DOUBLE.arm("GET", GROUP, RESOURCES)
    assert bomb.headers["Content-Encoding"] == "gzip" and len(bomb.raw) < 200000
    content = gzip.decompress(bomb.raw)  # checks its CRC
    assert len(content) == 64 << 20 and not any(content[:: 1 << 16])
    DOUBLE.control(faults=[{"do": "body", "kind": "gzip-bomb", "on": "ResourceGroups_Get"}])
    began = time.monotonic()
    full = DOUBLE.arm("GET", GROUP, RESOURCES)
    assert len(full.raw) < 2 << 20 and time.monotonic() - began < 3, len(full.raw)
    assert int.from_bytes(full.raw[-4:], "little") == 1 << 30


def test_404_after_put():
    fresh({"do": "lag", "on": "NetworkSecurityGroups_CreateOrUpdate", "gets": 2})
    assert rules().status == 201
    seen = [DOUBLE.arm("GET", path(RULES_TYPE, "x"), NETWORK).status for _ in range(3)]
    assert seen == [404, 404, 200], seen


def test_operations_fail_or_never_end():
    fresh({"do": "fail", "on": "NetworkSecurityGroups_CreateOrUpdate", "code": "OSProvisioningTimedOut", "times": 1},
          {"do": "never", "on": "NetworkSecurityGroups_CreateOrUpdate", "after": 1, "times": 1},
          {"do": "duration", "ms": 200, "on": "NetworkSecurityGroups_CreateOrUpdate", "after": 2})
    ended = DOUBLE.settle(rules())
    assert ended.body["status"] == "Failed" and ended.body["error"]["code"] == "OSProvisioningTimedOut", ended
    assert DOUBLE.arm("GET", path(RULES_TYPE, "x"), NETWORK).body["properties"]["provisioningState"] == "Failed"
    never = rules("y")
    time.sleep(0.1)
    assert DOUBLE.arm("GET", never.headers["Azure-AsyncOperation"]).body["status"] == "InProgress"
    began = time.monotonic()
    assert DOUBLE.settle(rules("z")).body["status"] == "Succeeded" and time.monotonic() - began >= 0.2


def test_faults_inside_deployments():
    for fault, code in (({"do": "fail", "on": "VirtualMachines_CreateOrUpdate", "code": "AllocationFailed"}, "AllocationFailed"),
                        ({"do": "status", "on": "NetworkInterfaces_CreateOrUpdate", "code": "Strange"}, "Strange")):
        double = fresh(fault)
        ended = deploy(double)
        assert ended.body["status"] == "Failed" and code in ended.raw.decode(), ended
    fresh({"do": "fail", "on": "VirtualMachines_CreateOrUpdate", "code": "OSProvisioningTimedOut"})
    deploy(DOUBLE)
    view = DOUBLE.arm("GET", path(VM_TYPE, "vm1") + "/instanceView", COMPUTE).body
    assert "PowerState/running" in [s["code"] for s in view["statuses"]], "the machine is there"


def test_token_expires_once():
    fresh({"do": "expire", "on": "VirtualMachines_ListAll", "times": 1})
    refused = listed()
    assert refused.status == 401 and refused.code == "ExpiredAuthenticationToken" and listed().status == 200


def test_forged_urls_and_redirects():
    fresh({"do": "redirect", "on": "VirtualMachines_ListAll", "status": 302, "times": 1},
          {"do": "redirect", "on": "VirtualMachines_ListAll", "to": "http://user@{base}:{port}{path}", "after": 1},
          {"do": "forge", "header": "Azure-AsyncOperation", "on": "NetworkSecurityGroups_CreateOrUpdate", "times": 1},
          {"do": "forge", "to": "https://management.azure.com.evil.example{path}", "on": "Disks_List"}, page_size=1)
    moved = listed()
    assert moved.status == 302 and moved.headers["Location"].startswith(DOUBLE.foreign + "/subscriptions/"), moved
    assert listed().headers["Location"].startswith("http://user@")
    forged = rules().headers["Azure-AsyncOperation"]
    assert forged.startswith(DOUBLE.foreign) and len(forged) > 1024
    assert rules("y").headers["Azure-AsyncOperation"].startswith(DOUBLE.url)
    deploy(DOUBLE, "vm1")
    deploy(DOUBLE, "vm2")
    assert DOUBLE.arm("GET", "/providers/Microsoft.Compute/disks", DISKS).body["nextLink"].startswith(
        "https://management.azure.com.evil.example/subscriptions/")
    assert DOUBLE.state()["leaked_tokens"] == []
    assert DOUBLE.arm("GET", forged).status == 418
    assert DOUBLE.state()["leaked_tokens"] == [{"where": "another origin", "url": forged[len(DOUBLE.foreign):]}]


def test_location_without_async_header():
    double = fresh(async_header=False)
    begun = rules()
    assert begun.status == 201 and "Azure-AsyncOperation" not in begun.headers, begun
    time.sleep(0.02)
    gone = double.arm("DELETE", path(RULES_TYPE, "x"), NETWORK)
    assert "Location" in gone.headers and double.settle(gone).status == 204


def test_tls_and_h2():
    openssl, curl = shutil.which("openssl"), shutil.which("curl")
    if not openssl or not curl:
        raise e2e.Skip("openssl and curl make the certificate and speak h2 here")
    with tempfile.TemporaryDirectory() as folder:
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        subprocess.run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
        # LeakSanitizer's tracer dies beside GnuTLS's thread now and then; plain http looks for leaks in this suite.
        with ArmDouble(cert, key, env={"ASAN_OPTIONS": "detect_leaks=0"}) as double:
            url = double.url + HOME + "/resourcegroups?api-version=" + RESOURCES
            spoken = subprocess.run([curl, "--silent", "--noproxy", "*", "--cacert", cert, "--http2", "--output", "/dev/null",
                                     "--write-out", "%{http_version} %{http_code}", url], capture_output=True, text=True)
            assert spoken.stdout == "2 401", spoken


def test_it_survives_a_storm():
    """Random requests of many clients under random faults; the address sanitizer and its end judge."""
    double = fresh(nic_reserve_s=0, tags_async=True, budget={k: [10**6, 10**6] for k in ("reads", "writes", "deletes")})
    double.login()
    kinds = ["fail", "never", "reset", "status", "conflict", "truncate", "cut", "forge", "body", "lag", "latency", "duration"]

    def act(number):
        dice = random.Random(number)
        group, name = "/resourceGroups/g%d" % dice.randrange(2), "vm%d" % dice.randrange(2)
        vm, where = path(VM_TYPE, name, group), group + DEPLOYMENT % name
        kind, own, version, body = dice.choice(resources(name, home=HOME, group=group))
        choice = dice.randrange(12)
        if choice == 0:
            double.control(faults=[{"do": dice.choice(kinds), "chance": dice.random() * 0.3, "when": dice.choice(
                ["before", "after"]), "ms": dice.randrange(20), "kind": dice.choice(["nul", "wrong-types"])} for _ in "123"])
        requests = [("PUT", group, RESOURCES, {"location": "eastus", "tags": TAGS}),
                    ("PUT", where, RESOURCES, deployment(name, group)), ("PUT", where, RESOURCES, deployment(name, group)),
                    ("PUT", path(kind, own, group), version, body), ("DELETE", path(kind, own, group), version),
                    ("DELETE", group if dice.random() < 0.3 else vm, RESOURCES),
                    ("POST", vm + "/" + dice.choice(["start", "deallocate", "restart"]), COMPUTE),
                    ("POST", where + "/cancel", RESOURCES), ("DELETE", where, RESOURCES),
                    ("GET", group + "/resources", RESOURCES),
                    ("GET", group + "/deployments/azlin-%s/operations" % name, RESOURCES),
                    ("PATCH", vm + "/providers/Microsoft.Resources/tags/default", RESOURCES,
                     {"operation": "Merge", "properties": {"tags": {"azlin:x": "1"}}})]
        double.arm(*requests[choice], timeout=2)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(1500)))
    double.control(faults=[])
    assert double.state()["requests"]["total"] >= 1500


def test_it_survives_nonsense():
    double = fresh()
    for line in (b"GET / HTTP/9\r\n\r\n", b"\0" * 100, b"PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{" %
                 (HOME + GROUP).encode()):
        with socket.create_connection(("127.0.0.1", double.port)) as s:
            s.sendall(line)
    assert DOUBLE.arm("GET", "/%00%ff/..//x?=&&=%zz", RESOURCES).status in (400, 404)
    assert SUBSCRIPTION in DOUBLE.arm("GET", "/subscriptions", "2022-12-01").raw.decode()


if __name__ == "__main__":
    with DOUBLE:
        e2e.main(globals())
