#!/usr/bin/env python3
"""Deploys under random faults, many of them killed: after recover, what stands is on record, and nothing else is there.

AZLIN_CHAOS = rounds (25), AZLIN_CHAOS_SEED = the first seed (1), AZLIN_CHAOS_JOBS = rounds side by side (4),
AZLIN_CHAOS_VERBOSE=1 prints a line for each round, AZLIN_CHAOS_LOG = file for a round's requests. A failing round
prints its seed: AZLIN_CHAOS=1 AZLIN_CHAOS_SEED=it plays it alone."""
import collections, concurrent.futures, json, os, random, shutil, signal, subprocess, sys, threading, time
import e2e
from create import Azure, group_of

ROUNDS = int(os.environ.get("AZLIN_CHAOS", "25"))
FIRST = int(os.environ.get("AZLIN_CHAOS_SEED", "1"))
JOBS = int(os.environ.get("AZLIN_CHAOS_JOBS", "4"))
REGIONS = ["eastus", "westus2", "westeurope", "northeurope", "southeastasia"]
MAKERS = ["NetworkSecurityGroups_CreateOrUpdate", "VirtualNetworks_CreateOrUpdate", "PublicIPAddresses_CreateOrUpdate",
          "NetworkInterfaces_CreateOrUpdate", "VirtualMachines_CreateOrUpdate"]
COMMON = ["ResourceGroups_*", "Deployments_*", "NetworkInterfaces_*", "VirtualMachines_*", "PublicIPAddresses_*",
          "*_Delete", "*_Get", "*_CreateOrUpdate", "*_List*", "Poll", "*"]
FAILURES = ["AllocationFailed", "ZonalAllocationFailed", "OverconstrainedAllocationRequest", "InternalExecutionError",
            "OSProvisioningTimedOut"]
LIMIT_S = 200  # of one command: no wait that azlin is told of comes near it


def fault_of(rng):
    """(fault, seconds that a region may take or None)"""
    kind = rng.choice(["throttle", "throttle", "status", "status", "reset", "reset", "lag", "fail", "fail",
                       "fail-delete", "conflict", "html", "truncate", "cut", "expire", "never", "duration", "latency"])
    fault = {"do": kind, "on": rng.choice(COMMON), "chance": round(rng.uniform(0.05, 0.3), 2),
             "seed": rng.randrange(1 << 30)}
    if kind == "throttle":
        fault["retry_after"] = rng.randint(1, 2)
    elif kind == "status":
        fault["status"] = rng.choice([408, 500, 502, 503, 504])
    elif kind == "reset":
        fault["when"] = rng.choice(["before", "after"])
    elif kind == "lag":
        fault.update(on="*_CreateOrUpdate", gets=rng.randint(1, 4))
    elif kind == "fail":
        fault.update(on=rng.choice(MAKERS + MAKERS[-1:] * 4), chance=0.6)
        fault["code"] = rng.choice(FAILURES if fault["on"] == MAKERS[-1] else ["InternalExecutionError"])
    elif kind == "fail-delete":
        fault.update(do="fail", on="*_Delete", code="InternalExecutionError")
    elif kind == "truncate":
        fault["bytes"] = rng.randint(0, 200)
    elif kind == "never":
        fault.update(on=rng.choice(MAKERS + ["Deployments_CreateOrUpdate"]), chance=0.5)
        return fault, rng.randint(3, 6)
    elif kind == "duration":
        fault.update(on=rng.choice(MAKERS), ms=rng.randint(500, 3000))
    elif kind == "latency":
        fault["ms"] = rng.randint(100, 800)
    return fault, None


