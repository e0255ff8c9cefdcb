/* One token for all who ask: shared, refreshed before it expires and once it is refused, and nobody waits for ever. */
#include "cloud.h"

#include <string.h>

#define CALLERS 200

static void
test_shared(Cloud *cloud, gconstpointer unused)
{
  AzlinOp *ops[CALLERS];
  cloud_name_principal();
  for (guint i = 0; i < CALLERS; i++)
    ops[i] = cloud_start(cloud, NULL);
  cloud_wait(cloud, CALLERS);
  cloud_expect_token(cloud, "canary-1");
  g_assert_cmpuint(cloud->seen->len, ==, 1);
  for (guint i = 0; i < CALLERS; i++)
    az_op_finish(ops[i]);
  cloud_pass_time(cloud, 10);
  g_assert_cmpuint(cloud->ended, ==, CALLERS);
}

static void
test_error_is_shared(Cloud *cloud, gconstpointer unused)
{
  AzlinOp *ops[CALLERS];
  cloud_name_principal();
  cloud_answer(cloud, 401, "{\"error\":\"invalid_client\"}", NULL);
  for (guint i = 0; i < CALLERS; i++)
    ops[i] = cloud_start(cloud, NULL);
  cloud_wait(cloud, CALLERS);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "invalid_client");
  cloud_ask(cloud, NULL); /* and what was refused is not asked for again at once */
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "invalid_client");
  g_assert_cmpuint(cloud->seen->len, ==, 1);
  cloud_pass_time(cloud, 5001);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-1");
  for (guint i = 0; i < CALLERS; i++)
    az_op_finish(ops[i]);
}

static void
test_kept_until_early(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  cloud_ask(cloud, NULL);
  cloud_pass_time(cloud, (3599 - 300) * 1000 - 2000);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-1");
  g_assert_cmpuint(cloud->seen->len, ==, 1);
  cloud_pass_time(cloud, 4000);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-2");
  g_assert_cmpuint(cloud->seen->len, ==, 2);
}

/* Tokens of two seconds: replaced at half their life, never handed out when they are over. */
static void
test_short_life(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  for (int i = 0; i < 20; i++) {
    g_autofree char *json = g_strdup_printf("{\"access_token\":\"canary-%d\",\"expires_in\":2}", i);
    g_autofree char *token = g_strdup_printf("canary-%d", i);
    cloud_answer(cloud, 200, json, NULL);
    cloud_ask(cloud, NULL);
    cloud_expect_token(cloud, token);
    cloud_pass_time(cloud, 900);
    cloud_ask(cloud, NULL);
    cloud_expect_token(cloud, token);
    cloud_pass_time(cloud, 200);
  }
  g_assert_cmpuint(cloud->seen->len, ==, 20);
}

static void
test_old_one_serves(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  cloud_ask(cloud, NULL);
  cloud_pass_time(cloud, 3400 * 1000);
  cloud_answer(cloud, 401, "{\"error\":\"invalid_client\"}", NULL);
  for (int i = 0; i < 3; i++) {
    cloud_ask(cloud, NULL);
    cloud_expect_token(cloud, "canary-1");
  }
  g_assert_cmpuint(cloud->seen->len, ==, 2);
  cloud_pass_time(cloud, 200 * 1000);
  cloud_answer(cloud, 401, "{\"error\":\"invalid_client\"}", NULL);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "invalid_client");
}

static void
test_rejected(Cloud *cloud, gconstpointer unused)
{
  g_autoptr(AzSecret) first = az_secret_new("canary-1", -1);
  g_autoptr(AzSecret) second = az_secret_new("canary-2", -1);
  cloud_name_principal();
  cloud_ask(cloud, NULL);
  cloud_ask(cloud, first);
  cloud_expect_token(cloud, "canary-2");
  cloud_ask(cloud, first); /* a late one: there is a newer token already */
  cloud_expect_token(cloud, "canary-2");
  g_assert_cmpuint(cloud->seen->len, ==, 2);
  cloud_answer(cloud, 200, "{\"access_token\":\"canary-2\",\"expires_in\":3599}", NULL);
  AzlinOp *refused = cloud_start(cloud, second), *other = cloud_start(cloud, NULL);
  cloud_wait(cloud, 5);
  az_op_finish(refused);
  az_op_finish(other);
  g_assert_cmpuint(cloud->seen->len, ==, 3);
  cloud_answer(cloud, 200, "{\"access_token\":\"canary-2\",\"expires_in\":3599}", NULL);
  cloud_ask(cloud, second); /* the same again: no use in a third */
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "the token was refused with 401");
  g_assert_cmpuint(cloud->seen->len, ==, 4);
}

/* 200 regions are answered 401 at once: one refresh for all. */
static void
test_rejected_by_all(Cloud *cloud, gconstpointer unused)
{
  g_autoptr(AzSecret) first = az_secret_new("canary-1", -1);
  AzlinOp *ops[CALLERS];
  cloud_name_principal();
  cloud_ask(cloud, NULL);
  for (guint i = 0; i < CALLERS; i++)
    ops[i] = cloud_start(cloud, first);
  cloud_wait(cloud, 1 + CALLERS);
  cloud_expect_token(cloud, "canary-2");
  g_assert_cmpuint(cloud->seen->len, ==, 2);
  for (guint i = 0; i < CALLERS; i++)
    az_op_finish(ops[i]);
}

