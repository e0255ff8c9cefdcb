/* sync: what a target held when it was verified, kept so that `azlin sync verify` can ask it again later. */
#include "error.h"
#include "flow-sync-private.h"
#include "scan-private.h"
#include <string.h>

/* "HEADER\0" and then the form in which machines answer a scan. HEADER is a GVariant text of a{sv}: source, target,
 * path, folder, base, at, exclude. */

static char *
file_of(AzEngine *engine, const char *target, const char *path)
{
  g_autofree char *both = g_strconcat(target, "\n", path, NULL);
  g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, both, -1);
  g_autofree char *name = g_strdup_printf("sync/manifests/%.32s", digest);
  return az_paths_file(az_engine_paths(engine), name);
}

static GVariant *
header_of(AzSync *sync, const AzlinVm *target, const char *path, const char *base)
{
  GVariantDict header;
  const char *const none[] = { NULL };
  g_variant_dict_init(&header, NULL);
  g_variant_dict_insert(&header, "source", "s", sync->source->region);
  g_variant_dict_insert(&header, "target", "s", target->region);
  g_variant_dict_insert(&header, "path", "s", path);
  g_variant_dict_insert(&header, "base", "s", base != NULL ? base : "");
  g_variant_dict_insert(&header, "at", "x", az_clock_now(az_engine_clock(sync->engine)));
  g_variant_dict_insert(&header, "exclude", "^as", sync->exclude != NULL ? (const char *const *) sync->exclude : none);
  return g_variant_dict_end(&header);
}

static void
write_file(AzSync *sync, const AzlinVm *target, const char *label, const char *path, const char *base,
           const char *const *left_out, const AzListing *listing)
{
  g_autoptr(GVariant) header = g_variant_ref_sink(header_of(sync, target, path, base));
  g_autofree char *text = g_variant_print(header, TRUE), *file = file_of(sync->engine, target->region, path);
  g_autofree char *folder = g_path_get_dirname(file);
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  az_listing_append(bytes, text);
  az_listing_append(bytes, "F");
  for (guint i = 0; i < az_listing_size(listing); i++)
    if (!az_compare_is_left_out(az_listing_at(listing, i)->name, left_out))
      az_listing_append_entry(bytes, az_listing_at(listing, i));
  g_autofree char *digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes->data, bytes->len);
  g_autofree char *trailer = g_strdup_printf("Z0 %s", digest);
  az_listing_append(bytes, trailer);
  for (guint i = 0; i < az_listing_size(listing); i++) {
    const AzEntry *entry = az_listing_at(listing, i);
    if (entry->hash == NULL || az_compare_is_left_out(entry->name, left_out))
      continue;
    g_autofree char *line = g_strdup_printf("%s  %s", entry->hash, entry->name);
    az_listing_append(bytes, line);
  }
  az_listing_append(bytes, "E");
  g_autoptr(GError) error = NULL;
  if (!az_paths_make_dir(folder, &error)
      || !g_file_set_contents_full(file, (const char *) bytes->data, (gssize) bytes->len,
                                   G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error))
    az_sync_say(sync, "warn", label, "The manifest for a later azlin sync verify cannot be kept: %s", error->message);
}

/* Both sides were found equal: the source's listing is what the target holds, without what is there beside it. */
void
az_sync_manifest_keep(AzSyncPair *pair)
{
  const AzSyncPath *path = az_sync_pair_path(pair);
  write_file(pair->sync, pair->target, pair->label, path->path, path->scan.place->base,
             (const char *const *) pair->left_out, az_sync_pair_source(pair));
}

void
az_sync_manifest_write(AzSync *sync, const AzlinVm *target, const char *path, const char *const *left_out,
                       const AzListing *listing)
{
  write_file(sync, target, sync->blocks ? target->region : NULL, path, NULL, left_out, listing);
}

void
az_sync_manifest_free(AzSyncManifest *manifest)
{
  if (manifest == NULL)
    return;
  g_free(manifest->source);
  g_free(manifest->target);
  g_free(manifest->path);
  g_free(manifest->base);
  g_strfreev(manifest->exclude);
  g_clear_pointer(&manifest->listing, az_listing_unref);
  g_free(manifest);
}

static gboolean
take_header(AzSyncManifest *manifest, const char *text)
{
  g_autoptr(GVariant) header = g_variant_parse(G_VARIANT_TYPE_VARDICT, text, NULL, NULL, NULL);
  return header != NULL && g_variant_lookup(header, "source", "s", &manifest->source)
         && g_variant_lookup(header, "target", "s", &manifest->target)
         && g_variant_lookup(header, "path", "s", &manifest->path)
         && g_variant_lookup(header, "base", "s", &manifest->base) && g_variant_lookup(header, "at", "x", &manifest->at)
         && g_variant_lookup(header, "exclude", "^as", &manifest->exclude);
}

static gboolean
is_intact(const char *text, const AzScanAnswer *answer)
{
  gsize length = (gsize) (answer->records + answer->length - text);
  g_autofree char *digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *) text, length);
  return g_str_equal(digest, answer->digest);
}

static AzSyncManifest *
read_file(const char *path, GError **error)
{
  g_autofree char *text = NULL;
  gsize length = 0;
  AzScanAnswer answer;
  g_autoptr(AzSyncManifest) manifest = g_new0(AzSyncManifest, 1);
  if (!g_file_get_contents(path, &text, &length, error))
    return NULL;
  gsize header = strlen(text) + 1;
  if (header > length || !take_header(manifest, text) || !az_scan_answer(text + header, length - header, &answer, NULL)
      || !is_intact(text, &answer)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "the kept manifest %s cannot be read", path);
    return NULL;
  }
  GByteArray *raw = g_byte_array_sized_new((guint) answer.length);
  g_byte_array_append(raw, (const guint8 *) answer.records, (guint) answer.length);
  manifest->listing = az_listing_new(raw, error);
  if (manifest->listing == NULL || !az_scan_take_hashes(manifest->listing, &answer, NULL, error))
    return NULL;
  return g_steal_pointer(&manifest);
}

AzSyncManifest *
az_sync_manifest_read(AzEngine *engine, const char *target, const char *path, GError **error)
{
  g_autofree char *file = file_of(engine, target, path);
  if (!g_file_test(file, G_FILE_TEST_EXISTS)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "no verified sync of %s to %s is on record", path, target);
    az_error_add_step(*error, "Sync it first: azlin sync --dest %s --paths %s", target, path);
    return NULL;
  }
  return read_file(file, error);
}

static int
by_text(gconstpointer a, gconstpointer b)
{
  return g_strcmp0(*(const char *const *) a, *(const char *const *) b);
}

GPtrArray *
az_sync_manifest_paths(AzEngine *engine, const char *target)
{
  GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *folder = az_paths_file(az_engine_paths(engine), "sync/manifests");
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
    g_autofree char *file = g_build_filename(folder, name, NULL), *text = NULL;
    g_autoptr(AzSyncManifest) manifest = g_new0(AzSyncManifest, 1);
    if (g_file_get_contents(file, &text, NULL, NULL) && take_header(manifest, text)
        && g_str_equal(manifest->target, target))
      g_ptr_array_add(paths, g_strdup(manifest->path));
  }
  g_ptr_array_sort(paths, by_text);
  return paths;
}
