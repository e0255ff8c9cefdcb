"""A real Azurite for the tests of coordinator-blob, and the part of azlin.conf that names it."""
import os
import azurite, e2e


def store(name):
    os.makedirs(e2e.SCRATCH, mode=0o700, exist_ok=True)
    return azurite.Azurite(os.path.join(e2e.SCRATCH, "azurite-%s-%d" % (name, os.getpid())))


def config(at, **options):
    options = {"endpoint": at.url, "account": azurite.ACCOUNT, "key-file": azurite.key_file(), **options}
    return "[coordinator.blob]\n" + "".join("%s=%s\n" % pair for pair in options.items())
