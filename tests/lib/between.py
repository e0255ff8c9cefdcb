"""A server that stands before another one and decides what becomes of each request."""
import http.client, http.server, select, socket, threading, urllib.parse


class Between(http.server.ThreadingHTTPServer):
    """`fate(path, number)` of each request, counted per path: "pass", "lose" its answer after it was carried out, "drop" it
    unseen, or the bytes to answer with. `name` says what counts as a path."""
    daemon_threads = True

    def __init__(self, url, fate, name=lambda method, target: urllib.parse.urlsplit(target).path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.there, self.fate, self.name, self.counts, self.guard = urllib.parse.urlsplit(url), fate, name, {}, threading.Lock()
        self.url = "http://127.0.0.1:%d%s" % (self.server_port, self.there.path)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, *_):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def hung_up(self):
        return bool(select.select([self.connection], [], [], 0)[0]) and not self.connection.recv(1, socket.MSG_PEEK)

    def carry_out(self, body):
        there = http.client.HTTPConnection(self.server.there.hostname, self.server.there.port, timeout=10)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection",)}
        there.request(self.command, self.path, body or None, headers)
        reply = there.getresponse()
        answer = reply.read()
        there.close()
        return reply.status, answer, reply.getheaders()

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what = self.server.name(self.command, self.path)
        with self.server.guard:
            number = self.server.counts[what] = self.server.counts.get(what, 0) + 1
            fate = self.server.fate(what, number)
        # on a busy host a request may be read when its sender has long given it up: nobody counts on it any more
        if fate == "drop" or self.hung_up():
            self.close_connection = True
            return
        status, answer, headers = (200, fate, [("Content-Type", "application/json")]) if isinstance(fate, bytes) \
            else self.carry_out(body)
        if fate == "lose":
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "server", "date", "trailer"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_DELETE = handle_any
