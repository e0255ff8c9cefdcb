"""Jobs on the bus: what the command line does, for any program; they outlive whoever began them."""
import json, os, signal, subprocess, time
import e2e
from bus import AZLIND, NAME, PATH, Bus, Refused
from gi.repository import GLib

WATCHED = "[bricks]\nprovider=static\n"


def variant(kind, value):
    return GLib.Variant(kind, value)


def deploy(client, *regions):
    path = client.submit("deploy", regions=variant("as", list(regions)))
    assert client.job(path, "Start") == (True,)
    return path, client.finish(path)


def refused(call, name):
    try:
        call()
    except Refused as error:
        assert error.name == "io.azlin.Error." + name, error
        return error.message
    raise AssertionError("nothing was refused")


def test_a_job_says_what_the_command_says():
    with Bus() as bus:
        client = bus.start()
        path, (code, result) = deploy(client, "eastus", "westus2")
        assert code == 0 and result["total_regions"] == 2, result
        assert client.get(path, "State") == "done" and client.get(path, "ExitCode") == 0
        assert set(client.get(path, "Regions")) == {"eastus", "westus2"}
        assert {region for region, _ in client.signals(path, "RegionChanged")} == {"eastus", "westus2"}
        listed = client.submit("regions-list")
        client.job(listed, "Start")
        code, result = client.finish(listed)
        told = bus.home.ok("regions", "list", "-o", "json").json()
        assert code == 0 and [r["region"] for r in result["regions"]] == [r["region"] for r in told["regions"]]


def test_whoever_comes_late_misses_nothing():
    with Bus() as bus:
        client = bus.start()
        path, _ = deploy(client, "eastus")
        heard = client.signals(path, "Said")
        later = bus.client()
        said = later.job(path, "Listen", "(t)", 0)[0]
        assert [entry[0] for entry in said] == list(range(len(said))) and len(said) > 3
        assert [tuple(entry) for entry in said] == heard
        assert later.job(path, "Listen", "(t)", len(said) - 1)[0] == said[-1:]


def test_what_is_wrong_is_refused():
    with Bus() as bus:
        client = bus.start()
        assert "'deplo'" in refused(lambda: client.submit("deplo"), "InvalidUsage")
        assert "regions" in refused(lambda: client.submit("deploy", region=variant("as", ["eastus"])), "InvalidUsage")
        assert "'as'" in refused(lambda: client.submit("deploy", regions=variant("s", "eastus")), "InvalidUsage")
        refused(lambda: client.call(PATH, NAME + ".Manager", "Query", "(sa{sv})", "nonsense", {}), "InvalidUsage")
        path, _ = deploy(client, "eastus")
        assert client.job(path, "Start") == (False,)
        refused(lambda: client.job(path, "Answer", "(a{sv})", {"yes": variant("b", True)}), "InvalidUsage")


def test_a_question_waits_for_its_answer():
    with Bus() as bus:
        client = bus.start()
        deploy(client, "eastus")
        path = client.submit("destroy")
        client.job(path, "Start")
        client.until(lambda: client.get(path, "State") == "waiting-answer", "it asks")
        assert client.get(path, "Question")["text"]
        assert client.get(path, "Question")["question"] == 1
        refused(lambda: client.job(path, "Answer", "(a{sv})", {}), "InvalidUsage")
        stale = {"yes": variant("b", True), "question": variant("u", 2)}
        assert "another question" in refused(lambda: client.job(path, "Answer", "(a{sv})", stale), "InvalidUsage")
        assert client.get(path, "State") == "waiting-answer"
        client.job(path, "Answer", "(a{sv})", {"yes": variant("b", False), "question": variant("u", 1)})
        code, _ = client.finish(path)
        assert code == 2 and client.get(path, "Question") == {}
        assert len(bus.home.ok("regions", "list", "-o", "json").json()["regions"]) == 1


def watching(bus, client):
    bus.home.ok("regions", "add", "eastus", "--public-ip", "127.0.0.1", "--ssh-port", "1", "--vm-name", "none")
    path = client.submit("watch")
    client.job(path, "Start")
    client.until(lambda: client.signals(path, "Said"), "it watches")
    return path


def test_a_job_outlives_its_client():
    with Bus(WATCHED) as bus:
        first = bus.start()
        path = watching(bus, first)
        unstarted = first.submit("regions-list")
        first.close()
        second = bus.client()
        assert second.get(path, "State") == "running"
        second.until(lambda: gone(second, unstarted), "what nobody started goes")
        second.job(path, "Cancel")
        second.finish(path)


