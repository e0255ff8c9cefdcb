/* The ObjectManager of the service. GLib's own one keeps twelve kilobytes for each object and tells all of them in one
 * go, which for ten thousand regions stops the main loop for a second: here they are told in slices. */
#include "service-objects.h"

#include "wire.h"

#include <string.h>

#define SLICE 50 /* regions that are told in one turn of the main loop */

struct _ServiceObjects {
  const ServiceVoice *voice;
  GDBusConnection *connection;
  GHashTable *jobs;    /* path -> GDBusInterfaceSkeleton */
  GHashTable *regions; /* name -> ServiceRegion */
  GHashTable *nodes;   /* last part of a region's path -> ServiceRegion, borrowed */
  GPtrArray *tellings; /* of Telling, under way */
  guint manager, subtree;
};

static const char xml[] = "<node><interface name='" AZ_WIRE_OBJECTS "'>"
                          "<method name='GetManagedObjects'><arg type='a{oa{sa{sv}}}' name='objects' direction='out'/>"
                          "</method>"
                          "<signal name='InterfacesAdded'><arg type='o' name='object'/>"
                          "<arg type='a{sa{sv}}' name='interfaces'/></signal>"
                          "<signal name='InterfacesRemoved'><arg type='o' name='object'/>"
                          "<arg type='as' name='interfaces'/></signal></interface></node>";

GDBusInterfaceInfo *
service_objects_interface(void)
{
  static GDBusNodeInfo *node;
  if (node == NULL)
    node = g_dbus_node_info_new_for_xml(xml, NULL);
  return node->interfaces[0];
}

static const char *
node_of(const ServiceRegion *region)
{
  return region->path + strlen(SERVICE_REGIONS_PATH "/");
}

/* ---- all objects ---- */

typedef struct { /* an answer to GetManagedObjects that is being put together */
  ServiceObjects *objects;
  GDBusMethodInvocation *invocation;
  GVariantBuilder builder;
  GPtrArray *names; /* of regions, owned */
  guint next, source;
} Telling;

static void
telling_free(gpointer data)
{
  Telling *telling = data;
  g_clear_handle_id(&telling->source, g_source_remove);
  g_variant_builder_clear(&telling->builder);
  g_clear_object(&telling->invocation);
  g_ptr_array_unref(telling->names);
  g_free(telling);
}

static GVariant *
interfaces_of_job(GDBusInterfaceSkeleton *job)
{
  g_autoptr(GVariant) properties = g_dbus_interface_skeleton_get_properties(job);
  return g_variant_new_parsed("{%s: %@a{sv}}", AZ_WIRE_NAME ".Job", properties);
}

static void
tell_jobs(Telling *telling, gboolean (*shows)(const char *path, gpointer data), gpointer data)
{
  GHashTableIter iter;
  gpointer path, job;
  g_hash_table_iter_init(&iter, telling->objects->jobs);
  while (g_hash_table_iter_next(&iter, &path, &job))
    if (shows(path, data))
      g_variant_builder_add(&telling->builder, "{o@a{sa{sv}}}", path, interfaces_of_job(job));
}

static void
tell_region(Telling *telling, const char *name)
{
  const ServiceRegion *region = g_hash_table_lookup(telling->objects->regions, name);
  if (region == NULL) /* it went meanwhile, and was said to */
    return;
  g_autoptr(GVariant) interfaces = g_variant_ref_sink(service_region_interfaces(region));
  g_variant_get_data(interfaces); /* bytes take a tenth of the room of a tree */
  g_variant_builder_add(&telling->builder, "{o@a{sa{sv}}}", region->path, interfaces);
}

static gboolean
on_telling(gpointer data)
{
  Telling *telling = data;
  for (guint i = 0; i < SLICE && telling->next < telling->names->len; i++)
    tell_region(telling, g_ptr_array_index(telling->names, telling->next++));
  if (telling->next < telling->names->len)
    return G_SOURCE_CONTINUE;
  telling->source = 0;
  g_dbus_method_invocation_return_value(g_steal_pointer(&telling->invocation),
                                        g_variant_new("(a{oa{sa{sv}}})", &telling->builder));
  g_variant_builder_init(&telling->builder, G_VARIANT_TYPE("a{oa{sa{sv}}}"));
  g_ptr_array_remove_fast(telling->objects->tellings, telling);
  return G_SOURCE_REMOVE;
}

