/* A service principal of the environment: secret, certificate or federated token against a token of the authority. */
#include "credential-private.h"

#include "host.h"
#include "http-private.h"

#include <string.h>

#define ATTEMPTS 4
#define ATTEMPT_MS 30000
#define BASE_DELAY_MS 800
#define MARGIN_MS 20 /* never early, whatever the timers round */
#define LONGEST_WAIT_MS 60000

typedef struct {
  AzTokenFetch *fetch;
  char *url;
  const char *variable; /* that names what proves the identity */
  AzSecret *proof;      /* secret or assertion: never to be seen in an error text */
  AzSecret *form;
  guint attempt;
} Principal;

static void
principal_free(Principal *principal)
{
  az_token_fetch_unref(principal->fetch);
  az_secret_unref(principal->proof);
  az_secret_unref(principal->form);
  g_free(principal->url);
  g_free(principal);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Principal, principal_free)

/* ---- the form ---- */

static void
append_field(GString *form, const char *name, const char *value)
{
  char *escaped = g_uri_escape_string(value, NULL, FALSE);
  g_string_append_printf(form, "%s%s=", form->len > 0 ? "&" : "", name);
  g_string_append(form, escaped);
  az_secret_wipe(escaped, strlen(escaped));
  g_free(escaped);
}

