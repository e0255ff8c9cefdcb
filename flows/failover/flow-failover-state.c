/* $AZLIN_HOME/failover.json: read with suspicion, changed under a lock, replaced whole. */
#include "flow-failover-state.h"
#include "error.h"
#include "files.h"
#include "flow-heads.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "failover.json"
#define MAX_BYTES (1024 * 1024)
#define LOCK_TRIES 400
#define LOCK_GAP_US 5000

void
az_fence_pending_free(AzFencePending *fence)
{
  g_free(fence->region);
  g_free(fence->vm_name);
  g_free(fence);
}

static AzFailoverState *
state_new(void)
{
  AzFailoverState *state = g_new0(AzFailoverState, 1);

  state->fences = g_ptr_array_new_with_free_func((GDestroyNotify) az_fence_pending_free);
  state->isolated = g_ptr_array_new_with_free_func(g_free);
  state->drill_rto_s = state->drill_rpo_s = -1;
  return state;
}

void
az_failover_state_free(AzFailoverState *state)
{
  if (state == NULL)
    return;
  g_free(state->pause_reason);
  g_free(state->automatic_from);
  g_free(state->automatic_to);
  g_ptr_array_unref(state->fences);
  g_ptr_array_unref(state->isolated);
  g_free(state->window_from);
  g_free(state->window_to);
  g_free(state->drill_to);
  g_free(state);
}

void
az_failover_close_window(AzFailoverState *state)
{
  state->window_until = 0;
  state->window_epoch = 0;
  g_clear_pointer(&state->window_from, g_free);
  g_clear_pointer(&state->window_to, g_free);
}

static const char *const common_keys[AZ_N_COMMON] = { [AZ_COMMON_PAUSE] = "paused", [AZ_COMMON_SWITCH] = "automatic" };

/* ---- from the file ---- */

typedef struct {
  GVariant *dict;    /* the object that is read */
  const char *where; /* its name, for people */
  char *problem;     /* the first one; NULL = none */
} Reader;

static GVariant *
look(Reader *reader, const char *key, const GVariantType *type, gboolean needed)
{
  g_autoptr(GVariant) value = g_variant_lookup_value(reader->dict, key, NULL);

  if (value != NULL && g_variant_is_of_type(value, type))
    return g_steal_pointer(&value);
  gboolean absent = value == NULL || g_variant_is_of_type(value, G_VARIANT_TYPE_UNIT);
  if ((!absent || needed) && reader->problem == NULL)
    reader->problem = g_strdup_printf("%s%s%s is %s", reader->where, *reader->where ? "." : "", key,
                                      absent ? "missing" : "not what it should be");
  return NULL;
}

static char *
read_string(Reader *reader, const char *key, gboolean needed)
{
  g_autoptr(GVariant) value = look(reader, key, G_VARIANT_TYPE_STRING, needed);

  return value != NULL ? g_variant_dup_string(value, NULL) : NULL;
}

static gint64
read_time(Reader *reader, const char *key, gboolean needed)
{
  g_autofree char *text = read_string(reader, key, needed);
  gint64 time = text != NULL ? az_time_from_string(text) : 0;

  if (text != NULL && time <= 0 && reader->problem == NULL)
    reader->problem = g_strdup_printf("%s.%s is not a time", reader->where, key);
  return time;
}

static gint64
read_count(Reader *reader, const char *key, gint64 max)
{
  g_autoptr(GVariant) value = look(reader, key, G_VARIANT_TYPE_INT64, TRUE);
  gint64 count = value != NULL ? g_variant_get_int64(value) : 0;

  if ((count < 0 || count > max) && reader->problem == NULL)
    reader->problem = g_strdup_printf("%s%s%s is out of range", reader->where, *reader->where ? "." : "", key);
  return count;
}

static gboolean
read_flag(Reader *reader, const char *key)
{
  g_autoptr(GVariant) value = look(reader, key, G_VARIANT_TYPE_BOOLEAN, TRUE);

  return value != NULL && g_variant_get_boolean(value);
}

static double
read_seconds(Reader *reader, const char *key)
{
  g_autoptr(GVariant) value = g_variant_lookup_value(reader->dict, key, NULL);

  if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_INT64))
    return (double) g_variant_get_int64(value);
  g_autoptr(GVariant) real = look(reader, key, G_VARIANT_TYPE_DOUBLE, FALSE);
  return real != NULL ? g_variant_get_double(real) : -1;
}

