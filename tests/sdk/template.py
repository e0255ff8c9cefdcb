"""The SDK as a third party gets it: installed into an empty folder, the template built against that alone, run by azlin."""
import atexit, os, shutil, subprocess, tempfile

from e2e import SCRATCH, Home, Skip, main

BUILD = os.environ["AZLIN_BUILD_ROOT"]
MESON = os.environ["AZLIN_MESON"]
state = {}


def run(*args, cwd=None, env=None, check=True):
    p = subprocess.run(args, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=120)
    assert p.returncode == 0 or not check, "%s: exit %d\n%s" % (" ".join(args), p.returncode, p.stdout)
    return p.stdout


def find(root, name):
    for folder, _, files in os.walk(root):
        if name in files:
            return os.path.join(folder, name)
    raise AssertionError("%s is not installed: %s" % (name, run("find", root)))


def sdk():
    """Installs the SDK once; returns (environment for its users, folder of the template)."""
    if state:
        return state["env"], state["template"]
    os.makedirs(SCRATCH, mode=0o700, exist_ok=True)
    root = state["root"] = tempfile.mkdtemp(dir=SCRATCH)
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    dest = os.path.join(root, "dest")
    run(MESON, "install", "-C", BUILD, "--no-rebuild", "--tags", "devel", "--destdir", dest)
    # a staged tree keeps its final prefix; here it is used where it stands, as packagers do with a sysroot
    pc = find(dest, "azlin-sdk.pc")
    text = open(pc).read()
    prefix = text.splitlines()[0].split("=", 1)[1]
    assert os.path.isabs(prefix), text
    with open(pc, "w") as f:
        f.write(text.replace("prefix=" + prefix, "prefix=" + dest + prefix, 1))
    clean = {k: v for k, v in os.environ.items() if k not in ("CFLAGS", "LDFLAGS", "PKG_CONFIG_SYSROOT_DIR", "DESTDIR")}
    clean["PKG_CONFIG_PATH"] = os.path.dirname(pc)
    state["env"] = clean
    state["template"] = run("pkg-config", "--variable=template", "azlin-sdk", env=clean).strip()
    assert state["template"].startswith(dest), state["template"]
    return clean, state["template"]


def copy_template(name):
    env, template = sdk()
    folder = os.path.join(state["root"], name)
    shutil.copytree(template, folder)
    return env, folder


def test_pkg_config():
    env, _ = sdk()
    query = lambda *a: run("pkg-config", *a, "azlin-sdk", env=env).strip()
    assert query("--variable=abi") == "1.6"
    assert query("--variable=pluginsdir").endswith("/azlin/plugins-1")
    assert os.path.exists(query("--variable=plugin_map"))
    assert os.path.exists(os.path.join(query("--variable=includedir"), "azlin-plugin.h"))
    assert "glib" in query("--libs")


def test_header_compiles_alone():
    """In C, in C++ and with every warning: the header is the product."""
    env, _ = sdk()
    source = os.path.join(state["root"], "only.c")
    with open(source, "w") as f:
        f.write("#include <azlin-plugin.h>\nint main(void) { return (int) sizeof(AzlinPlugin) * 0; }\n")
    flags = run("pkg-config", "--cflags", "azlin-sdk", env=env).split()
    strict = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    run("cc", "-std=gnu11", "-Wpedantic", *strict, *flags, source)
    if shutil.which("c++") is None:
        raise Skip("no C++ compiler")
    run("c++", "-x", "c++", "-std=c++17", *strict, *flags, source)


def test_build_with_cc():
    """Without meson: one call of the compiler."""
    env, folder = copy_template("by-cc")
    flags = run("pkg-config", "--cflags", "--libs", "azlin-sdk", env=env).split()
    version_script = run("pkg-config", "--variable=plugin_map", "azlin-sdk", env=env).strip()
    target = os.path.join(folder, "coordinator-hello.so")
    run("cc", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-z,defs",
        "-Wl,--version-script=" + version_script, os.path.join(folder, "hello.c"), "-o", target, *flags)
    symbols = run("nm", "-D", "--defined-only", target).split()
    assert symbols[2::3] == ["azlin_plugin_v1"], symbols
    load(folder)


def test_build_with_meson():
    env, folder = copy_template("by-meson")
    build = os.path.join(folder, "build")
    run(MESON, "setup", "--prefix", os.path.join(folder, "inst"), build, folder, env=env)
    run(MESON, "compile", "-C", build, env=env)
    run(MESON, "test", "-C", build, env=env)
    load(build)


def load(plugins):
    """The real azlin finds it, shows it, and takes its locks from it."""
    path = plugins + ":" + os.environ["AZLIN_PLUGIN_PATH"]
    with Home("[bricks]\nprovider=sim\ncoordinator=hello\n[coordinator.hello]\nlongest-lease=120\n") as home:
        shown = home.ok("bricks", "info", "coordinator-hello", "-o", "json", env={"AZLIN_PLUGIN_PATH": path})
        assert "locks in memory" in shown.out, shown
        made = home.run("deploy", "-r", "us", "--vm-name", "hello-vm", env={"AZLIN_PLUGIN_PATH": path})
        assert made.code == 0, made
    with Home("[bricks]\nprovider=sim\ncoordinator=hello\n[coordinator.hello]\nlongest-lease=0\n") as home:
        refused = home.run("deploy", "-r", "us", env={"AZLIN_PLUGIN_PATH": path})
        assert refused.code == 78 and "longest-lease" in refused.err, refused


if __name__ == "__main__":
    main(dict(globals()))
