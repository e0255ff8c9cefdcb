"""Policy and its verbs, pending fences, commit window, ways back and hooks, against provider-sim on its virtual clock."""
import json, os
import e2e
from fleet import Cloud, REGIONS

DARK = "probe eastus timeout"
NO_POWER = (DARK, "power eastus hang", "get eastus hang")
NO_FENCE = NO_POWER + ("isolate eastus hang",)


def state_path(cloud):
    return os.path.join(cloud.path, "failover.json")


def state_of(cloud):
    with open(state_path(cloud)) as f:
        return json.load(f)


def set_state(cloud, **parts):
    state = state_of(cloud)
    for key, value in parts.items():
        state[key] = dict(state[key] or {}, **value) if isinstance(value, dict) else value
    with open(state_path(cloud), "w") as f:
        json.dump(state, f)


def audited(cloud, what):
    return [e["facts"] for e in cloud.ok("audit", "show", "-o", "json").json()["events"] if e["what"] == what]


def held(r, *texts):
    """Exit 3, one sentence, and the command that changes it."""
    error = r.json()["error"]
    assert r.code == 3, r
    assert "\n" not in error["error_message"] and not error["error_message"].endswith("."), error
    said = error["error_message"] + " " + " ".join(error["resolution_steps"])
    for text in texts:
        assert text in said, (text, r)


# ---- policy ----

def test_pause_holds_back_until_resume():
    with Cloud() as cloud:
        cloud.ok("failover", "pause", "--reason", "network works")
        r = cloud.ok("regions", "list")
        assert "network works" in r.out and "azlin failover resume" in r.out, r
        assert cloud.ok("regions", "list", "-o", "json").json()["failover"]["pause_reason"] == "network works"
        cloud.faults(DARK)
        r = cloud.run("failover", "--check-only")
        assert r.code == 3 and "network works" in r.out and "azlin failover resume" in r.out, r
        r, result = cloud.failover("--auto")
        held(r, "paused since", "network works", "azlin failover resume")
        assert cloud.primary() == "eastus"
        assert "again" in cloud.ok("failover", "resume").out
        assert "Nothing was paused" in cloud.ok("failover", "resume").out
        assert cloud.run("failover", "--check-only").code == 1
        assert cloud.failover("--auto")[0].code == 0
        assert len(audited(cloud, "failover.pause")) == 1 and len(audited(cloud, "failover.resume")) == 1


def test_a_pause_does_not_bind_the_operator():
    with Cloud() as cloud:
        cloud.ok("failover", "pause")
        r = cloud.ok("failover", "--to", "westus2", "--yes")
        assert "It would not happen by itself: failovers are paused" in r.out, r
        assert cloud.primary() == "westus2"


def test_a_pause_runs_out():
    with Cloud() as cloud:
        cloud.ok("failover", "pause", "--ttl", "2h")
        cloud.faults(DARK)
        held(cloud.failover("--auto")[0], "until 20")
        set_state(cloud, paused={"until": "2001-01-01T00:00:00Z"})
        assert cloud.failover("--auto")[0].code == 0


def test_pause_takes_times_and_refuses_others():
    with Cloud() as cloud:
        for text in ("90", "90s", "15m", "2h", "1d", "366d"):
            cloud.ok("failover", "pause", "--ttl", text)
        for text in ("0", "", "h", "-5", "1.5h", "2w", "367d", "99999999999999999999", "5 m"):
            r = cloud.run("failover", "pause", "--ttl=" + text)
            assert r.code == 64 and "15m" in r.err, (text, r)
        assert cloud.run("failover", "pause", "--reason", "x" * 201).code == 64


def test_cool_down_until_ack():
    with Cloud() as cloud:
        cloud.faults(DARK)
        assert cloud.failover("--auto")[0].code == 0
        cloud.faults("probe westus2 timeout")
        held(cloud.failover("--auto")[0], "cools down for another", "azlin failover ack")
        r = cloud.run("failover", "--check-only")
        assert r.code == 3 and "azlin failover ack" in r.out, r
        cloud.ok("failover", "ack")
        assert "No automatic switch waits" in cloud.ok("failover", "ack").out
        r, result = cloud.failover("--auto")
        assert r.code == 0 and result["target_region"] == "westeurope", r
        assert [f["epoch"] for f in audited(cloud, "failover.ack")] == [2]


