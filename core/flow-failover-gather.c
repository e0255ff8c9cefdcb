/* Gathers evidence for a failover: health of every region, then rounds of probes of the suspect from here and from the
 * machines of other regions, until decide() has what it needs. */
#include "flow-failover.h"
#include "health.h"

#define CHECK_MS 10000 /* one health check, as the specification bounds it */
#define EARLY_MS 1000  /* a source silent for this long is suspect: the witnesses need not wait for its timeout */

typedef struct {
  AzFailover *run;
  const AzlinVm *vm; /* of run->stored */
  gint64 start;
} Probe;

static void end_of_round(AzFailover *run);
static void ask_witnesses(AzFailover *run);

static gint64
monotonic(AzFailover *run)
{
  return az_clock_monotonic(az_engine_clock(run->engine));
}

static Probe *
probe_new(AzFailover *run, const AzlinVm *vm)
{
  Probe *probe = g_new(Probe, 1);

  *probe = (Probe){ .run = run, .vm = vm, .start = monotonic(run) };
  run->pending++;
  return probe;
}

static AzSight *
sight_of(AzFailover *run, const char *vantage)
{
  for (guint i = 0; i < run->sights->len; i++) {
    AzSight *sight = &g_array_index(run->sights, AzSight, i);
    if (g_str_equal(sight->seen.vantage, vantage))
      return sight;
  }
  AzSight sight = { .seen = { .size = sizeof sight.seen,
                              .vantage = vantage,
                              .was_up = az_vantage_was_up(run->engine, vantage, run->source->region) } };
  g_array_append_val(run->sights, sight);
  return &g_array_index(run->sights, AzSight, run->sights->len - 1);
}

const AzlinHealth *
az_failover_health_of(AzFailover *run, const char *region)
{
  for (guint i = 0; i < run->others->len; i++) {
    const AzlinHealth *health = az_health_copy_get(g_ptr_array_index(run->others, i));
    if (g_strcmp0(health->vm->region, region) == 0)
      return health;
  }
  return NULL;
}

/* ---- answers ---- */

static AzHealthCopy *
health_of_op(AzlinOp *op, const AzlinVm *vm)
{
  const GError *error = az_op_error(op);

  if (error == NULL && az_op_variant(op) != NULL)
    return az_health_from_variant(az_op_variant(op), vm);
  AzlinHealth health = { .size = sizeof health,
                         .vm = vm,
                         .failure = AZLIN_FAILURE_UNKNOWN,
                         .response_time_ms = -1,
                         .detail = error != NULL ? error->message : "The check gave no result" };
  g_autoptr(GVariant) value = g_variant_ref_sink(az_health_to_variant(&health));
  return az_health_from_variant(value, vm);
}

static void
answered(AzFailover *run)
{
  run->pending--;
  ask_witnesses(run);
  if (run->pending == 0)
    end_of_round(run);
}

static void
on_health(AzlinOp *op, gpointer data)
{
  g_autofree Probe *probe = data;
  AzFailover *run = probe->run;

  if (az_op_cancelled(run->root))
    return;
  AzHealthCopy *copy = health_of_op(op, probe->vm);
  const AzlinHealth *health = az_health_copy_get(copy);
  if (probe->vm == run->source) {
    g_clear_pointer(&run->source_health, az_health_copy_free);
    run->source_health = copy;
    az_sight_note(sight_of(run, "here"), az_sight_of_health(health), probe->start, monotonic(run));
  } else {
    if (az_sight_of_health(health) == AZ_SIGHT_ALIVE)
      run->contact = TRUE;
    g_ptr_array_add(run->others, copy);
  }
  answered(run);
}

static void
keep_answer(AzFailover *run, const char *witness, GVariant *answer)
{
  for (guint i = 0; i < run->answers->len; i++) {
    const char *vantage = NULL;
    g_variant_lookup(g_ptr_array_index(run->answers, i), "vantage", "&s", &vantage);
    if (g_strcmp0(vantage, witness) == 0) {
      g_ptr_array_remove_index(run->answers, i);
      break;
    }
  }
  g_ptr_array_add(run->answers, g_variant_ref(answer));
}

