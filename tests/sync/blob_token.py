"""The blob strategy without an account key: a token, a user delegation key, and an Azurite that asks for both over TLS."""
import base64, http.server, json, os, subprocess, threading, time
import azurite, blob, e2e
from machines import fill, same

TENANT = "22222222-2222-4222-8222-222222222222"
SECRET = "canary-client-secret"


def jwt():
    part = lambda document: base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
    now = int(time.time())
    claims = {"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/%s/" % TENANT, "nbf": now - 60, "iat": now - 60,
              "exp": now + 3600, "tid": TENANT, "oid": "44444444-4444-4444-8444-444444444444", "ver": "1.0"}
    return "%s.%s.%s" % (part({"typ": "JWT", "alg": "RS256"}), part(claims), "c2lnbmF0dXJl")


class Authority(http.server.BaseHTTPRequestHandler):
    """Gives everybody the same token, and keeps what was asked for."""
    asked = []

    def do_POST(self):
        Authority.asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        body = json.dumps({"token_type": "Bearer", "expires_in": 3599, "access_token": jwt()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def certificate(folder):
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    done = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                           "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return cert, key


def test_a_login_instead_of_a_key():
    os.makedirs(e2e.SCRATCH, mode=0o700, exist_ok=True)
    folder = os.path.join(e2e.SCRATCH, "azurite-tls-%d" % os.getpid())
    os.makedirs(folder)
    cert, key = certificate(folder)
    authority = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Authority)
    threading.Thread(target=authority.serve_forever, daemon=True).start()
    blob.store = store = azurite.Azurite(os.path.join(folder, "data"), cert, key, ("--oauth", "basic"))
    login = {"AZURE_AUTHORITY_HOST": "http://127.0.0.1:%d" % authority.server_port, "AZURE_TENANT_ID": TENANT,
             "AZURE_CLIENT_ID": "33333333-3333-4333-8333-333333333333", "AZURE_CLIENT_SECRET": SECRET,
             "DRIVE_east": "env CURL_CA_BUNDLE=" + cert, "DRIVE_west": "env CURL_CA_BUNDLE=" + cert}
    try:
        with blob.Alone(chunk=1, connections=2) as home:
            home.write_config("[bricks]\nprovider=local\n[http]\nca-file=%s\n[sync.blob]\nendpoint=%s\n" % (cert, store.url))
            blob.big(os.path.join(home.source, "f"), 9)
            fill(os.path.join(home.source, "small"), 30)
            out, err = home.copy(**login)
            same(home.source, home.targets[0])
            assert "scope=https%3A%2F%2Fstorage.azure.com%2F.default" in Authority.asked[0], Authority.asked
            _, source, target = blob.signatures(err)
            for query in (source, target):
                assert "skoid=" in query and "sv=2021-12-02" in query and "spr=https&" in query, query.split("&sig")[0]
            assert "DELETE /%s/azlin-sync-" % azurite.ACCOUNT in open(store.log).read()
    finally:
        authority.shutdown()
        store.close()


e2e.main(globals())
