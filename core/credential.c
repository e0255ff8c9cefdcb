/* Tokens for whoever asks: cached per identity, fetched once for all who wait, refreshed before they expire. */
#include "credential-private.h"

#include "error.h"

#define EARLY (5 * 60 * (gint64) G_USEC_PER_SEC)       /* before its end a token is replaced */
#define REMEMBER_FAILURE (5 * (gint64) G_USEC_PER_SEC) /* what has just been refused is not asked for again at once */
#define PUBLIC_AUTHORITY "https://login.microsoftonline.com"

struct _AzCredentials {
  AzHttp *http;
  AzClock *clock;
  GHashTable *entries; /* of Entry, by key_of() */
  gboolean imds_here, imds_absent;
};

typedef struct {
  AzCredentials *credentials;
  AzSecret *token;               /* NULL = none yet */
  gint64 refresh_at, expires_at; /* of `token`; monotonic */
  GError *failure;               /* of the last fetch, until `failure_until` */
  gint64 failure_until;
  AzTokenFetch *fetch; /* NULL = none under way */
  GPtrArray *waiters;  /* of Waiter, borrowed: each lives until its op is done */
} Entry;

typedef struct {
  AzlinOp *op;
  Entry *entry; /* NULL when it does not wait (any more) */
  AzSecret *rejected, *token;
  AzTokenDone done;
  gpointer data;
} Waiter;

/* ---- those who wait ---- */

static void
on_waiter_done(AzlinOp *op, gpointer data)
{
  g_autofree Waiter *waiter = data;
  g_autoptr(AzSecret) token = waiter->token;
  g_autoptr(AzSecret) rejected = waiter->rejected;
  if (waiter->done != NULL)
    waiter->done(token, az_op_error(op), waiter->data);
}

static void
on_waiter_cut(gpointer data)
{
  Waiter *waiter = data;
  Entry *entry = g_steal_pointer(&waiter->entry);
  if (entry == NULL)
    return;
  g_ptr_array_remove_fast(entry->waiters, waiter);
  if (entry->waiters->len == 0)
    az_token_fetch_stop(g_steal_pointer(&entry->fetch));
}

/* The token stands for this waiter: good still, and not the one that it was refused with. */
static gboolean
token_serves(const Entry *entry, const AzSecret *rejected)
{
  return entry->token != NULL && az_clock_monotonic(entry->credentials->clock) < entry->expires_at
         && !az_secret_equal(entry->token, rejected);
}

static void
answer(Waiter *waiter, const Entry *entry, const GError *error)
{
  /* a refresh that failed costs nothing as long as the old token is good */
  if (token_serves(entry, waiter->rejected)) {
    waiter->token = az_secret_ref(entry->token);
    az_op_finish(waiter->op);
  } else if (error != NULL) {
    az_op_fail(waiter->op, g_error_copy(error));
  } else {
    g_autoptr(GError) same = g_error_new(AZLIN_ERROR, AZLIN_ERROR_AUTH,
                                         "the token was refused with 401, and asking again gave the same one");
    az_error_add_step(same, "Log in anew: az logout; az login");
    az_op_fail(waiter->op, g_steal_pointer(&same));
  }
}

static void
answer_all(Entry *entry, const GError *error)
{
  g_autoptr(GPtrArray) waiters = g_steal_pointer(&entry->waiters);
  entry->waiters = g_ptr_array_new();
  for (guint i = 0; i < waiters->len; i++) {
    Waiter *waiter = g_ptr_array_index(waiters, i);
    waiter->entry = NULL;
    answer(waiter, entry, error);
  }
}

/* ---- entries ---- */

static Entry *
entry_new(AzCredentials *credentials)
{
  Entry *entry = g_new0(Entry, 1);
  *entry = (Entry){ .credentials = credentials, .waiters = g_ptr_array_new() };
  return entry;
}

static void
entry_free(gpointer data)
{
  Entry *entry = data;
  az_token_fetch_stop(g_steal_pointer(&entry->fetch));
  for (guint i = 0; i < entry->waiters->len; i++) {
    Waiter *waiter = g_ptr_array_index(entry->waiters, i);
    waiter->entry = NULL;
    waiter->done = NULL;
  }
  g_clear_pointer(&entry->token, az_secret_unref);
  g_ptr_array_unref(entry->waiters);
  g_clear_error(&entry->failure);
  g_free(entry);
}

static void
take_token(Entry *entry, const AzTokenReply *reply)
{
  gint64 now = az_clock_monotonic(entry->credentials->clock);
  gint64 life = reply->seconds * G_USEC_PER_SEC;
  g_clear_pointer(&entry->token, az_secret_unref);
  entry->token = az_secret_ref(reply->token);
  entry->expires_at = now + life;
  entry->refresh_at = entry->expires_at - MIN(EARLY, life / 2);
}

