/* $AZLIN_HOME/decisions.jsonl: one decision a line, 0600, the newest kept, replaced whole when it grows too long or too
 * large. */
#include "error.h"
#include "files.h"
#include "flow-failover-decision.h"
#include "flow-failover-state.h"
#include "trial.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "decisions.jsonl"
#define SLACK 50 /* lines more than are kept before the file is rewritten: not for each decision */
#define ID_DIGITS 8
#define MOST_BYTES (12u << 20) /* half of it once rewritten; a decision about ten thousand regions has 5 MB */

static gboolean
fail(GError **error, const char *verb, const char *path)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot %s %s: %s", verb, path, g_strerror(errno));
  return FALSE;
}

/* ---- reading ---- */

/* The whole lines among the last MOST_BYTES, owned, and how many bytes there are in all; NULL without an error: nothing
 * was stored yet. */
static char *
read_newest(const char *path, goffset *ret_size, GError **error)
{
  struct stat facts;
  *ret_size = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT)
    return NULL;
  if (fd < 0 || fstat(fd, &facts) != 0) {
    fail(error, "read", path);
    if (fd >= 0)
      close(fd);
    return NULL;
  }
  *ret_size = facts.st_size;
  goffset from = MAX((goffset) facts.st_size - MOST_BYTES, 0);
  gsize length = (gsize) (facts.st_size - from);
  g_autofree char *text = g_malloc(length + 1);
  gboolean ok = az_files_read_all(fd, (guint64) from, text, length);
  if (!ok)
    fail(error, "read", path);
  close(fd);
  text[length] = '\0';
  const char *begin = from > 0 ? strchr(text, '\n') : text;
  return ok ? g_strdup(begin != NULL ? begin : "") : NULL;
}

/* The last `most` lines that hold anything; of char*, into `text`, which is cut into lines. */
static GPtrArray *
last_lines(char *text, guint most)
{
  GPtrArray *lines = g_ptr_array_new();

  for (char *line = text, *end; line != NULL && *line != '\0'; line = end) {
    end = strchr(line, '\n');
    if (end != NULL)
      *end++ = '\0';
    if (*line != '\0')
      g_ptr_array_add(lines, line);
  }
  if (lines->len > most)
    g_ptr_array_remove_range(lines, 0, lines->len - most);
  return lines;
}

GPtrArray *
az_decision_list(AzEngine *engine, GError **error)
{
  g_autofree char *path = az_paths_file(az_engine_paths(engine), FILE_NAME);
  g_autoptr(GError) local = NULL;
  goffset size = 0;
  g_autofree char *text = read_newest(path, &size, &local);

  if (local != NULL) {
    g_propagate_error(error, g_steal_pointer(&local));
    return NULL;
  }
  GPtrArray *decisions = g_ptr_array_new_with_free_func((GDestroyNotify) g_variant_unref);
  g_autoptr(GPtrArray) lines = last_lines(text, AZ_DECISIONS_KEPT);
  for (guint i = 0; i < lines->len; i++) {
    const char *line = g_ptr_array_index(lines, i);
    g_autoptr(GVariant) value = az_json_parse(line, strlen(line), NULL);
    if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_VARDICT))
      g_ptr_array_add(decisions, g_steal_pointer(&value));
  }
  return decisions;
}

/* ---- writing ---- */

static gboolean
append(const char *path, const char *line, GError **error)
{
  int fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

  if (fd < 0)
    return fail(error, "open", path);
  gboolean ok = fchmod(fd, 0600) == 0 && az_files_write_all(fd, line, strlen(line)) && fdatasync(fd) == 0;
  if (!ok)
    fail(error, "write", path);
  close(fd);
  return ok;
}

static gboolean
rewrite(const char *path, const GPtrArray *lines, const char *line, GError **error)
{
  GString *text = g_string_new(NULL);

  for (guint i = 0; i < lines->len; i++)
    g_string_append_printf(text, "%s\n", (const char *) g_ptr_array_index(lines, i));
  g_string_append(text, line);
  g_autofree char *all = g_string_free(text, FALSE);
  return az_files_write(path, all, AZ_FILES_DURABLE, error);
}

