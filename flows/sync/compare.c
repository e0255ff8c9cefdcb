/* Comparing two listings: what to copy, what stands in the way, what is on the target alone. */
#include "compare.h"
#include <string.h>

#define SECOND 1000000000

void
az_comparison_free(AzComparison *comparison)
{
  if (comparison == NULL)
    return;
  g_ptr_array_unref(comparison->copy);
  g_ptr_array_unref(comparison->extra);
  g_ptr_array_unref(comparison->blocked);
  g_ptr_array_unref(comparison->folders);
  g_ptr_array_unref(comparison->unknown);
  g_free(comparison);
}

/* A file system without fractions of seconds cannot hold what the source has: there, what it says of itself (ctime) has
 * none, either. */
static gboolean
same_time(const AzEntry *source, const AzEntry *target)
{
  if (target->mtime % SECOND == 0 && target->ctime % SECOND == 0)
    return source->mtime / SECOND == target->mtime / SECOND;
  return source->mtime == target->mtime;
}

typedef enum { SAME, UNHASHED, ATTRIBUTES, DIFFERENT } Verdict;

static Verdict
judge(const AzEntry *source, const AzEntry *target)
{
  if (source->type != target->type)
    return DIFFERENT;
  if (source->type == 'l')
    return strcmp(source->link, target->link) == 0 ? SAME : DIFFERENT; /* rsync does not always keep a link's time */
  gboolean same_attributes = source->mode == target->mode && same_time(source, target);
  if (source->type == 'd')
    return same_attributes ? SAME : ATTRIBUTES;
  if (source->size != target->size || !same_attributes)
    return DIFFERENT;
  if (source->hash == NULL || target->hash == NULL)
    return UNHASHED;
  return strcmp(source->hash, target->hash) == 0 ? SAME : DIFFERENT;
}

char *
az_compare_words(const AzEntry *source, const AzEntry *target)
{
  if (source == NULL || target == NULL)
    return g_strdup(source == NULL ? "vanished from the source meanwhile" : "not on the target");
  if (source->type != target->type)
    return g_strdup_printf("type '%c', on the target '%c'", source->type, target->type);
  if (source->type == 'l')
    return strcmp(source->link, target->link) == 0 ? NULL : g_strdup("points elsewhere on the target");
  if (source->mode != target->mode)
    return g_strdup_printf("mode %04o, on the target %04o", source->mode, target->mode);
  if (source->type != 'f')
    return NULL;
  if (source->size != target->size)
    return g_strdup_printf("%" G_GUINT64_FORMAT " bytes, on the target %" G_GUINT64_FORMAT, source->size, target->size);
  if (source->hash == NULL || target->hash == NULL)
    return g_strdup_printf("cannot be read on the %s", source->hash == NULL ? "source" : "target");
  if (strcmp(source->hash, target->hash) != 0)
    return g_strdup("other content on the target");
  return same_time(source, target) ? NULL : g_strdup("other time on the target");
}

/* ---- one pass over both ---- */

typedef enum {
  COPY = 1,
  AROUND = 2 /* a folder around such an entry */,
  FOLDER = 4 /* only mode or time differ */
} Mark;

typedef struct {
  AzComparison *result;
  const AzListing *source, *target;
  const char *const *left_out;
  GByteArray *marks; /* per entry of the source: a sum of Mark */
} Compare;

gboolean
az_compare_is_left_out(const char *name, const char *const *left_out)
{
  for (guint i = 0; left_out != NULL && left_out[i] != NULL; i++)
    if (az_listing_is_below(name, left_out[i]))
      return TRUE;
  return FALSE;
}

static gboolean
is_left_out(const Compare *compare, const AzEntry *entry)
{
  return az_compare_is_left_out(entry->name, compare->left_out);
}

static void
take_source(Compare *compare, guint index, const AzEntry *there)
{
  AzComparison *result = compare->result;
  const AzEntry *entry = az_listing_at(compare->source, index);
  Verdict verdict = there == NULL ? DIFFERENT : judge(entry, there);
  if (there != NULL && (there->type == 'd') != (entry->type == 'd'))
    g_ptr_array_add(result->blocked, (gpointer) (guintptr) there);
  if (verdict == UNHASHED)
    g_ptr_array_add(result->unknown, (gpointer) (guintptr) entry->name);
  else if (verdict == ATTRIBUTES)
    compare->marks->data[index] = FOLDER;
  else if (verdict == DIFFERENT)
    compare->marks->data[index] = COPY;
}

