/* Sets of tags for providers that keep them themselves: merged as vm_tag() wants it, and those of a new machine. */
#pragma once
#include "azlin-plugin.h"

/* `old` (a{ss} or NULL) with `set` (a{ss}) over it and without `unset` (ends NULL, or NULL), whatever the case of the
 * names. Owned. */
GVariant *tagset_merge(GVariant *old, GVariant *set, const char *const *unset);
/* Those of a machine that is made: what was asked for (a{ss} or NULL), and by what azlin knows its own. Owned. */
GVariant *tagset_of_new(GVariant *asked);
