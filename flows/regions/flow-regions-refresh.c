/* regions refresh: records, machines and tags are brought together and what differed is shown; --rebuild makes the
 * records anew from the provider. */
#include "error.h"
#include "flow-regions-refresh.h"
#include "flow-regions-share.h"

#define ASK_MS 60000

static void
refresh_free(gpointer data)
{
  AzRefresh *refresh = data;
  g_clear_pointer(&refresh->stored, az_stored_unref);
  g_ptr_array_unref(refresh->puts);
  g_ptr_array_unref(refresh->listed);
  g_ptr_array_unref(refresh->drift);
  g_ptr_array_unref(refresh->missing);
  g_ptr_array_unref(refresh->errors);
  g_ptr_array_unref(refresh->hints);
  g_free(refresh->restored);
  g_free(refresh);
}

gboolean
az_refresh_allowed(const char *region, gpointer data)
{
  return az_config_allowed_region(az_engine_config(data), region) != NULL;
}

void
az_refresh_hint(AzRefresh *refresh, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_ptr_array_add(refresh->hints, g_strdup_vprintf(format, args));
  va_end(args);
}

void
az_refresh_unread(AzRefresh *refresh, const char *region, const char *what, const GError *error)
{
  g_autoptr(GError) named = g_error_copy(error);
  GVariantDict one;
  g_variant_dict_init(&one, NULL);
  g_variant_dict_insert_value(&one, "region", az_variant_str(region));
  g_variant_dict_insert_value(&one, "error", az_error_to_variant(error, NULL));
  g_ptr_array_add(refresh->errors, g_variant_ref_sink(g_variant_dict_end(&one)));
  g_prefix_error(&named, "%s: ", what);
  az_flow_say_error(refresh->job, region, named);
}

/* ---- the end ---- */

static void
finish(AzRefresh *refresh, const char *primary)
{
  GVariantDict result;
  AzJob *job = refresh->job;
  for (guint i = 0; i < refresh->hints->len; i++)
    az_job_message(job, "hint", NULL, "%s", (const char *) g_ptr_array_index(refresh->hints, i));
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert(&result, "updated", "u", refresh->updated);
  g_variant_dict_insert_value(
      &result, "missing",
      g_variant_new_strv((const char *const *) refresh->missing->pdata, (gssize) refresh->missing->len));
  g_variant_dict_insert_value(&result, "primary", az_variant_str(primary));
  g_variant_dict_insert_value(&result, "drift", az_drift_to_variant(refresh->drift));
  g_variant_dict_insert_value(
      &result, "errors",
      g_variant_new_array(G_VARIANT_TYPE_VARDICT, (GVariant *const *) refresh->errors->pdata, refresh->errors->len));
  g_variant_dict_insert(&result, "dry_run", "b", refresh->dry);
  gboolean whole = refresh->missing->len == 0 && refresh->errors->len == 0 && !refresh->undecided;
  az_job_finish(job, whole ? 0 : 1, g_variant_dict_end(&result));
}

/* Keys are never taken from tags, which anybody with the right to tag may write. */
static void
say_unpinned(AzRefresh *refresh)
{
  g_autoptr(GString) regions = g_string_new(NULL);
  for (guint i = 0; i < refresh->puts->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(refresh->puts, i);
    if (!vm->host_key || !*vm->host_key)
      g_string_append_printf(regions, "%s%s", regions->len ? ", " : "", vm->region);
  }
  if (!refresh->rebuild || regions->len == 0 || az_clock_is_virtual(az_engine_clock(refresh->engine)))
    return;
  az_job_message(refresh->job, "warn", NULL, "No host key is pinned for %s", regions->str);
  az_refresh_hint(refresh, "To pin one: azlin regions add REGION --host-key 'ssh-ed25519 AAAA...'");
  az_refresh_hint(refresh, "Or trust what is seen first: [ssh] accept-new=true, then azlin regions health");
}

static void
on_refreshed(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  AzRefresh *refresh = data;
  az_flow_primary_files(job, stored, refresh->stored->primary);
  az_job_message(job, "ok", NULL, "%u region%s refreshed", refresh->updated, refresh->updated == 1 ? "" : "s");
  if (refresh->repeat && *stored->primary)
    az_flow_repeat_primary(refresh->engine, root, stored->primary, stored->epoch);
  if (stored->vms->len > 0 && *stored->primary == '\0' && !refresh->undecided)
    az_refresh_hint(refresh, "No primary is set: azlin regions set-primary REGION");
  say_unpinned(refresh);
  finish(refresh, stored->primary);
}

void
az_refresh_end(AzRefresh *refresh)
{
  az_stored_read(refresh->job, refresh->root, on_refreshed, refresh);
}

static void
after_epoch(AzRefresh *refresh)
{
  if (refresh->restored)
    az_refresh_restore(refresh);
  else
    az_refresh_end(refresh);
}

