/* One staged copy from its beginning to its end: signatures, the container and its journal record, and who is left. */
#include "staging.h"
#include "option.h"
#include "landing.h"
#include <string.h>

#define MAY_TAKE_MS (20u * 3600 * 1000)
#define REMOVE_MS 60000
#define SIGNED_HOURS 4
#define RENEW_BEFORE_MS (30u * 60 * 1000)
#define MAX_WORDS 300

#define LOOK_MS 250u
#define SILENCE_S 1800

static void sign(BlobStaging *staging);
static void watch(BlobStaging *staging);

/* ---- memory ---- */

static void
wipe(char **secret)
{
  if (*secret != NULL)
    explicit_bzero(*secret, strlen(*secret));
  g_clear_pointer(secret, g_free);
}

BlobStaging *
blob_staging_ref(BlobStaging *staging)
{
  return g_rc_box_acquire(staging);
}

static void
staging_clear(gpointer data)
{
  BlobStaging *staging = data;
  g_ptr_array_unref(staging->targets);
  staging->api->vm_free(staging->source_vm);
  g_free(staging->source_folder);
  g_bytes_unref(staging->names);
  blob_ledger_free(staging->ledger);
  g_queue_clear_full(&staging->source.runs, g_free);
  g_hash_table_unref(staging->source.sending);
  g_ptr_array_unref(staging->source.warnings);
  g_free(staging->source.session.words);
  g_free(staging->container);
  wipe(&staging->source_sas);
  wipe(&staging->target_sas);
}

void
blob_staging_unref(BlobStaging *staging)
{
  g_rc_box_release_full(staging, staging_clear);
}

/* ---- sessions ---- */

void
blob_session_say(BlobSession *session, const char *format, ...)
{
  va_list arguments;
  if (session->exec == NULL)
    return;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_autofree char *line = g_strconcat(text, "\n", NULL);
  session->staging->api->exec_write(session->exec, line, strlen(line));
  explicit_bzero(line, strlen(line));
  explicit_bzero(text, strlen(text));
}

void
blob_session_run(BlobSession *session, guint id, const BlobRun *run)
{
  g_autofree char *spans = blob_ledger_spans(session->staging->ledger, run);
  blob_session_say(session, "run %u %u %u %u %s", id, run->big, run->first, run->tries, spans);
}

char *
blob_session_lanes(const BlobSession *session, guint connections)
{
  const BlobStaging *staging = session->staging;
  if (!staging->tuning.warm)
    return g_strdup("");
  return g_strdup_printf("lanes %u %s\n", connections, staging->blob->account.endpoint->url);
}

void
blob_session_cold(BlobSession *session)
{
  BlobStaging *staging = session->staging;
  if (!staging->tuning.warm)
    return;
  staging->api->log(staging->blob->host, G_LOG_LEVEL_INFO,
                    "%s: connections cannot be kept; each run takes one of its own", session->vm->region);
  staging->tuning.warm = FALSE;
  blob_tune_to_line(&staging->tuning, 0);
  blob_source_restart(staging, "its lanes are over");
  for (guint i = 0; i < staging->targets->len; i++) {
    BlobTarget *target = g_ptr_array_index(staging->targets, i);
    if (!target->landing)
      blob_target_restart(target);
  }
}

void
blob_session_words(BlobSession *session, const char *words)
{
  g_autofree char *cut = g_strndup(words, MAX_WORDS);
  char *query = strchr(cut, '?'); /* of an address: what stands behind it may be a signature */
  if (query != NULL)
    *query = '\0';
  if (strstr(cut, "sig=") != NULL)
    return;
  g_free(session->words);
  session->words = g_utf8_make_valid(cut, -1);
}

void
blob_session_refused(BlobSession *session, const char *status)
{
  guint64 number = g_ascii_strtoull(status, NULL, 10);
  g_autofree char *words = g_strdup_printf("the blob service answered with status %u", (guint) MIN(number, 999));
  if (number != 0) /* else nothing was answered, and why was said */
    blob_session_words(session, words);
}