def test_cool_down_ignored_by_hand_and_by_option():
    with Cloud() as cloud:
        cloud.faults(DARK)
        assert cloud.failover("--auto")[0].code == 0
        cloud.faults("probe westus2 timeout")
        r = cloud.ok("failover", "--to", "westeurope", "--yes")
        assert "cools down" in r.out, r
    with Cloud(failover="cool-down=0") as cloud:
        cloud.faults(DARK)
        assert cloud.failover("--auto")[0].code == 0
        cloud.faults("probe westus2 timeout")
        assert cloud.failover("--auto")[0].code == 0


def test_data_age_bounds_automation():
    with Cloud(failover="max-sync-age=600") as cloud:
        cloud.faults(DARK)
        r = cloud.run("failover", "--check-only")
        assert r.code == 3 and "no verified sync" in r.out, r
        held(cloud.failover("--auto")[0], "no verified sync to westus2", "10m", "azlin failover --to westus2")
        r = cloud.ok("failover", "--to", "westus2", "--yes")
        assert "No verified sync to westus2 is on record" in r.out, r


def test_never_promote_is_passed_over():
    with Cloud(failover="never-promote=westus2") as cloud:
        cloud.faults(DARK)
        r, result = cloud.failover("--auto")
        assert r.code == 0 and result["target_region"] == "westeurope", r
    with Cloud("eastus", "westus2", failover="never-promote=westus2") as cloud:
        cloud.faults(DARK)
        held(cloud.failover("--auto")[0], "azlin failover --to")
        held(cloud.failover("--auto", "--to", "westus2")[0], "never-promote", "azlin failover --to westus2")
        assert cloud.primary() == "eastus"
        cloud.ok("failover", "--to", "westus2", "--yes")


def test_a_state_that_cannot_be_read_stops_everything_and_loses_nothing():
    with Cloud() as cloud:
        cloud.ok("failover", "pause")
        for text in ("", "{", '{"paused": true}', "\x00\xff"):
            with open(state_path(cloud), "w", encoding="latin-1") as f:
                f.write(text)
            for args in (("failover", "--auto"), ("failover", "--to", "westus2", "--yes"), ("failover", "--check-only"),
                         ("failover", "pause"), ("failover", "resume"), ("failover", "ack"), ("failover", "commit"),
                         ("failover", "rollback", "--yes"), ("failover", "--back", "--yes"), ("recover", "--yes"),
                         ("regions", "set-primary", "westus2")):
                r = cloud.run(*args)
                assert r.code == 78 and "failover.json" in r.err and "azlin audit show" in r.err, (args, r)
            with open(state_path(cloud), encoding="latin-1") as f:
                assert f.read() == text
            r = cloud.ok("regions", "list")
            assert "failover.json" in r.out + r.err, r
        assert cloud.primary() == "eastus"
        os.unlink(state_path(cloud))
        cloud.ok("failover", "--to", "westus2", "--yes")


# ---- fences that stay pending ----

def test_a_fence_that_is_pending_is_shown_and_retried():
    with Cloud() as cloud:
        cloud.faults(*NO_FENCE)
        r, result = cloud.failover("--auto")
        assert r.code == 0 and result["fence"] == "unconfirmed" and cloud.primary() == "westus2", r
        assert [f["region"] for f in result["policy"]["fences_pending"]] == ["eastus"], r
        for r in (cloud.ok("regions", "list"), cloud.run("failover", "--check-only")):
            assert "eastus" in r.out and "its fence is pending" in r.out and "azlin recover" in r.out, r
        r = cloud.run("recover", "--yes")
        assert r.code == 1 and state_of(cloud)["fences"][0]["attempts"] == 1, r
        cloud.faults(DARK)
        r = cloud.ok("recover", "--yes")
        assert state_of(cloud)["fences"] == [] and cloud.power("eastus")["power_state"] == "stopped", r
        assert [f["outcome"] for f in audited(cloud, "failover.fence")] == ["confirmed"]
        assert "Nothing to recover" in cloud.ok("recover", "--yes").out


