/* The Manager: takes jobs and questions, keeps what has ended for a while, knows whether there is anything to do. */
#include "service-private.h"

#include "service-gate.h"
#include "wire.h"

#define MAX_ENDED 100u /* of one owner */

/* ---- busy or not ---- */

void
service_on_busy(Service *service, void (*changed)(gboolean busy, gpointer data), gpointer data)
{
  service->busy_changed = changed;
  service->busy_data = data;
}

gboolean
service_is_busy(const Service *service)
{
  /* also jobs that wait for their Start */
  return g_hash_table_size(service->jobs) > service->ended.length || service->inhibitions->len > 0
         || service_gate_is_busy(service->gate);
}

void
service_look_busy(Service *service)
{
  gboolean busy = service_is_busy(service);
  if (busy != service->was_busy && service->busy_changed != NULL)
    service->busy_changed(busy, service->busy_data);
  service->was_busy = busy;
}

static void
count_live(Service *service, int by)
{
  service->live = (guint) ((int) service->live + by);
  if (service->live == 0 && service->wound_up != NULL)
    service->wound_up(service->wound_up_data);
}

/* ---- jobs ---- */

void
service_job_forget(Service *service, ServiceJob *job)
{
  g_hash_table_remove(service->jobs, service_job_path(job));
  service_look_busy(service);
}

void
service_job_began(Service *service)
{
  count_live(service, 1);
}

/* Nobody's jobs go because somebody else has many. */
static void
retire(Service *service, ServiceJob *job)
{
  GList *oldest = NULL;
  guint n = 0;
  g_queue_push_tail(&service->ended, job);
  for (GList *item = service->ended.head; item != NULL; item = item->next) {
    if (service_job_owner(item->data) != service_job_owner(job))
      continue;
    oldest = oldest != NULL ? oldest : item;
    n++;
  }
  if (n > MAX_ENDED) {
    ServiceJob *forgotten = oldest->data;
    g_queue_delete_link(&service->ended, oldest);
    service_job_forget(service, forgotten);
  }
  service_look_busy(service);
}

void
service_job_ended(Service *service, ServiceJob *job)
{
  service->ended_total[service_job_state(job)]++;
  retire(service, job);
  count_live(service, -1);
}

void
service_wind_up(Service *service, void (*done)(gpointer data), gpointer data)
{
  g_autoptr(GPtrArray) live = g_ptr_array_new();
  GHashTableIter iter;
  gpointer job;
  g_hash_table_iter_init(&iter, service->jobs);
  while (g_hash_table_iter_next(&iter, NULL, &job))
    if (service_job_is_live(job))
      g_ptr_array_add(live, job);
  service->wound_up = done;
  service->wound_up_data = data;
  for (guint i = 0; i < live->len; i++)
    service_job_cancel(g_ptr_array_index(live, i));
  if (live->len == 0)
    done(data);
}

/* ---- Manager ---- */

void
service_refuse(GDBusMethodInvocation *invocation, const GError *error)
{
  g_autofree char *name = g_strconcat(AZ_WIRE_ERROR, az_error_type(error), NULL);
  g_dbus_method_invocation_return_dbus_error(invocation, name, error->message);
}

void
service_refuse_new(GDBusMethodInvocation *invocation, AzlinError code, const char *message)
{
  g_autoptr(GError) error = g_error_new_literal(AZLIN_ERROR, (int) code, message);
  service_refuse(invocation, error);
}

static void
keep(Service *service, ServiceJob *job)
{
  service->last_number = MAX(service->last_number, service_job_number(job));
  g_hash_table_insert(service->jobs, g_strdup(service_job_path(job)), job);
  service_look_busy(service);
}

static gboolean
on_submit(DbusManager *manager, GDBusMethodInvocation *invocation, const char *kind, GVariant *args, gpointer data)
{
  Service *service = data;
  g_autoptr(GError) error = NULL;
  if (service->wound_up != NULL) {
    service_refuse_new(invocation, AZLIN_ERROR_LOCKED, "azlind is about to end");
    return TRUE;
  }
  ServiceJob *job = service_job_new(service, service->last_number + 1, kind, args,
                                    g_dbus_method_invocation_get_sender(invocation), &error);
  if (job == NULL) {
    service_refuse(invocation, error);
    return TRUE;
  }
  keep(service, job);
  dbus_manager_complete_submit(manager, invocation, service_job_path(job));
  return TRUE;
}

