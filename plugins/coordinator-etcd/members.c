/* Who is there: a key below "members/" for each, which stands as long as its lease is kept alive. */
#include "etcd.h"
#include "lease.h"
#include <string.h>

#define FOLDER "members/"
#define MAX_NAME 64
#define PAGE 16 /* so many facts of full size fit into one answer */
#define MAX_MEMBERS 128
#define ANNOUNCE_S 8u
#define LEAVE_S 3u

typedef struct {
  Etcd *etcd;
  AzlinOp *op;
  char *name, *key, *facts;
  gint64 lease;
  guint32 ttl_s;
  gboolean fresh;         /* the lease was made for this announcement */
  GVariantBuilder *found; /* of members */
  guint n;
} Work;

static Work *
work_new(Etcd *etcd, AzlinOp *op, const char *name)
{
  Work *work = g_new0(Work, 1);
  work->etcd = etcd;
  work->op = op;
  work->name = g_strdup(name);
  work->key = g_strconcat(etcd->cluster.prefix, FOLDER, name, NULL);
  return work;
}

static void
work_free(Work *work)
{
  g_clear_pointer(&work->found, g_variant_builder_unref);
  g_free(work->name);
  g_free(work->key);
  g_free(work->facts);
  g_free(work);
}

/* Takes `error`. */
static void
fail(Work *work, GError *error)
{
  work->etcd->cluster.api->op_fail(work->op, error);
  work_free(work);
}

static gint64
lease_of(Etcd *etcd, const char *name)
{
  const gint64 *lease = g_hash_table_lookup(etcd->announced, name);
  return lease != NULL ? *lease : 0;
}

/* ---- announce: keep the lease alive or get one, then put the facts ---- */

static void get_lease(Work *work);

static void
on_put(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  g_auto(EtcdHolder) holder = { 0 };
  if (reply->error != NULL) {
    fail(work, g_error_copy(reply->error));
    return;
  }
  gboolean found = etcd_find(reply->body, &holder);
  if (found && holder.created > 0 && holder.lease == work->lease) {
    g_hash_table_replace(work->etcd->announced, g_strdup(work->name), g_memdup2(&work->lease, sizeof work->lease));
    work->etcd->cluster.api->op_finish_variant(work->op, g_variant_new_uint64(holder.created));
    work_free(work);
    return;
  }
  g_hash_table_remove(work->etcd->announced, work->name);
  if (found && holder.created > 0)
    fail(work, g_error_new(AZLIN_ERROR, AZLIN_ERROR_LOCKED, "another process is there as \"%s\"", work->name));
  else if (!work->fresh)
    get_lease(work); /* somebody took the key away: it comes anew */
  else
    fail(work,
         g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "etcd's answer does not say who is there as \"%s\"", work->name));
}

static void
put(Work *work)
{
  json_t *request = work->fresh ? etcd_take(work->key, work->facts, work->lease)
                                : etcd_replace(work->key, work->facts, work->lease);
  etcd_ask(&work->etcd->cluster, work->op, "/v3/kv/txn", request, ANNOUNCE_S, on_put, work);
}

static void
on_granted(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  GError *error = NULL;
  if (etcd_granted(reply, work->ttl_s, &error) == 0)
    fail(work, error);
  else
    put(work);
}

static void
get_lease(Work *work)
{
  work->fresh = TRUE;
  work->lease = etcd_fresh_number();
  etcd_ask(&work->etcd->cluster, work->op, "/v3/lease/grant", etcd_grant(work->lease, work->ttl_s), ANNOUNCE_S,
           on_granted, work);
}

static void
on_kept(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  if (reply->error != NULL) {
    fail(work, g_error_copy(reply->error));
    return;
  }
  if (etcd_ttl(reply->body) > 0) {
    put(work);
    return;
  }
  g_hash_table_remove(work->etcd->announced, work->name);
  get_lease(work);
}

static gboolean
is_name(const char *name)
{
  return name != NULL && *name != '\0' && strlen(name) <= MAX_NAME
         && name[strspn(name, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "._-")] == '\0';
}

