/* Leases: a blob that one lease at a time may write; its epoch, advanced under the lease, is the fence token. */
#include "blob.h"
#include "lease.h"
#include <string.h>

/* a lease counts as lost so long before the service lets another have it: clocks run differently */
#define SHORTEST_S 15u
#define LONGEST_S 60u /* what the service gives at most, but for ever */
#define REQUEST_MS 8000
#define QUICK_MS 5000
#define AGAIN_MS 1000
#define MAX_TRIES 4
#define MAX_RECORD 4096

typedef struct {
  char *id; /* the service's name of it, chosen by us */
  guint64 token;
  gint64 deadline; /* monotonic: from then on another may hold it */
  guint32 ttl_s;
} BlobLease;

typedef struct {
  Locks *locks;
  const AzlinHostApi *api;
  AzlinOp *op;
  char *key, *path;
  char *lease_id, *mark; /* mark: of this acquire, in the record that it writes */
  guint64 token;
  guint32 ttl_s;
  gint64 sent, deadline; /* monotonic; sent: before the lease could begin to run */
  guint tries;
} Work;

void
locks_lease_free(gpointer data)
{
  BlobLease *lease = data;
  g_free(lease->id);
  g_free(lease);
}

static Work *
work_new(Locks *locks, AzlinOp *op, const char *key)
{
  Work *work = g_new0(Work, 1);
  g_autofree char *name = lock_blob_name(key);
  work->locks = locks;
  work->api = locks->account.api;
  work->op = op;
  work->key = g_strdup(key);
  work->path = g_strconcat("/", locks->container, "/", name, NULL);
  return work;
}

static void
work_free(Work *work)
{
  g_free(work->key);
  g_free(work->path);
  g_free(work->lease_id);
  g_free(work->mark);
  g_free(work);
}

static gint64
monotonic(const Work *work)
{
  return work->api->monotonic(work->locks->account.host);
}

static BlobLease *
held(Locks *locks, const char *key, guint64 token)
{
  BlobLease *lease = g_hash_table_lookup(locks->leases, key);
  return lease != NULL && lease->token == token ? lease : NULL;
}

/* Takes `error`. */
static void
fail(Work *work, GError *error)
{
  work->api->op_fail(work->op, error);
  work_free(work);
}

static void
finish(Work *work)
{
  work->api->op_finish(work->op);
  work_free(work);
}

/* ---- requests ---- */

static void
ask_lease(Work *work, const char *action, guint32 timeout_ms, AzlinDone done)
{
  g_autofree char *path = g_strconcat(work->path, "?comp=lease", NULL), *seconds = g_strdup_printf("%u", work->ttl_s);
  gboolean acquire = g_str_equal(action, "acquire");
  const char *const headers[] = { "x-ms-lease-action",
                                  action,
                                  acquire ? "x-ms-proposed-lease-id" : "x-ms-lease-id",
                                  work->lease_id,
                                  acquire ? "x-ms-lease-duration" : NULL,
                                  seconds,
                                  NULL };
  StorageRequest request = { .method = "PUT", .path = path, .headers = headers };
  storage_send(&work->locks->account, &request, work->api->op_new(work->op, action, timeout_ms, done, work));
}

static GError *
refusal(Work *work, const char *what, const AzlinHttpReply *reply)
{
  return storage_error(&work->locks->account, what, reply);
}

static gboolean
says(const AzlinHttpReply *reply, const char *code)
{
  return g_str_equal(storage_header(reply, "x-ms-error-code"), code);
}

/* ---- acquire: the lease, then the epoch under it ---- */

static void take_lease(Work *work);
static void read_record(Work *work);

static void
on_beside(AzlinOp *op, gpointer data)
{
}