def gone(client, path):
    try:
        client.get(path, "State")
    except Refused:
        return True
    return False


def test_it_ends_when_nobody_needs_it():
    with Bus(WATCHED, "--idle=1") as bus:
        client = bus.start()
        path = watching(bus, client)
        client.until(lambda: len(client.signals(path, "Said")) > 2, "it goes on")
        assert bus.daemon.poll() is None
        client.job(path, "Cancel")
        client.finish(path)
        assert bus.daemon.wait(20) == 0


def test_it_ends_its_jobs_when_it_is_told_to_end():
    with Bus(WATCHED) as bus:
        client = bus.start()
        path = watching(bus, client)
        assert bus.stop() == 0
        client.until(lambda: client.signals(path, "Finished"), "the job says its end")


def test_jobs_are_listed_followed_and_ended():
    with Bus(WATCHED) as bus:
        on_bus = {"env": {"DBUS_SESSION_BUS_ADDRESS": bus.address}}
        client = bus.start()
        path = watching(bus, client)
        jobs = bus.home.ok("jobs", "list", "-o", "json", **on_bus).json()["jobs"]
        assert [(job["job"], job["kind"], job["state"]) for job in jobs] == [(1, "watch", "running")], jobs
        assert "watch" in bus.home.ok("jobs", "list", **on_bus).out
        follower = bus.home.popen("jobs", "attach", "1", "-o", "jsonl", **on_bus)
        first = json.loads(follower.stdout.readline())
        assert first["event"] == client.signals(path, "Said")[0][2], first
        follower.send_signal(signal.SIGINT)
        _, words = follower.communicate(timeout=20)
        assert follower.returncode == 0 and "job 1 goes on" in words, words
        assert client.get(path, "State") == "running"
        bus.home.ok("jobs", "cancel", "1", **on_bus)
        client.finish(path)
        after = bus.home.ok("jobs", "attach", "1", "-o", "jsonl", **on_bus).out.splitlines()
        assert json.loads(after[0]) == first and json.loads(after[-1])["event"] == "result", after
        for verb in "attach", "cancel":
            nobody = bus.home.run("jobs", verb, "99", **on_bus)
            assert nobody.code == 1 and "there is no job 99" in nobody.err and "azlin jobs list" in nobody.err, nobody
            none = bus.home.run("jobs", verb, "0", **on_bus)
            assert none.code == 64 and "numbered from 1" in none.err, none


def test_whoever_follows_owns_nothing():
    with Bus(WATCHED) as bus:
        on_bus = {"env": {"DBUS_SESSION_BUS_ADDRESS": bus.address}}
        client = bus.start()
        path = watching(bus, client)
        reader = bus.home.popen("jobs", "attach", "1", "-o", "jsonl", **on_bus)
        reader.stdout.readline()
        reader.stdout.close()
        reader.wait(40)
        asking = client.submit("destroy")
        client.job(asking, "Start")
        client.until(lambda: client.get(asking, "State") == "waiting-answer", "it asks")
        follower = bus.home.popen("jobs", "attach", "2", **on_bus)
        assert "nobody can answer here" in follower.stderr.readline()
        follower.send_signal(signal.SIGINT)
        follower.communicate(timeout=20)
        assert client.get(path, "State") == "running" and client.get(asking, "State") == "waiting-answer"
        for job in path, asking:
            client.job(job, "Cancel")


def test_without_a_service_there_are_no_jobs():
    with e2e.Home() as home:
        assert home.ok("jobs", "list", "-o", "json").json() == {"jobs": []}
        assert "no azlind works in this home" in home.run("jobs", "attach", "1").err


def test_a_command_goes_on_without_its_terminal():
    with Bus(WATCHED) as bus:
        client = bus.start()
        bus.home.ok("regions", "add", "eastus", "--public-ip", "127.0.0.1", "--ssh-port", "1", "--vm-name", "none")
        command = bus.home.popen("watch", "-o", "jsonl", env={"DBUS_SESSION_BUS_ADDRESS": bus.address})
        assert json.loads(command.stdout.readline())["event"]
        command.kill()
        command.communicate()
        jobs = bus.home.ok("jobs", "list", "-o", "json", env={"DBUS_SESSION_BUS_ADDRESS": bus.address}).json()["jobs"]
        assert [job["state"] for job in jobs] == ["running"], jobs
        client.job(PATH + "/job/%d" % jobs[0]["job"], "Cancel")


