"""Every flag of every command changes something: one row each, of a run without it and a run with it, and what shows only
in one of them. A flag without a row fails, and so does a row without a flag."""
import json, os, re, shutil, signal
import e2e
from ptylib import Session

SIM = "[bricks]\nprovider=sim\n[provider.sim]\npower-seconds=5\n"
LOCAL = "[bricks]\nprovider=local\n"
STATIC = "[bricks]\nprovider=static\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEyeUjHC8r4mDEUHYEPvFBjzrLs0yMBvL3wPpQ7cUS4k"
DEPLOY = "deploy -r eastus,westus2 --vm-name vm"
ADD = "regions add eu --vm-name web --public-ip 127.0.0.1 --ssh-port 9"
FAILOVER = "failover --to westus2 --yes"


class Row:
    """`shows`: a pattern that only the run with the flag matches; `hides`: only the run without it. The runs' outcome is
    exit code, output and config.json."""

    def __init__(self, command, flag, without, with_, shows=None, hides=None, config=SIM, setup=()):
        self.key, self.without, self.with_ = (command, "--" + flag), without, with_
        self.shows, self.hides, self.config, self.setup = shows, hides, config, setup


def rows():
    three = ["deploy -r eastus,westus2,westeurope --vm-name vm"]
    dry = " --dry-run"
    for command, regions in (("deploy", "--regions us,eu"), ("new", "--region us")):
        base = "%s %s" % (command, regions)
        yield Row(command, regions.split()[0][2:], command, base, shows="exit 0")
        yield Row(command, "vm-size", base + dry, base + dry + " --vm-size Standard_D9", shows="Standard_D9")
        yield Row(command, "image", base + dry, base + dry + " --image Debian12", shows="Debian12")
        yield Row(command, "vm-name", base + dry, base + dry + " --vm-name shop", shows="shop")
        yield Row(command, "ssh-key", base, base + " --ssh-key KEYFILE", hides="Made the SSH key")
        yield Row(command, "timeout", base, base + " --timeout 60", shows="exit 2")
        yield Row(command, "dry-run", base, base + dry, shows="Nothing was changed", hides='"vm_name"')
    full = SIM + "events=create westeurope fail capacity x3\n"
    for command in ("deploy", "new"):
        yield Row(command, "allow-fallback", command + " -r eu", command + " -r eu --allow-fallback", shows='exit 0', hides="exit 2", config=full)
    yield Row("deploy", "primary", "deploy -r us,eu", "deploy -r us,eu --primary eu", shows="Primary: westeurope")
    yield Row("deploy", "sync-after", DEPLOY, DEPLOY + " --sync-after", shows="Syncing eastus → westus2")
    yield Row("deploy", "max-concurrent", DEPLOY, DEPLOY + " --max-concurrent 1", shows="complete in 6m", hides="complete in 3m")
    yield Row("deploy", "resume", "deploy", "deploy --resume", shows="exit 0")

    yield Row("regions add", "region", ADD.replace(" eu", ""), ADD.replace(" eu", "") + " --region eu", shows="exit 0", config=STATIC)
    yield Row("regions add", "vm-name", ADD, ADD.replace("web", "shop"), shows='"vm_name": *"shop"', config=STATIC)
    yield Row("regions add", "public-ip", "regions add eu --vm-name web", "regions add eu --vm-name web --public-ip 127.0.0.7 --ssh-port 9",
              shows="127.0.0.7", config=STATIC)
    yield Row("regions add", "ssh-port", ADD, ADD.replace("9", "19"), shows='"ssh_port": *19', config=STATIC)
    yield Row("regions add", "ssh-user", ADD, ADD + " --ssh-user carol", shows="carol", config=STATIC)
    yield Row("regions add", "host-key", ADD, ADD + " --host-key KEY", shows="IEyeUjHC8r4", config=STATIC)
    yield Row("regions add", "provider", ADD, ADD + " --provider local", shows='"provider": *"local"', config=STATIC)
    yield Row("regions remove", "region", "regions remove", "regions remove --region westus2", shows="Removed", setup=three)
    yield Row("regions remove", "remove-vm", "regions remove westus2 --yes", "regions remove westus2 --yes --remove-vm", shows="Deleting VM",
              setup=three)
    yield Row("regions remove", "yes", "regions remove westus2 --remove-vm", "regions remove westus2 --remove-vm --yes", shows="exit 0",
              hides="exit 2", setup=three)
    yield Row("regions set-primary", "region", "regions set-primary", "regions set-primary --region westus2", shows="Primary region: westus2",
              setup=three)
    yield Row("regions refresh", "rebuild", "regions refresh", "regions refresh --rebuild", shows="vm-westus2 goes on record",
              setup=three + ["regions remove westus2"])
    yield Row("regions refresh", "share", "regions refresh", "regions refresh --share", shows="Nothing is shared", setup=three)
    yield Row("regions refresh", "dry-run", "regions refresh", "regions refresh --dry-run", shows="Nothing was changed", setup=three)

    yield Row("regions health", "watch", "regions health", "regions health --watch --for 30", shows="Watching 3 regions", setup=three)
    yield Row("regions health", "for", "regions health", "regions health --for 30", shows="goes with --watch", setup=three)
    yield Row("watch", "dry-run", "watch --for 30", "watch --for 30 --dry-run", shows="dry run", setup=three)
    yield Row("watch", "for", "watch --for 0", "watch --for 30", shows="exit 0", hides="exit 64", setup=three)

    yield Row("vm status", "region", "vm status", "vm status --region westus2", shows="vm-westus2 in westus2 is running", setup=three)
    for verb, after in (("start", "running"), ("restart", "running"), ("stop", "stopped"), ("deallocate", "deallocated"),
                        ("delete", "deleted")):
        asks = verb in ("stop", "deallocate", "delete")
        yield Row("vm " + verb, "region", "vm %s%s" % (verb, " --yes" * asks), "vm %s --region westus2%s" % (verb, " --yes" * asks),
                  shows="vm-westus2 is " + after, setup=three)
        if asks:
            yield Row("vm " + verb, "yes", "vm %s westus2" % verb, "vm %s westus2 --yes" % verb, shows="exit 0", hides="exit 2", setup=three)

    yield Row("failover", "to", "failover --yes", FAILOVER, shows="Failover complete", setup=three)
    yield Row("failover", "from", FAILOVER, FAILOVER + " --from westeurope", shows="exit 64", setup=three)
    yield Row("failover", "auto", "failover", "failover --auto", shows="eastus is healthy", setup=three)
    yield Row("failover", "sync", FAILOVER, FAILOVER + " --sync", shows="Syncing eastus → westus2", setup=three)
    yield Row("failover", "yes", "failover --to westus2", FAILOVER, shows="exit 0", hides="exit 2", setup=three)
    yield Row("failover", "check-only", "failover", "failover --check-only", shows="exit 0", setup=three)
    yield Row("failover", "explain", "failover --check-only", "failover --check-only --explain", shows="Weights", setup=three)
    yield Row("failover", "drill", "failover --to eastus", "failover --to westus2 --drill", shows="would take over", setup=three)
    yield Row("failover", "back", "failover --yes", "failover --back --yes", shows="Syncing westus2 → eastus", setup=three + [FAILOVER])
    yield Row("failover pause", "ttl", "failover pause", "failover pause --ttl 2h", shows=r"itself until 20\d\d", setup=three)
    yield Row("failover pause", "reason", "failover pause -o json", "failover pause --reason works -o json", shows='"pause_reason": "works"',
              setup=three)
    yield Row("failover ack", "fenced", "failover ack", "failover ack --fenced eastus", shows="No fence of eastus is pending", setup=three)
    yield Row("failover replay", "id", "failover replay", "failover replay --id 0123abcd", shows="No decision 0123abcd", setup=three)
    yield Row("failover replay", "with", "failover replay", "failover replay --with fall=5", shows="exit 64", setup=three)
    yield Row("failover rollback", "due", "failover rollback", "failover rollback --due", shows="exit 0", hides="exit 3", setup=three)
    yield Row("failover", "deallocate-source", FAILOVER, FAILOVER + " --deallocate-source", shows="deallocated", setup=three)

    yield Row("failover", "without-lock", "failover --auto", "failover --auto --without-lock", shows="exit 64", setup=three)

    few = "simulate region-down --windows 20 --executions 0"
    yield Row("simulate", "scenario", "simulate", few.replace("region-down", "--scenario region-down"), shows="20 of 20 outages")
    yield Row("simulate", "seed", few + " -o json", few + " -o json --seed 7", shows='"seed": *7')
    yield Row("simulate", "windows", few, few.replace("20", "30"), shows="30 of 30 outages")
    yield Row("simulate", "only", few, "simulate region-down --only 3 --executions 0", shows="is dark")
    yield Row("simulate", "executions", few, few.replace("--executions 0", "--executions 1"), shows="1 of 1 switches carried out")
    yield Row("simulate", "without", "simulate asymmetric-partition --windows 20 --executions 0",
              "simulate asymmetric-partition --windows 20 --executions 0 --without veto", shows="20 false failovers")

    yield Row("destroy", "yes", "destroy", "destroy --yes", shows="exit 0", hides="exit 2", setup=three)
    yield Row("config show", "origin", "config show", "config show --origin", shows="azlin.conf")
    logged = ["deploy -r eastus,westus2 --vm-name vm", "vm stop --region westus2 --yes"]
    yield Row("logs", "limit", "logs", "logs --limit 1", hides="outcome=requested", setup=logged)
    yield Row("logs", "since", "logs", "logs --since 2099-01-01", hides="vm.stop", setup=logged)
    yield Row("logs", "region", "logs", "logs --region eastus", hides="vm.stop", setup=logged)
    yield Row("logs", "job", "logs", "logs --job 1", hides="vm.stop", setup=logged)
    yield Row("logs", "follow", "logs -o json", "logs -o json --follow", shows="exit 64", setup=logged)
    yield Row("audit show", "limit", "audit show", "audit show --limit 1", hides="outcome=requested",
              setup=three + ["vm stop westus2 --yes"])

    yield Row("*", "output", "regions list", "regions list --output json", shows=r'\A\{', setup=three)
    yield Row("*", "config", "config show --origin", "config show --origin --config OTHER", shows="carol")
    yield Row("*", "home", "regions list", "regions list --home ELSEWHERE", shows="No regions yet", setup=three)
    yield Row("*", "quiet", "vm status", "vm status --quiet", hides="running", setup=three)
    yield Row("*", "verbose", "vm start nowhere", "vm start nowhere --verbose", shows="Details: ", setup=three)
    yield Row("*", "help", "regions list", "regions list --help", shows="Usage: azlin regions list")
    yield Row("*", "version", "regions list", "regions list --version", shows=r"^azlin \d")


