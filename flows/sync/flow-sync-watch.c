/* sync --watch: round after round, as soon as the source says that something changed, else by the clock; how far the
 * targets are behind is a number that failover reads. */
#include "error.h"
#include "flow-sync-live.h"

#define INTERVAL_S 5u
#define SETTLE_MS 30u     /* changes come in bursts; what comes later makes the next round */
#define RESTART_MS 60000u /* until a listener on the source that ended is begun again */
#define CALM_S 60u        /* with a listener, a look without its word */

typedef struct {
  AzJob *job;
  AzlinOp *root;
  AzEngine *engine;
  AzlinVm *source;
  GPtrArray *targets; /* of AzlinVm */
  AzSyncRound *round; /* at work, or the last one */
  gboolean busy, changed, ending, listening;
  AzSyncLive *live;     /* programs that stay on the machines; or NULL */
  gboolean deaf;        /* and their source cannot listen: the other way of listening is taken */
  gint64 began, looked; /* monotonic: the last round did, the last look at everything did */
  AzTimer *timer, *restart;
  guint rounds, short_rounds; /* of them looked at what changed alone */
  guint64 files, bytes;
  GHashTable *verified; /* region -> gint64*: beginning of its last verified round */
  char *trouble;        /* said already; or NULL */
} Watch;

static void begin_round(gpointer data);

static void
watch_free(gpointer data)
{
  Watch *watch = data;
  AzRemote *remote = az_engine_remote(watch->engine);
  az_sync_live_close(watch->live);
  az_remote_release(remote, watch->source);
  for (guint i = 0; i < watch->targets->len; i++)
    az_remote_release(remote, g_ptr_array_index(watch->targets, i));
  az_timer_cancel(watch->timer);
  az_timer_cancel(watch->restart);
  g_clear_pointer(&watch->round, az_sync_round_free);
  az_vm_free(watch->source);
  g_ptr_array_unref(watch->targets);
  g_hash_table_unref(watch->verified);
  g_free(watch->trouble);
  g_free(watch);
}

/* ---- how far behind ---- */

static double
lag_of(Watch *watch, const char *region)
{
  const gint64 *at = g_hash_table_lookup(watch->verified, region);
  gint64 now = az_clock_now(az_engine_clock(watch->engine));
  return at != NULL ? (double) (now - *at) / G_USEC_PER_SEC : -1;
}

static GVariant *
lags(Watch *watch, GString *line)
{
  GVariantBuilder regions;
  g_variant_builder_init(&regions, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < watch->targets->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(watch->targets, i);
    double lag = lag_of(watch, vm->region);
    g_autofree char *words = lag >= 0 ? az_flow_duration(lag) : g_strdup("never verified");
    g_variant_builder_open(&regions, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&regions, "{sv}", "region", g_variant_new_string(vm->region));
    g_variant_builder_add(&regions, "{sv}", "lag_seconds", g_variant_new_double(lag));
    g_variant_builder_close(&regions);
    g_string_append_printf(line, "%s%s: %s%s", i > 0 ? ", " : "", vm->region, words, lag >= 0 ? " behind" : "");
  }
  return g_variant_builder_end(&regions);
}

static void
tell_lag(Watch *watch)
{
  GVariantDict facts;
  g_autoptr(GString) line = g_string_new(NULL);
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert_value(&facts, "regions", lags(watch, line));
  g_variant_dict_insert(&facts, "rounds", "u", watch->rounds);
  g_variant_dict_insert(&facts, "short_rounds", "u", watch->short_rounds);
  g_variant_dict_insert(&facts, "line", "s", line->str);
  az_job_event(watch->job, "lag", g_variant_dict_end(&facts));
}

/* ---- the end ---- */

static void
finish(Watch *watch)
{
  GVariantDict result;
  g_autoptr(GString) line = g_string_new(NULL);
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert(&result, "rounds", "u", watch->rounds);
  g_variant_dict_insert(&result, "short_rounds", "u", watch->short_rounds);
  g_variant_dict_insert(&result, "files_synced", "t", watch->files);
  g_variant_dict_insert(&result, "bytes_transferred", "t", watch->bytes);
  g_variant_dict_insert_value(&result, "regions", lags(watch, line));
  az_job_finish(watch->job, 0, g_variant_dict_end(&result));
}

