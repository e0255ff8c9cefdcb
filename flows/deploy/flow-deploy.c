/* deploy: what is asked for, checked and planned; machines, their names, and what an interrupted run left to do. */
#include "flow-deploy.h"
#include "error.h"
#include "flow-names.h"
#include "regions.h"
#include <string.h>

#define LOCK_TTL_S 60

const char *
az_deploy_arg(const AzDeploy *deploy, const char *name, const char *fallback)
{
  const char *value = fallback;
  g_variant_lookup(deploy->args, name, "&s", &value);
  return value;
}

guint32
az_deploy_arg_uint(const AzDeploy *deploy, const char *name, guint32 fallback)
{
  guint32 value = fallback;
  g_variant_lookup(deploy->args, name, "u", &value);
  return value;
}

gboolean
az_deploy_arg_bool(const AzDeploy *deploy, const char *name)
{
  gboolean value = FALSE;
  g_variant_lookup(deploy->args, name, "b", &value);
  return value;
}

static void
target_free(gpointer data)
{
  AzDeployTarget *target = data;
  g_clear_pointer(&target->vm, az_vm_free);
  g_clear_error(&target->error);
  g_clear_pointer(&target->verdict, g_variant_unref);
  g_clear_pointer(&target->places, g_ptr_array_unref);
  g_ptr_array_unref(target->attempts);
  g_free(target);
}

static void
spec_free(gpointer data)
{
  AzlinVmSpec *spec = data;
  g_variant_unref(spec->tags);
  g_free(spec);
}

static void
deploy_free(gpointer data)
{
  AzDeploy *deploy = data;
  g_clear_pointer(&deploy->args, g_variant_unref);
  g_clear_pointer(&deploy->stored, az_stored_unref);
  g_clear_pointer(&deploy->targets, g_ptr_array_unref);
  g_clear_pointer(&deploy->synced, g_ptr_array_unref);
  g_clear_pointer(&deploy->putting, g_ptr_array_unref);
  g_hash_table_unref(deploy->verdicts);
  g_queue_clear(&deploy->puts);
  g_queue_clear(&deploy->alone_next);
  g_strfreev(deploy->regions);
  g_ptr_array_unref(deploy->specs);
  g_ptr_array_unref(deploy->plans);
  g_string_chunk_free(deploy->strings);
  g_clear_pointer(&deploy->moved, g_hash_table_unref);
  g_free(deploy->wanted_primary);
  g_free(deploy->public_key);
  g_free(deploy->home_id);
  g_free(deploy);
}

/* ---- checks ---- */

static gboolean
usage(GError **error, const char *text)
{
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, text);
  return FALSE;
}

static gboolean
check_primary(AzEngine *engine, GVariant *args, char **regions, GError **error)
{
  const char *word = NULL;
  if (!g_variant_lookup(args, "primary", "&s", &word))
    return TRUE;
  const char *primary = az_region_resolve(az_engine_config(engine), word, error);
  if (!primary)
    return FALSE;
  if (g_strv_contains((const char *const *) regions, primary))
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "The primary %s must be among the regions", primary);
  return FALSE;
}

static gboolean
check_key(GVariant *args, GError **error)
{
  const char *path = NULL;
  g_autofree char *line = NULL;
  return !g_variant_lookup(args, "ssh-key", "&s", &path) || az_names_public_key(path, &line, error);
}

static gboolean
check_args(AzEngine *engine, GVariant *args, GError **error)
{
  g_autofree const char **words = NULL;
  guint32 number = 1;
  const char *name = NULL;
  gboolean resume = FALSE;
  g_variant_lookup(args, "resume", "b", &resume);
  if (g_variant_lookup(args, "max-concurrent", "u", &number) && number == 0)
    return usage(error, "max_concurrent must be positive");
  if (g_variant_lookup(args, "timeout", "u", &number) && (number == 0 || number > G_MAXUINT32 / 1000))
    return usage(error, "timeout must be positive and at most 4294967 seconds");
  if (g_variant_lookup(args, "vm-name", "&s", &name) && !az_vm_name_check(name, error))
    return FALSE;
  if (!check_key(args, error))
    return FALSE;
  g_variant_lookup(args, "regions", "^a&s", &words);
  if (resume)
    return words ? usage(error, "--resume takes the regions from the journal; give either it or --regions") : TRUE;
  if (!words || !words[0])
    return usage(error, "regions list cannot be empty");
  g_auto(GStrv) regions = az_region_resolve_list(az_engine_config(engine), words, error);
  return regions && check_primary(engine, args, regions, error);
}