static gboolean
on_inhibit(DbusManager *manager, GDBusMethodInvocation *invocation, GUnixFDList *given, const char *who,
           const char *why, gpointer data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GUnixFDList) ends = NULL;
  if (*who == '\0' || *why == '\0')
    error = g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_USAGE, "people want to know who forbids it, and why");
  else
    ends = service_inhibit(data, who, why, &error);
  if (ends == NULL)
    service_refuse(invocation, error);
  else
    dbus_manager_complete_inhibit(manager, invocation, ends, g_variant_new_handle(0));
  return TRUE;
}

static int
by_number(gconstpointer a, gconstpointer b)
{
  guint64 one = service_job_number(*(ServiceJob *const *) a), other = service_job_number(*(ServiceJob *const *) b);
  return one < other ? -1 : one > other;
}

static GVariant *
list_jobs(Service *service)
{
  g_autoptr(GPtrArray) jobs = g_ptr_array_new();
  GHashTableIter iter;
  gpointer job;
  GVariantBuilder list, result;
  g_hash_table_iter_init(&iter, service->jobs);
  while (g_hash_table_iter_next(&iter, NULL, &job))
    if (service_gate_shows(service->gate, service_job_owner(job)))
      g_ptr_array_add(jobs, job);
  g_ptr_array_sort(jobs, by_number);
  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < jobs->len; i++)
    g_variant_builder_add_value(&list, service_job_facts(g_ptr_array_index(jobs, i)));
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "jobs", g_variant_builder_end(&list));
  return g_variant_ref_sink(g_variant_builder_end(&result));
}

static void
on_answered(GObject *source, GAsyncResult *result, gpointer data)
{
  GDBusMethodInvocation *invocation = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) found = az_engine_query_finish(result, &error);
  if (found == NULL) {
    service_refuse(invocation, error);
    return;
  }
  g_autoptr(GVariant) packed = az_wire_pack(found);
  g_dbus_method_invocation_return_value(invocation, g_variant_new("(@a{sv})", packed));
}

static gboolean
on_query(DbusManager *manager, GDBusMethodInvocation *invocation, const char *what, GVariant *args, gpointer data)
{
  Service *service = data;
  if (service->busy_changed != NULL) /* whoever asks will want something soon */
    service->busy_changed(service_is_busy(service), service->busy_data);
  if (!g_str_equal(what, "jobs")) {
    az_engine_query_async(service->engine, what, args, on_answered, invocation);
    return TRUE;
  }
  g_autoptr(GVariant) jobs = list_jobs(service);
  g_autoptr(GVariant) packed = az_wire_pack(jobs);
  dbus_manager_complete_query(manager, invocation, packed);
  return TRUE;
}

/* ---- after a crash ---- */

/* Whoever comes as soon as the name is there finds all of them. */
static void
restore(Service *service)
{
  for (guint i = 0; i < service->stored->len; i++) {
    ServiceJob *job = service_job_restored(service, g_ptr_array_index(service->stored, i));
    keep(service, job);
    if (service_job_is_ended(job))
      retire(service, job);
  }
}

static void
go_on(Service *service, const StoredJob *stored)
{
  g_autofree char *path = service_job_path_of(stored->number);
  ServiceJob *job = g_hash_table_lookup(service->jobs, path); /* of very many the first are forgotten again */
  gboolean fresh = job != NULL && !service_job_is_ended(job);
  if (fresh && service_job_go_on(job))
    return;
  if (fresh)
    retire(service, job);
  service_store_end(service->home, stored->number);
}

void
service_resume(Service *service)
{
  g_autoptr(GPtrArray) jobs = g_steal_pointer(&service->stored);
  for (guint i = 0; jobs != NULL && i < jobs->len; i++)
    go_on(service, g_ptr_array_index(jobs, i));
}

/* ---- its life ---- */

static void
on_primary_moved(const char *from, const char *to, guint64 epoch, gpointer data)
{
  service_notify_primary(((Service *) data)->notify, from, to, epoch);
}

static void
on_state_changed(const ServiceRegion *region, const char *was, gpointer data)
{
  service_notify_state(((Service *) data)->notify, region, was);
}

static void
on_slept(gboolean asleep, gpointer data)
{
  Service *service = data;
  service_engines_set_asleep(service, asleep);
  if (!asleep)
    service_notify_woke(service->notify);
}

void
service_set_desktop(Service *service, GDBusConnection *session)
{
  service_notify_set_desktop(service->notify, session);
}

gboolean
service_offer_metrics(Service *service, GError **error)
{
  const char *where = "";
  g_autoptr(GVariant) facts = az_engine_query(service->engine, "engine", NULL, NULL);
  g_variant_lookup(facts, "metrics", "&s", &where);
  return service_metrics_listen(service->metrics, where, error);
}

