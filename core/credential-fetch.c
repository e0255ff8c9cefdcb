/* One token being asked for: from the first source that has one; what each of the others said stands in the error. */
#include "credential-private.h"

#include "error.h"

#include <string.h>

#define FETCH_MS 180000 /* all sources with all their attempts */

typedef struct {
  const char *name;  /* as AZURE_TOKEN_CREDENTIALS has it */
  const char *label; /* as error texts have it */
  gboolean production;
  gboolean of_subscription; /* its token may differ with the subscription that is named */
  void (*ask)(AzTokenFetch *fetch);
} Source;

static const Source sources[] = {
  { "EnvironmentCredential", "environment", TRUE, FALSE, az_token_from_environment },
  { "WorkloadIdentityCredential", "workload identity", TRUE, FALSE, az_token_from_workload },
  { "ManagedIdentityCredential", "managed identity", TRUE, FALSE, az_token_from_managed },
  { "AzureCliCredential", "az", FALSE, TRUE, az_token_from_cli },
};

static gboolean
is_wanted(const Source *source, const char *wanted)
{
  if (wanted == NULL || g_ascii_strcasecmp(wanted, "dev") == 0)
    return TRUE;
  if (g_ascii_strcasecmp(wanted, "prod") == 0)
    return source->production;
  return g_ascii_strcasecmp(wanted, source->name) == 0;
}

static gboolean
is_selection(const char *wanted)
{
  for (guint i = 0; i < G_N_ELEMENTS(sources); i++)
    if (is_wanted(&sources[i], wanted))
      return TRUE;
  return FALSE;
}

AzTokenFetch *
az_token_fetch_ref(AzTokenFetch *fetch)
{
  fetch->refs++;
  return fetch;
}

void
az_token_fetch_unref(AzTokenFetch *fetch)
{
  if (fetch == NULL || --fetch->refs > 0)
    return;
  g_free(fetch->authority);
  g_free(fetch->scope);
  g_free(fetch->subscription);
  g_string_free(fetch->tried, TRUE);
  g_free(fetch);
}

gboolean
az_token_fetch_live(const AzTokenFetch *fetch)
{
  return fetch->op != NULL && !az_op_cancelled(fetch->op);
}

gboolean
az_token_fetch_must_wait(const AzTokenFetch *fetch)
{
  return az_token_fetch_live(fetch) && fetch->not_before > az_clock_monotonic(fetch->place.clock);
}

static void
hand_over(AzTokenFetch *fetch, const AzTokenReply *reply, const GError *error)
{
  AzTokenFetched done = fetch->done;
  fetch->done = NULL;
  if (done != NULL)
    done(reply, error, fetch->not_before, fetch->data);
}

static void
note(AzTokenFetch *fetch, const char *reason)
{
  if (fetch->tried->len > 0)
    g_string_append(fetch->tried, "; ");
  g_string_append_printf(fetch->tried, "%s: %s", sources[fetch->source].label, reason);
}

static GError *
describe(const AzTokenFetch *fetch, AzlinError code)
{
  return g_error_new(AZLIN_ERROR, (int) code, "no login to Azure works: %s", fetch->tried->str);
}

/* Takes `error`. The general steps of its code are about SSH and machines: they are left out. */
static void
end_with(AzTokenFetch *fetch, GError *error)
{
  g_autoptr(GError) owned = error;
  az_error_add_step(owned, "%s", "");
  hand_over(fetch, NULL, owned);
  az_op_finish(fetch->op);
}

static void
give_up(AzTokenFetch *fetch)
{
  GError *error = describe(fetch, AZLIN_ERROR_AUTH);
  const char *wanted = az_token_env("AZURE_TOKEN_CREDENTIALS");
  if (is_wanted(&sources[G_N_ELEMENTS(sources) - 1], wanted))
    az_error_add_step(error, "Log in: az login");
  if (is_wanted(&sources[0], wanted))
    az_error_add_step(error, "Or name a service principal: AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET");
  if (wanted != NULL)
    az_error_add_step(error, "Or try all ways: unset AZURE_TOKEN_CREDENTIALS");
  end_with(fetch, error);
}

