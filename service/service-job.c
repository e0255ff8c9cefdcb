/* A job on the bus: what the engine says of it becomes properties, signals, and a list that whoever comes later can
 * read from its beginning. */
#include "service-job-private.h"

#include "record.h"
#include "service-gate.h"
#include "service-job-object.h"
#include "wire.h"

#define MAX_SAID 20000u /* of a watch that runs for weeks the newest are kept */
#define MAX_SAID_BYTES (4u << 20)

static void
forget_oldest(ServiceJob *job)
{
  g_autoptr(GVariant) oldest = g_queue_pop_head(&job->said);
  job->said_bytes -= g_variant_get_size(oldest);
}

/* `facts`: may be floating. */
static void
say(ServiceJob *job, const char *what, GVariant *facts)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink(facts);
  g_autoptr(GVariant) packed = az_wire_pack(sunk);
  guint64 number = job->next_number++, now = (guint64) az_engine_now(job->turn.engine);
  GVariant *entry = g_variant_ref_sink(g_variant_new("(tts@a{sv})", number, now, what, packed));
  g_variant_get_data(entry); /* bytes take a tenth of the room of a tree */
  g_queue_push_tail(&job->said, entry);
  job->said_bytes += g_variant_get_size(entry);
  while (job->said.length > MAX_SAID || job->said_bytes > MAX_SAID_BYTES)
    forget_oldest(job);
  dbus_job_emit_said(job->skeleton, number, now, what, packed);
}

static void
set_state(ServiceJob *job, AzJobState state)
{
  static const char *const names[]
      = { [AZ_JOB_CREATED] = "created", [AZ_JOB_RUNNING] = "running", [AZ_JOB_WAITING_ANSWER] = "waiting-answer",
          [AZ_JOB_DONE] = "done",       [AZ_JOB_FAILED] = "failed",   [AZ_JOB_CANCELLED] = "cancelled" };
  job->state = state;
  dbus_job_set_state(job->skeleton, names[state]);
}

static GVariant *
nothing(void)
{
  return g_variant_new("a{sv}", NULL);
}

static void
stop_watching_owner(ServiceJob *job)
{
  if (job->owner_watch > 0)
    g_bus_unwatch_name(job->owner_watch);
  job->owner_watch = 0;
}

/* ---- what the engine says ---- */

static void
on_message(AzJob *engine_job, const char *level, const char *region, const char *text, gpointer data)
{
  ServiceJob *job = data;
  GVariantDict facts;
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "level", "s", level);
  g_variant_dict_insert(&facts, "text", "s", valid);
  if (region != NULL)
    g_variant_dict_insert(&facts, "region", "s", region);
  dbus_job_set_message(job->skeleton, valid);
  say(job, "message", g_variant_dict_end(&facts));
}

static void
on_region(AzJob *engine_job, const char *region, GVariant *facts, gpointer data)
{
  ServiceJob *job = data;
  g_autoptr(GVariant) packed = az_wire_pack(facts);
  gboolean say_it
      = service_job_object_set_region(SERVICE_JOB_OBJECT(job->skeleton), region, packed, g_get_monotonic_time());
  service_regions_take(job->service->regions, job, g_str_equal(az_job_kind(engine_job), "watch"), region, facts);
  if (!say_it)
    return;
  dbus_job_emit_region_changed(job->skeleton, region, packed);
  say(job, "region", g_variant_new_parsed("{'region': <%s>, 'facts': <%@a{sv}>}", region, facts));
}

static void
on_progress(AzJob *engine_job, guint64 done, guint64 total, const char *text, gpointer data)
{
  ServiceJob *job = data;
  g_autofree char *valid = g_utf8_make_valid(text != NULL ? text : "", -1);
  dbus_job_set_progress_valid(job->skeleton, total > 0);
  dbus_job_set_progress(job->skeleton, total > 0 ? CLAMP((double) done / (double) total, 0, 1) : 0);
  say(job, "progress", g_variant_new_parsed("{'done': <%t>, 'total': <%t>, 'text': <%s>}", done, total, valid));
}

