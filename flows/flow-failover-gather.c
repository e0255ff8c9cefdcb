/* Gathers evidence for a failover: health of every region, then rounds of probes of the suspect from here and from the
 * machines of other regions, until decide() has what it needs. */
#include "error.h"
#include "flow-failover.h"
#include "health.h"

#define CHECK_MS 12000 /* one check: ten seconds, and a moment to say that they are over */
#define EARLY_MS 1000  /* a source silent for this long is suspect: the witnesses need not wait for its timeout */

typedef struct {
  AzFailover *run;
  const AzlinVm *vm; /* of run->stored */
  gint64 start;
  gboolean first; /* of the look at all regions that comes before any judgement */
} Probe;

static void judge(AzFailover *run);
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
  g_autofree char *why = error != NULL ? az_error_message(error) : NULL;
  AzlinHealth health = { .size = sizeof health,
                         .vm = vm,
                         .failure = AZLIN_FAILURE_UNKNOWN,
                         .response_time_ms = -1,
                         .detail = why != NULL ? why : "The check gave no result" };
  g_autoptr(GVariant) value = g_variant_ref_sink(az_health_to_variant(&health));
  return az_health_from_variant(value, vm);
}

static void
answered(AzFailover *run)
{
  run->pending--;
  ask_witnesses(run);
  if (run->first_look == 0)
    judge(run);
}

static void
on_health(AzlinOp *op, gpointer data)
{
  g_autofree Probe *probe = data;
  AzFailover *run = probe->run;

  if (az_op_cancelled(run->root))
    return;
  run->first_look -= probe->first;
  AzHealthCopy *copy = health_of_op(op, probe->vm);
  const AzlinHealth *health = az_health_copy_get(copy);
  if (probe->vm == run->source) {
    g_clear_pointer(&run->source_health, az_health_copy_free);
    run->source_health = copy;
    az_sight_note(sight_of(run, "here"), az_sight_of_health(health), probe->start, monotonic(run));
  } else {
    if (az_sight_of_health(health) == AZ_SIGHT_ALIVE)
      run->last_contact = monotonic(run);
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
  AzSightOutcome outcome = AZ_SIGHT_NOTHING;
  if (az_op_error(op) == NULL && az_op_variant(op) != NULL) {
    outcome = az_sight_of_evidence(az_op_variant(op));
    keep_answer(run, probe->vm->region, az_op_variant(op));
  }
  AzSight *sight = sight_of(run, probe->vm->region);
  az_sight_note(sight, outcome, probe->start, monotonic(run));
  if (outcome != AZ_SIGHT_NOTHING) {
    sight->seen.self_check_ok = TRUE; /* it answered us over SSH: its host and its network work */
    run->last_contact = monotonic(run);
  }
  answered(run);
}

/* ---- questions ---- */

static void
ask_health(AzFailover *run, const AzlinVm *vm, gboolean first)
{
  Probe *probe = probe_new(run, vm);

  probe->first = first;
  run->first_look += first;
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

static gboolean
is_suspect(AzFailover *run)
{
  return run->source_health != NULL ? !az_health_copy_get(run->source_health)->healthy : run->early;
}

static void
ask_witnesses(AzFailover *run)
{
  if (run->all_asked || !is_suspect(run))
    return;
  ask_new_witnesses(run, TRUE);
  if (run->first_look > 0)
    return;
  ask_new_witnesses(run, FALSE);
  run->all_asked = TRUE;
}

static void
on_early(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;

  if (az_op_cancelled(run->root))
    return;
  run->early = TRUE;
  ask_witnesses(run);
}

/* ---- rounds ---- */

static void on_tick(AzlinOp *op, gpointer data);

static void
tick_later(AzFailover *run, double seconds)
{
  run->ticking = TRUE;
  run->next_tick = monotonic(run) + (gint64) (seconds * G_USEC_PER_SEC);
  az_op_new(run->root, "next-round", (guint32) (seconds * 1000) + 1, on_tick, run); /* ends by its deadline */
}

/* Probes start on the beat, answered or not: waiting for each timeout would stretch seven probes beyond a minute. */
static void
on_tick(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;

  if (az_op_cancelled(run->root) || monotonic(run) < run->next_tick)
    return; /* the beat was moved forward meanwhile, and has struck */
  run->ticking = FALSE;
  if (run->closing || !is_suspect(run))
    return;
  run->rounds++;
  ask_health(run, run->source, FALSE);
  for (guint i = 1; i < run->sights->len; i++)
    ask_witness(run, az_stored_find(run->stored, g_array_index(run->sights, AzSight, i).seen.vantage));
  tick_later(run, run->decision.wait_seconds > 0 ? run->decision.wait_seconds : az_failover_interval(run));
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

/* In the round that ends: a machine that was reached speaks for our own network, but not for long. */
static gboolean
reached_others(AzFailover *run)
{
  double seconds = (double) (monotonic(run) - run->last_contact) / G_USEC_PER_SEC;

  return run->last_contact > 0 && seconds <= az_failover_interval(run) + CHECK_MS / 1000.0;
}

/* A vantage that has been asked and has not said anything yet: to judge without it would be to judge too early. */
static gboolean
is_somebody_unheard(AzFailover *run)
{
  for (guint i = 0; i < run->sights->len; i++) {
    const AzSight *sight = &g_array_index(run->sights, AzSight, i);
    if (!sight->seen.fresh_success && sight->seen.dark_probes == 0 && sight->missed == 0)
      return TRUE;
  }
  return FALSE;
}

/* Each answer is judged at once; a verdict waits for the probes that are still out, since one of them may see life. */
static void
judge(AzFailover *run)
{
  GError *error = NULL;

  if (is_somebody_unheard(run))
    return;
  sight_of(run, "here")->seen.self_check_ok = reached_others(run);
  if (!az_failover_decide(run, &error)) {
    az_job_fail(run->job, error);
    return;
  }
  run->closing = !run->keep_looking || !run->decision.more_evidence_helps;
  gint64 wanted = monotonic(run) + (gint64) (run->decision.wait_seconds * G_USEC_PER_SEC);
  if (!run->closing && (!run->ticking || (run->pending == 0 && wanted < run->next_tick)))
    tick_later(run, run->decision.wait_seconds);
  if (!run->closing)
    az_job_progress(run->job, run->rounds, 0, run->decision.reason);
  if (!run->closing || run->pending > 0)
    return;
  store_sights(run);
  run->gathered(run);
}

void
az_failover_gather(AzFailover *run)
{
  run->rounds = 1;
  sight_of(run, "here");
  az_op_new(run->root, "early", EARLY_MS, on_early, run); /* ends by its deadline */
  for (guint i = 0; i < run->stored->vms->len; i++)
    ask_health(run, g_ptr_array_index(run->stored->vms, i), TRUE);
  if (run->keep_looking)
    tick_later(run, az_failover_interval(run));
}
