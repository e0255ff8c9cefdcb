# Moves chunks over connections that stay: any that is free takes the next chunk. Arguments: "put" or "get", the folder
# in whose folder "big" the files stand by their numbers, "md5" or "crc", how many connections, and the service's address.
# Each line of standard input is an order: "base ADDRESS", "sas QUERY", "run ID FILE CHUNK TRIES OFFSET LENGTH", "drop ID";
# "whole FILE BYTES" and "land": what has arrived whole is hashed, sum.FILE has it, and that is all. It ends with its input;
# what it says, lines that begin with '@', is what source.sh and target.sh say of their own lanes, and "@begun".
import contextlib, errno, hashlib, http.client, os, queue, select, socket, ssl, sys, threading, time, zlib
from urllib.parse import urlsplit
BLOCK = 131072
CONNECT_S, BLOCK_S = 20, 60
way, folder, check, count, address = sys.argv[1:]
told = {"base": address, "sas": ""}
tasks, dropped, at_work = queue.SimpleQueue(), set(), {}
lock = threading.Lock()
class Unread(Exception):
    pass
def say(*lines):
    os.write(1, "".join("@%s\n" % line for line in lines).encode())
class Crc:
    # CRC and length as as many digits as MD5 has
    def __init__(self):
        self.crc = self.length = 0
    def update(self, block):
        self.crc = zlib.crc32(block, self.crc)
        self.length += len(block)
    def hexdigest(self):
        return "%016x%016x" % (self.crc, self.length)
def summer():
    return hashlib.md5(usedforsecurity=False) if check == "md5" else Crc()
@contextlib.contextmanager
def opened(number, flags):
    file = os.open("%s/big/%s" % (folder, number), flags | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)
class Followed:
    # a file that is hashed while it arrives, as far as there is no gap
    def __init__(self):
        self.sums, self.at, self.hash, self.torn = {}, 0, hashlib.sha256(), False