static void
note_switch(ServiceJob *job, GVariant *facts)
{
  const char *phase = "", *from = "", *why = "it ended without one";
  gint32 exit_code = 0;
  g_autoptr(GVariant) error = g_variant_lookup_value(facts, "error", G_VARIANT_TYPE_VARDICT);
  g_variant_lookup(facts, "phase", "&s", &phase);
  g_variant_lookup(facts, "from", "&s", &from);
  g_variant_lookup(facts, "exit_code", "i", &exit_code);
  if (error != NULL)
    g_variant_lookup(error, "error_message", "&s", &why);
  if (g_str_equal(phase, "ended") && exit_code != 0)
    service_notify_no_switch(job->service->notify, from, why);
}

static void
on_event(AzJob *engine_job, const char *name, GVariant *facts, gpointer data)
{
  ServiceJob *job = data;
  say(job, name, facts);
  if (!g_str_equal(az_job_kind(engine_job), "watch"))
    return;
  if (g_str_equal(name, "switch"))
    note_switch(job, facts);
  if (g_str_equal(name, "primary") || g_str_equal(name, "record"))
    service_regions_look_now(job->service->regions);
}

static void
on_question(AzJob *engine_job, const char *text, gpointer data)
{
  ServiceJob *job = data;
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  g_autoptr(GVariant) question
      = g_variant_ref_sink(g_variant_new_parsed("{'text': <%s>, 'question': <%u>}", valid, ++job->asked));
  set_state(job, AZ_JOB_WAITING_ANSWER);
  dbus_job_set_question(job->skeleton, question);
  say(job, "question", question);
}

/* The engine's job goes at once, all that is told of it stands here: an engine that was replaced waits for nothing
 * else.
 */
static void
let_go(ServiceJob *job)
{
  g_clear_handle_id(&job->forgetting, g_source_remove);
  service_turn_drop(job->service, &job->turn);
}

static gboolean
on_forget(gpointer data)
{
  ServiceJob *job = data;
  job->forgetting = 0;
  let_go(job);
  return G_SOURCE_REMOVE;
}

typedef struct {
  char *home;
  guint64 number;
} Stored;

static void
on_told(GObject *bus, GAsyncResult *result, gpointer data)
{
  g_autofree Stored *stored = data;
  g_autoptr(GVariant) reply = g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, NULL);
  service_store_end(stored->home, stored->number);
  g_free(stored->home);
}

/* Not before its Finished has left: killed between the two, the job would be gone, and nobody would know how it ended.
 * What the other end answers, it answers after that; g_dbus_connection_flush() would take a thread for each job. A
 * service that ends in good order waits for no bus. */
static void
forget_stored(const ServiceJob *job)
{
  GDBusConnection *bus = job->service->connection;
  const char *other
      = g_dbus_connection_get_unique_name(bus) != NULL ? "org.freedesktop.DBus" : NULL; /* a bus, or a peer */
  if (job->service->wound_up != NULL) {
    service_store_end(job->service->home, job->number);
    return;
  }
  Stored *stored = g_new(Stored, 1);
  *stored = (Stored){ g_strdup(job->service->home), job->number };
  g_dbus_connection_call(bus, other, "/org/freedesktop/DBus", "org.freedesktop.DBus.Peer", "Ping", NULL, NULL,
                         G_DBUS_CALL_FLAGS_NONE, -1, NULL, on_told, stored);
}

