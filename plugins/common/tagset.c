/* Sets of tags for providers that keep them themselves. Pure, but for the uuid of a new machine. */
#include "tagset.h"

static gboolean
is_in(GVariant *tags, const char *name)
{
  GVariantIter iter;
  const char *other;
  g_variant_iter_init(&iter, tags);
  while (g_variant_iter_next(&iter, "{&s&s}", &other, NULL))
    if (g_ascii_strcasecmp(other, name) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
is_among(const char *const *names, const char *name)
{
  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    if (g_ascii_strcasecmp(names[i], name) == 0)
      return TRUE;
  return FALSE;
}

GVariant *
tagset_merge(GVariant *old, GVariant *set, const char *const *unset)
{
  GVariantBuilder builder;
  GVariantIter iter;
  const char *name, *value;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{ss}"));
  if (old != NULL) {
    g_variant_iter_init(&iter, old);
    while (g_variant_iter_next(&iter, "{&s&s}", &name, &value))
      if (!is_in(set, name) && !is_among(unset, name))
        g_variant_builder_add(&builder, "{ss}", name, value);
  }
  g_variant_iter_init(&iter, set);
  while (g_variant_iter_next(&iter, "{&s&s}", &name, &value))
    g_variant_builder_add(&builder, "{ss}", name, value);
  return g_variant_ref_sink(g_variant_builder_end(&builder));
}

GVariant *
tagset_of_new(GVariant *asked)
{
  g_autofree char *op = g_uuid_string_random();
  GVariantBuilder own;
  g_variant_builder_init(&own, G_VARIANT_TYPE("a{ss}"));
  g_variant_builder_add(&own, "{ss}", AZLIN_TAG_MANAGED, "true");
  g_variant_builder_add(&own, "{ss}", AZLIN_TAG_OP, op);
  g_autoptr(GVariant) ours = g_variant_ref_sink(g_variant_builder_end(&own));
  return tagset_merge(asked, ours, NULL);
}
