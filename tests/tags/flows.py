"""Records as tags of machines through the real azlin: written beside the file, read back, never obeyed against it.
AZLIN_UPDATE=1 writes the golden screens anew."""
import difflib, json, os, re, shutil, subprocess
import e2e

DRIVE = os.environ["AZLIN_DRIVE"]
GOLDEN = os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "tests", "tags", "golden")
PLAIN = ("azlin:managed", "azlin:op", "azlin:home", "azlin:region", "azlin:created_at", "azlin:primary_since")


class Fleet(e2e.Home):
    """Machines of provider-sim whose records stand in the file and in their tags."""

    def __init__(self, *regions, context="file;tags", more=""):
        self.context, self.more = context, more
        super().__init__()
        self.faults()
        if regions:
            self.ok("deploy", "--regions", ",".join(regions), "--vm-name", "vm")

    def faults(self, *rules):
        script = os.path.join(self.root, "script")
        with open(script, "w") as f:
            f.write("".join(rule + "\n" for rule in rules))
        self.write_config("[bricks]\nprovider=sim\ncontext=%s\n[provider.sim]\nscript=%s\ncreate-seconds=5\n%s"
                          % (self.context, script, self.more))

    def use(self, context=None, more=""):
        self.context, self.more = context or self.context, more
        self.faults()

    def drive(self, *words):
        env = dict(self.env(), AZLIN_CONFIG=self.config)
        p = subprocess.run([DRIVE, self.path, "sim", *words], env=env, text=True, capture_output=True, timeout=60)
        assert p.returncode == 0, (words, p)
        return [json.loads(line) for line in p.stdout.splitlines()]

    def tag(self, name, *words):
        self.drive("tag", name, *words)

    def tags(self):
        """What the machines say: {"eastus": {"azlin:primary": "true", ...}} without what is always there."""
        all_tags = {vm["region"]: vm["tags"] for vm in self.drive("list")}
        return {region: {k: v for k, v in tags.items() if k not in PLAIN} for region, tags in all_tags.items()}

    def records(self):
        found = self.ok("regions", "list", "-o", "json").json()
        return found["primary"], found["epoch"], [r["region"] for r in found["regions"]]

    def lose_home(self):
        """A new laptop: nothing is left but the cloud."""
        for name in os.listdir(self.path):
            path = os.path.join(self.path, name)
            if name != "bricks":
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def change_machine(self, name, old, new):
        world = os.path.join(self.path, "bricks", "provider-sim", "world.log")
        with open(world) as f:
            line = [text for text in f if "'%s'" % name in text][-1]
        assert old in line, line
        with open(world, "a") as f:
            f.write(line.replace(old, new))

    def address(self, region):
        return [vm["public_ip"] for vm in self.drive("list") if vm["region"] == region][0]

    def seconds(self):
        with open(os.path.join(self.path, "bricks", "provider-sim", "world.log")) as f:
            return max(int(re.match(r"\(int64 (\d+)|\((\d+)", line).group(1)) for line in f if line.startswith("(int64")) / 1e6

    def screen(self, name, *args, code=0):
        r = self.run(*args)
        shown = "$ azlin %s\n%s%s--- exit %d\n" % (" ".join(args), r.out, r.err, r.code)
        shown = re.sub(r"198\.1[89]\.\d+\.\d+", "ADDRESS", shown).replace(self.root, "ROOT")
        path = os.path.join(GOLDEN, name + ".txt")
        if os.environ.get("AZLIN_UPDATE"):
            with open(path, "w") as f:
                f.write(shown)
        with open(path) as f:
            wanted = f.read()
        diff = "".join(difflib.unified_diff(wanted.splitlines(True), shown.splitlines(True), "golden/" + name, "screen"))
        assert not diff, "\n" + diff
        assert r.code == code, r


def drift(result):
    return [(d["region"], d["field"], d["action"]) for d in result["drift"]]


