"""azlin sync between real machines of provider-local: real sshd, rsync and rrsync, trees compared byte by byte."""
import json, os, shutil, signal, socket, stat, subprocess, tempfile, threading, time
import e2e
from machines import HOSTILE, clean_up, fill, make_hostile, need, no_keys, put, result, same, tree


def test_hostile_tree_is_byte_identical():
    for strategy in ("rsync", "stream"):
        copy_hostile("hostile-" + strategy, strategy)


def copy_hostile(name, strategy):
    home = need()
    make_hostile(home.at("eastus", name))
    path = ("--dest", "westus2", "--paths", "/home/azureuser/" + name)
    one, = result(home.sync("--source", "eastus", *path, "--strategy", strategy))
    same(home.at("eastus", name), home.at("westus2", name))
    assert one["strategy_used"] == strategy and one["verified"] is True and one["errors"] == []
    assert one["success_rate"] == 1.0 and one["files_synced"] >= len(HOSTILE) * 2
    assert one["source_region"] == "eastus" and one["target_region"] == "westus2"
    assert one["bytes_transferred"] > 0 and one["duration_seconds"] > 0
    assert os.stat(home.at("westus2", name, "zero")).st_nlink == 2
    again, = result(home.sync(*path))
    assert again["files_synced"] == 0 and again["verified"] is True and again["strategy_used"] == "none"
    no_keys(home)
    assert not os.path.exists(home.at("westus2", name, ".azlin-partial"))


def test_default_path_is_the_home_without_keys():
    home = need()
    put(home.at("eastus", "default", "note"), b"hello")
    put(home.at("eastus", ".ssh", "id_secret"), b"SECRET", 0o600)
    put(home.at("eastus", ".local", "state", "azlin", "kept"), b"7")
    put(home.at("eastus", ".local", "state", "other"), b"goes")
    before = open(home.at("westeurope", ".ssh", "authorized_keys")).read()
    one, = result(home.sync("--dest", "westeurope"))
    assert one["paths"] == ["/home/azureuser"] and one["verified"] is True
    assert open(home.at("westeurope", "default", "note")).read() == "hello"
    assert os.path.exists(home.at("westeurope", ".local", "state", "other"))
    assert not os.path.exists(home.at("westeurope", ".ssh", "id_secret"))
    assert not os.path.exists(home.at("westeurope", ".local", "state", "azlin", "kept"))
    assert open(home.at("westeurope", ".local", "state", "azlin", "epoch")).read() == "1\n", "it holds the primary's data now"
    assert open(home.at("westeurope", ".ssh", "authorized_keys")).read() == before
    os.unlink(home.at("eastus", ".ssh", "id_secret"))
    for path in ("/home/azureuser/.ssh", "/home/azureuser/.local/state/azlin"):
        refused, = result(home.sync("--dest", "westus2", "--paths", path), 2)
        assert "never copied" in refused["errors"][0], refused
    os.symlink(".ssh", home.at("eastus", "by-another-name"))
    refused, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/by-another-name"), 2)
    assert "never copied" in refused["errors"][0], refused
    os.unlink(home.at("eastus", "by-another-name"))


def test_all_regions_at_once():
    home = need()
    put(home.at("eastus", "all", "f"), b"to all")
    found = result(home.sync("--all", "--paths", "/home/azureuser/all"))
    assert sorted(r["target_region"] for r in found) == ["westeurope", "westus2"], found
    for region in ("westus2", "westeurope"):
        same(home.at("eastus", "all"), home.at(region, "all"))
    no_keys(home)


def test_one_file_and_a_path_that_is_missing_at_the_target():
    home = need()
    put(home.at("eastus", "single", "deep", "one file"), b"content", 0o640)
    put(home.at("eastus", "single", "deep", "other"), b"stays here")
    one, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/single/deep/one file"))
    assert one["verified"] is True and one["files_synced"] == 1, one
    assert os.listdir(home.at("westus2", "single", "deep")) == ["one file"]
    assert stat.S_IMODE(os.stat(home.at("westus2", "single", "deep", "one file")).st_mode) == 0o640


