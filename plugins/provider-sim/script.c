/* Parses the script of a simulated cloud: words as a shell would split them, each line one rule, no line trusted. */
#include "script.h"
#include <string.h>

#define MAX_SCRIPT (1024 * 1024)
#define MAX_LINE 4096
#define MAX_RULES 5000
#define MAX_SECONDS 1e8

typedef struct {
  char **words;
  guint next;
  const char *where;
  GError *error;
} Cursor;

static const char *const KINDS[]
    = { "create", "power", "delete", "get", "tag", "isolate", "machine", "probe", "exec", "room", NULL };

static const struct {
  const char *name;
  AzlinError code;
} ERRORS[] = {
  { "capacity", AZLIN_ERROR_CAPACITY },
  { "throttled", AZLIN_ERROR_THROTTLED },
  { "permission", AZLIN_ERROR_PERMISSION },
  { "network", AZLIN_ERROR_NETWORK },
  { "timeout", AZLIN_ERROR_TIMED_OUT },
  { "failed", AZLIN_ERROR_FAILED },
  { "not-found", AZLIN_ERROR_NOT_FOUND },
  { "auth", AZLIN_ERROR_AUTH },
  { "ssh", AZLIN_ERROR_SSH },
  { "exists", AZLIN_ERROR_EXISTS },
  { "locked", AZLIN_ERROR_LOCKED },
  { "policy", AZLIN_ERROR_POLICY },
};

static const struct {
  const char *name;
  RuleAction action;
} EVENTS[] = {
  { "kill", DO_KILL },   { "vanish", DO_VANISH }, { "stop", DO_STOP }, { "deallocate", DO_DEALLOCATE },
  { "start", DO_START }, { "remove", DO_REMOVE },
};

static const char *const OUTCOMES[]
    = { "ok", "refused", "timeout", "unreachable", "closed", "auth_failed", "host_key_changed", NULL };

static void
rule_free(gpointer data)
{
  Rule *rule = data;
  g_free(rule->key);
  g_free(rule->vantage);
  g_free(rule->text);
  g_clear_pointer(&rule->target, g_pattern_spec_free);
  g_clear_pointer(&rule->glob, g_pattern_spec_free);
  g_free(rule);
}

GPtrArray *
script_new(void)
{
  return g_ptr_array_new_with_free_func(rule_free);
}

static gboolean G_GNUC_PRINTF(2, 3) bad(Cursor *cursor, const char *format, ...)
{
  if (cursor->error != NULL)
    return FALSE;
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  cursor->error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s: %s", cursor->where, text);
  return FALSE;
}

static const char *
next_word(Cursor *cursor, const char *what)
{
  const char *word = cursor->words[cursor->next];
  if (word != NULL)
    cursor->next++;
  else
    bad(cursor, "%s is missing", what);
  return word;
}

static gboolean
accept(Cursor *cursor, const char *word)
{
  gboolean same = g_strcmp0(cursor->words[cursor->next], word) == 0;
  cursor->next += same ? 1 : 0;
  return same;
}

static gboolean
to_number(Cursor *cursor, const char *word, double max, double *ret_number)
{
  char *end = NULL;
  double number = word != NULL && g_ascii_isdigit(word[0]) ? g_ascii_strtod(word, &end) : -1;
  if (number < 0 || number > max || end == word || *end != '\0')
    return bad(cursor, "\"%s\" is not a number from 0 to %g", word != NULL ? word : "", max);
  *ret_number = number;
  return TRUE;
}

static gboolean
take_number(Cursor *cursor, const char *what, double max, double *ret_number)
{
  const char *word = next_word(cursor, what);
  return word != NULL && to_number(cursor, word, max, ret_number);
}

/* "120" or "120..240" */
static gboolean
take_range(Cursor *cursor, Rule *rule)
{
  const char *word = next_word(cursor, "a number of seconds");
  if (word == NULL)
    return FALSE;
  g_auto(GStrv) ends = g_strsplit(word, "..", 2);
  if (!to_number(cursor, ends[0], MAX_SECONDS, &rule->from_s))
    return FALSE;
  rule->to_s = rule->from_s;
  if (ends[1] != NULL && !to_number(cursor, ends[1], MAX_SECONDS, &rule->to_s))
    return FALSE;
  return rule->to_s >= rule->from_s || bad(cursor, "\"%s\" ends before it begins", word);
}

