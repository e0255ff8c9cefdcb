"""What systemd, the bus and polkit read of azlind --system, and what it tells systemd."""
import os, re, shutil, signal, socket, subprocess, tempfile
import xml.etree.ElementTree as ElementTree
import e2e
from bus import NAME, Gio, GLib
from systembus import ACTION, SERVICE, SystemBus

SYSTEM = os.path.join(SERVICE, "system")
UNIT = os.environ["AZLIND_UNIT"]
MOST_EXPOSED = 2.0


def read(path):
    with open(path) as f:
        return f.read()


def test_the_unit_is_sandboxed():
    program = shutil.which("systemd-analyze")
    if program is None:
        raise e2e.Skip("systemd-analyze is not there")
    with tempfile.TemporaryDirectory() as folder:
        unit = shutil.copy(UNIT, folder)
        told = subprocess.run([program, "security", "--offline=yes", "--no-pager", unit], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
    level = re.search(r"exposure level for \S+: ([\d.]+)", told.stdout)
    assert level and float(level[1]) <= MOST_EXPOSED, told.stdout
    print("# exposure %s" % level[1])


def test_the_unit_is_one():
    program = shutil.which("systemd-analyze")
    if program is None:
        raise e2e.Skip("systemd-analyze is not there")
    with tempfile.TemporaryDirectory() as folder:
        text = re.sub(r"(?m)^ExecStart=.*", "ExecStart=/bin/true", read(UNIT))
        path = os.path.join(folder, "azlind.service")
        with open(path, "w") as f:
            f.write(text)
        told = subprocess.run([program, "verify", "--man=no", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, env={**os.environ, "SYSTEMD_UNIT_PATH": folder + ":"})
    wrong = [line for line in told.stdout.splitlines() if "azlind.service" in line]
    assert not wrong, told.stdout


def test_every_action_can_be_granted_and_is_needed():
    policy = ElementTree.parse(os.path.join(SYSTEM, "io.azlin.Azlin1.policy")).getroot()
    actions = {action.get("id"): action for action in policy.findall("action")}
    needed = {ACTION + name for name in re.findall(r'#define \w+ SERVICE_ACTION "([^"]+)"', read(SERVICE + "/service-rule.c"))}
    assert set(actions) == needed, set(actions) ^ needed
    for name, action in actions.items():
        owners = [note.text for note in action.findall("annotate") if note.get("key") == "org.freedesktop.policykit.owner"]
        defaults = {child.tag: child.text for child in action.find("defaults")}
        assert owners == ["unix-user:azlin"], name
        assert set(defaults) == {"allow_any", "allow_inactive", "allow_active"}, name
        for who, grant in defaults.items():
            free = name == ACTION + "look" and who == "allow_active"
            assert grant == "yes" if free else grant.startswith("auth_admin"), (name, who, grant)
    assert re.search(r"(?m)^User=azlin$", read(UNIT)) and "\nu azlin " in read(os.path.join(SYSTEM, "azlin.sysusers.in"))


def test_nobody_else_takes_the_name():
    with SystemBus() as bus:
        thief = bus.caller(user=bus.other_user())
        try:
            thief.connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                       "RequestName", GLib.Variant("(su)", (NAME, 0)), None, Gio.DBusCallFlags.NONE, 5000, None)
        except GLib.Error as error:
            assert "AccessDenied" in error.message, error
            return
        raise AssertionError("it has the name")


class Systemd:
    """The socket to which a service tells how it is."""

    def __init__(self, abstract=False):
        self.folder = tempfile.mkdtemp(prefix="azlin-notify-")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.name = self.folder + "/notify"
        self.socket.bind("\0" + self.name if abstract else self.name)
        self.env = {"NOTIFY_SOCKET": ("@" if abstract else "") + self.name}
        self.socket.settimeout(20)

    def hear(self):
        return self.socket.recv(1000).decode()

    def falls_silent(self):
        self.socket.settimeout(1)
        try:
            for _ in range(50):
                self.hear()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(20)
        return False

    def close(self):
        self.socket.close()
        shutil.rmtree(self.folder)


def start(bus, **env):
    before = dict(os.environ)
    os.environ.update(env)
    try:
        return bus.start()
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_systemd_hears_of_its_life():
    for abstract in False, True:
        systemd = Systemd(abstract)
        with SystemBus() as bus:
            start(bus, **systemd.env, WATCHDOG_USEC="400000")
            heard = [systemd.hear() for _ in range(4)]
            assert sorted(set(heard)) == ["READY=1", "WATCHDOG=1"] and heard.count("READY=1") == 1, heard
            bus.daemon.send_signal(signal.SIGSTOP)
            assert systemd.falls_silent(), "a service that stands still says that it is well"
            bus.daemon.send_signal(signal.SIGCONT)
            assert bus.stop() == 0
            while systemd.hear() != "STOPPING=1":
                pass
        systemd.close()


def test_the_watchdog_of_another_process_is_not_its():
    systemd = Systemd()
    with SystemBus() as bus:
        start(bus, **systemd.env, WATCHDOG_USEC="100000", WATCHDOG_PID="1")
        assert systemd.hear() == "READY=1" and systemd.falls_silent()
        assert bus.stop() == 0
        assert systemd.hear() == "STOPPING=1"
    systemd.close()


if __name__ == "__main__":
    e2e.main(globals())
