/* sync --watch, the short way: one exchange. The source packs what changed, each target puts it in place and tells what
 * stands there then; azlin hands the bytes on, and compares. */
#include "error.h"
#include "flow-sync-live-private.h"
#include "scan-private.h"
#include <string.h>

#define LIVE_MS 30000u
#define ASK "round\n"

/* ---- its end ---- */

/* What is under way at the other end of a copy that was cut off is known to nobody. */
static void
cut_off(AzSyncLive *live)
{
  az_live_break(&live->source);
  for (guint i = 0; i < live->targets->len; i++)
    az_live_break(az_live_target(live, i));
}

static void
on_over(AzlinOp *op, gpointer data)
{
  AzSyncLive *live = data;
  gboolean copied = az_op_error(op) == NULL, cut = live->op == op;
  if (cut) {
    live->op = NULL;
    live->based = FALSE;
  }
  if (cut && !live->closed)
    cut_off(live);
  if (!live->closed && !az_op_cancelled(live->root))
    live->done(copied, live->data);
  az_live_unref(live);
}

void
az_live_give_up(AzSyncLive *live, const char *why)
{
  AzlinOp *op = g_steal_pointer(&live->op);
  if (op == NULL)
    return;
  g_debug("the short way from %s: %s", live->source.vm->region, why);
  live->based = FALSE;
  if (!live->told)
    az_live_say(live, 'q', NULL, 0);
  az_op_fail_new(op, AZLIN_ERROR_SYNC, "%s", why);
}

/* ---- what the source tells ---- */

static GBytes *
without_gone(GBytes *records, GPtrArray *gone)
{
  gsize length = 0;
  const char *at = g_bytes_get_data(records, &length), *end = at + length;
  GByteArray *kept = g_byte_array_new();
  for (; at < end && memchr(at, 0, (gsize) (end - at)) != NULL; at += strlen(at) + 1)
    if (g_str_has_prefix(at, "- "))
      g_ptr_array_add(gone, g_strdup(at + 2));
    else
      az_listing_append(kept, at);
  return g_byte_array_free_to_bytes(kept);
}

static AzListing *
listing_of(GBytes *records, GBytes *hashes, GError **error)
{
  AzScanAnswer answer = { 0 };
  g_autoptr(AzListing) listing = az_listing_new(g_bytes_unref_to_array(g_bytes_ref(records)), error);
  if (listing == NULL)
    return NULL;
  answer.hashes = g_bytes_get_data(hashes, &answer.hashes_length);
  if (answer.hashes_length > 0 && answer.hashes[answer.hashes_length - 1] != 0) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_SYNC, "the machine's hashes cannot be understood");
    return NULL;
  }
  if (!az_scan_take_hashes(listing, &answer, NULL, error))
    return NULL;
  return g_steal_pointer(&listing);
}

static gboolean
read_source(AzSyncLive *live, GError **error)
{
  AzLiveEnd *source = &live->source;
  if (source->records == NULL || source->hashes == NULL) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_SYNC, "the source has not told all");
    return FALSE;
  }
  live->gone = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GBytes) records = without_gone(source->records, live->gone);
  live->changes = listing_of(records, source->hashes, error);
  for (guint i = 0; live->changes != NULL && i < az_listing_size(live->changes); i++) {
    const AzEntry *entry = az_listing_at(live->changes, i);
    live->files += entry->type != 'd' ? 1 : 0;
    live->bytes += entry->type == 'f' ? entry->size : 0;
  }
  return live->changes != NULL;
}

/* Of all that must be equal, as live-target.py makes it of what it finds. */
static char *
digest_of(const AzListing *listing)
{
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  for (guint i = 0; i < az_listing_size(listing); i++) {
    const AzEntry *entry = az_listing_at(listing, i);
    gboolean link = entry->type == 'l', file = entry->type == 'f';
    g_autofree char *text = g_strdup_printf("%c %o %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %s %s%s%s", entry->type,
                                            link ? 0 : entry->mode, file ? entry->size : 0, link ? 0 : entry->mtime,
                                            file && entry->hash != NULL ? entry->hash : "", entry->name,
                                            link ? "//" : "", link ? entry->link : "");
    g_checksum_update(sum, (const guchar *) text, (gssize) strlen(text) + 1);
  }
  return g_strdup(g_checksum_get_string(sum));
}

