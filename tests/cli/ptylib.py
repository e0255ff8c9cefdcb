"""A terminal for tests: runs azlin on a pty, types at it, and shows what would stand on the glass."""
import codecs, fcntl, os, pty, re, select, signal, struct, termios, time

TOKEN = re.compile("\x1b\\[([0-9;?]*)([A-Za-z])|\x1b(.)|(.)", re.S)


class Glass:
    """As much of a terminal as azlin uses: lines, cursor up, clear below, carriage return. Anything else is an error."""

    def __init__(self):
        self.lines, self.row, self.col, self.inks = [""], 0, 0, 0

    def feed(self, text):
        for match in TOKEN.finditer(text):
            args, final, escape, char = match.groups()
            if final:
                self.control(args, final)
            elif escape:
                raise AssertionError("unknown escape %r" % match.group(0))
            else:
                self.put(char)

    def control(self, args, final):
        if final == "m":
            self.inks += args not in ("", "0")
        elif final == "A":
            self.row = max(0, self.row - int(args or 1))
        elif final == "J":
            self.lines[self.row] = self.lines[self.row][:self.col]
            del self.lines[self.row + 1:]
        else:
            raise AssertionError("unknown control %r%r" % (args, final))

    def put(self, char):
        if char == "\r":
            self.col = 0
        elif char == "\n":
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        else:
            line = self.lines[self.row].ljust(self.col)
            self.lines[self.row] = line[:self.col] + char + line[self.col + 1:]
            self.col += 1

    def text(self):
        return "\n".join(line.rstrip() for line in self.lines)


class Session:
    """azlin on a pty of its own."""

    def __init__(self, argv, env, rows=24, columns=100):
        env = dict(env, TERM=env.get("TERM", "xterm-256color"))
        self.raw, self.code = "", None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(argv[0], argv, env)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read_some(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return None
        self.raw += self.decoder.decode(data)
        return True if data else None

    def wait_for(self, pattern, seconds=60):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.raw):
            if self.read_some(0.2) is None or time.monotonic() > end:
                raise AssertionError("%r never came; there is %r" % (pattern, self.raw))

    def type(self, text):
        os.write(self.fd, text.encode())

    def kill(self, number=signal.SIGINT):
        os.kill(self.pid, number)

    def finish(self, seconds=60):
        end = time.monotonic() + seconds
        while True:
            if self.read_some(0.2) is None:
                break
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError("still running; there is %r" % self.raw)
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def glass(self):
        glass = Glass()
        glass.feed(self.raw)
        return glass
