/* Lays out a machine: a root of its own, the host's programs read-only, one user who has the caller's uid. */
#include "layout.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SSHD_UID 65533

/* The parts of the host that a machine runs on; which of them are links differs between distributions. */
static const char *const HOST_PARTS[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };

static const struct {
  const char *path;
  int mode;
} FOLDERS[] = {
  { "etc", 0700 },           { "ssh", 0700 },          { "root", 0755 },
  { "root/etc", 0755 },      { "root/usr", 0755 },     { "root/dev", 0755 },
  { "root/proc", 0755 },     { "root/home", 0755 },    { "root/root", 0700 },
  { "root/tmp", 01777 },     { "root/run", 0755 },     { "root/srv", 0755 },
  { "root/opt", 0755 },      { "root/mnt", 0755 },     { "root/var", 0755 },
  { "root/var/lib", 0755 },  { "root/var/log", 0755 }, { "root/var/cache", 0755 },
  { "root/var/tmp", 01777 },
};

static gboolean
fail_errno(Machine *machine, const char *path, GError **error)
{
  int code = errno;
  AzlinError kind = code == EACCES || code == EPERM ? AZLIN_ERROR_PERMISSION : AZLIN_ERROR_STORAGE;
  g_set_error(error, AZLIN_ERROR, kind, "cannot make %s of machine %s: %s", path, machine->name, g_strerror(code));
  return FALSE;
}

static gboolean
make_folder(Machine *machine, const char *below, int mode, GError **error)
{
  g_autofree char *path = machine_path(machine, below);
  /* chmod only what was just made: afterwards the tree belongs to the machine. */
  if (mkdir(path, 0700) == 0)
    return chmod(path, (mode_t) mode) == 0 || fail_errno(machine, below, error);
  return errno == EEXIST || fail_errno(machine, below, error);
}

static gboolean
make_links(Machine *machine, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS(HOST_PARTS); i++) {
    g_autofree char *host = g_strconcat("/", HOST_PARTS[i], NULL);
    g_autofree char *below = g_strconcat("root/", HOST_PARTS[i], NULL);
    g_autofree char *target = g_file_read_link(host, NULL);
    g_autofree char *path = machine_path(machine, below);
    if (target != NULL && symlink(target, path) != 0 && errno != EEXIST)
      return fail_errno(machine, below, error);
  }
  g_autofree char *var_run = machine_path(machine, "root/var/run");
  if (symlink("../run", var_run) != 0 && errno != EEXIST)
    return fail_errno(machine, "root/var/run", error);
  return TRUE;
}

gboolean
layout_make(Machine *machine, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS(FOLDERS); i++)
    if (!make_folder(machine, FOLDERS[i].path, FOLDERS[i].mode, error))
      return FALSE;
  g_autofree char *home = g_strconcat("root/home/", machine->ssh_user, NULL);
  g_autofree char *ssh = g_strconcat(home, "/.ssh", NULL);
  return make_folder(machine, home, 0750, error) && make_folder(machine, ssh, 0700, error)
         && make_links(machine, error);
}

static gboolean
write_file(Machine *machine, const char *below, const char *text, int mode, GError **error)
{
  g_autofree char *path = machine_path(machine, below);
  g_autoptr(GError) inner = NULL;
  if (g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, mode, &inner))
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot write %s of machine %s: %s", below, machine->name,
              inner->message);
  return FALSE;
}

static char *
passwd_text(Machine *machine, const char *shell)
{
  GString *text = g_string_new(NULL);
  /* The user first: when the caller is root, uid 0 has to read back as this name. */
  g_string_append_printf(text, "%s:x:%u:%u::/home/%s:%s\n", machine->ssh_user, getuid(), getgid(), machine->ssh_user,
                         shell);
  if (strcmp(machine->ssh_user, "root") != 0)
    g_string_append_printf(text, "root:x:0:0::/root:%s\n", shell);
  g_string_append_printf(text, "sshd:x:%d:65534::/run/sshd:/usr/sbin/nologin\n", SSHD_UID);
  g_string_append(text, "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n");
  return g_string_free(text, FALSE);
}

static char *
group_text(Machine *machine)
{
  /* No group "tty": sshd would give a terminal to it, which a plain user cannot. */
  const char *root = getgid() != 0 && strcmp(machine->ssh_user, "root") != 0 ? "root:x:0:\n" : "";
  return g_strdup_printf("%s:x:%u:\n%snogroup:x:65534:\n", machine->ssh_user, getgid(), root);
}

static char *
sshd_config_text(Machine *machine)
{
  return g_strdup_printf("# Written by azlin at each start of the machine.\n"
                         "ListenAddress %s\nPort %u\n"
                         "HostKey /etc/ssh/ssh_host_ed25519_key\n"
                         "PidFile none\nStrictModes no\nUsePAM no\nUseDNS no\n"
                         "AuthenticationMethods publickey\nPermitRootLogin prohibit-password\n"
                         "AllowUsers %s\n"
                         "AllowTcpForwarding yes\nMaxStartups 1000\nMaxSessions 100\n"
                         "PrintMotd no\nPrintLastLog no\nLogLevel ERROR\n"
                         "AcceptEnv LANG LC_*\n"
                         /* A shell under sshd at level 1 would take itself for interactive and read ~/.bashrc. */
                         "SetEnv SHLVL=5\n"
                         "Subsystem sftp internal-sftp\n",
                         machine->address, machine->port, machine->ssh_user);
}

