"""Three regions with azlin beside three `az group create` + `az vm create`, on one double that makes a machine in 3 s;
then azlin's two roads (one template, direct PUTs) alone, and 200 regions at once.

Both programs speak TLS with one nginx in front of the double, since az refuses plain http. Printed: wall, CPU, memory,
requests and their ratios; nothing is judged. What is not installed is left out by name."""
import heapq, json, os, resource, shutil, ssl, statistics, subprocess, sys, tempfile, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from armdouble import ArmDouble, SUBSCRIPTION
from e2e import BIN, SCRATCH, Home

REGIONS = ("eastus", "westeurope", "southeastasia")
RUNS = int(os.environ.get("AZLIN_BENCH_RUNS", "3"))
CLIENT = "33333333-3333-4333-8333-333333333333"
NGINX = """worker_processes 1; daemon off; pid %(dir)s/pid; error_log %(dir)s/error;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path %(dir)s/1; proxy_temp_path %(dir)s/2; fastcgi_temp_path %(dir)s/3;
 uwsgi_temp_path %(dir)s/4; scgi_temp_path %(dir)s/5;
 upstream double { server 127.0.0.1:%(to)d; keepalive 64; }
 server { listen 127.0.0.1:%(port)d ssl http2; ssl_certificate %(dir)s/cert.pem; ssl_certificate_key %(dir)s/key.pem;
  keepalive_requests 1000000; http2_max_concurrent_streams 512; location / { proxy_pass http://double; proxy_http_version 1.1;
  proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https; proxy_read_timeout 600; } } }
"""


