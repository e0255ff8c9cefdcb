/* config.json in memory. Regions of a large file that azlin wrote stay text, one per line, until somebody needs one:
 * a change among 10,000 then parses one record, not all. */
#include "document.h"
#include <string.h>

#define VERSION "2.0"
#define DEFAULT_GROUP "azlin-vms"
#define OPEN_REGIONS "\n  \"regions\": ["
#define CLOSE_REGIONS "  ]"
#define OPEN_REGION "    {\"region\": \""
#define PRIMARY "\"is_primary\": true"

static void
region_free(gpointer data)
{
  Region *region = data;
  g_free(region->name);
  g_free(region->own);
  json_decref(region->json);
  g_free(region);
}

static Document *
document_over(json_t *top)
{
  Document *document = g_new0(Document, 1);
  document->top = top;
  document->regions = g_ptr_array_new_with_free_func(region_free);
  return document;
}

Document *
document_new(void)
{
  json_t *top = json_object();
  json_object_set_new(top, "version", json_string(VERSION));
  json_object_set_new(top, "resource_group", json_string(DEFAULT_GROUP));
  json_object_set_new(top, "regions", json_array());
  return document_over(top);
}

void
document_free(Document *document)
{
  if (document == NULL)
    return;
  g_ptr_array_unref(document->regions);
  json_decref(document->top);
  g_free(document->text);
  g_free(document);
}

/* ---- reading ---- */

static void
read_counters(Document *document)
{
  json_t *epoch = json_object_get(document->top, "epoch");
  json_t *generation = json_object_get(document->top, "generation");
  document->epoch = json_is_integer(epoch) ? (guint64) json_integer_value(epoch) : 0;
  document->generation = json_is_integer(generation) ? (guint64) json_integer_value(generation) : 0;
}

static void
take_json(Document *document, json_t *json)
{
  Region *region = g_new0(Region, 1);
  region->name = g_strdup(json_string_value(json_object_get(json, "region")));
  region->json = json_incref(json);
  g_ptr_array_add(document->regions, region);
}

static Document *
document_of_root(json_t *root)
{
  Document *document = document_over(json_incref(root));
  json_t *regions = json_object_get(root, "regions");
  json_t *json;
  gsize i;
  json_array_foreach(regions, i, json) take_json(document, json);
  json_object_set_new(root, "regions", json_array());
  read_counters(document);
  return document;
}

/* The next line of the form `    {"region": "NAME", ...}` or with a comma; NULL at anything else. */
static Region *
region_of_line(char *line, char *end)
{
  gsize open = strlen(OPEN_REGION);
  gsize length = (gsize) (end - line);
  if (length < open + 2 || memcmp(line, OPEN_REGION, open) != 0)
    return NULL;
  if (line[length - 1] == ',')
    length--;
  const char *quote = memchr(line + open, '"', length - open);
  if (quote == NULL || line[length - 1] != '}' || memchr(line + open, '\\', (gsize) (quote - line) - open) != NULL)
    return NULL;
  Region *region = g_new0(Region, 1);
  region->name = g_strndup(line + open, (gsize) (quote - line) - open);
  region->text = line + strlen("    ");
  region->length = length - strlen("    ");
  return region;
}

/* Top-level keys with the regions cut out: small, whatever the file's size. */
static json_t *
parse_top(const char *text, gsize head, const char *rest, gsize rest_length)
{
  g_autoptr(GString) top = g_string_new_len(text, (gssize) head);
  g_string_append_c(top, ']');
  g_string_append_len(top, rest, (gssize) rest_length);
  return json_loadb(top->str, top->len, JSON_REJECT_DUPLICATES, NULL);
}

/* Only for sealed text: the layout is what document_print() makes, and every record was checked before it was sealed.
 */
static Document *
document_of_lines(char *text, gsize length)
{
  g_autoptr(GPtrArray) regions = g_ptr_array_new_with_free_func(region_free);
  char *end = text + length;
  char *open = memmem(text, length, OPEN_REGIONS "\n", strlen(OPEN_REGIONS "\n"));
  if (open == NULL)
    return NULL;
  char *line = open + strlen(OPEN_REGIONS "\n");
  while (end - line > 3 && line[2] != ']') {
    char *stop = memchr(line, '\n', (gsize) (end - line));
    Region *region = stop != NULL ? region_of_line(line, stop) : NULL;
    if (region == NULL)
      return NULL;
    g_ptr_array_add(regions, region);
    line = stop + 1;
  }
  if ((gsize) (end - line) < strlen(CLOSE_REGIONS) || memcmp(line, CLOSE_REGIONS, strlen(CLOSE_REGIONS)) != 0)
    return NULL;
  gsize head = (gsize) (open - text) + strlen(OPEN_REGIONS);
  char *rest = line + strlen(CLOSE_REGIONS);
  json_t *top = parse_top(text, head, rest, (gsize) (end - rest));
  if (top == NULL)
    return NULL;
  Document *document = document_over(top);
  g_ptr_array_unref(document->regions);
  document->regions = g_steal_pointer(&regions);
  read_counters(document);
  return document;
}

