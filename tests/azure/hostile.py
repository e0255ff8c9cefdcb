#!/usr/bin/env python3
"""A hostile cloud: forged addresses, redirects and answers that are no answers cost no token, no memory and no record."""
import concurrent.futures, json, os, re, threading, time
import e2e
from armdouble import ArmDouble

LIMIT_KIB = 64 * 1024
SANITIZED = os.environ.get("AZLIN_SANITIZED") == "1"
QUICK = {"nic_reserve_s": 0, "poll_retry_after": 0,
         "budget": {"reads": [100000, 10000], "writes": [10000, 1000], "deletes": [10000, 1000]},
         "duration_ms": {"create": 5, "create.virtualMachines": 50, "delete": 5, "delete.virtualMachines": 20,
                         "delete.resourceGroups": 20, "power": 10, "runCommand": 10}}
# An address that answers nothing: without a principal, none of these tests asks the metadata service of the machine.
NO_IDENTITY = "http://127.0.0.1:1"

# Where a client could be led. {foreign} is the other origin as a URL, {fport} its port, {port} the double's own.
ELSEWHERE = [
    # another port, host or scheme
    "{foreign}{path}", "{foreign}", "http://127.0.0.1:{fport}/subscriptions", "http://127.0.0.1{path}",
    "http://127.0.0.1:80{path}", "http://127.0.0.1:443{path}", "https://127.0.0.1:{port}{path}", "https://127.0.0.1:{fport}{path}",
    "http://localhost:{port}{path}", "http://127.0.0.2:{port}{path}", "http://[::1]:{port}{path}", "http://[::ffff:127.0.0.1]:{port}{path}",
    "http://evil.example{path}", "https://evil.example{path}", "https://management.azure.com{path}",
    "http://management.azure.com:{port}{path}", "ws://127.0.0.1:{port}{path}", "ftp://127.0.0.1:{port}{path}",
    # user names, and hosts that only begin or end like ours
    "http://127.0.0.1:{port}@127.0.0.1:{fport}{path}", "http://127.0.0.1@evil.example{path}", "http://u:p@127.0.0.1:{port}{path}",
    "http://@127.0.0.1:{port}{path}", "http://127.0.0.1%40evil.example{path}", "http://127.0.0.1:{port}%40127.0.0.1:{fport}{path}",
    "http://127.0.0.1:{port};@127.0.0.1:{fport}{path}", "http://127.0.0.1:{port}#@127.0.0.1:{fport}{path}",
    "http://127.0.0.1:{port}?@127.0.0.1:{fport}{path}#", "http://127.0.0.1.evil.example{path}", "http://127.0.0.1:{port}.evil.example{path}",
    "http://127.0.0.1-evil.example{path}", "http://evil.example?127.0.0.1:{port}{path}#x", "http://evil.example%23.127.0.0.1{path}",
    # other spellings of the same or of another address
    "http://2130706433:{fport}{path}", "http://0x7f000001:{fport}{path}", "http://0x7f.0.0.1:{fport}{path}", "http://0177.0.0.1:{fport}{path}",
    "http://017700000001:{fport}{path}", "http://127.1:{fport}{path}", "http://127.0.1:{fport}{path}", "http://127.000.000.001:{fport}{path}",
    "http://0:{fport}{path}", "http://0.0.0.0:{fport}{path}", "http://127.0.0.1.:{port}{path}", "http://127.0.0.1.:{fport}{path}",
    "http://[0:0:0:0:0:0:0:1]:{fport}{path}", "http://[::127.0.0.1]:{fport}{path}", "http://[::1%25lo]:{fport}{path}", "http://[v1.x]:{port}{path}",
    "http://127%2E0%2E0%2E1:{fport}{path}", "http://%31%32%37.0.0.1:{fport}{path}", "http://LOCALHOST:{fport}{path}", "http://localhost.:{fport}{path}",
    "http://169.254.169.254/metadata/identity/oauth2/token", "http://2852039166/metadata/identity", "http://[fd00:ec2::254]{path}",
    # ports
    "http://127.0.0.1:0{port}{path}", "http://127.0.0.1:+{port}{path}", "http://127.0.0.1:-1{path}", "http://127.0.0.1:65536{path}",
    "http://127.0.0.1:99999999999{path}", "http://127.0.0.1:{port}:{fport}{path}", "http://127.0.0.1:{path}", "http://127.0.0.1:0{path}",
    "http://127.0.0.1:{port}x{path}", "http://127.0.0.1:%20{port}{path}", "http://127.0.0.1::{fport}{path}",
    # backslashes, blanks, control characters, letters that look alike
    "http:\\\\127.0.0.1:{fport}{path}", "http://127.0.0.1:{port}\\@127.0.0.1:{fport}{path}", "http://127.0.0.1:{fport}\\.127.0.0.1:{port}{path}",
    "http:/\\127.0.0.1:{fport}{path}", "http://127.0.0.1:{port} @127.0.0.1:{fport}{path}", "http://127.0.0.1:{fport} {path}", "http://127.0.0.1\t:{fport}{path}",
    "http://１２７.0.0.1:{fport}{path}", "http://127。0。0。1:{fport}{path}", "http://①②⑦.0.0.1:{fport}{path}", "http://lоcalhost:{fport}{path}",
    "http://127.0.0.1：{fport}{path}", "http://127.0.0.1:{port}{path}\u202e", "http://127.0.0.1:{fport}／x{path}", "http://127.0.0.1:{fport}%00{path}",
    "http://127.0.0.1:{port}{path}%00", "http://127.0.0.1:{port}{path}%zz", "http://127.0.0.1:{port}{path}#fragment", "http://127.0.0.1:{port}/<script>",
    "http://127.0.0.1:{port}/\"{path}", "http://127.0.0.1:{port}/`id`",
    # other schemes, relative forms, nothing at all
    "file:///etc/passwd", "file://127.0.0.1:{port}/etc/passwd", "data:application/json,%7B%22status%22%3A%22Succeeded%22%7D", "javascript:alert(1)",
    "gopher://127.0.0.1:{fport}/", "unix:/run/docker.sock", "resource:///org/x", "http:{path}", "http:/127.0.0.1:{fport}{path}", "http:///127.0.0.1:{fport}{path}",
    "http:////127.0.0.1:{fport}{path}", "https:127.0.0.1:{fport}", "HTTP:127.0.0.1:{fport}", "//127.0.0.1:{fport}{path}", "///127.0.0.1:{fport}{path}",
    "////evil.example", "/\\127.0.0.1:{fport}{path}", "\\\\127.0.0.1:{fport}{path}", "../../../..", "127.0.0.1:{fport}{path}", "evil.example{path}",
    "?api-version=2024-07-01", "{", "http://", "http://:{fport}{path}", "http://?", " {foreign}{path}", "hTtP://127.0.0.1:{fport}{path}",
    "http://127.0.0.1:{port}/" + "a" * 9000, "http://" + "a" * 300 + "{path}", "{foreign}/" + "b" * 5000,
]
REDIRECTS = [300, 301, 302, 303, 304, 305, 307, 308]


