/* A machine's record out of what Azure says of it. */
#pragma once
#include "azure.h"
#include "names.h"

typedef struct {
  AzlinVm vm; /* strings borrowed from below, from the JSON and from the record that was known */
  AzureNames *names;
  char *region;
  GVariant *tags;
} AzureRecord;

/* From the body of a machine; what `known` (the stored record, or NULL) has beyond that stays. FALSE = `body` is no
 * machine, or one whose names cannot be azlin's. Clear it in either case. `body` and `known` must outlive it. */
gboolean azure_record_read(AzureRecord *record, const json_t *body, const AzlinVm *known);
/* Power, cause and maintenance from an instance view (that of `body` has been read already). */
void azure_record_read_status(AzureRecord *record, const json_t *instance_view);
/* Pure: when announced maintenance begins or began; 0 = none is, or its window is over. */
gint64 azure_maintenance_at(const json_t *instance_view, gint64 now);
void azure_record_clear(AzureRecord *record);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AzureRecord, azure_record_clear)

const char *azure_first_nic(const json_t *body); /* id of the primary interface of a machine, "" = none; borrowed */

/* What the platform says of the hardware under a machine. */
typedef struct {
  const char *state; /* "available", "unavailable", or NULL = it does not say */
  const char *detail;
  AzlinStopCause cause;
} AzurePlatform;
typedef void (*AzurePlatformDone)(const AzurePlatform *platform, gpointer data); /* NULL = it cannot be had */
/* Asks Microsoft.ResourceHealth where that is registered (platform.c). `done` runs once, perhaps at once: an answer
 * about the machine in this state of power is good for 30 s. */
void azure_platform_ask(Azure *azure, AzlinOp *op, const char *vm_id, AzlinPower power, AzurePlatformDone done,
                        gpointer data);
/* Pure: from the body of availabilityStatuses/current. `detail` is owned by `ret_detail`. */
AzurePlatform azure_platform_read(const json_t *body, char **ret_detail);

/* One machine read alone, never as one of many; the op gets the record. `known` is copied. */
void azure_get_one(Azure *azure, const AzlinVm *known, AzlinOp *op);
void azure_gets_free(AzureGets *gets); /* gather.c */

/* All machines of the subscription with their states, and perhaps addresses, in two or three lists side by side. */
typedef struct {
  const json_t *machines; /* array */
  GHashTable *by_id;      /* lower-case id -> json_t of the machine */
  GHashTable *states;     /* lower-case id -> json_t of the machine with its instance view */
  GHashTable *addresses;  /* lower-case id of the interface -> address */
} AzureInventory;
typedef void (*AzureInventoryDone)(const AzureInventory *inventory, const GError *error, gpointer data);
void azure_inventory(Azure *azure, AzlinOp *op, gboolean with_addresses, AzureInventoryDone done, gpointer data);
/* The record of one machine of it. */
gboolean
azure_inventory_record(const AzureInventory *inventory, const json_t *body, const AzlinVm *known, AzureRecord *record);
/* As azure_get_one(), with what `inventory` shows of it; lists do not say all. */
void azure_get_from(Azure *azure, const AzureInventory *inventory, const AzlinVm *known, AzlinOp *op);

/* A tag that Azure takes; else USAGE and what is wrong with it (tag.c). */
gboolean azure_tag_check(const char *name, const char *value, GError **error);
