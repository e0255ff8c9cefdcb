/* azlin status: one table of regions, and a line for each thing that decides whether to sleep well. */
#include "render.h"

#include <string.h>

#include "text.h"

static gboolean
is_true(GVariant *dict, const char *key)
{
  gboolean value = FALSE;
  g_variant_lookup(dict, key, "b", &value);
  return value;
}

/* ---- regions ---- */

static char *
data_cell(GVariant *region)
{
  double lag = 0;
  if (is_true(region, "is_primary"))
    return g_strdup("primary");
  if (!g_variant_lookup(region, "lag_seconds", "d", &lag))
    return g_strdup("never verified");
  g_autofree char *words = text_duration(lag);
  return g_strdup_printf("%s behind", words);
}

static void
show_regions(const Invocation *invocation, GVariant *regions, gint64 now)
{
  static const char *const headers[] = { "Region", "VM Name", "Status", "Checked", "Data", "Fence", NULL };
  g_autoptr(Table) table = table_new(headers);
  for (gsize i = 0; i < g_variant_n_children(regions); i++) {
    g_autoptr(GVariant) region = render_child(regions, i);
    const char *status = render_word(region, "status");
    g_autofree char *checked = render_ago(render_word(region, "last_health_check"), now), *data = data_cell(region);
    gboolean fence = is_true(region, "fence_pending"), fine = !strcmp(status, "ok") || !strcmp(status, "healthy");
    const char *cells[] = { render_word(region, "region"),
                            render_word(region, "vm_name"),
                            *status ? status : "unknown",
                            checked,
                            data,
                            fence ? "pending" : "",
                            NULL };
    table_add(table, fence ? INK_FAIL : fine ? INK_PLAIN : INK_WARN, cells);
  }
  table_print(table, invocation->terminal);
}

/* ---- one line each ---- */

static void
say(Terminal *t, gboolean fine, const char *what, const char *words)
{
  terminal_line(t, fine ? INK_PLAIN : INK_WARN, "%-12s %s", what, words);
}

static void
say_failover(Terminal *t, GVariant *result)
{
  g_autoptr(GVariant) failover = g_variant_lookup_value(result, "failover", G_VARIANT_TYPE_VARDICT);
  const char *inhibitor = render_word(result, "inhibited_by");
  g_autofree char *words = NULL;
  if (!failover)
    words = g_strdup("nobody knows what holds it back: its state cannot be read");
  else if (*render_word(result, "coordinator_trouble"))
    words = g_strdup(
        "by hand alone, as long as the coordinator cannot be asked: azlin failover --to REGION --without-lock");
  else if (is_true(failover, "paused"))
    words = g_strdup_printf("paused%s%s; to go on: azlin failover resume",
                            *render_word(failover, "paused_until") ? " until " : "",
                            render_word(failover, "paused_until"));
  else if (*inhibitor)
    words = g_strdup_printf("a program forbids a switch by itself (%s)", inhibitor);
  else if (*render_word(failover, "commit_until"))
    words = g_strdup_printf("the last switch waits for azlin failover commit until %s",
                            render_word(failover, "commit_until"));
  else if (*render_word(failover, "cooling_down_until"))
    words = g_strdup_printf("cools down until %s", render_word(failover, "cooling_down_until"));
  say(t, !words, "Failover", words ? words : "nothing holds it back");
}

static void
say_drill(Terminal *t, GVariant *result, gint64 now)
{
  g_autoptr(GVariant) drill = g_variant_lookup_value(result, "last_drill", G_VARIANT_TYPE_VARDICT);
  g_autofree char *when = drill ? render_ago(render_word(drill, "at"), now) : NULL;
  g_autofree char *words
      = drill ? g_strdup_printf("%s, %s", is_true(drill, "passed") ? "passed" : "failed", when) : NULL;
  say(t, drill && is_true(drill, "passed"), "Last drill",
      words ? words : "none; azlin failover --drill shows whether a switch would work");
}

static void
say_journal(Terminal *t, GVariant *result)
{
  g_autoptr(GVariant) journal = g_variant_lookup_value(result, "journal", G_VARIANT_TYPE_VARDICT);
  guint32 open = 0, abandoned = 0;
  g_autofree char *words = NULL;
  if (journal) {
    g_variant_lookup(journal, "open", "u", &open);
    g_variant_lookup(journal, "abandoned", "u", &abandoned);
  }
  if (!journal)
    words = g_strdup("it cannot be read");
  else if (abandoned)
    words = g_strdup_printf("%u of %u open entries are of processes that are gone: azlin recover", abandoned, open);
  else
    words = open ? g_strdup_printf("%u entr%s of work under way", open, open == 1 ? "y" : "ies")
                 : g_strdup("nothing is open");
  say(t, journal && !abandoned, "Journal", words);
}

