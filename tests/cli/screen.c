/* Unit tests of a running job's screen, written to memory: sections, blocks, next steps, progress, foreign text. */
#include "render.h"

#include <stdlib.h>
#include <string.h>

static gint64 now = 1000 * G_USEC_PER_SEC;

/* The screen asks its client for nothing but the time. */
gint64
client_now(Client *client)
{
  return now;
}

typedef struct {
  Terminal terminal;
  Screen *screen;
  char *bytes;
  size_t size;
} Glass;

static void
glass_begin(Glass *glass, gboolean live)
{
  *glass = (Glass){ 0 };
  FILE *out = open_memstream(&glass->bytes, &glass->size);
  glass->terminal = (Terminal){ .out = out, .live = live, .utf8 = TRUE };
  glass->screen = screen_new(&glass->terminal, NULL, FALSE);
}

static char *
glass_end(Glass *glass)
{
  screen_free(glass->screen);
  fclose(glass->terminal.out);
  return glass->bytes;
}

static void
say(Glass *glass, const char *level, const char *region, const char *text)
{
  screen_message(glass->screen, level, region, text);
}

static void
ended(Glass *glass, const char *region, const char *status)
{
  GVariantDict dict;
  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert(&dict, "status", "s", status);
  g_autoptr(GVariant) facts = g_variant_ref_sink(g_variant_dict_end(&dict));
  screen_region(glass->screen, region, facts);
}

/* The failover screen of the functional specification. */
static void
test_sections(void)
{
  Glass glass;
  glass_begin(&glass, FALSE);
  say(&glass, "step", NULL, "Checking health of primary region (eastus)...");
  say(&glass, "fail", NULL, "Network unreachable (timeout after 10s)");
  say(&glass, "step", NULL, "Executing failover to westus2...");
  say(&glass, "step", NULL, "Syncing data (12 files, 45MB)");
  say(&glass, "ok", NULL, "Data synced in 18s");
  say(&glass, "done", NULL, "Failover complete in 52s");
  say(&glass, "detail", NULL, "Target: westus2 (5.6.7.8)");
  say(&glass, "hint", NULL, "To verify: azlin ssh");
  say(&glass, "hint", NULL, "To sync back: azlin sync --source westus2 --dest eastus");
  g_autofree char *text = glass_end(&glass);
  g_assert_cmpstr(text, ==,
                  "► Checking health of primary region (eastus)...\n"
                  "  ✗ Network unreachable (timeout after 10s)\n"
                  "\n"
                  "► Executing failover to westus2...\n"
                  "  ► Syncing data (12 files, 45MB)\n"
                  "  ✓ Data synced in 18s\n"
                  "\n"
                  "✓ Failover complete in 52s\n"
                  "  Target: westus2 (5.6.7.8)\n"
                  "\n"
                  "To verify: azlin ssh\n"
                  "To sync back: azlin sync --source westus2 --dest eastus\n");
}

/* Lines of several regions come mixed; each block is printed whole, when its region has ended. */
static void
test_blocks(void)
{
  Glass glass;
  glass_begin(&glass, FALSE);
  say(&glass, "step", NULL, "Deploying to 2 regions in parallel...");
  say(&glass, "step", "eastus", "Creating VM: vm-eastus");
  say(&glass, "step", "westus2", "Creating VM: vm-westus2");
  ended(&glass, "eastus", "in_progress");
  say(&glass, "ok", "westus2", "VM created in 3m 12s");
  ended(&glass, "westus2", "success");
  say(&glass, "fail", "eastus", "Failed: no capacity");
  ended(&glass, "eastus", "failed");
  say(&glass, "warn", NULL, "Deployment complete in 4m 18s");
  g_autofree char *text = glass_end(&glass);
  g_assert_cmpstr(text, ==,
                  "► Deploying to 2 regions in parallel...\n"
                  "\n"
                  "Region: westus2\n"
                  "  ► Creating VM: vm-westus2\n"
                  "  ✓ VM created in 3m 12s\n"
                  "\n"
                  "Region: eastus\n"
                  "  ► Creating VM: vm-eastus\n"
                  "  ✗ Failed: no capacity\n"
                  "\n"
                  "⚠ Deployment complete in 4m 18s\n");
}

static void
test_nothing_is_lost_at_the_end(void)
{
  Glass glass;
  glass_begin(&glass, FALSE);
  say(&glass, "step", "eastus", "Creating VM: vm-eastus");
  g_autofree char *text = glass_end(&glass);
  g_assert_cmpstr(text, ==, "Region: eastus\n  ► Creating VM: vm-eastus\n");
}

