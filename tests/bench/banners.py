"""Many machines that only answer: one server that says SSH's banner at as many addresses of this host as are asked."""
import socket, threading, time


def address(i):
    return "127.%d.%d.1" % (1 + (i >> 8), i & 255)


class Banners(threading.Thread):
    """Keeps when each address was asked."""

    def __init__(self):
        super().__init__(daemon=True)
        self.server = socket.create_server(("0.0.0.0", 0), backlog=4096)
        self.port, self.last, self.gaps = self.server.getsockname()[1], {}, {}
        self.start()

    def run(self):
        while True:
            connection, _ = self.server.accept()
            name, now = connection.getsockname()[0], time.monotonic()
            self.gaps[name] = max(self.gaps.get(name, 0), now - self.last.get(name, now))
            self.last[name] = now
            try:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            except OSError:
                pass
            connection.close()

    def longest(self):
        """(seconds that any was left alone, how many there are), since this was last asked."""
        now = time.monotonic()
        found = max([*self.gaps.values(), *(now - at for at in self.last.values())])
        self.gaps.clear()
        return found, len(self.last)
