/* status: all that there is to know on one screen, from what is on record here; nobody is asked but the coordinator. */
#include "error.h"
#include "flow-failover-note.h"
#include "flow-failover-state.h"
#include "flow-heads.h"
#include "flow-lease.h"
#include "flow-members.h"
#include "flow-status-daemons.h"
#include "flow-support.h"
#include "flow-sync.h"
#include "home-lock.h"

/* ---- regions ---- */

static void
take_lag(const char *target, gint64 at, gpointer data)
{
  g_hash_table_replace(data, g_strdup(target), g_memdup2(&at, sizeof at));
}

/* When the data of each region was last verified, from the primary; of gint64*. */
static GHashTable *
verified_at(AzEngine *engine, const AzStored *stored)
{
  GHashTable *found = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  if (*stored->primary != '\0')
    az_sync_fresh_each(engine, stored->primary, take_lag, found);
  return found;
}

static GVariant *
region_value(const AzlinVm *vm, const AzStored *stored, const AzFailoverState *state, const gint64 *verified,
             gint64 now)
{
  GVariantBuilder one;
  gboolean primary = g_str_equal(vm->region, stored->primary);
  g_autofree char *checked = az_time_to_string(vm->last_health_check);
  g_variant_builder_init(&one, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&one, "{sv}", "region", g_variant_new_string(vm->region));
  g_variant_builder_add(&one, "{sv}", "vm_name", az_variant_str(vm->vm_name));
  g_variant_builder_add(&one, "{sv}", "status", az_variant_str(vm->status));
  g_variant_builder_add(&one, "{sv}", "last_health_check", az_variant_str(checked));
  g_variant_builder_add(&one, "{sv}", "is_primary", g_variant_new_boolean(primary));
  g_variant_builder_add(
      &one, "{sv}", "lag_seconds",
      primary || verified == NULL ? az_null() : g_variant_new_double((double) (now - *verified) / G_USEC_PER_SEC));
  g_variant_builder_add(&one, "{sv}", "fence_pending",
                        g_variant_new_boolean(state != NULL && az_failover_fence_of(state, vm->region) != NULL));
  return g_variant_builder_end(&one);
}

static GVariant *
regions_value(AzEngine *engine, const AzStored *stored, const AzFailoverState *state)
{
  g_autoptr(GHashTable) verified = verified_at(engine, stored);
  gint64 now = az_clock_now(az_engine_clock(engine));
  GVariantBuilder list;
  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(stored->vms, i);
    g_variant_builder_add_value(&list, region_value(vm, stored, state, g_hash_table_lookup(verified, vm->region), now));
  }
  return g_variant_builder_end(&list);
}

/* ---- the rest ---- */

/* Entries of processes that run are work under way; the others wait for `recover`. */
static GVariant *
journal_value(AzEngine *engine, GError **error)
{
  AzJournal *journal = az_engine_journal(engine, error);
  g_autoptr(GPtrArray) entries = journal != NULL ? az_journal_open_entries(journal, error) : NULL;
  GVariantDict value;
  guint abandoned = 0;
  if (entries == NULL)
    return az_null();
  for (guint i = 0; i < entries->len; i++)
    abandoned += ((const AzJournalEntry *) g_ptr_array_index(entries, i))->alive ? 0 : 1;
  g_variant_dict_init(&value, NULL);
  g_variant_dict_insert(&value, "open", "u", entries->len);
  g_variant_dict_insert(&value, "abandoned", "u", abandoned);
  return g_variant_dict_end(&value);
}

static GVariant *
drill_value(const AzFailoverState *state)
{
  GVariantDict value;
  g_autofree char *at = state != NULL ? az_time_to_string(state->drill_at) : NULL;
  if (at == NULL)
    return az_null();
  g_variant_dict_init(&value, NULL);
  g_variant_dict_insert(&value, "at", "s", at);
  g_variant_dict_insert(&value, "passed", "b", state->drill_passed);
  return g_variant_dict_end(&value);
}

typedef struct {
  char *trouble;      /* why no lock can be had; NULL = they can */
  GVariant *hosts;    /* aa{sv}: what others tell of their journals, or NULL */
  GPtrArray *members; /* of AzMember; NULL = nobody can know */
} Coordinator;