static void
ask_from(AzTokenFetch *fetch, guint first)
{
  const char *wanted = az_token_env("AZURE_TOKEN_CREDENTIALS");
  for (guint i = first; i < G_N_ELEMENTS(sources); i++) {
    if (!is_wanted(&sources[i], wanted))
      continue;
    fetch->source = i;
    sources[i].ask(fetch);
    return;
  }
  give_up(fetch);
}

void
az_token_fetch_end(AzTokenFetch *fetch, const AzTokenReply *reply)
{
  if (!az_token_fetch_live(fetch))
    return;
  AzTokenReply whole = *reply;
  whole.any_subscription = !sources[fetch->source].of_subscription;
  g_debug("token for %s from %s, good for %" G_GINT64_FORMAT " s", fetch->scope, sources[fetch->source].label,
          reply->seconds);
  hand_over(fetch, &whole, NULL);
  az_op_finish(fetch->op);
}

void
az_token_fetch_pass(AzTokenFetch *fetch, const char *format, ...)
{
  va_list args;
  if (!az_token_fetch_live(fetch))
    return;
  va_start(args, format);
  g_autofree char *reason = g_strdup_vprintf(format, args);
  va_end(args);
  g_debug("%s has no token: %s", sources[fetch->source].label, reason);
  note(fetch, reason);
  ask_from(fetch, fetch->source + 1);
}

void
az_token_fetch_fail(AzTokenFetch *fetch, AzlinError code, const char *reason, const char *step)
{
  if (!az_token_fetch_live(fetch))
    return;
  note(fetch, reason);
  GError *error = describe(fetch, code);
  if (step != NULL)
    az_error_add_step(error, "%s", step);
  end_with(fetch, error);
}

/* The op of the fetch ended: its result is out already, or its time was over, or nobody waits any more. */
static void
on_op_done(AzlinOp *op, gpointer data)
{
  g_autoptr(AzTokenFetch) fetch = data;
  if (fetch->done != NULL) {
    note(fetch, "no answer in time");
    g_autoptr(GError) error = describe(fetch, AZLIN_ERROR_NETWORK);
    hand_over(fetch, NULL, error);
  }
  fetch->op = NULL;
}

void
az_token_fetch_stop(AzTokenFetch *fetch)
{
  if (fetch == NULL)
    return;
  fetch->done = NULL;
  az_op_cancel(fetch->op, "nobody waits for the token");
}

static gboolean
begin(gpointer data)
{
  g_autoptr(AzTokenFetch) fetch = data;
  const char *wanted = az_token_env("AZURE_TOKEN_CREDENTIALS");
  if (!az_token_fetch_live(fetch))
    return G_SOURCE_REMOVE;
  if (is_selection(wanted)) {
    ask_from(fetch, 0);
    return G_SOURCE_REMOVE;
  }
  g_autofree char *shown = az_token_quote(wanted, strlen(wanted));
  GError *error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_CONFIG, "AZURE_TOKEN_CREDENTIALS is '%s'", shown);
  az_error_add_step(error, "Set it to prod, dev, EnvironmentCredential, WorkloadIdentityCredential, "
                           "ManagedIdentityCredential or AzureCliCredential, or unset it");
  end_with(fetch, error);
  return G_SOURCE_REMOVE;
}

AzTokenFetch *
az_token_fetch_start(const AzTokenPlace *place, const AzTokenAsk *ask, AzTokenFetched done, gpointer data)
{
  AzTokenFetch *fetch = g_new0(AzTokenFetch, 1);
  *fetch = (AzTokenFetch){ .place = *place, .refs = 1, .done = done, .data = data, .tried = g_string_new(NULL) };
  fetch->authority = g_strdup(ask->authority);
  fetch->scope = g_strdup(ask->scope);
  fetch->subscription = g_strdup(ask->subscription);
  fetch->op = az_op_new_root(place->clock, "token", FETCH_MS, NULL, on_op_done, fetch);
  /* not before this call has returned: the caller keeps what it returns first */
  g_autoptr(GSource) soon = g_idle_source_new();
  g_source_set_priority(soon, G_PRIORITY_DEFAULT);
  g_source_set_callback(soon, begin, az_token_fetch_ref(fetch), NULL);
  g_source_attach(soon, g_main_context_get_thread_default());
  return fetch;
}