def test_a_stale_primary_is_entered_and_promoted_by_nobody():
    with Cloud() as cloud:
        cloud.faults(*NO_FENCE)
        assert cloud.failover("--auto")[0].code == 0
        cloud.faults()
        r = cloud.run("ssh", "--region", "eastus", "--", "true")
        assert r.code == 5 and "stale primary (epoch 1 < 2)" in r.err and "azlin recover" in r.err, r
        held(cloud.failover("--to", "eastus", "--yes")[0], "still to be fenced", "azlin recover")
        held(cloud.run("failover", "--back", "--yes", "-o", "json"), "a fence is pending", "azlin recover")
        held(cloud.run("regions", "set-primary", "eastus", "-o", "json"), "fence is pending", "ack --fenced eastus")
        assert cloud.primary() == "westus2"
        assert "you answer for it" in cloud.ok("failover", "ack", "--fenced", "eastus").out
        assert "No fence of eastus is pending" in cloud.ok("failover", "ack", "--fenced", "eastus").out
        cloud.ok("regions", "set-primary", "eastus")
        assert [f["outcome"] for f in audited(cloud, "failover.fence")] == ["fenced, says the operator"]


def test_a_machine_that_is_gone_needs_no_fence():
    with Cloud() as cloud:
        cloud.faults(*NO_FENCE)
        assert cloud.failover("--auto")[0].code == 0
        cloud.faults()
        cloud.ok("regions", "remove", "eastus")
        cloud.ok("recover", "--yes")
        assert state_of(cloud)["fences"] == []
        assert [f["outcome"] for f in audited(cloud, "failover.fence")] == ["no longer on record"]


def test_started_again_it_is_told_first():
    with Cloud() as cloud:
        cloud.faults(*NO_FENCE)
        assert cloud.failover("--auto")[0].code == 0
        cloud.faults()
        r = cloud.ok("vm", "start", "--region", "eastus")
        assert "not primary any more (epoch 2)" in r.out, r
        assert state_of(cloud)["fences"] == []
        assert [f["epoch"] for f in audited(cloud, "failover.returned")] == [2]


def test_isolation_is_the_second_rung():
    with Cloud() as cloud:
        cloud.faults(*NO_POWER)
        r, result = cloud.failover("--auto")
        assert r.code == 0 and result["fence"] == "isolated" and cloud.primary() == "westus2", r
        assert result["policy"]["fences_pending"] == [] and state_of(cloud)["isolated"] == ["eastus"], r
        assert result["duration_seconds"] < 60, r
        cloud.faults()
        assert cloud.run("ssh", "--region", "eastus", "-o", "json").code == 0, "only a pending fence bars the way"
        r = cloud.ok("vm", "start", "--region", "eastus")
        assert "not primary any more (epoch 2)" in r.out and state_of(cloud)["isolated"] == [], r
        assert cloud.ok("regions", "health").code == 0


def test_what_cannot_be_told_stays_cut_off():
    with Cloud() as cloud:
        cloud.faults(*NO_POWER)
        assert cloud.failover("--auto")[0].code == 0
        cloud.faults("exec eastus * 1")
        r = cloud.run("vm", "start", "--region", "eastus")
        assert r.code == 1 and "could not be told" in r.err, r
        cloud.faults()
        assert state_of(cloud)["isolated"] == ["eastus"]
        assert cloud.run("regions", "health").code == 1, "it is cut off again"
        cloud.ok("vm", "start", "--region", "eastus")
        assert cloud.run("regions", "health").code == 0


def test_an_isolation_is_undone_with_the_switch():
    with Cloud(failover="unfenced=never") as cloud:
        cloud.faults(*NO_FENCE[:-1], "isolate eastus fail permission x1")
        r, result = cloud.failover("--auto")
        assert r.code == 1 and cloud.primary() == "eastus", r
        cloud.faults()
        cloud.run("recover", "--yes")
        assert cloud.run("regions", "health").code == 0


