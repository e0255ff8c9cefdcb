/* Values on D-Bus: what has no form there gets one, and back, at any depth. */
#include "wire.h"

#include <string.h>

/* Dictionaries and variants keep their types, whatever is put into them. */
static GVariant *
convert_children(GVariant *value, GVariant *(*convert)(GVariant *value))
{
  GVariantBuilder builder;
  GVariantIter iter;
  GVariant *child;
  g_variant_builder_init(&builder, g_variant_get_type(value));
  g_variant_iter_init(&iter, value);
  while ((child = g_variant_iter_next_value(&iter)) != NULL) {
    g_autoptr(GVariant) owned = child;
    g_autoptr(GVariant) converted = convert(owned);
    g_variant_builder_add_value(&builder, converted);
  }
  return g_variant_ref_sink(g_variant_builder_end(&builder));
}

/* Nothing stands only where any value may: in variants. */
static gboolean
may_hold_nothing(GVariant *value)
{
  return g_variant_is_container(value) && strchr(g_variant_get_type_string(value), 'v') != NULL;
}

GVariant *
az_wire_pack(GVariant *value)
{
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_UNIT))
    return g_variant_ref_sink(g_variant_new_array(G_VARIANT_TYPE_SIGNATURE, NULL, 0));
  return may_hold_nothing(value) ? convert_children(value, az_wire_pack) : g_variant_ref(value);
}

GVariant *
az_wire_unpack(GVariant *value)
{
  if (g_variant_is_of_type(value, G_VARIANT_TYPE("ag")))
    return g_variant_ref_sink(g_variant_new_tuple(NULL, 0));
  return may_hold_nothing(value) ? convert_children(value, az_wire_unpack) : g_variant_ref(value);
}