def principal(double, **extra):
    """Whatever asks for another host by way of a proxy arrives at the foreign port."""
    proxies = {name: double.foreign for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    return double.env(AZURE_POD_IDENTITY_AUTHORITY_HOST=NO_IDENTITY, no_proxy="", **proxies, **extra)


class Cloud(e2e.Home):
    def __init__(self, options=None, text="", **control):
        self.double = ArmDouble(**{**QUICK, **control})
        super().__init__(self.double.config(**(options or {})) + "[health]\ntcp-timeout=0.2\n" + text)

    def env(self, **extra):
        return super().env(**{**principal(self.double), **extra})

    def run(self, *args, timeout=120, **kw):
        """As in e2e, with the most memory that it had in KiB."""
        process = self.popen(*args, **kw)
        err = []
        reader = threading.Thread(target=lambda: err.append(process.stderr.read()))
        reader.start()
        alarm = threading.Timer(timeout, process.kill)
        alarm.start()
        out = process.stdout.read()
        reader.join()
        _, status, usage = os.wait4(process.pid, 0)
        alarm.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        process.stderr.close()
        result = e2e.Result(process.returncode, out, err[0])
        result.kib = usage.ru_maxrss
        return result

    def open_entries(self):
        open_ = set()
        path = os.path.join(self.path, "journal.log")
        for line in open(path, errors="replace") if os.path.exists(path) else []:
            record = json.loads(line[line.find("{"):line.rfind("}") + 1] or "{}")
            if record.get("step") in ("intent", "done"):
                (open_.add if record["step"] == "intent" else open_.discard)(record["id"])
        return open_

    def standing(self):
        return {kind.split("/")[-1] for kind, list_ in self.double.state()["resources"].items() if list_} - {"deployments"}

    def assert_nothing_escaped(self):
        state = self.double.assert_clean(orphans=False)
        foreign = [q["target"] for q in self.double.log() if q["kind"] == "Foreign"]
        assert not foreign, foreign
        return state

    def assert_recovers(self):
        """With the faults gone nothing stays that no record knows of."""
        self.double.control(faults=[])
        recovered = self.run("recover", "--yes")
        assert recovered.code == 0, recovered
        assert self.open_entries() == set(), recovered
        assert self.run("destroy", "--yes").code == 0
        assert self.standing() == set(), (self.double.state()["resources"], recovered)

    def close(self):
        super().close()
        self.double.__exit__(None)


def assert_said(result, what):
    """An end that people understand: no signal, no control characters, no sanitizer, a reason."""
    text = result.out + result.err
    assert 0 < result.code < 128, (what, result)
    assert "Sanitizer" not in text and "CRITICAL" not in text, (what, result)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), (what, result)
    assert re.search("Failed|azlin: |error_message", text), (what, result)