def test_both_places_are_written():
    with Fleet("eastus", "westus2") as fleet:
        assert fleet.tags() == {"eastus": {"azlin:primary": "true", "azlin:epoch": "1"}, "westus2": {}}
        fleet.tag("vm-eastus", "team=ours")
        fleet.ok("regions", "set-primary", "westus2")
        assert fleet.tags() == {"eastus": {"azlin:primary": "false", "azlin:epoch": "2", "team": "ours"},
                                "westus2": {"azlin:primary": "true", "azlin:epoch": "2"}}
        fleet.ok("failover", "--to", "eastus", "--yes")
        assert fleet.tags()["eastus"] == {"azlin:primary": "true", "azlin:epoch": "3", "team": "ours"}
        assert fleet.tags()["westus2"] == {"azlin:primary": "false", "azlin:epoch": "3"}
        assert fleet.records()[:2] == ("eastus", 3)
        r = fleet.ok("regions", "refresh", "-o", "json").json()
        assert r["drift"] == [] and r["updated"] == 2, r


def test_removing_a_region_takes_its_tags():
    with Fleet("eastus", "westus2") as fleet:
        fleet.ok("regions", "remove", "eastus")
        kept = {vm["region"]: vm["tags"] for vm in fleet.drive("list")}["eastus"]
        assert sorted(kept) == ["azlin:created_at", "azlin:home", "azlin:managed", "azlin:op"], kept
        assert fleet.ok("regions", "refresh", "-o", "json").json()["drift"] == []
        r = fleet.ok("regions", "remove", "westus2", "--remove-vm", "--yes")
        assert "tags" not in r.out + r.err, r


def test_tags_that_cannot_be_written_are_a_warning():
    with Fleet("eastus", "westus2") as fleet:
        fleet.faults("tag * fail permission")
        r = fleet.ok("regions", "set-primary", "westus2")
        assert "The tags do not all say yet that westus2 is primary" in r.out, r
        assert "azlin regions refresh repairs them" in r.out, r
        assert fleet.records()[:2] == ("westus2", 2) and fleet.tags()["westus2"] == {}
        fleet.faults()
        fleet.screen("refresh-repairs", "regions", "refresh")
        assert fleet.tags() == {"eastus": {"azlin:primary": "false", "azlin:epoch": "2"},
                                "westus2": {"azlin:primary": "true", "azlin:epoch": "2"}}
        assert fleet.ok("regions", "refresh", "-o", "json").json()["drift"] == []
        fleet.faults("tag * fail permission")
        r = fleet.ok("deploy", "-r", "westeurope", "--primary", "westeurope", "--vm-name", "vm")
        assert "The tags of westeurope were not written" in r.out and r.out.count("not all say") == 1, r


def test_an_old_primary_out_of_reach_does_not_hold_a_switch():
    with Fleet("eastus", "westus2") as fleet:
        fleet.faults("tag eastus fail network")
        r = fleet.ok("regions", "set-primary", "westus2")
        assert "eastus still says that it is primary" in r.out, r
        assert fleet.tags() == {"eastus": {"azlin:primary": "true", "azlin:epoch": "1"},
                                "westus2": {"azlin:primary": "true", "azlin:epoch": "2"}}
        fleet.faults()
        r = fleet.ok("regions", "refresh", "-o", "json").json()
        assert drift(r) == [("eastus", "azlin:primary", "write-tags")], r
        assert fleet.tags()["eastus"] == {"azlin:primary": "false", "azlin:epoch": "2"}


def test_a_silent_cloud_delays_a_failover_by_two_seconds_at_most():
    with Fleet("eastus", "westus2", "westeurope") as fleet:
        fleet.ok("regions", "health")
        began = fleet.seconds()
        first = fleet.ok("failover", "--to", "westus2", "--yes", "-o", "json").json()
        plain = fleet.seconds() - began
        fleet.faults("tag * hang")
        began = fleet.seconds()
        r = fleet.ok("failover", "--to", "eastus", "--yes", "-o", "json")
        took = fleet.seconds() - began
        assert r.json()["duration_seconds"] < first["duration_seconds"] + 0.2, (first, r)
        assert took < plain + 2.2, (plain, took)
        assert "The tags do not all say yet that eastus is primary" in r.err and "2 s" in r.err, r
        assert fleet.records()[0] == "eastus"


