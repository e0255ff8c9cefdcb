/* Who azlin is for a cloud: service principal, managed identity, or the az login, tried in this order; tokens in memory
 * alone. */
#pragma once
#include "http.h"
#include "op.h"
#include "secret.h"
typedef struct _AzCredentials AzCredentials;
AzCredentials *az_credentials_new(AzHttp *http, AzClock *clock);
void az_credentials_free(AzCredentials *credentials); /* who waits still is not called any more */

/* `token` is borrowed for the call; NULL = none can be had, and `error` (AUTH, NETWORK) says all that was tried and
 * what to do next. */
typedef void (*AzTokenDone)(const AzSecret *token, const GError *error, gpointer data);
/* A token for `identity`: the cached one unless it expires within five minutes (or half its life, when that is shorter)
 * or is `rejected`, the token that was just answered with 401 (NULL = none). Callers that ask at the same time share
 * one request. `done` runs once, from the main loop, also when `parent` ends first (error CANCELLED). */
void az_credentials_get(AzCredentials *credentials, const AzlinIdentity *identity, const AzSecret *rejected,
                        AzlinOp *parent, AzTokenDone done, gpointer data);
