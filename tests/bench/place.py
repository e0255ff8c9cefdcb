"""Where azlin and the tests' parts are, for a benchmark that is started by hand; meson says it in the environment."""
import os, subprocess, sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KNOWN = ("rsync", "stream", "blob")


def find():
    """Sets what meson would; $BUILD names another build folder than that of `make`."""
    sys.path.insert(0, os.path.join(TOP, "tests", "lib"))
    if "AZLIN_BIN" in os.environ:
        return
    build = os.environ.get("BUILD") or subprocess.run([TOP + "/tools/build-dir.sh", "release"], stdout=subprocess.PIPE,
                                                      text=True, check=True).stdout.strip()
    build = os.path.abspath(build)
    os.environ.update(AZLIN_BIN=build + "/cli/azlin", AZLIN_PLUGIN_PATH=build + "/plugins:" + build + "/transport",
                      AZLIN_DATA_PATH=TOP + "/data", AZLIN_SOURCE_ROOT=TOP, AZLIN_TEST_DIR=build + "/tests/scratch",
                      WAN_BIN=build + "/tests/bench/wan")


def strategies():
    """The strategy bricks of this build."""
    folders = os.environ["AZLIN_PLUGIN_PATH"].split(":")

    def built(name):
        return any(os.path.exists(os.path.join(folder, *below, "sync-%s.so" % name)) for folder in folders
                   for below in ((), ("sync-" + name,)))
    return [name for name in KNOWN if built(name)]


def config():
    """azlin.conf of the measurements, but for [ssh]."""
    import e2e, wan
    text = "[bricks]\nsync-strategies=%s\n" % ";".join(strategies())
    if "blob" in strategies():
        key = os.path.join(e2e.SCRATCH, "azurite.key")
        os.makedirs(e2e.SCRATCH, mode=0o700, exist_ok=True)
        with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(wan.BLOB_KEY + "\n")
        text += "[sync.blob]\nendpoint=%s\naccount=%s\nkey-file=%s\n" % (wan.BLOB_URL, wan.BLOB_ACCOUNT, key)
    return text
