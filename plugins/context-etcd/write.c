/* Every change: read, plan, and one transaction that holds only if nothing of what the plan saw has changed. */
#include "lease.h"
#include "region.h"
#include "shared.h"
#include <string.h>

#define MAX_TRIES 60 /* of others who were faster; they all get on meanwhile */
#define LONGEST_PAUSE_MS 64

typedef struct _Work Work;

/* Puts what has to change into work->commit. FALSE: it cannot be done. */
typedef gboolean (*Plan)(Work *work, GError **error);

struct _Work {
  Shared *shared;
  AzlinOp *op;
  Plan plan;
  GPtrArray *vms;   /* of AzlinVm, or NULL */
  guint first, n;   /* those of this turn */
  char *from, *to;  /* forget: from */
  guint64 epoch;    /* as given */
  char by[20];      /* what our writes of the head say, so that we know them again */
  gboolean sent;    /* a transaction of this turn may have come through */
  gboolean returns; /* the epoch */
  guint tries;
  StateHead head;     /* as read in this turn, then as planned */
  GPtrArray *records; /* of StateRecord, as read in this turn */
  StateCommit commit;
  gboolean head_changes;
};

static void turn(Work *work);

static void
work_free(Work *work)
{
  g_clear_pointer(&work->vms, g_ptr_array_unref);
  g_free(work->from);
  g_free(work->to);
  state_head_clear(&work->head);
  g_ptr_array_unref(work->records);
  state_commit_clear(&work->commit);
  g_free(work);
}

/* Takes `error`. */
static void
fail(Work *work, GError *error)
{
  work->shared->cluster.api->op_fail(work->op, error);
  work_free(work);
}

static Work *
work_new(gpointer self, AzlinOp *op, Plan plan)
{
  Work *work = g_new0(Work, 1);
  work->shared = self;
  work->op = op;
  work->plan = plan;
  work->records = g_ptr_array_new_with_free_func((GDestroyNotify) state_record_free);
  g_snprintf(work->by, sizeof work->by, "%08x%08x", g_random_int(), g_random_int());
  return work;
}

static char *
key_of(Work *work, const char *name)
{
  return g_strconcat(work->shared->cluster.prefix, name, NULL);
}

static StateRecord *
record_of(Work *work, const char *region)
{
  for (guint i = 0; i < work->records->len; i++) {
    StateRecord *record = g_ptr_array_index(work->records, i);
    if (strcmp(record->region, region) == 0)
      return record;
  }
  return NULL;
}

/* ---- a turn ends ---- */

static void
turn_done(Work *work)
{
  const AzlinHostApi *api = work->shared->cluster.api;
  work->first += work->n;
  if (work->vms != NULL && work->first < work->vms->len) {
    work->sent = FALSE;
    work->tries = 0;
    turn(work);
    return;
  }
  if (work->returns)
    api->op_finish_variant(work->op, g_variant_new_uint64(work->head.epoch));
  else
    api->op_finish(work->op);
  work_free(work);
}

static void
on_paused(AzlinOp *op, gpointer data)
{
  Work *work = data;
  const GError *error = work->shared->cluster.api->op_error(op);
  if (error != NULL)
    fail(work, g_error_copy(error));
  else
    turn(work);
}

/* Random, so that those who got into each other's way do not do so again. */
static void
try_again(Work *work)
{
  const EtcdCluster *cluster = &work->shared->cluster;
  if (++work->tries > MAX_TRIES) {
    fail(work, g_error_new(AZLIN_ERROR, AZLIN_ERROR_LOCKED, "the state in etcd is changed by others all the time"));
    return;
  }
  gint32 longest = MIN(LONGEST_PAUSE_MS, 2 << MIN(work->tries, 8u));
  cluster->api->sleep(cluster->host, (guint32) g_random_int_range(1, longest + 1),
                      cluster->api->op_new(work->op, "wait for others", 0, on_paused, work));
}

/* ---- the transaction ---- */

/* Leases of another coordinator stand elsewhere. */
static const AzlinFence *
fence_of(Work *work)
{
  const AzlinFence *fence = work->shared->cluster.api->op_fence(work->op);
  return fence != NULL && strcmp(fence->coordinator, "etcd") == 0 ? fence : NULL;
}

static GError *
lost_lease(Work *work, const json_t *answer)
{
  const AzlinFence *fence = fence_of(work);
  g_autofree char *holder = NULL, *why = NULL;
  if (fence == NULL || state_parse_holder(answer, &holder) == fence->token)
    return NULL;
  why = holder != NULL ? g_strdup_printf("has gone to %s; nothing was written", holder)
                       : g_strdup("has run out; nothing was written");
  return lease_lost(fence->key, fence->token, why);
}

static void
on_committed(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  GError *error = reply->error != NULL ? shared_error(work->shared, reply->error, work->sent) : NULL;
  if (error == NULL && etcd_succeeded(reply->body)) {
    turn_done(work);
    return;
  }
  if (error == NULL)
    error = lost_lease(work, reply->body);
  if (error != NULL)
    fail(work, error);
  else
    try_again(work);
}

