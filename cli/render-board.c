/* The screen of what is watched: a log with times, and on a terminal one table and standing lines under it, repainted.
 */
#include "render.h"

#include <string.h>

#include "text.h"

#define REPAINT_MS 1000
#define SOON_MS 50 /* many answers come at once, and on a virtual clock hours of them */
#define GAP 3

enum { COLUMN_REGION, COLUMN_STATE, COLUMN_SINCE, COLUMN_ANSWER, COLUMN_TIME, COLUMN_SEEN, N_COLUMNS };
static const char *const headers[N_COLUMNS] = { "REGION", "STATE", "SINCE", "LAST ANSWER", "TIME", "SEEN FROM" };

typedef struct {
  char *region, *state, *seen, *time;
  gboolean primary;
  gint64 since, last_answer; /* microseconds, 0 = never */
} Row;

typedef struct {
  char *name, *text;
  const char *level; /* static */
} Standing;

struct _Board {
  Terminal *terminal;
  Client *client;
  gboolean quiet;
  GPtrArray *rows;  /* of Row, in the order they were first seen; the primary first */
  GPtrArray *lines; /* of Standing */
  guint timer, soon;
  int drawn, hidden;
};

static void
clear_row(Row *row)
{
  g_free(row->region);
  g_free(row->state);
  g_free(row->seen);
  g_free(row->time);
}

static void
free_row(gpointer data)
{
  clear_row(data);
  g_free(data);
}

static void
free_standing(gpointer data)
{
  Standing *line = data;
  g_free(line->name);
  g_free(line->text);
  g_free(line);
}

/* ---- the table ---- */

static void
erase(Board *board)
{
  if (!board->drawn)
    return;
  terminal_up(board->terminal, board->drawn);
  terminal_clear_below(board->terminal);
  board->drawn = 0;
}

static void
put_line(Board *board, Ink ink, const char *line)
{
  g_autofree char *fitting = text_shorten(line, board->terminal->columns - 1);
  terminal_put(board->terminal, ink, g_strchomp(fitting));
  fputc('\n', board->terminal->out);
  board->drawn++;
}

static Ink
ink_of(const char *state)
{
  static const struct {
    const char *state;
    Ink ink;
  } inks[] = { { "UP", INK_PLAIN }, { "SUSPECT", INK_WARN }, { "DARK", INK_FAIL }, { "UNKNOWN", INK_DIM } };
  for (guint i = 0; i < G_N_ELEMENTS(inks); i++)
    if (!strcmp(state, inks[i].state))
      return inks[i].ink;
  return INK_PLAIN;
}

static char **
cells_of(Board *board, const Row *row)
{
  gint64 now = client_now(board->client);
  char **cells = g_new0(char *, N_COLUMNS + 1);
  cells[COLUMN_REGION] = g_strconcat(row->region, row->primary ? " (primary)" : "", NULL);
  cells[COLUMN_STATE] = g_strdup(row->state);
  cells[COLUMN_SINCE] = row->since ? text_clock((double) MAX(now - row->since, 0) / G_USEC_PER_SEC) : g_strdup("-");
  cells[COLUMN_ANSWER] = text_ago(row->last_answer, now);
  cells[COLUMN_TIME] = g_strdup(row->time);
  cells[COLUMN_SEEN] = g_strdup(row->seen);
  return cells;
}

static char *
join(const char *const *cells, const int *widths)
{
  g_autoptr(GString) line = g_string_new(NULL);
  for (guint i = 0; i < N_COLUMNS; i++) {
    g_autofree char *cell = text_pad(cells[i], widths[i] + GAP);
    g_string_append(line, cell);
  }
  return g_string_free(g_steal_pointer(&line), FALSE);
}

static void
draw_rows(Board *board, guint shown)
{
  int widths[N_COLUMNS];
  g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func((GDestroyNotify) g_strfreev);
  for (guint c = 0; c < N_COLUMNS; c++)
    widths[c] = text_width(headers[c]);
  for (guint i = 0; i < shown; i++) {
    char **cells = cells_of(board, g_ptr_array_index(board->rows, i));
    g_ptr_array_add(all, cells);
    for (guint c = 0; c < N_COLUMNS; c++)
      widths[c] = MAX(widths[c], text_width(cells[c]));
  }
  g_autofree char *head = join(headers, widths);
  put_line(board, INK_BOLD, head);
  for (guint i = 0; i < shown; i++) {
    g_autofree char *line = join(g_ptr_array_index(all, i), widths);
    put_line(board, ink_of(((const Row *) g_ptr_array_index(board->rows, i))->state), line);
  }
}

