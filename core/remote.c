/* The remote side's own state: the SSH module, the user's key, host keys, quoting. */
#include "remote-private.h"

#include "error.h"
#include "loader.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

AzRemote *
az_remote_new(AzClock *clock, AzConfig *config, AzPaths *paths, AzAudit *audit)
{
  AzRemote *remote = g_new0(AzRemote, 1);
  *remote = (AzRemote){ .clock = clock, .config = config, .paths = paths, .audit = audit };
  remote->accept_new = config != NULL && az_config_bool(config, "ssh", "accept-new");
  remote->trusted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  remote->pipes = g_ptr_array_new();
  remote->pool = az_pool_new(remote);
  return remote;
}

void
az_remote_free(AzRemote *remote)
{
  if (remote == NULL)
    return;
  g_ptr_array_set_size(remote->pipes, 0); /* they go with their sessions, one end after the other */
  az_pool_free(remote->pool);
  g_ptr_array_unref(remote->pipes);
  g_queue_clear(&remote->probes_waiting);
  if (remote->key != NULL)
    remote->ssh->key_free(remote->key);
  g_hash_table_unref(remote->trusted);
  g_free(remote);
}

void
az_remote_set_accept_new(AzRemote *remote, gboolean accept_new)
{
  remote->accept_new = accept_new;
}

/* Everything is quoted, so that no word can be taken for a keyword, an assignment, a pattern or an option of the shell.
 */
char *
az_remote_quote(const char *const *argv)
{
  GString *text = g_string_new(NULL);
  for (guint i = 0; argv[i] != NULL; i++) {
    g_string_append(text, i > 0 ? " '" : "'");
    for (const char *c = argv[i]; *c != '\0'; c++) {
      if (*c == '\'')
        g_string_append(text, "'\\''");
      else
        g_string_append_c(text, *c);
    }
    g_string_append_c(text, '\'');
  }
  return g_string_free(text, FALSE);
}

static gboolean
load_module(AzRemote *remote, GError **error)
{
  if (remote->ssh == NULL)
    remote->ssh = az_loader_module(AZ_TRANSPORT_SSH_MODULE, AZ_TRANSPORT_SSH_SYMBOL, error);
  return remote->ssh != NULL;
}

static char *
key_path(AzRemote *remote, gboolean *ret_configured)
{
  const char *configured = az_config_string(remote->config, "ssh", "key-file");
  gboolean given = configured != NULL && *configured != '\0';
  if (ret_configured != NULL)
    *ret_configured = given;
  if (!given)
    return az_paths_file(remote->paths, "keys/id_ed25519");
  if (configured[0] == '~' && configured[1] == '/')
    return g_build_filename(g_get_home_dir(), configured + 2, NULL);
  return g_strdup(configured);
}

gboolean
az_remote_open(AzRemote *remote, GError **error)
{
  g_autoptr(GError) problem = NULL;
  if (!load_module(remote, error))
    return FALSE;
  if (remote->key != NULL)
    return TRUE;
  g_autofree char *path = key_path(remote, NULL);
  remote->key = remote->ssh->key_load(path, &problem);
  if (remote->key != NULL || g_getenv("SSH_AUTH_SOCK") != NULL)
    return TRUE;
  if (g_error_matches(problem, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND))
    return TRUE; /* the login will say that there is no key; what needs none may go on */
  g_propagate_error(error, g_steal_pointer(&problem));
  return FALSE;
}

static gboolean
make_key(AzRemote *remote, const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname(path);
  if (!az_paths_ensure(remote->paths, error))
    return FALSE;
  if (g_mkdir_with_parents(folder, 0700) < 0) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot make %s: %s", folder, g_strerror(errno));
    return FALSE;
  }
  return remote->ssh->key_generate(path, error);
}

