"""What several watches see counts as several vantages: real machines, no witness that is asked over SSH, and a road that is
closed for one watch alone (by its group, in a network of this test's own)."""
import os, shutil, subprocess, sys, time
import e2e, etcd
from share import Scene

WITHOUT_WITNESSES = "witnesses=0\n"
GROUPS = {name: {"group": 4201 + number} for number, name in enumerate("abc")}
OWN_NET = "AZLIN_TEST_OWN_NET"


def enter_network():
    """This process again, where rules bind nobody else; not where rights or parts are missing."""
    if os.geteuid() != 0 or not all(shutil.which(tool) for tool in ("unshare", "ip", "nft")):
        return
    if OWN_NET not in os.environ:
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], dict(os.environ, **{OWN_NET: "1"}))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def close_road(daemon, address):
    if OWN_NET not in os.environ:
        raise e2e.Skip("a network of its own needs root, unshare, ip and nft")
    rules = "table inet t { chain c { type filter hook output priority 0; meta skgid %d ip daddr %s drop; }; }" \
        % (daemon.how["group"], address)
    subprocess.run(["nft", rules], check=True)


def address_of(scene, region):
    (record,) = [r for r in scene.fleet.state()["regions"] if r["region"] == region]
    return record["public_ip"]


def test_region_that_is_dark_for_one_watch_alone_is_no_outage():
    with etcd.Etcd() as cluster, Scene(cluster, further=0, options=WITHOUT_WITNESSES, **GROUPS) as scene:
        judge = scene.judge()
        close_road(judge, address_of(scene, "eastus"))
        judge.wait_for("state", region="eastus", state="dark")
        verdict = judge.wait_for("verdict", verdict="unreachable_from_me")
        assert not verdict["should_auto_failover"] and "daemon" in verdict["line"], verdict
        time.sleep(5)
        assert scene.fleet.primary() == "eastus" and scene.epoch() == 1
        others = {"daemon " + name for name in scene.daemons if name != judge.name}
        e2e.until(lambda: judge.facts["eastus"]["unreachable_from_me"] and others <= set(judge.facts["eastus"]["seen_by"]),
                  "it knows who sees it", 20)
        assert judge.facts["eastus"]["state"] == "dark" and judge.facts["eastus"]["dark_from"] == ["here"], judge.facts
        for name, daemon in scene.daemons.items():
            if daemon is not judge:
                states = [e["state"] for e in daemon.has("state") if e["region"] == "eastus"]
                assert "dark" not in states, (name, states)
        time.sleep(10)  # in which what was seen is written once
        records = {r["region"]: r["status"] for r in scene.fleet.state()["regions"]}
        assert records["eastus"] == "ok", records


def test_outage_that_watches_of_several_places_see_is_switched():
    with etcd.Etcd() as cluster, Scene(cluster, further=0, options=WITHOUT_WITNESSES) as scene:
        judge = scene.judge()
        scene.fleet.kill("eastus")
        begun = judge.wait_for("switch", phase="begun")
        assert begun["from"] == "eastus", begun
        e2e.until(lambda: scene.fleet.primary() != "eastus", "it is switched", 30)
        verdict = [e for e in judge.has("verdict") if e.get("should_auto_failover")][0]
        assert "vantages" in verdict["reason"], verdict
        assert scene.epoch() == 2
        assert not [d.name for d in scene.daemons.values() if d is not judge and d.has("switch")]


def test_watches_of_one_place_are_one_vantage():
    places = {name: {"place": "office"} for name in "abc"}
    with etcd.Etcd() as cluster, Scene(cluster, further=0, options=WITHOUT_WITNESSES, **places) as scene:
        judge = scene.judge()
        scene.fleet.kill("eastus")
        judge.wait_for("state", region="eastus", state="dark")
        time.sleep(8)
        assert scene.fleet.primary() == "eastus" and scene.epoch() == 1 and not judge.has("switch")
        assert "1 vantage with evidence" in judge.has("verdict")[-1]["reason"], judge.has("verdict")[-1]


if __name__ == "__main__":
    enter_network()
    e2e.main(globals())