static gboolean
take_error(Cursor *cursor, Rule *rule)
{
  const char *word = next_word(cursor, "the name of an error");
  for (gsize i = 0; word != NULL && i < G_N_ELEMENTS(ERRORS); i++)
    if (strcmp(word, ERRORS[i].name) == 0) {
      rule->code = ERRORS[i].code;
      return TRUE;
    }
  return bad(cursor, "there is no error \"%s\"", word != NULL ? word : "");
}

/* [xCOUNT] [p PROBABILITY] [after SECONDS], in any order */
static gboolean
take_modifiers(Cursor *cursor, Rule *rule)
{
  const char *word;
  while ((word = cursor->words[cursor->next]) != NULL) {
    guint64 count = 0;
    if (word[0] == 'x' && g_ascii_string_to_unsigned(word + 1, 10, 1, 1000000, &count, NULL)) {
      rule->count = (guint32) count;
      cursor->next++;
    } else if (accept(cursor, "p")) {
      if (!take_number(cursor, "a probability", 1.0, &rule->probability))
        return FALSE;
    } else if (accept(cursor, "after")) {
      if (!take_number(cursor, "a number of seconds", MAX_SECONDS, &rule->from_s))
        return FALSE;
    } else
      return bad(cursor, "\"%s\" is not understood", word);
  }
  return TRUE;
}

static gboolean
take_call(Cursor *cursor, Rule *rule)
{
  if (accept(cursor, "seconds")) {
    rule->action = DO_SECONDS;
    return take_range(cursor, rule);
  }
  if (accept(cursor, "hang")) {
    rule->action = DO_HANG;
    return take_modifiers(cursor, rule);
  }
  if (!accept(cursor, "fail"))
    return bad(cursor, "\"seconds\", \"fail\" or \"hang\" is needed");
  rule->action = DO_FAIL;
  rule->from_s = 2;
  return take_error(cursor, rule) && take_modifiers(cursor, rule);
}

static gboolean
take_event(Cursor *cursor, Rule *rule)
{
  const char *word = next_word(cursor, "what happens to the machine");
  for (gsize i = 0; word != NULL && i < G_N_ELEMENTS(EVENTS); i++)
    if (strcmp(word, EVENTS[i].name) == 0) {
      rule->action = EVENTS[i].action;
      return TRUE;
    }
  return bad(cursor, "nothing called \"%s\" happens to machines", word != NULL ? word : "");
}

static gboolean
take_probe(Cursor *cursor, Rule *rule)
{
  if (accept(cursor, "from")) {
    rule->vantage = g_strdup(next_word(cursor, "a vantage"));
    if (rule->vantage == NULL)
      return FALSE;
  }
  if (accept(cursor, "slow")) {
    double ms = 0;
    rule->action = DO_SLOW;
    gboolean done = take_number(cursor, "a number of milliseconds", 1e6, &ms);
    rule->from_s = ms / 1000;
    return done;
  }
  const char *word = next_word(cursor, "the outcome of the probe");
  if (word == NULL || !g_strv_contains(OUTCOMES, word))
    return bad(cursor, "no probe ends as \"%s\"", word != NULL ? word : "");
  rule->action = DO_OUTCOME;
  rule->text = g_strdup(word);
  return TRUE;
}

static gboolean
take_exec(Cursor *cursor, Rule *rule)
{
  double status = 0;
  const char *glob = next_word(cursor, "a pattern of command lines");
  if (glob == NULL || !take_number(cursor, "an exit status", 255, &status))
    return FALSE;
  rule->action = DO_REPLY;
  rule->glob = g_pattern_spec_new(glob);
  rule->status = (int) status;
  g_autofree char *output
      = cursor->words[cursor->next] != NULL ? g_strdup(cursor->words[cursor->next++]) : g_strdup("");
  rule->text = g_strcompress(output);
  return TRUE;
}

static gboolean
take_room(Cursor *cursor, Rule *rule)
{
  const char *code = next_word(cursor, "the code of the refusal");
  rule->action = DO_REFUSE;
  rule->text = g_strdup(code);
  return code != NULL;
}

