/* Values on D-Bus, which has no "nothing" (JSON's null, here the empty tuple): it travels as an empty array of
 * signatures. */
#pragma once
#include <glib.h>

/* `value` as D-Bus can carry it; what need not change is shared. Owned. */
GVariant *az_wire_pack(GVariant *value);
/* The other way: what came from the bus, as the engine had it. Owned. */
GVariant *az_wire_unpack(GVariant *value);
