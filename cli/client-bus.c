/* The engine of a service, over D-Bus: jobs go on when this process ends. */
#include "client-private.h"

#include "client-service.h"
#include "error.h"
#include "wire.h"

#include <string.h>

#define MANAGER AZ_WIRE_NAME ".Manager"
#define JOB AZ_WIRE_NAME ".Job"

typedef struct {
  Client base;
  ClientService service;
  gboolean is_virtual;    /* its time stands still between events */
  gint64 told, told_here; /* its clock when it last said anything, and ours then */
  GPtrArray *jobs;        /* of BusJob */
  guint watch;
} BusClient;

typedef struct {
  ClientJob base;
  BusClient *client;
  char *path, *kind;
  gboolean attached;
  guint64 next;  /* what it says next; what comes twice is not told twice */
  guint32 asked; /* number of the question that stands; 0 = the service gave it none */
  guint subscription;
  GCancellable *starting; /* NULL: the service has answered Start */
  int exit_code;
  GVariant *result; /* NULL until it has ended */
} BusJob;

/* ---- calls ---- */

static GVariant *
call(BusClient *client, const char *path, const char *interface, const char *method, GVariant *arguments,
     const char *reply_type, GError **error)
{
  return client_service_call(&client->service, path, interface, method, arguments, reply_type, error);
}

static void
call_job(BusJob *job, const char *method, GVariant *arguments)
{
  client_service_call_async(&job->client->service, job->path, JOB, method, arguments, NULL, NULL, NULL);
}

static GVariant *
bus_query(Client *base, const char *what, GVariant *args, GError **error)
{
  return client_service_query(&((BusClient *) base)->service, what, args, error);
}

/* ---- time ---- */

static void
note_time(BusClient *client, guint64 now)
{
  client->told = (gint64) now;
  client->told_here = g_get_monotonic_time();
}

static gint64
bus_now(Client *base)
{
  BusClient *client = (BusClient *) base;
  return client->is_virtual ? client->told : client->told + g_get_monotonic_time() - client->told_here;
}

/* ---- what a job says ---- */

static void
end(BusJob *job, int exit_code, GVariant *result)
{
  if (job->result)
    return;
  job->exit_code = exit_code;
  job->result = g_variant_ref(result);
  job->base.watch.finished(job->base.watch.data);
}

/* Takes `error`. */
static void
end_by(BusJob *job, GError *error)
{
  g_autoptr(GError) owned = error;
  g_autoptr(GVariant) failed = g_variant_ref_sink(client_error_result(owned));
  end(job, az_error_exit_code(owned), failed);
}

static void
take_message(const ClientWatch *watch, GVariant *facts)
{
  const char *level = "step", *region = NULL, *text = "";
  g_variant_lookup(facts, "level", "&s", &level);
  g_variant_lookup(facts, "region", "&s", &region);
  g_variant_lookup(facts, "text", "&s", &text);
  watch->message(level, region, text, watch->data);
}

static void
take_region(const ClientWatch *watch, GVariant *facts)
{
  const char *region = "";
  g_autoptr(GVariant) inner = NULL;
  g_variant_lookup(facts, "region", "&s", &region);
  g_variant_lookup(facts, "facts", "@a{sv}", &inner);
  if (inner)
    watch->region(region, inner, watch->data);
}

static void
take_progress(const ClientWatch *watch, GVariant *facts)
{
  guint64 done = 0, total = 0;
  const char *text = "";
  g_variant_lookup(facts, "done", "t", &done);
  g_variant_lookup(facts, "total", "t", &total);
  g_variant_lookup(facts, "text", "&s", &text);
  watch->progress(done, total, *text ? text : NULL, watch->data);
}

static void
take_question(const ClientWatch *watch, GVariant *facts)
{
  const char *text = "";
  g_variant_lookup(facts, "text", "&s", &text);
  watch->question(text, watch->data);
}

/* Which one it is: somebody else may answer it first, and the job ask another. */
static void
note_question(BusJob *job, GVariant *facts)
{
  job->asked = 0;
  g_variant_lookup(facts, "question", "u", &job->asked);
}

