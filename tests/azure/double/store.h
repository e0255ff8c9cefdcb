/* The resources of the world, by id without case; each as the JSON that a GET answers. */
#pragma once
#include "double.h"

typedef struct _Operation Operation;

typedef struct {
  char *id, *type, *name, *group_id, *subscription; /* as the creator wrote them */
  json_t *body;
  char *power;           /* of a VM: "running", ...; NULL = no PowerState */
  char *power_before;    /* while an action runs: where its failure leads back to */
  char *failure;         /* code of the failed creation of a VM */
  gint64 hidden;         /* GETs that still answer 404 */
  double reserved_until; /* ms; of a NIC after a failed VM */
  char *reserved_for;    /* id of that VM */
  gboolean foreign;      /* a test put it there: no client made it */
  gboolean deleting;
  Operation *operation; /* that runs on it now; borrowed */
  gpointer extra;       /* of deployments */
  GDestroyNotify extra_free;
} Resource;

GTree *store_new(void);
/* A new resource of an id, whose type and name are read from it; `body` is stolen and completed with id, name, type. */
Resource *store_add(Double *world, const char *id, json_t *body);
void store_remove(Double *world, Resource *resource);
Resource *store_find(Double *world, const char *id); /* NULL = none */
/* All resources, in order of their ids, that have this type (NULL = any) and this group or subscription id as a prefix
 * (NULL = any). Owned array of borrowed resources. */
GPtrArray *store_list(Double *world, const char *prefix, const char *type);

/* "Microsoft.Network/virtualNetworks/subnets" and the like from an id; NULL = no resource's id. Owned. */
char *id_type(const char *id);
char *id_group(const char *id); /* "/subscriptions/S/resourceGroups/G"; NULL = none. Owned. */
char *id_subscription(const char *id);
const char *id_name(const char *id); /* the last part, borrowed */
/* The id of which this one is a part: ".../virtualNetworks/v" of ".../virtualNetworks/v/subnets/s". NULL = none. */
char *id_parent(const char *id);

/* The element of `parent.properties.{collection}` that an id like ".../subnets/s" names; NULL = none. Borrowed. */
json_t *store_part(Double *world, const char *id);
/* TRUE: the resource or the part exists. */
gboolean store_exists(Double *world, const char *id);
const char *resource_state(const Resource *resource); /* provisioningState */
void resource_set_state(Resource *resource, const char *state);
const char *resource_location(const Resource *resource);
gboolean resource_is(const Resource *resource, const char *type);
