/* regions refresh --share: the records of this home go where several hosts share theirs, and nothing is overwritten. */
#include "flow-regions-share.h"
#include "flow-cache.h"
#include "flow-lease.h"

#define LOCK_TTL_S 60

typedef struct {  /* records and head of one place */
  GPtrArray *vms; /* of AzlinVm */
  char *primary;
  guint64 epoch;
  gboolean shared; /* by many hosts */
} Place;

typedef struct _Share Share;

struct _Share {
  AzJob *job;
  AzEngine *engine;
  AzlinOp *root;
  const AzlinContext *to, *from;
  gpointer to_self, from_self;
  Place there, here, *reading;
  void (*read)(Share *share);
  GPtrArray *puts; /* of AzlinVm: `here`, none of them primary yet */
};

static void
place_clear(Place *place)
{
  g_clear_pointer(&place->vms, g_ptr_array_unref);
  g_clear_pointer(&place->primary, g_free);
}

static void
share_free(gpointer data)
{
  Share *share = data;
  place_clear(&share->there);
  place_clear(&share->here);
  g_clear_pointer(&share->puts, g_ptr_array_unref);
  g_free(share);
}

/* TRUE: the job has ended. */
static gboolean
has_failed(Share *share, AzlinOp *op)
{
  if (az_op_cancelled(share->root))
    return TRUE;
  if (az_op_error(op) == NULL)
    return FALSE;
  az_job_fail(share->job, g_error_copy(az_op_error(op)));
  return TRUE;
}

/* ---- one place is read ---- */

static void
on_info(AzlinOp *op, gpointer data)
{
  Share *share = data;
  const char *primary = "";
  if (has_failed(share, op))
    return;
  g_variant_lookup(az_op_variant(op), "epoch", "t", &share->reading->epoch);
  g_variant_lookup(az_op_variant(op), "primary", "&s", &primary);
  share->reading->primary = g_strdup(primary);
  share->reading->shared = g_variant_lookup(az_op_variant(op), "source", "&s", NULL);
  share->read(share);
}

static void
on_list(AzlinOp *op, gpointer data)
{
  Share *share = data;
  gboolean there = share->reading == &share->there;
  gsize n = 0;
  if (has_failed(share, op))
    return;
  const AzlinVm *const *vms = az_op_vms(op, &n);
  share->reading->vms = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(share->reading->vms, az_vm_dup(vms[i]));
  AzlinOp *info = az_op_expect(az_op_new(share->root, "info", AZ_CONTEXT_MS, on_info, share), "a{sv}");
  if (there)
    share->to->info(share->to_self, info);
  else
    share->from->info(share->from_self, info);
}

static void
read_place(Share *share, Place *place, void (*read)(Share *share))
{
  AzlinOp *op = az_op_expect(az_op_new(share->root, "list", AZ_CONTEXT_MS, on_list, share), AZ_OP_VMS);
  share->reading = place;
  share->read = read;
  if (place == &share->there)
    share->to->list(share->to_self, op);
  else
    share->from->list(share->from_self, op);
}

/* ---- what goes over ---- */

static void
on_shared(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  GVariantBuilder result;
  az_job_message(job, "ok", NULL, "%u regions are shared now, in %s", stored->vms->len, stored->path);
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "shared", g_variant_new_uint32(stored->vms->len));
  g_variant_builder_add(&result, "{sv}", "primary", g_variant_new_string(stored->primary));
  g_variant_builder_add(&result, "{sv}", "epoch", g_variant_new_uint64(stored->epoch));
  az_job_finish(job, 0, g_variant_builder_end(&result));
}

static void
on_primary(AzlinOp *op, gpointer data)
{
  Share *share = data;
  GVariantDict facts;
  if (has_failed(share, op))
    return;
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "regions", "u", share->here.vms->len);
  g_variant_dict_insert(&facts, "primary", "s", share->here.primary);
  az_flow_audit(share->job, "regions.share", g_variant_dict_end(&facts));
  az_stored_read(share->job, share->root, on_shared, NULL);
}

/* The epoch goes over too: what machines were told must not be newer than what comes. */
static void
on_raised(AzlinOp *op, gpointer data)
{
  Share *share = data;
  if (has_failed(share, op))
    return;
  share->to->set_primary(share->to_self, "", share->here.primary, share->here.epoch,
                         az_op_new(share->root, "set-primary", AZ_CONTEXT_MS, on_primary, share));
}

static void
on_put(AzlinOp *op, gpointer data)
{
  Share *share = data;
  if (!has_failed(share, op))
    share->to->raise_epoch(share->to_self, share->here.epoch,
                           az_op_new(share->root, "raise-epoch", AZ_CONTEXT_MS, on_raised, share));
}

/* What an earlier run left that was interrupted; anything else there is somebody else's. */
static gboolean
is_begun_by_us(const Share *share)
{
  const Place *there = &share->there;
  for (guint i = 0; i < there->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(there->vms, i);
    gboolean known = FALSE;
    for (guint j = 0; j < share->here.vms->len && !known; j++) {
      const AzlinVm *own = g_ptr_array_index(share->here.vms, j);
      known = g_str_equal(own->region, vm->region) && g_strcmp0(own->vm_name, vm->vm_name) == 0;
    }
    if (!known)
      return FALSE;
  }
  return *there->primary == '\0' && there->epoch <= share->here.epoch;
}

static void
on_both(Share *share)
{
  if (!is_begun_by_us(share)) {
    az_job_fail(share->job,
                g_error_new(AZLIN_ERROR, AZLIN_ERROR_EXISTS,
                            "%u regions are shared already, at epoch %" G_GUINT64_FORMAT "; nothing was overwritten",
                            share->there.vms->len, share->there.epoch));
    return;
  }
  share->puts = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  for (guint i = 0; i < share->here.vms->len; i++) {
    AzlinVm *vm = az_vm_dup(g_ptr_array_index(share->here.vms, i));
    vm->is_primary = FALSE;
    g_ptr_array_add(share->puts, vm);
  }
  share->to->put_all(share->to_self, (const AzlinVm *const *) share->puts->pdata, share->puts->len,
                     az_op_new(share->root, "put", 0, on_put, share));
}

static void
on_there(Share *share)
{
  if (share->there.shared)
    read_place(share, &share->here, on_both);
  else
    az_job_fail(share->job, g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                                                "The first place of [bricks] context is shared with nobody"));
}

/* ---- the beginning ---- */

static void
on_lock(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data)
{
  Share *share = data;
  read_place(share, &share->there, on_there);
}

void
az_share_run(AzJob *job, AzlinOp *root)
{
  AzEngine *engine = az_job_engine(job);
  GError *error = NULL;
  Share *share = g_new0(Share, 1);
  *share = (Share){ .job = job, .engine = engine, .root = root };
  az_job_set_data(job, share, share_free);
  share->to = az_engine_lookup(engine, AZLIN_KIND_CONTEXT, NULL, &share->to_self, &error);
  share->from = az_cache_place(engine, &share->from_self);
  if (share->to != NULL && (share->from == NULL || share->to->put_all == NULL || share->to->raise_epoch == NULL))
    error = g_error_new_literal(
        AZLIN_ERROR, AZLIN_ERROR_CONFIG,
        "Nothing is shared: [bricks] context names no place of many hosts with a copy in this home");
  if (error != NULL)
    az_job_fail(job, error);
  else
    az_lease_acquire(job, root, "share", LOCK_TTL_S, on_lock, share);
}
