"""Figures for Prometheus: read by real HTTP requests, checked against the text format, offered only to this host."""
import http.client, os, re, signal, socket, stat, time
import e2e
from bus import Bus
from fleet import Cloud
from gi.repository import GLib

SIM = "[bricks]\nprovider=sim\n[metrics]\nlisten=%s\n"
NAME, VALUE = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r"[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN"
LABELS = r'\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*")(?:,[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*")*\}'
SAMPLE = re.compile(r"(%s)(%s)? (%s)" % (NAME, LABELS, VALUE))


class Unix(http.client.HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


def ask(connection, method="GET", path="/metrics", **headers):
    connection.request(method, path, headers=headers)
    reply = connection.getresponse()
    return reply.status, reply.read().decode(), reply.headers


def parse(text):
    """{name with labels: value}; fails where the text is not what the format says."""
    assert text.endswith("\n"), text[-20:]
    samples, family, types, seen = {}, None, {}, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert family not in seen, "two families " + family
            seen.add(family)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and kind in ("counter", "gauge", "histogram"), line
            assert (kind == "counter") == name.endswith("_total"), line
            types[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            base = re.sub("_(bucket|sum|count)$", "", match[1]) if types.get(family) == "histogram" else match[1]
            assert base == family, "%s stands under %s" % (line, family)
            assert line.rsplit(" ", 1)[0] not in samples, line
            samples[line.rsplit(" ", 1)[0]] = float(match[3])
    assert set(types) == seen
    return samples


def check_histogram(samples, name):
    buckets = [(key, value) for key, value in samples.items() if key.startswith(name + "_bucket")]
    assert buckets[-1][0] == name + '_bucket{le="+Inf"}' and buckets[-1][1] == samples[name + "_count"] > 0, buckets
    assert [value for _, value in buckets] == sorted(value for _, value in buckets), buckets


def test_figures_say_what_is():
    cloud = Cloud()
    path = os.path.join(cloud.root, "metrics")
    cloud.options = "[metrics]\nlisten=" + path
    cloud.faults("at 100 probe westus2 timeout")
    with Bus(home=cloud) as bus:
        client = bus.start()
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        client.until(lambda: len(client.regions()) == 3, "the regions are there")
        job = client.submit("watch")
        client.job(job, "Start")
        client.until(lambda: client.regions()["westus2"]["State"] == "dark", "it is dark", 60)
        status, text, headers = ask(Unix(path))
        assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", headers
        samples = parse(text)
        assert samples["azlin_regions"] == 3 and samples["azlin_epoch"] == 1
        assert [state for state in ("unknown", "up", "suspect", "dark")
                if samples['azlin_region_state{region="westus2",state="%s"}' % state]] == ["dark"], text
        assert samples['azlin_region_state{region="eastus",state="up"}'] == 1
        assert samples['azlin_region_primary{region="eastus"}'] == 1 and samples['azlin_region_primary{region="westus2"}'] == 0
        assert samples['azlin_region_last_answer_timestamp_seconds{region="eastus"}'] > 1.5e9
        assert samples['azlin_jobs{state="running"}'] == 1 and samples['azlin_jobs_ended_total{state="done"}'] == 0
        assert samples['azlin_probes_total{outcome="alive"}'] > 10 and samples['azlin_probes_total{outcome="dark"}'] > 5
        assert samples["azlin_regions_dark_total"] == 1 and samples["azlin_primary_moves_total"] == 0
        assert samples["process_resident_memory_bytes"] > 1e6 and samples["process_cpu_seconds_total"] > 0
        check_histogram(samples, "azlin_main_loop_stall_seconds")
        assert not [key for key in samples if "lag" in key], "nothing was ever synced"
        client.job(job, "Cancel")
        client.finish(job)
        samples = parse(ask(Unix(path))[1])
        assert samples['azlin_jobs_ended_total{state="done"}'] == 1 and samples['azlin_jobs{state="running"}'] == 0
        assert bus.stop() == 0 and not os.path.exists(path)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_only_this_host_is_answered_and_only_this_is_asked():
    port = free_port()
    with Bus(SIM % ("127.0.0.1:%d" % port)) as bus:
        bus.start()

        def at_port():
            return http.client.HTTPConnection("127.0.0.1", port, timeout=20)

        assert ask(at_port())[0] == 200
        status, text, headers = ask(at_port(), "HEAD")
        assert status == 200 and text == "" and int(headers["Content-Length"]) > 1000
        assert ask(at_port(), path="/metrics?x=1")[0] == 200
        assert ask(at_port(), path="/")[0] == 404 and ask(at_port(), "DELETE")[0] == 405
        assert ask(at_port(), Host="attacker.example:%d" % port)[0] == 403
        for raw, code in (b"GET /metrics\r\n\r\n", b"400"), (b"\0\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000, b"431"):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(raw)
                assert connection.recv(64).split()[1] == code, raw[:20]
        held = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(8)]
        time.sleep(0.2)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as one_too_many:
            try:
                assert one_too_many.recv(1) == b""
            except ConnectionResetError:
                pass
        for connection in held:
            connection.close()
        e2e.until(lambda: reachable(at_port), "there is room again")


def reachable(at_port):
    try:
        return ask(at_port())[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_where_it_must_not_be_it_is_not():
    for where in ("0.0.0.0:9469", "192.0.2.1:9469", "9469", "localhost", "metrics", "127.0.0.1"):
        with Bus(SIM % where) as bus:
            try:
                bus.start()
            except AssertionError as refused:
                assert bus.daemon.wait(20) == 78 and "[metrics] listen" in str(refused), refused
                continue
            raise SystemExit("it listens at " + where)


def test_off_is_off_and_a_new_configuration_moves_it():
    with Bus() as bus:
        bus.listen()
        first, second = os.path.join(bus.home.root, "first"), os.path.join(bus.home.root, "second")
        left = socket.socket(socket.AF_UNIX)  # as one that was killed leaves it
        left.bind(first)
        left.close()
        client = bus.start()

        def change(text, words):
            bus.home.write_config(text)
            before = bus.log().count(words)
            bus.daemon.send_signal(signal.SIGHUP)
            client.until(lambda: bus.log().count(words) > before, words)

        change(SIM % first, "was read again")
        assert ask(Unix(first))[0] == 200
        change(SIM % second, "was read again")
        assert ask(Unix(second))[0] == 200 and not os.path.exists(first)
        change(SIM % "0.0.0.0:1", "figures are offered as before")
        assert ask(Unix(second))[0] == 200
        change("[bricks]\nprovider=sim\n", "was read again")
        assert not os.path.exists(second)


if __name__ == "__main__":
    e2e.main(globals())