def fill(template, double):
    return template.replace("{fport}", str(double.foreign_port))


def side_by_side(work, items, workers=4):
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work, item) for item in items]:
            done.result()


def regions_of(count):
    return ["region%03d" % i for i in range(count)]


class ManyRegions(Cloud):
    """As many regions as there are forged addresses: each region is led elsewhere by its own, in one run of azlin."""

    def __init__(self, templates, **control):
        self.regions, self.templates = regions_of(len(templates)), templates
        super().__init__(text="[policy]\nallowed-regions=%s;westus\n" % ";".join(self.regions),
                         extra_regions=len(self.regions), **control)

    def forge(self, fault):
        self.double.control(faults=[{**fault, "region": region, "to": fill(template, self.double)}
                                    for region, template in zip(self.regions, self.templates)])

    def deploy(self):
        return self.run("deploy", "-r", ",".join(self.regions), "--max-concurrent", "100", "-o", "json")

    def assert_refused(self, result, failed):
        """`failed`: {region: its error}"""
        assert_said(result, "forged")
        fired = [f["fired"] for f in self.double.state()["faults"]]
        assert all(fired), (fired, result)
        for region, template in zip(self.regions, self.templates):
            assert "address" in failed.get(region, ""), (template, failed.get(region))
        self.assert_nothing_escaped()


def chunks(list_, size=15):
    """Few enough for one process not to be slowed down by Azure's own budget of reads."""
    return [list_[i:i + size] for i in range(0, len(list_), size)]


def test_forged_addresses_of_operations():
    """Every address, as that of a deployment: the region ends, what was made for it is taken away."""
    assert len(ELSEWHERE) >= 100 and len(set(ELSEWHERE)) == len(ELSEWHERE)

    def run(templates):
        with ManyRegions(templates) as cloud:
            cloud.forge({"do": "forge", "on": "Deployments_CreateOrUpdate", "header": "Azure-AsyncOperation"})
            result = cloud.deploy()
            cloud.assert_refused(result, {entry["region"]: entry["error"]["error_message"]
                                          for entry in json.loads(result.out)["failed"]})
            assert cloud.open_entries() == set(), result
            assert cloud.standing() == set(), cloud.double.state()["resources"]
    side_by_side(run, chunks(ELSEWHERE))


