"""-o json: exactly one document on stdout with the keys and types of the contract; everything for people is on stderr."""
import json, os, re, shutil
import e2e

SIM = "[bricks]\nprovider=sim\n[provider.sim]\npower-seconds=5\nevents=%s\n"
NULL, TEXT, BOOL, NUMBER = type(None), str, bool, (int, float)
ERROR = {"error_type": TEXT, "error_message": TEXT, "resolution_steps": [TEXT], "retry_possible": BOOL, "log_details": TEXT}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


def check(value, shape, where="result"):
    """A dict shape names keys that must be there; more may come with later versions."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), (where, value)
        for key, inner in shape.items():
            assert key in value, "%s lacks %s: %r" % (where, key, value)
            check(value[key], inner, "%s.%s" % (where, key))
    elif isinstance(shape, list):
        assert isinstance(value, list), (where, value)
        for i, item in enumerate(value):
            check(item, shape[0], "%s[%d]" % (where, i))
    elif isinstance(shape, set):
        errors = []
        for one in (NULL, *[s for s in shape if s is not NULL]):
            try:
                return check(value, ERROR if one == "ERROR" else one, where)
            except AssertionError as error:
                errors.append(str(error))
        raise AssertionError("; ".join(errors))
    else:
        wanted = shape if isinstance(shape, tuple) else (shape,)
        assert isinstance(value, wanted) and (BOOL in wanted or not isinstance(value, bool)), (where, value, shape)


def document(home, *args, code=0):
    r = home.run(*args, "-o", "json")
    assert r.code == code, r
    assert r.out.endswith("}\n") and r.out.startswith("{"), r
    return json.loads(r.out), r


REGION_RESULT = {"region": TEXT, "status": TEXT, "vm_name": TEXT, "public_ip": {NULL, TEXT}, "error": {"ERROR"},
                 "duration_seconds": NUMBER, "attempts": [{}]}
DEPLOY = {"total_regions": int, "successful": [REGION_RESULT], "failed": [REGION_RESULT], "total_duration_seconds": NUMBER,
          "success_rate": NUMBER, "primary": {NULL, TEXT}}
LIST = {"regions": [{"region": TEXT, "vm_name": TEXT, "public_ip": {NULL, TEXT}, "ssh_port": int, "ssh_user": TEXT,
                     "resource_group": TEXT, "created_at": TEXT, "last_health_check": {NULL, TEXT}, "is_primary": BOOL,
                     "tags": {}, "status": TEXT}], "primary": {NULL, TEXT}, "epoch": int}
EVIDENCE = {"vantage": TEXT, "probe": TEXT, "outcome": TEXT}
HEALTH = {"regions": [{"vm_name": TEXT, "region": TEXT, "is_healthy": BOOL, "failure_type": {NULL, TEXT},
                       "response_time_ms": {NULL, NUMBER}, "error_details": {NULL, TEXT}, "evidence": [EVIDENCE]}],
          "healthy": int, "total": int}
FAILOVER = {"success": BOOL, "source_region": TEXT, "target_region": {NULL, TEXT}, "duration_seconds": NUMBER, "epoch": int,
            "fence": {NULL, TEXT, int}, "sync": {NULL, BOOL, TEXT}, "decision": {"should_auto_failover": BOOL, "reason": TEXT,
            "failure_type": {NULL, TEXT}, "confidence": NUMBER, "evidence": [EVIDENCE]}}
SYNC = {"results": [{"strategy_used": TEXT, "files_synced": int, "bytes_transferred": int, "duration_seconds": NUMBER,
                     "source_region": TEXT, "target_region": TEXT, "errors": [TEXT], "success_rate": NUMBER,
                     "verified": BOOL}]}


def test_deploy():
    with e2e.Home(SIM % "create westeurope fail permission") as h:
        doc, r = document(h, "deploy", "-r", "eastus,westeurope,westus2", code=1)
        check(doc, DEPLOY)
        assert doc["total_regions"] == 3 and abs(doc["success_rate"] - 2 / 3) < 0.01 and doc["primary"] == "eastus"
        assert [e["region"] for e in doc["failed"]] == ["westeurope"]
        assert doc["failed"][0]["status"] == "failed" and doc["failed"][0]["error"]["error_type"] == "PermissionDenied"
        assert all(e["status"] == "success" and e["error"] is None for e in doc["successful"])
        assert "Deploying to 3 regions" in r.err
        quiet = h.run("deploy", "-r", "eastus", "-o", "json", "--quiet")
        check(quiet.json(), DEPLOY)
        assert quiet.err == "", quiet


def test_regions_list_and_health():
    with e2e.Home(SIM % "") as h:
        check(document(h, "regions", "list")[0], LIST)
        h.ok("deploy", "-r", "westus2,eastus,westeurope")
        doc, r = document(h, "regions", "list")
        check(doc, LIST)
        assert [e["region"] for e in doc["regions"]] == ["westus2", "eastus", "westeurope"], "primary first, then by name"
        assert doc["primary"] == "westus2" and doc == document(h, "list")[0] and r.err == ""
        assert all(TIME.match(e["created_at"]) for e in doc["regions"])
        doc, _ = document(h, "regions", "health")
        check(doc, HEALTH)
        assert (doc["healthy"], doc["total"]) == (3, 3)
        h.write_config(SIM % "machine eastus vanish")
        doc, _ = document(h, "regions", "health", code=1)
        check(doc, HEALTH)
        dark = [e for e in doc["regions"] if e["region"] == "eastus"][0]
        assert doc["healthy"] == 2 and not dark["is_healthy"] and dark["failure_type"] and dark["evidence"], dark


def test_failover():
    with e2e.Home(SIM % "") as h:
        h.ok("deploy", "-r", "eastus,westus2,westeurope")
        h.ok("regions", "health")
        check(document(h, "failover", "--check-only")[0], {"decision": FAILOVER["decision"]})
        doc, _ = document(h, "failover", "--to", "westus2", "--yes")
        check(doc, FAILOVER)
        assert doc["success"] and (doc["source_region"], doc["target_region"]) == ("eastus", "westus2")
        declined, r = document(h, "failover", "--to", "eastus", code=2)
        check(declined, {"error": ERROR})
        assert "--yes" in r.err


def test_others():
    with e2e.Home(SIM % "") as h:
        h.ok("deploy", "-r", "eastus,westus2")
        for args in (["vm", "status"], ["vm", "stop", "westus2", "--yes"], ["vm", "start", "westus2"], ["regions", "refresh"],
                     ["regions", "set-primary", "westus2"], ["recover", "--yes"], ["ssh-config"], ["ssh"],
                     ["regions", "remove", "eastus"]):
            doc, _ = document(h, *args)
            assert doc and "error" not in doc, (args, doc)
        check(document(h, "bricks", "list")[0], {"bricks": [{"kind": TEXT, "name": TEXT, "state": TEXT}]})
        check(document(h, "bricks", "info", "provider-sim")[0], {"bricks": [{"options": [{"name": TEXT, "help": TEXT}]}]})
        check(document(h, "config", "show")[0], {"config": [{"group": TEXT, "name": TEXT, "value": TEXT, "origin": TEXT}]})
        check(document(h, "audit", "show")[0], {"events": [{"time": TEXT, "what": TEXT, "uid": int}]})
        assert len(document(h, "audit", "show", "--limit", "1")[0]["events"]) == 1
        check(document(h, "audit", "verify")[0], {"valid": BOOL, "records": int})
        check(document(h, "destroy", "--yes")[0], {"deleted": [TEXT], "failed": [], "errors": []})


def test_destroy_says_why_something_stays():
    with e2e.Home(SIM % "delete eastus fail permission") as h:
        h.ok("deploy", "-r", "eastus,westus2", "--vm-name", "vm")
        doc, _ = document(h, "destroy", "--yes", code=1)
        check(doc, {"deleted": [TEXT], "failed": [TEXT], "errors": [{"region": TEXT, "vm_name": TEXT, "error": ERROR}]})
        assert (doc["deleted"], doc["failed"]) == (["westus2/vm-westus2"], ["eastus/vm-eastus"]), doc
        assert [(e["region"], e["error"]["error_type"]) for e in doc["errors"]] == [("eastus", "PermissionDenied")], doc


def test_sync():
    for tool in ("bwrap", "rsync"):
        if not shutil.which(tool):
            raise e2e.Skip("no %s here" % tool)
    with e2e.Home("[bricks]\nprovider=local\n") as h:
        h.ok("deploy", "-r", "eastus,westus2")
        h.ok("ssh", "--", "mkdir -p data; seq 1000 >data/numbers")
        doc, r = document(h, "sync", "--dest", "westus2", "--paths", "/home/azureuser/data")
        check(doc, SYNC)
        one = doc["results"][0]
        assert one["verified"] and one["success_rate"] == 1.0 and one["errors"] == [] and one["files_synced"] >= 1, one
        assert (one["source_region"], one["target_region"]) == ("eastus", "westus2") and "Sync complete" in r.err, r
        lines = [json.loads(line) for line in h.ok("sync", "--all", "-o", "jsonl").out.splitlines()]
        assert lines[-1]["event"] == "result" and lines[-1]["exit_code"] == 0
        check(lines[-1]["result"], SYNC)
        assert {"message"} <= {line["event"] for line in lines}


def test_events_as_lines():
    with e2e.Home(SIM % "") as h:
        r = h.ok("deploy", "-r", "eastus,westus2", "-o", "jsonl")
        lines = [json.loads(line) for line in r.out.splitlines()]
        assert r.err == "" and {"message", "region", "result"} <= {line["event"] for line in lines}, r
        assert [line["event"] for line in lines].count("result") == 1 and lines[-1]["event"] == "result"
        check(lines[-1], {"exit_code": int, "result": DEPLOY})
        for region in ("eastus", "westus2"):
            states = [line["facts"]["status"] for line in lines if line["event"] == "region" and line["region"] == region]
            assert states and states[-1] == "success", states
        refused = h.run("deploy", "-o", "jsonl", "-r", "nowhere")
        assert json.loads(refused.out)["exit_code"] == 64 == refused.code


def test_an_error_is_a_document():
    with e2e.Home("[bricks]\nprovider=nosuch\n") as h:
        for args, code in ((["deploy", "-r", "us"], 78), (["regions", "list", "--frob"], 64), (["config", "show"], 78)):
            doc, r = document(h, *args, code=code)
            check(doc, {"error": ERROR})
            assert set(doc) == {"error"} and r.err == "", r


e2e.main(globals())