def test_unfenced_never_goes_back():
    with Cloud(failover="unfenced=never") as cloud:
        cloud.faults(*NO_FENCE)
        r, result = cloud.failover("--auto")
        assert r.code == 1 and cloud.primary() == "eastus", r
        assert "unfenced=epoch" in " ".join(result["error"]["resolution_steps"]), r
        assert not os.path.exists(state_path(cloud)) or state_of(cloud)["fences"] == []
        cloud.faults(DARK)
        cloud.run("recover", "--yes")
        assert cloud.failover("--auto")[0].code == 0


# ---- the commit window ----

def windowed(cloud):
    cloud.faults(DARK)
    r, result = cloud.failover("--auto")
    assert r.code == 0, r
    cloud.faults()
    cloud.ok("vm", "start", "--region", "eastus")
    return r


def run_out(cloud):
    set_state(cloud, window={"until": "2001-01-01T00:00:00Z"})


def test_commit_keeps_the_switch():
    with Cloud(failover="commit-window=600") as cloud:
        windowed(cloud)
        assert "azlin failover commit" in cloud.ok("regions", "list").out
        cloud.faults("probe westus2 timeout")
        held(cloud.failover("--auto")[0], "waits for its confirmation", "azlin failover commit")
        cloud.faults()
        assert "stays" in cloud.ok("failover", "commit").out
        assert "No switch waits" in cloud.ok("failover", "commit").out
        assert "Nothing to do" in cloud.ok("failover", "rollback", "--due").out
        assert cloud.run("failover", "rollback", "--yes").code == 3
        assert cloud.primary() == "westus2" and len(audited(cloud, "failover.commit")) == 1


def test_a_window_that_ran_out_is_taken_back_by_recover():
    with Cloud(failover="commit-window=600") as cloud:
        windowed(cloud)
        assert "Nothing to do" in cloud.ok("failover", "rollback", "--due").out
        assert cloud.primary() == "westus2"
        run_out(cloud)
        assert "was not confirmed" in cloud.ok("regions", "list").out
        cloud.ok("recover", "--yes")
        assert cloud.primary() == "eastus" and state_of(cloud)["window"] is None
        assert audited(cloud, "failover")[-1]["cause"] == "rollback"
        assert all(cloud.power(r)["power_state"] == "running" for r in REGIONS)


def test_a_window_that_ran_out_is_taken_back_by_the_next_failover():
    with Cloud(failover="commit-window=600") as cloud:
        windowed(cloud)
        run_out(cloud)
        r, result = cloud.failover("--auto")
        assert r.code == 0 and result["target_region"] == "eastus" and cloud.primary() == "eastus", r


def test_where_it_cannot_be_taken_back_it_stays():
    with Cloud(failover="commit-window=600") as cloud:
        windowed(cloud)
        run_out(cloud)
        cloud.faults(DARK)
        assert cloud.run("failover", "rollback", "--yes").code == 1
        cloud.ok("recover", "--yes")
        assert cloud.primary() == "westus2" and state_of(cloud)["window"] is None
        assert [f["outcome"] for f in audited(cloud, "failover.kept")] == ["eastus is not healthy"]


def test_a_later_switch_ends_the_window():
    with Cloud(failover="commit-window=600") as cloud:
        windowed(cloud)
        cloud.ok("failover", "--to", "westeurope", "--yes")
        assert state_of(cloud)["window"] is None
        r = cloud.run("failover", "rollback", "--yes", "-o", "json")
        held(r, "nothing to take back", "azlin failover --back")
    with Cloud(failover="commit-window=600") as cloud:
        windowed(cloud)
        cloud.ok("regions", "set-primary", "westeurope")
        run_out(cloud)
        held(cloud.run("failover", "rollback", "--yes", "-o", "json"), "followed by another one")
        assert cloud.primary() == "westeurope"


def test_no_window_unless_asked_for():
    with Cloud() as cloud:
        windowed(cloud)
        assert state_of(cloud)["window"] is None
    with Cloud(failover="commit-window=600") as cloud:
        cloud.ok("failover", "--to", "westus2", "--yes")
        assert state_of(cloud)["window"] is None


# ---- hooks ----

def put_hook(cloud, name, text, mode=0o700):
    folder = os.path.join(cloud.path, "hooks")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, mode)
    return path


