/* The engine: configuration, clock, bricks and stores behind the five calls of its front ends. */
#include "engine.h"

#include <string.h>

#include "health.h"
#include "job.h"
#include "process.h"
#include "registry.h"

typedef struct {
  guint id;
  char *text;
} Inhibitor;

typedef struct { /* wants to know when the host sleeps */
  void (*func)(gboolean asleep, gpointer data);
  gpointer data;
} Sleeper;

struct _AzEngine {
  AzConfig *config;
  AzPaths *paths;
  AzClock *clock;
  gboolean choosing_clock;
  AzRemote *remote;
  AzHttp *http;
  AzJournal *journal;
  AzAudit *audit;
  AzRegistry *registry;
  GPtrArray *jobs;       /* of AzJob */
  GPtrArray *inhibitors; /* of Inhibitor, oldest first */
  guint last_inhibitor;
  AzSyncGranter sync_granter;
  GPtrArray *sleepers; /* of Sleeper */
  gboolean asleep;
  AzEngine *heir;
  gpointer left;
  GDestroyNotify free_left;
  guint64 probes[AZ_PROBE_N_OUTCOMES];
};

void
az_engine_set_sync_granter(AzEngine *engine, AzSyncGranter granter)
{
  engine->sync_granter = granter;
}

void
az_engine_sync_grant(AzEngine *engine, const AzlinSyncJob *job, const char *receiver, AzlinOp *op)
{
  if (engine->sync_granter != NULL)
    engine->sync_granter(job, receiver, op);
  else
    az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "no copy is at work that a key could be made for");
}

static void
inhibitor_free(gpointer data)
{
  Inhibitor *inhibitor = data;
  g_free(inhibitor->text);
  g_free(inhibitor);
}

guint
az_engine_inhibit(AzEngine *engine, const char *who, const char *why)
{
  Inhibitor *inhibitor = g_new0(Inhibitor, 1);
  inhibitor->id = ++engine->last_inhibitor;
  inhibitor->text = g_strdup_printf("%s: %s", who, why);
  g_ptr_array_add(engine->inhibitors, inhibitor);
  return inhibitor->id;
}

void
az_engine_allow(AzEngine *engine, guint id)
{
  for (guint i = 0; i < engine->inhibitors->len; i++)
    if (((Inhibitor *) g_ptr_array_index(engine->inhibitors, i))->id == id) {
      g_ptr_array_remove_index(engine->inhibitors, i);
      return;
    }
}

const char *
az_engine_inhibitor(AzEngine *engine)
{
  return engine->inhibitors->len > 0 ? ((Inhibitor *) g_ptr_array_index(engine->inhibitors, 0))->text : NULL;
}

void
az_engine_hear_sleep(AzEngine *engine, void (*func)(gboolean asleep, gpointer data), gpointer data)
{
  Sleeper *sleeper = g_new0(Sleeper, 1);
  *sleeper = (Sleeper){ func, data };
  g_ptr_array_add(engine->sleepers, sleeper);
}

void
az_engine_ignore_sleep(AzEngine *engine, gpointer data)
{
  for (guint i = engine->sleepers->len; i > 0; i--)
    if (((const Sleeper *) g_ptr_array_index(engine->sleepers, i - 1))->data == data)
      g_ptr_array_remove_index(engine->sleepers, i - 1);
}

guint64 *
az_engine_probes(AzEngine *engine)
{
  return engine->probes;
}

gboolean
az_engine_is_asleep(AzEngine *engine)
{
  return engine->asleep;
}

void
az_engine_set_asleep(AzEngine *engine, gboolean asleep)
{
  engine->asleep = asleep;
  for (guint i = engine->sleepers->len; i > 0; i--) {
    const Sleeper *sleeper = g_ptr_array_index(engine->sleepers, i - 1);
    sleeper->func(asleep, sleeper->data);
  }
}

void
az_engine_set_heir(AzEngine *before, AzEngine *engine)
{
  before->heir = engine;
}

AzEngine *
az_engine_heir(AzEngine *engine)
{
  return engine->heir;
}

void
az_engine_leave(AzEngine *engine, gpointer left, GDestroyNotify free_func)
{
  if (engine->left != NULL)
    engine->free_left(engine->left);
  engine->left = left;
  engine->free_left = free_func;
}

