/* What goes to etcd's gateway and what its answers mean, word for word as etcd 3.4 says it. */
#include "host.h"
#include "wire.h"
#include <string.h>

static json_t *
parse(const char *text)
{
  return json_loads(text, 0, NULL);
}

static char *
dump(json_t *taken)
{
  json_auto_t *object = taken;
  return json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
}

static void
assert_request(json_t *taken, const char *expected)
{
  char *text = dump(taken);
  g_assert_cmpstr(text, ==, expected);
  free(text);
}

static void
test_requests(void)
{
  assert_request(etcd_read("/azlin/k"), "{\"key\":\"L2F6bGluL2s=\"}");
  assert_request(etcd_grant(G_MAXINT64, 60), "{\"ID\":\"9223372036854775807\",\"TTL\":\"60\"}");
  assert_request(etcd_lease(7), "{\"ID\":\"7\"}");
  assert_request(
      etcd_take("k", "me", 7),
      "{\"compare\":[{\"create_revision\":\"0\",\"key\":\"aw==\",\"result\":\"EQUAL\",\"target\":\"CREATE\"}],"
      "\"failure\":[{\"request_range\":{\"key\":\"aw==\"}}],"
      "\"success\":[{\"request_put\":{\"key\":\"aw==\",\"lease\":\"7\",\"value\":\"bWU=\"}},"
      "{\"request_range\":{\"key\":\"aw==\"}}]}");
  static const char ours[]
      = "\"compare\":[{\"create_revision\":\"5\",\"key\":\"aw==\",\"result\":\"EQUAL\",\"target\":"
        "\"CREATE\"},{\"key\":\"aw==\",\"lease\":\"7\",\"result\":\"EQUAL\",\"target\":\"LEASE\"}]";
  g_autofree char *still = g_strdup_printf("{%s}", ours);
  g_autofree char *drop = g_strdup_printf("{%s,\"success\":[{\"request_delete_range\":{\"key\":\"aw==\"}}]}", ours);
  assert_request(etcd_still("k", 5, 7), still);
  assert_request(etcd_drop("k", 5, 7), drop);
}

