/* The brick alone, without azlin: a host table of a few lines, a clock that stands still, ops that note their end. */
#include "hello.c"

struct _AzlinOp {
  guint ends;
  guint64 token;
  GError *error;
};

static gint64 clock_now;

static gint64
fake_now(AzlinHost *host)
{
  return clock_now;
}

static GVariant *
fake_option(AzlinHost *host, const char *name)
{
  g_assert_cmpstr(name, ==, "longest-lease");
  return g_variant_ref_sink(g_variant_new_uint32(60));
}

static void G_GNUC_PRINTF(3, 4) fake_log(AzlinHost *host, GLogLevelFlags level, const char *format, ...)
{
}

static void
fake_finish(AzlinOp *op)
{
  op->ends++;
}

static void
fake_finish_variant(AzlinOp *op, GVariant *value)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink(value);

  op->ends++;
  op->token = g_variant_get_uint64(sunk);
}

static void
fake_fail(AzlinOp *op, GError *error)
{
  op->ends++;
  op->error = error;
}

static const AzlinHostApi api = {
  .size = sizeof(AzlinHostApi),
  .log = fake_log,
  .option = fake_option,
  .now = fake_now,
  .op_finish = fake_finish,
  .op_finish_variant = fake_finish_variant,
  .op_fail = fake_fail,
};

static void
test_one_holder(void)
{
  AzlinHost host = { .api = &api };
  AzlinOp first = { 0 }, second = { 0 }, third = { 0 }, gone = { 0 }, fourth = { 0 };
  gpointer self = NULL;

  g_assert_true(hello_brick.init(&host, &self, NULL));
  hello_iface.acquire(self, "key", 10, &first);
  hello_iface.acquire(self, "key", 10, &second);
  g_assert_cmpuint(first.ends, ==, 1);
  g_assert_cmpuint(first.token, ==, 1);
  g_assert_error(second.error, AZLIN_ERROR, AZLIN_ERROR_LOCKED);
  clock_now += 11 * G_USEC_PER_SEC;
  hello_iface.acquire(self, "key", 10, &third);
  g_assert_cmpuint(third.token, ==, 2);
  hello_iface.renew(self, "key", first.token, &gone);
  g_assert_error(gone.error, AZLIN_ERROR, AZLIN_ERROR_LOCKED);
  hello_iface.release(self, "key", first.token, &fourth); /* an old holder frees nothing */
  g_assert_nonnull(find(self, "key", third.token));
  hello_brick.free(self);
  g_clear_error(&second.error);
  g_clear_error(&gone.error);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/hello/one-holder", test_one_holder);
  return g_test_run();
}
