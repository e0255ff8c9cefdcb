"""azlin.conf through the program: what is wrong is said once, with the nearest word and exit 78, and nothing is made."""
import os

from e2e import Home, main


def refused(config, words, *args, mode=0o600):
    with Home(config) as home:
        os.chmod(home.config, mode)
        r = home.run(*(args or ("regions", "list")))
        assert r.code == 78, r
        assert words in r.err and r.out == "", r
        assert not os.path.exists(home.path), "something was made: %r" % os.listdir(home.path)
        if mode == 0o600:
            doc = home.run(*(args or ("regions", "list")), "-o", "json").json()
            assert doc["error"]["error_type"] == "InvalidConfig" and words in doc["error"]["error_message"], doc


def test_unknown_key():
    refused("[ssh]\nusr=a\n", "unknown key 'usr' in [ssh]; did you mean 'user'?")


def test_unknown_group():
    refused("[brick]\nprovider=sim\n", "unknown group [brick]; did you mean [bricks]?")


def test_unknown_key_of_a_brick():
    refused("[bricks]\nprovider=sim\n[provider.sim]\nsede=2\n", "unknown key 'sede' in [provider.sim]; did you mean 'seed'?",
            "deploy", "-r", "us")


def test_bad_value_of_a_brick():
    refused("[bricks]\nprovider=sim\n[provider.sim]\ncreate-seconds=-1\n", "'-1' is not a whole number", "deploy", "-r", "us")


def test_unknown_brick():
    refused("[bricks]\nprovider=smi\n", "no brick 'provider-smi' is installed; did you mean 'provider-sim'?",
            "deploy", "-r", "us")
    refused("[bricks]\nprovider=sim\ndeployer=paralel\n", "did you mean 'deployer-parallel'?", "deploy", "-r", "us")


def test_writable_by_others():
    refused("[ssh]\nuser=a\n", "can be written by others", mode=0o666)


def test_missing_explicit_file():
    with Home() as home:
        r = home.run("--config", os.path.join(home.root, "absent.conf"), "regions", "list")
        assert r.code == 78 and "absent.conf" in r.err, r


def test_defaults_reach_the_plan():
    with Home("[bricks]\nprovider=sim\n[defaults]\nvm-size=Standard_D4s\nimage=Debian12\nresource-group=team\n") as home:
        plan = home.ok("deploy", "-r", "us", "--dry-run", "-o", "json").json()["plan"][0]
        assert (plan["vm_size"], plan["image"], plan["resource_group"]) == ("Standard_D4s", "Debian12", "team-eastus"), plan
        plan = home.ok("deploy", "-r", "us", "--vm-size", "Tiny", "--image", "X", "--dry-run", "-o", "json").json()["plan"][0]
        assert (plan["vm_size"], plan["image"]) == ("Tiny", "X"), plan


def test_policy_and_aliases():
    with Home("[bricks]\nprovider=sim\n[policy]\nallowed-regions=mars\n[aliases]\nred=mars\n") as home:
        plan = home.ok("deploy", "-r", "red", "--dry-run", "-o", "json").json()["plan"][0]
        assert plan["region"] == "mars", plan
        r = home.run("deploy", "-r", "eastus", "--dry-run")
        assert r.code == 64 and "Invalid region 'eastus'" in r.err, r


def test_show_names_origins():
    with Home("[bricks]\nprovider=sim\n[ssh]\nuser=alice\n") as home:
        folder = os.path.join(home.root, "conf.d")
        os.mkdir(folder, 0o700)
        with open(os.path.join(folder, "90-local.conf"), "w") as f:
            f.write("[ssh]\nuser=bob\n")
        os.chmod(os.path.join(folder, "90-local.conf"), 0o600)
        lines = home.ok("config", "show", "--origin").out.splitlines()
        user = next(line for line in lines if line.split()[:2] == ["ssh", "user"])
        assert "bob" in user and "90-local.conf" in user, user
        seed = next(line for line in lines if line.split()[:2] == ["provider.sim", "seed"])
        assert seed.split()[-1] == "default", seed


if __name__ == "__main__":
    main(dict(globals()))
