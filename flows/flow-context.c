/* The places where records live: the first decides, the others follow beside the work and never hold it up. */
#include "flow-support.h"
#include <string.h>

/* How long a place that follows may take: in a failover nobody waits for a cloud that is half down. */
#define FOLLOW_MS 10000
#define FOLLOW_FAILOVER_MS 2000

typedef enum { WRITE_PUT, WRITE_STATUS, WRITE_FORGET, WRITE_PRIMARY } WriteKind;

typedef struct { /* one write, kept until the first place has taken it; counted with g_rc_box */
  AzEngine *engine;
  AzlinDone done;
  gpointer data;
  WriteKind kind;
  GPtrArray *vms; /* of AzlinVm */
  char *from, *to;
  guint64 epoch; /* before the move */
} Write;

typedef struct { /* the same write for one place that follows */
  Write *write;
  char *place;
} Follow;

static void
write_clear(gpointer data)
{
  Write *write = data;
  g_clear_pointer(&write->vms, g_ptr_array_unref);
  g_free(write->from);
  g_free(write->to);
}

static void
write_unref(Write *write)
{
  g_rc_box_release_full(write, write_clear);
}

static Write *
write_new(AzEngine *engine, WriteKind kind, AzlinDone done, gpointer data)
{
  Write *write = g_rc_box_new0(Write);
  *write = (Write){ .engine = engine, .kind = kind, .done = done, .data = data };
  return write;
}

static char **
places(AzEngine *engine)
{
  return az_config_strv(az_engine_config(engine), "bricks", "context");
}

static gboolean
others_follow(AzEngine *engine)
{
  g_auto(GStrv) names = places(engine);
  return names && names[0] && names[1];
}

/* Only followers need them beyond the call. */
static void
write_keep(Write *write, const AzlinVm *const *vms, gsize n)
{
  if (!others_follow(write->engine))
    return;
  write->vms = g_ptr_array_new_full((guint) n, (GDestroyNotify) az_vm_free);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(write->vms, az_vm_dup(vms[i]));
}

/* ---- the places that follow ---- */

gboolean
az_flow_has_context(AzEngine *engine, const char *name)
{
  g_auto(GStrv) names = places(engine);
  return names && g_strv_contains((const char *const *) names, name);
}

static char *
regions_of(const Write *write)
{
  if (!write->vms)
    return g_strdup(write->from);
  const AzlinVm *first = g_ptr_array_index(write->vms, 0);
  return write->vms->len == 1 ? g_strdup(first->region) : g_strdup_printf("%u regions", write->vms->len);
}

static void
say_behind(AzlinOp *op, const Follow *follow, const GError *error)
{
  const Write *write = follow->write;
  gboolean for_good = g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED);
  const char *repair = for_good ? "" : "; azlin regions refresh repairs them";
  if (write->kind != WRITE_PRIMARY) {
    g_autofree char *regions = regions_of(write);
    az_op_warn(op, "The %s of %s were not written: %s%s", follow->place, regions, error->message, repair);
    return;
  }
  az_op_warn(op, "The %s do not all say yet that %s is primary: %s%s", follow->place,
             *write->to ? write->to : "no region", error->message, repair);
}

static void
follow_free(Follow *follow)
{
  write_unref(follow->write);
  g_free(follow->place);
  g_free(follow);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Follow, follow_free)

static void
on_followed(AzlinOp *op, gpointer data)
{
  g_autoptr(Follow) follow = data;
  if (az_op_error(op))
    say_behind(op, follow, az_op_error(op));
}

typedef struct { /* puts of a place that takes one record at a time */
  AzlinOp *op;
  guint pending;
  GError *error;
} Series;

static void
series_step(Series *series)
{
  if (--series->pending > 0)
    return;
  if (series->error)
    az_op_fail(series->op, series->error);
  else
    az_op_finish(series->op);
  g_free(series);
}

static void
on_series_put(AzlinOp *op, gpointer data)
{
  Series *series = data;
  if (az_op_error(op) && !series->error)
    series->error = g_error_copy(az_op_error(op));
  series_step(series);
}

static void
put_each(const AzlinContext *context, gpointer self, GPtrArray *vms, AzlinOp *op)
{
  Series *series = g_new0(Series, 1);
  *series = (Series){ .op = op, .pending = vms->len + 1 };
  for (guint i = 0; i < vms->len; i++)
    context->put(self, g_ptr_array_index(vms, i), az_op_new(op, "put", 0, on_series_put, series));
  series_step(series);
}

