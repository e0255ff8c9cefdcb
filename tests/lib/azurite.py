"""Azurite for tests: one that runs on a port of its own, signatures for it, and what is stored in it."""
import atexit, base64, datetime, hashlib, hmac, os, re, shutil, socket, subprocess, time
import urllib.error, urllib.parse, urllib.request
import e2e

ACCOUNT = "devstoreaccount1"
# Azurite's published key of its one account: it protects nothing.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2021-12-02"


def program():
    for tool in ("node", "curl"):
        if not shutil.which(tool):
            raise e2e.Skip("%s is missing" % tool)
    tool = os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "tools", "install-azurite.sh")
    found = subprocess.run([tool], capture_output=True, text=True, timeout=300).stdout.strip()
    if not found:
        raise e2e.Skip("Azurite is missing and npm cannot fetch it")
    return found


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def stamp(seconds=0):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def key_file():
    """That key in a file of this process's own."""
    path = os.path.join(e2e.SCRATCH, "azurite-%d.key" % os.getpid())
    if not os.path.exists(path):
        os.makedirs(e2e.SCRATCH, mode=0o700, exist_ok=True)
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
            f.write(KEY + "\n")
        atexit.register(os.unlink, path)
    return path


class Azurite:
    """One running Azurite; what it holds is on disk, so that it can be killed and come back."""

    def __init__(self, folder, cert=None, key=None, more=()):
        self.folder, self.port, self.process = folder, free_port(), None
        self.scheme = "https" if cert else "http"
        self.url = "%s://127.0.0.1:%d/%s" % (self.scheme, self.port, ACCOUNT)
        self.argv = ["node", program(), "--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--disableTelemetry",
                     "--location", folder, *(("--cert", cert, "--key", key) if cert else ()), *more]
        self.log = os.path.join(folder, "access.log")
        os.makedirs(folder, exist_ok=True)
        atexit.register(self.close)  # whichever tests of a file have run
        self.start()

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self.argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        e2e.until(self.answers, "Azurite answers")

    def answers(self):
        assert self.process.poll() is None, "Azurite ended: %s" % open(self.log).read()[-500:]
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- requests --

    def account_query(self):
        start, end = stamp(-300), stamp(3600)
        fields = [ACCOUNT, "rwdlac", "b", "sco", start, end, "", "https,http", VERSION, "", ""]
        digest = hmac.new(base64.b64decode(KEY), "\n".join(fields).encode(), hashlib.sha256).digest()
        return urllib.parse.urlencode({"sv": VERSION, "ss": "b", "srt": "sco", "sp": "rwdlac", "st": start, "se": end,
                                       "spr": "https,http", "sig": base64.b64encode(digest).decode()})

    def request(self, method, path, query=None, body=None, headers=()):
        """Status and body; `query` None = the whole account's rights."""
        query = self.account_query() if query is None else query
        url = "%s%s%s%s" % (self.url, path, "&" if "?" in path else "?", query)
        request = urllib.request.Request(url, data=body, method=method, headers={"x-ms-version": VERSION, **dict(headers)})
        if body is None and method == "PUT":
            request.add_header("Content-Length", "0")
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def containers(self):
        status, body = self.request("GET", "/?comp=list")
        assert status == 200, body
        return re.findall(r"<Name>([^<]*)</Name>", body.decode())

    def make(self, name, created=None):
        headers = {"x-ms-meta-azlin_created": created} if created else {}
        status, body = self.request("PUT", "/%s?restype=container" % name, headers=headers)
        assert status == 201, body

    def put(self, container, blob, body, query=None):
        return self.request("PUT", "/%s/%s" % (container, blob), query, body,
                            {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"})[0]

    def seen(self, method, what=""):
        """Paths of the requests of that method that were answered, in their order."""
        with open(self.log) as f:
            found = re.findall(r'"%s /%s(/[^ ?"]*)[^"]*" (\d+)' % (method, ACCOUNT), f.read())
        return [path for path, status in found if what in path and status.startswith("2")]

    def config(self, key_file, **options):
        """The text of [sync.blob]."""
        options = {"endpoint": self.url, "key-file": key_file, **options}
        return "[sync.blob]\n" + "".join("%s=%s\n" % pair for pair in options.items())
