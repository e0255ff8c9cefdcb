"""A system bus of a test's own: azlind --system on it, polkit as the test wants it, and callers of several users."""
import getpass, os, pwd, subprocess, sys
import e2e
from bus import Bus, Client, Gio, GLib, NAME, Refused

SERVICE = os.path.join(os.environ["AZLIN_SOURCE_ROOT"], "service")
POLICY = os.path.join(SERVICE, "system", "io.azlin.Azlin1.conf")
ACTION = "io.azlin.Azlin1."
# what the system's own bus begins with, room for the mock of polkit, and none of the bus's limits before azlind's
CONFIG = """<busconfig><type>system</type><listen>unix:path=%(folder)s/bus</listen><auth>EXTERNAL</auth>
<limit name="max_replies_per_connection">10000</limit>
<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/>
<allow receive_type="signal"/><allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
<allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/></policy>
<policy user="%(user)s"><allow own="org.freedesktop.PolicyKit1"/><allow send_destination="org.freedesktop.PolicyKit1"/></policy>
<include>%(folder)s/azlin.conf</include></busconfig>
"""
MOCK = "org.freedesktop.DBus.Mock"
POLKIT, POLKIT_PATH = "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority"


class SystemBus(Bus):
    variable = "DBUS_SYSTEM_BUS_ADDRESS"

    def __init__(self, config="[bricks]\nprovider=sim\n", *options, polkit=True):
        try:
            import dbusmock
        except ImportError:
            raise e2e.Skip("python3-dbusmock is not there")
        super().__init__(config, "--system", *options)
        self.polkit = self.grants = None
        try:
            if polkit:
                self.start_polkit()
        except BaseException:
            self.__exit__()
            raise

    def write_config(self):
        os.chmod(self.folder, 0o711)
        with open(POLICY) as f:
            policy = f.read()
        assert 'user="azlin"' in policy
        with open(self.folder + "/azlin.conf", "w") as f:
            f.write(policy.replace('user="azlin"', 'user="%s"' % getpass.getuser()))
        return CONFIG % {"folder": self.folder, "user": getpass.getuser()}

    def env(self):
        return self.home.env(DBUS_SYSTEM_BUS_ADDRESS=self.address)

    def start_polkit(self):
        template = os.path.join(os.path.dirname(os.path.abspath(__file__)), "polkit_mock.py")
        self.polkit = subprocess.Popen([sys.executable, "-m", "dbusmock", "--system", "--template", template],
                                       env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address},
                                       stdout=subprocess.DEVNULL)
        self.grants = self.client()
        e2e.until(lambda: self.is_there(self.grants, POLKIT), "polkit is on the bus")

    def mock(self, method, signature="()", *arguments):
        reply = self.grants.connection.call_sync(POLKIT, POLKIT_PATH, MOCK, method, GLib.Variant(signature, arguments),
                                                 None, Gio.DBusCallFlags.NONE, 20000, None)
        return reply.unpack()

    def grant(self, client, *actions):
        self.mock("Grant", "(sas)", client.name(), [ACTION + action for action in actions])
        return client

    def grant_everybody(self, *actions):
        self.mock("GrantEverybody", "(as)", [ACTION + action for action in actions])

    def run(self, *words, **kw):
        """The command line, through the service of this bus."""
        return self.home.run(*words, "--system", env={self.variable: self.address}, **kw)

    def questions(self):
        """(subject's kind, connection, action, details, flags) of each since the last time."""
        return self.mock("TakeQuestions")[0]

    def other_user(self, which=0):
        """The number of a user who is not this test's own; the bus takes only those that the machine knows."""
        others = sorted({entry.pw_uid for entry in pwd.getpwall()} - {os.geteuid()})
        return others[which]

    def caller(self, *actions, user=None):
        """A connection with these actions granted; of another user, by his number, where this test runs as root."""
        if user is not None and os.geteuid() != 0:
            raise e2e.Skip("only root speaks for several users")
        if user is not None:
            os.seteuid(user)
        try:
            client = self.client()
        finally:
            if user is not None:
                os.seteuid(0)
        return self.grant(client, *actions)

    def __exit__(self, *what):
        if self.polkit is not None:
            self.polkit.kill()
            self.polkit.wait()
        super().__exit__(*what)
