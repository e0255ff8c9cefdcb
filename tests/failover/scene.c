/* Builds inputs of decide() out of a few words, and a failover-hybrid brick with given options; for unit tests. */
#include "scene.h"

extern const AzlinPlugin azlin_plugin_v1;

struct _SceneBrick {
  AzlinHost host; /* first: the brick hands it back to option() */
  const char *mode;
  guint interval, fall;
  double threshold;
  gpointer self;
};

static GVariant *
option(AzlinHost *host, const char *name)
{
  SceneBrick *brick = (SceneBrick *) host;

  if (g_str_equal(name, "mode"))
    return g_variant_ref_sink(g_variant_new_string(brick->mode));
  if (g_str_equal(name, "primary-interval"))
    return g_variant_ref_sink(g_variant_new_uint32(brick->interval));
  if (g_str_equal(name, "fall"))
    return g_variant_ref_sink(g_variant_new_uint32(brick->fall));
  if (g_str_equal(name, "probe-timeout"))
    return g_variant_ref_sink(g_variant_new_double(MIN(4, brick->interval)));
  if (g_str_equal(name, "prior"))
    return g_variant_ref_sink(g_variant_new_double(1e-4));
  g_assert_cmpstr(name, ==, "threshold");
  return g_variant_ref_sink(g_variant_new_double(brick->threshold));
}

static const AzlinHostApi api = { .size = sizeof(AzlinHostApi), .option = option };

SceneBrick *
scene_brick_new(const char *mode, guint interval, guint fall, double threshold, GError **error)
{
  g_autoptr(SceneBrick) brick = g_new0(SceneBrick, 1);

  brick->host.api = &api;
  brick->mode = mode;
  brick->interval = interval;
  brick->fall = fall;
  brick->threshold = threshold;
  if (!azlin_plugin_v1.bricks[0]->init(&brick->host, &brick->self, error))
    return NULL;
  return g_steal_pointer(&brick);
}

void
scene_brick_free(SceneBrick *brick)
{
  if (brick->self != NULL)
    azlin_plugin_v1.bricks[0]->free(brick->self);
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
  source.evidence = evidence;
  other.evidence = other_evidence;
  AzlinVantage vantages[SCENE_MAX_VANTAGES];
  const AzlinVantage *list[SCENE_MAX_VANTAGES + 1] = { NULL };
  for (; count < SCENE_MAX_VANTAGES && scene->vantages[count].name != NULL; count++) {
    const SceneVantage *row = &scene->vantages[count];
    vantages[count] = (AzlinVantage){ sizeof(AzlinVantage), row->name,    row->was_up, row->self_check,
                                      row->alive,           row->refused, row->dark,   row->seconds };
    list[count] = &vantages[count];
  }
  const AzlinHealth *others[] = { &other, NULL };
  AzlinDecisionInput input
      = { .size = sizeof input, .source = &source, .others = others, .vantages = list, .mode = scene->mode };
  scene_decide_input(brick, &input, out);
}