ELSEWHERE = {  # flags that need a machine, a terminal or a crash: tests of this file and of others of this folder
    ("*", "--no-color"): "terminal.py test_colours",
    ("*", "--no-daemon"): "service/roads.py test_no_daemon_means_none",
    ("*", "--system"): "service/command.py test_what_polkit_does_not_grant_is_not_done",
    ("jobs attach", "--job"): "service/jobs.py test_jobs_are_listed_followed_and_ended",
    ("jobs cancel", "--job"): "service/jobs.py test_jobs_are_listed_followed_and_ended",
    ("deploy", "--accept-new"): "test_accept_new",
    ("new", "--accept-new"): "test_accept_new",
    ("recover", "--yes"): "test_recover_yes",
    ("failover rollback", "--yes"): "test_rollback_yes",
    ("ssh", "--region"): "test_flags_on_real_machines",
}
SYNC = ("source", "dest", "all", "paths", "strategy", "delete", "max-delete", "exclude", "bwlimit", "dry-run", "yes")
ELSEWHERE.update({("sync", "--" + name): "test_flags_on_real_machines" for name in SYNC})
ELSEWHERE.update({
    ("sync", "--verify"): "sync/local.py test_a_full_verification_believes_no_hash_of_an_earlier_run",
    ("sync", "--resume"): "sync/local.py test_resume_goes_on_with_what_was_interrupted",
    ("sync", "--watch"): "sync/local.py test_watch_keeps_targets_in_step_and_says_how_far_behind",
    ("sync", "--interval"): "sync/local.py test_watch_keeps_targets_in_step_and_says_how_far_behind",
    ("sync verify", "--dest"): "sync/local.py test_verify_compares_with_what_was_synced",
    ("sync verify", "--paths"): "sync/local.py test_verify_compares_with_what_was_synced",
})


