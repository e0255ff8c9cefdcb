/* The figures of the service as Prometheus reads them. What there is of each region is written in slices: of ten
 * thousand it is four megabytes. */
#include "service-metrics-text.h"

#include "service-private.h"
#include "service-stall.h"

#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SLICE 500 /* lines of regions that are written in one turn of the main loop */

struct _ServiceMetricsText {
  Service *service;
  void (*done)(GBytes *text, gpointer data);
  gpointer data;
  GString *text;
  GPtrArray *names; /* of regions, sorted, owned */
  guint family, next, source;
};

/* ---- lines ---- */

static void
head(GString *text, const char *name, const char *type, const char *help)
{
  g_string_append_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
put_double(GString *text, double value)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];
  g_string_append(text, g_ascii_formatd(buffer, sizeof buffer, "%.15g", value));
  g_string_append_c(text, '\n');
}

static void
put_label(GString *text, const char *value)
{
  for (; *value != '\0'; value++) {
    if (*value == '\\' || *value == '"')
      g_string_append_c(text, '\\');
    if (*value == '\n')
      g_string_append(text, "\\n");
    else
      g_string_append_c(text, *value);
  }
}

static void
put_one(GString *text, const char *name, const char *type, const char *help, double value)
{
  head(text, name, type, help);
  g_string_append_printf(text, "%s ", name);
  put_double(text, value);
}

static void
put_labelled(GString *text, const char *name, const char *label, const char *word, double value)
{
  g_string_append_printf(text, "%s{%s=\"", name, label);
  put_label(text, word);
  g_string_append(text, "\"} ");
  put_double(text, value);
}

/* ---- of the service ---- */

static void
put_jobs(GString *text, Service *service)
{
  static const char *const states[] = { "created", "running", "waiting-answer", "done", "failed", "cancelled" };
  guint n[G_N_ELEMENTS(states)] = { 0 };
  GHashTableIter iter;
  gpointer job;
  g_hash_table_iter_init(&iter, service->jobs);
  while (g_hash_table_iter_next(&iter, NULL, &job))
    n[service_job_state(job)]++;
  head(text, "azlin_jobs", "gauge", "Jobs that the service knows, by state.");
  for (guint i = 0; i < G_N_ELEMENTS(states); i++)
    put_labelled(text, "azlin_jobs", "state", states[i], n[i]);
  head(text, "azlin_jobs_ended_total", "counter", "Jobs that have ended since the service began.");
  for (guint i = AZ_JOB_DONE; i < G_N_ELEMENTS(states); i++)
    put_labelled(text, "azlin_jobs_ended_total", "state", states[i], (double) service->ended_total[i]);
}

static void
put_probes(GString *text, Service *service)
{
  static const char *const outcomes[] = { "alive", "dark", "refused", "nothing" };
  head(text, "azlin_probes_total", "counter", "Answers to the questions of watches, from here and through witnesses.");
  for (guint i = 0; i < G_N_ELEMENTS(outcomes); i++)
    put_labelled(text, "azlin_probes_total", "outcome", outcomes[i],
                 (double) service_engines_count(service, outcomes[i]));
}

static void
put_stalls(GString *text)
{
  const ServiceStalls *stalls = service_stall_read();
  const char *name = "azlin_main_loop_stall_seconds";
  guint64 sum = 0;
  head(text, name, "histogram", "How long one turn of the main loop kept everything else waiting.");
  for (guint i = 0; i < SERVICE_STALL_BUCKETS; i++) {
    sum += stalls->turns[i];
    g_string_append_printf(text, "%s_bucket{le=\"%g\"} %" G_GUINT64_FORMAT "\n", name, service_stall_bounds[i], sum);
  }
  g_string_append_printf(text, "%s_bucket{le=\"+Inf\"} %" G_GUINT64_FORMAT "\n%s_sum ", name, stalls->all, name);
  put_double(text, stalls->seconds);
  g_string_append_printf(text, "%s_count %" G_GUINT64_FORMAT "\n", name, stalls->all);
}

static double
resident_bytes(void)
{
  unsigned long size = 0, resident = 0;
  g_autofree char *statm = NULL;
  if (!g_file_get_contents("/proc/self/statm", &statm, NULL, NULL) || sscanf(statm, "%lu %lu", &size, &resident) != 2)
    return NAN;
  return (double) resident * (double) sysconf(_SC_PAGESIZE);
}

static void
put_process(GString *text)
{
  struct timespec used = { 0 };
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  put_one(text, "process_cpu_seconds_total", "counter", "Time of the processor that the service has used.",
          (double) used.tv_sec + (double) used.tv_nsec / 1e9);
  put_one(text, "process_resident_memory_bytes", "gauge", "Memory of the service.", resident_bytes());
}

