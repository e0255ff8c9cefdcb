/* All records of one moment, page by page at one revision; and the head alone. */
#include "region.h"
#include "shared.h"
#include <string.h>

#define MAX_RESTARTS 5 /* etcd compacted away what was being read */

typedef struct {
  Shared *shared;
  AzlinOp *op;
  StateHead head;
  GPtrArray *records; /* of StateRecord */
  guint restarts;
} Reading;

static void
reading_free(Reading *reading)
{
  state_head_clear(&reading->head);
  g_ptr_array_unref(reading->records);
  g_free(reading);
}

static Reading *
reading_new(gpointer self, AzlinOp *op)
{
  Reading *reading = g_new0(Reading, 1);
  reading->shared = self;
  reading->op = op;
  reading->records = g_ptr_array_new_with_free_func((GDestroyNotify) state_record_free);
  return reading;
}

GError *
shared_error(Shared *shared, const GError *error, gboolean sent)
{
  if (!g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NETWORK)
      && !g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT))
    return g_error_copy(error);
  const char *outcome = sent ? ", and nobody knows whether the change was made" : "";
  /* at the end, since its steps hang behind its message */
  GError *told = g_error_new(AZLIN_ERROR, AZLIN_ERROR_LOCKED, "The shared records cannot be asked%s: %s", outcome,
                             error->message);
  shared->cluster.api->error_add_step(told, "See whether they can be asked again: azlin status");
  shared->cluster.api->error_add_step(told, "%s", "");
  return told;
}

/* Takes `error`. */
static void
fail(Reading *reading, GError *error)
{
  reading->shared->cluster.api->op_fail(reading->op, error);
  reading_free(reading);
}

/* ---- list ---- */

static void begin(Reading *reading);

static void
clear_vm(gpointer data)
{
  AzlinVm *vm = data;
  g_clear_pointer(&vm->tags, g_variant_unref);
}

/* etcd sorts by key, which is by region; the primary goes to the front. */
static void
finish_list(Reading *reading)
{
  guint n = reading->records->len, first = 0;
  g_autofree AzlinVm *all = g_new0(AzlinVm, n + 1);
  g_autoptr(GPtrArray) order = g_ptr_array_new_with_free_func(clear_vm);
  GStringChunk *chunk = g_string_chunk_new(4096);
  for (guint i = 0; i < n; i++) {
    const StateRecord *record = g_ptr_array_index(reading->records, i);
    region_read(record->json, SHARED_GROUP, chunk, &all[i]);
    all[i].is_primary = strcmp(record->region, reading->head.primary) == 0;
    g_ptr_array_insert(order, all[i].is_primary ? (int) first++ : -1, &all[i]);
  }
  reading->shared->cluster.api->op_finish_vms(reading->op, (const AzlinVm *const *) order->pdata, n);
  g_string_chunk_free(chunk);
  reading_free(reading);
}

static gboolean
restart(Reading *reading, const EtcdReply *reply)
{
  gboolean compacted = etcd_complains(reply, "compacted");
  if (!compacted || reading->restarts++ >= MAX_RESTARTS)
    return FALSE;
  g_ptr_array_set_size(reading->records, 0);
  state_head_clear(&reading->head);
  begin(reading);
  return TRUE;
}

static void on_next(const EtcdReply *reply, gpointer data);

static void
go_on(Reading *reading, gboolean more)
{
  Shared *shared = reading->shared;
  if (!more) {
    finish_list(reading);
    return;
  }
  const StateRecord *last = g_ptr_array_index(reading->records, reading->records->len - 1);
  etcd_ask(&shared->cluster, reading->op, "/v3/kv/range",
           state_read_next(shared->cluster.prefix, last->region, reading->head.revision), SHARED_READ_S, on_next,
           reading);
}

static void
on_next(const EtcdReply *reply, gpointer data)
{
  Reading *reading = data;
  GError *error = NULL;
  gboolean more = FALSE;
  if (reply->error != NULL) {
    if (!restart(reading, reply))
      fail(reading, shared_error(reading->shared, reply->error, FALSE));
    return;
  }
  if (state_parse_page(reply->body, reading->shared->cluster.prefix, reading->records, &more, &error))
    go_on(reading, more);
  else
    fail(reading, error);
}

static void
on_first(const EtcdReply *reply, gpointer data)
{
  Reading *reading = data;
  GError *error = reply->error != NULL ? shared_error(reading->shared, reply->error, FALSE) : NULL;
  gboolean more = FALSE;
  if (error == NULL
      && state_parse(reply->body, reading->shared->cluster.prefix, &reading->head, reading->records, &more, &error))
    go_on(reading, more);
  else
    fail(reading, error);
}

static void
begin(Reading *reading)
{
  Shared *shared = reading->shared;
  etcd_ask(&shared->cluster, reading->op, "/v3/kv/txn", state_read_first(shared->cluster.prefix), SHARED_READ_S,
           on_first, reading);
}

void
shared_list(gpointer self, AzlinOp *op)
{
  begin(reading_new(self, op));
}

/* ---- info ---- */

static void
on_head(const EtcdReply *reply, gpointer data)
{
  Reading *reading = data;
  const EtcdCluster *cluster = &reading->shared->cluster;
  StateHead *head = &reading->head;
  GError *error = reply->error != NULL ? shared_error(reading->shared, reply->error, FALSE) : NULL;
  gboolean more = FALSE;
  GVariantBuilder builder;
  if (error != NULL || !state_parse(reply->body, cluster->prefix, head, reading->records, &more, &error)) {
    fail(reading, error);
    return;
  }
  g_autofree char *path = g_strdup_printf("etcd at %s, below %s", cluster->endpoints[0], cluster->prefix);
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", "epoch", g_variant_new_uint64(head->epoch));
  g_variant_builder_add(&builder, "{sv}", "generation", g_variant_new_uint64(head->generation));
  g_variant_builder_add(&builder, "{sv}", "primary", g_variant_new_string(head->primary));
  g_variant_builder_add(&builder, "{sv}", "path", g_variant_new_string(path));
  g_variant_builder_add(&builder, "{sv}", "source", g_variant_new_string(head->source));
  cluster->api->op_finish_variant(reading->op, g_variant_builder_end(&builder));
  reading_free(reading);
}

void
shared_info(gpointer self, AzlinOp *op)
{
  Shared *shared = self;
  etcd_ask(&shared->cluster, op, "/v3/kv/txn", state_read_some(shared->cluster.prefix, NULL, 0), SHARED_READ_S, on_head,
           reading_new(self, op));
}
