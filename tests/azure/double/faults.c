/* The list of faults of a world, and which of them strike. */
#include "faults.h"

typedef struct {
  json_t *spec;
  GPatternSpec *kind, *path;
  GRand *rand;
  gint64 matched, fired;
} Fault;

struct _Faults {
  GPtrArray *list;
  guint32 seed;
};

static const char *const acts[]
    = { "status", "throttle", "conflict", "html", "reset", "hang",     "truncate", "cut",    "redirect",
        "forge",  "body",     "lag",      "fail", "never", "duration", "latency",  "expire", NULL };
static const char *const keys[] = { "do",     "on",   "method", "path", "region",  "chance",      "seed",  "after",
                                    "times",  "when", "status", "code", "message", "retry_after", "body",  "to",
                                    "header", "kind", "size",   "gets", "ms",      "bytes",       "scope", NULL };

static void
fault_free(gpointer data)
{
  Fault *fault = data;
  json_decref(fault->spec);
  g_clear_pointer(&fault->kind, g_pattern_spec_free);
  g_clear_pointer(&fault->path, g_pattern_spec_free);
  g_rand_free(fault->rand);
  g_free(fault);
}

Faults *
faults_new(void)
{
  Faults *faults = g_new0(Faults, 1);
  faults->list = g_ptr_array_new_with_free_func(fault_free);
  faults->seed = 1;
  return faults;
}

void
faults_free(Faults *faults)
{
  g_ptr_array_unref(faults->list);
  g_free(faults);
}

void
faults_clear(Faults *faults)
{
  g_ptr_array_set_size(faults->list, 0);
}

void
faults_seed(Faults *faults, guint32 seed)
{
  faults->seed = seed;
}

static GPatternSpec *
pattern_of(json_t *spec, const char *name)
{
  const char *text = json_text_at(spec, name, NULL);
  if (text == NULL)
    return NULL;
  g_autofree char *lower = g_ascii_strdown(text, -1);
  return g_pattern_spec_new(lower);
}

char *
faults_add(Faults *faults, json_t *spec)
{
  const char *act = json_text_at(spec, "do", NULL), *key;
  json_t *value;
  if (act == NULL || !g_strv_contains(acts, act))
    return g_strdup_printf("\"do\": \"%s\" is no fault", act != NULL ? act : "");
  json_object_foreach(spec, key, value)
  {
    if (!g_strv_contains(keys, key))
      return g_strdup_printf("\"%s\" is nothing that a fault has", key);
  }
  Fault *fault = g_new0(Fault, 1);
  fault->spec = json_incref(spec);
  fault->kind = pattern_of(spec, "on");
  fault->path = pattern_of(spec, "path");
  fault->rand = g_rand_new_with_seed((guint32) json_int_at(spec, "seed", faults->seed + faults->list->len));
  g_ptr_array_add(faults->list, fault);
  return NULL;
}

static gboolean
pattern_fits(GPatternSpec *pattern, const char *text)
{
  if (pattern == NULL)
    return TRUE;
  if (text == NULL)
    return FALSE;
  g_autofree char *lower = g_ascii_strdown(text, -1);
  return g_pattern_spec_match_string(pattern, lower);
}

static gboolean
fits(const Fault *fault, const FaultTarget *target)
{
  const char *method = json_text_at(fault->spec, "method", NULL), *region = json_text_at(fault->spec, "region", NULL);
  if (method != NULL && !same_text(method, target->method))
    return FALSE;
  if (region != NULL && !same_text(region, target->region))
    return FALSE;
  return pattern_fits(fault->kind, target->kind) && pattern_fits(fault->path, target->path);
}

/* Faults that answer in place of the handler: one request gets one answer. */
static gboolean
answers(const Fault *fault)
{
  static const char *const answering[]
      = { "status", "throttle", "conflict", "html", "redirect", "expire", "reset", "hang", "body", NULL };
  return g_strv_contains(answering, json_text_at(fault->spec, "do", ""))
         && g_str_equal(json_text_at(fault->spec, "when", "before"), "before");
}

static gboolean
strikes(Fault *fault)
{
  if (fault->matched <= json_int_at(fault->spec, "after", 0))
    return FALSE;
  if (fault->fired >= json_int_at(fault->spec, "times", G_MAXINT64))
    return FALSE;
  json_t *chance = json_object_get(fault->spec, "chance");
  if (chance != NULL && g_rand_double(fault->rand) >= json_number_value(chance))
    return FALSE;
  fault->fired++;
  return TRUE;
}

static void
spec_unref(gpointer data)
{
  json_decref(data);
}

GPtrArray *
faults_pick(Faults *faults, const FaultTarget *target)
{
  GPtrArray *picked = g_ptr_array_new_with_free_func(spec_unref);
  gboolean answered = FALSE;
  for (guint i = 0; i < faults->list->len; i++) {
    Fault *fault = g_ptr_array_index(faults->list, i);
    if (!fits(fault, target))
      continue;
    fault->matched++;
    if ((answered && answers(fault)) || !strikes(fault))
      continue;
    answered |= answers(fault);
    g_ptr_array_add(picked, json_incref(fault->spec));
  }
  return picked;
}

json_t *
faults_find(const GPtrArray *picked, const char *act, const char *when)
{
  for (guint i = 0; picked != NULL && i < picked->len; i++) {
    json_t *spec = g_ptr_array_index(picked, i);
    if (!g_str_equal(json_text_at(spec, "do", ""), act))
      continue;
    if (when == NULL || g_str_equal(json_text_at(spec, "when", "before"), when))
      return spec;
  }
  return NULL;
}

json_t *
faults_report(const Faults *faults)
{
  json_t *list = json_array();
  for (guint i = 0; i < faults->list->len; i++) {
    const Fault *fault = g_ptr_array_index(faults->list, i);
    json_array_append_new(list, json_pack("{s:O, s:I, s:I}", "fault", fault->spec, "matched",
                                          (json_int_t) fault->matched, "fired", (json_int_t) fault->fired));
  }
  return list;
}