gboolean
az_compare_is_around(const char *name, const char *const *left_out)
{
  for (guint i = 0; left_out != NULL && left_out[i] != NULL; i++)
    if (az_listing_is_below(left_out[i], name))
      return TRUE;
  return FALSE;
}

static void
take_extra(Compare *compare, const AzEntry *there)
{
  compare->result->extra_files += there->type != 'd' ? 1 : 0;
  if (there->type != 'd' || !az_compare_is_around(there->name, compare->left_out))
    g_ptr_array_add(compare->result->extra, (gpointer) (guintptr) there);
}

GPtrArray *
az_compare_to_go(const AzComparison *comparison, gboolean whole)
{
  GPtrArray *extra = comparison->extra, *to_go = g_ptr_array_new();
  const AzEntry *top = NULL;
  for (guint i = 0; i < extra->len; i++) {
    const AzEntry *entry = g_ptr_array_index(extra, i);
    gboolean covered = top != NULL && az_listing_is_below(entry->name, top->name);
    if (whole ? covered : entry->type == 'd')
      continue;
    g_ptr_array_add(to_go, (gpointer) (guintptr) entry);
    top = entry->type == 'd' ? entry : top;
  }
  for (guint i = extra->len; !whole && i > 0; i--) {
    const AzEntry *entry = g_ptr_array_index(extra, i - 1);
    if (entry->type == 'd')
      g_ptr_array_add(to_go, (gpointer) (guintptr) entry);
  }
  return to_go;
}

static void
walk(Compare *compare)
{
  guint n_source = az_listing_size(compare->source), n_target = az_listing_size(compare->target);
  guint i = 0, j = 0;
  while (i < n_source || j < n_target) {
    const AzEntry *here = i < n_source ? az_listing_at(compare->source, i) : NULL;
    const AzEntry *there = j < n_target ? az_listing_at(compare->target, j) : NULL;
    int order = here == NULL ? 1 : there == NULL ? -1 : az_listing_order(here->name, there->name);
    gboolean skip = is_left_out(compare, order <= 0 ? here : there);
    if (order >= 0 && !skip)
      compare->result->target_files += there->type != 'd' ? 1 : 0;
    if (order > 0 && !skip)
      take_extra(compare, there);
    else if (!skip)
      take_source(compare, i, order == 0 ? there : NULL);
    i += order <= 0 ? 1 : 0;
    j += order >= 0 ? 1 : 0;
  }
}

/* ---- what follows for the copy ---- */

typedef struct {
  guint64 there; /* inode on the target, 0 = none */
  gboolean copy, seen;
} Group;

/* Names of one file go together, or the copy would tear them apart. */
static void
join_links(Compare *compare)
{
  g_autoptr(GHashTable) groups = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
  guint n = az_listing_size(compare->source);
  for (guint i = 0; i < n; i++) {
    const AzEntry *entry = az_listing_at(compare->source, i);
    if (entry->type != 'f' || entry->links < 2 || is_left_out(compare, entry))
      continue;
    const AzEntry *there = az_listing_find(compare->target, entry->name);
    Group *group = g_hash_table_lookup(groups, &entry->inode);
    if (group == NULL) {
      group = g_new0(Group, 1);
      g_hash_table_insert(groups, (gpointer) (guintptr) &entry->inode, group);
    }
    guint64 inode = there != NULL ? there->inode : 0;
    group->copy |= compare->marks->data[i] == COPY || (group->seen && inode != group->there);
    group->there = inode;
    group->seen = TRUE;
  }
  for (guint i = 0; i < n; i++) {
    const AzEntry *entry = az_listing_at(compare->source, i);
    const Group *group = entry->type == 'f' && entry->links >= 2 ? g_hash_table_lookup(groups, &entry->inode) : NULL;
    if (group != NULL && group->copy && !is_left_out(compare, entry))
      compare->marks->data[i] = COPY;
  }
}

