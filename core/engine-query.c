/* Questions to the engine: configuration, bricks, itself, and the audit log, which may be long. */
#include "engine-private.h"

#include "registry.h"

/* Loads what [bricks] selects, so that their options are declared and the whole configuration is checked. */
static gboolean
load_selected(AzEngine *engine, GError **error)
{
  for (AzlinKind kind = AZLIN_KIND_PROVIDER; kind <= AZLIN_KIND_COORDINATOR; kind++) {
    if (kind != AZLIN_KIND_SYNC && az_registry_lookup(az_engine_registry(engine), kind, NULL, NULL, error) == NULL)
      return FALSE;
  }
  g_auto(GStrv) strategies = az_config_strv(az_engine_config(engine), "bricks", "sync-strategies");
  for (guint i = 0; strategies != NULL && strategies[i] != NULL; i++) {
    if (!az_registry_load(az_engine_registry(engine), AZLIN_KIND_SYNC, strategies[i], error))
      return FALSE;
  }
  g_auto(GStrv) contexts = az_config_strv(az_engine_config(engine), "bricks", "context");
  for (guint i = 0; contexts != NULL && contexts[i] != NULL; i++) {
    if (!az_registry_load(az_engine_registry(engine), AZLIN_KIND_CONTEXT, contexts[i], error))
      return FALSE;
  }
  return az_config_check_groups(az_engine_config(engine), error);
}

static GVariant *
wrap(const char *key, GVariant *value)
{
  g_autoptr(GVariant) sunk = value == NULL ? NULL : g_variant_take_ref(value);
  GVariantBuilder builder;
  if (sunk == NULL)
    return NULL;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", key, sunk);
  return g_variant_ref_sink(g_variant_builder_end(&builder));
}

/* ---- the audit log: however long it is ---- */

typedef struct {
  char *path;
  gboolean verify;
  guint32 limit;
} Reading;

static void
reading_free(gpointer data)
{
  Reading *reading = data;
  g_free(reading->path);
  g_free(reading);
}

static Reading *
reading_new(AzEngine *engine, const char *what, GVariant *args, GError **error)
{
  if (!az_paths_ensure(az_engine_paths(engine), error))
    return NULL;
  Reading *reading = g_new0(Reading, 1);
  reading->path = az_paths_file(az_engine_paths(engine), "audit.log");
  reading->verify = g_str_equal(what, "audit-verify");
  if (args != NULL)
    g_variant_lookup(args, "limit", "u", &reading->limit);
  return reading;
}

/* With a log of its own: any thread may do it. */
static GVariant *
read_audit(const Reading *reading, GError **error)
{
  AzAudit *audit = az_audit_open(reading->path, error);
  if (audit == NULL)
    return NULL;
  GVariant *found
      = reading->verify ? az_audit_verify(audit, error) : wrap("events", az_audit_show(audit, reading->limit, error));
  az_audit_close(audit);
  return found == NULL ? NULL : g_variant_take_ref(found);
}

static GVariant *
query_audit(AzEngine *engine, const char *what, GVariant *args, GError **error)
{
  Reading *reading = reading_new(engine, what, args, error);
  GVariant *found = reading != NULL ? read_audit(reading, error) : NULL;
  g_clear_pointer(&reading, reading_free);
  return found;
}

/* ---- the others ---- */

static GVariant *
query_counts(AzEngine *engine)
{
  static const char *const names[AZ_PROBE_N_OUTCOMES] = { "nothing", "alive", "dark", "refused" };
  GVariantDict counts;
  g_variant_dict_init(&counts, NULL);
  for (guint i = 0; i < AZ_PROBE_N_OUTCOMES; i++)
    g_variant_dict_insert(&counts, names[i], "t", az_engine_probes(engine)[i]);
  return g_variant_ref_sink(g_variant_dict_end(&counts));
}

/* What tells one engine from another, for whoever reaches it through a service. */
static GVariant *
query_engine(AzEngine *engine)
{
  const char *config = az_config_source(az_engine_config(engine));
  GVariantDict facts;
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "version", "s", AZLIN_VERSION);
  g_variant_dict_insert(&facts, "home", "s", az_paths_home(az_engine_paths(engine)));
  g_variant_dict_insert(&facts, "config", "s", config != NULL ? config : "");
  g_variant_dict_insert(&facts, "now", "t", (guint64) az_engine_now(engine));
  g_variant_dict_insert(&facts, "metrics", "s", az_config_string(az_engine_config(engine), "metrics", "listen"));
  g_variant_dict_insert(&facts, "virtual", "b", az_clock_is_virtual(az_engine_clock(engine)));
  return g_variant_ref_sink(g_variant_dict_end(&facts));
}

GVariant *
az_engine_query(AzEngine *engine, const char *what, GVariant *args, GError **error)
{
  const char *name = NULL;
  if (args != NULL)
    g_variant_lookup(args, "name", "&s", &name);
  if (g_str_equal(what, "config"))
    return load_selected(engine, error) ? wrap("config", az_config_show(az_engine_config(engine))) : NULL;
  if (g_str_equal(what, "bricks"))
    return wrap("bricks", az_registry_show(az_engine_registry(engine), NULL, error));
  if (g_str_equal(what, "bricks-info"))
    return wrap("bricks", az_registry_show(az_engine_registry(engine), name != NULL ? name : "", error));
  if (g_str_equal(what, "jobs")) /* those of this process are nobody else's */
    return wrap("jobs", g_variant_new_array(G_VARIANT_TYPE_VARDICT, NULL, 0));
  if (g_str_equal(what, "engine"))
    return query_engine(engine);
  if (g_str_equal(what, "counts"))
    return query_counts(engine);
  if (g_str_has_prefix(what, "audit"))
    return query_audit(engine, what, args, error);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "there is no query '%s'", what);
  return NULL;
}

/* ---- without waiting ---- */

static void
in_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;
  GVariant *found = read_audit(data, &error);
  if (found != NULL)
    g_task_return_pointer(task, found, (GDestroyNotify) g_variant_unref);
  else
    g_task_return_error(task, error);
}

void
az_engine_query_async(AzEngine *engine, const char *what, GVariant *args, GAsyncReadyCallback done, gpointer data)
{
  g_autoptr(GTask) task = g_task_new(NULL, NULL, done, data);
  GError *error = NULL;
  if (g_str_has_prefix(what, "audit")) {
    Reading *reading = reading_new(engine, what, args, &error);
    if (reading == NULL) {
      g_task_return_error(task, error);
      return;
    }
    g_task_set_task_data(task, reading, reading_free);
    g_task_run_in_thread(task, in_thread);
    return;
  }
  GVariant *found = az_engine_query(engine, what, args, &error);
  if (found != NULL)
    g_task_return_pointer(task, found, (GDestroyNotify) g_variant_unref);
  else
    g_task_return_error(task, error);
}

GVariant *
az_engine_query_finish(GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer(G_TASK(result), error);
}
