/* What the files of HTTP share: rules for addresses, retries, pacing, checks of answers, tapes. */
#pragma once
#include "credential.h"
#include "http-governor.h"
#include "http-tape.h"
#include "http.h"
#include "transport-http.h"

/* ---- http-url.c: which addresses may be used ---- */

/* Checks `url`: https, or http to a loopback host; no userinfo, nothing that two parsers could read differently. With
 * `origin` ("https://management.azure.com") it must be of that scheme, host and port. NULL and CONFIG; the message says
 * what is wrong without repeating more of the address than its host. */
GUri *az_http_url_check(const char *url, const char *origin, GError **error);
gboolean az_http_host_is_loopback(const char *host);

/* ---- http-retry.c: what an attempt's end means ---- */

typedef enum { AZ_HTTP_DELIVER, AZ_HTTP_AGAIN, AZ_HTTP_RENEW, AZ_HTTP_HOPELESS } AzHttpVerdict;
typedef struct {
  AzHttpOutcome outcome;
  int status;                 /* when it was answered */
  const char *const *headers; /* lower-case name, value, ..., NULL; or NULL */
  gboolean once;              /* AzlinHttp.once */
  gboolean single;            /* AzlinHttp.single */
  gboolean may_renew;         /* a token was sent and has not been renewed yet */
  guint attempts;             /* ended so far, this one included */
  gint64 now;                 /* wall time, microseconds */
  gint64 remaining_ms;        /* until the op's deadline; G_MAXINT64 = none */
  double random;              /* 0 <= random < 1 */
} AzHttpAttempt;
/* `ret_delay_ms`: of AGAIN, the wait before the next attempt; of HOPELESS, the wait that lies beyond the deadline. */
AzHttpVerdict az_http_judge(const AzHttpAttempt *attempt, gint64 *ret_delay_ms);
/* Milliseconds that Retry-After, retry-after-ms or x-ms-retry-after-ms ask for; -1 = none of them, or nonsense. */
gint64 az_http_retry_after_ms(const char *const *headers, gint64 now);
/* The value of a lower-case header, or NULL; borrowed. */
const char *az_http_header(const char *const *headers, const char *name);

/* ---- http-scan.c: the first look at an answer ---- */

/* Why no parser may see this body: "nests deeper than 64 levels"; NULL = it is no JSON, or may be parsed. */
const char *az_http_scan(const char *content_type, GBytes *body);

/* ---- http.c and http-exchange.c ---- */

struct _AzHttp {
  AzClock *clock;
  AzConfig *config; /* NULL in tests: defaults */
  AzCredentials *credentials;
  const AzTransportHttp *module;
  AzHttpSession *session;
  AzGovernor *governor;
  AzTape *tape;     /* NULL = none */
  GQueue exchanges; /* of AzHttpExchange */
  GQueue plains;    /* of Plain (http.c) */
};
gboolean az_http_load(AzHttp *http, GError **error);
typedef struct _AzHttpExchange AzHttpExchange;
void az_http_exchange_start(AzHttp *http, const AzlinHttp *request, GUri *uri, AzlinOp *op);
/* The first of http->exchanges ends CANCELLED and leaves the list, also where the credentials still hold it. */
void az_http_exchange_abort(AzHttpExchange *exchange);
#define AZ_HTTP_ENDS "azlin ends"
/* Finishes `op` with the error that this end of an attempt stands for. */
void az_http_fail(AzlinOp *op, const char *host, const AzHttpEnd *end, gsize max_body);
/* Finishes `op` with an answer, or with an error when no parser may see it. */
void az_http_answer(AzlinOp *op, const char *host, const AzHttpEnd *end);
#define AZ_HTTP_CONNECT_MS 20000
#define AZ_HTTP_IDLE_MS 60000
#define AZ_HTTP_MAX_BODY (8 * 1024 * 1024)
