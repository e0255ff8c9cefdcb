/* Tokens for whoever asks: cached per identity, fetched once for all who wait, refreshed before they expire. */
#include "credential-private.h"

#include "error.h"

#define EARLY (5 * 60 * (gint64) G_USEC_PER_SEC)       /* before its end a token is replaced */
#define REMEMBER_FAILURE (5 * (gint64) G_USEC_PER_SEC) /* what has just been refused is not asked for again at once */
#define PUBLIC_AUTHORITY "https://login.microsoftonline.com"

struct _AzCredentials {
  AzHttp *http;
  AzClock *clock;
  GHashTable *entries; /* of Entry, by identity and subscription */
  gboolean imds_here, imds_absent;
};

typedef struct {
  AzCredentials *credentials;
  char *identity;                         /* the key without the subscription */
  char *authority, *scope, *subscription; /* as in AzTokenAsk */
  AzSecret *token;                        /* NULL = none yet */
  gboolean any_subscription;              /* `token` is as good for others */
  gint64 refresh_at, expires_at;          /* of `token`; monotonic */
  GError *failure;                        /* of the last fetch, until `failure_until` */
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
  gboolean goes_on = entry->fetch != NULL && az_token_fetch_must_wait(entry->fetch); /* whoever asks next joins it */
  if (entry->waiters->len == 0 && !goes_on)
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
  g_free(entry->identity);
  g_free(entry->authority);
  g_free(entry->scope);
  g_free(entry->subscription);
  g_free(entry);
}

static void
take_token(Entry *entry, const AzTokenReply *reply)
{
  gint64 now = az_clock_monotonic(entry->credentials->clock);
  gint64 life = reply->seconds * G_USEC_PER_SEC;
  g_clear_pointer(&entry->token, az_secret_unref);
  entry->token = az_secret_ref(reply->token);
  entry->any_subscription = reply->any_subscription;
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
start_fetch(Entry *entry)
{
  AzCredentials *credentials = entry->credentials;
  AzTokenAsk ask = { .authority = entry->authority, .scope = entry->scope, .subscription = entry->subscription };
  AzTokenPlace place = { .http = credentials->http,
                         .clock = credentials->clock,
                         .imds_here = &credentials->imds_here,
                         .imds_absent = &credentials->imds_absent };
  entry->fetch = az_token_fetch_start(&place, &ask, on_fetched, entry);
}

static void
serve(Entry *entry, Waiter *waiter)
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
    start_fetch(entry);
}

/* ---- whose entry ---- */

/* What is asked for, as it was said and still to be checked. */
static AzTokenAsk
ask_of(const AzlinIdentity *identity)
{
  const char *variable = az_token_env("AZURE_AUTHORITY_HOST");
  const char *option = identity->authority != NULL && *identity->authority != '\0' ? identity->authority : NULL;
  const char *subscription = identity->subscription;
  return (AzTokenAsk){ .authority = variable != NULL ? variable
                                    : option != NULL ? option
                                                     : PUBLIC_AUTHORITY,
                       .scope = identity->scope,
                       .subscription = subscription != NULL && *subscription != '\0' ? subscription : NULL };
}

static Entry *
entry_new(AzCredentials *credentials, const AzTokenAsk *ask, GError **error)
{
  gboolean by_variable = az_token_env("AZURE_AUTHORITY_HOST") != NULL;
  if (ask->scope == NULL || !az_token_plain_word(ask->scope, ".:/_-")) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                "the scope of a token may have letters, digits and .:/_- alone");
    return NULL;
  }
  if (ask->subscription != NULL && !az_token_plain_word(ask->subscription, "._ -")) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                "the name of a subscription may have letters, digits, blanks and ._- alone");
    return NULL;
  }
  char *authority = az_token_authority(ask->authority, by_variable ? "AZURE_AUTHORITY_HOST" : "the authority", error);
  if (authority == NULL)
    return NULL;
  Entry *entry = g_new0(Entry, 1);
  *entry = (Entry){ .credentials = credentials, .authority = authority, .waiters = g_ptr_array_new() };
  entry->scope = g_strdup(ask->scope);
  entry->subscription = g_strdup(ask->subscription);
  return entry;
}

/* The same subscription, or an identity that is the same whatever the subscription. */
static Entry *
find_entry(AzCredentials *credentials, const char *identity, const char *key)
{
  gpointer value;
  GHashTableIter iter;
  Entry *entry = g_hash_table_lookup(credentials->entries, key);
  if (entry != NULL)
    return entry;
  g_hash_table_iter_init(&iter, credentials->entries);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    Entry *other = value;
    if (other->any_subscription && g_str_equal(other->identity, identity))
      return other;
  }
  return NULL;
}

/* NULL: CONFIG, something in it may not be used. */
static Entry *
get_entry(AzCredentials *credentials, const AzlinIdentity *asked, GError **error)
{
  AzTokenAsk ask = ask_of(asked);
  const char *tenant = az_token_env("AZURE_TENANT_ID"), *client = az_token_env("AZURE_CLIENT_ID");
  g_autofree char *identity = g_strjoin("\n", ask.authority, ask.scope != NULL ? ask.scope : "",
                                        tenant != NULL ? tenant : "", client != NULL ? client : "", NULL);
  g_autofree char *key = g_strjoin("\n", identity, ask.subscription, NULL);
  Entry *entry = find_entry(credentials, identity, key);
  if (entry != NULL)
    return entry;
  entry = entry_new(credentials, &ask, error);
  if (entry == NULL)
    return NULL;
  entry->identity = g_steal_pointer(&identity);
  g_hash_table_insert(credentials->entries, g_steal_pointer(&key), entry);
  return entry;
}

/* ---- for callers ---- */

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
  Waiter *waiter = g_new0(Waiter, 1);
  *waiter = (Waiter){ .done = done, .data = data };
  waiter->rejected = rejected != NULL ? az_secret_ref(rejected) : NULL;
  waiter->op = az_op_new(parent, "token", 0, on_waiter_done, waiter);
  if (az_op_cancelled(waiter->op))
    return;
  Entry *entry = get_entry(credentials, identity, &error);
  if (entry != NULL)
    serve(entry, waiter);
  else
    az_op_fail(waiter->op, error);
}
