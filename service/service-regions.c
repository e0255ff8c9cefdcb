/* Regions on the bus: an object for each one on record, kept up with what stands on disk and what a watch sees. The
 * records are read as any client does it, by a job of the engine that tells them one by one. */
#include "service-regions.h"

#include <malloc.h>

#include "record.h"
#include "service-private.h"
#include "wire.h"

#define CALM_MS 200   /* changes of the files that come together are read together */
#define BUSY_MS 30000 /* between two readings, where there is much to read: that takes half a second for 10,000 */
#define MANY 1000     /* regions */

struct _ServiceRegions {
  Service *service;
  GPtrArray *monitors; /* of GFileMonitor */
  guint timer, ending; /* sources */
  gint64 looked_at;    /* monotonic */
  guint generation;
  gboolean reading, again, complained, known;
  AzEngine *engine; /* of `job` */
  AzJob *job;       /* reads; or NULL */
  char *primary;    /* "" = none */
  guint64 epoch;
  ServiceRegionsEars ears;
};

/* ---- objects ---- */

static GHashTable *
all(const ServiceRegions *regions)
{
  return service_objects_regions(regions->service->objects);
}

static ServiceRegion *
find(const ServiceRegions *regions, const char *name)
{
  return g_hash_table_lookup(all(regions), name);
}

static const char *
text_in(GVariant *facts, const char *key)
{
  const char *text = "";
  g_variant_lookup(facts, key, "&s", &text);
  return text;
}

static guint64
time_in(GVariant *facts, const char *key)
{
  return (guint64) MAX(az_time_from_string(text_in(facts, key)), 0);
}

static void
set_record(ServiceRegion *region, GVariant *record)
{
  guint32 port = 0;
  gboolean pending = FALSE;
  g_variant_lookup(record, "ssh_port", "u", &port);
  g_variant_lookup(record, "fence_pending", "b", &pending);
  service_region_set_text(region, REGION_VM_NAME, text_in(record, "vm_name"));
  service_region_set_text(region, REGION_PUBLIC_IP, text_in(record, "public_ip"));
  service_region_set_number(region, REGION_SSH_PORT, port);
  service_region_set_text(region, REGION_SSH_USER, text_in(record, "ssh_user"));
  service_region_set_text(region, REGION_RESOURCE_GROUP, text_in(record, "resource_group"));
  service_region_set_number(region, REGION_CREATED_AT, time_in(record, "created_at"));
  service_region_set_text(region, REGION_STATUS, text_in(record, "status"));
  service_region_set_number(region, REGION_LAST_HEALTH_CHECK, time_in(record, "last_health_check"));
  service_region_set_number(region, REGION_LAST_SYNC, time_in(record, "last_sync"));
  service_region_set_number(region, REGION_FENCE_PENDING, pending);
}

static void
on_region(AzJob *job, const char *name, GVariant *record, gpointer data)
{
  ServiceRegions *regions = data;
  ServiceRegion *region = find(regions, name);
  gboolean fresh = region == NULL;
  if (fresh)
    region = service_region_new(name);
  region->generation = regions->generation;
  set_record(region, record);
  if (fresh)
    service_objects_add_region(regions->service->objects, region);
  else
    service_region_say_changes(region, &regions->service->voice);
}

static void
set_primary(ServiceRegions *regions, const char *name, gboolean primary)
{
  ServiceRegion *region = find(regions, name);
  if (region == NULL)
    return;
  service_region_set_number(region, REGION_IS_PRIMARY, primary);
  service_region_set_number(region, REGION_EPOCH, primary ? regions->epoch : 0);
  service_region_say_changes(region, &regions->service->voice);
}

static void
enter(ServiceRegions *regions, ServiceRegion *region, const char *state, guint64 since)
{
  g_autofree char *was = g_strdup(region->state);
  service_region_set_text(region, REGION_STATE, state);
  service_region_set_number(region, REGION_SINCE, since);
  if (!g_str_equal(was, state))
    regions->ears.state_changed(region, was, regions->ears.data);
}

