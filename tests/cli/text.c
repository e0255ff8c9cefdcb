/* Unit tests of the text that reaches a terminal: cleaning, width, durations, sizes, ages. */
#include "text.h"

#include <string.h>

static void
expect_clean(const char *in, const char *out)
{
  g_autofree char *cleaned = text_clean(in);
  g_assert_cmpstr(cleaned, ==, out);
}

static void
test_plain_text_stays(void)
{
  expect_clean("", "");
  expect_clean("vm-eastus-123", "vm-eastus-123");
  expect_clean("one\ttwo\nthree", "one\ttwo\nthree");
  expect_clean("naïve 東京 ✓ 👍", "naïve 東京 ✓ 👍");
  expect_clean(NULL, "");
}

static void
test_sequences_go(void)
{
  expect_clean("a\033[31mred\033[0mb", "aredb");
  expect_clean("a\033]0;title\ab", "ab");
  expect_clean("a\033]8;;http://x\033\\link\033]8;;\033\\b", "alinkb");
  expect_clean("a\033P1$r\033\\b", "ab");
  expect_clean("a\033(Bb\033=c\033", "abc");
  expect_clean("a\302\2332Jb", "ab");      /* CSI as one C1 character */
  expect_clean("a\302\235title\ab", "ab"); /* OSC as one C1 character */
  expect_clean("\033[\033[31mm", "m");     /* taking one out must not make another */
  expect_clean("bell\a back\b del\177 cr\r", "bell back del cr");
}

static void
test_open_string_swallows_nothing(void)
{
  expect_clean("a\033]0;no end", "a0;no end");
  expect_clean("a\033]0;x\ny\a", "a0;x\ny");
}

static void
test_bidi_and_invisible_go(void)
{
  expect_clean("a\u202eb\u2066c\u2069d\u200fe\u061cf\ufeffg\u200bh", "abcdefgh");
  expect_clean("a\U000e0041b", "ab");
  expect_clean("line\u2028sep", "line sep");
}

static void
test_bad_utf8_is_replaced(void)
{
  expect_clean("a\377b", "a\357\277\275b");
  expect_clean("a\233"
               "31mb",
               "a\357\277\275"
               "31mb"); /* a bare C1 byte is no UTF-8 */
}

static void
test_one_line(void)
{
  g_autofree char *line = text_clean_line("a\nRegion: forged\tb\r");
  g_assert_cmpstr(line, ==, "a Region: forged b");
}

static gboolean
is_harmless(const char *text)
{
  for (const char *p = text; *p; p = text_next(p)) {
    gunichar c = g_utf8_get_char(p);
    if ((c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c <= 0x9f) || (c >= 0x202a && c <= 0x202e)
        || (c >= 0x2066 && c <= 0x2069))
      return FALSE;
  }
  return TRUE;
}

/* Random strings out of the pieces that matter: nothing that a terminal obeys is ever left, and cleaning is idempotent.
 */
static void
test_fuzz(void)
{
  static const char *const pieces[]
      = { "\033",         "[",    "]",  "P",  "\\", "\a", "31m", "0;t",  "\302\233", "\302\235", "\342\200\256",
          "\342\201\246", "\n",   "\t", "\r", "\b", "x",  "é",   "\377", "\302",     "(",        "B",
          "?25l",         "\177", "\1", "m",  "J",  "2",  ";" };
  for (int round = 0; round < 20000; round++) {
    g_autoptr(GString) in = g_string_new(NULL);
    int n = g_test_rand_int_range(0, 24);
    while (n-- > 0)
      g_string_append(in, pieces[g_test_rand_int_range(0, G_N_ELEMENTS(pieces))]);
    g_autofree char *once = text_clean(in->str);
    g_autofree char *twice = text_clean(once);
    g_assert_true(g_utf8_validate(once, -1, NULL));
    g_assert_true(is_harmless(once));
    g_assert_cmpstr(once, ==, twice);
  }
}

