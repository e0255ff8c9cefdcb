/* What azlin itself has asked of a machine last, by its audit log: a stop that was meant is no outage. Pure. */
#include "health.h"
#include "record.h"
#include <string.h>

typedef enum { SAYS_NOTHING, SAYS_OFF, SAYS_ON } Said;

static const char *
text_in(GVariant *dict, const char *name)
{
  const char *text = "";
  if (dict != NULL)
    g_variant_lookup(dict, name, "&s", &text);
  return text;
}

/* Whatever became of the request: that a machine is off which was asked to be is its doing, most probably. */
static Said
said_of_machine(const char *what, GVariant *facts, const AzlinVm *vm)
{
  static const char *const OFF[] = { "vm.stop", "vm.deallocate", NULL };
  static const char *const ON[] = { "vm.start", "vm.restart", "vm.delete", NULL };
  if (!g_str_equal(text_in(facts, "region"), vm->region) || g_strcmp0(text_in(facts, "vm_name"), vm->vm_name) != 0)
    return SAYS_NOTHING;
  if (g_strv_contains(OFF, what))
    return SAYS_OFF;
  return g_strv_contains(ON, what) ? SAYS_ON : SAYS_NOTHING;
}

/* A failover powers the old primary off, and starts it again when it is called off. */
static Said
said_of_switch(const char *what, GVariant *facts, const AzlinVm *vm)
{
  const char *fence = text_in(facts, "fence"), *outcome = text_in(facts, "outcome");
  if (!g_str_equal(what, "failover") || !g_str_equal(text_in(facts, "source_region"), vm->region))
    return SAYS_NOTHING;
  gboolean off = g_str_has_prefix(outcome, "switched") || g_str_has_suffix(outcome, "still off");
  return off && *fence != '\0' && !g_str_equal(fence, "epoch") ? SAYS_OFF : SAYS_NOTHING;
}

/* Before this nothing on record is about how the machine is now: it was made, or seen alive, later. */
static gint64
horizon(const AzlinVm *vm)
{
  gboolean was_up = g_strcmp0(vm->status, "ok") == 0;
  return MAX(vm->created_at, was_up ? vm->last_health_check : 0);
}

AzlinStopCause
az_intent_of(GVariant *events, const AzlinVm *vm, char **ret_detail)
{
  gint64 since = horizon(vm);
  for (gsize i = events != NULL ? g_variant_n_children(events) : 0; i-- > 0;) {
    g_autoptr(GVariant) boxed = g_variant_get_child_value(events, i);
    g_autoptr(GVariant) event = g_variant_get_variant(boxed);
    const char *what = text_in(event, "what"), *time = text_in(event, "time");
    g_autoptr(GVariant) facts = g_variant_lookup_value(event, "facts", G_VARIANT_TYPE_VARDICT);
    if (az_time_from_string(time) < since)
      return AZLIN_STOP_UNKNOWN;
    Said said = said_of_machine(what, facts, vm);
    if (said == SAYS_NOTHING)
      said = said_of_switch(what, facts, vm);
    if (said == SAYS_NOTHING)
      continue;
    if (said == SAYS_OFF && ret_detail != NULL)
      *ret_detail = g_strdup_printf("azlin itself switched it off (%s at %s)", what, time);
    return said == SAYS_OFF ? AZLIN_STOP_REQUESTED : AZLIN_STOP_UNKNOWN;
  }
  return AZLIN_STOP_UNKNOWN;
}
