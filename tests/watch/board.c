/* Unit tests of a watch's screen, written to memory: rows, standing lines, the log, foreign text. */
#include "render.h"

#include <stdlib.h>
#include <string.h>

static gint64 now = G_GINT64_CONSTANT(1764244805000000); /* 2025-11-27T12:00:05Z */

/* The board asks its client for nothing but the time. */
gint64
client_now(Client *client)
{
  return now;
}

typedef struct {
  Terminal terminal;
  Board *board;
  char *bytes;
  size_t size;
} Glass;

static void
glass_begin(Glass *glass, gboolean live, gboolean quiet)
{
  *glass = (Glass){ 0 };
  FILE *out = open_memstream(&glass->bytes, &glass->size);
  glass->terminal = (Terminal){ .out = out, .live = live, .utf8 = TRUE };
  glass->board = board_new(&glass->terminal, NULL, quiet);
}

static char *
glass_end(Glass *glass)
{
  board_free(glass->board);
  fclose(glass->terminal.out);
  return glass->bytes;
}

static void
row(Glass *glass, const char *region, const char *facts)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = g_variant_parse(G_VARIANT_TYPE_VARDICT, facts, NULL, NULL, &error);
  g_assert_no_error(error);
  board_region(glass->board, region, value);
}

static void
event(Glass *glass, const char *name, const char *facts)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = g_variant_parse(G_VARIANT_TYPE_VARDICT, facts, NULL, NULL, &error);
  g_assert_no_error(error);
  board_event(glass->board, name, value);
}

/* What the last frame shows. */
static char *
last_frame(const char *text)
{
  const char *at = strstr(text, "REGION");
  for (const char *next = at; next; next = strstr(next + 1, "REGION"))
    at = next;
  return g_strdup(at ? at : "");
}

#define UP "'state': <'up'>, 'since': <'2025-11-27T11:59:05Z'>, 'last_answer': <'2025-11-27T12:00:03Z'>"

static void
test_table(void)
{
  Glass glass;
  glass_begin(&glass, TRUE, FALSE);
  row(&glass, "westus2", "{" UP ", 'latency_ms': <12.4>, 'seen_by': <['here', 'eastus']>, 'is_primary': <false>}");
  row(&glass, "eastus",
      "{'state': <'dark'>, 'since': <'2025-11-27T12:00:00Z'>, 'last_answer': <''>, "
      "'dark_from': <['here']>, 'is_primary': <true>}");
  row(&glass, "gone", "{" UP "}");
  row(&glass, "gone", "{'gone': <true>}");
  event(&glass, "verdict", "{'line': <'No switch: wait'>, 'level': <'warn'>}");
  event(&glass, "paused", "{'line': <'Paused'>, 'level': <'warn'>}");
  event(&glass, "paused", "{'line': <()>}");
  g_autofree char *text = glass_end(&glass);
  g_autofree char *frame = last_frame(text);
  g_assert_cmpstr(frame, ==,
                  "REGION             STATE   SINCE   LAST ANSWER   TIME   SEEN FROM\n"
                  "eastus (primary)   DARK    5s      never         -      not here\n"
                  "westus2            UP      1m 0s   just now      12ms   here, eastus\n"
                  "⚠ No switch: wait\n");
}

static void
test_log(void)
{
  Glass glass;
  glass_begin(&glass, FALSE, FALSE);
  row(&glass, "eastus", "{" UP "}");
  event(&glass, "verdict", "{'line': <'No switch: wait'>}");
  board_message(glass.board, "warn", "eastus", "SUSPECT: silent");
  board_message(glass.board, "step", NULL, "Executing failover to westus2...");
  board_message(glass.board, "detail", NULL, "two\nlines");
  g_autofree char *text = glass_end(&glass);
  g_assert_cmpstr(text, ==,
                  "2025-11-27 12:00:05  ⚠ eastus: SUSPECT: silent\n"
                  "2025-11-27 12:00:05  ► Executing failover to westus2...\n"
                  "2025-11-27 12:00:05    two\n"
                  "2025-11-27 12:00:05        lines\n");
}

static void
test_foreign_text(void)
{
  Glass glass;
  glass_begin(&glass, TRUE, FALSE);
  row(&glass, "ea\033[31mst\nus", "{'state': <'u\033]0;x\ap'>, 'seen_by': <['he\nre']>}");
  event(&glass, "verdict", "{'line': <'a\033[2Jb\nc'>}");
  board_message(glass.board, "ok", "east\nus", "fine\n\033[2Jnot");
  g_autofree char *text = glass_end(&glass);
  g_assert_null(strstr(text, "\033[31m"));
  g_assert_null(strstr(text, "\033[2J"));
  g_assert_null(strstr(text, "\033]0"));
  g_assert_nonnull(strstr(text, "  ✓ east us: fine\n"));
  g_autofree char *frame = last_frame(text);
  g_assert_nonnull(strstr(frame, "\neast us   UP"));
  g_assert_nonnull(strstr(frame, "\nab c\n"));
}

static void
test_quiet(void)
{
  Glass glass;
  glass_begin(&glass, TRUE, TRUE);
  row(&glass, "eastus", "{" UP "}");
  event(&glass, "verdict", "{'line': <'No switch'>}");
  board_message(glass.board, "ok", NULL, "fine");
  g_autofree char *text = glass_end(&glass);
  g_assert_cmpstr(text, ==, "");
}

/* While something else is written on the terminal nothing is painted. */
static void
test_pause(void)
{
  Glass glass;
  glass_begin(&glass, TRUE, FALSE);
  board_pause(glass.board);
  row(&glass, "eastus", "{" UP "}");
  board_message(glass.board, "ok", NULL, "fine");
  fflush(glass.terminal.out);
  g_assert_null(strstr(glass.bytes, "REGION"));
  board_resume(glass.board);
  board_message(glass.board, "ok", NULL, "fine");
  fflush(glass.terminal.out);
  g_assert_nonnull(strstr(glass.bytes, "REGION"));
  free(glass_end(&glass));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/board/table", test_table);
  g_test_add_func("/board/log", test_log);
  g_test_add_func("/board/foreign-text", test_foreign_text);
  g_test_add_func("/board/quiet", test_quiet);
  g_test_add_func("/board/pause", test_pause);
  return g_test_run();
}
