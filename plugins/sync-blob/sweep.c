/* Looks for staging containers that nobody removed, and removes those that are too old to be in use. */
#include "blob.h"
#include <string.h>

#define MAX_AT_ONCE 50u
#define PAUSE_US G_TIME_SPAN_HOUR
#define MAY_TAKE_MS 60000

typedef struct {
  Blob *blob;
  AzlinOp *op;
  guint open;
} Sweep;

/* Exactly what blob_container_name() makes: whoever calls a container of his own azlin-sync-data keeps it. */
static gboolean
is_ours(const char *name)
{
  static const char shape[] = BLOB_PREFIX "########t######-xxxxxxxx-xxxx";
  if (strlen(name) != strlen(shape))
    return FALSE;
  for (gsize i = 0; shape[i] != '\0'; i++) {
    gboolean placeholder = i >= strlen(BLOB_PREFIX) && (shape[i] == '#' || shape[i] == 'x');
    gboolean fits = !placeholder      ? name[i] == shape[i]
                    : shape[i] == '#' ? g_ascii_isdigit(name[i])
                                      : g_ascii_isxdigit(name[i]);
    if (!fits)
      return FALSE;
  }
  return TRUE;
}

char **
blob_sweep_choose(GVariant *listed, gint64 now)
{
  g_autoptr(GStrvBuilder) chosen = g_strv_builder_new();
  GVariantIter iter;
  const char *name;
  gint64 created;
  guint n = 0;
  g_variant_iter_init(&iter, listed);
  while (n < MAX_AT_ONCE && g_variant_iter_next(&iter, "(&sx)", &name, &created)) {
    if (!is_ours(name) || now - created < BLOB_KEPT_HOURS * G_TIME_SPAN_HOUR)
      continue;
    g_strv_builder_add(chosen, name);
    n++;
  }
  return g_strv_builder_end(chosen);
}

static void
on_swept(AzlinOp *op, gpointer data)
{
  g_autofree Sweep *sweep = data;
  const GError *error = sweep->blob->api->op_error(op);
  sweep->blob->sweeping = FALSE;
  if (error != NULL)
    sweep->blob->api->log(sweep->blob->host, G_LOG_LEVEL_INFO, "old staging containers were not looked for: %s",
                          error->message);
}

static void
on_removed(AzlinOp *child, gpointer data)
{
  Sweep *sweep = data;
  const AzlinHostApi *api = sweep->blob->api;
  if (api->op_error(child) != NULL)
    api->log(sweep->blob->host, G_LOG_LEVEL_INFO, "an old staging container stays: %s", api->op_error(child)->message);
  if (--sweep->open == 0)
    api->op_finish(sweep->op);
}

static void
on_listed(AzlinOp *child, gpointer data)
{
  Sweep *sweep = data;
  const AzlinHostApi *api = sweep->blob->api;
  if (api->op_error(child) != NULL) {
    api->op_fail(sweep->op, g_error_copy(api->op_error(child)));
    return;
  }
  g_auto(GStrv) chosen = blob_sweep_choose(api->op_variant(child), api->now(sweep->blob->host));
  sweep->open = 1;
  for (guint i = 0; chosen[i] != NULL; i++) {
    sweep->open++;
    api->log(sweep->blob->host, G_LOG_LEVEL_INFO, "removing the old staging container %s", chosen[i]);
    blob_container_remove(sweep->blob, chosen[i], api->op_new(sweep->op, chosen[i], 0, on_removed, sweep));
  }
  if (--sweep->open == 0)
    api->op_finish(sweep->op);
}

void
blob_sweep(Blob *blob, AzlinOp *op)
{
  const AzlinHostApi *api = blob->api;
  gint64 now = api->monotonic(blob->host);
  if (blob->sweeping || (blob->swept > 0 && now - blob->swept < PAUSE_US))
    return;
  blob->sweeping = TRUE;
  blob->swept = now;
  Sweep *sweep = g_new0(Sweep, 1);
  sweep->blob = blob;
  sweep->op = api->op_new_detached(op, "look for old staging containers", MAY_TAKE_MS, on_swept, sweep);
  blob_container_list(blob, api->op_new(sweep->op, "list", 0, on_listed, sweep));
}
