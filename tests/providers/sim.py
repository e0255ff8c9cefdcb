"""provider-sim and provider-static through their slots: time, faults, probes, events, and a world that outlives azlin."""
import json, os, re, shutil, subprocess, tempfile, time
import e2e

DRIVE = os.environ["AZLIN_DRIVE"]
NOT_FOUND, CAPACITY, PERMISSION, TIMED_OUT, THROTTLED, AUTH, HOST_KEY, NETWORK, EXISTS, CONFIG, NOT_SUPPORTED = \
    13, 2, 3, 4, 12, 6, 7, 1, 14, 11, 15


class Sim:
    def __init__(self, script="", options="", provider="sim"):
        os.makedirs(e2e.SCRATCH, mode=0o700, exist_ok=True)
        self.root = tempfile.mkdtemp(dir=e2e.SCRATCH)
        self.provider, self.took = provider, 0.0
        self.home, self.config = os.path.join(self.root, "home"), os.path.join(self.root, "azlin.conf")
        self.script_file = os.path.join(self.root, "script")
        self.script(script)
        with open(self.config, "w") as f:
            f.write("[bricks]\nprovider=%s\n" % provider)
            if provider == "sim":
                f.write("[provider.sim]\nscript=%s\n%s\n" % (self.script_file, options))

    def script(self, text):
        with open(self.script_file, "w") as f:
            f.write(text)

    def popen(self, *words):
        env = dict(os.environ, AZLIN_CONFIG=self.config, HOME=self.root, DRIVE_TIME="1")
        return subprocess.Popen([DRIVE, self.home, self.provider, *words], env=env, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def call(self, *words):
        p = self.popen(*words)
        out, err = p.communicate(timeout=60)
        found = re.search(r"took ([\d.]+)\n$", err)
        self.took = float(found.group(1)) if found else None
        return p.returncode, out, err[:found.start()] if found else err

    def ok(self, *words):
        code, out, err = self.call(*words)
        assert code == 0, "%s: %d %s %s" % (words, code, out, err)
        if words[0] in ("exec", "probe", "journal"):
            return out
        found = [json.loads(line) for line in out.splitlines()]
        return found[0] if found and words[0] != "list" else found

    def fails(self, code, *words):
        status, out, err = self.call(*words)
        assert status == 1 and err.startswith("%d " % code), "%s: %d %s %s" % (words, status, out, err)
        return err

    def create(self, name, region="eastus"):
        return self.ok("create", name, region, "azureuser", "ssh-ed25519 AAAA")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)


def test_time_is_virtual():
    with Sim() as sim:
        began = time.monotonic()
        vm = sim.create("a")
        assert 180 <= sim.took < 181, sim.took
        assert time.monotonic() - began < 30
        assert vm["power"] == "running" and vm["public_ip"].startswith("198.1"), vm
        assert vm["host_key"].startswith("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"), vm
        again = sim.create("a")
        assert again["id"] == vm["id"] and sim.took < 1, "adopted at once"
        sim.fails(EXISTS, "create", "a", "westus2", "azureuser", "ssh-ed25519 AAAA")
        assert sim.ok("get", "a")["id"] == vm["id"]
        sim.fails(NOT_FOUND, "get", "a", "another id")
        assert [v["vm_name"] for v in sim.ok("list")] == ["a"]


def test_durations_by_region():
    with Sim("create * seconds 60\ncreate westeurope seconds 100..200\n") as sim:
        sim.create("a")
        assert 60 <= sim.took < 61
        sim.create("b", "westeurope")
        first = sim.took
        assert 100 <= first <= 201
        sim.ok("delete", "b")
        sim.create("b", "westeurope")
        assert abs(sim.took - first) < 0.01, "the seed decides, not the run"


def test_failures_by_count_and_code():
    with Sim("create eastus fail throttled x2\ncreate westeurope fail capacity\ncreate asia fail permission after 90\n"
             ) as sim:
        words = ["azureuser", "ssh-ed25519 AAAA"]
        sim.fails(THROTTLED, "create", "a", "eastus", *words)
        sim.fails(THROTTLED, "create", "a", "eastus", *words)
        assert sim.create("a")["power"] == "running"
        for _ in range(3):
            sim.fails(CAPACITY, "create", "b", "westeurope", *words)
        sim.fails(PERMISSION, "create", "c", "asia", *words)
        assert 90 <= sim.took < 91
        assert [v["vm_name"] for v in sim.ok("list")] == ["a"], "nothing half-made is left"
        assert sim.ok("journal") == ""


def test_chance_depends_on_the_seed_alone():
    def run(seed):
        with Sim("create * fail network p 0.5\n", "seed=%d" % seed) as sim:
            return [sim.call("create", "vm%d" % i, "eastus", "azureuser", "ssh-ed25519 AAAA")[0] for i in range(12)]
    assert run(1) == run(1) and 0 < sum(run(1)) < 12
    assert run(1) != run(2)


