/* deploy, while machines come up: every region's result is journalled and stored the moment it is known, then checked.
 */
#include "error.h"
#include "flow-deploy.h"

static void maybe_end(AzDeploy *deploy);
static void put_next(AzDeploy *deploy);

static AzDeployTarget *
find_target(AzDeploy *deploy, const char *region)
{
  for (guint i = 0; i < deploy->targets->len; i++) {
    AzDeployTarget *target = g_ptr_array_index(deploy->targets, i);
    if (g_str_equal(target->region, region))
      return target;
  }
  return NULL;
}

gboolean
az_deploy_journal(AzDeploy *deploy, GVariant *facts)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = g_variant_ref_sink(facts);
  AzJournal *journal = az_engine_journal(deploy->engine, &error);
  if (journal && az_journal_update(journal, deploy->intent, value, &error))
    return TRUE;
  az_job_message(deploy->job, "warn", NULL, "The journal cannot be written: %s", error->message);
  return FALSE;
}

void
az_deploy_journal_names(const AzDeploy *deploy, GVariantDict *facts)
{
  GVariantBuilder names;
  g_variant_builder_init(&names, G_VARIANT_TYPE("a{ss}"));
  for (guint i = 0; i < deploy->targets->len; i++) {
    const AzDeployTarget *target = g_ptr_array_index(deploy->targets, i);
    const AzlinVmSpec *spec = target->spec;
    g_autofree char *key = g_strconcat(AZ_DEPLOY_MOVED, target->asked, NULL);
    g_autofree char *place = g_strjoin(" ", spec->region, spec->vm_size, spec->zone ? spec->zone : "", NULL);
    g_variant_builder_add(&names, "{ss}", target->region, target->vm_name);
    if (target->moves)
      g_variant_dict_insert(facts, key, "s", place);
  }
  g_variant_dict_insert_value(facts, "names", g_variant_builder_end(&names));
}

static void
journal_region(GVariantDict *facts, const AzDeployTarget *target, const char *outcome)
{
  g_autofree char *key = g_strdup_printf("region:%s", target->region);
  g_variant_dict_insert(facts, key, "s", outcome);
}

/* ---- one region ---- */

void
az_deploy_note_attempt(AzDeployTarget *target, const char *failure)
{
  g_autofree char *at = az_time_to_string(az_clock_now(az_engine_clock(target->deploy->engine)));
  GVariantDict attempt;
  g_variant_dict_init(&attempt, NULL);
  g_variant_dict_insert(&attempt, "attempt", "u", target->attempts->len + 1);
  g_variant_dict_insert(&attempt, "region", "s", target->region);
  g_variant_dict_insert(&attempt, "vm_size", "s", target->spec->vm_size);
  g_variant_dict_insert_value(&attempt, "zone", az_variant_str(target->spec->zone));
  g_variant_dict_insert(&attempt, "ended_at", "s", at);
  g_variant_dict_insert_value(&attempt, "error", az_variant_str(failure));
  g_ptr_array_add(target->attempts, g_variant_ref_sink(g_variant_dict_end(&attempt)));
}

void
az_deploy_region_status(const AzDeployTarget *target, const char *status)
{
  GVariantDict facts;
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "status", "s", status);
  g_variant_dict_insert(&facts, "vm_name", "s", target->vm_name);
  g_variant_dict_insert_value(&facts, "public_ip", az_variant_str(target->vm ? target->vm->public_ip : NULL));
  g_variant_dict_insert(&facts, "duration_seconds", "d", target->seconds);
  az_job_region(target->deploy->job, target->region, g_variant_dict_end(&facts));
}

void
az_deploy_region_over(AzDeployTarget *target)
{
  AzDeploy *deploy = target->deploy;
  target->over = TRUE;
  target->seconds = az_flow_seconds_since(deploy->engine, target->started);
  if (target->error)
    az_flow_say_error(deploy->job, target->region, target->error);
  az_deploy_region_status(target, target->error ? "failed" : "success");
  deploy->over++;
  if (target->error && g_str_equal(target->region, deploy->wanted_primary))
    az_deploy_primary_settled(deploy, AZ_PRIMARY_NONE);
  maybe_end(deploy);
}

