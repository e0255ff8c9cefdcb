/* The policy of failovers as a table, and the file behind it: what is hostile, cut off or from the future. */
#include "error.h"
#include "flow-failover-state.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define S(n) ((gint64) (n) *G_USEC_PER_SEC)
#define NOW S(1800000000)

/* ---- the table ---- */

typedef struct {
  const char *name;
  AzFailoverState state;
  const char *target;
  guint32 cool_down_s, max_sync_age_s;
  gint64 last_sync;
  const char *never;
  const char *fence; /* region of a pending one, or NULL */
  const char *inhibitor, *no_lock;
  AzHold automatic, manual;  /* what is expected */
  const char *reason, *step; /* parts of the automatic answer */
} Row;

static const Row rows[] = {
  { .name = "calm", .target = "westus2", .cool_down_s = 3600 },
  { .name = "paused for good",
    .state = { .paused = TRUE, .paused_at = NOW - S(60), .pause_reason = (char *) (guintptr) "maintenance" },
    .target = "westus2",
    .automatic = AZ_HOLD_PAUSED,
    .reason = "(maintenance)",
    .step = "azlin failover resume" },
  { .name = "a program forbids it",
    .target = "westus2",
    .inhibitor = "release.py: a deploy is under way",
    .automatic = AZ_HOLD_INHIBITED,
    .reason = "(release.py: a deploy is under way)",
    .step = "azlin failover --to westus2" },
  { .name = "nobody can tell who acts",
    .target = "westus2",
    .no_lock = "etcd is away",
    .automatic = AZ_HOLD_NO_LOCK,
    .reason = "nobody can tell who else does: etcd is away",
    .step = "azlin failover --to westus2 --without-lock" },
  { .name = "paused until later",
    .state = { .paused = TRUE, .paused_at = NOW - S(60), .paused_until = NOW + S(1) },
    .target = "westus2",
    .automatic = AZ_HOLD_PAUSED,
    .reason = "until 2027-01-15T08:00:01Z",
    .step = "azlin failover resume" },
  { .name = "pause that ran out",
    .state = { .paused = TRUE, .paused_at = NOW - S(60), .paused_until = NOW },
    .target = "westus2" },
  { .name = "cooling down",
    .state = { .automatic_at = NOW - S(3599),
               .automatic_from = (char *) (guintptr) "eastus",
               .automatic_to = (char *) (guintptr) "westus2" },
    .target = "eastus",
    .cool_down_s = 3600,
    .automatic = AZ_HOLD_COOLING_DOWN,
    .reason = "for another 1.0s",
    .step = "azlin failover ack" },
  { .name = "cooled down", .state = { .automatic_at = NOW - S(3600) }, .target = "eastus", .cool_down_s = 3600 },
  { .name = "acknowledged",
    .state = { .automatic_at = NOW - S(5), .acknowledged = TRUE },
    .target = "eastus",
    .cool_down_s = 3600 },
  { .name = "no cool-down wanted", .state = { .automatic_at = NOW - S(5) }, .target = "eastus", .cool_down_s = 0 },
  { .name = "the clock was set back",
    .state = { .automatic_at = NOW + S(500000),
               .automatic_from = (char *) (guintptr) "eastus",
               .automatic_to = (char *) (guintptr) "westus2" },
    .target = "eastus",
    .cool_down_s = 3600,
    .automatic = AZ_HOLD_COOLING_DOWN,
    .step = "azlin failover ack" },
  { .name = "the target is to be fenced",
    .target = "eastus",
    .fence = "eastus",
    .automatic = AZ_HOLD_FENCE_PENDING,
    .manual = AZ_HOLD_FENCE_PENDING,
    .reason = "eastus is still to be fenced",
    .step = "azlin recover" },
  { .name = "another is to be fenced", .target = "westus2", .fence = "eastus" },
  { .name = "no sync on record",
    .target = "westus2",
    .max_sync_age_s = 300,
    .automatic = AZ_HOLD_DATA_AGE,
    .reason = "no verified sync to westus2",
    .step = "azlin failover --to westus2" },
  { .name = "data too old",
    .target = "westus2",
    .max_sync_age_s = 300,
    .last_sync = NOW - S(301),
    .automatic = AZ_HOLD_DATA_AGE,
    .reason = "is 5m 1s old",
    .step = "azlin failover --to westus2" },
  { .name = "data just young enough", .target = "westus2", .max_sync_age_s = 300, .last_sync = NOW - S(300) },
  { .name = "any age", .target = "westus2", .max_sync_age_s = 0 },
  { .name = "no target", .automatic = AZ_HOLD_NO_TARGET, .step = "azlin failover --to REGION" },
  { .name = "never promote",
    .target = "westus2",
    .never = "westus2",
    .automatic = AZ_HOLD_NO_TARGET,
    .reason = "never-promote",
    .step = "azlin failover --to westus2" },
  { .name = "another is never promoted", .target = "westus2", .never = "westus" },
  { .name = "commit window",
    .state = { .window_until = NOW + S(60),
               .window_from = (char *) (guintptr) "eastus",
               .window_to = (char *) (guintptr) "westus2",
               .window_epoch = 2 },
    .target = "eastus",
    .automatic = AZ_HOLD_WINDOW_OPEN,
    .reason = "from eastus to westus2 still waits",
    .step = "azlin failover commit" },
  { .name = "a pause comes before everything",
    .state = { .paused = TRUE, .paused_at = NOW, .automatic_at = NOW, .window_until = NOW + S(1) },
    .target = NULL,
    .cool_down_s = 3600,
    .automatic = AZ_HOLD_PAUSED,
    .step = "azlin failover resume" },
};

