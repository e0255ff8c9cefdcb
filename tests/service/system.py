"""azlind --system: nobody hears what is not his, nobody takes what is everybody's, and no answer of polkit's keeps anybody
else waiting. Who may do what is tried by rights.py."""
import os, subprocess, time
import e2e
from bus import AZLIND, Gio, GLib, NAME, PATH, Refused
from systembus import ACTION, SystemBus

MANAGER, JOB = NAME + ".Manager", NAME + ".Job"
ALLOW_INTERACTION = 1
WATCHED = "[bricks]\nprovider=static\n"


def text(value):
    return GLib.Variant("s", value)


def refused(call, name="PermissionDenied"):
    try:
        call()
    except Refused as error:
        assert error.name == "io.azlin.Error." + name, error
        return error.message
    raise AssertionError("nothing was refused")


def deploy(client, *regions):
    path = client.submit("deploy", regions=GLib.Variant("as", list(regions)))
    client.job(path, "Start")
    return path, client.finish(path)


def send(client, path, interface, method, arguments=None, flags=Gio.DBusCallFlags.NONE):
    """Calls, and does not wait: a list that holds the answer, once there is one."""
    came = []

    def on_reply(connection, result):
        try:
            came.append(connection.call_finish(result).unpack())
        except GLib.Error as error:
            came.append(Gio.DBusError.get_remote_error(error))
    client.connection.call(NAME, path, interface, method, arguments, None, flags, 20000, None, on_reply)
    return came


def listening(client):
    """As any program would that wants all signals of the service."""
    client.connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch",
                                GLib.Variant("(s)", ("type='signal',path_namespace='%s'" % PATH,)), None,
                                Gio.DBusCallFlags.NONE, 5000, None)
    return client


def settle(client):
    """All that was sent to it before has come."""
    client.call(PATH, "org.freedesktop.DBus.Peer", "Ping")
    client.until(lambda: True, "")


# ---- what may be done ----


def test_who_may_deploys_and_hears_of_it():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("look", "deploy")
        path, (code, result) = deploy(client, "eastus", "westus2")
        assert code == 0 and result["total_regions"] == 2, result
        assert client.get(path, "State") == "done"
        said = client.job(path, "Listen", "(t)", 0)[0]
        assert [tuple(entry) for entry in said] == client.signals(path, "Said") and len(said) > 3
        assert {region for region, _ in client.signals(path, "RegionChanged")} == {"eastus", "westus2"}
        changes = {}
        for _, changed, _ in client.signals(path, "PropertiesChanged"):
            changes.update(changed)
        assert changes["State"] == "done" and "Regions" not in changes, changes
        assert set(client.get(path, "Regions")) == {"eastus", "westus2"}
        added = client.signals(PATH, "InterfacesAdded")
        assert [(at, set(interfaces)) for at, interfaces in added] == [(path, {JOB})], added


def test_who_may_not_is_told_what_he_lacks():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("look")
        message = refused(lambda: client.submit("deploy", regions=GLib.Variant("as", ["eastus"])))
        assert ACTION + "deploy is not granted" in message, message
        client.submit("regions-list")


