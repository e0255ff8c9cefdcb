/* Golden table: evidence and power state on the left, the verdict on the right; and what a witness' scan means. */
#include "evidence.h"
#include "health.h"

#include <string.h>

typedef struct {
  const char *steps; /* "tcp=ok ssh=ok login=ok:45" */
  AzlinPower power;
  AzlinStopCause cause;
  AzlinFailure failure;
  const char *words; /* in the detail */
} Row;

#define RUNNING AZLIN_POWER_RUNNING, AZLIN_STOP_UNKNOWN
#define UNKNOWN AZLIN_POWER_UNKNOWN, AZLIN_STOP_UNKNOWN

static const Row rows[] = {
  { "tcp=ok ssh=ok login=ok:45.2", RUNNING, AZLIN_FAILURE_NONE, NULL },
  { "tcp=ok ssh=ok login=ok:45.2", UNKNOWN, AZLIN_FAILURE_NONE, NULL },
  /* a provider that lags behind does not overrule a login */
  { "tcp=ok ssh=ok login=ok:45", AZLIN_POWER_STOPPED, AZLIN_STOP_REQUESTED, AZLIN_FAILURE_NONE, NULL },
  { "tcp=ok ssh=ok login=ok:3000", RUNNING, AZLIN_FAILURE_NONE, NULL },
  { "tcp=ok ssh=ok login=ok:3001", RUNNING, AZLIN_FAILURE_PERFORMANCE_DEGRADED, "3001 ms" },
  { "tcp=timeout", RUNNING, AZLIN_FAILURE_NETWORK_UNREACHABLE, "timeout" },
  { "tcp=timeout", UNKNOWN, AZLIN_FAILURE_NETWORK_UNREACHABLE, "timeout" },
  { "tcp=unreachable", RUNNING, AZLIN_FAILURE_NETWORK_UNREACHABLE, "unreachable" },
  { "tcp=refused", RUNNING, AZLIN_FAILURE_SSH_CONNECTION_FAILED, "refused" },
  { "tcp=closed", RUNNING, AZLIN_FAILURE_SSH_CONNECTION_FAILED, "reset" },
  { "tcp=ok ssh=timeout", RUNNING, AZLIN_FAILURE_SSH_CONNECTION_FAILED, "ssh timeout" },
  { "tcp=ok ssh=closed", RUNNING, AZLIN_FAILURE_PERFORMANCE_DEGRADED, "overloaded or restarting" },
  { "tcp=ok ssh=error", RUNNING, AZLIN_FAILURE_SSH_CONNECTION_FAILED, "ssh error" },
  { "tcp=ok ssh=ok login=timeout", RUNNING, AZLIN_FAILURE_SSH_CONNECTION_FAILED, "login timeout" },
  { "tcp=ok ssh=ok login=closed", RUNNING, AZLIN_FAILURE_PERFORMANCE_DEGRADED, "overloaded or restarting" },
  { "tcp=ok ssh=ok login=auth_failed", RUNNING, AZLIN_FAILURE_AUTH_FAILED, "refused" },
  { "tcp=ok ssh=host_key_changed", RUNNING, AZLIN_FAILURE_HOST_KEY_CHANGED, "not the pinned" },
  { "tcp=ok ssh=host_key_unknown", RUNNING, AZLIN_FAILURE_UNKNOWN, "No host key is pinned" },
  { "tcp=timeout", AZLIN_POWER_STOPPED, AZLIN_STOP_REQUESTED, AZLIN_FAILURE_VM_STOPPED, "stopped" },
  { "tcp=refused", AZLIN_POWER_STOPPED, AZLIN_STOP_UNKNOWN, AZLIN_FAILURE_VM_STOPPED, "stopped" },
  { "tcp=timeout", AZLIN_POWER_DEALLOCATED, AZLIN_STOP_REQUESTED, AZLIN_FAILURE_VM_DEALLOCATED, "deallocated" },
  { "tcp=timeout", AZLIN_POWER_DEALLOCATED, AZLIN_STOP_UNKNOWN, AZLIN_FAILURE_VM_DEALLOCATED, "deallocated" },
  /* it ended by itself: no intent, so what the network says */
  { "tcp=refused", AZLIN_POWER_STOPPED, AZLIN_STOP_ENDED, AZLIN_FAILURE_SSH_CONNECTION_FAILED, "refused" },
  { "tcp=timeout", AZLIN_POWER_STOPPED, AZLIN_STOP_ENDED, AZLIN_FAILURE_NETWORK_UNREACHABLE, "timeout" },
  { "tcp=timeout", AZLIN_POWER_DEALLOCATED, AZLIN_STOP_ENDED, AZLIN_FAILURE_NETWORK_UNREACHABLE, "timeout" },
  /* trouble of our own is no evidence */
  { "tcp=error", RUNNING, AZLIN_FAILURE_UNKNOWN, "Nothing conclusive" },
  { "", RUNNING, AZLIN_FAILURE_UNKNOWN, "Nothing conclusive" },
  { "", UNKNOWN, AZLIN_FAILURE_UNKNOWN, "Nothing conclusive" },
};

static GPtrArray *
parse(const char *steps)
{
  GPtrArray *all = g_ptr_array_new();
  g_auto(GStrv) words = g_strsplit(steps, " ", -1);
  for (guint i = 0; words[i] != NULL && *words[i] != '\0'; i++) {
    g_auto(GStrv) parts = g_strsplit_set(words[i], "=:", 3);
    AzlinEvidence *one = g_new0(AzlinEvidence, 1);
    *one = (AzlinEvidence){ .size = sizeof *one, .vantage = "here" };
    one->probe = g_intern_string(parts[0]);
    one->outcome = g_intern_string(parts[1]);
    one->ms = parts[2] != NULL ? g_ascii_strtod(parts[2], NULL) : 10;
    g_ptr_array_add(all, one);
  }
  g_ptr_array_set_free_func(all, g_free);
  g_ptr_array_add(all, NULL);
  return all;
}

