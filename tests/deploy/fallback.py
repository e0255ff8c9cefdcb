"""Regions without room: the preflight before anything is made, and what --allow-fallback may and may not do about it."""
import json, os
import e2e

SET = "allowed-fallback=northeurope,westeurope;eastus,westus2"
FULL = "create westeurope fail capacity"


class Cloud(e2e.Home):
    def __init__(self, *rules, policy=SET):
        super().__init__()
        self.rules(*rules, policy=policy)

    def rules(self, *rules, policy=SET):
        script = os.path.join(self.root, "script")
        with open(script, "w") as f:
            f.write("".join(rule + "\n" for rule in rules))
        self.write_config("[bricks]\nprovider=sim\n[policy]\n%s\n[provider.sim]\nscript=%s\ncreate-seconds=60\n" % (policy, script))

    def deploy(self, regions, *flags, code=0):
        r = self.run("deploy", "-r", regions, *flags, "-o", "json")
        assert r.code == code, r
        return r.json(), r

    def regions(self):
        return {row["region"]: row for row in self.ok("regions", "list", "-o", "json").json()["regions"]}

    def journal(self):
        path = os.path.join(self.path, "journal.log")
        return open(path, errors="replace").read() if os.path.exists(path) else ""


def the(result, key, region):
    return next(e for e in result[key] if e["region"] == region)


def test_unfit_region_fails_before_anything_is_made():
    with Cloud("room westeurope* SkuNotAvailable") as cloud:
        result, r = cloud.deploy("eastus,westeurope", code=1)
        failed = the(result, "failed", "westeurope")
        assert failed["error"]["error_type"] == "CapacityUnavailable" and "SkuNotAvailable" in failed["error"]["error_message"], r
        assert failed["error"]["resolution_steps"][0] == "northeurope, Standard_B2s (checked)", failed
        assert failed["duration_seconds"] == 0 and len(failed["attempts"]) == 1, failed
        assert "⚠ Consider: northeurope, Standard_B2s (checked)" in r.err, r
        assert "Creating VM: %s" % failed["vm_name"] not in r.err, r
        assert set(cloud.regions()) == {"eastus"} and result["primary"] == "eastus"


def test_size_without_room_names_a_size_that_has_it():
    with Cloud("room westeurope/Standard_B2s QuotaExceeded") as cloud:
        _, r = cloud.deploy("westeurope", code=2)
        assert "⚠ Consider: westeurope, Standard_B2ms (checked)" in r.err and "(QuotaExceeded)" in r.err, r


def test_nothing_fits_nothing_is_written():
    with Cloud("room * SkuNotAvailable") as cloud:
        result, r = cloud.deploy("eastus,westeurope", code=2)
        assert len(result["failed"]) == 2 and result["primary"] is None, r
        assert cloud.regions() == {} and "flow-deploy" not in cloud.journal()
        assert not os.path.exists(os.path.join(cloud.path, "bricks", "provider-sim", "world.log"))
        assert cloud.run("recover", "--yes").code == 0


def test_without_the_flag_nothing_moves():
    with Cloud(FULL) as cloud:
        result, r = cloud.deploy("eastus,westeurope", code=1)
        failed = the(result, "failed", "westeurope")
        assert [a["region"] for a in failed["attempts"]] == ["westeurope"] * 3, failed
        assert {a["vm_size"] for a in failed["attempts"]} == {"Standard_B2s"}, failed
        assert failed["moved_from"] is None and "(checked)" in failed["error"]["resolution_steps"][0], failed
        assert set(cloud.regions()) == {"eastus"}


