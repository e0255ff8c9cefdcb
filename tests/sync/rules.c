/* The rules of sync that need no machine: deletions that must be confirmed, space, exit codes, what is never copied. */
#include "flow-sync-private.h"
#include "flow.h"

static void
test_more_than_half_needs_an_answer(void)
{
  static const struct {
    guint64 deletes, files;
    guint32 max_delete;
    gboolean asks;
  } rows[] = {
    { 0, 0, G_MAXUINT32, FALSE }, { 0, 10, 0, FALSE },          { 5, 10, G_MAXUINT32, FALSE },
    { 6, 10, G_MAXUINT32, TRUE }, { 4, 9, G_MAXUINT32, FALSE }, { 5, 9, G_MAXUINT32, TRUE },
    { 1, 1, G_MAXUINT32, TRUE },  { 1, 2, G_MAXUINT32, FALSE }, { 3, 100, 2, TRUE },
    { 2, 100, 2, FALSE },         { 1, 100, 0, TRUE },          { 3, 2, G_MAXUINT32, TRUE },
    { G_MAXUINT64, 1, 5, TRUE },
  };
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
    g_assert_cmpint(az_sync_needs_answer(rows[i].deletes, rows[i].files, rows[i].max_delete), ==, rows[i].asks);
}

static void
test_space(void)
{
  g_assert_true(az_sync_fits(100, 0, 110));
  g_assert_false(az_sync_fits(100, 0, 109));
  g_assert_true(az_sync_fits(100, 100, 0));
  g_assert_true(az_sync_fits(100, 500, 0));
  g_assert_true(az_sync_fits(200, 100, 110));
  g_assert_false(az_sync_fits(G_MAXINT64, 0, 1000));
}

static void
test_exit_codes(void)
{
  g_assert_cmpint(az_sync_exit_code(3, 0, 0), ==, 0);
  g_assert_cmpint(az_sync_exit_code(2, 0, 1), ==, 1);
  g_assert_cmpint(az_sync_exit_code(0, 1, 0), ==, 1);
  g_assert_cmpint(az_sync_exit_code(0, 0, 2), ==, 2);
}

static void
test_sizes(void)
{
  static const struct {
    guint64 bytes;
    const char *text;
  } rows[] = {
    { 0, "0B" },        { 999, "999B" },     { 1000, "1.0kB" },       { 342000000, "342MB" },    { 1500000, "1.5MB" },
    { 99950, "100kB" }, { 999999, "1.0MB" }, { 1000000000, "1.0GB" }, { G_MAXUINT64, "18447PB" }
  };
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *text = az_sync_size(rows[i].bytes);
    g_assert_cmpstr(text, ==, rows[i].text);
  }
}

static AzSyncPlace
place_at(char *folder, char *home)
{
  return (AzSyncPlace){ .kind = 'd', .folder = folder, .full = folder, .home = home };
}

static guint
n_protected(char *folder, char *home, const char *first)
{
  AzSyncPlace place = place_at(folder, home);
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) patterns = g_ptr_array_new_with_free_func(g_free);
  g_assert_true(az_sync_protect(&place, patterns, &error));
  g_assert_no_error(error);
  if (first != NULL)
    g_assert_cmpstr(patterns->pdata[0], ==, first);
  return patterns->len;
}

static void
test_keys_and_state_are_left_out(void)
{
  g_assert_cmpuint(n_protected((char[]){ "/home/u" }, (char[]){ "/home/u" }, "./.ssh"), ==, 2);
  g_assert_cmpuint(n_protected((char[]){ "/home" }, (char[]){ "/home/u" }, "./u/.ssh"), ==, 2);
  g_assert_cmpuint(n_protected((char[]){ "/" }, (char[]){ "/home/u" }, "./home/u/.ssh"), ==, 2);
  g_assert_cmpuint(n_protected((char[]){ "/home/u/.local" }, (char[]){ "/home/u" }, "./state/azlin"), ==, 1);
  g_assert_cmpuint(n_protected((char[]){ "/home/u/project" }, (char[]){ "/home/u" }, NULL), ==, 0);
  g_assert_cmpuint(n_protected((char[]){ "/home/u2" }, (char[]){ "/home/u" }, NULL), ==, 0);
  g_assert_cmpuint(n_protected((char[]){ "/home/u/.sshfs" }, (char[]){ "/home/u" }, NULL), ==, 0);
}

static void
test_keys_and_state_are_refused(void)
{
  char home[] = "/home/u";
  static char folders[][40]
      = { "/home/u/.ssh", "/home/u/.ssh/x", "/home/u/.local/state/azlin", "/home/u/.local/state/azlin/jobs" };
  g_autoptr(GPtrArray) patterns = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
    AzSyncPlace place = place_at(folders[i], home);
    g_autoptr(GError) error = NULL;
    g_assert_false(az_sync_protect(&place, patterns, &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/sync/more-than-half-needs-an-answer", test_more_than_half_needs_an_answer);
  g_test_add_func("/sync/space", test_space);
  g_test_add_func("/sync/exit-codes", test_exit_codes);
  g_test_add_func("/sync/sizes", test_sizes);
  g_test_add_func("/sync/keys-and-state-are-left-out", test_keys_and_state_are_left_out);
  g_test_add_func("/sync/keys-and-state-are-refused", test_keys_and_state_are_refused);
  return g_test_run();
}