/* A brick that cannot be loaded is a fault of the configuration, not of each region; found before anything is made. */
static gboolean
deploy_check(AzEngine *engine, GVariant *args, GError **error)
{
  return check_args(engine, args, error) && az_engine_lookup(engine, AZLIN_KIND_PROVIDER, NULL, NULL, error) != NULL
         && az_engine_lookup(engine, AZLIN_KIND_DEPLOYER, NULL, NULL, error) != NULL;
}

/* ---- planning ---- */

/* With one region --vm-name is the name; with several it is the stem, since names are unique per deployment. */
static char *
name_for(const AzDeploy *deploy, const char *region)
{
  const AzlinVm *known = az_stored_find(deploy->stored, region);
  const char *given = az_deploy_arg(deploy, "vm-name", NULL);
  if (given)
    return g_strv_length(deploy->regions) == 1 ? g_strdup(given) : g_strdup_printf("%s-%s", given, region);
  if (known)
    return g_strdup(known->vm_name);
  return deploy->home_id ? az_names_vm(deploy->home_id, region) : g_strdup_printf("azlin-%s-<id>", region);
}

static GVariant *
tags_for(const AzDeploy *deploy, const char *region)
{
  GVariantBuilder tags;
  g_autofree char *home = deploy->home_id ? az_names_home_tag(deploy->home_id) : NULL;
  g_variant_builder_init(&tags, G_VARIANT_TYPE("a{ss}"));
  g_variant_builder_add(&tags, "{ss}", AZLIN_TAG_REGION, region);
  if (home)
    g_variant_builder_add(&tags, "{ss}", AZLIN_TAG_HOME, home);
  return g_variant_ref_sink(g_variant_builder_end(&tags));
}

AzlinVmSpec *
az_deploy_spec(AzDeploy *deploy, const char *region, const char *vm_size, const char *zone, const char *image)
{
  AzlinVmSpec *spec = g_new0(AzlinVmSpec, 1);
  g_autofree char *vm_name = name_for(deploy, region);
  g_autofree char *resource_group = az_names_resource_group(deploy->engine, region);
  *spec = (AzlinVmSpec){
    .size = sizeof *spec,
    .region = g_string_chunk_insert(deploy->strings, region),
    .vm_name = g_string_chunk_insert(deploy->strings, vm_name),
    .resource_group = g_string_chunk_insert(deploy->strings, resource_group),
    .vm_size = g_string_chunk_insert(deploy->strings, vm_size),
    .image = g_string_chunk_insert(deploy->strings, image),
    .ssh_user = az_config_string(az_engine_config(deploy->engine), "ssh", "user"),
    .ssh_public_key = deploy->public_key,
    .tags = tags_for(deploy, region),
    .zone = zone && *zone ? g_string_chunk_insert(deploy->strings, zone) : NULL,
  };
  g_ptr_array_add(deploy->specs, spec);
  return spec;
}

void
az_deploy_use(AzDeployTarget *target, AzlinVmSpec *spec)
{
  AzDeploy *deploy = target->deploy;
  if (target->region && g_str_equal(target->region, deploy->wanted_primary)) {
    g_free(deploy->wanted_primary);
    deploy->wanted_primary = g_strdup(spec->region);
  }
  target->spec = spec;
  target->region = spec->region;
  target->vm_name = spec->vm_name;
  target->resource_group = spec->resource_group;
}