def test_forged_locations_of_deletions():
    """Machines that could not be deleted are still known, and go once the addresses are right."""
    templates = ELSEWHERE[::9]
    with ManyRegions(templates, async_header=False) as cloud:
        assert cloud.deploy().code == 0
        cloud.forge({"do": "forge", "on": "VirtualMachines_Delete", "header": "Location"})
        result = cloud.run("destroy", "--yes", "-o", "json")
        assert len(json.loads(result.out)["failed"]) == len(templates), result
        assert result.err.count("address") == len(templates), result
        assert_said(result, "destroy")
        cloud.assert_nothing_escaped()
        cloud.assert_recovers()


def test_forged_next_links():
    """Of a list that a command reads, one by one: it fails, with a reason, and asks nobody else."""
    with Cloud(page_size=1) as cloud:
        assert cloud.run("deploy", "-r", "eastus,westus", "-o", "json").code == 0

        for template in ELSEWHERE[::8]:
            cloud.double.control(faults=[{"do": "forge", "on": "VirtualMachines_ListAll", "to": fill(template, cloud.double)}])
            result = cloud.run("regions", "refresh", "-o", "json")
            assert "cannot list" in result.err and "address" in result.err, (template, result)
            cloud.assert_nothing_escaped()
        cloud.assert_recovers()


# ---- redirects ----

PLACES = ["{foreign}{path}", "http://evil.example{path}", "//127.0.0.1:{fport}{path}", "{path}", "{base}{path}", "file:///etc/passwd",
          "https://127.0.0.1:{fport}{path}", "http://127.0.0.1:{port}@127.0.0.1:{fport}{path}"]
# kind: may the deploy succeed all the same?
REDIRECTED = {"ResourceGroups_CreateOrUpdate": False, "Deployments_CreateOrUpdate": False, "VirtualMachines_RunCommand": True, "Deployments_Get": False, "Poll": True}


def test_redirects():
    """Each status on each request of a deploy, to all sorts of places: none is followed."""
    def run(kind):
        with ManyRegions(PLACES) as cloud:
            faults = {"times": 3} if kind == "Poll" else {}
            cloud.double.control(faults=[
                {"do": "redirect", "on": kind, "status": status, "region": region, "to": fill(place, cloud.double), **faults}
                for region, status, place in zip(cloud.regions, REDIRECTS, PLACES)])
            result = cloud.deploy()
            if not REDIRECTED[kind]:
                assert_said(result, kind)
                assert result.out.count("redirects are never followed") >= len(PLACES), result
            assert all(f["fired"] for f in cloud.double.state()["faults"]), kind
            cloud.assert_nothing_escaped()
            cloud.assert_recovers()
    side_by_side(run, REDIRECTED)


def test_redirected_logins_and_lists():
    with Cloud() as cloud:
        assert cloud.run("deploy", "-r", "westus", "-o", "json").code == 0
        for status, place in zip(REDIRECTS, PLACES):
            for kind, words in (("Token", ["deploy", "-r", "eastus"]), ("VirtualMachines_Get", ["regions", "refresh"]),
                                ("VirtualMachines_ListAll", ["regions", "refresh"]), ("*", ["vm", "status"])):
                cloud.double.control(faults=[{"do": "redirect", "on": kind, "status": status, "to": fill(place, cloud.double)}])
                result = cloud.run(*words, "-o", "json")
                assert "redirect" in result.out + result.err, (kind, status, result)
                cloud.assert_nothing_escaped()
        cloud.double.control(faults=[])


# ---- answers that are none ----

BODIES = [{"do": "body", "kind": "gzip-bomb"}, {"do": "body", "kind": "brackets"}, {"do": "body", "kind": "wrong-types", "when": "after"},
          {"do": "body", "kind": "nul"}, {"do": "body", "kind": "bad-utf8"}, {"do": "body", "kind": "huge", "size": 64 << 20},
          {"do": "truncate"}, {"do": "cut"}, {"do": "html"}]