/* The primary can be looked at from elsewhere once it is claimed and was looked at from here. */
static void
settle_primary(AzDeployTarget *target)
{
  AzDeploy *deploy = target->deploy;
  if (target->checked && deploy->claimed)
    az_deploy_primary_settled(deploy, AZ_PRIMARY_READY);
}

static void
on_health(AzlinOp *op, gpointer data)
{
  AzDeployTarget *target = data;
  AzDeploy *deploy = target->deploy;
  if (az_op_cancelled(deploy->root))
    return;
  gboolean healthy = az_flow_note_health(deploy->engine, target->vm, az_op_variant(op));
  target->checked = TRUE;
  g_hash_table_insert(deploy->verdicts, g_strdup_printf("here>%s", target->region), GINT_TO_POINTER(healthy));
  if (healthy && az_flow_pin_trusted(deploy->engine, target->vm)) {
    az_job_message(deploy->job, "warn", target->region, "Its host key was trusted as first seen, and is pinned now");
    target->repinned = TRUE;
    g_queue_push_tail(&deploy->puts, target);
    put_next(deploy);
    return;
  }
  if (healthy) {
    az_job_message(deploy->job, "ok", target->region, "SSH answers");
  } else {
    const char *detail = NULL;
    if (az_op_variant(op))
      g_variant_lookup(az_op_variant(op), "error_details", "&s", &detail);
    az_job_message(deploy->job, "warn", target->region, "The machine stands but is not healthy yet: %s",
                   detail ? detail : "no check was possible");
  }
  settle_primary(target);
  az_deploy_ask(target);
}

static void
on_claimed(AzlinOp *op, gpointer data)
{
  AzDeploy *deploy = data;
  deploy->claiming = FALSE;
  deploy->claimed = az_op_error(op) == NULL;
  if (az_op_cancelled(deploy->root))
    return;
  if (deploy->claimed)
    settle_primary(find_target(deploy, deploy->wanted_primary));
  else
    az_deploy_primary_settled(deploy, AZ_PRIMARY_NONE);
  maybe_end(deploy);
}

void
az_deploy_claim_primary(AzDeploy *deploy, const char *to, AzlinDone done)
{
  az_flow_set_primary(deploy->engine, deploy->root, deploy->stored->primary, to, deploy->stored->epoch, done, deploy);
}

/* As soon as the wanted primary stands, so that an interrupted deploy leaves one; a primary that stands is moved only
 * on the user's word. */
static void
claim_if_wanted(AzDeployTarget *target)
{
  AzDeploy *deploy = target->deploy;
  const char *standing = deploy->stored->primary;
  gboolean wanted = g_str_equal(target->region, deploy->wanted_primary) && !g_str_equal(standing, target->region);
  if (!wanted || (*standing && !deploy->primary_given))
    return;
  deploy->claiming = TRUE;
  az_deploy_claim_primary(deploy, target->region, on_claimed);
}

/* Its record is durable, or will not be. */
static void
stored(AzDeployTarget *target, const GError *error)
{
  if (error) {
    target->error = g_error_copy(error);
    if (!target->repinned) {
      target->deploy->unrecorded++;
      az_error_add_first_step(target->error, "The machine stands; put it on record: azlin recover");
    }
    az_deploy_region_over(target);
    return;
  }
  if (target->repinned) {
    settle_primary(target);
    az_deploy_ask(target);
    return;
  }
  target->in_context = TRUE;
  claim_if_wanted(target);
  az_flow_health(target->deploy->engine, target->deploy->root, target->vm, on_health, target);
}

