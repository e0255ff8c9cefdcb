/* A config.json with random damage: no crash, and never another primary without a word. */
#include "brick-host.h"
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>

extern const AzlinPlugin azlin_plugin_v1;

#define MUTATIONS 2000

static void
mutate(GString *text)
{
  gint32 at = g_test_rand_int_range(0, (gint32) text->len);
  gint32 n = g_test_rand_int_range(1, 60);
  n = MIN(n, (gint32) text->len - at);
  switch (g_test_rand_int_range(0, 6)) {
  case 0: /* a bit */
    text->str[at] = (char) (text->str[at] ^ (1 << g_test_rand_int_range(0, 8)));
    break;
  case 1: /* the end is missing */
    g_string_truncate(text, (gsize) at);
    break;
  case 2: /* a page of zeros */
    memset(text->str + at, 0, (gsize) n);
    break;
  case 3: /* a piece is missing */
    g_string_erase(text, at, n);
    break;
  case 4: { /* a piece stands twice */
    g_autofree char *piece = g_strndup(text->str + at, (gsize) n);
    g_string_insert(text, at, piece);
    break;
  }
  default: /* other words */
    text->str[at] = "{}[]\",:0e"[g_test_rand_int_range(0, 9)];
    break;
  }
}

/* Durability is not the matter here, and the disk would be. */
int __wrap_fsync(int fd);

int
__wrap_fsync(int fd)
{
  return 0;
}

static void
set_time(const char *path, struct timespec time)
{
  struct timespec times[2] = { time, time };
  g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
}

static void
check(BrickHost *host, gboolean by_hand)
{
  g_auto(Reply) list = context_list(host);
  if (list.error != NULL) {
    g_assert_error(list.error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
    return;
  }
  g_autofree char *primary = context_primary(host);
  if (g_str_equal(primary, "westus2"))
    g_assert_cmpuint(context_epoch(host), >=, 2);
  /* Damage of the disk is always put right; a hand may move the primary, and then the user is told. */
  if (!by_hand || host->log->len == 0)
    g_assert_cmpstr(primary, ==, "westus2");
}

/* A state with a history: the generation before had another primary. */
static BrickHost *
make_state(guint regions)
{
  BrickHost *host = brick_host_new(&azlin_plugin_v1, NULL);
  g_auto(Reply) east = context_add(host, "eastus", "1.1.1.1", TRUE);
  g_auto(Reply) west = context_add(host, "westus2", "2.2.2.2", FALSE);
  for (guint i = 2; i < regions; i++) {
    g_autofree char *name = g_strdup_printf("region%u", i);
    g_auto(Reply) more = context_add(host, name, "3.3.3.3", FALSE);
    g_assert_no_error(more.error);
  }
  g_auto(Reply) moved = context_set_primary(host, "eastus", "westus2", 1);
  g_assert_no_error(moved.error);
  return host;
}

static void
run_mutations(guint regions)
{
  static const char *const names[] = { "config.json", "config.json.good", "config.json.1" };
  BrickHost *host = make_state(regions);
  g_auto(GStrv) texts = g_new0(char *, G_N_ELEMENTS(names) + 1);
  g_autofree char *path = home_file(host, "config.json");
  g_autofree char *kept = home_file(host, "config.json.corrupt-1");
  struct timespec long_ago = { .tv_sec = 1000000 };
  struct stat st;
  g_assert_cmpint(stat(path, &st), ==, 0);
  for (guint k = 0; k < G_N_ELEMENTS(names); k++)
    texts[k] = home_read(host, names[k]);
  for (guint i = 0; i < MUTATIONS / 2; i++) {
    gboolean by_hand = g_test_rand_bit();
    g_autoptr(GString) text = g_string_new(texts[0]);
    for (guint k = 1; k < G_N_ELEMENTS(names); k++)
      home_write(host, names[k], texts[k]);
    mutate(text);
    home_write_bytes(host, "config.json", text->str, text->len);
    set_time(path, by_hand ? long_ago : st.st_mtim);
    g_autoptr(BrickHost) reader = brick_host_new(&azlin_plugin_v1, host->home);
    check(reader, by_hand);
    g_unlink(kept);
  }
  brick_host_remove_home(host);
  brick_host_free(host);
}

static void
small_file(void)
{
  run_mutations(3);
}

static void
file_of_lines(void)
{
  run_mutations(120);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/context/mutations-of-a-small-file", small_file);
  g_test_add_func("/context/mutations-of-a-file-of-lines", file_of_lines);
  return g_test_run();
}
