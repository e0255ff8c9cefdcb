"""Secrets are canaries, and every place where azlin could let one fly is looked at: children, output, files, cores."""
import http.server, json, os, resource, signal, subprocess, threading, time
import e2e

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
CANARY = "kAnArY-91c7"
NOBODY = "http://127.0.0.1:1"  # instead of the metadata service: tests reach nothing outside this host
FAKE_AZ = """#!/bin/sh
echo "$@" >> '%s/az-argv'
export -p >> '%s/az-environment'
while [ ! -e '%s/go' ]; do /bin/sleep 0.05; done
echo '{"accessToken":"%s-cli","expires_on":4000000000,"tenant":"t","tokenType":"Bearer"}'
"""


class Cloud:
    """Token endpoint, metadata service, App Service and a Resource Manager that refuses; counts what it was shown."""

    def __init__(self, token_status=200, hold=None):
        self.seen, self.hold = [], hold
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                cloud.seen.append("%s %s\n%s%s" % (self.command, self.path, self.headers, body))
                token = "/token" in self.path
                if not token and cloud.hold:
                    cloud.hold.wait(30)
                status = token_status if token else 403
                # hostile on purpose: it repeats what it was sent
                reply = ({"error": "invalid_client", "error_description": "AADSTS7000215: not " + body}
                         if status == 401 else {"access_token": CANARY + "-access", "expires_in": "3599"} if token
                         else {"error": {"code": "AuthorizationFailed", "message": "not allowed"}})
                text = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # who was cut short hangs up
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def saw(self, canary):
        return any(canary in request for request in self.seen)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def make_home(cloud):
    home = e2e.Home("[bricks]\nprovider=azure\n[provider.azure]\nsubscription=%s\nresource-manager-endpoint=%s\n"
                    % (SUBSCRIPTION, cloud.url))
    for name in ("bin", "tmp"):
        os.mkdir(os.path.join(home.root, name))
    return home


def forget_outside():
    """Of the AZURE_ variables azlin gets those alone that a test gives it."""
    for name in [n for n in os.environ if n.startswith(("AZURE_", "IDENTITY_"))]:
        del os.environ[name]
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = NOBODY


def environment(home, cloud, **more):
    return dict({"AZURE_AUTHORITY_HOST": cloud.url, "PATH": os.path.join(home.root, "bin"),
                 "TMPDIR": os.path.join(home.root, "tmp"),
                 "AZLIN_TAPE": "record:" + os.path.join(home.root, "tape")}, **more)


def principal(**more):
    return dict({"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client"}, **more)


def files_below(root):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    yield path, f.read()


def assert_silent(home, result, allowed=()):
    assert CANARY not in result.out and CANARY not in result.err, result
    for path, content in files_below(home.root):
        if os.path.relpath(path, home.root) not in allowed:
            assert CANARY.encode() not in content, "a secret in %s" % path