void
service_job_on_finished(AzJob *engine_job, gpointer data)
{
  ServiceJob *job = data;
  if (service_job_hand_over(job))
    return;
  int exit_code = az_job_exit_code(engine_job);
  g_autoptr(GVariant) result = az_wire_pack(az_job_result(engine_job));
  job->ended = TRUE;
  set_state(job, az_job_state(engine_job));
  dbus_job_set_question(job->skeleton, nothing());
  dbus_job_set_exit_code(job->skeleton, exit_code);
  dbus_job_set_result(job->skeleton, result);
  g_dbus_interface_skeleton_flush(G_DBUS_INTERFACE_SKELETON(job->skeleton));
  dbus_job_emit_finished(job->skeleton, exit_code, result);
  forget_stored(job);
  stop_watching_owner(job);
  job->forgetting = g_idle_add(on_forget, job);
  service_regions_watch_ended(job->service->regions, job);
  service_regions_look(job->service->regions);
  service_job_ended(job->service, job);
}

/* ---- what clients want ---- */

/* On disk before its first effect, and before anybody is told that it runs. */
static void
note_start(ServiceJob *job)
{
  Service *service = job->service;
  job->started = TRUE;
  if (!job->tied) { /* else it is worth nothing to anybody else, and nothing to look for after a crash */
    stop_watching_owner(job);
    service_store_begin(service->home, service->last_number, job->number, dbus_job_get_kind(job->skeleton), job->owner,
                        job->args);
  }
}

static void
begin(ServiceJob *job)
{
  dbus_job_set_started(job->skeleton, (guint64) az_engine_now(job->turn.engine));
  set_state(job, AZ_JOB_RUNNING);
  service_job_began(job->service);
  az_engine_start(job->turn.engine, job->turn.job);
}

static gboolean
on_start(DbusJob *skeleton, GDBusMethodInvocation *invocation, gpointer data)
{
  ServiceJob *job = data;
  gboolean first = !job->started;
  if (first && job->service->wound_up != NULL) {
    service_refuse_new(invocation, AZLIN_ERROR_LOCKED, "azlind is about to end");
    return TRUE;
  }
  if (first)
    note_start(job);
  dbus_job_complete_start(skeleton, invocation, first);
  if (first)
    begin(job);
  return TRUE;
}

static gboolean
on_answer(DbusJob *skeleton, GDBusMethodInvocation *invocation, GVariant *answer, gpointer data)
{
  ServiceJob *job = data;
  gboolean yes = FALSE;
  guint32 question = job->asked;
  g_variant_lookup(answer, "question", "u", &question);
  if (!g_variant_lookup(answer, "yes", "b", &yes)) {
    service_refuse_new(invocation, AZLIN_ERROR_USAGE, "an answer is {\"yes\": <true or false>}");
    return TRUE;
  }
  if (job->turn.job == NULL || az_job_state(job->turn.job) != AZ_JOB_WAITING_ANSWER) {
    service_refuse_new(invocation, AZLIN_ERROR_USAGE, "this job has asked nothing, or has its answer");
    return TRUE;
  }
  if (question != job->asked) {
    service_refuse_new(invocation, AZLIN_ERROR_USAGE, "this answer is to another question than the one that stands");
    return TRUE;
  }
  dbus_job_complete_answer(skeleton, invocation);
  dbus_job_set_question(skeleton, nothing());
  set_state(job, AZ_JOB_RUNNING);
  az_engine_answer(job->turn.engine, job->turn.job, yes);
  return TRUE;
}

void
service_job_cancel(ServiceJob *job)
{
  job->unwanted = TRUE;
  if (!service_job_stay(job) && job->turn.job != NULL)
    az_engine_cancel(job->turn.engine, job->turn.job);
}

static gboolean
on_cancel(DbusJob *skeleton, GDBusMethodInvocation *invocation, gpointer data)
{
  ServiceJob *job = data;
  dbus_job_complete_cancel(skeleton, invocation);
  if (!job->started)
    service_job_forget(job->service, job);
  else if (!job->ended)
    service_job_cancel(job);
  return TRUE;
}

