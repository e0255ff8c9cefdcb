/* Requests for the shared state, and its head and records out of etcd's answers: none of it is believed unseen. */
#include "wire.h"
#include "region.h"
#include <string.h>

#define MAX_KEY 768 /* bytes: prefix and name */

void
state_head_clear(StateHead *head)
{
  g_clear_pointer(&head->source, g_free);
  g_clear_pointer(&head->primary, g_free);
  g_clear_pointer(&head->by, g_free);
}

void
state_record_free(StateRecord *record)
{
  g_free(record->region);
  json_decref(record->json);
  g_free(record);
}

/* ---- requests ---- */

char *
state_region_key(const char *prefix, const char *region)
{
  return g_strconcat(prefix, "state/region/", region, NULL);
}

static json_t *
range_of(const char *prefix, const char *name)
{
  g_autofree char *key = g_strconcat(prefix, name, NULL);
  return etcd_read_op(key);
}

/* What every reading begins with: both of one moment. */
static json_t *
read_head(const char *prefix)
{
  return json_pack("[oo]", range_of(prefix, "state/head"), range_of(prefix, "state/changed"));
}

/* From `key` on, up to the last record: '0' is what comes behind '/'. */
static json_t *
page_from(const char *prefix, const char *key)
{
  g_autofree char *end = g_strconcat(prefix, "state/region0", NULL);
  return json_pack("{sososo}", "key", etcd_base64(key), "range_end", etcd_base64(end), "limit",
                   etcd_integer(STATE_PAGE));
}

json_t *
state_read_some(const char *prefix, const char *const *regions, gsize n)
{
  json_t *success = read_head(prefix);
  for (gsize i = 0; i < n; i++) {
    g_autofree char *name = g_strconcat("state/region/", regions[i], NULL);
    json_array_append_new(success, range_of(prefix, name));
  }
  return json_pack("{so}", "success", success);
}

json_t *
state_read_first(const char *prefix)
{
  g_autofree char *key = state_region_key(prefix, "");
  json_t *success = read_head(prefix);
  json_array_append_new(success, json_pack("{so}", "request_range", page_from(prefix, key)));
  return json_pack("{so}", "success", success);
}

json_t *
state_read_next(const char *prefix, const char *region, guint64 revision)
{
  g_autofree char *key = state_region_key(prefix, region), *behind = g_strconcat(key, " ", NULL);
  json_t *page = page_from(prefix, behind);
  json_object_set_new(page, "revision", etcd_integer((gint64) revision));
  return page;
}

void
state_commit_init(StateCommit *commit)
{
  *commit = (StateCommit){ json_array(), json_array(), json_array() };
}

void
state_commit_clear(StateCommit *commit)
{
  json_decref(commit->compare);
  json_decref(commit->success);
  json_decref(commit->failure);
  *commit = (StateCommit){ 0 };
}

void
state_commit_unchanged(StateCommit *commit, const char *key, guint64 modified)
{
  json_array_append_new(commit->compare, json_pack("{sssssoso}", "target", "MOD", "result", "EQUAL", "key",
                                                   etcd_base64(key), "mod_revision", etcd_integer((gint64) modified)));
}

void
state_commit_exists(StateCommit *commit, const char *key)
{
  json_array_append_new(commit->compare, json_pack("{sssssoso}", "target", "CREATE", "result", "GREATER", "key",
                                                   etcd_base64(key), "create_revision", etcd_integer(0)));
}

void
state_commit_put(StateCommit *commit, const char *key, const char *text)
{
  json_array_append_new(commit->success,
                        json_pack("{s{soso}}", "request_put", "key", etcd_base64(key), "value", etcd_base64(text)));
}

void
state_commit_delete(StateCommit *commit, const char *key)
{
  json_array_append_new(commit->success, json_pack("{s{so}}", "request_delete_range", "key", etcd_base64(key)));
}

void
state_commit_held(StateCommit *commit, const char *key, guint64 token)
{
  json_array_append_new(commit->compare, etcd_created_at(key, token));
  json_array_append_new(commit->failure, etcd_read_op(key));
}

json_t *
state_commit_take(StateCommit *commit)
{
  json_t *body
      = json_pack("{sOsOsO}", "compare", commit->compare, "success", commit->success, "failure", commit->failure);
  state_commit_clear(commit);
  return body;
}

char *
state_head_text(guint64 epoch, const char *primary, const char *by)
{
  json_auto_t *head = json_pack("{sIssss}", "epoch", (json_int_t) epoch, "primary", primary, "by", by);
  char *dumped = json_dumps(head, JSON_COMPACT);
  char *text = g_strdup(dumped);
  free(dumped);
  return text;
}

/* ---- answers ---- */

static gboolean
makes_no_sense(GError **error, const char *what)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "what stands in etcd is no state of azlin: %s", what);
  return FALSE;
}

/* The value of a key as the JSON object that it must be; NULL = it is none. */
static json_t *
value_of(const json_t *kv)
{
  const char *encoded = json_string_value(json_object_get(kv, "value"));
  gsize length = 0;
  if (encoded == NULL || strlen(encoded) > 2 * STATE_MAX_RECORD)
    return NULL;
  g_autofree guchar *bytes = g_base64_decode(encoded, &length);
  json_t *value = json_loadb((const char *) bytes, length, JSON_REJECT_DUPLICATES, NULL);
  if (json_is_object(value))
    return value;
  json_decref(value);
  return NULL;
}

static const json_t *
range_at(const json_t *answer, gsize index)
{
  return json_object_get(json_array_get(json_object_get(answer, "responses"), index), "response_range");
}

