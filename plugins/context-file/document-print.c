/* config.json as it is written: a page of indented JSON while it is small, one line per region when it is not. */
#include "document.h"
#include <string.h>

#define PRETTY_REGIONS 100 /* up to here each key stands on a line of its own */

static int
append_chunk(const char *bytes, size_t length, void *data)
{
  g_string_append_len(data, bytes, (gssize) length);
  return 0;
}

/* Strings hold no raw newline, so a newline is always layout and may be indented further. */
static void
append_indented(GString *text, json_t *json, const char *margin)
{
  g_autoptr(GString) page = g_string_new(NULL);
  json_dump_callback(json, append_chunk, page, JSON_INDENT(2) | JSON_ENCODE_ANY);
  for (const char *line = page->str; line != NULL;) {
    const char *stop = strchr(line, '\n');
    g_string_append_len(text, line, stop != NULL ? stop - line + 1 : (gssize) strlen(line));
    if (stop != NULL)
      g_string_append(text, margin);
    line = stop != NULL ? stop + 1 : NULL;
  }
}

/* Its name stands first in a line, so that a reader finds it without parsing the rest. */
void
document_append_line(GString *text, json_t *region)
{
  const char *key;
  json_t *value;
  if (g_str_equal(json_object_iter_key(json_object_iter(region)), "region")) {
    json_dump_callback(region, append_chunk, text, 0);
    return;
  }
  json_auto_t *ordered = json_object();
  json_object_set(ordered, "region", json_object_get(region, "region"));
  json_object_foreach(region, key, value) json_object_set(ordered, key, value);
  json_dump_callback(ordered, append_chunk, text, 0);
}

static void
append_line(GString *text, Region *region)
{
  if (region->text != NULL)
    g_string_append_len(text, region->text, (gssize) region->length);
  else
    document_append_line(text, region->json);
}

static void
append_regions(GString *text, Document *document)
{
  gboolean pretty = document->regions->len <= PRETTY_REGIONS;
  for (guint i = 0; i < document->regions->len; i++) {
    Region *region = g_ptr_array_index(document->regions, i);
    g_string_append(text, i > 0 ? ",\n    " : "\n    ");
    if (pretty)
      append_indented(text, document_region(document, i), "    ");
    else
      append_line(text, region);
  }
  g_string_append(text, document->regions->len > 0 ? "\n  ]" : "]");
}

static void
append_key(GString *text, const char *key)
{
  json_auto_t *name = json_string(key);
  g_string_append(text, text->len > 1 ? ",\n  " : "\n  ");
  json_dump_callback(name, append_chunk, text, JSON_ENCODE_ANY);
  g_string_append(text, ": ");
}

static void
update_keys(Document *document)
{
  json_object_del(document->top, "saved_at");
  json_object_del(document->top, "checksum");
  json_object_set_new(document->top, "epoch", json_integer((json_int_t) document->epoch));
  json_object_set_new(document->top, "generation", json_integer((json_int_t) document->generation));
  if (json_object_get(document->top, "regions") == NULL)
    json_object_set_new(document->top, "regions", json_array());
}

GString *
document_print(Document *document, gint64 saved_at)
{
  GString *text = g_string_sized_new(document->length + 4096);
  const char *key;
  json_t *value;
  update_keys(document);
  g_string_append_c(text, '{');
  json_object_foreach(document->top, key, value)
  {
    append_key(text, key);
    if (g_str_equal(key, "regions")) {
      g_string_append_c(text, '[');
      append_regions(text, document);
    } else {
      append_indented(text, value, "  ");
    }
  }
  seal_append(text, saved_at);
  return text;
}