/* What is put into a folder changes its time: the folder comes along, so that it gets its own back. */
static void
mark_folders(Compare *compare)
{
  guint n = az_listing_size(compare->source);
  g_autoptr(GPtrArray) open = g_ptr_array_new(); /* of GUINT: the folders around the entry in work */
  for (guint i = 0; i < n; i++) {
    const AzEntry *entry = az_listing_at(compare->source, i);
    while (open->len > 0) {
      const char *name = az_listing_at(compare->source, GPOINTER_TO_UINT(open->pdata[open->len - 1]))->name;
      if (az_listing_is_below(entry->name, name))
        break;
      g_ptr_array_set_size(open, open->len - 1);
    }
    if ((compare->marks->data[i] & COPY) != 0 && open->len > 0)
      compare->marks->data[GPOINTER_TO_UINT(open->pdata[open->len - 1])] |= AROUND;
    if ((compare->marks->data[i] & COPY) != 0 && open->len > 0)
      compare->marks->data[GPOINTER_TO_UINT(open->pdata[0])] |= AROUND; /* the stage stands in the topmost one */
    if (entry->type == 'd')
      g_ptr_array_add(open, GUINT_TO_POINTER(i));
  }
}

static void
collect(Compare *compare)
{
  AzComparison *result = compare->result;
  for (guint i = 0; i < az_listing_size(compare->source); i++) {
    const AzEntry *entry = az_listing_at(compare->source, i);
    if (compare->marks->data[i] == FOLDER)
      g_ptr_array_add(result->folders, (gpointer) (guintptr) entry);
    if ((compare->marks->data[i] & (COPY | AROUND)) == 0)
      continue;
    g_ptr_array_add(result->copy, (gpointer) (guintptr) entry->name);
    if (entry->type == 'd')
      continue;
    const AzEntry *there = az_listing_find(compare->target, entry->name);
    result->files++;
    result->bytes += entry->type == 'f' ? entry->size : 0;
    result->largest = MAX(result->largest, entry->type == 'f' ? entry->size : 0);
    result->old_bytes += entry->type == 'f' && there != NULL && there->type == 'f' ? MIN(entry->size, there->size) : 0;
  }
}

AzComparison *
az_compare(const AzListing *source, const AzListing *target, const char *const *left_out, gboolean links)
{
  AzComparison *result = g_new0(AzComparison, 1);
  g_autoptr(GByteArray) marks = g_byte_array_new();
  Compare compare = { .result = result, .source = source, .target = target, .left_out = left_out, .marks = marks };
  result->copy = g_ptr_array_new();
  result->extra = g_ptr_array_new();
  result->blocked = g_ptr_array_new();
  result->folders = g_ptr_array_new();
  result->unknown = g_ptr_array_new();
  g_byte_array_set_size(marks, az_listing_size(source));
  if (marks->len > 0)
    memset(marks->data, 0, marks->len);
  walk(&compare);
  if (links)
    join_links(&compare);
  mark_folders(&compare);
  collect(&compare);
  return result;
}

/* ---- for people ---- */

static gboolean
add_item(GPtrArray *items, guint max, const char *what, const AzEntry *entry)
{
  if (items->len >= max)
    return FALSE;
  g_autofree char *name = az_listing_show_name(entry->name);
  g_ptr_array_add(items, g_strdup_printf("%s %s%s", what, name, entry->type == 'd' ? "/" : ""));
  return TRUE;
}

GPtrArray *
az_compare_items(const AzComparison *comparison, const AzListing *source, const AzListing *target, gboolean with_extra,
                 guint max)
{
  GPtrArray *items = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; with_extra && i < comparison->extra->len; i++)
    add_item(items, max, "*deleting  ", g_ptr_array_index(comparison->extra, i));
  for (guint i = 0; i < comparison->copy->len; i++) {
    const AzEntry *here = az_listing_find(source, g_ptr_array_index(comparison->copy, i));
    const AzEntry *there = az_listing_find(target, here->name);
    if (here->type == 'd' && there != NULL && judge(here, there) == SAME)
      continue;
    char what[] = { there == NULL ? '+' : '*', here->type, 0 };
    add_item(items, max, what, here);
  }
  for (guint i = 0; i < comparison->folders->len; i++)
    add_item(items, max, "*d", g_ptr_array_index(comparison->folders, i));
  return items;
}
