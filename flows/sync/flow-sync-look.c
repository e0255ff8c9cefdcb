/* sync: what stands at a path on a machine, how much it is, and which parts of it are never copied. */
#include "flow-sync-private.h"
#include <string.h>

#define LOOK_MS 60000u
#define COUNT_MS 1800000u

/* PATH BASE MAKE -> kind, folder, base, home, free bytes; each ends with NUL. */
static const char look_script[]
    = "LC_ALL=C; export LC_ALL; path=$1 base=$2\n"
      "[ \"$3\" = 1 ] && { mkdir -p -- \"$path\" || exit 4; }\n"
      "if [ -d \"$path\" ]; then kind=d folder=$path\n"
      "elif [ -f \"$path\" ]; then kind=f base=${path##*/} folder=${path%/*}\n"
      "elif [ -e \"$path\" ] || [ -L \"$path\" ]; then kind=o folder=/\n"
      "else kind=- folder=$path; while [ ! -d \"${folder:-/}\" ]; do folder=${folder%/*}; done; fi\n"
      "real=$(cd -- \"${folder:-/}\" && pwd -P && echo .) || exit 5\n"
      "home=$(cd -- \"$HOME\" && pwd -P && echo .) || home='/\n.'\n"
      "free=$(df --output=avail -B1 -- \"${real%??}\" | tail -n 1)\n"
      "printf '%s\\0' \"$kind\" \"${real%??}\" \"$base\" \"${home%??}\" \"$free\"\n";

/* FOLDER ROOT FILTER... -> files bytes entries. Sizes only, so that no name can forge a line. */
static const char count_script[]
    = "LC_ALL=C; export LC_ALL; cd -- \"$1\" || exit 3; root=$2; shift 2\n"
      "find \"$root\" -regextype posix-extended \\( \"$@\" \\) -prune -o \\( -type f -o -type d -o -type l \\) "
      "-printf '%y %s\\n' | awk '$1 != \"d\" { n++ } $1 == \"f\" { b += $2 } { e++ } "
      "END { printf \"%.0f %.0f %.0f\\n\", n, b, e }'\n";

typedef struct {
  AzEngine *engine;
  AzlinVm *vm;
  char *path;
  char **exclude;
  AzSyncPlace *place, **ret_place;
  AzlinOp *op;
} Look;

void
az_sync_place_free(AzSyncPlace *place)
{
  if (place == NULL)
    return;
  g_free(place->folder);
  g_free(place->base);
  g_free(place->full);
  g_free(place->home);
  g_free(place);
}

static void
look_free(Look *look)
{
  az_vm_free(look->vm);
  g_free(look->path);
  g_strfreev(look->exclude);
  az_sync_place_free(look->place);
  g_free(look);
}

static void
look_fail(Look *look, GError *error)
{
  az_op_fail(look->op, error);
  look_free(look);
}

/* The first sentence that a command left on stderr. */
static char *
first_words(const AzlinReply *reply)
{
  gsize length = 0;
  const char *bytes = g_bytes_get_data(reply->err, &length);
  g_autofree char *text = g_strndup(bytes != NULL ? bytes : "", MIN(length, 400));
  text[strcspn(text, "\r\n")] = 0;
  return g_utf8_make_valid(text[0] != 0 ? text : "no reason given", -1);
}

static GError *
reply_error(const Look *look, const AzlinReply *reply, const char *what)
{
  g_autofree char *words = first_words(reply);
  AzlinError code = reply->status == 126 || reply->status == 127 ? AZLIN_ERROR_NOT_SUPPORTED : AZLIN_ERROR_FAILED;
  return g_error_new(AZLIN_ERROR, (int) code, "%s on %s: %s: %s", look->path, look->vm->region, what, words);
}

/* ---- counting ---- */

gboolean
az_sync_parse_count(const char *text, AzSyncPlace *place)
{
  g_auto(GStrv) words = g_strsplit(text, " ", 4);
  return g_strv_length(words) == 3 && g_ascii_string_to_unsigned(words[0], 10, 0, G_MAXINT64, &place->files, NULL)
         && g_ascii_string_to_unsigned(words[1], 10, 0, G_MAXINT64, &place->bytes, NULL)
         && g_ascii_string_to_unsigned(words[2], 10, 0, G_MAXINT64, &place->entries, NULL);
}

static void
on_counted(AzlinOp *op, gpointer data)
{
  Look *look = data;
  const AzlinReply *reply = az_op_reply(op);
  if (az_op_error(op) != NULL) {
    look_fail(look, g_error_copy(az_op_error(op)));
    return;
  }
  gsize length = 0;
  const char *bytes = g_bytes_get_data(reply->out, &length);
  g_autofree char *text = g_strndup(bytes != NULL ? bytes : "", length);
  gboolean counted = reply->status == 0 && az_sync_parse_count(g_strchomp(text), look->place);
  /* a folder holds at least itself: without it find did not run, whatever awk made of the silence */
  if (!counted || (look->place->base == NULL && look->place->entries == 0)) {
    look_fail(look, reply_error(look, reply, "its size cannot be measured"));
    return;
  }
  *look->ret_place = g_steal_pointer(&look->place);
  az_op_finish(look->op);
  look_free(look);
}

