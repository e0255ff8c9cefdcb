/* What the XML says of the properties on the bus. */
#pragma once
#include <gio/gio.h>

/* It changes too often to be announced, and is only read. */
gboolean service_property_is_silent(const GDBusPropertyInfo *property);