static void
test_what_is_missing_says_no(void)
{
  static const struct {
    const char *text;
    gboolean succeeded;
    guint32 ttl;
  } rows[] = {
    { "{\"succeeded\":true}", TRUE, 0 },
    { "{\"header\":{}}", FALSE, 0 },
    { "{\"succeeded\":false}", FALSE, 0 },
    { "{\"succeeded\":\"true\"}", FALSE, 0 },
    { "{\"ID\":\"77\",\"TTL\":\"10\"}", FALSE, 10 },
    { "{\"result\":{\"ID\":\"77\",\"TTL\":\"10\"}}", FALSE, 10 },
    { "{\"result\":{\"ID\":\"78\"}}", FALSE, 0 },
    { "{\"result\":{\"TTL\":\"-1\"}}", FALSE, 0 },
    { "{\"result\":{\"TTL\":\"9999999999999\"}}", FALSE, G_MAXINT32 },
    { "{\"result\":{\"TTL\":\"1e9\"}}", FALSE, 0 },
    { "[]", FALSE, 0 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    json_auto_t *answer = parse(rows[i].text);
    g_assert_cmpint(etcd_succeeded(answer), ==, rows[i].succeeded);
    g_assert_cmpuint(etcd_ttl(answer), ==, rows[i].ttl);
  }
  g_assert_false(etcd_succeeded(NULL));
  g_assert_cmpuint(etcd_ttl(NULL), ==, 0);
}

static void
test_holders(void)
{
  static const char taken[]
      = "{\"header\":{\"revision\":\"2\"},\"succeeded\":true,\"responses\":[{\"response_put\":{}},"
        "{\"response_range\":{\"header\":{},\"kvs\":[{\"create_revision\":\"2\",\"lease\":"
        "\"77\",\"value\":\"G1szMW1hIGI=\"}],\"count\":\"1\"}}]}";
  static const char *const nonsense[] = { "{}",
                                          "[]",
                                          "{\"kvs\":[]}",
                                          "{\"header\":{},\"kvs\":[{}],\"count\":\"1\"}",
                                          "{\"header\":{},\"kvs\":[],\"count\":\"1\"}",
                                          "{\"header\":{},\"responses\":[]}",
                                          "{\"header\":{},\"responses\":[{\"response_put\":{}}]}" };
  g_auto(EtcdHolder) holder = { 0 };
  json_auto_t *answer = parse(taken);
  g_assert_true(etcd_find(answer, &holder));
  g_assert_cmpuint(holder.created, ==, 2);
  g_assert_cmpint(holder.lease, ==, 77);
  g_assert_cmpstr(holder.value, ==, "?[31ma b");
  json_auto_t *nobody = parse("{\"header\":{}}");
  g_auto(EtcdHolder) none = { 0 };
  g_assert_true(etcd_find(nobody, &none));
  g_assert_cmpuint(none.created, ==, 0);
  for (gsize i = 0; i < G_N_ELEMENTS(nonsense); i++) {
    json_auto_t *bad = parse(nonsense[i]);
    g_auto(EtcdHolder) found = { 0 };
    g_assert_false(etcd_find(bad, &found));
  }
}

static void
test_verdicts(void)
{
  static const struct {
    int status;
    const char *text;
    EtcdVerdict verdict;
    const char *complaint;
  } rows[] = {
    { 200, "{\"header\":{}}", ETCD_ANSWERED, NULL },
    { 200, NULL, ETCD_ELSEWHERE, NULL },
    { 200, "[]", ETCD_ELSEWHERE, NULL },
    { 503, "{\"error\":\"etcdserver: no leader\",\"message\":\"etcdserver: no leader\",\"code\":14}", ETCD_ELSEWHERE,
      "no leader" },
    { 504, "{\"error\":\"context deadline exceeded\",\"code\":4}", ETCD_ELSEWHERE, "context deadline exceeded" },
    { 429, NULL, ETCD_ELSEWHERE, "HTTP status 429" },
    { 412, "{\"error\":\"etcdserver: lease already exists\",\"code\":9}", ETCD_REFUSED, "lease already exists" },
    { 404, "{\"error\":\"etcdserver: requested lease not found\",\"code\":5}", ETCD_REFUSED,
      "requested lease not found" },
    { 401, "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}", ETCD_LOGIN, "invalid auth token" },
    { 400, "{\"error\":\"etcdserver: revision of auth store is old\",\"code\":3}", ETCD_LOGIN, NULL },
    { 400, "{\"error\":\"etcdserver: user name is empty\",\"code\":3}", ETCD_REFUSED, "user name is empty" },
    { 403, "{\"error\":\"etcdserver: permission denied\",\"code\":7}", ETCD_REFUSED, "permission denied" },
    { 200, "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"etcdserver: no leader\"}}", ETCD_ELSEWHERE,
      "no leader" },
    { 200, "{\"error\":{\"http_code\":403,\"message\":\"etcdserver: permission denied\"}}", ETCD_REFUSED,
      "permission denied" },
    { 200, "{\"error\":{\"http_code\":200}}", ETCD_ELSEWHERE, NULL },
    { 302, NULL, ETCD_REFUSED, "HTTP status 302" },
    { 400, "{\"error\":\"\\u001b[31m\\n\"}", ETCD_REFUSED, "?[31m?" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    json_auto_t *answer = rows[i].text != NULL ? parse(rows[i].text) : NULL;
    g_autofree char *complaint = etcd_complaint(rows[i].status, answer);
    g_assert_cmpint(etcd_judge(rows[i].status, answer), ==, rows[i].verdict);
    if (rows[i].complaint != NULL)
      g_assert_cmpstr(complaint, ==, rows[i].complaint);
  }
}

static void
test_refusals(void)
{
  static const struct {
    int status;
    const char *text;
    int code;
  } rows[] = {
    { 400, "{\"error\":\"etcdserver: user name is empty\"}", AZLIN_ERROR_AUTH },
    { 400, "{\"error\":\"etcdserver: authentication failed, invalid user ID or password\"}", AZLIN_ERROR_AUTH },
    { 403, "{\"error\":\"etcdserver: permission denied\"}", AZLIN_ERROR_PERMISSION },
    { 412, "{\"error\":\"etcdserver: authentication is not enabled\"}", AZLIN_ERROR_CONFIG },
    { 404, NULL, AZLIN_ERROR_CONFIG },
    { 400, "{\"error\":\"whatever\"}", AZLIN_ERROR_FAILED },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    json_auto_t *answer = rows[i].text != NULL ? parse(rows[i].text) : NULL;
    g_autoptr(GError) error = etcd_refusal(az_host_api(), "context.etcd", "https://etcd:2379", rows[i].status, answer);
    g_assert_error(error, AZLIN_ERROR, rows[i].code);
    g_assert_nonnull(strstr(error->message, "https://etcd:2379"));
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/etcd/requests", test_requests);
  g_test_add_func("/etcd/what-is-missing-says-no", test_what_is_missing_says_no);
  g_test_add_func("/etcd/holders", test_holders);
  g_test_add_func("/etcd/verdicts", test_verdicts);
  g_test_add_func("/etcd/refusals", test_refusals);
  return g_test_run();
}