static AzSecret *
make_form(const AzTokenFetch *fetch, const char *client, const AzSecret *proof, gboolean is_assertion)
{
  gsize length;
  const char *bytes = az_secret_peek(proof, &length);
  /* with room for all of it: a buffer that grows leaves pieces behind */
  GString *form = g_string_sized_new(3 * (length + strlen(client) + strlen(fetch->scope)) + 512);
  append_field(form, "grant_type", "client_credentials");
  append_field(form, "client_id", client);
  append_field(form, "scope", fetch->scope);
  if (is_assertion)
    append_field(form, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
  append_field(form, is_assertion ? "client_assertion" : "client_secret", bytes);
  AzSecret *secret = az_secret_new(form->str, (gssize) form->len);
  az_secret_wipe(form->str, form->len);
  g_string_free(form, TRUE);
  return secret;
}

/* ---- the exchange ---- */

static void send(Principal *principal);

static void
on_waited(AzlinOp *op, gpointer data)
{
  g_autoptr(Principal) principal = data;
  if (az_op_error(op) == NULL && az_token_fetch_live(principal->fetch))
    send(g_steal_pointer(&principal));
}

static void
wait_and_send(Principal *principal, gint64 ms)
{
  AzlinOp *op = az_op_new(principal->fetch->op, "wait", 0, on_waited, principal);
  az_host_sleep((guint32) ms, op);
}

static gint64
usual_delay_ms(guint attempt)
{
  gint32 ceiling = BASE_DELAY_MS << attempt;
  return g_random_int_range(ceiling / 2, ceiling + 1);
}

static const char *
next_step(const char *complaint)
{
  static const struct {
    const char *code, *step;
  } steps[] = {
    { "AADSTS7000215:", "Check AZURE_CLIENT_SECRET: it must be the value of the secret, not its id" },
    { "AADSTS7000222:",
      "Make a new secret: az ad app credential reset --id \"$AZURE_CLIENT_ID\"; then set AZURE_CLIENT_SECRET" },
    { "AADSTS700016:", "Check AZURE_CLIENT_ID and AZURE_TENANT_ID: the application is not in that tenant" },
    { "AADSTS90002:", "Check AZURE_TENANT_ID and AZURE_AUTHORITY_HOST: there is no such tenant" },
    { "AADSTS700024:", "Check the clock of this host" },
    { "AADSTS700027:", "Register the certificate with the application: az ad app credential reset --cert" },
    { "AADSTS70021:", "Register a federated credential for the issuer and subject of this token" },
  };
  for (guint i = 0; i < G_N_ELEMENTS(steps); i++)
    if (strstr(complaint, steps[i].code) != NULL)
      return steps[i].step;
  return "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and what proves the identity";
}

/* Takes `principal` when it returns TRUE. */
static gboolean
try_again(Principal *principal, gint64 delay_ms)
{
  AzTokenFetch *fetch = principal->fetch;
  gint64 asked_ms = delay_ms > 0 ? delay_ms + MARGIN_MS : 0;
  if (++principal->attempt >= ATTEMPTS || delay_ms > LONGEST_WAIT_MS)
    return FALSE;
  fetch->not_before = az_clock_monotonic(fetch->place.clock) + asked_ms * 1000;
  gint64 usual_ms = usual_delay_ms(principal->attempt); /* once: MAX() would draw twice */
  wait_and_send(principal, MAX(asked_ms, usual_ms));
  return TRUE;
}

static void
refused(Principal *principal, const AzlinHttpReply *reply)
{
  AzTokenFetch *fetch = principal->fetch;
  g_autofree char *complaint = az_token_reply_complaint(reply->status, reply->body, principal->proof);
  g_autofree char *reason = g_strdup_printf("%s refuses %s: %s", fetch->authority, principal->variable, complaint);
  az_token_fetch_fail(fetch, AZLIN_ERROR_AUTH, reason, next_step(complaint));
}

static void
busy(Principal *principal, const AzlinHttpReply *reply)
{
  AzTokenFetch *fetch = principal->fetch;
  gint64 wait_ms = MAX(reply->retry_after_ms, 0);
  gboolean throttled = reply->status == 429;
  g_autofree char *reason = NULL;
  fetch->not_before = az_clock_monotonic(fetch->place.clock) + wait_ms * 1000;
  if (wait_ms > 0)
    reason = g_strdup_printf("%s answers %d and asks for patience of %" G_GINT64_FORMAT " s", fetch->authority,
                             reply->status, wait_ms / 1000);
  else
    reason = g_strdup_printf("%s answered %d %u times", fetch->authority, reply->status, principal->attempt);
  az_token_fetch_fail(fetch, throttled ? AZLIN_ERROR_THROTTLED : AZLIN_ERROR_NETWORK, reason,
                      "Wait and run the command again");
}

static void
granted(Principal *principal, const AzlinHttpReply *reply)
{
  g_autoptr(GError) error = NULL;
  AzTokenFetch *fetch = principal->fetch;
  AzTokenReply token;
  if (az_token_reply_read(reply->body, az_clock_now(fetch->place.clock), &token, &error)) {
    az_token_fetch_end(fetch, &token);
    az_secret_unref(token.token);
    return;
  }
  g_autofree char *reason = g_strdup_printf("the answer of %s cannot be used: %s", fetch->authority, error->message);
  az_token_fetch_fail(fetch, AZLIN_ERROR_AUTH, reason, "Check AZURE_AUTHORITY_HOST");
}

static void
unreached(Principal *principal, const GError *error)
{
  AzTokenFetch *fetch = principal->fetch;
  g_autofree char *reason = g_strdup_printf("%s: %s", fetch->authority, error->message);
  if (az_token_is_silence(error))
    az_token_fetch_fail(fetch, AZLIN_ERROR_NETWORK, reason, "Check the network of this host and HTTPS_PROXY");
  else
    az_token_fetch_fail(fetch, AZLIN_ERROR_AUTH, reason, "Check AZURE_AUTHORITY_HOST");
}

static gboolean
is_transient(int status)
{
  return status == 408 || status == 429 || status >= 500;
}

static void
on_answer(AzlinOp *op, gpointer data)
{
  g_autoptr(Principal) principal = data;
  const GError *error = az_op_error(op);
  const AzlinHttpReply *reply = az_op_http(op);
  if (!az_token_fetch_live(principal->fetch))
    return;
  if (error != NULL && az_token_is_silence(error) && try_again(principal, 0)) {
    g_steal_pointer(&principal);
    return;
  }
  if (error != NULL) {
    unreached(principal, error);
    return;
  }
  if (is_transient(reply->status) && try_again(principal, reply->retry_after_ms)) {
    g_steal_pointer(&principal);
    return;
  }
  if (is_transient(reply->status))
    busy(principal, reply);
  else if (reply->status == 200)
    granted(principal, reply);
  else
    refused(principal, reply);
}

static void
send(Principal *principal)
{
  static const char *const headers[] = { "accept", "application/json", NULL };
  AzTokenFetch *fetch = principal->fetch;
  AzHttpPlain request = { .method = "POST",
                          .url = principal->url,
                          .headers = headers,
                          .content_type = "application/x-www-form-urlencoded",
                          .secret_body = principal->form };
  az_http_send_plain(fetch->place.http, &request, az_op_new(fetch->op, "token", ATTEMPT_MS, on_answer, principal));
}

/* ---- who it is ---- */

static const char *const who[] = { "AZURE_TENANT_ID", "AZURE_CLIENT_ID", NULL };

static gboolean
check_names(AzTokenFetch *fetch)
{
  for (guint i = 0; who[i] != NULL; i++) {
    if (az_token_plain_word(az_token_env(who[i]), ".-"))
      continue;
    g_autofree char *reason = g_strdup_printf("%s may have letters, digits, '.' and '-' alone", who[i]);
    az_token_fetch_fail(fetch, AZLIN_ERROR_CONFIG, reason, NULL);
    return FALSE;
  }
  return TRUE;
}

static char *
token_url(const AzTokenFetch *fetch)
{
  return g_strdup_printf("%s/%s/oauth2/v2.0/token", fetch->authority, az_token_env("AZURE_TENANT_ID"));
}

/* Takes `proof`. */
static void
exchange(AzTokenFetch *fetch, const char *variable, AzSecret *proof, gboolean is_assertion)
{
  Principal *principal = g_new0(Principal, 1);
  *principal = (Principal){ .fetch = az_token_fetch_ref(fetch), .variable = variable, .proof = proof };
  principal->url = token_url(fetch);
  principal->form = make_form(fetch, az_token_env("AZURE_CLIENT_ID"), proof, is_assertion);
  send(principal);
}

/* Those of `names` that are not set: "A, B and C are not set"; NULL = all are. */
static char *
describe_missing(const char *const *names)
{
  g_autoptr(GString) text = g_string_new(NULL);
  const char *last = NULL;
  for (; *names != NULL; names++) {
    if (az_token_env(*names) != NULL)
      continue;
    if (last != NULL)
      g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", last);
    last = *names;
  }
  if (last == NULL)
    return NULL;
  return text->len > 0 ? g_strdup_printf("%s and %s are not set", text->str, last)
                       : g_strdup_printf("%s is not set", last);
}

static void
fail_assertion(AzTokenFetch *fetch, const char *variable, const GError *error)
{
  g_autofree char *reason = g_strdup_printf("%s: %s", variable, error->message);
  g_autofree char *step = g_strdup_printf(g_str_equal(variable, "AZURE_FEDERATED_TOKEN_FILE")
                                              ? "Check %s: a file with a token of the federated issuer"
                                              : "Check %s: a PEM file with an RSA key without password and its "
                                                "certificate",
                                          variable);
  az_token_fetch_fail(fetch, AZLIN_ERROR_AUTH, reason, step);
}

static void
prove_with_certificate(AzTokenFetch *fetch, const char *file)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *url = token_url(fetch);
  AzSecret *proof = az_token_assertion_sign(fetch->place.http, file, az_token_env("AZURE_CLIENT_ID"), url,
                                            az_clock_now(fetch->place.clock), &error);
  if (proof != NULL)
    exchange(fetch, "AZURE_CLIENT_CERTIFICATE_PATH", proof, TRUE);
  else
    fail_assertion(fetch, "AZURE_CLIENT_CERTIFICATE_PATH", error);
}

