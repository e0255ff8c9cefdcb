#!/usr/bin/env python3
"""A machine's whole life is recorded against the double and played back without it, without network and credentials."""
import os, stat, time
import e2e
from armdouble import ArmDouble, SUBSCRIPTION

LIFE = [("deploy", "-r", "eastus", "--vm-name", "m"), ("vm", "deallocate", "--region", "eastus", "--yes"),
        ("vm", "delete", "--region", "eastus", "--yes")]


def live(double_config, env, tapes, how):
    """Exit codes of the life's steps in a new home."""
    codes = []
    with e2e.Home(double_config) as home:
        for number, step in enumerate(LIFE):
            result = home.run(*step, env=dict(env, AZLIN_TAPE="%s:%s" % (how, os.path.join(tapes, str(number)))))
            codes.append((step[0], result.code, result.err[-2000:] if result.code else ""))
    return codes


def test_a_life_is_played_back():
    with e2e.Home() as tapes:
        double = ArmDouble(nic_reserve_s=1, duration_ms={"create": 20, "create.virtualMachines": 200})
        config, env = double.config(), double.env()
        recorded = live(config, env, tapes.root, "record")
        double.assert_clean()
        double.close()
        assert [code for _, code, _ in recorded] == [0] * len(LIFE), recorded
        start = time.monotonic()
        played = live(config, {"AZURE_AUTHORITY_HOST": "http://127.0.0.1:9"}, tapes.root, "replay")
        assert played == recorded, played
        print("# played in %.1f s" % (time.monotonic() - start))
        for number in range(len(LIFE)):
            path = os.path.join(tapes.root, str(number))
            with open(path) as f:
                text = f.read()
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
            assert text.count("\n") > 1
            for secret in ("canary", SUBSCRIPTION, "Bearer", "127.0.0.1"):
                assert secret not in text, (secret, path)


e2e.main(globals())
