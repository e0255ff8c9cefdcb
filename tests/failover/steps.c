/* SIGKILL at every durable write of a switch, before it and after it, then `recover`: exactly one primary at the
 * highest epoch, and nothing forgotten. The writes are counted where they reach the kernel, so no step can be missed.
 * AZLIN_KILLS=N: at most N kills per scene, spread evenly; 0 = every one. */
#include "flow-failover-state.h"
#include "place.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_KILLS 8

/* ---- durable writes of this process, counted ---- */

static guint calls, kill_at; /* kill_at 0 = never; odd: before the write, even: after it */

static void
count(gboolean after)
{
  if (kill_at != 0 && calls * 2 + after == kill_at)
    raise(SIGKILL);
}

#define COUNTED(call)                                                                                                  \
  do {                                                                                                                 \
    count(FALSE);                                                                                                      \
    long counted_result = (call);                                                                                      \
    count(TRUE);                                                                                                       \
    calls++;                                                                                                           \
    return (int) counted_result;                                                                                       \
  } while (0)

__attribute__((visibility("default"))) int
fdatasync(int fd)
{
  COUNTED(syscall(SYS_fdatasync, fd));
}

__attribute__((visibility("default"))) int
fsync(int fd)
{
  COUNTED(syscall(SYS_fsync, fd));
}

__attribute__((visibility("default"))) int
rename(const char *from, const char *to)
{
  COUNTED(syscall(SYS_rename, from, to));
}

/* ---- scenes ---- */

typedef struct {
  const char *name, *options; /* of [failover.hybrid] */
  const char *faults;         /* while it runs; over when recover runs */
  const char *kind, *args;
  const char *before; /* options and faults as in `faults`, a job that must succeed first; or NULL */
  gboolean fences;    /* a switch leaves the source off */
  gboolean isolates;  /* ... or cut off its network */
  gboolean automatic, window, undoes;
} Scene;

static const Scene scenes[] = {
  { .name = "planned", .kind = "failover", .args = "{'to': <'westus2'>, 'yes': <true>}" },
  { .name = "dark",
    .faults = "probe eastus timeout\n",
    .kind = "failover",
    .args = "{'auto': <true>}",
    .fences = TRUE,
    .automatic = TRUE },
  { .name = "no fence",
    .faults = "probe eastus timeout\npower eastus hang\nget eastus hang\nisolate eastus hang\n",
    .kind = "failover",
    .args = "{'auto': <true>}",
    .fences = TRUE,
    .automatic = TRUE },
  { .name = "isolated",
    .faults = "probe eastus timeout\npower eastus fail permission\n",
    .kind = "failover",
    .args = "{'auto': <true>}",
    .isolates = TRUE,
    .automatic = TRUE },
  { .name = "with a window",
    .options = "commit-window=600\n",
    .faults = "probe eastus timeout\n",
    .kind = "failover",
    .args = "{'auto': <true>}",
    .fences = TRUE,
    .automatic = TRUE,
    .window = TRUE },
  { .name = "undone",
    .options = "unfenced=never\n",
    .faults = "probe eastus timeout\nget eastus hang\nisolate eastus hang\n",
    .kind = "failover",
    .args = "{'to': <'westus2'>, 'yes': <true>}",
    .undoes = TRUE },
  { .name = "rollback",
    .options = "commit-window=600\n",
    .faults = "",
    .kind = "failover-rollback",
    .args = "{'yes': <true>}",
    .before = "probe eastus timeout\n" },
};

static void
configure(const TestPlace *place, const Scene *scene, const char *faults)
{
  g_autofree char *text
      = g_strdup_printf("[bricks]\nprovider=sim\n[provider.sim]\nscript=%s\npower-seconds=3\n[failover.hybrid]\n%s",
                        place->script, scene->options != NULL ? scene->options : "");

  test_put(place->script, faults != NULL ? faults : "");
  test_put(place->config, text);
}

/* ---- jobs, each in a process of its own ---- */

