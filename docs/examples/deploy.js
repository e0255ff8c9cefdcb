#!/usr/bin/env gjs
// Deploys to the regions named, tells what happens, and cancels at Ctrl-C: azlin over D-Bus, with gjs alone.
const {Gio, GLib} = imports.gi;
const bus = Gio.DBus.session, loop = GLib.MainLoop.new(null, false);
const call = (path, iface, method, args) => bus.call_sync('io.azlin.Azlin1', path, `io.azlin.Azlin1.${iface}`, method, args,
    null, Gio.DBusCallFlags.NONE, -1, null).deepUnpack();
const regions = new GLib.Variant('as', ARGV);
const [job] = call('/io/azlin/Azlin1', 'Manager', 'Submit', new GLib.Variant('(sa{sv})', ['deploy', {regions}]));
let code = 1;
bus.signal_subscribe('io.azlin.Azlin1', 'io.azlin.Azlin1.Job', null, job, null, Gio.DBusSignalFlags.NONE,
    (_bus, _sender, _path, _iface, name, args) => {
        const said = args.recursiveUnpack();
        if (name === 'Said' && said[2] === 'message')
            print(said[3].region ?? '', said[3].text);
        if (name === 'Finished')
            [code] = said, loop.quit();
    });
GLib.unix_signal_add(GLib.PRIORITY_HIGH, 2, () => { call(job, 'Job', 'Cancel', null); return true; });
call(job, 'Job', 'Start', null);
loop.run();
imports.system.exit(code);
