"""Who includes whom: bricks the SDK header and what they share, the CLI the engine's public face alone, nobody a brick."""
import os, re, sys

ROOT = os.environ["AZLIN_SOURCE_ROOT"]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
# Of the core: the engine's public face, and codecs that need no engine; in the files that speak to it.
CLI_MAY = {"cli/client.c": {"engine.h", "error.h", "nearest.h", "record.h"},
           "cli/client-local.c": {"engine.h", "error.h"},
           "cli/client-bus.c": {"error.h", "wire.h"},
           "cli/client-service.c": {"config.h", "error.h", "home-lock.h", "paths.h", "wire.h"}}
SERVICE_MAY = {"engine.h", "error.h", "home-lock.h", "paths.h", "record.h", "wire.h", "azlin-dbus.h"}
SYSTEM_BANNED = {  # header of a library: the only folders that may know it
    "jansson.h": ("core/json.c", "core/credential-reply.c", "plugins/context-file/", "plugins/context-etcd/",
                  "plugins/coordinator-blob/", "plugins/coordinator-etcd/", "plugins/common/etcd-", "plugins/common/region.",
                  "plugins/provider-azure/"),
    "libssh/": ("transport/",),
    "libsoup/": ("transport/",),
}


def files(top):
    for folder, _, names in os.walk(os.path.join(ROOT, top)):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                yield os.path.relpath(os.path.join(folder, name), ROOT)


def includes(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return [(kind == '"', name) for kind, name in INCLUDE.findall(f.read())]


def headers(top):
    return {os.path.basename(p) for p in files(top) if p.endswith(".h")}


def check_bricks():
    for path in files("plugins"):
        own = {os.path.basename(p) for p in files(os.path.dirname(path))}
        for _, name in includes(path):
            if name in headers("core") | headers("flows") | headers("cli") and name not in own:
                yield "%s includes %s: a brick knows azlin-plugin.h alone" % (path, name)
            if ".." in name:
                yield "%s includes %s: nothing outside its folder" % (path, name)


def check_core():
    for path in [*files("core"), *files("transport")]:
        for _, name in includes(path):
            above = headers("cli") | headers("flows") | headers("plugins")
            if name in above - headers("core") - headers("transport") or ".." in name:
                yield "%s includes %s" % (path, name)


def check_detect():
    for path in files("detect"):
        for quoted, name in includes(path):
            if quoted and name not in headers("detect") | {"azlin-plugin.h"}:
                yield "%s includes %s: detection is pure and knows the records of the SDK alone" % (path, name)


def check_flows():
    for path in files("flows"):
        for _, name in includes(path):
            if name in (headers("cli") | headers("plugins")) - headers("core") - headers("flows") or ".." in name:
                yield "%s includes %s: a flow knows the engine, and bricks through it" % (path, name)


def check_cli():
    others = headers("core") | headers("flows") | headers("plugins") | headers("sdk") | headers("transport")
    for path in files("cli"):
        for _, name in includes(path):
            if name in others - CLI_MAY.get(path, set()) - headers("cli"):
                yield "%s includes %s: only client*.c speak to the engine" % (path, name)


def check_service():
    for path in files("service"):
        for quoted, name in includes(path):
            if quoted and name not in SERVICE_MAY | headers("service"):
                yield "%s includes %s: the service knows the engine's public face" % (path, name)


def check_template():
    for path in files("sdk/template"):
        for quoted, name in includes(path):
            if not quoted and name != "azlin-plugin.h":
                yield "%s includes %s" % (path, name)


def check_libraries():
    for path in [p for top in ("core", "detect", "flows", "cli", "service", "plugins", "transport", "sdk") for p in files(top)]:
        for _, name in includes(path):
            for prefix, may in SYSTEM_BANNED.items():
                if name.startswith(prefix) and not path.startswith(tuple(may)):
                    yield "%s includes %s, which only %s may" % (path, name, ", ".join(may) or "nobody")


def main():
    checks = [check_bricks, check_core, check_detect, check_flows, check_cli, check_service, check_template, check_libraries]
    print("1..%d" % len(checks))
    failed = 0
    for number, check in enumerate(checks, 1):
        found = sorted(check())
        failed += bool(found)
        for line in found:
            print("# " + line)
        print("%sok %d %s" % ("not " if found else "", number, check.__name__))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