static void
call_place(const AzlinContext *context, gpointer self, const Write *write, AzlinOp *op)
{
  const AzlinVm *const *vms = write->vms ? (const AzlinVm *const *) write->vms->pdata : NULL;
  guint n = write->vms ? write->vms->len : 0;
  if (write->kind == WRITE_PRIMARY)
    context->set_primary(self, write->from, write->to, write->epoch, az_op_expect(op, "t"));
  else if (write->kind == WRITE_FORGET)
    context->forget(self, write->from, op);
  else if (write->kind == WRITE_STATUS && context->put_status)
    context->put_status(self, vms, n, op);
  else if (write->kind == WRITE_STATUS)
    az_op_finish(op);
  else if (context->put_all)
    context->put_all(self, vms, n, op);
  else
    put_each(context, self, write->vms, op);
}

/* ---- a place that may be a copy of the first ---- */

typedef struct {
  Follow *follow; /* as long as its op */
  AzlinOp *op;
} Copying;

static void
on_copied(AzStored *stored, const GError *error, gpointer data)
{
  g_autofree Copying *copying = data;
  if (stored) {
    az_stored_unref(stored);
    az_op_finish(copying->op);
  } else {
    az_op_fail(copying->op, g_error_copy(error));
  }
}

/* What is shared was written by others too: a copy takes all that stands there now. */
static void
on_first_info(AzlinOp *op, gpointer data)
{
  g_autofree Copying *copying = data;
  const Write *write = copying->follow->write;
  gpointer self = NULL;
  GError *error = NULL;
  if (!az_op_error(op) && g_variant_lookup(az_op_variant(op), "source", "&s", NULL)) {
    AzEngine *engine = write->engine;
    AzlinOp *parent = copying->op;
    az_stored_fetch(engine, parent, on_copied, g_steal_pointer(&copying));
    return;
  }
  const AzlinContext *context
      = az_engine_lookup(write->engine, AZLIN_KIND_CONTEXT, copying->follow->place, &self, &error);
  if (az_op_error(op))
    error = g_error_copy(az_op_error(op));
  if (error)
    az_op_fail(copying->op, error);
  else
    call_place(context, self, write, copying->op);
}

static void
follow_as_copy(Follow *follow, AzlinOp *op)
{
  Copying *copying = g_new(Copying, 1);
  *copying = (Copying){ follow, op };
  az_flow_info(follow->write->engine, op, on_first_info, copying);
}

static void
follow_one(Write *write, const char *place, AzlinOp *first)
{
  gpointer self = NULL;
  GError *error = NULL;
  gboolean hurry = az_op_priority(first) == AZ_PRIORITY_FAILOVER;
  Follow *follow = g_new(Follow, 1);
  *follow = (Follow){ g_rc_box_acquire(write), g_strdup(place) };
  AzlinOp *op = az_op_new_detached(first, place, hurry ? FOLLOW_FAILOVER_MS : FOLLOW_MS, on_followed, follow);
  const AzlinContext *context = az_engine_lookup(write->engine, AZLIN_KIND_CONTEXT, place, &self, &error);
  if (context && context->mirror)
    follow_as_copy(follow, op);
  else if (context)
    call_place(context, self, write, op);
  else
    az_op_fail(op, error);
}

static void
follow_all(Write *write, AzlinOp *first)
{
  g_auto(GStrv) names = places(write->engine);
  for (guint i = 1; names && names[0] && names[i]; i++)
    if (!g_str_equal(names[i], names[0]))
      follow_one(write, names[i], first);
}

static void
on_first(AzlinOp *op, gpointer data)
{
  Write *write = data;
  if (!az_op_error(op))
    follow_all(write, op);
  write->done(op, write->data);
  write_unref(write);
}

/* ---- the first place ---- */

static const AzlinContext *
context_for(AzEngine *engine, AzlinOp *op, gpointer *ret_self)
{
  GError *error = NULL;
  const AzlinContext *context = az_engine_lookup(engine, AZLIN_KIND_CONTEXT, NULL, ret_self, &error);
  if (!context)
    az_op_fail(op, error);
  return context;
}

/* The op of a write: `write` is dropped where nobody follows. */
static AzlinOp *
write_op(AzlinOp *parent, const char *label, guint32 timeout_ms, Write *write)
{
  if (others_follow(write->engine))
    return az_op_new(parent, label, timeout_ms, on_first, write);
  AzlinOp *op = az_op_new(parent, label, timeout_ms, write->done, write->data);
  write_unref(write);
  return op;
}