static void
wait_for_requests(Cloud *cloud, guint n)
{
  while (cloud->seen->len < n)
    g_main_context_iteration(NULL, TRUE);
}

static void
test_one_leaves(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  AzlinOp *leaving = cloud_start(cloud, NULL), *staying = cloud_start(cloud, NULL);
  wait_for_requests(cloud, 1);
  az_op_cancel(leaving, "enough");
  cloud_wait(cloud, 1);
  cloud_expect_error(cloud, AZLIN_ERROR_CANCELLED, "enough");
  cloud_wait(cloud, 2);
  cloud_expect_token(cloud, "canary-1");
  g_assert_cmpuint(cloud->seen->len, ==, 1);
  az_op_finish(staying);
}

static void
test_all_leave(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  cloud->silent = TRUE;
  AzlinOp *one = cloud_start(cloud, NULL), *other = cloud_start(cloud, NULL);
  wait_for_requests(cloud, 1);
  az_op_cancel(one, "enough");
  az_op_finish(other);
  cloud_wait(cloud, 2);
  cloud_expect_error(cloud, AZLIN_ERROR_CANCELLED, "");
  cloud->silent = FALSE;
  cloud_ask(cloud, NULL); /* and the next one is served afresh */
  cloud_expect_token(cloud, "canary-1");
  g_assert_cmpuint(cloud->seen->len, ==, 2);
  AzlinOp *ended = az_op_new_root(cloud->clock, "ended", 0, NULL, NULL, NULL);
  az_op_finish(ended);
  cloud_pass_time(cloud, 10);
}

static gboolean
raise_flag(gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

/* A process that was stopped is looked after for a moment more, and holds the clock so long. */
static void
let_process_go(void)
{
  gboolean over = FALSE;
  g_timeout_add(800, raise_flag, &over);
  while (!over)
    g_main_context_iteration(NULL, TRUE);
}

/* They go while `az` runs: it is stopped with them. */
static void
test_az_is_stopped(Cloud *cloud, gconstpointer unused)
{
  g_autofree char *file = g_build_filename(cloud->dir, "began", NULL);
  g_autofree char *text = NULL;
  cloud_install_az(cloud,
                   "echo $$ > \"$DIR/began.new\"; /bin/mv \"$DIR/began.new\" \"$DIR/began\"; exec /bin/sleep 60");
  AzlinOp *op = cloud_start(cloud, NULL);
  while (!g_file_test(file, G_FILE_TEST_EXISTS))
    g_main_context_iteration(NULL, FALSE);
  g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
  g_autofree char *process = g_strdup_printf("/proc/%d/exe", atoi(text));
  az_op_cancel(op, "enough");
  cloud_wait(cloud, 1);
  g_autofree char *program = g_file_read_link(process, NULL);
  while (program != NULL) {
    g_main_context_iteration(NULL, FALSE);
    g_free(program);
    program = g_file_read_link(process, NULL);
  }
  let_process_go();
}

/* A login may have another tenant behind another subscription. */
static void
test_az_knows_subscriptions(Cloud *cloud, gconstpointer unused)
{
  cloud_install_az(cloud, "echo \"{\\\"accessToken\\\":\\\"canary-$8\\\",\\\"expires_on\\\":1800003600}\"");
  cloud->identity.subscription = "one";
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-one");
  cloud->identity.subscription = "two";
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-two");
}

static void
test_engine_ends(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  cloud->silent = TRUE;
  AzlinOp *op = cloud_start(cloud, NULL);
  wait_for_requests(cloud, 1);
  az_credentials_free(g_steal_pointer(&cloud->credentials));
  az_op_cancel(op, "over");
  cloud_pass_time(cloud, 10);
  g_assert_cmpuint(cloud->ended, ==, 0);
}

static void
test_who_shares(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  cloud_ask(cloud, NULL);
  cloud->identity.subscription = "one"; /* a principal is the same in all of them */
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-1");
  g_assert_cmpuint(cloud->seen->len, ==, 1);
  cloud->identity.scope = "https://storage.azure.com/.default";
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-2");
  g_assert_nonnull(strstr(cloud_seen(cloud, 1), "scope=https%3A%2F%2Fstorage.azure.com%2F.default&"));
  g_setenv("AZURE_TENANT_ID", "tenant2", TRUE);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-3");
  g_setenv("AZURE_CLIENT_ID", "client2", TRUE);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-4");
  g_unsetenv("AZURE_AUTHORITY_HOST");
  cloud->identity.authority = cloud->origin; /* the same place, named by the brick */
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-4");
  g_assert_cmpuint(cloud->seen->len, ==, 4);
}

#define TEST(name, func) g_test_add("/credential-cache/" name, Cloud, NULL, cloud_set_up_virtual, func, cloud_tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("shared", test_shared);
  TEST("error-is-shared", test_error_is_shared);
  TEST("kept-until-early", test_kept_until_early);
  TEST("short-life", test_short_life);
  TEST("old-one-serves", test_old_one_serves);
  TEST("rejected", test_rejected);
  TEST("rejected-by-all", test_rejected_by_all);
  TEST("one-leaves", test_one_leaves);
  TEST("all-leave", test_all_leave);
  TEST("az-is-stopped", test_az_is_stopped);
  TEST("az-knows-subscriptions", test_az_knows_subscriptions);
  TEST("engine-ends", test_engine_ends);
  TEST("who-shares", test_who_shares);
  return g_test_run();
}