def test_a_forged_primary_moves_nothing():
    with Fleet("eastus", "westus2") as fleet:
        fleet.tag("vm-westus2", "azlin:primary=true", "azlin:epoch=40")
        before = fleet.tags()
        fleet.screen("refresh-newer-claim", "regions", "refresh")
        assert fleet.records()[:2] == ("eastus", 1) and fleet.tags() == before
        fleet.ok("regions", "set-primary", "eastus")
        assert fleet.tags() == {"eastus": {"azlin:primary": "true", "azlin:epoch": "1"},
                                "westus2": {"azlin:primary": "false", "azlin:epoch": "1"}}
        assert fleet.ok("regions", "refresh", "-o", "json").json()["drift"] == []
        fleet.tag("vm-westus2", "azlin:primary=true", "azlin:epoch=40", "-azlin:managed")
        r = fleet.ok("regions", "refresh", "-o", "json")
        assert "is not believed: azlin did not make it" in r.err, r
        assert drift(r.json()) == [("westus2", "azlin:primary", "none")], r
        assert fleet.tags()["westus2"]["azlin:primary"] == "true" and fleet.records()[0] == "eastus"


def test_nothing_is_written_on_a_machine_of_others():
    with Fleet("eastus", "westus2") as fleet:
        fleet.ok("regions", "remove", "westus2")
        fleet.tag("vm-westus2", "-azlin:managed", "-azlin:op")
        theirs = {vm["region"]: vm["tags"] for vm in fleet.drive("list")}["westus2"]

        def untouched(*words, code=0):
            r = fleet.run(*words)
            assert r.code == code and "vm-westus2 was not made by azlin" in r.out + r.err, r
            assert {vm["region"]: vm["tags"] for vm in fleet.drive("list")}["westus2"] == theirs
        untouched("regions", "add", "westus2", "--public-ip", fleet.address("westus2"), "--provider", "sim", "--vm-name",
                  "vm-westus2")
        untouched("regions", "set-primary", "westus2")
        assert fleet.records()[0] == "westus2" and fleet.tags()["eastus"]["azlin:primary"] == "false"
        fleet.ok("regions", "set-primary", "eastus")
        found = drift(fleet.ok("regions", "refresh", "-o", "json").json())
        assert "write-tags" not in [action for _, _, action in found], found
        fleet.tag("vm-westus2", "azlin:managed=true")  # as if azlin had made it, although the record does not know
        fleet.ok("regions", "set-primary", "westus2")
        assert fleet.tags()["westus2"]["azlin:primary"] == "true"


def test_the_user_may_follow_newer_tags():
    with Fleet("eastus", "westus2") as fleet:
        fleet.tag("vm-westus2", "azlin:primary=true", "azlin:epoch=40")
        fleet.ok("regions", "refresh")
        fleet.ok("regions", "set-primary", "westus2")
        assert fleet.ok("regions", "refresh", "-o", "json").json()["drift"] == [], fleet.tags()
        assert fleet.tags()["westus2"]["azlin:primary"] == "true" and fleet.tags()["eastus"]["azlin:primary"] == "false"


def test_a_newer_epoch_of_the_same_primary_is_taken_over():
    with Fleet("eastus", "westus2") as fleet:
        fleet.tag("vm-eastus", "azlin:epoch=7")
        r = fleet.ok("regions", "refresh", "-o", "json").json()
        assert drift(r) == [("eastus", "azlin:epoch", "update-record")], r
        assert fleet.records()[:2] == ("eastus", 7)
        assert fleet.tags()["eastus"]["azlin:epoch"] == "7"


def test_facts_of_the_cloud_flow_into_the_record():
    with Fleet("eastus", "westus2") as fleet:
        fleet.change_machine("vm-eastus", fleet.address("eastus"), "198.18.7.7")
        fleet.faults("machine westus2 stop")
        fleet.screen("refresh-dry", "regions", "refresh", "--dry-run")
        shown = fleet.ok("regions", "list").out
        assert "198.18.7.7" not in shown and "stopped" not in shown, shown
        r = fleet.ok("regions", "refresh", "-o", "json").json()
        assert drift(r) == [("eastus", "public_ip", "update-record"), ("westus2", "status", "update-record")], r
        shown = fleet.ok("regions", "list").out
        assert "198.18.7.7" in shown and "stopped" in shown, shown
        fleet.faults("machine eastus remove")
        r = fleet.run("regions", "refresh", "-o", "json")
        assert r.code == 1 and r.json()["missing"] == ["eastus"], r
        assert ("eastus", "machine", "none") in drift(r.json()), r


