/* The ways back: --back returns to where the primary was; a rollback takes back a switch that nobody confirmed. */
#include "flow-failover.h"
#include "error.h"
#include <string.h>

gboolean
az_failover_window_due(const AzFailoverState *state, gint64 now)
{
  return state->window_until != 0 && now >= state->window_until;
}

/* ---- rollback ---- */

static const AzlinVm *
rollback_target(AzFailover *run, GError **error)
{
  const AzFailoverState *state = run->state;
  GError *closed = NULL;

  if (state->window_until == 0)
    closed = g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_POLICY,
                                 "No switch waits for its confirmation: there is "
                                 "nothing to take back");
  else if (state->window_epoch != run->stored->epoch || g_strcmp0(state->window_to, run->stored->primary) != 0)
    closed = g_error_new(AZLIN_ERROR, AZLIN_ERROR_POLICY,
                         "The switch from %s to %s was followed by another one: it cannot be taken back",
                         state->window_from, state->window_to);
  const AzlinVm *target = closed == NULL ? az_stored_find(run->stored, state->window_from) : NULL;
  if (target != NULL)
    return target;
  if (closed == NULL)
    closed = g_error_new(AZLIN_ERROR, AZLIN_ERROR_POLICY, "%s is no longer on record: there is no way back to it",
                         state->window_from);
  az_error_add_step(closed, "Go back by hand, with the data: azlin failover --back");
  g_propagate_error(error, closed);
  return NULL;
}

static void
change_keep(AzFailoverState *state, gpointer data)
{
  az_failover_close_window(state);
}

gboolean
az_failover_keep(AzFailover *run, const char *why, GError **error)
{
  GVariantDict facts;

  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "from", "s", run->state->window_from);
  g_variant_dict_insert(&facts, "to", "s", run->state->window_to);
  g_variant_dict_insert(&facts, "epoch", "t", run->state->window_epoch);
  g_variant_dict_insert(&facts, "outcome", "s", why);
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_dict_end(&facts));
  if (!az_failover_state_change(run->engine, change_keep, NULL, error))
    return FALSE;
  az_flow_audit(run->job, "failover.kept", value);
  return TRUE;
}

/* ---- back ---- */

/* Where the switch came from, if this record tells of one that led to `primary`; or NULL. Owned. */
static char *
left_by(GVariant *record, const char *primary)
{
  const char *what = NULL, *from = NULL, *to = NULL, *outcome = "";
  g_autoptr(GVariant) facts = g_variant_lookup_value(record, "facts", G_VARIANT_TYPE_VARDICT);

  if (facts == NULL || !g_variant_lookup(record, "what", "&s", &what))
    return NULL;
  g_variant_lookup(facts, "outcome", "&s", &outcome);
  if (g_str_equal(what, "regions.set-primary")) {
    g_variant_lookup(facts, "from", "&s", &from);
    g_variant_lookup(facts, "to", "&s", &to);
  } else if ((g_str_equal(what, "failover") && g_str_has_prefix(outcome, "switched"))
             || (g_str_equal(what, "failover.recovered") && g_str_has_prefix(outcome, "finished"))) {
    g_variant_lookup(facts, "source_region", "&s", &from);
    g_variant_lookup(facts, "target_region", "&s", &to);
  }
  return from != NULL && *from != 0 && g_strcmp0(to, primary) == 0 ? g_strdup(from) : NULL;
}

static char *
last_left(AzFailover *run)
{
  AzAudit *audit = az_engine_audit(run->engine, NULL);
  g_autoptr(GVariant) shown = audit != NULL ? az_audit_show(audit, 1000, NULL) : NULL;

  for (gsize i = shown != NULL ? g_variant_n_children(shown) : 0; i > 0; i--) {
    g_autoptr(GVariant) record = az_variant_element(shown, i - 1);
    char *region = left_by(record, run->stored->primary);
    if (region != NULL)
      return region;
  }
  return NULL;
}

static const AzlinVm *
back_target(AzFailover *run, GError **error)
{
  if (run->state->fences->len > 0) {
    const AzFencePending *fence = g_ptr_array_index(run->state->fences, 0);
    GError *pending = g_error_new(AZLIN_ERROR, AZLIN_ERROR_POLICY,
                                  "Not back while a fence is pending: %s may still serve as it was", fence->region);
    az_error_add_step(pending, "Fence it: azlin recover");
    g_propagate_error(error, pending);
    return NULL;
  }
  const char *named = az_job_arg_string(run->job, "to");
  if (named != NULL)
    return az_stored_require(run->stored, run->engine, named, error);
  g_autofree char *region = last_left(run);
  const AzlinVm *target = region != NULL ? az_stored_find(run->stored, region) : NULL;
  if (target != NULL && !g_str_equal(target->region, run->stored->primary))
    return target;
  GError *unknown = g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_USAGE,
                                        "No switch is on record that could be gone back on; say where to");
  az_error_add_step(unknown, "Name it: azlin failover --back --to REGION");
  g_propagate_error(error, unknown);
  return NULL;
}

const AzlinVm *
az_failover_way_back(AzFailover *run, GError **error)
{
  return run->plan == AZ_FAILOVER_BACK ? back_target(run, error) : rollback_target(run, error);
}
