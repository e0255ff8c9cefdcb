/* What each host tells the others, one short text each: for people, so nothing is compared when it is written. */
#include "shared.h"
#include <string.h>

#define MAX_TEXT 2048
#define MAX_HOSTS 1000
#define MAX_NAME 64

typedef struct {
  Shared *shared;
  AzlinOp *op;
} Notice;

static Notice *
notice_new(gpointer self, AzlinOp *op)
{
  Notice *notice = g_new(Notice, 1);
  *notice = (Notice){ self, op };
  return notice;
}

static gboolean
is_name(const char *text)
{
  gsize length = strlen(text);
  return length > 0 && length <= MAX_NAME && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static void
on_put(const EtcdReply *reply, gpointer data)
{
  g_autofree Notice *notice = data;
  const AzlinHostApi *api = notice->shared->cluster.api;
  if (reply->error != NULL)
    api->op_fail(notice->op, shared_error(notice->shared, reply->error, TRUE));
  else
    api->op_finish(notice->op);
}

void
shared_publish(gpointer self, const char *name, const char *text, AzlinOp *op)
{
  Shared *shared = self;
  if (!is_name(name) || strlen(text) > MAX_TEXT) {
    shared->cluster.api->op_fail(
        op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE, "no name, or more than %d bytes", MAX_TEXT));
    return;
  }
  g_autofree char *key = g_strconcat(shared->cluster.prefix, "state/host/", name, NULL);
  json_t *body = json_pack("{soso}", "key", etcd_base64(key), "value", etcd_base64(text));
  etcd_ask(&shared->cluster, op, "/v3/kv/put", body, SHARED_READ_S, on_put, notice_new(self, op));
}

static void
on_range(const EtcdReply *reply, gpointer data)
{
  g_autofree Notice *notice = data;
  const EtcdCluster *cluster = &notice->shared->cluster;
  g_autofree char *start = g_strconcat(cluster->prefix, "state/host/", NULL);
  const json_t *kvs = json_object_get(reply->body, "kvs");
  GVariantBuilder texts;
  if (reply->error != NULL) {
    cluster->api->op_fail(notice->op, shared_error(notice->shared, reply->error, FALSE));
    return;
  }
  g_variant_builder_init(&texts, G_VARIANT_TYPE("a{ss}"));
  for (gsize i = 0; i < json_array_size(kvs); i++) {
    const json_t *kv = json_array_get(kvs, i);
    g_autofree char *key = etcd_text(json_object_get(kv, "key"), 512);
    g_autofree char *text = etcd_text(json_object_get(kv, "value"), MAX_TEXT);
    if (key != NULL && text != NULL && g_str_has_prefix(key, start) && is_name(key + strlen(start)))
      g_variant_builder_add(&texts, "{ss}", key + strlen(start), text);
  }
  cluster->api->op_finish_variant(notice->op, g_variant_builder_end(&texts));
}

void
shared_published(gpointer self, AzlinOp *op)
{
  Shared *shared = self;
  g_autofree char *start = g_strconcat(shared->cluster.prefix, "state/host/", NULL);
  g_autofree char *end = g_strconcat(shared->cluster.prefix, "state/host0", NULL);
  json_t *body = json_pack("{sososo}", "key", etcd_base64(start), "range_end", etcd_base64(end), "limit",
                           etcd_integer(MAX_HOSTS));
  etcd_ask(&shared->cluster, op, "/v3/kv/range", body, SHARED_READ_S, on_range, notice_new(self, op));
}
