/* What the sources of tokens share: the fetch that asks one after the other, and how their replies are read. */
#pragma once
#include "credential.h"

typedef struct {
  AzSecret *token;
  gint64 seconds;            /* it is good for, counted from now; more than 0 */
  gboolean any_subscription; /* set by az_token_fetch_end() */
} AzTokenReply;

typedef struct {
  AzHttp *http;
  AzClock *clock;
  gboolean *imds_here, *imds_absent; /* what this process knows of the metadata service */
} AzTokenPlace;

typedef struct {
  const char *authority;    /* checked, no slash at the end */
  const char *scope;        /* checked */
  const char *subscription; /* checked, or NULL */
} AzTokenAsk;

/* Once. `reply` NULL: `error` says what was tried and what to do next; until `not_before` (monotonic, or 0) nobody may
 * ask again. */
typedef void (*AzTokenFetched)(const AzTokenReply *reply, const GError *error, gint64 not_before, gpointer data);

/* ---- credential-fetch.c ---- */

/* One token being asked for. It lives until its op has ended and no source holds it. */
typedef struct {
  AzTokenPlace place;
  AzlinOp *op; /* requests and processes of the sources are its children; NULL once it has ended */
  char *authority, *scope, *subscription; /* as in AzTokenAsk */
  gint64 not_before;                      /* set by a source that is told to wait, and before it fails */
  /* of credential-fetch.c alone */
  guint refs, source;
  GString *tried;
  AzTokenFetched done; /* NULL once it was called, or nobody waits */
  gpointer data;
} AzTokenFetch;

/* Goes on in `done`, never before it has returned; the result is borrowed and valid until then. */
AzTokenFetch *
az_token_fetch_start(const AzTokenPlace *place, const AzTokenAsk *ask, AzTokenFetched done, gpointer data);
void az_token_fetch_stop(AzTokenFetch *fetch); /* or NULL; `done` does not come any more */
/* It was told to wait, and that is not over: who stopped it and began anew would not know. */
gboolean az_token_fetch_must_wait(const AzTokenFetch *fetch);
AzTokenFetch *az_token_fetch_ref(AzTokenFetch *fetch);
void az_token_fetch_unref(AzTokenFetch *fetch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzTokenFetch, az_token_fetch_unref)
/* FALSE: nobody waits any more, or its time is over. A source then frees what it has and asks for nothing more. */
gboolean az_token_fetch_live(const AzTokenFetch *fetch);

/* A source ends with exactly one of these; none does anything for a fetch that does not live. */
void az_token_fetch_end(AzTokenFetch *fetch, const AzTokenReply *reply);
/* This source has no token: the next one is asked. `format`: why, a few words. */
void az_token_fetch_pass(AzTokenFetch *fetch, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* This source was chosen and is refused: no other identity is taken in its stead. `step` (or NULL): what to do next. */
void az_token_fetch_fail(AzTokenFetch *fetch, AzlinError code, const char *reason, const char *step);

/* The sources. Each takes a reference to `fetch` for as long as it works. */
void az_token_from_environment(AzTokenFetch *fetch); /* credential-principal.c */
void az_token_from_workload(AzTokenFetch *fetch);    /* credential-principal.c */
void az_token_from_managed(AzTokenFetch *fetch);     /* credential-managed.c */
void az_token_from_cli(AzTokenFetch *fetch);         /* credential-cli.c */

/* ---- credential-environment.c: names and places, checked ---- */

const char *az_token_env(const char *name); /* NULL when unset or empty */
/* Both of these: no user, query or fragment; no slash at the end of the result, which is owned; NULL and CONFIG else.
 * `what` names where `url` comes from. */
char *az_token_authority(const char *url, const char *what, GError **error);     /* https, or http to loopback */
char *az_token_metadata_host(const char *url, const char *what, GError **error); /* the same, or 169.254.169.254 */
/* Letters, digits and the characters of `others`, 1 to 256 of them. */
gboolean az_token_plain_word(const char *text, const char *others);
/* No connection or no answer, so that asking again may help; not an answer that cannot be used. */
gboolean az_token_is_silence(const GError *error);
/* "https://management.azure.com/" of "https://management.azure.com/.default". Owned. */
char *az_token_resource(const char *scope);
/* ---- credential-assertion.c: what proves a service principal without a secret ---- */

/* A JWT signed with the key of `pem_file`, which holds an RSA key without password and its certificate, for `audience`
 * (the URL it is sent to); good for 10 minutes. NULL and AUTH or NOT_FOUND. */
AzSecret *az_token_assertion_sign(AzHttp *http, const char *pem_file, const char *client, const char *audience,
                                  gint64 now, GError **error);
/* The token that somebody else keeps fresh in `file`. NULL and AUTH. */
AzSecret *az_token_assertion_read(const char *file, GError **error);

/* ---- credential-reply.c ---- */

/* Answers of the token endpoint, of the metadata service and of App Service; the bytes are wiped. `ret` holds a token
 * for the caller to free. FAILED with the reason: no JSON object, a member of another type, ... */
gboolean az_token_reply_read(GBytes *body, gint64 now, AzTokenReply *ret, GError **error);
/* The same of what `az account get-access-token --output json` writes. */
gboolean az_token_reply_read_cli(GBytes *body, gint64 now, AzTokenReply *ret, GError **error);
/* What an error answer says: the first line of error_description, else error, else "HTTP 500"; for people, without
 * control characters, at most 300 bytes, `hidden` (or NULL) redacted; the bytes are wiped. Owned. */
char *az_token_reply_complaint(int status, GBytes *body, const AzSecret *hidden);
/* Letters, digits and ._~+/=- alone, at most 64 KiB: what may stand in a header. */
gboolean az_token_is_token(const char *text, gsize length);
/* One line of foreign text for people: trimmed, cut to 300 bytes, no control characters, valid UTF-8. Owned. */
char *az_token_quote(const char *bytes, gsize length);
