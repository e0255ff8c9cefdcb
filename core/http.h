/* HTTP for bricks: tokens, retries by class, one rate budget per account, caps on what comes back; libsoup is loaded on
 * first use. */
#pragma once
#include "clock.h"
#include "config.h"
#include "op.h"
#include "secret.h"
typedef struct _AzHttp AzHttp;
AzHttp *az_http_new(AzClock *clock, AzConfig *config);
/* What is still under way ends CANCELLED; its `done` comes from the main loop as ever. */
void az_http_free(AzHttp *http);

/* Sends `request` as the ABI says; `op` gets op_http or an error:
 * CONFIG (a URL that may not be used, before anything is sent), NETWORK (no connection, or lost more often than it is
 * retried), TIMED_OUT, AUTH (no credential; the message names all that was tried), THROTTLED (Retry-After lies beyond
 * the op's deadline), FAILED (an answer over its cap, nested too deeply or not UTF-8). */
void az_http_send(AzHttp *http, const AzlinHttp *request, AzlinOp *op);

/* The same without token, pacing and retries, for credentials themselves. `secret_body` (or
 * NULL) is wiped after use. `direct`: never through a proxy. `connect_ms` 0 = the usual
 * deadline. */
typedef struct {
  const char *method, *url;
  const char *const *headers;
  const char *content_type;
  const AzSecret *secret_body;
  gboolean direct;
  guint32 connect_ms;
} AzHttpPlain;
void az_http_send_plain(AzHttp *http, const AzHttpPlain *request, AzlinOp *op);
