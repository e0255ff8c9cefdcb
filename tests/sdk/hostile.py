"""Hostile plugins through the program: it says what is wrong, goes on or ends with the right code, and makes nothing."""
import os, shutil

from e2e import Home, main

HOSTILE = os.environ["AZLIN_HOSTILE_DIR"]
PATH = {"AZLIN_PLUGIN_PATH": HOSTILE + ":" + os.environ["AZLIN_PLUGIN_PATH"]}


def deploy(coordinator, env=PATH):
    with Home("[bricks]\nprovider=sim\ncoordinator=%s\n" % coordinator) as home:
        r = home.run("deploy", "-r", "us", env=env)
        return r, os.path.exists(os.path.join(home.path, "config.json"))


def test_list_shows_each_with_its_reason():
    with Home() as home:
        bricks = home.ok("bricks", "list", "-o", "json", env=PATH).json()["bricks"]
        reasons = {b["name"]: b["summary"] for b in bricks if b["state"] == "refused"}
        assert len(reasons) >= 12 and len(set(reasons.values())) == len(reasons), reasons
        assert "newer ABI" in reasons["newer-minor"] and "required slot renew" in reasons["missing-slot"], reasons
        assert {"rsync", "good", "sim"} <= {b["name"] for b in bricks if b["state"] != "refused"}, bricks


def test_refused_plugins_end_with_78():
    for name, words in (("missing-slot", "required slot renew"), ("newer-minor", "newer ABI"), ("no-symbol", "no azlin plugin"),
                        ("other-major", "ABI 2"), ("short-plugin", "short descriptor"), ("init-fails", "wrong phase")):
        r, stored = deploy(name)
        assert r.code == 78 and words in r.err and not stored, (name, r)


def test_silent_coordinator_ends_with_4():
    r, stored = deploy("never-calls-back")
    assert r.code == 4 and "did not answer" in r.err and not stored, r


def test_wrong_result_ends_with_4():
    r, stored = deploy("wrong-result")
    assert r.code == 4 and "gave no token" in r.err and not stored, r


def test_double_callback_is_harmless():
    r, stored = deploy("double-callback")
    assert r.code == 0 and stored, r


def test_writable_plugin_folder():
    with Home() as home:
        folder = os.path.join(home.root, "open")
        os.mkdir(folder)
        shutil.copy(os.path.join(HOSTILE, "coordinator-good.so"), folder)
        os.chmod(folder, 0o777)
        env = {"AZLIN_PLUGIN_PATH": folder + ":" + os.environ["AZLIN_PLUGIN_PATH"]}
        r, stored = deploy("good", env)
        assert r.code == 78 and "can be written by others" in r.err and not stored, r
        os.chmod(folder, 0o755)
        assert deploy("good", env)[0].code == 0


if __name__ == "__main__":
    main(dict(globals()))
