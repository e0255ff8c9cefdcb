/* Leases: a key that stands as long as its lease is kept alive; its create revision is the fence token. */
#include "etcd.h"
#include "lease.h"
#include <string.h>

#define MIN_TTL_S (2 * LEASE_MARGIN_S)
#define ACQUIRE_S 8u
#define QUICK_S 3u
#define MAX_GIVEN_UP 256

typedef struct {
  gint64 lease;    /* etcd's number of it, chosen by us */
  guint64 token;   /* create revision of the key */
  gint64 deadline; /* monotonic: from then on another may hold it */
  guint32 ttl_s;
} EtcdLease;

typedef struct {
  Etcd *etcd;
  AzlinOp *op;
  char *key, *full; /* full: with the prefix */
  EtcdLease lease;
  gint64 sent; /* monotonic: before the lease could begin to run */
} Work;

static Work *
work_new(Etcd *etcd, AzlinOp *op, const char *key)
{
  Work *work = g_new0(Work, 1);
  work->etcd = etcd;
  work->op = op;
  work->key = g_strdup(key);
  work->full = g_strconcat(etcd->cluster.prefix, key, NULL);
  return work;
}

static void
work_free(Work *work)
{
  g_free(work->key);
  g_free(work->full);
  g_free(work);
}

static gint64
monotonic(Etcd *etcd)
{
  return etcd->cluster.api->monotonic(etcd->cluster.host);
}

/* Takes `error`. */
static void
fail(Work *work, GError *error)
{
  work->etcd->cluster.api->op_fail(work->op, error);
  work_free(work);
}

static EtcdLease *
held(Etcd *etcd, const char *key, guint64 token)
{
  EtcdLease *lease = g_hash_table_lookup(etcd->leases, key);
  return lease != NULL && lease->token == token ? lease : NULL;
}

/* From when on it is lost when the clock of its TTL began no earlier than `sent`. A server may give another time than
 * was asked for; the shorter one is safe. */
static gint64
deadline_of(gint64 sent, guint32 asked_s, guint32 given_s)
{
  guint32 seconds = MIN(asked_s, given_s);
  return sent + (gint64) (seconds > LEASE_MARGIN_S ? seconds - LEASE_MARGIN_S : 0) * G_USEC_PER_SEC;
}

/* It is ours no more, whatever etcd thinks of it: nobody here counts on it from now on. */
static void
give_up(Work *work)
{
  GHashTable *given_up = work->etcd->given_up;
  if (held(work->etcd, work->key, work->lease.token) != NULL)
    g_hash_table_remove(work->etcd->leases, work->key);
  if (g_hash_table_size(given_up) >= MAX_GIVEN_UP) /* they ended long ago */
    g_hash_table_remove_all(given_up);
  g_hash_table_add(given_up, g_memdup2(&work->lease.lease, sizeof work->lease.lease));
}

/* ---- acquire: look, get a lease, take the key ---- */

static void
on_revoked(AzlinOp *op, gpointer data)
{
}

static void
on_revoke_answer(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  /* gone: an attempt before this one came through, or its time was over */
  gboolean gone = etcd_complains(reply, "lease not found");
  if (reply->error != NULL && !gone) {
    fail(work, g_error_copy(reply->error));
    return;
  }
  g_hash_table_remove(work->etcd->given_up, &work->lease.lease);
  work->etcd->cluster.api->op_finish(work->op);
  work_free(work);
}

/* A lease that is of no use ends by itself; this only spares etcd the wait. */
static void
revoke_beside(Work *work)
{
  const AzlinHostApi *api = work->etcd->cluster.api;
  AzlinOp *op = api->op_new_detached(work->op, "give the lease back", QUICK_S * 1000, on_revoked, NULL);
  Work *beside = work_new(work->etcd, op, work->key);
  etcd_ask(&work->etcd->cluster, op, "/v3/lease/revoke", etcd_lease(work->lease.lease), 0, on_revoke_answer, beside);
}

static void
keep(Work *work, guint64 token)
{
  Etcd *etcd = work->etcd;
  work->lease.token = token;
  g_hash_table_replace(etcd->leases, g_strdup(work->key), g_memdup2(&work->lease, sizeof work->lease));
  etcd->cluster.api->op_finish_variant(work->op, g_variant_new_uint64(token));
  work_free(work);
}