/* The run that is taken over had moved this machine: it may stand there already. */
static void
follow_move(AzDeployTarget *target)
{
  AzDeploy *deploy = target->deploy;
  const char *text = deploy->moved ? g_hash_table_lookup(deploy->moved, target->asked) : NULL;
  g_auto(GStrv) words = text ? g_strsplit(text, " ", 3) : NULL;
  if (!words || g_strv_length(words) != 3 || !az_config_allowed_region(az_engine_config(deploy->engine), words[0]))
    return;
  az_deploy_use(target, az_deploy_spec(deploy, words[0], words[1], words[2], target->spec->image));
  target->moves = 1;
}

static AzDeployTarget *
target_new(AzDeploy *deploy, const char *region)
{
  AzConfig *config = az_engine_config(deploy->engine);
  AzDeployTarget *target = g_new0(AzDeployTarget, 1);
  target->deploy = deploy;
  target->asked = region;
  target->attempts = g_ptr_array_new_with_free_func((GDestroyNotify) g_variant_unref);
  const char *vm_size = az_deploy_arg(deploy, "vm-size", az_config_string(config, "defaults", "vm-size"));
  const char *image = az_deploy_arg(deploy, "image", az_config_string(config, "defaults", "image"));
  az_deploy_use(target, az_deploy_spec(deploy, region, vm_size, NULL, image));
  follow_move(target);
  return target;
}

/* A region holds one machine: another provider's, or one of another name, must be removed first. */
static GError *
conflict(AzDeploy *deploy, const AzDeployTarget *target)
{
  const AzlinVm *known = az_stored_find(deploy->stored, target->region);
  const char *provider = az_config_string(az_engine_config(deploy->engine), "bricks", "provider");
  if (!known
      || (g_strcmp0(known->vm_name, target->vm_name) == 0
          && (!known->provider || g_str_equal(known->provider, provider))))
    return NULL;
  GError *error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE, "%s holds the machine %s of provider %s already",
                              known->region, known->vm_name, known->provider ? known->provider : "?");
  az_error_add_step(error, "Take it out first: azlin regions remove %s", known->region);
  return error;
}

static gboolean
make_targets(AzDeploy *deploy, GError **error)
{
  deploy->targets = g_ptr_array_new_with_free_func(target_free);
  for (gsize i = 0; deploy->regions[i]; i++) {
    AzDeployTarget *target = target_new(deploy, deploy->regions[i]);
    g_ptr_array_add(deploy->targets, target);
    GError *wrong = conflict(deploy, target);
    if (wrong) {
      g_propagate_error(error, wrong);
      return FALSE;
    }
  }
  return TRUE;
}

/* ---- --dry-run ---- */

static void
finish_dry(AzDeploy *deploy)
{
  GVariantBuilder plan, result;
  g_variant_builder_init(&plan, G_VARIANT_TYPE("av"));
  az_job_message(deploy->job, "step", NULL, "Would deploy to %u regions, at most %u at once", deploy->targets->len,
                 az_deploy_arg_uint(deploy, "max-concurrent", AZ_DEPLOY_MAX_CONCURRENT));
  for (guint i = 0; i < deploy->targets->len; i++) {
    const AzDeployTarget *target = g_ptr_array_index(deploy->targets, i);
    const char *what = az_stored_find(deploy->stored, target->region) ? "adopt" : "create";
    GVariantDict one;
    g_variant_dict_init(&one, NULL);
    g_variant_dict_insert(&one, "region", "s", target->region);
    g_variant_dict_insert(&one, "vm_name", "s", target->vm_name);
    g_variant_dict_insert(&one, "resource_group", "s", target->resource_group);
    g_variant_dict_insert(&one, "vm_size", "s", target->spec->vm_size);
    g_variant_dict_insert_value(&one, "zone", az_variant_str(target->spec->zone));
    g_variant_dict_insert(&one, "image", "s", target->spec->image);
    g_variant_dict_insert(&one, "action", "s", what);
    g_variant_dict_insert_value(&one, "moved_from", az_deploy_moved_from(target));
    g_variant_dict_insert_value(&one, "preflight", az_deploy_preflight_variant(target));
    g_variant_builder_add(&plan, "v", g_variant_dict_end(&one));
    az_job_message(deploy->job, "detail", NULL, "%s: %s %s (%s, %s)", target->region, what, target->vm_name,
                   target->spec->vm_size, target->spec->image);
    if (target->error)
      az_flow_say_error(deploy->job, NULL, target->error);
  }
  az_job_message(deploy->job, "ok", NULL, "Nothing was changed (--dry-run)");
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "dry_run", g_variant_new_boolean(TRUE));
  g_variant_builder_add(&result, "{sv}", "total_regions", g_variant_new_uint32(deploy->targets->len));
  g_variant_builder_add(&result, "{sv}", "plan", g_variant_builder_end(&plan));
  g_variant_builder_add(&result, "{sv}", "primary", az_variant_str(deploy->wanted_primary));
  az_job_finish(deploy->job, 0, g_variant_builder_end(&result));
}

