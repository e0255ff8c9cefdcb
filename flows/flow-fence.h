/* The fencing ladder: a machine that must not serve is powered off, and where that cannot be confirmed, cut off its
 * network; never through itself. */
#pragma once
#include "flow-support.h"

#define AZ_FENCE_MS 14000 /* all of it, at the most: what a switch of sixty seconds can spare */

typedef struct {
  /* Before isolation is asked for: FALSE and error = it must not be (it could not be noted down). May be NULL. */
  gboolean (*before_isolation)(gpointer data, GError **error);
  /* The provider cannot switch machines off: nothing was done, so nothing has to be undone. May be NULL. */
  void (*power_not_supported)(gpointer data);
  gpointer data;
} AzFenceWatch;

/* op_variant s: "confirmed" (off by two reads, or gone) or "isolated"; an error says why neither is sure. `watch` is
 * copied and may be NULL. */
void az_fence(AzEngine *engine, const AzlinVm *vm, const AzFenceWatch *watch, AzlinOp *op);
