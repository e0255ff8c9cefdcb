/* One vantage's row of dark probes: how it grows, what ends it, what counts as life. */
#include "flow-failover.h"

#define S(n) ((gint64) (n) *G_USEC_PER_SEC)

static void
test_rows(void)
{
  AzSight sight = { 0 };

  az_sight_note(&sight, AZ_SIGHT_DARK, S(10), S(15));
  g_assert_cmpuint(sight.seen.dark_probes, ==, 1);
  g_assert_cmpfloat(sight.seen.dark_seconds, ==, 5);
  az_sight_note(&sight, AZ_SIGHT_REFUSED, S(20), S(21));
  g_assert_cmpuint(sight.seen.dark_probes, ==, 2);
  g_assert_cmpfloat(sight.seen.dark_seconds, ==, 10);
  g_assert_true(sight.seen.refused);
  az_sight_note(&sight, AZ_SIGHT_ALIVE, S(25), S(26));
  g_assert_true(sight.seen.fresh_success);
  g_assert_cmpuint(sight.seen.dark_probes, ==, 0);
  az_sight_note(&sight, AZ_SIGHT_DARK, S(30), S(31));
  g_assert_false(sight.seen.fresh_success);
  g_assert_false(sight.seen.refused);
  g_assert_cmpfloat(sight.seen.dark_seconds, ==, 1);
}

static void
test_overlapping_probes(void)
{
  AzSight sight = { 0 };

  az_sight_note(&sight, AZ_SIGHT_ALIVE, S(10), S(11));
  az_sight_note(&sight, AZ_SIGHT_DARK, S(5), S(15)); /* began before life was seen */
  g_assert_true(sight.seen.fresh_success);
  g_assert_cmpuint(sight.seen.dark_probes, ==, 0);
}

static void
test_silence_of_a_witness(void)
{
  AzSight sight = { 0 };

  az_sight_note(&sight, AZ_SIGHT_DARK, S(0), S(4));
  az_sight_note(&sight, AZ_SIGHT_NOTHING, S(5), S(9));
  g_assert_cmpuint(sight.seen.dark_probes, ==, 1);
  az_sight_note(&sight, AZ_SIGHT_NOTHING, S(10), S(14));
  g_assert_cmpuint(sight.seen.dark_probes, ==, 0);
}

typedef struct {
  AzlinFailure failure;
  const char *tcp, *ssh;
  AzSightOutcome outcome;
} Row;

static void
test_what_health_shows(void)
{
  static const Row rows[] = {
    { AZLIN_FAILURE_NONE, "ok", "ok", AZ_SIGHT_ALIVE },
    { AZLIN_FAILURE_PERFORMANCE_DEGRADED, "ok", "ok", AZ_SIGHT_ALIVE },
    { AZLIN_FAILURE_AUTH_FAILED, "ok", "ok", AZ_SIGHT_ALIVE },
    { AZLIN_FAILURE_HOST_KEY_CHANGED, "ok", "host_key_changed", AZ_SIGHT_NOTHING },
    { AZLIN_FAILURE_NETWORK_UNREACHABLE, "timeout", NULL, AZ_SIGHT_DARK },
    { AZLIN_FAILURE_NETWORK_UNREACHABLE, "unreachable", NULL, AZ_SIGHT_DARK },
    { AZLIN_FAILURE_SSH_CONNECTION_FAILED, "refused", NULL, AZ_SIGHT_REFUSED },
    { AZLIN_FAILURE_SSH_CONNECTION_FAILED, "ok", "timeout", AZ_SIGHT_DARK },
    { AZLIN_FAILURE_PERFORMANCE_DEGRADED, "ok", "closed", AZ_SIGHT_ALIVE },
    { AZLIN_FAILURE_SSH_CONNECTION_FAILED, "ok", "ok", AZ_SIGHT_ALIVE }, /* only the login hangs */
    { AZLIN_FAILURE_SSH_CONNECTION_FAILED, "ok", "host_key_unknown", AZ_SIGHT_NOTHING },
    { AZLIN_FAILURE_SSH_CONNECTION_FAILED, "ok", "error", AZ_SIGHT_NOTHING },
    { AZLIN_FAILURE_VM_STOPPED, "refused", NULL, AZ_SIGHT_REFUSED },
    { AZLIN_FAILURE_UNKNOWN, "error", NULL, AZ_SIGHT_NOTHING },
    { AZLIN_FAILURE_UNKNOWN, NULL, NULL, AZ_SIGHT_NOTHING },
  };

  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    AzlinEvidence tcp = { .size = sizeof tcp, .probe = "tcp", .outcome = rows[i].tcp };
    AzlinEvidence ssh = { .size = sizeof ssh, .probe = "ssh", .outcome = rows[i].ssh };
    const AzlinEvidence *evidence[] = { rows[i].tcp != NULL ? &tcp : NULL, rows[i].ssh != NULL ? &ssh : NULL, NULL };
    AzlinHealth health = { .size = sizeof health,
                           .failure = rows[i].failure,
                           .healthy = rows[i].failure == AZLIN_FAILURE_NONE,
                           .evidence = evidence };
    g_test_message("row %" G_GSIZE_FORMAT, i);
    g_assert_cmpint(az_sight_of_health(&health), ==, rows[i].outcome);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/failover/sight/rows", test_rows);
  g_test_add_func("/failover/sight/overlapping-probes", test_overlapping_probes);
  g_test_add_func("/failover/sight/silence-of-a-witness", test_silence_of_a_witness);
  g_test_add_func("/failover/sight/what-health-shows", test_what_health_shows);
  return g_test_run();
}
