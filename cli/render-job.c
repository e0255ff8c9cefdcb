/* The screen of a running job: sections, a block per region that is printed when the region has ended, next steps. */
#include "render.h"

#include <string.h>

#include "text.h"

#define PLAIN_PROGRESS_SECONDS 10

typedef enum { LAST_NOTHING, LAST_HEADING, LAST_BODY, LAST_DETAIL, LAST_BLOCK, LAST_CLOSING, LAST_HINT } Last;

typedef struct {
  const char *name, *glyph;
  Ink ink;
} Level;

static const Level levels[] = {
  { "step", "► ", INK_STEP }, { "ok", "✓ ", INK_OK },       { "fail", "✗ ", INK_FAIL },  { "warn", "⚠ ", INK_WARN },
  { "done", "✓ ", INK_OK },   { "failed", "✗ ", INK_FAIL }, { "detail", "", INK_PLAIN }, { "hint", "", INK_PLAIN },
};

typedef struct {
  char *region;
  GPtrArray *levels; /* of const Level */
  GPtrArray *texts;  /* of char */
} Block;

struct _Screen {
  Terminal *terminal;
  Client *client;
  Live *live;        /* NULL where the cursor cannot move */
  GPtrArray *blocks; /* of Block: regions that have not ended */
  Last last;
  gboolean quiet, in_section;
  gint64 progress_began, progress_printed;
};

static void
free_block(gpointer data)
{
  Block *block = data;
  g_free(block->region);
  g_ptr_array_unref(block->levels);
  g_ptr_array_unref(block->texts);
  g_free(block);
}

Screen *
screen_new(Terminal *terminal, Client *client, gboolean quiet)
{
  Screen *screen = g_new0(Screen, 1);
  screen->terminal = terminal;
  screen->client = client;
  screen->quiet = quiet;
  screen->live = terminal->live && !quiet ? live_new(terminal, client) : NULL;
  screen->blocks = g_ptr_array_new_with_free_func(free_block);
  return screen;
}

static const Level *
find_level(const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS(levels); i++)
    if (!strcmp(levels[i].name, name))
      return &levels[i];
  return &levels[G_N_ELEMENTS(levels) - 2];
}

Ink
render_level(const char *level, const char **ret_glyph)
{
  const Level *found = find_level(level);
  *ret_glyph = found->glyph;
  return found->ink;
}

static gboolean
is_level(const Level *level, const char *name)
{
  return !strcmp(level->name, name);
}

/* Further lines of one text stand under its first, so that foreign text cannot pose as a line of its own. */
static void
put_line(Screen *screen, int indent, const Level *level, const char *text)
{
  g_autofree char *harmless = text_clean(text);
  g_auto(GStrv) lines = g_strsplit(g_strchomp(harmless), "\n", -1);
  for (guint i = 0; lines[i]; i++) {
    fprintf(screen->terminal->out, "%*s", indent + (i ? 4 : 0), "");
    if (i == 0)
      terminal_put(screen->terminal, level->ink, level->glyph);
    terminal_put(screen->terminal, *level->glyph ? INK_PLAIN : level->ink, lines[i]);
    fputc('\n', screen->terminal->out);
  }
}

static void
put_blank(Screen *screen)
{
  if (screen->last != LAST_NOTHING)
    fputc('\n', screen->terminal->out);
}

static gboolean
opens_section(const Level *level, const char *text)
{
  return is_level(level, "step") && (g_str_has_suffix(text, "...") || g_str_has_suffix(text, "…"));
}

static void
put_top(Screen *screen, Last as, const Level *level, const char *text)
{
  put_blank(screen);
  put_line(screen, 0, level, text);
  screen->last = as;
  screen->in_section = as == LAST_HEADING;
}

static void
put_general(Screen *screen, const Level *level, const char *text)
{
  if (opens_section(level, text)) {
    put_top(screen, LAST_HEADING, level, text);
    return;
  }
  if (is_level(level, "done") || is_level(level, "failed")) {
    put_top(screen, LAST_CLOSING, level, text);
    return;
  }
  if (is_level(level, "hint")) {
    if (screen->last != LAST_HINT)
      put_blank(screen);
    put_line(screen, 0, level, text);
    screen->last = LAST_HINT;
    return;
  }
  gboolean detail = is_level(level, "detail");
  if (screen->last == LAST_BLOCK || screen->last == LAST_HINT
      || (screen->last == LAST_DETAIL && !detail && !screen->in_section))
    put_blank(screen);
  put_line(screen, screen->in_section || detail ? 2 : 0, level, text);
  screen->last = detail ? LAST_DETAIL : LAST_BODY;
}

