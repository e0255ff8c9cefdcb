/* provider-local: real machines on this host, each an OpenSSH server inside bubblewrap on a loopback address of its
 * own. */
#include "local.h"
#include "option.h"
#include "create.h"
#include "task.h"

char *
local_find_program(Local *local, const char *option)
{
  g_autofree char *name = option_string(local->host, option);
  char *found = g_find_program_in_path(name);
  static const char *const FOLDERS[] = { "/usr/sbin", "/usr/bin", "/sbin", "/usr/local/sbin", "/usr/lib/ssh" };
  for (gsize i = 0; found == NULL && !g_path_is_absolute(name) && i < G_N_ELEMENTS(FOLDERS); i++) {
    g_autofree char *path = g_build_filename(FOLDERS[i], name, NULL);
    if (g_file_test(path, G_FILE_TEST_IS_EXECUTABLE))
      found = g_steal_pointer(&path);
  }
  return found;
}

char *
local_said(const AzlinReply *reply)
{
  gsize length = 0;
  const char *bytes = reply != NULL && reply->err != NULL ? g_bytes_get_data(reply->err, &length) : NULL;
  g_autofree char *text = g_utf8_make_valid(bytes != NULL ? bytes : "", (gssize) MIN(length, 500));
  for (char *p = text; *p != '\0'; p++)
    *p = g_ascii_iscntrl(*p) ? ' ' : *p;
  g_strstrip(text);
  return g_strdup(text[0] != '\0' ? text : "nothing was said about the cause");
}

gboolean
local_check_programs(Local *local, GError **error)
{
  static const struct {
    const char *option, *package;
  } NEEDED[] = { { "bwrap", "bubblewrap" }, { "sshd", "openssh-server" }, { "ssh-keygen", "openssh-client" } };
  for (gsize i = 0; i < G_N_ELEMENTS(NEEDED); i++) {
    g_autofree char *path = local_find_program(local, NEEDED[i].option);
    if (path != NULL)
      continue;
    g_autofree char *name = option_string(local->host, NEEDED[i].option);
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED,
                "machines on this host need %s, which is not installed; on Debian: apt install %s", name,
                NEEDED[i].package);
    return FALSE;
  }
  return TRUE;
}

static const AzlinOption OPTIONS[] = {
  { "address-range", "s", "127.64.0.0/10", NULL, NULL, "Loopback range from which machines get their addresses" },
  { "first-port", "u", "20000", "1024", "55000", "Machines listen on one of the 10000 ports from this one on" },
  { "start-timeout", "u", "30", "1", "600", "Seconds until the SSH server of a started machine has to answer" },
  { "stop-timeout", "u", "5", "0", "600", "Seconds that a machine has to end by itself before it is killed" },
  { "bwrap", "s", "bwrap", NULL, NULL, "Program that starts a machine: name or absolute path" },
  { "sshd", "s", "sshd", NULL, NULL, "SSH server inside a machine: name or absolute path" },
  { "ssh-keygen", "s", "ssh-keygen", NULL, NULL, "Program that makes host keys: name or absolute path" },
  { 0 },
};

static const AzlinProvider PROVIDER = {
  .size = sizeof(AzlinProvider),
  .vm_create = create_machine,
  .vm_get = task_get,
  .vm_power = task_power,
  .vm_restart = task_restart,
  .vm_delete = task_delete,
  .vm_list = task_list,
  .vm_tag = task_tag,
};

static gboolean
local_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Local *local = g_new0(Local, 1);
  local->host = host;
  *ret_self = local;
  return TRUE;
}

static const AzlinBrick BRICK = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_PROVIDER,
  .name = "local",
  .summary = "Real machines on this host: one OpenSSH server each, inside bubblewrap",
  .options = OPTIONS,
  .init = local_init,
  .free = g_free,
  .recover = task_recover,
  .iface = &PROVIDER,
};

AZLIN_PLUGIN_DEFINE("provider-local", "0.1.0", "MIT", &BRICK)
