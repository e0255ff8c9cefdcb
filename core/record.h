/* Records and their one codec: AzlinVm and friends to and from GVariant, GVariant to and from JSON. */
#pragma once
#include "azlin-plugin.h"

/* In a copy no string is NULL but host_key, which is NULL when there is none. */
AzlinVm *az_vm_dup(const AzlinVm *vm);
void az_vm_free(AzlinVm *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzlinVm, az_vm_free)
/* An owned, mutable record; set strings with az_vm_set(&vm->public_ip, "..."). */
AzlinVm *az_vm_new(const char *region, const char *vm_name);
void az_vm_set(const char **field, const char *value);

GVariant *az_vm_to_variant(const AzlinVm *vm);             /* a{sv}, stored fields under their JSON names; floating */
AzlinVm *az_vm_from_variant(GVariant *value);              /* wrong types are taken as absent */
GVariant *az_health_to_variant(const AzlinHealth *health); /* a{sv} of the contract: vm_name, region, is_healthy, ... */
typedef struct _AzHealthCopy AzHealthCopy;                 /* an AzlinHealth with storage of its own */
AzHealthCopy *az_health_from_variant(GVariant *value, const AzlinVm *vm);
const AzlinHealth *az_health_copy_get(const AzHealthCopy *copy);
void az_health_copy_free(AzHealthCopy *copy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzHealthCopy, az_health_copy_free)

const char *az_failure_to_string(AzlinFailure failure); /* "network_unreachable"; NULL for NONE */
AzlinFailure az_failure_from_string(const char *text);
const char *az_power_to_string(AzlinPower power);          /* "running" */
const char *az_stop_cause_to_string(AzlinStopCause cause); /* "unknown", "requested", "ended" */

char *az_time_to_string(gint64 usec);         /* ISO 8601 UTC, "2025-12-01T10:00:00Z"; NULL for 0 */
gint64 az_time_from_string(const char *text); /* 0 if it is none */

/* JSON null is the empty tuple, az_null(). */
GVariant *az_null(void);
/* Element `i` of a container, owned: out of its box where it stands in one, as in documents that were read. */
GVariant *az_variant_element(GVariant *container, gsize i);
GVariant *az_variant_str(const char *text); /* 's', or az_null() for NULL or "" */
/* `indent` 0 = one line. Sinks a floating value. Pure ASCII. Strings are escaped, never lost; an a{sv} keeps its order.
 */
char *az_json_from_variant(GVariant *value, int indent);
/* Returns a reference of your own, not a floating one. Bytes are hostile: capped at 8 MiB and a nesting of 64 before
 * the parser sees them. Objects become a{sv}, arrays av. */
GVariant *az_json_parse(const char *text, gsize length, GError **error);