/* Reads one part of the document, where it is there, with `read`; keeps the first problem. */
static void
read_part(Reader *top, const char *key, void (*read)(Reader *part, AzFailoverState *state), AzFailoverState *state)
{
  g_autoptr(GVariant) dict = look(top, key, G_VARIANT_TYPE_VARDICT, FALSE);
  Reader part = { .dict = dict, .where = key, .problem = g_steal_pointer(&top->problem) };

  if (dict != NULL)
    read(&part, state);
  top->problem = part.problem;
}

static void
read_pause(Reader *part, AzFailoverState *state)
{
  state->paused = TRUE;
  state->paused_at = read_time(part, "at", TRUE);
  state->paused_until = read_time(part, "until", FALSE);
  state->pause_reason = read_string(part, "reason", FALSE);
}

static void
read_automatic(Reader *part, AzFailoverState *state)
{
  state->automatic_at = read_time(part, "at", TRUE);
  state->automatic_from = read_string(part, "from", TRUE);
  state->automatic_to = read_string(part, "to", TRUE);
  state->automatic_epoch = (guint64) read_count(part, "epoch", G_MAXINT64);
  state->acknowledged = read_flag(part, "acknowledged");
}

static void
read_window(Reader *part, AzFailoverState *state)
{
  state->window_until = read_time(part, "until", TRUE);
  state->window_from = read_string(part, "from", TRUE);
  state->window_to = read_string(part, "to", TRUE);
  state->window_epoch = (guint64) read_count(part, "epoch", G_MAXINT64);
}

static void
read_drill(Reader *part, AzFailoverState *state)
{
  state->drill_at = read_time(part, "at", TRUE);
  state->drill_to = read_string(part, "to", FALSE);
  state->drill_rto_s = read_seconds(part, "rto_seconds");
  state->drill_rpo_s = read_seconds(part, "rpo_seconds");
  state->drill_passed = read_flag(part, "passed");
}

static void
read_fence(Reader *part, AzFailoverState *state)
{
  AzFencePending *fence = g_new0(AzFencePending, 1);

  g_ptr_array_add(state->fences, fence);
  fence->region = read_string(part, "region", TRUE);
  fence->vm_name = read_string(part, "vm_name", TRUE);
  fence->epoch = (guint64) read_count(part, "epoch", G_MAXINT64);
  fence->since = read_time(part, "since", TRUE);
  fence->attempts = (guint32) read_count(part, "attempts", G_MAXUINT32);
}

static void
read_fences(Reader *top, AzFailoverState *state)
{
  g_autoptr(GVariant) list = look(top, "fences", G_VARIANT_TYPE("av"), FALSE);

  for (gsize i = 0; list != NULL && top->problem == NULL && i < g_variant_n_children(list); i++) {
    g_autoptr(GVariant) child = NULL;
    g_variant_get_child(list, i, "v", &child);
    if (!g_variant_is_of_type(child, G_VARIANT_TYPE_VARDICT)) {
      top->problem = g_strdup("fences holds what is no fence");
      return;
    }
    Reader part = { .dict = child, .where = "fences" };
    read_fence(&part, state);
    top->problem = part.problem;
  }
}

static void
read_revisions(Reader *part, AzFailoverState *state)
{
  for (guint i = 0; i < AZ_N_COMMON; i++)
    state->revisions[i] = (guint64) read_count(part, common_keys[i], G_MAXINT64);
}

static void
read_isolated(Reader *top, AzFailoverState *state)
{
  g_autoptr(GVariant) list = look(top, "isolated", G_VARIANT_TYPE("av"), FALSE);

  for (gsize i = 0; list != NULL && i < g_variant_n_children(list); i++) {
    g_autoptr(GVariant) child = NULL;
    g_variant_get_child(list, i, "v", &child);
    if (g_variant_is_of_type(child, G_VARIANT_TYPE_STRING))
      g_ptr_array_add(state->isolated, g_variant_dup_string(child, NULL));
    else if (top->problem == NULL)
      top->problem = g_strdup("isolated holds what is no region");
  }
}

/* NULL and `ret_problem` (owned) when the document is not what this program or a later one wrote. */
static AzFailoverState *
state_of(GVariant *document, char **ret_problem)
{
  g_autoptr(AzFailoverState) state = state_new();
  Reader top = { .dict = document, .where = "" };

  read_part(&top, "paused", read_pause, state);
  read_part(&top, "automatic", read_automatic, state);
  read_part(&top, "window", read_window, state);
  read_part(&top, "drill", read_drill, state);
  read_part(&top, "revisions", read_revisions, state);
  read_fences(&top, state);
  read_isolated(&top, state);
  g_autoptr(GVariant) epoch = look(&top, "epoch", G_VARIANT_TYPE_INT64, FALSE);
  if (epoch != NULL)
    state->noted_epoch = (guint64) read_count(&top, "epoch", G_MAXINT64);
  if (top.problem == NULL)
    return g_steal_pointer(&state);
  *ret_problem = top.problem;
  return NULL;
}

