"""Room in Azure before and while machines are made: restrictions, quotas, allocation that fails, and where machines may go."""
import e2e
from armdouble import ArmDouble

FAST = {"duration_ms": {"create": 5, "create.virtualMachines": 20, "delete": 5, "delete.virtualMachines": 10,
                        "delete.resourceGroups": 10, "power": 10, "runCommand": 10}, "poll_retry_after": 0, "nic_reserve_s": 0}
DOUBLE = ArmDouble(**FAST)
EUROPE = "allowed-fallback=westeurope,northeurope,uksouth;eastus,westus2"
FIVE = "eastus,westus2,westeurope,northeurope,uksouth"


class Cloud(e2e.Home):
    def __init__(self, policy=EUROPE, **control):
        DOUBLE.reset(**{**FAST, **control})
        super().__init__(DOUBLE.config() + "[policy]\n%s\n[health]\ntcp-timeout=0.2\n" % policy)

    def env(self, **extra):
        return super().env(**{**DOUBLE.env(), **extra})

    def deploy(self, regions, *flags, code=0, **kw):
        r = self.run("deploy", "-r", regions, *flags, "-o", "json", **kw)
        assert r.code == code, r
        return r.json(), r


def requests(kind=None, method=None):
    return [q for q in DOUBLE.log() if kind in (None, q["kind"]) and method in (None, q["method"])]


def groups():
    return {group["name"] for group in DOUBLE.arm("GET", "/resourcegroups", "2024-07-01").body["value"]}


def failure(result, region):
    return next(e for e in result["failed"] if e["region"] == region)["error"]


def test_five_regions_are_looked_up_at_once():
    """One of five is restricted: it fails before its first write, the others are made; two reads a region, and two more
    to find what would fit in its place."""
    with Cloud(unavailable=[{"region": "westeurope", "size": "Standard_B2s"}]) as cloud:
        result, r = cloud.deploy(FIVE, code=1)
        error = failure(result, "westeurope")
        assert error["error_type"] == "CapacityUnavailable" and "(SkuNotAvailable)" in error["error_message"], error
        assert error["resolution_steps"][0] == "westeurope, Standard_B2ms (checked)", error
        assert len(result["successful"]) == 4 and "azlin-vms-westeurope" not in groups(), groups()
        assert len(requests("ResourceSkus_List")) == 6 and len(requests("Usage_List")) == 6
        first_write = next(i for i, q in enumerate(DOUBLE.log()) if q["method"] == "PUT")
        assert first_write > max(i for i, q in enumerate(DOUBLE.log()) if q["kind"] == "ResourceSkus_List")
        DOUBLE.assert_clean()


def test_suggestion_is_checked():
    """The pair has no room for it either: the nearest of the same geography that has it is named."""
    full = [{"region": region} for region in ("westeurope", "northeurope")]
    with Cloud(unavailable=full) as cloud:
        result, r = cloud.deploy("westeurope", code=2)
        steps = failure(result, "westeurope")["resolution_steps"]
        assert steps[0] == "uksouth, Standard_B2s (checked)", steps
        assert requests(method="PUT") == [] and "⚠ Consider: uksouth, Standard_B2s (checked)" in r.err, r
        DOUBLE.assert_clean()


def test_quota_of_the_family():
    with Cloud(quota=[{"region": "eastus", "name": "standardBSFamily", "limit": 10, "used": 9}]) as cloud:
        result, r = cloud.deploy("eastus", code=2)
        error = failure(result, "eastus")
        assert "standardBSFamily" in error["error_message"] and "(QuotaExceeded)" in error["error_message"], error
        assert error["resolution_steps"][0].startswith("eastus, Standard_F2s_v2"), error
        assert requests(method="PUT") == []


def test_quota_of_the_region_leaves_other_regions():
    with Cloud(quota=[{"region": "eastus", "name": "cores", "limit": 10, "used": 9}]) as cloud:
        result, r = cloud.deploy("eastus", code=2)
        assert "regional vCPUs" in failure(result, "eastus")["error_message"], r
        assert failure(result, "eastus")["resolution_steps"][0] == "westus2, Standard_B2s (checked)", r


def test_nothing_fits_nothing_is_written():
    with Cloud(quota=[{"name": "cores", "limit": 1}]) as cloud:
        result, r = cloud.deploy(FIVE, "--allow-fallback", code=2)
        assert len(result["failed"]) == 5 and requests(method="PUT") == [], r
        assert all(len(e["attempts"]) == 1 for e in result["failed"]), result
        DOUBLE.assert_clean()


def test_preflight_moves_inside_the_set():
    with Cloud(unavailable=[{"region": "westeurope"}]) as cloud:
        result, r = cloud.deploy("eastus,westeurope", "--allow-fallback")
        moved = next(e for e in result["successful"] if e["moved_from"])
        assert (moved["moved_from"], moved["region"], moved["vm_size"]) == ("westeurope", "northeurope", "Standard_B2s"), moved
        assert groups() == {"azlin-vms-eastus", "azlin-vms-northeurope"}
        assert [a["region"] for a in moved["attempts"]] == ["westeurope", "northeurope"]
        DOUBLE.assert_clean()


def test_allocation_fails_and_the_next_size_has_room():
    with Cloud(capacity=[{"region": "westeurope", "size": "Standard_B2s", "code": "AllocationFailed"}]) as cloud:
        result, r = cloud.deploy("westeurope", "--allow-fallback")
        one = result["successful"][0]
        assert (one["region"], one["vm_size"], one["moved_from"]) == ("westeurope", "Standard_B2ms", None), one
        assert len(one["attempts"]) == 2 and "AllocationFailed" in one["attempts"][0]["error"], one
        DOUBLE.assert_clean()


