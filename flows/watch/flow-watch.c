/* watch: looks at all regions for ever, and switches by policy; its lock, its beat, its end. */
#include "flow-watch.h"
#include "error.h"
#include "flow-lease.h"
#include "flow-members.h"

#define LOCK_TTL_S 60
#define LOCK_AGAIN_MS 5000
#define MANY 1000                          /* regions */
#define MANY_READ_US (30 * G_USEC_PER_SEC) /* between two readings of so many */
#define BEAT_MS 10000      /* how often records and policy are read again: other processes change them */
#define LAST_WRITE_MS 5000 /* at the end nobody waits longer for the records */
#define MAX_FOR_S 4000000u /* in milliseconds it must fit into 32 bits */

static void
watch_free(gpointer data)
{
  AzWatch *watch = data;

  g_clear_pointer(&watch->lookout, az_lookout_free);
  g_clear_pointer(&watch->watched, az_stored_unref);
  g_clear_pointer(&watch->stored, az_stored_unref);
  g_clear_pointer(&watch->members, az_watch_members_free);
  g_clear_pointer(&watch->state, az_failover_state_free);
  g_clear_pointer(&watch->standing, g_hash_table_unref);
  g_hash_table_unref(watch->rows);
  az_failover_decision_clear(&watch->decision);
  az_vm_set(&watch->from, NULL);
  az_vm_set(&watch->to, NULL);
  g_free(watch->no_lock);
  g_free(watch);
}

/* ---- the end ---- */

static GVariant *
result_of(AzWatch *watch)
{
  GVariantBuilder result;

  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "duration_seconds",
                        g_variant_new_double(az_flow_seconds_since(watch->engine, watch->started)));
  g_variant_builder_add(&result, "{sv}", "primary", az_variant_str(watch->stored->primary));
  g_variant_builder_add(&result, "{sv}", "epoch", g_variant_new_uint64(watch->stored->epoch));
  if (watch->acts)
    g_variant_builder_add(&result, "{sv}", "switches", g_variant_new_uint32(watch->switches));
  g_variant_builder_add(&result, "{sv}", "regions", az_watch_row_list(watch));
  return g_variant_builder_end(&result);
}

static void
on_last_write(AzlinOp *op, gpointer data)
{
  AzWatch *watch = data;

  if (az_op_cancelled(watch->root))
    return;
  g_autoptr(GVariant) result = g_variant_ref_sink(result_of(watch));
  g_clear_pointer(&watch->lookout, az_lookout_free);
  az_job_finish(watch->job, 0, result);
}

void
az_watch_end_if_idle(AzWatch *watch)
{
  if (!watch->ending || watch->busy || az_op_cancelled(watch->root))
    return;
  AzlinOp *op = az_op_new(watch->root, "last-write", LAST_WRITE_MS, on_last_write, watch);
  az_watch_keep_status(watch, op);
}

void
az_watch_stop(AzJob *job)
{
  AzWatch *watch = az_job_data(job);

  if (watch == NULL || watch->stored == NULL) { /* nothing runs yet */
    az_op_cancel(az_job_root(job), "interrupted");
    return;
  }
  if (watch->ending)
    return;
  watch->ending = TRUE;
  if (watch->busy)
    az_job_message(job, "warn", NULL,
                   "Asked to end: the switch under way is finished first; once more leaves at once, and azlin recover "
                   "does the rest");
  az_watch_end_if_idle(watch);
}

static void
on_time_is_over(AzlinOp *op, gpointer data)
{
  AzWatch *watch = data;

  if (!az_op_cancelled(watch->root))
    az_watch_stop(watch->job);
}

/* ---- while it runs ---- */

/* Of many records a reading is a tenth of a second's work; a switch reads them anew in any case. */
static gboolean
is_to_read(AzWatch *watch)
{
  gint64 now = az_clock_monotonic(az_engine_clock(watch->engine));

  if (watch->stored->vms->len >= MANY && now - watch->read_at < MANY_READ_US)
    return FALSE;
  watch->read_at = now;
  return TRUE;
}

