/* What people and scripts see of each region while it is watched: a row, and what changed. */
#include "flow-watch.h"

void
az_watch_row_free(gpointer data)
{
  AzWatchRow *row = data;

  g_free(row->region);
  g_free(row->status);
  g_free(row);
}

static gint64
wall_of(AzWatch *watch, gint64 monotonic)
{
  AzClock *clock = az_engine_clock(watch->engine);

  return monotonic > 0 ? az_clock_now(clock) - (az_clock_monotonic(clock) - monotonic) : 0;
}

static AzWatchRow *
row_of(AzWatch *watch, const char *region)
{
  AzWatchRow *row = g_hash_table_lookup(watch->rows, region);

  if (row != NULL)
    return row;
  row = g_new0(AzWatchRow, 1);
  row->region = g_strdup(region);
  row->latency_ms = -1;
  g_hash_table_insert(watch->rows, row->region, row);
  return row;
}

/* ---- the facts ---- */

static void
add(GVariantBuilder *facts, const char *name, GVariant *value)
{
  g_variant_builder_add(facts, "{sv}", name, value);
}

static void
add_vantages(AzWatch *watch, const char *region, GVariantBuilder *facts)
{
  GVariantBuilder seen, dark;
  g_autoptr(GArray) vantages = az_lookout_vantages(watch->lookout, region);

  g_variant_builder_init(&seen, G_VARIANT_TYPE_STRING_ARRAY);
  g_variant_builder_init(&dark, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; vantages != NULL && i < vantages->len; i++) {
    const AzlinVantage *vantage = &g_array_index(vantages, AzlinVantage, i);
    if (vantage->fresh_success)
      g_variant_builder_add(&seen, "s", vantage->vantage);
    else if (vantage->dark_probes > 0)
      g_variant_builder_add(&dark, "s", vantage->vantage);
  }
  add(facts, "seen_by", g_variant_builder_end(&seen));
  add(facts, "dark_from", g_variant_builder_end(&dark));
}

static void
add_facts(AzWatch *watch, const AzWatchRow *row, GVariantBuilder *facts)
{
  g_autofree char *since = az_time_to_string(row->since), *answer = az_time_to_string(row->last_answer);

  add(facts, "since", az_variant_str(since));
  add(facts, "last_answer", az_variant_str(answer));
  add(facts, "latency_ms", row->latency_ms < 0 ? az_null() : g_variant_new_double(row->latency_ms));
  add_vantages(watch, row->region, facts);
  add(facts, "unreachable_from_me", g_variant_new_boolean(row->unreachable_from_me));
  add(facts, "is_primary", g_variant_new_boolean(g_str_equal(row->region, watch->stored->primary)));
}

static GVariant *
facts_of(AzWatch *watch, const AzWatchRow *row, gboolean named)
{
  GVariantBuilder facts;

  g_variant_builder_init(&facts, G_VARIANT_TYPE_VARDICT);
  if (named)
    add(&facts, "region", g_variant_new_string(row->region));
  add(&facts, "state", g_variant_new_string(az_region_state_name(row->state)));
  add_facts(watch, row, &facts);
  return g_variant_builder_end(&facts);
}

GVariant *
az_watch_row_list(AzWatch *watch)
{
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("av"));
  for (guint i = 0; i < watch->stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(watch->stored->vms, i);
    const AzWatchRow *row = g_hash_table_lookup(watch->rows, vm->region);
    if (row != NULL)
      g_variant_builder_add(&list, "v", facts_of(watch, row, TRUE));
  }
  return g_variant_builder_end(&list);
}

/* ---- what changed ---- */

static void
say_state(AzWatch *watch, const AzWatchRow *row, AzRegionState was, double lasted)
{
  g_autofree char *how_long = az_flow_duration(lasted);
  const AzlinHealth *health = az_lookout_health(watch->lookout, row->region);
  const char *detail = health != NULL && !health->healthy && health->detail != NULL ? health->detail : NULL;

  switch (row->state) {
  case AZ_REGION_UP:
    if (was == AZ_REGION_UNKNOWN)
      az_job_message(watch->job, "ok", row->region, "UP");
    else
      az_job_message(watch->job, "ok", row->region, "UP again, after %s as %s", how_long, az_region_state_name(was));
    break;
  case AZ_REGION_SUSPECT:
    az_job_message(watch->job, "warn", row->region, "SUSPECT: %s", detail != NULL ? detail : "a probe went unanswered");
    break;
  case AZ_REGION_DARK:
    if (row->unreachable_from_me)
      az_job_message(watch->job, "warn", row->region,
                     "DARK from here, and seen elsewhere: a path problem of this host");
    else
      az_job_message(watch->job, "fail", row->region, "DARK: %s", detail != NULL ? detail : "nobody sees it any more");
    break;
  case AZ_REGION_UNKNOWN:
  default:
    az_job_message(watch->job, "step", row->region, "UNKNOWN: what was seen before does not count any more");
    break;
  }
}

