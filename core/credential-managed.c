/* A managed identity: the token of the machine or app that azlin runs on, from the service beside it. */
#include "credential-private.h"

#include "host.h"
#include "http-private.h"

#include <string.h>

#define METADATA "http://169.254.169.254"
#define CONNECT_MS 1000 /* beside this host it stands at once, or it is not there */
#define PROBE_MS 5000   /* of somebody at a desk, not more */
#define ATTEMPT_MS 30000
#define LONGEST_WAIT_MS 70000
#define UPDATE_ATTEMPTS 6 /* 410: the service is being updated, for 70 s at most */

typedef struct {
  AzTokenFetch *fetch;
  char *url;
  const char *place; /* for error texts */
  AzSecret *header;  /* App Service: proves that this process may ask; else NULL */
  guint attempt;     /* sent so far */
} Managed;

static void
managed_free(Managed *managed)
{
  az_token_fetch_unref(managed->fetch);
  az_secret_unref(managed->header);
  g_free(managed->url);
  g_free(managed);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Managed, managed_free)

static void send(Managed *managed);

static gboolean
is_probe(const Managed *managed)
{
  return managed->header == NULL && !*managed->fetch->place.imds_here;
}

static void
on_waited(AzlinOp *op, gpointer data)
{
  g_autoptr(Managed) managed = data;
  if (az_op_error(op) == NULL && az_token_fetch_live(managed->fetch))
    send(g_steal_pointer(&managed));
}

/* The wait before attempt + 1, or -1 = no more. `status` 0: there was no answer. */
static gint64
delay_ms(int status, guint attempt)
{
  static const gint64 delays[] = { 0, 2000, 6000, 14000, 30000 };
  gboolean again = status == 0 || status == 404 || status == 408 || status == 410 || status == 429 || status >= 500;
  guint attempts = status == 410 ? UPDATE_ATTEMPTS : G_N_ELEMENTS(delays);
  if (!again || attempt >= attempts)
    return -1;
  return delays[MIN(attempt, G_N_ELEMENTS(delays) - 1)];
}

/* `reply` NULL: there was no answer. Takes `managed` when it returns TRUE. */
static gboolean
try_again(Managed *managed, const AzlinHttpReply *reply)
{
  AzTokenFetch *fetch = managed->fetch;
  AzClock *clock = fetch->place.clock;
  gint64 usual_ms = delay_ms(reply != NULL ? reply->status : 0, managed->attempt);
  gint64 asked_ms = reply != NULL ? reply->retry_after_ms : -1;
  if (asked_ms > 0)
    fetch->not_before = az_clock_monotonic(clock) + asked_ms * 1000;
  if (usual_ms < 0 || asked_ms > LONGEST_WAIT_MS)
    return FALSE;
  AzlinOp *op = az_op_new(fetch->op, "wait", 0, on_waited, managed);
  az_host_sleep((guint32) MAX(usual_ms, asked_ms), op);
  return TRUE;
}

static void
granted(Managed *managed, const AzlinHttpReply *reply)
{
  g_autoptr(GError) error = NULL;
  AzTokenFetch *fetch = managed->fetch;
  AzTokenReply token;
  if (!az_token_reply_read(reply->body, az_clock_now(fetch->place.clock), &token, &error)) {
    az_token_fetch_pass(fetch, "the answer of %s cannot be used: %s", managed->place, error->message);
    return;
  }
  az_token_fetch_end(fetch, &token);
  az_secret_unref(token.token);
}

static void
refused(Managed *managed, const AzlinHttpReply *reply)
{
  g_autofree char *complaint = az_token_reply_complaint(reply->status, reply->body, managed->header);
  az_token_fetch_pass(managed->fetch, "%s says: %s", managed->place, complaint);
}

/* Takes `managed`. The first request finds out whether there is such a service at all: from it silence is an answer. */
static void
unanswered(Managed *managed, const GError *error)
{
  AzTokenFetch *fetch = managed->fetch;
  gboolean probe = is_probe(managed);
  if (!az_token_is_silence(error)) {
    az_token_fetch_pass(fetch, "%s: %s", managed->place, error->message);
    managed_free(managed);
    return;
  }
  *fetch->place.imds_absent |= probe;
  if (!probe && try_again(managed, NULL))
    return;
  az_token_fetch_pass(fetch, "%s does not answer", managed->place);
  managed_free(managed);
}

