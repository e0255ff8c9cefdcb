"""Copies by an azlin that stays: `azlin sync --watch` holds its sessions, and says after each round how old is what it has
just verified, which is how long the round took."""
import json, signal, subprocess, threading
import measure, wan

LOOK_EVERY_S = 1  # it looks at the source this often; the wait for that is not the round's
START_S, ROUND_S = 60, 120


class Kept:
    """One such azlin on a case whose trees are equal."""

    def __init__(self, case):
        self.case, self.lags, self.news = case, [], threading.Condition()
        argv = [*case.argv("auto", "-o", "jsonl"), "--watch", "--interval", str(LOOK_EVERY_S)]
        accounts = case.lab.accounts
        self.process = subprocess.Popen(argv, env=case.lab.env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, preexec_fn=lambda: accounts.join("operator"))
        self.peak = measure.Peak(self.process.pid)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        try:
            self.next_lag(0, START_S)
        except BaseException:
            self.close()
            raise

    def read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "lag":
                with self.news:
                    self.lags.append(next(r["lag_seconds"] for r in event["regions"] if r["region"] == wan.TARGET))
                    self.news.notify()

    def next_lag(self, seen, seconds):
        """The first that comes after so many."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.lags) > seen, seconds), "no round of sync --watch ended"
            return self.lags[seen]

    def round(self):
        """Changes the source right behind a round, and waits for the round that copies it: its seconds from the first look
        at the source to the last verified byte."""
        self.next_lag(len(self.lags), ROUND_S)
        seen = len(self.lags)
        before, busy = self.case.lab.accounts.read(), measure.busy_seconds()
        self.case.before(False)
        wall = self.next_lag(seen, ROUND_S)
        parts = self.case.lab.accounts.since(before)
        sample = measure.Sample(wall, parts.get("operator", 0), self.peak.bytes, measure.busy_seconds() - busy, parts=parts)
        self.case.check(sample, "azlin sync --watch")
        self.case.check_attributes("azlin sync --watch")
        return sample

    def close(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(START_S)
        finally:
            self.process.kill()
            self.reader.join()
            self.process.stdout.close()
            self.peak.end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def in_turns(case, runs, strategy, peers):
    """(samples of azlin, samples of each peer by its name, seconds of the operator's login); without a strategy, of the peers
    alone. An azlin that watches would copy before a peer could: it comes after them, and has logged in before."""
    if not case.row.warm:
        login = case.login()
        return (*case.in_turns(runs, strategy, peers), login)
    _, theirs = case.in_turns(runs, None, peers)
    if not strategy:
        return [], theirs, 0
    with Kept(case) as azlin:
        return [azlin.round() for _ in range(runs)], theirs, 0