static gboolean
on_listen(DbusJob *skeleton, GDBusMethodInvocation *invocation, guint64 first, gpointer data)
{
  ServiceJob *job = data;
  GVariantBuilder said;
  g_variant_builder_init(&said, G_VARIANT_TYPE("a(ttsa{sv})"));
  for (GList *item = job->said.head; item != NULL; item = item->next) {
    guint64 number = 0;
    g_variant_get_child(item->data, 0, "t", &number);
    if (number >= first)
      g_variant_builder_add_value(&said, item->data);
  }
  dbus_job_complete_listen(skeleton, invocation, g_variant_builder_end(&said));
  return TRUE;
}

/* ---- its life ---- */

static void
on_owner_gone(GDBusConnection *connection, const char *name, gpointer data)
{
  ServiceJob *job = data;
  stop_watching_owner(job);
  if (!job->started)
    service_job_forget(job->service, job);
  else if (!job->ended)
    service_job_cancel(job);
}

static void
show(ServiceJob *job)
{
  const struct {
    const char *signal;
    GCallback handler;
  } handlers[] = {
    { "handle-start", G_CALLBACK(on_start) },
    { "handle-answer", G_CALLBACK(on_answer) },
    { "handle-cancel", G_CALLBACK(on_cancel) },
    { "handle-listen", G_CALLBACK(on_listen) },
  };
  for (guint i = 0; i < G_N_ELEMENTS(handlers); i++)
    g_signal_connect(job->skeleton, handlers[i].signal, handlers[i].handler, job);
  service_objects_add_job(job->service->objects, job->path, G_DBUS_INTERFACE_SKELETON(job->skeleton));
  service_gate_add_job(job->service->gate, job);
}

/* What every job has, whether the engine knows it or not. */
static void
make(ServiceJob *job, Service *service, guint64 number, const char *kind)
{
  job->service = service;
  job->number = number;
  job->owner = service_gate_caller(service->gate);
  job->path = service_job_path_of(number);
  job->skeleton = DBUS_JOB(service_job_object_new());
  dbus_job_set_kind(job->skeleton, kind);
  dbus_job_set_question(job->skeleton, nothing());
  dbus_job_set_result(job->skeleton, nothing());
}

gboolean
service_job_submit(ServiceJob *job, const char *kind, GVariant *args, ServiceTurn *ret_turn, GError **error)
{
  const AzJobWatch watch = { .message = on_message,
                             .region_changed = on_region,
                             .progress = on_progress,
                             .event = on_event,
                             .question = on_question,
                             .finished = service_job_on_finished,
                             .data = job };
  *ret_turn = (ServiceTurn){ .engine = service_engine_hold(job->service) };
  ret_turn->job = az_engine_submit(ret_turn->engine, kind, args, &watch, error);
  if (ret_turn->job == NULL) {
    service_engine_release(job->service, ret_turn->engine);
    return FALSE;
  }
  az_job_set_number(ret_turn->job, job->number);
  return TRUE;
}

void
service_job_say(ServiceJob *job, const char *level, const char *text)
{
  on_message(NULL, level, NULL, text, job);
}

ServiceJob *
service_job_new(Service *service, guint64 number, const char *kind, GVariant *args, const char *sender, GError **error)
{
  ServiceJob *job = g_new0(ServiceJob, 1);
  job->service = service;
  job->number = number;
  if (!service_job_submit(job, kind, args, &job->turn, error)) {
    g_free(job);
    return NULL;
  }
  make(job, service, number, kind);
  job->tied = az_engine_kind(kind)->tied;
  job->args = g_variant_ref_sink(args);
  set_state(job, AZ_JOB_CREATED);
  show(job);
  if (sender != NULL)
    job->owner_watch = g_bus_watch_name_on_connection(service->connection, sender, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL,
                                                      on_owner_gone, job, NULL);
  return job;
}

/* ---- of a service that died ---- */

