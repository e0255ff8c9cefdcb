/* The first look at answers. */
#include "http-private.h"

#include <string.h>

static const char *
scan(const char *type, const char *text, gssize length)
{
  g_autoptr(GBytes) body = g_bytes_new(text, length < 0 ? strlen(text) : (gsize) length);
  return az_http_scan(type, body);
}

static char *
repeated(const char *piece, guint n)
{
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < n; i++)
    g_string_append(text, piece);
  return g_string_free(text, FALSE);
}

static void
test_nesting(void)
{
  g_autofree char *bomb = repeated("[", 200000);
  g_autofree char *deep = repeated("{\"a\":", 65);
  g_autofree char *fits = repeated("[", 64);
  g_autofree char *wide = repeated("[{}],", 100000);
  g_autofree char *quoted = repeated("[", 1000);
  g_autofree char *text = g_strdup_printf("{\"a\":\"%s\\\"%s\"}", quoted, quoted);
  g_assert_cmpstr(scan("application/json", bomb, -1), ==, "nests deeper than 64 levels");
  g_assert_cmpstr(scan(NULL, bomb, -1), ==, "nests deeper than 64 levels");
  g_assert_cmpstr(scan("text/plain", deep, -1), ==, "nests deeper than 64 levels");
  g_assert_cmpstr(scan("application/json", fits, -1), ==, NULL);
  g_assert_cmpstr(scan("application/json", wide, -1), ==, NULL);
  g_assert_cmpstr(scan("application/json", text, -1), ==, NULL);
}

static void
test_bytes(void)
{
  g_assert_cmpstr(scan("application/json", "{\"a\":\"b\0c\"}", 11), ==, "contains NUL bytes");
  g_assert_cmpstr(scan(NULL, "  {\"a\":\"\xff\"}", -1), ==, "is not UTF-8");
  g_assert_cmpstr(scan("application/json; charset=utf-8", "{\"a\":\"\xed\xa0\x80\"}", -1), ==, "is not UTF-8");
  g_assert_cmpstr(scan("application/json", "{\"a\":\"\xc3", -1), ==, "is not UTF-8");
  g_assert_cmpstr(scan("application/json", "{\"a\":\"\xc3\xa4\"}", -1), ==, NULL);
  g_assert_cmpstr(scan("application/json", "", 0), ==, NULL);
  g_assert_cmpstr(scan("application/json", "\"\\", -1), ==, NULL); /* ends inside an escape */
  g_assert_cmpstr(scan("text/html", "<html>\xff\0</html>", 15), ==, NULL);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/http/scan/nesting", test_nesting);
  g_test_add_func("/http/scan/bytes", test_bytes);
  return g_test_run();
}
