/* Regions on the bus: an object for each one on record, kept up with what stands on disk and what a watch sees. The
 * records are read as any client does it, by jobs of the engine; a large list becomes objects in slices. */
#include "service-regions.h"

#include "record.h"
#include "service-private.h"
#include "wire.h"

#define CALM_MS 200  /* changes of the files that come together are read together */
#define BUSY_MS 2000 /* between two readings, where there is much to read */
#define MANY 1000    /* regions */
#define SLICE 100    /* regions that become objects in one turn of the main loop */

typedef struct {     /* one list that becomes objects */
  GVariant *records; /* av, of regions-list */
  GVariant *states;  /* aa{sv}, of status; in the same order; or NULL */
  gsize next;
} Load;

struct _ServiceRegions {
  Service *service;
  GPtrArray *monitors; /* of GFileMonitor */
  guint timer, slicer;
  gint64 looked_at; /* monotonic */
  guint generation;
  gboolean reading, again, complained, known;
  AzEngine *engine; /* of `job` */
  AzJob *job;       /* reads; or NULL */
  Load load;
  char *primary; /* "" = none */
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
  g_variant_lookup(record, "ssh_port", "u", &port);
  service_region_set_text(region, REGION_VM_NAME, text_in(record, "vm_name"));
  service_region_set_text(region, REGION_PUBLIC_IP, text_in(record, "public_ip"));
  service_region_set_number(region, REGION_SSH_PORT, port);
  service_region_set_text(region, REGION_SSH_USER, text_in(record, "ssh_user"));
  service_region_set_text(region, REGION_RESOURCE_GROUP, text_in(record, "resource_group"));
  service_region_set_number(region, REGION_CREATED_AT, time_in(record, "created_at"));
  service_region_set_text(region, REGION_STATUS, text_in(record, "status"));
  service_region_set_number(region, REGION_LAST_HEALTH_CHECK, time_in(record, "last_health_check"));
}

static void
set_state(ServiceRegions *regions, ServiceRegion *region, GVariant *state)
{
  gboolean pending = FALSE;
  double lag = -1;
  g_variant_lookup(state, "fence_pending", "b", &pending);
  g_variant_lookup(state, "lag_seconds", "d", &lag);
  gint64 now = az_engine_now(regions->service->engine);
  service_region_set_number(region, REGION_FENCE_PENDING, pending);
  service_region_set_number(region, REGION_LAST_SYNC,
                            lag < 0 ? 0 : (guint64) MAX(now - (gint64) (lag * G_USEC_PER_SEC), 0));
}

/* Owned dictionary, or NULL. */
static GVariant *
entry_of(GVariant *list, gsize i, const char *name)
{
  g_autoptr(GVariant) entry = list != NULL && i < g_variant_n_children(list) ? az_variant_element(list, i) : NULL;
  if (entry == NULL || !g_variant_is_of_type(entry, G_VARIANT_TYPE_VARDICT))
    return NULL;
  if (name != NULL && !g_str_equal(text_in(entry, "region"), name))
    return NULL; /* the records changed between the two */
  return g_steal_pointer(&entry);
}

static void
take_entry(ServiceRegions *regions, gsize i)
{
  g_autoptr(GVariant) record = entry_of(regions->load.records, i, NULL);
  const char *name = record != NULL ? text_in(record, "region") : "";
  if (*name == '\0')
    return;
  g_autoptr(GVariant) state = entry_of(regions->load.states, i, name);
  ServiceRegion *region = find(regions, name);
  gboolean fresh = region == NULL, primary = g_str_equal(name, regions->primary);
  if (fresh)
    region = service_region_new(name);
  region->generation = regions->generation;
  set_record(region, record);
  service_region_set_number(region, REGION_IS_PRIMARY, primary);
  service_region_set_number(region, REGION_EPOCH, primary ? regions->epoch : 0);
  if (state != NULL)
    set_state(regions, region, state);
  if (fresh)
    service_objects_add_region(regions->service->objects, region);
  else
    service_region_say_changes(region, regions->service->connection);
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
  for (guint i = 0; i < old->len; i++)
    service_objects_remove_region(regions->service->objects, g_ptr_array_index(old, i));
}

static void
load_done(Load *load)
{
  g_clear_pointer(&load->records, g_variant_unref);
  g_clear_pointer(&load->states, g_variant_unref);
  load->next = 0;
}

static gboolean
on_slice(gpointer data)
{
  ServiceRegions *regions = data;
  gsize n = g_variant_n_children(regions->load.records);
  for (guint i = 0; i < SLICE && regions->load.next < n; i++)
    take_entry(regions, regions->load.next++);
  if (regions->load.next < n)
    return G_SOURCE_CONTINUE;
  remove_old(regions);
  load_done(&regions->load);
  regions->slicer = 0;
  regions->reading = FALSE;
  if (regions->again)
    service_regions_look(regions);
  return G_SOURCE_REMOVE;
}