/* Keeps the newest that fit with one of so many bytes behind them. */
static void
make_room(GPtrArray *lines, gsize bytes)
{
  guint kept = 0;
  for (; kept < MIN(lines->len, AZ_DECISIONS_KEPT - 1); kept++) {
    bytes += strlen(g_ptr_array_index(lines, lines->len - kept - 1)) + 1;
    if (bytes > MOST_BYTES / 2)
      break;
  }
  g_ptr_array_remove_range(lines, 0, lines->len - kept);
}

/* One that no stored decision has. */
static char *
new_id(const char *stored, const char *content)
{
  for (guint salt = 0;; salt++) {
    g_autofree char *text = g_strdup_printf("%u %s", salt, content);
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    digest[ID_DIGITS] = '\0';
    g_autofree char *entry = g_strdup_printf("\"id\":\"%s\"", digest);
    g_autofree char *spaced = g_strdup_printf("\"id\": \"%s\"", digest);
    if (stored == NULL || (strstr(stored, entry) == NULL && strstr(stored, spaced) == NULL))
      return g_steal_pointer(&digest);
  }
}

static char *
keep_locked(const char *path, GVariantDict *record, GError **error)
{
  g_autoptr(GError) local = NULL;
  goffset size = 0;
  g_autofree char *text = read_newest(path, &size, &local);

  if (local != NULL) {
    g_propagate_error(error, g_steal_pointer(&local));
    return NULL;
  }
  GVariantDict whole;
  g_autoptr(GVariant) content = g_variant_ref_sink(g_variant_dict_end(record));
  g_autofree char *bare = az_json_from_variant(content, 0);
  g_autofree char *id = new_id(text, bare);
  g_variant_dict_init(&whole, content);
  g_variant_dict_insert(&whole, "id", "s", id);
  g_autofree char *json = az_json_from_variant(g_variant_dict_end(&whole), 0);
  gboolean torn = text != NULL && *text != '\0' && !g_str_has_suffix(text, "\n");
  g_autofree char *line = g_strconcat(torn ? "\n" : "", json, "\n", NULL);
  g_autoptr(GPtrArray) lines = last_lines(text, G_MAXUINT);
  gboolean ok;
  if (lines->len >= AZ_DECISIONS_KEPT + SLACK || size + (goffset) strlen(line) > MOST_BYTES) {
    make_room(lines, strlen(line));
    ok = rewrite(path, lines, line + torn, error);
  } else {
    ok = append(path, line, error);
  }
  return ok ? g_steal_pointer(&id) : NULL;
}

static void
fill(AzEngine *engine, GVariantDict *record, const char *why, GVariant *input, const AzlinDecision *decision)
{
  g_autofree char *owner
      = g_strdup_printf("failover-%s", az_config_string(az_engine_config(engine), "bricks", "failover"));
  g_autofree char *time = az_time_to_string(az_clock_now(az_engine_clock(engine)));
  g_autoptr(GVariant) source = g_variant_lookup_value(input, "source", G_VARIANT_TYPE_VARDICT);
  const char *region = "";

  if (source != NULL)
    g_variant_lookup(source, "region", "&s", &region);
  g_variant_dict_init(record, NULL);
  g_variant_dict_insert_value(record, "time", az_variant_str(time));
  g_variant_dict_insert(record, "version", "s", AZLIN_VERSION);
  g_variant_dict_insert(record, "brick", "s", owner);
  g_variant_dict_insert(record, "why", "s", why);
  g_variant_dict_insert(record, "region", "s", region);
  g_variant_dict_insert_value(record, "options", az_trial_texts_in_force(engine, owner));
  g_variant_dict_insert_value(record, "input", input);
  g_variant_dict_insert_value(record, "decision", az_decision_to_variant(decision));
}

char *
az_decision_keep(AzEngine *engine, const char *why, GVariant *input, const AzlinDecision *decision, GError **error)
{
  g_autofree char *path = az_paths_file(az_engine_paths(engine), FILE_NAME);
  GVariantDict record;

  if (!az_paths_ensure(az_engine_paths(engine), error))
    return NULL;
  int lock = az_failover_lock(path, error);
  if (lock < 0)
    return NULL;
  fill(engine, &record, why, input, decision);
  char *id = keep_locked(path, &record, error);
  close(lock);
  return id;
}
