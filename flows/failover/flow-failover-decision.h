/* Decisions that failovers made, each with all that it was made from ($AZLIN_HOME/decisions.jsonl), and back: so that
 * one can be asked again, with other options too. */
#pragma once
#include "flow-support.h"

#define AZ_DECISIONS_KEPT 500

/* ---- the input of decide() as a{sv}, and back ---- */

GVariant *az_decision_input_to_variant(const AzlinDecisionInput *input); /* floating */
typedef struct _AzDecisionInput AzDecisionInput;                         /* one with storage of its own */
/* NULL, STORAGE: the document lacks what a decision needs. */
AzDecisionInput *az_decision_input_from_variant(GVariant *document, GError **error);
AzlinDecisionInput *az_decision_input_get(AzDecisionInput *input);
void az_decision_input_free(AzDecisionInput *input);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzDecisionInput, az_decision_input_free)

/* verdict, should_auto_failover, failure_type, confidence, reason, what_would_change, weights, ranking; floating. */
GVariant *az_decision_to_variant(const AzlinDecision *decision);

/* The word for it, also of a brick that gives none. */
const char *az_decision_verdict(const AzlinDecision *decision);

/* ---- the store ---- */

/* Keeps a decision of the selected failover brick with its options; `why` says who asked ("check-only", "auto",
 * "explain", "watch"). Returns its id, eight hexadecimal digits, owned; NULL: it is not stored. The oldest make room,
 * for one more line and in bytes. */
char *
az_decision_keep(AzEngine *engine, const char *why, GVariant *input, const AzlinDecision *decision, GError **error);
/* The newest AZ_DECISIONS_KEPT, oldest first, of GVariant a{sv}; lines that cannot be read are left out. */
GPtrArray *az_decision_list(AzEngine *engine, GError **error);
