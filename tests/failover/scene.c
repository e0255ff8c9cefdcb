/* Builds inputs of decide() out of a few words, and a failover-hybrid brick with given options; for unit tests. */
#include "scene.h"

extern const AzlinPlugin azlin_plugin_v1;

struct _SceneBrick {
  AzlinHost host; /* first: the brick hands it back to option() */
  GHashTable *options;
  gpointer self;
};

static GVariant *
value_of(const AzlinOption *option, const char *text)
{
  g_auto(GStrv) list = g_strsplit(text, ";", -1);

  switch (*option->type) {
  case 's':
    return g_variant_new_string(text);
  case 'u':
    return g_variant_new_uint32((guint32) g_ascii_strtoull(text, NULL, 10));
  case 'd':
    return g_variant_new_double(g_ascii_strtod(text, NULL));
  case 'b':
    return g_variant_new_boolean(g_str_equal(text, "true"));
  default:
    g_assert_cmpstr(option->type, ==, "as");
    return g_variant_new_strv((const char *const *) list, -1);
  }
}

/* As the engine answers: what was given, else the declared default; an option that is not declared is a mistake. */
static GVariant *
option(AzlinHost *host, const char *name)
{
  SceneBrick *brick = (SceneBrick *) host;
  const AzlinOption *declared = azlin_plugin_v1.bricks[0]->options;
  const char *text = g_hash_table_lookup(brick->options, name);

  while (declared->name != NULL && !g_str_equal(declared->name, name))
    declared++;
  g_assert_nonnull(declared->name);
  return g_variant_ref_sink(value_of(declared, text != NULL ? text : declared->def));
}

static const AzlinHostApi api = { .size = sizeof(AzlinHostApi), .option = option };

SceneBrick *
scene_brick_with(const char *options, GError **error)
{
  g_autoptr(SceneBrick) brick = g_new0(SceneBrick, 1);
  g_auto(GStrv) pairs = g_strsplit(options, ",", -1);

  brick->host.api = &api;
  brick->options = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  for (char **pair = pairs; *pair != NULL; pair++) {
    g_auto(GStrv) halves = g_strsplit(*pair, "=", 2);
    if (halves[0] == NULL || halves[1] == NULL)
      continue;
    g_hash_table_insert(brick->options, g_strdup(g_strstrip(halves[0])), g_strdup(g_strstrip(halves[1])));
  }
  if (!azlin_plugin_v1.bricks[0]->init(&brick->host, &brick->self, error))
    return NULL;
  return g_steal_pointer(&brick);
}

SceneBrick *
scene_brick_new(const char *mode, guint interval, guint fall, double threshold, GError **error)
{
  char number[G_ASCII_DTOSTR_BUF_SIZE];
  g_autofree char *options = g_strdup_printf("mode=%s,primary-interval=%u,fall=%u,threshold=%s", mode, interval, fall,
                                             g_ascii_dtostr(number, sizeof number, threshold));

  return scene_brick_with(options, error);
}

void
scene_brick_free(SceneBrick *brick)
{
  if (brick->self != NULL)
    azlin_plugin_v1.bricks[0]->free(brick->self);
  g_hash_table_unref(brick->options);
  g_free(brick);
}

void
scene_decide_input(SceneBrick *brick, const AzlinDecisionInput *input, AzlinDecision *out)
{
  const AzlinFailover *iface = azlin_plugin_v1.bricks[0]->iface;

  *out = (AzlinDecision){ .size = sizeof *out };
  iface->decide(brick->self, input, out);
  g_assert_nonnull(out->reason);
  g_assert_nonnull(out->what_would_change);
  g_assert_nonnull(out->weights);
  g_assert_nonnull(out->ranking);
  g_assert_nonnull(out->verdict);
  g_assert_nonnull(g_strstr_len(out->what_would_change, -1, "azlin ")); /* always names the next command */
}

void
scene_decision_clear(AzlinDecision *decision)
{
  for (guint i = 0; decision->weights != NULL && i < decision->weights->len; i++)
    g_free(GSIZE_TO_POINTER((gsize) g_array_index(decision->weights, AzlinWeight, i).what));
  g_clear_pointer(&decision->weights, g_array_unref);
  g_clear_pointer(&decision->ranking, g_ptr_array_unref);
  g_clear_pointer(&decision->reason, g_free);
  g_clear_pointer(&decision->what_would_change, g_free);
}

AzlinHealth
scene_health(const AzlinVm *vm, gboolean healthy, double ms)
{
  return (AzlinHealth){ .size = sizeof(AzlinHealth),
                        .vm = vm,
                        .healthy = healthy,
                        .failure = healthy ? AZLIN_FAILURE_NONE : AZLIN_FAILURE_NETWORK_UNREACHABLE,
                        .response_time_ms = ms };
}

void
scene_decide(SceneBrick *brick, const Scene *scene, AzlinDecision *out)
{
  AzlinVm vm = { .size = sizeof vm, .region = "eastus", .power = scene->power, .stop_cause = scene->cause };
  AzlinVm other_vm = { .size = sizeof vm, .region = "westus2", .power = AZLIN_POWER_RUNNING };
  AzlinEvidence power = { .size = sizeof power, .vantage = "here", .probe = "power", .outcome = scene->power_outcome };
  AzlinEvidence platform = power, other_power = power;
  const AzlinEvidence *evidence[3] = { NULL }, *other_evidence[] = { &other_power, NULL };
  guint n = 0, count = 0;

  platform.probe = "platform";
  platform.outcome = scene->platform_outcome;
  other_power.outcome = "running";
  if (power.outcome != NULL)
    evidence[n++] = &power;
  if (platform.outcome != NULL)
    evidence[n++] = &platform;
  AzlinHealth source = scene_health(&vm, scene->healthy, -1), other = scene_health(&other_vm, TRUE, 45);
  source.failure = scene->failure;
  vm.maintenance_at = scene->maintenance ? SCENE_NOW + 48 * G_TIME_SPAN_HOUR : 0;
  other_vm.maintenance_at = scene->target == SCENE_TARGET_MAINTENANCE ? SCENE_NOW + 48 * G_TIME_SPAN_HOUR : 0;
  other.healthy = scene->target != SCENE_TARGET_UNHEALTHY;
  source.evidence = evidence;
  other.evidence = other_evidence;
  AzlinVantage vantages[SCENE_MAX_VANTAGES];
  const AzlinVantage *list[SCENE_MAX_VANTAGES + 1] = { NULL };
  for (; count < SCENE_MAX_VANTAGES && scene->vantages[count].name != NULL; count++) {
    const SceneVantage *row = &scene->vantages[count];
    vantages[count] = (AzlinVantage){ sizeof(AzlinVantage), row->name, row->was_up,  row->self_check, row->alive,
                                      row->refused,         row->dark, row->seconds, row->healed };
    list[count] = &vantages[count];
  }
  const AzlinHealth *others[] = { scene->target != SCENE_TARGET_NONE ? &other : NULL, NULL };
  AzlinDecisionInput input = { .size = sizeof input,
                               .source = &source,
                               .others = others,
                               .vantages = list,
                               .mode = scene->mode,
                               .now = SCENE_NOW,
                               .self_score = scene->self_score,
                               .blind = scene->blind };
  scene_decide_input(brick, &input, out);
}