static void
take_said(BusJob *job, GVariant *arguments)
{
  static const struct {
    const char *what;
    void (*take)(const ClientWatch *watch, GVariant *facts);
  } table[] = {
    { "message", take_message }, { "region", take_region }, { "progress", take_progress }, { "question", take_question }
  };
  guint64 number = 0, now = 0;
  const char *what = NULL;
  g_autoptr(GVariant) packed = NULL;
  g_variant_get(arguments, "(tt&s@a{sv})", &number, &now, &what, &packed);
  if (number < job->next)
    return;
  g_autoptr(GVariant) facts = az_wire_unpack(packed);
  job->next = number + 1;
  note_time(job->client, now);
  if (!strcmp(what, "question"))
    note_question(job, facts);
  for (guint i = 0; i < G_N_ELEMENTS(table); i++)
    if (!strcmp(what, table[i].what)) {
      table[i].take(&job->base.watch, facts);
      return;
    }
  job->base.watch.event(what, facts, job->base.watch.data);
}

static void
on_signal(GDBusConnection *bus, const char *sender, const char *path, const char *interface, const char *name,
          GVariant *arguments, gpointer data)
{
  BusJob *job = data;
  if (!strcmp(name, "Said") && g_variant_is_of_type(arguments, G_VARIANT_TYPE("(ttsa{sv})"))) {
    take_said(job, arguments);
  } else if (!strcmp(name, "Finished") && g_variant_is_of_type(arguments, G_VARIANT_TYPE("(ia{sv})"))) {
    g_autoptr(GVariant) packed = g_variant_get_child_value(arguments, 1);
    g_autoptr(GVariant) result = az_wire_unpack(packed);
    int exit_code = 0;
    g_variant_get_child(arguments, 0, "i", &exit_code);
    end(job, exit_code, result);
  }
}

/* ---- jobs ---- */

/* Takes `path`. */
static BusJob *
job_new(BusClient *client, char *path, const char *kind, const ClientWatch *watch)
{
  BusJob *job = g_new0(BusJob, 1);
  job->base = (ClientJob){ .client = &client->base, .watch = *watch };
  job->client = client;
  job->path = path;
  job->kind = g_strdup(kind);
  job->subscription
      = g_dbus_connection_signal_subscribe(client->service.bus, client->service.owner, JOB, NULL, job->path, NULL,
                                           G_DBUS_SIGNAL_FLAGS_NONE, on_signal, job, NULL);
  g_ptr_array_add(client->jobs, job);
  return job;
}

/* The service stands in another folder: files of this one travel by their whole path. */
static GVariant *
with_whole_paths(const char *kind, GVariant *args)
{
  GVariantDict dict;
  g_autoptr(GVariant) given = g_variant_ref_sink(args);
  g_variant_dict_init(&dict, given);
  for (const Flag *flag = client_flags(kind); flag && flag->name; flag++) {
    const char *file = NULL;
    if (g_strcmp0(flag->argument, "FILE") || !g_variant_lookup(given, flag->name, "&s", &file))
      continue;
    g_autofree char *whole = g_canonicalize_filename(file, NULL);
    g_variant_dict_insert(&dict, flag->name, "s", whole);
  }
  return g_variant_dict_end(&dict);
}

static ClientJob *
bus_submit(Client *base, const char *kind, GVariant *args, const ClientWatch *watch, GError **error)
{
  BusClient *client = (BusClient *) base;
  g_autoptr(GVariant) reply = call(client, AZ_WIRE_PATH, MANAGER, "Submit",
                                   g_variant_new("(s@a{sv})", kind, with_whole_paths(kind, args)), "(o)", error);
  if (!reply)
    return NULL;
  char *path = NULL;
  g_variant_get(reply, "(o)", &path);
  return &job_new(client, path, kind, watch)->base;
}