void
az_flow_info(AzEngine *engine, AzlinOp *parent, AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  AzlinOp *op = az_op_expect(az_op_new(parent, "info", AZ_CONTEXT_MS, done, data), "a{sv}");
  const AzlinContext *context = context_for(engine, op, &self);
  if (context)
    context->info(self, op);
}

void
az_flow_list(AzEngine *engine, AzlinOp *parent, AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  AzlinOp *op = az_op_expect(az_op_new(parent, "list", AZ_CONTEXT_MS, done, data), AZ_OP_VMS);
  const AzlinContext *context = context_for(engine, op, &self);
  if (context)
    context->list(self, op);
}

void
az_flow_put(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  Write *write = write_new(engine, WRITE_PUT, done, data);
  write_keep(write, &vm, 1);
  AzlinOp *op = write_op(parent, "put", AZ_CONTEXT_MS, write);
  const AzlinContext *context = context_for(engine, op, &self);
  if (context)
    context->put(self, vm, op);
}

gsize
az_flow_put_some(AzEngine *engine, AzlinOp *parent, const AzlinVm *const *vms, gsize n, AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  const AzlinContext *context = az_engine_lookup(engine, AZLIN_KIND_CONTEXT, NULL, &self, NULL);
  gboolean together = n > 1 && context && context->put_all;
  gsize taken = together ? n : 1;
  Write *write = write_new(engine, WRITE_PUT, done, data);
  write_keep(write, vms, taken);
  AzlinOp *op = write_op(parent, "put", 0, write);
  if (together)
    context->put_all(self, vms, n, op);
  else if (context_for(engine, op, &self))
    context->put(self, vms[0], op);
  else
    return n;
  return taken;
}

void
az_flow_put_status(AzEngine *engine, AzlinOp *parent, const AzlinVm *const *vms, gsize n, AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  Write *write = write_new(engine, WRITE_STATUS, done, data);
  write_keep(write, vms, n);
  AzlinOp *op = n > 0 ? write_op(parent, "put-status", AZ_CONTEXT_MS, write)
                      : az_op_new(parent, "put-status", AZ_CONTEXT_MS, done, data);
  if (n == 0)
    write_unref(write);
  const AzlinContext *context = context_for(engine, op, &self);
  if (!context)
    return;
  if (context->put_status && n > 0)
    context->put_status(self, vms, n, op);
  else
    az_op_finish(op);
}

void
az_flow_forget(AzEngine *engine, AzlinOp *parent, const char *region, AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  Write *write = write_new(engine, WRITE_FORGET, done, data);
  write->from = g_strdup(region);
  AzlinOp *op = write_op(parent, "forget", AZ_CONTEXT_MS, write);
  const AzlinContext *context = context_for(engine, op, &self);
  if (context)
    context->forget(self, region, op);
}

void
az_flow_set_primary(AzEngine *engine, AzlinOp *parent, const char *from, const char *to, guint64 epoch, AzlinDone done,
                    gpointer data)
{
  gpointer self = NULL;
  Write *write = write_new(engine, WRITE_PRIMARY, done, data);
  write->from = g_strdup(from);
  write->to = g_strdup(to);
  write->epoch = epoch;
  AzlinOp *op = az_op_expect(write_op(parent, "set-primary", AZ_CONTEXT_MS, write), "t");
  const AzlinContext *context = context_for(engine, op, &self);
  if (context)
    context->set_primary(self, from, to, epoch, op);
}

void
az_flow_raise_epoch(AzEngine *engine, AzlinOp *parent, guint64 epoch, AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  AzlinOp *op = az_op_new(parent, "raise-epoch", AZ_CONTEXT_MS, done, data);
  const AzlinContext *context = context_for(engine, op, &self);
  if (!context)
    return;
  if (context->raise_epoch)
    context->raise_epoch(self, epoch, op);
  else
    az_op_finish(op);
}

void
az_flow_repeat_primary(AzEngine *engine, AzlinOp *op, const char *primary, guint64 epoch)
{
  if (!others_follow(engine) || epoch == 0)
    return;
  Write *write = write_new(engine, WRITE_PRIMARY, NULL, NULL);
  write->from = g_strdup("");
  write->to = g_strdup(primary);
  write->epoch = epoch - 1;
  follow_all(write, op);
  write_unref(write);
}
