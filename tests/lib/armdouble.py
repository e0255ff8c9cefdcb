"""The ARM double for tests: starts it, sets its faults, asks what its clients did. See tests/azure/double/README.md."""
import json, os, subprocess, time, urllib.error, urllib.parse, urllib.request

SUBSCRIPTION = "11111111-1111-4111-8111-111111111111"
TENANT = "22222222-2222-4222-8222-222222222222"
HOME = "/subscriptions/" + SUBSCRIPTION


def binary():
    return os.environ["ARM_DOUBLE"]


class Answer:
    """Of one HTTP request; `status` 0 = the connection broke (`error` says how)."""

    def __init__(self, status, headers, raw, error=None):
        self.status, self.headers, self.raw, self.error = status, headers, raw, error

    @property
    def body(self):
        return json.loads(self.raw) if self.raw else None

    @property
    def code(self):
        """ARM's error code, "" = none."""
        return ((self.body or {}).get("error") or {}).get("code", "")

    def __repr__(self):
        return "%s %s %r %r" % (self.status, dict(self.headers or {}), self.raw[:2000], self.error)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class ArmDouble:
    """One running double. Keyword arguments are its control document: ArmDouble(latency_ms=100, faults=[...])."""

    def __init__(self, cert=None, key=None, env=None, **control):
        argv = [binary(), "--with-parent", "--rules", os.environ["ARM_RULES"], "--control", json.dumps(control)]
        argv += ["--tls-cert", cert, "--tls-key", key] if cert else []
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=dict(os.environ, **(env or {})))
        line = self.process.stdout.readline()
        assert line, "the double did not start: exit %r" % self.process.wait()
        ports = json.loads(line)
        self.port, self.foreign_port, self.scheme = ports["port"], ports["foreign_port"], "https" if cert else "http"
        self.url = "%s://127.0.0.1:%d" % (self.scheme, self.port)
        self.foreign = "http://127.0.0.1:%d" % self.foreign_port
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect())
        self.token = None

    def config(self, **options):
        """Text of an azlin.conf that points at this double."""
        options = {"subscription": SUBSCRIPTION, "resource-manager-endpoint": self.url, **options}
        return "[bricks]\nprovider=azure\n[provider.azure]\n" + "".join("%s=%s\n" % o for o in options.items())

    def env(self, **extra):
        """Environment of an azlin that logs in here as a service principal."""
        return dict({"AZURE_AUTHORITY_HOST": self.url, "AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_SECRET": "canary-secret",
                     "AZURE_CLIENT_ID": "33333333-3333-4333-8333-333333333333"}, **extra)

    def request(self, method, path, body=None, headers=None, timeout=20):
        """One request as it stands: path or URL, body bytes or JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        url = self.url + path if path.startswith("/") else path
        request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
        if body is not None and not request.has_header("Content-type"):
            request.add_header("Content-Type", "application/json")
        try:
            try:
                reply = self.opener.open(request, timeout=timeout)
            except urllib.error.HTTPError as error:
                reply = error
            with reply:
                return Answer(reply.status, reply.headers, reply.read())
        except Exception as error:  # broken connections come as OSError and as http.client's own
            return Answer(0, {}, b"", error)

    def login(self, scope="https://management.azure.com/.default"):
        form = {"grant_type": "client_credentials", "client_id": "c", "client_secret": "s", "scope": scope}
        reply = self.request("POST", "/%s/oauth2/v2.0/token" % TENANT, urllib.parse.urlencode(form).encode(),
                             {"Content-Type": "application/x-www-form-urlencoded"})
        self.token = reply.body["access_token"]
        return self.token

    def arm(self, method, path, version=None, body=None, headers=None, timeout=20):
        """A request to ARM with a token: path below the subscription ("/resourcegroups/x"), "/subscriptions/.." or a URL."""
        if self.token is None:
            self.login()
        if not path.startswith(("http", "/subscriptions", "/tenants")):
            path = HOME + path
        if version:
            path += ("&" if "?" in path else "?") + "api-version=" + version
        return self.request(method, path, body, {"Authorization": "Bearer " + self.token, **(headers or {})}, timeout)

    def settle(self, reply, limit=20):
        """Polls the operation that `reply` began until it ends; its last answer."""
        url = reply.headers.get("Azure-AsyncOperation") or reply.headers.get("Location")
        end = time.monotonic() + limit
        while url:
            time.sleep(float(reply.headers.get("Retry-After") or 0) + 0.005)
            reply = self.arm("GET", url)
            if reply.status != 202 and (reply.body or {}).get("status") not in ("InProgress", "Running"):
                break
            assert time.monotonic() < end, "the operation does not end: %r" % reply
        return reply

    def control(self, **document):
        reply = self.request("POST", "/__control", document)
        assert reply.status == 200, "control: %r" % reply
        return reply.body

    def state(self):
        return self.request("GET", "/__state").body

    def log(self):
        """Every request since the beginning or the last reset, with times in ms."""
        return self.request("GET", "/__log").body["requests"]

    def reset(self, **document):
        """An empty world with default settings; then `document`."""
        self.request("POST", "/__reset", b"{}")
        self.token = None
        if document:
            self.control(**document)

    def assert_clean(self, orphans=True):
        """No request was wrong, early, out of bounds or careless with a token; nothing is left behind."""
        state = self.state()
        names = ["violations", "early_requests", "writes_outside", "leaked_tokens"] + (["orphans"] if orphans else [])
        bad = {name: state[name] for name in names if state[name]}
        assert not bad, json.dumps(bad, indent=1)[:4000]
        return state

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        code = self.process.wait(timeout=30)
        assert code == 0, "the double ended with %d" % code

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.close()
        except AssertionError:
            if kind is None:
                raise
