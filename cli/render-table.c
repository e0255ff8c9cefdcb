/* Tables whose columns are as wide as what stands in them. */
#include "render.h"

#include <string.h>

#include "text.h"

#define GAP 3

typedef struct {
  Ink ink;
  char **cells;
} Row;

struct _Table {
  guint columns;
  GArray *rows; /* of Row; the first is the header */
};

static void
clear_row(gpointer data)
{
  g_strfreev(((Row *) data)->cells);
}

Table *
table_new(const char *const *headers)
{
  Table *table = g_new0(Table, 1);
  while (headers[table->columns])
    table->columns++;
  table->rows = g_array_new(FALSE, FALSE, sizeof(Row));
  g_array_set_clear_func(table->rows, clear_row);
  table_add(table, INK_BOLD, headers);
  return table;
}

void
table_free(Table *table)
{
  g_array_unref(table->rows);
  g_free(table);
}

void
table_add(Table *table, Ink ink, const char *const *cells)
{
  Row row = { .ink = ink, .cells = g_new0(char *, table->columns + 1) };
  for (guint i = 0; i < table->columns; i++)
    row.cells[i] = text_clean_line(cells[i]);
  g_array_append_val(table->rows, row);
}

static int
column_width(Table *table, guint column)
{
  int width = 0;
  for (guint i = 0; i < table->rows->len; i++)
    width = MAX(width, text_width(g_array_index(table->rows, Row, i).cells[column]));
  return width;
}

static void
print_row(Table *table, const Row *row, const int *widths, Terminal *terminal)
{
  g_autoptr(GString) line = g_string_new(NULL);
  for (guint i = 0; i < table->columns; i++) {
    g_autofree char *cell = text_pad(row->cells[i], widths[i] + GAP);
    g_string_append(line, cell);
  }
  terminal_put(terminal, row->ink, g_strchomp(line->str));
  fputc('\n', terminal->out);
}

static void
print_rule(Table *table, const int *widths, Terminal *terminal)
{
  g_autoptr(GString) rule = g_string_new(NULL);
  int total = -GAP;
  for (guint i = 0; i < table->columns; i++)
    total += widths[i] + GAP;
  while (total-- > 0)
    g_string_append(rule, "─");
  terminal_put(terminal, INK_DIM, rule->str);
  fputc('\n', terminal->out);
}

void
table_print(Table *table, Terminal *terminal)
{
  g_autofree int *widths = g_new0(int, table->columns);
  for (guint i = 0; i < table->columns; i++)
    widths[i] = column_width(table, i);
  for (guint i = 0; i < table->rows->len; i++) {
    print_row(table, &g_array_index(table->rows, Row, i), widths, terminal);
    if (i == 0)
      print_rule(table, widths, terminal);
  }
}