def test_cloud_that_never_answers():
    with Sim("create eastus hang\nget * hang\n") as sim:
        sim.fails(TIMED_OUT, "create", "a", "eastus", "azureuser", "ssh-ed25519 AAAA")
        assert sim.took > 86400
        sim.fails(TIMED_OUT, "get", "a")


def test_events_happen_once_when_due():
    with Sim() as sim:
        sim.create("a")
        sim.create("b", "westeurope")
        sim.script("at 1000 machine eastus kill\n")
        assert sim.ok("get", "a")["power"] == "running", "not due yet"
        sim.script("machine eastus kill\n")
        off = sim.ok("get", "a")
        assert (off["power"], off["stop_cause"]) == ("stopped", "ended"), off
        assert sim.ok("get", "b")["power"] == "running"
        assert sim.ok("power", "a", "running")["power"] == "running"
        assert sim.ok("get", "a")["power"] == "running", "an event does not happen twice"
        sim.script("machine b stop\n")
        assert sim.ok("get", "b")["stop_cause"] == "requested"
        sim.script("machine b start\nmachine a remove\n")
        assert sim.ok("get", "b")["power"] == "running"
        sim.fails(NOT_FOUND, "get", "a")


def test_events_come_while_time_passes():
    with Sim("at 200 machine eastus kill\n") as sim:
        sim.create("a")
        assert sim.ok("get", "a")["power"] == "running"
        sim.create("b", "westeurope")
        assert sim.ok("get", "a")["stop_cause"] == "ended"


def test_power_is_intent():
    with Sim("power westeurope fail permission x1\n") as sim:
        sim.create("a")
        for want in ["stopped", "deallocated"]:
            off = sim.ok("power", "a", want)
            assert (off["power"], off["stop_cause"]) == (want, "requested")
            assert 20 <= sim.took < 21
            assert sim.ok("probe", "a") == "('timeout', 'nothing answered in time')\n"
        assert sim.ok("restart", "a")["power"] == "running"
        sim.create("b", "westeurope")
        sim.fails(PERMISSION, "power", "b", "stopped")
        assert sim.ok("get", "b")["power"] == "running"
        assert sim.ok("power", "b", "stopped")["power"] == "stopped"
        sim.ok("delete", "a")
        assert sim.ok("delete", "a") == []
        sim.fails(NOT_FOUND, "power", "a", "running")


def test_tags_are_merged():
    with Sim("tag b fail permission\n") as sim:
        vm = sim.create("a")
        assert vm["tags"]["azlin:managed"] == "true" and vm["tags"]["azlin:op"], vm
        sim.ok("tag", "a", "MADE BY=us", "new=1", "-äöü")
        tags = sim.ok("get", "a")["tags"]
        assert tags["MADE BY"] == "us" and tags["new"] == "1" and "made by" not in tags and "äöü" not in tags, tags
        assert tags["azlin:managed"] == "true", tags
        sim.create("b", "westus2")
        sim.fails(PERMISSION, "tag", "b", "new=1")
        assert "new" not in sim.ok("get", "b")["tags"]
        sim.fails(NOT_FOUND, "tag", "nobody", "new=1")


def test_probes_by_vantage():
    with Sim() as sim:
        sim.create("a")
        sim.create("w", "westus2")
        assert sim.ok("probe", "a").startswith("('ok'") and 0.04 < sim.took < 0.06
        sim.script("probe eastus from here timeout\n")
        assert sim.ok("probe", "a").startswith("('timeout'") and 10 <= sim.took < 10.1
        assert sim.ok("probe", "a", "w", "westus2").startswith("('ok'")
        sim.script("probe eastus from westus2 refused\nprobe eastus from here slow 900\n")
        assert sim.ok("probe", "a").startswith("('ok'") and 0.9 <= sim.took < 0.95
        assert sim.ok("probe", "a", "w", "westus2").startswith("('refused'")
        sim.script("probe westus2 auth_failed\n")
        sim.fails(AUTH, "probe", "a", "w", "westus2")
        sim.script("machine eastus kill\n")
        assert sim.ok("probe", "a").startswith("('refused'")
        sim.ok("power", "a", "running")
        sim.script("machine eastus vanish\n")
        assert sim.ok("probe", "a").startswith("('timeout'")


def test_commands():
    with Sim('exec * "du -sb *" 3 "1\\n2\\n"\n') as sim:
        sim.create("a")
        assert sim.ok("exec", "a", "echo", "nonce", "two") == "nonce two\n"
        assert sim.ok("exec", "a", "hostname") == "a\n"
        assert sim.call("exec", "a", "true")[0] == 0
        assert sim.call("exec", "a", "false")[0] == 1
        assert sim.call("exec", "a", "rm", "-rf", "/")[0] == 127
        code, out, _ = sim.call("exec", "a", "du", "-sb", "/x")
        assert (code, out) == (3, "1\n2\n")
        for outcome, error in [("refused", NETWORK), ("timeout", NETWORK), ("auth_failed", AUTH),
                               ("host_key_changed", HOST_KEY)]:
            sim.script("probe eastus %s\n" % outcome)
            sim.fails(error, "exec", "a", "echo", "x")