def test_a_service_that_dies_is_told():
    with Bus(WATCHED) as bus:
        bus.start()
        bus.home.ok("regions", "add", "eastus", "--public-ip", "127.0.0.1", "--ssh-port", "1", "--vm-name", "none")
        command = bus.home.popen("watch", "-o", "jsonl", env={"DBUS_SESSION_BUS_ADDRESS": bus.address})
        command.stdout.readline()
        bus.daemon.kill()
        out, _ = command.communicate(timeout=20)
        assert command.returncode == 1 and "azlind ended while it was at work" in out, out


def stands(client, path):
    try:
        return bool(client.get(path, "State"))
    except Refused as error:
        assert "UnknownMethod" in str(error), error
        return False


def test_what_died_with_it_is_told_when_it_is_back():
    with Bus(WATCHED) as bus:
        on_bus = {"env": {"DBUS_SESSION_BUS_ADDRESS": bus.address}}
        client = bus.start()
        path = watching(bus, client)
        asking = client.submit("destroy")
        client.job(asking, "Start")
        client.until(lambda: client.get(asking, "State") == "waiting-answer", "it asks")
        bus.daemon.kill()
        bus.daemon.wait()
        again = bus.start()
        again.until(lambda: stands(again, path), "jobs come right behind the name")
        assert again.get(path, "State") == "running"
        again.until(lambda: again.job(path, "Listen", "(t)", 0)[0], "it watches again")
        assert again.get(asking, "State") == "failed" and again.get(asking, "ExitCode") == 1
        told = bus.home.run("jobs", "attach", "2", **on_bus)
        assert told.code == 1 and "azlin recover" in told.err, told
        assert again.job(asking, "Start") == (False,)
        refused(lambda: again.job(asking, "Answer", "(a{sv})", {"yes": variant("b", True)}), "InvalidUsage")
        assert again.submit("regions-list").endswith("/3")
        again.job(path, "Cancel")
        again.finish(path)
        again.until(lambda: os.listdir(bus.home.path + "/jobs") == ["last"], "the files go once the ends are told")


def test_what_is_no_job_is_no_job():
    with Bus(WATCHED) as bus:
        folder = bus.home.path + "/jobs"
        os.makedirs(folder, 0o700)
        os.chmod(bus.home.path, 0o700)
        for name, text in ("1.job", "nonsense"), ("x.job", "('watch', @a{sv} {})"), ("2.job", "('nonsense', @a{sv} {})"), ("last", "x"):
            with open(os.path.join(folder, name), "w") as f:
                f.write(text)
        client = bus.start()
        assert client.get(PATH + "/job/2", "State") == "failed"
        assert os.listdir(folder) == ["last"]


def said(client, path, words):
    return [entry for entry in client.signals(path, "Said") if words in str(entry[3].get("text", ""))]


def test_a_program_forbids_switches_for_as_long_as_it_lives():
    with Bus(WATCHED, "--idle=1") as bus:
        client = bus.start()
        held = client.inhibit("release.py", "a deploy is under way")
        path = watching(bus, client)
        client.until(lambda: said(client, path, "(release.py: a deploy is under way)"), "the watch says who forbids it")
        os.close(held)
        client.until(lambda: said(client, path, "No program forbids a switch any more"), "it is allowed again", 40)
        refused(lambda: client.inhibit("", "no reason"), "InvalidUsage")
        other = bus.client()
        other.inhibit("crashed.py", "soon gone")
        client.job(path, "Cancel")
        client.finish(path)


def test_whoever_forbids_keeps_it_alive():
    with Bus(WATCHED, "--idle=1") as bus:
        client = bus.start()
        held = client.inhibit("release.py", "a deploy is under way")
        time.sleep(2)
        assert bus.daemon.poll() is None
        os.close(held)
        assert bus.daemon.wait(20) == 0


def test_a_home_has_one_service():
    with Bus() as bus:
        bus.start()
        again = subprocess.run([AZLIND], env=bus.env(), stderr=subprocess.PIPE, text=True, timeout=20)
        assert again.returncode == 4 and "another azlind works in" in again.stderr, again
        wrong = subprocess.run([AZLIND, "--idle=-1"], env=bus.env(), stderr=subprocess.PIPE, text=True, timeout=20)
        assert wrong.returncode == 64, wrong
        nowhere = subprocess.run([AZLIND, "--home", bus.home.root + "/other"], stderr=subprocess.PIPE, text=True, timeout=20,
                                 env=dict(bus.env(), DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent"))
        assert nowhere.returncode == 1 and nowhere.stderr.count("\n") == 1, nowhere


if __name__ == "__main__":
    e2e.main(globals())
