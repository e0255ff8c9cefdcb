/* Jobs: arguments are checked before anything runs, one result, answers, cancel and cleanup that outlives it. */
#include "job.h"

#include "error.h"
#include "host.h"

static const AzFlag flags[] = { { .name = "regions", .letter = 'r', .type = "as" },
                                { .name = "yes", .type = "b" },
                                { .name = "timeout", .type = "u" },
                                { 0 } };
static GString *trace;

static void
on_answer(AzJob *job, gboolean yes, gpointer data)
{
  az_job_finish(job, yes ? 0 : 2, g_variant_new("a{sv}", NULL));
}

static void
run_asking(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_job_ask(job, "Sure?", on_answer, NULL);
}

static void
cleaned(AzlinOp *op, gpointer data)
{
  g_string_append(trace, az_op_error(op) == NULL ? "cleaned " : "cleanup-failed ");
}

static void
on_cut(AzlinOp *op, gpointer data)
{
  g_assert_error(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_CANCELLED);
  az_host_sleep(10, az_job_cleanup_op(data, "cleanup", 5000, cleaned, NULL));
}

static void
run_forever(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_op_new(root, "work", 0, on_cut, job);
}

static const AzFlow asking = { .kind = { "asking", "asks", flags }, .run = run_asking };
static const AzFlow forever = { .kind = { "forever", "never ends", flags }, .run = run_forever };

static void
on_finished(AzJob *job, gpointer data)
{
  g_string_append_printf(trace, "finished:%d ", az_job_exit_code(job));
}

static void
on_question(AzJob *job, const char *text, gpointer data)
{
  g_string_append_printf(trace, "%s ", text);
}

static AzEngine *
make_engine(void)
{
  g_autofree char *home = g_build_filename(g_getenv("AZLIN_TEST_DIR"), "job", NULL);
  g_autoptr(GError) error = NULL;
  AzEngine *engine = az_engine_new(NULL, home, &error);
  g_assert_no_error(error);
  return engine;
}

static void
run_until(const char *end)
{
  while (!g_str_has_suffix(trace->str, end))
    g_main_context_iteration(NULL, TRUE);
}

static void
test_arguments(void)
{
  AzEngine *engine = make_engine();
  GVariantDict dict;
  g_autoptr(GError) error = NULL;
  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert(&dict, "regoins", "s", "eastus");
  g_assert_null(az_job_new(engine, &asking, g_variant_dict_end(&dict), NULL, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  g_assert_nonnull(strstr(error->message, "did you mean 'regions'"));
  g_clear_error(&error);
  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert(&dict, "timeout", "s", "soon");
  g_assert_null(az_job_new(engine, &asking, g_variant_dict_end(&dict), NULL, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  az_engine_free(engine);
}

static void
test_questions(void)
{
  const AzJobWatch watch = { .finished = on_finished, .question = on_question };
  const AzJobWatch deaf = { .finished = on_finished };
  AzEngine *engine = make_engine();
  trace = g_string_new(NULL);
  AzJob *asked = az_job_new(engine, &asking, g_variant_new("a{sv}", NULL), &watch, NULL);
  az_job_run(asked);
  g_assert_cmpint(az_job_state(asked), ==, AZ_JOB_WAITING_ANSWER);
  g_assert_true(az_job_answer(asked, TRUE));
  g_assert_false(az_job_answer(asked, FALSE));
  run_until("finished:0 ");
  AzJob *nobody = az_job_new(engine, &asking, g_variant_new("a{sv}", NULL), &deaf, NULL);
  az_job_run(nobody);
  run_until("finished:2 ");
  GVariantDict dict;
  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert(&dict, "yes", "b", TRUE);
  AzJob *agreed = az_job_new(engine, &asking, g_variant_dict_end(&dict), &deaf, NULL);
  az_job_run(agreed);
  run_until("finished:0 ");
  g_assert_cmpstr(trace->str, ==, "Sure? finished:0 finished:2 finished:0 ");
  az_job_free(asked);
  az_job_free(nobody);
  az_job_free(agreed);
  g_string_free(trace, TRUE);
  az_engine_free(engine);
}

static void
test_cancel_waits_for_cleanup(void)
{
  const AzJobWatch watch = { .finished = on_finished };
  AzEngine *engine = make_engine();
  trace = g_string_new(NULL);
  AzJob *job = az_job_new(engine, &forever, g_variant_new("a{sv}", NULL), &watch, NULL);
  az_job_run(job);
  az_job_cancel(job);
  run_until("finished:130 ");
  g_assert_cmpstr(trace->str, ==, "cleaned finished:130 ");
  g_assert_cmpint(az_job_state(job), ==, AZ_JOB_CANCELLED);
  az_job_free(job);
  g_string_free(trace, TRUE);
  az_engine_free(engine);
}

int
main(int argc, char **argv)
{
  g_setenv("AZLIN_CONFIG", "", TRUE);
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/job/arguments", test_arguments);
  g_test_add_func("/job/questions", test_questions);
  g_test_add_func("/job/cancel-waits-for-cleanup", test_cancel_waits_for_cleanup);
  return g_test_run();
}
