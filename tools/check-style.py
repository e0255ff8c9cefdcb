#!/usr/bin/env python3
"""House style, held by a script: limits of size, banned calls with their reasons, and clang-format's opinion."""
import os, re, shutil, subprocess, sys

MAX_FILE, MAX_FUNCTION, MAX_NESTING, MAX_LINE = 800, 80, 4, 120
FOLDERS = ("cli", "core", "detect", "flows", "plugins", "sdk", "service", "tests", "transport")
UNFORMATTED = ("sdk/azlin-plugin.h",)  # its tables are laid out by hand

# A lock of another process that holds it for one small write: milliseconds, bounded, each with its reason beside it.
BRIEF_WAITS = ("core/logfile.c", "core/vantage.c", "flows/failover/flow-failover-state.c", "plugins/context-file/file.c",
               "service/main.c")  # the last of them before its loop begins

# pattern, why not, folders where it may stand
BANNED = (
    (r"\bgoto\b", "return early; g_autoptr cleans up", ()),
    (r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca)\s*\(", "no bound on what it writes", ()),
    (r"(?<![\w>.])(system|popen)\s*\(", "no shell on this host; argv only", ()),
    (r"\bg_spawn_command_line\w*\s*\(", "no shell on this host; argv only", ()),
    (r"\bg_error\s*\(", "it aborts; a GError goes to the caller", ("tests",)),
    (r"(?<![\w>.])(sleep|usleep|nanosleep|g_usleep)\s*\(", "the main loop never waits", ("tests", *BRIEF_WAITS)),
    (r"\bg_main_loop_run\s*\(", "only a front end runs the loop", ("cli", "service", "tests")),
    (r"\b(gchar|gint)\b", "plain char and int", ()),
    (r"(?<![\w>.])dlopen\s*\(", "only the loader opens code", ("core/loader.c",)),
)
UNDONE = re.compile(r"\b(TODO|FIXME|XXX)\b")
CONTROL = re.compile(r"^( +)(?:\} )?(if|else|for|while|switch|do)\b")


def sources(root):
    for top in FOLDERS:
        for folder, folders, files in os.walk(os.path.join(root, top)):
            folders[:] = [f for f in sorted(folders) if not f.startswith(".") and f != "__pycache__"]
            for name in sorted(files):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def bare(text):
    """The code without comments and the insides of strings; lines stay where they are."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: '""' if m[0][0] in "\"'" else re.sub(r"[^\n]", " ", m[0]), text)


def functions(lines):
    """(name, first line, last line) of each function: its braces stand in the first column, its name too."""
    start = None
    for number, line in enumerate(lines):
        if line.startswith("{"):
            first = number
            while first > 0 and lines[first - 1].strip() and not re.match(r"^[\w#}/*]", lines[first]):
                first -= 1
            head = re.match(r"^(\w+)\s*\(", lines[first] if first < number else lines[number - 1])
            start = (head[1] if head else "?", first)
        elif line.startswith("}") and start:
            yield start[0], start[1], number
            start = None


def check_code(path, code):
    lines = code.split("\n")
    for pattern, why, allowed in BANNED:
        if path.startswith(allowed) if allowed else False:
            continue
        for match in re.finditer(pattern, code):
            yield code.count("\n", 0, match.start()) + 1, "%s: %s" % (match[0].strip(" ("), why)
    for name, first, last in functions(lines):
        if last - first + 1 > MAX_FUNCTION:
            yield first + 1, "%s() has %d lines; the most is %d" % (name, last - first + 1, MAX_FUNCTION)
        for number in range(first, last):
            control = CONTROL.match(lines[number])
            if control and len(control[1]) // 2 > MAX_NESTING:
                yield number + 1, "%s() nests deeper than %d" % (name, MAX_NESTING)


def check_text(path, text):
    lines = text.split("\n")
    if not re.match(r"^/\* \S", lines[0]):
        yield 1, "no sentence above the file saying what it is for"
    if len(lines) - 1 > MAX_FILE:
        yield MAX_FILE, "%d lines; the most is %d" % (len(lines) - 1, MAX_FILE)
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield len(lines), "must end with one newline"
    if path.endswith(".h") and "#pragma once" not in lines:
        yield 1, "no #pragma once"
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE and path not in UNFORMATTED:
            yield number, "%d columns; the most is %d" % (len(line), MAX_LINE)
        if line != line.rstrip() or "\t" in line:
            yield number, "tab or trailing space"
        if UNDONE.search(line):
            yield number, "unfinished work belongs into an issue"


def check_style(root):
    found = []
    for path in sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            text = f.read()
        for number, what in sorted([*check_text(path, text), *check_code(path, bare(text))]):
            found.append("%s:%d: %s" % (path, number, what))
    return found


def formatter():
    """clang-format 14, whose opinion is the one that counts; None where it is not installed."""
    for name in ("clang-format-14", "clang-format"):
        program = shutil.which(name)
        if program and b" 14." in subprocess.run([program, "--version"], stdout=subprocess.PIPE).stdout:
            return program
    return None


def check_format(root, program):
    files = [p for p in sources(root) if p not in UNFORMATTED]
    p = subprocess.run([program, "--dry-run", "-Werror", *files], cwd=root, stderr=subprocess.PIPE, text=True)
    wrong = sorted({line.split(":")[0] for line in p.stderr.splitlines() if "error:" in line})
    return ["%s: run clang-format -i on it" % path for path in wrong] or (["clang-format failed"] if p.returncode else [])


def report(number, name, found):
    for line in found:
        print("# " + line)
    print("%sok %d %s" % ("not " if found else "", number, name), flush=True)
    return bool(found)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    program = formatter()
    print("1..2")
    bad = report(1, "style", check_style(root))
    if program is None:
        print("ok 2 format # SKIP clang-format 14 is not installed")
    else:
        bad = report(2, "format", check_format(root, program)) or bad
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
