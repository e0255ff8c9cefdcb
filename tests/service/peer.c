/* The service over a socketpair, without any bus: one peer is azlind's objects, the other a program that calls them. */
#include "service-private.h"

#include "wire.h"

#include <gio/gunixfdlist.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANAGER AZ_WIRE_NAME ".Manager"
#define JOB AZ_WIRE_NAME ".Job"
#define REGION AZ_WIRE_NAME ".Region"

typedef struct {
  char *path, *name;
  GVariant *arguments;
} Heard;

typedef struct {
  char *folder, *config, *home;
  AzEngine *engine;
  Service *service;
  GDBusConnection *ours, *theirs;
  GPtrArray *heard;
} Scene;

static GString *told; /* to the journal */

static GLogWriterOutput
write_log(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  for (gsize i = 0; i < n; i++)
    if (g_str_equal(fields[i].key, "MESSAGE"))
      g_string_append_printf(told, "%s\n", (const char *) fields[i].value);
  return G_LOG_WRITER_HANDLED;
}

/* ---- the two peers ---- */

static void
heard_free(gpointer data)
{
  Heard *heard = data;
  g_free(heard->path);
  g_free(heard->name);
  g_variant_unref(heard->arguments);
  g_free(heard);
}

static void
on_signal(GDBusConnection *connection, const char *sender, const char *path, const char *interface, const char *name,
          GVariant *arguments, gpointer data)
{
  Heard *heard = g_new0(Heard, 1);
  *heard = (Heard){ g_strdup(path), g_strdup(name), g_variant_ref(arguments) };
  g_ptr_array_add(((Scene *) data)->heard, heard);
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;
  *(GDBusConnection **) data = g_dbus_connection_new_finish(result, &error);
  g_assert_no_error(error);
}

static void
connect_end(int fd, GDBusConnectionFlags flags, GDBusConnection **ret_connection)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *guid = g_dbus_generate_guid();
  g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, &error);
  g_assert_no_error(error);
  g_autoptr(GSocketConnection) stream = g_socket_connection_factory_create_connection(socket);
  gboolean server = (flags & G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER) != 0;
  g_dbus_connection_new(G_IO_STREAM(stream), server ? guid : NULL, flags, NULL, NULL, on_connected, ret_connection);
}

