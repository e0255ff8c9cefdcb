"""Every bad input of the contract: exit 64 or 78, one clear sentence, the next step, and not one byte changed."""
import hashlib, json, os, stat
import e2e

STATIC = "[bricks]\nprovider=static\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEyeUjHC8r4mDEUHYEPvFBjzrLs0yMBvL3wPpQ7cUS4k"


def fingerprint(folder):
    """Names, modes and contents of all files below; lock files and the lock's token count, they tell nothing."""
    digest = hashlib.sha256()
    for base, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(base, name)
            status = os.lstat(path)
            if (name.endswith(".lock") and status.st_size == 0) or "/bricks/coordinator-file" in path:
                continue
            digest.update(("%s %o\n" % (os.path.relpath(path, folder), status.st_mode)).encode())
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as f:
                    digest.update(f.read())
    return digest.hexdigest()


def two_regions(config=STATIC):
    home = e2e.Home(config)
    regions = [{"region": name, "vm_name": "vm-" + name, "public_ip": "127.0.0.1", "ssh_port": 9, "ssh_user": "azureuser",
                "host_key": KEY, "resource_group": "azlin-vms-" + name, "created_at": "2025-12-01T10:00:00Z",
                "is_primary": name == "eastus", "provider": "static"} for name in ("eastus", "westus2")]
    os.makedirs(home.path, mode=0o700)
    path = os.path.join(home.path, "config.json")
    with open(path, "w") as f:
        json.dump({"version": "2.0", "resource_group": "azlin-vms", "regions": regions}, f)
    os.chmod(path, 0o600)
    home.ok("regions", "list")
    return home


def refused(home, *args, says=(), code=64):
    before = fingerprint(home.path)
    r = home.run(*args)
    assert r.code == code, "azlin %s: %r" % (" ".join(args), r)
    lines = r.err.splitlines()
    assert lines and lines[0].startswith("azlin: ") and len(lines[0]) > 15, r
    assert len(lines) >= 2 and all(line.startswith("  ") for line in lines[1:]), "no next step, or a second sentence: %r" % r
    assert r.out == "", r
    for text in [says] if isinstance(says, str) else says:
        assert text.lower() in r.err.lower(), "%r lacks %r" % (r.err, text)
    assert fingerprint(home.path) == before, "azlin %s changed the home folder" % " ".join(args)
    as_json = home.run("-o", "json", *args)
    error = as_json.json()["error"]
    assert as_json.code == code and error["error_message"] and error["resolution_steps"], as_json
    assert fingerprint(home.path) == before
    return r


def test_empty_list():
    with two_regions() as h:
        for value in ("", " ", ","):
            refused(h, "deploy", "--regions", value)
        refused(h, "deploy", says="regions")
        refused(h, "sync", "--all", "--paths", "")


def test_unknown_region_names_the_nearest():
    with two_regions() as h:
        refused(h, "deploy", "-r", "eastuss", says="eastus")
        refused(h, "deploy", "-r", "us,westeuropa", says="westeurope")
        refused(h, "deploy", "-r", "us", "--primary", "nowhere-at-all")
        refused(h, "new", "--region", "eastuss", says="eastus")
        refused(h, "regions", "add", "westus22", says="westus2")
        refused(h, "regions", "remove", "estus", says="eastus")
        refused(h, "regions", "set-primary", "westus3", says="westus2")
        refused(h, "vm", "stop", "westus", "--yes", says="westus2")
        refused(h, "failover", "--to", "westus3", "--yes", says="westus2")
        refused(h, "sync", "--source", "eastu", "--dest", "westus2", says="eastus")
        refused(h, "ssh", "--region", "eastos", "--", "true", says="eastus")


def test_duplicate_region():
    with two_regions() as h:
        refused(h, "deploy", "-r", "us,eastus", says="twice")
        refused(h, "deploy", "-r", "westus2,eu,westus2", says="westus2")


def test_source_is_target():
    with two_regions() as h:
        refused(h, "sync", "--source", "eastus", "--dest", "eastus", says="same")
        refused(h, "sync", "--dest", "eastus", says="same")
        refused(h, "failover", "--to", "eastus", "--from", "eastus", "--yes", says="same")


