"""A real Azurite for the tests of coordinator-blob, and the part of azlin.conf that names it."""
import atexit, os
import azurite, e2e


def store(name):
    os.makedirs(e2e.SCRATCH, mode=0o700, exist_ok=True)
    server = azurite.Azurite(os.path.join(e2e.SCRATCH, "azurite-%s-%d" % (name, os.getpid())))
    atexit.register(server.close)  # whichever tests of the file have run
    return server


def key_file():
    path = os.path.join(e2e.SCRATCH, "locks-%d.key" % os.getpid())
    if not os.path.exists(path):
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
            f.write(azurite.KEY + "\n")
        atexit.register(os.unlink, path)
    return path


def config(at, **options):
    options = {"endpoint": at.url, "account": azurite.ACCOUNT, "key-file": key_file(), **options}
    return "[coordinator.blob]\n" + "".join("%s=%s\n" % pair for pair in options.items())
