/* The host table: what one brick sees of the engine. */
#include "host.h"

#include <errno.h>
#include <glib/gstdio.h>

#include "error.h"
#include "health.h"
#include "http.h"
#include "record.h"
#include "registry.h"

typedef struct {
  AzlinHost public; /* first, so that the brick's pointer is ours */
  AzEngine *engine;
  char *owner; /* "provider-local": names the brick in journal and state folder */
  char *group; /* "provider.local": names its options in azlin.conf */
  char *state_dir;
  GVariant *options; /* a{sv}: instead of the file's; NULL = none */
} Host;

static void
host_log(AzlinHost *host, GLogLevelFlags level, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  az_error_cut_steps(text); /* of an error that it ends in */
  /* a brick may report, never end the process */
  g_log(G_LOG_DOMAIN, level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG), "%s",
        text);
}

static GVariant *
host_option(AzlinHost *host, const char *name)
{
  Host *self = (Host *) host;
  GVariant *own = self->options != NULL ? g_variant_lookup_value(self->options, name, NULL) : NULL;
  return own != NULL ? own : az_config_get(az_engine_config(self->engine), self->group, name);
}

static const char *
host_state_dir(AzlinHost *host)
{
  Host *self = (Host *) host;
  if (self->state_dir == NULL)
    self->state_dir = az_paths_brick_dir(az_engine_paths(self->engine), self->owner);
  if (!az_paths_ensure(az_engine_paths(self->engine), NULL) || g_mkdir_with_parents(self->state_dir, 0700) != 0)
    g_warning("cannot make %s: %s", self->state_dir, g_strerror(errno));
  return self->state_dir;
}

static const char *
host_home_dir(AzlinHost *host)
{
  return az_paths_home(az_engine_paths(((Host *) host)->engine));
}

static gint64
host_now(AzlinHost *host)
{
  return az_clock_now(az_engine_clock(((Host *) host)->engine));
}

static gint64
host_monotonic(AzlinHost *host)
{
  return az_clock_monotonic(az_engine_clock(((Host *) host)->engine));
}

static gconstpointer
host_lookup(AzlinHost *host, AzlinKind kind, const char *name, gpointer *ret_self)
{
  g_autoptr(GError) error = NULL;
  gconstpointer iface = az_engine_lookup(((Host *) host)->engine, kind, name, ret_self, &error);
  if (iface == NULL)
    g_warning("%s", error->message);
  return iface;
}

static void
host_exec(AzlinHost *host, const AzlinExec *request, AzlinOp *op)
{
  az_engine_exec(((Host *) host)->engine, request, op);
}

static void
host_pipe(AzlinHost *host, const AzlinPipe *request, AzlinOp *op)
{
  az_engine_pipe(((Host *) host)->engine, request, op);
}

static void
host_sync_grant(AzlinHost *host, const AzlinSyncJob *job, const char *receiver, AzlinOp *op)
{
  az_engine_sync_grant(((Host *) host)->engine, job, receiver, op);
}

typedef struct {
  AzTimer *timer;
  AzlinOp *op;
} Sleep;

static void
sleep_over(gpointer data)
{
  g_autofree Sleep *state = data;
  az_op_finish(state->op);
}

static void
sleep_cut(gpointer data)
{
  g_autofree Sleep *state = data;
  az_timer_cancel(state->timer);
}

void
az_host_sleep(guint32 ms, AzlinOp *op)
{
  if (az_op_cancelled(op))
    return;
  Sleep *state = g_new0(Sleep, 1);
  state->op = op;
  state->timer = az_clock_after(az_op_clock(op), ms, sleep_over, state);
  az_op_on_cancel(op, sleep_cut, state);
}

static void
host_sleep(AzlinHost *host, guint32 ms, AzlinOp *op)
{
  az_host_sleep(ms, op);
}

static void
host_health(AzlinHost *host, const AzlinVm *vm, AzlinOp *op)
{
  az_health_check(((Host *) host)->engine, vm, op);
}