def test_size_then_zone_then_region():
    with Cloud(FULL) as cloud:
        result, r = cloud.deploy("eastus,westeurope", "--allow-fallback")
        moved = the(result, "successful", "northeurope")
        tried = [(a["region"], a["vm_size"], a["zone"]) for a in moved["attempts"]]
        assert tried == [("westeurope", "Standard_B2s", None), ("westeurope", "Standard_B2ms", None),
                         ("westeurope", "Standard_D2s_v5", None), ("westeurope", "Standard_B2s", "2"),
                         ("northeurope", "Standard_B2s", None)], tried
        assert all(a["error"] and a["ended_at"] for a in moved["attempts"][:4]) and moved["attempts"][4]["error"] is None
        assert moved["moved_from"] == "westeurope" and moved["vm_name"].startswith("azlin-northeurope-"), moved
        rows = cloud.regions()
        assert set(rows) == {"eastus", "northeurope"} and rows["northeurope"]["resource_group"] == "azlin-vms-northeurope"
        assert rows["northeurope"]["tags"]["azlin:region"] == "northeurope", rows
        assert "trying westeurope, Standard_B2ms" in r.err and "trying northeurope, Standard_B2s" in r.err, r
        assert cloud.ok("audit", "show").out.count("deploy-fallback") == 4
        assert cloud.run("recover", "--yes").out.count("put on record") == 0


def test_room_at_the_next_size_stays_in_the_region():
    with Cloud(FULL + " x1") as cloud:
        result, _ = cloud.deploy("westeurope", "--allow-fallback")
        one = result["successful"][0]
        assert (one["region"], one["vm_size"], one["moved_from"]) == ("westeurope", "Standard_B2ms", None), one
        assert len(one["attempts"]) == 2 and result["primary"] == "westeurope", one


def test_capacity_is_not_waited_for():
    with Cloud(FULL + " x4") as cloud:
        result, _ = cloud.deploy("westeurope", "--allow-fallback")
        assert result["total_duration_seconds"] < 4 * 2 + 60 + 2, result


def test_preflight_moves_before_the_journal():
    with Cloud("room westeurope* SkuNotAvailable") as cloud:
        result, r = cloud.deploy("westeurope,eastus", "--allow-fallback", "--primary", "westeurope")
        moved = the(result, "successful", "northeurope")
        assert [a["region"] for a in moved["attempts"]] == ["westeurope", "northeurope"], moved
        assert result["primary"] == "northeurope" and set(cloud.regions()) == {"eastus", "northeurope"}, result


def test_the_primary_stays_the_wanted_machine():
    with Cloud(FULL, "create eastus seconds 5") as cloud:
        result, _ = cloud.deploy("eastus,westeurope", "--primary", "westeurope", "--allow-fallback")
        assert result["primary"] == "northeurope", result
        assert cloud.regions()["northeurope"]["is_primary"]


def test_moves_end_after_four():
    with Cloud("create * fail capacity") as cloud:
        result, r = cloud.deploy("westeurope", "--allow-fallback", code=2)
        assert len(result["failed"][0]["attempts"]) == 5, r
        assert "4 places were tried" in r.err, r


def test_residency_is_respected():
    """westeurope may move to northeurope alone; with that taken, or not in its set, it may move nowhere."""
    with Cloud("room westeurope* SkuNotAvailable") as cloud:
        result, r = cloud.deploy("westeurope,northeurope", "--allow-fallback", code=1)
        assert set(cloud.regions()) == {"northeurope"} and result["failed"][0]["region"] == "westeurope", r
    with Cloud("room westeurope* SkuNotAvailable", policy="allowed-fallback=uksouth,westeurope;westus,eastus") as cloud:
        cloud.deploy("uksouth")
        result, r = cloud.deploy("westeurope", "--allow-fallback", code=2)
        assert set(cloud.regions()) == {"uksouth"}, r


def test_two_machines_never_move_to_one_region():
    with Cloud("room westeurope* SkuNotAvailable", "room ukwest* SkuNotAvailable",
               policy="allowed-fallback=westeurope,ukwest,northeurope,uksouth") as cloud:
        result, r = cloud.deploy("westeurope,ukwest", "--allow-fallback")
        assert set(cloud.regions()) == {"northeurope", "uksouth"}, r