def test_without_polkit_nothing_is_allowed():
    with SystemBus(polkit=False) as bus:
        client = bus.start()
        for call in (lambda: client.submit("regions-list"), lambda: client.inhibit("a test", "it tests"),
                     lambda: client.call(PATH, "org.freedesktop.DBus.Properties", "GetAll", "(s)", MANAGER),
                     lambda: client.call(PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")):
            message = refused(call)
            assert "polkit does not say" in message, message


def test_polkit_is_asked_about_the_connection():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("deploy")
        client.submit("deploy", regions=GLib.Variant("as", ["eastus"]))
        asked = bus.questions()
        assert asked == [("system-bus-name", client.name(), ACTION + "deploy", {"method": "Submit", "kind": "deploy"}, 0)], asked


def test_a_password_is_asked_for_only_when_the_caller_waits_for_it():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller()
        bus.mock("GrantByPassword", "(as)", [ACTION + "look"])
        message = refused(lambda: client.submit("regions-list"))
        assert "interactive" in message, message
        came = send(client, PATH, MANAGER, "Submit", GLib.Variant("(sa{sv})", ("regions-list", {})),
                    Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION)
        client.until(lambda: came, "it is answered")
        assert came[0] == (PATH + "/job/1",), came
        assert [flags for *_, flags in bus.questions()] == [0, ALLOW_INTERACTION]
        bus.mock("HaveAgent", "(b)", False)
        came = send(client, PATH, MANAGER, "Submit", GLib.Variant("(sa{sv})", ("regions-list", {})),
                    Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION)
        client.until(lambda: came, "it is answered")
        assert came == ["io.azlin.Error.PermissionDenied"], came


def refusal(client, kind, arguments):
    """Type and words, whether they come at once or as the end of the job."""
    try:
        path = client.call(PATH, MANAGER, "Submit", "(sa{sv})", kind, arguments)[0]
    except Refused as error:
        return error.name.split(".")[-1], error.message.split(": ", 1)[1].split("\x1f")[0]
    client.job(path, "Start")
    error = client.finish(path)[1]["error"]
    return error["error_type"], error["error_message"]


def test_wrong_arguments_are_refused_in_the_words_of_the_command():
    cases = ((("regions", "remove", "atlantis", "--yes"), "regions-remove", {"region": text("atlantis")}),
             (("deploy", "--regions", "nowhere"), "deploy", {"regions": GLib.Variant("as", ["nowhere"])}),
             (("vm", "stop", "--region", "atlantis"), "vm-stop", {"region": text("atlantis")}),
             (("deploy", "--regions", "eastus", "--max-concurrent", "0"), "deploy",
              {"regions": GLib.Variant("as", ["eastus"]), "max-concurrent": GLib.Variant("u", 0)}),
             (("failover", "pause", "--ttl", "soon"), "failover-pause", {"ttl": text("soon")}))
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("look", "deploy", "change", "destroy", "failover")
        for command, kind, arguments in cases:
            said = bus.home.run(*command, "--no-daemon", "-o", "json")
            told = said.json()["error"]
            came = refusal(client, kind, arguments)
            assert (told["error_type"], told["error_message"]) == came, (said, came)
        assert "'deplo'" in refused(lambda: client.submit("deplo"), "InvalidUsage")
        assert "did you mean 'regions'" in refused(lambda: client.submit("deploy", region=text("x")), "InvalidUsage")


def test_no_file_is_read_for_a_caller():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("look", "deploy")
        key = bus.home.root + "/key.pub"
        message = refused(lambda: client.submit("deploy", regions=GLib.Variant("as", ["eastus"]), ssh_key=text(key)))
        assert "'ssh-key' names a file" in message, message


def test_what_is_not_there_is_not_served():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("look")
        refused(lambda: client.get(PATH + "/job/7", "State"), "NotFound")
        odd = ((PATH, "org.freedesktop.DBus.Properties", "Set", "(ssv)", MANAGER, "Home", text("/")),
               (PATH, "org.freedesktop.DBus.Properties", "GetAll", "(s)", ""),
               (PATH + "/job", "org.freedesktop.DBus.Properties", "GetAll", "(s)", JOB),
               (PATH + "/job/1/x", JOB, "Start"), (PATH + "/job/1", JOB, "Finish"), ("/", JOB, "Start"),
               (PATH + "/job/1", MANAGER, "Inhibit", "(ss)", "a", "b"))
        objects = "org.freedesktop.DBus.ObjectManager"
        assert client.call(PATH, "org.freedesktop.DBus.Properties", "GetAll", "(s)", objects) == ({},)
        for call in odd:
            try:
                client.call(*call)
            except Refused as error:
                assert error.name.startswith("org.freedesktop.DBus.Error."), error
                continue
            raise AssertionError("%r was served" % (call,))
        nameless = Gio.DBusMessage.new_method_call(NAME, PATH, None, "Query")
        nameless.set_body(GLib.Variant("(sa{sv})", ("engine", {})))
        reply, _ = client.connection.send_message_with_reply_sync(nameless, Gio.DBusSendMessageFlags.NONE, 5000, None)
        assert reply.get_message_type() == Gio.DBusMessageType.ERROR, reply.print_(0)
        for path in PATH, PATH + "/job", PATH + "/job/1":
            known = client.call(path, "org.freedesktop.DBus.Introspectable", "Introspect")[0]
            assert "<node name" not in known or path == PATH, known
        assert bus.daemon.poll() is None


# ---- who sees what ----


def test_nobody_hears_of_the_jobs_of_others():
    with SystemBus() as bus:
        bus.start()
        owner = bus.caller("look", "deploy")
        stranger = listening(bus.caller("look", user=bus.other_user()))
        path, _ = deploy(owner, "eastus")
        assert len(owner.signals(path, "Said")) > 3
        settle(stranger)
        assert stranger.heard == [], stranger.heard
        for call in (lambda: stranger.get(path, "Result"), lambda: stranger.job(path, "Listen", "(t)", 0)):
            assert "jobs-of-others" in refused(call)
        assert stranger.call(PATH, MANAGER, "Query", "(sa{sv})", "jobs", {})[0]["jobs"] == []
        objects = stranger.call(PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]
        assert not any("/job/" in at for at in objects), objects
        objects = owner.call(PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]
        assert {at for at in objects if "/job/" in at} == {path} and objects[path][JOB]["State"] == "done", objects
        assert [job["job"] for job in owner.call(PATH, MANAGER, "Query", "(sa{sv})", "jobs", {})[0]["jobs"]] == [1]


def test_regions_are_told_to_whoever_asked_for_them():
    with SystemBus(WATCHED) as bus:
        bus.start()
        client, stranger = bus.caller("look"), listening(bus.caller(user=bus.other_user()))
        objects = "org.freedesktop.DBus.ObjectManager"
        assert client.call(PATH, objects, "GetManagedObjects") == ({},)
        refused(lambda: stranger.call(PATH, objects, "GetManagedObjects"))
        bus.home.ok("regions", "add", "eastus", "--public-ip", "127.0.0.1", "--ssh-port", "1", "--vm-name", "none", "--no-daemon")
        client.until(lambda: client.signals(PATH, "InterfacesAdded"), "the region is told of")
        at, interfaces = client.signals(PATH, "InterfacesAdded")[0]
        assert at == PATH + "/regions/eastus" and interfaces[NAME + ".Region"]["VmName"] == "none", (at, interfaces)
        assert set(client.call(PATH, objects, "GetManagedObjects")[0]) == {at}
        name = client.call(at, "org.freedesktop.DBus.Properties", "Get", "(ss)", NAME + ".Region", "Name")
        assert name == ("eastus",), name
        refused(lambda: stranger.call(at, "org.freedesktop.DBus.Properties", "Get", "(ss)", NAME + ".Region", "Name"))
        refused(lambda: client.call(at + "x", "org.freedesktop.DBus.Properties", "GetAll", "(s)", NAME + ".Region"), "NotFound")
        bus.home.ok("regions", "remove", "eastus", "--yes", "--no-daemon")
        client.until(lambda: client.signals(PATH, "InterfacesRemoved"), "its end is told of")
        settle(stranger)
        assert stranger.heard == [], stranger.heard


def test_whoever_may_follows_the_jobs_of_others():
    with SystemBus() as bus:
        bus.start()
        owner, admin = bus.caller("look", "destroy", "deploy"), bus.caller("look", "jobs-of-others", user=bus.other_user())
        deploy(owner, "eastus")
        path = owner.submit("destroy")
        owner.job(path, "Start")
        owner.until(lambda: owner.get(path, "State") == "waiting-answer", "it asks")
        objects = admin.call(PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]
        assert {at for at in objects if "/job/" in at} == {PATH + "/job/1", path}, objects
        assert len(admin.call(PATH, MANAGER, "Query", "(sa{sv})", "jobs", {})[0]["jobs"]) == 2
        admin.job(path, "Listen", "(t)", 0)
        assert ACTION + "destroy" in refused(lambda: admin.job(path, "Answer", "(a{sv})", {"yes": GLib.Variant("b", True)}))
        admin.job(path, "Cancel")
        assert admin.finish(path)[0] == owner.finish(path)[0] != 0


def test_a_job_belongs_to_the_user_and_not_to_the_connection():
    with SystemBus(WATCHED) as bus:
        bus.start()
        bus.home.ok("regions", "add", "eastus", "--public-ip", "127.0.0.1", "--ssh-port", "1", "--vm-name", "none", "--no-daemon")
        first = bus.caller("look", "failover")
        path = first.submit("watch")
        first.job(path, "Start")
        unstarted = first.submit("regions-list")
        first.close()
        second = bus.caller("look")
        second.until(lambda: not exists(second, unstarted), "what nobody started goes")
        said = second.job(path, "Listen", "(t)", 0)[0]
        second.until(lambda: len(second.signals(path, "Said")) > 0, "it goes on")
        assert second.signals(path, "Said")[0][0] == len(said)
        second.job(path, "Cancel")
        second.finish(path)


def can(call):
    try:
        call()
        return True
    except Refused:
        return False


def exists(client, path):
    return can(lambda: client.get(path, "State"))


def test_a_grant_for_nothing_is_none_for_what_comes_later():
    with SystemBus() as bus:
        bus.start()
        owner, stranger = bus.caller("look"), bus.caller("look", user=bus.other_user())
        bus.mock("Hold", "(as)", [stranger.name()])
        came = [send(stranger, PATH + "/job/1", JOB, "Cancel"),
                send(stranger, PATH + "/job/1", JOB, "Listen", GLib.Variant("(t)", (0,)))]
        e2e.until(lambda: bus.mock("Waiting")[0] == 2, "polkit is asked")
        path = owner.submit("regions-list")
        assert path == PATH + "/job/1"
        bus.mock("BeSlow", "(b)", False)
        stranger.until(lambda: all(came), "they are answered")
        assert came == [["io.azlin.Error.NotFound"], ["io.azlin.Error.NotFound"]], came
        assert owner.get(path, "State") == "created"


# ---- nobody waits for others ----


def test_an_answer_that_is_out_keeps_nobody_waiting():
    with SystemBus() as bus:
        bus.start()
        client, other = bus.caller("look"), bus.caller("look")
        bus.mock("BeSlow", "(b)", True)
        came = send(client, PATH, MANAGER, "Submit", GLib.Variant("(sa{sv})", ("regions-list", {})))
        e2e.until(lambda: bus.mock("Waiting")[0] == 1, "polkit is asked")
        other.call(PATH, "org.freedesktop.DBus.Peer", "Ping")
        other.call(PATH, "org.freedesktop.DBus.Introspectable", "Introspect")
        client.until(lambda: True, "")
        assert came == []
        bus.mock("BeSlow", "(b)", False)
        client.until(lambda: came, "it is answered")
        assert came == [(PATH + "/job/1",)], came


def test_a_question_goes_with_whoever_wanted_it():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("look")
        bus.mock("BeSlow", "(b)", True)
        send(client, PATH, MANAGER, "Submit", GLib.Variant("(sa{sv})", ("regions-list", {})))
        e2e.until(lambda: bus.mock("Waiting")[0] == 1, "polkit is asked")
        client.close()
        e2e.until(lambda: bus.mock("Waiting")[0] == 0, "the question is withdrawn")
        bus.mock("BeSlow", "(b)", False)
        admin = bus.caller("look", "jobs-of-others")
        assert admin.call(PATH, MANAGER, "Query", "(sa{sv})", "jobs", {})[0]["jobs"] == []


def test_it_stays_while_somebody_waits_for_an_answer():
    with SystemBus("[bricks]\nprovider=sim\n", "--idle=1") as bus:
        bus.start()
        client = bus.caller("look")
        bus.mock("BeSlow", "(b)", True)
        came = send(client, PATH, MANAGER, "Submit", GLib.Variant("(sa{sv})", ("regions-list", {})))
        e2e.until(lambda: bus.mock("Waiting")[0] == 1, "polkit is asked")
        until = time.monotonic() + 2.5
        e2e.until(lambda: bus.daemon.poll() is not None or time.monotonic() > until, "twice its patience")
        assert bus.daemon.poll() is None
        bus.mock("BeSlow", "(b)", False)
        client.until(lambda: came, "it is answered")
        client.close()
        assert bus.daemon.wait(20) == 0


def test_one_user_has_so_many_jobs_and_others_have_theirs():
    with SystemBus() as bus:
        bus.start()
        client, other = bus.caller("look"), bus.caller("look", user=bus.other_user())
        jobs = [client.submit("regions-list") for _ in range(8)]
        message = refused(lambda: client.submit("regions-list"), "ApiThrottled")
        assert "8 jobs that have not ended" in message, message
        another = bus.caller("look")
        refused(lambda: another.submit("regions-list"), "ApiThrottled")
        other.submit("regions-list")
        client.job(jobs[0], "Cancel")
        client.submit("regions-list")


def test_one_user_makes_so_many_jobs_a_minute():
    with SystemBus() as bus:
        bus.start()
        client, other = bus.caller("look"), bus.caller("look", user=bus.other_user())
        with_room = 0
        try:
            for _ in range(90):
                client.job(client.submit("regions-list"), "Cancel")
                with_room += 1
        except Refused as error:
            assert error.name == "io.azlin.Error.ApiThrottled" and "60 jobs a minute" in error.message, error
        assert 60 <= with_room < 90, with_room
        other.submit("regions-list")


def test_one_user_calls_so_often_and_others_are_served():
    with SystemBus() as bus:
        bus.start()
        client, other = bus.caller("look"), bus.caller("look", user=bus.other_user())
        other.get_home = lambda: other.call(PATH, "org.freedesktop.DBus.Properties", "Get", "(ss)", MANAGER, "Home")
        other.get_home()
        arguments = GLib.Variant("(ss)", (MANAGER, "Home"))
        came = [send(client, PATH, "org.freedesktop.DBus.Properties", "Get", arguments) for _ in range(2000)]
        began = time.monotonic()
        other.get_home()
        took = time.monotonic() - began
        client.until(lambda: all(came), "all are answered")
        names = [answer[0] for answer in came]
        assert names.count("io.azlin.Error.ApiThrottled") > 1000 and took < 5, (names.count("io.azlin.Error.ApiThrottled"), took)


def test_one_user_follows_so_many_and_holds_back_so_often():
    with SystemBus() as bus:
        bus.start()
        owner = bus.caller("look", "failover")
        held = [owner.inhibit("a test", "it tests") for _ in range(8)]
        assert "8 times" in refused(lambda: owner.inhibit("a test", "it tests"), "ApiThrottled")
        os.close(held.pop())
        owner.until(lambda: can(lambda: held.append(owner.inhibit("a test", "it tests"))), "one may be had again")
        paths = [owner.submit("regions-list") for _ in range(8)]
        crowd = [bus.caller("look") for _ in range(8)]
        for client in crowd[:7]:
            for path in paths:
                client.job(path, "Listen", "(t)", 0)
        assert "follow as much" in refused(lambda: crowd[7].job(paths[0], "Listen", "(t)", 0), "ApiThrottled")
        crowd[0].close()
        owner.until(lambda: can(lambda: crowd[7].job(paths[0], "Listen", "(t)", 0)), "room comes back")
        for descriptor in held:
            os.close(descriptor)


def test_large_arguments_are_refused():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("look", "failover")
        refused(lambda: client.submit("failover-pause", reason=text("x" * 300000)), "InvalidUsage")
        refused(lambda: client.inhibit("x" * 300000, "why"), "InvalidUsage")


def test_the_ended_jobs_of_one_do_not_drive_out_those_of_another():
    with SystemBus() as bus:
        bus.start()
        kept = bus.caller("look", user=bus.other_user())
        path = kept.submit("regions-list")
        kept.job(path, "Start")
        kept.finish(path)
        crowd = [bus.caller("look", user=bus.other_user(which)) for which in (1, 2)]
        for client in crowd:
            for _ in range(55):
                other = client.submit("regions-list")
                client.job(other, "Start")
                client.finish(other)
        assert kept.get(path, "State") == "done"


# ---- its life ----


def test_a_job_has_its_owner_after_a_crash():
    with SystemBus(WATCHED) as bus:
        bus.start()
        bus.home.ok("regions", "add", "eastus", "--public-ip", "127.0.0.1", "--ssh-port", "1", "--vm-name", "none", "--no-daemon")
        client = bus.caller("look", "failover")
        path = client.submit("watch")
        client.job(path, "Start")
        client.until(lambda: client.signals(path, "Said"), "it watches")
        bus.daemon.kill()
        bus.daemon.wait()
        bus.start()
        client, stranger = bus.caller("look"), bus.caller("look", user=bus.other_user())
        assert "jobs-of-others" in refused(lambda: stranger.job(path, "Cancel"))
        client.job(path, "Listen", "(t)", 0)
        client.job(path, "Cancel")
        client.finish(path)


def test_polkit_that_dies_has_granted_nothing():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("look")
        bus.mock("BeSlow", "(b)", True)
        came = send(client, PATH, MANAGER, "Submit", GLib.Variant("(sa{sv})", ("regions-list", {})))
        e2e.until(lambda: bus.mock("Waiting")[0] == 1, "polkit is asked")
        bus.polkit.kill()
        bus.polkit.wait()
        client.until(lambda: came, "it is answered")
        assert came == ["io.azlin.Error.PermissionDenied"], came
        bus.start_polkit()
        bus.grant(client, "look")
        client.submit("regions-list")


def test_whoever_waits_is_told_of_the_end():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("look")
        bus.mock("BeSlow", "(b)", True)
        came = send(client, PATH, MANAGER, "Submit", GLib.Variant("(sa{sv})", ("regions-list", {})))
        e2e.until(lambda: bus.mock("Waiting")[0] == 1, "polkit is asked")
        assert bus.stop() == 0
        client.until(lambda: came, "it is answered")
        assert came == ["io.azlin.Error.LockUnavailable"], came


def test_it_ends_with_the_bus():
    with SystemBus() as bus:
        bus.start()
        client = bus.caller("look")
        client.submit("regions-list")
        bus.mock("BeSlow", "(b)", True)
        send(client, PATH, MANAGER, "Submit", GLib.Variant("(sa{sv})", ("regions-list", {})))
        e2e.until(lambda: bus.mock("Waiting")[0] == 1, "polkit is asked")
        bus.bus.kill()
        assert bus.daemon.wait(20) == 1
        assert bus.daemon.stderr.read() == "azlind: the bus, or its name there, was lost\n"


def test_its_configuration_is_the_systems():
    with SystemBus() as bus:
        user = bus.home.root + "/.config/azlin"
        os.makedirs(user)
        with open(user + "/azlin.conf", "w") as f:
            f.write("[nonsense]\n")
        env = {key: value for key, value in bus.env().items() if key != "AZLIN_CONFIG"}
        said = subprocess.run([AZLIND, "--system", "--idle=1"], env=env, stderr=subprocess.PIPE, text=True, timeout=60)
        assert user not in said.stderr, said
        assert said.returncode == 0 or "/azlin/azlin.conf" in said.stderr, said


if __name__ == "__main__":
    e2e.main(globals())