static void
check_row(const Row *row, gboolean automatic)
{
  AzFailoverState state = row->state;
  AzFencePending fence = { (char *) (guintptr) row->fence, (char *) (guintptr) "vm", 2, NOW - S(60), 3 };
  const char *never[] = { row->never, NULL };
  AzPolicyInput input = { .state = &state,
                          .now = NOW,
                          .automatic = automatic,
                          .target = row->target,
                          .inhibitor = row->inhibitor,
                          .no_lock = row->no_lock,
                          .cool_down_s = row->cool_down_s,
                          .max_sync_age_s = row->max_sync_age_s,
                          .last_sync = row->last_sync,
                          .never_promote = row->never != NULL ? never : NULL };
  g_autofree char *reason = NULL, *step = NULL;
  AzHold expected = automatic ? row->automatic : row->manual;

  g_test_message("%s (%s)", row->name, automatic ? "automatic" : "manual");
  state.fences = g_ptr_array_new();
  if (row->fence != NULL)
    g_ptr_array_add(state.fences, &fence);
  g_assert_cmpint(az_failover_policy(&input, &reason, &step), ==, expected);
  g_assert_cmpint(az_failover_policy(&input, NULL, NULL), ==, expected);
  g_ptr_array_unref(state.fences);
  g_assert_cmpint(reason != NULL, ==, expected != AZ_HOLD_NONE);
  g_assert_cmpint(step != NULL, ==, expected != AZ_HOLD_NONE);
  if (reason == NULL)
    return;
  g_assert_true(g_str_has_prefix(step, "azlin "));
  g_assert_false(g_str_has_suffix(reason, "."));
  if (row->reason != NULL && automatic)
    g_assert_nonnull(strstr(reason, row->reason));
  if (row->step != NULL)
    g_assert_cmpstr(step, ==, row->step);
}

static void
test_table(void)
{
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    check_row(&rows[i], TRUE);
    check_row(&rows[i], FALSE);
  }
}

/* ---- the file ---- */

typedef struct {
  AzEngine *engine;
  char *home, *path;
} Fixture;

static void
setup(Fixture *fixture, gconstpointer unused)
{
  g_autoptr(GError) error = NULL;

  g_assert_cmpint(g_mkdir_with_parents(g_getenv("AZLIN_TEST_DIR"), 0700), ==, 0);
  fixture->home = g_build_filename(g_getenv("AZLIN_TEST_DIR"), "policy-XXXXXX", NULL);
  g_assert_nonnull(g_mkdtemp_full(fixture->home, 0700));
  fixture->path = g_build_filename(fixture->home, "failover.json", NULL);
  g_autofree char *config = g_build_filename(fixture->home, "azlin.conf", NULL);
  g_file_set_contents_full(config, "[bricks]\nprovider=sim\n", -1, G_FILE_SET_CONTENTS_NONE, 0600, &error);
  g_assert_no_error(error);
  fixture->engine = az_engine_new(config, fixture->home, &error);
  g_assert_no_error(error);
}

