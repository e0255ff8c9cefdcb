"""azlin status: one screen of what stands, from what is on record, in calm and in trouble."""
import json, os
import e2e
from e2e import Home

SIM = "[bricks]\nprovider=sim\n"


def facts(home, *words):
    return home.ok("status", *words, "-o", "json").json()


def test_nothing_stands_yet():
    with Home(SIM) as home:
        empty = facts(home)
        assert empty["regions"] == [] and empty["primary"] is None and empty["last_drill"] is None, empty
        assert empty["journal"] == {"open": 0, "abandoned": 0} and empty["azlind"] is False, empty
        assert "No regions yet" in home.ok("status").out


def test_one_screen_of_what_stands():
    with Home(SIM) as home:
        home.ok("deploy", "-r", "eastus,westus2", "--vm-name", "vm")
        home.ok("failover", "pause")
        told = facts(home)
        assert [(r["region"], r["is_primary"], r["lag_seconds"], r["fence_pending"]) for r in told["regions"]] == [
            ("eastus", True, None, False), ("westus2", False, None, False)], told
        assert told["primary"] == "eastus" and told["failover"]["paused"] is True and told["coordinator"] == "file", told
        screen = home.ok("status").out
        for words in ("eastus, epoch 1", "paused; to go on: azlin failover resume", "nothing is open", "never verified",
                      "azlind does not run", "azlin failover --drill shows"):
            assert words in screen, (words, screen)
        home.ok("failover", "resume")
        assert "nothing holds it back" in home.ok("status").out


def test_what_was_left_open_is_shown():
    with Home(SIM) as home:
        home.ok("deploy", "-r", "eastus", "--vm-name", "vm")
        with open(os.path.join(home.path, "failover.json"), "w") as f:
            f.write("no state")
        screen = home.ok("status")
        assert "nobody knows what holds it back" in screen.out, screen


if __name__ == "__main__":
    e2e.main(globals())