static void
count(Look *look, GPtrArray *filter)
{
  const AzSyncPlace *place = look->place;
  g_autofree char *root = place->base != NULL ? g_strconcat("./", place->base, NULL) : g_strdup(".");
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  const char *fixed[] = { "sh", "-c", count_script, "sh", place->folder, root };
  for (guint i = 0; i < G_N_ELEMENTS(fixed); i++)
    g_ptr_array_add(argv, (gpointer) (guintptr) fixed[i]);
  for (guint i = 0; i < filter->len; i++)
    g_ptr_array_add(argv, g_ptr_array_index(filter, i));
  g_ptr_array_add(argv, NULL);
  AzlinExec request = { .size = sizeof request, .vm = look->vm, .argv = (const char *const *) argv->pdata };
  az_engine_exec(look->engine, &request, az_op_new(look->op, "count", COUNT_MS, on_counted, look));
}

/* ---- looking ---- */

static gboolean
is_same_or_below(const char *path, const char *folder)
{
  gsize length = strlen(folder);
  return g_str_has_prefix(path, folder) && (path[length] == 0 || path[length] == '/');
}

gboolean
az_sync_protect(const AzSyncPlace *place, GPtrArray *patterns, GError **error)
{
  static const char *const never[] = { ".ssh", ".local/state/azlin" };
  for (guint i = 0; i < G_N_ELEMENTS(never); i++) {
    g_autofree char *kept = g_build_filename(place->home, never[i], NULL);
    if (is_same_or_below(place->full, kept)) {
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
                  "%s is never copied: keys of SSH and azlin's own state belong to one machine", place->folder);
      return FALSE;
    }
    gboolean at_root = g_str_equal(place->folder, "/");
    if (!at_root && !is_same_or_below(kept, place->folder))
      continue;
    const char *relative = kept + (at_root ? 1 : strlen(place->folder) + 1);
    char *pattern = az_manifest_exclude_exactly(relative);
    if (pattern == NULL) {
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED,
                  "%s holds %s, which cannot be left out because of the characters in its name", place->folder, kept);
      return FALSE;
    }
    g_ptr_array_add(patterns, pattern);
  }
  return TRUE;
}

/* The five answers of the look script; foreign bytes. */
static gboolean
parse_look(GBytes *out, AzSyncPlace *place)
{
  gsize length = 0;
  const char *bytes = g_bytes_get_data(out, &length), *end = bytes + length;
  const char *fields[5];
  for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
    const char *nul = bytes < end ? memchr(bytes, 0, (gsize) (end - bytes)) : NULL;
    if (nul == NULL || !g_utf8_validate(bytes, nul - bytes, NULL))
      return FALSE;
    fields[i] = bytes;
    bytes = nul + 1;
  }
  if (strlen(fields[0]) != 1 || fields[1][0] != '/' || fields[3][0] != '/')
    return FALSE;
  const char *number = fields[4] + strspn(fields[4], " ");
  place->kind = fields[0][0];
  place->folder = g_strdup(fields[1]);
  place->base = fields[2][0] != 0 ? g_strdup(fields[2]) : NULL;
  place->full = place->base != NULL ? g_build_filename(place->folder, place->base, NULL) : g_strdup(place->folder);
  place->home = g_strdup(fields[3]);
  return g_ascii_string_to_unsigned(number, 10, 0, G_MAXUINT64, &place->free_bytes, NULL);
}

static void
on_looked(AzlinOp *op, gpointer data)
{
  Look *look = data;
  const AzlinReply *reply = az_op_reply(op);
  GError *error = NULL;
  if (az_op_error(op) != NULL) {
    look_fail(look, g_error_copy(az_op_error(op)));
    return;
  }
  look->place = g_new0(AzSyncPlace, 1);
  if (reply->status != 0 || !parse_look(reply->out, look->place)) {
    look_fail(look, reply_error(look, reply, reply->status == 4 ? "it cannot be made" : "it cannot be looked at"));
    return;
  }
  if (look->place->kind == '-' || look->place->kind == 'o') {
    *look->ret_place = g_steal_pointer(&look->place);
    az_op_finish(look->op);
    look_free(look);
    return;
  }
  g_autoptr(GPtrArray) patterns = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; look->exclude != NULL && look->exclude[i] != NULL; i++)
    g_ptr_array_add(patterns, g_strdup(look->exclude[i]));
  gboolean fine = az_sync_protect(look->place, patterns, &error);
  g_ptr_array_add(patterns, NULL);
  g_autoptr(GPtrArray) filter = fine ? az_manifest_filter((const char *const *) patterns->pdata, &error) : NULL;
  if (filter == NULL)
    look_fail(look, error);
  else
    count(look, filter);
}

void
az_sync_look(AzEngine *engine, const AzlinVm *vm, const char *path, const char *base, gboolean make,
             const char *const *exclude, AzSyncPlace **ret_place, AzlinOp *op)
{
  const char *argv[] = { "sh", "-c", look_script, "sh", path, base != NULL ? base : "", make ? "1" : "0", NULL };
  Look *look = g_new0(Look, 1);
  *look = (Look){ .engine = engine, .vm = az_vm_dup(vm), .path = g_strdup(path), .ret_place = ret_place, .op = op };
  look->exclude = g_strdupv((char **) (guintptr) exclude);
  AzlinExec request = { .size = sizeof request, .vm = look->vm, .argv = argv };
  az_engine_exec(engine, &request, az_op_new(op, "look", LOOK_MS, on_looked, look));
}