ANSWERS = ["Token", "ResourceGroups_Get", "ResourceGroups_CreateOrUpdate", "VirtualMachines_Get", "VirtualMachines_RunCommand",
           "ResourceSkus_List", "Usage_List", "VirtualMachines_ListAll"]
# Retried up to the deadline and while undoing: all sorts in one run, each so often.
SLOW_ANSWERS = {"Deployments_CreateOrUpdate": 1, "Deployments_Get": 12, "Poll": 7}
MOST = {}


def record_of(cloud):
    with open(os.path.join(cloud.path, "config.json"), "rb") as f:
        return f.read()


def judge(cloud, result, what, before):
    MOST[what] = result.kib
    if result.code != 0:
        assert_said(result, what)
    assert "Sanitizer" not in result.err, (what, result)
    assert b"westus" in record_of(cloud) and (result.code == 0 or record_of(cloud) == before), (what, result)


def broken_one_by_one(kind):
    with Cloud() as cloud:
        assert cloud.run("deploy", "-r", "westus", "-o", "json").code == 0
        for fault in BODIES:
            before = record_of(cloud)
            cloud.double.control(faults=[{**fault, "on": kind}])
            words = ("regions", "refresh") if kind == "VirtualMachines_ListAll" else ("deploy", "-r", "eastus", "--timeout", "6")
            result = cloud.run(*words, "-o", "json")
            what = (kind, fault.get("kind", fault["do"]))
            assert cloud.double.state()["faults"][0]["fired"], what
            judge(cloud, result, what, before)
            cloud.double.control(faults=[])
            recovered = cloud.run("recover", "--yes")
            assert recovered.code == 0 and cloud.open_entries() == set(), (what, recovered)
            cloud.run("vm", "delete", "--region", "eastus", "--yes")
        cloud.assert_recovers()


def broken_side_by_side(kind):
    with ManyRegions(BODIES) as cloud:
        assert cloud.run("deploy", "-r", "westus", "-o", "json").code == 0
        before = record_of(cloud)
        cloud.double.control(faults=[{**fault, "on": kind, "region": region, "times": SLOW_ANSWERS[kind]}
                                     for region, fault in zip(cloud.regions, BODIES)])
        result = cloud.run("deploy", "-r", ",".join(cloud.regions), "--timeout", "8", "-o", "json")
        assert all(f["fired"] for f in cloud.double.state()["faults"]), cloud.double.state()["faults"]
        if json.loads(result.out)["successful"]:
            before = record_of(cloud)
        judge(cloud, result, (kind, "all"), before)
        cloud.assert_recovers()


def test_bodies():
    """Each sort of broken answer to each request: a reason or a way around, little memory, no record lost."""
    side_by_side(lambda job: job[0](job[1]), [(broken_side_by_side, kind) for kind in SLOW_ANSWERS]
                 + [(broken_one_by_one, kind) for kind in ANSWERS])
    most = max(MOST, key=MOST.get)
    print("# most memory: %d KiB, %s" % (MOST[most], most))
    assert SANITIZED or MOST[most] < LIMIT_KIB, MOST


def test_many_bombs_at_once():
    """Fifteen regions answered by a bomb at the same moment: most of the answers are never held together."""
    with ManyRegions([""] * 15) as cloud:
        cloud.double.control(faults=[{"do": "body", "kind": "gzip-bomb", "on": "ResourceGroups_Get"}])
        result = cloud.deploy()
        assert_said(result, "bombs")
        print("# %d KiB" % result.kib)
        cloud.assert_recovers()