void
service_objects_tell(ServiceObjects *objects, GDBusMethodInvocation *invocation,
                     gboolean (*shows)(const char *path, gpointer data), gpointer data)
{
  Telling *telling = g_new0(Telling, 1);
  GHashTableIter iter;
  gpointer name;
  *telling = (Telling){ .objects = objects, .invocation = invocation };
  g_variant_builder_init(&telling->builder, G_VARIANT_TYPE("a{oa{sa{sv}}}"));
  telling->names = g_ptr_array_new_with_free_func(g_free);
  g_hash_table_iter_init(&iter, objects->regions);
  while (g_hash_table_iter_next(&iter, &name, NULL))
    g_ptr_array_add(telling->names, g_strdup(name));
  g_ptr_array_add(objects->tellings, telling);
  tell_jobs(telling, shows, data);
  telling->source = g_idle_add_full(G_PRIORITY_DEFAULT, on_telling, telling, NULL);
}

static gboolean
shows_all(const char *path, gpointer data)
{
  return TRUE;
}

static void
on_manager_call(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
                const char *method, GVariant *arguments, GDBusMethodInvocation *invocation, gpointer data)
{
  service_objects_tell(data, invocation, shows_all, NULL);
}

static void
say(ServiceObjects *objects, const char *signal, GVariant *arguments)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink(arguments);
  if (objects->voice->say != NULL)
    objects->voice->say(AZ_WIRE_PATH, AZ_WIRE_OBJECTS, signal, sunk, objects->voice->data);
}

static void
say_removed(ServiceObjects *objects, const char *path, const char *interface)
{
  const char *const interfaces[] = { interface, NULL };
  say(objects, "InterfacesRemoved", g_variant_new("(o^as)", path, interfaces));
}

/* ---- jobs ---- */

void
service_objects_add_job(ServiceObjects *objects, const char *path, GDBusInterfaceSkeleton *job)
{
  g_autoptr(GError) error = NULL;
  g_hash_table_replace(objects->jobs, g_strdup(path), g_object_ref(job));
  if (objects->connection == NULL)
    return;
  if (!g_dbus_interface_skeleton_export(job, objects->connection, path, &error))
    g_warning("%s is not shown on the bus: %s", path, error->message);
  say(objects, "InterfacesAdded", g_variant_new("(o@a{sa{sv}})", path, interfaces_of_job(job)));
}

static void
unexport(GDBusInterfaceSkeleton *job)
{
  if (g_dbus_interface_skeleton_get_connection(job) != NULL)
    g_dbus_interface_skeleton_unexport(job);
}

void
service_objects_remove_job(ServiceObjects *objects, const char *path)
{
  GDBusInterfaceSkeleton *job = g_hash_table_lookup(objects->jobs, path);
  if (job == NULL)
    return;
  unexport(job);
  if (objects->connection != NULL) /* else jobs are told of elsewhere */
    say_removed(objects, path, AZ_WIRE_NAME ".Job");
  g_hash_table_remove(objects->jobs, path);
}

/* ---- regions ---- */

void
service_objects_add_region(ServiceObjects *objects, ServiceRegion *region)
{
  g_hash_table_replace(objects->regions, g_strdup(region->name), region);
  g_hash_table_replace(objects->nodes, (gpointer) (guintptr) node_of(region), region);
  say(objects, "InterfacesAdded", g_variant_new("(o@a{sa{sv}})", region->path, service_region_interfaces(region)));
}

void
service_objects_remove_region(ServiceObjects *objects, const char *name)
{
  ServiceRegion *region = g_hash_table_lookup(objects->regions, name);
  if (region == NULL)
    return;
  say_removed(objects, region->path, AZ_WIRE_NAME ".Region");
  g_hash_table_remove(objects->nodes, node_of(region));
  g_hash_table_remove(objects->regions, name);
}

const ServiceRegion *
service_objects_region_at(ServiceObjects *objects, const char *path)
{
  return g_str_has_prefix(path, SERVICE_REGIONS_PATH "/")
             ? g_hash_table_lookup(objects->nodes, path + strlen(SERVICE_REGIONS_PATH "/"))
             : NULL;
}

