/* Reads a scenario: a line for each thing that may happen, with its chance, its time and whether it is an outage. */
#include "error.h"
#include "flow-simulate.h"
#include "nearest.h"
#include <string.h>

#define MAX_BYTES (64 * 1024)
#define MAX_SECONDS 604800.0

typedef struct {
  AzSimScenario *scenario;
  const char *where;
  guint line;
  char **words;
  guint next;
  GError **error;
} Reader;

static const char *const WHATS[AZ_SIM_N_WHATS + 1] = {
  [AZ_SIM_OFFLINE] = "offline",   [AZ_SIM_ASLEEP] = "asleep",
  [AZ_SIM_PATH] = "path",         [AZ_SIM_PAUSE] = "pause",
  [AZ_SIM_DOWN] = "down",         [AZ_SIM_FLAP] = "flap",
  [AZ_SIM_SLOW] = "slow",         [AZ_SIM_HANG] = "hang",
  [AZ_SIM_REFUSE] = "refuse",     [AZ_SIM_AUTH] = "auth",
  [AZ_SIM_HOST_KEY] = "host-key", [AZ_SIM_STOP] = "stop",
  [AZ_SIM_END] = "end",           [AZ_SIM_CONTROL_PLANE] = "control-plane",
  [AZ_SIM_HARDWARE] = "hardware",
};

