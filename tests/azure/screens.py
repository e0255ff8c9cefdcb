#!/usr/bin/env python3
"""What `azlin deploy` says when Azure does not let it: one screen each, with what was tried and what to run next."""
import os, re, sys
import e2e
from armdouble import ArmDouble

GOLDEN = os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "tests", "azure", "golden")
CLIENT = "33333333-3333-4333-8333-333333333333"
LINES = 24
QUICK = {"nic_reserve_s": 0, "poll_retry_after": 0, "duration_ms": {"create": 5, "create.virtualMachines": 50}}
NOBODY = {"AZURE_TENANT_ID": "", "AZURE_CLIENT_ID": "", "AZURE_CLIENT_SECRET": ""}
AZ = "#!/bin/sh\necho \"ERROR: Please run 'az login' to setup account.\" >&2\nexit 1\n"


def refusal(on, status, code, message, **more):
    return {"faults": [{"on": on, "do": "status", "status": status, "code": code, "message": message, **more}]}


def no_right(action, on, **more):
    return refusal(on, 403, "AuthorizationFailed", "The client '%s' with object id '%s' does not have authorization to perform "
                   "action '%s' over scope '/subscriptions/11111111-1111-4111-8111-111111111111' or the scope is invalid. If "
                   "access was recently granted, please refresh your credentials." % (CLIENT, CLIENT, action), **more)


# name: (exit code, control document, options, environment). Exit code 0 = the machine stands all the same.
SCREENS = {
    "no-credentials": (2, {"identity": False}, {}, NOBODY),
    "half-principal": (2, {"identity": False}, {}, {"AZURE_CLIENT_SECRET": ""}),
    "refused-secret": (2, {"clients": [{"id": CLIENT, "secret": "another"}]}, {}, {}),
    "expired-secret": (2, {"faults": [{"on": "Token", "do": "status", "status": 401, "code": "invalid_client", "message":
                       "AADSTS7000222: The provided client secret keys for app '%s' are expired." % CLIENT}]}, {}, {}),
    "wrong-subscription": (78, {}, {"subscription": "99999999-9999-4999-8999-999999999999"}, {}),
    "no-right-to-write": (2, no_right("Microsoft.Resources/subscriptions/resourcegroups/write", "ResourceGroups_CreateOrUpdate"), {}, {}),
    "no-right-to-look": (0, no_right("Microsoft.Compute/skus/read", "ResourceSkus_List"), {}, {}),
    "no-right-to-run-commands": (0, no_right("Microsoft.Compute/virtualMachines/runCommand/action", "VirtualMachines_RunCommand"), {}, {}),
    "unregistered": (2, {"unregistered": ["Microsoft.Compute", "Microsoft.Network"]}, {}, {}),
    "policy": (2, refusal("Deployments_CreateOrUpdate", 403, "RequestDisallowedByPolicy",
                          "Resource 'm-pip' was disallowed by policy 'No public addresses'."), {}, {}),
    "quota-full": (2, {"quota": [{"name": "cores", "limit": 10, "used": 10}]}, {}, {}),
    "size-not-offered": (2, {"unavailable": [{"region": "eastus", "size": "Standard_B2s"}]}, {}, {}),
    "throttled": (2, {"faults": [{"on": "ResourceGroups_Get", "do": "throttle", "retry_after": 1200}]}, {}, {}),
    "read-only": (2, refusal("ResourceGroups_CreateOrUpdate", 409, "ReadOnlyDisabledSubscription",
                             "The subscription '11111111-1111-4111-8111-111111111111' is disabled and therefore marked as read "
                             "only. You cannot perform any write actions on this subscription until it is re-enabled."), {}, {}),
}


def shown(result, home, double):
    text = "$ azlin deploy -r eastus --vm-name m\n%s%sexit %d\n" % (result.err, result.out, result.code)
    for exact, name in ((home.root, "~"), (double.url, "URL"), ("127.0.0.1:%d" % double.port, "HOST")):
        text = text.replace(exact, name)
    text = re.sub(r"request id [0-9a-f-]{36}", "request id ID", text)
    text = re.sub(r"127\.77\.\d+\.\d+", "127.77.0.2", text)
    return re.sub(r"\b\d+(\.\d+)? s\b|\b\d+\.\d+s\b", "N s", text)


def screen(name):
    code, control, options, env = SCREENS[name]
    with ArmDouble(**{**QUICK, **control}) as double:
        home = e2e.Home(double.config(**options) + "[health]\ntcp-timeout=0.2\n")
        bin_ = os.path.join(home.root, "bin")
        os.mkdir(bin_)
        with open(os.path.join(bin_, "az"), "w") as f:
            f.write(AZ)
        os.chmod(os.path.join(bin_, "az"), 0o755)
        # without a principal, the metadata service is asked for: an address of this host that does not answer
        env = {**double.env(AZURE_POD_IDENTITY_AUTHORITY_HOST="http://127.0.0.1:1", PATH=bin_ + ":/usr/bin:/bin"), **env}
        result = home.run("deploy", "-r", "eastus", "--vm-name", "m", env=env)
        text, state = shown(result, home, double), double.state()
        compare(name, text)
        assert result.code == code, text
        assert len(text.splitlines()) <= LINES, text
        assert "canary-secret" not in text, text
        assert not state["violations"] and not state["early_requests"] and not state["leaked_tokens"], state
        if code != 0:
            assert state["resources"] == {}, state["resources"]
            assert not os.path.exists(os.path.join(home.path, "config.json")), text
            assert "Consider: " in text or "Try: " in text, text
        home.run("destroy", "--yes", env=env)
        home.close()


def compare(name, text):
    path = os.path.join(GOLDEN, "screen-%s.txt" % name)
    if os.environ.get("AZLIN_UPDATE_GOLDEN"):
        with open(path, "w") as f:
            f.write(text)
    with open(path) as f:
        golden = f.read()
    assert text == golden, "%s\n--- instead of\n%s" % (text, golden)


for _name in SCREENS:
    globals()["test_" + _name.replace("-", "_")] = lambda name=_name: screen(name)

if __name__ == "__main__":
    e2e.main(dict(globals()))
