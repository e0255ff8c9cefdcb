#!/usr/bin/env python3
"""A whole life in five regions, on both roads: made, listed, tagged, switched, deleted, recovered, destroyed."""
import json, time
import e2e
from create import Azure, both_roads

REGIONS = ["eastus", "westus2", "westeurope", "northeurope", "southeastasia"]
SETTINGS = {"page_size": 2, "duration_ms": {"create": 20, "create.virtualMachines": 300, "power": 100}}


def life(road, **settings):
    azure = Azure(road, **{**SETTINGS, **settings})
    azure.home.write_config(azure.double.config(create=road).replace("[bricks]\n", "[bricks]\ncontext=file;tags\n"))
    return azure


def records(azure):
    return {one["region"]: one for one in azure.ok("regions", "list", "-o", "json").json()["regions"]}


def machines(azure):
    return {vm["location"]: vm for vm in azure.resources("virtualMachines")}


def primaries(azure):
    return sorted(region for region, vm in machines(azure).items() if vm["tags"].get("azlin:primary") == "true")


def tagged(azure, wanted, limit=15):
    """Tags are written beside the work: a moment may pass."""
    end = time.monotonic() + limit
    while primaries(azure) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    assert primaries(azure) == wanted, (wanted, machines(azure))


def power(azure, region):
    return azure.ok("vm", "status", "--region", region, "-o", "json").json()["power_state"]


def kill_at(azure, kind, *args):
    """Starts azlin and kills it as soon as the double has seen `kind`; what it left is the test's matter."""
    before = azure.kinds().get(kind, 0)
    running = azure.popen(*args)
    end = time.monotonic() + 30
    while azure.kinds().get(kind, 0) == before and running.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert running.poll() is None, "it ended before %s: %r" % (kind, running.communicate())
    running.kill()
    running.communicate()
    azure.double.control(forget_waits=True)


@both_roads
def test_five_regions(road):
    with life(road) as azure:
        made = azure.ok("deploy", "-r", ",".join(REGIONS), "-o", "json").json()
        assert len(made["successful"]) == 5 and made["primary"] == "eastus", made
        assert sorted(machines(azure)) == sorted(REGIONS), machines(azure)
        tagged(azure, ["eastus"])
        assert sorted(records(azure)) == sorted(REGIONS)

        pages = azure.kinds().get("VirtualMachines_ListAll", 0)
        azure.ok("regions", "refresh")
        assert azure.kinds()["VirtualMachines_ListAll"] - pages >= 3, azure.kinds()  # five machines, two to a page
        before = records(azure)
        azure.forget()
        azure.ok("regions", "refresh", "--rebuild")
        after = records(azure)
        for region in REGIONS:
            same = ("vm_name", "public_ip", "id", "resource_group", "ssh_user", "is_primary")
            assert {k: after[region][k] for k in same} == {k: before[region][k] for k in same}, (before, after)

        health = azure.run("regions", "health", "-o", "json").json()
        assert health["total"] == 5, health

        azure.ok("regions", "set-primary", "westeurope")
        tagged(azure, ["westeurope"])
        for vm in machines(azure).values():
            assert vm["tags"]["azlin:managed"] == "true" and vm["tags"]["azlin:region"] == vm["location"], vm

        azure.ok("vm", "stop", "--region", "westus2", "--yes")
        assert power(azure, "westus2") == "stopped"
        azure.ok("vm", "start", "--region", "westus2")
        assert power(azure, "westus2") == "running"
        azure.ok("vm", "deallocate", "--region", "westus2", "--yes")
        assert power(azure, "westus2") == "deallocated"
        azure.ok("vm", "start", "--region", "westus2")
        azure.ok("vm", "restart", "--region", "eastus")
        assert power(azure, "westus2") == power(azure, "eastus") == "running"
        azure.double.assert_clean()

        azure.ok("vm", "delete", "--region", "eastus", "--yes")
        assert sorted(records(azure)) == sorted(machines(azure)) == sorted(REGIONS[1:])
        assert "Nothing to recover" in azure.ok("recover", "--yes").out
        azure.double.assert_clean()
        azure.ok("destroy", "--yes")
        assert records(azure) == {}
        assert azure.open_entries() == set()
        azure.assert_nothing()


@both_roads
def test_killed_while_made(road):
    last = "Deployments_CreateOrUpdate" if road == "template" else "VirtualMachines_CreateOrUpdate"
    with life(road, duration_ms={"create": 20, "create.virtualMachines": 1500}) as azure:
        kill_at(azure, last, "deploy", "-r", "eastus,westus2,westeurope")
        azure.ok("recover", "--yes")
        assert sorted(records(azure)) == sorted(machines(azure)), (records(azure), machines(azure))
        assert azure.open_entries() == set()
        azure.double.assert_clean()
        if records(azure):
            azure.ok("destroy", "--yes")
        azure.assert_nothing()


def test_recovered_record_has_its_address():
    with life("template", faults=[{"do": "lag", "on": "PublicIPAddresses_CreateOrUpdate", "gets": 3}]) as azure:
        kill_at(azure, "Deployments_CreateOrUpdate", "deploy", "-r", "eastus")
        said = azure.ok("recover", "--yes").out
        one = records(azure)["eastus"]
        assert one["public_ip"] and one["ssh_user"] == "azureuser", one
        assert "azlin deploy --regions eastus" in said, said
        azure.ok("deploy", "--regions", "eastus")
        assert "ssh-ed25519" in records(azure)["eastus"]["host_key"] and len(machines(azure)) == 1
        azure.ok("destroy", "--yes")
        azure.assert_nothing()


def test_killed_deletion_leaves_no_record():
    for command in (["destroy", "--yes"], ["vm", "delete", "--region", "eastus", "--yes"],
                    ["regions", "remove", "eastus", "--remove-vm", "--yes"]):
        with life("template", duration_ms={"delete.virtualMachines": 1500}) as azure:
            azure.ok("deploy", "-r", "eastus")
            kill_at(azure, "VirtualMachines_Delete", *command)
            azure.ok("recover", "--yes")
            assert records(azure) == {}, (command, records(azure))
            assert azure.open_entries() == set()
            azure.assert_nothing()


def test_refused_deletion_keeps_the_record():
    with life("template") as azure:
        azure.ok("deploy", "-r", "eastus")
        vm = machines(azure)["eastus"]
        azure.double.control(change={vm["id"]: {"tags": {}}})
        assert azure.run("vm", "delete", "--region", "eastus", "--yes").code != 0
        assert sorted(records(azure)) == ["eastus"] and azure.open_entries() == set()
        azure.double.control(change={vm["id"]: {"tags": vm["tags"]}})


def test_a_list_that_is_not_given_is_no_success():
    with life("template") as azure:
        azure.ok("deploy", "-r", "eastus")
        azure.double.control(faults=[{"do": "status", "on": "VirtualMachines_ListAll", "status": 403,
                                      "code": "AuthorizationFailed"}])
        r = azure.run("regions", "refresh", "-o", "json")
        found = json.loads(r.out)
        assert r.code == 1 and found["missing"] == [] and "the provider cannot list its machines" in r.err, r
        assert [(e["region"], e["error"]["error_type"]) for e in found["errors"]] == [(None, "PermissionDenied")], r
        azure.double.control(faults=[])
        azure.ok("destroy", "--yes")
        azure.assert_nothing()


if __name__ == "__main__":
    e2e.main(globals())
