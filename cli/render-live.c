/* The lines at the foot of a terminal while a job runs: one per region with spinner and clock, and a bar; redrawn. */
#include "render.h"

#include <string.h>

#include "text.h"

#define FRAME_MS 120
#define BAR_WIDTH 29

typedef struct {
  char *name, *text;
  gint64 since;
} LiveRegion;

struct _Live {
  Terminal *terminal;
  Client *client;
  GPtrArray *regions; /* of LiveRegion, in the order they began */
  guint64 done, total;
  char *text;
  gint64 progress_since; /* 0 = none yet */
  guint frame, timer;
  int drawn;  /* lines on the terminal now */
  int hidden; /* > 0: keep off */
};

static void
free_region(gpointer data)
{
  LiveRegion *region = data;
  g_free(region->name);
  g_free(region->text);
  g_free(region);
}

Live *
live_new(Terminal *terminal, Client *client)
{
  Live *live = g_new0(Live, 1);
  live->terminal = terminal;
  live->client = client;
  live->regions = g_ptr_array_new_with_free_func(free_region);
  return live;
}

static void
erase(Live *live)
{
  if (!live->drawn)
    return;
  terminal_up(live->terminal, live->drawn);
  terminal_clear_below(live->terminal);
  live->drawn = 0;
}

void
live_free(Live *live)
{
  erase(live);
  fflush(live->terminal->out);
  g_clear_handle_id(&live->timer, g_source_remove);
  g_ptr_array_unref(live->regions);
  g_free(live->text);
  g_free(live);
}

static double
seconds_since(Live *live, gint64 since)
{
  return (double) MAX(client_now(live->client) - since, 0) / G_USEC_PER_SEC;
}

char *
live_bar(guint64 done, guint64 total, const char *text, double seconds)
{
  double fraction = total ? MIN((double) done / (double) total, 1.0) : 0;
  g_autofree char *bar = text_bar(fraction, BAR_WIDTH);
  g_autofree char *harmless = text_clean_line(text);
  g_autoptr(GString) line = g_string_new(NULL);
  char *eta = strstr(harmless, "ETA:"); /* one stream's own; the bar is about all of them */
  if (eta)
    *eta = '\0';
  g_strchomp(harmless);
  g_string_printf(line, "[%s] %d%%", bar, (int) (fraction * 100));
  if (*harmless)
    g_string_append_printf(line, " %s", harmless);
  if (done && done < total && seconds >= 1) {
    g_autofree char *left = text_clock(seconds / (double) done * (double) (total - done));
    g_string_append_printf(line, " ETA: %s", left);
  }
  return g_string_free(g_steal_pointer(&line), FALSE);
}

static void
draw_line(Live *live, Ink ink, const char *line)
{
  g_autofree char *fitting = text_shorten(line, live->terminal->columns - 1);
  terminal_put(live->terminal, ink, fitting);
  fputc('\n', live->terminal->out);
  live->drawn++;
}

static const char *
spinner(Live *live)
{
  static const char *const dots[] = { "⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏" };
  static const char *const ascii[] = { "|", "/", "-", "\\" };
  return live->terminal->utf8 ? dots[live->frame % G_N_ELEMENTS(dots)] : ascii[live->frame % G_N_ELEMENTS(ascii)];
}

static int
name_width(Live *live)
{
  int width = 0;
  for (guint i = 0; i < live->regions->len; i++)
    width = MAX(width, text_width(((LiveRegion *) g_ptr_array_index(live->regions, i))->name));
  return width;
}

static void
draw_region(Live *live, LiveRegion *region, int width)
{
  g_autofree char *name = text_pad(region->name, width);
  g_autofree char *elapsed = text_clock(seconds_since(live, region->since));
  g_autofree char *line = g_strdup_printf("  %s %s  %s  %s", spinner(live), name, elapsed, region->text);
  draw_line(live, INK_STEP, line);
}

static void
draw(Live *live)
{
  terminal_measure(live->terminal);
  guint room = (guint) MAX(live->terminal->rows - 4, 1);
  guint shown = MIN(live->regions->len, room);
  int width = name_width(live);
  for (guint i = 0; i < shown; i++)
    draw_region(live, g_ptr_array_index(live->regions, i), width);
  if (shown < live->regions->len) {
    g_autofree char *more = g_strdup_printf("  … and %u more", live->regions->len - shown);
    draw_line(live, INK_DIM, more);
  }
  if (live->progress_since && live->total) {
    g_autofree char *bar = live_bar(live->done, live->total, live->text, seconds_since(live, live->progress_since));
    g_autofree char *line = g_strdup_printf("    %s", bar);
    draw_line(live, INK_PLAIN, line);
  }
  fflush(live->terminal->out);
}

static void
redraw(Live *live)
{
  if (live->hidden)
    return;
  erase(live);
  draw(live);
}

static gboolean
on_tick(gpointer data)
{
  Live *live = data;
  live->frame++;
  redraw(live);
  return G_SOURCE_CONTINUE;
}

static void
keep_ticking(Live *live)
{
  gboolean busy = live->regions->len || live->progress_since;
  if (busy && !live->timer)
    live->timer = g_timeout_add(FRAME_MS, on_tick, live);
}

static LiveRegion *
find_region(Live *live, const char *region)
{
  for (guint i = 0; i < live->regions->len; i++) {
    LiveRegion *found = g_ptr_array_index(live->regions, i);
    if (!strcmp(found->name, region))
      return found;
  }
  return NULL;
}

void
live_region(Live *live, const char *region, const char *text)
{
  g_autofree char *name = text_clean_line(region);
  LiveRegion *found = find_region(live, name);
  if (!found) {
    found = g_new0(LiveRegion, 1);
    found->name = g_steal_pointer(&name);
    found->text = g_strdup("");
    found->since = client_now(live->client);
    g_ptr_array_add(live->regions, found);
  }
  if (text) {
    g_free(found->text);
    found->text = text_clean_line(text);
  }
  keep_ticking(live);
  redraw(live);
}

void
live_region_done(Live *live, const char *region)
{
  g_autofree char *name = text_clean_line(region);
  LiveRegion *found = find_region(live, name);
  if (found)
    g_ptr_array_remove(live->regions, found);
  redraw(live);
}

void
live_progress(Live *live, guint64 done, guint64 total, const char *text)
{
  if (!live->progress_since || done < live->done)
    live->progress_since = client_now(live->client);
  live->done = done;
  live->total = total;
  g_free(live->text);
  live->text = g_strdup(text);
  if (done >= total)
    live->progress_since = 0;
  keep_ticking(live); /* progress comes far oftener than an eye can follow: the next tick draws it */
}

void
live_hide(Live *live)
{
  erase(live);
  live->hidden++;
}

void
live_show(Live *live)
{
  live->hidden--;
  redraw(live);
}
