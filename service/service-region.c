/* One region on the bus: its properties, and what is said of their change. */
#include "service-region.h"

#include "azlin-dbus.h"
#include "service-property.h"
#include "wire.h"

#define INTERFACE AZ_WIRE_NAME ".Region"

/* As the XML has them: name and type. */
static const struct {
  const char *name, *type;
  gsize offset;
} properties[REGION_N_PROPERTIES] = {
  [REGION_NAME] = { "Name", "s", G_STRUCT_OFFSET(ServiceRegion, name) },
  [REGION_VM_NAME] = { "VmName", "s", G_STRUCT_OFFSET(ServiceRegion, vm_name) },
  [REGION_PUBLIC_IP] = { "PublicIp", "s", G_STRUCT_OFFSET(ServiceRegion, public_ip) },
  [REGION_SSH_PORT] = { "SshPort", "u", G_STRUCT_OFFSET(ServiceRegion, ssh_port) },
  [REGION_SSH_USER] = { "SshUser", "s", G_STRUCT_OFFSET(ServiceRegion, ssh_user) },
  [REGION_RESOURCE_GROUP] = { "ResourceGroup", "s", G_STRUCT_OFFSET(ServiceRegion, resource_group) },
  [REGION_CREATED_AT] = { "CreatedAt", "t", G_STRUCT_OFFSET(ServiceRegion, created_at) },
  [REGION_STATUS] = { "Status", "s", G_STRUCT_OFFSET(ServiceRegion, status) },
  [REGION_LAST_HEALTH_CHECK] = { "LastHealthCheck", "t", G_STRUCT_OFFSET(ServiceRegion, last_health_check) },
  [REGION_IS_PRIMARY] = { "IsPrimary", "b", G_STRUCT_OFFSET(ServiceRegion, is_primary) },
  [REGION_EPOCH] = { "Epoch", "t", G_STRUCT_OFFSET(ServiceRegion, epoch) },
  [REGION_FENCE_PENDING] = { "FencePending", "b", G_STRUCT_OFFSET(ServiceRegion, fence_pending) },
  [REGION_LAST_SYNC] = { "LastSync", "t", G_STRUCT_OFFSET(ServiceRegion, last_sync) },
  [REGION_STATE] = { "State", "s", G_STRUCT_OFFSET(ServiceRegion, state) },
  [REGION_SINCE] = { "Since", "t", G_STRUCT_OFFSET(ServiceRegion, since) },
  [REGION_SEEN_BY] = { "SeenBy", "as", G_STRUCT_OFFSET(ServiceRegion, seen_by) },
  [REGION_DARK_FROM] = { "DarkFrom", "as", G_STRUCT_OFFSET(ServiceRegion, dark_from) },
  [REGION_UNREACHABLE_FROM_ME] = { "UnreachableFromMe", "b", G_STRUCT_OFFSET(ServiceRegion, unreachable_from_me) },
  [REGION_LAST_ANSWER] = { "LastAnswer", "t", G_STRUCT_OFFSET(ServiceRegion, last_answer) },
  [REGION_LATENCY_MS] = { "LatencyMs", "d", G_STRUCT_OFFSET(ServiceRegion, latency_ms) },
};
G_STATIC_ASSERT(REGION_N_PROPERTIES <= 32);

#define MEMBER(type, region, property) (*(type *) ((guintptr) (region) + properties[property].offset))

ServiceRegion *
service_region_new(const char *name)
{
  ServiceRegion *region = g_new0(ServiceRegion, 1);
  g_autofree char *escaped = g_dbus_escape_object_path(name);
  region->path = g_strconcat(SERVICE_REGIONS_PATH "/", escaped, NULL);
  for (guint i = 0; i < REGION_N_PROPERTIES; i++)
    if (properties[i].type[0] == 's')
      MEMBER(char *, region, i) = g_ref_string_new_intern("");
  service_region_set_text(region, REGION_NAME, name);
  service_region_set_text(region, REGION_STATE, "unknown");
  region->latency_ms = -1;
  region->changed = 0;
  return region;
}

void
service_region_free(gpointer data)
{
  ServiceRegion *region = data;
  for (guint i = 0; i < REGION_N_PROPERTIES; i++)
    if (properties[i].type[0] == 's')
      g_ref_string_release(MEMBER(char *, region, i));
  g_strfreev(region->seen_by);
  g_strfreev(region->dark_from);
  g_free(region->path);
  g_free(region);
}

