/* What is worth waking somebody for, to the journal (with fields to search by) and to the desktop. */
#include "service-notify.h"

#define NOTIFICATIONS "org.freedesktop.Notifications"
#define REST_MS 1000 /* between two bubbles about regions: a lost uplink darkens all of them at once */
#define MAX_NAMES 3u /* that a bubble has room for */

/* Of the journal's entries; never change: people search by them (journalctl MESSAGE_ID=...). */
#define ID_STATE "f9187c1e0ee0469a95f85310c1c8d057"
#define ID_PRIMARY "4b576324eb914d13a087090debbf8190"
#define ID_NO_SWITCH "8e898ea240ec4127bb9993d7a8107874"
#define ID_RELOAD "863d0f4d7945400194ca2bd5bf45b3a7"
#define ID_WOKE "6f71b2aa3c4448f38edb4a36054f864f"

struct _ServiceNotify {
  ServiceNotifyCounts counts;
  GDBusConnection *session; /* NULL: there is no desktop to tell */
  GCancellable *gone;
  GHashTable *troubled; /* regions that are suspect or dark -> their state, interned */
  guint32 bubble;       /* the one about regions; 0 = none stands */
  gboolean asking;      /* it is being made */
  gboolean due;
  guint timer;
};

/* ---- the journal ---- */

typedef struct {
  GLogField fields[8];
  gsize n;
} Entry;

static void
add(Entry *entry, const char *key, const char *value)
{
  entry->fields[entry->n++] = (GLogField){ key, value, -1 };
}

/* GLib's writer passes the fields on where stderr is the journal, and prints the message elsewhere. */
static void
log_entry(Entry *entry, GLogLevelFlags level, const char *id, const char *message)
{
  add(entry, "PRIORITY", level == G_LOG_LEVEL_WARNING ? "4" : "5");
  add(entry, "MESSAGE_ID", id);
  add(entry, "GLIB_DOMAIN", G_LOG_DOMAIN);
  add(entry, "MESSAGE", message);
  g_log_structured_array(level, entry->fields, entry->n);
}

/* ---- the desktop ---- */

static GVariant *
hints(gboolean urgent, const char *category)
{
  GVariantDict dict;
  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert(&dict, "urgency", "y", urgent ? 2 : 1);
  g_variant_dict_insert(&dict, "category", "s", category);
  return g_variant_dict_end(&dict);
}

static void
show_bubble(ServiceNotify *notify, guint32 replaces, gboolean urgent, const char *summary, const char *body,
            GAsyncReadyCallback shown)
{
  if (notify->session == NULL)
    return;
  g_autofree char *harmless = g_markup_escape_text(body, -1); /* a body may hold markup */
  g_dbus_connection_call(notify->session, NOTIFICATIONS, "/org/freedesktop/Notifications", NOTIFICATIONS, "Notify",
                         g_variant_new("(susss@as@a{sv}i)", "azlin", replaces, "", summary, harmless,
                                       g_variant_new_strv(NULL, 0), hints(urgent, "network"), -1),
                         G_VARIANT_TYPE("(u)"), G_DBUS_CALL_FLAGS_NONE, -1, notify->gone, shown, notify);
}

static char *
names_in(ServiceNotify *notify, const char *state)
{
  g_autoptr(GString) text = g_string_new(NULL);
  GHashTableIter iter;
  gpointer name, its;
  guint n = 0;
  g_hash_table_iter_init(&iter, notify->troubled);
  while (g_hash_table_iter_next(&iter, &name, &its)) {
    if (its != state || n++ >= MAX_NAMES)
      continue;
    g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", (const char *) name);
  }
  if (n > MAX_NAMES)
    g_string_append_printf(text, " and %u more", n - MAX_NAMES);
  return g_string_free(g_steal_pointer(&text), FALSE);
}

static void show_regions(ServiceNotify *notify);

static gboolean
on_rested(gpointer data)
{
  ServiceNotify *notify = data;
  notify->timer = 0;
  if (notify->due)
    show_regions(notify);
  return G_SOURCE_REMOVE;
}

static void
on_shown(GObject *bus, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) reply = g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, &error);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  ServiceNotify *notify = data;
  notify->asking = FALSE;
  if (reply != NULL)
    g_variant_get(reply, "(u)", &notify->bubble);
  if (notify->due && notify->timer == 0)
    show_regions(notify);
}

/* One bubble for all regions, which follows them: it says what stands, and not each step to it. */
static void
show_regions(ServiceNotify *notify)
{
  g_autofree char *dark = names_in(notify, g_intern_static_string("dark"));
  g_autofree char *suspect = names_in(notify, g_intern_static_string("suspect"));
  g_autofree char *summary = NULL, *body = NULL;
  notify->due = FALSE;
  if (*dark == '\0' && *suspect == '\0' && notify->bubble == 0)
    return; /* it was over before it was told */
  if (*dark != '\0')
    summary = g_strdup_printf("DARK: %s", dark);
  else
    summary = *suspect != '\0' ? g_strdup_printf("SUSPECT: %s", suspect) : g_strdup("All regions answer again");
  body = *dark != '\0' && *suspect != '\0' ? g_strdup_printf("Suspect: %s", suspect) : g_strdup("");
  notify->asking = notify->session != NULL;
  show_bubble(notify, notify->bubble, *dark != '\0', summary, body, on_shown);
  if (*dark == '\0' && *suspect == '\0')
    notify->bubble = 0;
  notify->timer = g_timeout_add(REST_MS, on_rested, notify);
}