static void
on_put(AzlinOp *op, gpointer data)
{
  AzDeploy *deploy = data;
  g_autoptr(GPtrArray) written = g_steal_pointer(&deploy->putting);
  if (az_op_cancelled(deploy->root))
    return;
  put_next(deploy);
  for (guint i = 0; i < written->len; i++)
    stored(g_ptr_array_index(written, i), az_op_error(op));
}

/* The first result is written at once; those that come meanwhile share the next write, so that many regions at the
 * same moment do not wait for a disk each. */
static void
put_next(AzDeploy *deploy)
{
  guint n = g_queue_get_length(&deploy->puts), i = 0;
  GVariantDict facts;
  if (deploy->putting || n == 0)
    return;
  g_autofree const AzlinVm **vms = g_new0(const AzlinVm *, n + 1);
  g_variant_dict_init(&facts, NULL);
  for (GList *link = deploy->puts.head; link; link = link->next) {
    const AzDeployTarget *target = link->data;
    vms[i++] = target->vm;
    journal_region(&facts, target, "created");
  }
  az_deploy_journal(deploy, g_variant_dict_end(&facts));
  deploy->putting = g_ptr_array_new();
  gsize taken = az_flow_put_some(deploy->engine, deploy->root, vms, n, on_put, deploy);
  while (taken-- > 0)
    g_ptr_array_add(deploy->putting, g_queue_pop_head(&deploy->puts));
}

static AzlinVm *
complete(const AzDeployTarget *target, const AzlinVm *made)
{
  AzEngine *engine = target->deploy->engine;
  const AzlinVm *known = az_stored_find(target->deploy->stored, target->region);
  AzlinVm *vm = az_vm_dup(made);
  az_vm_set(&vm->region, target->region);
  if (!vm->vm_name)
    az_vm_set(&vm->vm_name, target->vm_name);
  if (!vm->resource_group)
    az_vm_set(&vm->resource_group, target->resource_group);
  if (!vm->provider)
    az_vm_set(&vm->provider, az_config_string(az_engine_config(engine), "bricks", "provider"));
  if (!vm->ssh_user)
    az_vm_set(&vm->ssh_user, target->spec->ssh_user);
  if (!vm->ssh_port)
    vm->ssh_port = 22;
  if (!vm->tags)
    vm->tags = g_variant_ref(target->spec->tags);
  if (!vm->created_at)
    vm->created_at = known ? known->created_at : az_clock_now(az_engine_clock(engine));
  vm->is_primary = FALSE;
  return vm;
}

void
az_deploy_failed(AzDeployTarget *target)
{
  GVariantDict facts;
  g_variant_dict_init(&facts, NULL);
  journal_region(&facts, target, "failed");
  az_deploy_journal(target->deploy, g_variant_dict_end(&facts));
  az_deploy_region_over(target);
}

static void
begin(AzDeployTarget *target)
{
  target->fresh = FALSE;
  if (!target->started)
    target->started = az_clock_monotonic(az_engine_clock(target->deploy->engine));
  az_deploy_region_status(target, "in_progress");
}

static void
on_region_started(AzlinOp *op, const char *region, const char *text, gpointer data)
{
  AzDeployTarget *target = find_target(data, region);
  AzDeploy *deploy = data;
  if (!target || target->ended)
    return;
  if (target->started && !target->fresh) { /* again: the deployer tells why the attempt before failed */
    g_autofree char *why = g_strdup(text ? text : "");
    az_error_cut_steps(why);
    az_deploy_note_attempt(target, why);
    az_job_message(deploy->job, "warn", region, "Attempt %u: %s; trying again", target->attempts->len, why);
    return;
  }
  begin(target);
  az_job_message(deploy->job, "step", region, "%s", text ? text : "Creating VM");
}

