/* The engine of a service that works in the same home, over D-Bus: jobs go on when this process ends. */
#include "client-private.h"

#include "config.h"
#include "error.h"
#include "home-lock.h"
#include "paths.h"
#include "wire.h"

#include <string.h>

#define MANAGER AZ_WIRE_NAME ".Manager"
#define JOB AZ_WIRE_NAME ".Job"
#define CALL_MS 30000

typedef struct {
  Client base;
  GDBusConnection *bus;
  char *owner;            /* the service's unique name: signals of another one are not its */
  gboolean is_virtual;    /* its time stands still between events */
  gint64 told, told_here; /* its clock when it last said anything, and ours then */
  GPtrArray *jobs;        /* of BusJob */
  guint watch;
  GCancellable *gone;
} BusClient;

typedef struct {
  ClientJob base;
  BusClient *client;
  char *path, *kind;
  gboolean attached;
  guint64 next;  /* what it says next; what comes twice is not told twice */
  guint32 asked; /* number of the question that stands; 0 = the service gave it none */
  guint subscription;
  int exit_code;
  GVariant *result; /* NULL until it has ended */
} BusJob;

/* ---- calls ---- */

/* What the service refused comes with the name of the taxonomy, as it would in this process. */
static GError *
error_of(GError *remote)
{
  g_autofree char *name = g_dbus_error_get_remote_error(remote);
  g_dbus_error_strip_remote_error(remote);
  if (name && g_str_has_prefix(name, AZ_WIRE_ERROR)) {
    g_autoptr(GError) owned = remote;
    return g_error_new_literal(AZLIN_ERROR, (int) az_error_code(name + strlen(AZ_WIRE_ERROR)), owned->message);
  }
  g_prefix_error(&remote, "azlind does not answer: ");
  return remote;
}

static GVariant *
call(BusClient *client, const char *path, const char *interface, const char *method, GVariant *arguments,
     const char *reply_type, GError **error)
{
  GError *remote = NULL;
  GVariant *reply = g_dbus_connection_call_sync(client->bus, client->owner ? client->owner : AZ_WIRE_NAME, path,
                                                interface, method, arguments, G_VARIANT_TYPE(reply_type),
                                                G_DBUS_CALL_FLAGS_NO_AUTO_START, CALL_MS, NULL, &remote);
  if (!reply)
    g_propagate_error(error, error_of(remote));
  return reply;
}

static void
call_job(BusJob *job, const char *method, GVariant *arguments)
{
  g_dbus_connection_call(job->client->bus, job->client->owner, job->path, JOB, method, arguments, NULL,
                         G_DBUS_CALL_FLAGS_NO_AUTO_START, CALL_MS, NULL, NULL, NULL);
}

