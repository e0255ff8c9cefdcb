/* The lookout: a detector driven by real probes, from here and through witnesses, for as long as somebody wants to know
 * (the watch, a live screen, one run of failover). */
#pragma once
#include "detector.h"
#include "flow-support.h"

typedef struct _AzLookout AzLookout;

/* The rules that a lookout of this engine would go by. CONFIG: they make no sense. */
gboolean az_lookout_rules(AzEngine *engine, AzDetectorRules *ret_rules, GError **error);
/* Looks out under `root` until it is freed or `root` ends; nothing is asked before az_lookout_set_stored(). `seen` runs
 * after each answer about `region`, on the engine's loop; it may free the lookout. Goes on where the one of an engine
 * before this one has just ended, with all that it saw (az_engine_set_heir()). CONFIG: the rules make no sense. */
AzLookout *az_lookout_new(AzEngine *engine, AzlinOp *root, void (*seen)(const char *region, gpointer data),
                          gpointer data, GError **error);
/* Stores who saw whom last. */
void az_lookout_free(AzLookout *lookout);
/* What is to be watched: called again whenever the records have changed. A region whose machine is another one now
 * begins anew. Takes a reference of its own. */
void az_lookout_set_stored(AzLookout *lookout, const AzStored *stored);

/* The lookout of this engine that has been running for longest; NULL = none. A failover in the same process starts from
 * what it knows. */
AzLookout *az_lookout_of(AzEngine *engine);

/* Who else looks: `peers` adds to `vantages` (of AzlinVantage) what others see of `region`, strings borrowed until it
 * is asked again. NULL = nobody does. */
typedef void (*AzLookoutPeers)(const char *region, GArray *vantages, gpointer data);
void az_lookout_set_peers(AzLookout *lookout, AzLookoutPeers peers, gpointer data);
/* What each vantage sees of `region`, here and elsewhere: GArray of AzlinVantage, strings borrowed. */
GArray *az_lookout_vantages(AzLookout *lookout, const char *region);

AzDetector *az_lookout_detector(AzLookout *lookout);
/* See az_detector_check_whole(). */
void az_lookout_check_whole(AzLookout *lookout, const char *region);
/* The last whole check of that region, or the last look where there was none; NULL = it has not been answered yet. */
const AzlinHealth *az_lookout_health(AzLookout *lookout, const char *region);
double az_lookout_latency_ms(AzLookout *lookout, const char *region); /* of the last answer from here; < 0 = none */
/* The last evidence of each witness about `region`: of GVariant a{sv}, borrowed array of owned references. */
GPtrArray *az_lookout_answers(AzLookout *lookout, const char *region);

/* Seconds since the last verified sync of `source` onto `region`, as the audit log knew it half a minute ago at most;
 * < 0 = none is known. */
double az_lookout_data_age(AzLookout *lookout, const char *source, const char *region);

const AzStored *az_lookout_stored(AzLookout *lookout); /* what is watched */