static void
draw(Board *board)
{
  terminal_measure(board->terminal);
  guint taken = board->lines->len + 4; /* the header, a blank, a line for what is left out, the cursor's own */
  guint room = (guint) MAX(board->terminal->rows - (int) taken, 1);
  guint shown = MIN(board->rows->len, room);
  if (board->rows->len) {
    put_line(board, INK_PLAIN, "");
    draw_rows(board, shown);
  }
  if (shown < board->rows->len) {
    g_autofree char *more = g_strdup_printf("… and %u more", board->rows->len - shown);
    put_line(board, INK_DIM, more);
  }
  for (guint i = 0; i < board->lines->len; i++) {
    const Standing *line = g_ptr_array_index(board->lines, i);
    const char *glyph;
    Ink ink = render_level(line->level, &glyph);
    g_autofree char *text = g_strconcat(glyph, line->text, NULL);
    put_line(board, ink == INK_STEP || ink == INK_OK ? INK_PLAIN : ink, text);
  }
  fflush(board->terminal->out);
}

static gboolean
repaint(gpointer data)
{
  Board *board = data;
  if (board->hidden)
    return G_SOURCE_CONTINUE;
  erase(board);
  draw(board);
  return G_SOURCE_CONTINUE;
}

static gboolean
repaint_once(gpointer data)
{
  Board *board = data;
  board->soon = 0;
  repaint(board);
  return G_SOURCE_REMOVE;
}

static void
repaint_soon(Board *board)
{
  if (board->terminal->live && !board->quiet && !board->soon)
    board->soon = g_timeout_add(SOON_MS, repaint_once, board);
}

/* ---- rows ---- */

static gint64
time_of(GVariant *facts, const char *key)
{
  const char *text = NULL;
  if (!g_variant_lookup(facts, key, "&s", &text))
    return 0;
  g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, NULL);
  return time ? g_date_time_to_unix(time) * G_USEC_PER_SEC : 0;
}

static void
append_names(GString *seen, GVariant *facts, const char *key, const char *before)
{
  g_autofree const char **names = NULL;
  g_variant_lookup(facts, key, "^a&s", &names);
  for (guint i = 0; names && names[i]; i++)
    g_string_append_printf(seen, "%s%s%s", seen->len ? ", " : "", before, names[i]);
}

static void
fill_row(Row *row, const char *name, GVariant *facts)
{
  const char *state = "";
  double ms = -1;
  g_autoptr(GString) seen = g_string_new(NULL);
  g_variant_lookup(facts, "state", "&s", &state);
  g_variant_lookup(facts, "is_primary", "b", &row->primary);
  g_variant_lookup(facts, "latency_ms", "d", &ms);
  append_names(seen, facts, "seen_by", "");
  append_names(seen, facts, "dark_from", "not ");
  clear_row(row);
  row->region = g_strdup(name);
  g_autofree char *word = text_clean_line(state);
  row->state = g_ascii_strup(word, -1);
  row->seen = text_clean_line(seen->len ? seen->str : "-");
  row->time = ms < 0 ? g_strdup("-") : g_strdup_printf("%.0fms", ms);
  row->since = time_of(facts, "since");
  row->last_answer = time_of(facts, "last_answer");
}

static Row *
take_row(Board *board, const char *name, guint *ret_index)
{
  for (guint i = 0; i < board->rows->len; i++) {
    const Row *row = g_ptr_array_index(board->rows, i);
    *ret_index = i;
    if (!strcmp(row->region, name))
      return g_ptr_array_steal_index(board->rows, i);
  }
  *ret_index = board->rows->len;
  return NULL;
}

void
board_region(Board *board, const char *region, GVariant *facts)
{
  gboolean gone = FALSE;
  guint index;
  g_autofree char *name = text_clean_line(region);
  Row *row = take_row(board, name, &index);
  g_variant_lookup(facts, "gone", "b", &gone);
  repaint_soon(board);
  if (gone) {
    g_clear_pointer(&row, free_row);
    return;
  }
  if (!row)
    row = g_new0(Row, 1);
  fill_row(row, name, facts);
  g_ptr_array_insert(board->rows, row->primary ? 0 : (int) index, row);
}

