/* The coordinator's lock held for the length of a job: acquired, renewed beside the work, released at its end. */
#include "flow-lease.h"

struct _AzLease {
  AzJob *job;
  AzEngine *engine;
  AzlinOp *root, *held; /* `held` ends with its parent `root`: that is the moment of release */
  char *key;
  guint32 ttl_s;
  guint64 token;
  AzTimer *timer;
  void (*ready)(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data);
  void (*refused)(AzJob *job, GError *error, gpointer data); /* NULL = the job fails */
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
on_end(AzlinOp *op, gpointer data)
{
  AzLease *lease = data;
  gpointer self = NULL;
  const AzlinCoordinator *brick = coordinator(lease, &self, NULL);
  if (lease->timer)
    az_timer_cancel(lease->timer);
  if (brick)
    brick->release(self, lease->key, lease->token, az_job_cleanup_op(lease->job, "release", 10000, released, NULL));
  lease_free(lease);
}

static void renew_later(AzLease *lease);

static void
renewed(AzlinOp *op, gpointer data)
{
  AzLease *lease = data;
  const GError *error = az_op_error(op);
  if (!error)
    renew_later(lease);
  else if (!g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED))
    az_op_cancel(lease->root, "the lock was lost");
}

static void
renew(gpointer data)
{
  AzLease *lease = data;
  gpointer self = NULL;
  const AzlinCoordinator *brick = coordinator(lease, &self, NULL);
  lease->timer = NULL;
  if (brick)
    brick->renew(self, lease->key, lease->token, az_op_new(lease->held, "renew", lease->ttl_s * 500, renewed, lease));
}

static void
renew_later(AzLease *lease)
{
  lease->timer = az_clock_after(az_engine_clock(lease->engine), lease->ttl_s * 1000 / 3, renew, lease);
}

/* What kept us from the lock; a coordinator that is silent or makes no sense cannot be had, whatever its reason. */
static GError *
no_lock(AzlinOp *op)
{
  const GError *error = az_op_error(op);
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT))
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_LOCKED, "The coordinator did not answer (%s)", error->message);
  if (error)
    return g_error_copy(error);
  if (!az_op_variant(op) || !g_variant_is_of_type(az_op_variant(op), G_VARIANT_TYPE_UINT64))
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_LOCKED, "The coordinator gave no token for the lock");
  return NULL;
}

static void
refuse(AzLease *lease, GError *error)
{
  if (lease->refused)
    lease->refused(lease->job, error, lease->data);
  else
    az_job_fail(lease->job, error);
  lease_free(lease);
}

static void
acquired(AzlinOp *op, gpointer data)
{
  AzLease *lease = data;
  GError *error = no_lock(op);
  if (error) {
    refuse(lease, error);
    return;
  }
  lease->token = g_variant_get_uint64(az_op_variant(op));
  lease->held = az_op_new(lease->root, "lease", 0, on_end, lease);
  renew_later(lease);
  lease->ready(lease->job, lease->root, lease, lease->data);
}

void
az_lease_acquire_or(AzJob *job, AzlinOp *root, const char *key, guint32 ttl_s,
                    void (*ready)(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data),
                    void (*refused)(AzJob *job, GError *error, gpointer data), gpointer data)
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
    refuse(lease, g_steal_pointer(&error));
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

guint64
az_lease_token(const AzLease *lease)
{
  return lease->token;
}