G_GNUC_PRINTF(2, 3)
static gboolean
bad(Reader *reader, const char *format, ...)
{
  va_list arguments;

  if (reader->error != NULL && *reader->error != NULL)
    return FALSE;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error(reader->error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s line %u: %s", reader->where, reader->line, text);
  return FALSE;
}

static gboolean
unknown(Reader *reader, const char *word, const char *const *known)
{
  const char *nearest = az_nearest(word, known);

  if (nearest != NULL)
    return bad(reader, "\"%s\" is not understood; did you mean \"%s\"?", word, nearest);
  return bad(reader, "\"%s\" is not understood", word);
}

static const char *
take_word(Reader *reader, const char *what)
{
  const char *word = reader->words[reader->next];

  if (word != NULL)
    reader->next++;
  else
    bad(reader, "%s is missing", what);
  return word;
}

static gboolean
to_number(Reader *reader, const char *text, const char *unit, double max, double *ret_number)
{
  char *end = NULL;
  double number = g_ascii_isdigit(*text) ? g_ascii_strtod(text, &end) : -1;

  if (number < 0 || number > max || (*end != '\0' && !g_str_equal(end, unit)))
    return bad(reader, "\"%s\" is not a number from 0 to %g", text, max);
  *ret_number = number;
  return TRUE;
}

static gboolean
take_percent(Reader *reader, double *ret_fraction)
{
  const char *word = take_word(reader, "a percentage");
  double percent = 0;

  if (word == NULL || !to_number(reader, word, "%", 100, &percent))
    return FALSE;
  *ret_fraction = percent / 100;
  return TRUE;
}

/* "30" or "5..30" */
static gboolean
take_span(Reader *reader, AzSimSpan *span)
{
  const char *word = take_word(reader, "a number of seconds");

  if (word == NULL)
    return FALSE;
  g_auto(GStrv) ends = g_strsplit(word, "..", 2);
  if (ends[0] == NULL || !to_number(reader, ends[0], "s", MAX_SECONDS, &span->from))
    return bad(reader, "\"%s\" is not a number of seconds", word);
  span->to = span->from;
  if (ends[1] != NULL && !to_number(reader, ends[1], "s", MAX_SECONDS, &span->to))
    return FALSE;
  return span->to >= span->from || bad(reader, "\"%s\" ends before it begins", word);
}

static int
index_of(const AzSimScenario *scenario, const char *region)
{
  for (guint i = 0; i < scenario->regions->len; i++)
    if (g_str_equal(g_ptr_array_index(scenario->regions, i), region))
      return (int) i;
  return G_MAXINT;
}

/* A region, "*", or the one `extra` word. */
static gboolean
take_place(Reader *reader, const char *extra, int extra_index, int *ret_index)
{
  const char *word = take_word(reader, "a region");

  if (word == NULL)
    return FALSE;
  if (g_str_equal(word, extra))
    *ret_index = extra_index;
  else if (g_str_equal(word, "*"))
    *ret_index = AZ_SIM_ALL;
  else
    *ret_index = index_of(reader->scenario, word);
  return *ret_index != G_MAXINT
         || bad(reader, "\"%s\" is not %s, * or one of the regions named before this line", word, extra);
}

/* ---- the head ---- */

static gboolean
is_region(const char *word)
{
  return strlen(word) >= 2 && strlen(word) <= 32
         && strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(word);
}

static gboolean
take_regions(Reader *reader)
{
  GPtrArray *regions = reader->scenario->regions;

  if (regions->len > 0)
    return bad(reader, "the regions are named already");
  for (const char *word = reader->words[1]; word != NULL; word = reader->words[++reader->next]) {
    if (!is_region(word) || index_of(reader->scenario, word) != G_MAXINT)
      return bad(reader, "\"%s\" is no name of a further region (2 to 32 letters and digits)", word);
    g_ptr_array_add(regions, g_strdup(word));
  }
  if (regions->len < 2 || regions->len > AZ_SIM_REGIONS)
    return bad(reader, "it takes from 2 to %d regions, the primary first", AZ_SIM_REGIONS);
  return TRUE;
}

static gboolean
take_watchers(Reader *reader)
{
  reader->scenario->watchers = 0;
  while (reader->words[reader->next] != NULL) {
    int index = 0;
    if (!take_place(reader, AZ_VANTAGE_HERE, AZ_SIM_HERE, &index))
      return FALSE;
    if (index == AZ_SIM_ALL)
      reader->scenario->watchers = G_MAXUINT32;
    else
      reader->scenario->watchers |= 1u << (index + 1);
  }
  return TRUE;
}

static gboolean
take_window(Reader *reader)
{
  AzSimSpan span;

  if (!take_span(reader, &span))
    return FALSE;
  reader->scenario->window_s = span.from;
  return (span.from >= 60 && span.to == span.from) || bad(reader, "a window lasts at least 60 seconds");
}

static gboolean
take_about(Reader *reader)
{
  g_free(reader->scenario->about);
  reader->scenario->about = g_strjoinv(" ", reader->words + 1);
  reader->next = g_strv_length(reader->words);
  return TRUE;
}

/* ---- what may happen ---- */

static gboolean
take_option(Reader *reader, const char *word, AzSimCondition *condition)
{
  static const char *const known[] = { "chance", "at", "for", "mean", "takes", "up", "down", "right", "allowed", NULL };
  AzSimSpan span = { 0 };

  if (g_str_equal(word, "right") || g_str_equal(word, "allowed")) {
    condition->truth = *word == 'r' ? AZ_SIM_RIGHT : AZ_SIM_ALLOWED;
    return TRUE;
  }
  if (g_str_equal(word, "chance"))
    return take_percent(reader, &condition->chance);
  if (!g_strv_contains(known, word))
    return unknown(reader, word, known);
  if (!take_span(reader, &span))
    return FALSE;
  if (g_str_equal(word, "at"))
    condition->at = span;
  else if (g_str_equal(word, "for") || g_str_equal(word, "mean"))
    condition->lasts = (AzSimSpan){ span.from, span.to, *word == 'm' };
  else if (g_str_equal(word, "takes"))
    condition->takes = span;
  else if (g_str_equal(word, "up"))
    condition->takes.from = span.from;
  else
    condition->takes.to = span.from;
  return TRUE;
}

static gboolean
check_condition(Reader *reader, const AzSimCondition *condition)
{
  if (condition->what == AZ_SIM_FLAP && (condition->takes.from <= 0 || condition->takes.to <= 0))
    return bad(reader, "it takes \"up SECONDS down SECONDS\"");
  if (condition->what == AZ_SIM_SLOW && condition->takes.to <= 0)
    return bad(reader, "it takes \"takes SECONDS\", how long each answer needs");
  if (condition->at.from >= reader->scenario->window_s)
    return bad(reader, "it begins after the window of %g s has ended", reader->scenario->window_s);
  return TRUE;
}

static gboolean
take_condition(Reader *reader, AzSimWhat what)
{
  AzSimScenario *scenario = reader->scenario;
  AzSimCondition condition
      = { .what = what, .chance = 1, .at = { 0, scenario->window_s, FALSE }, .lasts = { .from = -1 } };

  if (scenario->regions->len == 0)
    return bad(reader, "the regions have to be named first");
  if (scenario->n_conditions == AZ_SIM_CONDITIONS)
    return bad(reader, "more than %d things that may happen", AZ_SIM_CONDITIONS);
  if (what != AZ_SIM_OFFLINE && what != AZ_SIM_ASLEEP
      && !take_place(reader, "primary", AZ_SIM_PRIMARY, &condition.region))
    return FALSE;
  if (what == AZ_SIM_PATH) {
    const char *from = take_word(reader, "\"from\" and a vantage");
    if (from == NULL || !g_str_equal(from, "from"))
      return bad(reader, "it takes \"from\" and a vantage behind the region");
    if (!take_place(reader, AZ_VANTAGE_HERE, AZ_SIM_HERE, &condition.vantage))
      return FALSE;
  }
  for (const char *word; (word = reader->words[reader->next]) != NULL;) {
    reader->next++;
    if (!take_option(reader, word, &condition))
      return FALSE;
  }
  if (!check_condition(reader, &condition))
    return FALSE;
  scenario->conditions[scenario->n_conditions++] = condition;
  return TRUE;
}

static gboolean
read_words(Reader *reader)
{
  static const char *const heads[] = { "about", "regions",  "watch", "window", "loss",          "offline",  "asleep",
                                       "path",  "pause",    "down",  "flap",   "slow",          "hang",     "refuse",
                                       "auth",  "host-key", "stop",  "end",    "control-plane", "hardware", NULL };
  const char *word = take_word(reader, "a word");

  for (int what = 0; what < AZ_SIM_N_WHATS; what++)
    if (g_str_equal(WHATS[what], word))
      return take_condition(reader, (AzSimWhat) what);
  if (g_str_equal(word, "about"))
    return take_about(reader);
  if (g_str_equal(word, "regions"))
    return take_regions(reader);
  if (g_str_equal(word, "watch"))
    return take_watchers(reader);
  if (g_str_equal(word, "window"))
    return take_window(reader);
  if (g_str_equal(word, "loss"))
    return take_percent(reader, &reader->scenario->loss);
  return unknown(reader, word, heads);
}

static gboolean
read_line(Reader *reader, char *line)
{
  char *comment = strchr(line, '#');

  if (comment != NULL)
    *comment = '\0';
  g_strstrip(line);
  if (*line == '\0')
    return TRUE;
  if (!g_utf8_validate(line, -1, NULL))
    return bad(reader, "it is not UTF-8 text");
  g_auto(GStrv) split = g_strsplit_set(line, " \t", -1);
  guint n = 0;
  for (guint i = 0; split[i] != NULL; i++) {
    char *word = split[i];
    split[i] = NULL;
    if (*word != '\0')
      split[n++] = word;
    else
      g_free(word);
  }
  reader->words = split;
  reader->next = 0;
  if (!read_words(reader))
    return FALSE;
  return split[reader->next] == NULL || bad(reader, "\"%s\" is one word too many", split[reader->next]);
}

AzSimScenario *
az_sim_scenario_parse(const char *name, const char *text, const char *where, GError **error)
{
  g_autoptr(AzSimScenario) scenario = g_new0(AzSimScenario, 1);
  Reader reader = { .scenario = scenario, .where = where, .error = error };
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

  scenario->name = g_strdup(name);
  scenario->regions = g_ptr_array_new_with_free_func(g_free);
  scenario->window_s = 600;
  scenario->watchers = G_MAXUINT32;
  for (; lines[reader.line] != NULL;) {
    char *line = lines[reader.line++];
    if (!read_line(&reader, line))
      return NULL;
  }
  if (scenario->regions->len > 0)
    return g_steal_pointer(&scenario);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s: no line names the regions", where);
  return NULL;
}

void
az_sim_scenario_free(AzSimScenario *scenario)
{
  if (scenario == NULL)
    return;
  g_free(scenario->name);
  g_free(scenario->about);
  g_ptr_array_unref(scenario->regions);
  g_free(scenario);
}

/* ---- where they are ---- */

/* AZLIN_DATA_PATH (folders, ':' between) is for a build that is not installed. */
static char **
folders(void)
{
  const char *path = secure_getenv("AZLIN_DATA_PATH");

  if (path != NULL && *path != '\0')
    return g_strsplit(path, ":", -1);
  return g_strsplit(AZLIN_DATADIR, ":", 1);
}

static void
add_names(GPtrArray *names, const char *folder)
{
  g_autofree char *path = g_build_filename(folder, "scenarios", NULL);
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

  for (const char *file; dir != NULL && (file = g_dir_read_name(dir)) != NULL;) {
    if (!g_str_has_suffix(file, ".scenario"))
      continue;
    char *name = g_strndup(file, strlen(file) - strlen(".scenario"));
    if (g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
      g_free(name);
    else
      g_ptr_array_add(names, name);
  }
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *) a, *(const char *const *) b);
}

