"""etcd for tests: one member or three, on loopback ports of their own, that can be killed, paused and come back."""
import base64, json, os, shutil, signal, ssl, subprocess, tempfile, urllib.error, urllib.request
import azurite, e2e


def program():
    found = shutil.which("etcd")
    if not found:
        raise e2e.Skip("etcd is missing: tools/install-deps.sh")
    return found


class Member:
    def __init__(self, cluster, number):
        self.cluster, self.name = cluster, "m%d" % number
        self.client, self.peer = ("%s://127.0.0.1:%d" % (scheme, azurite.free_port())
                                  for scheme in ("https" if cluster.cert else "http", "http"))
        self.process = None

    def start(self):
        argv = [program(), "--name", self.name, "--data-dir", os.path.join(self.cluster.folder, self.name),
                "--listen-client-urls", self.client, "--advertise-client-urls", self.client,
                "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
                "--initial-cluster", ",".join("%s=%s" % (m.name, m.peer) for m in self.cluster.members),
                "--initial-cluster-state", "new", "--heartbeat-interval", str(self.cluster.beat_ms),
                "--election-timeout", str(10 * self.cluster.beat_ms),
                "--unsafe-no-fsync", "--logger", "zap", "--log-level", "error"]
        if self.cluster.cert:
            argv += ["--cert-file", self.cluster.cert, "--key-file", self.cluster.cert + ".key"]
        if self.cluster.ca:
            argv += ["--client-cert-auth", "--trusted-ca-file", self.cluster.ca]
        with open(os.path.join(self.cluster.folder, self.name + ".log"), "a") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)


class Etcd:
    def __init__(self, members=1, tls=False, mutual=False, beat_ms=100):
        """`mutual`: over https, and nobody gets in without a certificate of the cluster's authority. `beat_ms`: as etcd has
        it; on a busy host members miss such beats, and elect without need."""
        self.beat_ms = beat_ms
        os.makedirs(e2e.SCRATCH, mode=0o700, exist_ok=True)
        program()
        self.folder = tempfile.mkdtemp(prefix="etcd-", dir=e2e.SCRATCH)
        self.ca, self.members = self.authority("ca") if mutual else None, []
        self.cert = self.issue("member", self.ca) if mutual else self.certificate() if tls else None
        self.client_cert = self.issue("azlin", self.ca) if mutual else None
        for number in range(members):
            self.members.append(Member(self, number))
        try:
            for member in self.members:
                member.start()
            self.await_leader()
        except BaseException:
            self.close()
            raise

    def make(self, name, subject, *more):
        """A certificate and, beside it, its key."""
        if not shutil.which("openssl"):
            raise e2e.Skip("openssl is missing: it makes the certificate")
        path = os.path.join(self.folder, name + ".pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", subject, "-keyout", path + ".key", "-out", path, *more], check=True, capture_output=True)
        return path

    def certificate(self):
        return self.make("cert", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")

    def authority(self, name):
        return self.make(name, "/CN=authority " + name)

    def issue(self, name, ca):
        """For 127.0.0.1, as a server and as a client: etcd's gateway comes to itself as one."""
        return self.make(name, "/CN=" + name, "-CA", ca, "-CAkey", ca + ".key", "-addext", "subjectAltName=IP:127.0.0.1",
                         "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth,clientAuth")

    def await_leader(self):
        e2e.until(self.answers, "etcd answers", 30)

    def answers(self):
        for member in self.members:
            if member.process:
                assert member.process.poll() is None, "etcd ended: %s" % self.log(member)
        try:
            return "header" in self.call("/v3/kv/range", {"key": self.b64("x")})
        except (OSError, urllib.error.URLError):
            return False

    def log(self, member):
        with open(os.path.join(self.folder, member.name + ".log")) as f:
            return f.read()[-800:]

    @staticmethod
    def b64(text):
        return base64.b64encode(text.encode()).decode()

    def call(self, path, body, member=0, timeout=5, token=None):
        request = urllib.request.Request(self.members[member].client + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json", **({"Authorization": token} if token else {})})
        context = ssl.create_default_context(cafile=self.ca or self.cert) if self.cert else None
        if self.client_cert:
            context.load_cert_chain(self.client_cert, self.client_cert + ".key")
        with urllib.request.urlopen(request, timeout=timeout, context=context) as reply:
            return json.loads(reply.read())

    def keys(self, prefix="/azlin/"):
        """What stands below the prefix: key -> the record of it."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        found = self.call("/v3/kv/range", {"key": self.b64(prefix), "range_end": self.b64(end)})
        return {base64.b64decode(kv["key"]).decode()[len(prefix):]: kv for kv in found.get("kvs", [])}

    def leases(self):
        return [lease["ID"] for lease in self.call("/v3/lease/leases", {}).get("leases", [])]

    def delete(self, key, prefix="/azlin/"):
        self.call("/v3/kv/deleterange", {"key": self.b64(prefix + key)})

    def endpoints(self):
        return ";".join(member.client for member in self.members)

    def config(self, **options):
        options.setdefault("endpoints", self.endpoints())
        return "[coordinator.etcd]\n" + "".join("%s=%s\n" % (k.replace("_", "-"), v) for k, v in options.items())

    def close(self):
        for member in self.members:
            member.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
