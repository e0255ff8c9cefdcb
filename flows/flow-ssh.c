/* ssh-config and ssh-target: where ssh of this host finds each machine, with pinned keys, following the primary. */
#include "error.h"
#include "flow-epoch.h"
#include "flow-failover-note.h"
#include "files.h"
#include "flow-support.h"
#include "process.h"
#include "trust.h"
#include <glib/gstdio.h>
#include <string.h>

#define HOOK_MS 30000
#define DEFAULT_PORT 22
#define EPOCH_MS 3000 /* what a login may wait for it */

/* ---- what ssh is told about one machine ---- */

/* Records may come from elsewhere: a word that could end its line or start another option is not written. */
static gboolean
is_word(const char *text, const char *extra)
{
  if (!text || !*text || *text == '-')
    return FALSE;
  for (const char *c = text; *c; c++)
    if (!g_ascii_isalnum(*c) && !strchr("._-:", *c) && !strchr(extra, *c))
      return FALSE;
  return TRUE;
}

static gboolean
can_be_written(const AzlinVm *vm)
{
  return is_word(vm->region, "") && is_word(vm->public_ip, "%") && (!vm->ssh_user || is_word(vm->ssh_user, ""))
         && (!vm->host_key || !*vm->host_key || is_word(vm->host_key, "+/= @"));
}

static char *
home_file(AzEngine *engine, const char *name)
{
  return az_paths_file(az_engine_paths(engine), name);
}

/* [ssh] key-file, else azlin's own; NULL when neither exists, so that an agent or ssh's defaults are used. */
static char *
key_file(AzEngine *engine)
{
  const char *set = az_config_string(az_engine_config(engine), "ssh", "key-file");
  g_autofree char *path = *set ? g_strdup(set) : home_file(engine, "keys/id_ed25519");
  if (g_str_has_prefix(path, "~/")) {
    g_autofree char *short_path = g_steal_pointer(&path);
    path = g_build_filename(g_get_home_dir(), short_path + 2, NULL);
  }
  return g_file_test(path, G_FILE_TEST_EXISTS) ? g_steal_pointer(&path) : NULL;
}

static const char *
login_of(AzEngine *engine, const AzlinVm *vm)
{
  return vm->ssh_user && *vm->ssh_user ? vm->ssh_user : az_config_string(az_engine_config(engine), "ssh", "user");
}

static gboolean
is_pinned(const AzlinVm *vm)
{
  return vm->host_key && *vm->host_key;
}

/* ssh expands '%' in file names and splits them at blanks. */
static char *
quoted_path(const char *path)
{
  GString *text = g_string_new("\"");
  for (const char *c = path; *c; c++)
    g_string_append_printf(text, *c == '%' ? "%%%%" : "%c", *c);
  g_string_append_c(text, '"');
  return g_string_free(text, FALSE);
}

/* ---- the two files ---- */

static void
append_host(GString *text, AzEngine *engine, const AzlinVm *vm, const char *name, const char *known_hosts)
{
  g_autofree char *key = key_file(engine);
  g_string_append_printf(text, "\nHost %s\n  HostName %s\n  Port %u\n  User %s\n", name, vm->public_ip,
                         vm->ssh_port ? vm->ssh_port : DEFAULT_PORT, login_of(engine, vm));
  if (key) {
    g_autofree char *path = quoted_path(key);
    g_string_append_printf(text, "  IdentityFile %s\n", path);
  }
  if (is_pinned(vm))
    g_string_append_printf(text,
                           "  HostKeyAlias azlin-%s\n  UserKnownHostsFile %s\n  GlobalKnownHostsFile /dev/null\n"
                           "  StrictHostKeyChecking yes\n",
                           vm->region, known_hosts);
}

static gboolean
write_files(AzJob *job, const AzStored *stored, GError **error)
{
  AzEngine *engine = az_job_engine(job);
  g_autofree char *config_path = home_file(engine, "ssh_config"), *hosts_path = home_file(engine, "known_hosts");
  g_autofree char *hosts_name = quoted_path(hosts_path);
  g_autoptr(GString) config
      = g_string_new("# Written by azlin at each change of the regions; changes here are lost.\n");
  g_autoptr(GString) hosts = g_string_new(NULL);
  for (guint i = 0; i < stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(stored->vms, i);
    if (!can_be_written(vm))
      continue;
    g_autofree char *name = g_strdup_printf("azlin-%s", vm->region);
    if (g_str_equal(vm->region, stored->primary))
      append_host(config, engine, vm, "azlin-primary", hosts_name);
    append_host(config, engine, vm, name, hosts_name);
    if (is_pinned(vm))
      g_string_append_printf(hosts, "%s %s\n", name, vm->host_key);
  }
  return az_paths_ensure(az_engine_paths(engine), error)
         && az_files_write(hosts_path, hosts->str, AZ_FILES_QUICK, error)
         && az_files_write(config_path, config->str, AZ_FILES_QUICK, error);
}