gboolean
layout_configure(Machine *machine, GError **error)
{
  const char *shell = g_file_test("/bin/bash", G_FILE_TEST_IS_EXECUTABLE) ? "/bin/bash" : "/bin/sh";
  g_autofree char *passwd = passwd_text(machine, shell);
  g_autofree char *group = group_text(machine);
  g_autofree char *shadow = g_strdup_printf("%s:*:::::::\nsshd:*:::::::\n", machine->ssh_user);
  g_autofree char *hosts = g_strdup_printf("127.0.0.1 localhost\n%s %s\n", machine->address, machine->name);
  g_autofree char *config = sshd_config_text(machine);
  return write_file(machine, "etc/passwd", passwd, 0644, error) && write_file(machine, "etc/group", group, 0644, error)
         && write_file(machine, "etc/shadow", shadow, 0600, error)
         && write_file(machine, "etc/hosts", hosts, 0644, error)
         && write_file(machine, "ssh/sshd_config", config, 0600, error);
}

static void
add(GPtrArray *argv, ...)
{
  va_list words;
  va_start(words, argv);
  const char *word;
  while ((word = va_arg(words, const char *)) != NULL)
    g_ptr_array_add(argv, g_strdup(word));
  va_end(words);
}

static void
add_host_parts(GPtrArray *argv)
{
  add(argv, "--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc", NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(HOST_PARTS); i++) {
    g_autofree char *path = g_strconcat("/", HOST_PARTS[i], NULL);
    if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK))
      add(argv, "--ro-bind", path, path, NULL);
  }
}

/* The machine's root holds nothing of the host, so azlin's state shows only when it lies in a part that is bound. */
static void
add_mask(GPtrArray *argv, Local *local)
{
  g_autofree char *home = realpath(local->host->api->home_dir(local->host), NULL);
  if (home != NULL && (g_str_has_prefix(home, "/usr/") || g_str_has_prefix(home, "/etc/")))
    add(argv, "--tmpfs", home, NULL);
}

static void
add_own_files(GPtrArray *argv, Machine *machine)
{
  static const char *const FILES[] = { "passwd", "group", "shadow", "hosts" };
  g_autofree char *ssh = machine_path(machine, "ssh");
  add(argv, "--ro-bind", ssh, "/etc/ssh", NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(FILES); i++) {
    g_autofree char *below = g_strconcat("etc/", FILES[i], NULL);
    g_autofree char *from = machine_path(machine, below);
    g_autofree char *to = g_strconcat("/etc/", FILES[i], NULL);
    if (g_file_test(to, G_FILE_TEST_EXISTS))
      add(argv, "--ro-bind", from, to, NULL);
  }
}

char **
layout_command(Local *local, Machine *machine, gboolean check_only)
{
  g_autofree char *wrapper = local_find_program(local, "bwrap");
  g_autofree char *sshd = local_find_program(local, "sshd");
  g_autofree char *tree = machine_path(machine, "root");
  GPtrArray *argv = g_ptr_array_new();
  add(argv, wrapper, "--bind", tree, "/", NULL);
  add_host_parts(argv);
  add_mask(argv, local);
  add_own_files(argv, machine);
  add(argv, "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/dev/shm", NULL);
  /* As on any machine, what stands in /run ends with it, and sshd finds its folder whatever became of the tree. */
  add(argv, "--perms", "0755", "--tmpfs", "/run", "--perms", "0755", "--dir", "/run/sshd", NULL);
  add(argv, "--unshare-pid", "--unshare-uts", "--unshare-ipc", "--hostname", machine->name, NULL);
  add(argv, "--clearenv", "--setenv", "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL);
  add(argv, "--chdir", "/", "--as-pid-1", sshd, check_only ? "-t" : "-D", NULL);
  if (!check_only)
    add(argv, "-E", "/run/sshd.log", NULL);
  g_ptr_array_add(argv, NULL);
  return (char **) g_ptr_array_free(argv, FALSE);
}

static gboolean
remove_below(const char *dir, guint depth)
{
  GDir *handle = depth < 64 ? g_dir_open(dir, 0, NULL) : NULL;
  gboolean done = handle != NULL;
  const char *name;
  while (handle != NULL && (name = g_dir_read_name(handle)) != NULL) {
    g_autofree char *path = g_build_filename(dir, name, NULL);
    gboolean folder = g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK);
    done = (folder ? remove_below(path, depth + 1) : unlink(path) == 0) && done;
  }
  g_clear_pointer(&handle, g_dir_close);
  return rmdir(dir) == 0 && done;
}

gboolean
layout_remove_tree(const char *dir)
{
  return remove_below(dir, 0);
}