def test_hooks_are_told_from_to_epoch_and_reason():
    with Cloud() as cloud:
        said = os.path.join(cloud.root, "said")
        put_hook(cloud, "failover-pre", 'echo "pre $*" >> %s; env > %s.env\n' % (said, said))
        put_hook(cloud, "failover-post", 'echo "post $*" >> %s\n' % said)
        cloud.ok("failover", "--to", "westus2", "--yes")
        cloud.faults("probe westus2 timeout")
        assert cloud.failover("--auto", "--to", "eastus")[0].code == 0
        with open(said) as f:
            assert f.read().splitlines() == ["pre eastus westus2 2 manual", "post eastus westus2 2 manual",
                                             "pre westus2 eastus 3 automatic", "post westus2 eastus 3 automatic"]
        with open(said + ".env") as f:
            assert "AZLIN_HOME" not in f.read() and "ASAN_OPTIONS" not in f.read()


def test_the_pre_hook_may_veto():
    with Cloud() as cloud:
        put_hook(cloud, "failover-pre", "printf 'not on \\033[31mFridays\\nSECONDLINE' >&2; exit 7\n")
        cloud.faults(DARK)
        r, result = cloud.failover("--auto")
        held(r, "does not allow the switch: not on [31mFridays")
        assert "\033" not in r.err + r.out and "SECONDLINE" not in r.err + r.out, r
        assert result["fence"] is None and cloud.primary() == "eastus"
        assert cloud.power("eastus")["power_state"] == "running", "a veto comes before the fence"
        assert "Nothing to recover" in cloud.ok("recover", "--yes").out
        put_hook(cloud, "failover-pre", "exit 3\n")
        held(cloud.failover("--to", "westus2", "--yes")[0], "(status 3)")


def test_a_hook_that_others_can_write_is_refused():
    with Cloud() as cloud:
        path = put_hook(cloud, "failover-pre", "exit 0\n", 0o722)
        r = cloud.run("failover", "--to", "westus2", "--yes")
        assert r.code == 78 and "can be written by others" in r.err and cloud.primary() == "eastus", r
        os.unlink(path)
        os.symlink("/bin/true", path)
        assert cloud.run("failover", "--to", "westus2", "--yes").code == 78
        os.unlink(path)
        os.symlink("/nowhere", path)
        assert cloud.run("failover", "--to", "westus2", "--yes").code == 78
        os.unlink(path)
        put_hook(cloud, "failover-pre", "exit 0\n", 0o600)
        held(cloud.failover("--to", "westus2", "--yes")[0], "hooks/failover-pre")
        os.unlink(path)
        said = os.path.join(cloud.root, "said")
        put_hook(cloud, "failover-post", "touch %s\n" % said, 0o722)
        r = cloud.ok("failover", "--to", "westus2", "--yes")
        assert "hooks/failover-post was not run" in r.out and not os.path.exists(said), r


def test_a_post_hook_that_fails_is_a_warning():
    with Cloud() as cloud:
        put_hook(cloud, "failover-post", "echo no luck >&2; exit 4\n")
        r = cloud.ok("failover", "--to", "westus2", "--yes")
        assert "status 4: no luck" in r.out and cloud.primary() == "westus2", r


# ---- the command line ----

def test_words_below_failover():
    with Cloud() as cloud:
        r = cloud.run("failover", "puase")
        assert r.code == 64 and "failover pause" in r.err, r
        r = cloud.run("failover", "--auto", "pause")
        assert r.code == 64 and "behind its name" in r.err, r
        r = cloud.run("failover", "--back", "--auto")
        assert r.code == 64, r
        for word in ("pause", "resume", "ack", "commit", "rollback"):
            assert word in cloud.ok("complete", "--", "failover", "").out.split(), word
            assert "failover " + word in cloud.ok("failover", "--help").out
            assert cloud.ok("failover", word, "--help").out
        assert "--ttl" in cloud.ok("complete", "--", "failover", "pause", "--").out.split()
        assert "--ttl" not in cloud.ok("complete", "--", "failover", "--").out.split()


if __name__ == "__main__":
    e2e.main(globals())