def children_of(pid):
    """(cmdline, environ) of every process below `pid`."""
    parents = {}
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % name) as f:
                parents[int(name)] = int(f.read().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
    below = {pid}
    for _ in range(5):
        below |= {child for child, parent in parents.items() if parent in below}
    for child in below - {pid}:
        try:
            with open("/proc/%d/cmdline" % child, "rb") as c, open("/proc/%d/environ" % child, "rb") as e:
                yield c.read(), e.read()
        except OSError:
            continue


def refresh(home, env):
    return home.run("regions", "refresh", "--verbose", env=env)


def test_client_secret():
    cloud = Cloud()
    with make_home(cloud) as h:
        result = refresh(h, environment(h, cloud, **principal(AZURE_CLIENT_SECRET=CANARY + "-secret")))
        assert cloud.saw(CANARY + "-secret") and cloud.saw("Bearer %s-access" % CANARY), "nothing was proved"
        assert "not allowed" in result.out + result.err, result
        assert_silent(h, result)
    cloud.close()


def test_refused_client_secret():
    cloud = Cloud(token_status=401)
    with make_home(cloud) as h:
        result = refresh(h, environment(h, cloud, **principal(AZURE_CLIENT_SECRET=CANARY + "-secret")))
        assert "AADSTS7000215: not grant_type" in result.out + result.err, result
        assert_silent(h, result)
    cloud.close()


def test_federated_token():
    for status in (200, 401):
        cloud = Cloud(token_status=status)
        with make_home(cloud) as h:
            path = os.path.join(h.root, "federated")
            with open(path, "w") as f:
                f.write(CANARY + "-federated")
            result = refresh(h, environment(h, cloud, **principal(AZURE_FEDERATED_TOKEN_FILE=path)))
            assert cloud.saw(CANARY + "-federated"), "nothing was proved"
            assert_silent(h, result, allowed=("federated",))
        cloud.close()


def test_app_service():
    cloud = Cloud()
    with make_home(cloud) as h:
        env = environment(h, cloud, IDENTITY_ENDPOINT=cloud.url + "/msi/token", IDENTITY_HEADER=CANARY + "-header")
        result = refresh(h, env)
        assert cloud.saw(CANARY + "-header") and cloud.saw("Bearer %s-access" % CANARY), "nothing was proved"
        assert_silent(h, result)
    cloud.close()


def test_az_and_what_children_see():
    cloud = Cloud()
    with make_home(cloud) as h:
        az = os.path.join(h.root, "bin", "az")
        with open(az, "w") as f:
            f.write(FAKE_AZ % (h.root, h.root, h.root, CANARY))
        os.chmod(az, 0o700)
        env = environment(h, cloud, AZURE_CLIENT_SECRET=CANARY + "-secret", IDENTITY_HEADER=CANARY + "-header")
        p = h.popen("regions", "refresh", "--verbose", env=env)
        seen = []
        while not os.path.exists(os.path.join(h.root, "az-environment")) and p.poll() is None:
            time.sleep(0.02)
        while p.poll() is None and not seen:
            seen = list(children_of(p.pid))
        open(os.path.join(h.root, "go"), "w").close()
        out, err = p.communicate(timeout=60)
        assert any(b"get-access-token" in argv for argv, _ in seen), "no child was seen"
        for argv, variables in seen:
            assert CANARY.encode() not in argv + variables, (argv, variables)
        assert cloud.saw("Bearer %s-cli" % CANARY), (out, err)
        assert_silent(h, e2e.Result(p.returncode, out, err), allowed=("bin/az",))
    cloud.close()


def unlimited_cores():
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def ends_with_core(pid):
    os.kill(pid, signal.SIGSEGV)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), status
    return os.WCOREDUMP(status)


def test_no_core_and_no_tracing():
    """Held while it has a token: no other process of the user looks into it, and a crash leaves nothing."""
    hold = threading.Event()
    cloud = Cloud(hold=hold)
    with make_home(cloud) as h:
        env = h.env(**environment(h, cloud, **principal(AZURE_CLIENT_SECRET=CANARY + "-secret")))
        env["ASAN_OPTIONS"] = "detect_leaks=0:disable_coredump=0:handle_segv=0"
        p = subprocess.Popen([e2e.BIN, "regions", "refresh"], env=env, cwd=h.root, preexec_fn=unlimited_cores,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not cloud.saw("Bearer") and p.poll() is None:
            time.sleep(0.02)
        assert p.poll() is None, "it ended early"
        with open("/proc/%d/limits" % p.pid) as f:
            cores = [line.split()[4:6] for line in f if line.startswith("Max core file size")]
        assert cores == [["0", "0"]], cores
        if os.geteuid() != 0:  # root may look into everything
            try:
                open("/proc/%d/environ" % p.pid).read()
                raise AssertionError("others of the user can read its environment")
            except PermissionError:
                pass
        assert not ends_with_core(p.pid)
        p.returncode = -signal.SIGSEGV
        assert_silent(h, e2e.Result(0, "", ""))
    hold.set()
    cloud.close()


forget_outside()
e2e.main(globals())