def test_what_could_not_be_read_is_no_success():
    with Fleet("eastus", "westus2") as fleet:
        fleet.faults("get eastus fail permission")
        for flags in ([], ["--dry-run"]):
            r = fleet.run("regions", "refresh", "-o", "json", *flags)
            found = r.json()
            assert r.code == 1 and found["missing"] == [] and found["drift"] == [], r
            assert [(e["region"], e["error"]["error_type"]) for e in found["errors"]] == [("eastus", "PermissionDenied")], r
            assert "vm-eastus in eastus could not be read" in r.err, r
        assert [found["updated"], fleet.records()[2]] == [0, ["eastus", "westus2"]], r
        fleet.faults()
        assert fleet.ok("regions", "refresh", "-o", "json").json()["errors"] == []


def test_dry_run_writes_nothing():
    with Fleet("eastus", "westus2") as fleet:
        fleet.tag("vm-eastus", "-azlin:primary", "-azlin:region")
        fleet.tag("vm-westus2", "azlin:primary=true", "azlin:epoch=0")
        with open(os.path.join(fleet.path, "config.json"), "rb") as f:
            before, tags = f.read(), fleet.tags()
        r = fleet.ok("regions", "refresh", "--dry-run", "-o", "json").json()
        assert r["dry_run"] and r["updated"] == 0, r
        assert sorted(drift(r)) == [("eastus", "azlin:primary", "write-tags"), ("eastus", "azlin:region", "write-tags"),
                                    ("westus2", "azlin:primary", "write-tags")], r
        with open(os.path.join(fleet.path, "config.json"), "rb") as f:
            assert f.read() == before
        assert fleet.tags() == tags
        fleet.lose_home()
        fleet.ok("regions", "refresh", "--rebuild", "--dry-run")
        assert not os.path.exists(os.path.join(fleet.path, "config.json"))


def test_machines_that_no_record_knows():
    with Fleet("eastus", "westus2", context="file") as fleet:
        fleet.ok("regions", "remove", "westus2")
        fleet.screen("refresh-unknown", "regions", "refresh")
        assert fleet.records()[2] == ["eastus"]


def test_rebuild_on_an_empty_home():
    with Fleet("eastus", "westus2") as fleet:
        for region in ("westus2", "eastus", "westus2"):
            fleet.ok("regions", "set-primary", region)
        address = fleet.address("westus2")
        fleet.lose_home()
        fleet.screen("rebuild", "regions", "refresh", "--rebuild")
        primary, epoch, regions = fleet.records()
        assert (primary, regions) == ("westus2", ["westus2", "eastus"]) and epoch > 4, (primary, epoch, regions)
        assert address in fleet.ok("regions", "list").out
        assert fleet.tags()["westus2"] == {"azlin:primary": "true", "azlin:epoch": str(epoch)}
        events = fleet.ok("audit", "show", "-o", "json").json()["events"]
        assert [e["facts"]["to"] for e in events if e["what"] == "regions.set-primary"] == ["westus2"], events
        assert fleet.ok("regions", "refresh", "-o", "json").json()["drift"] == []


def test_rebuild_refuses_rivals():
    with Fleet("eastus", "westus2", "westeurope") as fleet:
        fleet.tag("vm-westus2", "azlin:primary=true", "azlin:epoch=6")
        fleet.tag("vm-westeurope", "azlin:primary=true", "azlin:epoch=6")
        fleet.lose_home()
        fleet.screen("rebuild-rivals", "regions", "refresh", "--rebuild", code=1)
        assert fleet.records()[0] is None and len(fleet.records()[2]) == 3
        fleet.ok("regions", "set-primary", "westeurope")
        assert fleet.records()[:2] == ("westeurope", 7)
        assert {r: t["azlin:primary"] for r, t in fleet.tags().items()} \
            == {"eastus": "false", "westus2": "false", "westeurope": "true"}


def test_rebuild_believes_no_forgery():
    with Fleet("eastus", "westus2", "westeurope") as fleet:
        fleet.tag("vm-westus2", "azlin:primary=true", "azlin:epoch=90", "-azlin:op")
        fleet.tag("vm-westeurope", "azlin:primary=true", "azlin:epoch=91")
        fleet.lose_home()
        fleet.use(more="[policy]\nallowed-regions=eastus;westus2\n[aliases]\neu=\nasia=\n")
        r = fleet.ok("regions", "refresh", "--rebuild")
        assert "vm-westus2 says that it is primary, and is not believed: azlin did not make it" in r.out, r
        assert "not believed: [policy] allowed-regions does not hold its region" in r.out, r
        assert fleet.records()[0] == "eastus" and fleet.records()[1] < 10


