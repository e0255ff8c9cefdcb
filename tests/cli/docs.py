"""Every command, flag and option stands in the manual; the completion offers them all."""
import os, re, shutil, subprocess
import e2e

ROOT = os.environ["AZLIN_SOURCE_ROOT"]


def read(*parts):
    with open(os.path.join(ROOT, *parts)) as f:
        return f.read()


def listing(home):
    """{command: [(flag, letter), ...]}; '*' holds the flags of every command."""
    commands, flags = {}, {}
    for line in home.ok("complete").out.splitlines():
        kind, name, *rest = line.split("\t")
        if kind == "command":
            commands[name] = rest[0]
        else:
            flags.setdefault(name, []).append((rest[0], rest[2]))
    return commands, flags


def man_sections(page):
    """The text of each '.Ss azlin NAME' and '.Sh NAME', by name."""
    sections = {}
    for block in re.split(r"^\.S[sh] ", page, flags=re.M)[1:]:
        title, _, text = block.partition("\n")
        sections[re.sub(r"^azlin | \[?[A-Z]+\]?$", "", title) if title.startswith("azlin") else title] = text
    return sections


def test_man_page_has_every_command_and_flag():
    with e2e.Home() as h:
        commands, flags = listing(h)
        sections = man_sections(read("docs", "azlin.1"))
        for name, summary in commands.items():
            assert name in sections, "azlin.1 says nothing of azlin %s" % name
            assert summary in sections[name], "azlin.1 has another summary of azlin %s" % name
        for name, own in flags.items():
            text = sections["FLAGS OF EVERY COMMAND" if name == "*" else name]
            for flag, letter in own:
                item = "%sFl -%s" % ("Fl %s , " % letter[1:] if letter else "", flag[2:])
                assert re.search(r"^\.It %s( |$)" % re.escape(item), text, re.M), "azlin.1 lacks %s %s" % (name, item)


def test_man_page_has_nothing_else():
    with e2e.Home() as h:
        commands, flags = listing(h)
        for name, text in man_sections(read("docs", "azlin.1")).items():
            if name in commands or name == "FLAGS OF EVERY COMMAND":
                known = {f[2:] for f, _ in flags.get("*" if name.isupper() else name, [])}
                told = set(re.findall(r"^\.It (?:Fl . , )?Fl -([a-z-]+)", text, re.M))
                assert told == known, (name, told ^ known)


def test_man_pages_are_well_formed():
    if not shutil.which("groff"):
        raise e2e.Skip("no groff here")
    for page in ("azlin.1", "azlin.conf.5"):
        p = subprocess.run(["groff", "-Tutf8", "-mandoc", "-ww", os.path.join(ROOT, "docs", page)], capture_output=True,
                           text=True)
        assert p.returncode == 0 and p.stderr == "" and len(p.stdout) > 2000, p.stderr


def test_config_page_has_every_option():
    with e2e.Home("[bricks]\nprovider=static\n") as h:
        sections = man_sections(read("docs", "azlin.conf.5"))
        wanted = [(o["group"], o["name"]) for o in h.ok("config", "show", "-o", "json").json()["config"]]
        for brick in h.ok("bricks", "list", "-o", "json").json()["bricks"]:
            info = h.ok("bricks", "info", "%s-%s" % (brick["kind"], brick["name"]), "-o", "json").json()["bricks"][0]
            wanted += [("%s.%s" % (brick["kind"], brick["name"]), o["name"]) for o in info.get("options", [])]
        assert len(wanted) > 20
        for group, name in wanted:
            assert "[%s]" % group in sections, "azlin.conf.5 lacks [%s]" % group
            assert re.search(r"^\.It Cm %s$" % re.escape(name), sections["[%s]" % group], re.M), (group, name)


def complete(home, *words):
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _azlin; printf "%s\\n" "${COMPREPLY[@]}"'
    p = subprocess.run(["bash", "-c", script, "bash", os.path.join(ROOT, "docs", "azlin.bash"), e2e.BIN, *words],
                       env=home.env(), capture_output=True, text=True)
    assert p.returncode == 0 and p.stderr == "", p
    return p.stdout.split()


def test_completion_offers_every_command_and_flag():
    with e2e.Home() as h:
        commands, flags = listing(h)
        for name in commands:
            words = name.split()
            assert words[-1] in complete(h, *words[:-1], words[-1][:2]), name
            offered = complete(h, *words, "--")
            for flag, _ in flags.get(name, []) + flags["*"]:
                assert flag in offered, (name, flag)
        assert complete(h, "regions", "set") == ["set-primary"]
        assert complete(h, "deploy", "--max") == ["--max-concurrent"]
        assert complete(h, "-o", "json", "vm", "dea") == ["deallocate"]
        assert set(complete(h, "list", "-o", "")) == {"table", "json", "jsonl"}
        assert not os.path.exists(h.path)


e2e.main(globals())
