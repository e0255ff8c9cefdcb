/* Plugins that load well and then misbehave, run by the real engine: exactly one answer, at the deadline at the latest.
 */
#include "engine-private.h"
#include "scratch.h"

typedef struct {
  AzEngine *engine;
  AzClock *clock;
  GMainLoop *loop;
  char *folder;
  guint answers;
  guint64 value;
  GError *error;
} Run;

static void
run_start(Run *run, const char *coordinator)
{
  g_autofree char *text = g_strdup_printf("[bricks]\ncoordinator=%s\n", coordinator);
  g_autofree char *config = NULL, *home = NULL;
  g_autoptr(GError) error = NULL;

  *run = (Run){ .folder = scratch_new(), .loop = g_main_loop_new(NULL, FALSE), .clock = az_clock_new_real() };
  config = scratch_write(run->folder, "azlin.conf", text, 0600);
  home = g_build_filename(run->folder, "home", NULL);
  g_setenv("AZLIN_PLUGIN_PATH", HOSTILE_DIR, TRUE);
  run->engine = az_engine_new(config, home, &error);
  g_assert_no_error(error);
}

static void
run_end(Run *run)
{
  az_engine_free(run->engine);
  az_clock_free(run->clock);
  g_main_loop_unref(run->loop);
  scratch_remove(run->folder);
  g_free(run->folder);
  g_clear_error(&run->error);
}

static void
answered(AzlinOp *op, gpointer data)
{
  Run *run = data;

  run->answers++;
  g_clear_error(&run->error);
  run->error = az_op_error(op) != NULL ? g_error_copy(az_op_error(op)) : NULL;
  run->value = run->error == NULL && az_op_variant(op) != NULL ? g_variant_get_uint64(az_op_variant(op)) : 0;
  g_main_loop_quit(run->loop);
}

static gboolean
quit(gpointer loop)
{
  g_main_loop_quit(loop);
  return G_SOURCE_REMOVE;
}

/* Runs what is ready and nothing more, so that a second answer would have had its chance. */
static void
drain(Run *run)
{
  g_timeout_add(50, quit, run->loop);
  g_main_loop_run(run->loop);
}

static void
acquire(Run *run, guint32 timeout_ms)
{
  gpointer self = NULL;
  g_autoptr(GError) error = NULL;
  const AzlinCoordinator *coordinator = az_engine_lookup(run->engine, AZLIN_KIND_COORDINATOR, NULL, &self, &error);

  g_assert_no_error(error);
  coordinator->acquire(self, "key", 60, az_op_new_root(run->clock, "acquire", timeout_ms, NULL, answered, run));
  while (run->answers == 0)
    g_main_loop_run(run->loop);
}

static void
test_double_callback(void)
{
  guint late = az_op_late_finishes();
  Run run;

  run_start(&run, "double-callback");
  acquire(&run, 10000);
  drain(&run);
  g_assert_cmpuint(run.answers, ==, 1);
  g_assert_no_error(run.error);
  g_assert_cmpuint(run.value, ==, 1);
  g_assert_cmpuint(az_op_late_finishes(), ==, late + 2);
  run_end(&run);
}

static void
test_never_calls_back(void)
{
  guint late = az_op_late_finishes();
  const AzlinCoordinator *coordinator;
  gpointer self = NULL;
  gint64 start;
  Run run;

  run_start(&run, "never-calls-back");
  start = g_get_monotonic_time();
  acquire(&run, 200);
  g_assert_error(run.error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
  g_assert_cmpint(g_get_monotonic_time() - start, >=, 190000);
  coordinator = az_engine_lookup(run.engine, AZLIN_KIND_COORDINATOR, NULL, &self, NULL);
  run.answers = 0;
  coordinator->release(self, "key", 1, az_op_new_root(run.clock, "release", 10000, NULL, answered, &run));
  while (run.answers == 0)
    g_main_loop_run(run.loop);
  drain(&run);
  g_assert_cmpuint(run.answers, ==, 1); /* release alone; the late answer to acquire went nowhere */
  g_assert_cmpuint(az_op_late_finishes(), ==, late + 1);
  run_end(&run);
}

static void
test_init_fails(void)
{
  g_autoptr(GError) error = NULL;
  Run run;

  run_start(&run, "init-fails");
  g_assert_null(az_engine_lookup(run.engine, AZLIN_KIND_COORDINATOR, NULL, NULL, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "brick coordinator-init-fails stays out: the moon is in the wrong phase");
  run_end(&run);
}

static void
test_absent(void)
{
  g_autoptr(GError) error = NULL;
  Run run;

  run_start(&run, "never-callsback");
  g_assert_null(az_engine_lookup(run.engine, AZLIN_KIND_COORDINATOR, NULL, NULL, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "never-callsback");
  run_end(&run);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_log_set_always_fatal(G_LOG_LEVEL_ERROR); /* the engine may warn of what these plugins do */
  g_test_add_func("/engine/double-callback", test_double_callback);
  g_test_add_func("/engine/never-calls-back", test_never_calls_back);
  g_test_add_func("/engine/init-fails", test_init_fails);
  g_test_add_func("/engine/absent", test_absent);
  return g_test_run();
}
