"""azlin logs: what azlin did, a line each, picked by time, region and job, and followed as it grows; on both roads."""
import datetime, json, os, select, signal, time
import e2e
from bus import Bus


def story(home):
    """Three records: two of the stop, one of the change."""
    home.ok("deploy", "--regions", "eastus,westus2", "--no-daemon")
    home.ok("vm", "stop", "--region", "westus2", "--yes", "--no-daemon")
    home.ok("regions", "set-primary", "westus2", "--no-daemon")


def records(home, *args, **kw):
    return home.ok("logs", "-o", "json", *args, **kw).json()["events"]


def test_every_output_tells_the_same():
    with e2e.Home() as home:
        assert records(home) == [] and home.ok("logs").out == ""
        story(home)
        told = records(home)
        assert told == home.ok("audit", "show", "-o", "json").json()["events"] and len(told) == 3, told
        lines = home.ok("logs").out.splitlines()
        assert [line.split()[1] for line in lines] == [event["what"] for event in told], lines
        assert any("region=westus2" in line for line in lines), lines
        events = [json.loads(line) for line in home.ok("logs", "-o", "jsonl").out.splitlines()]
        assert events[-1]["event"] == "result" and events[-1]["result"] == {"records": len(told)}, events[-1]
        assert [{k: v for k, v in event.items() if k != "event"} for event in events[:-1]] == told
        assert all(event["event"] == "log" for event in events[:-1])


def test_what_is_asked_for_is_told():
    with e2e.Home() as home:
        story(home)
        told = records(home)
        assert records(home, "-n", "2") == told[-2:]
        stopped = records(home, "--region", "eastus")
        assert stopped and all("eastus" in json.dumps(event["facts"]) for event in stopped), stopped
        assert len(stopped) < len(told) and records(home, "--region", "us") == stopped
        assert records(home, "--since", "1h") == told and records(home, "--since", "0s") == []
        middle = told[len(told) // 2]["time"]
        assert records(home, "--since", middle) == [event for event in told if event["time"] >= middle]
        tomorrow = (datetime.datetime.utcnow() + datetime.timedelta(days=1)).strftime("%Y-%m-%d")
        assert records(home, "--since", tomorrow) == [] and records(home, "--job", "1") == []
        for wrong in "yesterday", "10", "10x", "-1h", "":
            refused = home.run("logs", "--since=" + wrong)
            assert refused.code == 64 and "--since takes a span" in refused.err, refused


def test_what_was_changed_is_left_out():
    with e2e.Home() as home:
        story(home)
        told, path = records(home), os.path.join(home.path, "audit.log")
        with open(path) as f:
            lines = f.read().splitlines(keepends=True)
        lines[1] = lines[1].replace("{", "{ ", 1)
        with open(path, "w") as f:
            f.writelines(lines)
            f.write("0" * 64 + " {\"torn\": ")
        assert records(home) == told[:1] + told[2:]


def line_of(process, seconds=20):
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    assert ready, "nothing is said"
    return process.stdout.readline()


def follow(home, *args, **kw):
    process = home.popen("logs", "-f", *args, **kw)
    try:
        assert home.run("logs", "-f", "-o", "json").code == 64
        first = line_of(process)
        home.ok("vm", "start", "--region", "westus2", "--no-daemon")
        return first, line_of(process), process
    except BaseException:
        process.kill()
        process.communicate()
        raise


def ended(process):
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode in (0, 130), (process.returncode, out, err)


def test_it_follows_what_is_done():
    with e2e.Home() as home:
        story(home)
        first, second, process = follow(home, "-n", "1")
        assert "set-primary" in first and "vm.start" in second, (first, second)
        ended(process)
        first, second, process = follow(home, "-o", "jsonl", "-n", "1")
        assert json.loads(second)["what"].startswith("vm.start"), second
        ended(process)


def test_the_service_tells_its_jobs_apart():
    with Bus() as bus:
        client, on_bus = bus.start(), {"env": {"DBUS_SESSION_BUS_ADDRESS": bus.address}}
        bus.home.ok("deploy", "--regions", "eastus,westus2", **on_bus)
        bus.home.ok("vm", "stop", "--region", "westus2", "--yes", **on_bus)
        told = records(bus.home, **on_bus)
        bus.home.ok("regions", "set-primary", "westus2", **on_bus)
        bus.home.ok("vm", "start", "--region", "westus2", "--no-daemon")
        told = records(bus.home, **on_bus)
        assert {event.get("job") for event in told} == {2, 4, None}, told
        assert [event for event in told if event.get("job") == 2] == records(bus.home, "--job", "2", "--no-daemon")
        assert records(bus.home, "--job", "2", **on_bus) == records(bus.home, "--job", "2", "--no-daemon")
        first, second, process = follow(bus.home, "-n", "1", **on_bus)
        assert "vm.start" in first and "vm.start" in second, (first, second)
        jobs = [job for job in bus.home.ok("jobs", "list", "-o", "json", **on_bus).json()["jobs"] if job["state"] == "running"]
        assert [job["kind"] for job in jobs] == ["logs"], jobs
        process.kill()
        process.communicate()
        path = "/io/azlin/Azlin1/job/%d" % jobs[0]["job"]
        client.until(lambda: client.get(path, "State") == "done", "it ends with its reader")


def test_the_service_goes_on_while_a_log_is_read():
    with Bus() as bus:
        story(bus.home)
        client = bus.start()
        held = os.open(os.path.join(bus.home.path, "audit.log"), os.O_RDWR)
        import fcntl, struct
        lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        fcntl.fcntl(held, 37, lock)  # F_OFD_SETLK: as one that writes and does not end
        began = time.monotonic()
        reader = bus.home.popen("audit", "show", env={"DBUS_SESSION_BUS_ADDRESS": bus.address})
        time.sleep(0.5)
        assert client.call("/io/azlin/Azlin1", "io.azlin.Azlin1.Manager", "Query", "(sa{sv})", "jobs", {})[0]["jobs"] == []
        assert time.monotonic() - began < 4 and reader.poll() is None, "it waits for the log"
        os.close(held)
        out, err = reader.communicate(timeout=20)
        assert reader.returncode == 0 and "set-primary" in out, (out, err)


if __name__ == "__main__":
    e2e.main(globals())
