/* Everybody who gives out tokens, on loopback in this process: token endpoint, metadata service, App Service, and an
 * `az` on PATH; an AzCredentials that asks them, in an environment of its own. */
#pragma once
#include "credential.h"

typedef struct {
  AzClock *clock;
  AzHttp *http;
  AzCredentials *credentials;
  gpointer server; /* SoupServer */
  char *origin;    /* "http://127.0.0.1:PORT" */
  char *dir;       /* scratch: HOME, and its bin is PATH */
  AzlinIdentity identity;
  GQueue answers;      /* of CloudAnswer, for the requests to come; then fresh tokens */
  GPtrArray *seen;     /* "POST /tenant/oauth2/v2.0/token?query|name: value of some headers|body" each */
  GPtrArray *silenced; /* messages that get no answer */
  gboolean silent;     /* from now on nobody is answered */
  guint issued, ended; /* tokens given out; callers that were called back */
  GError *error;       /* of the last caller; its token */
  char *token;
} Cloud;

/* On the real clock; nothing is set but AZURE_AUTHORITY_HOST and a metadata service that refuses connections. */
void cloud_set_up(Cloud *cloud, gconstpointer unused);
void cloud_set_up_virtual(Cloud *cloud, gconstpointer unused);
void cloud_tear_down(Cloud *cloud, gconstpointer unused);
/* AZURE_TENANT_ID=tenant, AZURE_CLIENT_ID=client, AZURE_CLIENT_SECRET=canary-secret. */
void cloud_name_principal(void);
/* The metadata service is there. */
void cloud_show_metadata(Cloud *cloud);
/* `script`: what /bin/sh runs as `az`; $DIR is the scratch folder; no program is on its PATH. */
void cloud_install_az(Cloud *cloud, const char *script);
/* The next unanswered request gets this; `retry_after` NULL = no such header. */
void cloud_answer(Cloud *cloud, int status, const char *body, const char *retry_after);
void cloud_answer_bytes(Cloud *cloud, int status, GBytes *body);
/* Asks under an op of its own, which is returned. */
AzlinOp *cloud_start(Cloud *cloud, const AzSecret *rejected);
void cloud_wait(Cloud *cloud, guint ended);
/* Asks and waits. */
void cloud_ask(Cloud *cloud, const AzSecret *rejected);
/* The last token is this, or the last error of that code has these words. */
void cloud_expect_token(Cloud *cloud, const char *token);
void cloud_expect_error(Cloud *cloud, AzlinError code, const char *words);
/* Lets `ms` of the clock go by. */
void cloud_pass_time(Cloud *cloud, guint32 ms);
const char *cloud_seen(Cloud *cloud, guint i);
/* A field of the form in request `i`, decoded. Owned. */
char *cloud_field(Cloud *cloud, guint i, const char *name);
