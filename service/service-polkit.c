/* polkit is asked by a plain call on the bus; whatever is not a clear yes is a no. */
#include "service-polkit.h"

#define NAME "org.freedesktop.PolicyKit1"
#define PATH "/org/freedesktop/PolicyKit1/Authority"
#define INTERFACE NAME ".Authority"
#define ALLOW_INTERACTION 1u
#define SILENT_MS 20000 /* what needs no person takes milliseconds */

struct _ServiceQuestion {
  GDBusConnection *bus;
  GCancellable *withdrawn;
  char *id;
  char *action;
  gboolean interactive;
  ServiceAnswered answered;
  gpointer data;
};

static void
question_free(ServiceQuestion *question)
{
  g_object_unref(question->bus);
  g_object_unref(question->withdrawn);
  g_free(question->id);
  g_free(question->action);
  g_free(question);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ServiceQuestion, question_free)

static char *
judge(const ServiceQuestion *question, GVariant *reply, const GError *error)
{
  gboolean allowed = FALSE, could_ask = FALSE;
  if (reply == NULL)
    return g_strdup_printf("polkit does not say that %s is granted: %s", question->action, error->message);
  g_variant_get(reply, "((bba{ss}))", &allowed, &could_ask, NULL);
  if (allowed)
    return NULL;
  if (!could_ask)
    return g_strdup_printf("%s is not granted to you", question->action);
  return g_strdup_printf("%s is not granted to you; with a password it may be: %s", question->action,
                         question->interactive ? "have an agent of polkit in your session (pkttyagent is one)"
                                               : "allow interactive authorization");
}

static void
on_reply(GObject *bus, GAsyncResult *result, gpointer data)
{
  g_autoptr(ServiceQuestion) question = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) reply = g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, &error);
  if (g_cancellable_is_cancelled(question->withdrawn))
    return;
  if (error != NULL)
    g_dbus_error_strip_remote_error(error);
  g_autofree char *why = judge(question, reply, error);
  question->answered(why, question->data);
}

ServiceQuestion *
service_polkit_ask(GDBusConnection *bus, const char *sender, const char *action, GVariant *details,
                   gboolean interactive, ServiceAnswered answered, gpointer data)
{
  static guint64 last_id;
  ServiceQuestion *question = g_new0(ServiceQuestion, 1);
  question->bus = g_object_ref(bus);
  question->withdrawn = g_cancellable_new();
  question->id = g_strdup_printf("azlind-%" G_GUINT64_FORMAT, ++last_id);
  question->action = g_strdup(action);
  question->interactive = interactive;
  question->answered = answered;
  question->data = data;
  GVariant *subject = g_variant_new_parsed("('system-bus-name', {'name': <%s>})", sender);
  GVariant *wanted = g_variant_new("(@(sa{sv})s@a{ss}us)", subject, action, details,
                                   interactive ? ALLOW_INTERACTION : 0u, question->id);
  g_dbus_connection_call(bus, NAME, PATH, INTERFACE, "CheckAuthorization", wanted, G_VARIANT_TYPE("((bba{ss}))"),
                         G_DBUS_CALL_FLAGS_NONE, interactive ? G_MAXINT : SILENT_MS, question->withdrawn, on_reply,
                         question);
  return question;
}

void
service_polkit_withdraw(ServiceQuestion *question)
{
  g_dbus_connection_call(question->bus, NAME, PATH, INTERFACE, "CancelCheckAuthorization",
                         g_variant_new("(s)", question->id), NULL, G_DBUS_CALL_FLAGS_NO_AUTO_START, SILENT_MS, NULL,
                         NULL, NULL);
  g_cancellable_cancel(question->withdrawn);
}
