"""What people copy with today, as they would call it: rsync over SSH, azcopy and rclone up to a blob store and down again."""
import base64, datetime, hashlib, hmac, os, subprocess, urllib.parse, urllib.request
import netns, wan

SAS_VERSION = "2021-08-06"
AT_ONCE = "16"
RCLONE = """[store]
type = azureblob
use_emulator = true
endpoint = %s
""" % wan.BLOB_URL
RCLONE_OPTIONS = ("--retries", "1", "--transfers", AT_ONCE, "--checkers", AT_ONCE, "--no-check-dest",
                  "--azureblob-upload-concurrency", AT_ONCE, "--azureblob-chunk-size", "8M", "--multi-thread-streams", "8",
                  "--multi-thread-cutoff", "32M")
AZCOPY_OPTIONS = ("--recursive", "--skip-version-check", "--log-level", "NONE", "--output-level", "quiet")


def account_sas():
    end = (datetime.datetime.utcnow() + datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    signed = "\n".join([wan.BLOB_ACCOUNT, "rwdlacup", "b", "sco", "", end, "", "http", SAS_VERSION, "", ""])
    mac = hmac.new(base64.b64decode(wan.BLOB_KEY), signed.encode(), hashlib.sha256).digest()
    return urllib.parse.urlencode({"sv": SAS_VERSION, "ss": "b", "srt": "sco", "sp": "rwdlacup", "se": end, "spr": "http",
                                   "sig": base64.b64encode(mac).decode()})


class Peer:
    """One way to copy `path` of the source to the same path of the target: (where, command) one after another."""

    name, through_store = "", False

    def ready(self, lab):
        """What has to stand before the clock starts."""

    def commands(self, lab, path):
        raise NotImplementedError


class Rsync(Peer):
    def __init__(self, *options):
        self.options, self.name = options, " ".join(("rsync", *options))

    def commands(self, lab, path):
        return [("source", lab.on(wan.SOURCE, "rsync", *self.options, "-e", "ssh", path + "/",
                                  "%s:%s/" % (netns.ADDRESSES[wan.TARGET], path)))]


class ThroughStore(Peer):
    through_store = True

    def ready(self, lab):
        self.sas, self.container = account_sas(), "bench"
        url = "%s/%s?restype=container&%s" % (wan.BLOB_URL, self.container, self.sas)
        subprocess.run([*lab.within("op"), "curl", "-sf", "-X", "PUT", "-H", "Content-Length: 0", url], check=True,
                       stdout=subprocess.DEVNULL)


class Azcopy(ThroughStore):
    name = "azcopy up, down"

    def commands(self, lab, path):
        options = ("env", "AZCOPY_CONCURRENCY_VALUE=" + AT_ONCE, "azcopy", "copy")
        url = "%s/%s" % (wan.BLOB_URL, self.container)
        up = (path + "/*", "%s?%s" % (url, self.sas), "--from-to", "LocalBlob")
        down = ("%s/*?%s" % (url, self.sas), path, "--from-to", "BlobLocal")
        return [("source", lab.on(wan.SOURCE, *options, *up, *AZCOPY_OPTIONS)),
                ("target", lab.on(wan.TARGET, *options, *down, *AZCOPY_OPTIONS))]


class Rclone(ThroughStore):
    name = "rclone up, down"

    def ready(self, lab):
        super().ready(lab)
        for region in (wan.SOURCE, wan.TARGET):
            name = os.path.join(lab.machines[region].home, "rclone.conf")
            with open(name, "w") as f:
                f.write(RCLONE)
            os.chown(name, netns.UID, netns.UID)

    def commands(self, lab, path):
        program = ("rclone", "--config", "rclone.conf", *RCLONE_OPTIONS, "copy")
        return [("source", lab.on(wan.SOURCE, *program, path, "store:" + self.container)),
                ("target", lab.on(wan.TARGET, *program, "store:" + self.container, path))]


RSYNC, CHECKSUM, AZCOPY, RCLONE_PEER = Rsync("-avz"), Rsync("-ac"), Azcopy(), Rclone()