void
service_reload(Service *service, const char *config, const char *home)
{
  g_autoptr(GError) error = NULL;
  const char *source = "";
  if (!service_engines_reload(service, config, home, &error)) {
    service_notify_reload(service->notify, error->message);
    return;
  }
  g_autoptr(GVariant) facts = az_engine_query(service->engine, "engine", NULL, NULL);
  g_variant_lookup(facts, "config", "&s", &source);
  dbus_manager_set_config(service->manager, source);
  if (!service_offer_metrics(service, &error))
    g_warning("figures are offered as before: %s", error->message);
  service_notify_reload(service->notify, NULL); /* by now all of it holds */
  service_regions_look(service->regions);
}

static char **
kind_names(void)
{
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();
  for (const AzJobKind *const *kind = az_engine_kinds(); *kind != NULL; kind++)
    g_strv_builder_add(names, (*kind)->kind);
  return g_strv_builder_end(names);
}

Service *
service_new(AzEngine *engine)
{
  const char *home = "", *config = "";
  g_autoptr(GVariant) facts = az_engine_query(engine, "engine", NULL, NULL);
  Service *service = g_new0(Service, 1);
  g_auto(GStrv) kinds = kind_names();
  const ServiceRegionsEars ears
      = { .primary_moved = on_primary_moved, .state_changed = on_state_changed, .data = service };
  g_variant_lookup(facts, "home", "&s", &home);
  g_variant_lookup(facts, "config", "&s", &config);
  service_engines_begin(service, engine);
  service->home = g_strdup(home);
  service->stored = service_store_read(home, &service->last_number);
  service->jobs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, service_job_free);
  service->inhibitions = g_ptr_array_new_with_free_func(service_inhibition_free);
  service->objects = service_objects_new(&service->voice);
  service->manager = dbus_manager_skeleton_new();
  service->notify = service_notify_new();
  service->metrics = service_metrics_new(service);
  service->suspend = service_suspend_new(on_slept, service);
  service->regions = service_regions_new(service, &ears);
  dbus_manager_set_version(service->manager, AZLIN_VERSION);
  dbus_manager_set_home(service->manager, home);
  dbus_manager_set_config(service->manager, config);
  dbus_manager_set_kinds(service->manager, (const char *const *) kinds);
  g_signal_connect(service->manager, "handle-submit", G_CALLBACK(on_submit), service);
  g_signal_connect(service->manager, "handle-inhibit", G_CALLBACK(on_inhibit), service);
  g_signal_connect(service->manager, "handle-query", G_CALLBACK(on_query), service);
  return service;
}

static void
say_to_all(const char *path, const char *interface, const char *signal, GVariant *arguments, gpointer bus)
{
  g_dbus_connection_emit_signal(bus, NULL, path, interface, signal, arguments, NULL);
}

gboolean
service_export(Service *service, GDBusConnection *connection, GError **error)
{
  if (!g_dbus_interface_skeleton_export(G_DBUS_INTERFACE_SKELETON(service->manager), connection, AZ_WIRE_PATH, error))
    return FALSE;
  service->connection = g_object_ref(connection);
  service->voice = (ServiceVoice){ .say = say_to_all, .data = connection };
  if (!service_objects_export(service->objects, connection, error))
    return FALSE;
  restore(service);
  service_regions_look(service->regions);
  return TRUE;
}

gboolean
service_export_guarded(Service *service, GDBusConnection *connection, GError **error)
{
  service->connection = g_object_ref(connection);
  service->gate = service_gate_new(service, connection, error);
  if (service->gate == NULL)
    return FALSE;
  service_gate_set_voice(service->gate, &service->voice);
  restore(service);
  service_regions_look(service->regions);
  return TRUE;
}

void
service_free(Service *service)
{
  service->voice = (ServiceVoice){ 0 };
  g_clear_pointer(&service->gate, service_gate_close);
  if (g_dbus_interface_skeleton_get_connection(G_DBUS_INTERFACE_SKELETON(service->manager)) != NULL)
    g_dbus_interface_skeleton_unexport(G_DBUS_INTERFACE_SKELETON(service->manager));
  g_ptr_array_unref(g_steal_pointer(&service->inhibitions));
  g_queue_clear(&service->ended);
  g_hash_table_unref(service->jobs);
  service_metrics_free(service->metrics);
  service_suspend_free(service->suspend);
  service_regions_free(service->regions);
  service_notify_free(service->notify);
  service_objects_free(service->objects);
  g_object_unref(service->manager);
  service_engines_end(service);
  g_clear_object(&service->connection);
  g_clear_pointer(&service->stored, g_ptr_array_unref);
  g_free(service->home);
  g_free(service);
}
