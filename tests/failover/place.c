/* A home of its own per test, and jobs run in this process until they end. */
#include "place.h"
#include <glib/gstdio.h>

void
test_put(const char *path, const char *text)
{
  g_autoptr(GError) error = NULL;

  g_unlink(path); /* an empty text leaves what stands there */
  g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, &error);
  g_assert_no_error(error);
}

TestPlace
test_place_new(void)
{
  char *root = g_build_filename(g_getenv("AZLIN_TEST_DIR"), "place-XXXXXX", NULL);

  g_assert_cmpint(g_mkdir_with_parents(g_getenv("AZLIN_TEST_DIR"), 0700), ==, 0);
  g_assert_nonnull(g_mkdtemp_full(root, 0700));
  return (TestPlace){ root, g_build_filename(root, "home", NULL), g_build_filename(root, "azlin.conf", NULL),
                      g_build_filename(root, "script", NULL) };
}

void
test_run_tool(const char *const *argv)
{
  g_assert_true(
      g_spawn_sync(NULL, (char **) (guintptr) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
}

void
test_place_free(TestPlace *place)
{
  const char *argv[] = { "rm", "-rf", "--", place->root, NULL };

  test_run_tool(argv);
  g_free(place->root);
  g_free(place->home);
  g_free(place->config);
  g_free(place->script);
}

static void
on_finished(AzJob *job, gpointer data)
{
  *(gboolean *) data = TRUE;
}

static void
on_message(AzJob *job, const char *level, const char *region, const char *text, gpointer data)
{
  g_printerr("# %s %s\n", level, text);
}

AzJob *
test_run_job(AzEngine *engine, const char *kind, const char *args)
{
  gboolean finished = FALSE;
  const AzJobWatch watch
      = { .finished = on_finished, .message = g_getenv("V") != NULL ? on_message : NULL, .data = &finished };
  g_autoptr(GError) error = NULL;
  AzJob *job = az_engine_submit(engine, kind, g_variant_new_parsed(args), &watch, &error);

  g_assert_no_error(error);
  az_engine_start(engine, job);
  while (!finished)
    g_main_context_iteration(NULL, TRUE);
  return job;
}

AzEngine *
test_engine_at(const TestPlace *place)
{
  g_autoptr(GError) error = NULL;
  AzEngine *engine = az_engine_new(place->config, place->home, &error);

  g_assert_no_error(error);
  return engine;
}