static void
remove_files(AzEngine *engine)
{
  g_autofree char *config_path = home_file(engine, "ssh_config"), *hosts_path = home_file(engine, "known_hosts");
  g_unlink(config_path);
  g_unlink(hosts_path);
}

/* ---- hooks/primary-changed ---- */

static void
on_hook(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  const AzlinReply *reply = az_op_reply(op);
  if (az_op_error(op))
    az_job_message(job, "warn", NULL, "hooks/primary-changed: %s", az_op_error(op)->message);
  else if (reply && reply->status != 0)
    az_job_message(job, "warn", NULL, "hooks/primary-changed ended with status %d", reply->status);
}

static void
run_hook(AzJob *job, const AzStored *stored, const char *old_primary)
{
  g_autofree char *path = home_file(az_job_engine(job), "hooks/primary-changed");
  const AzlinVm *primary = az_stored_primary(stored);
  g_autoptr(GError) error = NULL;
  if (!g_file_test(path, G_FILE_TEST_EXISTS))
    return;
  int fd = az_trust_open(path, FALSE, &error);
  if (fd < 0) {
    az_job_message(job, "warn", NULL, "hooks/primary-changed was not run: %s", error->message);
    return;
  }
  g_close(fd, NULL);
  g_autofree char *epoch = g_strdup_printf("%" G_GUINT64_FORMAT, stored->epoch);
  const char *argv[]
      = { path, old_primary, stored->primary, primary && primary->public_ip ? primary->public_ip : "", epoch, NULL };
  const AzlinExec request = { .size = sizeof request, .argv = argv };
  az_process_run(&request, az_job_cleanup_op(job, "hooks/primary-changed", HOOK_MS, on_hook, job));
}

void
az_flow_primary_files(AzJob *job, const AzStored *stored, const char *old_primary)
{
  g_autoptr(GError) error = NULL;
  if (stored->vms->len == 0)
    remove_files(az_job_engine(job));
  else if (!write_files(job, stored, &error))
    az_job_message(job, "warn", NULL, "The file for ssh was not written: %s", error->message);
  if (old_primary && !g_str_equal(old_primary, stored->primary))
    run_hook(job, stored, old_primary);
}

/* ---- azlin ssh-config ---- */

static void
config_ready(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  GError *error = NULL;
  GVariantBuilder hosts, result;
  g_autofree char *path = home_file(az_job_engine(job), "ssh_config");
  g_autofree char *include = g_strdup_printf("Include \"%s\"", path);
  if (!write_files(job, stored, &error)) {
    az_job_fail(job, error);
    return;
  }
  g_variant_builder_init(&hosts, G_VARIANT_TYPE("as"));
  if (az_stored_primary(stored))
    g_variant_builder_add(&hosts, "s", "azlin-primary");
  for (guint i = 0; i < stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(stored->vms, i);
    g_autofree char *name = g_strdup_printf("azlin-%s", vm->region);
    if (can_be_written(vm))
      g_variant_builder_add(&hosts, "s", name);
    else
      az_job_message(job, "warn", NULL, "%s is left out: it has no address that ssh can use", vm->region);
  }
  az_job_message(job, "ok", NULL, "Wrote %s", path);
  az_job_message(job, "hint", NULL, "Put this line at the top of ~/.ssh/config: %s", include);
  az_job_message(job, "hint", NULL, "Then: ssh azlin-primary");
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "path", g_variant_new_string(path));
  g_variant_builder_add(&result, "{sv}", "include", g_variant_new_string(include));
  g_variant_builder_add(&result, "{sv}", "hosts", g_variant_builder_end(&hosts));
  az_job_finish(job, 0, g_variant_builder_end(&result));
}

static void
config_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_stored_look(job, root, config_ready, NULL);
}

const AzFlow az_flow_ssh_config = {
  .kind = { .kind = "ssh-config", .help = "Write a file for Include in ~/.ssh/config that follows the primary" },
  .run = config_run,
};

/* ---- azlin ssh ---- */