def test_multiple_paths_partial_failure():
    home = need()
    put(home.at("eastus", "many", "good", "f"), b"1")
    put(home.at("eastus", "many", "blocked", "f"), b"2")
    put(home.at("westus2", "many", "blocked"), b"a file where a folder must be")
    paths = ",".join("/home/azureuser/many/" + n for n in ("missing", "blocked", "good"))
    one, = result(home.sync("--dest", "westus2", "--paths", paths), 1)
    assert one["success_rate"] == 0.0 and one["verified"] is False
    assert "does not exist on eastus" in one["errors"][0] and "blocked" in one["errors"][1], one
    same(home.at("eastus", "many", "good"), home.at("westus2", "many", "good"))
    assert open(home.at("westus2", "many", "blocked")).read().startswith("a file")
    none, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/many/missing"), 2)
    assert none["files_synced"] == 0
    no_keys(home)


def test_unreadable_file_is_a_partial_failure():
    home = need()
    put(home.at("eastus", "unreadable", "fine"), b"1")
    put(home.at("eastus", "unreadable", "secret"), b"2", 0o000)
    if os.access(home.at("eastus", "unreadable", "secret"), os.R_OK):
        raise e2e.Skip("the machines' user is root here and reads everything")
    one, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/unreadable"), 1)
    assert "could not be transferred" in one["errors"][0], one
    assert any("Permission denied" in e for e in one["errors"]), one
    assert os.path.exists(home.at("westus2", "unreadable", "fine"))
    no_keys(home)


def test_immutable_target_is_a_partial_failure():
    home = need()
    put(home.at("eastus", "frozen", "f"), b"new")
    put(home.at("westus2", "frozen", "locked", "old"), b"old")
    put(home.at("eastus", "frozen", "locked", "f"), b"cannot get there")
    locked = home.at("westus2", "frozen", "locked")
    if subprocess.run(["chattr", "+i", locked], stderr=subprocess.DEVNULL).returncode != 0:
        raise e2e.Skip("this file system or user cannot make a folder immutable")
    try:
        one, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/frozen"), 1)
    finally:
        subprocess.run(["chattr", "-i", locked], check=True)
    assert any("CHANGED /home/azureuser/frozen/locked/f" in e for e in one["errors"]), one
    assert one["success_rate"] == 0.0 and one["verified"] is False, one
    assert open(home.at("westus2", "frozen", "f")).read() == "new"
    no_keys(home)


def test_equal_size_and_time_do_not_hide_other_content():
    home = need()
    path = home.at("eastus", "quick", "f")
    put(path, b"aaaa")
    result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/quick"))
    times = os.stat(path)
    put(path, b"bbbb")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    one, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/quick"))
    assert one["verified"] is True
    assert open(home.at("westus2", "quick", "f")).read() == "bbbb"


def test_a_source_that_changes_meanwhile_is_never_a_success():
    home = need()
    path = home.at("eastus", "busy", "f")
    put(path, b"start")
    put(home.at("eastus", "busy", "calm"), b"calm")
    over = threading.Event()

    def write():
        n = 0
        while not over.wait(0.002):
            n += 1
            with open(path, "r+b") as f:
                f.write(b"%05d" % (n % 100000))
            os.utime(path, (1700000000, 1700000000))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        one, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/busy"), 1)
    finally:
        over.set()
        writer.join()
    assert one["verified"] is False and one["success_rate"] == 0.0
    assert any(e.startswith("CHANGED /home/azureuser/busy/f") for e in one["errors"]), one
    assert open(home.at("westus2", "busy", "calm")).read() == "calm"
    no_keys(home)


def test_what_vanishes_behind_its_copy_is_reported():
    """It was compared with nothing, and may be half of one state and half of another."""
    for strategy in ("rsync", "stream"):
        vanish_behind("vanish-" + strategy, strategy, "--delete")
    vanish_behind("vanish-kept", "stream")


def vanish_behind(name, strategy, *more):
    home = need()
    here, there = home.at("eastus", name), home.at("westus2", name)
    put(os.path.join(here, "first", "a"), b"a")
    put(os.path.join(here, "last"), os.urandom(2 << 20))
    running = home.popen("sync", "-o", "json", "--dest", "westus2", "--paths", "/home/azureuser/" + name,
                         "--strategy", strategy, "--bwlimit", "700", *more)
    e2e.until(lambda: any("a" in names for _, _, names in os.walk(there)), "the first file has arrived in the stage")
    shutil.rmtree(os.path.join(here, "first"))
    out, err = running.communicate(timeout=60)
    one, = json.loads(out)["results"]
    assert running.returncode == 1 and one["verified"] is False, (one, err)
    assert one["errors"] == ["CHANGED /home/azureuser/%s/first: vanished from the source meanwhile" % name], one
    assert open(os.path.join(there, "first", "a")).read() == "a"
    result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/" + name, *more))
    assert os.path.exists(os.path.join(there, "first")) is not bool(more)
    no_keys(home)


