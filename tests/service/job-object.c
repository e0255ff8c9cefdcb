/* The regions of a job: what is kept, what is asked for, and which of many answers are worth to be said. */
#include "service-job-object.h"

static gboolean
take(ServiceJobObject *object, guint number, const char *state, double latency, gint64 now)
{
  g_autofree char *name = g_strdup_printf("region%u", number);
  g_autoptr(GVariant) facts
      = g_variant_ref_sink(g_variant_new_parsed("{'state': <%s>, 'latency_ms': <%d>}", state, latency));
  return service_job_object_set_region(object, name, facts, now);
}

static void
take_all(ServiceJobObject *object, guint n)
{
  for (guint i = 0; i < n; i++)
    g_assert_true(take(object, i, "up", 1, 0));
}

static void
test_few_say_all(void)
{
  g_autoptr(ServiceJobObject) object = service_job_object_new();
  take_all(object, SERVICE_JOB_MANY);
  g_assert_true(take(object, 7, "up", 1, 1));
  g_assert_true(take(object, 7, "up", 2, 2));
}

static void
test_many_say_what_is_new(void)
{
  g_autoptr(ServiceJobObject) object = service_job_object_new();
  take_all(object, SERVICE_JOB_MANY + 1);
  g_assert_false(take(object, 7, "up", 2, 1));
  g_assert_true(take(object, 7, "suspect", 2, 2));
  g_assert_false(take(object, 7, "suspect", 3, 3));
  g_assert_true(take(object, 7, "up", 3, 4));
  g_assert_false(take(object, 7, "up", 4, 3 + SERVICE_JOB_REST_US));
  g_assert_true(take(object, 7, "up", 4, 4 + SERVICE_JOB_REST_US));
  g_assert_true(take(object, 8, "up", 4, SERVICE_JOB_REST_US));
}

static void
test_whoever_asks_gets_the_newest(void)
{
  g_autoptr(ServiceJobObject) object = service_job_object_new();
  take_all(object, SERVICE_JOB_MANY + 1);
  g_assert_false(take(object, 7, "up", 42, 1));
  GVariant *all = dbus_job_get_regions(DBUS_JOB(object));
  g_autoptr(GVariant) regions = NULL, facts = NULL;
  double latency = 0;
  g_assert_null(all); /* the skeleton keeps none: they are put together for each reader */
  g_object_get(object, "regions", &regions, NULL);
  g_assert_cmpuint(g_variant_n_children(regions), ==, SERVICE_JOB_MANY + 1);
  g_assert_true(g_variant_lookup(regions, "region7", "@a{sv}", &facts));
  g_assert_true(g_variant_lookup(facts, "latency_ms", "d", &latency));
  g_assert_cmpfloat(latency, ==, 42);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/job-object/few", test_few_say_all);
  g_test_add_func("/job-object/many", test_many_say_what_is_new);
  g_test_add_func("/job-object/newest", test_whoever_asks_gets_the_newest);
  return g_test_run();
}