void
etcd_announce(gpointer self, const char *name, const char *facts, guint32 ttl_s, AzlinOp *op)
{
  Etcd *etcd = self;
  if (!is_name(name) || facts == NULL || strlen(facts) > AZLIN_FACTS_MAX || !g_utf8_validate(facts, -1, NULL)) {
    etcd->cluster.api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE,
                                               "who is there needs a name, and facts of at most %u bytes",
                                               AZLIN_FACTS_MAX));
    return;
  }
  Work *work = work_new(etcd, op, name);
  work->facts = g_strdup(facts);
  work->ttl_s = MAX(ttl_s, 2 * LEASE_MARGIN_S);
  work->lease = lease_of(etcd, name);
  if (work->lease != 0)
    etcd_ask(&etcd->cluster, op, "/v3/lease/keepalive", etcd_lease(work->lease), ANNOUNCE_S, on_kept, work);
  else
    get_lease(work);
}

/* ---- members: read in pages ---- */

static void read_page(Work *work, const char *from);

/* What is no text of ours is left out: it may be anybody's. Returns the key, owned, or NULL. */
static char *
take_member(Work *work, const json_t *kv)
{
  g_autofree char *key = etcd_text(json_object_get(kv, "key"), strlen(work->key) + MAX_NAME);
  g_autofree char *facts = etcd_text(json_object_get(kv, "value"), AZLIN_FACTS_MAX);
  guint64 created = (guint64) etcd_number(kv, "create_revision");
  if (key == NULL || !g_str_has_prefix(key, work->key))
    return NULL;
  const char *name = key + strlen(work->key);
  if (is_name(name) && facts != NULL && created > 0)
    g_variant_builder_add(work->found, "(sts)", name, created, facts);
  return g_steal_pointer(&key);
}

static void
on_page(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  g_autofree char *last = NULL;
  if (reply->error != NULL) {
    fail(work, g_error_copy(reply->error));
    return;
  }
  const json_t *kvs = json_object_get(reply->body, "kvs");
  for (gsize i = 0; i < json_array_size(kvs); i++) {
    g_free(last);
    last = take_member(work, json_array_get(kvs, i));
  }
  work->n += (guint) json_array_size(kvs);
  if (json_is_true(json_object_get(reply->body, "more")) && last != NULL && work->n < MAX_MEMBERS) {
    read_page(work, last);
    return;
  }
  work->etcd->cluster.api->op_finish_variant(work->op, g_variant_builder_end(work->found));
  work_free(work);
}

/* Those that come after `from`. */
static void
read_page(Work *work, const char *from)
{
  json_t *request = etcd_range(from, work->key, PAGE);
  etcd_ask(&work->etcd->cluster, work->op, "/v3/kv/range", request, ANNOUNCE_S, on_page, work);
}

void
etcd_members(gpointer self, AzlinOp *op)
{
  Work *work = work_new(self, op, "");
  work->found = g_variant_builder_new(G_VARIANT_TYPE("a(sts)"));
  read_page(work, work->key);
}

/* ---- leave ---- */

static void
on_revoked(const EtcdReply *reply, gpointer data)
{
  Work *work = data;
  gboolean gone = etcd_complains(reply, "lease not found");
  if (reply->error != NULL && !gone) {
    fail(work, g_error_copy(reply->error));
    return;
  }
  work->etcd->cluster.api->op_finish(work->op);
  work_free(work);
}

void
etcd_leave(gpointer self, const char *name, AzlinOp *op)
{
  Etcd *etcd = self;
  gint64 lease = lease_of(etcd, name);
  if (lease == 0) {
    etcd->cluster.api->op_finish(op);
    return;
  }
  Work *work = work_new(etcd, op, name);
  g_hash_table_remove(etcd->announced, name);
  etcd_ask(&etcd->cluster, op, "/v3/lease/revoke", etcd_lease(lease), LEAVE_S, on_revoked, work);
}