static void
on_witness(AzlinOp *op, gpointer data)
{
  g_autofree Probe *probe = data;
  AzFailover *run = probe->run;

  if (az_op_cancelled(run->root))
    return;
  if (az_op_error(op) == NULL && az_op_variant(op) != NULL) {
    AzSight *sight = sight_of(run, probe->vm->region);
    AzSightOutcome outcome = az_sight_of_evidence(az_op_variant(op));
    az_sight_note(sight, outcome, probe->start, monotonic(run));
    keep_answer(run, probe->vm->region, az_op_variant(op));
    if (outcome != AZ_SIGHT_NOTHING) {
      sight->seen.self_check_ok = TRUE; /* it answered us over SSH: its host and its network work */
      run->contact = TRUE;
    }
  }
  answered(run);
}

/* ---- questions ---- */

static void
ask_health(AzFailover *run, const AzlinVm *vm)
{
  Probe *probe = probe_new(run, vm);

  az_health_check(run->engine, vm, az_op_new(run->root, "health", CHECK_MS, on_health, probe));
}

static gboolean
is_asked(AzFailover *run, const char *region)
{
  for (guint i = 1; i < run->sights->len; i++)
    if (g_str_equal(g_array_index(run->sights, AzSight, i).seen.vantage, region))
      return TRUE;
  return FALSE;
}

static void
ask_witness(AzFailover *run, const AzlinVm *witness)
{
  Probe *probe = probe_new(run, witness);

  sight_of(run, witness->region);
  az_health_ask_witness(run->engine, witness, run->source,
                        az_op_new(run->root, "witness", CHECK_MS, on_witness, probe));
}

/* Those that have seen the machine up come first; the others can only say that it lives. */
static void
ask_new_witnesses(AzFailover *run, gboolean was_up)
{
  for (guint i = 0; i < run->others->len && run->sights->len <= AZ_FAILOVER_WITNESSES; i++) {
    const AzlinHealth *health = az_health_copy_get(g_ptr_array_index(run->others, i));
    const char *region = health->vm->region;
    if (!health->healthy || is_asked(run, region)
        || az_vantage_was_up(run->engine, region, run->source->region) != was_up)
      continue;
    ask_witness(run, az_stored_find(run->stored, region));
  }
}

static void
ask_witnesses(AzFailover *run)
{
  gboolean suspect = run->source_health != NULL ? !az_health_copy_get(run->source_health)->healthy : run->early;

  if (run->rounds > 0 || !suspect)
    return;
  ask_new_witnesses(run, TRUE);
  if (run->pending == 0)
    ask_new_witnesses(run, FALSE);
}

static void
on_early(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;

  if (az_op_cancelled(run->root))
    return;
  run->early = TRUE;
  if (run->rounds == 0 && run->pending > 0)
    ask_witnesses(run);
}

/* ---- judging ---- */

static AzlinMode
configured_mode(AzFailover *run)
{
  AzConfig *config = az_engine_config(run->engine);
  g_autofree char *group = g_strconcat("failover.", az_config_string(config, "bricks", "failover"), NULL);
  g_autoptr(GVariant) value = az_config_get(config, group, "mode");
  const char *mode = "";

  if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
    mode = g_variant_get_string(value, NULL);
  if (g_str_equal(mode, "auto"))
    return AZLIN_MODE_AUTO;
  return g_str_equal(mode, "manual") ? AZLIN_MODE_MANUAL : AZLIN_MODE_HYBRID;
}

void
az_failover_decision_clear(AzlinDecision *decision)
{
  for (guint i = 0; decision->weights != NULL && i < decision->weights->len; i++)
    az_vm_set(&g_array_index(decision->weights, AzlinWeight, i).what, NULL);
  g_clear_pointer(&decision->weights, g_array_unref);
  g_clear_pointer(&decision->ranking, g_ptr_array_unref);
  g_clear_pointer(&decision->reason, g_free);
  g_clear_pointer(&decision->what_would_change, g_free);
  *decision = (AzlinDecision){ .size = sizeof *decision };
}