static void
on_released(AzlinOp *op, gpointer data)
{
  Work *work = data;
  const GError *error = work->api->op_error(op);
  const AzlinHttpReply *reply = work->api->op_http(op);
  if (error != NULL) {
    fail(work, g_error_copy(error));
    return;
  }
  /* gone with its blob, over, or another's by now: ours it is not */
  if (reply->status != 200 && reply->status != 404 && reply->status != 409 && reply->status != 412) {
    fail(work, refusal(work, "take a lease back", reply));
    return;
  }
  if (g_strcmp0(g_hash_table_lookup(work->locks->given_up, work->key), work->lease_id) == 0)
    g_hash_table_remove(work->locks->given_up, work->key);
  finish(work);
}

static void
give_up(Locks *locks, const char *key, const char *lease_id)
{
  g_hash_table_replace(locks->given_up, g_strdup(key), g_strdup(lease_id));
}

/* Fails the acquire; a lease that it has got is given back beside, or runs out. Takes `error`. */
static void
give_back(Work *work, GError *error)
{
  AzlinOp *op = work->api->op_new_detached(work->op, "give the lease back", QUICK_MS, on_beside, NULL);
  Work *beside = work_new(work->locks, op, work->key);
  beside->lease_id = g_strdup(work->lease_id);
  give_up(work->locks, work->key, work->lease_id);
  ask_lease(beside, "release", 0, on_released);
  fail(work, error);
}

static void
keep(Work *work, guint64 token)
{
  BlobLease *lease;
  if (monotonic(work) >= work->deadline || work->api->op_cancelled(work->op)) {
    give_back(work, g_error_new(AZLIN_ERROR, AZLIN_ERROR_NETWORK, "%s took so long that the lease \"%s\" is over",
                                work->locks->account.endpoint->origin, work->key));
    return;
  }
  lease = g_new0(BlobLease, 1);
  *lease = (BlobLease){ g_strdup(work->lease_id), token, work->deadline, work->ttl_s };
  g_hash_table_replace(work->locks->leases, g_strdup(work->key), lease);
  work->api->op_finish_variant(work->op, g_variant_new_uint64(token));
  work_free(work);
}

static void
on_written(AzlinOp *op, gpointer data)
{
  Work *work = data;
  const GError *error = work->api->op_error(op);
  const AzlinHttpReply *reply = work->api->op_http(op);
  if (error != NULL)
    give_back(work, g_error_copy(error));
  else if (reply->status == 201)
    keep(work, work->token);
  else if (reply->status == 412 && ++work->tries < MAX_TRIES)
    read_record(work); /* perhaps an attempt before this one came through: its mark says so */
  else
    give_back(work, refusal(work, "write down who has the lock", reply));
}

static void
write_record(Work *work, guint64 epoch, const char *etag)
{
  g_autofree char *us = lease_holder(work->locks->account.host);
  LockRecord record = { .epoch = epoch, .mark = work->mark, .holder = us };
  g_autoptr(GBytes) body = lock_record_print(&record);
  const char *const headers[]
      = { "x-ms-blob-type", "BlockBlob", "x-ms-lease-id", work->lease_id, "If-Match", etag, NULL };
  StorageRequest request
      = { .method = "PUT", .path = work->path, .headers = headers, .body = body, .content_type = "application/json" };
  work->token = epoch;
  storage_send(&work->locks->account, &request,
               work->api->op_new(work->op, "write the epoch", REQUEST_MS, on_written, work));
}

static void
on_read(AzlinOp *op, gpointer data)
{
  Work *work = data;
  g_auto(LockRecord) record = { 0 };
  const GError *error = work->api->op_error(op);
  const AzlinHttpReply *reply = work->api->op_http(op);
  const char *etag = reply != NULL ? storage_header(reply, "etag") : "";
  if (error != NULL)
    give_back(work, g_error_copy(error));
  else if (reply->status != 200 || *etag == '\0')
    give_back(work, refusal(work, "say who had the lock", reply));
  else if (!lock_record_parse(reply->body, &record))
    give_back(work, g_error_new(AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                                "the blob %s is damaged: write {\"epoch\": N} into it, with N above every epoch and "
                                "token that was in use",
                                work->path + 1));
  else if (g_strcmp0(record.mark, work->mark) == 0)
    keep(work, record.epoch);
  else
    write_record(work, record.epoch + 1, etag);
}