def test_zone_after_size_then_region():
    """What is full without a zone has room in zone 1 of the region, once both other sizes were tried."""
    full = [{"region": "westeurope", "size": size, "code": "AllocationFailed"} for size in ("Standard_B2ms", "Standard_F2s_v2")]
    full += [{"region": "westeurope", "size": "Standard_B2s", "code": "ZonalAllocationFailed"}]
    with Cloud(capacity=full) as cloud:
        result, r = cloud.deploy("westeurope", "--allow-fallback")
        one = result["successful"][0]
        tried = [(a["region"], a["vm_size"], a["zone"]) for a in one["attempts"]]
        assert tried == [("westeurope", "Standard_B2s", None), ("westeurope", "Standard_B2ms", None),
                         ("westeurope", "Standard_F2s_v2", None), ("westeurope", "Standard_B2s", "1"),
                         ("northeurope", "Standard_B2s", None)], tried
        assert groups() == {"azlin-vms-northeurope"}, groups()
        DOUBLE.assert_clean()


def test_allocation_fails_without_the_flag():
    """Nothing moves, the region is tried as often as the taxonomy says, and a checked place is named."""
    with Cloud(capacity=[{"region": "westeurope", "code": "AllocationFailed"}]) as cloud:
        result, r = cloud.deploy("westeurope", code=2)
        failed = result["failed"][0]
        assert {a["region"] for a in failed["attempts"]} == {"westeurope"} and len(failed["attempts"]) == 3, failed
        assert failed["error"]["resolution_steps"][:2] == ["westeurope, Standard_B2ms (checked)",
                                                           "northeurope, Standard_B2s (checked)"], failed
        assert "--vm-sizeTry" not in r.err and "\x1f" not in r.out, r
        assert groups() == set(), groups()
        DOUBLE.assert_clean()


def test_residency():
    """westus2 and eastus are one set: a full eastus may use westus2 and nothing of Europe, and with that full, nothing."""
    with Cloud(unavailable=[{"region": "eastus"}, {"region": "westus2"}]) as cloud:
        result, r = cloud.deploy("eastus", "--allow-fallback", code=2)
        assert requests(method="PUT") == [] and "Europe" not in r.err and "europe" not in r.err, r
        looked_at = {q["target"].split("%27")[1] for q in requests("ResourceSkus_List")}
        assert looked_at == {"eastus", "westus2"}, looked_at
    with Cloud(policy="", unavailable=[{"region": "eastus"}]) as cloud:
        cloud.deploy("eastus", "--allow-fallback", code=3)


def test_catalogue_that_cannot_be_read_blocks_nothing():
    for fault in ({"do": "status", "on": "ResourceSkus_List", "status": 403, "code": "AuthorizationFailed"},
                  {"do": "status", "on": "Usage_List", "status": 403, "code": "AuthorizationFailed"}):
        with Cloud(faults=[fault]) as cloud:
            result, r = cloud.deploy("eastus", "--allow-fallback")
            assert "Room and quota of eastus were not checked" in r.err and "AuthorizationFailed" in r.err, r
            assert "\x1f" not in r.err and len(result["successful"]) == 1, r


def test_pages():
    with Cloud(page_size=4, unavailable=[{"region": "eastus", "size": "Standard_B2s"}]) as cloud:
        result, r = cloud.deploy("eastus", "--dry-run")
        assert result["plan"][0]["preflight"]["code"] == "SkuNotAvailable" and len(requests("ResourceSkus_List")) > 5, r
        DOUBLE.assert_clean()


def test_dry_run_reads_and_writes_nothing():
    with Cloud(unavailable=[{"region": "westeurope"}]) as cloud:
        result, r = cloud.deploy(FIVE.replace(",northeurope", ""), "--dry-run", "--allow-fallback")
        plan = {p["region"]: p for p in result["plan"]}
        assert plan["northeurope"]["moved_from"] == "westeurope" and not plan["northeurope"]["preflight"]["ok"], plan
        assert {q["method"] for q in DOUBLE.log() if q["kind"] != "Token"} == {"GET"}
        DOUBLE.assert_clean()


def test_arm64_image_needs_arm64_size():
    with Cloud() as cloud:
        image = "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-arm64:latest"
        result, r = cloud.deploy("eastus", "--image", image, code=2)
        assert "(ImageNotSupported)" in failure(result, "eastus")["error_message"] and requests(method="PUT") == [], r
        result, r = cloud.deploy("eastus", "--image", image, "--vm-size", "Standard_D2ps_v5", "--dry-run")
        assert result["plan"][0]["preflight"]["ok"], r


def test_no_login_is_said_once():
    with Cloud() as cloud:
        nothing = {name: "" for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")}
        nothing.update(AZURE_TOKEN_CREDENTIALS="EnvironmentCredential", PATH="/nowhere")
        result, r = cloud.deploy("eastus,westeurope", code=2, env=nothing)
        assert r.err.count("✗ Failed") == 1 and requests(method="PUT") == [], r
        assert {e["error"]["error_type"] for e in result["failed"]} == {"AuthenticationFailed"}, r
        dry = cloud.run("deploy", "-r", "eastus", "--dry-run", env=nothing)
        assert dry.code == 0 and "no login to Azure" in dry.out, dry


def test_wrong_subscription_is_said_once():
    with Cloud() as cloud:
        cloud.write_config(DOUBLE.config(subscription="99999999-9999-4999-8999-999999999999"))
        r = cloud.run("deploy", "-r", "eastus,westeurope", "-o", "json")
        assert r.code in (2, 78) and requests(method="PUT") == [], r
        assert (r.out + r.err).count("SubscriptionNotFound") <= 3, r


if __name__ == "__main__":
    try:
        e2e.main(globals())
    finally:
        DOUBLE.close()