def prepared(row, cache):
    """A home after the row's setup; the same setup is made once and copied."""
    key = (row.config, tuple(row.setup))
    home = e2e.Home(row.config)
    if row.setup and key not in cache:
        cache[key] = e2e.Home(row.config)
        for line in row.setup:
            cache[key].ok(*line.split())
    if row.setup:
        shutil.copytree(cache[key].path, home.path)
        os.chmod(home.path, 0o700)
    with open(os.path.join(home.root, "key.pub"), "w") as f:
        f.write(KEY + " test\n")
    with open(os.path.join(home.root, "other.conf"), "w") as f:
        f.write(row.config + "[ssh]\nuser=carol\n")
    os.chmod(os.path.join(home.root, "other.conf"), 0o600)
    return home


def outcome(row, line, cache):
    home = prepared(row, cache)
    words = {"KEYFILE": os.path.join(home.root, "key.pub"), "KEY": KEY, "OTHER": os.path.join(home.root, "other.conf"),
             "ELSEWHERE": os.path.join(home.root, "elsewhere")}
    r = home.run(*[words.get(word, word) for word in line.split()])
    assert "unknown flag" not in r.err, r
    state = ""
    if os.path.exists(os.path.join(home.path, "config.json")):
        with open(os.path.join(home.path, "config.json")) as f:
            state = f.read()
    shutil.rmtree(home.root)
    return "%s\nexit %d\n%s\n%s" % (r.out, r.code, r.err, state)


