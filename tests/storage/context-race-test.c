/* Sixteen processes change one config.json at once: nothing is lost, one primary at every instant. */
#include "brick-host.h"
#include <sys/wait.h>
#include <unistd.h>

extern const AzlinPlugin azlin_plugin_v1;

#define PROCESSES 16
#define SWAPS 8

static guint edits = 25; /* $AZLIN_EDITS: 500 for a long run */

/* Each process keeps regions of its own and updates them over and over. */
static gboolean
edit(BrickHost *host, guint process)
{
  for (guint i = 0; i < edits; i++) {
    g_autofree char *region = g_strdup_printf("r%02u-%u", process, i % 5);
    g_autofree char *ip = g_strdup_printf("10.%u.%u.%u", process, i >> 8, i & 255);
    g_auto(Reply) reply = context_add(host, region, ip, TRUE);
    if (reply.error != NULL) {
      g_printerr("%s\n", reply.error->message);
      return FALSE;
    }
  }
  return TRUE;
}

/* Compare-and-swap by all: who loses reads again, as a flow would. Counts its own successes. */
static guint
swap(BrickHost *host, guint process)
{
  g_autofree char *mine = g_strdup_printf("r%02u-0", process);
  guint done = 0;
  while (done < SWAPS) {
    g_auto(Reply) info = context_info(host);
    const char *primary = NULL;
    guint64 epoch = 0;
    g_variant_lookup(info.variant, "primary", "&s", &primary);
    g_variant_lookup(info.variant, "epoch", "t", &epoch);
    g_auto(Reply) reply = context_set_primary(host, primary, mine, epoch);
    if (reply.error == NULL)
      done++;
    else if (!g_error_matches(reply.error, AZLIN_ERROR, AZLIN_ERROR_FENCED))
      return done;
  }
  return done;
}

static void
run_all(const char *home, gboolean swapping)
{
  for (guint p = 0; p < PROCESSES; p++) {
    if (fork() > 0)
      continue;
    BrickHost *host = brick_host_new(&azlin_plugin_v1, home);
    gboolean ok = swapping ? swap(host, p) == SWAPS : edit(host, p);
    _exit(ok && host->log->len == 0 ? 0 : 1);
  }
}

/* A reader beside them: never an error, never two primaries. */
static void
watch_and_reap(BrickHost *host)
{
  guint left = PROCESSES;
  while (left > 0) {
    int status = 0;
    guint primaries = 0;
    g_auto(Reply) list = context_list(host);
    g_assert_no_error(list.error);
    for (guint i = 0; i < list.vms->len; i++)
      primaries += ((AzlinVm *) g_ptr_array_index(list.vms, i))->is_primary ? 1 : 0;
    g_assert_cmpuint(primaries, <=, 1);
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid > 0) {
      g_assert_cmpint(status, ==, 0);
      left--;
    }
  }
}

static guint64
generation_of(BrickHost *host)
{
  guint64 generation = 0;
  g_auto(Reply) info = context_info(host);
  g_assert_true(g_variant_lookup(info.variant, "generation", "t", &generation));
  return generation;
}

static void
sixteen_processes_lose_nothing(void)
{
  BrickHost *host = brick_host_new(&azlin_plugin_v1, NULL);
  run_all(host->home, FALSE);
  watch_and_reap(host);
  g_assert_cmpuint(generation_of(host), ==, PROCESSES * edits);
  g_auto(Reply) list = context_list(host);
  g_assert_cmpuint(list.vms->len, ==, PROCESSES * 5);
  for (guint p = 0; p < PROCESSES; p++)
    for (guint i = edits - 5; i < edits; i++) {
      g_autofree char *region = g_strdup_printf("r%02u-%u", p, i % 5);
      g_autofree char *ip = g_strdup_printf("10.%u.%u.%u", p, i >> 8, i & 255);
      g_autoptr(AzlinVm) vm = context_get(host, region);
      g_assert_nonnull(vm);
      g_assert_cmpstr(vm->public_ip, ==, ip);
    }
  g_assert_cmpuint(context_epoch(host), ==, 1);
  run_all(host->home, TRUE);
  watch_and_reap(host);
  g_assert_cmpuint(context_epoch(host), ==, 1 + PROCESSES * SWAPS);
  g_assert_cmpuint(generation_of(host), ==, PROCESSES * (edits + SWAPS));
  brick_host_remove_home(host);
  brick_host_free(host);
}

int
main(int argc, char **argv)
{
  const char *wanted = g_getenv("AZLIN_EDITS");
  g_test_init(&argc, &argv, NULL);
  if (wanted != NULL)
    edits = MAX(5, (guint) g_ascii_strtoull(wanted, NULL, 10));
  g_test_add_func("/context/sixteen-processes-lose-nothing", sixteen_processes_lose_nothing);
  return g_test_run();
}
