/* What the queries answer: configuration, bricks, audit log. */
#include "render.h"

#include <string.h>

#include "text.h"

void
render_config(const Invocation *invocation, Client *client, GVariant *result)
{
  static const char *const headers[] = { "Group", "Name", "Value", "Origin", NULL };
  static const char *const keys[] = { "group", "name", "value", "origin", NULL };
  static const char *const short_headers[] = { "Group", "Name", "Value", NULL };
  static const char *const short_keys[] = { "group", "name", "value", NULL };
  gboolean origin = FALSE;
  g_variant_lookup(invocation->args, "origin", "b", &origin);
  render_records(invocation->terminal, result, "config", origin ? headers : short_headers, origin ? keys : short_keys);
}

void
render_bricks(const Invocation *invocation, Client *client, GVariant *result)
{
  static const char *const headers[] = { "Kind", "Name", "State", "Version", "Summary", NULL };
  static const char *const keys[] = { "kind", "name", "state", "version", "summary", NULL };
  render_records(invocation->terminal, result, "bricks", headers, keys);
}

void
render_jobs(const Invocation *invocation, Client *client, GVariant *result)
{
  static const char *const headers[] = { "Job", "Kind", "State", "Started", "Last said", NULL };
  static const char *const keys[] = { "job", "kind", "state", "started_at", "message", NULL };
  g_autoptr(GVariant) jobs = g_variant_lookup_value(result, "jobs", G_VARIANT_TYPE("aa{sv}"));
  if (jobs && g_variant_n_children(jobs) > 0)
    render_records(invocation->terminal, result, "jobs", headers, keys);
  else
    terminal_line(invocation->terminal, INK_PLAIN,
                  "No jobs: azlind does not work in this home, or has had nothing to do.");
}

void
render_brick(const Invocation *invocation, Client *client, GVariant *result)
{
  static const char *const headers[] = { "Option", "Type", "Default", "From", "To", "What it is", NULL };
  static const char *const keys[] = { "name", "type", "default", "min", "max", "help", NULL };
  static const char *const facts[] = { "kind", "name", "state", "summary", "version", "license", "file", NULL };
  Terminal *t = invocation->terminal;
  g_autoptr(GVariant) bricks = g_variant_lookup_value(result, "bricks", NULL);
  g_autoptr(GVariant) brick = bricks ? render_child(bricks, 0) : NULL;
  if (!brick)
    return;
  for (guint i = 0; facts[i]; i++) {
    const char *value = "";
    g_variant_lookup(brick, facts[i], "&s", &value);
    terminal_line(t, INK_PLAIN, "%-8s  %s", facts[i], value);
  }
  g_autoptr(GVariant) options = g_variant_lookup_value(brick, "options", NULL);
  if (!options || !g_variant_n_children(options))
    return;
  fputc('\n', t->out);
  render_records(t, brick, "options", headers, keys);
}

/* The facts that fit on a line; lists (evidence, weights) are for -o json. Owned. */
static char *
short_facts(GVariant *facts)
{
  g_autoptr(GString) line = g_string_new(NULL);
  GVariantIter iter;
  const char *key;
  GVariant *value;
  g_variant_iter_init(&iter, facts);
  while (g_variant_iter_loop(&iter, "{&sv}", &key, &value)) {
    if (!g_variant_type_is_basic(g_variant_get_type(value)))
      continue;
    g_autofree char *told = render_plain(value);
    g_string_append_printf(line, "%s%s=%s", line->len ? ", " : "", key, told);
  }
  return g_string_free(g_steal_pointer(&line), FALSE);
}

static void
print_event(Terminal *t, GVariant *event)
{
  const char *time = "", *what = "", *host = "";
  guint32 uid = 0;
  g_variant_lookup(event, "time", "&s", &time);
  g_variant_lookup(event, "what", "&s", &what);
  g_variant_lookup(event, "host", "&s", &host);
  g_variant_lookup(event, "uid", "u", &uid);
  g_autoptr(GVariant) facts = g_variant_lookup_value(event, "facts", NULL);
  g_autofree char *told = facts ? short_facts(facts) : g_strdup("");
  g_autofree char *line = g_strdup_printf("%s  %s  (uid %u on %s)", time, what, uid, host);
  g_autofree char *harmless = text_clean_line(line);
  g_autofree char *rest = text_clean_line(told);
  terminal_line(t, INK_BOLD, "%s", harmless);
  terminal_line(t, INK_PLAIN, "  %s", rest);
}

void
render_log(const Invocation *invocation, const char *name, GVariant *record)
{
  const char *time = "", *what = "";
  if (strcmp(name, "log") != 0)
    return;
  g_autoptr(GVariant) facts = g_variant_lookup_value(record, "facts", G_VARIANT_TYPE_VARDICT);
  g_variant_lookup(record, "time", "&s", &time);
  g_variant_lookup(record, "what", "&s", &what);
  g_autofree char *told = facts ? short_facts(facts) : g_strdup("");
  g_autofree char *line = g_strdup_printf("%.19sZ  %-20s  %s", time, what, told);
  g_autofree char *harmless = text_clean_line(line);
  terminal_line(invocation->terminal, INK_PLAIN, "%s", harmless);
  fflush(invocation->terminal->out);
}

void
render_audit(const Invocation *invocation, Client *client, GVariant *result)
{
  Terminal *t = invocation->terminal;
  g_autoptr(GVariant) events = g_variant_lookup_value(result, "events", NULL);
  gsize n = events ? g_variant_n_children(events) : 0;
  for (gsize i = 0; i < n; i++) {
    g_autoptr(GVariant) event = render_child(events, i);
    if (event)
      print_event(t, event);
  }
  if (!n)
    terminal_line(t, INK_PLAIN, "The audit log is empty.");
}

void
render_audit_verdict(const Invocation *invocation, Client *client, GVariant *result)
{
  gboolean valid = FALSE;
  guint64 records = 0, bad = 0;
  g_variant_lookup(result, "valid", "b", &valid);
  g_variant_lookup(result, "records", "t", &records);
  g_variant_lookup(result, "bad_line", "t", &bad);
  if (valid)
    terminal_line(invocation->terminal, INK_OK, "✓ The audit log is whole: %" G_GUINT64_FORMAT " records", records);
  else
    terminal_line(invocation->terminal, INK_FAIL,
                  "✗ The audit log was changed: line %" G_GUINT64_FORMAT " does not follow from the one before", bad);
}
