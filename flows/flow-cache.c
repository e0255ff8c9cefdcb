/* The copy that this home keeps of records which many hosts share. */
#include "flow-cache.h"
#include "error.h"
#include "flow-failover-share.h"

const AzlinContext *
az_cache_place(AzEngine *engine, gpointer *ret_self)
{
  g_auto(GStrv) names = az_config_strv(az_engine_config(engine), "bricks", "context");
  for (guint i = 1; names[0] && names[i]; i++) {
    const AzlinContext *context = az_engine_lookup(engine, AZLIN_KIND_CONTEXT, names[i], ret_self, NULL);
    if (context && context->mirror)
      return context;
  }
  return NULL;
}

/* Neither may be overwritten by the other without a word: people decide which holds. */
static GError *
not_a_copy(const GError *error, gboolean shared_is_empty)
{
  GError *told = g_error_new(AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                             shared_is_empty ? "Nothing is shared yet, and the records of this home were not: %s"
                                             : "The records of this home are not those that are shared: %s",
                             error->message);
  if (shared_is_empty)
    az_error_add_step(told, "Share those of this home: azlin regions refresh --share");
  else
    az_error_add_step(told, "Take the shared ones: move that file and its copies (config.json.*) away");
  az_error_add_step(told, "Or keep them for this home alone: context=file in [bricks] of azlin.conf");
  return told;
}

typedef struct {
  AzEngine *engine;
  AzlinOp *op;
  gboolean shared_is_empty;
} Update;

static void
on_shared(AzlinOp *op, gpointer data)
{
  g_autofree Update *update = data;
  const GError *error = az_op_error(op);
  if (error && !g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED))
    az_op_warn(update->op, "Pause and cool-down may be others by now: %s", error->message);
  az_op_finish(update->op);
}

static void
on_mirrored(AzlinOp *op, gpointer data)
{
  Update *update = data;
  const GError *error = az_op_error(op);
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_EXISTS)
      || g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_FENCED)) {
    az_op_fail(update->op, not_a_copy(error, update->shared_is_empty));
    g_free(update);
    return;
  }
  if (error && !g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED))
    az_op_warn(update->op, "The copy of the shared records could not be brought up to date: %s", error->message);
  az_failover_share(update->engine,
                    az_op_new(update->op, "what others hold back", AZ_FAILOVER_SHARE_MS, on_shared, update));
}

void
az_cache_update(AzEngine *engine, const AzStored *stored, GVariant *info, AzlinOp *op)
{
  gpointer self = NULL;
  const char *source = NULL;
  const AzlinContext *cache = az_cache_place(engine, &self);
  if (!cache || !g_variant_lookup(info, "source", "&s", &source)) {
    az_op_finish(op);
    return;
  }
  Update *update = g_new(Update, 1);
  *update = (Update){ engine, op, stored->vms->len == 0 && stored->epoch == 0 };
  cache->mirror(self, (const AzlinVm *const *) stored->vms->pdata, stored->vms->len, info,
                az_op_new(op, "copy the shared records", AZ_CONTEXT_MS, on_mirrored, update));
}
