/* A list of Azure, page after page, as one array. */
#include "arm.h"

#define MAX_ITEMS 10000
#define MAX_PAGES 1000u
#define MAX_MIB 64u /* decoded, of all pages */

typedef struct {
  Azure *azure;
  AzlinOp *op;
  json_t *all;
  GHashTable *seen; /* of links that were followed */
  gsize bytes;      /* of all pages so far */
  ArmDone done;
  gpointer data;
} List;

static void
deliver(List *list, const ArmReply *last, const GError *error)
{
  ArmReply reply = *last;
  reply.body = error == NULL ? list->all : last->body;
  reply.error = error;
  list->done(&reply, list->data);
  json_decref(list->all);
  g_hash_table_unref(list->seen);
  g_free(list);
}

static void on_page(const ArmReply *reply, gpointer data);

static void
ask(List *list, const char *path, const char *version)
{
  ArmCall call = { .method = "GET", .path = path, .version = version };
  arm_call(list->azure, list->op, &call, on_page, list);
}

/* NULL = the next page may be asked for. */
static GError *
check_page(List *list, const ArmReply *reply, const char *next)
{
  const json_t *value = json_object_get(reply->body, "value");
  gboolean more = *next != '\0';
  list->bytes += g_bytes_get_size(reply->http->body);
  if (!json_is_array(value))
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "Azure answered a list without its values");
  if (json_array_size(list->all) + json_array_size(value) > MAX_ITEMS)
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "a list of Azure has more than %d items", MAX_ITEMS);
  if (list->bytes > MAX_MIB * 1024 * 1024 || (more && g_hash_table_size(list->seen) + 1 >= MAX_PAGES))
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "a list of Azure is over %u pages or %u MiB long", MAX_PAGES,
                       MAX_MIB);
  if (more && g_hash_table_contains(list->seen, next))
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "the pages of a list of Azure go round in a circle");
  return NULL;
}

static void
on_page(const ArmReply *reply, gpointer data)
{
  List *list = data;
  const char *next = arm_string(reply->body, "nextLink", "");
  g_autoptr(GError) error = reply->error != NULL ? g_error_copy(reply->error) : check_page(list, reply, next);
  if (error == NULL) { /* json_array_extend() takes its source as not const, and only reads it */
    json_t *value = json_object_get(reply->body, "value");
    json_array_extend(list->all, value);
  }
  if (error != NULL || *next == '\0') {
    deliver(list, reply, error);
    return;
  }
  g_hash_table_add(list->seen, g_strdup(next));
  ask(list, next, NULL);
}

void
arm_list(Azure *azure, AzlinOp *op, const char *path, const char *version, ArmDone done, gpointer data)
{
  List *list = g_new0(List, 1);
  *list = (List){ .azure = azure, .op = op, .all = json_array(), .done = done, .data = data };
  list->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  ask(list, path, version);
}
