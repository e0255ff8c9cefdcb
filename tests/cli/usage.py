"""Command line misuse: exit 64, one sentence, the nearest name, the next step, and nothing made on disk."""
import json, os, subprocess
import e2e

HELP = "azlin: machines in several regions"


def refused(home, *args, says, code=64):
    r = home.run(*args)
    assert r.code == code, "azlin %s: %r" % (" ".join(args), r)
    first = r.err.splitlines()[0]
    assert first.startswith("azlin: "), r
    for text in [says] if isinstance(says, str) else says:
        assert text in r.err, "%r lacks %r" % (r.err, text)
    assert r.out == "", r
    assert not os.path.exists(home.path), "a refused command made its home folder"
    return r


def test_bare_program_is_help():
    with e2e.Home() as h:
        r = h.run()
        assert r.code == 64 and HELP in r.err and r.out == "", r
        assert h.run("regions").code == 64


def test_help_goes_to_stdout():
    with e2e.Home() as h:
        assert h.ok("--help").out.startswith(HELP)
        assert h.ok("help").out == h.ok("--help").out
        assert h.ok("help", "regions", "list").out == h.ok("regions", "list", "--help").out
        assert "set-primary" in h.ok("regions", "--help").out
        assert h.ok("help", "regions").out == h.ok("regions", "--help").out
        assert not os.path.exists(h.path)


def test_help_names_every_flag():
    with e2e.Home() as h:
        for line in h.ok("complete").out.splitlines():
            kind, command, *rest = line.split("\t")
            if kind == "flag" and command != "*":
                assert rest[0] in h.ok(*command.split(), "--help").out, line


def test_version():
    with e2e.Home() as h:
        text = h.ok("version").out
        assert text.startswith("azlin ") and text.count("\n") == 1
        assert h.ok("--version").out == text
        assert h.ok("deploy", "--version").out == text
        assert h.ok("version", "-o", "json").json()["version"] == text.split()[1]
        assert json.loads(h.ok("version", "-o", "jsonl").out)["result"]["version"] == text.split()[1]


def test_unknown_commands():
    with e2e.Home() as h:
        refused(h, "deplou", says=['unknown command "deplou"', 'did you mean "deploy"', "See azlin --help"])
        refused(h, "regions", "lisst", says=['did you mean "regions list"', "See azlin regions --help"])
        refused(h, "xyzzy-nothing", says='unknown command "xyzzy-nothing"')
        refused(h, "help", "frobnicate", says="there is no command")


def test_unknown_flags():
    with e2e.Home() as h:
        refused(h, "deploy", "--regoins", "us", says=["unknown flag --regoins", "--regions", "See azlin deploy --help"])
        refused(h, "deploy", "--regoins=us", says="did you mean --regions?")
        refused(h, "deploy", "-Z", says="unknown flag -Z")
        refused(h, "--frob", "deploy", says="unknown flag --frob")
        refused(h, "regions", "list", "--dry-run", says="unknown flag --dry-run")


def test_values():
    with e2e.Home() as h:
        refused(h, "deploy", "--regions", says="--regions needs a value")
        refused(h, "deploy", "--regions", "--resume", says="--regions needs a value")
        refused(h, "deploy", "-r", "us", "--max-concurrent", "-1", says="--max-concurrent needs a whole number")
        refused(h, "deploy", "-r", "us", "--max-concurrent", "ten", says="--max-concurrent needs a whole number")
        refused(h, "deploy", "-r", "us", "--timeout", "99999999999", says="--timeout needs a whole number")
        refused(h, "deploy", "-r", "us", "--timeout", "1.5", says="--timeout needs a whole number")
        refused(h, "deploy", "-r", "us", "--dry-run=yes", says="--dry-run takes no value")
        refused(h, "deploy", "-r", "", says="regions list cannot be empty")
        refused(h, "deploy", "-r", "us,,eu", says="empty entry")
        refused(h, "-o", "xml", "version", says="--output is table, json or jsonl")
        refused(h, "--config=", "version", says="--config needs a value")
        refused(h, "regions", "list", "--primary", "x", says="unknown flag --primary")


def test_words():
    with e2e.Home() as h:
        refused(h, "deploy", "us", says='takes no word "us"')
        refused(h, "regions", "add", "us", "eu", says="one too many")
        refused(h, "bricks", "info", says="needs a name")
        refused(h, "list", "--", "x", says="takes no word")


def test_errors_in_json():
    with e2e.Home() as h:
        for args in (["-o", "json"], ["vm", "-o", "json"], ["-o", "json", "frob"], ["frob", "--output=json"], ["deploy", "--nope", "-ojson"]):
            r = h.run(*args)
            error = r.json()["error"]
            assert r.code == 64 and r.err == "", r
            assert error["error_type"] == "InvalidUsage" and error["error_message"]
            assert any("--help" in s for s in error["resolution_steps"]), error
            assert set(error) == {"error_type", "error_message", "resolution_steps", "retry_possible", "log_details"}


def test_bytes_that_are_no_text():
    with e2e.Home() as h:
        for args in ([b"deploy", b"-r", b"e\xffst"], [b"dep\x1b[31mloy"], [b"--\xff\xfe"]):
            p = subprocess.run([e2e.BIN.encode(), *args], env=h.env(), capture_output=True, stdin=subprocess.DEVNULL)
            assert p.returncode == 64, p
            assert b"\x1b" not in p.stderr, p
            p.stderr.decode("utf-8")


def test_help_and_version_need_no_engine():
    """A broken configuration and a missing plugin folder do not matter to them."""
    with e2e.Home(config="[bricks\nnonsense") as h:
        for args in (["version"], ["--help"], ["deploy", "--help"], ["complete"]):
            r = h.run(*args, env={"AZLIN_PLUGIN_PATH": "/nonexistent"})
            assert r.code == 0 and r.err == "", r
        r = h.run("config", "show")
        assert r.code == 78 and h.config in r.err, r


def test_full_disk_is_no_success():
    with e2e.Home() as h, open("/dev/full", "w") as full:
        p = subprocess.run([e2e.BIN, "--help"], env=h.env(), stdout=full, stderr=subprocess.PIPE, text=True)
        assert p.returncode == 1 and "could not be written" in p.stderr, p


e2e.main(globals())