GHashTable *
service_objects_regions(ServiceObjects *objects)
{
  return objects->regions;
}

static char **
on_enumerate(GDBusConnection *connection, const char *sender, const char *path, gpointer data)
{
  g_autofree gpointer *nodes = g_hash_table_get_keys_as_array(((ServiceObjects *) data)->nodes, NULL);
  return g_strdupv((char **) nodes);
}

static GDBusInterfaceInfo **
on_introspect(GDBusConnection *connection, const char *sender, const char *path, const char *node, gpointer data)
{
  GDBusInterfaceInfo **found = g_new0(GDBusInterfaceInfo *, 2);
  if (node != NULL && g_hash_table_contains(((ServiceObjects *) data)->nodes, node))
    found[0] = g_dbus_interface_info_ref(dbus_region_interface_info());
  return found;
}

static GVariant *
on_get(GDBusConnection *connection, const char *sender, const char *path, const char *interface, const char *property,
       GError **error, gpointer data)
{
  GVariant *value = service_region_get(data, property);
  if (value == NULL)
    g_set_error(error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_PROPERTY, "a region has no property %s", property);
  return value;
}

static const GDBusInterfaceVTable *
on_dispatch(GDBusConnection *connection, const char *sender, const char *path, const char *interface, const char *node,
            gpointer *ret_data, gpointer data)
{
  static const GDBusInterfaceVTable table = { .get_property = on_get };
  *ret_data = node != NULL ? g_hash_table_lookup(((ServiceObjects *) data)->nodes, node) : NULL;
  return *ret_data != NULL ? &table : NULL;
}

/* ---- its life ---- */

ServiceObjects *
service_objects_new(const ServiceVoice *voice)
{
  ServiceObjects *objects = g_new0(ServiceObjects, 1);
  objects->voice = voice;
  objects->jobs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_object_unref);
  objects->regions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, service_region_free);
  objects->nodes = g_hash_table_new(g_str_hash, g_str_equal);
  objects->tellings = g_ptr_array_new_with_free_func(telling_free);
  return objects;
}

gboolean
service_objects_export(ServiceObjects *objects, GDBusConnection *connection, GError **error)
{
  static const GDBusInterfaceVTable manager = { .method_call = on_manager_call };
  static const GDBusSubtreeVTable subtree
      = { .enumerate = on_enumerate, .introspect = on_introspect, .dispatch = on_dispatch };
  objects->manager = g_dbus_connection_register_object(connection, AZ_WIRE_PATH, service_objects_interface(), &manager,
                                                       objects, NULL, error);
  if (objects->manager == 0)
    return FALSE;
  /* else every call would enumerate all regions first */
  objects->subtree
      = g_dbus_connection_register_subtree(connection, SERVICE_REGIONS_PATH, &subtree,
                                           G_DBUS_SUBTREE_FLAGS_DISPATCH_TO_UNENUMERATED_NODES, objects, NULL, error);
  if (objects->subtree == 0)
    return FALSE;
  objects->connection = g_object_ref(connection);
  GHashTableIter iter;
  gpointer path, job;
  g_hash_table_iter_init(&iter, objects->jobs);
  while (g_hash_table_iter_next(&iter, &path, &job))
    if (!g_dbus_interface_skeleton_export(job, connection, path, error))
      return FALSE;
  return TRUE;
}

void
service_objects_free(ServiceObjects *objects)
{
  GHashTableIter iter;
  gpointer job;
  g_hash_table_iter_init(&iter, objects->jobs);
  while (g_hash_table_iter_next(&iter, NULL, &job))
    unexport(job);
  if (objects->subtree > 0)
    g_dbus_connection_unregister_subtree(objects->connection, objects->subtree);
  if (objects->manager > 0)
    g_dbus_connection_unregister_object(objects->connection, objects->manager);
  g_ptr_array_unref(objects->tellings);
  g_hash_table_unref(objects->nodes);
  g_hash_table_unref(objects->regions);
  g_hash_table_unref(objects->jobs);
  g_clear_object(&objects->connection);
  g_free(objects);
}
