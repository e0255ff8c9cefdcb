/* Engines of the service: each reading of the configuration is one. The newest serves whatever comes; one before it
 * lives on until the last of its jobs is over. */
#include "service-private.h"

typedef struct {
  AzEngine *engine;
  GHashTable *inhibited; /* key of an inhibition -> its id in this engine */
  guint users;
  gboolean owned;
  guint freeing; /* source */
  Service *service;
} Generation;

static void
generation_free(gpointer data)
{
  Generation *generation = data;
  g_clear_handle_id(&generation->freeing, g_source_remove);
  g_hash_table_unref(generation->inhibited);
  if (generation->owned)
    az_engine_free(generation->engine);
  g_free(generation);
}

static Generation *
generation_at(const Service *service, guint i)
{
  return g_ptr_array_index(service->engines, i);
}

static Generation *
generation_of(const Service *service, const AzEngine *engine)
{
  for (guint i = 0; i < service->engines->len; i++)
    if (generation_at(service, i)->engine == engine)
      return generation_at(service, i);
  return NULL;
}

static Generation *
add(Service *service, AzEngine *engine, gboolean owned)
{
  Generation *generation = g_new0(Generation, 1);
  *generation = (Generation){ .service = service, .engine = engine, .owned = owned };
  generation->inhibited = g_hash_table_new(g_direct_hash, g_direct_equal);
  g_ptr_array_add(service->engines, generation);
  service->engine = engine;
  return generation;
}

void
service_engines_begin(Service *service, AzEngine *engine)
{
  service->engines = g_ptr_array_new_with_free_func(generation_free);
  service->past_counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  add(service, engine, FALSE);
}

AzEngine *
service_engine_hold(Service *service)
{
  generation_of(service, service->engine)->users++;
  return service->engine;
}

static void
keep_counts(Service *service, AzEngine *engine)
{
  g_autoptr(GVariant) counts = az_engine_query(engine, "counts", NULL, NULL);
  GVariantIter iter;
  const char *name;
  guint64 count = 0;
  g_variant_iter_init(&iter, counts);
  while (g_variant_iter_loop(&iter, "{&sv}", &name, NULL)) {
    const guint64 *past = g_hash_table_lookup(service->past_counts, name);
    g_variant_lookup(counts, name, "t", &count);
    count += past != NULL ? *past : 0;
    g_hash_table_replace(service->past_counts, g_strdup(name), g_memdup2(&count, sizeof count));
  }
}

static gboolean
on_unused(gpointer data)
{
  Generation *generation = data;
  generation->freeing = 0;
  if (generation->users > 0)
    return G_SOURCE_REMOVE;
  keep_counts(generation->service, generation->engine);
  g_ptr_array_remove(generation->service->engines, generation);
  return G_SOURCE_REMOVE;
}

/* Not at once: the call may come from within the engine. */
static void
retire_if_unused(Generation *generation)
{
  if (generation->users == 0 && generation->engine != generation->service->engine && generation->freeing == 0)
    generation->freeing = g_idle_add(on_unused, generation);
}

void
service_engine_release(Service *service, AzEngine *engine)
{
  Generation *generation = generation_of(service, engine);
  generation->users--;
  retire_if_unused(generation);
}

guint64
service_engines_count(const Service *service, const char *name)
{
  const guint64 *past = g_hash_table_lookup(service->past_counts, name);
  guint64 sum = past != NULL ? *past : 0;
  for (guint i = 0; i < service->engines->len; i++) {
    g_autoptr(GVariant) counts = az_engine_query(generation_at(service, i)->engine, "counts", NULL, NULL);
    guint64 count = 0;
    g_variant_lookup(counts, name, "t", &count);
    sum += count;
  }
  return sum;
}

void
service_engines_set_asleep(Service *service, gboolean asleep)
{
  for (guint i = 0; i < service->engines->len; i++)
    az_engine_set_asleep(generation_at(service, i)->engine, asleep);
}

void
service_engines_inhibit(Service *service, gconstpointer key, const char *who, const char *why)
{
  for (guint i = 0; i < service->engines->len; i++) {
    Generation *generation = generation_at(service, i);
    if (g_hash_table_contains(generation->inhibited, key))
      continue;
    guint id = az_engine_inhibit(generation->engine, who, why);
    g_hash_table_insert(generation->inhibited, (gpointer) (guintptr) key, GUINT_TO_POINTER(id));
  }
}

void
service_engines_allow(Service *service, gconstpointer key)
{
  for (guint i = 0; i < service->engines->len; i++) {
    Generation *generation = generation_at(service, i);
    az_engine_allow(generation->engine, GPOINTER_TO_UINT(g_hash_table_lookup(generation->inhibited, key)));
    g_hash_table_remove(generation->inhibited, key);
  }
}

static void
set_heir(Service *service, AzEngine *heir)
{
  for (guint i = 0; i < service->engines->len; i++)
    az_engine_set_heir(generation_at(service, i)->engine, generation_at(service, i)->engine != heir ? heir : NULL);
}

void
service_engines_end(Service *service)
{
  set_heir(service, NULL);
  g_ptr_array_unref(g_steal_pointer(&service->engines));
  g_hash_table_unref(service->past_counts);
}

/* A configuration counts as good when every brick that it selects takes it, and every watch can go on by it. */
gboolean
service_engines_reload(Service *service, const char *config, const char *home, GError **error)
{
  g_autoptr(AzEngine) engine = az_engine_new(config, home, error);
  g_autoptr(GVariant) whole = engine != NULL ? az_engine_query(engine, "config", NULL, error) : NULL;
  if (whole == NULL)
    return FALSE;
  Generation *before = generation_of(service, service->engine);
  Generation *after = add(service, g_steal_pointer(&engine), TRUE);
  for (guint i = 0; i < service->inhibitions->len; i++)
    service_inhibition_apply(g_ptr_array_index(service->inhibitions, i));
  if (!service_jobs_make_ready(service, error)) {
    service->engine = before->engine;
    retire_if_unused(after);
    return FALSE;
  }
  set_heir(service, after->engine);
  retire_if_unused(before);
  service_jobs_go_over(service);
  return TRUE;
}
