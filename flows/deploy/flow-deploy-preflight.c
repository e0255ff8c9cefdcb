/* deploy, before the first write: whether all machines together fit; those that do not move or end here. */
#include "error.h"
#include "flow-deploy.h"

#define MAX_NOTES 5 /* what is in the way of a look-up is the same in most regions */

typedef struct {
  AzDeploy *deploy;
  GPtrArray *targets; /* of AzDeployTarget, in the order of the specs */
  GPtrArray *specs;   /* of AzlinVmSpec, ends NULL */
} Preflight;

static void
preflight_free(Preflight *preflight)
{
  g_ptr_array_unref(preflight->targets);
  g_ptr_array_unref(preflight->specs);
  g_free(preflight);
}

static const char *
text_of(GVariant *verdict, const char *key)
{
  const char *text = "";
  g_variant_lookup(verdict, key, "&s", &text);
  return text;
}

GVariant *
az_deploy_preflight_variant(const AzDeployTarget *target)
{
  return target->verdict ? g_variant_new_variant(target->verdict) : az_null();
}

/* ---- those that do not fit ---- */

static void
settled(AzDeploy *deploy)
{
  if (--deploy->pending == 0 && !az_op_cancelled(deploy->root))
    deploy->after_preflight(deploy);
}

static void
on_places(AzDeployTarget *target)
{
  if (!az_deploy_may_move(target->deploy))
    az_deploy_suggest(target);
  else
    az_deploy_move(target);
  settled(target->deploy);
}

static void
add_steps(AzDeployTarget *target)
{
  g_autofree const char **steps = NULL;
  if (!g_variant_lookup(target->verdict, "steps", "^a&s", &steps))
    return;
  for (gsize i = 0; steps[i]; i++)
    az_error_add_step(target->error, "%s", steps[i]);
}

static void
does_not_fit(AzDeployTarget *target)
{
  const char *code = text_of(target->verdict, "code"), *message = text_of(target->verdict, "message");
  const char *said = *message ? message : "the machine does not fit";
  target->error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_CAPACITY, "Capacity unavailable in %s: %s%s%s%s", target->region,
                              said, *code ? " (" : "", code, *code ? ")" : "");
  az_deploy_note_attempt(target, target->error->message);
  add_steps(target);
  target->deploy->pending++;
  az_deploy_find_places(target, on_places);
}

/* ---- the verdicts ---- */

static void
take_verdicts(Preflight *preflight, GVariant *verdicts)
{
  AzDeploy *deploy = preflight->deploy;
  g_autoptr(GHashTable) said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < preflight->targets->len; i++) {
    AzDeployTarget *target = g_ptr_array_index(preflight->targets, i);
    gboolean fits = TRUE;
    target->verdict = g_variant_get_child_value(verdicts, i);
    const char *note = text_of(target->verdict, "note");
    if (*note && g_hash_table_size(said) < MAX_NOTES && g_hash_table_add(said, g_strdup(note)))
      az_job_message(deploy->job, "warn", NULL, "%s", note);
    g_variant_lookup(target->verdict, "ok", "b", &fits);
    if (!fits)
      does_not_fit(target);
  }
}

/* Without a login nothing can be made anywhere: it is said once, not for each region. */
static void
no_login(AzDeploy *deploy, const GError *error)
{
  for (guint i = 0; i < deploy->targets->len; i++) {
    AzDeployTarget *target = g_ptr_array_index(deploy->targets, i);
    g_clear_error(&target->error);
    target->error = g_error_copy(error);
  }
  az_flow_say_error(deploy->job, NULL, error);
  az_deploy_finish(deploy);
}

/* TRUE: the deploy has ended with it. What only keeps the answer back does not: creating will tell. */
static gboolean
failed(AzDeploy *deploy, const GError *error)
{
  gboolean dry = az_deploy_arg_bool(deploy, "dry-run");
  if (!dry && g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_AUTH)) {
    no_login(deploy, error);
    return TRUE;
  }
  if (!dry && g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG)) {
    az_job_fail(deploy->job, g_error_copy(error));
    return TRUE;
  }
  g_autofree char *text = az_error_message(error);
  az_job_message(deploy->job, "warn", NULL, "Whether there is room was not checked: %s", text);
  return FALSE;
}

static void
on_preflight(AzlinOp *op, gpointer data)
{
  Preflight *preflight = data;
  AzDeploy *deploy = preflight->deploy;
  GVariant *verdicts = az_op_error(op) ? NULL : az_op_variant(op);
  gboolean ended = az_op_cancelled(deploy->root) || (az_op_error(op) && failed(deploy, az_op_error(op)));
  if (!ended && verdicts && g_variant_n_children(verdicts) == preflight->targets->len)
    take_verdicts(preflight, verdicts);
  else if (!ended && verdicts)
    az_job_message(deploy->job, "warn", NULL, "The provider's preflight did not answer for each machine; ignored");
  preflight_free(preflight);
  if (!ended)
    settled(deploy);
}

/* A machine that stands needs no room. Neither may one that an interrupted run had begun: its quota is counted as used
 * by then. */
static GPtrArray *
to_check(AzDeploy *deploy)
{
  GPtrArray *targets = g_ptr_array_new();
  for (guint i = 0; i < deploy->targets->len && !deploy->resumed; i++) {
    AzDeployTarget *target = g_ptr_array_index(deploy->targets, i);
    if (!az_stored_find(deploy->stored, target->region))
      g_ptr_array_add(targets, target);
  }
  return targets;
}

void
az_deploy_preflight(AzDeploy *deploy, void (*then)(AzDeploy *deploy))
{
  const AzlinProvider *provider = az_flow_provider(deploy->engine, NULL);
  g_autoptr(GPtrArray) targets = to_check(deploy);
  if (!provider || !provider->preflight || targets->len == 0) {
    then(deploy);
    return;
  }
  Preflight *preflight = g_new0(Preflight, 1);
  *preflight = (Preflight){ .deploy = deploy, .targets = g_steal_pointer(&targets), .specs = g_ptr_array_new() };
  for (guint i = 0; i < preflight->targets->len; i++)
    g_ptr_array_add(preflight->specs, ((AzDeployTarget *) g_ptr_array_index(preflight->targets, i))->spec);
  g_ptr_array_add(preflight->specs, NULL);
  deploy->after_preflight = then;
  deploy->pending = 1;
  az_flow_preflight(deploy->engine, deploy->root, (const AzlinVmSpec *const *) preflight->specs->pdata, on_preflight,
                    preflight);
}
