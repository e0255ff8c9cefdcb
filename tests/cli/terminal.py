"""What a person at a terminal gets: live lines that leave no trace, colours only where wanted, questions, Ctrl-C."""
import json, os, re, shutil, signal, stat
import e2e
from ptylib import Glass, Session

LOCAL = "[bricks]\nprovider=local\n"
SPINNER = re.compile("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]")
ESCAPE = "\x1b"


def need_local():
    for tool in ("bwrap", "sshd", "ssh-keygen"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin"):
            raise e2e.Skip("no %s here" % tool)


def at_terminal(home, *args, env=None, **kw):
    plain = home.env(**(env or {}))
    if "NO_COLOR" not in (env or {}):
        del plain["NO_COLOR"]
    return Session([e2e.BIN, *args], plain, **kw)


def region_block(text, region):
    match = re.search(r"^Region: %s\n((?:  .*\n)+)" % region, text + "\n", re.M)
    assert match, "no block of %s in\n%s" % (region, text)
    return match.group(1)


def test_live_progress_leaves_a_clean_screen():
    need_local()
    with e2e.Home(LOCAL) as h:
        s = at_terminal(h, "deploy", "-r", "eastus,westeurope")
        assert s.finish() == 0, s.raw
        assert SPINNER.search(s.raw), s.raw
        assert re.search("\x1b\\[[12]A", s.raw), "nothing was redrawn: %r" % s.raw
        glass = s.glass()
        text = glass.text()
        assert not SPINNER.search(text), text
        assert text.count("Region: ") == 2 and glass.inks > 0, text
        for region in ("eastus", "westeurope"):
            block = region_block(text, region)
            assert "► Creating VM" in block and "✓ VM created" in block and "✓ Public IP: 127." in block, text
        assert re.search(r"^✓ Deployment complete in .*\n  Success: 2/2 regions \(100.0%\)$", text, re.M), text
        assert text.index("► Deploying") < text.index("Region: ") < text.index("✓ Deployment complete"), text


def test_elapsed_time_moves_and_narrow_lines_do_not_wrap():
    need_local()
    with e2e.Home(LOCAL) as h:
        slow = os.path.join(h.root, "slow-bwrap")
        with open(slow, "w") as f:
            f.write("#!/bin/sh\nsleep 2.2\nexec %s \"$@\"\n" % shutil.which("bwrap"))
        os.chmod(slow, 0o755)
        h.write_config(LOCAL + "[provider.local]\nbwrap=%s\n" % slow)
        s = at_terminal(h, "deploy", "-r", "southeastasia", columns=40)
        assert s.finish() == 0, s.raw
        shown = set(re.findall(r"southeastasia  ([0-9]+s)", s.raw))
        assert len(shown) >= 3, "the clock of the region stood still: %r" % shown
        for line in re.split("\r?\n", s.raw):
            live = re.sub("\x1b\\[[0-9;]*[A-Za-z]|\r", "", line)
            if SPINNER.search(live):
                assert len(live) <= 39, live


def test_sync_shows_a_bar():
    need_local()
    with e2e.Home(LOCAL) as h:
        h.ok("deploy", "-r", "eastus,westus2")
        h.ok("ssh", "--", "head -c 8000000 /dev/urandom >big")
        s = at_terminal(h, "sync", "--all", "--bwlimit", "2500")
        assert s.finish() == 0, s.raw
        assert re.search(r"\[█+░+\] \d+% \(.*MB/8.0MB\) .*MB/s, ETA: \d+s", s.raw), s.raw
        text = s.glass().text()
        assert "█" not in text and "  ✓ Sync complete in" in region_block(text, "westus2"), text


def test_not_a_terminal_means_plain_lines():
    need_local()
    with e2e.Home(LOCAL) as h:
        r = h.run("deploy", "-r", "eastus", env={"NO_COLOR": "", "TERM": "xterm"})
        assert r.code == 0 and ESCAPE not in r.out and not SPINNER.search(r.out) and "\r" not in r.out, r
        assert "Region: eastus\n  ► Creating VM" in r.out, r


def test_colours():
    with e2e.Home("[bricks]\nprovider=static\n") as h:
        coloured = at_terminal(h, "regions", "health")
        coloured.finish()
        assert "\x1b[" in coloured.raw, coloured.raw
        for args, env in (([], {"NO_COLOR": "1"}), (["--no-color"], {}), ([], {"TERM": "dumb"})):
            s = at_terminal(h, "regions", "health", *args, env=env)
            assert s.finish() == coloured.code
            assert not re.search("\x1b\\[[0-9;]*m", s.raw), (args, env, s.raw)
        assert "\x1b[" in at_terminal_text(h, "regions", "health", env={"NO_COLOR": ""}), "an empty NO_COLOR is none"
        dumb = at_terminal_text(h, "regions", "health", env={"TERM": "dumb"})
        assert ESCAPE not in dumb, dumb


def at_terminal_text(home, *args, **kw):
    s = at_terminal(home, *args, **kw)
    s.finish()
    return s.raw


def test_locale_without_utf8_gets_ascii():
    with e2e.Home("[bricks]\nprovider=static\n") as h:
        state(h, {})
        for env in ({"LC_ALL": "C"}, {"LC_ALL": "POSIX"}):
            r = h.run("regions", "list", env=env)
            assert r.code == 0 and r.out.isascii(), r
            assert re.search(r"eastus .* \+ OK .* \* ", r.out), r


# ---- hostile text ----

HOSTILE = "x\x1b]0;owned\x07\x1b[2J\x1b[31m\u009b5m\u202egnp.\r\x08\u0007y"


def state(home, change, **top):
    """A config.json as the specification shows it, with hostile values put in."""
    region = {"region": "eastus", "vm_name": "vm-eastus-123", "public_ip": "1.2.3.4", "resource_group": "azlin-vms-eastus",
              "created_at": "2025-12-01T10:00:00Z", "is_primary": True, "status": "ok", "tags": {"a": "b"}}
    region.update(change)
    os.makedirs(home.path, mode=0o700, exist_ok=True)
    path = os.path.join(home.path, "config.json")
    with open(path, "w") as f:
        json.dump(dict({"version": "2.0", "resource_group": "azlin-vms", "regions": [region]}, **top), f)
    os.chmod(path, 0o600)


def assert_harmless(text, what):
    for char in re.sub("\x1b\\[[0-9;]*[AJm]", "", text):
        code = ord(char)
        assert char in "\r\n\t" or code >= 0x20, (what, text)
        assert not 0x7f <= code <= 0x9f and not 0x202a <= code <= 0x202e, (what, text)
    Glass().feed(text)
    assert "owned\x07" not in text and "\x1b[2J" not in text and "\x1b[31mg" not in text, (what, text)


def test_hostile_state_cannot_drive_the_terminal():
    for field in ("region", "vm_name", "public_ip", "ssh_user", "host_key", "status", "resource_group", "id", "provider",
                  "created_at", "last_health_check", "tags"):
        with e2e.Home("[bricks]\nprovider=static\n") as h:
            state(h, {field: {HOSTILE: HOSTILE} if field == "tags" else HOSTILE})
            for args in (["regions", "list"], ["list", "-q"], ["vm", "status"], ["regions", "list", "-o", "json"]):
                s = at_terminal(h, *args)
                s.finish()
                assert_harmless(s.raw, (field, args))


def test_hostile_arguments_and_files_cannot_drive_the_terminal():
    with e2e.Home("[bricks]\nprovider=%s\n[%s]\nx=1\n" % (HOSTILE, HOSTILE)) as h:
        for args in (["regions", "list"], ["config", "show"], [HOSTILE], ["deploy", "--" + HOSTILE], ["bricks", "info", HOSTILE],
                     ["vm", "stop", HOSTILE], ["--config", HOSTILE, "list"], ["help", HOSTILE], ["-o", HOSTILE, "list"],
                     ["deploy", "-r", HOSTILE], ["sync", "--source", HOSTILE, "--dest", HOSTILE]):
            s = at_terminal(h, *args)
            assert s.finish() in (64, 78), s.raw
            assert_harmless(s.raw, args)


def test_hostile_machine_cannot_drive_the_terminal():
    """What a machine answers over SSH is foreign text too: its banner and its login shell."""
    need_local()
    with e2e.Home(LOCAL) as h:
        h.ok("deploy", "-r", "eastus")
        h.ok("ssh", "--", "printf 'printf \"\\\\033]0;owned\\\\007\\\\033[2J\"\\n' | tee .profile .bashrc >.bash_profile")
        for args in (["regions", "health"], ["regions", "list"], ["regions", "refresh"]):
            s = at_terminal(h, *args)
            s.finish()
            assert_harmless(s.raw, args)


# ---- questions ----

def running(home):
    return home.ok("vm", "status", "-o", "json").json()


def test_questions():
    need_local()
    with e2e.Home(LOCAL) as h:
        h.ok("deploy", "-r", "eastus")
        before = running(h)
        for typed in ("n\n", "\n", "\x04", "yikes\n", "no\n"):
            s = at_terminal(h, "vm", "stop", "eastus")
            s.wait_for(r"\[y/N\] ")
            s.type(typed)
            assert s.finish() == 2, (typed, s.raw)
            assert running(h) == before, (typed, s.raw)
        s = at_terminal(h, "vm", "stop", "eastus")
        s.wait_for(r"\[y/N\] ")
        s.type("y\n")
        assert s.finish() == 0, s.raw
        assert running(h) != before


def test_question_without_a_terminal_is_no():
    need_local()
    with e2e.Home(LOCAL) as h:
        h.ok("deploy", "-r", "eastus")
        before = running(h)
        r = h.run("vm", "stop", "eastus")
        assert r.code == 2 and "--yes" in r.err and running(h) == before, r
        r = h.run("vm", "stop", "eastus", "-o", "json")
        assert r.code == 2 and r.json()["error"]["error_type"] == "Declined" and running(h) == before, r
        h.ok("vm", "stop", "eastus", "--yes")
        assert running(h) != before


def test_question_leaves_stdout_to_the_document():
    need_local()
    with e2e.Home(LOCAL) as h:
        h.ok("deploy", "-r", "eastus")
        out = os.path.join(h.root, "out.json")
        s = Session(["/bin/sh", "-c", 'exec "$0" vm stop eastus -o json >"$1"', e2e.BIN, out], h.env())
        s.wait_for(r"\[y/N\] ")
        s.type("yes\n")
        assert s.finish() == 0, s.raw
        with open(out) as f:
            json.load(f)


# ---- interruption ----

def slow_home():
    home = e2e.Home(LOCAL)
    slow = os.path.join(home.root, "slow-bwrap")
    with open(slow, "w") as f:
        f.write("#!/bin/sh\ntouch %s/begun\nwhile [ ! -e %s/go ]; do [ -d %s ] || exit 1; sleep 0.2; done\nexec %s \"$@\"\n"
                % (home.root, home.root, home.root, shutil.which("bwrap")))
    os.chmod(slow, 0o755)
    home.write_config(LOCAL + "[provider.local]\nbwrap=%s\n" % slow)
    return home


def test_interrupt_cancels_and_says_how_to_go_on():
    need_local()
    for number in (signal.SIGINT, signal.SIGTERM):
        with slow_home() as h:
            s = at_terminal(h, "deploy", "-r", "eastus")
            s.wait_for("Creating VM")
            s.kill(number)
            assert s.finish() == 130, (number, s.code, s.raw)
            assert "azlin recover" in s.raw and "--resume" in s.raw, s.raw
            assert not SPINNER.search(s.glass().text()), s.glass().text()
            open(os.path.join(h.root, "go"), "w").close()
            r = h.run("deploy", "--resume")
            assert r.code == 0 and "eastus" in h.ok("list").out, r


def test_second_interrupt_leaves_at_once():
    need_local()
    with slow_home() as h:
        p = h.popen("deploy", "-r", "eastus")
        while not os.path.exists(os.path.join(h.root, "begun")):
            assert p.poll() is None, p.communicate()
            os.sched_yield()
        p.send_signal(signal.SIGSTOP)
        p.send_signal(signal.SIGINT)
        p.send_signal(signal.SIGTERM)
        p.send_signal(signal.SIGCONT)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 130 and "the journal says" not in err, (out, err)


def test_ssh_is_interactive_and_passes_signals_and_status():
    need_local()
    with e2e.Home(LOCAL) as h:
        h.ok("deploy", "-r", "eastus")
        s = at_terminal(h, "ssh")
        s.wait_for(r"[$#] ")
        s.type("echo $((6 * 7)); exit 3\n")
        assert s.finish() == 3 and "42" in s.raw, s.raw
        assert h.run("ssh", "--", "kill -9 $$").code == 255
        s = at_terminal(h, "ssh", env={"PATH": "/nonexistent"})
        assert s.finish() == 1 and "ssh cannot be started" in s.raw, s.raw


def test_interrupt_at_a_question():
    need_local()
    with e2e.Home(LOCAL) as h:
        h.ok("deploy", "-r", "eastus")
        before = running(h)
        s = at_terminal(h, "vm", "stop", "eastus")
        s.wait_for(r"\[y/N\] ")
        s.type("\x03")
        assert s.finish() == 130, (s.code, s.raw)
        assert running(h) == before


def test_interrupted_json_is_one_document():
    need_local()
    with slow_home() as h:
        p = h.popen("deploy", "-r", "eastus", "-o", "json")
        while not os.path.exists(os.path.join(h.root, "begun")):
            assert p.poll() is None, p.communicate()
            os.sched_yield()
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 130, (out, err)
        json.loads(out)
        assert "azlin recover" in err, err


e2e.main(globals())