/* Also the answer to a second attempt, after a first one whose outcome nobody told: then the key stands already, with
 * our lease. */
static void
on_taken(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  Etcd *etcd = work->etcd;
  g_auto(EtcdHolder) holder = { 0 };
  GError *error = reply->error != NULL ? g_error_copy(reply->error) : NULL;
  if (error == NULL && !etcd_find(reply->body, &holder))
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "etcd's answer does not say who holds \"%s\"", work->key);
  else if (error == NULL && holder.created > 0 && holder.lease != work->lease.lease)
    error = lease_held(work->key, holder.value);
  else if (error == NULL && holder.created == 0)
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "etcd lost \"%s\" as it gave it out", work->key);
  else if (error == NULL && monotonic(etcd) >= work->lease.deadline)
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_NETWORK, "etcd took so long that the lease \"%s\" is over", work->key);
  if (error == NULL && !etcd->cluster.api->op_cancelled(work->op)) {
    keep(work, holder.created);
    return;
  }
  revoke_beside(work);
  fail(work, error);
}

guint32
etcd_granted(const EtcdReply *reply, guint32 asked_s, GError **error)
{
  /* the number is ours alone: "exists" means that an attempt before this one came through */
  if (etcd_complains(reply, "lease already exists"))
    return asked_s;
  guint32 given = reply->error == NULL ? etcd_ttl(reply->body) : 0;
  if (reply->error != NULL)
    g_propagate_error(error, g_error_copy(reply->error));
  else if (given == 0)
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_FAILED, "etcd gave out a lease without saying for how long");
  return given;
}

static void
on_granted(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  GError *error = NULL;
  guint32 given = etcd_granted(reply, work->lease.ttl_s, &error);
  if (given == 0) {
    fail(work, error);
    return;
  }
  g_autofree char *us = lease_holder(work->etcd->cluster.host);
  work->lease.deadline = deadline_of(work->sent, work->lease.ttl_s, given);
  etcd_ask(&work->etcd->cluster, work->op, "/v3/kv/txn", etcd_take(work->full, us, work->lease.lease), ACQUIRE_S,
           on_taken, work);
}

gint64
etcd_fresh_number(void)
{
  guint64 number = (guint64) g_random_int() << 32 | g_random_int();
  return (gint64) (number >> 1 | 1);
}

static void look(Work *work);

static void
on_swept(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  if (reply->error != NULL && reply->complaint == NULL)
    fail(work, g_error_copy(reply->error));
  else
    look(work);
}

/* What stands in the way is our own, from before an outage: given up here, and not yet by etcd. */
static gboolean
sweep(Work *work, const EtcdHolder *holder)
{
  Etcd *etcd = work->etcd;
  if (!g_hash_table_remove(etcd->given_up, &holder->lease))
    return FALSE;
  etcd_ask(&etcd->cluster, work->op, "/v3/lease/revoke", etcd_lease(holder->lease), QUICK_S, on_swept, work);
  return TRUE;
}

/* Who waits for a lock asks again and again: that costs etcd a read and no write. */
static void
on_looked(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  g_auto(EtcdHolder) holder = { 0 };
  if (reply->error != NULL) {
    fail(work, g_error_copy(reply->error));
    return;
  }
  if (etcd_find(reply->body, &holder) && holder.created > 0) {
    if (!sweep(work, &holder))
      fail(work, lease_held(work->key, holder.value));
    return;
  }
  work->lease.lease = etcd_fresh_number();
  work->sent = monotonic(work->etcd);
  etcd_ask(&work->etcd->cluster, work->op, "/v3/lease/grant", etcd_grant(work->lease.lease, work->lease.ttl_s),
           ACQUIRE_S, on_granted, work);
}

static void
look(Work *work)
{
  etcd_ask(&work->etcd->cluster, work->op, "/v3/kv/range", etcd_read(work->full), ACQUIRE_S, on_looked, work);
}

