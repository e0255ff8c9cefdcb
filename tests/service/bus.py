"""A message bus of a test's own, azlind on it, and a client that speaks to it as any program would."""
import os, signal, subprocess, tempfile
import e2e

try:
    from gi.repository import Gio, GLib
except ImportError:
    Gio = GLib = None

NAME, PATH = "io.azlin.Azlin1", "/io/azlin/Azlin1"
AZLIND = os.environ["AZLIND_BIN"]
CONFIG = """<busconfig><type>session</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""


def plain(value):
    return value.unpack() if isinstance(value, GLib.Variant) else value


class Refused(Exception):
    def __init__(self, name, message):
        super().__init__("%s: %s" % (name, message))
        self.name, self.message = name, message


class Client:
    """One connection; hears everything that the service says."""

    def __init__(self, address):
        flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
        self.connection = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
        self.heard = []  # (path, signal, arguments)
        self.all = self.connection.signal_subscribe(NAME, None, None, None, None, Gio.DBusSignalFlags.NONE, self.hear)

    def name(self):
        return self.connection.get_unique_name()

    def hear(self, _connection, _sender, path, _interface, signal_name, arguments):
        self.heard.append((path, signal_name, arguments.unpack()))

    def call(self, path, interface, method, signature="()", *arguments):
        try:
            reply = self.connection.call_sync(NAME, path, interface, method, GLib.Variant(signature, arguments), None,
                                              Gio.DBusCallFlags.NONE, 20000, None)
        except GLib.Error as error:
            name = Gio.DBusError.get_remote_error(error)
            Gio.DBusError.strip_remote_error(error)
            raise Refused(name, error.message)
        return reply.unpack()

    def inhibit(self, who, why):
        """A descriptor; closing it allows what it forbade."""
        try:
            reply, descriptors = self.connection.call_with_unix_fd_list_sync(
                NAME, PATH, NAME + ".Manager", "Inhibit", GLib.Variant("(ss)", (who, why)), None, Gio.DBusCallFlags.NONE,
                20000, None, None)
        except GLib.Error as error:
            raise Refused(Gio.DBusError.get_remote_error(error), error.message)
        return descriptors.get(reply.unpack()[0])

    def submit(self, kind, **flags):
        variants = {name.replace("_", "-"): value for name, value in flags.items()}
        return self.call(PATH, NAME + ".Manager", "Submit", "(sa{sv})", kind, variants)[0]

    def job(self, path, method, signature="()", *arguments):
        return self.call(path, NAME + ".Job", method, signature, *arguments)

    def get(self, path, name):
        return self.call(path, "org.freedesktop.DBus.Properties", "Get", "(ss)", NAME + ".Job", name)[0]

    def objects(self):
        """{path: {interface: properties}}, as any ObjectManager tells."""
        return self.call(PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]

    def regions(self):
        """{name: properties} of the regions on the bus."""
        found = [interfaces[NAME + ".Region"] for interfaces in self.objects().values() if NAME + ".Region" in interfaces]
        return {properties["Name"]: properties for properties in found}

    def signals(self, path, name):
        return [arguments for at, signal_name, arguments in self.heard if at == path and signal_name == name]

    def until(self, condition, what, seconds=20):
        def turn():
            while GLib.MainContext.default().iteration(False):
                pass
            return condition()
        e2e.until(turn, what, seconds)

    def finish(self, path, seconds=20):
        self.until(lambda: self.signals(path, "Finished"), "%s ends" % path, seconds)
        return self.signals(path, "Finished")[0]

    def close(self):
        self.connection.close_sync(None)


class Bus:
    """A home with azlind at work in it."""
    variable = "DBUS_SESSION_BUS_ADDRESS"

    def __init__(self, config="[bricks]\nprovider=sim\n", *options, home=None):
        if Gio is None:
            raise e2e.Skip("python3-gi is not there")
        self.home = home or e2e.Home(config)
        self.folder = tempfile.mkdtemp(prefix="azlin-bus-")
        self.address = "unix:path=%s/bus" % self.folder
        self.options = options
        self.bus = self.daemon = self.said = None
        self.clients = []
        try:
            self.start_bus()
        except BaseException:
            Bus.__exit__(self)
            raise

    def start_bus(self):
        with open(self.folder + "/bus.conf", "w") as f:
            f.write(self.write_config())
        self.bus = subprocess.Popen(["dbus-daemon", "--config-file=" + self.folder + "/bus.conf", "--nofork",
                                     "--print-address=1"], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True)
        assert self.bus.stdout.readline(), "no bus"

    def write_config(self):
        return CONFIG % self.folder

    def env(self):
        return self.home.env(DBUS_SESSION_BUS_ADDRESS=self.address, DBUS_SYSTEM_BUS_ADDRESS=self.address)

    def start(self, *options):
        self.daemon = subprocess.Popen([AZLIND, *self.options, *options], env=self.env(), stderr=self.said or subprocess.PIPE,
                                       text=True)
        client = self.client()
        e2e.until(lambda: self.daemon.poll() is not None or self.is_there(client), "azlind is on the bus")
        assert self.daemon.poll() is None, self.daemon.stderr.read()
        return client

    def log(self):
        """What it has said on stderr; `listen()` comes before `start()`."""
        with open(self.said.name) as f:
            return f.read()

    def listen(self):
        self.said = open(self.folder + "/log", "a")

    def is_there(self, client, name=NAME):
        reply = client.connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                            "NameHasOwner", GLib.Variant("(s)", (name,)), None, Gio.DBusCallFlags.NONE,
                                            5000, None)
        return reply.unpack()[0]

    def client(self):
        self.clients.append(Client(self.address))
        return self.clients[-1]

    def stop(self):
        self.daemon.send_signal(signal.SIGTERM)
        return self.daemon.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait()
        if self.bus is not None:
            self.bus.kill()
            self.bus.wait()
        subprocess.run(["rm", "-rf", self.folder], check=True)
        self.home.close()
