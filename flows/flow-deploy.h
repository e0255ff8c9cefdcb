/* The state of one deploy, shared by its parts: planning, the fan-out with storing, the end. */
#pragma once
#include "flow-lease.h"
#include "flow-support.h"

#define AZ_DEPLOY_OWNER "flow-deploy"
#define AZ_DEPLOY_MAX_CONCURRENT 10
#define AZ_DEPLOY_TIMEOUT_S 600

typedef struct _AzDeploy AzDeploy;

typedef enum {
  AZ_PRIMARY_PENDING, /* the wanted machine is not up yet */
  AZ_PRIMARY_READY,   /* it stands: others can be asked what they see of it */
  AZ_PRIMARY_NONE     /* it will not come */
} AzDeployPrimary;

typedef struct { /* one region */
  AzDeploy *deploy;
  AzlinVmSpec spec; /* borrows the strings below */
  char *region, *vm_name, *resource_group;
  AzlinVm *vm; /* set once the machine stands */
  GError *error;
  GPtrArray *attempts; /* of GVariant a{sv} */
  gint64 started;
  double seconds;
  gboolean ended, in_context;
  gboolean checked, waiting, over;
  gboolean repinned; /* in the queue once more, for a host key that was trusted as first seen */
} AzDeployTarget;

struct _AzDeploy {
  AzJob *job;
  AzEngine *engine;
  AzlinOp *root;
  GVariant *args; /* as given, or as the journal kept them (--resume) */
  char **regions;
  char *wanted_primary;
  gboolean primary_given;
  AzStored *stored;
  GPtrArray *targets; /* of AzDeployTarget, in the order of the regions */
  const AzlinVmSpec **specs;
  char *public_key;
  guint64 intent, resumed; /* 0 = none; `resumed`: the intent of the run that this one takes over */
  gint64 started;
  GQueue puts;        /* of AzDeployTarget, waiting for their turn */
  GPtrArray *putting; /* of AzDeployTarget, in the write that is under way; NULL = none */
  AzDeployPrimary primary;
  guint asked, over; /* witnesses asked; regions that have ended */
  gboolean deployer_ended, claiming, claimed, ending;
  GHashTable *verdicts; /* "vantage>region" -> gboolean up */
  guint pending;        /* steps of the end that run side by side */
  GPtrArray *synced;    /* of GVariant v; NULL without --sync-after */
  gboolean sync_failed;
};

/* flow-deploy-witness.c: what this region sees of the primary, once both stand; ends in az_deploy_region_over(). */
void az_deploy_ask(AzDeployTarget *target);
void az_deploy_primary_settled(AzDeploy *deploy, AzDeployPrimary state);
void az_deploy_region_over(AzDeployTarget *target);

void az_deploy_run(AzDeploy *deploy); /* flow-deploy-run.c: from the journal intent to the last region's result */
GVariant *az_deploy_result(AzDeploy *deploy); /* the JSON document; floating */
void az_deploy_end(AzDeploy *deploy);         /* flow-deploy-end.c: primary, verdicts, files, sync, summary */
/* Makes `to` the primary unless somebody else was faster; `done` runs under deploy->root. */
void az_deploy_claim_primary(AzDeploy *deploy, const char *to, AzlinDone done);
const char *az_deploy_arg(const AzDeploy *deploy, const char *name, const char *fallback);
guint32 az_deploy_arg_uint(const AzDeploy *deploy, const char *name, guint32 fallback);
gboolean az_deploy_arg_bool(const AzDeploy *deploy, const char *name);
/* The journalled arguments with the types that the flags declare (JSON keeps neither "as" nor "u"); floating. */
GVariant *az_deploy_args_from_journal(GVariant *stored, const AzFlag *flags);
/* After a crash: machines that stand are put on record; `op` ends with a sentence (s). */
void az_deploy_recover(AzEngine *engine, const AzJournalEntry *entry, AzlinOp *op);