class Round:
    """One deploy and what becomes of it, drawn from `seed` alone."""

    def __init__(self, seed):
        self.seed, self.rng = seed, random.Random(seed)
        rng = self.rng
        drawn = [fault_of(rng) for _ in range(rng.randint(1, 4))]
        self.faults = [fault for fault, _ in drawn]
        self.fate = rng.choice(["kill", "kill", "interrupt", "run", "run", "run"])
        for fault, limit in drawn if self.fate == "kill" else []:  # recover would wait for it for ten minutes
            if limit:
                fault.update(do="duration", ms=rng.randint(3000, 8000))
        limits = [limit for _, limit in drawn if limit]
        self.timeout = min(limits) if limits else rng.choice([8, 15, 30])
        self.regions = rng.sample(REGIONS, rng.randint(1, 3))
        self.road = rng.choice(["template", "direct"])
        self.strike_after = rng.uniform(0.05, 4.0)
        self.kill_recover = self.fate == "kill" and rng.random() < 0.3
        self.resume = self.fate == "kill" and rng.random() < 0.2
        self.kill_destroy = rng.random() < 0.15
        self.options = {"ssh-source": "203.0.113.0/24"} if rng.random() < 0.5 else {}
        self.tags = rng.random() < 0.5
        self.settings = {
            "nic_reserve_s": rng.randint(1, 2), "poll_retry_after": rng.randint(0, 1),
            "latency_ms": [0, rng.choice([5, 40])],
            "duration_ms": {"create": rng.randint(20, 120), "create.virtualMachines": rng.randint(50, 500),
                            "delete": rng.randint(20, 100), "delete.virtualMachines": rng.randint(50, 300),
                            "delete.resourceGroups": rng.randint(50, 300), "runCommand": rng.randint(20, 100)},
            "page_size": rng.choice([2, 500]), "async_header": rng.random() < 0.8, "tags_async": rng.random() < 0.3,
            "errors_as_text": rng.random() < 0.3, "token_life": rng.choice([2, 3600, 3600])}
        self.foreign = rng.choice([None, None, None, self.regions[0]])
        self.hit = self.wrote = False
        self.kills = self.struck = 0
        self.said = []

    def foreign_resources(self):
        if not self.foreign:
            return []
        group = group_of(self.foreign)
        return [{"id": group, "body": {"location": self.foreign}},
                {"id": group + "/providers/Microsoft.Network/virtualNetworks/mine",
                 "body": {"location": self.foreign, "properties": {}}}]

    # ---- commands ----

    def end(self, running, *args):
        try:
            out, err = running.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            running.kill()
            out, err = running.communicate()
            self.said.append("azlin %s did not end: %s %s" % (" ".join(args), out, err))
            raise AssertionError("azlin %s did not end within %d s" % (" ".join(args), LIMIT_S))
        self.said.append("$ azlin %s -> %s\n%s%s" % (" ".join(args), running.returncode, out, err))
        return e2e.Result(running.returncode, out, err)

    def run(self, azure, *args):
        return self.end(azure.popen(*args), *args)

    def strike(self, azure, running, how, after):
        """Whether the signal found the process alive."""
        try:
            running.wait(timeout=after)
            return False
        except subprocess.TimeoutExpired:
            self.wrote |= self.writes(azure) > 0
            running.send_signal(how)
            self.kills += how == signal.SIGKILL
            return True

    def writes(self, azure):
        methods = azure.double.state()["requests"]["methods"]
        return methods.get("PUT", 0)

    def deploy(self, azure):
        args = ["deploy", "-r", ",".join(self.regions), "--timeout", str(self.timeout)]
        running = azure.popen(*args)
        if self.fate != "run":
            how = signal.SIGKILL if self.fate == "kill" else signal.SIGINT
            self.hit = self.strike(azure, running, how, self.strike_after)
        code = self.end(running, *args).code
        allowed = {0, 1, 2, 3}
        if self.fate == "kill" and code in allowed:
            self.hit = False  # it had ended by itself when the signal came
        if self.hit:
            allowed = {-signal.SIGKILL} if self.fate == "kill" else allowed | {130}
        assert code in allowed, "deploy ended with %d" % code

    def recover(self, azure, disturbed):
        if disturbed and self.kill_recover:
            running = azure.popen("recover", "--yes")
            self.strike(azure, running, signal.SIGKILL, self.rng.uniform(0.05, 8))
            self.end(running, "recover", "--yes")
            azure.double.control(forget_waits=True)
        if disturbed and self.resume:
            self.run(azure, "deploy", "--resume")
        for _ in range(2):
            result = self.run(azure, "recover", "--yes")
            if result.code == 0:
                break
        assert result.code == 0, "recover ended with %d" % result.code
        assert azure.open_entries() == set(), "open entries: %r" % azure.open_entries()

    def destroy_in_vain(self, azure, stands):
        """Killed at some moment, and recovered; how many machines stand then."""
        running = azure.popen("destroy", "--yes")
        struck = self.strike(azure, running, signal.SIGKILL, self.rng.uniform(0.05, 2.5))
        self.end(running, "destroy", "--yes")
        if not struck:
            return 0
        azure.double.control(forget_waits=True)
        self.recover(azure, False)
        return self.check_records(azure)

    # ---- what must hold ----

    def check_records(self, azure):
        listed = self.run(azure, "regions", "list", "-o", "json")
        assert listed.code == 0, "regions list ended with %d" % listed.code
        recorded = collections.Counter((one["region"], one["vm_name"]) for one in listed.json()["regions"])
        stands = collections.Counter((vm["location"], vm["id"].rsplit("/", 1)[1])
                                     for vm in azure.resources("virtualMachines"))
        assert recorded == stands, "on record %r, in Azure %r" % (dict(recorded), dict(stands))
        regions = collections.Counter(region for region, _ in stands.elements())
        assert not regions or max(regions.values()) == 1, "duplicates: %r" % dict(regions)
        for vm in azure.resources("virtualMachines"):
            late = any(fault.get("code") == "OSProvisioningTimedOut" for fault in self.faults)  # it runs all the same
            assert vm["state"] in (["Succeeded", "Failed"] if late else ["Succeeded"]), vm
            assert vm.get("power") == "running", vm
        for one in listed.json()["regions"]:
            assert one["public_ip"], one
        azure.double.assert_clean()
        return sum(stands.values())

    def play(self):
        azure = Azure(self.road, self.options, resources=self.foreign_resources(), faults=self.faults, **self.settings)
        try:
            if self.tags:
                azure.home.write_config(azure.double.config(create=self.road, **self.options)
                                        .replace("[bricks]\n", "[bricks]\ncontext=file;tags\n"))
            before = azure.resources()
            self.deploy(azure)
            self.struck = sum(fault["fired"] for fault in azure.double.state()["faults"])
            azure.double.control(faults=[], forget_waits=True)  # the next process cannot know what this one was told
            self.recover(azure, self.hit)
            stands = self.check_records(azure)
            left = self.destroy_in_vain(azure, stands) if self.kill_destroy and stands else stands
            if left:
                result = self.run(azure, "destroy", "--yes")
                assert result.code == 0, "destroy ended with %d" % result.code
            assert azure.resources() == before, "left behind: %r" % azure.double.state()["resources"]
            azure.double.assert_clean()
            return stands
        finally:
            self.state = azure.double.state()
            if os.environ.get("AZLIN_CHAOS_LOG"):
                json.dump(azure.double.log(), open(os.environ["AZLIN_CHAOS_LOG"], "w"), indent=0)
            shutil.rmtree(azure.home.root, ignore_errors=True)  # a destroy of a broken round could take minutes
            azure.double.__exit__(*sys.exc_info())

    def describe(self):
        head = "seed %d: %s %s of %s, timeout %d, after %.2f s, foreign %s, tags %s, options %s" % (
            self.seed, self.road, self.fate, self.regions, self.timeout, self.strike_after, self.foreign, self.tags,
            self.options)
        return "\n".join([head, "  faults " + json.dumps(self.faults), "  settings " + json.dumps(self.settings),
                          *self.said])