def test_every_flag_has_a_row():
    with e2e.Home() as h:
        flags = {tuple(line.split("\t")[1:3]) for line in h.ok("complete").out.splitlines() if line.startswith("flag")}
    known = {row.key for row in rows()} | set(ELSEWHERE)
    assert flags - known == set(), "flags without a row: %s" % sorted(flags - known)
    assert known - flags == set(), "rows without a flag: %s" % sorted(known - flags)


def test_every_flag_changes_something():
    cache, failures = {}, []
    for row in rows():
        without, with_ = outcome(row, row.without, cache), outcome(row, row.with_, cache)
        for pattern, there, away in ((row.shows, with_, without), (row.hides, without, with_)):
            if pattern and not (re.search(pattern, there, re.M) and not re.search(pattern, away, re.M)):
                failures.append("%s %s: %r\n--- without:\n%s\n--- with:\n%s" % (*row.key, pattern, without, with_))
    for home in cache.values():
        shutil.rmtree(home.root)
    assert not failures, "\n\n".join(failures)


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise e2e.Skip("no %s here" % tool)


def sync(home, *args, code=0):
    r = home.run("sync", *args)
    assert r.code == code, (args, r)
    return r.out + r.err


def test_flags_on_real_machines():
    need("bwrap", "rsync")
    with e2e.Home(LOCAL) as h:
        h.ok("deploy", "-r", "eastus,westus2,westeurope", "--vm-name", "vm")
        assert h.ok("ssh", "--", "hostname").out == "vm-eastus\n"
        assert h.ok("ssh", "--region", "westus2", "--", "hostname").out == "vm-westus2\n"
        home = "/home/azureuser"
        h.ok("ssh", "--", "mkdir a b; for i in 1 2 3 4; do echo $i >a/$i; done; echo x >b/x; head -c 900000 /dev/urandom >b/big")
        sync(h, code=64)
        assert "for westus2; nothing was changed" in sync(h, "--dest", "westus2", "--dry-run")
        both = sync(h, "--all", "--dry-run")
        assert "westus2" in both and "westeurope" in both and "nothing was changed" in both, both
        assert h.ok("ssh", "-r", "westus2", "--", "ls").out == "", "a dry run copied"
        assert "RSYNC (as asked for)" in sync(h, "--dest", "westus2", "--paths", home + "/a", "--strategy", "rsync")
        assert h.ok("ssh", "-r", "westus2", "--", "ls").out == "a\n", "--paths copied more or less than it names"
        assert "no sync strategy is named 'pigeon'" in sync(h, "--dest", "westus2", "--strategy", "pigeon", code=64)
        sync(h, "--dest", "westus2", "--exclude", "b/big,a")
        assert h.ok("ssh", "-r", "westus2", "--", "ls b").out == "x\n", "--exclude left nothing out, or too much"
        h.ok("ssh", "-r", "westus2", "--", "echo only here >b/more")
        assert "westus2 → westeurope" in sync(h, "--source", "westus2", "--dest", "westeurope", "--paths", home + "/b")
        assert h.ok("ssh", "-r", "westeurope", "--", "ls b").out == "more\nx\n"

        slow = h.ok("sync", "--dest", "westus2", "--paths", home + "/b", "--bwlimit", "300", "-o", "json").json()["results"][0]
        assert slow["duration_seconds"] > 2, "900 kB at 300 KiB/s took %r" % slow
        assert h.ok("ssh", "-r", "westus2", "--", "ls b").out == "big\nmore\nx\n", "without --delete something went"
        sync(h, "--dest", "westus2", "--paths", home + "/b", "--delete")
        assert h.ok("ssh", "-r", "westus2", "--", "ls b").out == "big\nx\n", "--delete left it"
        h.ok("ssh", "-r", "westus2", "--", "for i in 5 6 7; do echo $i >a/$i; done")
        sync(h, "--dest", "westus2", "--paths", home + "/a", "--delete", "--max-delete", "2", code=2)
        assert "7" in h.ok("ssh", "-r", "westus2", "--", "ls a").out
        sync(h, "--dest", "westus2", "--paths", home + "/a", "--delete", "--max-delete", "2", "--yes")
        assert "7" not in h.ok("ssh", "-r", "westus2", "--", "ls a").out


