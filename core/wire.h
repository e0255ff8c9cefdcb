/* Values on D-Bus, which has no "nothing" (JSON's null, here the empty tuple): it travels as an empty array of
 * signatures. */
#pragma once
#include <glib.h>

#define AZ_WIRE_NAME "io.azlin.Azlin1"  /* of the service, and of its interfaces before a point and their own */
#define AZ_WIRE_PATH "/io/azlin/Azlin1" /* of its Manager, and above all other objects */
#define AZ_WIRE_ERROR "io.azlin.Error." /* before the type of an error, docs/errors.md */
/* interfaces of D-Bus itself */
#define AZ_WIRE_PROPERTIES "org.freedesktop.DBus.Properties"
#define AZ_WIRE_OBJECTS "org.freedesktop.DBus.ObjectManager"

/* `value` as D-Bus can carry it; what need not change is shared. Owned. */
GVariant *az_wire_pack(GVariant *value);
/* The other way: what came from the bus, as the engine had it. Owned. */
GVariant *az_wire_unpack(GVariant *value);