/* Runs a job in a child that dies at `when`; returns its wait status, and how many writes it made (if it lived). */
static int
in_child(const TestPlace *place, const char *kind, const char *args, guint when, guint *ret_calls)
{
  int pipe_fds[2], status = 0;

  g_assert_cmpint(pipe(pipe_fds), ==, 0);
  pid_t child = fork();
  if (child == 0) {
    g_random_set_seed((guint32) getpid()); /* g_test_init() gave all of us the same */
    AzEngine *engine = test_engine_at(place);
    calls = 0;
    kill_at = when;
    int code = az_job_exit_code(test_run_job(engine, kind, args));
    guint made = calls;
    if (write(pipe_fds[1], &made, sizeof made) != sizeof made)
      code = 99;
    _exit(code);
  }
  close(pipe_fds[1]);
  guint made = 0;
  if (read(pipe_fds[0], &made, sizeof made) == sizeof made && ret_calls != NULL)
    *ret_calls = made;
  close(pipe_fds[0]);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    continue;
  return status;
}

static void
must(const TestPlace *place, const char *kind, const char *args)
{
  int status = in_child(place, kind, args, 0, NULL);

  g_assert_true(WIFEXITED(status));
  g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

/* ---- what must hold afterwards ---- */

static const char *
power_of(AzEngine *engine, const char *region)
{
  g_autofree char *args = g_strdup_printf("{'region': <'%s'>}", region);
  AzJob *job = test_run_job(engine, "vm-status", args);
  const char *power = "?";

  if (!g_variant_lookup(az_job_result(job), "power_state", "&s", &power)) {
    g_autofree char *text = g_variant_print(az_job_result(job), FALSE);
    g_printerr("# %s\n", text);
  }
  return power;
}

static guint
primaries_in(GVariant *regions)
{
  guint n = 0;

  for (gsize i = 0; i < g_variant_n_children(regions); i++) {
    g_autoptr(GVariant) box = g_variant_get_child_value(regions, i);
    g_autoptr(GVariant) row = g_variant_get_variant(box);
    gboolean primary = FALSE;
    g_variant_lookup(row, "is_primary", "b", &primary);
    n += primary;
  }
  return n;
}

typedef struct {
  const char *from, *to;
  guint64 epoch; /* before */
} Expected;

static void
check_state(AzEngine *engine, const Scene *scene, const Expected *expected, gboolean moved, guint64 epoch)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(AzFailoverState) state = az_failover_state_load(engine, &error);

  g_assert_no_error(error);
  g_assert_cmpuint(state->fences->len, ==, 0);
  if (moved && scene->automatic) {
    g_assert_cmpuint(state->automatic_epoch, ==, epoch);
    g_assert_false(state->acknowledged);
  }
  if (!moved || scene->isolates)
    g_assert_cmpint(az_failover_is_isolated(state, expected->from), ==, moved);
  if (scene->window)
    g_assert_cmpuint(state->window_epoch, ==, moved ? epoch : 0);
  if (scene->before != NULL) /* a rollback closes its window, or leaves it open */
    g_assert_cmpuint(state->window_epoch, ==, moved ? 0 : expected->epoch);
}

