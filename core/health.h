/* Health of machines: power state and the SSH probe side by side, each with its own deadline; and the verdict from it.
 */
#pragma once
#include "engine-private.h"
#include "record.h"
/* Checks one machine; `op` gets the variant of az_health_to_variant(); within [health] deadlines. */
void az_health_check(AzEngine *engine, const AzlinVm *vm, AzlinOp *op);
/* The same with deadlines of the caller's. login_ms 0: banner and key alone; power_ms 0: the provider is not asked. Of
 * such a glance the evidence counts, and not whether it calls the machine healthy. */
typedef struct {
  guint32 tcp_ms, ssh_ms, login_ms, power_ms;
  guint32 probe_ms;     /* of a provider's own probe; 0 = the sum of its steps */
  gboolean banner_only; /* not even the key: that somebody greets as an SSH server does */
  /* Or NULL. TRUE: the caller has no use for it, and the op ends without a variant. */
  gboolean (*is_known)(const AzlinHealth *health);
} AzHealthLimits;
void az_health_check_within(AzEngine *engine, const AzlinVm *vm, const AzHealthLimits *limits, AzlinOp *op);
/* Pure: what the evidence says. Returns the failure; `ret_detail` (owned) one sentence. `slow_ms` 0 = never degraded.
 */
AzlinFailure az_health_verdict(const AzlinEvidence *const *evidence, AzlinPower power, AzlinStopCause cause,
                               double slow_ms, char **ret_detail);
/* Pure: REQUESTED when the last that azlin's audit log (av, oldest first) says of this machine is that azlin switched
 * it off, and it has not been seen alive since; else UNKNOWN. `vm` as stored. `ret_detail` (owned) who and when, for
 * people; left alone when there is nothing to say. */
AzlinStopCause az_intent_of(GVariant *events, const AzlinVm *vm, char **ret_detail);
/* The same out of this engine's audit log, its last thousand records. */
AzlinStopCause az_health_intent(AzEngine *engine, const AzlinVm *vm, char **ret_detail);
/* One TCP + key probe of `suspect` run on `witness` with ssh-keyscan; variant a{sv} of one evidence record whose
 * vantage is the witness' region: ok, refused, timeout, host_key_changed, error. */
void az_health_ask_witness(AzEngine *engine, const AzlinVm *witness, const AzlinVm *suspect, AzlinOp *op);

/* Pure: the outcome that the output of the witness' scan stands for; `pin` NULL = any key will do. */
const char *az_health_read_scan(const char *text, const char *pin);

/* Stored verdict per pair (vantage -> region), $AZLIN_HOME/vantages.json: was it UP when last looked at? */
gboolean az_vantage_was_up(AzEngine *engine, const char *vantage, const char *region);
/* All that is stored; NULL = nothing. */
GVariant *az_vantage_all(AzEngine *engine);
/* Stores several at once: a{sb} "vantage>region" -> up. Atomic; failures are logged, never fatal. */
void az_vantage_store(AzEngine *engine, GVariant *verdicts);
/* The same with what a watch has learnt about its vantages: a{s(xx)}, "vantage>region" -> seconds watched, long dark
 * spells that healed by themselves; both are added to what is stored. NULL = nothing. */
void az_vantage_store_history(AzEngine *engine, GVariant *verdicts, GVariant *watched);
/* From az_vantage_all(), for AzlinVantage.healed_rate: name -> double, 0 = too little history; those without any are
 * missing. Owned. */
GHashTable *az_vantage_healed_rates(GVariant *all);