static void
put_service(ServiceMetricsText *self)
{
  GString *text = self->text;
  Service *service = self->service;
  const ServiceNotifyCounts *counts = service_notify_counts(service->notify);
  head(text, "azlin_build_info", "gauge", "The version that runs; always 1.");
  put_labelled(text, "azlin_build_info", "version", AZLIN_VERSION, 1);
  put_one(text, "azlin_regions", "gauge", "Regions on record.", self->names->len);
  put_one(text, "azlin_epoch", "gauge", "How often the primary has moved since there are records.",
          (double) service_regions_epoch(service->regions));
  put_one(text, "azlin_primary_moves_total", "counter", "Moves of the primary that the service has seen, by anybody.",
          (double) counts->moves);
  put_one(text, "azlin_failed_switches_total", "counter", "Switches of a watch that came to nothing.",
          (double) counts->failed_switches);
  put_one(text, "azlin_regions_dark_total", "counter", "How often a region went dark.", (double) counts->dark);
  put_jobs(text, service);
  put_probes(text, service);
  put_stalls(text);
  put_process(text);
}

/* ---- of each region ---- */

static void
put_state(GString *text, const ServiceRegion *region)
{
  static const char *const states[] = { "unknown", "up", "suspect", "dark" };
  for (guint i = 0; i < G_N_ELEMENTS(states); i++) {
    g_string_append(text, "azlin_region_state{region=\"");
    put_label(text, region->name);
    g_string_append_printf(text, "\",state=\"%s\"} %d\n", states[i], g_str_equal(states[i], region->state));
  }
}

static double
primary(const Service *service, const ServiceRegion *region)
{
  return region->is_primary;
}

static double
fence_pending(const Service *service, const ServiceRegion *region)
{
  return region->fence_pending;
}

static double
lag(const Service *service, const ServiceRegion *region)
{
  if (region->is_primary || region->last_sync == 0)
    return NAN;
  return (double) (az_engine_now(service->engine) - (gint64) region->last_sync) / G_USEC_PER_SEC;
}

static double
last_answer(const Service *service, const ServiceRegion *region)
{
  return region->last_answer > 0 ? (double) region->last_answer / G_USEC_PER_SEC : NAN;
}

static double
latency(const Service *service, const ServiceRegion *region)
{
  return region->latency_ms >= 0 ? region->latency_ms / 1000 : NAN;
}

static const struct {
  const char *name, *help;
  double (*value)(const Service *service, const ServiceRegion *region); /* NAN = unknown, so no line; NULL = state */
} families[] = {
  { "azlin_region_state", "What a watch of this service says: 1 for the state that holds.", NULL },
  { "azlin_region_primary", "1 for the primary.", primary },
  { "azlin_region_fence_pending", "1 where an old primary is not sure to be off.", fence_pending },
  { "azlin_region_lag_seconds", "Since the data was last proved to equal the primary's.", lag },
  { "azlin_region_last_answer_timestamp_seconds", "When a watch last saw life.", last_answer },
  { "azlin_region_latency_seconds", "Of the last answer from here.", latency },
};

static void
put_region(ServiceMetricsText *self, const char *name)
{
  const ServiceRegion *region = g_hash_table_lookup(service_objects_regions(self->service->objects), name);
  if (region == NULL) /* it went meanwhile */
    return;
  if (families[self->family].value == NULL) {
    put_state(self->text, region);
    return;
  }
  double value = families[self->family].value(self->service, region);
  if (!isnan(value))
    put_labelled(self->text, families[self->family].name, "region", name, value);
}

static gboolean
on_slice(gpointer data)
{
  ServiceMetricsText *self = data;
  for (guint i = 0; i < SLICE && self->family < G_N_ELEMENTS(families); i++) {
    if (self->next == 0)
      head(self->text, families[self->family].name, "gauge", families[self->family].help);
    if (self->next < self->names->len) {
      put_region(self, g_ptr_array_index(self->names, self->next++));
      continue;
    }
    self->family++;
    self->next = 0;
  }
  if (self->family < G_N_ELEMENTS(families))
    return G_SOURCE_CONTINUE;
  self->source = 0;
  g_autoptr(GBytes) bytes = g_string_free_to_bytes(g_steal_pointer(&self->text));
  self->done(bytes, self->data);
  return G_SOURCE_REMOVE;
}

/* ---- its life ---- */

static int
by_name(gconstpointer a, gconstpointer b)
{
  return g_strcmp0(*(const char *const *) a, *(const char *const *) b);
}

ServiceMetricsText *
service_metrics_text_new(Service *service, void (*done)(GBytes *text, gpointer data), gpointer data)
{
  ServiceMetricsText *self = g_new0(ServiceMetricsText, 1);
  GHashTableIter iter;
  gpointer name;
  *self = (ServiceMetricsText){ .service = service, .done = done, .data = data, .text = g_string_new(NULL) };
  self->names = g_ptr_array_new_with_free_func(g_free);
  g_hash_table_iter_init(&iter, service_objects_regions(service->objects));
  while (g_hash_table_iter_next(&iter, &name, NULL))
    g_ptr_array_add(self->names, g_strdup(name));
  g_ptr_array_sort(self->names, by_name);
  put_service(self);
  self->source = g_idle_add(on_slice, self);
  return self;
}

void
service_metrics_text_free(ServiceMetricsText *self)
{
  g_clear_handle_id(&self->source, g_source_remove);
  g_ptr_array_unref(self->names);
  if (self->text != NULL)
    g_string_free(self->text, TRUE);
  g_free(self);
}