static GVariant *
bus_query(Client *base, const char *what, GVariant *args, GError **error)
{
  GVariant *given = args ? args : g_variant_new("a{sv}", NULL);
  g_autoptr(GVariant) reply = call((BusClient *) base, AZ_WIRE_PATH, MANAGER, "Query",
                                   g_variant_new("(s@a{sv})", what, given), "(a{sv})", error);
  if (!reply)
    return NULL;
  g_autoptr(GVariant) packed = g_variant_get_child_value(reply, 0);
  return az_wire_unpack(packed);
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
  job->subscription = g_dbus_connection_signal_subscribe(client->bus, client->owner, JOB, NULL, job->path, NULL,
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

static void
refuse_number(guint64 number, GError **error)
{
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
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) properties = properties_of(job, &error);
  g_autoptr(GVariant) question = NULL, packed = NULL;
  const char *state = "";
  int exit_code = 0;
  if (!properties || !replay(job, &error)) {
    g_autoptr(GVariant) failed = g_variant_ref_sink(client_error_result(error));
    end(job, az_error_exit_code(error), failed);
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
  BusJob *job = job_new((BusClient *) base, path_of(number), "", watch);
  g_autoptr(GVariant) properties = properties_of(job, NULL);
  if (!properties) {
    g_ptr_array_remove(job->client->jobs, job);
    refuse_number(number, error);
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
  g_autofree char *path = path_of(number);
  g_autoptr(GVariant) reply = call(client, path, JOB, "Cancel", NULL, "()", NULL);
  if (!reply)
    refuse_number(number, error);
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
  if (reply || g_error_matches(remote, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    g_clear_error(&remote); /* the client is gone, and its jobs with it */
    return;
  }
  g_autoptr(GError) error = error_of(remote);
  g_autoptr(GVariant) failed = g_variant_ref_sink(client_error_result(error));
  end(data, az_error_exit_code(error), failed);
}

static void
start(BusJob *job)
{
  g_dbus_connection_call(job->client->bus, job->client->owner, job->path, JOB, "Start", NULL, NULL,
                         G_DBUS_CALL_FLAGS_NO_AUTO_START, CALL_MS, job->client->gone, on_started, job);
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

static void
bus_cancel(ClientJob *job)
{
  call_job((BusJob *) job, "Cancel", NULL);
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
  g_dbus_connection_signal_unsubscribe(job->client->bus, job->subscription);
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
  g_autoptr(GError) error = az_error_service_ended();
  g_autoptr(GVariant) result = g_variant_ref_sink(client_error_result(error));
  for (guint i = 0; i < client->jobs->len; i++)
    end(g_ptr_array_index(client->jobs, i), az_error_exit_code(error), result);
}

static void
bus_free(Client *base)
{
  BusClient *client = (BusClient *) base;
  g_cancellable_cancel(client->gone);
  g_object_unref(client->gone);
  if (client->watch)
    g_bus_unwatch_name(client->watch);
  g_ptr_array_unref(client->jobs);
  g_clear_object(&client->bus);
  g_free(client->owner);
  g_free(client);
}

static gboolean
same_file(const char *one, const char *other)
{
  g_autofree char *a = g_canonicalize_filename(one, NULL), *b = g_canonicalize_filename(other, NULL);
  return !strcmp(a, b);
}

/* What it says of itself; FALSE: it is not the one that this command is about. */
static gboolean
take_facts(BusClient *client, GVariant *facts, const char *config, const char *home)
{
  const char *its_home = "", *its_config = "";
  guint64 now = 0;
  g_variant_lookup(facts, "home", "&s", &its_home);
  g_variant_lookup(facts, "config", "&s", &its_config);
  g_variant_lookup(facts, "now", "t", &now);
  g_variant_lookup(facts, "virtual", "b", &client->is_virtual);
  note_time(client, now);
  g_autofree char *ours = az_config_find(config);
  return same_file(its_home, home) && same_file(its_config, ours ? ours : "");
}

static gboolean
find_owner(BusClient *client)
{
  g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
      client->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner",
      g_variant_new("(s)", AZ_WIRE_NAME), G_VARIANT_TYPE("(s)"), G_DBUS_CALL_FLAGS_NONE, CALL_MS, NULL, NULL);
  if (reply)
    g_variant_get(reply, "(s)", &client->owner);
  return reply != NULL;
}

static gboolean
reach(BusClient *client, const char *config, const char *home)
{
  client->bus = g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, NULL);
  if (!client->bus || !find_owner(client))
    return FALSE;
  g_dbus_connection_set_exit_on_close(client->bus, FALSE);
  g_autoptr(GVariant) facts = bus_query(&client->base, "engine", NULL, NULL);
  return facts && take_facts(client, facts, config, home);
}

Client *
client_bus_new(const char *config, const char *home, GError **error)
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
  g_autoptr(AzPaths) paths = az_paths_new(home);
  if (!az_home_lock_is_taken(az_paths_home(paths)))
    return NULL;
  BusClient *client = g_new0(BusClient, 1);
  client->base.way = &way;
  client->gone = g_cancellable_new();
  client->jobs = g_ptr_array_new_with_free_func(job_free);
  if (!reach(client, config, az_paths_home(paths))) {
    bus_free(&client->base);
    return NULL;
  }
  client->watch = g_bus_watch_name_on_connection(client->bus, client->owner, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL,
                                                 on_gone, client, NULL);
  return &client->base;
}
