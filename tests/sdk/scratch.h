/* What the tests of this suite share: a private scratch folder, small files with a mode, and errors by their words. */
#pragma once
#include <azlin-plugin.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A new folder (0700) under $AZLIN_TEST_DIR, which no world-writable folder stands above. */
static inline char *
scratch_new(void)
{
  g_autofree char *template = g_build_filename(g_getenv("AZLIN_TEST_DIR"), "sdk-XXXXXX", NULL);

  g_assert_cmpint(g_mkdir_with_parents(g_getenv("AZLIN_TEST_DIR"), 0700), ==, 0);
  g_assert_nonnull(g_mkdtemp(template));
  return g_steal_pointer(&template);
}

static inline void
scratch_remove(const char *path)
{
  g_autoptr(GDir) dir = NULL;

  g_chmod(path, 0700);
  dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
  for (const char *name = dir != NULL ? g_dir_read_name(dir) : NULL; name != NULL; name = g_dir_read_name(dir)) {
    g_autofree char *child = g_build_filename(path, name, NULL);
    scratch_remove(child);
  }
  g_remove(path);
}

/* Writes `text` to folder/name with a mode that no umask changes; returns the path. */
static inline char *
scratch_write(const char *folder, const char *name, const char *text, int mode)
{
  g_autofree char *path = g_build_filename(folder, name, NULL);
  g_autofree char *parent = g_path_get_dirname(path);

  g_assert_cmpint(g_mkdir_with_parents(parent, 0700), ==, 0);
  g_assert_true(g_file_set_contents(path, text, -1, NULL));
  g_assert_cmpint(g_chmod(path, mode), ==, 0);
  return g_steal_pointer(&path);
}

/* An error of this code whose message holds these words. */
static inline void
assert_refused(const GError *error, AzlinError code, const char *words)
{
  g_assert_error(error, AZLIN_ERROR, (int) code);
  if (strstr(error->message, words) == NULL)
    g_test_message("'%s' lacks '%s'", error->message, words);
  g_assert_nonnull(strstr(error->message, words));
}