/* Of the other homes that share these records: what is open there, by work under way or by a host that has died. */
static void
say_hosts(Terminal *t, GVariant *result)
{
  g_autoptr(GVariant) hosts = g_variant_lookup_value(result, "hosts", G_VARIANT_TYPE("aa{sv}"));
  for (gsize i = 0; hosts && i < g_variant_n_children(hosts); i++) {
    g_autoptr(GVariant) host = g_variant_get_child_value(hosts, i);
    guint32 open = 0;
    g_variant_lookup(host, "open", "u", &open);
    if (open == 0)
      continue;
    g_autofree char *words
        = g_strdup_printf("%s: %u open (%s) since %s; if it is not at work, there: azlin recover",
                          render_word(host, "host"), open, render_word(host, "what"), render_word(host, "since"));
    say(t, FALSE, "Other host", words);
  }
}

/* ---- the watches that share the regions ---- */

static char *
share_cell(GVariant *daemon)
{
  guint32 share = 0, regions = 0;
  g_variant_lookup(daemon, "share", "u", &share);
  g_variant_lookup(daemon, "regions", "u", &regions);
  return g_strdup_printf("%u of %u", share, regions);
}

static char *
lag_cell(GVariant *daemon)
{
  double lag = 0;
  g_variant_lookup(daemon, "lag_seconds", "d", &lag);
  if (lag < 1)
    return g_strdup("on time");
  g_autofree char *words = text_duration(lag);
  return g_strdup_printf("%s late", words);
}

static char *
role_cell(GVariant *daemon)
{
  const char *held = render_word(daemon, "held_by");
  gboolean here = is_true(daemon, "is_here"), judge = is_true(daemon, "judges_primary");
  return g_strdup_printf("%s%s%s%s%s", judge ? "judges the primary" : "", judge && here ? ", " : "", here ? "here" : "",
                         *held && (judge || here) ? ", " : "", held);
}

static void
show_daemons(const Invocation *invocation, GVariant *daemons, gint64 now)
{
  static const char *const headers[] = { "Watch", "Place", "Since", "Share", "Looks", "", NULL };
  g_autoptr(Table) table = table_new(headers);
  for (gsize i = 0; i < g_variant_n_children(daemons); i++) {
    g_autoptr(GVariant) daemon = render_child(daemons, i);
    g_autofree char *since = render_ago(render_word(daemon, "since"), now), *share = share_cell(daemon);
    g_autofree char *lag = lag_cell(daemon), *role = role_cell(daemon);
    const char *cells[] = { render_word(daemon, "name"), render_word(daemon, "place"), since, share, lag, role, NULL };
    table_add(table, *render_word(daemon, "held_by") ? INK_WARN : INK_PLAIN, cells);
  }
  terminal_line(invocation->terminal, INK_PLAIN, "%s", "");
  table_print(table, invocation->terminal);
}

static void
say_daemons(const Invocation *invocation, GVariant *result, gint64 now)
{
  g_autoptr(GVariant) daemons = g_variant_lookup_value(result, "daemons", NULL);
  gboolean known = daemons && g_variant_is_container(daemons) && !g_variant_is_of_type(daemons, G_VARIANT_TYPE_UNIT);
  if (known && g_variant_n_children(daemons))
    show_daemons(invocation, daemons, now);
  else if (known)
    say(invocation->terminal, FALSE, "Watches", "none is there; azlin watch on any host looks after the regions");
}

void
render_status(const Invocation *invocation, Client *client, GVariant *result)
{
  Terminal *t = invocation->terminal;
  g_autoptr(GVariant) regions = g_variant_lookup_value(result, "regions", NULL);
  gint64 now = client_now(client);
  guint64 epoch = 0;
  g_variant_lookup(result, "epoch", "t", &epoch);
  if (regions && g_variant_n_children(regions))
    show_regions(invocation, regions, now);
  else
    terminal_line(t, INK_PLAIN, "No regions yet. Create one: azlin new --region REGION");
  terminal_line(t, INK_PLAIN, "%s", "");
  g_autofree char *primary = *render_word(result, "primary") ? g_strdup_printf("%s, epoch %" G_GUINT64_FORMAT,
                                                                               render_word(result, "primary"), epoch)
                                                             : g_strdup("none stands");
  say(t, *render_word(result, "primary"), "Primary", primary);
  say_failover(t, result);
  say_drill(t, result, now);
  say_journal(t, result);
  say_hosts(t, result);
  const char *trouble = render_word(result, "coordinator_trouble");
  g_autofree char *coordinator
      = g_strdup_printf("%s%s%s", render_word(result, "coordinator"), *trouble ? ": " : "", trouble);
  say(t, !*trouble, "Coordinator", coordinator);
  say(t, TRUE, "Service",
      is_true(result, "azlind") ? "azlind works in this home: azlin jobs list" : "azlind does not run");
  say_daemons(invocation, result, now);
}