/* ---- the steps up to the fan-out ---- */

static gboolean
prepare(AzDeploy *deploy, GError **error)
{
  gboolean dry = az_deploy_arg_bool(deploy, "dry-run"), made = FALSE;
  const char *path = az_deploy_arg(deploy, "ssh-key", NULL);
  g_autofree char *private_path = NULL;
  g_autoptr(GError) id_error = NULL;
  deploy->home_id = az_names_home_id(deploy->engine, !dry, &id_error);
  if (id_error) {
    g_propagate_error(error, g_steal_pointer(&id_error));
    return FALSE;
  }
  if (path && !az_names_public_key(path, &deploy->public_key, error))
    return FALSE;
  if (!path && !dry
      && !az_remote_ensure_key(az_engine_remote(deploy->engine), &private_path, &deploy->public_key, &made, error))
    return FALSE;
  if (made)
    az_job_message(deploy->job, "ok", NULL, "Made the SSH key %s", private_path);
  return make_targets(deploy, error);
}

static void
on_preflight(AzDeploy *deploy)
{
  if (az_deploy_arg_bool(deploy, "dry-run"))
    finish_dry(deploy);
  else
    az_deploy_run(deploy);
}

static void
on_stored(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  AzDeploy *deploy = data;
  GError *error = NULL;
  deploy->stored = stored;
  if (!prepare(deploy, &error))
    az_job_fail(job, error);
  else
    az_deploy_preflight(deploy, on_preflight);
}

static void
on_lease(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data)
{
  az_stored_read(job, root, on_stored, data);
}

static const AzFlag flags[] = {
  { "regions", 'r', "as", "REGION,...", "regions or aliases to deploy to" },
  { "primary", 0, "s", "REGION", "which of them is primary (default: the first, when none stands yet)" },
  { "vm-size", 0, "s", "SIZE", "machine size in all regions (default: [defaults] vm-size)" },
  { "image", 0, "s", "IMAGE", "image of the machines (default: [defaults] image)" },
  { "vm-name", 0, "s", "NAME", "name of the machine; with several regions the region is appended" },
  { "ssh-key", 0, "s", "FILE", "public key to admit (default: azlin's own)" },
  { "sync-after", 0, "b", NULL, "copy the primary's home to the other regions afterwards" },
  { "max-concurrent", 0, "u", "N", "at most so many regions at once (default: 10)" },
  { "timeout", 0, "u", "SECONDS", "time for each region (default: 600)" },
  { "accept-new", 0, "b", NULL, "trust a host key seen first when no other channel gives it" },
  { "allow-fallback", 0, "b", NULL, "where a region has no room, try another size, then zone, then allowed region" },
  { "dry-run", 0, "b", NULL, "print the plan and change nothing" },
  { "resume", 0, "b", NULL, "go on with a deploy that was interrupted" },
  { 0 },
};

