/* Signals of jobs go to the connections that follow them. The skeletons say them to this process alone, since they
 * stand on no bus in system mode. */
#include "service-tell.h"

#include "service-limit.h"
#include "service-property.h"
#include "wire.h"

#define JOB AZ_WIRE_NAME ".Job"

typedef struct {
  char *name;
  guint32 user;
} Follower;

typedef struct {
  ServiceTeller *teller;
  char *path;
  DbusJob *skeleton;
  GPtrArray *followers;
  GVariant *told; /* a{sv}: the properties as the followers know them */
  guint changed;  /* idle source that tells what is different */
} Told;

struct _ServiceTeller {
  GDBusConnection *bus;
  GHashTable *jobs;      /* path -> Told */
  GPtrArray *of_regions; /* of Follower */
};

static void
follower_free(gpointer data)
{
  Follower *follower = data;
  g_free(follower->name);
  g_free(follower);
}

static void
told_free(gpointer data)
{
  Told *told = data;
  g_clear_handle_id(&told->changed, g_source_remove);
  g_signal_handlers_disconnect_by_data(told->skeleton, told);
  g_object_unref(told->skeleton);
  g_ptr_array_unref(told->followers);
  g_variant_unref(told->told);
  g_free(told->path);
  g_free(told);
}

/* `arguments`: may be floating. */
static void
tell_all(ServiceTeller *teller, GPtrArray *followers, const char *path, const char *interface, const char *what,
         GVariant *arguments)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink(arguments);
  for (guint i = 0; i < followers->len; i++)
    g_dbus_connection_emit_signal(teller->bus, ((Follower *) g_ptr_array_index(followers, i))->name, path, interface,
                                  what, sunk, NULL);
}

static void
tell_one(Told *told, const char *name, const char *path, const char *interface, const char *what, GVariant *arguments)
{
  g_dbus_connection_emit_signal(told->teller->bus, name, path, interface, what, arguments, NULL);
}

static void
tell(Told *told, const char *path, const char *interface, const char *what, GVariant *arguments)
{
  tell_all(told->teller, told->followers, path, interface, what, arguments);
}

/* ---- properties ---- */

/* a{sv}, floating: those that are announced. */
static GVariant *
properties_of(Told *told)
{
  GDBusInterfaceSkeleton *skeleton = G_DBUS_INTERFACE_SKELETON(told->skeleton);
  const GDBusInterfaceVTable *vtable = g_dbus_interface_skeleton_get_vtable(skeleton);
  GDBusPropertyInfo **properties = g_dbus_interface_skeleton_get_info(skeleton)->properties;
  GVariantBuilder all;
  g_variant_builder_init(&all, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; properties[i] != NULL; i++) {
    const char *name = properties[i]->name;
    if (service_property_is_silent(properties[i]))
      continue;
    g_autoptr(GVariant) value = vtable->get_property(told->teller->bus, NULL, told->path, JOB, name, NULL, skeleton);
    if (value != NULL)
      g_variant_builder_add(&all, "{sv}", name, value);
  }
  return g_variant_builder_end(&all);
}

static void
tell_changes(Told *told)
{
  g_autoptr(GVariant) before = told->told;
  GVariantBuilder changes;
  GVariantIter iter;
  const char *name;
  GVariant *item;
  gboolean any = FALSE;
  told->told = g_variant_ref_sink(properties_of(told));
  g_variant_builder_init(&changes, G_VARIANT_TYPE_VARDICT);
  g_variant_iter_init(&iter, told->told);
  while (g_variant_iter_next(&iter, "{&sv}", &name, &item)) {
    g_autoptr(GVariant) now = item;
    g_autoptr(GVariant) then = g_variant_lookup_value(before, name, NULL);
    if (then != NULL && g_variant_equal(now, then))
      continue;
    g_variant_builder_add(&changes, "{sv}", name, now);
    any = TRUE;
  }
  g_autoptr(GVariant) changed = g_variant_ref_sink(g_variant_builder_end(&changes));
  if (any)
    tell(told, told->path, AZ_WIRE_PROPERTIES, "PropertiesChanged", g_variant_new("(s@a{sv}as)", JOB, changed, NULL));
}

static gboolean
on_idle(gpointer data)
{
  Told *told = data;
  told->changed = 0;
  tell_changes(told);
  return G_SOURCE_REMOVE;
}

static void
on_notify(GObject *skeleton, GParamSpec *property, gpointer data)
{
  Told *told = data;
  if (told->changed == 0 && told->followers->len > 0)
    told->changed = g_idle_add(on_idle, told);
}

/* ---- what it says ---- */

static void
on_said(DbusJob *job, guint64 number, guint64 now, const char *what, GVariant *facts, gpointer data)
{
  Told *told = data;
  tell(told, told->path, JOB, "Said", g_variant_new("(tts@a{sv})", number, now, what, facts));
}

static void
on_region_changed(DbusJob *job, const char *region, GVariant *facts, gpointer data)
{
  Told *told = data;
  tell(told, told->path, JOB, "RegionChanged", g_variant_new("(s@a{sv})", region, facts));
}

/* Its last word: what it holds stays to be read. */
static void
on_finished(DbusJob *job, int exit_code, GVariant *result, gpointer data)
{
  Told *told = data;
  g_clear_handle_id(&told->changed, g_source_remove);
  if (told->followers->len > 0)
    tell_changes(told);
  tell(told, told->path, JOB, "Finished", g_variant_new("(i@a{sv})", exit_code, result));
  g_ptr_array_set_size(told->followers, 0);
}