/* ---- standing lines ---- */

static void
stand(Board *board, const char *name, const char *level, const char *text)
{
  Standing *line = NULL;
  guint i = 0;
  for (; !line && i < board->lines->len; i++)
    if (!strcmp(((Standing *) g_ptr_array_index(board->lines, i))->name, name))
      line = g_ptr_array_index(board->lines, i);
  if (!text) {
    if (line)
      g_ptr_array_remove(board->lines, line);
    repaint_soon(board);
    return;
  }
  if (!line) {
    line = g_new0(Standing, 1);
    line->name = g_strdup(name);
    g_ptr_array_add(board->lines, line);
  }
  g_free(line->text);
  line->text = text_clean_line(text);
  line->level = level;
  repaint_soon(board);
}

void
board_event(Board *board, const char *name, GVariant *facts)
{
  static const char *const levels[] = { "detail", "ok", "warn", "fail", "step" };
  const char *text = NULL, *wanted = "detail", *level = levels[0];
  g_variant_lookup(facts, "line", "&s", &text);
  g_variant_lookup(facts, "level", "&s", &wanted);
  for (guint i = 0; i < G_N_ELEMENTS(levels); i++)
    if (!strcmp(levels[i], wanted))
      level = levels[i];
  stand(board, name, level, text);
}

void
board_progress(Board *board, guint64 done, guint64 total, const char *text)
{
  g_autofree char *bar = total && done < total ? live_bar(done, total, text ? text : "", 0) : NULL;
  stand(board, "progress", "detail", bar);
}

/* ---- the log ---- */

static void
put_entry(Board *board, const char *level, const char *region, const char *text)
{
  const char *glyph;
  Ink ink = render_level(level, &glyph);
  g_autoptr(GDateTime) now = g_date_time_new_from_unix_local(client_now(board->client) / G_USEC_PER_SEC);
  g_autofree char *time = g_date_time_format(now, "%F %T  ");
  g_autofree char *name = region ? text_clean_line(region) : NULL;
  g_autofree char *harmless = text_clean(text);
  g_auto(GStrv) lines = g_strsplit(g_strchomp(harmless), "\n", -1);
  for (guint i = 0; lines[i]; i++) {
    g_autofree char *line = g_strconcat(i == 0 && name ? name : "", i == 0 && name ? ": " : "", lines[i], NULL);
    terminal_put(board->terminal, INK_DIM, time);
    fputs(i ? "    " : "", board->terminal->out);
    terminal_put(board->terminal, ink, *glyph ? glyph : "  ");
    terminal_put(board->terminal, INK_PLAIN, line);
    fputc('\n', board->terminal->out);
  }
}

void
board_message(Board *board, const char *level, const char *region, const char *text)
{
  if (board->quiet) {
    render_quietly(level, region, text);
    return;
  }
  erase(board);
  put_entry(board, level, region, text);
  if (board->terminal->live && !board->hidden)
    draw(board);
  fflush(board->terminal->out);
}

/* ---- the whole ---- */

Board *
board_new(Terminal *terminal, Client *client, gboolean quiet)
{
  Board *board = g_new0(Board, 1);
  board->terminal = terminal;
  board->client = client;
  board->quiet = quiet;
  board->rows = g_ptr_array_new_with_free_func(free_row);
  board->lines = g_ptr_array_new_with_free_func(free_standing);
  if (terminal->live && !quiet)
    board->timer = g_timeout_add(REPAINT_MS, repaint, board);
  return board;
}

void
board_free(Board *board)
{
  if (board->soon && !board->hidden)
    repaint(board);
  g_clear_handle_id(&board->soon, g_source_remove);
  g_clear_handle_id(&board->timer, g_source_remove);
  g_ptr_array_unref(board->rows);
  g_ptr_array_unref(board->lines);
  g_free(board);
}

void
board_pause(Board *board)
{
  erase(board);
  board->hidden++;
}

void
board_resume(Board *board)
{
  board->hidden--;
  repaint_soon(board);
}
