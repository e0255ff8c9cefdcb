/* The coordinator's lock held for the length of a job: acquired, renewed beside the work, released at its end. */
#include "flow-lease.h"
#include "error.h"
#include "flow-heads.h"

#define TELL_MS 5000
#define RENEW_S 20u /* a lease on a blob lasts a minute at most, whatever was asked for */

struct _AzLease {
  AzJob *job;
  AzEngine *engine;
  AzlinOp *root;
  char *key;
  guint32 ttl_s;
  guint64 token;
  void (*ready)(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data);
  AzLeaseRefused refused; /* NULL = the job fails */
  gpointer data;
};

static void
lease_free(AzLease *lease)
{
  g_free(lease->key);
  g_free(lease);
}

static const AzlinCoordinator *
coordinator(AzLease *lease, gpointer *ret_self, GError **error)
{
  return az_engine_lookup(lease->engine, AZLIN_KIND_COORDINATOR, NULL, ret_self, error);
}

static void
released(AzlinOp *op, gpointer data)
{
  if (az_op_error(op))
    g_info("lock not released, it runs out by itself: %s", az_op_error(op)->message);
}

static void
told(AzlinOp *op, gpointer data)
{
  if (az_op_error(op))
    g_info("the others were not told of the journal: %s", az_op_error(op)->message);
}

static void
on_end(AzlinOp *op, gpointer data)
{
  AzLease *lease = data;
  gpointer self = NULL;
  const AzlinCoordinator *brick = coordinator(lease, &self, NULL);
  if (brick)
    brick->release(self, lease->key, lease->token, az_job_cleanup_op(lease->job, "release", 10000, released, NULL));
  char hash[AZ_LOGFILE_HASH + 1] = "";
  az_heads_publish(lease->engine, hash, az_job_cleanup_op(lease->job, "tell the others", TELL_MS, told, NULL));
  lease_free(lease);
}

/* ---- renewals ---- */

typedef struct {
  AzEngine *engine;
  AzlinOp *op, *kept; /* `kept` ends with its parent `op` */
  char *key;
  guint32 ttl_s;
  guint64 token;
  AzTimer *timer;
  char head[AZ_LOGFILE_HASH + 1]; /* of the journal, as the others were told */
} Keeper;

static void renew_later(Keeper *keeper);
static void tell_others(Keeper *keeper);

static void
renewed(AzlinOp *op, gpointer data)
{
  Keeper *keeper = data;
  const GError *error = az_op_error(op);
  if (!error) {
    tell_others(keeper);
    renew_later(keeper);
    return;
  }
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED))
    return;
  g_autofree char *message = az_error_message(error);
  az_op_warn(keeper->op, "The lock was lost: %s", message);
  az_op_cancel(keeper->op, "the lock was lost");
}

static void
renew(gpointer data)
{
  Keeper *keeper = data;
  gpointer self = NULL;
  const AzlinCoordinator *brick = az_engine_lookup(keeper->engine, AZLIN_KIND_COORDINATOR, NULL, &self, NULL);
  keeper->timer = NULL;
  if (brick)
    brick->renew(self, keeper->key, keeper->token,
                 az_op_new(keeper->kept, "renew", keeper->ttl_s * 500, renewed, keeper));
}

/* Beside the work: a host that dies in the middle leaves word of what it had begun. */
static void
tell_others(Keeper *keeper)
{
  az_heads_publish(keeper->engine, keeper->head, az_op_new(keeper->kept, "tell the others", TELL_MS, told, NULL));
}

static void
renew_later(Keeper *keeper)
{
  guint32 wait_s = MIN(keeper->ttl_s / 3, RENEW_S);
  keeper->timer = az_clock_after(az_engine_clock(keeper->engine), wait_s * 1000, renew, keeper);
}

static void
on_kept(AzlinOp *op, gpointer data)
{
  Keeper *keeper = data;
  if (keeper->timer)
    az_timer_cancel(keeper->timer);
  g_free(keeper->key);
  g_free(keeper);
}

void
az_lease_keep(AzEngine *engine, AzlinOp *op, const char *key, guint32 ttl_s, guint64 token)
{
  Keeper *keeper = g_new0(Keeper, 1);
  *keeper = (Keeper){ .engine = engine, .op = op, .key = g_strdup(key), .ttl_s = ttl_s, .token = token };
  keeper->kept = az_op_new(op, "lease", 0, on_kept, keeper);
  az_op_set_fence(op, az_config_string(az_engine_config(engine), "bricks", "coordinator"), key, token);
  renew_later(keeper);
}

/* ---- the lock ---- */