static void
on_beat(AzlinOp *op, gpointer data)
{
  AzWatch *watch = data;

  if (az_op_cancelled(watch->root) || watch->ending)
    return;
  if (is_to_read(watch))
    az_watch_read(watch);
  if (watch->acts)
    az_watch_read_policy(watch);
  az_watch_keep_status(watch, NULL);
  az_op_new(watch->root, "beat", BEAT_MS, on_beat, watch); /* ends by its deadline */
}

static void
on_seen(const char *region, gpointer data)
{
  AzWatch *watch = data;

  if (watch->ending && !watch->busy)
    return;
  az_watch_note_look(watch, region);
  az_watch_show(watch, region);
  if (watch->acts && g_str_equal(region, watch->stored->primary))
    az_watch_judge(watch);
}

void
az_watch_say_primary(AzWatch *watch)
{
  GVariantDict facts;
  const AzStored *stored = watch->stored;

  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert_value(&facts, "primary", az_variant_str(stored->primary));
  g_variant_dict_insert(&facts, "epoch", "t", stored->epoch);
  g_variant_dict_insert(&facts, "regions", "u", stored->vms->len);
  g_variant_dict_insert(&facts, "dry_run", "b", watch->dry_run);
  g_autofree char *line
      = g_strdup_printf("Primary: %s (epoch %" G_GUINT64_FORMAT ")%s", *stored->primary ? stored->primary : "none",
                        stored->epoch, watch->dry_run ? "; dry run: nothing is switched" : "");
  az_watch_stand(watch, "watching", "", "detail", line, g_variant_dict_end(&facts));
}

static void
say_begin(AzWatch *watch)
{
  guint n = watch->stored->vms->len;

  az_watch_say_primary(watch);
  az_job_message(watch->job, "step", NULL, "Watching %u region%s; the primary is %s (epoch %" G_GUINT64_FORMAT ")%s", n,
                 n == 1 ? "" : "s", *watch->stored->primary ? watch->stored->primary : "none", watch->stored->epoch,
                 watch->dry_run ? "; dry run: nothing is switched" : "");
}

static void
on_stored(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  AzWatch *watch = data;
  GError *error = NULL;

  watch->stored = stored;
  watch->lookout = az_lookout_new(watch->engine, root, on_seen, watch, &error);
  if (watch->lookout == NULL) {
    az_job_fail(job, error);
    return;
  }
  say_begin(watch);
  if (stored->vms->len == 0)
    az_job_message(job, "hint", NULL, "No region is set up yet; to create one: azlin new --region REGION");
  if (watch->members != NULL)
    az_watch_members_begin(watch);
  else
    az_watch_begin_looking(watch);
}

void
az_watch_begin_looking(AzWatch *watch)
{
  guint32 seconds = az_job_arg_uint(watch->job, "for", 0);

  az_watch_share(watch);
  az_watch_show_all(watch);
  if (watch->acts)
    az_watch_read_policy(watch);
  az_op_new(watch->root, "beat", BEAT_MS, on_beat, watch);
  if (seconds > 0)
    az_op_new(watch->root, "for", seconds * 1000, on_time_is_over, watch);
}

/* ---- the beginning ---- */

static void hold_lock(AzWatch *watch);

/* Nobody knows who else acts: it goes on looking, and people may act on what it sees. */
void
az_watch_set_no_lock(AzWatch *watch, char *why)
{
  gboolean was = watch->no_lock != NULL;

  g_free(watch->no_lock);
  watch->no_lock = why;
  g_autofree char *text = why != NULL ? g_strdup_printf("No switch by itself: %s; by hand: azlin failover --to REGION "
                                                        "--without-lock",
                                                        why)
                                      : NULL;
  gboolean news = az_watch_stand(watch, "no-lock", "", "warn", text, NULL);
  if (text != NULL && news)
    az_job_message(watch->job, "warn", NULL, "%s", text);
  if (text == NULL && was)
    az_job_message(watch->job, "ok", NULL, "The coordinator answers again: it switches by itself again");
}

static void
on_lock(AzJob *job, AzlinOp *hold, AzLease *lease, gpointer data)
{
  AzWatch *watch = data;

  az_watch_set_no_lock(watch, NULL);
  if (watch->stored == NULL)
    az_stored_read(job, watch->root, on_stored, watch);
}

