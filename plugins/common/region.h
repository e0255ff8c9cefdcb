/* One region's record between its JSON object and AzlinVm: a table over AZLIN_VM_FIELDS. */
#pragma once
#include "azlin-plugin.h"
#include <jansson.h>

#define REGION_MAX_NAME 128 /* bytes */
/* May a region, or a machine, be called that? UTF-8 without control characters; NULL may not. */
gboolean region_is_name(const char *name);
/* Are the known fields of the types that the schema wants? `ret_field` names the first that is not. */
gboolean region_check(json_t *region, const char **ret_field);
/* Strings go to `chunk`; `group` stands in for a missing resource group. `vm->tags` is owned. */
void region_read(json_t *region, const char *group, GStringChunk *chunk, AzlinVm *vm);
/* Known fields are set, unknown ones and the order are kept; is_primary is not touched. */
void region_write(json_t *region, const AzlinVm *vm, const char *group, gint64 now);
void region_write_status(json_t *region, const char *status, gint64 last_health_check);
void region_set_primary(json_t *region, gboolean primary);
