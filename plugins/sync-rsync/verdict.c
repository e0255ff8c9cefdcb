/* What rsync's exit code and its words on stderr amount to: done, incomplete, worth another attempt, or hopeless. */
#include "rsync.h"
#include <string.h>

#define MAX_WORDS 20u /* sentences of one path that are passed on */
#define MAX_SENTENCE 500u

static const struct {
  int status;
  AzlinError code; /* SSH and SYNC are attempted again by the taxonomy */
  const char *words;
} meanings[] = {
  { 1, AZLIN_ERROR_FAILED, "rsync did not understand its options; it may be too old" },
  { 2, AZLIN_ERROR_FAILED, "the two machines run versions of rsync that do not fit together" },
  { 3, AZLIN_ERROR_FAILED, "the path could not be opened on one of the two machines" },
  { 4, AZLIN_ERROR_FAILED, "the two machines run versions of rsync that do not fit together" },
  { 5, AZLIN_ERROR_FAILED, "the target refused to start the transfer" },
  { 10, AZLIN_ERROR_SYNC, "the connection between the machines broke" },
  { 11, AZLIN_ERROR_FAILED, "the target could not write" },
  { 12, AZLIN_ERROR_SYNC, "the connection between the machines broke" },
  { 13, AZLIN_ERROR_SYNC, "azlin lost the connection to the source" },
  { 14, AZLIN_ERROR_SYNC, "rsync lost one of its own processes" },
  { 19, AZLIN_ERROR_FAILED, "rsync was stopped on the source" },
  { 20, AZLIN_ERROR_FAILED, "rsync was stopped on the source" },
  { 22, AZLIN_ERROR_FAILED, "one of the two machines is out of memory" },
  { 30, AZLIN_ERROR_SYNC, "the connection between the machines went silent" },
  { 35, AZLIN_ERROR_SYNC, "the connection between the machines went silent" },
  { 126, AZLIN_ERROR_NOT_SUPPORTED, "rsync cannot be run on the source; install it there: sudo apt-get install rsync" },
  { 127, AZLIN_ERROR_NOT_SUPPORTED,
    "rsync is not installed on the source; install it there: sudo apt-get install rsync" },
  { 137, AZLIN_ERROR_SYNC, "rsync was killed on the source" },
  { 247, AZLIN_ERROR_SYNC, "rsync was killed on the target" }, /* as rrsync since 3.2.4 says it */
  { 255, AZLIN_ERROR_SSH, "the source cannot reach the target over SSH" },
};

/* One line as people may read it, without rsync's own prefix; NULL = it says nothing. */
static char *
sentence(const char *line)
{
  static const char *const noise[] = { "rsync error: ", "Warning: Permanently added", "IO error encountered" };
  for (guint i = 0; i < G_N_ELEMENTS(noise); i++)
    if (g_str_has_prefix(line, noise[i]))
      return NULL;
  if (g_str_has_prefix(line, "rsync: "))
    line += strlen("rsync: ");
  if (*line == '[' && strstr(line, "] ") != NULL) /* "[sender] " */
    line = strstr(line, "] ") + 2;
  g_autofree char *cut = g_strndup(line, MAX_SENTENCE);
  g_autofree char *valid = g_utf8_make_valid(cut, -1);
  g_strstrip(valid);
  return valid[0] == 0 ? NULL : g_steal_pointer(&valid);
}

/* The sentences of stderr; `ret_all` counts also those beyond the cap. */
static GPtrArray *
sentences(GBytes *err, guint *ret_all)
{
  gsize length = 0;
  const char *bytes = g_bytes_get_data(err, &length);
  g_autofree char *text = g_strndup(bytes != NULL ? bytes : "", length);
  g_auto(GStrv) lines = g_strsplit_set(text, "\r\n", -1);
  GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
  *ret_all = 0;
  for (guint i = 0; lines[i] != NULL; i++) {
    g_autofree char *one = sentence(lines[i]);
    if (one == NULL)
      continue;
    (*ret_all)++;
    if (found->len < MAX_WORDS)
      g_ptr_array_add(found, g_steal_pointer(&one));
  }
  return found;
}

static gboolean
any_says(GPtrArray *words, const char *what)
{
  for (guint i = 0; i < words->len; i++)
    if (strstr(g_ptr_array_index(words, i), what) != NULL)
      return TRUE;
  return FALSE;
}

/* All that were kept, and none beyond the cap. */
static gboolean
all_say(GPtrArray *words, guint all, const char *what)
{
  for (guint i = 0; i < words->len; i++)
    if (strstr(g_ptr_array_index(words, i), what) == NULL)
      return FALSE;
  return words->len > 0 && all == words->len;
}

static void
pass_on(GPtrArray *words, guint all, GPtrArray *errors)
{
  for (guint i = 0; i < words->len; i++)
    g_ptr_array_add(errors, g_strdup(g_ptr_array_index(words, i)));
  if (all > words->len)
    g_ptr_array_add(errors, g_strdup_printf("and %u more of this kind", all - words->len));
}

static void
explain_incomplete(const AzlinSyncJob *job, int status, GPtrArray *words, guint all, GPtrArray *errors)
{
  const char *what = status == 24
                         ? "some files vanished from the source while they were copied and could not be transferred"
                         : "some files or attributes could not be transferred";
  g_ptr_array_add(errors, g_strdup_printf("%s: %s (rsync exit %d)", job->path, what, status));
  pass_on(words, all, errors);
}

static GError *
failure(const AzlinSyncJob *job, int status, GPtrArray *words)
{
  const char *first = words->len > 0 ? g_ptr_array_index(words, 0) : NULL;
  const char *what = "rsync was stopped by a signal or failed in a way that azlin does not know";
  AzlinError code = AZLIN_ERROR_FAILED;
  for (guint i = 0; i < G_N_ELEMENTS(meanings); i++)
    if (meanings[i].status == status) {
      what = meanings[i].words;
      code = meanings[i].code;
    }
  if (any_says(words, "No space left on device")) {
    code = AZLIN_ERROR_STORAGE;
    what = "the disk of the target is full";
  }
  if (any_says(words, "Host key verification failed")) {
    code = AZLIN_ERROR_HOST_KEY;
    what = "the target does not show the host key that was pinned";
  }
  return g_error_new(AZLIN_ERROR, (int) code, "%s could not be transferred from %s to %s: %s (rsync exit %d)%s%s",
                     job->path, job->source->region, job->target->region, what, status, first != NULL ? ": " : "",
                     first != NULL ? first : "");
}

RsyncVerdict
rsync_judge(const AzlinSyncJob *job, int status, GBytes *err, GPtrArray *errors, GError **ret_error)
{
  guint all = 0;
  g_autoptr(GPtrArray) words = sentences(err, &all);
  if (status == 0)
    return RSYNC_DONE;
  if (any_says(words, "extended attributes are not supported"))
    return RSYNC_WITHOUT_XATTRS;
  if (status == 23 && all_say(words, all, "xattr")) {
    pass_on(words, all, errors);
    return RSYNC_DONE;
  }
  if (status == 23 || status == 24) {
    explain_incomplete(job, status, words, all, errors);
    return RSYNC_INCOMPLETE;
  }
  g_propagate_error(ret_error, failure(job, status, words));
  return RSYNC_FAILED;
}
