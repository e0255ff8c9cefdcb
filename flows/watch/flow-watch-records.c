/* The records of a watch: read again, since other processes change them, and kept up to date about what was seen. */
#include "flow-watch.h"

#define WRITE_US (300 * G_USEC_PER_SEC) /* each is several durable files: a check that says nothing new can wait */

static gint64
monotonic(AzWatch *watch)
{
  return az_clock_monotonic(az_engine_clock(watch->engine));
}

/* ---- what others changed ---- */

static gboolean
is_same_machine(const AzlinVm *a, const AzlinVm *b)
{
  return g_strcmp0(a->vm_name, b->vm_name) == 0 && g_strcmp0(a->id, b->id) == 0
         && g_strcmp0(a->public_ip, b->public_ip) == 0 && a->ssh_port == b->ssh_port
         && g_strcmp0(a->host_key, b->host_key) == 0;
}

static void
say_change(AzWatch *watch, const char *region, const char *change, const char *words)
{
  GVariantDict facts;

  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "region", "s", region);
  g_variant_dict_insert(&facts, "change", "s", change);
  az_watch_tell(watch, "record", g_variant_dict_end(&facts));
  az_job_message(watch->job, "step", region, "%s", words);
}

/* region, borrowed -> AzlinVm, borrowed */
static GHashTable *
by_region(const AzStored *stored)
{
  GHashTable *vms = g_hash_table_new(g_str_hash, g_str_equal);

  for (guint i = 0; i < stored->vms->len; i++) {
    AzlinVm *vm = g_ptr_array_index(stored->vms, i);
    g_hash_table_insert(vms, (gpointer) (guintptr) vm->region, vm);
  }
  return vms;
}

static void
note_regions(AzWatch *watch, const AzStored *old, const AzStored *new)
{
  g_autoptr(GHashTable) known = by_region(old), now = by_region(new);

  for (guint i = 0; i < old->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(old->vms, i);
    if (g_hash_table_contains(now, vm->region))
      continue;
    say_change(watch, vm->region, "removed", "Not on record any more");
    az_watch_forget(watch, vm->region);
  }
  for (guint i = 0; i < new->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(new->vms, i);
    const AzlinVm *before = g_hash_table_lookup(known, vm->region);
    if (before == NULL)
      say_change(watch, vm->region, "added", "Watched from now on");
    else if (!is_same_machine(before, vm))
      say_change(watch, vm->region, "changed", "Another machine or address is on record now");
  }
}

static void
note_primary(AzWatch *watch, const AzStored *old, const AzStored *new)
{
  GVariantDict facts;
  const char *primary = *new->primary ? new->primary : "none";

  if (g_str_equal(old->primary, new->primary) && old->epoch == new->epoch)
    return;
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert_value(&facts, "from", az_variant_str(old->primary));
  g_variant_dict_insert_value(&facts, "to", az_variant_str(new->primary));
  g_variant_dict_insert(&facts, "epoch", "t", new->epoch);
  gboolean own = new->epoch == watch->own_epoch;
  g_variant_dict_insert(&facts, "by", "s", own ? "watch" : "other");
  az_watch_tell(watch, "primary", g_variant_dict_end(&facts));
  az_job_message(watch->job, "step", NULL, "The primary is %s now (epoch %" G_GUINT64_FORMAT "%s); watching goes on",
                 primary, new->epoch, own ? "" : ", moved by another azlin");
  az_watch_say_primary(watch);
  az_watch_primary_moved(watch);
}

static void
take(AzWatch *watch, AzStored *stored)
{
  g_autoptr(AzStored) old = watch->stored;

  watch->stored = stored;
  if (old->generation == stored->generation && old->epoch == stored->epoch)
    return;
  note_regions(watch, old, stored);
  az_watch_share(watch);
  note_primary(watch, old, stored);
  az_watch_show_all(watch);
}

static void
say_unreadable(AzWatch *watch, const GError *error)
{
  g_autofree char *line = g_strdup_printf("The records cannot be read: %s", error->message);

  if (az_watch_stand(watch, "records", "unreadable", "warn", line, NULL))
    az_job_message(watch->job, "warn", NULL, "%s; watching goes on with what was read before", line);
}

/* FALSE: nobody is there any more to read for. */
static gboolean
is_still_read(AzWatch *watch)
{
  return !az_op_cancelled(watch->root) && watch->lookout != NULL;
}

