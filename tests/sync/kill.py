"""azlin sync interrupted, killed and cut off: no key, no transfer and no torn file is left behind."""
import contextlib, json, os, random, signal, time
import e2e
from e2e import until
from faults import processes
from machines import clean_up, fill, need, no_keys, put, result, same, transfers

ROUNDS = int(os.environ.get("AZLIN_SYNC_KILLS", "20"))


def start_slow(home, name):
    """A sync by rsync that takes eight seconds, stopped in its middle by the caller."""
    put(home.at("eastus", name, "f"), os.urandom(4 << 20))
    p = home.popen("sync", "--dest", "westus2", "--paths", "/home/azureuser/" + name, "--bwlimit", "500",
                   "--strategy", "rsync")
    until(lambda: transfers(home), "the transfer runs")
    time.sleep(random.random())
    return p


def test_interrupt_ends_the_transfer_and_takes_the_key_back():
    home = need()
    p = start_slow(home, "interrupt")
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=60)
    assert p.returncode == 130, p.returncode
    until(lambda: not transfers(home), "rsync ends with an interrupted azlin", 2)
    no_keys(home)


def test_a_killed_azlin_leaves_no_transfer_running():
    home = need()
    p = start_slow(home, "orphan")
    p.kill()
    p.communicate(timeout=60)
    until(lambda: not transfers(home), "rsync has ended without azlin", 5)
    home.ok("recover", "--yes")
    no_keys(home)


def test_recover_ends_a_transfer_at_once():
    home = need()
    p = start_slow(home, "orphan2")
    p.kill()
    p.communicate(timeout=60)
    put(home.at("westus2", "orphan2", "sub", ".azlin-partial", "f"))  # older rsyncs have one in each folder
    home.ok("recover", "--yes")
    until(lambda: not transfers(home), "rsync ends with its key", 2)
    no_keys(home)
    assert not os.path.exists(home.at("westus2", "orphan2", ".azlin-partial"))
    assert not os.path.exists(home.at("westus2", "orphan2", "sub", ".azlin-partial"))


def test_an_interrupted_transfer_resumes_and_shows_no_torn_file():
    home = need()
    for i in range(20):
        put(home.at("eastus", "resume", "a%d" % i))
    p = start_slow(home, "resume")
    until(lambda: os.path.exists(home.at("westus2", "resume", "a9")), "small files are there")
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=60)
    assert not os.path.exists(home.at("westus2", "resume", "f")), "a torn file is visible"
    one, = result(home.sync("--dest", "westus2", "--paths", "/home/azureuser/resume"))
    assert one["files_synced"] < 21, "what was complete was copied again: %r" % one
    same(home.at("eastus", "resume"), home.at("westus2", "resume"))
    assert not os.path.exists(home.at("westus2", "resume", ".azlin-partial"))


def receivers(home, region):
    """rsync on a machine, which writes what comes."""
    return [pid for pid, line in processes(home.pid(region)).items() if "rsync --server " in line]


def test_what_a_killed_rsync_leaves_on_the_target_goes_to_the_trash():
    home = need()
    there = home.at("westus2", "residue")
    put(os.path.join(there, ".f.backup"), b"stood there before")
    p = start_slow(home, "residue")
    until(lambda: [n for n in os.listdir(there) if len(n) == len(".f.XXXXXX") and n != ".f.backup"], "rsync writes")
    put(os.path.join(there, ".g.backup"), b"came meanwhile, and is nobody's file of rsync")
    at_work = receivers(home, "westus2")
    assert at_work
    for pid in at_work:
        os.kill(pid, signal.SIGKILL)
    out, err = p.communicate(timeout=100)
    assert p.returncode == 0 and "went to the trash" in out + err, (p.returncode, out, err)
    assert sorted(os.listdir(there)) == [".azlin-trash", ".f.backup", ".g.backup", "f"], os.listdir(there)
    thrown = [n for _, _, names in os.walk(os.path.join(there, ".azlin-trash")) for n in names]
    assert [n for n in thrown if n.startswith(".f.")], thrown
    no_keys(home)


def test_what_rsyncs_that_are_killed_again_and_again_leave_goes_to_the_trash_too():
    home = need()
    there = home.at("westus2", "residues")
    p = start_slow(home, "residues")
    kills = 0
    while p.poll() is None:
        if os.path.isdir(there) and any(n.startswith(".f.") for n in os.listdir(there)):
            for pid in receivers(home, "westus2"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                kills += 1
        time.sleep(0.05)
    out, err = p.communicate()
    assert p.returncode == 2 and "went to the trash" in out + err, (p.returncode, out, err)
    assert kills > 2 and os.listdir(there) == [".azlin-trash"], (kills, os.listdir(there))
    no_keys(home)


def test_a_file_of_the_source_that_is_called_like_rsyncs_own_is_none():
    home = need()
    name = ".f.uMhHMK"
    put(home.at("eastus", "alike", name), b"gone from the source before the copy has ended")
    p = start_slow(home, "alike")
    until(lambda: os.path.exists(home.at("westus2", "alike", name)), "it is there")
    os.unlink(home.at("eastus", "alike", name))
    out, err = p.communicate(timeout=100)
    assert p.returncode == 1 and "vanished from the source" in out + err, (p.returncode, out, err)
    assert os.path.exists(home.at("westus2", "alike", name))


def test_a_target_that_dies_keeps_the_record_until_it_is_back():
    home = need()
    p = start_slow(home, "died")
    home.ok("vm", "stop", "--region", "westus2", "--yes")
    out, err = p.communicate(timeout=100)
    assert p.returncode == 2, (p.returncode, out, err)
    assert "azlin recover" in out and "/home/azureuser/died" in out, (out, err)
    home.ok("vm", "start", "--region", "westus2")
    home.ok("recover", "--yes")
    no_keys(home)


def test_one_dead_region_does_not_stop_the_others():
    home = need()
    put(home.at("eastus", "some", "f"), b"1")
    home.ok("vm", "stop", "--region", "westeurope", "--yes")
    try:
        dead, alive = result(home.sync("--all", "--paths", "/home/azureuser/some"), 1)
    finally:
        home.ok("vm", "start", "--region", "westeurope")
    assert dead["target_region"] == "westeurope" and dead["errors"] and dead["success_rate"] == 0.0
    assert alive["target_region"] == "westus2" and alive["verified"] is True
    no_source = home.sync("--source", "westeurope", "--dest", "westus2", "--paths", "/home/azureuser/nothing-there")
    assert no_source.code == 2, no_source


def test_sigkill_at_random_instants():
    home = need()
    here, there = home.at("eastus", "killed"), home.at("westus2", "killed")
    rng = random.Random(20)
    put(os.path.join(here, "big"), os.urandom(2 << 20))
    fill(here, 50)
    args = ("sync", "--dest", "westus2", "--paths", "/home/azureuser/killed", "--yes", "--delete")
    began = time.monotonic()
    home.ok(*args)
    whole = time.monotonic() - began
    for i in range(ROUNDS):
        put(os.path.join(here, "big"), os.urandom(2 << 20))
        p = home.popen(*args)
        time.sleep(rng.random() * whole)
        p.kill()
        p.communicate(timeout=30)
        home.ok("recover", "--yes")
        no_keys(home)
        assert json.load(open(os.path.join(home.path, "config.json")))
    home.ok(*args)
    same(here, there)
    no_keys(home)
    left = [n for n in os.listdir(home.path) if ".tmp" in n or n.endswith("~")]
    assert not left, left


def test_zz_clean_up():
    clean_up()


e2e.main(globals())