static void
on_fetched(const AzTokenReply *reply, const GError *error, gint64 not_before, gpointer data)
{
  Entry *entry = data;
  gint64 now = az_clock_monotonic(entry->credentials->clock);
  entry->fetch = NULL;
  g_clear_error(&entry->failure);
  if (reply != NULL) {
    take_token(entry, reply);
  } else {
    entry->failure = g_error_copy(error);
    entry->failure_until = MAX(now + REMEMBER_FAILURE, not_before);
  }
  answer_all(entry, error);
}

static void
start_fetch(Entry *entry, const AzTokenAsk *ask)
{
  AzCredentials *credentials = entry->credentials;
  AzTokenPlace place = { .http = credentials->http,
                         .clock = credentials->clock,
                         .imds_here = &credentials->imds_here,
                         .imds_absent = &credentials->imds_absent };
  entry->fetch = az_token_fetch_start(&place, ask, on_fetched, entry);
}

static void
serve(Entry *entry, const AzTokenAsk *ask, Waiter *waiter)
{
  gint64 now = az_clock_monotonic(entry->credentials->clock);
  gboolean failed = entry->failure != NULL && now < entry->failure_until;
  if (token_serves(entry, waiter->rejected) && (now < entry->refresh_at || failed)) {
    answer(waiter, entry, NULL);
    return;
  }
  if (failed) {
    answer(waiter, entry, entry->failure);
    return;
  }
  waiter->entry = entry;
  g_ptr_array_add(entry->waiters, waiter);
  az_op_on_cancel(waiter->op, on_waiter_cut, waiter);
  if (entry->fetch == NULL)
    start_fetch(entry, ask);
}

/* ---- for callers ---- */

static gboolean
check_ask(const AzlinIdentity *identity, AzTokenAsk *ask, GError **error)
{
  const char *variable = az_token_env("AZURE_AUTHORITY_HOST");
  const char *option = identity->authority != NULL && *identity->authority != '\0' ? identity->authority : NULL;
  const char *url = variable != NULL ? variable : option != NULL ? option : PUBLIC_AUTHORITY;
  const char *subscription = identity->subscription;
  ask->scope = identity->scope;
  ask->subscription = subscription != NULL && *subscription != '\0' ? subscription : NULL;
  if (ask->scope == NULL || !az_token_plain_word(ask->scope, ".:/_-")) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                "the scope of a token may have letters, digits and .:/_- alone");
    return FALSE;
  }
  if (ask->subscription != NULL && !az_token_plain_word(ask->subscription, "._ -")) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                "the name of a subscription may have letters, digits, blanks and ._- alone");
    return FALSE;
  }
  ask->authority = az_token_authority(url, variable != NULL ? "AZURE_AUTHORITY_HOST" : "the authority", error);
  return ask->authority != NULL;
}

static char *
key_of(const AzTokenAsk *ask)
{
  const char *tenant = az_token_env("AZURE_TENANT_ID"), *client = az_token_env("AZURE_CLIENT_ID");
  return g_strjoin("\n", ask->authority, ask->scope, tenant != NULL ? tenant : "", client != NULL ? client : "",
                   ask->subscription != NULL ? ask->subscription : "", NULL);
}

AzCredentials *
az_credentials_new(AzHttp *http, AzClock *clock)
{
  AzCredentials *credentials = g_new0(AzCredentials, 1);
  *credentials = (AzCredentials){ .http = http, .clock = clock };
  credentials->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
  return credentials;
}

void
az_credentials_free(AzCredentials *credentials)
{
  if (credentials == NULL)
    return;
  g_hash_table_unref(credentials->entries);
  g_free(credentials);
}

void
az_credentials_get(AzCredentials *credentials, const AzlinIdentity *identity, const AzSecret *rejected, AzlinOp *parent,
                   AzTokenDone done, gpointer data)
{
  GError *error = NULL;
  AzTokenAsk ask = { 0 };
  Waiter *waiter = g_new0(Waiter, 1);
  *waiter = (Waiter){ .done = done, .data = data };
  waiter->rejected = rejected != NULL ? az_secret_ref(rejected) : NULL;
  waiter->op = az_op_new(parent, "token", 0, on_waiter_done, waiter);
  if (az_op_cancelled(waiter->op))
    return;
  if (!check_ask(identity, &ask, &error)) {
    az_op_fail(waiter->op, error);
    return;
  }
  g_autofree char *authority = ask.authority;
  g_autofree char *key = key_of(&ask);
  Entry *entry = g_hash_table_lookup(credentials->entries, key);
  if (entry == NULL) {
    entry = entry_new(credentials);
    g_hash_table_insert(credentials->entries, g_steal_pointer(&key), entry);
  }
  serve(entry, &ask, waiter);
}