def test_paths():
    with two_regions() as h:
        for path in ("home/azureuser", "./x", "~/x", "/home/../etc", "/home/azureuser/..", "/a\nb", "/a\rb", "/a\x07b", ""):
            refused(h, "sync", "--dest", "westus2", "--paths", path)
        refused(h, "sync", "--dest", "westus2", "--paths", "/data,relative", says="relative")


def test_limits():
    with two_regions() as h:
        for args in (["deploy", "-r", "us", "--max-concurrent", "0"], ["deploy", "-r", "us", "--max-concurrent", "-3"],
                     ["deploy", "-r", "us", "--timeout", "0"], ["deploy", "-r", "us", "--timeout", "-1"],
                     ["sync", "--all", "--bwlimit", "-5"], ["sync", "--all", "--max-delete", "x"],
                     ["regions", "add", "eu", "--vm-name", "x", "--public-ip", "127.0.0.1", "--ssh-port", "0"],
                     ["regions", "add", "eu", "--vm-name", "x", "--public-ip", "127.0.0.1", "--ssh-port", "65536"]):
            refused(h, *args)


def test_names_and_addresses():
    with two_regions() as h:
        add = ["regions", "add", "eu", "--host-key", KEY]
        refused(h, *add, "--vm-name", "a b", "--public-ip", "127.0.0.1")
        refused(h, *add, "--vm-name", "-oProxyCommand=x", "--public-ip", "127.0.0.1")
        refused(h, *add, "--vm-name", "x", "--public-ip", "-oProxyCommand=x")
        refused(h, *add, "--vm-name", "x", "--public-ip", "127.0.0.1", "--ssh-user", "-x")
        refused(h, "regions", "add", "eu", "--vm-name", "x", "--public-ip", "127.0.0.1", "--host-key", "no key")
        refused(h, "deploy", "-r", "eu", "--vm-name", "../x")


def test_unreadable_key():
    with two_regions() as h:
        refused(h, "deploy", "-r", "eu", "--ssh-key", os.path.join(h.root, "nothing.pub"), says="nothing.pub")
        bad = os.path.join(h.root, "bad.pub")
        with open(bad, "w") as f:
            f.write("this is no key\n")
        refused(h, "deploy", "-r", "eu", "--ssh-key", bad, says="bad.pub")


def test_corrupt_state():
    for text in ("", "{", "[]", '{"version": "9.0"}', '{"version": "2.0", "regions": 7}', "\x00\xff", '{"a":' * 5000):
        with e2e.Home(STATIC) as h:
            os.makedirs(h.path, mode=0o700)
            with open(os.path.join(h.path, "config.json"), "w", encoding="latin-1") as f:
                f.write(text)
            os.chmod(os.path.join(h.path, "config.json"), 0o600)
            for args in (["regions", "list"], ["regions", "set-primary", "eastus"], ["deploy", "-r", "us"], ["vm", "status"]):
                refused(h, *args, says="config.json", code=78)


def test_bad_configuration():
    with two_regions() as h:
        for text, says in (("[bricks\n", "azlin.conf"), ("[brics]\nprovider=static\n", "bricks"),
                           ("[bricks]\nprovidre=static\n", "provider"), ("[bricks]\nprovider=nosuch\n", "nosuch"),
                           (STATIC + "[policy]\nallowed-region=us\n", "allowed-regions"),
                           (STATIC + "[ssh]\naccept-new=perhaps\n", "accept-new"),
                           (STATIC + "[failover.hybrid]\nthreshold=7\n", "threshold")):
            h.write_config(text)
            refused(h, "config", "show", says=says, code=78)
        h.write_config(STATIC)
        refused(h, "--config", os.path.join(h.root, "missing.conf"), "regions", "list", says="missing.conf", code=78)


def test_contradictions():
    with two_regions() as h:
        refused(h, "failover")
        refused(h, "sync", "--all", "--dest", "westus2")
        refused(h, "sync", "--strategy", "carrier-pigeon", "--dest", "westus2", says="carrier-pigeon")
        refused(h, "regions", "remove")
        refused(h, "vm", "stop")


def test_unknown_flag():
    with two_regions() as h:
        for args in (["deploy", "-r", "us", "--max-conccurent", "3"], ["sync", "--dry-rn"], ["failover", "--forse"],
                     ["regions", "list", "--all-of-them"], ["vm", "stop", "us", "--froce"]):
            refused(h, *args, says="unknown flag")


e2e.main(globals())