static void
on_raised(AzlinOp *op, gpointer data)
{
  AzRefresh *refresh = data;
  if (az_op_error(op))
    az_job_fail(refresh->job, g_error_copy(az_op_error(op)));
  else
    after_epoch(refresh);
}

/* ---- writing ---- */

static void write_next(AzRefresh *refresh);

static void
on_written(AzlinOp *op, gpointer data)
{
  AzRefresh *refresh = data;
  if (az_op_error(op)) {
    az_job_fail(refresh->job, g_error_copy(az_op_error(op)));
    return;
  }
  refresh->updated++;
  write_next(refresh);
}

static void
write_next(AzRefresh *refresh)
{
  if (refresh->next < refresh->puts->len)
    az_flow_put(refresh->engine, refresh->root, g_ptr_array_index(refresh->puts, refresh->next++), on_written, refresh);
  else if (refresh->raise > 0)
    az_flow_raise_epoch(refresh->engine, refresh->root, refresh->raise, on_raised, refresh);
  else
    after_epoch(refresh);
}

static void
write_all(AzRefresh *refresh)
{
  for (guint i = 0; i < refresh->drift->len; i++) {
    const AzDrift *drift = g_ptr_array_index(refresh->drift, i);
    g_autofree char *text = az_drift_text(drift, refresh->dry);
    gboolean new = drift->action == AZ_DRIFT_RECORD && !drift->record;
    az_job_message(refresh->job, new ? "ok" : "warn", NULL, "%s: %s", drift->region, text);
  }
  if (!refresh->dry) {
    write_next(refresh);
    return;
  }
  az_job_message(refresh->job, "ok", NULL, "Nothing was changed (--dry-run)");
  if (refresh->rebuild && refresh->restored)
    az_job_message(refresh->job, "detail", NULL, "Primary region would be, as the tags say: %s", refresh->restored);
  finish(refresh, refresh->stored->primary);
}

/* A tag that azlin corrects, or a newer epoch of the primary that stands. */
static void
note_repairs(AzRefresh *refresh)
{
  gboolean refused = FALSE, wrong = FALSE;
  for (guint i = 0; i < refresh->drift->len; i++) {
    const AzDrift *drift = g_ptr_array_index(refresh->drift, i);
    gboolean epoch = g_str_equal(drift->field, AZLIN_TAG_EPOCH);
    refused |= drift->action == AZ_DRIFT_REFUSED;
    wrong |= drift->action == AZ_DRIFT_TAGS && (epoch || g_str_equal(drift->field, AZLIN_TAG_PRIMARY));
    if (epoch && drift->action == AZ_DRIFT_RECORD)
      refresh->raise = g_ascii_strtoull(drift->cloud, NULL, 10);
  }
  /* To say it again would also end a newer claim, which is the user's to judge. */
  refresh->repeat = wrong && !refused;
  if (refused)
    az_refresh_hint(refresh, "To follow the newer tags, or to end them: azlin regions set-primary REGION");
}

void
az_refresh_gathered(AzRefresh *refresh)
{
  if (az_op_cancelled(refresh->root))
    return;
  if (refresh->tagged)
    az_refresh_weigh_claims(refresh);
  note_repairs(refresh);
  write_all(refresh);
}

/* ---- each stored machine asked for ---- */

void
az_refresh_ask_free(AzRefreshAsk *ask)
{
  az_vm_free(ask->vm);
  g_free(ask);
}
/* Without an address, so that a provider to which the question costs extra asks for it. */
void
az_refresh_ask(AzRefresh *refresh, const AzlinVm *vm, AzlinDone done)
{
  AzRefreshAsk *one = g_new(AzRefreshAsk, 1);
  *one = (AzRefreshAsk){ refresh, az_vm_dup(vm) };
  g_autoptr(AzlinVm) plain = az_vm_dup(vm);
  az_vm_set(&plain->public_ip, NULL);
  refresh->left++;
  az_flow_vm_get(refresh->engine, refresh->root, plain, ASK_MS, done, one);
}

void
az_refresh_compare(AzRefresh *refresh, const AzlinVm *record, const AzlinVm *cloud)
{
  az_drift_machine(refresh->drift, record, cloud);
  if (refresh->tagged && cloud->tags)
    az_drift_tags(refresh->drift, cloud, record, refresh->stored->primary, refresh->stored->epoch,
                  az_refresh_allowed(record->region, refresh->engine));
}

static void
lost(AzRefresh *refresh, const AzlinVm *vm, const GError *error)
{
  if (!g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND)) {
    g_autofree char *what = g_strdup_printf("%s in %s could not be read", vm->vm_name, vm->region);
    az_refresh_unread(refresh, vm->region, what, error);
    return;
  }
  g_ptr_array_add(refresh->missing, g_strdup(vm->region));
  az_drift_add(refresh->drift, vm->region, "machine", vm->vm_name, NULL, AZ_DRIFT_SHOWN);
  az_refresh_hint(refresh, "To take it out: azlin regions remove %s", vm->region);
}