def test_bad_script_is_a_configuration_error():
    with Sim("create eastus fail gremlins\n") as sim:
        assert "line 1" in sim.fails(CONFIG, "list")
    with Sim("", "events=create * hang;probe eastus purple") as sim:
        assert "entry 2" in sim.fails(CONFIG, "list")
    with Sim() as sim:
        os.remove(sim.script_file)
        sim.fails(CONFIG, "create", "a", "eastus", "azureuser", "ssh-ed25519 AAAA")


def test_two_at_once():
    with Sim() as sim:
        processes = [sim.popen("create", "vm%d" % i, "eastus", "azureuser", "ssh-ed25519 AAAA") for i in range(6)]
        for p in processes:
            out, err = p.communicate(timeout=60)
            assert p.returncode == 0, err
        assert [v["vm_name"] for v in sim.ok("list")] == ["vm%d" % i for i in range(6)]


def test_recovery():
    """Half a machine goes, a whole one stays, an announced stop is carried out."""
    with Sim() as sim:
        sim.create("whole")
        world = os.path.join(sim.home, "bricks", "provider-sim", "world.log")
        with open(world) as f:
            line = f.readlines()[0]
        assert "int64 180000000" in line, line
        with open(world, "a") as f:
            f.write(line.replace("'whole'", "'half'"))
        for name in ["whole", "half"]:
            sim.ok("recover", "provider-sim", "vm-create", name)
        assert [v["vm_name"] for v in sim.ok("list")] == ["whole"]
        sim.ok("recover", "provider-sim", "vm-power", "whole", "stopped")
        assert sim.ok("get", "whole")["stop_cause"] == "requested"
        sim.ok("recover", "provider-sim", "vm-delete", "whole")
        assert sim.ok("list") == []
        sim.ok("recover", "provider-sim", "vm-delete", "whole")


def test_static_registers_and_does_nothing_else():
    with Sim(provider="static") as static:
        assert "regions add" in static.fails(NOT_SUPPORTED, "create", "a", "eastus", "u", "ssh-ed25519 AAAA")
        vm = static.ok("get", "mine")
        assert (vm["vm_name"], vm["power"], vm["stop_cause"]) == ("mine", "unknown", "unknown"), vm
        for words in [("power", "mine", "stopped"), ("restart", "mine"), ("delete", "mine")]:
            static.fails(NOT_SUPPORTED, *words)
        assert static.ok("list") == []


def test_isolation():
    with Sim("create * seconds 1\nprobe b ok\n", "silence-seconds=5") as sim:
        sim.create("a")
        sim.create("b", "westus2")
        sim.ok("isolate", "b", "on")
        assert 2 <= sim.took < 2.1, sim.took
        assert "timeout" in sim.ok("probe", "b") and sim.took >= 5, "whatever a rule says"
        assert "timeout" in sim.ok("probe", "b", "a", "eastus"), "nobody reaches it"
        sim.fails(NETWORK, "probe", "a", "b", "westus2")  # and it is no witness
        sim.fails(NETWORK, "exec", "b", "hostname")
        assert "ok" in sim.ok("probe", "a")
        assert sim.ok("get", "b")["power"] == "running", "the provider sees it"
        sim.ok("isolate", "b", "on")
        sim.ok("power", "b", "stopped")
        assert "timeout" in sim.ok("probe", "b")
        sim.ok("power", "b", "running")
        assert "timeout" in sim.ok("probe", "b"), "a restart does not lift it"
        sim.ok("isolate", "b", "off")
        assert "ok" in sim.ok("probe", "b")
        sim.ok("isolate", "b", "off")
        sim.fails(NOT_FOUND, "isolate", "c", "on")
        assert sim.ok("journal") == ""


def test_isolation_by_script():
    with Sim("create * seconds 1\nisolate a fail permission x1\nisolate a seconds 7\n") as sim:
        sim.create("a")
        sim.fails(PERMISSION, "isolate", "a", "on")
        assert "ok" in sim.ok("probe", "a")
        sim.ok("isolate", "a", "on")
        assert 7 <= sim.took < 7.1, sim.took
        assert "timeout" in sim.ok("probe", "a")
        sim.script("isolate a hang\n")
        sim.fails(TIMED_OUT, "isolate", "a", "off")
        assert "timeout" in sim.ok("probe", "a")


if __name__ == "__main__":
    e2e.main(globals())