def test_distance_is_told_by_bash_and_by_curl():
    script = os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "flows", "sync", "flow-sync-link-measure.sh")
    folder = tempfile.mkdtemp(dir=e2e.SCRATCH)

    def measure(port, *tools):
        path = tempfile.mkdtemp(dir=folder)
        for tool in tools:
            os.symlink(shutil.which(tool), os.path.join(path, tool))
        return subprocess.run(["/bin/sh", script, "127.0.0.1", str(port)], env={"PATH": path}, stdout=subprocess.PIPE,
                              text=True, check=True).stdout.strip()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        for tools in (("timeout", "bash"), ("timeout", "curl"), ("timeout", "bash", "curl")):
            assert 0 < float(measure(silent.getsockname()[1], *tools)) < 3, tools
        assert measure(silent.getsockname()[1]) == "", "nobody can tell"
        port = silent.getsockname()[1]
    assert measure(port, "timeout", "bash", "curl") == "shut"
    assert measure(port, "timeout", "bash") == "", "bash alone may be one without networks"
    shutil.rmtree(folder)


def test_dry_run_lists_and_changes_nothing():
    home = need()
    put(home.at("eastus", "dry", "new\nfile"), b"1")
    put(home.at("eastus", "dry", "changed"), b"new content")
    put(home.at("westus2", "dry", "changed"), b"old")
    put(home.at("westus2", "dry", "extra"), b"stays")
    before = tree(home.at("westus2", "dry"))
    one, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/dry", "--dry-run", "--delete"))
    assert tree(home.at("westus2", "dry")) == before
    items = "\n".join(one["items"])
    assert "*deleting   extra" in items and "changed" in items and "new\\012file" in items, items
    assert one["files_synced"] == 0 and one["dry_run"] is True and one["verified"] is False
    plain, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/dry", "--dry-run"))
    assert not any("deleting" in item for item in plain["items"]), plain
    put(home.at("eastus", "dry-only-here", "f"))
    missing, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/dry-only-here", "--dry-run"))
    assert any(item.endswith(" f") for item in missing["items"]), missing
    assert not os.path.exists(home.at("westus2", "dry-only-here"))
    shown = home.ok("sync", "--dest", "westus2", "--paths", "/home/azureuser/dry", "--dry-run")
    assert "nothing was changed" in shown.out and "changed" in shown.out, shown
    no_keys(home)


def test_delete_is_guarded():
    home = need()
    here, there = home.at("eastus", "guard"), home.at("westus2", "guard")
    path = ("--dest", "westus2", "--paths", "/home/azureuser/guard")
    fill(here, 4)
    result(home.sync(*path))
    fill(there, 8, 4)
    before = tree(there)
    result(home.sync(*path))
    assert tree(there) == before, "without --delete nothing goes"
    result(home.sync(*path, "--delete"))
    same(here, there)  # 4 of 8 is not more than half
    fill(there, 9, 4)
    before = tree(there)
    asked = home.sync(*path, "--delete")
    assert asked.code == 2 and asked.json()["error"]["error_type"] == "Declined", asked
    assert "5 of 9 files" in asked.err, asked
    assert tree(there) == before
    put(os.path.join(here, "new"), b"new")
    assert home.sync(*path, "--delete").code == 2
    assert tree(there) == before, "a declined run must copy nothing"
    one, = result(home.sync(*path, "--delete", "--yes"))
    assert one["files_deleted"] == 5, one
    same(here, there)
    put(os.path.join(there, "extra"), b"x")
    assert home.sync(*path, "--delete", "--max-delete", "0").code == 2
    result(home.sync(*path, "--delete", "--max-delete", "1"))
    same(here, there)
    no_keys(home)