static void
add_head(Work *work)
{
  g_autofree char *key = key_of(work, "state/head");
  g_autofree char *text = state_head_text(work->head.epoch, work->head.primary, work->by);
  state_commit_put(&work->commit, key, text);
}

static void
commit(Work *work)
{
  const AzlinFence *fence = fence_of(work);
  g_autofree char *changed = key_of(work, "state/changed");
  g_autofree char *lock = fence != NULL ? key_of(work, fence->key) : NULL;
  if (work->head_changes)
    add_head(work);
  state_commit_put(&work->commit, changed, work->by);
  if (fence != NULL)
    state_commit_held(&work->commit, lock, fence->token);
  work->sent = TRUE;
  etcd_ask(&work->shared->cluster, work->op, "/v3/kv/txn", state_commit_take(&work->commit), SHARED_ASK_S, on_committed,
           work);
}

static void
on_read(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  GError *error = reply->error != NULL ? shared_error(work->shared, reply->error, work->sent) : NULL;
  gboolean more = FALSE;
  work->head_changes = FALSE;
  state_commit_clear(&work->commit);
  state_commit_init(&work->commit);
  if (error != NULL
      || !state_parse(reply->body, work->shared->cluster.prefix, &work->head, work->records, &more, &error)
      || !work->plan(work, &error))
    fail(work, error);
  else if (work->head_changes || json_array_size(work->commit.success) > 0)
    commit(work);
  else
    turn_done(work);
}

/* The machines of this turn: as many as fit, none of a region twice. */
static void
choose(Work *work, GPtrArray *regions)
{
  for (guint i = work->first; i < work->vms->len && regions->len < STATE_CHUNK; i++) {
    const AzlinVm *vm = g_ptr_array_index(work->vms, i);
    if (g_ptr_array_find_with_equal_func(regions, vm->region, g_str_equal, NULL))
      break;
    g_ptr_array_add(regions, (gpointer) (guintptr) vm->region);
  }
  work->n = regions->len;
}

static void
turn(Work *work)
{
  g_autoptr(GPtrArray) regions = g_ptr_array_new();
  state_head_clear(&work->head);
  g_ptr_array_set_size(work->records, 0);
  if (work->vms != NULL)
    choose(work, regions);
  if (work->from != NULL && *work->from != '\0')
    g_ptr_array_add(regions, work->from);
  if (work->to != NULL && *work->to != '\0' && g_strcmp0(work->to, work->from) != 0)
    g_ptr_array_add(regions, work->to);
  etcd_ask(&work->shared->cluster, work->op, "/v3/kv/txn",
           state_read_some(work->shared->cluster.prefix, (const char *const *) regions->pdata, regions->len),
           SHARED_ASK_S, on_read, work);
}

/* Whatever the head says must not have changed since it was read. */
static void
hold_head(Work *work)
{
  g_autofree char *key = key_of(work, "state/head");
  state_commit_unchanged(&work->commit, key, work->head.head_modified);
}

static void
move_head(Work *work, const char *primary, guint64 epoch)
{
  hold_head(work);
  g_autofree char *old = g_steal_pointer(&work->head.primary);
  work->head.primary = g_strdup(primary);
  work->head.epoch = epoch;
  work->head_changes = TRUE;
}

/* ---- put and put_status ---- */

static gboolean
write_record(Work *work, const char *region, json_t *json, guint64 modified, GError **error)
{
  g_autofree char *key = state_region_key(work->shared->cluster.prefix, region);
  char *text = json_dumps(json, JSON_COMPACT);
  gboolean fits = text != NULL && strlen(text) <= STATE_MAX_RECORD;
  if (fits) {
    state_commit_unchanged(&work->commit, key, modified);
    state_commit_put(&work->commit, key, text);
  } else {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "the record of %s is larger than %d bytes", region,
                STATE_MAX_RECORD);
  }
  free(text);
  return fits;
}

static gboolean
put_one(Work *work, const AzlinVm *vm, GError **error)
{
  const EtcdCluster *cluster = &work->shared->cluster;
  StateRecord *record = record_of(work, vm->region);
  json_auto_t *json = record != NULL ? json_deep_copy(record->json) : json_object();
  region_write(json, vm, SHARED_GROUP, cluster->api->now(cluster->host));
  if (vm->is_primary && *work->head.primary == '\0' && !work->head_changes)
    move_head(work, vm->region, work->head.epoch + 1);
  if (record != NULL && json_equal(json, record->json))
    return TRUE;
  return write_record(work, vm->region, json, record != NULL ? record->modified : 0, error);
}

static gboolean
plan_each(Work *work, gboolean (*one)(Work *work, const AzlinVm *vm, GError **error), GError **error)
{
  for (guint i = 0; i < work->n; i++)
    if (!one(work, g_ptr_array_index(work->vms, work->first + i), error))
      return FALSE;
  return TRUE;
}