static void
tell_state(AzWatch *watch, const AzWatchRow *row, AzRegionState was, double lasted)
{
  GVariantBuilder facts;

  g_variant_builder_init(&facts, G_VARIANT_TYPE_VARDICT);
  add(&facts, "region", g_variant_new_string(row->region));
  add(&facts, "state", g_variant_new_string(az_region_state_name(row->state)));
  add(&facts, "was", g_variant_new_string(az_region_state_name(was)));
  add(&facts, "was_for_seconds", g_variant_new_double(lasted));
  add_facts(watch, row, &facts);
  az_watch_tell(watch, "state", g_variant_builder_end(&facts));
  say_state(watch, row, was, lasted);
}

static const char *
status_of(AzWatch *watch, const AzWatchRow *row)
{
  const AzlinHealth *health = az_lookout_health(watch->lookout, row->region);

  if (row->state == AZ_REGION_UP)
    return "ok";
  if (row->unreachable_from_me) /* what may have been said before others were heard is taken back */
    return row->status != NULL ? "ok" : NULL;
  if (row->state != AZ_REGION_DARK)
    return NULL;
  gboolean off = health != NULL
                 && (health->failure == AZLIN_FAILURE_VM_STOPPED || health->failure == AZLIN_FAILURE_VM_DEALLOCATED);
  return off ? "stopped" : "down";
}

static void
note_status(AzWatch *watch, AzWatchRow *row)
{
  const char *status = status_of(watch, row);

  if (status == NULL)
    return;
  row->checked = az_clock_now(az_engine_clock(watch->engine));
  if (g_strcmp0(status, row->status) == 0)
    return;
  watch->dirty = TRUE;
  g_free(row->status);
  row->status = g_strdup(status);
}

void
az_watch_note_look(AzWatch *watch, const char *region)
{
  row_of(watch, region)->looked = az_clock_monotonic(az_engine_clock(watch->engine));
}

static gboolean
is_dark_from_here_alone(AzWatch *watch, const AzWatchRow *row)
{
  return az_region_is_suspect(row->state) && az_watch_seen_elsewhere(watch, row->region) != NULL;
}

void
az_watch_show(AzWatch *watch, const char *region)
{
  AzRegionView view;

  if (!az_detector_view(az_lookout_detector(watch->lookout), region, &view))
    return;
  AzWatchRow *row = row_of(watch, region);
  AzRegionState was = row->state;
  gint64 since = wall_of(watch, view.since);
  double lasted = row->since > 0 ? MAX(0.0, (double) (since - row->since) / G_USEC_PER_SEC) : 0;
  row->state = view.state;
  row->last_answer = wall_of(watch, view.last_alive);
  row->latency_ms = az_lookout_latency_ms(watch->lookout, region);
  row->unreachable_from_me = view.unreachable_from_me || is_dark_from_here_alone(watch, row);
  if (was != view.state || row->since == 0)
    row->since = since;
  note_status(watch, row);
  if (was != view.state) {
    tell_state(watch, row, was, lasted);
    az_watch_tell_members(watch);
  }
  az_job_region(watch->job, region, facts_of(watch, row, FALSE));
}

void
az_watch_show_all(AzWatch *watch)
{
  for (guint i = 0; i < watch->stored->vms->len; i++)
    az_watch_show(watch, ((const AzlinVm *) g_ptr_array_index(watch->stored->vms, i))->region);
}

void
az_watch_forget(AzWatch *watch, const char *region)
{
  GVariantDict facts;

  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "gone", "b", TRUE);
  g_variant_dict_insert(&facts, "state", "s", "unknown");
  az_job_region(watch->job, region, g_variant_dict_end(&facts));
  g_hash_table_remove(watch->rows, region);
}