def test_rebuild_takes_one_machine_for_each_region():
    with Fleet("eastus", "westus2") as fleet:
        fleet.drive("create", "a-double", "eastus", "azureuser", "ssh-ed25519 AAAA")
        fleet.tag("a-double", "azlin:primary=true", "azlin:epoch=50", "azlin:region=eastus", "-azlin:managed")
        fleet.lose_home()
        r = fleet.ok("regions", "refresh", "--rebuild")
        assert "a-double is left out: a region holds one machine, here vm-eastus" in r.out, r
        found = fleet.ok("regions", "list", "-o", "json").json()
        assert [(v["region"], v["vm_name"]) for v in found["regions"]] == [("eastus", "vm-eastus"), ("westus2", "vm-westus2")]
        assert found["primary"] == "eastus" and found["epoch"] < 10, found
        r = fleet.ok("regions", "refresh", "-o", "json").json()
        assert drift(r) == [("eastus", "machine", "none")], r


def test_a_deploy_into_a_silent_cloud_ends():
    with Fleet() as fleet:
        fleet.faults("tag * hang")
        r = fleet.ok("deploy", "-r", "eastus,westus2", "--vm-name", "vm", "-o", "json")
        assert r.json()["primary"] == "eastus" and r.json()["total_duration_seconds"] < 10, r
        assert "were not written" in r.err and fleet.seconds() < 20, r


def test_rebuild_keeps_a_primary_that_stands():
    with Fleet("eastus", "westus2") as fleet:
        fleet.tag("vm-westus2", "azlin:primary=true", "azlin:epoch=40")
        r = fleet.ok("regions", "refresh", "--rebuild", "-o", "json").json()
        assert r["primary"] == "eastus" and ("westus2", "azlin:primary", "refuse") in drift(r), r
        assert fleet.records()[:2] == ("eastus", 1)


def test_without_tags_in_the_configuration_none_is_read():
    with Fleet("eastus", "westus2") as fleet:
        fleet.lose_home()
        fleet.use(context="file")
        r = fleet.ok("regions", "refresh", "--rebuild", "-o", "json").json()
        assert r["primary"] is None and r["updated"] == 2, r


def test_a_provider_without_tags_is_said_once():
    with Fleet("eastus") as fleet:
        r = fleet.ok("regions", "add", "westus2", "--public-ip", "127.0.0.9", "--ssh-port", "9", "--provider", "static")
        assert r.out.count("provider static keeps no tags") == 1, r
        r = fleet.ok("regions", "set-primary", "westus2")
        assert r.out.count("provider static keeps no tags") == 1 and fleet.records()[0] == "westus2", r


def test_a_pin_may_be_given_to_a_machine_that_the_provider_knows():
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
    with Fleet("eastus", "westus2") as fleet:
        fleet.ok("regions", "remove", "westus2")
        added = fleet.ok("regions", "add", "westus2", "--host-key", key, "-o", "json").json()["region"]
        assert added["host_key"] == key and added["id"] and added["public_ip"], added


def test_tags_alone():
    with Fleet(context="tags") as fleet:
        fleet.ok("deploy", "-r", "eastus,westus2", "--vm-name", "vm")
        assert fleet.records() == ("eastus", 1, ["eastus", "westus2"])
        fleet.ok("regions", "set-primary", "westus2")
        assert fleet.records() == ("westus2", 2, ["westus2", "eastus"])
        fleet.ok("regions", "remove", "eastus")
        assert fleet.records() == ("westus2", 2, ["westus2"])
        assert not os.path.exists(os.path.join(fleet.path, "config.json"))
        fleet.ok("deploy", "-r", "eastus", "--vm-name", "vm-eastus")
        fleet.tag("vm-eastus", "azlin:primary=true", "azlin:epoch=2")
        assert fleet.records()[0] is None, "of two at one epoch none is believed"


def test_names_that_are_configured_wrong():
    with Fleet("eastus") as fleet:
        fleet.use(context="file;tgas")
        r = fleet.run("config", "show")
        assert r.code == 78 and "tgas" in r.err, r


if __name__ == "__main__":
    e2e.main(globals())
