"""What sync keeps beside names, modes, times and content: hard links, holes, extended attributes where there are any."""
import errno, os, subprocess
import e2e, machines
from machines import put, result, same

MAY_MOUNT = machines.own_mounts()  # before any machine starts
home = None


def need():
    global home
    if home is None:
        home = machines.Cloud(("eastus", "westus2"))
    return home


def sync(cloud, name, *options):
    one, = result(cloud.sync("--dest", "westus2", "--paths", "/home/azureuser/" + name, "--strategy", "rsync", *options))
    assert one["verified"] is True, one
    return one


def set_attribute(path, value):
    try:
        os.setxattr(path, "user.azlin", value)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            raise e2e.Skip("this file system takes no extended attributes")
        raise


def test_hard_links_and_holes():
    cloud = need()
    here, there = cloud.at("eastus", "links"), cloud.at("westus2", "links")
    put(os.path.join(here, "a"), b"one file")
    os.link(os.path.join(here, "a"), os.path.join(here, "b"))
    with open(os.path.join(here, "holes"), "wb") as f:
        f.truncate(64 << 20)
        f.seek(32 << 20)
        f.write(os.urandom(5000))
    sync(cloud, "links")
    same(here, there)
    assert os.stat(os.path.join(there, "a")).st_ino == os.stat(os.path.join(there, "b")).st_ino
    assert os.stat(os.path.join(there, "holes")).st_blocks * 512 < 4 << 20
    machines.no_keys(cloud)


def test_extended_attributes():
    cloud = need()
    here, there = cloud.at("eastus", "attributes"), cloud.at("westus2", "attributes")
    put(os.path.join(here, "folder", "f"))
    set_attribute(os.path.join(here, "folder", "f"), b"of a file")
    set_attribute(os.path.join(here, "folder"), b"of a folder")
    sync(cloud, "attributes")
    assert os.getxattr(os.path.join(there, "folder", "f"), "user.azlin") == b"of a file"
    assert os.getxattr(os.path.join(there, "folder"), "user.azlin") == b"of a folder"


def test_a_target_without_extended_attributes():
    cloud = need()
    here = cloud.at("eastus", "plain", "tree")
    put(os.path.join(here, "f"), b"content")
    set_attribute(os.path.join(here, "f"), b"cannot go along")
    if not MAY_MOUNT or not machines.mount(cloud, "westus2", "plain", "ramfs"):
        raise e2e.Skip("no rights to mount a file system without extended attributes")
    try:
        sync(cloud, "plain/tree")
        same(here, cloud.at("westus2", "plain", "tree"))
        put(os.path.join(here, "f"), b"more of it")
        set_attribute(os.path.join(here, "f"), b"cannot go along")
        shown = cloud.ok("sync", "--dest", "westus2", "--paths", "/home/azureuser/plain/tree", "--strategy", "rsync")
        assert "did not take all extended attributes" in shown.out + shown.err, shown
    finally:
        subprocess.run(["umount", "-l", cloud.at("westus2", "plain")], check=True)


def test_zz_clean_up():
    if home is not None:
        home.close()


e2e.main(globals())