gpointer
az_engine_take_left(AzEngine *engine)
{
  return g_steal_pointer(&engine->left);
}

AzEngine *
az_engine_new(const char *config_path, const char *home, GError **error)
{
  g_autoptr(AzConfig) config = az_config_load(config_path, error);
  if (config == NULL)
    return NULL;
  AzEngine *engine = g_new0(AzEngine, 1);
  engine->config = g_steal_pointer(&config);
  engine->paths = az_paths_new(home);
  engine->registry = az_registry_new(engine);
  engine->jobs = g_ptr_array_new_with_free_func((GDestroyNotify) az_job_free);
  engine->inhibitors = g_ptr_array_new_with_free_func(inhibitor_free);
  engine->sleepers = g_ptr_array_new_with_free_func(g_free);
  return engine;
}

void
az_engine_free(AzEngine *engine)
{
  if (engine == NULL)
    return;
  g_ptr_array_unref(engine->jobs);
  az_engine_leave(engine, NULL, NULL);
  g_clear_pointer(&engine->http, az_http_free); /* cuts ops short whose bricks must still be there */
  az_registry_free(engine->registry);
  g_clear_pointer(&engine->remote, az_remote_free);
  g_clear_pointer(&engine->journal, az_journal_close);
  g_clear_pointer(&engine->audit, az_audit_close);
  az_clock_free(engine->clock);
  az_paths_free(engine->paths);
  az_config_free(engine->config);
  g_ptr_array_unref(engine->inhibitors);
  g_ptr_array_unref(engine->sleepers);
  g_free(engine);
}

AzConfig *
az_engine_config(AzEngine *engine)
{
  return engine->config;
}

AzPaths *
az_engine_paths(AzEngine *engine)
{
  return engine->paths;
}

AzRegistry *
az_engine_registry(AzEngine *engine)
{
  return engine->registry;
}

/* Virtual when the selected provider has no real time; that it cannot be loaded shows where it is first needed. */
static AzClock *
choose_clock(AzEngine *engine)
{
  const AzlinProvider *provider = az_registry_lookup(engine->registry, AZLIN_KIND_PROVIDER, NULL, NULL, NULL);
  return provider != NULL && provider->virtual_time ? az_clock_new_virtual(g_get_real_time()) : az_clock_new_real();
}

AzClock *
az_engine_clock(AzEngine *engine)
{
  if (engine->clock == NULL && !engine->choosing_clock) {
    engine->choosing_clock = TRUE;
    engine->clock = choose_clock(engine);
  }
  return engine->clock;
}

gint64
az_engine_now(AzEngine *engine)
{
  return az_clock_now(az_engine_clock(engine));
}

AzJournal *
az_engine_journal(AzEngine *engine, GError **error)
{
  if (engine->journal == NULL && az_paths_ensure(engine->paths, error)) {
    g_autofree char *path = az_paths_file(engine->paths, "journal.log");
    engine->journal = az_journal_open(path, error);
  }
  return engine->journal;
}

AzAudit *
az_engine_audit(AzEngine *engine, GError **error)
{
  if (engine->audit == NULL && az_paths_ensure(engine->paths, error)) {
    g_autofree char *path = az_paths_file(engine->paths, "audit.log");
    engine->audit = az_audit_open(path, error);
  }
  return engine->audit;
}

AzRemote *
az_engine_remote(AzEngine *engine)
{
  if (engine->remote == NULL) {
    g_autoptr(GError) error = NULL;
    AzAudit *audit = az_engine_audit(engine, &error);
    if (audit == NULL)
      g_warning("no audit log: %s", error->message);
    engine->remote = az_remote_new(az_engine_clock(engine), engine->config, engine->paths, audit);
  }
  return engine->remote;
}

AzHttp *
az_engine_http(AzEngine *engine)
{
  if (engine->http == NULL)
    engine->http = az_http_new(az_engine_clock(engine), engine->config);
  return engine->http;
}

gconstpointer
az_engine_lookup(AzEngine *engine, AzlinKind kind, const char *name, gpointer *ret_self, GError **error)
{
  return az_registry_lookup(engine->registry, kind, name, ret_self, error);
}

