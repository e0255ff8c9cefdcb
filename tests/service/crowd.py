"""Many clients of one azlind in one process: a connection each, which hears of nothing but the jobs that it follows."""
import e2e
from bus import NAME, PATH, Gio, GLib

CALL_MS = 300000
FLAGS = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION if Gio else None


class Followed:
    """What one client has heard of one job."""

    def __init__(self, path):
        self.path, self.numbers, self.finished, self.leave = path, [], [], None


class Member:
    """One client. `over(followed)` comes with the Finished of each of its jobs."""

    def __init__(self, address, over, trouble):
        self.connection = Gio.DBusConnection.new_for_address_sync(address, FLAGS, None, None)
        self.over, self.trouble = over, trouble

    def call(self, path, interface, method, arguments, done=lambda *reply: None):
        def answered(connection, result):
            try:
                reply = connection.call_finish(result).unpack()
            except GLib.Error as error:
                self.trouble("%s: %s" % (method, error.message))
            else:
                done(*reply)
        self.connection.call(NAME, path, NAME + "." + interface, method, arguments, None, Gio.DBusCallFlags.NONE, CALL_MS, None,
                             answered)

    def submit(self, kind, **flags):
        """A job that is followed from before its start."""
        def made(path):
            self.follow(path)
            self.call(path, "Job", "Start", None)
        self.call(PATH, "Manager", "Submit", GLib.Variant("(sa{sv})", (kind, flags)), made)

    def follow(self, path):
        followed = Followed(path)
        subscription = self.connection.signal_subscribe(NAME, NAME + ".Job", None, path, None, Gio.DBusSignalFlags.NONE, self.hear,
                                                        followed)
        followed.leave = lambda: self.connection.signal_unsubscribe(subscription)

    def hear(self, _connection, _sender, _path, _interface, signal, arguments, followed):
        if signal == "Said":
            followed.numbers.append(arguments.get_child_value(0).get_uint64())
        if signal != "Finished":
            return
        followed.finished.append(arguments.get_child_value(0).get_int32())
        if len(followed.finished) == 1:
            self.over(self, followed)

    def close(self):
        self.connection.close_sync(None)


class Crowd:
    """`clients` that run jobs together; a job that ends makes room for another one until there were enough."""

    def __init__(self, address, clients):
        self.troubles, self.ended, self.more = [], [], 0
        self.members = [Member(address, self.over, self.troubles.append) for _ in range(clients)]

    def run(self, jobs, at_once, kind, seconds, **flags):
        """All that was heard of each job."""
        self.ended, self.kind, self.flags = [], kind, flags
        self.more = jobs - min(jobs, at_once)
        for i in range(min(jobs, at_once)):
            self.members[i % len(self.members)].submit(kind, **flags)

        def turn():
            while GLib.MainContext.default().iteration(False):
                pass
            assert not self.troubles, self.troubles[:3]
            return len(self.ended) >= jobs
        e2e.until(turn, "%d jobs end" % jobs, seconds)
        for _ in range(5):  # a second Finished would come behind the first one
            self.settle()
        for followed in self.ended:  # else the bus has more to compare from round to round, and its limit of rules
            followed.leave()
        return self.ended

    def settle(self):
        """All that was sent to any client so far has arrived."""
        for member in self.members:
            member.connection.call_sync("org.freedesktop.DBus", "/", "org.freedesktop.DBus.Peer", "Ping", None, None,
                                        Gio.DBusCallFlags.NONE, CALL_MS, None)
        while GLib.MainContext.default().iteration(False):
            pass

    def over(self, member, followed):
        self.ended.append(followed)
        if self.more > 0:
            self.more -= 1
            member.submit(self.kind, **self.flags)

    def close(self):
        for member in self.members:
            member.close()


def check(ended):
    """No client has missed anything, or heard it twice. How much each job has said."""
    said = {len(followed.numbers) for followed in ended}
    for followed in ended:
        assert followed.numbers == list(range(followed.numbers[0], followed.numbers[0] + len(followed.numbers))), followed.numbers
        assert followed.finished == [0], (followed.path, followed.finished)
    assert len({followed.numbers[0] for followed in ended}) == 1 and len(said) == 1, said
    assert len({followed.path for followed in ended}) == len(ended)
    return said.pop()
