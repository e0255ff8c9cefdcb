/* Takes the resources of one machine away, in the order that Azure wants, and only those that bear azlin's tag. */
#pragma once
#include "pieces.h"

typedef struct {
  const AzureNames *names; /* copied */
  const char *op_uuid;     /* only what this creation made; NULL = all that bears azlin's tag */
  const char *deployment;  /* stopped first; NULL = none can be running */
  gboolean deployment_expected;
  const AzureSight *sight; /* what stands, when it was just looked at; else NULL */
  guint32 settle_ms; /* before the first look: a request that nobody waits for any more may still have an effect */
  gboolean group;    /* the group, too, when it is empty and bears azlin's tag */
} AzureRemoval;

/* `error` NULL: nothing of it stands any more; what others made stays, and is no error. */
typedef void (*AzureRemoved)(const GError *error, gpointer data);
void azure_remove(Azure *azure, AzlinOp *op, const AzureRemoval *what, AzureRemoved done, gpointer data);