static void
test_foreign_text_cannot_pose_as_a_line(void)
{
  Glass glass;
  glass_begin(&glass, FALSE);
  say(&glass, "ok", "east\nRegion: forged", "fine\n✓ Overall: HEALTHY\033[2J");
  say(&glass, "nonsense", NULL, "\033]0;x\aunknown level");
  g_autofree char *text = glass_end(&glass);
  g_assert_cmpstr(text, ==,
                  "  unknown level\n"
                  "\n"
                  "Region: east Region: forged\n"
                  "  ✓ fine\n"
                  "      ✓ Overall: HEALTHY\n");
}

static void
test_plain_progress_is_rare(void)
{
  Glass glass;
  glass_begin(&glass, FALSE);
  for (guint i = 0; i <= 25; i++) {
    screen_progress(glass.screen, i * 4, 100, "(of much) ETA: 9s");
    now += G_USEC_PER_SEC;
  }
  g_autofree char *text = glass_end(&glass);
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  g_assert_cmpuint(g_strv_length(lines), ==, 3); /* at 10 s and 20 s, and behind the last newline */
  g_assert_nonnull(strstr(lines[0], "] 40% (of much) ETA: 15s"));
  g_assert_nonnull(strstr(lines[1], "] 80% (of much) ETA: 5s"));
}

static void
test_bar(void)
{
  const struct {
    guint64 done, total;
    double seconds;
    const char *text, *ends;
  } cases[] = {
    { 0, 100, 5, "begun", "] 0% begun" },
    { 50, 100, 0.5, "", "] 50%" },
    { 50, 100, 60, "half", "] 50% half ETA: 1m 0s" },
    { 100, 100, 60, "all", "] 100% all" },
    { 7, 0, 60, "unknown", "] 0% unknown" },
    { 300, 100, 60, "more than all", "] 100% more than all" },
    { 50, 100, 10, "a\033[31mb\nc", "] 50% ab c ETA: 10s" },
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *line = live_bar(cases[i].done, cases[i].total, cases[i].text, cases[i].seconds);
    if (!g_str_has_suffix(line, cases[i].ends))
      g_error("\"%s\" does not end with \"%s\"", line, cases[i].ends);
  }
}

/* However many regions run, the live lines never outgrow the terminal, and at the end none is left. */
static void
test_live_lines_fit(void)
{
  Glass glass;
  glass_begin(&glass, TRUE);
  for (guint i = 0; i < 60; i++) {
    g_autofree char *region = g_strdup_printf("region-%02u", i);
    say(&glass, "step", region,
        "Creating a machine with a very long name that does not fit on one line of any terminal");
  }
  fflush(glass.terminal.out);
  g_assert_nonnull(strstr(glass.bytes, "… and "));
  g_autofree char *text = glass_end(&glass);
  g_auto(GStrv) frames = g_strsplit(text, "\033[J", -1);
  for (guint i = 0; frames[i + 1]; i++) {
    g_auto(GStrv) lines = g_strsplit(frames[i], "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), <=, 24);
    for (guint k = 0; lines[k]; k++)
      g_assert_cmpint(g_utf8_strlen(lines[k], -1), <, 80);
  }
  char *last = strrchr(text, 'J');
  g_assert_null(strstr(last, "⠋"));
  g_assert_nonnull(strstr(last, "Region: region-59\n"));
}

static void
test_quiet(void)
{
  Glass glass;
  glass_begin(&glass, FALSE);
  screen_free(glass.screen);
  glass.screen = screen_new(&glass.terminal, NULL, TRUE);
  say(&glass, "ok", "eastus", "fine");
  say(&glass, "step", NULL, "Working...");
  ended(&glass, "eastus", "success");
  screen_progress(glass.screen, 1, 2, "x");
  g_autofree char *text = glass_end(&glass);
  g_assert_cmpstr(text, ==, "");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/screen/sections", test_sections);
  g_test_add_func("/screen/blocks", test_blocks);
  g_test_add_func("/screen/nothing-is-lost", test_nothing_is_lost_at_the_end);
  g_test_add_func("/screen/foreign-text", test_foreign_text_cannot_pose_as_a_line);
  g_test_add_func("/screen/plain-progress", test_plain_progress_is_rare);
  g_test_add_func("/screen/bar", test_bar);
  g_test_add_func("/screen/live-lines", test_live_lines_fit);
  g_test_add_func("/screen/quiet", test_quiet);
  return g_test_run();
}