static GPtrArray *
target_argv(AzEngine *engine, const AzlinVm *vm, const char *key, const char *hosts_path)
{
  GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *hosts = quoted_path(hosts_path);
  g_ptr_array_add(argv, g_strdup("ssh"));
  g_ptr_array_add(argv, g_strdup("-p"));
  g_ptr_array_add(argv, g_strdup_printf("%u", vm->ssh_port ? vm->ssh_port : DEFAULT_PORT));
  g_ptr_array_add(argv, g_strdup("-l"));
  g_ptr_array_add(argv, g_strdup(login_of(engine, vm)));
  if (key) {
    g_ptr_array_add(argv, g_strdup("-i"));
    g_ptr_array_add(argv, g_strdup(key));
  }
  if (is_pinned(vm)) {
    g_ptr_array_add(argv, g_strdup_printf("-oHostKeyAlias=azlin-%s", vm->region));
    g_ptr_array_add(argv, g_strdup_printf("-oUserKnownHostsFile=%s", hosts));
    g_ptr_array_add(argv, g_strdup("-oGlobalKnownHostsFile=/dev/null"));
    g_ptr_array_add(argv, g_strdup("-oStrictHostKeyChecking=yes"));
  }
  g_ptr_array_add(argv, g_strdup(vm->public_ip));
  return argv;
}

static void
target_finish(AzJob *job, const AzlinVm *vm)
{
  AzEngine *engine = az_job_engine(job);
  GVariantDict result;
  g_autofree char *key = key_file(engine), *hosts = home_file(engine, "known_hosts");
  g_autoptr(GPtrArray) argv = target_argv(engine, vm, key, hosts);
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert(&result, "region", "s", vm->region);
  g_variant_dict_insert(&result, "host", "s", vm->public_ip);
  g_variant_dict_insert(&result, "port", "u", vm->ssh_port ? vm->ssh_port : DEFAULT_PORT);
  g_variant_dict_insert(&result, "user", "s", login_of(engine, vm));
  g_variant_dict_insert_value(&result, "key_file", az_variant_str(key));
  g_variant_dict_insert(&result, "known_hosts_file", "s", hosts);
  g_variant_dict_insert_value(&result, "host_key", az_variant_str(vm->host_key));
  g_variant_dict_insert_value(&result, "argv",
                              g_variant_new_strv((const char *const *) argv->pdata, (gssize) argv->len));
  az_job_finish(job, 0, g_variant_dict_end(&result));
}

typedef struct {
  AzJob *job;
  AzStored *stored;
  const AzlinVm *vm;
} Target;

static void
target_free(gpointer data)
{
  Target *target = data;
  az_stored_unref(target->stored);
  g_free(target);
}

/* A machine that cannot be asked is left to ssh itself, which says why it cannot be reached. */
static void
on_epoch(AzlinOp *op, gpointer data)
{
  Target *target = data;
  GError *error = NULL;
  if (az_op_cancelled(az_job_root(target->job)))
    return;
  if (az_op_error(op) == NULL
      && !az_epoch_check(target->vm->region, target->stored->epoch, az_epoch_result(op), &error))
    az_job_fail(target->job, error);
  else
    target_finish(target->job, target->vm);
}

/* One whose fence is pending may serve old data as if it were primary: nobody enters it by accident. */
static gboolean
check_stale(AzEngine *engine, const AzStored *stored, const AzlinVm *vm, GError **error)
{
  g_autoptr(AzFailoverState) state = az_failover_state_load(engine, NULL);
  const AzFencePending *fence = state ? az_failover_fence_of(state, vm->region) : NULL;
  if (!fence)
    return TRUE;
  GError *stale = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FENCED,
                              "%s is a stale primary (epoch %" G_GUINT64_FORMAT " < %" G_GUINT64_FORMAT
                              ") whose fence is pending",
                              vm->region, fence->epoch - 1, stored->epoch);
  az_error_add_step(stale, "Fence it: azlin recover");
  az_error_add_step(stale, "The machine that is primary: azlin ssh");
  g_propagate_error(error, stale);
  return FALSE;
}

static void
target_ready(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  AzEngine *engine = az_job_engine(job);
  GError *error = NULL;
  Target *target = g_new(Target, 1);
  const AzlinVm *vm = az_stored_require(stored, engine, az_job_arg_string(job, "region"), &error);
  *target = (Target){ job, stored, vm };
  az_job_set_data(job, target, target_free);
  if (vm && !can_be_written(vm))
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "%s has no address that ssh can use", vm->region);
  if (error || !write_files(job, stored, &error) || !check_stale(engine, stored, vm, &error))
    az_job_fail(job, error);
  else
    az_epoch_read(engine, vm, az_op_new(root, "epoch", EPOCH_MS, on_epoch, target));
}

static void
target_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_stored_look(job, root, target_ready, NULL);
}

static const AzFlag target_flags[] = {
  { "region", 'r', "s", "REGION", "the machine's region (default: the primary)" },
  { 0 },
};

const AzFlow az_flow_ssh_target = {
  .kind = { .kind = "ssh-target", .help = "Open a shell on a machine, or run a command there", .flags = target_flags },
  .run = target_run,
};