void
blob_session_failed(BlobSession *session, const char *words)
{
  blob_session_words(session, words);
  session->failed = TRUE;
  if (session->exec != NULL)
    session->staging->api->op_cancel(session->exec, "its script failed");
}

GError *
blob_session_error(BlobSession *session, AzlinOp *exec)
{
  const AzlinHostApi *api = session->staging->api;
  if (session->failed) {
    session->failed = FALSE;
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC, "the copy's part on %s failed: %s", session->vm->region,
                       session->words != NULL ? session->words : "it did not say why");
  }
  if (api->op_error(exec) != NULL)
    return g_error_copy(api->op_error(exec));
  const AzlinReply *reply = api->op_reply(exec);
  gsize length = 0;
  const char *err = reply->err != NULL ? g_bytes_get_data(reply->err, &length) : NULL;
  g_autofree char *text = g_strndup(err != NULL ? err : "", MIN(length, MAX_WORDS));
  if (session->words == NULL && *g_strstrip(text) != '\0')
    blob_session_words(session, text);
  return g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC, "the copy's part on %s ended early (exit %d)%s%s",
                     session->vm->region, reply->status, session->words != NULL ? ": " : "",
                     session->words != NULL ? session->words : "");
}

/* ---- the end ---- */

void
blob_staging_close_record(BlobStaging *staging)
{
  if (staging->removed && staging->dropping == 0 && !staging->stage_left)
    staging->api->journal_done(staging->blob->host, staging->intent);
}

static void
on_removed(AzlinOp *op, gpointer data)
{
  BlobStaging *staging = data;
  const AzlinHostApi *api = staging->api;
  staging->removed = api->op_error(op) == NULL;
  blob_staging_close_record(staging);
  if (!staging->removed)
    api->log(staging->blob->host, G_LOG_LEVEL_WARNING,
             "the staging container %s still stands and is removed by azlin recover, or by a copy after %d hours: %s",
             staging->container, BLOB_KEPT_HOURS, api->op_error(op)->message);
  if (staging->op != NULL)
    api->op_finish(staging->op);
  blob_staging_unref(staging);
}

static void
on_over(AzlinOp *op, gpointer data)
{
  BlobStaging *staging = data;
  const AzlinHostApi *api = staging->api;
  staging->op = NULL;
  if (!staging->over && api->op_error(op) != NULL) /* it took too long */
    blob_staging_failed(staging, api->op_error(op));
  blob_staging_unref(staging);
}

void
blob_staging_check(BlobStaging *staging)
{
  const AzlinHostApi *api = staging->api;
  for (guint i = 0; i < staging->targets->len; i++)
    if (((BlobTarget *) g_ptr_array_index(staging->targets, i))->op != NULL)
      return;
  if (staging->over)
    return;
  staging->over = TRUE;
  AzlinOp *beside = staging->op != NULL ? staging->op : NULL;
  if (staging->source.session.exec != NULL)
    api->op_cancel(staging->source.session.exec, "the copy has ended");
  if (staging->container == NULL || beside == NULL) {
    if (staging->op != NULL)
      api->op_finish(staging->op);
    return;
  }
  blob_container_remove(
      staging->blob, staging->container,
      api->op_new(beside, "remove the staging container", REMOVE_MS, on_removed, blob_staging_ref(staging)));
}

void
blob_staging_failed(BlobStaging *staging, const GError *error)
{
  g_autoptr(GError) kept = g_error_copy(error);
  blob_staging_ref(staging);
  for (guint i = 0; i < staging->targets->len; i++)
    blob_target_end(g_ptr_array_index(staging->targets, i), kept);
  blob_staging_unref(staging);
}

void
blob_staging_pump(BlobStaging *staging)
{
  for (guint i = 0; i < staging->targets->len; i++)
    blob_target_pump(g_ptr_array_index(staging->targets, i));
}

/* ---- signatures ---- */

static void
on_time_to_renew(AzlinOp *op, gpointer data)
{
  BlobStaging *staging = data;
  if (staging->api->op_error(op) == NULL && !staging->over)
    sign(staging);
  blob_staging_unref(staging);
}