static void
test_random_bytes(void)
{
  for (int round = 0; round < 5000; round++) {
    char bytes[65] = "";
    for (int i = 0; i < 64; i++)
      bytes[i] = (char) g_test_rand_int_range(1, 256);
    g_autofree char *once = text_clean(bytes);
    g_assert_true(g_utf8_validate(once, -1, NULL));
    g_assert_true(is_harmless(once));
  }
}

static void
test_width(void)
{
  g_assert_cmpint(text_width("eastus"), ==, 6);
  g_assert_cmpint(text_width("東京"), ==, 4);
  g_assert_cmpint(text_width("é"), ==, 1);
  g_assert_cmpint(text_width("e\u0301"), ==, 1);
  g_autofree char *padded = text_pad("東京", 6);
  g_assert_cmpstr(padded, ==, "東京  ");
  g_autofree char *cut = text_shorten("southeastasia", 6);
  g_assert_cmpstr(cut, ==, "south…");
  g_autofree char *wide = text_shorten("東京都港区", 6);
  g_assert_cmpint(text_width(wide), <=, 6);
}

static void
test_ascii(void)
{
  g_autofree char *ascii = text_to_ascii("► a → b ✓ ✗ ⚠ ● ○ ─ █░ … 東");
  g_assert_cmpstr(ascii, ==, "> a -> b + x ! * o - #. ... ?");
}

static void
test_duration(void)
{
  const struct {
    double seconds;
    const char *text;
  } cases[] = { { 0, "0ms" },      { 0.045, "45ms" }, { 4, "4s" },        { 4.5, "4.5s" }, { 18.4, "18s" },
                { 59.7, "1m 0s" }, { 192, "3m 12s" }, { 7500, "2h 05m" }, { -3, "0ms" } };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = text_duration(cases[i].seconds);
    g_assert_cmpstr(text, ==, cases[i].text);
  }
}

static void
test_bytes(void)
{
  const struct {
    guint64 bytes;
    const char *text;
  } cases[] = { { 0, "0B" },
                { 999, "999B" },
                { 1000, "1.0kB" },
                { 342000000, "342MB" },
                { 999999999, "1.0GB" },
                { G_MAXUINT64, "18EB" } };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = text_bytes(cases[i].bytes);
    g_assert_cmpstr(text, ==, cases[i].text);
  }
}

static void
test_ago(void)
{
  const gint64 now = 1000000000LL * G_USEC_PER_SEC;
  const struct {
    gint64 seconds;
    const char *text;
  } cases[] = { { 2, "just now" }, { -60, "just now" }, { 30, "30s ago" },
                { 120, "2m ago" }, { 3600, "1h ago" },  { 86400 * 3, "3d ago" } };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = text_ago(now - cases[i].seconds * G_USEC_PER_SEC, now);
    g_assert_cmpstr(text, ==, cases[i].text);
  }
  g_autofree char *never = text_ago(0, now);
  g_assert_cmpstr(never, ==, "never");
}

static void
test_bar(void)
{
  g_autofree char *half = text_bar(0.5, 4);
  g_autofree char *over = text_bar(7, 4);
  g_assert_cmpstr(half, ==, "██░░");
  g_assert_cmpstr(over, ==, "████");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/text/plain", test_plain_text_stays);
  g_test_add_func("/text/sequences", test_sequences_go);
  g_test_add_func("/text/open-string", test_open_string_swallows_nothing);
  g_test_add_func("/text/bidi", test_bidi_and_invisible_go);
  g_test_add_func("/text/bad-utf8", test_bad_utf8_is_replaced);
  g_test_add_func("/text/one-line", test_one_line);
  g_test_add_func("/text/fuzz", test_fuzz);
  g_test_add_func("/text/random-bytes", test_random_bytes);
  g_test_add_func("/text/width", test_width);
  g_test_add_func("/text/ascii", test_ascii);
  g_test_add_func("/text/duration", test_duration);
  g_test_add_func("/text/bytes", test_bytes);
  g_test_add_func("/text/ago", test_ago);
  g_test_add_func("/text/bar", test_bar);
  return g_test_run();
}
