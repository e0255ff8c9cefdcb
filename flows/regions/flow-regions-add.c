/* regions add: registers a machine that exists already, by its address or as the provider knows it. */
#include "error.h"
#include "flow-names.h"
#include "flow-support.h"
#include "regions.h"
#include <string.h>

#define MAX_HOST 255
#define LOCATE_MS 60000

typedef struct {
  AzJob *job;
  AzStored *stored;
  AzlinVm *vm;
  gboolean reachable, claimed;
} Add;

static void
add_free(gpointer data)
{
  Add *add = data;
  g_clear_pointer(&add->stored, az_stored_unref);
  g_clear_pointer(&add->vm, az_vm_free);
  g_free(add);
}

/* ---- checks ---- */

static gboolean
usage(GError **error, const char *text)
{
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, text);
  return FALSE;
}

static gboolean
host_is_good(const char *host)
{
  return *host && *host != '-' && strlen(host) <= MAX_HOST
         && host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:_%")] == '\0';
}

static gboolean
user_is_good(const char *user)
{
  return *user && *user != '-' && strlen(user) <= 64
         && user[strspn(user, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

/* "TYPE BASE64" as in known_hosts, a comment may follow. */
static gboolean
host_key_is_good(const char *key)
{
  gsize length = 0;
  g_auto(GStrv) words = g_strsplit(key, " ", 3);
  if (strpbrk(key, "\r\n") || !words[0] || !words[1]
      || !(g_str_has_prefix(words[0], "ssh-") || g_str_has_prefix(words[0], "ecdsa-")))
    return FALSE;
  g_autofree guchar *blob = g_base64_decode(words[1], &length);
  gsize type = strlen(words[0]);
  return length > type + 4 && memcmp(blob + 4, words[0], type) == 0;
}

static gboolean
add_check(AzEngine *engine, GVariant *args, GError **error)
{
  const char *region = NULL, *text = NULL;
  guint32 port = 22;
  if (!g_variant_lookup(args, "region", "&s", &region) || !*region)
    return usage(error, "Name the region");
  if (!az_region_resolve(az_engine_config(engine), region, error))
    return FALSE;
  if (g_variant_lookup(args, "vm-name", "&s", &text) && !az_vm_name_check(text, error))
    return FALSE;
  if (g_variant_lookup(args, "public-ip", "&s", &text) && !host_is_good(text))
    return usage(error, "--public-ip takes an address or a host name");
  if (g_variant_lookup(args, "ssh-user", "&s", &text) && !user_is_good(text))
    return usage(error, "--ssh-user takes a login name");
  if (g_variant_lookup(args, "host-key", "&s", &text) && !host_key_is_good(text))
    return usage(error, "--host-key takes a key like 'ssh-ed25519 AAAA...'");
  if (g_variant_lookup(args, "ssh-port", "u", &port) && (port == 0 || port > 65535))
    return usage(error, "The SSH port must be between 1 and 65535");
  return TRUE;
}

/* ---- the end ---- */

static void
finish(AzJob *job, const AzStored *stored, const Add *add)
{
  const AzlinVm *now = az_stored_find(stored, add->vm->region);
  GVariantDict result;
  az_flow_primary_files(job, stored, add->stored->primary);
  az_job_message(job, "ok", NULL, "Added %s: %s (%s)", add->vm->region, add->vm->vm_name,
                 add->vm->public_ip ? add->vm->public_ip : "no address");
  if (add->claimed)
    az_job_message(job, "ok", NULL, "It is the primary region, as the first one");
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert_value(&result, "region", az_vm_to_variant(now ? now : add->vm));
  g_variant_dict_insert(&result, "reachable", "b", add->reachable);
  g_variant_dict_insert_value(&result, "primary", az_variant_str(stored->primary));
  az_job_finish(job, 0, g_variant_dict_end(&result));
}

static void
on_added_state(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  finish(job, stored, data);
}

static void
on_first_primary(AzlinOp *op, gpointer data)
{
  Add *add = data;
  add->claimed = az_op_error(op) == NULL;
  if (!az_op_cancelled(az_job_root(add->job)))
    az_stored_read(add->job, az_job_root(add->job), on_added_state, add);
}

static void
on_put(AzlinOp *op, gpointer data)
{
  Add *add = data;
  AzlinOp *root = az_job_root(add->job);
  if (az_op_error(op))
    az_job_fail(add->job, g_error_copy(az_op_error(op)));
  else if (*add->stored->primary == '\0' && add->stored->vms->len == 0)
    az_flow_set_primary(az_job_engine(add->job), root, "", add->vm->region, add->stored->epoch, on_first_primary, add);
  else
    az_stored_read(add->job, root, on_added_state, add);
}

static void
on_health(AzlinOp *op, gpointer data)
{
  Add *add = data;
  AzEngine *engine = az_job_engine(add->job);
  if (az_op_cancelled(az_job_root(add->job)))
    return;
  add->reachable = az_flow_note_health(engine, add->vm, az_op_variant(op));
  az_flow_keep_verdict(engine, "here", add->vm->region, add->reachable);
  if (az_flow_pin_trusted(engine, add->vm))
    az_job_message(add->job, "warn", NULL, "The host key of %s was trusted as first seen, and is pinned now",
                   add->vm->region);
  if (!add->reachable)
    az_job_message(add->job, "warn", NULL, "%s does not answer; it is registered all the same", add->vm->region);
  az_flow_put(engine, az_job_root(add->job), add->vm, on_put, add);
}

/* ---- the record ---- */

static AzlinVm *
record_from_args(AzJob *job, const AzStored *stored, const char *region)
{
  AzConfig *config = az_engine_config(az_job_engine(job));
  const AzlinVm *known = az_stored_find(stored, region);
  const char *name = az_job_arg_string(job, "vm-name"), *user = az_job_arg_string(job, "ssh-user");
  g_autofree char *group = az_names_resource_group(az_job_engine(job), region);
  AzlinVm *vm = az_vm_new(region, name ? name : known ? known->vm_name : region);
  az_vm_set(&vm->public_ip, az_job_arg_string(job, "public-ip"));
  az_vm_set(&vm->resource_group, group);
  az_vm_set(&vm->ssh_user, user ? user : az_config_string(config, "ssh", "user"));
  az_vm_set(&vm->host_key, az_job_arg_string(job, "host-key"));
  az_vm_set(&vm->provider, az_job_arg_string(job, "provider") ? az_job_arg_string(job, "provider") : "static");
  az_vm_set(&vm->status, "unknown");
  vm->ssh_port = az_job_arg_uint(job, "ssh-port", 22);
  vm->created_at = known ? known->created_at : az_clock_now(az_engine_clock(az_job_engine(job)));
  return vm;
}

static GError *
no_machine(const char *region, const GError *cause)
{
  GError *error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "The provider knows no machine in %s%s%s", region,
                              cause ? ": " : "", cause ? cause->message : "");
  az_error_add_step(error, "Create one: azlin new --region %s", region);
  az_error_add_step(error, "Or register one: azlin regions add %s --public-ip ADDRESS", region);
  return error;
}

/* The key that the user gives goes before the one that a provider remembers. */
static void
check_found(Add *add)
{
  const char *key = az_job_arg_string(add->job, "host-key");
  if (key)
    az_vm_set(&add->vm->host_key, key);
  add->vm->is_primary = FALSE;
  az_job_message(add->job, "ok", NULL, "Found %s", add->vm->vm_name);
  az_flow_health(az_job_engine(add->job), az_job_root(add->job), add->vm, on_health, add);
}

/* A provider may list machines without their addresses, and tell the address of the one that is asked for. */
static void
on_located(AzlinOp *op, gpointer data)
{
  Add *add = data;
  if (az_op_cancelled(az_job_root(add->job)))
    return;
  if (az_op_vm(op) && az_op_vm(op)->public_ip)
    az_vm_set(&add->vm->public_ip, az_op_vm(op)->public_ip);
  check_found(add);
}

static void
on_looked_up(AzlinOp *op, gpointer data)
{
  Add *add = data;
  AzJob *job = add->job;
  gsize n = 0;
  const char *name = az_job_arg_string(job, "vm-name");
  const char *region = az_region_resolve(az_engine_config(az_job_engine(job)), az_job_arg_string(job, "region"), NULL);
  const AzlinVm *const *vms = az_op_vms(op, &n);
  if (az_op_cancelled(az_job_root(job)))
    return;
  for (gsize i = 0; i < n && !add->vm; i++)
    if (g_strcmp0(vms[i]->region, region) == 0 && (!name || g_strcmp0(vms[i]->vm_name, name) == 0))
      add->vm = az_vm_dup(vms[i]);
  if (!add->vm) {
    az_job_fail(job, no_machine(region, az_op_error(op)));
    return;
  }
  if (add->vm->public_ip && *add->vm->public_ip)
    check_found(add);
  else
    az_flow_vm_get(az_job_engine(job), az_job_root(job), add->vm, LOCATE_MS, on_located, add);
}

static void
add_ready(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  AzEngine *engine = az_job_engine(job);
  const char *region = az_region_resolve(az_engine_config(engine), az_job_arg_string(job, "region"), NULL);
  Add *add = g_new0(Add, 1);
  *add = (Add){ .job = job, .stored = stored };
  az_job_set_data(job, add, add_free);
  if (!az_job_arg_string(job, "public-ip")) {
    az_flow_vm_list(engine, root, az_job_arg_string(job, "provider"), on_looked_up, add);
    return;
  }
  add->vm = record_from_args(job, stored, region);
  az_flow_health(engine, root, add->vm, on_health, add);
}

static void
add_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_stored_read(job, root, add_ready, NULL);
}

static const AzFlag flags[] = {
  { "region", 'r', "s", "REGION", "the region to add" },
  { "vm-name", 0, "s", "NAME", "name of the machine (default: the region's name)" },
  { "public-ip", 0, "s", "ADDRESS", "address of a machine that exists; without it the provider is asked" },
  { "ssh-port", 0, "u", "PORT", "its SSH port (default: 22)" },
  { "ssh-user", 0, "s", "USER", "its login (default: [ssh] user)" },
  { "host-key", 0, "s", "KEY", "its host key, 'ssh-ed25519 AAAA...'; pinned" },
  { "provider", 0, "s", "NAME", "provider that owns it (default: static with --public-ip, else the configured one)" },
  { 0 },
};

const AzFlow az_flow_regions_add = {
  .kind = { .kind = "regions-add", .help = "Register a machine that exists as a region", .flags = flags },
  .check = add_check,
  .run = add_run,
};
