/* Tags of a machine: some merged in, some taken away, the others left alone. */
#include "arm.h"
#include "record.h"
#include <string.h>

#define MAX_TAGS 50
#define MAX_NAME 512
#define MAX_VALUE 256

typedef struct {
  Azure *azure;
  AzlinOp *op;
  AzlinVm *known;
  json_t *set;
  char **unset;
  char *path;
} Tagging;

static void
tagging_free(Tagging *tagging)
{
  tagging->azure->api->vm_free(tagging->known);
  json_decref(tagging->set);
  g_strfreev(tagging->unset);
  g_free(tagging->path);
  g_free(tagging);
}

static void
fail(Tagging *tagging, const GError *error)
{
  tagging->azure->api->op_fail(tagging->op, g_error_copy(error));
  tagging_free(tagging);
}

/* ---- what is legal ---- */

static gboolean
has_control(const char *text)
{
  for (const char *p = text; *p != '\0'; p++)
    if (g_ascii_iscntrl(*p))
      return TRUE;
  return FALSE;
}

static gboolean
refuse(GError **error, const char *name, const char *why)
{
  g_autofree char *shown = arm_clean(name);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "tag '%s' cannot be set in Azure: %s", shown, why);
  return FALSE;
}

gboolean
azure_tag_check(const char *name, const char *value, GError **error)
{
  static const char *const RESERVED[] = { "microsoft", "azure", "windows" };
  if (*name == '\0' || !g_utf8_validate(name, -1, NULL) || !g_utf8_validate(value, -1, NULL))
    return refuse(error, name, "its name is empty, or not text");
  if (strpbrk(name, "<>%&\\?/") != NULL || has_control(name))
    return refuse(error, name, "a name has none of < > % & \\ ? / and no control characters");
  if (g_utf8_strlen(name, -1) > MAX_NAME)
    return refuse(error, name, "a name has at most 512 characters");
  if (g_utf8_strlen(value, -1) > MAX_VALUE)
    return refuse(error, name, "a value has at most 256 characters");
  for (gsize i = 0; i < G_N_ELEMENTS(RESERVED); i++)
    if (g_ascii_strncasecmp(name, RESERVED[i], strlen(RESERVED[i])) == 0)
      return refuse(error, name, "names that begin with microsoft, azure or windows are reserved");
  return TRUE;
}

static gboolean
read_set(Tagging *tagging, GVariant *set, GError **error)
{
  GVariantIter iter;
  const char *name, *value;
  if (set == NULL)
    return TRUE;
  g_variant_iter_init(&iter, set);
  while (g_variant_iter_next(&iter, "{&s&s}", &name, &value)) {
    if (!azure_tag_check(name, value, error))
      return FALSE;
    json_object_set_new(tagging->set, name, json_string(value));
  }
  if (json_object_size(tagging->set) <= MAX_TAGS)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "a machine in Azure has at most %d tags", MAX_TAGS);
  return FALSE;
}

static gboolean
read_unset(Tagging *tagging, const char *const *unset, GError **error)
{
  for (gsize i = 0; unset != NULL && unset[i] != NULL; i++)
    if (!azure_tag_check(unset[i], "", error))
      return FALSE;
  tagging->unset = g_strdupv((char **) (guintptr) unset);
  return TRUE;
}

/* ---- the requests ---- */

static void
patch(Tagging *tagging, const char *operation, json_t *tags, ArmDone done)
{
  json_t *body = json_pack("{s:s, s:{s:O}}", "operation", operation, "properties", "tags", tags);
  ArmCall call = { .method = "PATCH", .path = tagging->path, .version = ARM_RESOURCES, .body = body };
  call.no_final = TRUE;
  arm_run(tagging->azure, tagging->op, &call, NULL, done, tagging);
}

static void
on_done(const ArmReply *reply, gpointer data)
{
  Tagging *tagging = data;
  if (reply->error != NULL) {
    fail(tagging, reply->error);
    return;
  }
  tagging->azure->api->op_finish(tagging->op);
  tagging_free(tagging);
}

/* Those of `unset` that the machine bears, with their values: a request that names another value takes nothing away. */
static json_t *
to_take_away(Tagging *tagging, const json_t *body)
{
  json_t *tags = json_object_get(json_object_get(body, "properties"), "tags");
  json_t *found = json_object(), *value;
  const char *name;
  json_object_foreach(tags, name, value)
  {
    for (char **wanted = tagging->unset; *wanted != NULL; wanted++)
      if (g_ascii_strcasecmp(*wanted, name) == 0)
        json_object_set(found, name, value);
  }
  return found;
}

static void
on_read(const ArmReply *reply, gpointer data)
{
  Tagging *tagging = data;
  if (reply->error != NULL) {
    fail(tagging, reply->error);
    return;
  }
  json_auto_t *found = to_take_away(tagging, reply->body);
  if (json_object_size(found) > 0)
    patch(tagging, "Delete", found, on_done);
  else
    on_done(reply, tagging);
}

static void
take_away(Tagging *tagging)
{
  ArmCall call = { .method = "GET", .path = tagging->path, .version = ARM_RESOURCES };
  arm_call(tagging->azure, tagging->op, &call, on_read, tagging);
}

static void
on_merged(const ArmReply *reply, gpointer data)
{
  Tagging *tagging = data;
  if (reply->error != NULL || tagging->unset == NULL || *tagging->unset == NULL)
    on_done(reply, tagging);
  else if (json_is_object(arm_member(reply->body, "properties.tags")))
    on_read(reply, tagging);
  else
    take_away(tagging);
}

static void
on_ready(Azure *azure, const GError *problem, gpointer data)
{
  Tagging *tagging = data;
  g_autoptr(GError) error = problem != NULL ? g_error_copy(problem) : NULL;
  g_autoptr(AzureNames) names = error == NULL ? azure_names_of_vm(azure, tagging->known, &error) : NULL;
  if (error != NULL) {
    fail(tagging, error);
    return;
  }
  tagging->path = g_strdup_printf("%s/providers/Microsoft.Resources/tags/default", names->vm);
  if (json_object_size(tagging->set) > 0)
    patch(tagging, "Merge", tagging->set, on_merged);
  else if (tagging->unset != NULL && *tagging->unset != NULL)
    take_away(tagging);
  else {
    ArmReply nothing = { .code = "" };
    on_done(&nothing, tagging);
  }
}

void
azure_vm_tag(gpointer self, const AzlinVm *vm, GVariant *set, const char *const *unset, AzlinOp *op)
{
  Azure *azure = self;
  Tagging *tagging = g_new0(Tagging, 1);
  g_autoptr(GError) error = NULL;
  *tagging = (Tagging){ .azure = azure, .op = op, .set = json_object() };
  tagging->known = azure->api->vm_dup(vm);
  if (!read_set(tagging, set, &error) || !read_unset(tagging, unset, &error))
    fail(tagging, error);
  else
    azure_ready(azure, op, on_ready, tagging);
}