static void
regions_changed(ServiceNotify *notify)
{
  notify->due = TRUE;
  if (notify->session != NULL && notify->timer == 0 && !notify->asking)
    show_regions(notify);
}

/* ---- what happened ---- */

void
service_notify_state(ServiceNotify *notify, const ServiceRegion *region, const char *was)
{
  gboolean dark = g_str_equal(region->state, "dark"), troubled = dark || g_str_equal(region->state, "suspect");
  gboolean was_troubled = g_hash_table_contains(notify->troubled, region->name);
  Entry entry = { 0 };
  if (!troubled && !was_troubled)
    return;
  notify->counts.dark += dark;
  if (troubled)
    g_hash_table_replace(notify->troubled, g_strdup(region->name),
                         (gpointer) (guintptr) g_intern_string(region->state));
  else
    g_hash_table_remove(notify->troubled, region->name);
  g_autofree char *state = g_ascii_strup(region->state, -1);
  g_autofree char *message
      = g_strdup_printf("%s is %s%s, and was %s", region->name, state, region->is_primary ? ", the primary" : "", was);
  add(&entry, "AZLIN_REGION", region->name);
  add(&entry, "AZLIN_STATE", region->state);
  add(&entry, "AZLIN_WAS", was);
  add(&entry, "AZLIN_PRIMARY", region->is_primary ? "yes" : "no");
  log_entry(&entry, troubled ? G_LOG_LEVEL_WARNING : G_LOG_LEVEL_MESSAGE, ID_STATE, message);
  regions_changed(notify);
}

void
service_notify_primary(ServiceNotify *notify, const char *from, const char *to, guint64 epoch)
{
  Entry entry = { 0 };
  g_autofree char *at = g_strdup_printf("%" G_GUINT64_FORMAT, epoch);
  g_autofree char *message = g_strdup_printf("The primary is %s now, and was %s (epoch %s)", *to != '\0' ? to : "none",
                                             *from != '\0' ? from : "none", at);
  notify->counts.moves++;
  add(&entry, "AZLIN_FROM", from);
  add(&entry, "AZLIN_TO", to);
  add(&entry, "AZLIN_EPOCH", at);
  log_entry(&entry, G_LOG_LEVEL_WARNING, ID_PRIMARY, message);
  show_bubble(notify, 0, FALSE, "The primary has moved", message, NULL);
}

void
service_notify_no_switch(ServiceNotify *notify, const char *from, const char *why)
{
  Entry entry = { 0 };
  g_autofree char *message = g_strdup_printf("The primary %s should have been left, and was not: %s", from, why);
  notify->counts.failed_switches++;
  add(&entry, "AZLIN_FROM", from);
  add(&entry, "AZLIN_ERROR", why);
  log_entry(&entry, G_LOG_LEVEL_WARNING, ID_NO_SWITCH, message);
  show_bubble(notify, 0, TRUE, "No switch", message, NULL);
}

void
service_notify_reload(ServiceNotify *notify, const char *why)
{
  Entry entry = { 0 };
  g_autofree char *message
      = why != NULL
            ? g_strdup_printf("The configuration stays as it was: %s", why)
            : g_strdup("The configuration was read again; it holds for watches, and for what begins from now on");
  if (why != NULL)
    add(&entry, "AZLIN_ERROR", why);
  log_entry(&entry, why != NULL ? G_LOG_LEVEL_WARNING : G_LOG_LEVEL_MESSAGE, ID_RELOAD, message);
}

void
service_notify_woke(ServiceNotify *notify)
{
  Entry entry = { 0 };
  log_entry(&entry, G_LOG_LEVEL_MESSAGE, ID_WOKE, "This host was asleep: what was seen before does not count any more");
}

const ServiceNotifyCounts *
service_notify_counts(const ServiceNotify *notify)
{
  return &notify->counts;
}

/* ---- its life ---- */

ServiceNotify *
service_notify_new(void)
{
  ServiceNotify *notify = g_new0(ServiceNotify, 1);
  notify->gone = g_cancellable_new();
  notify->troubled = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  return notify;
}

void
service_notify_set_desktop(ServiceNotify *notify, GDBusConnection *session)
{
  notify->session = g_object_ref(session);
}

void
service_notify_free(ServiceNotify *notify)
{
  g_cancellable_cancel(notify->gone);
  g_clear_handle_id(&notify->timer, g_source_remove);
  g_clear_object(&notify->session);
  g_hash_table_unref(notify->troubled);
  g_object_unref(notify->gone);
  g_free(notify);
}