/* Bytes of the file; NULL and no problem: there is none. A pipe or a device in its place must not hold us up. */
static char *
read_file(const char *path, gsize *ret_length, char **ret_problem)
{
  struct stat info;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

  if (fd < 0) {
    *ret_problem = errno == ENOENT ? NULL : g_strdup(g_strerror(errno));
    return NULL;
  }
  g_autofree char *text = g_malloc(MAX_BYTES + 1);
  gsize length = 0;
  gssize n = 1;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    *ret_problem = g_strdup("it is not a regular file");
  while (*ret_problem == NULL && length <= MAX_BYTES && (n = read(fd, text + length, MAX_BYTES + 1 - length)) > 0)
    length += (gsize) n;
  if (*ret_problem == NULL && (n < 0 || length > MAX_BYTES))
    *ret_problem = g_strdup(n < 0 ? g_strerror(errno) : "it is larger than 1 MiB");
  close(fd);
  *ret_length = length;
  return *ret_problem == NULL ? g_steal_pointer(&text) : NULL;
}

static GError *
unreadable(const char *path, const char *problem)
{
  GError *error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                              "What azlin remembers of failovers cannot be read: %s: %s", path, problem);

  az_error_add_step(error, "See what stood in it (pause, cool-down, fences): azlin audit show");
  az_error_add_step(error, "Mend it, or begin afresh with all that forgotten: mv %s %s.bad", path, path);
  return error;
}

/* The document as it stands, an empty one where there is none; NULL and error. */
static GVariant *
load_document(const char *path, GError **error)
{
  g_autofree char *problem = NULL;
  g_autoptr(GError) syntax = NULL;
  gsize length = 0;
  g_autofree char *text = read_file(path, &length, &problem);

  if (text == NULL && problem == NULL)
    return g_variant_ref_sink(g_variant_new_array(G_VARIANT_TYPE("{sv}"), NULL, 0));
  g_autoptr(GVariant) value = text != NULL ? az_json_parse(text, length, &syntax) : NULL;
  if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_VARDICT))
    return g_steal_pointer(&value);
  g_propagate_error(error, unreadable(path, problem != NULL  ? problem
                                            : syntax != NULL ? syntax->message
                                                             : "it is no JSON object"));
  return NULL;
}

static AzFailoverState *
load(const char *path, GVariant **ret_document, GError **error)
{
  g_autofree char *problem = NULL;
  g_autoptr(GVariant) document = load_document(path, error);

  if (document == NULL)
    return NULL;
  AzFailoverState *state = state_of(document, &problem);
  if (state == NULL)
    g_propagate_error(error, unreadable(path, problem));
  else if (ret_document != NULL)
    *ret_document = g_steal_pointer(&document);
  return state;
}

AzFailoverState *
az_failover_state_load(AzEngine *engine, GError **error)
{
  g_autofree char *path = az_paths_file(az_engine_paths(engine), FILE_NAME);

  return load(path, NULL, error);
}

/* ---- to the file ---- */

static void
put_time(GVariantDict *dict, const char *key, gint64 time)
{
  g_autofree char *text = az_time_to_string(time);

  g_variant_dict_insert_value(dict, key, az_variant_str(text));
}

static GVariant *
pause_value(const AzFailoverState *state)
{
  GVariantDict dict;

  if (!state->paused)
    return az_null();
  g_variant_dict_init(&dict, NULL);
  put_time(&dict, "at", state->paused_at);
  put_time(&dict, "until", state->paused_until);
  g_variant_dict_insert_value(&dict, "reason", az_variant_str(state->pause_reason));
  return g_variant_dict_end(&dict);
}

static GVariant *
automatic_value(const AzFailoverState *state)
{
  GVariantDict dict;

  if (state->automatic_at == 0)
    return az_null();
  g_variant_dict_init(&dict, NULL);
  put_time(&dict, "at", state->automatic_at);
  g_variant_dict_insert(&dict, "from", "s", state->automatic_from);
  g_variant_dict_insert(&dict, "to", "s", state->automatic_to);
  g_variant_dict_insert(&dict, "epoch", "t", state->automatic_epoch);
  g_variant_dict_insert(&dict, "acknowledged", "b", state->acknowledged);
  return g_variant_dict_end(&dict);
}