static void
get_record(Work *work, AzlinDone done)
{
  StorageRequest request = { .method = "GET", .path = work->path, .max_body = MAX_RECORD };
  storage_send(&work->locks->account, &request, work->api->op_new(work->op, "read the epoch", REQUEST_MS, done, work));
}

static void
read_record(Work *work)
{
  get_record(work, on_read);
}

/* Only a hint for people: the lease is what counts. */
static void
on_holder(AzlinOp *op, gpointer data)
{
  Work *work = data;
  g_auto(LockRecord) record = { 0 };
  const AzlinHttpReply *reply = work->api->op_error(op) == NULL ? work->api->op_http(op) : NULL;
  gboolean known = reply != NULL && reply->status == 200 && lock_record_parse(reply->body, &record);
  fail(work, lease_held(work->key, known ? record.holder : NULL));
}

static void
on_made(AzlinOp *op, gpointer data)
{
  Work *work = data;
  const GError *error = work->api->op_error(op);
  const AzlinHttpReply *reply = work->api->op_http(op);
  if (error != NULL)
    fail(work, g_error_copy(error));
  else if (reply->status == 201 || reply->status == 409 || reply->status == 412) /* there by now */
    take_lease(work);
  else
    fail(work, refusal(work, "make room for a lock", reply));
}

static void
make_blob(Work *work)
{
  LockRecord fresh = { 0 };
  g_autoptr(GBytes) body = lock_record_print(&fresh);
  const char *const headers[] = { "x-ms-blob-type", "BlockBlob", "If-None-Match", "*", NULL };
  StorageRequest request
      = { .method = "PUT", .path = work->path, .headers = headers, .body = body, .content_type = "application/json" };
  storage_send(&work->locks->account, &request,
               work->api->op_new(work->op, "make the blob", REQUEST_MS, on_made, work));
}

static void
make_container(Work *work)
{
  g_autofree char *path = g_strdup_printf("/%s?restype=container", work->locks->container);
  StorageRequest request = { .method = "PUT", .path = path };
  storage_send(&work->locks->account, &request,
               work->api->op_new(work->op, "make the container", REQUEST_MS, on_made, work));
}

static void
on_leased(AzlinOp *op, gpointer data)
{
  Work *work = data;
  const GError *error = work->api->op_error(op);
  const AzlinHttpReply *reply = work->api->op_http(op);
  if (error != NULL)
    fail(work, g_error_copy(error));
  else if (reply->status == 201 || reply->status == 200)
    read_record(work);
  else if (reply->status == 409 && g_str_has_prefix(storage_header(reply, "x-ms-error-code"), "Lease"))
    get_record(work, on_holder);
  else if (++work->tries >= MAX_TRIES)
    fail(work, refusal(work, "give out a lease", reply));
  else if (says(reply, "ContainerNotFound"))
    make_container(work);
  else if (reply->status == 404)
    make_blob(work);
  else
    fail(work, refusal(work, "give out a lease", reply));
}

/* Under a name of our own, so that asking again after an answer that was lost finds it ours. */
static void
take_lease(Work *work)
{
  work->sent = monotonic(work);
  work->deadline = work->sent + (gint64) (work->ttl_s - LEASE_MARGIN_S) * G_USEC_PER_SEC;
  ask_lease(work, "acquire", REQUEST_MS, on_leased);
}

void
locks_acquire(gpointer self, const char *key, guint32 ttl_s, AzlinOp *op)
{
  Locks *locks = self;
  if (key == NULL || *key == '\0') {
    locks->account.api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE, "a lease needs a key"));
    return;
  }
  Work *work = work_new(locks, op, key);
  const char *given_up = g_hash_table_lookup(locks->given_up, key);
  work->lease_id = given_up != NULL ? g_strdup(given_up) : g_uuid_string_random();
  work->mark = g_uuid_string_random();
  work->ttl_s = CLAMP(ttl_s, SHORTEST_S, LONGEST_S);
  take_lease(work);
}

/* ---- renew ---- */

static void renew(Work *work);