static void
remove_old(ServiceRegions *regions)
{
  g_autoptr(GPtrArray) old = g_ptr_array_new_with_free_func(g_free);
  GHashTableIter iter;
  gpointer name, region;
  g_hash_table_iter_init(&iter, all(regions));
  while (g_hash_table_iter_next(&iter, &name, &region))
    if (((const ServiceRegion *) region)->generation != regions->generation)
      g_ptr_array_add(old, g_strdup(name));
  for (guint i = 0; i < old->len; i++) {
    enter(regions, find(regions, g_ptr_array_index(old, i)), "unknown", 0);
    service_objects_remove_region(regions->service->objects, g_ptr_array_index(old, i));
  }
}

/* ---- reading ---- */

static void
note_primary(ServiceRegions *regions, GVariant *result)
{
  guint64 epoch = 0;
  const char *primary = text_in(result, "primary");
  g_variant_lookup(result, "epoch", "t", &epoch);
  g_autofree char *before = g_steal_pointer(&regions->primary);
  gboolean moved = !g_str_equal(before, primary), known = regions->known;
  regions->primary = g_strdup(primary);
  regions->epoch = epoch;
  regions->known = TRUE;
  if (moved)
    set_primary(regions, before, FALSE);
  set_primary(regions, primary, TRUE);
  if (moved && known)
    regions->ears.primary_moved(before, regions->primary, epoch, regions->ears.data);
}

static void
take_end(ServiceRegions *regions, GVariant *result, gboolean ok)
{
  g_autoptr(GVariant) error = result != NULL ? g_variant_lookup_value(result, "error", G_VARIANT_TYPE_VARDICT) : NULL;
  const char *why = error != NULL ? text_in(error, "error_message") : "";
  if (!ok && !regions->complained)
    g_warning("regions on the bus are not kept up to date: %s", *why != '\0' ? why : "their records cannot be read");
  regions->complained = !ok;
  regions->reading = FALSE;
  if (g_hash_table_size(all(regions)) >= MANY)
    malloc_trim(0); /* what the list took for a moment is tens of megabytes */
  if (ok) {
    remove_old(regions);
    note_primary(regions, result);
  }
  if (regions->again)
    service_regions_look(regions);
}

/* Out of the job's own call, which must not free it. */
static gboolean
on_ended(gpointer data)
{
  ServiceRegions *regions = data;
  AzJob *job = g_steal_pointer(&regions->job);
  g_autoptr(GVariant) result = az_job_result(job) != NULL ? g_variant_ref(az_job_result(job)) : NULL;
  gboolean ok = az_job_exit_code(job) == 0 && result != NULL;
  regions->ending = 0;
  az_engine_forget(regions->engine, job);
  service_engine_release(regions->service, regions->engine);
  take_end(regions, result, ok);
  return G_SOURCE_REMOVE;
}

static void
on_finished(AzJob *job, gpointer data)
{
  ServiceRegions *regions = data;
  regions->ending = g_idle_add(on_ended, regions);
}

static void
read_records(ServiceRegions *regions)
{
  const AzJobWatch watch = { .region_changed = on_region, .finished = on_finished, .data = regions };
  g_autoptr(GError) error = NULL;
  regions->generation++;
  regions->engine = service_engine_hold(regions->service);
  regions->job
      = az_engine_submit(regions->engine, "regions-list", g_variant_new_parsed("{'stream': <true>}"), &watch, &error);
  if (regions->job != NULL) {
    az_engine_start(regions->engine, regions->job);
    return;
  }
  service_engine_release(regions->service, regions->engine);
  g_autoptr(GVariant) result = g_variant_ref_sink(az_error_result(error));
  take_end(regions, result, FALSE);
}

static gboolean
on_timer(gpointer data)
{
  ServiceRegions *regions = data;
  regions->timer = 0;
  regions->reading = TRUE;
  regions->again = FALSE;
  regions->looked_at = g_get_monotonic_time();
  read_records(regions);
  return G_SOURCE_REMOVE;
}

void
service_regions_look_now(ServiceRegions *regions)
{
  regions->looked_at = 0;
  g_clear_handle_id(&regions->timer, g_source_remove);
  service_regions_look(regions);
}

void
service_regions_look(ServiceRegions *regions)
{
  regions->again = regions->reading;
  if (regions->reading || regions->timer > 0)
    return;
  gint64 rest = g_hash_table_size(all(regions)) >= MANY ? BUSY_MS : CALM_MS;
  gint64 passed = (g_get_monotonic_time() - regions->looked_at) / 1000;
  regions->timer = g_timeout_add((guint) CLAMP(rest - passed, CALM_MS, BUSY_MS), on_timer, regions);
}