static void
hand_out(BlobStaging *staging)
{
  blob_source_greet(staging);
  for (guint i = 0; i < staging->targets->len; i++) {
    BlobTarget *target = g_ptr_array_index(staging->targets, i);
    target->greeted = FALSE;
    blob_target_pump(target);
  }
}

static void
on_signed(BlobSigner *signer, const GError *error, gpointer data)
{
  BlobStaging *staging = data;
  const AzlinHostApi *api = staging->api;
  if (staging->over) {
    blob_staging_unref(staging);
    return;
  }
  if (signer == NULL) {
    blob_staging_failed(staging, error);
    blob_staging_unref(staging);
    return;
  }
  wipe(&staging->source_sas);
  wipe(&staging->target_sas);
  staging->source_sas = blob_signer_sas(staging->blob, signer, staging->container, "w", staging->expiry);
  staging->target_sas = blob_signer_sas(staging->blob, signer, staging->container, "r", staging->expiry);
  api->sleep(staging->blob->host, SIGNED_HOURS * 3600 * 1000 - RENEW_BEFORE_MS,
             api->op_new(staging->op, "renew the signatures", 0, on_time_to_renew, blob_staging_ref(staging)));
  if (staging->stands)
    hand_out(staging);
  blob_staging_unref(staging);
}

static void
sign(BlobStaging *staging)
{
  Blob *blob = staging->blob;
  staging->expiry = staging->api->now(blob->host) + SIGNED_HOURS * G_TIME_SPAN_HOUR;
  blob_signer_get(blob, staging->op, staging->expiry, on_signed, blob_staging_ref(staging));
}

/* ---- silence, and connections that lag ---- */

/* What a slow line takes for what is under way does not count; nor does placing a large tree, which says nothing. */
static gint64
may_be_silent_s(const BlobStaging *staging)
{
  guint64 rate = staging->tuning.rate;
  for (guint i = 0; i < staging->targets->len; i++)
    if (((BlobTarget *) g_ptr_array_index(staging->targets, i))->landing)
      return G_MAXINT32;
  return SILENCE_S + (gint64) (rate > 0 ? 2 * staging->tuning.cut.chunk_bytes / rate : 0);
}

static void
hedge(BlobStaging *staging)
{
  blob_source_hedge(staging);
  for (guint i = 0; i < staging->targets->len; i++)
    blob_target_hedge(g_ptr_array_index(staging->targets, i));
}

static void
on_look(AzlinOp *op, gpointer data)
{
  BlobStaging *staging = data;
  const AzlinHostApi *api = staging->api;
  gint64 silent = (api->monotonic(staging->blob->host) - staging->heard) / G_USEC_PER_SEC;
  if (api->op_error(op) == NULL && !staging->over && silent > may_be_silent_s(staging)) {
    g_autoptr(GError) error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC, "nothing was heard of the copy for %d minutes",
                                          (int) (silent / 60));
    blob_staging_failed(staging, error);
  } else if (api->op_error(op) == NULL && !staging->over) {
    hedge(staging);
    watch(staging);
  }
  blob_staging_unref(staging);
}

static void
watch(BlobStaging *staging)
{
  staging->api->sleep(staging->blob->host, LOOK_MS,
                      staging->api->op_new(staging->op, "watch the copy", 0, on_look, blob_staging_ref(staging)));
}

/* ---- the beginning ---- */

static void
on_made(AzlinOp *op, gpointer data)
{
  BlobStaging *staging = data;
  const GError *error = staging->api->op_error(op);
  if (staging->over) {
    blob_staging_unref(staging);
    return;
  }
  if (error != NULL) {
    blob_staging_failed(staging, error);
  } else {
    staging->stands = TRUE;
    if (staging->source_sas != NULL)
      hand_out(staging);
  }
  blob_staging_unref(staging);
}