static void
write_config(Scene *scene, const char *text)
{
  g_assert_true(g_file_set_contents_full(scene->config, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

/* Two jobs of a service that was killed in this home. */
static void
leave_jobs(const Scene *scene)
{
  g_autoptr(GVariant) none = g_variant_ref_sink(g_variant_new("a{sv}", NULL));
  g_assert_cmpint(g_mkdir_with_parents(scene->home, 0700), ==, 0);
  service_store_begin(scene->home, 9, 7, "watch", SERVICE_NOBODY, none);
  service_store_begin(scene->home, 9, 8, "deploy", SERVICE_NOBODY, none);
}

/* `left`: whether it is of a service that was killed. */
static void
set_up(Scene *scene, gconstpointer left)
{
  g_autoptr(GError) error = NULL;
  int ends[2];
  g_mkdir_with_parents(g_getenv("AZLIN_TEST_DIR"), 0700);
  scene->folder = g_build_filename(g_getenv("AZLIN_TEST_DIR"), "peer-XXXXXX", NULL);
  g_assert_nonnull(g_mkdtemp(scene->folder));
  scene->config = g_build_filename(scene->folder, "azlin.conf", NULL);
  scene->home = g_build_filename(scene->folder, "home", NULL);
  write_config(scene, "[bricks]\nprovider=sim\n");
  if (left != NULL)
    leave_jobs(scene);
  g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  connect_end(ends[0], G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER, &scene->ours);
  connect_end(ends[1], G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, &scene->theirs);
  while (scene->ours == NULL || scene->theirs == NULL)
    g_main_context_iteration(NULL, TRUE);
  scene->heard = g_ptr_array_new_with_free_func(heard_free);
  g_dbus_connection_signal_subscribe(scene->theirs, NULL, NULL, NULL, NULL, NULL, G_DBUS_SIGNAL_FLAGS_NONE, on_signal,
                                     scene, NULL);
  scene->engine = az_engine_new(scene->config, scene->home, &error);
  g_assert_no_error(error);
  scene->service = service_new(scene->engine);
  g_assert_true(service_export(scene->service, scene->ours, &error));
}

static void
remove_all(const char *path)
{
  const char *const argv[] = { "rm", "-rf", "--", path, NULL };
  g_assert_true(
      g_spawn_sync(NULL, (char **) (guintptr) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
}

static void
tear_down(Scene *scene, gconstpointer data)
{
  service_free(scene->service);
  az_engine_free(scene->engine);
  g_dbus_connection_close_sync(scene->theirs, NULL, NULL);
  g_clear_object(&scene->theirs);
  g_clear_object(&scene->ours);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  g_ptr_array_unref(scene->heard);
  remove_all(scene->folder);
  g_free(scene->folder);
  g_free(scene->config);
  g_free(scene->home);
}

/* ---- what a program does ---- */

typedef struct {
  GVariant *reply;
  GUnixFDList *descriptors;
  GError *error;
  gboolean over;
} Answer;

static void
on_reply(GObject *source, GAsyncResult *result, gpointer data)
{
  Answer *answer = data;
  answer->reply = g_dbus_connection_call_with_unix_fd_list_finish(G_DBUS_CONNECTION(source), &answer->descriptors,
                                                                  result, &answer->error);
  answer->over = TRUE;
}

static Answer
ask(Scene *scene, const char *path, const char *interface, const char *method, GVariant *arguments)
{
  Answer answer = { 0 };
  g_dbus_connection_call_with_unix_fd_list(scene->theirs, NULL, path, interface, method, arguments, NULL,
                                           G_DBUS_CALL_FLAGS_NONE, 20000, NULL, NULL, on_reply, &answer);
  while (!answer.over)
    g_main_context_iteration(NULL, TRUE);
  return answer;
}

static GVariant *
call(Scene *scene, const char *path, const char *interface, const char *method, GVariant *arguments)
{
  Answer answer = ask(scene, path, interface, method, arguments);
  g_assert_no_error(answer.error);
  g_clear_object(&answer.descriptors);
  return answer.reply;
}

static void
assert_refused(Scene *scene, const char *path, const char *interface, const char *method, GVariant *arguments,
               const char *type)
{
  Answer answer = ask(scene, path, interface, method, arguments);
  g_autofree char *name = answer.error != NULL ? g_dbus_error_get_remote_error(answer.error) : NULL;
  g_autofree char *wanted = g_strconcat(AZ_WIRE_ERROR, type, NULL);
  g_assert_cmpstr(name, ==, wanted);
  g_clear_error(&answer.error);
  g_clear_object(&answer.descriptors);
}

/* `args`: floating a{sv}. The path, owned. */
static char *
submit(Scene *scene, const char *kind, GVariant *args)
{
  char *path = NULL;
  g_autoptr(GVariant) reply = call(scene, AZ_WIRE_PATH, MANAGER, "Submit", g_variant_new("(s@a{sv})", kind, args));
  g_variant_get(reply, "(o)", &path);
  return path;
}

static gboolean
start(Scene *scene, const char *path)
{
  gboolean first = FALSE;
  g_autoptr(GVariant) reply = call(scene, path, JOB, "Start", NULL);
  g_variant_get(reply, "(b)", &first);
  return first;
}

static GVariant *
get(Scene *scene, const char *path, const char *interface, const char *name)
{
  GVariant *value = NULL;
  g_autoptr(GVariant) reply = call(scene, path, AZ_WIRE_PROPERTIES, "Get", g_variant_new("(ss)", interface, name));
  g_variant_get(reply, "(v)", &value);
  return value;
}

static void
assert_state(Scene *scene, const char *path, const char *state)
{
  g_autoptr(GVariant) value = get(scene, path, JOB, "State");
  g_assert_cmpstr(g_variant_get_string(value, NULL), ==, state);
}

/* The number `index` of those signals; NULL: there are not so many yet. */
static GVariant *
heard(Scene *scene, const char *path, const char *name, guint index)
{
  for (guint i = 0; i < scene->heard->len; i++) {
    const Heard *one = g_ptr_array_index(scene->heard, i);
    if (g_str_equal(one->name, name) && (path == NULL || g_str_equal(one->path, path)) && index-- == 0)
      return one->arguments;
  }
  return NULL;
}

static GVariant *
await(Scene *scene, const char *path, const char *name, guint index)
{
  GVariant *arguments = NULL;
  while ((arguments = heard(scene, path, name, index)) == NULL)
    g_main_context_iteration(NULL, TRUE);
  return arguments;
}

static int
await_end(Scene *scene, const char *path)
{
  int exit_code = -1;
  g_variant_get_child(await(scene, path, "Finished", 0), 0, "i", &exit_code);
  return exit_code;
}

static GVariant *
none(void)
{
  return g_variant_new("a{sv}", NULL);
}

static void
deploy(Scene *scene)
{
  g_autofree char *path = submit(scene, "deploy", g_variant_new_parsed("{'regions': <['eastus', 'westus2']>}"));
  start(scene, path);
  g_assert_cmpint(await_end(scene, path), ==, 0);
}

/* ---- what must hold ---- */

static void
test_manager(Scene *scene, gconstpointer data)
{
  g_autoptr(GVariant) home = get(scene, AZ_WIRE_PATH, MANAGER, "Home"), kinds = NULL, engine = NULL;
  g_assert_cmpstr(g_variant_get_string(home, NULL), ==, scene->home);
  kinds = get(scene, AZ_WIRE_PATH, MANAGER, "Kinds");
  g_autofree const char **names = g_variant_get_strv(kinds, NULL);
  g_assert_true(g_strv_contains(names, "deploy") && g_strv_contains(names, "watch"));
  engine = call(scene, AZ_WIRE_PATH, MANAGER, "Query", g_variant_new("(s@a{sv})", "engine", none()));
  g_autoptr(GVariant) facts = g_variant_get_child_value(engine, 0);
  const char *config = NULL;
  g_assert_true(g_variant_lookup(facts, "config", "&s", &config));
  g_assert_cmpstr(config, ==, scene->config);
  assert_refused(scene, AZ_WIRE_PATH, MANAGER, "Submit", g_variant_new("(s@a{sv})", "deploi", none()), "InvalidUsage");
  assert_refused(scene, AZ_WIRE_PATH, MANAGER, "Query", g_variant_new("(s@a{sv})", "weather", none()), "InvalidUsage");
}

static void
test_objects(Scene *scene, gconstpointer data)
{
  g_autofree char *path = submit(scene, "regions-list", none());
  const char *shown = NULL;
  g_variant_get_child(await(scene, AZ_WIRE_PATH, "InterfacesAdded", 0), 0, "&o", &shown);
  g_assert_cmpstr(shown, ==, path);
  g_autoptr(GVariant) reply = call(scene, AZ_WIRE_PATH, AZ_WIRE_OBJECTS, "GetManagedObjects", NULL);
  g_autoptr(GVariant) all = g_variant_get_child_value(reply, 0);
  g_autoptr(GVariant) interfaces = g_variant_lookup_value(all, path, NULL);
  g_assert_nonnull(interfaces);
  g_autoptr(GVariant) job = g_variant_lookup_value(interfaces, JOB, G_VARIANT_TYPE_VARDICT);
  const char *state = NULL;
  g_assert_true(g_variant_lookup(job, "State", "&s", &state));
  g_assert_cmpstr(state, ==, "created");
  g_variant_unref(call(scene, path, JOB, "Cancel", NULL)); /* nobody has started it: it goes */
  g_variant_get_child(await(scene, AZ_WIRE_PATH, "InterfacesRemoved", 0), 0, "&o", &shown);
  g_assert_cmpstr(shown, ==, path);
  g_assert_false(service_is_busy(scene->service));
}

static void
assert_all_was_said(Scene *scene, const char *path)
{
  g_autoptr(GVariant) reply = call(scene, path, JOB, "Listen", g_variant_new("(t)", G_GUINT64_CONSTANT(0)));
  g_autoptr(GVariant) said = g_variant_get_child_value(reply, 0);
  gsize n = g_variant_n_children(said);
  g_assert_cmpuint(n, >, 3);
  g_assert_null(heard(scene, path, "Said", (guint) n));
  for (guint i = 0; i < n; i++) {
    g_autoptr(GVariant) kept = g_variant_get_child_value(said, i);
    guint64 number = 0;
    g_variant_get_child(kept, 0, "t", &number);
    g_assert_cmpuint(number, ==, i);
    g_assert_true(g_variant_equal(kept, heard(scene, path, "Said", i)));
  }
}

static void
test_life_of_a_job(Scene *scene, gconstpointer data)
{
  g_autofree char *path = submit(scene, "deploy", g_variant_new_parsed("{'regions': <['eastus', 'westus2']>}"));
  assert_state(scene, path, "created");
  g_assert_true(start(scene, path));
  g_assert_false(start(scene, path));
  g_assert_true(service_is_busy(scene->service));
  g_assert_cmpint(await_end(scene, path), ==, 0);
  assert_state(scene, path, "done");
  g_assert_nonnull(heard(scene, path, "RegionChanged", 1));
  g_assert_nonnull(heard(scene, path, "PropertiesChanged", 0));
  g_assert_null(heard(scene, path, "Finished", 1));
  assert_all_was_said(scene, path);
  g_autoptr(GVariant) result = get(scene, path, JOB, "Result");
  guint32 total = 0;
  g_assert_true(g_variant_lookup(result, "total_regions", "u", &total));
  g_assert_cmpuint(total, ==, 2);
  await(scene, AZ_WIRE_PATH, "InterfacesAdded", 2); /* the job, and two regions that stand on record now */
  g_autoptr(GVariant) name = get(scene, AZ_WIRE_PATH "/regions/westus2", REGION, "Name");
  g_assert_cmpstr(g_variant_get_string(name, NULL), ==, "westus2");
}

static void
test_question(Scene *scene, gconstpointer data)
{
  deploy(scene);
  g_autofree char *path = submit(scene, "vm-stop", g_variant_new_parsed("{'region': <'eastus'>}"));
  GVariant *wrong = g_variant_new_parsed("({'yes': <true>, 'question': <uint32 7>},)");
  start(scene, path);
  for (guint i = 0; scene->heard->len > 0; i++) {
    const char *what = NULL;
    g_variant_get_child(await(scene, path, "Said", i), 2, "&s", &what);
    if (g_str_equal(what, "question"))
      break;
  }
  assert_state(scene, path, "waiting-answer");
  assert_refused(scene, path, JOB, "Answer", wrong, "InvalidUsage");
  g_variant_unref(call(scene, path, JOB, "Answer", g_variant_new_parsed("({'yes': <true>},)")));
  g_assert_cmpint(await_end(scene, path), ==, 0);
  assert_refused(scene, path, JOB, "Answer", g_variant_new_parsed("({'yes': <true>},)"), "InvalidUsage");
}

/* Until its end is closed, whatever connection it came over. */
static void
test_inhibition(Scene *scene, gconstpointer data)
{
  Answer answer = ask(scene, AZ_WIRE_PATH, MANAGER, "Inhibit", g_variant_new("(ss)", "a test", "it tests"));
  g_assert_no_error(answer.error);
  g_variant_unref(answer.reply);
  g_assert_true(service_is_busy(scene->service));
  g_clear_object(&answer.descriptors); /* closes it */
  while (service_is_busy(scene->service))
    g_main_context_iteration(NULL, TRUE);
}

/* One for each reading of the configuration, for as long as a job needs it. */
static void
test_engines(Scene *scene, gconstpointer data)
{
  deploy(scene);
  g_autofree char *path = submit(scene, "vm-stop", g_variant_new_parsed("{'region': <'eastus'>}"));
  start(scene, path);
  while (scene->service->engines->len > 1) /* what the deploy had begun to read */
    g_main_context_iteration(NULL, TRUE);
  for (guint i = 0; i < 3; i++)
    service_reload(scene->service, scene->config, scene->home);
  while (scene->service->engines->len > 2) /* the first, which a job waits in, and the newest */
    g_main_context_iteration(NULL, TRUE);
  g_assert_true(g_ptr_array_index(scene->service->engines, 0) != NULL && scene->service->engine != scene->engine);
  write_config(scene, "[bricks]\nprovider=nonsense\n");
  AzEngine *good = scene->service->engine;
  g_string_truncate(told, 0);
  service_reload(scene->service, scene->config, scene->home);
  g_assert_nonnull(strstr(told->str, "stays as it was"));
  g_assert_true(scene->service->engine == good);
  g_variant_unref(call(scene, path, JOB, "Answer", g_variant_new_parsed("({'yes': <true>},)")));
  g_assert_cmpint(await_end(scene, path), ==, 0);
  while (scene->service->engines->len > 1)
    g_main_context_iteration(NULL, TRUE);
  g_assert_true(scene->service->engine == good);
}

static gboolean
is_on_disk(const Scene *scene, const char *file)
{
  g_autofree char *path = g_build_filename(scene->home, "jobs", file, NULL);
  return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void
test_jobs_of_a_killed_one(Scene *scene, gconstpointer data)
{
  const char *const watch = AZ_WIRE_PATH "/job/7", *const deploy = AZ_WIRE_PATH "/job/8";
  assert_state(scene, watch, "running");
  assert_state(scene, deploy, "failed");
  g_assert_false(start(scene, watch)); /* it is under way for whoever asks */
  g_variant_unref(call(scene, watch, JOB, "Cancel", NULL));
  g_assert_cmpint(scene->service->live, ==, 0);
  g_assert_true(is_on_disk(scene, "7.job") && is_on_disk(scene, "8.job"));
  service_resume(scene->service);
  g_assert_false(is_on_disk(scene, "8.job"));
  await_end(scene, watch);
  assert_state(scene, watch, "cancelled");
  while (is_on_disk(scene, "7.job"))
    g_main_context_iteration(NULL, TRUE);
  g_autofree char *next = submit(scene, "status", none());
  g_assert_cmpstr(next, ==, AZ_WIRE_PATH "/job/10");
}

int
main(int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*test)(Scene *scene, gconstpointer data);
    const char *left;
  } tests[] = { { "manager", test_manager, NULL },
                { "objects", test_objects, NULL },
                { "life-of-a-job", test_life_of_a_job, NULL },
                { "question", test_question, NULL },
                { "inhibition", test_inhibition, NULL },
                { "engines", test_engines, NULL },
                { "jobs-of-a-killed-one", test_jobs_of_a_killed_one, "jobs" } };
  g_setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent", TRUE); /* no logind either */
  g_test_init(&argc, &argv, NULL);
  g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK); /* what it tells the journal of are warnings, too */
  g_log_set_writer_func(write_log, NULL, NULL);
  told = g_string_new(NULL);
  for (guint i = 0; i < G_N_ELEMENTS(tests); i++) {
    g_autofree char *path = g_strconcat("/service/peer/", tests[i].name, NULL);
    g_test_add(path, Scene, tests[i].left, set_up, tests[i].test, tear_down);
  }
  int status = g_test_run();
  g_string_free(told, TRUE);
  return status;
}