static void
have_read(AzWatch *watch)
{
  if (az_watch_stand(watch, "records", NULL, NULL, NULL, NULL))
    az_job_message(watch->job, "ok", NULL, "The records can be read again");
  if (!watch->read_again)
    return;
  watch->read_again = FALSE;
  az_watch_read(watch);
}

static void
on_fetched(AzStored *stored, const GError *error, gpointer data)
{
  AzWatch *watch = data;

  watch->reading = FALSE;
  if (!is_still_read(watch)) {
    g_clear_pointer(&stored, az_stored_unref);
    return;
  }
  if (stored == NULL) {
    say_unreadable(watch, error);
    return;
  }
  take(watch, stored);
  if (watch->acts && stored->source != NULL) /* what others hold back came with them */
    az_watch_read_policy(watch);
  have_read(watch);
}

static gboolean
is_news(AzWatch *watch, GVariant *head)
{
  guint64 epoch = 0, generation = 0;

  return !g_variant_lookup(head, "epoch", "t", &epoch) || !g_variant_lookup(head, "generation", "t", &generation)
         || epoch != watch->stored->epoch || generation != watch->stored->generation;
}

static void
on_head(AzlinOp *op, gpointer data)
{
  AzWatch *watch = data;
  gboolean news = az_op_error(op) != NULL || is_news(watch, az_op_variant(op));

  if (is_still_read(watch) && news) {
    az_stored_fetch(watch->engine, watch->root, on_fetched, watch);
    return;
  }
  watch->reading = FALSE;
  if (is_still_read(watch))
    have_read(watch);
}

void
az_watch_read(AzWatch *watch)
{
  watch->read_again = watch->reading;
  if (watch->reading)
    return;
  watch->reading = TRUE;
  if (watch->stored->source != NULL) /* more comes with shared ones than they tell the generation of */
    az_stored_fetch(watch->engine, watch->root, on_fetched, watch);
  else
    /* mostly nobody has written anything, and records may be ten thousand */
    az_flow_info(watch->engine, watch->root, on_head, watch);
}

/* ---- what was seen ---- */

static void
on_written(AzlinOp *op, gpointer data)
{
  AzWatch *watch = data;
  AzlinOp *waiting = g_steal_pointer(&watch->waiting);

  watch->writing = FALSE;
  if (az_op_error(op) != NULL && !az_op_cancelled(watch->root)) {
    g_autofree char *line = g_strdup_printf("What was seen cannot be stored: %s", az_op_error(op)->message);
    if (az_watch_stand(watch, "store", "failed", "warn", line, NULL))
      az_job_message(watch->job, "warn", NULL, "%s", line);
  } else if (az_op_error(op) == NULL) {
    az_watch_stand(watch, "store", NULL, NULL, NULL, NULL);
  }
  if (waiting != NULL)
    az_op_finish(waiting);
}

static GPtrArray *
changed_records(AzWatch *watch)
{
  GPtrArray *vms = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);

  for (guint i = 0; i < watch->stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(watch->stored->vms, i);
    const AzWatchRow *row = g_hash_table_lookup(watch->rows, vm->region);
    if (row == NULL || row->status == NULL || row->checked <= vm->last_health_check
        || !az_watch_owns(watch, vm->region))
      continue;
    AzlinVm *copy = az_vm_dup(vm);
    az_vm_set(&copy->status, row->status);
    copy->last_health_check = row->checked;
    g_ptr_array_add(vms, copy);
  }
  return vms;
}

void
az_watch_keep_status(AzWatch *watch, AzlinOp *op)
{
  gboolean due = op != NULL || watch->dirty || monotonic(watch) - watch->written >= WRITE_US;

  if (watch->writing && op != NULL) {
    watch->waiting = op;
    return;
  }
  g_autoptr(GPtrArray) vms = due && !watch->writing ? changed_records(watch) : NULL;
  if (vms == NULL || vms->len == 0) {
    if (op != NULL)
      az_op_finish(op);
    return;
  }
  watch->writing = TRUE;
  watch->dirty = FALSE;
  watch->written = monotonic(watch);
  watch->waiting = op;
  az_flow_put_status(watch->engine, watch->root, (const AzlinVm *const *) vms->pdata, vms->len, on_written, watch);
}
