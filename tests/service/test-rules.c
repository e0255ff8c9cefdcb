/* What the door of system mode decides by, without a bus: rules and limits. */
#include "service-limit.h"
#include "service-rule.h"

#define MANAGER "io.azlin.Azlin1.Manager"
#define JOB "io.azlin.Azlin1.Job"
#define SECOND G_USEC_PER_SEC

static void
check(ServiceCall call, const char *first, const char *second)
{
  ServiceRule rule;
  g_autofree char *why = NULL;
  g_assert_true(service_rule_find(&call, &rule, &why));
  g_assert_null(why);
  g_assert_cmpstr(rule.needed[0], ==, first);
  g_assert_cmpstr(rule.needed[1], ==, second);
  g_assert_null(rule.needed[2]);
}

static void
check_refused(ServiceCall call, const char *words)
{
  ServiceRule rule;
  g_autofree char *why = NULL;
  g_assert_false(service_rule_find(&call, &rule, &why));
  g_assert_nonnull(strstr(why, words));
  g_assert_null(rule.needed[0]);
}

static void
test_rules(void)
{
  const char *deploy = SERVICE_ACTION "deploy", *look = SERVICE_ACTION "look",
             *others = SERVICE_ACTION "jobs-of-others";
  check((ServiceCall){ MANAGER, "Submit", SERVICE_OBJECT_MANAGER, "deploy", TRUE }, deploy, NULL);
  check((ServiceCall){ MANAGER, "Submit", SERVICE_OBJECT_MANAGER, "deplo", FALSE }, look, NULL);
  check((ServiceCall){ JOB, "Start", SERVICE_OBJECT_OWN, "deploy", TRUE }, deploy, NULL);
  check((ServiceCall){ JOB, "Start", SERVICE_OBJECT_FOREIGN, "deploy", TRUE }, deploy, others);
  check((ServiceCall){ JOB, "Cancel", SERVICE_OBJECT_OWN, "deploy", TRUE }, look, NULL);
  check((ServiceCall){ JOB, "Start", SERVICE_OBJECT_MISSING, NULL, TRUE }, look, NULL);
}

static void
test_what_has_no_entry(void)
{
  check_refused((ServiceCall){ MANAGER, "Submit", SERVICE_OBJECT_MANAGER, "teleport", TRUE }, "no rule for 'teleport'");
  check_refused((ServiceCall){ MANAGER, "Query", SERVICE_OBJECT_MANAGER, "secrets", TRUE }, "no rule for 'secrets'");
  check_refused((ServiceCall){ MANAGER, "Submit", SERVICE_OBJECT_MANAGER, "simulate", TRUE }, "run it yourself");
  check_refused((ServiceCall){ MANAGER, "Reload", SERVICE_OBJECT_MANAGER, NULL, TRUE }, "Manager.Reload");
  check_refused((ServiceCall){ JOB, "Start", SERVICE_OBJECT_MANAGER, NULL, TRUE }, "Job.Start");
  check_refused((ServiceCall){ "org.freedesktop.DBus.Properties", "Set", SERVICE_OBJECT_OWN, "deploy", TRUE }, "Set");
}

static void
test_costs(void)
{
  ServiceBucket bucket = { 0 };
  gint64 now = 1000 * SECOND;
  g_assert_true(service_bucket_take(&bucket, 3, 5, 2, now));
  g_assert_false(service_bucket_take(&bucket, 3, 5, 2, now));
  g_assert_true(service_bucket_take(&bucket, 2, 5, 2, now));
  g_assert_false(service_bucket_take(&bucket, 50, 5, 2, now + 2 * SECOND));
  g_assert_true(service_bucket_take(&bucket, 50, 5, 2, now + 3 * SECOND)); /* else it would never come */
  g_assert_false(service_bucket_take(&bucket, 1, 5, 2, now + 3 * SECOND));
}

static void
test_buckets(void)
{
  ServiceBucket bucket = { 0 };
  gint64 now = 1000 * SECOND;
  for (guint i = 0; i < 5; i++)
    g_assert_true(service_bucket_take(&bucket, 1, 5, 2, now));
  g_assert_false(service_bucket_take(&bucket, 1, 5, 2, now));
  g_assert_false(service_bucket_take(&bucket, 1, 5, 2, now + SECOND / 4));
  g_assert_true(service_bucket_take(&bucket, 1, 5, 2, now + SECOND / 2));
  g_assert_false(service_bucket_take(&bucket, 1, 5, 2, now + SECOND / 2));
  g_assert_false(service_bucket_is_full(&bucket, 2, now + 2 * SECOND));
  g_assert_true(service_bucket_is_full(&bucket, 2, now + 4 * SECOND));
  for (guint i = 0; i < 5; i++) /* what was not used does not add up */
    g_assert_true(service_bucket_take(&bucket, 1, 5, 2, now + 1000 * SECOND));
  g_assert_false(service_bucket_take(&bucket, 1, 5, 2, now + 1000 * SECOND));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/rules/found", test_rules);
  g_test_add_func("/rules/none", test_what_has_no_entry);
  g_test_add_func("/limits/bucket", test_buckets);
  g_test_add_func("/limits/cost", test_costs);
  return g_test_run();
}