/* Takes `why`: what else the service refuses for is said as it is. */
static void
refuse_number(guint64 number, GError *why, GError **error)
{
  g_autoptr(GError) owned = why;
  if (owned->domain == AZLIN_ERROR && owned->code != AZLIN_ERROR_NOT_FOUND) {
    g_propagate_error(error, g_steal_pointer(&owned));
    return;
  }
  GError *refused = g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "there is no job %" G_GUINT64_FORMAT, number);
  az_error_add_step(refused, "%s", "");
  az_error_add_step(refused, "See all of them: azlin jobs list");
  g_propagate_error(error, refused);
}

static char *
path_of(guint64 number)
{
  return g_strdup_printf(AZ_WIRE_PATH "/job/%" G_GUINT64_FORMAT, number);
}

static GVariant *
properties_of(BusJob *job, GError **error)
{
  g_autoptr(GVariant) reply
      = call(job->client, job->path, AZ_WIRE_PROPERTIES, "GetAll", g_variant_new("(s)", JOB), "(a{sv})", error);
  return reply ? g_variant_get_child_value(reply, 0) : NULL;
}

/* What it has said comes before what it says from now on; nothing is lost between the two, and nothing comes twice. */
static gboolean
replay(BusJob *job, GError **error)
{
  g_autoptr(GVariant) reply
      = call(job->client, job->path, JOB, "Listen", g_variant_new("(t)", (guint64) 0), "(a(ttsa{sv}))", error);
  g_autoptr(GVariant) said = reply ? g_variant_get_child_value(reply, 0) : NULL;
  for (gsize i = 0; said && i < g_variant_n_children(said); i++) {
    g_autoptr(GVariant) entry = g_variant_get_child_value(said, i);
    const char *what = NULL;
    guint64 number = 0;
    g_variant_get_child(entry, 0, "t", &number);
    g_variant_get_child(entry, 2, "&s", &what);
    if (strcmp(what, "question") != 0)
      take_said(job, entry);
    job->next = MAX(job->next, number + 1); /* a question may have its answer by now */
  }
  return reply != NULL;
}

static void
follow(BusJob *job)
{
  static const char *const over[] = { "done", "failed", "cancelled", NULL };
  GError *error = NULL;
  g_autoptr(GVariant) properties = properties_of(job, &error);
  g_autoptr(GVariant) question = NULL, packed = NULL;
  const char *state = "";
  int exit_code = 0;
  if (!properties || !replay(job, &error)) {
    end_by(job, error);
    return;
  }
  g_variant_lookup(properties, "State", "&s", &state);
  g_variant_lookup(properties, "Question", "@a{sv}", &question);
  g_variant_lookup(properties, "ExitCode", "i", &exit_code);
  g_variant_lookup(properties, "Result", "@a{sv}", &packed);
  if (question && g_variant_n_children(question) > 0) {
    note_question(job, question);
    take_question(&job->base.watch, question);
  }
  if (packed && g_strv_contains(over, state)) {
    g_autoptr(GVariant) result = az_wire_unpack(packed);
    end(job, exit_code, result);
  }
}

static ClientJob *
bus_attach(Client *base, guint64 number, const ClientWatch *watch, GError **error)
{
  const char *kind = "";
  GError *why = NULL;
  BusJob *job = job_new((BusClient *) base, path_of(number), "", watch);
  g_autoptr(GVariant) properties = properties_of(job, &why);
  if (!properties) {
    g_ptr_array_remove(job->client->jobs, job);
    refuse_number(number, why, error);
    return NULL;
  }
  g_variant_lookup(properties, "Kind", "&s", &kind);
  g_free(job->kind);
  job->kind = g_strdup(kind);
  job->attached = TRUE;
  return &job->base;
}

static gboolean
bus_cancel_job(Client *base, guint64 number, GError **error)
{
  BusClient *client = (BusClient *) base;
  GError *why = NULL;
  g_autofree char *path = path_of(number);
  g_autoptr(GVariant) reply = call(client, path, JOB, "Cancel", NULL, "()", &why);
  if (!reply)
    refuse_number(number, why, error);
  return reply != NULL;
}