/* ---- jobs ---- */

void
service_teller_add_job(ServiceTeller *teller, const char *path, DbusJob *job)
{
  Told *told = g_new0(Told, 1);
  told->teller = teller;
  told->path = g_strdup(path);
  told->skeleton = g_object_ref(job);
  told->followers = g_ptr_array_new_with_free_func(follower_free);
  told->told = g_variant_ref_sink(properties_of(told));
  g_signal_connect(job, "notify", G_CALLBACK(on_notify), told);
  g_signal_connect(job, "said", G_CALLBACK(on_said), told);
  g_signal_connect(job, "region-changed", G_CALLBACK(on_region_changed), told);
  g_signal_connect(job, "finished", G_CALLBACK(on_finished), told);
  g_hash_table_insert(teller->jobs, told->path, told);
}

void
service_teller_remove_job(ServiceTeller *teller, const char *path)
{
  static const char *const interfaces[] = { JOB, NULL };
  Told *told = g_hash_table_lookup(teller->jobs, path);
  if (told != NULL)
    tell(told, AZ_WIRE_PATH, AZ_WIRE_OBJECTS, "InterfacesRemoved", g_variant_new("(o^as)", path, interfaces));
  g_hash_table_remove(teller->jobs, path);
}

/* ---- those who hear ---- */

static guint
count_in(GPtrArray *followers, guint32 user)
{
  guint n = 0;
  for (guint i = 0; i < followers->len; i++)
    n += ((Follower *) g_ptr_array_index(followers, i))->user == user;
  return n;
}

static guint
count_followed(ServiceTeller *teller, guint32 user)
{
  GHashTableIter iter;
  gpointer told;
  guint n = count_in(teller->of_regions, user);
  g_hash_table_iter_init(&iter, teller->jobs);
  while (g_hash_table_iter_next(&iter, NULL, &told))
    n += count_in(((const Told *) told)->followers, user);
  return n;
}

static gboolean
find_follower(GPtrArray *followers, const char *name, guint *ret_index)
{
  for (guint i = 0; i < followers->len; i++) {
    *ret_index = i;
    if (g_str_equal(((Follower *) g_ptr_array_index(followers, i))->name, name))
      return TRUE;
  }
  return FALSE;
}

static void
add_follower(GPtrArray *followers, const char *name, guint32 user)
{
  Follower *follower = g_new0(Follower, 1);
  *follower = (Follower){ .name = g_strdup(name), .user = user };
  g_ptr_array_add(followers, follower);
}

static void
remove_follower(GPtrArray *followers, const char *name)
{
  guint index = 0;
  if (find_follower(followers, name, &index))
    g_ptr_array_remove_index_fast(followers, index);
}

/* The first one comes to something new; whoever comes later asks for what he wants to know. */
static void
tell_added(Told *told, const char *name)
{
  GVariantBuilder interfaces;
  g_variant_builder_init(&interfaces, G_VARIANT_TYPE("a{sa{sv}}"));
  g_variant_builder_add(&interfaces, "{s@a{sv}}", JOB, told->told);
  tell_one(told, name, AZ_WIRE_PATH, AZ_WIRE_OBJECTS, "InterfacesAdded",
           g_variant_new("(oa{sa{sv}})", told->path, &interfaces));
}

gboolean
service_teller_follow(ServiceTeller *teller, const char *path, const char *name, guint32 user)
{
  Told *told = g_hash_table_lookup(teller->jobs, path);
  guint index = 0;
  if (told == NULL || find_follower(told->followers, name, &index))
    return TRUE;
  if (count_followed(teller, user) >= SERVICE_MAX_FOLLOWED)
    return FALSE;
  if (told->followers->len == 0) {
    g_variant_unref(told->told);
    told->told = g_variant_ref_sink(properties_of(told));
    tell_added(told, name);
  }
  add_follower(told->followers, name, user);
  return TRUE;
}

gboolean
service_teller_follow_regions(ServiceTeller *teller, const char *name, guint32 user)
{
  guint index = 0;
  if (find_follower(teller->of_regions, name, &index))
    return TRUE;
  if (count_followed(teller, user) >= SERVICE_MAX_FOLLOWED)
    return FALSE;
  add_follower(teller->of_regions, name, user);
  return TRUE;
}

void
service_teller_say(ServiceTeller *teller, const char *path, const char *interface, const char *what,
                   GVariant *arguments)
{
  tell_all(teller, teller->of_regions, path, interface, what, arguments);
}

void
service_teller_forget(ServiceTeller *teller, const char *name)
{
  GHashTableIter iter;
  gpointer told;
  remove_follower(teller->of_regions, name);
  g_hash_table_iter_init(&iter, teller->jobs);
  while (g_hash_table_iter_next(&iter, NULL, &told))
    remove_follower(((Told *) told)->followers, name);
}

/* ---- its life ---- */

ServiceTeller *
service_teller_new(GDBusConnection *bus)
{
  ServiceTeller *teller = g_new0(ServiceTeller, 1);
  teller->bus = g_object_ref(bus);
  teller->jobs = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, told_free);
  teller->of_regions = g_ptr_array_new_with_free_func(follower_free);
  return teller;
}

void
service_teller_free(ServiceTeller *teller)
{
  g_hash_table_unref(teller->jobs);
  g_ptr_array_unref(teller->of_regions);
  g_object_unref(teller->bus);
  g_free(teller);
}