static void
test_table(void)
{
  gboolean seen[AZLIN_FAILURE_HOST_KEY_CHANGED + 1] = { FALSE };
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    const Row *row = &rows[i];
    g_autoptr(GPtrArray) evidence = parse(row->steps);
    g_autofree char *detail = NULL;
    AzlinFailure failure
        = az_health_verdict((const AzlinEvidence *const *) evidence->pdata, row->power, row->cause, 3000, &detail);
    g_test_message("row %u: %s: %s", i, row->steps, detail);
    g_assert_cmpint(failure, ==, row->failure);
    g_assert_true(row->words == NULL ? detail == NULL : strstr(detail, row->words) != NULL);
    seen[failure] = TRUE;
  }
  for (guint i = 0; i < G_N_ELEMENTS(seen); i++)
    g_assert_true(seen[i]);
}

static void
test_other_vantages_do_not_count(void)
{
  AzlinEvidence one = { .size = sizeof one, .vantage = "westus2", .probe = "tcp", .outcome = "timeout" };
  const AzlinEvidence *const evidence[] = { &one, NULL };
  g_assert_cmpint(az_health_verdict(evidence, RUNNING, 0, NULL), ==, AZLIN_FAILURE_UNKNOWN);
  g_assert_cmpint(az_health_verdict(NULL, RUNNING, 0, NULL), ==, AZLIN_FAILURE_UNKNOWN);
}

static void
test_scan(void)
{
  static const struct {
    const char *text, *pin, *outcome;
  } scans[] = {
    { "# h:22 SSH-2.0-OpenSSH\n[h]:2200 ssh-ed25519 AAAAkey\nazlin: took 0 s\n", "ssh-ed25519 AAAAkey", "ok" },
    { "h ssh-ed25519 AAAAkey\nazlin: took 0 s\n", "ssh-ed25519 AAAAkey comment", "ok" },
    { "h ssh-ed25519 AAAAkey\nazlin: took 0 s\n", NULL, "ok" },
    { "h ssh-ed25519 AAAAother\nazlin: took 0 s\n", "ssh-ed25519 AAAAkey", "host_key_changed" },
    { "h ssh-ed25519 AAAA\nazlin: took 0 s\n", "ssh-ed25519 AAAAkey", "host_key_changed" },
    { "azlin: took 4 s\n", "ssh-ed25519 AAAAkey", "timeout" },
    { "azlin: took 5 s\n", "ssh-ed25519 AAAAkey", "timeout" },
    { "connect (`h'): Connection refused\nazlin: took 0 s\n", "ssh-ed25519 AAAAkey", "refused" },
    { "azlin: took 0 s\n", "ssh-ed25519 AAAAkey", "refused" },
    { "connect (`h'): No route to host\nazlin: took 3 s\n", "ssh-ed25519 AAAAkey", "unreachable" },
    { "h: Connection closed by remote host\nazlin: took 0 s\n", "ssh-ed25519 AAAAkey", "closed" },
    { "azlin: no ssh-keyscan\n", "ssh-ed25519 AAAAkey", "error" },
    { "", "ssh-ed25519 AAAAkey", "error" },
    { "h ssh-ed25519 AAAA;rm\nazlin: took 0 s\n", NULL, "refused" },
  };
  for (guint i = 0; i < G_N_ELEMENTS(scans); i++)
    g_assert_cmpstr(az_health_read_scan(scans[i].text, scans[i].pin), ==, scans[i].outcome);
}

static void
expect_platform(const char *platform, const char *said, gint64 at, const char *outcome, const char *detail)
{
  AzlinVm vm = { .size = sizeof vm, .platform = platform, .platform_detail = said, .maintenance_at = at };
  g_autoptr(GPtrArray) list = az_evidence_list();
  AzlinEvidence *evidence = az_evidence_of_platform(&vm, 12, 1);
  g_assert_cmpint(evidence == NULL, ==, outcome == NULL);
  if (evidence == NULL)
    return;
  g_ptr_array_add(list, evidence);
  g_assert_cmpstr(evidence->probe, ==, "platform");
  g_assert_cmpstr(evidence->vantage, ==, "here");
  g_assert_cmpstr(evidence->outcome, ==, outcome);
  g_assert_cmpstr(evidence->detail, ==, detail);
}

static void
test_platform(void)
{
  gint64 at = G_GINT64_CONSTANT(1800000000) * G_USEC_PER_SEC;
  expect_platform(NULL, NULL, 0, NULL, NULL);
  expect_platform(NULL, "words alone are no statement", 0, NULL, NULL);
  expect_platform("available", NULL, 0, "ok", NULL);
  expect_platform("unavailable", "The host failed", 0, "unavailable", "The host failed");
  expect_platform(NULL, NULL, at, "ok", "maintenance is announced for 2027-01-15T08:00:00Z");
  expect_platform("unavailable", "The host failed", at, "unavailable",
                  "The host failed; maintenance is announced for 2027-01-15T08:00:00Z");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/verdict/table", test_table);
  g_test_add_func("/verdict/other-vantages-do-not-count", test_other_vantages_do_not_count);
  g_test_add_func("/verdict/scan", test_scan);
  g_test_add_func("/verdict/platform", test_platform);
  return g_test_run();
}
