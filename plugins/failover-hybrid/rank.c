/* Ranks the targets: healthy first, then the age of their data, then nearness to the region that is left, then response
 * time; with the reasons. Regions that never become primary by themselves come last. */
#include "hybrid.h"
#include <math.h>

typedef struct {
  const char *region, *geography, *pair;
} Place;

/* Azure's own pairs: platform updates and recovery never touch both halves at once. */
static const Place places[] = {
  { "eastus", "us", "westus" },
  { "westus", "us", "eastus" },
  { "eastus2", "us", "centralus" },
  { "centralus", "us", "eastus2" },
  { "westus2", "us", "westcentralus" },
  { "westcentralus", "us", "westus2" },
  { "westus3", "us", "eastus" },
  { "northcentralus", "us", "southcentralus" },
  { "southcentralus", "us", "northcentralus" },
  { "canadacentral", "canada", "canadaeast" },
  { "canadaeast", "canada", "canadacentral" },
  { "brazilsouth", "brazil", "southcentralus" },
  { "northeurope", "europe", "westeurope" },
  { "westeurope", "europe", "northeurope" },
  { "uksouth", "uk", "ukwest" },
  { "ukwest", "uk", "uksouth" },
  { "francecentral", "france", "francesouth" },
  { "germanywestcentral", "germany", "germanynorth" },
  { "southeastasia", "asia", "eastasia" },
  { "eastasia", "asia", "southeastasia" },
  { "japaneast", "japan", "japanwest" },
  { "japanwest", "japan", "japaneast" },
  { "australiaeast", "australia", "australiasoutheast" },
  { "australiasoutheast", "australia", "australiaeast" },
  { "centralindia", "india", "southindia" },
  { "southindia", "india", "centralindia" },
};

typedef enum { NEAR_PAIR, NEAR_GEOGRAPHY, NEAR_NOT } Nearness;

#define LAG_GRAIN_S 60.0 /* a copy that is a minute younger is worth less than a nearer region */

typedef struct {
  const AzlinHealth *health;
  Nearness nearness;
  gboolean never; /* among never-promote */
  double lag_s;   /* age of its data; < 0 = not known */
} Candidate;

static const Place *
place_of(const char *region)
{
  for (guint i = 0; i < G_N_ELEMENTS(places); i++)
    if (g_strcmp0(places[i].region, region) == 0)
      return &places[i];
  return NULL;
}

static Nearness
nearness_of(const char *source, const char *target)
{
  const Place *from = place_of(source), *to = place_of(target);

  if (from == NULL || to == NULL)
    return NEAR_NOT;
  if (g_str_equal(from->pair, to->region))
    return NEAR_PAIR;
  return g_str_equal(from->geography, to->geography) ? NEAR_GEOGRAPHY : NEAR_NOT;
}

/* What is not known, < 0, comes last. */
static int
compare_time(double left, double right)
{
  if (left < 0 || right < 0)
    return (left < 0) - (right < 0);
  return (left > right) - (left < right);
}

static int
compare(gconstpointer a, gconstpointer b)
{
  const Candidate *left = a, *right = b;

  if (left->never != right->never)
    return left->never ? 1 : -1;
  if (left->health->healthy != right->health->healthy)
    return left->health->healthy ? -1 : 1;
  int by_lag = compare_time(floor(left->lag_s / LAG_GRAIN_S), floor(right->lag_s / LAG_GRAIN_S));
  if (by_lag != 0)
    return by_lag;
  if (left->nearness != right->nearness)
    return (int) left->nearness - (int) right->nearness;
  int by_time = compare_time(left->health->response_time_ms, right->health->response_time_ms);
  return by_time != 0 ? by_time : g_strcmp0(left->health->vm->region, right->health->vm->region);
}

static void
describe_lag(const Candidate *candidate, GString *line)
{
  if (candidate->lag_s >= 7200)
    g_string_append_printf(line, ", data %.0f h old", candidate->lag_s / 3600);
  else if (candidate->lag_s >= 120)
    g_string_append_printf(line, ", data %.0f min old", candidate->lag_s / 60);
  else if (candidate->lag_s >= 0)
    g_string_append_printf(line, ", data %.0f s old", candidate->lag_s);
}

static char *
describe(const Candidate *candidate, const char *source)
{
  const AzlinHealth *health = candidate->health;
  GString *line = g_string_new(health->vm->region);

  if (health->healthy)
    g_string_append(line, ": healthy");
  else
    g_string_append_printf(line, ": unhealthy (%s)", health->detail != NULL ? health->detail : "no detail");
  describe_lag(candidate, line);
  if (candidate->nearness == NEAR_PAIR)
    g_string_append_printf(line, ", paired with %s", source);
  if (candidate->nearness == NEAR_GEOGRAPHY)
    g_string_append_printf(line, ", same geography as %s", source);
  if (health->response_time_ms >= 0)
    g_string_append_printf(line, ", %.0f ms", health->response_time_ms);
  if (health->vm->maintenance_at > 0)
    g_string_append(line, ", maintenance announced");
  if (candidate->never)
    g_string_append(line, ", never chosen by itself (never-promote)");
  return g_string_free(line, FALSE);
}

/* < 0 = not known; a caller of before 1.2 knows of none. */
static double
lag_of(const AzlinDecisionInput *input, guint i)
{
  if (input->size < sizeof *input || input->data_age_s == NULL)
    return -1;
  return input->data_age_s[i];
}

static GArray *
candidates_of(const Hybrid *self, const AzlinDecisionInput *input, const char *source)
{
  GArray *candidates = g_array_new(FALSE, FALSE, sizeof(Candidate));

  for (guint i = 0; input->others != NULL && input->others[i] != NULL; i++) {
    const AzlinHealth *other = input->others[i];
    Candidate candidate = { .health = other,
                            .nearness = nearness_of(source, other->vm->region),
                            .never = g_strv_contains((const char *const *) self->never_promote, other->vm->region),
                            .lag_s = lag_of(input, i) };
    g_array_append_val(candidates, candidate);
  }
  g_array_sort(candidates, compare);
  return candidates;
}

GPtrArray *
hybrid_rank(const Hybrid *self, const AzlinDecisionInput *input, const AzlinHealth **ret_best)
{
  const char *source = input->source->vm != NULL ? input->source->vm->region : NULL;
  g_autoptr(GArray) candidates = candidates_of(self, input, source);
  GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);

  *ret_best = NULL;
  for (guint i = 0; i < candidates->len; i++) {
    const Candidate *candidate = &g_array_index(candidates, Candidate, i);
    g_ptr_array_add(lines, describe(candidate, source));
    if (*ret_best == NULL && !candidate->never)
      *ret_best = candidate->health;
  }
  return lines;
}
