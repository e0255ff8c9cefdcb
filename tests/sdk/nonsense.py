"""Bricks that answer nonsense, whatever they are asked: each command ends, with a code of the contract and one JSON document."""
import json, os
from concurrent.futures import ThreadPoolExecutor

from e2e import Home, main

PATH = {"AZLIN_PLUGIN_PATH": os.environ["AZLIN_HOSTILE_DIR"] + ":" + os.environ["AZLIN_PLUGIN_PATH"]}
ANSWERS = ("nothing", "string", "dict", "vm", "vms", "token", "foreign-error", "never")
LIST, HEALTH, REFRESH = ("regions", "list"), ("regions", "health"), ("regions", "refresh")
DEPLOY, RECOVER, DESTROY = ("deploy", "-r", "us,eu"), ("recover", "--yes"), ("destroy", "--yes")
PRIMARY, FORGET = ("regions", "set-primary", "westeurope"), ("regions", "remove", "eastus", "--yes")
CHECK, AUTO, SWITCH = ("failover", "--check-only"), ("failover", "--auto"), ("failover", "--to", "eu", "--yes")
ADD = ("regions", "add", "--provider", "nonsense", "--public-ip", "127.0.0.1")
SYNC = ("sync", "--dest", "eu", "--paths", "/srv/x")
POWER = [("vm", "status", "-r", "us")] + [("vm", v, "-r", "us", "--yes") for v in ("stop", "restart", "deallocate", "delete")]


def try_all(kind, *commands):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda answer: try_answer(kind, answer, commands), ANSWERS))


def try_answer(kind, answer, commands):
    with Home("[bricks]\nprovider=sim\n") as home:
        good = open(home.config).read()
        if kind not in ("context", "deployer", "provider"):
            home.ok("deploy", "-r", "us,eu")
        provider = "" if kind == "provider" else "provider=sim\n"
        key = "sync-strategies" if kind == "sync" else kind
        home.write_config("[azlin]\nplugins=nonsense\n[bricks]\n%s%s=nonsense\n[%s.nonsense]\nanswer=%s\n"
                          % (provider, key, kind, answer))
        for region in ("us", "eu") if kind == "provider" else ():
            try_one(home, kind, answer, (*ADD, region, "--vm-name", "vm-" + region))
        for command in commands:
            try_one(home, kind, answer, command)
        home.write_config(good)


def try_one(home, kind, answer, command):
    r = home.run(*command, "-o", "json", env=PATH, timeout=60)
    where = (kind, answer, command, r)
    assert r.code in (0, 1, 2, 3, 4, 5, 64, 78), where
    assert r.code != 64 or "elp" not in r.err, where  # the commands above are spelt right
    assert "runtime error" not in r.err and "AddressSanitizer" not in r.err and "CRITICAL" not in r.err, where
    assert isinstance(json.loads(r.out or "0"), dict), where


def test_provider():
    try_all("provider", LIST, HEALTH, SYNC, CHECK, AUTO, SWITCH, *POWER, REFRESH, DEPLOY, RECOVER, DESTROY)


def test_deployer():
    try_all("deployer", DEPLOY, RECOVER, DESTROY)


def test_failover():
    try_all("failover", CHECK, AUTO, SWITCH, RECOVER)


def test_sync():
    try_all("sync", SYNC, (*SYNC, "--dry-run"), RECOVER)


def test_context():
    try_all("context", DEPLOY, LIST, PRIMARY, FORGET, HEALTH, CHECK, RECOVER, DESTROY)


def test_coordinator():
    try_all("coordinator", DEPLOY, PRIMARY, SWITCH, RECOVER)


if __name__ == "__main__":
    main(dict(globals()))
