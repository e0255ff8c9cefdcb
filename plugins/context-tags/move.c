/* Moves the primary: the new machine says so first, then the old ones cease to; an old one that cannot be reached does
 * not hold the move up, since the higher epoch wins. */
#include "tags.h"
#include <string.h>

typedef struct {
  Tags *tags;
  AzlinOp *op;
  char *from, *to;
  guint64 epoch;     /* the one before the move */
  gboolean is_first; /* nobody but the tags keeps the records: their word is checked */
  GPtrArray *vms;    /* of AzlinVm */
  guint pending;
  GError *error; /* of the first machine that keeps its old tags */
} Move;

static void
move_end(Move *move, GError *error)
{
  const AzlinHostApi *api = move->tags->api;
  AzlinOp *op = move->op;
  guint64 epoch = move->epoch + 1;
  g_clear_pointer(&move->vms, g_ptr_array_unref);
  g_clear_error(&move->error);
  g_free(move->from);
  g_free(move->to);
  g_free(move);
  if (error != NULL)
    api->op_fail(op, error);
  else
    api->op_finish_variant(op, g_variant_new_uint64(epoch));
}

static const AzlinVm *
find(const Move *move, const char *region)
{
  for (guint i = 0; i < move->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(move->vms, i);
    if (strcmp(vm->region, region) == 0)
      return vm;
  }
  return NULL;
}

/* ---- the old ones ---- */

static void
demoted_all(Move *move)
{
  if (--move->pending > 0)
    return;
  /* The move has come through. Beside another place of records that is only half of what was asked, and said. */
  if (move->error != NULL && move->is_first)
    move->tags->api->log(move->tags->host, G_LOG_LEVEL_WARNING, "%s; azlin regions refresh repairs it",
                         move->error->message);
  move_end(move, move->is_first ? NULL : g_steal_pointer(&move->error));
}

typedef struct {
  Move *move;
  char *region;
} Demotion;

static void
on_demoted(AzlinOp *op, gpointer data)
{
  Demotion *demotion = data;
  Move *move = demotion->move;
  const GError *error = move->tags->api->op_error(op);
  gboolean gone = g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND);
  if (error != NULL && !gone && move->error == NULL)
    move->error = g_error_new(AZLIN_ERROR, error->code, "%s still says that it is primary: %s", demotion->region,
                              error->message);
  g_free(demotion->region);
  g_free(demotion);
  demoted_all(move);
}

static gboolean
claims(const AzlinVm *vm)
{
  const char *value = tag_find(vm->tags, AZLIN_TAG_PRIMARY);
  return value != NULL && g_ascii_strcasecmp(value, "true") == 0;
}

static void
demote(Move *move)
{
  g_autofree char *epoch = g_strdup_printf("%" G_GUINT64_FORMAT, move->epoch + 1);
  move->pending = 1;
  for (guint i = 0; i < move->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(move->vms, i);
    if (strcmp(vm->region, move->to) == 0 || (strcmp(vm->region, move->from) != 0 && !claims(vm)))
      continue;
    GVariantBuilder set;
    g_variant_builder_init(&set, G_VARIANT_TYPE("a{ss}"));
    g_variant_builder_add(&set, "{ss}", AZLIN_TAG_PRIMARY, "false");
    g_variant_builder_add(&set, "{ss}", AZLIN_TAG_EPOCH, epoch);
    Demotion *demotion = g_new(Demotion, 1);
    *demotion = (Demotion){ move, g_strdup(vm->region) };
    move->pending++;
    tags_write(move->tags, move->op, vm, g_variant_builder_end(&set), tags_of_primary, on_demoted, demotion);
  }
  demoted_all(move);
}

/* ---- the new one ---- */

static void
on_promoted(AzlinOp *op, gpointer data)
{
  Move *move = data;
  const GError *error = move->tags->api->op_error(op);
  gboolean silent = !move->is_first && g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED);
  if (error != NULL && !silent) {
    move_end(move, g_error_copy(error));
    return;
  }
  if (silent) /* a machine that cannot say so is primary all the same */
    move->error = g_error_copy(error);
  demote(move);
}

static void
promote(Move *move)
{
  const AzlinVm *vm = *move->to != '\0' ? find(move, move->to) : NULL;
  if (vm != NULL)
    tags_write(move->tags, move->op, vm, tags_of_move(move->tags, vm, move->epoch + 1), NULL, on_promoted, move);
  else if (*move->to == '\0')
    demote(move);
  else
    move_end(move, g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "Region %s does not exist", move->to));
}

/* ---- whose machines ---- */

static GPtrArray *
copies(Tags *tags, const AzlinVm *const *vms, gsize n)
{
  GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify) tags->api->vm_free);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(all, tags->api->vm_dup(vms[i]));
  return all;
}

static void
on_records(AzlinOp *op, gpointer data)
{
  Move *move = data;
  gsize n = 0;
  const AzlinVm *const *vms = move->tags->api->op_vms(op, &n);
  if (move->tags->api->op_error(op) != NULL) {
    move_end(move, g_error_copy(move->tags->api->op_error(op)));
    return;
  }
  move->vms = copies(move->tags, vms, n);
  promote(move);
}

static void
on_cloud(AzlinOp *op, gpointer data)
{
  Move *move = data;
  gsize n = 0;
  const AzlinVm *const *vms = move->tags->api->op_vms(op, &n);
  if (move->tags->api->op_error(op) != NULL) {
    move_end(move, g_error_copy(move->tags->api->op_error(op)));
    return;
  }
  g_autoptr(Reading) reading = reading_new(move->tags, vms, n);
  if (strcmp(reading->primary, move->from) != 0 || reading->epoch != move->epoch) {
    move_end(move,
             g_error_new(AZLIN_ERROR, AZLIN_ERROR_FENCED,
                         "the primary is %s at epoch %" G_GUINT64_FORMAT ", no longer %s at epoch %" G_GUINT64_FORMAT,
                         *reading->primary != '\0' ? reading->primary : "none", reading->epoch,
                         *move->from != '\0' ? move->from : "none", move->epoch));
    return;
  }
  move->vms = g_ptr_array_ref(reading->vms);
  promote(move);
}

void
tags_set_primary(gpointer self, const char *from, const char *to, guint64 epoch, AzlinOp *op)
{
  Tags *tags = self;
  gpointer first_self = NULL;
  Move *move = g_new0(Move, 1);
  const AzlinContext *first = tags->api->lookup(tags->host, AZLIN_KIND_CONTEXT, NULL, &first_self);
  *move = (Move){ .tags = tags, .op = op, .epoch = epoch, .is_first = first == NULL || first_self == self };
  move->from = g_strdup(from != NULL ? from : "");
  move->to = g_strdup(to != NULL ? to : "");
  /* The records of the first place say which machines there are, without asking a cloud that may be half down. */
  if (move->is_first)
    tags_list_cloud(tags, op, on_cloud, move);
  else
    first->list(first_self, tags->api->op_new(op, "records", 0, on_records, move));
}