/* Both the source and the records are read: the targets may be told to put it in place, as far as their own epochs
 * allow. */
static void
commit(AzSyncLive *live)
{
  g_autoptr(GError) error = NULL;
  if (live->op == NULL || !live->told || live->primary == NULL)
    return;
  live->told = FALSE; /* until they are */
  if (!az_epoch_check(live->source.vm->region, live->epoch, live->epochs, &error) || !read_source(live, &error)) {
    az_live_give_up(live, error->message);
    return;
  }
  if (live->sync->delete_extra && live->gone->len > 0) {
    az_live_give_up(live, "something is to be deleted");
    return;
  }
  guint64 mine = az_epoch_of_data(live->source.vm->region, live->epochs, live->primary, live->epoch);
  live->digest = digest_of(live->changes);
  g_autofree char *limits = g_strdup_printf("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %d %s", live->epoch, mine,
                                            live->sync->whole, live->digest);
  live->told = TRUE;
  for (guint i = 0; i < live->targets->len; i++)
    az_live_target(live, i)->awaited = TRUE;
  az_live_say(live, 'c', limits, strlen(limits));
}

static void
take_epochs(AzSyncLive *live, GBytes *payload)
{
  gsize length = 0;
  const char *bytes = g_bytes_get_data(payload, &length);
  g_autofree char *text = g_strndup(bytes != NULL ? bytes : "", length);
  char *rest = NULL;
  live->epochs.data = g_ascii_strtoull(text, &rest, 10);
  live->epochs.told = MAX(live->epochs.data, g_ascii_strtoull(rest, NULL, 10));
}

static void
keep(GBytes **slot, GBytes *payload)
{
  g_clear_pointer(slot, g_bytes_unref);
  *slot = g_bytes_ref(payload);
}

void
az_live_take_source(AzSyncLive *live, char kind, GBytes *payload)
{
  AzLiveEnd *source = &live->source;
  gsize length = 0;
  const char *bytes = g_bytes_get_data(payload, &length);
  if (kind == 'z' || kind == 'n')
    source->awaited = FALSE;
  if (live->op == NULL) /* given up: nobody wants it */
    return;
  live->answering = TRUE;
  if (kind == 'd') {
    az_live_say(live, 'd', bytes, length);
  } else if (kind == 'e') {
    take_epochs(live, payload);
  } else if (kind == 'r') {
    keep(&source->records, payload);
  } else if (kind == 'h') {
    keep(&source->hashes, payload);
  } else if (kind == 'z') {
    live->told = TRUE;
    commit(live);
  } else {
    g_autofree char *why = g_strndup(bytes != NULL ? bytes : "", MIN(length, 200));
    az_live_give_up(live, why);
  }
}

/* ---- what a target tells ---- */

static gboolean
holds_all(AzSyncLive *live, AzLiveEnd *end)
{
  gsize length = 0;
  const char *digest = end->digest != NULL ? g_bytes_get_data(end->digest, &length) : NULL;
  if (digest != NULL && length == strlen(live->digest) && memcmp(digest, live->digest, length) == 0)
    return TRUE;
  g_autoptr(AzListing) there
      = end->records != NULL && end->hashes != NULL ? listing_of(end->records, end->hashes, NULL) : NULL;
  if (there == NULL)
    return FALSE;
  g_autoptr(AzComparison) found = az_compare(live->changes, there, NULL, FALSE);
  return found->copy->len + found->extra->len + found->blocked->len + found->folders->len + found->unknown->len == 0;
}

/* The new lists are kept behind the news: they are for `azlin sync verify`. */
static void
keep_manifests(AzSyncLive *live)
{
  for (guint i = 0; i < live->targets->len; i++) {
    AzLiveEnd *end = az_live_target(live, i);
    AzListing *merged = az_listing_merge(end->listing, live->changes, live->gone);
    if (merged == NULL)
      continue;
    az_listing_unref(end->listing);
    end->listing = merged;
    az_sync_manifest_write(live->sync, end->vm, live->path, (const char *const *) end->left_out, merged);
  }
}

