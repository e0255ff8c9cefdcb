/* config.json as the copy of a place that many hosts share. Pure. */
#pragma once
#include "document.h"

/* Makes `document` the copy that the vtable's mirror() speaks of: records `vms`, and epoch, generation and source out
 * of `info`. FALSE and EXISTS or FENCED: what stands in it is no copy of that place, or a later one; it stays as it is.
 */
gboolean
mirror_apply(Document *document, GPtrArray *vms, GVariant *info, gint64 now, gboolean *ret_changed, GError **error);
/* What it is a copy of, or NULL; borrowed. */
const char *mirror_source(Document *document);
/* From now on it is no copy any more: somebody has changed it here. */
void mirror_end(Document *document);