/* ---- setting ---- */

void
service_region_set_text(ServiceRegion *region, ServiceRegionProperty property, const char *text)
{
  char **member = &MEMBER(char *, region, property);
  if (g_str_equal(*member, text))
    return;
  char *old = *member;
  *member = g_ref_string_new_intern(text);
  g_ref_string_release(old);
  region->changed |= 1u << property;
}

void
service_region_set_names(ServiceRegion *region, ServiceRegionProperty property, const char *const *names)
{
  static const char *const none[] = { NULL };
  char ***member = &MEMBER(char **, region, property);
  const char *const *old = *member != NULL ? (const char *const *) *member : none;
  const char *const *given = names != NULL ? names : none;
  if (g_strv_equal(old, given))
    return;
  g_strfreev(*member);
  *member = *given != NULL ? g_strdupv((char **) (guintptr) given) : NULL;
  region->changed |= 1u << property;
}

void
service_region_set_number(ServiceRegion *region, ServiceRegionProperty property, guint64 number)
{
  gboolean wide = properties[property].type[0] == 't'; /* the others are of 32 bits */
  guint64 old = wide ? MEMBER(guint64, region, property) : MEMBER(guint32, region, property);
  if (old == number)
    return;
  if (wide)
    MEMBER(guint64, region, property) = number;
  else
    MEMBER(guint32, region, property) = (guint32) number;
  region->changed |= 1u << property;
}

void
service_region_set_double(ServiceRegion *region, ServiceRegionProperty property, double number)
{
  MEMBER(double, region, property) = number;
  region->changed |= 1u << property;
}

/* ---- telling ---- */

static GVariant *
value_of(const ServiceRegion *region, guint property)
{
  static const char *const none[] = { NULL };
  const char *type = properties[property].type;
  if (g_str_equal(type, "as")) {
    const char *const *names = MEMBER(const char *const *, region, property);
    return g_variant_new_strv(names != NULL ? names : none, -1);
  }
  switch (*type) {
  case 's':
    return g_variant_new_string(MEMBER(const char *, region, property));
  case 't':
    return g_variant_new_uint64(MEMBER(guint64, region, property));
  case 'u':
    return g_variant_new_uint32(MEMBER(guint32, region, property));
  case 'b':
    return g_variant_new_boolean(MEMBER(gboolean, region, property));
  default:
    return g_variant_new_double(MEMBER(double, region, property));
  }
}

GVariant *
service_region_get(const ServiceRegion *region, const char *property)
{
  for (guint i = 0; i < REGION_N_PROPERTIES; i++)
    if (g_str_equal(properties[i].name, property))
      return value_of(region, i);
  return NULL;
}

GVariant *
service_region_interfaces(const ServiceRegion *region)
{
  GVariantBuilder values;
  g_variant_builder_init(&values, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < REGION_N_PROPERTIES; i++)
    g_variant_builder_add(&values, "{sv}", properties[i].name, value_of(region, i));
  return g_variant_new_parsed("{%s: %@a{sv}}", INTERFACE, g_variant_builder_end(&values));
}

/* A bit for each. Looked up once: there are thousands of regions, and answers every moment. */
static guint32
find_silent(void)
{
  static guint32 silent;
  static gboolean known;
  for (guint i = 0; !known && i < REGION_N_PROPERTIES; i++) {
    const GDBusPropertyInfo *property
        = g_dbus_interface_info_lookup_property(dbus_region_interface_info(), properties[i].name);
    silent |= service_property_is_silent(property) ? 1u << i : 0;
  }
  known = TRUE;
  return silent;
}

void
service_region_say_changes(ServiceRegion *region, const ServiceVoice *voice)
{
  guint32 silent = find_silent();
  GVariantBuilder values;
  guint n = 0;
  g_variant_builder_init(&values, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < REGION_N_PROPERTIES; i++) {
    if ((region->changed & 1u << i) == 0 || (silent & 1u << i) != 0)
      continue;
    g_variant_builder_add(&values, "{sv}", properties[i].name, value_of(region, i));
    n++;
  }
  region->changed = 0;
  g_autoptr(GVariant) changed = g_variant_ref_sink(g_variant_builder_end(&values));
  if (n > 0 && voice->say != NULL)
    voice->say(region->path, AZ_WIRE_PROPERTIES, "PropertiesChanged",
               g_variant_new("(s@a{sv}as)", INTERFACE, changed, NULL), voice->data);
}
