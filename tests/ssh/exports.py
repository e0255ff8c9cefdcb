"""The SSH module shows one symbol, needs none of the core, and the program itself does not pull in libssh."""
import subprocess, sys

import e2e

MODULE = sys.argv.pop(1)


def symbols(flag, file):
    out = subprocess.run(["nm", "-D", flag, file], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [line.split()[-1] for line in out.splitlines()]


def test_one_symbol():
    assert symbols("--defined-only", MODULE) == ["azlin_transport_ssh_v1"], symbols("--defined-only", MODULE)


def test_nothing_of_the_core():
    needed = [name for name in symbols("--undefined-only", MODULE) if name.startswith("az_") or name.startswith("azlin_")]
    assert needed == [], needed


def test_libssh_is_not_linked():
    out = subprocess.run(["readelf", "-d", e2e.BIN], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "libssh" not in out, out


e2e.main(globals())
