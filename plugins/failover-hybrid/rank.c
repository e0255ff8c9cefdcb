/* Ranks the targets: healthy first, then nearness to the region that is left, then response time; with the reasons. */
#include "hybrid.h"

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

typedef struct {
  const AzlinHealth *health;
  Nearness nearness;
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

  if (left->health->healthy != right->health->healthy)
    return left->health->healthy ? -1 : 1;
  if (left->nearness != right->nearness)
    return (int) left->nearness - (int) right->nearness;
  int by_time = compare_time(left->health->response_time_ms, right->health->response_time_ms);
  return by_time != 0 ? by_time : g_strcmp0(left->health->vm->region, right->health->vm->region);
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
  if (candidate->nearness == NEAR_PAIR)
    g_string_append_printf(line, ", paired with %s", source);
  if (candidate->nearness == NEAR_GEOGRAPHY)
    g_string_append_printf(line, ", same geography as %s", source);
  if (health->response_time_ms >= 0)
    g_string_append_printf(line, ", %.0f ms", health->response_time_ms);
  return g_string_free(line, FALSE);
}

GPtrArray *
hybrid_rank(const AzlinDecisionInput *input)
{
  const char *source = input->source->vm != NULL ? input->source->vm->region : NULL;
  g_autoptr(GArray) candidates = g_array_new(FALSE, FALSE, sizeof(Candidate));
  GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);

  for (const AzlinHealth *const *other = input->others; other != NULL && *other != NULL; other++) {
    Candidate candidate = { .health = *other, .nearness = nearness_of(source, (*other)->vm->region) };
    g_array_append_val(candidates, candidate);
  }
  g_array_sort(candidates, compare);
  for (guint i = 0; i < candidates->len; i++)
    g_ptr_array_add(lines, describe(&g_array_index(candidates, Candidate, i), source));
  return lines;
}