char **
az_sim_scenario_names(void)
{
  g_auto(GStrv) all = folders();
  GPtrArray *names = g_ptr_array_new();

  for (guint i = 0; all[i] != NULL; i++)
    add_names(names, all[i]);
  g_ptr_array_sort(names, compare_names);
  g_ptr_array_add(names, NULL);
  return (char **) g_ptr_array_free(names, FALSE);
}

static char *
path_of(const char *word)
{
  g_auto(GStrv) all = folders();

  if (strchr(word, '/') != NULL || g_str_has_suffix(word, ".scenario"))
    return g_strdup(word);
  for (guint i = 0; all[i] != NULL; i++) {
    g_autofree char *file = g_strconcat(word, ".scenario", NULL);
    g_autofree char *path = g_build_filename(all[i], "scenarios", file, NULL);
    if (g_file_test(path, G_FILE_TEST_EXISTS))
      return g_steal_pointer(&path);
  }
  return NULL;
}

static void
set_not_found(const char *word, GError **error)
{
  g_auto(GStrv) names = az_sim_scenario_names();
  const char *nearest = az_nearest(word, (const char *const *) names);
  g_autofree char *list = g_strjoinv(", ", names);

  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "there is no scenario '%s'%s%s%s; there are: %s", word,
              nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "",
              *list != '\0' ? list : "none");
}

AzSimScenario *
az_sim_scenario_find(const char *word, GError **error)
{
  g_autofree char *path = path_of(word), *text = NULL;
  g_autoptr(GError) failure = NULL;
  gsize length = 0;

  if (path == NULL) {
    set_not_found(word, error);
    return NULL;
  }
  if (!g_file_get_contents(path, &text, &length, &failure)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "the scenario cannot be read: %s", failure->message);
    return NULL;
  }
  if (length > MAX_BYTES || strlen(text) != length) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s is no scenario: it is too long, or no text", path);
    return NULL;
  }
  g_autofree char *file = g_path_get_basename(path);
  if (g_str_has_suffix(file, ".scenario"))
    file[strlen(file) - strlen(".scenario")] = '\0';
  AzSimScenario *scenario = az_sim_scenario_parse(file, text, path, &failure);
  if (scenario == NULL) {
    az_error_add_step(failure, "What a line may say: %s/scenarios/README.md", AZLIN_DATADIR);
    az_error_add_step(failure, "%s", ""); /* the rest of the table is about azlin.conf */
    g_propagate_error(error, g_steal_pointer(&failure));
  }
  return scenario;
}