static void
check_home(const TestPlace *place, const Scene *scene, const Expected *expected)
{
  AzEngine *engine = test_engine_at(place);
  const char *primary = "";
  guint64 epoch = 0;

  g_assert_cmpint(az_job_exit_code(test_run_job(engine, "recover", "{'yes': <true>}")), ==, 0);
  AzJob *list = test_run_job(engine, "regions-list", "@a{sv} {}");
  g_autoptr(GVariant) regions = g_variant_lookup_value(az_job_result(list), "regions", NULL);
  g_variant_lookup(az_job_result(list), "primary", "&s", &primary);
  g_variant_lookup(az_job_result(list), "epoch", "t", &epoch);
  g_assert_cmpuint(primaries_in(regions), ==, 1);
  gboolean moved = g_str_equal(primary, expected->to);
  g_assert_true(moved || g_str_equal(primary, expected->from));
  g_assert_cmpuint(epoch, ==, expected->epoch + moved);
  g_assert_false(moved && scene->undoes);
  g_assert_cmpstr(power_of(engine, primary), ==, "running");
  g_assert_cmpstr(power_of(engine, expected->from), ==, moved && scene->fences ? "stopped" : "running");
  check_state(engine, scene, expected, moved, epoch);
  g_autoptr(GPtrArray) open_now = az_journal_open_entries(az_engine_journal(engine, NULL), NULL);
  g_assert_cmpuint(open_now->len, ==, 0);
  g_autoptr(GVariant) verdict = az_engine_query(engine, "audit-verify", NULL, NULL);
  gboolean valid = FALSE;
  g_variant_lookup(verdict, "valid", "b", &valid);
  g_assert_true(valid);
  az_engine_free(engine);
}

static void
check(const TestPlace *place, const Scene *scene, const Expected *expected)
{
  int status = 0;
  pid_t child = fork();

  if (child == 0) {
    g_random_set_seed((guint32) getpid());
    check_home(place, scene, expected);
    _exit(0);
  }
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    continue;
  g_assert_cmpint(status, ==, 0);
}

/* ---- the test ---- */

static void
copy_home(const TestPlace *place, const char *from, const char *to)
{
  const char *gone[] = { "rm", "-rf", "--", to, NULL };
  const char *copied[] = { "cp", "-a", "--", from, to, NULL };

  test_run_tool(gone);
  test_run_tool(copied);
}

static guint
limit(void)
{
  const char *text = g_getenv("AZLIN_KILLS");

  return text != NULL ? (guint) g_ascii_strtoull(text, NULL, 10) : DEFAULT_KILLS;
}

static void
test_scene(gconstpointer data)
{
  const Scene *scene = data;
  TestPlace place = test_place_new();
  g_autofree char *saved = g_build_filename(place.root, "saved", NULL);
  guint writes = 0, kills = 0;
  Expected expected = { "eastus", "westus2", 1 };

  configure(&place, scene, scene->before);
  must(&place, "deploy", "{'regions': <['eastus', 'westus2', 'westeurope']>}");
  if (scene->before != NULL) {
    configure(&place, scene, "");
    in_child(&place, "regions-health", "@a{sv} {}", 0, NULL);
    configure(&place, scene, scene->before);
    must(&place, "failover", "{'auto': <true>}");
    configure(&place, scene, "");
    must(&place, "vm-start", "{'region': <'eastus'>}");
    expected = (Expected){ "westus2", "eastus", 2 };
  } else {
    must(&place, "regions-health", "@a{sv} {}");
  }
  copy_home(&place, place.home, saved);
  configure(&place, scene, scene->faults);
  int status = in_child(&place, scene->kind, scene->args, 0, &writes);
  g_assert_cmpint(WIFEXITED(status) ? WEXITSTATUS(status) : -1, ==, scene->undoes ? 1 : 0);
  g_assert_cmpuint(writes, >, 10);
  guint all = writes * 2, step = limit() == 0 || limit() >= all ? 1 : (all + limit() - 1) / limit();
  for (guint when = 1; when <= all; when += step, kills++) {
    g_test_message("%s: killed at %u of %u", scene->name, when, all);
    copy_home(&place, saved, place.home);
    configure(&place, scene, scene->faults);
    status = in_child(&place, scene->kind, scene->args, when, NULL);
    g_assert_true(WIFSIGNALED(status) || when >= all - 1);
    configure(&place, scene, "");
    check(&place, scene, &expected);
  }
  printf("# %s: %u durable writes, %u kills, one primary after each\n", scene->name, writes, kills);
  test_place_free(&place);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(scenes); i++) {
    g_autofree char *name = g_strdup_printf("/failover/steps/%s", scenes[i].name);
    g_test_add_data_func(g_strdelimit(name, " ", '-'), &scenes[i], test_scene);
  }
  return g_test_run();
}
