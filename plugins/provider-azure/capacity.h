/* Whether a machine fits into a region by what Azure says of sizes, restrictions and quotas, and what else would. Pure.
 */
#pragma once
#include <glib.h>
#include <jansson.h>

typedef enum {
  CAPACITY_CLOSED = 1 << 0, /* restricted in the whole region, for this subscription */
  CAPACITY_GEN1 = 1 << 1,
  CAPACITY_GEN2 = 1 << 2,
  CAPACITY_ARM64 = 1 << 3,
  CAPACITY_PREMIUM = 1 << 4, /* takes premium disks */
  CAPACITY_SPECIAL = 1 << 5  /* GPUs, RDMA or confidential computing: never a stand-in for a plain size */
} CapacityFlags;

typedef struct { /* one VM size as one region offers it; kept small, since there are a thousand in each */
  const char *name, *family;
  guint32 memory_mb;
  guint16 vcpus;              /* 0 = unknown */
  guint8 zones, closed_zones; /* bit n: zone n is offered, zone n is restricted */
  guint8 flags;
} CapacitySize;

typedef struct {
  const char *name; /* "cores", "virtualMachines", "standardBSFamily" */
  gint64 used, limit;
} CapacityUsage;

typedef struct {
  char *name;
  GStringChunk *names; /* borrowed: regions share the names of sizes and families */
  GArray *sizes;       /* of CapacitySize */
  GArray *usages;      /* of CapacityUsage */
} CapacityRegion;
/* `names` must outlive the region. */
CapacityRegion *capacity_region_new(const char *name, GStringChunk *names);
void capacity_region_free(CapacityRegion *region);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CapacityRegion, capacity_region_free)
/* Take what is of use from one element of a list; one that is malformed, or of another region, is left out. `data`: the
 * CapacityRegion. */
void capacity_region_add_size(const json_t *sku, gpointer data);
void capacity_region_add_usage(const json_t *usage, gpointer data);
const CapacitySize *capacity_region_find(const CapacityRegion *region, const char *vm_size); /* NULL = not offered */

typedef struct { /* what an image asks of a size, as far as its name tells; 0 = it does not */
  CapacityFlags generation;
  gboolean known_architecture, arm64;
} CapacityImage;
/* "Ubuntu2204" and the like, "publisher:offer:sku:version", or an id. */
CapacityImage capacity_image(const char *image);

typedef struct {
  const char *vm_size, *zone; /* zone: NULL or "" = any */
  CapacityImage image;
} CapacityWish;

typedef struct {
  const char *code; /* static; NULL = it fits */
  char *message;    /* one sentence without a full stop; NULL = it fits */
} CapacityVerdict;

/* What a plan has taken already: "region/usage" -> count. */
typedef GHashTable CapacityLedger;
CapacityLedger *capacity_ledger_new(void); /* free with g_hash_table_unref() */
/* `ledger` may be NULL. The message is the caller's. */
CapacityVerdict capacity_fits(const CapacityRegion *region, CapacityLedger *ledger, const CapacityWish *wish);
void capacity_reserve(const CapacityRegion *region, CapacityLedger *ledger, const CapacityWish *wish);

/* Sizes of `region` that fit in place of `like` and give no less, best first: the same series and as many vCPUs, then
 * the nearest; `wish` says zone and image. At most `max`; borrowed pointers to CapacitySize, free with
 * g_ptr_array_unref(). */
GPtrArray *capacity_other_sizes(const CapacityRegion *region, CapacityLedger *ledger, const CapacityWish *wish,
                                const CapacitySize *like, guint max);
/* Other zones in which the wished size fits, lowest first: bits as CapacitySize.zones. */
guint8 capacity_other_zones(const CapacityRegion *region, CapacityLedger *ledger, const CapacityWish *wish);

/* ---- capacity-read.c: members of Azure's JSON ---- */

#define CAPACITY_MAX_ZONE 7
/* "" for what is missing, no string, or longer than any name is. Borrowed. */
const char *capacity_text(const json_t *object, const char *key);
guint8 capacity_zone_bit(const char *zone); /* as in CapacitySize.zones; 0 = no zone that can be asked for */
