/* Tags of machines on this host: they stand in the record and are merged into it under the machine's lock. */
#include "machine.h"
#include "task.h"

static gboolean
is_among(const char *const *names, const char *name)
{
  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    if (g_ascii_strcasecmp(names[i], name) == 0)
      return TRUE;
  return FALSE;
}

/* `set` goes over `old` whatever the case of the names. */
static GVariant *
merged(GVariant *old, GVariant *set, const char *const *unset)
{
  GVariantBuilder builder;
  GVariantIter iter;
  const char *name, *value;
  g_autoptr(GPtrArray) taken = g_ptr_array_new();
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{ss}"));
  g_variant_iter_init(&iter, set);
  while (g_variant_iter_next(&iter, "{&s&s}", &name, &value)) {
    g_ptr_array_add(taken, (gpointer) (guintptr) name);
    g_variant_builder_add(&builder, "{ss}", name, value);
  }
  g_ptr_array_add(taken, NULL);
  if (old != NULL) {
    g_variant_iter_init(&iter, old);
    while (g_variant_iter_next(&iter, "{&s&s}", &name, &value))
      if (!is_among(unset, name) && !is_among((const char *const *) taken->pdata, name))
        g_variant_builder_add(&builder, "{ss}", name, value);
  }
  return g_variant_ref_sink(g_variant_builder_end(&builder));
}

GVariant *
machine_first_tags(GVariant *asked)
{
  g_autofree char *op = g_uuid_string_random();
  GVariantBuilder own;
  g_variant_builder_init(&own, G_VARIANT_TYPE("a{ss}"));
  g_variant_builder_add(&own, "{ss}", AZLIN_TAG_MANAGED, "true");
  g_variant_builder_add(&own, "{ss}", AZLIN_TAG_OP, op);
  g_autoptr(GVariant) ours = g_variant_ref_sink(g_variant_builder_end(&own));
  return merged(asked, ours, NULL);
}

void
task_tag(gpointer self, const AzlinVm *vm, GVariant *set, const char *const *unset, AzlinOp *op)
{
  Local *local = self;
  GError *error = NULL;
  g_autoptr(GVariant) sunk = g_variant_ref_sink(set);
  g_autoptr(Machine) machine = machine_load_for(local, vm, &error);
  gboolean mine = machine != NULL && machine_lock(machine, &error);
  /* Read again under the lock: what another azlin wrote meanwhile must not be undone. */
  g_autoptr(Machine) now = mine ? machine_load_for(local, vm, &error) : NULL;
  if (now != NULL) {
    GVariant *tags = merged(now->tags, sunk, unset);
    g_clear_pointer(&now->tags, g_variant_unref);
    now->tags = tags;
  }
  if (now != NULL && machine_save(now, &error))
    local->host->api->op_finish(op);
  else
    local->host->api->op_fail(op, error);
}