static void
on_region(AzlinOp *op, const char *region, const AzlinVm *vm, const GError *error, gpointer data)
{
  AzDeploy *deploy = data;
  AzDeployTarget *target = find_target(deploy, region);
  if (!target || target->ended)
    return;
  target->ended = TRUE;
  target->seconds = az_flow_seconds_since(deploy->engine, target->started);
  g_autofree char *why = error ? az_error_message(error) : NULL;
  az_deploy_note_attempt(target, why);
  if (!vm) {
    target->error = error ? g_error_copy(error)
                          : g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "the deployer gave no machine for %s", region);
    if (!az_deploy_fall_back(target))
      az_deploy_failed(target);
    return;
  }
  g_autofree char *took = az_flow_duration(target->seconds);
  target->vm = complete(target, vm);
  az_job_message(deploy->job, "ok", region,
                 az_stored_find(deploy->stored, region) ? "VM stands already (%s)" : "VM created in %s", took);
  az_job_message(deploy->job, "ok", region, "Public IP: %s", target->vm->public_ip ? target->vm->public_ip : "none");
  g_queue_push_tail(&deploy->puts, target);
  put_next(deploy);
}

/* ---- all regions ---- */

static void
maybe_end(AzDeploy *deploy)
{
  if (deploy->ending || !deploy->deployer_ended || deploy->over < deploy->targets->len || deploy->claiming
      || az_op_cancelled(deploy->root))
    return;
  deploy->ending = TRUE;
  az_deploy_end(deploy);
}

static void
left_out(AzDeployTarget *target, const GError *error)
{
  target->ended = TRUE;
  target->error = error ? g_error_copy(error)
                        : g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "the deployer left %s out", target->region);
  az_deploy_region_over(target);
}

static void
on_deployed(AzlinOp *op, gpointer data)
{
  AzDeploy *deploy = data;
  if (az_op_cancelled(deploy->root))
    return;
  deploy->deployer_ended = TRUE;
  for (guint i = 0; i < deploy->targets->len; i++) {
    AzDeployTarget *target = g_ptr_array_index(deploy->targets, i);
    if (!target->ended && !target->alone)
      left_out(target, az_op_error(op));
  }
  maybe_end(deploy);
}

static void
on_interrupted(gpointer data)
{
  AzDeploy *deploy = data;
  az_flow_entry_interrupted(deploy->engine, deploy->intent);
}

static gboolean
write_intent(AzDeploy *deploy, GError **error)
{
  AzJournal *journal = az_engine_journal(deploy->engine, error);
  GVariantDict undo;
  if (!journal)
    return FALSE;
  g_variant_dict_init(&undo, NULL);
  g_variant_dict_insert_value(&undo, "args", deploy->args);
  g_variant_dict_insert(&undo, "provider", "s",
                        az_config_string(az_engine_config(deploy->engine), "bricks", "provider"));
  az_deploy_journal_names(deploy, &undo);
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_dict_end(&undo));
  if (!az_journal_intent(journal, AZ_DEPLOY_OWNER, "deploy", value, &deploy->intent, error))
    return FALSE;
  return deploy->resumed == 0 || az_journal_done(journal, deploy->resumed, error);
}

/* A deployer has its regions' deadlines, one round after the other, and a little to sum up; then the engine goes on. */
static guint32
deploy_ms(const AzlinDeployPlan *plan, guint regions)
{
  guint64 rounds = (regions + plan->max_concurrent - 1) / plan->max_concurrent;
  guint64 ms = (rounds * plan->region_timeout_s + 30) * 1000;
  return (guint32) MIN(ms, G_MAXUINT32);
}

static void
start(AzDeploy *deploy, GPtrArray *specs, AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  GError *error = NULL;
  guint n = specs->len;
  g_ptr_array_add(specs, NULL);
  const AzlinDeployPlan plan = {
    .size = sizeof plan,
    .specs = (const AzlinVmSpec *const *) specs->pdata,
    .max_concurrent = az_deploy_arg_uint(deploy, "max-concurrent", AZ_DEPLOY_MAX_CONCURRENT),
    .region_timeout_s = az_deploy_arg_uint(deploy, "timeout", AZ_DEPLOY_TIMEOUT_S),
    .no_capacity_retry = az_deploy_may_move(deploy),
  };
  g_ptr_array_add(deploy->plans, specs);
  AzlinOp *op = az_op_new(deploy->root, "deploy", deploy_ms(&plan, n), done, data);
  const AzlinDeployer *deployer = az_engine_lookup(deploy->engine, AZLIN_KIND_DEPLOYER, NULL, &self, &error);
  if (deployer)
    deployer->deploy(self, &plan, op);
  else
    az_op_fail(op, error);
}