static gboolean
decide(AzFailover *run, GError **error)
{
  gpointer self = NULL;
  const AzlinFailover *brick = az_engine_lookup(run->engine, AZLIN_KIND_FAILOVER, NULL, &self, error);
  g_autofree const AzlinHealth **others = g_new0(const AzlinHealth *, run->others->len + 1);
  g_autofree const AzlinVantage **vantages = g_new0(const AzlinVantage *, run->sights->len + 1);

  if (brick == NULL)
    return FALSE;
  for (guint i = 0; i < run->others->len; i++)
    others[i] = az_health_copy_get(g_ptr_array_index(run->others, i));
  for (guint i = 0; i < run->sights->len; i++)
    vantages[i] = &g_array_index(run->sights, AzSight, i).seen;
  AzlinDecisionInput input = { .size = sizeof input,
                               .source = az_health_copy_get(run->source_health),
                               .others = others,
                               .vantages = vantages,
                               .mode = configured_mode(run),
                               .now = az_clock_now(az_engine_clock(run->engine)) };
  az_failover_decision_clear(&run->decision);
  brick->decide(self, &input, &run->decision);
  return TRUE;
}

static void
store_sights(AzFailover *run)
{
  g_autoptr(GHashTable) verdicts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < run->sights->len; i++) {
    const AzlinVantage *seen = &g_array_index(run->sights, AzSight, i).seen;
    char *pair = g_strdup_printf("%s>%s", seen->vantage, run->source->region);
    if (seen->fresh_success || seen->dark_probes > 0)
      g_hash_table_insert(verdicts, pair, GINT_TO_POINTER(seen->fresh_success));
    else
      g_free(pair);
  }
  for (guint i = 0; i < run->others->len; i++) {
    const AzlinHealth *health = az_health_copy_get(g_ptr_array_index(run->others, i));
    g_hash_table_insert(verdicts, g_strdup_printf("here>%s", health->vm->region), GINT_TO_POINTER(health->healthy));
  }
  az_flow_keep_sightings(run->engine, verdicts);
}

static void
next_round(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;

  if (az_op_cancelled(run->root))
    return;
  run->round_start = monotonic(run);
  run->contact = FALSE;
  run->pending++; /* holds the round open until all questions are out */
  ask_health(run, run->source);
  for (guint i = 1; i < run->sights->len; i++) {
    const AzlinVm *witness = az_stored_find(run->stored, g_array_index(run->sights, AzSight, i).seen.vantage);
    if (witness != NULL)
      ask_witness(run, witness);
  }
  answered(run);
}

static void
end_of_round(AzFailover *run)
{
  GError *error = NULL;

  sight_of(run, "here")->seen.self_check_ok = run->contact;
  run->rounds++;
  if (!decide(run, &error)) {
    az_job_fail(run->job, error);
    return;
  }
  if (!run->keep_looking || !run->decision.more_evidence_helps) {
    store_sights(run);
    run->gathered(run);
    return;
  }
  az_job_progress(run->job, run->rounds, 0, run->decision.reason);
  double since = (double) (monotonic(run) - run->round_start) / G_USEC_PER_SEC;
  double wait_s = MAX(run->decision.wait_seconds - since, 0.05);
  az_op_new(run->root, "next-round", (guint32) (wait_s * 1000), next_round, run); /* ends by its deadline */
}

void
az_failover_gather(AzFailover *run)
{
  run->round_start = monotonic(run);
  sight_of(run, "here");
  az_op_new(run->root, "early", EARLY_MS, on_early, run); /* ends by its deadline */
  run->pending++;
  for (guint i = 0; i < run->stored->vms->len; i++)
    ask_health(run, g_ptr_array_index(run->stored->vms, i));
  answered(run);
}