static const char *
bus_kind(ClientJob *job)
{
  return ((BusJob *) job)->kind;
}

static void
on_started(GObject *bus, GAsyncResult *result, gpointer data)
{
  GError *remote = NULL;
  g_autoptr(GVariant) reply = g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, &remote);
  if (g_error_matches(remote, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    g_clear_error(&remote); /* the job may be gone by now */
    return;
  }
  BusJob *job = data;
  g_clear_object(&job->starting);
  if (!reply)
    end_by(job, client_service_error(&job->client->service, remote));
}

static void
start(BusJob *job)
{
  job->starting = g_cancellable_new();
  client_service_call_async(&job->client->service, job->path, JOB, "Start", NULL, job->starting, on_started, job);
}

static void
bus_start(ClientJob *job)
{
  if (((BusJob *) job)->attached)
    follow((BusJob *) job);
  else
    start((BusJob *) job);
}

static void
bus_answer(ClientJob *job, gboolean yes)
{
  BusJob *bus = (BusJob *) job;
  call_job(bus, "Answer", g_variant_new_parsed("({'yes': <%b>, 'question': <%u>},)", yes, bus->asked));
}

/* A right that is still being asked for may never come. */
static void
bus_cancel(ClientJob *base)
{
  BusJob *job = (BusJob *) base;
  call_job(job, "Cancel", NULL);
  if (!job->starting || !job->client->service.of_system)
    return;
  g_cancellable_cancel(job->starting);
  g_clear_object(&job->starting);
  end_by(job, g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_CANCELLED, "interrupted before it was begun"));
}

static int
bus_exit_code(ClientJob *job)
{
  return ((BusJob *) job)->exit_code;
}

static GVariant *
bus_result(ClientJob *job)
{
  return ((BusJob *) job)->result;
}

static void
job_free(gpointer data)
{
  BusJob *job = data;
  g_dbus_connection_signal_unsubscribe(job->client->service.bus, job->subscription);
  if (job->starting)
    g_cancellable_cancel(job->starting);
  g_clear_object(&job->starting);
  g_clear_pointer(&job->result, g_variant_unref);
  g_free(job->path);
  g_free(job->kind);
  g_free(job);
}

/* ---- the service ---- */

/* It died, or was ended: what its jobs came to stands in its journal. */
static void
on_gone(GDBusConnection *bus, const char *name, gpointer data)
{
  BusClient *client = data;
  for (guint i = 0; i < client->jobs->len; i++)
    end_by(g_ptr_array_index(client->jobs, i), az_error_service_ended());
}

static void
bus_free(Client *base)
{
  BusClient *client = (BusClient *) base;
  g_bus_unwatch_name(client->watch);
  g_ptr_array_unref(client->jobs);
  client_service_clear(&client->service);
  g_free(client);
}

Client *
client_bus_new(const ClientPlace *place, GError **error)
{
  static const ClientWay way = {
    .free = bus_free,
    .query = bus_query,
    .now = bus_now,
    .submit = bus_submit,
    .attach = bus_attach,
    .cancel_job = bus_cancel_job,
    .kind = bus_kind,
    .start = bus_start,
    .answer = bus_answer,
    .cancel = bus_cancel,
    .exit_code = bus_exit_code,
    .result = bus_result,
  };
  ClientService service;
  g_autoptr(GVariant) facts = NULL;
  if (!client_service_find(place, &service, &facts, error))
    return NULL;
  guint64 now = 0;
  BusClient *client = g_new0(BusClient, 1);
  client->base.way = &way;
  client->service = service;
  client->jobs = g_ptr_array_new_with_free_func(job_free);
  g_variant_lookup(facts, "now", "t", &now);
  g_variant_lookup(facts, "virtual", "b", &client->is_virtual);
  note_time(client, now);
  client->watch = g_bus_watch_name_on_connection(service.bus, service.owner, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL,
                                                 on_gone, client, NULL);
  return &client->base;
}