static void
fail_as_lost(ServiceJob *job)
{
  g_autoptr(GError) error = az_error_service_ended();
  g_autoptr(GVariant) whole = g_variant_ref_sink(az_error_result(error));
  g_autoptr(GVariant) packed = az_wire_pack(whole);
  g_autofree char *message = az_error_message(error);
  job->ended = TRUE;
  set_state(job, AZ_JOB_FAILED);
  dbus_job_set_message(job->skeleton, message);
  dbus_job_set_exit_code(job->skeleton, az_error_exit_code(error));
  dbus_job_set_result(job->skeleton, packed);
}

ServiceJob *
service_job_restored(Service *service, const StoredJob *stored)
{
  ServiceJob *job = g_new0(ServiceJob, 1);
  make(job, service, stored->number, stored->kind);
  job->owner = stored->owner;
  job->args = g_variant_ref(stored->args);
  job->started = TRUE;
  if (service_job_kind_goes_on(stored->kind, stored->args))
    set_state(job, AZ_JOB_RUNNING);
  else
    fail_as_lost(job);
  show(job);
  return job;
}

gboolean
service_job_go_on(ServiceJob *job)
{
  g_autoptr(GError) error = NULL;
  if (!service_job_submit(job, service_job_kind(job), job->args, &job->turn, &error)) {
    fail_as_lost(job);
    dbus_job_emit_finished(job->skeleton, dbus_job_get_exit_code(job->skeleton), dbus_job_get_result(job->skeleton));
    return FALSE;
  }
  begin(job);
  if (job->unwanted)
    service_job_cancel(job);
  return TRUE;
}

void
service_job_free(gpointer data)
{
  ServiceJob *job = data;
  stop_watching_owner(job);
  service_gate_remove_job(job->service->gate, job);
  service_objects_remove_job(job->service->objects, job->path);
  g_signal_handlers_disconnect_by_data(job->skeleton, job);
  service_job_drop_others(job);
  if (!job->started || job->ended)
    let_go(job);
  g_queue_clear_full(&job->said, (GDestroyNotify) g_variant_unref);
  g_clear_pointer(&job->args, g_variant_unref);
  g_object_unref(job->skeleton);
  g_free(job->path);
  g_free(job);
}

char *
service_job_path_of(guint64 number)
{
  return g_strdup_printf(AZ_WIRE_PATH "/job/%" G_GUINT64_FORMAT, number);
}

const char *
service_job_path(const ServiceJob *job)
{
  return job->path;
}

guint64
service_job_number(const ServiceJob *job)
{
  return job->number;
}

guint32
service_job_owner(const ServiceJob *job)
{
  return job->owner;
}

const char *
service_job_kind(const ServiceJob *job)
{
  return dbus_job_get_kind(job->skeleton);
}

DbusJob *
service_job_skeleton(const ServiceJob *job)
{
  return job->skeleton;
}

guint
service_job_said(const ServiceJob *job)
{
  return job->said.length;
}

gboolean
service_job_is_ended(const ServiceJob *job)
{
  return job->ended;
}

GVariant *
service_job_facts(const ServiceJob *job)
{
  GVariantBuilder facts;
  g_autofree char *started = az_time_to_string((gint64) dbus_job_get_started(job->skeleton));
  g_variant_builder_init(&facts, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&facts, "{sv}", "job", g_variant_new_uint64(job->number));
  g_variant_builder_add(&facts, "{sv}", "kind", g_variant_new_string(dbus_job_get_kind(job->skeleton)));
  g_variant_builder_add(&facts, "{sv}", "state", g_variant_new_string(dbus_job_get_state(job->skeleton)));
  g_variant_builder_add(&facts, "{sv}", "started_at", az_variant_str(started));
  g_variant_builder_add(&facts, "{sv}", "message", az_variant_str(dbus_job_get_message(job->skeleton)));
  return g_variant_builder_end(&facts);
}

AzJobState
service_job_state(const ServiceJob *job)
{
  return job->state;
}

gboolean
service_job_is_live(const ServiceJob *job)
{
  return job->started && !job->ended && job->turn.job != NULL;
}
