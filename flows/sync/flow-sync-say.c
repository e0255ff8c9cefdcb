/* sync: sizes, messages and results as people and programs read them. */
#include "flow-sync-private.h"
#include "error.h"

char *
az_sync_size(guint64 bytes)
{
  static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
  double value = (double) bytes;
  guint unit = 0;
  while (value >= 999.5 && unit + 1 < G_N_ELEMENTS(units)) {
    value /= 1000;
    unit++;
  }
  return g_strdup_printf(unit > 0 && value < 9.95 ? "%.1f%s" : "%.0f%s", value, units[unit]);
}

void
az_sync_say(AzSync *sync, const char *level, const char *label, const char *format, ...)
{
  va_list args;
  if (sync->job == NULL)
    return;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  az_job_message(sync->job, level, label, "%s", text);
}

static GVariant *
path_list(const AzSync *sync)
{
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < sync->paths->len; i++)
    g_variant_builder_add(&builder, "s", ((AzSyncPath *) g_ptr_array_index(sync->paths, i))->path);
  return g_variant_builder_end(&builder);
}

static GVariant *
strings(GPtrArray *array)
{
  return g_variant_new_strv((const char *const *) array->pdata, (gssize) array->len);
}

GVariant *
az_sync_pair_result(AzSyncPair *pair)
{
  AzSync *sync = pair->sync;
  gboolean good = pair->errors->len == 0;
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", "strategy_used",
                        g_variant_new_string(pair->strategy != NULL ? pair->strategy : "none"));
  g_variant_builder_add(&builder, "{sv}", "files_synced", g_variant_new_uint64(pair->files));
  g_variant_builder_add(&builder, "{sv}", "bytes_transferred", g_variant_new_uint64(pair->bytes));
  g_variant_builder_add(&builder, "{sv}", "files_deleted", g_variant_new_uint64(pair->deleted));
  g_variant_builder_add(&builder, "{sv}", "duration_seconds", g_variant_new_double(pair->seconds));
  g_variant_builder_add(&builder, "{sv}", "source_region", g_variant_new_string(sync->source->region));
  g_variant_builder_add(&builder, "{sv}", "target_region", g_variant_new_string(pair->target->region));
  g_variant_builder_add(&builder, "{sv}", "paths", path_list(sync));
  g_variant_builder_add(&builder, "{sv}", "errors", strings(pair->errors));
  g_variant_builder_add(&builder, "{sv}", "success_rate", g_variant_new_double(good ? 1.0 : 0.0));
  g_variant_builder_add(&builder, "{sv}", "verified",
                        g_variant_new_boolean(good && !sync->dry_run && pair->done_paths == sync->paths->len));
  if (pair->took >= 0) {
    g_variant_builder_add(&builder, "{sv}", "predicted_seconds", g_variant_new_double(pair->predicted));
    g_variant_builder_add(&builder, "{sv}", "transfer_seconds", g_variant_new_double(pair->took));
  }
  if (pair->scores != NULL)
    g_variant_builder_add(&builder, "{sv}", "scores", pair->scores);
  if (sync->dry_run) {
    g_variant_builder_add(&builder, "{sv}", "dry_run", g_variant_new_boolean(TRUE));
    g_variant_builder_add(&builder, "{sv}", "items", strings(pair->items));
  }
  return g_variant_builder_end(&builder);
}

static void
say_brief(AzSyncPair *pair, const char *size)
{
  AzSync *sync = pair->sync;
  g_autofree char *took = az_flow_duration(pair->seconds);
  if (pair->errors->len == 0)
    az_sync_say(sync, "ok", pair->label, "Synced %s → %s: %" G_GUINT64_FORMAT " files, %s in %s, verified",
                sync->source->region, pair->target->region, pair->files, size, took);
  else
    az_sync_say(sync, "fail", pair->label, "Sync %s → %s is not complete after %s", sync->source->region,
                pair->target->region, took);
}

static void
say_items(AzSyncPair *pair)
{
  for (guint i = 0; i < pair->items->len; i++)
    az_sync_say(pair->sync, "detail", pair->label, "%s", (const char *) g_ptr_array_index(pair->items, i));
  if (pair->n_items > pair->items->len)
    az_sync_say(pair->sync, "detail", pair->label, "and %" G_GUINT64_FORMAT " more", pair->n_items - pair->items->len);
  az_sync_say(pair->sync, "ok", pair->label, "%" G_GUINT64_FORMAT " changes for %s; nothing was changed", pair->n_items,
              pair->target->region);
}

void
az_sync_pair_summary(AzSyncPair *pair)
{
  AzSync *sync = pair->sync;
  gboolean good = pair->errors->len == 0;
  g_autofree char *size = az_sync_size(pair->bytes), *took = az_flow_duration(pair->seconds);
  if (pair->brief) {
    say_brief(pair, size);
    return;
  }
  if (sync->dry_run) {
    say_items(pair);
    return;
  }
  gboolean block = pair->label != NULL;
  const char *closing = good ? (block ? "ok" : "done") : (block ? "fail" : "failed");
  az_sync_say(sync, closing, pair->label, good ? "Sync complete in %s" : "Sync is not complete after %s", took);
  az_sync_say(sync, "detail", pair->label, "Files synced: %" G_GUINT64_FORMAT, pair->files);
  az_sync_say(sync, "detail", pair->label, "Data transferred: %s", size);
  if (sync->delete_extra)
    az_sync_say(sync, "detail", pair->label, "Files deleted: %" G_GUINT64_FORMAT, pair->deleted);
  az_sync_say(sync, "detail", pair->label, "Success rate: %u%%", good ? 100 : 0);
  if (good)
    az_sync_say(sync, "detail", pair->label, "Verified: every entry is the same on both machines");
}