static gboolean
host_journal_intent(AzlinHost *host, AzlinOp *op, const char *what, GVariant *undo, guint64 *ret_id, GError **error)
{
  Host *self = (Host *) host;
  g_autoptr(GVariant) sunk = undo != NULL ? g_variant_ref_sink(undo) : NULL;
  AzJournal *journal = az_engine_journal(self->engine, error);
  return journal != NULL && az_journal_intent(journal, self->owner, what, sunk, ret_id, error);
}

static void
host_journal_done(AzlinHost *host, guint64 id)
{
  g_autoptr(GError) error = NULL;
  AzJournal *journal = az_engine_journal(((Host *) host)->engine, &error);
  if (journal == NULL || !az_journal_done(journal, id, &error))
    g_warning("the journal entry %" G_GUINT64_FORMAT " stays open: %s", id, error->message);
}

static gboolean
host_journal_update(AzlinHost *host, guint64 id, GVariant *facts, GError **error)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink(facts);
  AzJournal *journal = az_engine_journal(((Host *) host)->engine, error);
  return journal != NULL && az_journal_update(journal, id, sunk, error);
}

static void
host_http(AzlinHost *host, const AzlinHttp *request, AzlinOp *op)
{
  az_http_send(az_engine_http(((Host *) host)->engine), request, op);
}

static gboolean
host_op_urgent(AzlinOp *op)
{
  return az_op_priority(op) == AZ_PRIORITY_FAILOVER;
}

static const AzlinHostApi api = {
  .size = sizeof(AzlinHostApi),
  .log = host_log,
  .option = host_option,
  .state_dir = host_state_dir,
  .home_dir = host_home_dir,
  .now = host_now,
  .monotonic = host_monotonic,
  .lookup = host_lookup,
  .vm_dup = az_vm_dup,
  .vm_free = az_vm_free,
  .op_new = az_op_new,
  .op_cancelled = az_op_cancelled,
  .op_cancel = az_op_cancel,
  .op_on_cancel = az_op_on_cancel,
  .op_progress = az_op_progress,
  .op_region = az_op_region,
  .op_region_started = az_op_region_started,
  .op_finish = az_op_finish,
  .op_finish_vm = az_op_finish_vm,
  .op_finish_vms = az_op_finish_vms,
  .op_finish_variant = az_op_finish_variant,
  .op_fail = az_op_fail,
  .op_error = az_op_error,
  .op_vm = az_op_vm,
  .op_vms = az_op_vms,
  .op_variant = az_op_variant,
  .op_reply = az_op_reply,
  .exec = host_exec,
  .sleep = host_sleep,
  .health = host_health,
  .retry_delay_ms = az_error_retry_delay_ms,
  .journal_intent = host_journal_intent,
  .journal_done = host_journal_done,
  .op_finish_reply = az_op_finish_reply,
  .http = host_http,
  .op_http = az_op_http,
  .journal_update = host_journal_update,
  .op_new_detached = az_op_new_detached,
  .error_add_step = az_error_add_step,
  .op_urgent = host_op_urgent,
  .exec_write = az_op_write,
  .exec_close = az_op_close,
  .pipe = host_pipe,
  .sync_grant = host_sync_grant,
  .op_fence = az_op_fence,
};

const AzlinHostApi *
az_host_api(void)
{
  return &api;
}

AzlinHost *
az_host_new(AzEngine *engine, const AzlinBrick *brick)
{
  Host *self = g_new0(Host, 1);
  self->public.api = &api;
  self->engine = engine;
  self->owner = g_strdup_printf("%s-%s", az_kind_to_string(brick->kind), brick->name);
  self->group = g_strdup_printf("%s.%s", az_kind_to_string(brick->kind), brick->name);
  return &self->public;
}

void
az_host_set_options(AzlinHost *host, GVariant *options)
{
  Host *self = (Host *) host;
  g_clear_pointer(&self->options, g_variant_unref);
  self->options = g_variant_ref_sink(options);
}

void
az_host_free(AzlinHost *host)
{
  Host *self = (Host *) host;
  if (self == NULL)
    return;
  g_free(self->owner);
  g_free(self->group);
  g_free(self->state_dir);
  g_clear_pointer(&self->options, g_variant_unref);
  g_free(self);
}
