/* regions list: the records as they are stored, with their age; no network, no provider. */
#include "flow-failover-note.h"
#include "flow-failover-state.h"
#include "flow-support.h"
#include "flow-sync.h"

#define SLICE 50 /* regions that are told in one turn of the main loop */

/* ---- as one document ---- */

static void
finish(AzJob *job, const AzStored *stored, GVariant *regions)
{
  GVariantBuilder result;
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  if (regions != NULL)
    g_variant_builder_add(&result, "{sv}", "regions", regions);
  g_variant_builder_add(&result, "{sv}", "primary", az_variant_str(stored->primary));
  g_variant_builder_add(&result, "{sv}", "epoch", g_variant_new_uint64(stored->epoch));
  g_variant_builder_add(&result, "{sv}", "failover", az_failover_state_to_variant(az_job_engine(job)));
  az_job_finish(job, 0, g_variant_builder_end(&result));
}

static void
list_ready(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  GVariantBuilder regions;
  g_variant_builder_init(&regions, G_VARIANT_TYPE("av"));
  for (guint i = 0; i < stored->vms->len; i++)
    g_variant_builder_add(&regions, "v", az_vm_to_variant(g_ptr_array_index(stored->vms, i)));
  az_failover_say_state(job, FALSE, AZ_HOLD_NONE);
  finish(job, stored, g_variant_builder_end(&regions));
}

/* ---- one by one ---- */

typedef struct {
  AzStored *stored;
  AzFailoverState *state; /* NULL: it cannot be read */
  GHashTable *verified;   /* region -> gint64: when its data was last verified against the primary's */
  guint next;
} Stream;

static void
stream_free(gpointer data)
{
  Stream *stream = data;
  az_stored_unref(stream->stored);
  g_clear_pointer(&stream->state, az_failover_state_free);
  g_hash_table_unref(stream->verified);
  g_free(stream);
}

static void
note_verified(const char *target, gint64 at, gpointer data)
{
  g_hash_table_replace(data, g_strdup(target), g_memdup2(&at, sizeof at));
}

static void
tell(AzJob *job, const Stream *stream, const AzlinVm *vm)
{
  GVariantDict facts;
  const gint64 *verified = g_hash_table_lookup(stream->verified, vm->region);
  g_autofree char *synced = verified != NULL ? az_time_to_string(*verified) : NULL;
  g_autoptr(GVariant) stored = g_variant_ref_sink(az_vm_to_variant(vm));
  g_variant_dict_init(&facts, stored);
  g_variant_dict_insert_value(&facts, "last_sync", az_variant_str(synced));
  g_variant_dict_insert(&facts, "fence_pending", "b",
                        stream->state != NULL && az_failover_fence_of(stream->state, vm->region) != NULL);
  az_job_region(job, vm->region, g_variant_dict_end(&facts));
}

static void
on_slice(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  Stream *stream = az_job_data(job);
  const GPtrArray *vms = stream->stored->vms;
  if (az_op_cancelled(az_job_root(job)))
    return;
  for (guint i = 0; i < SLICE && stream->next < vms->len; i++)
    tell(job, stream, g_ptr_array_index(vms, stream->next++));
  if (stream->next < vms->len)
    az_op_new(az_job_root(job), "slice", 1, on_slice, job); /* ends by its deadline */
  else
    finish(job, stream->stored, NULL);
}

static void
stream_ready(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  AzEngine *engine = az_job_engine(job);
  Stream *stream = g_new0(Stream, 1);
  *stream = (Stream){ .stored = stored, .state = az_failover_state_load(engine, NULL) };
  stream->verified = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  if (*stored->primary != '\0')
    az_sync_fresh_each(engine, stored->primary, note_verified, stream->verified);
  az_job_set_data(job, stream, stream_free);
  az_op_new(root, "slice", 1, on_slice, job);
}

static void
list_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_stored_look(job, root, az_job_arg_bool(job, "stream") ? stream_ready : list_ready, NULL);
}

static const AzFlag flags[] = {
  { "stream", 0, "b", NULL,
    "tell each region by itself, with its last sync and pending fence, and none in the result" },
  { 0 },
};

const AzFlow az_flow_regions_list = {
  .kind = { .kind = "regions-list", .help = "List all regions, the primary first", .flags = flags },
  .run = list_run,
};