/* Errors after which nobody knows who holds the lock, in contrast to those that say it and to those of this host. */
static gboolean
is_unreachable(const GError *error)
{
  static const AzlinError codes[]
      = { AZLIN_ERROR_NETWORK, AZLIN_ERROR_TIMED_OUT, AZLIN_ERROR_THROTTLED, AZLIN_ERROR_AUTH, AZLIN_ERROR_PERMISSION };
  for (gsize i = 0; i < G_N_ELEMENTS(codes); i++)
    if (g_error_matches(error, AZLIN_ERROR, (int) codes[i]))
      return TRUE;
  return FALSE;
}

/* What its steps suggest is of use; what the table suggests for locks that are held is not. */
static GError *
unreachable(const GError *error)
{
  const char *what = g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT) ? "did not answer" : "cannot be asked";
  g_autofree char *message = az_error_message(error);
  GError *said = g_error_new(AZLIN_ERROR, AZLIN_ERROR_LOCKED, "The coordinator %s (%s)", what, message);
  az_error_add_step(said, "See whether it can be asked again: azlin status");
  az_error_add_step(said, "%s", "");
  return said;
}

GError *
az_lease_refusal(AzlinOp *op, gboolean *ret_unreachable)
{
  const GError *error = az_op_error(op);
  gboolean lost = is_unreachable(error);
  if (ret_unreachable)
    *ret_unreachable = lost;
  if (error)
    return lost ? unreachable(error) : g_error_copy(error);
  if (!az_op_variant(op) || !g_variant_is_of_type(az_op_variant(op), G_VARIANT_TYPE_UINT64))
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_LOCKED, "The coordinator gave no token for the lock");
  return NULL;
}

static void
refuse(AzLease *lease, GError *error, gboolean lost)
{
  if (lease->refused)
    lease->refused(lease->job, error, lost, lease->data);
  else
    az_job_fail(lease->job, error);
  lease_free(lease);
}

static void
acquired(AzlinOp *op, gpointer data)
{
  AzLease *lease = data;
  gboolean lost = FALSE;
  GError *error = az_lease_refusal(op, &lost);
  if (error) {
    refuse(lease, error, lost);
    return;
  }
  lease->token = g_variant_get_uint64(az_op_variant(op));
  if (az_op_cancelled(lease->root)) { /* what began under it now would end after the job, whose end waits for this */
    on_end(op, lease);
    return;
  }
  az_op_new(lease->root, "lock", 0, on_end, lease); /* ends with its parent: that is the moment of release */
  az_lease_keep(lease->engine, lease->root, lease->key, lease->ttl_s, lease->token);
  lease->ready(lease->job, lease->root, lease, lease->data);
}

void
az_lease_acquire_or(AzJob *job, AzlinOp *root, const char *key, guint32 ttl_s,
                    void (*ready)(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data), AzLeaseRefused refused,
                    gpointer data)
{
  gpointer self = NULL;
  g_autoptr(GError) error = NULL;
  AzLease *lease = g_new0(AzLease, 1);
  *lease = (AzLease){ .job = job,
                      .engine = az_job_engine(job),
                      .root = root,
                      .key = g_strdup(key),
                      .ttl_s = ttl_s,
                      .ready = ready,
                      .refused = refused,
                      .data = data };
  const AzlinCoordinator *brick = coordinator(lease, &self, &error);
  if (!brick) {
    refuse(lease, g_steal_pointer(&error), FALSE);
    return;
  }
  brick->acquire(self, key, ttl_s, az_op_new(root, "lock", 30000, acquired, lease));
}

void
az_lease_acquire(AzJob *job, AzlinOp *root, const char *key, guint32 ttl_s,
                 void (*ready)(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data), gpointer data)
{
  az_lease_acquire_or(job, root, key, ttl_s, ready, NULL, data);
}

void
az_lease_confirm(AzLease *lease, AzlinOp *op)
{
  gpointer self = NULL;
  GError *error = NULL;
  const AzlinCoordinator *brick = coordinator(lease, &self, &error);
  if (brick)
    brick->renew(self, lease->key, lease->token, op);
  else
    az_op_fail(op, error);
}

void
az_lease_tell(AzLease *lease)
{
  char hash[AZ_LOGFILE_HASH + 1] = "";
  az_heads_publish(lease->engine, hash, az_op_new(lease->root, "tell the others", TELL_MS, told, NULL));
}

void
az_lease_check(AzEngine *engine, AzlinOp *op)
{
  gpointer self = NULL;
  GError *error = NULL;
  const AzlinCoordinator *brick = az_engine_lookup(engine, AZLIN_KIND_COORDINATOR, NULL, &self, &error);
  if (!brick)
    az_op_fail(op, error);
  else if (brick->check)
    brick->check(self, op);
  else
    az_op_finish(op);
}