static gboolean
plan_put(Work *work, GError **error)
{
  return plan_each(work, put_one, error);
}

static gboolean
status_of_one(Work *work, const AzlinVm *vm, GError **error)
{
  StateRecord *record = record_of(work, vm->region);
  if (record == NULL || g_strcmp0(json_string_value(json_object_get(record->json, "vm_name")), vm->vm_name) != 0)
    return TRUE;
  json_auto_t *json = json_deep_copy(record->json);
  region_write_status(json, vm->status, vm->last_health_check);
  return json_equal(json, record->json) || write_record(work, vm->region, json, record->modified, error);
}

static gboolean
plan_status(Work *work, GError **error)
{
  return plan_each(work, status_of_one, error);
}

static gboolean
check_names(const AzlinVm *vm, GError **error)
{
  const char *bad = !region_is_name(vm->region) ? "region" : !region_is_name(vm->vm_name) ? "vm_name" : NULL;
  if (bad == NULL)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "%s must be a text of 1 to %d bytes", bad, REGION_MAX_NAME);
  return FALSE;
}

static void
write_all(gpointer self, const AzlinVm *const *vms, gsize n, AzlinOp *op, Plan plan)
{
  const AzlinHostApi *api = ((Shared *) self)->cluster.api;
  GError *error = NULL;
  for (gsize i = 0; i < n && error == NULL; i++)
    check_names(vms[i], &error);
  if (error != NULL) {
    api->op_fail(op, error);
    return;
  }
  if (n == 0) {
    api->op_finish(op);
    return;
  }
  Work *work = work_new(self, op, plan);
  work->vms = g_ptr_array_new_full((guint) n, (GDestroyNotify) api->vm_free);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(work->vms, api->vm_dup(vms[i]));
  turn(work);
}

void
shared_put_all(gpointer self, const AzlinVm *const *vms, gsize n, AzlinOp *op)
{
  write_all(self, vms, n, op, plan_put);
}

void
shared_put(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  write_all(self, &vm, 1, op, plan_put);
}

void
shared_put_status(gpointer self, const AzlinVm *const *vms, gsize n, AzlinOp *op)
{
  write_all(self, vms, n, op, plan_status);
}

/* ---- forget, set_primary, raise_epoch ---- */

static gboolean
no_such_region(const char *region, GError **error)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "Region %s does not exist", region);
  return FALSE;
}

/* The head is held also where it stays: nobody may make this region primary meanwhile. */
static gboolean
plan_forget(Work *work, GError **error)
{
  g_autofree char *key = state_region_key(work->shared->cluster.prefix, work->from);
  StateRecord *record = record_of(work, work->from);
  if (record == NULL)
    return work->sent || no_such_region(work->from, error);
  if (strcmp(work->head.primary, work->from) == 0)
    move_head(work, "", work->head.epoch + 1);
  else
    hold_head(work);
  state_commit_unchanged(&work->commit, key, record->modified);
  state_commit_delete(&work->commit, key);
  return TRUE;
}

void
shared_forget(gpointer self, const char *region, AzlinOp *op)
{
  Work *work = work_new(self, op, plan_forget);
  work->from = g_strdup(region != NULL ? region : "");
  turn(work);
}

static gboolean
plan_primary(Work *work, GError **error)
{
  const StateHead *head = &work->head;
  if (work->sent && strcmp(head->by, work->by) == 0)
    return TRUE; /* the answer was lost, and it was a yes */
  if (strcmp(head->primary, work->from) != 0 || head->epoch != work->epoch) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_FENCED,
                "the primary is %s at epoch %" G_GUINT64_FORMAT ", no longer %s at epoch %" G_GUINT64_FORMAT,
                *head->primary != '\0' ? head->primary : "none", head->epoch, *work->from != '\0' ? work->from : "none",
                work->epoch);
    return FALSE;
  }
  if (*work->to != '\0' && record_of(work, work->to) == NULL)
    return no_such_region(work->to, error);
  move_head(work, work->to, work->epoch + 1);
  if (*work->to != '\0') {
    g_autofree char *key = state_region_key(work->shared->cluster.prefix, work->to);
    state_commit_exists(&work->commit, key);
  }
  return TRUE;
}

void
shared_set_primary(gpointer self, const char *from, const char *to, guint64 epoch, AzlinOp *op)
{
  Work *work = work_new(self, op, plan_primary);
  work->from = g_strdup(from != NULL ? from : "");
  work->to = g_strdup(to != NULL ? to : "");
  work->epoch = epoch;
  work->returns = TRUE;
  turn(work);
}

static gboolean
plan_epoch(Work *work, GError **error)
{
  if (work->head.epoch < work->epoch) {
    g_autofree char *primary = g_strdup(work->head.primary);
    move_head(work, primary, work->epoch);
  }
  return TRUE;
}

void
shared_raise_epoch(gpointer self, guint64 epoch, AzlinOp *op)
{
  Work *work = work_new(self, op, plan_epoch);
  work->epoch = epoch;
  turn(work);
}