def test_records_that_cannot_be_written():
    """The machine stands and is paid for, while the disk is full: azlin recover knows of it."""
    with Cloud(duration_ms={**QUICK["duration_ms"], "create.virtualMachines": 1500}) as cloud:
        running = cloud.popen("deploy", "-r", "eastus,westus2", "-o", "json")
        while "Deployments_CreateOrUpdate" not in cloud.double.state()["requests"]["kinds"]:
            time.sleep(0.05)
        os.mkdir(os.path.join(cloud.path, "config.json.new")) # in the way, as a full disk is
        out, err = running.communicate(timeout=60)
        assert running.returncode == 2 and "cannot write" in out and "put it on record: azlin recover" in out, (out, err)
        os.rmdir(os.path.join(cloud.path, "config.json.new"))
        recovered = cloud.run("recover", "--yes")
        listed = json.loads(cloud.run("regions", "list", "-o", "json").out)["regions"]
        assert {vm["region"] for vm in listed} == {"eastus", "westus2"}, (listed, recovered)
        cloud.double.assert_clean()
        cloud.assert_recovers()


# ---- tokens that live two seconds ----

def test_tokens_of_two_seconds():
    """A deploy of more than six: it finishes, asks for several tokens, and no PUT is sent twice."""
    for create in ("template", "direct"):
        with Cloud(options={"create": create}, token_life=2, poll_retry_after=1,
                   duration_ms={**QUICK["duration_ms"], "create.virtualMachines": 7000}) as cloud:
            result = cloud.run("deploy", "-r", "eastus", "-o", "json")
            assert result.code == 0 and json.loads(result.out)["successful"][0]["duration_seconds"] > 6, result
            log = cloud.double.log()
            puts = [q["target"] for q in log if q["method"] == "PUT"]
            assert len(puts) == len(set(puts)) and len(puts) == {"template": 2, "direct": 6}[create], puts
            assert cloud.double.state()["tokens_issued"] >= 4, cloud.double.state()["tokens_issued"]
            cloud.double.assert_clean()
            assert cloud.run("destroy", "--yes").code == 0


# ---- letters that a terminal obeys ----

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\u2066\r\nNothing: failed\x7f\x08\x1f--to\x1eevil"


def test_escapes_never_reach_the_terminal():
    """In codes, messages, names, tags and states: neither raw in the texts for people nor in JSON's strings."""
    def strings(value):
        if isinstance(value, dict):
            return [t for k, v in value.items() for t in [k] + strings(v)]
        return [t for v in value for t in strings(v)] if isinstance(value, list) else [value] if isinstance(value, str) else []

    def harmless(result):
        try:
            texts = strings(json.loads(result.out)) + [result.err]
        except ValueError:
            texts = [result.out, result.err]
        for text in texts:
            found = re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
            assert not found, (found, text, result)
    error = {"code": "Bad" + ESCAPES, "message": "It is " + ESCAPES}
    with Cloud() as cloud:
        for on in ("Token", "ResourceGroups_CreateOrUpdate", "Deployments_CreateOrUpdate", "ResourceSkus_List", "Poll"):
            for form in ([], ["-o", "json"]):
                cloud.double.control(faults=[{"do": "status", "status": 400, "on": on, **error}])
                harmless(cloud.run("deploy", "-r", "eastus", "--timeout", "5", *form))
        for form in ([], ["-o", "json"]):
            cloud.double.control(faults=[{"do": "fail", "on": "VirtualMachines_CreateOrUpdate", **error}])
            harmless(cloud.run("deploy", "-r", "eastus", *form))
        cloud.assert_recovers()
        assert cloud.run("deploy", "-r", "eastus").code == 0
        vm = cloud.double.state()["resources"]["Microsoft.Compute/virtualMachines"][0]["id"]
        tags = {"azlin:managed": "true", "azlin:region": "eastus" + ESCAPES, "azlin:primary": ESCAPES, "azlin:vm_type": ESCAPES}
        cloud.double.control(change={vm: {"tags": tags, "properties.provisioningState": "Odd" + ESCAPES,
                                          "properties.hardwareProfile": {"vmSize": "S" + ESCAPES}}})
        for words in (["regions", "list"], ["regions", "refresh"], ["regions", "health"], ["vm", "status"], ["audit", "show"]):
            for form in ([], ["-o", "json"]):
                harmless(cloud.run(*words, *form))
        cloud.double.control(change={vm: {"tags": {"azlin:managed": "true"}, "properties.provisioningState": "Succeeded"}})


if __name__ == "__main__":
    e2e.main(globals())
