/* azlind: the engine as a service of a message bus; several clients share it, and jobs outlive theirs. */
#include "service.h"

#include "error.h"
#include "home-lock.h"
#include "paths.h"
#include "service-watchdog.h"
#include "wire.h"

#include <glib-unix.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define IDLE_SECONDS 60
#define EXIT_LOCKED 4
#define LOCK_MS 1500
#define LOCK_STEP_MS 10
#define EXIT_USAGE 64
#define EXIT_CONFIG 78

typedef struct {
  char *config, *home;
  int idle_seconds;
  gboolean of_system; /* on the system bus, for several users */
} Options;

typedef struct {
  const Options *options;
  GMainLoop *loop;
  Service *service;
  ServiceWatchdog *watchdog;
  guint idle; /* source that ends it */
  int exit_code;
  gboolean ending, named;
} Daemon;

/* ---- when it ends ---- */

static gboolean
on_idle(gpointer data)
{
  Daemon *self = data;
  self->idle = 0;
  g_main_loop_quit(self->loop);
  return G_SOURCE_REMOVE;
}

static void
on_busy(gboolean busy, gpointer data)
{
  Daemon *self = data;
  g_clear_handle_id(&self->idle, g_source_remove);
  if (!busy && self->options->idle_seconds > 0)
    self->idle = g_timeout_add_seconds((guint) self->options->idle_seconds, on_idle, self);
}

static void
on_wound_up(gpointer data)
{
  g_main_loop_quit(((Daemon *) data)->loop);
}