class Directory(BaseHTTPRequestHandler):
    """What az asks of a directory before it trusts it; the token itself comes from the double."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, document):
        text = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        base = "https://localhost:%d/adfs" % self.server.server_address[1]
        self.answer({"authorization_endpoint": base + "/authorize", "token_endpoint": base + "/token", "issuer": base})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer({"token_type": "Bearer", "expires_in": 3599, "access_token": self.server.double.login()})


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Front:
    """nginx with a certificate of its own before the double, and the directory beside it."""

    def __init__(self, double):
        self.dir, self.port = tempfile.mkdtemp(dir=SCRATCH), free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-keyout", self.dir + "/key.pem", "-out", self.dir + "/cert.pem", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
        with open(self.dir + "/nginx.conf", "w") as f:
            f.write(NGINX % {"dir": self.dir, "port": self.port, "to": double.port})
        self.nginx = subprocess.Popen([shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-c", self.dir + "/nginx.conf"])
        self.url, self.ca = "https://localhost:%d" % self.port, self.dir + "/cert.pem"
        self.directory = ThreadingHTTPServer(("127.0.0.1", 0), Directory)
        self.directory.double = double
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, self.dir + "/key.pem")
        self.directory.socket = context.wrap_socket(self.directory.socket, server_side=True)
        threading.Thread(target=self.directory.serve_forever, daemon=True).start()
        time.sleep(0.5)

    def close(self):
        self.nginx.terminate()
        self.nginx.wait()
        self.directory.shutdown()
        shutil.rmtree(self.dir, ignore_errors=True)


def measured(double, start):
    """(wall s, CPU s, peak MB of the largest process, sum over those that ran at once, requests) of what start() runs."""
    requests = double.state()["requests"]["total"]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    processes = start()
    peak, largest = 0.0, 0.0
    while any(p.poll() is None for p in processes):
        sizes = [rss(p.pid) for p in processes if p.returncode is None]
        peak, largest = max(peak, sum(sizes)), max([largest, *sizes])
        time.sleep(0.02)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    failed = [p for p in processes if p.returncode != 0]
    assert not failed, [(p.returncode, p.stderr.read() if p.stderr else "") for p in failed]
    return wall, cpu, largest, peak, double.state()["requests"]["total"] - requests


def rss(pid):
    """Resident MB of a process and its children."""
    try:
        with open("/proc/%d/status" % pid) as f:
            own = next((int(line.split()[1]) for line in f if line.startswith("VmRSS:")), 0) / 1024
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return own + sum(rss(int(child)) for child in f.read().split())
    except (OSError, ValueError):
        return 0.0


def row(name, runs):
    middle = [statistics.median(column) for column in zip(*runs)]
    print("%-34s wall %6.2f s  CPU %6.3f s  memory %6.1f MB, %6.1f MB at once  %4d requests" % (name, *middle), flush=True)
    return middle


def azlin(double, front, create, regions=REGIONS, *words):
    """Runs of `azlin deploy` to these regions; each leaves nothing behind."""
    def once():
        config = double.config(create=create).replace(double.url, front.url if front else double.url)
        with Home(config + "[policy]\nallowed-regions=%s\n" % ";".join(regions)) as home:
            env = dict(double.env(), **({"SSL_CERT_FILE": front.ca} if front else {}))
            os.environ.update(double.env())  # for the home's own last look
            result = measured(double, lambda: [home.popen("deploy", "-r", ",".join(regions), "-q", *words, env=env)])
            home.ok("destroy", "--yes", env=env, timeout=600)
            return result
    return once


class Az:
    """The az command line, logged in to the double; its folder goes with it."""

    def __init__(self, double, front):
        self.double, self.front, self.dir = double, front, tempfile.mkdtemp(dir=SCRATCH)
        self.env = dict(os.environ, AZURE_CONFIG_DIR=self.dir, AZURE_CORE_COLLECT_TELEMETRY="no", REQUESTS_CA_BUNDLE=front.ca)
        with open(self.dir + "/clouds.config", "w") as f:
            f.write("[double]\nendpoint_management = %s\nendpoint_resource_manager = %s\nendpoint_active_directory = "
                    "https://localhost:%d/adfs\nendpoint_active_directory_resource_id = https://management.azure.com/\n"
                    "endpoint_active_directory_graph_resource_id = https://graph.windows.net/\nprofile = 2020-09-01-hybrid\n"
                    % (front.url, front.url, front.directory.server_address[1]))
        with open(self.dir + "/config", "w") as f:
            f.write("[cloud]\nname = double\n")
        self.run("login", "--service-principal", "-u", CLIENT, "-p", "secret", "--tenant", "adfs")
        self.run("account", "set", "-s", SUBSCRIPTION)
        self.key = self.dir + "/key"
        subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", self.key], check=True)

    def run(self, *words):
        p = subprocess.run(["az", *words], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert p.returncode == 0, "az %s: %s" % (" ".join(words), p.stderr[-2000:])

    def deploy(self):
        script = ('az group create -n bench-{0} -l {0} -o none && az vm create -g bench-{0} -n bench-{0} -l {0} --image '
                  'Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:22.04.202601010 --size Standard_B2s --admin-username azureuser '
                  '--ssh-key-values {1}.pub --public-ip-sku Standard -o none')
        with open(self.dir + "/err", "w") as err:
            return [subprocess.Popen(["bash", "-c", script.format(region, self.key)], env=self.env, stdout=subprocess.DEVNULL,
                                     stderr=err) for region in REGIONS]

    def once(self):
        try:
            result = measured(self.double, self.deploy)
        except AssertionError:
            with open(self.dir + "/err") as f:
                print(f.read()[-4000:])
            raise
        for region in REGIONS:
            self.run("group", "delete", "-y", "-n", "bench-" + region)
        return result

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def three_regions():
    with ArmDouble(duration_ms={"create.virtualMachines": 3000}) as double:
        for create in ("template", "direct"):
            row("azlin, 3 regions, %s" % create, [azlin(double, None, create)() for _ in range(RUNS)])
    missing = [p for p in ("nginx", "az", "openssl") if not shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin")]
    if missing:
        print("left out: azlin beside az, because %s is not installed" % " and ".join(missing))
        return
    with ArmDouble(duration_ms={"create.virtualMachines": 3000}, strict=False) as double:
        front = Front(double)
        peer, ours = [], []
        az = Az(double, front)
        try:
            for _ in range(RUNS):
                ours.append(azlin(double, front, "template")())
                peer.append(az.once())
        finally:
            az.close()
            front.close()
        a, b = row("azlin, 3 regions, TLS", ours), row("az, 3 regions side by side, TLS", peer)
        print("azlin / az: wall %.2f (goal 0.6), CPU %.3f (0.03), memory at once %.3f (0.1), requests %.2f (0.4)"
              % (a[0] / b[0], a[1] / b[1], a[3] / b[3], a[4] / b[4]))


class Bucket:
    """A budget of the subscription: when may the next request go that is ready at `now`? Asked in the order of time."""

    def __init__(self, burst, rate):
        self.left, self.burst, self.rate, self.at = burst, burst, rate, 0.0

    def take(self, now):
        now = max(now, self.at)
        self.left, self.at = min(self.burst, self.left + (now - self.at) * self.rate), now
        if self.left < 1:
            self.at += (1 - self.left) / self.rate
            self.left = 1.0
        self.left -= 1
        return self.at


def critical_path(n, latency, create, run, retry_after):
    """Seconds that the same requests take when nothing but latency, budgets, operations and Retry-After holds them."""
    buckets = {"read": Bucket(250, 25), "write": Bucket(200, 10)}
    ready = max(buckets["read"].take(2 * latency) + latency for _ in range(2 * n))  # token before, SKUs and quotas
    steps = ["read", "write", "write", "poll", "read", "write", "poll", "read"]  # group, group, deployment, ..., health
    heap, end = [(ready, region, 0, 0.0) for region in range(n)], 0.0
    while heap:
        at, region, step, over = heapq.heappop(heap)
        answered = buckets["write" if steps[step] == "write" else "read"].take(at) + latency
        if steps[step] == "poll" and answered < over:
            heapq.heappush(heap, (answered + retry_after, region, step, over))
            continue
        step += 1
        end = max(end, answered)
        if step < len(steps) and steps[step] == "poll":
            heapq.heappush(heap, (answered + retry_after, region, step, answered + (create if step == 3 else run)))
        elif step < len(steps):
            heapq.heappush(heap, (answered, region, step, 0.0))
    return end


def two_hundred():
    latency, create = 100, 60000
    with ArmDouble(latency_ms=latency, duration_ms={"create.virtualMachines": create}, extra_regions=200, poll_retry_after=10,
                   quota_limit=100) as double:
        regions = ["region%03d" % i for i in range(200)]
        wall, cpu, _, memory, requests = azlin(double, None, "template", regions, "--max-concurrent", "200")()
        writes = sum(double.state()["requests"]["kinds"].get(k, 0)
                     for k in ("ResourceGroups_CreateOrUpdate", "Deployments_CreateOrUpdate", "VirtualMachines_RunCommand"))
        best = critical_path(200, latency / 1000, create / 1000 + 0.2, 0.1, 10)
        print("200 regions at once: wall %.1f s, critical path %.1f s, ratio %.3f (goal 1.05); a machine takes %g s, %d writes\n"
              "  CPU %.2f s, memory %.1f MB (goal 64), %d requests, %d early"
              % (wall, best, wall / best, create / 1000, writes, cpu, memory, requests, len(double.state()["early_requests"])))


def main():
    os.makedirs(SCRATCH, mode=0o700, exist_ok=True)
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = "http://127.0.0.1:9"
    parts = sys.argv[1:] or ["three", "many"]
    if "three" in parts:
        three_regions()
    if "many" in parts:
        two_hundred()


main()