static gboolean
announce(BlobStaging *staging, GError **error)
{
  Blob *blob = staging->blob;
  g_autofree char *name = blob_container_name(staging->api->now(blob->host));
  GVariantBuilder stages;
  g_variant_builder_init(&stages, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < staging->targets->len; i++) {
    const BlobTarget *target = g_ptr_array_index(staging->targets, i);
    g_variant_builder_add_value(&stages,
                                blob_stage_facts(target->job.target, target->job.target_folder, target->job.run));
  }
  GVariant *undo = blob_undo_facts(blob, name, g_variant_builder_end(&stages));
  if (!staging->api->journal_intent(blob->host, staging->op, "container", undo, &staging->intent, error))
    return FALSE;
  staging->container = g_steal_pointer(&name);
  return TRUE;
}

static void
begin(BlobStaging *staging)
{
  g_autoptr(GError) error = NULL;
  if (!announce(staging, &error)) {
    blob_staging_failed(staging, error);
    return;
  }
  blob_container_make(
      staging->blob, staging->container,
      staging->api->op_new(staging->op, "make the staging container", 0, on_made, blob_staging_ref(staging)));
  sign(staging);
  staging->heard = staging->api->monotonic(staging->blob->host);
  watch(staging);
  blob_source_start(staging);
  for (guint i = 0; i < staging->targets->len && !staging->over; i++)
    blob_target_start(g_ptr_array_index(staging->targets, i));
  if (!staging->over)
    blob_sweep(staging->blob, staging->op);
}

/* What any of the targets lacks: the source is read once for all. */
static GBytes *
names_of_all(const AzlinSyncJob *const *jobs, gsize n)
{
  GByteArray *all = g_byte_array_new();
  for (gsize i = 0; i < n; i++) {
    gsize length = 0;
    const guint8 *names = jobs[i]->only != NULL ? g_bytes_get_data(jobs[i]->only, &length) : NULL;
    g_byte_array_append(all, names, (guint) length);
  }
  g_autoptr(GBytes) only = g_byte_array_free_to_bytes(all);
  return landing_with_parents(only, !jobs[0]->single_file);
}

static BlobStaging *
staging_new(Blob *blob, const AzlinSyncJob *const *jobs, gsize n)
{
  const AzlinSyncJob *job = jobs[0];
  BlobStaging *staging = g_rc_box_new0(BlobStaging);
  staging->blob = blob;
  staging->api = blob->api;
  staging->source_vm = blob->api->vm_dup(job->source);
  staging->source_folder = g_strdup(job->source_folder);
  staging->names = names_of_all(jobs, n);
  BlobWishes wishes = { option_uint(blob->host, "connections"), (guint64) option_uint(blob->host, "chunk") << 20 };
  for (gsize i = 0; i < n; i++)
    wishes.cold |= !blob_tune(jobs[i], &wishes).warm;
  staging->tuning = blob_tune(job, &wishes);
  staging->ledger = blob_ledger_new();
  staging->ledger->no_echo = staging->tuning.near;
  staging->targets = g_ptr_array_new_with_free_func(blob_target_free);
  staging->source.session = (BlobSession){ .staging = staging, .vm = staging->source_vm };
  staging->source.sending = g_hash_table_new_full(NULL, NULL, NULL, g_free);
  staging->source.warnings = g_ptr_array_new_with_free_func(g_free);
  staging->source.n_pieces = -1;
  g_queue_init(&staging->source.runs);
  return staging;
}

void
blob_transfer_all(gpointer self, const AzlinSyncJob *const *jobs, AzlinOp *const *ops, gsize n)
{
  Blob *blob = self;
  g_autofree char *reason = NULL;
  BlobSpeed speed = { 1, 1 };
  if (n == 0)
    return;
  if (jobs[0]->only == NULL || blob_predict(&speed, blob->account.endpoint, jobs[0], &reason) < 0) {
    for (gsize i = 0; i < n; i++)
      blob->api->op_fail(ops[i], g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED,
                                             "%s cannot be copied through blob storage: %s", jobs[i]->path,
                                             reason != NULL ? reason : "no list of what to copy"));
    return;
  }
  BlobStaging *staging = staging_new(blob, jobs, n);
  staging->op = blob->api->op_new_detached(ops[0], "staged copy", MAY_TAKE_MS, on_over, blob_staging_ref(staging));
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(staging->targets, blob_target_new(staging, jobs[i], ops[i]));
  begin(staging);
  blob_staging_unref(staging);
}