static void
coordinator_free(gpointer data)
{
  Coordinator *coordinator = data;
  g_free(coordinator->trouble);
  g_clear_pointer(&coordinator->hosts, g_variant_unref);
  g_clear_pointer(&coordinator->members, g_ptr_array_unref);
  g_free(coordinator);
}

static GVariant *
daemons_value(AzEngine *engine, const GPtrArray *members, const char *primary)
{
  g_autofree char *home = az_member_records(az_paths_home(az_engine_paths(engine)));
  return members != NULL ? az_status_daemons(members, primary, home) : az_null();
}

static void
add(GVariantBuilder *result, const char *key, GVariant *value)
{
  g_variant_builder_add(result, "{sv}", key, value);
}

static void
ready(AzJob *job, AzlinOp *root, AzStored *owned, gpointer data)
{
  g_autoptr(AzStored) stored = owned;
  AzEngine *engine = az_job_engine(job);
  const Coordinator *coordinator = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(AzFailoverState) state = az_failover_state_load(engine, &error);
  GVariantBuilder result;
  if (state == NULL)
    az_job_message(job, "warn", NULL, "What holds failovers back cannot be read: %s", error->message);
  g_clear_error(&error);
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  add(&result, "regions", regions_value(engine, stored, state));
  add(&result, "primary", az_variant_str(stored->primary));
  add(&result, "epoch", g_variant_new_uint64(stored->epoch));
  add(&result, "failover", az_failover_state_to_variant(engine));
  add(&result, "inhibited_by", az_variant_str(az_engine_inhibitor(engine)));
  add(&result, "last_drill", drill_value(state));
  add(&result, "journal", journal_value(engine, &error));
  if (error != NULL)
    az_job_message(job, "warn", NULL, "The journal cannot be read: %s", error->message);
  add(&result, "coordinator",
      g_variant_new_string(az_config_string(az_engine_config(engine), "bricks", "coordinator")));
  add(&result, "coordinator_trouble", az_variant_str(coordinator->trouble));
  if (coordinator->hosts != NULL)
    add(&result, "hosts", coordinator->hosts);
  add(&result, "daemons", daemons_value(engine, coordinator->members, stored->primary));
  add(&result, "azlind", g_variant_new_boolean(az_home_lock_is_taken(az_paths_home(az_engine_paths(engine)))));
  az_job_finish(job, 0, g_variant_builder_end(&result));
}

static void
on_members(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  Coordinator *coordinator = az_job_data(job);
  if (az_op_cancelled(az_job_root(job)))
    return;
  if (az_op_error(op) != NULL)
    coordinator->trouble = az_error_message(az_op_error(op));
  else
    coordinator->members = az_members_of(op);
  az_stored_look(job, az_job_root(job), ready, coordinator);
}

static void
look_for_members(AzJob *job)
{
  Coordinator *coordinator = az_job_data(job);
  AzlinOp *root = az_job_root(job);
  if (coordinator->trouble == NULL && az_members_known(az_job_engine(job)))
    az_members_ask(az_job_engine(job), az_op_new(root, "who is there", AZ_MEMBERS_MS, on_members, job));
  else
    az_stored_look(job, root, ready, coordinator);
}

static void
on_hosts(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  Coordinator *coordinator = az_job_data(job);
  if (az_op_cancelled(az_job_root(job)))
    return;
  if (az_op_variant(op) != NULL)
    coordinator->hosts = g_variant_ref(az_op_variant(op));
  look_for_members(job);
}

static void
on_coordinator(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  AzlinOp *root = az_job_root(job);
  Coordinator *coordinator = az_job_data(job);
  if (az_op_cancelled(root))
    return;
  if (az_op_error(op) != NULL)
    coordinator->trouble = az_error_message(az_op_error(op));
  if (coordinator->trouble == NULL && az_heads_are_shared(az_job_engine(job)))
    az_heads_read(az_job_engine(job), az_op_new(root, "hosts", AZ_LEASE_CHECK_MS, on_hosts, job));
  else
    look_for_members(job);
}

static void
run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_job_set_data(job, g_new0(Coordinator, 1), coordinator_free);
  az_lease_check(engine, az_op_new(root, "coordinator", AZ_LEASE_CHECK_MS, on_coordinator, job));
}

const AzFlow az_flow_status = {
  .kind = { .kind = "status", .help = "Show on one screen what stands: regions, lag, failovers, journal, service" },
  .run = run,
};
