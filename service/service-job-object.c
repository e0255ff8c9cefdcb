/* A job's interface on the bus, whose regions are put together when somebody asks. */
#include "service-job-object.h"

struct _ServiceJobObject {
  DbusJobSkeleton parent_instance;
  GHashTable *regions; /* name -> GVariant a{sv} */
};

G_DEFINE_FINAL_TYPE(ServiceJobObject, service_job_object, DBUS_TYPE_JOB_SKELETON)

enum { PROP_REGIONS = 1 };

static GVariant *
all_regions(const ServiceJobObject *object)
{
  GVariantBuilder regions;
  GHashTableIter iter;
  gpointer name, facts;
  g_variant_builder_init(&regions, G_VARIANT_TYPE("a{sa{sv}}"));
  g_hash_table_iter_init(&iter, object->regions);
  while (g_hash_table_iter_next(&iter, &name, &facts))
    g_variant_builder_add(&regions, "{s@a{sv}}", name, facts);
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
  object->regions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_variant_unref);
}

ServiceJobObject *
service_job_object_new(void)
{
  return g_object_new(SERVICE_TYPE_JOB_OBJECT, NULL);
}

void
service_job_object_set_region(ServiceJobObject *object, const char *region, GVariant *facts)
{
  g_hash_table_replace(object->regions, g_strdup(region), g_variant_ref(facts));
}