/* ---- one that has moved, beside the others ---- */

typedef struct {
  AzDeployTarget *target;
  const AzlinVmSpec *spec;
} Alone;

static void
on_alone(AzlinOp *op, gpointer data)
{
  g_autofree Alone *alone = data;
  AzDeployTarget *target = alone->target;
  AzDeploy *deploy = target->deploy;
  deploy->n_alone--;
  if (az_op_cancelled(deploy->root))
    return;
  if (target->spec == alone->spec && !target->ended)
    left_out(target, az_op_error(op));
  if (!g_queue_is_empty(&deploy->alone_next))
    az_deploy_run_alone(g_queue_pop_head(&deploy->alone_next));
}

void
az_deploy_run_alone(AzDeployTarget *target)
{
  AzDeploy *deploy = target->deploy;
  if (deploy->n_alone >= az_deploy_arg_uint(deploy, "max-concurrent", AZ_DEPLOY_MAX_CONCURRENT)) {
    g_queue_push_tail(&deploy->alone_next, target);
    return;
  }
  Alone *alone = g_new0(Alone, 1);
  *alone = (Alone){ .target = target, .spec = target->spec };
  GPtrArray *specs = g_ptr_array_new();
  g_ptr_array_add(specs, target->spec);
  deploy->n_alone++;
  start(deploy, specs, on_alone, alone);
}

/* ---- the beginning ---- */

/* What the preflight found no room for is over before anything is made. */
static GPtrArray *
take_fitting(AzDeploy *deploy)
{
  GPtrArray *specs = g_ptr_array_new();
  for (guint i = 0; i < deploy->targets->len; i++) {
    AzDeployTarget *target = g_ptr_array_index(deploy->targets, i);
    target->ended = target->error != NULL;
    if (!target->ended) {
      g_ptr_array_add(specs, target->spec);
      continue;
    }
    begin(target);
    az_deploy_region_over(target);
  }
  return specs;
}

static gboolean
any_fits(const AzDeploy *deploy)
{
  for (guint i = 0; i < deploy->targets->len; i++)
    if (!((const AzDeployTarget *) g_ptr_array_index(deploy->targets, i))->error)
      return TRUE;
  return FALSE;
}

void
az_deploy_run(AzDeploy *deploy)
{
  GError *error = NULL;
  const AzOpSink sink = { .region_started = on_region_started, .region = on_region, .data = deploy };
  gboolean fits = any_fits(deploy);
  if (fits && !write_intent(deploy, &error)) {
    az_job_fail(deploy->job, error);
    return;
  }
  if (az_deploy_arg_bool(deploy, "accept-new"))
    az_remote_set_accept_new(az_engine_remote(deploy->engine), TRUE);
  gboolean stays = *deploy->stored->primary
                   && (!deploy->primary_given || g_str_equal(deploy->stored->primary, deploy->wanted_primary));
  deploy->primary = stays ? AZ_PRIMARY_READY : AZ_PRIMARY_PENDING;
  az_job_message(deploy->job, "step", NULL, "Deploying to %u region%s in parallel...", deploy->targets->len,
                 deploy->targets->len == 1 ? "" : "s");
  GPtrArray *specs = take_fitting(deploy);
  if (!fits) {
    g_ptr_array_unref(specs);
    az_deploy_finish(deploy);
    return;
  }
  az_op_on_cancel(deploy->root, on_interrupted, deploy);
  az_job_set_sink(deploy->job, &sink);
  start(deploy, specs, on_deployed, deploy);
}