static Block *
find_block(Screen *screen, const char *region)
{
  for (guint i = 0; i < screen->blocks->len; i++) {
    Block *block = g_ptr_array_index(screen->blocks, i);
    if (!strcmp(block->region, region))
      return block;
  }
  return NULL;
}

static Block *
need_block(Screen *screen, const char *region)
{
  Block *block = find_block(screen, region);
  if (block)
    return block;
  block = g_new0(Block, 1);
  block->region = g_strdup(region);
  block->levels = g_ptr_array_new();
  block->texts = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(screen->blocks, block);
  return block;
}

static void
put_block(Screen *screen, Block *block)
{
  if (!block->texts->len)
    return;
  g_autofree char *region = text_clean_line(block->region);
  put_blank(screen);
  terminal_line(screen->terminal, INK_BOLD, "Region: %s", region);
  for (guint i = 0; i < block->texts->len; i++) {
    const Level *level = g_ptr_array_index(block->levels, i);
    put_line(screen, is_level(level, "detail") ? 4 : 2, level, g_ptr_array_index(block->texts, i));
  }
  screen->last = LAST_BLOCK;
  screen->in_section = FALSE;
}

/* Only what went wrong, where nobody asked for more; not on stdout, which a script reads. */
void
render_quietly(const char *level, const char *region, const char *text)
{
  if (strcmp(level, "fail") && strcmp(level, "failed"))
    return;
  g_autofree char *name = text_clean_line(region);
  g_autofree char *harmless = text_clean_line(text);
  fprintf(stderr, "azlin: %s%s%s\n", name, *name ? ": " : "", harmless);
}

void
screen_message(Screen *screen, const char *level_name, const char *region, const char *text)
{
  const Level *level = find_level(level_name);
  if (screen->quiet) {
    render_quietly(level_name, region, text);
    return;
  }
  if (region) {
    Block *block = need_block(screen, region);
    g_ptr_array_add(block->levels, (gpointer) (guintptr) level);
    g_ptr_array_add(block->texts, g_strdup(text));
    if (screen->live)
      live_region(screen->live, region, text);
    return;
  }
  if (screen->live)
    live_hide(screen->live);
  put_general(screen, level, text);
  fflush(screen->terminal->out);
  if (screen->live)
    live_show(screen->live);
}

static gboolean
has_ended(const char *status)
{
  return status && strcmp(status, "in_progress") && strcmp(status, "pending");
}

void
screen_region(Screen *screen, const char *region, GVariant *facts)
{
  const char *status = NULL, *text = NULL;
  if (screen->quiet)
    return;
  g_variant_lookup(facts, "status", "&s", &status);
  g_variant_lookup(facts, "text", "&s", &text);
  if (!has_ended(status)) {
    if (screen->live)
      live_region(screen->live, region, text);
    return;
  }
  if (screen->live) {
    live_region_done(screen->live, region);
    live_hide(screen->live);
  }
  Block *block = find_block(screen, region);
  if (block) {
    put_block(screen, block);
    g_ptr_array_remove(screen->blocks, block);
  }
  fflush(screen->terminal->out);
  if (screen->live)
    live_show(screen->live);
}

/* Where the line cannot be redrawn, one line now and then shows that it goes on. */
static void
plain_progress(Screen *screen, guint64 done, guint64 total, const char *text)
{
  gint64 now = client_now(screen->client);
  if (!screen->progress_began)
    screen->progress_began = screen->progress_printed = now;
  if (now - screen->progress_printed < PLAIN_PROGRESS_SECONDS * G_USEC_PER_SEC)
    return;
  screen->progress_printed = now;
  g_autofree char *bar = live_bar(done, total, text, (double) (now - screen->progress_began) / G_USEC_PER_SEC);
  fprintf(screen->terminal->out, "    ");
  terminal_put(screen->terminal, INK_PLAIN, bar);
  fputc('\n', screen->terminal->out);
  fflush(screen->terminal->out);
  screen->last = LAST_BODY;
}

void
screen_progress(Screen *screen, guint64 done, guint64 total, const char *text)
{
  if (screen->quiet || !total)
    return;
  if (screen->live)
    live_progress(screen->live, done, total, text);
  else
    plain_progress(screen, done, total, text);
}

void
screen_pause(Screen *screen)
{
  if (screen->live)
    live_hide(screen->live);
}

void
screen_resume(Screen *screen)
{
  if (screen->live)
    live_show(screen->live);
}

void
screen_free(Screen *screen)
{
  g_clear_pointer(&screen->live, live_free);
  for (guint i = 0; i < screen->blocks->len; i++)
    put_block(screen, g_ptr_array_index(screen->blocks, i));
  if (screen->last != LAST_NOTHING)
    fflush(screen->terminal->out);
  g_ptr_array_unref(screen->blocks);
  g_free(screen);
}