static gboolean
use_args(AzDeploy *deploy, GVariant *args, GError **error)
{
  AzConfig *config = az_engine_config(deploy->engine);
  g_autofree const char **words = NULL;
  const char *primary = NULL;
  g_clear_pointer(&deploy->args, g_variant_unref);
  g_clear_pointer(&deploy->regions, g_strfreev);
  deploy->args = g_variant_ref(args);
  g_variant_lookup(args, "regions", "^a&s", &words);
  deploy->regions = az_region_resolve_list(config, words, error);
  if (!deploy->regions)
    return FALSE;
  deploy->primary_given = g_variant_lookup(args, "primary", "&s", &primary);
  g_free(deploy->wanted_primary);
  deploy->wanted_primary = g_strdup(primary ? az_region_resolve(config, primary, NULL) : deploy->regions[0]);
  return TRUE;
}

static GHashTable *
moves_of(GVariant *undo)
{
  GVariantIter iter;
  const char *key;
  GVariant *value;
  GHashTable *moves = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_variant_iter_init(&iter, undo);
  while (g_variant_iter_loop(&iter, "{&sv}", &key, &value))
    if (g_str_has_prefix(key, AZ_DEPLOY_MOVED) && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
      g_hash_table_replace(moves, g_strdup(key + strlen(AZ_DEPLOY_MOVED)), g_variant_dup_string(value, NULL));
  return moves;
}

/* The newest abandoned deploy of the journal: its arguments are used again; what stands is adopted, not made twice. */
static gboolean
take_over(AzDeploy *deploy, GError **error)
{
  AzJournal *journal = az_engine_journal(deploy->engine, error);
  g_autoptr(GPtrArray) entries = journal ? az_journal_open_entries(journal, error) : NULL;
  if (!entries)
    return FALSE;
  for (guint i = entries->len; i > 0; i--) {
    const AzJournalEntry *entry = g_ptr_array_index(entries, i - 1);
    g_autoptr(GVariant) kept = g_variant_lookup_value(entry->undo, "args", G_VARIANT_TYPE_VARDICT);
    if (!kept || !g_str_equal(entry->owner, AZ_DEPLOY_OWNER) || !az_flow_entry_abandoned(entry))
      continue;
    g_autoptr(GVariant) args = g_variant_ref_sink(az_deploy_args_from_journal(kept, flags));
    deploy->resumed = entry->id;
    deploy->moved = moves_of(entry->undo);
    return use_args(deploy, args, error);
  }
  return TRUE;
}

static void
deploy_start(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  GError *error = NULL;
  AzDeploy *deploy = g_new0(AzDeploy, 1);
  *deploy = (AzDeploy){ .job = job, .engine = engine, .root = root, .args = g_variant_ref(args) };
  deploy->started = az_clock_monotonic(az_engine_clock(engine));
  g_queue_init(&deploy->puts);
  g_queue_init(&deploy->alone_next);
  deploy->specs = g_ptr_array_new_with_free_func(spec_free);
  deploy->plans = g_ptr_array_new_with_free_func((GDestroyNotify) g_ptr_array_unref);
  deploy->strings = g_string_chunk_new(4096);
  deploy->verdicts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  az_job_set_data(job, deploy, deploy_free);
  if (!(az_job_arg_bool(job, "resume") ? take_over(deploy, &error) : use_args(deploy, args, &error))) {
    az_job_fail(job, error);
    return;
  }
  if (!deploy->regions) {
    az_job_message(job, "ok", NULL, "Nothing to resume: no interrupted deploy is on record");
    deploy->targets = g_ptr_array_new_with_free_func(target_free);
    az_job_finish(job, 0, az_deploy_result(deploy));
    return;
  }
  if (az_job_arg_bool(job, "dry-run"))
    az_stored_read(job, root, on_stored, deploy);
  else
    az_lease_acquire(job, root, "deploy", LOCK_TTL_S, on_lease, deploy);
}

const AzFlow az_flow_deploy = {
  .kind = { .kind = "deploy", .help = "Deploy machines to several regions side by side", .flags = flags },
  .check = deploy_check,
  .run = deploy_start,
  .priority = AZ_PRIORITY_DEPLOY,
};