static void
prove_with_file(AzTokenFetch *fetch, const char *file)
{
  g_autoptr(GError) error = NULL;
  AzSecret *proof = az_token_assertion_read(file, &error);
  if (proof != NULL)
    exchange(fetch, "AZURE_FEDERATED_TOKEN_FILE", proof, TRUE);
  else
    fail_assertion(fetch, "AZURE_FEDERATED_TOKEN_FILE", error);
}

void
az_token_from_environment(AzTokenFetch *fetch)
{
  static const char *const all[] = { "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", NULL };
  const char *secret = az_token_env("AZURE_CLIENT_SECRET");
  const char *certificate = az_token_env("AZURE_CLIENT_CERTIFICATE_PATH");
  if (secret == NULL && certificate == NULL) {
    g_autofree char *missing = describe_missing(all);
    az_token_fetch_pass(fetch, "%s", missing);
    return;
  }
  g_autofree char *missing = describe_missing(who);
  if (missing != NULL)
    az_token_fetch_pass(fetch, "%s is set, but %s",
                        secret != NULL ? "AZURE_CLIENT_SECRET" : "AZURE_CLIENT_CERTIFICATE_PATH", missing);
  else if (!check_names(fetch))
    return;
  else if (secret != NULL)
    exchange(fetch, "AZURE_CLIENT_SECRET", az_secret_new(secret, -1), FALSE);
  else
    prove_with_certificate(fetch, certificate);
}

void
az_token_from_workload(AzTokenFetch *fetch)
{
  const char *file = az_token_env("AZURE_FEDERATED_TOKEN_FILE");
  g_autofree char *missing = describe_missing(who);
  if (file == NULL)
    az_token_fetch_pass(fetch, "AZURE_FEDERATED_TOKEN_FILE is not set");
  else if (missing != NULL)
    az_token_fetch_pass(fetch, "AZURE_FEDERATED_TOKEN_FILE is set, but %s", missing);
  else if (check_names(fetch))
    prove_with_file(fetch, file);
}