static DocumentState
parse_all(const char *text, gsize length, Document **ret_document, char **ret_problem)
{
  json_error_t problem;
  json_auto_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
  if (root == NULL) {
    *ret_problem = g_strdup_printf("is not JSON (line %d: %s)", problem.line, problem.text);
    return DOCUMENT_CORRUPT;
  }
  DocumentState state = document_check(root, ret_problem);
  if (state == DOCUMENT_FINE)
    *ret_document = document_of_root(root);
  return state;
}

DocumentState
document_parse(char *text, gsize length, Document **ret_document, char **ret_problem)
{
  g_autofree char *held = text;
  Seal seal = seal_check(text, length);
  Document *document = seal == SEAL_FITS ? document_of_lines(text, length) : NULL;
  if (document == NULL) {
    DocumentState state = parse_all(text, length, &document, ret_problem);
    if (state != DOCUMENT_FINE)
      return state;
  }
  document->text = g_steal_pointer(&held);
  document->length = length;
  document->seal = seal;
  *ret_document = document;
  return DOCUMENT_FINE;
}

/* ---- regions ---- */

int
document_find(Document *document, const char *region)
{
  for (guint i = 0; i < document->regions->len; i++) {
    Region *candidate = g_ptr_array_index(document->regions, i);
    if (g_str_equal(candidate->name, region))
      return (int) i;
  }
  return -1;
}

GHashTable *
document_places(Document *document)
{
  GHashTable *places = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < document->regions->len; i++)
    g_hash_table_insert(places, ((Region *) g_ptr_array_index(document->regions, i))->name, GUINT_TO_POINTER(i + 1));
  return places;
}

json_t *
document_region_once(Document *document, guint index)
{
  Region *region = g_ptr_array_index(document->regions, index);
  if (region->json != NULL)
    return json_incref(region->json);
  return json_loadb(region->text, region->length, 0, NULL);
}

json_t *
document_region(Document *document, guint index)
{
  Region *region = g_ptr_array_index(document->regions, index);
  if (region->json == NULL)
    region->json = document_region_once(document, index);
  return region->json;
}

json_t *
document_change(Document *document, guint index)
{
  json_t *json = document_region(document, index);
  Region *region = g_ptr_array_index(document->regions, index);
  region->text = NULL;
  return json;
}

void
document_keep(Document *document, guint index, json_t *json)
{
  Region *region = g_ptr_array_index(document->regions, index);
  if (region->json != NULL) {
    region->text = NULL;
    return;
  }
  g_autoptr(GString) line = g_string_sized_new(region->length + 32);
  document_append_line(line, json);
  region->length = line->len;
  g_free(region->own);
  region->own = region->text = g_string_free(g_steal_pointer(&line), FALSE);
}

json_t *
document_add(Document *document, const char *region)
{
  json_auto_t *json = json_object();
  json_object_set_new(json, "region", json_string(region));
  take_json(document, json);
  return document_region(document, document->regions->len - 1);
}

void
document_remove(Document *document, guint index)
{
  g_ptr_array_remove_index(document->regions, index);
}

int
document_primary(Document *document)
{
  for (guint i = 0; i < document->regions->len; i++) {
    Region *region = g_ptr_array_index(document->regions, i);
    /* The words may stand deeper in a record as well, so they only make a candidate. */
    if (region->text != NULL && memmem(region->text, region->length, PRIMARY, strlen(PRIMARY)) == NULL)
      continue;
    if (json_is_true(json_object_get(document_region(document, i), "is_primary")))
      return (int) i;
  }
  return -1;
}

const char *
document_primary_name(Document *document)
{
  int index = document_primary(document);
  return index < 0 ? "" : ((Region *) g_ptr_array_index(document->regions, (guint) index))->name;
}

const char *
document_resource_group(Document *document)
{
  const char *group = json_string_value(json_object_get(document->top, "resource_group"));
  return group != NULL ? group : DEFAULT_GROUP;
}