static void
on_answer(AzlinOp *op, gpointer data)
{
  g_autoptr(Managed) managed = data;
  AzTokenFetch *fetch = managed->fetch;
  const AzlinHttpReply *reply = az_op_http(op);
  if (!az_token_fetch_live(fetch))
    return;
  if (az_op_error(op) != NULL) {
    unanswered(g_steal_pointer(&managed), az_op_error(op));
    return;
  }
  *fetch->place.imds_here |= managed->header == NULL;
  if (reply->status == 200)
    granted(managed, reply);
  else if (try_again(managed, reply))
    g_steal_pointer(&managed);
  else
    refused(managed, reply);
}

static void
send(Managed *managed)
{
  AzTokenFetch *fetch = managed->fetch;
  const char *secret = managed->header != NULL ? az_secret_peek(managed->header, NULL) : NULL;
  const char *headers[] = { "accept", "application/json", secret != NULL ? "x-identity-header" : "metadata",
                            secret != NULL ? secret : "true", NULL };
  AzHttpPlain request
      = { .method = "GET", .url = managed->url, .headers = headers, .direct = TRUE, .connect_ms = CONNECT_MS };
  managed->attempt++;
  az_http_send_plain(fetch->place.http, &request,
                     az_op_new(fetch->op, "identity", is_probe(managed) ? PROBE_MS : ATTEMPT_MS, on_answer, managed));
}

/* Takes `secret` (or NULL). */
static void
ask(AzTokenFetch *fetch, const char *base, const char *version, const char *place, AzSecret *secret)
{
  const char *client = az_token_env("AZURE_CLIENT_ID");
  g_autofree char *resource = az_token_resource(fetch->scope);
  g_autofree char *escaped = g_uri_escape_string(resource, NULL, FALSE);
  Managed *managed = g_new0(Managed, 1);
  *managed = (Managed){ .fetch = az_token_fetch_ref(fetch), .place = place, .header = secret };
  managed->url = g_strdup_printf("%s?api-version=%s&resource=%s%s%s", base, version, escaped,
                                 client != NULL ? "&client_id=" : "", client != NULL ? client : "");
  send(managed);
}

static void
ask_app_service(AzTokenFetch *fetch, const char *endpoint, const char *header)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *base = az_token_authority(endpoint, "IDENTITY_ENDPOINT", &error);
  if (base == NULL)
    az_token_fetch_pass(fetch, "%s", error->message);
  else
    ask(fetch, base, "2019-08-01", "IDENTITY_ENDPOINT", az_secret_new(header, -1));
}

static void
ask_metadata(AzTokenFetch *fetch)
{
  g_autoptr(GError) error = NULL;
  const char *override = az_token_env("AZURE_POD_IDENTITY_AUTHORITY_HOST");
  const char *place = override != NULL ? "AZURE_POD_IDENTITY_AUTHORITY_HOST" : "169.254.169.254";
  if (*fetch->place.imds_absent) {
    az_token_fetch_pass(fetch, "%s does not answer", place);
    return;
  }
  g_autofree char *host = az_token_metadata_host(override != NULL ? override : METADATA, place, &error);
  g_autofree char *base = g_strconcat(host, "/metadata/identity/oauth2/token", NULL);
  if (host == NULL)
    az_token_fetch_pass(fetch, "%s", error->message);
  else
    ask(fetch, base, "2018-02-01", place, NULL);
}

void
az_token_from_managed(AzTokenFetch *fetch)
{
  const char *client = az_token_env("AZURE_CLIENT_ID");
  const char *endpoint = az_token_env("IDENTITY_ENDPOINT"), *header = az_token_env("IDENTITY_HEADER");
  if (client != NULL && !az_token_plain_word(client, ".-"))
    az_token_fetch_pass(fetch, "AZURE_CLIENT_ID may have letters, digits, '.' and '-' alone");
  else if (endpoint != NULL && header != NULL)
    ask_app_service(fetch, endpoint, header);
  else if (endpoint != NULL || header != NULL)
    az_token_fetch_pass(fetch, "of IDENTITY_ENDPOINT and IDENTITY_HEADER one is set alone");
  else
    ask_metadata(fetch);
}
