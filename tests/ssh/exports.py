"""A module of transport/ shows one symbol, needs none of the core, and the program itself does not pull in its library."""
import os, subprocess, sys

import e2e

MODULE = sys.argv.pop(1)
SYMBOL = os.path.basename(MODULE)[:-len(".so")].replace("-", "_") + "_v1"


def symbols(flag, file):
    out = subprocess.run(["nm", "-D", flag, file], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [line.split()[-1] for line in out.splitlines()]


def test_one_symbol():
    assert symbols("--defined-only", MODULE) == [SYMBOL], symbols("--defined-only", MODULE)


def test_nothing_of_the_core():
    needed = [name for name in symbols("--undefined-only", MODULE) if name.startswith("az_") or name.startswith("azlin_")]
    assert needed == [], needed


def test_network_libraries_are_not_linked():
    out = subprocess.run(["readelf", "-d", e2e.BIN], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert not any(name in out for name in ("libssh", "libsoup", "libgnutls")), out


e2e.main(globals())
