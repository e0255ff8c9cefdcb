/* A job's interface on the bus, whose regions are put together when somebody asks. */
#include "service-job-object.h"

struct _ServiceJobObject {
  DbusJobSkeleton parent_instance;
  GHashTable *regions; /* name -> Row */
};

typedef struct {
  GVariant *facts; /* a{sv}, as bytes */
  gint64 said;     /* monotonic */
} Row;

static void
row_free(gpointer data)
{
  Row *row = data;
  g_variant_unref(row->facts);
  g_free(row);
}

G_DEFINE_FINAL_TYPE(ServiceJobObject, service_job_object, DBUS_TYPE_JOB_SKELETON)

enum { PROP_REGIONS = 1 };

static GVariant *
all_regions(const ServiceJobObject *object)
{
  GVariantBuilder regions;
  GHashTableIter iter;
  gpointer name, row;
  g_variant_builder_init(&regions, G_VARIANT_TYPE("a{sa{sv}}"));
  g_hash_table_iter_init(&iter, object->regions);
  while (g_hash_table_iter_next(&iter, &name, &row))
    g_variant_builder_add(&regions, "{s@a{sv}}", name, ((const Row *) row)->facts);
  return g_variant_builder_end(&regions);
}

static void
get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
  if (id == PROP_REGIONS)
    g_value_set_variant(value, all_regions(SERVICE_JOB_OBJECT(object)));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

/* The interface has it writable, for its own use: here region by region. */
static void
set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
  G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

static void
finalize(GObject *object)
{
  g_hash_table_unref(SERVICE_JOB_OBJECT(object)->regions);
  G_OBJECT_CLASS(service_job_object_parent_class)->finalize(object);
}

static void
service_job_object_class_init(ServiceJobObjectClass *class)
{
  G_OBJECT_CLASS(class)->get_property = get_property;
  G_OBJECT_CLASS(class)->set_property = set_property;
  G_OBJECT_CLASS(class)->finalize = finalize;
  g_object_class_override_property(G_OBJECT_CLASS(class), PROP_REGIONS, "regions");
}

static void
service_job_object_init(ServiceJobObject *object)
{
  object->regions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, row_free);
}

ServiceJobObject *
service_job_object_new(void)
{
  return g_object_new(SERVICE_TYPE_JOB_OBJECT, NULL);
}

/* Every answer changes these. */
static gboolean
is_quiet(const char *key)
{
  return g_str_equal(key, "last_answer") || g_str_equal(key, "latency_ms");
}

static gboolean
is_like(GVariant *facts, GVariant *before)
{
  GVariantIter iter;
  const char *key;
  GVariant *value;
  gboolean like = g_variant_n_children(facts) == g_variant_n_children(before);
  g_variant_iter_init(&iter, facts);
  while (like && g_variant_iter_next(&iter, "{&sv}", &key, &value)) {
    g_autoptr(GVariant) now = value;
    g_autoptr(GVariant) then = is_quiet(key) ? NULL : g_variant_lookup_value(before, key, NULL);
    like = is_quiet(key) || (then != NULL && g_variant_equal(now, then));
  }
  return like;
}

gboolean
service_job_object_set_region(ServiceJobObject *object, const char *region, GVariant *facts, gint64 now)
{
  Row *row = g_hash_table_lookup(object->regions, region);
  gboolean many = g_hash_table_size(object->regions) > SERVICE_JOB_MANY;
  gboolean say = row == NULL || !many || now - row->said >= SERVICE_JOB_REST_US || !is_like(facts, row->facts);
  g_variant_get_data(facts); /* bytes take a tenth of the room of a tree */
  if (row == NULL)
    g_hash_table_insert(object->regions, g_strdup(region), row = g_new0(Row, 1));
  g_clear_pointer(&row->facts, g_variant_unref);
  row->facts = g_variant_ref(facts);
  row->said = say ? now : row->said;
  return say;
}