void
az_sync_watch_stop(AzJob *job)
{
  Watch *watch = az_job_arg_bool(job, "watch") ? az_job_data(job) : NULL;
  if (watch == NULL || watch->busy) { /* a copy under way is interrupted in good order */
    az_op_cancel(az_job_root(job), "interrupted");
    return;
  }
  if (!watch->ending)
    finish(watch);
  watch->ending = TRUE;
}

/* ---- rounds ---- */

static void
begin_in(Watch *watch, guint32 ms)
{
  az_timer_cancel(watch->timer);
  watch->timer = az_clock_after(az_engine_clock(watch->engine), ms, begin_round, watch);
}

static void
note_pair(Watch *watch, AzSyncPair *pair)
{
  gint64 began = az_sync_round_began(watch->round);
  watch->files += pair->files;
  watch->bytes += pair->bytes;
  if (!az_sync_pair_is_verified(pair))
    return;
  g_hash_table_replace(watch->verified, g_strdup(pair->target->region), g_memdup2(&began, sizeof began));
  az_sync_fresh_note(watch->engine, watch->source->region, pair->target->region, began);
}

/* The same trouble is said once, and once more when it is over. */
static void
say_trouble(Watch *watch, const char *text)
{
  if (g_strcmp0(watch->trouble, text) == 0)
    return;
  if (text != NULL)
    az_job_message(watch->job, "warn", NULL, "%s", text);
  else
    az_job_message(watch->job, "ok", NULL, "In step again");
  g_free(watch->trouble);
  watch->trouble = g_strdup(text);
}

/* What the source says of itself is not everything: the targets change, too. */
static gint64
until_next_look(Watch *watch)
{
  guint32 seconds = az_job_arg_uint(watch->job, "interval", INTERVAL_S);
  if (watch->listening && seconds < CALM_S)
    seconds = CALM_S;
  gint64 since = az_clock_monotonic(az_engine_clock(watch->engine)) - watch->looked;
  return MAX((gint64) seconds * G_USEC_PER_SEC - since, 0);
}

static void
next_round(Watch *watch)
{
  guint32 seconds = az_job_arg_uint(watch->job, "interval", INTERVAL_S);
  if (watch->listening && seconds < CALM_S)
    seconds = CALM_S;
  begin_in(watch, watch->changed ? SETTLE_MS : MIN(seconds * 1000, 1 + (guint32) (until_next_look(watch) / 1000)));
}

static void
on_round_over(AzSyncRound *round, GError *owned, gpointer data)
{
  Watch *watch = data;
  g_autoptr(GError) error = owned;
  guint64 files = 0;
  watch->busy = FALSE;
  watch->rounds++;
  if (az_sync_round_was_whole(round))
    watch->looked = watch->began;
  else
    watch->short_rounds++;
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_FENCED)) { /* another machine is primary now */
    az_job_fail(watch->job, g_steal_pointer(&error));
    return;
  }
  GPtrArray *pairs = az_sync_round_pairs(round);
  const char *trouble = error != NULL ? error->message : NULL;
  for (guint i = 0; error == NULL && i < pairs->len; i++) {
    AzSyncPair *pair = g_ptr_array_index(pairs, i);
    note_pair(watch, pair);
    files += pair->files + pair->deleted;
    if (pair->errors->len > 0)
      trouble = g_ptr_array_index(pair->errors, 0);
  }
  if (error == NULL && (files > 0 || watch->rounds == 1))
    az_sync_round_audit(round, az_sync_round_code(round));
  say_trouble(watch, trouble);
  tell_lag(watch);
  next_round(watch);
}

static void
begin_round(gpointer data)
{
  Watch *watch = data;
  watch->timer = NULL;
  if (watch->busy || watch->ending)
    return;
  g_clear_pointer(&watch->round, az_sync_round_free);
  AzSync *sync = az_sync_of(watch->job, az_job_args(watch->job), watch->source);
  gboolean changed = watch->changed;
  sync->expecting = changed || watch->rounds == 0;
  sync->live = watch->live;
  watch->busy = TRUE;
  watch->changed = FALSE;
  watch->round = az_sync_round_new(watch->job, watch->root, sync, watch->targets, TRUE);
  if (changed && until_next_look(watch) > 0)
    az_sync_round_set_short(watch->round);
  watch->began = az_clock_monotonic(az_engine_clock(watch->engine));
  az_sync_round_run(watch->round, on_round_over, watch);
}