static GVariant *
common_value(const AzFailoverState *state, AzCommonPart part)
{
  return part == AZ_COMMON_PAUSE ? pause_value(state) : automatic_value(state);
}

static GVariant *
revisions_value(const AzFailoverState *state)
{
  GVariantDict dict;

  g_variant_dict_init(&dict, NULL);
  for (guint i = 0; i < AZ_N_COMMON; i++)
    g_variant_dict_insert(&dict, common_keys[i], "t", state->revisions[i]);
  return g_variant_dict_end(&dict);
}

static GVariant *
window_value(const AzFailoverState *state)
{
  GVariantDict dict;

  if (state->window_until == 0)
    return az_null();
  g_variant_dict_init(&dict, NULL);
  put_time(&dict, "until", state->window_until);
  g_variant_dict_insert(&dict, "from", "s", state->window_from);
  g_variant_dict_insert(&dict, "to", "s", state->window_to);
  g_variant_dict_insert(&dict, "epoch", "t", state->window_epoch);
  return g_variant_dict_end(&dict);
}

static GVariant *
drill_value(const AzFailoverState *state)
{
  GVariantDict dict;

  if (state->drill_at == 0)
    return az_null();
  g_variant_dict_init(&dict, NULL);
  put_time(&dict, "at", state->drill_at);
  g_variant_dict_insert_value(&dict, "to", az_variant_str(state->drill_to));
  g_variant_dict_insert_value(&dict, "rto_seconds",
                              state->drill_rto_s < 0 ? az_null() : g_variant_new_double(state->drill_rto_s));
  g_variant_dict_insert_value(&dict, "rpo_seconds",
                              state->drill_rpo_s < 0 ? az_null() : g_variant_new_double(state->drill_rpo_s));
  g_variant_dict_insert(&dict, "passed", "b", state->drill_passed);
  return g_variant_dict_end(&dict);
}

static GVariant *
fences_value(const AzFailoverState *state)
{
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("av"));
  for (guint i = 0; i < state->fences->len; i++) {
    const AzFencePending *fence = g_ptr_array_index(state->fences, i);
    GVariantDict dict;
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "region", "s", fence->region);
    g_variant_dict_insert(&dict, "vm_name", "s", fence->vm_name);
    g_variant_dict_insert(&dict, "epoch", "t", fence->epoch);
    put_time(&dict, "since", fence->since);
    g_variant_dict_insert(&dict, "attempts", "u", fence->attempts);
    g_variant_builder_add(&list, "v", g_variant_dict_end(&dict));
  }
  return g_variant_builder_end(&list);
}

/* Keys that a later version added stay. */
static char *
text_of(const AzFailoverState *state, GVariant *document)
{
  GVariantDict dict;

  g_variant_dict_init(&dict, document);
  g_variant_dict_insert(&dict, "epoch", "t", state->noted_epoch);
  g_variant_dict_insert_value(&dict, "paused", pause_value(state));
  g_variant_dict_insert_value(&dict, "automatic", automatic_value(state));
  g_variant_dict_insert_value(&dict, "window", window_value(state));
  g_variant_dict_insert_value(&dict, "drill", drill_value(state));
  g_variant_dict_insert_value(&dict, "revisions", revisions_value(state));
  g_variant_dict_insert_value(&dict, "fences", fences_value(state));
  g_variant_dict_insert_value(
      &dict, "isolated",
      g_variant_new_strv((const char *const *) state->isolated->pdata, (gssize) state->isolated->len));
  g_autofree char *json = az_json_from_variant(g_variant_dict_end(&dict), 2);
  return g_strconcat(json, "\n", NULL);
}

static gboolean
fail(GError **error, const char *verb, const char *path)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot %s %s: %s", verb, path, g_strerror(errno));
  return FALSE;
}

/* Others hold it for as long as one write takes. */
int
az_failover_lock(const char *path, GError **error)
{
  g_autofree char *lock = g_strconcat(path, ".lock", NULL);
  int fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);

  if (fd < 0) {
    fail(error, "open", lock);
    return -1;
  }
  for (guint i = 0; i < LOCK_TRIES; i++) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
      return fd;
    g_usleep(LOCK_GAP_US);
  }
  close(fd);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_LOCKED, "%s is held by another azlin", lock);
  return -1;
}

