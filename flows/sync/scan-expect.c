/* The hashes that a machine is expected to find: where it finds them, their digest is all that has to travel. */
#include "scan-private.h"
#include <string.h>

static gboolean
add(GPtrArray *records, const AzEntry *entry)
{
  if (entry == NULL || entry->hash == NULL)
    return FALSE;
  g_ptr_array_add(records, g_strconcat(entry->hash, "  ", entry->name, NULL));
  return TRUE;
}

static gboolean
add_named(GPtrArray *records, const AzListing *listing, GBytes *names)
{
  gsize length = 0;
  const char *at = g_bytes_get_data(names, &length), *end = at + length;
  for (; at < end; at += strlen(at) + 1)
    if (!add(records, az_listing_find(listing, at)))
      return FALSE;
  return TRUE;
}

static gboolean
add_all(GPtrArray *records, const AzListing *listing)
{
  for (guint i = 0; i < az_listing_size(listing); i++) {
    const AzEntry *entry = az_listing_at(listing, i);
    if (entry->type == 'f' && !add(records, entry))
      return FALSE;
  }
  return TRUE;
}

static int
by_bytes(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *) a, *(const char *const *) b);
}

GBytes *
az_scan_expect(const AzListing *listing, GBytes *names)
{
  g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(g_free);
  if (!(names != NULL ? add_named(records, listing, names) : add_all(records, listing)))
    return NULL;
  g_ptr_array_sort(records, by_bytes);
  GByteArray *bytes = g_byte_array_new();
  for (guint i = 0; i < records->len; i++)
    az_listing_append(bytes, g_ptr_array_index(records, i));
  return g_byte_array_free_to_bytes(bytes);
}