const AzlinProvider *
az_engine_provider_of(AzEngine *engine, const AzlinVm *vm, gpointer *ret_self, GError **error)
{
  gboolean named = vm->provider != NULL && *vm->provider != '\0';
  return az_registry_lookup(engine->registry, AZLIN_KIND_PROVIDER, named ? vm->provider : NULL, ret_self, error);
}

/* FALSE: the op has failed, since the machine is none that SSH reaches. */
static gboolean
is_over_ssh(AzEngine *engine, const AzlinVm *vm, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  gpointer self = NULL;
  const AzlinProvider *provider = az_engine_provider_of(engine, vm, &self, &error);
  if (provider == NULL)
    az_op_fail(op, g_steal_pointer(&error));
  else if (provider->vm_exec != NULL)
    az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "%s (%s) cannot be spoken to while a command runs", vm->vm_name,
                   vm->region);
  return provider != NULL && provider->vm_exec == NULL;
}

void
az_engine_exec_until(AzEngine *engine, const AzlinExec *request, const char *mark, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  gpointer self = NULL;
  if (request->vm == NULL) {
    az_process_run(request, op);
    return;
  }
  const AzlinProvider *provider = az_engine_provider_of(engine, request->vm, &self, &error);
  if (provider == NULL)
    az_op_fail(op, g_steal_pointer(&error));
  else if (provider->vm_exec != NULL && az_exec_is_interactive(request))
    is_over_ssh(engine, request->vm, op);
  else if (provider->vm_exec != NULL)
    provider->vm_exec(self, request->vm, request, az_op_expect(op, AZ_OP_REPLY));
  else
    az_remote_exec_until(az_engine_remote(engine), request, mark, op);
}

void
az_engine_exec(AzEngine *engine, const AzlinExec *request, AzlinOp *op)
{
  az_engine_exec_until(engine, request, NULL, op);
}

void
az_engine_pipe(AzEngine *engine, const AzlinPipe *request, AzlinOp *op)
{
  if (is_over_ssh(engine, request->from, op) && is_over_ssh(engine, request->to, op))
    az_remote_pipe(az_engine_remote(engine), request, az_op_expect(op, "a{sv}"));
}

static const AzFlow *
find_flow(const char *kind, GError **error)
{
  for (const AzFlow *const *flow = az_flows(); *flow != NULL; flow++) {
    if (g_str_equal((*flow)->kind.kind, kind))
      return *flow;
  }
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "there is no job of kind '%s'", kind);
  return NULL;
}

const AzJobKind *const *
az_engine_kinds(void)
{
  static const AzJobKind **kinds;
  if (kinds != NULL)
    return kinds;
  const AzFlow *const *flows = az_flows();
  guint n = 0;
  while (flows[n] != NULL)
    n++;
  kinds = g_new0(const AzJobKind *, n + 1);
  for (guint i = 0; i < n; i++)
    kinds[i] = &flows[i]->kind;
  return kinds;
}

const AzJobKind *
az_engine_kind(const char *name)
{
  for (const AzJobKind *const *kind = az_engine_kinds(); *kind != NULL; kind++)
    if (g_strcmp0((*kind)->kind, name) == 0)
      return *kind;
  return NULL;
}

AzJob *
az_engine_submit(AzEngine *engine, const char *kind, GVariant *args, const AzJobWatch *watch, GError **error)
{
  const AzFlow *flow = find_flow(kind, error);
  g_autoptr(GVariant) sunk = g_variant_ref_sink(args);
  if (flow == NULL || !az_config_check_groups(engine->config, error))
    return NULL;
  AzJob *job = az_job_new(engine, flow, sunk, watch, error);
  if (job != NULL)
    g_ptr_array_add(engine->jobs, job);
  return job;
}

void
az_engine_start(AzEngine *engine, AzJob *job)
{
  az_job_run(job);
}

gboolean
az_engine_answer(AzEngine *engine, AzJob *job, gboolean yes)
{
  return az_job_answer(job, yes);
}

void
az_engine_cancel(AzEngine *engine, AzJob *job)
{
  az_job_cancel(job);
}

void
az_engine_forget(AzEngine *engine, AzJob *job)
{
  g_ptr_array_remove_fast(engine->jobs, job);
}