static void
on_asked(AzlinOp *op, gpointer data)
{
  g_autoptr(AzRefreshAsk) one = data;
  AzRefresh *refresh = one->refresh;
  if (az_op_cancelled(refresh->root))
    return;
  if (az_op_error(op)) {
    lost(refresh, one->vm, az_op_error(op));
  } else {
    const AzlinVm *cloud = az_op_vm(op);
    g_ptr_array_add(refresh->puts, az_drift_merged(one->vm, cloud));
    az_job_message(refresh->job, "ok", NULL, "%s: %s, %s", one->vm->region, one->vm->vm_name,
                   az_power_to_string(cloud->power));
    az_refresh_compare(refresh, one->vm, cloud);
  }
  if (--refresh->left == 0)
    az_refresh_gathered(refresh);
}

/* ---- the provider's own list ---- */

void
az_refresh_keep_listed(AzRefresh *refresh, AzlinOp *op)
{
  gsize n = 0;
  const AzlinVm *const *vms = az_op_vms(op, &n);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(refresh->listed, az_vm_dup(vms[i]));
}

static void
show_unknown(AzRefresh *refresh)
{
  guint unknown = 0;
  for (guint i = 0; i < refresh->listed->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(refresh->listed, i);
    const AzlinVm *known = az_stored_find(refresh->stored, vm->region);
    if ((known && g_strcmp0(known->vm_name, vm->vm_name) == 0) || !az_tag_of(vm, AZLIN_TAG_REGION))
      continue;
    unknown++;
    az_drift_add(refresh->drift, vm->region, "machine", known ? known->vm_name : NULL, vm->vm_name, AZ_DRIFT_SHOWN);
  }
  if (unknown > 0)
    az_refresh_hint(refresh, "To put machines on record that have none: azlin regions refresh --rebuild");
}

static void
on_surveyed(AzlinOp *op, gpointer data)
{
  AzRefresh *refresh = data;
  if (az_op_cancelled(refresh->root))
    return;
  if (az_op_error(op)) {
    az_refresh_unread(refresh, NULL, "the provider cannot list its machines", az_op_error(op));
  } else {
    az_refresh_keep_listed(refresh, op);
    show_unknown(refresh);
  }
  if (--refresh->left == 0)
    az_refresh_gathered(refresh);
}

/* ---- the beginning ---- */

static void
refresh_ready(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  AzEngine *engine = az_job_engine(job);
  AzRefresh *refresh = g_new0(AzRefresh, 1);
  *refresh = (AzRefresh){ .job = job, .engine = engine, .root = root, .stored = stored };
  refresh->dry = az_job_arg_bool(job, "dry-run");
  refresh->rebuild = az_job_arg_bool(job, "rebuild");
  refresh->tagged = az_flow_has_context(engine, "tags");
  refresh->puts = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  refresh->listed = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  refresh->drift = az_drift_list_new();
  refresh->missing = g_ptr_array_new_with_free_func(g_free);
  refresh->errors = g_ptr_array_new_with_free_func((GDestroyNotify) g_variant_unref);
  refresh->hints = g_ptr_array_new_with_free_func(g_free);
  az_job_set_data(job, refresh, refresh_free);
  if (refresh->rebuild) {
    az_refresh_rebuild(refresh);
    return;
  }
  refresh->left = 1;
  az_flow_vm_list(engine, root, NULL, on_surveyed, refresh);
  for (guint i = 0; i < stored->vms->len; i++)
    az_refresh_ask(refresh, g_ptr_array_index(stored->vms, i), on_asked);
}

static void
refresh_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  if (az_job_arg_bool(job, "share"))
    az_share_run(job, root);
  else
    az_stored_read(job, root, refresh_ready, NULL);
}

static gboolean
refresh_check(AzEngine *engine, GVariant *args, GError **error)
{
  gboolean share = FALSE, rebuild = FALSE, dry = FALSE;
  g_variant_lookup(args, "share", "b", &share);
  g_variant_lookup(args, "rebuild", "b", &rebuild);
  g_variant_lookup(args, "dry-run", "b", &dry);
  if (!share || (!rebuild && !dry))
    return TRUE;
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "--share goes alone, without --rebuild and --dry-run");
  return FALSE;
}

static const AzFlag flags[] = {
  { "rebuild", 0, "b", NULL, "make the records anew from all machines that the provider knows" },
  { "share", 0, "b", NULL, "put the records of this home where [bricks] context shares them, while nothing is there" },
  { "dry-run", 0, "b", NULL, "show what differs and change nothing" },
  { 0 },
};

const AzFlow az_flow_regions_refresh = {
  .kind = { .kind = "regions-refresh", .help = "Bring the records up to date with the provider", .flags = flags },
  .check = refresh_check,
  .run = refresh_run,
};
