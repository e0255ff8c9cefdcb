/* Races of a failover inside one process: the commit is lost to somebody faster, the job is cancelled on its way. */
#include "flow-support.h"

typedef struct {
  AzEngine *engine;
  char *home;
  gboolean finished;
  const char *at; /* message at which `act` runs once */
  void (*act)(gpointer data);
  AzJob *job;
} Fixture;

static void
on_message(AzJob *job, const char *level, const char *region, const char *text, gpointer data)
{
  Fixture *fixture = data;

  g_test_message("%s %s", level, text);
  if (fixture->at == NULL || g_strstr_len(text, -1, fixture->at) == NULL)
    return;
  fixture->at = NULL;
  fixture->act(fixture);
}

static void
on_finished(AzJob *job, gpointer data)
{
  Fixture *fixture = data;

  fixture->finished = TRUE;
}

static AzJob *
run_job(Fixture *fixture, const char *kind, const char *args)
{
  const AzJobWatch watch = { .message = on_message, .finished = on_finished, .data = fixture };
  g_autoptr(GError) error = NULL;
  AzJob *job = az_engine_submit(fixture->engine, kind, g_variant_new_parsed(args), &watch, &error);

  g_assert_no_error(error);
  fixture->finished = FALSE;
  fixture->job = job;
  az_engine_start(fixture->engine, job);
  while (!fixture->finished)
    g_main_context_iteration(NULL, TRUE);
  return job;
}

static char *
primary_now(Fixture *fixture)
{
  AzJob *job = run_job(fixture, "regions-list", "@a{sv} {}");
  char *primary = NULL;

  g_assert_cmpint(az_job_exit_code(job), ==, 0);
  g_variant_lookup(az_job_result(job), "primary", "s", &primary);
  return primary;
}

static guint
open_entries(Fixture *fixture)
{
  g_autoptr(GPtrArray) entries = az_journal_open_entries(az_engine_journal(fixture->engine, NULL), NULL);

  return entries->len;
}

static void
setup(Fixture *fixture, gconstpointer unused)
{
  g_autofree char *root = g_strdup(g_getenv("AZLIN_TEST_DIR"));
  g_assert_cmpint(g_mkdir_with_parents(root, 0700), ==, 0);
  char *home = g_build_filename(root, "race-XXXXXX", NULL);
  g_assert_nonnull(g_mkdtemp_full(home, 0700));
  fixture->home = home;
  g_autofree char *config = g_build_filename(home, "azlin.conf", NULL);
  g_autoptr(GError) error = NULL;
  g_file_set_contents_full(config, "[bricks]\nprovider=sim\n", -1, G_FILE_SET_CONTENTS_NONE, 0600, &error);
  g_assert_no_error(error);
  fixture->engine = az_engine_new(config, home, &error);
  g_assert_no_error(error);
  AzJob *job = run_job(fixture, "deploy", "{'regions': <['eastus', 'westus2', 'westeurope']>}");
  g_assert_cmpint(az_job_exit_code(job), ==, 0);
}

static void
teardown(Fixture *fixture, gconstpointer unused)
{
  const char *argv[] = { "rm", "-rf", "--", fixture->home, NULL };

  az_engine_free(fixture->engine);
  g_assert_true(
      g_spawn_sync(NULL, (char **) (guintptr) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
  g_free(fixture->home);
}

static void
ignore_result(AzlinOp *op, gpointer data)
{
  g_assert_no_error(az_op_error(op));
}

static void
be_faster(gpointer data)
{
  Fixture *fixture = data;
  gpointer self = NULL;
  const AzlinContext *context = az_engine_lookup(fixture->engine, AZLIN_KIND_CONTEXT, NULL, &self, NULL);

  context->set_primary(self, "eastus", "westeurope", 1,
                       az_op_new_root(az_engine_clock(fixture->engine), "rival", 0, NULL, ignore_result, NULL));
}

static void
test_commit_lost(Fixture *fixture, gconstpointer unused)
{
  fixture->at = "Updating config to point to westus2";
  fixture->act = be_faster;
  AzJob *job = run_job(fixture, "failover", "{'to': <'westus2'>, 'yes': <true>}");
  g_autofree char *primary = primary_now(fixture);

  g_assert_cmpint(az_job_exit_code(job), ==, 5);
  g_assert_cmpstr(primary, ==, "westeurope");
  g_assert_cmpuint(open_entries(fixture), ==, 0);
}

static void
test_moved_while_we_judged(Fixture *fixture, gconstpointer unused)
{
  fixture->at = "Evaluating failover to westus2";
  fixture->act = be_faster;
  AzJob *job = run_job(fixture, "failover", "{'to': <'westus2'>, 'yes': <true>}");
  g_autofree char *primary = primary_now(fixture);

  g_assert_cmpint(az_job_exit_code(job), ==, 5);
  g_assert_cmpstr(primary, ==, "westeurope");
  g_assert_cmpuint(open_entries(fixture), ==, 0);
}

static void
interrupt(gpointer data)
{
  Fixture *fixture = data;

  az_engine_cancel(fixture->engine, fixture->job);
}

static void
test_interrupted_then_recovered(Fixture *fixture, gconstpointer unused)
{
  static const char *const points[] = { "Updating config to point to", "Primary region: " };

  for (gsize i = 0; i < G_N_ELEMENTS(points); i++) {
    g_autofree char *before = primary_now(fixture);
    g_autofree char *args = g_strdup_printf("{'to': <'%s'>, 'yes': <true>}", i == 0 ? "westus2" : "westeurope");
    fixture->at = points[i];
    fixture->act = interrupt;
    AzJob *job = run_job(fixture, "failover", args);
    g_assert_cmpint(az_job_exit_code(job), ==, 130);
    g_assert_cmpuint(open_entries(fixture), ==, 1);
    AzJob *recover = run_job(fixture, "recover", "{'yes': <true>}");
    g_assert_cmpint(az_job_exit_code(recover), ==, 0);
    g_assert_cmpuint(open_entries(fixture), ==, 0);
    g_autofree char *after = primary_now(fixture);
    if (i == 1) /* past the commit it only goes forward */
      g_assert_cmpstr(after, ==, "westeurope");
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add("/failover/race/commit-lost", Fixture, NULL, setup, test_commit_lost, teardown);
  g_test_add("/failover/race/moved-while-we-judged", Fixture, NULL, setup, test_moved_while_we_judged, teardown);
  g_test_add("/failover/race/interrupted-then-recovered", Fixture, NULL, setup, test_interrupted_then_recovered,
             teardown);
  return g_test_run();
}
