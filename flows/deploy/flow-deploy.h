/* The state of one deploy, shared by its parts: planning, preflight, the fan-out with storing, fallback, the end. */
#pragma once
#include "flow-lease.h"
#include "flow-support.h"

#define AZ_DEPLOY_OWNER "flow-deploy"
#define AZ_DEPLOY_MOVED "moved:" /* and the region asked for: key of a journal entry */
#define AZ_DEPLOY_MAX_CONCURRENT 10
#define AZ_DEPLOY_TIMEOUT_S 600

typedef struct _AzDeploy AzDeploy;

typedef enum {
  AZ_PRIMARY_PENDING, /* the wanted machine is not up yet */
  AZ_PRIMARY_READY,   /* it stands: others can be asked what they see of it */
  AZ_PRIMARY_NONE     /* it will not come */
} AzDeployPrimary;

typedef struct { /* one machine that is asked for */
  AzDeploy *deploy;
  AzlinVmSpec *spec;                             /* what is tried now; earlier ones live on with the deploy */
  const char *asked;                             /* the region that it was asked for */
  const char *region, *vm_name, *resource_group; /* of `spec` */
  AzlinVm *vm;                                   /* set once the machine stands */
  GError *error;
  GPtrArray *attempts; /* of GVariant a{sv} */
  gint64 started;
  double seconds;
  gboolean ended, in_context;
  gboolean checked, waiting, over;
  gboolean repinned; /* in the queue once more, for a host key that was trusted as first seen */
  GVariant *verdict; /* a{sv} of the preflight; NULL = none was given */
  GPtrArray *places; /* of GVariant a{sv}: where else it fits, best first; NULL = not asked yet */
  guint next_place, moves;
  gboolean alone;     /* it has left the plan of all and has a deployer's run of its own */
  gboolean fresh;     /* it has moved, and is not begun again yet */
  gboolean held_back; /* it may not move, as [policy] allowed-fallback says */
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
  GPtrArray *specs;   /* of AzlinVmSpec, all that were ever tried: deployers borrow them */
  GPtrArray *plans;   /* of GPtrArray of AzlinVmSpec, ends NULL: what deployers were given */
  GStringChunk *strings;
  char *public_key, *home_id;
  GHashTable *moved;       /* region asked for -> "REGION SIZE ZONE" of the run that this one takes over; NULL = none */
  guint64 intent, resumed; /* 0 = none; `resumed`: the intent of the run that this one takes over */
  gint64 started;
  GQueue puts;        /* of AzDeployTarget, waiting for their turn */
  GPtrArray *putting; /* of AzDeployTarget, in the write that is under way; NULL = none */
  AzDeployPrimary primary;
  guint asked, over; /* witnesses asked; regions that have ended */
  guint n_alone;     /* machines that are tried elsewhere at this moment */
  GQueue alone_next; /* of AzDeployTarget, waiting to be */
  gboolean deployer_ended, claiming, claimed, ending;
  GHashTable *verdicts; /* "vantage>region" -> gboolean up */
  guint pending;        /* steps of preflight or end that run side by side */
  void (*after_preflight)(AzDeploy *deploy);
  GPtrArray *synced; /* of GVariant v; NULL without --sync-after */
  gboolean sync_failed;
  guint unrecorded; /* machines that stand and whose record could not be written */
};

/* flow-deploy-witness.c: what this region sees of the primary, once both stand; ends in az_deploy_region_over(). */
void az_deploy_ask(AzDeployTarget *target);
void az_deploy_primary_settled(AzDeploy *deploy, AzDeployPrimary state);
void az_deploy_region_over(AzDeployTarget *target);

/* flow-deploy-preflight.c: whether all machines fit, before the first write; goes on in `then`. Targets that do not fit
 * have their error set afterwards, or with --allow-fallback have moved. */
void az_deploy_preflight(AzDeploy *deploy, void (*then)(AzDeploy *deploy));
GVariant *az_deploy_preflight_variant(const AzDeployTarget *target); /* for the plan of --dry-run; floating */

/* flow-deploy-fallback.c: another place for a machine whose region has no room. */
#define AZ_DEPLOY_MAX_MOVES 4
/* Asks the provider where else `target` fits, unless that is known, and goes on in `then`. */
void az_deploy_find_places(AzDeployTarget *target, void (*then)(AzDeployTarget *target));
/* Moves `target`, whose error stands, to its next place; FALSE: there is none left, and the error's steps say why. */
gboolean az_deploy_move(AzDeployTarget *target);
/* For a target whose creation failed with its error: goes on elsewhere, or asks what to suggest and ends it; FALSE: it
 * is not about room. */
gboolean az_deploy_fall_back(AzDeployTarget *target);
/* Names up to two places in the steps of its error. */
void az_deploy_suggest(AzDeployTarget *target);
gboolean az_deploy_may_move(const AzDeploy *deploy); /* --allow-fallback, and the provider knows other places */
GVariant *az_deploy_moved_from(const AzDeployTarget *target); /* the region asked for, or null; floating */

/* flow-deploy-run.c */
void az_deploy_run(AzDeploy *deploy); /* from the journal intent to the last region's result */
/* Runs the deployer for one target that has moved. */
void az_deploy_run_alone(AzDeployTarget *target);
void az_deploy_failed(AzDeployTarget *target); /* its error is final */
void az_deploy_note_attempt(AzDeployTarget *target, const char *failure);
void az_deploy_region_status(const AzDeployTarget *target, const char *status);
/* Names and moves as a journal entry keeps them, added to `facts` (an initialised a{sv}). */
void az_deploy_journal_names(const AzDeploy *deploy, GVariantDict *facts);
gboolean az_deploy_journal(AzDeploy *deploy, GVariant *facts); /* FALSE: not durable, and said */

/* flow-deploy.c: what to make in `region`; owned by the deploy. `zone` NULL or "" = any. */
AzlinVmSpec *
az_deploy_spec(AzDeploy *deploy, const char *region, const char *vm_size, const char *zone, const char *image);
/* `target` is made so from now on; the wanted primary follows. */
void az_deploy_use(AzDeployTarget *target, AzlinVmSpec *spec);
void az_deploy_finish(AzDeploy *deploy);      /* flow-deploy-end.c: summary and exit code */
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
