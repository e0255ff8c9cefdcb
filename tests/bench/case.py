"""One case under way: its network, what stands on the machines before each copy, the copy, and whether it is one."""
import os, random, shutil, statistics, subprocess
import datasets, e2e, measure, netns, place, wan

TIMEOUT_S = 600
CHANGED = {"edited": "D1", "overwritten": "D2"}  # what both trees are before the source changes


class Wrong(Exception):
    """A copy that failed or is not one."""


class Case:
    """The network of one row, with both trees as the row wants them."""

    def __init__(self, row):
        self.row = row
        self.lab = wan.Wan(row.link, place.config())
        self.path = ("/changing/" if row.state in CHANGED else "/data/") + row.data
        self.source, self.target = (self.lab.at(region, self.path) for region in (wan.SOURCE, wan.TARGET))
        self.rng = random.Random(11)
        try:
            self.settle()
        except BaseException:
            self.lab.close()
            raise

    def settle(self):
        """What stands before the first copy. Where trees are equal already, azlin has made them so."""
        data = CHANGED.get(self.row.state, self.row.data)
        if self.row.state in CHANGED:
            self.copy(data, self.source)
        if self.row.state != "empty":
            self.copy(data, self.target)
        self.kept = os.path.join(self.lab.root, "kept")
        shutil.copytree(self.lab.path, self.kept)
        if self.row.state != "empty":
            self.check(self.sync("auto"), "azlin, at first")

    def copy(self, data, folder):
        subprocess.run(["cp", "-a", os.path.join(datasets.ROOT, data), folder], check=True)
        subprocess.run(["chown", "-R", "%d:%d" % (netns.UID, netns.UID), folder], check=True)

    def before(self, through_store):
        if self.row.state == "edited":
            datasets.rewrite_files(self.source, self.rng)
        if self.row.state == "overwritten":
            datasets.overwrite_blocks(os.path.join(self.source, "big.bin"), self.rng)
        if self.row.state == "empty":
            shutil.rmtree(self.target, ignore_errors=True)
            os.mkdir(self.target)
            os.chown(self.target, netns.UID, netns.UID)
            self.forget()
        if through_store:
            self.lab.start_store()

    def forget(self):
        """azlin knows nothing of earlier copies, neither here nor on the machines."""
        shutil.rmtree(self.lab.path)
        shutil.copytree(self.kept, self.lab.path)
        for machine in self.lab.machines.values():
            shutil.rmtree(os.path.join(machine.home, ".local"), ignore_errors=True)

    def check(self, sample, who):
        if sample.code != 0:
            raise Wrong("%s: exit %d: %s" % (who, sample.code, (sample.errors + sample.output)[-1500:]))
        found = subprocess.run(["diff", "-rq", "--no-dereference", self.source, self.target], stdout=subprocess.PIPE, text=True)
        if found.returncode != 0:
            raise Wrong("%s: not the same: %s" % (who, found.stdout[:1500]))

    def check_attributes(self, who):
        """What some peers leave behind and azlin must not: kinds, modes, sizes, times to the nanosecond."""
        listings = [subprocess.run(["find", folder, "-mindepth", "1", "-printf", "%P %y %m %s %T@\\n"], stdout=subprocess.PIPE,
                                   text=True, check=True).stdout for folder in (self.source, self.target)]
        differ = set.symmetric_difference(*(set(listing.split("\n")) for listing in listings))
        if differ:
            raise Wrong("%s: kinds, modes or times differ: %s" % (who, "; ".join(sorted(differ)[:6])))

    def argv(self, strategy, *options):
        return [*self.lab.within("op"), e2e.BIN, "sync", "--source", wan.SOURCE, "--dest", wan.TARGET, "--paths", self.path,
                "--strategy", strategy, *options]

    def sync(self, strategy, *options):
        return self.timed(self.argv(strategy, "-o", "json", *options))

    def timed(self, argv):
        """azlin's own command, where the operator is."""
        return measure.run(argv, self.lab.accounts, "operator", self.lab.env(), TIMEOUT_S)

    def before_azlin(self, strategy):
        self.before(strategy in ("blob", "auto") and "blob" in place.strategies())

    def timeline(self, strategy):
        """(seconds, event) of one copy."""
        self.before_azlin(strategy)
        yield from measure.lines(self.argv(strategy, "-o", "jsonl", *self.row.options), self.lab.env())

    def azlin(self, strategy):
        self.before_azlin(strategy)
        sample = self.sync(strategy, *self.row.options)
        self.check(sample, "azlin, " + strategy)
        self.check_attributes("azlin, " + strategy)
        return sample

    def peer(self, peer):
        self.before(peer.through_store)
        peer.ready(self.lab)
        sample = measure.Sample()
        for part, argv in peer.commands(self.lab, self.path):
            sample += measure.run(argv, self.lab.accounts, part, timeout=TIMEOUT_S)
        self.check(sample, peer.name)
        return sample

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.close()

    def in_turns(self, runs, strategy, peers):
        """(samples of azlin, samples of each peer by its name); without a strategy, of the peers alone."""
        ours, theirs = [], {peer.name: [] for peer in peers}
        for _ in range(runs):
            if strategy:
                ours.append(self.azlin(strategy))
            for peer in peers:
                theirs[peer.name].append(self.peer(peer))
        return ours, theirs

    def login(self):
        """Seconds of the operator's own way in: connect, key exchange, authentication, one echo."""
        seconds = []
        for _ in range(3):
            answer = self.timed([*self.lab.within("op"), e2e.BIN, "--quiet", "regions", "health", "-o", "json"]).document()
            found, = [r for r in answer["regions"] if r["region"] == wan.SOURCE]
            seconds.append(sum(e["ms"] for e in found["evidence"] if e["vantage"] == "here") / 1000)
        return statistics.median(seconds)
