"""HTTP/2 against nginx: a burst takes one or two connections, and connections that the server closes lose nothing."""
import collections, os, shutil, socket, subprocess, sys, tempfile, time

import e2e

LOAD = sys.argv.pop(1)
PATH = os.environ.get("PATH", "") + ":/usr/sbin"
CONFIG = """
worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 512; }}
http {{
  log_format connections '$connection $server_protocol'; access_log {dir}/access.log connections;
  keepalive_requests {requests};
  client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3; uwsgi_temp_path {dir}/4;
  scgi_temp_path {dir}/5;
  server {{
    listen 127.0.0.1:{port} ssl{http2}; ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
    default_type application/json;
    location /tenant/ {{ return 200 '{{"access_token":"token","expires_in":3599}}'; }}
    location / {{ return 200 '{{"a":1}}'; }}
  }}
}}
"""


class Nginx:
    def __init__(self, http2=True, requests=1000000):
        for program in ("nginx", "openssl"):
            if shutil.which(program, path=PATH) is None:
                raise e2e.Skip(program + " is not installed")
        self.dir = tempfile.mkdtemp()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-keyout", self.dir + "/key.pem", "-out", self.dir + "/cert.pem", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
        with open(self.dir + "/nginx.conf", "w") as f:
            f.write(CONFIG.format(dir=self.dir, port=self.port, requests=requests, http2=" http2" if http2 else ""))
        self.process = subprocess.Popen([shutil.which("nginx", path=PATH), "-c", self.dir + "/nginx.conf"],
                                        stderr=subprocess.DEVNULL)

    def __enter__(self):
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise AssertionError("nginx did not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def load(self, calls, at_once):
        """Requests per connection, and the set of protocols."""
        origin = "https://127.0.0.1:%d" % self.port
        env = dict(os.environ, SSL_CERT_FILE=self.dir + "/cert.pem", AZURE_AUTHORITY_HOST=origin, AZURE_TENANT_ID="tenant",
                   AZURE_CLIENT_ID="client", AZURE_CLIENT_SECRET="secret", ASAN_OPTIONS="detect_leaks=0")
        out = subprocess.run([LOAD, origin + "/x", str(calls), str(at_once)], env=env, text=True, stdout=subprocess.PIPE,
                             timeout=60).stdout.split()
        assert out[:2] == [str(calls), "0"], out
        with open(self.dir + "/access.log") as f:
            lines = [line.split() for line in f]
        return collections.Counter(line[0] for line in lines), {line[1] for line in lines}


def test_burst_takes_one_or_two_connections():
    with Nginx() as nginx:
        connections, protocols = nginx.load(300, 200)
        assert protocols == {"HTTP/2.0"}, protocols
        assert len(connections) <= 2, connections
        assert sum(connections.values()) == 301, connections


def test_connections_that_end_lose_nothing():
    with Nginx(requests=50) as nginx:
        connections, _ = nginx.load(500, 20)
        assert 10 <= len(connections) <= 13, connections


def test_without_http2_few_connections():
    with Nginx(http2=False) as nginx:
        connections, protocols = nginx.load(300, 200)
        assert protocols == {"HTTP/1.1"}, protocols
        assert len(connections) <= 8, connections


e2e.main(globals())