def test_delete_refuses_an_empty_or_missing_source():
    home = need()
    there = home.at("westus2", "wiped")
    fill(there, 3)
    before = tree(there)
    path = ("--dest", "westus2", "--paths", "/home/azureuser/wiped", "--delete", "--yes")
    missing, = result(home.sync(*path), 2)
    assert "does not exist" in missing["errors"][0], missing
    os.makedirs(home.at("eastus", "wiped", "only", "folders"))
    empty, = result(home.sync(*path), 2)
    assert len(empty["errors"]) == 1 and "is empty on eastus" in empty["errors"][0], empty
    put(home.at("eastus", "wiped", "f.log"), b"left out")
    result(home.sync(*path, "--exclude", "*.log"), 2)
    assert tree(there) == before


def test_excluded_files_stay_out_and_stay_there():
    home = need()
    here, there = home.at("eastus", "exclude"), home.at("westus2", "exclude")
    for name in ("a.log", "keep", "cache/x", "src/cache/y", "src/keep"):
        put(os.path.join(here, name))
    put(os.path.join(there, "old.log"), b"excluded from deletion, too")
    args = ("--dest", "westus2", "--paths", "/home/azureuser/exclude", "--exclude", "*.log,/cache/", "--delete", "--yes")
    one, = result(home.sync(*args))
    assert one["verified"] is True
    assert sorted(tree(there)) == [b"keep", b"old.log", b"src", b"src/cache", b"src/cache/y", b"src/keep"], sorted(tree(there))


def test_delete_never_takes_what_is_left_out():
    home = need()
    here, there = home.at("eastus", "hidden"), home.at("westus2", "hidden")
    put(os.path.join(here, "stays"))
    for name in ("stays", "old/gone", "old/keep.log", "older/deep/gone"):
        put(os.path.join(there, name))
    args = ("--dest", "westus2", "--paths", "/home/azureuser/hidden", "--delete", "--yes")
    result(home.sync(*args, "--exclude", "*.log"))
    assert sorted(tree(there)) == [b"old", b"old/keep.log", b"stays"], sorted(tree(there))
    result(home.sync(*args))
    assert sorted(tree(there)) == [b"stays"], sorted(tree(there))
    put(home.at("eastus", "lonely"))
    before = open(home.at("westus2", ".ssh", "authorized_keys")).read()
    home.sync("--dest", "westus2", "--delete", "--yes")
    assert open(home.at("westus2", ".ssh", "authorized_keys")).read() == before
    assert os.path.isdir(home.at("westus2", ".local", "state", "azlin"))


def test_bwlimit_limits():
    home = need()
    put(home.at("eastus", "slow", "f"), os.urandom(1 << 20))
    slow, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/slow", "--bwlimit", "400"))
    assert slow["duration_seconds"] > 1.5, slow
    same(home.at("eastus", "slow"), home.at("westus2", "slow"))


def test_progress_is_reported():
    home = need()
    put(home.at("eastus", "progress", "f"), os.urandom(3 << 20))
    reply = home.ok("sync", "--dest", "westus2", "--paths", "/home/azureuser/progress", "--bwlimit", "2000", "-o", "jsonl")
    events = [json.loads(line) for line in reply.out.splitlines()]
    moving = [e for e in events if e.get("event") == "progress"]
    assert moving and moving[-1]["done"] <= moving[-1]["total"] == 3 << 20, moving
    assert any("ETA" in e["text"] for e in moving), moving


def test_strategies():
    home = need()
    put(home.at("eastus", "strategy", "f"))
    path = ("--dest", "westus2", "--paths", "/home/azureuser/strategy")
    for name in ("rsync", "stream", "auto"):
        put(home.at("eastus", "strategy", "for " + name))
        one, = result(home.sync(*path, "--strategy", name))
        assert one["strategy_used"] == name or name == "auto", one
        assert one["predicted_seconds"] > 0 and one["transfer_seconds"] > 0, one
    scores = {s["strategy"]: s for s in one["scores"]}
    assert set(scores) == {"rsync", "stream", "blob"}, one
    assert scores["blob"]["seconds"] < 0 and "endpoint" in scores["blob"]["reason"], one
    able = {name: s["seconds"] for name, s in scores.items() if s["seconds"] >= 0}
    assert one["strategy_used"] == min(able, key=able.get), one
    wrong = home.sync(*path, "--strategy", "rsnyc")
    assert wrong.code == 64 and "did you mean 'rsync'?" in wrong.json()["error"]["error_message"], wrong