/* The first one ends its jobs in good order, a second one at once. */
static gboolean
on_signal(gpointer data)
{
  Daemon *self = data;
  if (self->ending)
    _exit(130);
  self->ending = TRUE;
  service_watchdog_say(self->watchdog, "STOPPING=1");
  service_wind_up(self->service, on_wound_up, self);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_hangup(gpointer data)
{
  Daemon *self = data;
  service_reload(self->service, self->options->config, self->options->home);
  return G_SOURCE_CONTINUE;
}

/* ---- the bus ---- */

static void
on_bus(GDBusConnection *connection, const char *name, gpointer data)
{
  Daemon *self = data;
  g_autoptr(GError) error = NULL;
  g_dbus_connection_set_exit_on_close(connection, FALSE); /* jobs end in good order then, too */
  if (!self->options->of_system)
    service_set_desktop(self->service, connection);
  if (self->options->of_system ? service_export_guarded(self->service, connection, &error)
                               : service_export(self->service, connection, &error))
    return;
  fprintf(stderr, "azlind: it cannot be shown on the bus: %s\n", error->message);
  self->exit_code = 1;
  g_main_loop_quit(self->loop);
}

static void
on_name(GDBusConnection *connection, const char *name, gpointer data)
{
  Daemon *self = data;
  self->named = TRUE;
  service_watchdog_say(self->watchdog, "READY=1");
  service_resume(self->service);
  on_busy(service_is_busy(self->service), self);
}

static void
on_no_name(GDBusConnection *connection, const char *name, gpointer data)
{
  Daemon *self = data;
  if (self->named)
    fprintf(stderr, "azlind: the bus, or its name there, was lost\n");
  else if (connection == NULL)
    fprintf(stderr, self->options->of_system
                        ? "azlind: there is no system bus\n"
                        : "azlind: there is no session bus; start one, or azlind from a session that has one\n");
  else if (self->options->of_system)
    fprintf(stderr, "azlind: another azlind is on the system bus, or the bus does not let this user be it\n");
  else
    fprintf(stderr, "azlind: another azlind is on this bus\n");
  self->exit_code = self->named || connection == NULL ? 1 : EXIT_LOCKED;
  self->ending = TRUE;
  service_wind_up(self->service, on_wound_up, self);
}

static int
serve(Daemon *self)
{
  guint name = g_bus_own_name(self->options->of_system ? G_BUS_TYPE_SYSTEM : G_BUS_TYPE_SESSION, AZ_WIRE_NAME,
                              G_BUS_NAME_OWNER_FLAGS_DO_NOT_QUEUE, on_bus, on_name, on_no_name, self, NULL);
  guint signals[] = { g_unix_signal_add(SIGTERM, on_signal, self), g_unix_signal_add(SIGINT, on_signal, self),
                      g_unix_signal_add(SIGHUP, on_hangup, self) };
  self->loop = g_main_loop_new(NULL, FALSE);
  service_on_busy(self->service, on_busy, self);
  g_main_loop_run(self->loop);
  g_clear_handle_id(&self->idle, g_source_remove);
  for (guint i = 0; i < G_N_ELEMENTS(signals); i++)
    g_source_remove(signals[i]);
  g_bus_unown_name(name);
  g_main_loop_unref(self->loop);
  return self->exit_code;
}

/* ---- the beginning ---- */

static int
refuse(const GError *error, int exit_code)
{
  fprintf(stderr, "azlind: %s\n", error->message);
  return exit_code;
}

/* What nobody has chosen; the homes of users, and what they configured there, are not the system's. */
static void
use_places_of_system(Options *options)
{
  if (options->home == NULL && secure_getenv("AZLIN_HOME") == NULL)
    options->home = g_strdup(AZLIN_STATEDIR);
  if (options->config == NULL && secure_getenv("AZLIN_CONFIG") == NULL)
    options->config = g_strdup(AZLIN_SYSCONFDIR "/azlin/azlin.conf");
}

/* The bus starts the next one as soon as a killed one has left it, which may be a moment before the kernel has taken
 * the rest of it down. */
static int
take_home(const char *home, GError **error)
{
  for (guint waited_ms = 0; waited_ms < LOCK_MS; waited_ms += LOCK_STEP_MS) {
    g_autoptr(GError) why = NULL;
    int lock = az_home_lock_take(home, &why);
    if (lock >= 0 || !g_error_matches(why, AZLIN_ERROR, AZLIN_ERROR_LOCKED)) {
      if (why != NULL)
        g_propagate_error(error, g_steal_pointer(&why));
      return lock;
    }
    g_usleep(LOCK_STEP_MS * 1000);
  }
  return az_home_lock_take(home, error);
}

static int
run(const Options *options)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(ServiceWatchdog) watchdog = service_watchdog_new();
  g_autoptr(AzPaths) paths = az_paths_new(options->home);
  if (!az_paths_ensure(paths, &error))
    return refuse(error, EXIT_CONFIG);
  int lock = take_home(az_paths_home(paths), &error);
  if (lock < 0)
    return refuse(error, EXIT_LOCKED);
  g_autoptr(AzEngine) engine = az_engine_new(options->config, options->home, &error);
  if (engine == NULL)
    return refuse(error, EXIT_CONFIG);
  g_autoptr(Service) service = service_new(engine);
  if (!service_offer_metrics(service, &error))
    return refuse(error, EXIT_CONFIG);
  Daemon self = { .options = options, .service = service, .watchdog = watchdog };
  return serve(&self);
}

int
main(int argc, char **argv)
{
  static Options options = { .idle_seconds = IDLE_SECONDS };
  g_autoptr(GError) error = NULL;
  gboolean version = FALSE;
  const GOptionEntry entries[] = {
    { "config", 0, 0, G_OPTION_ARG_FILENAME, &options.config, "configuration file", "FILE" },
    { "home", 0, 0, G_OPTION_ARG_FILENAME, &options.home, "where state is kept (default: $AZLIN_HOME, else ~/.azlin)",
      "DIR" },
    { "idle", 0, 0, G_OPTION_ARG_INT, &options.idle_seconds,
      "end after so many seconds without a job; 0: never (default: 60)", "SECONDS" },
    { "system", 0, 0, G_OPTION_ARG_NONE, &options.of_system,
      "serve all users on the system bus; polkit says who may what", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "print the version", NULL },
    { 0 },
  };
  setlocale(LC_CTYPE, "");
  g_autoptr(GOptionContext) context
      = g_option_context_new("- azlin as a service of the session bus, or of the system bus");
  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1 || options.idle_seconds < 0) {
    fprintf(stderr, "azlind: %s; see azlind --help\n",
            error != NULL ? error->message : "a word too many, or --idle below 0");
    return EXIT_USAGE;
  }
  if (version) {
    printf("azlind %s\n", AZLIN_VERSION);
    return 0;
  }
  if (options.of_system)
    use_places_of_system(&options);
  return run(&options);
}