/* ---- the source's own word ---- */

static void
note_change(Watch *watch)
{
  if (watch->changed)
    return;
  watch->changed = TRUE;
  if (!watch->busy && !watch->ending)
    begin_in(watch, SETTLE_MS);
}

static void
on_change(const char *line, gpointer data)
{
  gboolean begins = g_str_has_prefix(line, "Watches established"); /* nobody heard what changed before that */
  if (begins || g_str_equal(line, "x"))
    note_change(data);
}

static void listen(gpointer data);

static void
no_longer_listening(Watch *watch, gboolean for_good)
{
  watch->listening = FALSE;
  if (az_op_cancelled(watch->root) || watch->ending)
    return;
  if (!watch->busy)
    next_round(watch);
  if (!for_good)
    watch->restart = az_clock_after(az_engine_clock(watch->engine), RESTART_MS, listen, watch);
}

static void
on_deaf(AzlinOp *op, gpointer data)
{
  const AzlinReply *reply = az_op_error(op) == NULL ? az_op_reply(op) : NULL;
  no_longer_listening(data, reply != NULL && reply->status == 127);
}

static void
on_live_heard(gboolean begins, gpointer data)
{
  note_change(data);
}

/* Without Python there may be inotifywait. */
static void
on_live_deaf(gboolean for_good, gpointer data)
{
  Watch *watch = data;
  watch->deaf = watch->deaf || for_good;
  no_longer_listening(watch, for_good);
  if (for_good && !az_op_cancelled(watch->root) && !watch->ending)
    listen(watch);
}

/* FALSE: they cannot do it here. */
static gboolean
listen_live(Watch *watch, AzSync *sync)
{
  const AzSyncLiveNews news = { .heard = on_live_heard, .deaf = on_live_deaf, .data = watch };
  if (watch->deaf)
    return FALSE;
  if (watch->live != NULL)
    return az_sync_live_listen(watch->live);
  watch->live = az_sync_live_new(sync, watch->targets, &news);
  return watch->live != NULL;
}

static void
listen(gpointer data)
{
  Watch *watch = data;
  g_autoptr(AzSync) sync = az_sync_of(watch->job, az_job_args(watch->job), watch->source);
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  const char *fixed[] = { "sh", "-c", az_sync_listen_script, "sh" };
  watch->restart = NULL;
  watch->listening = TRUE;
  if (listen_live(watch, sync))
    return;
  watch->deaf = TRUE;
  for (guint i = 0; i < G_N_ELEMENTS(fixed); i++)
    g_ptr_array_add(argv, (gpointer) (guintptr) fixed[i]);
  for (guint i = 0; i < sync->paths->len; i++)
    g_ptr_array_add(argv, ((AzSyncPath *) g_ptr_array_index(sync->paths, i))->path);
  g_ptr_array_add(argv, NULL);
  AzlinExec request = { .size = sizeof request,
                        .vm = watch->source,
                        .argv = (const char *const *) argv->pdata,
                        .on_line = on_change,
                        .line_data = watch,
                        .interactive = TRUE }; /* it ends with its input */
  az_engine_exec(watch->engine, &request, az_op_new(watch->root, "listen", 0, on_deaf, watch));
}

void
az_sync_watch(AzJob *job, AzlinOp *root, const AzlinVm *source, GPtrArray *targets)
{
  Watch *watch = g_new0(Watch, 1);
  AzRemote *remote = az_engine_remote(az_job_engine(job));
  *watch = (Watch){ .job = job, .root = root, .engine = az_job_engine(job), .source = az_vm_dup(source) };
  watch->targets = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  watch->verified = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  az_job_set_data(job, watch, watch_free);
  az_remote_hold(remote, source);
  for (guint i = 0; i < targets->len; i++) {
    const AzlinVm *target = g_ptr_array_index(targets, i);
    g_ptr_array_add(watch->targets, az_vm_dup(target));
    az_remote_hold(remote, target);
  }
  az_job_message(job, "step", NULL, "Keeping %u region%s in step with %s...", targets->len,
                 targets->len == 1 ? "" : "s", source->region);
  begin_round(watch);
  listen(watch);
}