def test_bad_usage_changes_nothing():
    home = need()
    before = tree(home.at("westus2"))
    for words, says in (
            (("--source", "westus2", "--dest", "westus2"), "source and target regions cannot be the same"),
            (("--dest", "eastus"), "source and target regions cannot be the same"),
            ((), "no target is named"),
            (("--dest", "westus2", "--all"), "exclude each other"),
            (("--dest", "westus3"), "does not exist"),
            (("--dest", "westus2", "--paths", "relative"), "relative"),
            (("--dest", "westus2", "--paths", "/home/../etc"), ".."),
            (("--dest", "westus2", "--paths", "/home/a\nb"), ""),
            (("--dest", "westus2", "--paths", ""), "empty"),
            (("--dest", "westus2", "--paths", "/etc"), "/etc"),
            (("--dest", "westus2", "--paths", "/home/azureuser/x,/home/azureuser/x"), "twice"),
            (("--dest", "westus2", "--bwlimit", "0"), "positive"),
            (("--dest", "westus2", "--max-delete", "3"), "--delete"),
            (("--dest", "westus2", "--exclude", "a[[:x:]]"), "exclude pattern")):
        reply = home.sync(*words)
        assert reply.code == 64, "%r: %r" % (words, reply)
        assert says in reply.json()["error"]["error_message"], reply
    assert tree(home.at("westus2")) == before
    no_keys(home)


def test_screen_follows_the_sample():
    home = need()
    put(home.at("eastus", "screen", "f"), b"12345")
    shown = home.ok("sync", "--dest", "westus2", "--paths", "/home/azureuser/screen").out
    for line in ("► Estimating transfer size...", "✓ Total: 1 files, 5B", "► Choosing sync strategy...", "✓ Strategy: ",
                 "► Syncing eastus → westus2...", "✓ Sync complete in ", "  Files synced: 1", "  Data transferred: 5B",
                 "  Success rate: 100%", "To verify: azlin ssh --region westus2"):
        assert line in shown, "%s is missing:\n%s" % (line, shown)


def test_verify_compares_with_what_was_synced():
    home = need()
    here, there = home.at("eastus", "recheck"), home.at("westus2", "recheck")
    path = ("--dest", "westus2", "--paths", "/home/azureuser/recheck")
    for name in ("a", "deep/b", "deep/c"):
        put(os.path.join(here, name), name.encode() * 9)
    missing = home.run("sync", "verify", *path, "-o", "json")
    assert missing.code == 2 and "no verified sync" in missing.json()["results"][0]["errors"][0], missing
    result(home.sync(*path))
    one, = home.ok("sync", "verify", *path, "-o", "json").json()["results"]
    assert one["verified"] is True and one["files_checked"] == 3 and one["source_region"] == "eastus", one
    put(os.path.join(there, "extra"), b"nobody asked about it")
    put(os.path.join(here, "a"), b"the source may go on")
    home.ok("sync", "verify", *path)
    times = os.stat(os.path.join(there, "deep", "b"))
    put(os.path.join(there, "deep", "b"), b"x" * times.st_size)
    os.utime(os.path.join(there, "deep", "b"), ns=(times.st_atime_ns, times.st_mtime_ns))
    os.unlink(os.path.join(there, "deep", "c"))
    reply = home.run("sync", "verify", "-o", "json", "--dest", "westus2")
    errors = [e for r in reply.json()["results"] for e in r["errors"]]
    assert reply.code == 1, reply
    assert any("recheck/deep/b: other content" in e for e in errors) and any("recheck/deep/c: is gone" in e for e in errors), errors
    one, = result(home.sync(*path, "--verify"))
    assert one["verified"] is True
    same(os.path.join(here, "deep"), os.path.join(there, "deep"))


def test_a_full_verification_believes_no_hash_of_an_earlier_run():
    home = need()
    here, there = home.at("eastus", "bitrot"), home.at("westus2", "bitrot")
    path = ("--dest", "westus2", "--paths", "/home/azureuser/bitrot")
    put(os.path.join(here, "f"), b"a" * 5000)
    result(home.sync(*path))
    folder = os.path.join(home.path, "sync")
    for name in os.listdir(folder): # as if the disk had changed under it: what is known of it is wrong
        if name.endswith(".hash"):
            with open(os.path.join(folder, name), "r+") as f:
                lines = [line.rsplit(" ", 1)[0] + " " + "0" * 64 for line in f.read().splitlines()]
                f.seek(0)
                f.write("\n".join(lines) + "\n")
    put(os.path.join(there, "g"), b"here alone")
    one, = result(home.sync(*path, "--verify"))
    assert one["verified"] is True and one["files_synced"] == 0, one


