/* Is a file that azlin did not write a state file? The schema of the specification, and what only a guess could settle.
 */
#include "document.h"
#include "region.h"
#include <string.h>

static DocumentState corrupt(char **ret_problem, const char *format, ...) G_GNUC_PRINTF(2, 3);

static DocumentState
corrupt(char **ret_problem, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  *ret_problem = g_strdup_vprintf(format, args);
  va_end(args);
  return DOCUMENT_CORRUPT;
}

static DocumentState
check_version(json_t *root, char **ret_problem)
{
  json_t *version = json_object_get(root, "version");
  char *end = NULL;
  if (version == NULL)
    return DOCUMENT_FINE;
  if (!json_is_string(version))
    return corrupt(ret_problem, "has a version that is no string");
  guint64 major = g_ascii_strtoull(json_string_value(version), &end, 10);
  if (end == json_string_value(version) || (*end != '.' && *end != '\0'))
    return corrupt(ret_problem, "has no version number but \"%.40s\"", json_string_value(version));
  if (major <= 2)
    return DOCUMENT_FINE;
  *ret_problem = g_strdup_printf("has version %.40s, written by a newer azlin", json_string_value(version));
  return DOCUMENT_REFUSED;
}

static gboolean
is_counter(json_t *value)
{
  return value == NULL || (json_is_integer(value) && json_integer_value(value) >= 0);
}

static DocumentState
check_region(json_t *region, gsize index, char **ret_problem)
{
  const char *field = NULL;
  if (!json_is_object(region))
    return corrupt(ret_problem, "has a region (number %" G_GSIZE_FORMAT ") that is no object", index + 1);
  const char *name = json_string_value(json_object_get(region, "region"));
  if (!region_is_name(name))
    return corrupt(ret_problem, "has a region (number %" G_GSIZE_FORMAT ") without a name", index + 1);
  if (!region_is_name(json_string_value(json_object_get(region, "vm_name"))))
    return corrupt(ret_problem, "has region %s without a vm_name", name);
  if (!region_check(region, &field))
    return corrupt(ret_problem, "has region %s with an unusable %s", name, field);
  return DOCUMENT_FINE;
}

static DocumentState
check_primary(const char *first, const char *second, char **ret_problem)
{
  *ret_problem = g_strdup_printf("has two primary regions, %s and %s: set \"is_primary\" to false in one of them",
                                 first, second);
  return DOCUMENT_REFUSED;
}

static DocumentState
check_regions(json_t *regions, char **ret_problem)
{
  g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
  const char *primary = NULL;
  const char *second = NULL;
  json_t *region;
  gsize i;
  json_array_foreach(regions, i, region)
  {
    DocumentState state = check_region(region, i, ret_problem);
    if (state != DOCUMENT_FINE)
      return state;
    const char *name = json_string_value(json_object_get(region, "region"));
    if (!g_hash_table_add(names, (gpointer) (guintptr) name))
      return corrupt(ret_problem, "has region %s twice", name);
    if (!json_is_true(json_object_get(region, "is_primary")))
      continue;
    second = primary != NULL && second == NULL ? name : second;
    primary = primary != NULL ? primary : name;
  }
  return second != NULL ? check_primary(primary, second, ret_problem) : DOCUMENT_FINE;
}

DocumentState
document_check(json_t *root, char **ret_problem)
{
  if (!json_is_object(root))
    return corrupt(ret_problem, "is no JSON object");
  json_t *group = json_object_get(root, "resource_group");
  json_t *regions = json_object_get(root, "regions");
  DocumentState state = check_version(root, ret_problem);
  if (state != DOCUMENT_FINE)
    return state;
  if (group != NULL && !json_is_string(group))
    return corrupt(ret_problem, "has a resource_group that is no string");
  if (!is_counter(json_object_get(root, "epoch")) || !is_counter(json_object_get(root, "generation")))
    return corrupt(ret_problem, "has an epoch or generation that is no count");
  if (regions != NULL && !json_is_array(regions))
    return corrupt(ret_problem, "has regions that are no list");
  return regions != NULL ? check_regions(regions, ret_problem) : DOCUMENT_FINE;
}
