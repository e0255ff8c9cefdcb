/* What the XML says of the properties on the bus. */
#include "service-property.h"

gboolean
service_property_is_silent(const GDBusPropertyInfo *property)
{
  const char *emits
      = g_dbus_annotation_info_lookup(property->annotations, "org.freedesktop.DBus.Property.EmitsChangedSignal");
  return g_strcmp0(emits, "false") == 0;
}