/* ---- what others change on disk ---- */

static void
on_changed(GFileMonitor *monitor, GFile *file, GFile *other, GFileMonitorEvent event, gpointer data)
{
  if (event != G_FILE_MONITOR_EVENT_ATTRIBUTE_CHANGED)
    service_regions_look(data);
}

static void
watch_file(ServiceRegions *regions, const char *name)
{
  g_autofree char *path = g_build_filename(regions->service->home, name, NULL);
  g_autoptr(GFile) file = g_file_new_for_path(path);
  g_autoptr(GError) error = NULL;
  GFileMonitor *monitor = g_file_monitor_file(file, G_FILE_MONITOR_WATCH_MOVES, NULL, &error);
  if (monitor == NULL) {
    g_warning("what other processes change in %s is not noticed: %s", path, error->message);
    return;
  }
  g_signal_connect(monitor, "changed", G_CALLBACK(on_changed), regions);
  g_ptr_array_add(regions->monitors, monitor);
}

/* ---- what a watch sees ---- */

static void
set_names(ServiceRegion *region, ServiceRegionProperty property, GVariant *facts, const char *key)
{
  g_autofree const char **names = NULL;
  g_variant_lookup(facts, key, "^a&s", &names);
  service_region_set_names(region, property, names);
}

void
service_regions_take(ServiceRegions *regions, gconstpointer watcher, gboolean acts, const char *name, GVariant *facts)
{
  ServiceRegion *region = find(regions, name);
  const char *state = text_in(facts, "state");
  gboolean unreachable = FALSE;
  double latency = -1;
  if (region == NULL || *state == '\0')
    return;
  if (region->watcher != NULL && region->watcher != watcher && !acts)
    return;
  region->watcher = watcher;
  g_variant_lookup(facts, "unreachable_from_me", "b", &unreachable);
  g_variant_lookup(facts, "latency_ms", "d", &latency);
  service_region_set_number(region, REGION_LAST_ANSWER, time_in(facts, "last_answer"));
  service_region_set_double(region, REGION_LATENCY_MS, latency);
  service_region_set_number(region, REGION_UNREACHABLE_FROM_ME, unreachable);
  set_names(region, REGION_SEEN_BY, facts, "seen_by");
  set_names(region, REGION_DARK_FROM, facts, "dark_from");
  enter(regions, region, state, time_in(facts, "since"));
  service_region_say_changes(region, &regions->service->voice);
}

void
service_regions_watch_ended(ServiceRegions *regions, gconstpointer watcher)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, all(regions));
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    ServiceRegion *region = value;
    if (region->watcher != watcher)
      continue;
    region->watcher = NULL;
    service_region_set_number(region, REGION_UNREACHABLE_FROM_ME, FALSE);
    service_region_set_names(region, REGION_SEEN_BY, NULL);
    service_region_set_names(region, REGION_DARK_FROM, NULL);
    enter(regions, region, "unknown", 0);
    service_region_say_changes(region, &regions->service->voice);
  }
}

guint64
service_regions_epoch(const ServiceRegions *regions)
{
  return regions->epoch;
}

/* ---- its life ---- */

ServiceRegions *
service_regions_new(Service *service, const ServiceRegionsEars *ears)
{
  static const char *const files[] = { "config.json", "failover.json", "audit.log" };
  ServiceRegions *regions = g_new0(ServiceRegions, 1);
  *regions = (ServiceRegions){ .service = service, .ears = *ears };
  regions->monitors = g_ptr_array_new_with_free_func(g_object_unref);
  regions->primary = g_strdup("");
  for (guint i = 0; i < G_N_ELEMENTS(files); i++)
    watch_file(regions, files[i]);
  return regions;
}

void
service_regions_free(ServiceRegions *regions)
{
  g_ptr_array_unref(regions->monitors);
  g_clear_handle_id(&regions->timer, g_source_remove);
  g_clear_handle_id(&regions->ending, g_source_remove);
  g_free(regions->primary);
  g_free(regions);
}