static gboolean
take_head(const json_t *answer, StateHead *head, GError **error)
{
  const json_t *kv = json_array_get(json_object_get(range_at(answer, 0), "kvs"), 0);
  const json_t *changed = json_array_get(json_object_get(range_at(answer, 1), "kvs"), 0);
  json_auto_t *value = kv != NULL ? value_of(kv) : NULL;
  const json_t *epoch = json_object_get(value, "epoch");
  const char *primary = json_string_value(json_object_get(value, "primary"));
  const char *by = json_string_value(json_object_get(value, "by"));
  head->generation = (guint64) etcd_number(changed, "mod_revision");
  head->head_modified = (guint64) etcd_number(kv, "mod_revision");
  if (kv == NULL) {
    head->primary = g_strdup("");
    head->by = g_strdup("");
    return TRUE;
  }
  if (head->head_modified == 0 || !json_is_integer(epoch) || json_integer_value(epoch) < 0 || primary == NULL
      || (*primary != '\0' && !region_is_name(primary)))
    return makes_no_sense(error, "state/head");
  head->epoch = (guint64) json_integer_value(epoch);
  head->primary = g_strdup(primary);
  head->by = g_strdup(by != NULL ? by : "");
  return TRUE;
}

static gboolean
take_header(const json_t *answer, const char *prefix, StateHead *head, GError **error)
{
  const json_t *header = json_object_get(answer, "header");
  const char *cluster = json_string_value(json_object_get(header, "cluster_id"));
  head->revision = (guint64) etcd_number(header, "revision");
  if (head->revision == 0 || cluster == NULL || *cluster == '\0' || strlen(cluster) > 20
      || strspn(cluster, "0123456789") != strlen(cluster))
    return makes_no_sense(error, "an answer without cluster and revision");
  head->source = g_strdup_printf("etcd %s %s", cluster, prefix);
  return TRUE;
}

static gboolean
take_record(const json_t *kv, const char *prefix, GPtrArray *records, GError **error)
{
  const char *field = NULL;
  g_autofree char *key = etcd_text(json_object_get(kv, "key"), MAX_KEY), *start = state_region_key(prefix, "");
  if (key == NULL)
    return makes_no_sense(error, "a key");
  g_autofree char *shown = etcd_printable(json_object_get(kv, "key"));
  json_auto_t *json = value_of(kv);
  const char *region = json_string_value(json_object_get(json, "region"));
  guint64 modified = (guint64) etcd_number(kv, "mod_revision");
  const StateRecord *before = records->len > 0 ? g_ptr_array_index(records, records->len - 1) : NULL;
  if (!region_is_name(region) || !g_str_has_prefix(key, start) || strcmp(key + strlen(start), region) != 0
      || modified == 0 || !region_is_name(json_string_value(json_object_get(json, "vm_name")))
      || !region_check(json, &field) || (before != NULL && strcmp(before->region, region) >= 0)
      || records->len >= STATE_MAX_RECORDS)
    return makes_no_sense(error, shown != NULL ? shown : "a record");
  StateRecord *record = g_new(StateRecord, 1);
  *record = (StateRecord){ g_strdup(region), g_steal_pointer(&json), modified };
  g_ptr_array_add(records, record);
  return TRUE;
}

static gboolean
take_range(const json_t *range, const char *prefix, GPtrArray *records, gboolean *ret_more, GError **error)
{
  const json_t *kvs = json_object_get(range, "kvs"), *kv;
  gsize i;
  if (!json_is_object(json_object_get(range, "header")))
    return makes_no_sense(error, "an answer without records");
  json_array_foreach((json_t *) (guintptr) kvs, i, kv)
  {
    if (!take_record(kv, prefix, records, error))
      return FALSE;
  }
  *ret_more = json_is_true(json_object_get(range, "more"));
  if (*ret_more && i == 0)
    return makes_no_sense(error, "an empty page that is not the last");
  return TRUE;
}

gboolean
state_parse_page(const json_t *answer, const char *prefix, GPtrArray *records, gboolean *ret_more, GError **error)
{
  return take_range(answer, prefix, records, ret_more, error);
}

/* Ranges of single keys may come in any order of their names: each is read into a list of its own. */
static gboolean
take_single(const json_t *range, const char *prefix, GPtrArray *records, GError **error)
{
  g_autoptr(GPtrArray) one = g_ptr_array_new_with_free_func((GDestroyNotify) state_record_free);
  gboolean more = FALSE;
  if (!take_range(range, prefix, one, &more, error))
    return FALSE;
  if (more || one->len > 1)
    return makes_no_sense(error, "one key twice");
  if (one->len == 1)
    g_ptr_array_add(records, g_ptr_array_steal_index(one, 0));
  return TRUE;
}

gboolean
state_parse(const json_t *answer, const char *prefix, StateHead *ret_head, GPtrArray *records, gboolean *ret_more,
            GError **error)
{
  gsize n = json_array_size(json_object_get(answer, "responses"));
  *ret_more = FALSE;
  if (!etcd_succeeded(answer) || n < 2)
    return makes_no_sense(error, "an answer without a head");
  if (!take_header(answer, prefix, ret_head, error) || !take_head(answer, ret_head, error))
    return FALSE;
  if (n == 3)
    return take_range(range_at(answer, 2), prefix, records, ret_more, error);
  for (gsize i = 2; i < n; i++)
    if (!take_single(range_at(answer, i), prefix, records, error))
      return FALSE;
  return TRUE;
}

guint64
state_parse_holder(const json_t *answer, char **ret_holder)
{
  const json_t *kv = json_array_get(json_object_get(range_at(answer, 0), "kvs"), 0);
  *ret_holder = etcd_printable(json_object_get(kv, "value"));
  return (guint64) etcd_number(kv, "create_revision");
}
