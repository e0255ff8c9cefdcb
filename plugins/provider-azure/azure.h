/* The azure brick's own state: what azlin.conf says of the cloud, and the subscription once it is known. */
#pragma once
#include "azlin-plugin.h"
#include <jansson.h>

typedef struct _ArmCache ArmCache;
typedef struct _AzureGets AzureGets;

typedef struct {
  AzlinHost *host;
  const AzlinHostApi *api;
  char *endpoint;                /* "https://management.azure.com", no slash at the end */
  char *authority;               /* "https://login.microsoftonline.com", no slash at the end */
  char *scope;                   /* "https://management.azure.com/.default" */
  char *subscription;            /* NULL until azure_ready() has settled it */
  const char *subscription_from; /* static: where that was said, for people */
  AzlinIdentity identity;
  GPtrArray *waiting;                /* of calls that wait for the subscription; NULL = nobody asks for it now */
  AzureGets *gets;                   /* machines asked for in this turn of the main loop (gather.c) */
  int has_health;                    /* Microsoft.ResourceHealth is registered: -1 = not asked yet (platform.c) */
  GPtrArray *health_waiting;         /* of calls that wait for that; NULL = nobody asks for it now */
  GHashTable *health_known;          /* what it has said last (platform.c), or NULL */
  ArmCache *catalogue;               /* SKUs and quotas read in this process (catalogue.c) */
  gboolean said_open;                /* that SSH of new machines is open to everybody */
  struct _AzureAdmission *admission; /* a round that lets machines in under way, or NULL (admission.c) */
} Azure;

/* Goes on in `then` once the subscription is settled: the option, else AZURE_SUBSCRIPTION_ID, else the only enabled one
 * that the login sees. `error` NULL = it is; else CONFIG, AUTH or what kept it from being read, with next steps, and
 * CANCELLED when `op` ended first. `then` runs once, before azure_ready() has returned when there is nothing to ask. */
typedef void (*AzureReady)(Azure *azure, const GError *error, gpointer data);
void azure_ready(Azure *azure, AzlinOp *op, AzureReady then, gpointer data);

/* vtable functions, one file each: see the file of that name */
void azure_vm_create(gpointer self, const AzlinVmSpec *spec, AzlinOp *op);           /* create.c */
void azure_vm_get(gpointer self, const AzlinVm *vm, AzlinOp *op);                    /* gather.c */
void azure_vm_list(gpointer self, AzlinOp *op);                                      /* list.c */
void azure_vm_power(gpointer self, const AzlinVm *vm, AzlinPower want, AzlinOp *op); /* power.c */
void azure_vm_restart(gpointer self, const AzlinVm *vm, AzlinOp *op);                /* power.c */
void azure_vm_delete(gpointer self, const AzlinVm *vm, AzlinOp *op);                 /* delete.c */
void azure_vm_isolate(gpointer self, const AzlinVm *vm, gboolean on, AzlinOp *op);   /* isolate.c */
void azure_vm_tag(gpointer self, const AzlinVm *vm, GVariant *set, const char *const *unset, AzlinOp *op); /* tag.c */
void azure_preflight(gpointer self, const AzlinVmSpec *const *specs, AzlinOp *op); /* preflight.c */
void
azure_alternatives(gpointer self, const AzlinVmSpec *spec, const char *const *regions, AzlinOp *op); /* preflight.c */
void azure_recover(gpointer self, const char *what, GVariant *undo, AzlinOp *op);                    /* recover.c */
