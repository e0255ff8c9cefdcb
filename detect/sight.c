/* What one vantage has seen of the suspect: rows of dark probes, counted from what each probe came back with. */
#include "sight.h"

#define LOST_AFTER 2 /* questions in a row without an answer: what the vantage saw before is old by then */

static void
forget_row(AzSight *sight)
{
  sight->seen.refused = FALSE;
  sight->seen.dark_probes = 0;
  sight->seen.dark_seconds = 0;
}

void
az_sight_note(AzSight *sight, AzSightOutcome outcome, gint64 start, gint64 end)
{
  if (outcome == AZ_SIGHT_NOTHING) {
    sight->alive = 0;
    if (++sight->missed >= LOST_AFTER)
      forget_row(sight);
    return;
  }
  sight->missed = 0;
  if (outcome == AZ_SIGHT_ALIVE) {
    sight->last_alive = MAX(sight->last_alive, start);
    sight->seen.fresh_success = TRUE;
    sight->alive++;
    forget_row(sight);
    return;
  }
  /* Probes overlap: one that began before the machine was seen alive is out of date. */
  if (start < sight->last_alive)
    return;
  if (sight->seen.dark_probes == 0)
    sight->first_dark = start;
  sight->seen.fresh_success = FALSE;
  sight->alive = 0;
  sight->seen.refused = outcome == AZ_SIGHT_REFUSED;
  sight->seen.dark_probes++;
  /* A refusal shows the instant it came; a timeout shows all of the time that it waited. */
  gint64 until = sight->seen.refused ? start : end;
  sight->seen.dark_seconds = (double) (until - sight->first_dark) / G_USEC_PER_SEC;
}

static AzSightOutcome
outcome_of(const char *outcome)
{
  static const char *const dark[] = { "timeout", "unreachable", NULL };

  if (g_strcmp0(outcome, "ok") == 0)
    return AZ_SIGHT_ALIVE;
  if (g_strcmp0(outcome, "refused") == 0)
    return AZ_SIGHT_REFUSED;
  return outcome != NULL && g_strv_contains(dark, outcome) ? AZ_SIGHT_DARK : AZ_SIGHT_NOTHING;
}

AzSightOutcome
az_sight_of_health(const AzlinHealth *health)
{
  AzSightOutcome tcp = AZ_SIGHT_NOTHING, ssh = AZ_SIGHT_NOTHING;
  gboolean ssh_ran = FALSE;

  if (health->failure == AZLIN_FAILURE_HOST_KEY_CHANGED)
    return AZ_SIGHT_NOTHING; /* something answers, but it is not our machine that is seen alive */
  if (health->healthy || health->failure == AZLIN_FAILURE_AUTH_FAILED
      || health->failure == AZLIN_FAILURE_PERFORMANCE_DEGRADED)
    return AZ_SIGHT_ALIVE;
  for (const AzlinEvidence *const *evidence = health->evidence; evidence != NULL && *evidence != NULL; evidence++) {
    if (g_strcmp0((*evidence)->probe, "tcp") == 0)
      tcp = outcome_of((*evidence)->outcome);
    if (g_strcmp0((*evidence)->probe, "ssh") != 0)
      continue;
    ssh_ran = TRUE;
    ssh = outcome_of((*evidence)->outcome);
  }
  /* An open port proves nothing yet: only the key exchange shows whether our sshd is behind it. */
  if (ssh_ran || tcp == AZ_SIGHT_ALIVE)
    return ssh;
  return tcp;
}

AzSightOutcome
az_sight_of_evidence(GVariant *evidence)
{
  const char *outcome = NULL;

  g_variant_lookup(evidence, "outcome", "&s", &outcome);
  return outcome_of(outcome);
}