/* ---- reading ---- */

static void
note_primary(ServiceRegions *regions, GVariant *result)
{
  guint64 epoch = 0;
  const char *primary = text_in(result, "primary");
  g_variant_lookup(result, "epoch", "t", &epoch);
  g_autofree char *before = g_steal_pointer(&regions->primary);
  gboolean moved = regions->known && !g_str_equal(before, primary);
  regions->primary = g_strdup(primary);
  regions->epoch = epoch;
  regions->known = TRUE;
  if (moved)
    regions->ears.primary_moved(before, regions->primary, epoch, regions->ears.data);
}

static void
give_up(ServiceRegions *regions, GVariant *result)
{
  g_autoptr(GVariant) error = result != NULL ? g_variant_lookup_value(result, "error", G_VARIANT_TYPE_VARDICT) : NULL;
  const char *why = error != NULL ? text_in(error, "error_message") : "";
  if (!regions->complained)
    g_warning("regions on the bus are not kept up to date: %s", *why != '\0' ? why : "their records cannot be read");
  regions->complained = TRUE;
  regions->reading = FALSE;
  load_done(&regions->load);
}

static void read_kind(ServiceRegions *regions, const char *kind);

/* Out of the job's own call, which must not free it. */
static gboolean
on_read(gpointer data)
{
  ServiceRegions *regions = data;
  AzJob *job = g_steal_pointer(&regions->job);
  g_autoptr(GVariant) result = az_job_result(job) != NULL ? g_variant_ref(az_job_result(job)) : NULL;
  gboolean records = g_str_equal(az_job_kind(job), "regions-list"), ok = az_job_exit_code(job) == 0;
  az_engine_forget(regions->engine, job);
  service_engine_release(regions->service, regions->engine);
  regions->slicer = 0;
  if (!ok || result == NULL) {
    give_up(regions, result);
    return G_SOURCE_REMOVE;
  }
  regions->complained = FALSE;
  GVariant *list = g_variant_lookup_value(result, "regions", G_VARIANT_TYPE_ARRAY);
  if (records) {
    regions->load.records = list;
    note_primary(regions, result);
    read_kind(regions, "status");
    return G_SOURCE_REMOVE;
  }
  regions->load.states = list;
  regions->generation++;
  regions->slicer = g_idle_add(on_slice, regions);
  return G_SOURCE_REMOVE;
}

static void
on_finished(AzJob *job, gpointer data)
{
  ServiceRegions *regions = data;
  regions->slicer = g_idle_add(on_read, regions);
}

static void
read_kind(ServiceRegions *regions, const char *kind)
{
  const AzJobWatch watch = { .finished = on_finished, .data = regions };
  g_autoptr(GError) error = NULL;
  regions->engine = service_engine_hold(regions->service);
  regions->job = az_engine_submit(regions->engine, kind, g_variant_new("a{sv}", NULL), &watch, &error);
  if (regions->job != NULL) {
    az_engine_start(regions->engine, regions->job);
    return;
  }
  service_engine_release(regions->service, regions->engine);
  g_autoptr(GVariant) result = g_variant_ref_sink(az_error_result(error));
  give_up(regions, result);
}

static gboolean
on_timer(gpointer data)
{
  ServiceRegions *regions = data;
  regions->timer = 0;
  regions->reading = TRUE;
  regions->again = FALSE;
  regions->looked_at = g_get_monotonic_time();
  read_kind(regions, "regions-list");
  return G_SOURCE_REMOVE;
}

void
service_regions_look(ServiceRegions *regions)
{
  regions->again = regions->reading;
  if (regions->reading || regions->timer > 0)
    return;
  gint64 rest = g_hash_table_size(all(regions)) >= MANY ? BUSY_MS : CALM_MS;
  gint64 ms = regions->looked_at + rest * 1000 - g_get_monotonic_time();
  regions->timer = g_timeout_add((guint) CLAMP(ms / 1000, CALM_MS, BUSY_MS), on_timer, regions);
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

static void
enter(ServiceRegions *regions, ServiceRegion *region, const char *state, guint64 since)
{
  g_autofree char *was = g_strdup(region->state);
  service_region_set_text(region, REGION_STATE, state);
  service_region_set_number(region, REGION_SINCE, since);
  if (!g_str_equal(was, state))
    regions->ears.state_changed(region, was, regions->ears.data);
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
  service_region_say_changes(region, regions->service->connection);
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
    service_region_say_changes(region, regions->service->connection);
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
  g_clear_handle_id(&regions->slicer, g_source_remove);
  load_done(&regions->load);
  g_free(regions->primary);
  g_free(regions);
}
