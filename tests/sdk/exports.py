"""What the linker sees of a brick: one symbol out, nothing of the core in. Arguments: nm, the core's library, the .so files."""
import os, subprocess, sys


def symbols(nm, path, *options):
    """(type, name) of each symbol that nm lists, without versions."""
    text = subprocess.run([nm, *options, path], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    rows = [line.split() for line in text.splitlines() if line and not line.endswith(":")]
    return [(row[-2], row[-1].split("@")[0]) for row in rows if len(row) >= 2]


def problems(nm, core, path):
    exported = sorted(name for _, name in symbols(nm, path, "-D", "--defined-only"))
    if exported != ["azlin_plugin_v1"]:
        yield "exports %s" % " ".join(exported)
    for _, name in symbols(nm, path, "-D", "--undefined-only"):
        if name in core or name.startswith(("az_", "azlin_")):
            yield "needs %s of the core" % name


def main():
    nm, library, *modules = sys.argv[1:]
    core = {name for kind, name in symbols(nm, library, "--defined-only") if kind in "TDBRCV"}
    assert "az_engine_new" in core and modules, "nothing to compare with"
    print("1..%d" % len(modules))
    failed = 0
    for number, path in enumerate(modules, 1):
        found = list(problems(nm, core, path))
        failed += bool(found)
        for line in found:
            print("# " + line)
        print("%sok %d %s" % ("not " if found else "", number, os.path.basename(path)))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
