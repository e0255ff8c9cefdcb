#!/usr/bin/env python3
"""REST calls of azlin as ratios against `az rest` and `curl --parallel`, interleaved in one run: rest.py REST-BENCH."""
import os, shutil, socket, statistics, subprocess, sys, tempfile, time

BENCH = sys.argv[1]
RUNS = int(os.environ.get("RUNS", "5"))
CALLS = int(os.environ.get("CALLS", "1000"))
AT_ONCE = 64
ANSWER = ('{"id":"/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/azlin-vms-eastus/providers/'
          'Microsoft.Compute/virtualMachines/vm-eastus","name":"vm-eastus","location":"eastus","status":"Succeeded",'
          '"startTime":"2025-12-01T10:00:00Z","endTime":"2025-12-01T10:03:12Z","properties":{"provisioningState":'
          '"Succeeded","vmId":"4a1c0e8e-0b1e-4f0e-9d3f-3a5d6b7c8d9e","hardwareProfile":{"vmSize":"Standard_B2s"},'
          '"output":{"publicIp":"1.2.3.4"},"filler":"%s"}}' % ("x" * 140))
NGINX = """
worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000; http2_max_concurrent_streams 128;
  client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3; uwsgi_temp_path {dir}/4;
  scgi_temp_path {dir}/5;
  server {{
    listen 127.0.0.1:{plain} backlog=4096; listen 127.0.0.1:{tls} ssl http2 backlog=4096;
    ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
    default_type application/json;
    location /tenant/ {{ return 200 '{{"access_token":"{token}","expires_in":3599}}'; }}
    location / {{ return 200 '{answer}'; }}
  }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_nginx(folder, plain, tls):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"], check=True, stderr=subprocess.DEVNULL)
    with open(folder + "/nginx.conf", "w") as f:
        f.write(NGINX.format(dir=folder, plain=plain, tls=tls, token="x" * 1200, answer=ANSWER))
    server = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", folder + "/nginx.conf"],
                              stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", tls)) == 0:
                return server
        time.sleep(0.05)
    raise SystemExit("nginx did not start")


def bench(url, env, calls=CALLS, at_once=AT_ONCE):
    out = subprocess.run([BENCH, url, str(calls), str(at_once)], env=env, stdout=subprocess.PIPE, check=True, text=True).stdout
    _, failed, wall, cpu, kib = out.split()
    assert failed == "0", out
    return float(wall), float(cpu), int(kib) / 1024


def curl(url, folder):
    with open(folder + "/curl.conf", "w") as f:
        f.write("".join('url = "%s?%d"\noutput = "/dev/null"\n' % (url, i) for i in range(CALLS)))
    start = time.perf_counter()
    subprocess.run(["curl", "-s", "--cacert", folder + "/cert.pem", "--http2", "--parallel", "--parallel-max", str(AT_ONCE),
                    "-K", folder + "/curl.conf"], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def tree_pss(pids):
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
            with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
                total += tree_pss([int(child) for child in f.read().split()])
        except (OSError, StopIteration):
            pass
    return total


def ten_az(url, folder):
    """(calls per second, CPU seconds a call, MiB) of two rounds of ten `az rest` side by side."""
    env = dict(os.environ, AZURE_CONFIG_DIR=folder + "/az", AZURE_CORE_COLLECT_TELEMETRY="no")
    argv = ["az", "rest", "--method", "get", "--url", url, "--skip-authorization-header", "-o", "none"]
    subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    before, start, peak = os.times(), time.perf_counter(), 0
    for _ in range(2):
        alive = [subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(10)]
        while any(p.poll() is None for p in alive):
            peak = max(peak, tree_pss([p.pid for p in alive if p.poll() is None]))
            time.sleep(0.2)
        assert all(p.returncode == 0 for p in alive)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return 20 / wall, cpu / 20, peak / 1024


def show(name, rows):
    wall = [r[0] for r in rows]
    rate = CALLS / statistics.median(wall)
    print("%-34s %6.0f calls/s  wall %.3f s (%.3f..%.3f)  CPU %.0f us a call  %.1f MiB" % (
        name, rate, statistics.median(wall), min(wall), max(wall), statistics.median(r[1] for r in rows) / CALLS * 1e6,
        max(r[2] for r in rows)))
    return rate, max(r[2] for r in rows)


def missing(*programs):
    for program in programs:
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
            print("left out: %s is not installed" % program)
            return True
    return False


def main():
    if missing("nginx", "openssl"):
        return
    plain, tls = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        server = start_nginx(folder, plain, tls)
        try:
            measure(folder, "http://127.0.0.1:%d" % plain, "https://127.0.0.1:%d" % tls)
        finally:
            server.terminate()
            server.wait()


def measure(folder, plain, tls):
    def env(origin):
        return dict(os.environ, AZURE_AUTHORITY_HOST=origin, AZURE_TENANT_ID="tenant", AZURE_CLIENT_ID="client",
                    AZURE_CLIENT_SECRET="secret", SSL_CERT_FILE=folder + "/cert.pem", AZLIN_HOME=folder)

    with_curl = not missing("curl")
    h1, h2, ten, walls = [], [], [], []
    for _ in range(RUNS):
        h1.append(bench(plain + "/x", env(plain)))
        ten.append(bench(tls + "/x", env(tls), at_once=10))
        h2.append(bench(tls + "/x", env(tls)))
        if with_curl:
            walls.append(curl(tls + "/x", folder))
    show("azlin, http, %d at once" % AT_ONCE, h1)
    rate, mib = show("azlin, TLS + HTTP/2, 10 at once", ten)
    h2_rate, _ = show("azlin, TLS + HTTP/2, %d at once" % AT_ONCE, h2)
    if with_curl:
        print("%-34s %6.0f calls/s  wall %.3f s (%.3f..%.3f)" % ("curl --parallel, TLS + HTTP/2",
              CALLS / statistics.median(walls), statistics.median(walls), min(walls), max(walls)))
        print("wall against curl --parallel: %.2f (goal: at most 1.3)" % (CALLS / h2_rate / statistics.median(walls)))
    if missing("az"):
        return
    az_rate, az_cpu, az_mib = ten_az(plain + "/x", folder)
    print("%-34s %6.1f calls/s  CPU %.2f s a call  %.0f MiB" % ("az rest, 10 side by side", az_rate, az_cpu, az_mib))
    print("calls a second against az: %.0f times, TLS + HTTP/2 (goal: 1,500)" % (max(rate, h2_rate) / az_rate))
    print("memory against az: 1/%.0f (goal: 1/25)" % (az_mib / mib))


main()