def test_accept_new():
    need("bwrap")
    with e2e.Home("[bricks]\nprovider=forgetful\n") as h:
        for careful, trusting in (("deploy -r eastus", "deploy -r uksouth"), ("new -r westus", "new -r westus2")):
            r = h.run(*careful.split())
            assert "not healthy yet" in r.out and "was trusted" not in r.out, r
            r = h.ok(*trusting.split(), "--accept-new")
            assert "trusted as first seen" in r.out, r
        assert h.ok("ssh", "-r", "uksouth", "--", "echo in").out == "in\n"
        assert h.ok("audit", "show").out.count("hostkey.trusted") == 2


def test_recover_yes():
    need("bwrap")
    with e2e.Home(LOCAL) as h:
        slow = os.path.join(h.root, "slow-bwrap")
        with open(slow, "w") as f:
            f.write("#!/bin/sh\ntouch %s/begun\nwhile [ -d %s ]; do sleep 0.2; done\n" % (h.root, h.root))
        os.chmod(slow, 0o755)
        h.write_config(LOCAL + "[provider.local]\nbwrap=%s\n" % slow)
        p = h.popen("deploy", "-r", "eastus")
        while not os.path.exists(os.path.join(h.root, "begun")):
            assert p.poll() is None, p.communicate()
            os.sched_yield()
        p.send_signal(signal.SIGKILL)
        p.communicate()
        h.write_config(LOCAL)
        declined = h.run("recover")
        assert declined.code == 2 and "--yes" in declined.err, declined
        done = h.ok("recover", "--yes")
        assert "Nothing to recover" not in done.out and "Nothing to recover" in h.ok("recover").out, done


def test_rollback_yes():
    with e2e.Home(SIM) as h:
        h.ok("deploy", "-r", "eastus,westus2,westeurope", "--vm-name", "vm")
        h.ok("regions", "health")
        dark, windowed = os.path.join(h.root, "dark"), "[failover.hybrid]\ncommit-window=600\n"
        with open(dark, "w") as f:
            f.write("probe eastus timeout\n")
        h.write_config(SIM + "script=%s\n" % dark + windowed)
        h.ok("failover", "--auto")
        h.write_config(SIM + windowed)
        h.ok("vm", "start", "eastus")
        assert h.run("failover", "rollback").code == 2
        assert "Primary region: eastus" in h.ok("failover", "rollback", "--yes").out


def test_letters_stand_for_their_flags():
    """The table of flags gives both spellings; one of each kind is enough to show that the letter reaches the same flag."""
    with e2e.Home(SIM) as h:
        assert h.ok("deploy", "-r", "us,eu", "--dry-run").out == h.ok("deploy", "--regions=us,eu", "--dry-run").out
        assert h.ok("deploy", "-rus,eu", "--dry-run").out == h.ok("deploy", "-r=us,eu", "--dry-run").out
        assert h.ok("list", "-ojson").out == h.ok("-o", "json", "list").out
        assert h.run("list", "-qv").code == 0
        assert h.run("-h").out == h.run("--help").out and h.run("-V").out == h.run("--version").out


e2e.main(globals())
