#!/usr/bin/env python3
"""Deploys to the regions named, tells what happens, and cancels at Ctrl-C: azlin over D-Bus, with PyGObject alone."""
import signal, sys
from gi.repository import Gio, GLib

bus = Gio.bus_get_sync(Gio.BusType.SESSION)
call = lambda path, interface, method, args: bus.call_sync(
    "io.azlin.Azlin1", path, "io.azlin.Azlin1." + interface, method, args, None, 0, -1, None).unpack()
arguments = {"regions": GLib.Variant("as", sys.argv[1:])}
job, = call("/io/azlin/Azlin1", "Manager", "Submit", GLib.Variant("(sa{sv})", ("deploy", arguments)))
loop, ended = GLib.MainLoop(), []

def on_signal(_bus, _sender, _path, _interface, name, args):
    if name == "Said" and args[2] == "message":
        print(args[3].get("region", ""), args[3]["text"], flush=True)
    elif name == "Finished":
        ended.append(args[0])
        loop.quit()

bus.signal_subscribe("io.azlin.Azlin1", "io.azlin.Azlin1.Job", None, job, None, 0, on_signal)
GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGINT, lambda: call(job, "Job", "Cancel", None) or True)
call(job, "Job", "Start", None)
loop.run()
sys.exit(ended[0])
