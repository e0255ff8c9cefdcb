"""Stored decisions and their replay: the same answer from the same evidence, another one from other options."""
import json, os, stat
import e2e
from fleet import Cloud

DARK = "probe eastus timeout"


def store(cloud):
    return os.path.join(cloud.path, "decisions.jsonl")


def decided(cloud, *rules):
    cloud.faults(*rules)
    return cloud.failover("--check-only")[1]["decision"]


def replay(cloud, *args):
    r = cloud.run("failover", "replay", "-o", "json", *args)
    return r, r.json()


def test_each_decision_is_stored_with_its_inputs():
    with Cloud() as cloud:
        decision = decided(cloud, DARK)
        assert len(decision["id"]) == 8, decision
        assert stat.S_IMODE(os.stat(store(cloud)).st_mode) == 0o600
        with open(store(cloud)) as f:
            record = json.loads(f.read().splitlines()[-1])
        assert record["id"] == decision["id"] and record["why"] == "check-only", record
        assert record["options"]["fall"] == "7" and record["brick"] == "failover-hybrid" and record["version"], record
        assert record["input"]["vantages"] and record["input"]["others"], record
        assert record["decision"]["confidence"] == decision["confidence"], record


def test_the_file_has_room_for_large_ones():
    with Cloud() as cloud:
        first = decided(cloud, DARK)
        line = open(store(cloud)).read()
        with open(store(cloud), "a") as f:
            for number in range(4):
                f.write(json.dumps(dict(json.loads(line), padding="x" * 5000000, id="0000000%d" % number)) + "\n")
        kept = decided(cloud, DARK)
        assert os.path.getsize(store(cloud)) < 7 << 20 and stat.S_IMODE(os.stat(store(cloud)).st_mode) == 0o600
        ids = [json.loads(line)["id"] for line in open(store(cloud))]
        assert ids == ["00000003", kept["id"]], ids
        assert replay(cloud, kept["id"])[0].code == 0
        assert cloud.run("failover", "replay", first["id"]).code == 64
        open(store(cloud), "w").write("y" * (13 << 20))  # nobody's, and no line: it makes room
        kept = decided(cloud, DARK)
        assert [json.loads(line)["id"] for line in open(store(cloud))] == [kept["id"]]


def test_replay_finds_the_same():
    with Cloud() as cloud:
        for rules in ((DARK,), (), ("probe * from here timeout",), ("machine eastus stop",)):
            decision = decided(cloud, *rules)
            r, result = replay(cloud, decision["id"])
            assert r.code == 0 and result["same"] and result["differs"] == [], (rules, r)
            assert result["now"]["reason"] == decision["reason"], (rules, r)
            assert result["now"]["ranking"] == decision["ranking"], (rules, r)
            assert result["now"]["weights"] == decision["weights"], (rules, r)


def test_replay_with_other_options_shows_what_differs():
    with Cloud() as cloud:
        decision = decided(cloud, DARK)
        assert decision["should_auto_failover"], decision
        for with_, differs in (("prior=0.00001,threshold=0.9999", ["should_auto_failover", "confidence"]), ("mode=manual", ["should_auto_failover"]),
                               ("fall=20", ["should_auto_failover"]), ("prior=0.01", ["confidence"]),
                               ("never-promote=westus2;uksouth", ["target"])):
            r, result = replay(cloud, decision["id"], "--with", with_)
            assert r.code == 1 and result["differs"] == differs, (with_, r)
            assert result["then"]["should_auto_failover"], r
        r, result = replay(cloud, decision["id"], "--with", "fall=5,threshold=0.9")
        assert r.code == 0, r
        text = cloud.run("failover", "replay", decision["id"], "--with", "mode=manual")
        assert "Then" in text.out and "Now, with mode=manual" in text.out, text
        assert "It differs: should_auto_failover" in text.out + text.err, text
        # what was in force then counts, not what is in force now; and nothing of this is a decision
        lines = len(open(store(cloud)).readlines())
        cloud.failover_options = "mode=manual"
        cloud.faults(DARK)
        assert replay(cloud, decision["id"])[0].code == 0
        assert len(open(store(cloud)).readlines()) == lines


def test_bad_words_are_usage():
    with Cloud() as cloud:
        decision = decided(cloud)
        for args, said in (((decision["id"], "--with", "fal=5"), "did you mean 'fall'"),
                           ((decision["id"], "--with", "fall"), "NAME=VALUE"),
                           ((decision["id"], "--with", "fall=0"), "fall=0"),
                           ((decision["id"], "--with", "mode=always"), "auto, hybrid, manual"),
                           (("ffffffff",), "azlin failover replay"),
                           (("--with", "fall=5"), "name its id")):
            r = cloud.run("failover", "replay", *args)
            assert r.code == 64 and said in r.out + r.err, (args, r)


def test_list_and_audit_name_it():
    with Cloud() as cloud:
        assert "None is stored yet" in cloud.ok("failover", "replay").out
        cloud.faults(DARK)
        r, result = cloud.failover("--auto")
        assert r.code == 0, r
        id = result["decision"]["id"]
        assert id in cloud.ok("failover", "replay").out
        assert id in cloud.ok("audit", "show", "-o", "json").out
        rows = cloud.ok("failover", "replay", "-o", "json").json()["decisions"]
        assert rows[0]["id"] == id and rows[0]["why"] == "auto" and rows[0]["should_auto_failover"], rows


def test_the_store_is_bounded_and_outlives_a_torn_line():
    with Cloud("eastus", "westus2") as cloud:
        decided(cloud)
        with open(store(cloud)) as f:
            line = f.read().splitlines()[0]
        record = json.loads(line)
        with open(store(cloud), "w") as f:
            for i in range(600):
                f.write(json.dumps(dict(record, id="%08x" % i)) + "\n")
            f.write(line[:50])  # a crash within a write
        decision = decided(cloud)
        with open(store(cloud)) as f:
            lines = f.read().splitlines()
        assert len(lines) == 500 and decision["id"] in lines[-1], len(lines)
        assert replay(cloud, decision["id"])[0].code == 0
        assert replay(cloud, "%08x" % 599)[0].code == 0
        assert cloud.run("failover", "replay", "%08x" % 5).code == 64


if __name__ == "__main__":
    e2e.main(globals())