def play(seed, sums, lock):
    one = Round(seed)
    began = time.monotonic()
    trouble = None
    try:
        stands = one.play()
    except Exception as error:  # a broken round must not end the others
        trouble, stands = error, 0
    with lock:
        state = getattr(one, "state", {})
        sums["rounds"] += 1
        sums["machines that stood"] += stands
        sums["deploys killed"] += one.hit and one.fate == "kill"
        sums["deploys killed after a write"] += one.hit and one.fate == "kill" and one.wrote
        sums["kills of any command"] += one.kills
        sums["interrupts"] += one.hit and one.fate == "interrupt"
        sums["requests"] += state.get("requests", {}).get("total", 0)
        sums["faults that struck"] += one.struck
        for name in ("orphans", "early_requests", "writes_outside", "violations", "leaked_tokens"):
            sums[name] += len(state.get(name, [])) if state else 0
        sums["duplicates"] += "duplicates" in str(trouble)
        sums["failed rounds"] += trouble is not None
        if trouble:
            text = "FAILED %s\n%s" % (trouble or repr(trouble), one.describe())
            print("\n".join("# " + line for line in text.splitlines()), flush=True)
        elif os.environ.get("AZLIN_CHAOS_VERBOSE"):
            print("# seed %d %s %s %d machines %.1f s" % (seed, one.road, one.fate, stands, time.monotonic() - began),
                  flush=True)
    return trouble is None


def test_chaos():
    sums, lock = collections.Counter(), threading.Lock()
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        good = list(pool.map(lambda seed: play(seed, sums, lock), range(FIRST, FIRST + ROUNDS)))
    print("# " + ", ".join("%s %d" % pair for pair in sums.items()), flush=True)
    failed = [FIRST + i for i, fine in enumerate(good) if not fine]
    assert not failed, "failing seeds: %r" % failed


if __name__ == "__main__":
    e2e.main(globals())
