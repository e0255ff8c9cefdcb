/* The table of regions with its summary and the next steps. */
#include "render.h"

#include <string.h>

#include "text.h"

typedef struct {
  const char *region, *vm_name, *public_ip, *status, *checked;
  gboolean is_primary;
} Line;

static Line
read_line(GVariant *dict)
{
  Line line = {
    .region = render_word(dict, "region"),
    .vm_name = render_word(dict, "vm_name"),
    .public_ip = render_word(dict, "public_ip"),
    .status = render_word(dict, "status"),
    .checked = render_word(dict, "last_health_check"),
  };
  g_variant_lookup(dict, "is_primary", "b", &line.is_primary);
  return line;
}

static gboolean
is_ok(const Line *line)
{
  return !strcmp(line->status, "ok") || !strcmp(line->status, "healthy");
}

static char *
status_cell(const Line *line)
{
  if (is_ok(line))
    return g_strdup("✓ OK");
  if (!*line->status || !strcmp(line->status, "unknown"))
    return g_strdup("? UNKNOWN");
  g_autofree char *upper = g_ascii_strup(line->status, -1);
  return g_strdup_printf("✗ %s", upper);
}

static void
add_line(Table *table, const Line *line, gint64 now)
{
  g_autofree char *status = status_cell(line);
  g_autofree char *checked = render_ago(line->checked, now);
  const char *address = *line->public_ip ? line->public_ip : "-";
  const char *cells[] = { line->region, line->vm_name, address, status, line->is_primary ? "●" : "○", checked, NULL };
  table_add(table, INK_PLAIN, cells);
}

/* "3 regions (2 healthy, 1 down)": every status that occurs, healthy first, the others by name. */
static char *
summary(const GArray *lines)
{
  guint healthy = 0;
  g_autoptr(GString) text = g_string_new(NULL);
  g_autoptr(GTree) others = g_tree_new((GCompareFunc) strcmp);
  for (guint i = 0; i < lines->len; i++) {
    const Line *line = &g_array_index(lines, Line, i);
    const char *status = *line->status ? line->status : "unknown";
    if (is_ok(line))
      healthy++;
    else
      g_tree_insert(others, (gpointer) (guintptr) status,
                    GUINT_TO_POINTER(GPOINTER_TO_UINT(g_tree_lookup(others, status)) + 1));
  }
  g_string_printf(text, "Total: %u %s (%u healthy", lines->len, lines->len == 1 ? "region" : "regions", healthy);
  for (GTreeNode *n = g_tree_node_first(others); n; n = g_tree_node_next(n))
    g_string_append_printf(text, ", %u %s", GPOINTER_TO_UINT(g_tree_node_value(n)), (char *) g_tree_node_key(n));
  g_string_append_c(text, ')');
  return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
print_foot(Terminal *t, const GArray *lines)
{
  const Line *primary = NULL, *target = NULL;
  g_autofree char *total = summary(lines);
  for (guint i = 0; i < lines->len; i++) {
    const Line *line = &g_array_index(lines, Line, i);
    if (line->is_primary)
      primary = line;
    else if (!target || (!is_ok(target) && is_ok(line)))
      target = line;
  }
  g_autofree char *harmless = text_clean_line(total);
  terminal_line(t, INK_PLAIN, "\n%s", harmless);
  if (primary) {
    g_autofree char *where = text_clean_line(primary->public_ip);
    terminal_line(t, INK_PLAIN, "Primary: %s (%s)\n", primary->region, *where ? where : "-");
  } else
    terminal_line(t, INK_WARN, "Primary: none. Choose one: azlin regions set-primary REGION\n");
  terminal_line(t, INK_PLAIN, "To check health: azlin regions health");
  if (primary && target)
    terminal_line(t, INK_PLAIN, "To failover: azlin failover --to %s", target->region);
}

static void
print_beginning(Terminal *t)
{
  terminal_line(t, INK_PLAIN, "No regions yet.\n");
  terminal_line(t, INK_PLAIN, "To create machines: azlin deploy --regions us,eu,asia");
  terminal_line(t, INK_PLAIN,
                "To register one that exists: azlin regions add REGION --vm-name NAME --public-ip ADDRESS");
}

void
render_regions(const Invocation *invocation, Client *client, GVariant *result)
{
  static const char *const headers[] = { "Region", "VM Name", "Public IP", "Status", "Primary", "Last Check", NULL };
  Terminal *t = invocation->terminal;
  g_autoptr(GVariant) regions = g_variant_lookup_value(result, "regions", NULL);
  gsize n = regions ? g_variant_n_children(regions) : 0;
  if (!n) {
    print_beginning(t);
    return;
  }
  g_autoptr(GArray) lines = g_array_new(FALSE, FALSE, sizeof(Line));
  g_autoptr(GPtrArray) held = g_ptr_array_new_with_free_func((GDestroyNotify) g_variant_unref);
  g_autoptr(Table) table = table_new(headers);
  for (gsize i = 0; i < n; i++) {
    GVariant *dict = render_child(regions, i);
    if (!dict)
      continue;
    g_ptr_array_add(held, dict);
    Line line = read_line(dict);
    g_array_append_val(lines, line);
    add_line(table, &line, client_now(client));
  }
  terminal_line(t, INK_BOLD, "Multi-Region Deployments:\n");
  table_print(table, t);
  print_foot(t, lines);
}
