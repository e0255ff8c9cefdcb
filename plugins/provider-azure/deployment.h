/* A template deployment that goes on by itself: waited for, or told to stop. */
#pragma once
#include "azure.h"

/* `deployment`: as GET answered it once it had ended (Succeeded, Failed, Canceled), or when `limit_ms` was over; NULL
 * and no error = there is none. Valid in the call. */
typedef void (*AzureDeploymentEnded)(const json_t *deployment, const GError *error, gpointer data);

/* `expected`: a PUT may have made it a moment ago, so "not found" is asked again for a while. `limit_ms` 0 = as long as
 * `op` lasts. */
void azure_deployment_wait(Azure *azure, AzlinOp *op, const char *id, gboolean expected, guint32 limit_ms,
                           AzureDeploymentEnded done, gpointer data);
/* Cancels it first when it is running. */
void azure_deployment_stop(Azure *azure, AzlinOp *op, const char *id, gboolean expected, AzureDeploymentEnded done,
                           gpointer data);

/* "Succeeded", "Failed", "Canceled" and "Deleted" end an operation; all else runs. Pure. */
gboolean azure_state_is_final(const char *state);
/* How long before the next look, by how many there were: 1 s, 2 s, 4 s, ... 10 s. Pure. */
guint32 azure_wait_ms(guint looks);