class Follower(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.news, self.files = queue.SimpleQueue(), {}
    def run(self):
        while (news := self.news.get()) is not None:
            self.take(*news)
    def take(self, number, at, length, found):
        # what comes twice with other bytes may be written over what was hashed
        file = self.files.setdefault(number, Followed())
        if at in file.sums:
            file.torn |= file.sums[at] != (length, found)
            return
        file.sums[at] = length, found
        with opened(number, os.O_RDONLY | os.O_NOFOLLOW) as source:
            while file.at in file.sums and not file.torn:
                self.read(file, source, file.sums[file.at][0])
    def read(self, file, source, length):
        end = file.at + length
        while file.at < end:
            block = os.pread(source, min(1 << 20, end - file.at), file.at)
            if not block:
                file.torn = True
                return
            file.hash.update(block)
            file.at += len(block)
    def end(self, sizes):
        self.news.put(None)
        self.join()
        for number, size in sizes.items():
            file = self.files.get(number)
            if file is not None and file.at == size and not file.torn:
                with open("%s/sum.%s" % (folder, number), "w") as out:
                    out.write(file.hash.hexdigest() + "\n")
follower = Follower()
secure = urlsplit(address).scheme == "https"
trust = ssl.create_default_context() if secure else None
class Lane(threading.Thread):
    # one connection, one chunk after the other
    def __init__(self):
        super().__init__(daemon=True)
        place = urlsplit(address)
        if secure:
            self.link = http.client.HTTPSConnection(place.hostname, place.port, timeout=CONNECT_S, context=trust)
        else:
            self.link = http.client.HTTPConnection(place.hostname, place.port, timeout=CONNECT_S)
        self.block = bytearray(BLOCK)
    def connect(self):
        self.link.close()
        try:
            self.link.connect()
        except OSError:
            self.link.close()
            raise
        self.link.sock.settimeout(BLOCK_S)
    def is_fresh(self):
        # an answer that nobody asked for is the service's goodbye; of TLS it may be tickets
        if self.link.sock is not None and (secure or not select.select([self.link.sock], [], [], 0)[0]):
            return False
        self.connect()
        return True
    def hang_up(self):
        try:
            self.link.sock.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass
    def ask(self, method, file, chunk, headers):
        self.link.putrequest(method, "%s/b/%s/%s?%s" % (urlsplit(told["base"]).path, file, chunk, told["sas"]),
                             skip_accept_encoding=True)
        for name, value in (("x-ms-version", "2021-12-02"), *headers):
            self.link.putheader(name, value)
        self.link.endheaders()
    def blocks(self, file, at, left):
        # as many bytes as there were when all began: that a file changed is found out when both sides are compared
        view = memoryview(self.block)
        try:
            with opened(file, os.O_RDONLY) as source:
                while left:
                    n = min(BLOCK, left)
                    have = os.preadv(source, [view[:n]], at)
                    view[have:n] = bytes(n - have)
                    yield view[:n]
                    at, left = at + n, left - n
        except OSError:
            raise Unread("a file cannot be read any more")
    def sends(self, block, found):
        found.update(block)
        try:
            self.link.send(block)
        except (BrokenPipeError, ConnectionResetError):
            return False # the service may have said why before it hung up
        return True
    def put(self, run, file, chunk, at, length):
        found = summer()
        self.ask("PUT", file, chunk, (("x-ms-blob-type", "BlockBlob"), ("Content-Type", "application/octet-stream"),
                                      ("Content-Length", str(length))))
        whole = all(self.sends(block, found) for block in self.blocks(file, at, length))
        answer = self.link.getresponse()
        answer.read(BLOCK)
        if answer.status == 201 and not whole:
            raise http.client.HTTPException("the service took less than it was to be sent")
        said = (answer.getheader("Content-MD5") or "-").split() or ["-"]
        say(*(["sum %s %s %s" % (file, chunk, found.hexdigest())] if whole else []),
            "put %s %s %d %s %s" % (file, chunk, answer.status, said[0], run))
        return answer.status == 201
    def get(self, run, file, chunk, at, length):
        self.ask("GET", file, chunk, ())
        answer = self.link.getresponse()
        if answer.status != 200:
            answer.read(BLOCK)
            say("bad %s %s %d" % (file, chunk, answer.status))
            return False
        if answer.length != length:
            say("got %s %s %s %s" % (file, chunk, "0" * 32, run))
            return False
        found = self.keep(answer, file, at, length)
        follower.news.put((file, at, length, found))
        say("got %s %s %s %s" % (file, chunk, found, run))
        return True
    def keep(self, answer, file, at, left):
        found, view = summer(), memoryview(self.block)
        with opened(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW) as target:
            while left:
                n = answer.readinto(view[:min(BLOCK, left)])
                if n == 0:
                    raise http.client.IncompleteRead(b"", left)
                found.update(view[:n])
                if os.pwrite(target, view[:n], at) != n:
                    raise OSError(errno.ENOSPC, "the disk is full")
                at, left = at + n, left - n
        answer.read(1)
        return found.hexdigest()
    def move(self, run, file, chunk, at, length):
        # a connection that has waited may be gone without a word: that is no failure of the chunk
        while True:
            fresh = self.is_fresh()
            try:
                return (self.put if way == "put" else self.get)(run, file, chunk, at, length)
            except (ConnectionError, ssl.SSLEOFError):
                self.link.close()
                if fresh or run in dropped:
                    raise
    def attempt(self, run, file, chunk, at, length):
        try:
            if self.move(run, file, chunk, at, length):
                return True
            self.link.close()
        except (OSError, http.client.HTTPException, Unread) as error:
            self.link.close()
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                say("full")
            elif run not in dropped:
                say("say %s" % " ".join(str(error or type(error).__name__).split())[:200])
        return False
    def run(self):
        try:
            self.connect()
        except (OSError, http.client.HTTPException):
            pass
        while True:
            run, file, chunk, tries, at, length = tasks.get()
            with lock:
                at_work[run] = self
                wanted = run not in dropped
            say("begun %s" % run)
            good = not wanted or self.attempt(run, file, chunk, int(at), int(length))
            with lock:
                del at_work[run]
            if not good and run not in dropped:
                time.sleep(1 + int(tries))
            say("end %s %d" % (run, not good))
def drop(run):
    with lock:
        dropped.add(run)
        lane = at_work.get(run)
    if lane is not None:
        lane.hang_up()
sizes = {}
if way == "get":
    follower.start()
for _ in range(int(count)):
    Lane().start()
for line in sys.stdin:
    word, *rest = line.split()
    if word in told:
        told[word] = rest[0]
    elif word == "run":
        tasks.put(rest[:6])
    elif word == "drop":
        drop(rest[0])
    elif word == "whole":
        sizes[rest[0]] = int(rest[1])
    elif word == "land":
        follower.end(sizes)
        break
os._exit(0)