static void
teardown(Fixture *fixture, gconstpointer unused)
{
  const char *argv[] = { "rm", "-rf", "--", fixture->home, NULL };

  az_engine_free(fixture->engine);
  g_assert_true(
      g_spawn_sync(NULL, (char **) (guintptr) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
  g_free(fixture->home);
  g_free(fixture->path);
}

static void
fill(AzFailoverState *state, gpointer data)
{
  AzFencePending *fence = g_new0(AzFencePending, 1);

  *fence = (AzFencePending){ g_strdup("eastus"), g_strdup("azlin-eastus-1"), 7, NOW, 4 };
  g_ptr_array_add(state->fences, fence);
  state->paused = TRUE;
  state->paused_at = NOW;
  state->pause_reason = g_strdup("quote \" and \x1b[31m escape");
  state->automatic_at = NOW - S(9);
  state->automatic_from = g_strdup("eastus");
  state->automatic_to = g_strdup("westus2");
  state->automatic_epoch = 7;
  state->window_until = NOW + S(60);
  state->window_from = g_strdup("eastus");
  state->window_to = g_strdup("westus2");
  state->window_epoch = 7;
  state->drill_at = NOW;
  state->drill_to = g_strdup("westus2");
  state->drill_rto_s = 12.5;
  state->drill_passed = TRUE;
}

static void
test_round_trip(Fixture *fixture, gconstpointer unused)
{
  g_autoptr(GError) error = NULL;
  struct stat info;
  g_autoptr(AzFailoverState) fresh = az_failover_state_load(fixture->engine, &error);

  g_assert_no_error(error);
  g_assert_false(fresh->paused);
  g_assert_cmpuint(fresh->fences->len, ==, 0);
  g_assert_true(az_failover_state_change(fixture->engine, fill, NULL, &error));
  g_assert_no_error(error);
  g_assert_cmpint(stat(fixture->path, &info), ==, 0);
  g_assert_cmpint(info.st_mode & 07777, ==, 0600);
  g_autoptr(AzFailoverState) state = az_failover_state_load(fixture->engine, &error);
  g_assert_no_error(error);
  g_assert_true(state->paused);
  g_assert_cmpint(state->paused_until, ==, 0);
  g_assert_cmpstr(state->pause_reason, ==, "quote \" and \x1b[31m escape");
  g_assert_cmpint(state->automatic_at, ==, NOW - S(9));
  g_assert_false(state->acknowledged);
  g_assert_cmpuint(state->window_epoch, ==, 7);
  g_assert_cmpint(state->window_until, ==, NOW + S(60));
  g_assert_cmpfloat(state->drill_rto_s, ==, 12.5);
  g_assert_cmpfloat(state->drill_rpo_s, <, 0);
  const AzFencePending *fence = az_failover_fence_of(state, "eastus");
  g_assert_nonnull(fence);
  g_assert_cmpuint(fence->attempts, ==, 4);
  g_assert_cmpint(fence->since, ==, NOW);
  g_assert_null(az_failover_fence_of(state, "westus2"));
}

static void
nothing(AzFailoverState *state, gpointer data)
{
  *(gboolean *) data = TRUE;
}

static void
put_file(Fixture *fixture, const char *text, gsize length)
{
  g_autoptr(GError) error = NULL;

  g_unlink(fixture->path);
  g_file_set_contents_full(fixture->path, text, (gssize) length, G_FILE_SET_CONTENTS_NONE, 0600, &error);
  g_assert_no_error(error);
}

/* Neither read nor change goes through, and the file stays as it is, byte for byte. */
static void
refuses(Fixture *fixture)
{
  g_autoptr(GError) error = NULL, second = NULL;
  gboolean asked = FALSE;

  g_assert_null(az_failover_state_load(fixture->engine, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_assert_cmpint(az_error_exit_code(error), ==, 78);
  g_assert_nonnull(strstr(error->message, "azlin audit show"));
  g_assert_nonnull(strstr(error->message, fixture->path));
  g_assert_false(az_failover_state_change(fixture->engine, nothing, &asked, &second));
  g_assert_error(second, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_assert_false(asked);
}

static void
test_hostile_text(Fixture *fixture, gconstpointer unused)
{
  static const char *const texts[] = {
    "",
    "{",
    "null",
    "[]",
    "7",
    "\xff\xfe",
    "{\"paused\": true}",
    "{\"paused\": {}}",
    "{\"paused\": {\"at\": \"yesterday\"}}",
    "{\"paused\": {\"at\": \"2026-01-01T00:00:00Z\", \"until\": 5}}",
    "{\"paused\": {\"at\": \"2026-01-01T00:00:00Z\", \"reason\": []}}",
    "{\"automatic\": {\"at\": \"2026-01-01T00:00:00Z\", \"from\": \"a\", \"to\": \"b\", \"epoch\": 1}}",
    "{\"automatic\": {\"at\": \"2026-01-01T00:00:00Z\", \"from\": \"a\", \"to\": \"b\", \"epoch\": -1, "
    "\"acknowledged\": true}}",
    "{\"automatic\": {\"at\": \"2026-01-01T00:00:00Z\", \"from\": \"a\", \"to\": \"b\", \"epoch\": 1e300, "
    "\"acknowledged\": true}}",
    "{\"fences\": {}}",
    "{\"fences\": [7]}",
    "{\"fences\": [{\"region\": \"eastus\"}]}",
    "{\"fences\": [{\"region\": \"eastus\", \"vm_name\": \"v\", \"epoch\": 1, \"since\": \"2026-01-01T00:00:00Z\", "
    "\"attempts\": 4294967296}]}",
    "{\"window\": {\"until\": \"\", \"from\": \"a\", \"to\": \"b\", \"epoch\": 1}}",
    "{\"paused\": null, \"paused\": null}",
  };

  for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autofree char *after = NULL, *shown = g_strescape(texts[i], NULL);
    g_test_message("%s", shown);
    put_file(fixture, texts[i], strlen(texts[i]));
    refuses(fixture);
    g_assert_true(g_file_get_contents(fixture->path, &after, NULL, NULL));
    g_assert_cmpstr(after, ==, texts[i]);
  }
}

static void
test_hostile_file(Fixture *fixture, gconstpointer unused)
{
  g_autofree char *large = g_strnfill(2 << 20, ' '), *deep = g_strnfill(100000, '[');
  gboolean asked = FALSE;
  g_autoptr(GError) error = NULL;

  put_file(fixture, large, 2 << 20);
  refuses(fixture);
  put_file(fixture, deep, 100000);
  refuses(fixture);
  g_unlink(fixture->path);
  g_assert_cmpint(mkfifo(fixture->path, 0600), ==, 0); /* nobody writes: a naive reader waits for ever */
  refuses(fixture);
  g_unlink(fixture->path);
  g_assert_cmpint(symlink("/etc/passwd", fixture->path), ==, 0);
  refuses(fixture);
  g_unlink(fixture->path);
  g_assert_cmpint(mkdir(fixture->path, 0700), ==, 0);
  refuses(fixture);
  g_rmdir(fixture->path);
  g_assert_true(az_failover_state_change(fixture->engine, nothing, &asked, &error));
  g_assert_no_error(error);
}

/* Every prefix of a good file is either refused or (none of them is) whole: a cut-off pause must not read as none. */
static void
test_cut_off(Fixture *fixture, gconstpointer unused)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  gsize length;

  g_assert_true(az_failover_state_change(fixture->engine, fill, NULL, &error));
  g_assert_true(g_file_get_contents(fixture->path, &text, &length, NULL));
  for (gsize i = 0; i + 1 < length; i++) {
    g_autoptr(GError) refused = NULL;
    put_file(fixture, text, i);
    g_assert_null(az_failover_state_load(fixture->engine, &refused));
    g_assert_error(refused, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  }
}

static void
test_keys_of_later_versions_stay(Fixture *fixture, gconstpointer unused)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  const char *later = "{\"quorum\": {\"n\": 3}}";

  put_file(fixture, later, strlen(later));
  g_assert_true(az_failover_state_change(fixture->engine, fill, NULL, &error));
  g_assert_no_error(error);
  g_assert_true(g_file_get_contents(fixture->path, &text, NULL, NULL));
  g_assert_nonnull(strstr(text, "\"quorum\""));
  g_assert_nonnull(strstr(text, "\"paused\""));
}

static void
count_up(AzFailoverState *state, gpointer data)
{
  state->automatic_at = NOW;
  state->automatic_epoch++;
  g_free(state->automatic_from);
  g_free(state->automatic_to);
  state->automatic_from = g_strdup("a");
  state->automatic_to = g_strdup("b");
}

static gpointer
count_many(gpointer data)
{
  Fixture *fixture = data;

  for (guint i = 0; i < 50; i++) {
    g_autoptr(GError) error = NULL;
    g_assert_true(az_failover_state_change(fixture->engine, count_up, NULL, &error));
    g_assert_no_error(error);
  }
  return NULL;
}

static void
test_no_change_is_lost(Fixture *fixture, gconstpointer unused)
{
  g_autoptr(GError) error = NULL;
  pid_t child = fork();

  if (child == 0) {
    count_many(fixture);
    _exit(0);
  }
  count_many(fixture);
  int status = 1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    continue;
  g_assert_cmpint(status, ==, 0);
  g_autoptr(AzFailoverState) state = az_failover_state_load(fixture->engine, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(state->automatic_epoch, ==, 100);
}

/* ---- what homes that share their records have in common ---- */

/* What `from` tells is taken over by `to`. */
static void
hand_over(const AzFailoverState *from, AzFailoverState *to)
{
  for (guint i = 0; i < AZ_N_COMMON; i++) {
    g_autofree char *told = az_failover_common_text(from, i);
    g_assert_true(az_failover_common_take(to, i, told));
  }
}

static void
test_common_parts(Fixture *fixture, gconstpointer unused)
{
  g_autoptr(AzFailoverState) a = az_failover_state_load(fixture->engine, NULL);
  g_autoptr(AzFailoverState) b = az_failover_state_load(fixture->engine, NULL);

  g_assert_true(az_failover_common_take(a, AZ_COMMON_PAUSE, NULL)); /* nobody has anything to say */
  fill(a, NULL);
  for (guint i = 0; i < AZ_N_COMMON; i++) /* from before anything was shared */
    g_assert_false(az_failover_common_take(a, i, NULL));
  hand_over(a, b);
  g_assert_true(b->paused);
  g_assert_cmpstr(b->pause_reason, ==, "quote \" and \x1b[31m escape");
  g_assert_cmpint(b->automatic_at, ==, NOW - S(9));
  g_assert_cmpstr(b->automatic_to, ==, "westus2");
  g_assert_cmpuint(b->fences->len, ==, 0); /* a fence is its home's */
  b->paused = FALSE;
  b->acknowledged = TRUE;
  b->revisions[AZ_COMMON_PAUSE]++;
  b->revisions[AZ_COMMON_SWITCH]++;
  g_autofree char *old = az_failover_common_text(a, AZ_COMMON_PAUSE);
  hand_over(b, a);
  g_assert_false(a->paused);
  g_assert_true(a->acknowledged);
  g_assert_false(az_failover_common_take(a, AZ_COMMON_PAUSE, old)); /* the others are behind */
  g_assert_false(a->paused);
  a->paused = TRUE;
  a->paused_at = NOW;
  a->revisions[AZ_COMMON_PAUSE]++;
  b->revisions[AZ_COMMON_PAUSE]++; /* at once */
  hand_over(a, b);
  g_assert_true(b->paused);
}

static void
test_common_pause_is_not_lost(Fixture *fixture, gconstpointer unused)
{
  g_autoptr(AzFailoverState) paused = az_failover_state_load(fixture->engine, NULL);
  static const char *const hostile[] = { "",
                                         "{",
                                         "[]",
                                         "7",
                                         "{\"revisions\":7}",
                                         "{\"revisions\":{\"paused\":9,\"automatic\":0},\"paused\":7}",
                                         "{\"revisions\":{\"paused\":-1,\"automatic\":0},\"paused\":null}" };
  static const char *const told = "{\"revisions\":{\"paused\":3,\"automatic\":0},\"paused\":null}";

  fill(paused, NULL);
  g_assert_false(az_failover_common_take(paused, AZ_COMMON_PAUSE, told)); /* made before it was shared */
  g_assert_true(paused->paused);
  g_assert_cmpuint(paused->revisions[AZ_COMMON_PAUSE], ==, 4);
  for (gsize i = 0; i < G_N_ELEMENTS(hostile); i++) {
    g_assert_false(az_failover_common_take(paused, AZ_COMMON_PAUSE, hostile[i]));
    g_assert_true(paused->paused);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/failover/policy/table", test_table);
  g_test_add("/failover/state/round-trip", Fixture, NULL, setup, test_round_trip, teardown);
  g_test_add("/failover/state/hostile-text", Fixture, NULL, setup, test_hostile_text, teardown);
  g_test_add("/failover/state/hostile-file", Fixture, NULL, setup, test_hostile_file, teardown);
  g_test_add("/failover/state/cut-off", Fixture, NULL, setup, test_cut_off, teardown);
  g_test_add("/failover/state/later-versions", Fixture, NULL, setup, test_keys_of_later_versions_stay, teardown);
  g_test_add("/failover/state/no-change-is-lost", Fixture, NULL, setup, test_no_change_is_lost, teardown);
  g_test_add("/failover/state/common-parts", Fixture, NULL, setup, test_common_parts, teardown);
  g_test_add("/failover/state/common-pause-is-not-lost", Fixture, NULL, setup, test_common_pause_is_not_lost, teardown);
  return g_test_run();
}