/* Changes `state`; where others share it, each common part that is another one now is a step newer. */
static void
change_and_count(AzFailoverState *state, gboolean shared, void (*change)(AzFailoverState *state, gpointer data),
                 gpointer data)
{
  GVariant *before[AZ_N_COMMON];

  for (guint i = 0; i < AZ_N_COMMON; i++)
    before[i] = g_variant_ref_sink(common_value(state, i));
  change(state, data);
  for (guint i = 0; i < AZ_N_COMMON; i++) {
    g_autoptr(GVariant) was = before[i], now = g_variant_ref_sink(common_value(state, i));
    if (shared && !state->from_others && !g_variant_equal(was, now))
      state->revisions[i]++;
  }
}

static gboolean
change_locked(const char *path, gboolean shared, void (*change)(AzFailoverState *state, gpointer data), gpointer data,
              GError **error)
{
  g_autoptr(GVariant) document = NULL;
  g_autoptr(AzFailoverState) state = load(path, &document, error);

  if (state == NULL)
    return FALSE;
  change_and_count(state, shared, change, data);
  g_autofree char *text = text_of(state, document);
  return az_files_write(path, text, AZ_FILES_DURABLE, error);
}

gboolean
az_failover_state_change(AzEngine *engine, void (*change)(AzFailoverState *state, gpointer data), gpointer data,
                         GError **error)
{
  g_autofree char *path = az_paths_file(az_engine_paths(engine), FILE_NAME);

  if (!az_paths_ensure(az_engine_paths(engine), error))
    return FALSE;
  int lock = az_failover_lock(path, error);
  if (lock < 0)
    return FALSE;
  gboolean ok = change_locked(path, az_heads_are_shared(engine), change, data, error);
  close(lock);
  return ok;
}

/* ---- what all homes have in common ---- */

char *
az_failover_common_text(const AzFailoverState *state, AzCommonPart part)
{
  GVariantDict dict, revision;

  g_variant_dict_init(&revision, NULL);
  for (guint i = 0; i < AZ_N_COMMON; i++)
    g_variant_dict_insert(&revision, common_keys[i], "t", i == part ? state->revisions[i] : 0);
  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert_value(&dict, "revisions", g_variant_dict_end(&revision));
  g_variant_dict_insert_value(&dict, common_keys[part], common_value(state, part));
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_dict_end(&dict));
  return az_json_from_variant(value, 0);
}

/* NULL: nothing was told, or it cannot be read. */
static AzFailoverState *
told_state(const char *told)
{
  g_autoptr(GVariant) document = told != NULL ? az_json_parse(told, strlen(told), NULL) : NULL;
  g_autofree char *problem = NULL;

  return document != NULL && g_variant_is_of_type(document, G_VARIANT_TYPE_VARDICT) ? state_of(document, &problem)
                                                                                    : NULL;
}

static void
swap_strings(char **a, char **b)
{
  char *held = *a;

  *a = *b;
  *b = held;
}

static void
take_pause(AzFailoverState *state, AzFailoverState *theirs)
{
  state->paused = theirs->paused;
  state->paused_at = theirs->paused_at;
  state->paused_until = theirs->paused_until;
  swap_strings(&state->pause_reason, &theirs->pause_reason);
}

static void
take_automatic(AzFailoverState *state, AzFailoverState *theirs)
{
  state->automatic_at = theirs->automatic_at;
  state->automatic_epoch = theirs->automatic_epoch;
  state->acknowledged = theirs->acknowledged;
  swap_strings(&state->automatic_from, &theirs->automatic_from);
  swap_strings(&state->automatic_to, &theirs->automatic_to);
}

/* Has this home something to say that the others, who are at `revision`, do not know? A pause that was made before
 * anything was shared is not lost to them. */
static gboolean
is_news(const AzFailoverState *state, AzCommonPart part, guint64 revision)
{
  gboolean stands = part == AZ_COMMON_PAUSE ? state->paused : state->automatic_at != 0;

  if (state->revisions[part] != 0)
    return state->revisions[part] > revision;
  return stands && (revision == 0 || part == AZ_COMMON_PAUSE);
}

gboolean
az_failover_common_take(AzFailoverState *state, AzCommonPart part, const char *told)
{
  g_autoptr(AzFailoverState) theirs = told_state(told);
  guint64 revision = theirs != NULL ? theirs->revisions[part] : 0;

  if (is_news(state, part, revision)) {
    state->revisions[part] = MAX(state->revisions[part], revision + 1);
    return FALSE;
  }
  if (revision == 0)
    return TRUE;
  if (part == AZ_COMMON_PAUSE)
    take_pause(state, theirs);
  else
    take_automatic(state, theirs);
  state->revisions[part] = revision;
  return TRUE;
}
