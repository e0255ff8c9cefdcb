"""Hosts that hold leases or keep records: one process each that runs that brick alone, and what the tests ask of it."""
import os, signal, subprocess, time
import e2e

DRIVE = os.environ["AZLIN_COORDINATOR_DRIVE"]
CONTEXT_DRIVE = os.environ["AZLIN_CONTEXT_DRIVE"]


class Host:
    """A process with the brick; several of them with one home or with homes of their own contend."""

    def __init__(self, home, drive=DRIVE):
        self.process = subprocess.Popen([drive], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                        env=home.env(ASAN_OPTIONS="detect_leaks=0"))
        self.first = self.process.stdout.readline().strip()

    def send(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline().strip()

    def ask(self, *words):
        self.send(*words)
        return self.answer()

    def ok(self, *words):
        """What is said behind "ok"; fails when anything else is."""
        answer = self.ask(*words)
        assert answer.startswith("ok"), (words, answer)
        return answer[3:]

    def acquire(self, key, ttl=10):
        """The token; fails when it is not had."""
        answer = self.ask("acquire", key, ttl)
        assert answer.startswith("ok "), answer
        return int(answer.split()[1])

    def renew(self, key, token):
        return self.ask("renew", key, token)

    def release(self, key, token):
        answer = self.ask("release", key, token)
        assert answer == "ok", answer

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        """Ends it as it likes to end; what AddressSanitizer has to say makes it fail."""
        if self.process.poll() is None:
            self.process.stdin.close()
            assert self.process.wait(timeout=30) in (0, 2), self.process.returncode


class Scene:
    """Homes and hosts of one test, gone when it ends."""

    def __init__(self, config):
        self.config, self.homes, self.hosts = config, [], []

    def host(self, config=None):
        self.homes.append(e2e.Home("[bricks]\nprovider=static\n" + (config or self.config)))
        return self.again(self.homes[-1])

    def again(self, home, drive=DRIVE):
        """One more process with the same home."""
        self.hosts.append(Host(home, drive))
        return self.hosts[-1]

    def keeper(self, config=None):
        """A host that keeps records and holds no leases."""
        self.homes.append(e2e.Home("[bricks]\nprovider=static\n" + (config or self.config)))
        return self.again(self.homes[-1], CONTEXT_DRIVE)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for host in self.hosts:
            if kind is None:
                host.close()
            elif host.process.poll() is None:
                host.go_on()
                host.kill()
        for home in self.homes:
            subprocess.run(["rm", "-rf", home.root], check=True)


def contend(a, b, key, races, ttl=10):
    """Both ask at the same time, again and again; how often each had it. Exactly one has it each time, and its token is
    above all before."""
    wins, last = [0, 0], 0
    for race in range(races):
        for host in (a, b):
            host.send("acquire", key, ttl)
        answers = [host.answer() for host in (a, b)]
        had = [i for i, answer in enumerate(answers) if answer.startswith("ok ")]
        assert len(had) == 1, "race %d: %s" % (race, answers)
        other = answers[1 - had[0]]
        assert other.startswith("LockUnavailable"), "race %d: %s" % (race, answers)
        token = int(answers[had[0]].split()[1])
        assert token > last, "race %d: token %d after %d" % (race, token, last)
        last = token
        wins[had[0]] += 1
        (a, b)[had[0]].release(key, token)
    return wins


def until_had(host, key, seconds, ttl=10):
    """Asks until it is had; token and the seconds that it took."""
    begun, token = time.monotonic(), []

    def had():
        answer = host.ask("acquire", key, ttl)
        assert answer.startswith(("ok ", "LockUnavailable")), answer
        if answer.startswith("ok "):
            token.append(int(answer.split()[1]))
        return bool(token)
    e2e.until(had, "the lease passes on", seconds)
    return token[0], time.monotonic() - begun