static void
look_only(AzWatch *watch, const GError *why)
{
  az_watch_set_no_lock(watch, az_error_message(why));
  watch->refused = TRUE;
  az_op_finish(watch->hold);
  if (watch->stored == NULL)
    az_stored_look(watch->job, watch->root, on_stored, watch);
}

static void
on_refused(AzJob *job, GError *error, gboolean unreachable, gpointer data)
{
  g_autoptr(GError) why = error;

  if (unreachable) {
    look_only(data, why);
    return;
  }
  if (!g_error_matches(why, AZLIN_ERROR, AZLIN_ERROR_LOCKED)) {
    az_job_fail(job, g_steal_pointer(&why));
    return;
  }
  GError *said = g_error_new(AZLIN_ERROR, AZLIN_ERROR_LOCKED, "Another watch looks after this home: %s", why->message);
  az_error_add_step(said, "Look without acting: azlin regions health --watch");
  az_job_fail(job, said);
}

/* The lock is lost where a coordinator on the network was out of reach for too long: another may watch by now. */
static void
on_lock_again(AzlinOp *op, gpointer data)
{
  AzWatch *watch = data;

  if (!az_op_cancelled(watch->root) && !watch->ending)
    hold_lock(watch);
}

static void
on_lock_ended(AzlinOp *op, gpointer data)
{
  AzWatch *watch = data;

  if (az_op_cancelled(watch->root))
    return;
  if (watch->refused) {
    az_op_new(watch->root, "lock again", LOCK_AGAIN_MS, on_lock_again, watch); /* ends by its deadline */
    return;
  }
  az_job_message(watch->job, "warn", NULL, "The lock of the watch was lost; taking it again");
  hold_lock(watch);
}

static void
hold_lock(AzWatch *watch)
{
  watch->refused = FALSE;
  watch->hold = az_op_new(watch->root, "watch", 0, on_lock_ended, watch);
  az_lease_acquire_or(watch->job, watch->hold, "watch", LOCK_TTL_S, on_lock, on_refused, watch);
}

void
az_watch_run(AzJob *job, AzEngine *engine, AzlinOp *root, gboolean acts)
{
  AzWatch *watch = g_new0(AzWatch, 1);

  *watch = (AzWatch){ .job = job,
                      .engine = engine,
                      .root = root,
                      .acts = acts,
                      .dry_run = az_job_arg_bool(job, "dry-run"),
                      .started = az_clock_monotonic(az_engine_clock(engine)),
                      .rows = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, az_watch_row_free) };
  az_job_set_data(job, watch, watch_free);
  gboolean together = acts && az_members_known(engine);
  if (together && !watch->dry_run) /* a dry run takes no part of the work: nobody would do it */
    watch->members = az_watch_members_new(watch);
  if (acts && !together)
    hold_lock(watch);
  else
    az_stored_look(job, root, on_stored, watch);
}

gboolean
az_watch_check_time(GVariant *args, GError **error)
{
  guint32 seconds = 1;

  g_variant_lookup(args, "for", "u", &seconds);
  if (seconds >= 1 && seconds <= MAX_FOR_S)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "--for takes 1 to %u seconds, not %u", MAX_FOR_S, seconds);
  return FALSE;
}

static gboolean
watch_check(AzEngine *engine, GVariant *args, GError **error)
{
  AzDetectorRules rules;
  return az_watch_check_time(args, error) && az_lookout_rules(engine, &rules, error);
}

static void
watch_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_watch_run(job, engine, root, TRUE);
}

static const AzFlag flags[] = {
  { "dry-run", 0, "b", NULL, "judge and say what would be done, never switch" },
  { "for", 0, "u", "SECONDS", "end after so long (default: at Ctrl-C)" },
  { 0 },
};

const AzFlow az_flow_watch = {
  .kind = { .kind = "watch", .help = "Watch all regions, and move the primary when it is lost", .flags = flags },
  .check = watch_check,
  .run = watch_run,
  .stop = az_watch_stop,
};