def events_of(process, seen):
    for line in process.stdout:
        seen.append(json.loads(line))


def wait_for(what, seconds=20):
    end = time.time() + seconds
    while not what():
        assert time.time() < end, "it did not come"
        time.sleep(0.02)


def test_watch_keeps_targets_in_step_and_says_how_far_behind():
    home = need()
    here = home.at("eastus", "live")
    put(os.path.join(here, "a"), b"1")
    process = home.popen("sync", "--watch", "--all", "--paths", "/home/azureuser/live", "--interval", "1", "-o", "jsonl")
    seen = []
    reader = threading.Thread(target=events_of, args=(process, seen))
    reader.start()
    try:
        wait_for(lambda: any(e["event"] == "lag" for e in seen))
        for region in ("westus2", "westeurope"):
            same(here, home.at(region, "live"))
        put(os.path.join(here, "b"), b"2")
        os.unlink(os.path.join(here, "a"))
        wait_for(lambda: os.path.exists(home.at("westus2", "live", "b")) and os.path.exists(home.at("westeurope", "live", "b")))
        assert os.path.exists(home.at("westus2", "live", "a")), "nothing goes without --delete"
        rounds = len([e for e in seen if e["event"] == "lag"])
        wait_for(lambda: len([e for e in seen if e["event"] == "lag"]) > rounds)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(20)
        reader.join(20)
    lags = [e for e in seen if e["event"] == "lag"]
    assert code in (0, 130), code
    assert all(0 <= r["lag_seconds"] < 15 for r in lags[-1]["regions"]) and len(lags[-1]["regions"]) == 2, lags[-1]
    with open(os.path.join(home.path, "sync", "fresh.ini")) as f:
        text = f.read()
    assert "[eastus]" in text and "westus2=" in text and "westeurope=" in text, text
    assert home.sync("--watch", "--dry-run", "--all").code == 64
    assert home.sync("--interval", "3", "--all").code == 64
    no_keys(home)


def test_watch_hears_of_changes_where_the_source_can_tell():
    if shutil.which("inotifywait") is None:
        raise e2e.Skip("inotifywait (inotify-tools) is not there")
    home = need()
    here = home.at("eastus", "heard")
    put(os.path.join(here, "a"), b"1")
    process = home.popen("sync", "--watch", "--dest", "westus2", "--paths", "/home/azureuser/heard", "--interval", "3600",
                         "-o", "jsonl")
    seen = []
    reader = threading.Thread(target=events_of, args=(process, seen))
    reader.start()
    try:
        # the second one comes when the source begins to listen, for what changed before that
        wait_for(lambda: len([e for e in seen if e["event"] == "lag"]) >= 2)
        for i in range(3):
            put(os.path.join(here, "new folder %d" % i, "b"), b"%d" % i)
            wait_for(lambda: os.path.exists(home.at("westus2", "heard", "new folder %d" % i, "b")), 10)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        reader.join(20)
    same(here, home.at("westus2", "heard"))
    no_keys(home)


def test_resume_goes_on_with_what_was_interrupted():
    home = need()
    put(home.at("eastus", "resumed", "f"), os.urandom(4 << 20))
    args = ("sync", "--source", "eastus", "--dest", "westus2", "--paths", "/home/azureuser/resumed")
    home.ok(*args)
    put(home.at("eastus", "resumed", "g"), os.urandom(4 << 20))
    process = home.popen(*args, "--bwlimit", "300")
    time.sleep(2)
    process.kill()
    process.wait()
    home.run("recover")
    assert home.run("sync", "--resume", "--all").code == 64
    one, = result(home.sync("--resume"))
    assert one["verified"] is True and one["paths"] == ["/home/azureuser/resumed"] and one["target_region"] == "westus2", one
    same(home.at("eastus", "resumed"), home.at("westus2", "resumed"))
    none = home.sync("--resume")
    assert none.code != 0 and "no sync was interrupted" in none.json()["error"]["error_message"], none
    no_keys(home)


def test_zz_clean_up():
    clean_up()


e2e.main(globals())