void
etcd_acquire(gpointer self, const char *key, guint32 ttl_s, AzlinOp *op)
{
  Etcd *etcd = self;
  if (key == NULL || *key == '\0') {
    etcd->cluster.api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE, "a lease needs a key"));
    return;
  }
  Work *work = work_new(etcd, op, key);
  work->lease.ttl_s = MAX(ttl_s, MIN_TTL_S);
  look(work);
}

/* ---- renew ---- */

static void
lose(Work *work, const char *why)
{
  give_up(work);
  fail(work, lease_lost(work->key, work->lease.token, why));
}

/* An error while there is time is not a lease lost yet: whoever asks may ask again. */
static void
renewal_failed(Work *work, const GError *error)
{
  if (monotonic(work->etcd) < work->lease.deadline) {
    fail(work, g_error_copy(error));
    return;
  }
  g_autofree char *why = g_strdup_printf("could not be renewed in time: %s", error->message);
  lose(work, why);
}

static void
on_still(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  EtcdLease *lease = held(work->etcd, work->key, work->lease.token);
  if (reply->error != NULL) {
    renewal_failed(work, reply->error);
    return;
  }
  if (!etcd_succeeded(reply->body)) {
    lose(work, "was taken away: its key is gone, or somebody else's");
    return;
  }
  if (lease == NULL) {
    fail(work, lease_lost(work->key, work->lease.token, "was released meanwhile"));
    return;
  }
  lease->deadline = MAX(lease->deadline, work->sent);
  work->etcd->cluster.api->op_finish(work->op);
  work_free(work);
}

/* Rounded up: whoever gives up then finds the lease lost, and not a network that might come back. */
static guint32
seconds_left(Work *work)
{
  gint64 left = work->lease.deadline - monotonic(work->etcd);
  return (guint32) MAX((left + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC, 1);
}

static void
on_kept(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  guint32 given = etcd_ttl(reply->body);
  if (reply->error != NULL) {
    renewal_failed(work, reply->error);
    return;
  }
  if (given == 0) {
    lose(work, "has run out");
    return;
  }
  work->sent = deadline_of(reply->sent, work->lease.ttl_s, given);
  etcd_ask(&work->etcd->cluster, work->op, "/v3/kv/txn", etcd_still(work->full, work->lease.token, work->lease.lease),
           seconds_left(work), on_still, work);
}

void
etcd_renew(gpointer self, const char *key, guint64 token, AzlinOp *op)
{
  Etcd *etcd = self;
  EtcdLease *lease = held(etcd, key, token);
  if (lease == NULL) {
    etcd->cluster.api->op_fail(op, lease_lost(key, token, "is not held any more"));
    return;
  }
  Work *work = work_new(etcd, op, key);
  work->lease = *lease;
  if (monotonic(etcd) >= lease->deadline)
    lose(work, "was not renewed in time");
  else
    etcd_ask(&etcd->cluster, op, "/v3/lease/keepalive", etcd_lease(lease->lease), seconds_left(work), on_kept, work);
}

/* ---- release ---- */

static void
on_dropped(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  if (reply->error != NULL)
    fail(work, g_error_copy(reply->error));
  else
    etcd_ask(&work->etcd->cluster, work->op, "/v3/lease/revoke", etcd_lease(work->lease.lease), QUICK_S,
             on_revoke_answer, work);
}

void
etcd_release(gpointer self, const char *key, guint64 token, AzlinOp *op)
{
  Etcd *etcd = self;
  EtcdLease *lease = held(etcd, key, token);
  if (lease == NULL) {
    etcd->cluster.api->op_finish(op);
    return;
  }
  Work *work = work_new(etcd, op, key);
  work->lease = *lease;
  give_up(work);
  etcd_ask(&etcd->cluster, op, "/v3/kv/txn", etcd_drop(work->full, token, work->lease.lease), QUICK_S, on_dropped,
           work);
}

/* ---- check ---- */

static void
on_checked(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  if (reply->error != NULL) {
    fail(work, g_error_copy(reply->error));
    return;
  }
  work->etcd->cluster.api->op_finish(work->op);
  work_free(work);
}

void
etcd_check(gpointer self, AzlinOp *op)
{
  Etcd *etcd = self;
  Work *work = work_new(etcd, op, "check");
  etcd_ask(&etcd->cluster, op, "/v3/kv/range", etcd_read(work->full), 0, on_checked, work);
}