static void
lose(Work *work, const char *why)
{
  if (held(work->locks, work->key, work->token) != NULL) {
    give_up(work->locks, work->key, work->lease_id);
    g_hash_table_remove(work->locks->leases, work->key);
  }
  fail(work, lease_lost(work->key, work->token, why));
}

static void
on_waited(AzlinOp *op, gpointer data)
{
  Work *work = data;
  if (work->api->op_error(op) != NULL)
    fail(work, g_error_copy(work->api->op_error(op)));
  else
    renew(work);
}

/* Whatever it is, it may pass: the service has been known to refuse its own users for a while. Takes `error`. */
static void
try_again(Work *work, GError *error)
{
  g_autoptr(GError) why = error;
  if (work->api->op_cancelled(work->op)) {
    fail(work, g_steal_pointer(&why));
    return;
  }
  if (monotonic(work) + AGAIN_MS * 1000 >= work->deadline) {
    g_autofree char *text = g_strdup_printf("could not be renewed in time: %s", why->message);
    lose(work, text);
    return;
  }
  work->api->sleep(work->locks->account.host, AGAIN_MS, work->api->op_new(work->op, "renew again", 0, on_waited, work));
}

static void
on_renewed(AzlinOp *op, gpointer data)
{
  Work *work = data;
  const GError *error = work->api->op_error(op);
  const AzlinHttpReply *reply = work->api->op_http(op);
  if (error != NULL) {
    try_again(work, g_error_copy(error));
    return;
  }
  if (reply->status == 404 || reply->status == 409 || reply->status == 412) {
    lose(work, "has run out, or was taken away");
    return;
  }
  if (reply->status != 200) {
    try_again(work, refusal(work, "renew a lease", reply));
    return;
  }
  BlobLease *lease = held(work->locks, work->key, work->token);
  if (lease == NULL) {
    fail(work, lease_lost(work->key, work->token, "was released meanwhile"));
    return;
  }
  lease->deadline = MAX(lease->deadline, work->sent + (gint64) (lease->ttl_s - LEASE_MARGIN_S) * G_USEC_PER_SEC);
  finish(work);
}

static void
renew(Work *work)
{
  gint64 left_ms = (work->deadline - monotonic(work)) / 1000;
  if (left_ms <= 0) {
    lose(work, "was not renewed in time");
    return;
  }
  work->sent = monotonic(work);
  ask_lease(work, "renew", (guint32) MIN(left_ms, REQUEST_MS), on_renewed);
}

void
locks_renew(gpointer self, const char *key, guint64 token, AzlinOp *op)
{
  Locks *locks = self;
  const BlobLease *lease = held(locks, key, token);
  if (lease == NULL) {
    locks->account.api->op_fail(op, lease_lost(key, token, "is not held any more"));
    return;
  }
  Work *work = work_new(locks, op, key);
  work->lease_id = g_strdup(lease->id);
  work->token = token;
  work->deadline = lease->deadline;
  renew(work);
}

/* ---- release, check ---- */

void
locks_release(gpointer self, const char *key, guint64 token, AzlinOp *op)
{
  Locks *locks = self;
  const BlobLease *lease = held(locks, key, token);
  if (lease == NULL) {
    locks->account.api->op_finish(op);
    return;
  }
  Work *work = work_new(locks, op, key);
  work->lease_id = g_strdup(lease->id);
  give_up(locks, key, lease->id);
  g_hash_table_remove(locks->leases, key);
  ask_lease(work, "release", QUICK_MS, on_released);
}

static void
on_checked(AzlinOp *op, gpointer data)
{
  Work *work = data;
  const GError *error = work->api->op_error(op);
  const AzlinHttpReply *reply = work->api->op_http(op);
  if (error != NULL)
    fail(work, g_error_copy(error));
  else if (reply->status == 200 || reply->status == 404) /* nothing was locked yet */
    finish(work);
  else
    fail(work, refusal(work, "show a lock", reply));
}

void
locks_check(gpointer self, AzlinOp *op)
{
  get_record(work_new(self, op, "check"), on_checked);
}