static void
look_whether_over(AzSyncLive *live)
{
  for (guint i = 0; i < live->targets->len; i++)
    if (!az_live_target(live, i)->equal)
      return;
  AzSyncLive *kept = g_rc_box_acquire(live);
  live->seconds = az_flow_seconds_since(live->engine, live->began);
  az_op_finish(g_steal_pointer(&live->op));
  if (!kept->closed && kept->based)
    keep_manifests(kept);
  az_live_unref(kept);
}

void
az_live_take_target(AzLiveEnd *end, char kind, GBytes *payload)
{
  AzSyncLive *live = end->live;
  gsize length = 0;
  const char *bytes = g_bytes_get_data(payload, &length);
  if (kind == 'z' || kind == 'n')
    end->awaited = FALSE;
  if (live->op == NULL)
    return;
  if (kind == 'r') {
    keep(&end->records, payload);
  } else if (kind == 'h') {
    keep(&end->hashes, payload);
  } else if (kind == 's') {
    keep(&end->digest, payload);
  } else if (kind == 'z' && live->changes != NULL && holds_all(live, end)) {
    end->equal = TRUE;
    look_whether_over(live);
  } else {
    g_autofree char *why = g_strndup(bytes != NULL && kind == 'n' ? bytes : "", MIN(length, 200));
    az_live_give_up(live, *why != '\0' ? why : "a target does not hold what was sent");
  }
}

/* ---- its beginning ---- */

static void
on_info(AzlinOp *op, gpointer data)
{
  AzSyncLive *live = data;
  const char *primary = "";
  if (live->op == NULL)
    return;
  if (az_op_error(op) != NULL) {
    az_live_give_up(live, az_op_error(op)->message);
    return;
  }
  g_variant_lookup(az_op_variant(op), "epoch", "t", &live->epoch);
  g_variant_lookup(az_op_variant(op), "primary", "&s", &primary);
  live->primary = g_strdup(primary);
  commit(live);
}

static gboolean
is_ready(AzSyncLive *live)
{
  gboolean ready = live->up && live->based && live->op == NULL && !live->source.awaited;
  for (guint i = 0; i < live->targets->len; i++)
    ready = ready && az_live_target(live, i)->talk != NULL && !az_live_target(live, i)->awaited;
  return ready;
}

static void
forget_last(AzSyncLive *live, AzSync *sync)
{
  g_clear_pointer(&live->sync, az_sync_unref);
  g_clear_pointer(&live->changes, az_listing_unref);
  g_clear_pointer(&live->gone, g_ptr_array_unref);
  g_clear_pointer(&live->primary, g_free);
  g_clear_pointer(&live->digest, g_free);
  live->sync = g_rc_box_acquire(sync);
  live->answering = live->told = FALSE;
  live->files = live->bytes = live->epoch = 0;
  for (guint i = 0; i <= live->targets->len; i++) {
    AzLiveEnd *end = i < live->targets->len ? az_live_target(live, i) : &live->source;
    g_clear_pointer(&end->records, g_bytes_unref);
    g_clear_pointer(&end->hashes, g_bytes_unref);
    g_clear_pointer(&end->digest, g_bytes_unref);
    end->equal = FALSE;
  }
}

gboolean
az_sync_live_try(AzSyncLive *live, AzlinOp *root, AzSync *sync, void (*done)(gboolean copied, gpointer data),
                 gpointer data)
{
  if (!is_ready(live))
    return FALSE;
  forget_last(live, sync);
  live->root = root;
  live->done = done;
  live->data = data;
  live->began = az_clock_monotonic(az_engine_clock(live->engine));
  live->op = az_op_new(root, "short way", LIVE_MS, on_over, g_rc_box_acquire(live));
  live->source.awaited = TRUE;
  az_talk_say(live->source.talk, ASK, strlen(ASK));
  az_flow_info(live->engine, live->op, on_info, live);
  return TRUE;
}

void
az_sync_live_take(AzSyncLive *live, AzSyncPair *pair)
{
  pair->files = live->files;
  pair->bytes = live->bytes;
  pair->seconds = pair->took = live->seconds;
  pair->done_paths = pair->sync->paths->len;
}