static gboolean
take_rule(Cursor *cursor, Rule *rule)
{
  double at = 0;
  if (accept(cursor, "at") && !take_number(cursor, "a time in seconds", MAX_SECONDS, &at))
    return FALSE;
  rule->at = (gint64) (at * G_USEC_PER_SEC);
  rule->probability = 1;
  const char *kind = next_word(cursor, "what the rule is about");
  for (rule->kind = RULE_CREATE; kind != NULL && KINDS[rule->kind] != NULL; rule->kind++)
    if (strcmp(KINDS[rule->kind], kind) == 0)
      break;
  if (kind == NULL || KINDS[rule->kind] == NULL)
    return bad(cursor, "\"%s\" is not the beginning of a rule", kind != NULL ? kind : "");
  const char *target = next_word(cursor, "a region or machine");
  if (target == NULL)
    return FALSE;
  rule->target = g_pattern_spec_new(target);
  gboolean done = rule->kind == RULE_MACHINE ? take_event(cursor, rule)
                  : rule->kind == RULE_PROBE ? take_probe(cursor, rule)
                  : rule->kind == RULE_EXEC  ? take_exec(cursor, rule)
                  : rule->kind == RULE_ROOM  ? take_room(cursor, rule)
                                             : take_call(cursor, rule);
  if (done && cursor->words[cursor->next] != NULL)
    return bad(cursor, "\"%s\" is too much", cursor->words[cursor->next]);
  return done;
}

static guint
count_before(GPtrArray *rules, const char *line)
{
  guint n = 0;
  for (guint i = 0; i < rules->len; i++) {
    const Rule *rule = g_ptr_array_index(rules, i);
    const char *rest = strchr(rule->key, ' ');
    n += rest != NULL && strcmp(rest + 1, line) == 0;
  }
  return n;
}

gboolean
script_parse_line(GPtrArray *rules, const char *line, const char *where, GError **error)
{
  g_autofree char *trimmed = g_strstrip(g_strndup(line, MAX_LINE + 1));
  if (trimmed[0] == '\0' || trimmed[0] == '#')
    return TRUE;
  g_auto(GStrv) words = NULL;
  g_autoptr(GError) split = NULL;
  Cursor cursor = { .where = where };
  if (strlen(trimmed) > MAX_LINE || !g_utf8_validate(trimmed, -1, NULL))
    bad(&cursor, "longer than %d bytes, or not UTF-8", MAX_LINE);
  else if (rules->len >= MAX_RULES)
    bad(&cursor, "more than %d rules", MAX_RULES);
  else if (!g_shell_parse_argv(trimmed, NULL, &words, &split))
    bad(&cursor, "%s", split->message);
  if (cursor.error == NULL) {
    Rule *rule = g_new0(Rule, 1);
    rule->key = g_strdup_printf("%u %s", count_before(rules, trimmed), trimmed);
    cursor.words = words;
    if (take_rule(&cursor, rule))
      g_ptr_array_add(rules, rule);
    else
      rule_free(rule);
  }
  if (cursor.error == NULL)
    return TRUE;
  g_propagate_error(error, cursor.error);
  return FALSE;
}

GPtrArray *
script_parse(const char *text, gsize length, const char *where, GError **error)
{
  if (length > MAX_SCRIPT || memchr(text, '\0', length) != NULL) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s is larger than 1 MiB, or no text", where);
    return NULL;
  }
  g_autoptr(GPtrArray) rules = script_new();
  g_autofree char *copy = g_strndup(text, length);
  g_auto(GStrv) lines = g_strsplit(copy, "\n", 0);
  for (guint i = 0; lines[i] != NULL; i++) {
    g_autofree char *here = g_strdup_printf("%s, line %u", where, i + 1);
    if (!script_parse_line(rules, lines[i], here, error))
      return NULL;
  }
  return g_steal_pointer(&rules);
}

gboolean
rule_matches(const Rule *rule, RuleKind kind, gint64 now, const char *region, const char *vm_name)
{
  return rule->kind == kind && rule->at <= now
         && ((region != NULL && g_pattern_spec_match_string(rule->target, region))
             || (vm_name != NULL && g_pattern_spec_match_string(rule->target, vm_name)));
}

double
script_chance(guint32 seed, const char *what, const char *who, guint32 attempt)
{
  g_autofree char *text = g_strdup_printf("%u\n%s\n%s\n%u", seed, what, who, attempt);
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  guint8 digest[32];
  gsize length = sizeof digest;
  g_checksum_update(sum, (const guchar *) text, -1);
  g_checksum_get_digest(sum, digest, &length);
  guint64 number;
  memcpy(&number, digest, sizeof number);
  return (double) (number >> 11) / (double) (G_GUINT64_CONSTANT(1) << 53);
}