def test_policy_that_forbids_all_is_exit_3():
    with Cloud("room westeurope* SkuNotAvailable", policy="") as cloud:
        result, r = cloud.deploy("westeurope", "--allow-fallback", code=3)
        assert "allowed-fallback" in r.err and cloud.regions() == {}, r
        assert "northeurope" not in r.err, r
        cloud.deploy("westeurope", code=2)
    with Cloud(FULL + " x2", policy="") as cloud:
        result, _ = cloud.deploy("westeurope", "--allow-fallback")
        assert result["successful"][0]["vm_size"] == "Standard_D2s_v5", result


def test_bad_sets_are_refused():
    for policy, words in (("allowed-fallback=westeurope,mars", "mars"), ("allowed-fallback=,", "no name")):
        with Cloud(policy=policy) as cloud:
            r = cloud.run("deploy", "-r", "eastus", "--allow-fallback")
            assert r.code == 78 and words in r.err, r
            cloud.rules()


def test_dry_run_shows_verdicts():
    with Cloud("room westeurope* SkuNotAvailable") as cloud:
        result, r = cloud.deploy("eastus,westeurope", "--dry-run")
        good, bad = result["plan"]
        assert good["preflight"]["ok"] and not bad["preflight"]["ok"] and bad["preflight"]["code"] == "SkuNotAvailable", result
        assert "northeurope, Standard_B2s (checked)" in r.err and not os.path.exists(cloud.path), r
        result, r = cloud.deploy("eastus,westeurope", "--dry-run", "--allow-fallback")
        assert result["plan"][1]["region"] == "northeurope" and result["plan"][1]["moved_from"] == "westeurope", result
        assert not os.path.exists(cloud.path)


def test_a_provider_that_lies_moves_nothing_out():
    """What it proposes beyond the policy, without a size, or where the machine is already is passed over; four moves end it."""
    config = "[bricks]\nprovider=liar\n[policy]\n%s\n[provider.liar]\nhow=%s\n"
    for how, says in (("", ""), ("fail", "nothing may be read"), ("type", "was not checked"), ("count", "ignored"), ("values", "")):
        with e2e.Home(config % (SET, how)) as home:
            r = home.run("deploy", "-r", "westeurope", "--allow-fallback", "-o", "json")
            attempts = r.json()["failed"][0]["attempts"]
            assert r.code == 2 and says in r.err, r
            assert "\x1f" not in r.err and "mars" not in r.out, r
            assert [(a["region"], a["vm_size"]) for a in attempts[1:]] == [("westeurope", "Size%d" % n) for n in range(4)], r


def test_places_that_are_none_are_no_places():
    with e2e.Home("[bricks]\nprovider=liar\n[policy]\n%s\n[provider.liar]\nhow=places\n" % SET) as home:
        for flags in ((), ("--allow-fallback",)):
            r = home.run("deploy", "-r", "westeurope", *flags, "-o", "json")
            assert r.code == 2 and "(checked)" not in r.err, r


def test_no_login_is_said_once():
    with e2e.Home("[bricks]\nprovider=liar\n[provider.liar]\nhow=auth\n") as home:
        r = home.run("deploy", "-r", "westeurope,eastus", "-o", "json")
        assert r.code == 2 and r.err.count("nobody is logged in") == 1, r
        assert {e["error"]["error_type"] for e in r.json()["failed"]} == {"AuthenticationFailed"}, r
        assert home.run("deploy", "-r", "westeurope", "--dry-run").code == 0


def test_every_attempt_is_in_the_events():
    with Cloud(FULL) as cloud:
        r = cloud.run("deploy", "-r", "westeurope", "--allow-fallback", "-o", "jsonl")
        events = [json.loads(line) for line in r.out.splitlines()]
        moved = [e for e in events if e["event"] == "region" and e["facts"]["status"] == "moved"]
        assert [e["region"] for e in moved] == ["westeurope"], r.out
        assert sum("trying" in e.get("text", "") for e in events) == 4, r.out


if __name__ == "__main__":
    e2e.main(globals())