gboolean
az_remote_ensure_key(AzRemote *remote, char **ret_private_path, char **ret_public, gboolean *ret_made, GError **error)
{
  gboolean configured;
  g_autofree char *path = key_path(remote, &configured);
  g_autofree char *public_half = NULL;
  gboolean made = FALSE;
  if (!load_module(remote, error))
    return FALSE;
  if (remote->key == NULL && !configured && !g_file_test(path, G_FILE_TEST_EXISTS)) {
    if (!make_key(remote, path, error))
      return FALSE;
    made = TRUE;
  }
  if (remote->key == NULL)
    remote->key = remote->ssh->key_load(path, error);
  if (remote->key == NULL)
    return FALSE;
  public_half = remote->ssh->key_public(remote->key);
  if (ret_public != NULL)
    *ret_public = g_strdup_printf("%s azlin", public_half);
  if (ret_private_path != NULL)
    *ret_private_path = g_steal_pointer(&path);
  if (ret_made != NULL)
    *ret_made = made;
  return TRUE;
}

guint16
az_remote_port(const AzlinVm *vm)
{
  return vm->ssh_port > 0 && vm->ssh_port <= G_MAXUINT16 ? (guint16) vm->ssh_port : 22;
}

const char *
az_remote_user(AzRemote *remote, const AzlinVm *vm)
{
  return vm->ssh_user != NULL && *vm->ssh_user != '\0' ? vm->ssh_user : az_config_string(remote->config, "ssh", "user");
}

static char *
endpoint(const AzlinVm *vm)
{
  return g_strdup_printf("%s:%u", vm->public_ip, az_remote_port(vm));
}

const char *
az_remote_trusted_key(AzRemote *remote, const AzlinVm *vm)
{
  g_autofree char *where = endpoint(vm);
  return g_hash_table_lookup(remote->trusted, where);
}

const char *
az_remote_pin(AzRemote *remote, const AzlinVm *vm)
{
  if (vm->host_key != NULL && *vm->host_key != '\0')
    return vm->host_key;
  return az_remote_trusted_key(remote, vm);
}

gboolean
az_remote_trust(AzRemote *remote, const AzlinVm *vm, const char *host_key)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *where = endpoint(vm);
  GVariantBuilder facts;
  if (!remote->accept_new)
    return FALSE;
  g_variant_builder_init(&facts, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&facts, "{sv}", "region", g_variant_new_string(vm->region != NULL ? vm->region : ""));
  g_variant_builder_add(&facts, "{sv}", "endpoint", g_variant_new_string(where));
  g_variant_builder_add(&facts, "{sv}", "host_key", g_variant_new_string(host_key));
  g_autoptr(GVariant) sunk = g_variant_ref_sink(g_variant_builder_end(&facts));
  if (remote->audit != NULL && !az_audit_write(remote->audit, "hostkey.trusted", sunk, &error)) {
    g_warning("the host key of %s is not trusted: %s", where, error->message);
    return FALSE;
  }
  g_hash_table_replace(remote->trusted, g_steal_pointer(&where), g_strdup(host_key));
  return TRUE;
}

static AzlinError
error_code(AzSshStep step, AzSshOutcome outcome)
{
  if (outcome == AZ_SSH_AUTH_FAILED)
    return AZLIN_ERROR_AUTH;
  if (outcome == AZ_SSH_HOST_KEY_CHANGED || outcome == AZ_SSH_HOST_KEY_UNKNOWN)
    return AZLIN_ERROR_HOST_KEY;
  return step == AZ_SSH_TCP ? AZLIN_ERROR_NETWORK : AZLIN_ERROR_SSH;
}

GError *
az_remote_error(const AzlinVm *vm, AzSshStep step, AzSshOutcome outcome, const char *detail)
{
  GError *error = g_error_new(AZLIN_ERROR, (int) error_code(step, outcome), "%s (%s): %s", vm->vm_name, vm->region,
                              detail != NULL ? detail : "no reason given");
  if (outcome == AZ_SSH_HOST_KEY_UNKNOWN)
    az_error_add_step(error,
                      "Compare the key with the machine's own (cat /etc/ssh/ssh_host_ed25519_key.pub there), then "
                      "register it: azlin regions add %s --host-key; or trust what is seen first: --accept-new",
                      vm->region);
  return error;
}
