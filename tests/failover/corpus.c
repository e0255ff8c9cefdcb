/* Runs the golden corpus: each block of its files is put before the brick, and where it says so before the policy. */
#include "flow-failover-state.h"
#include "record.h"
#include "scene.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_US G_TIME_SPAN_HOUR

typedef struct {
  char *name, *options, *policy;
  Scene scene;
  guint vantages;
  gboolean typed;
  char **expected; /* verdict, automatic?, confidence, words of the reason */
  GPtrArray *owned;
} Block;

static void
block_clear(Block *block)
{
  g_free(block->name);
  g_free(block->options);
  g_free(block->policy);
  g_strfreev(block->expected);
  g_clear_pointer(&block->owned, g_ptr_array_unref);
  *block = (Block){ 0 };
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Block, block_clear)

static int
index_of(const char *const *words, const char *word)
{
  for (int i = 0; words[i] != NULL; i++)
    if (g_str_equal(words[i], word))
      return i;
  g_error("unknown word in the corpus: %s", word);
}

static char *
own(Block *block, const char *text)
{
  char *copy = g_strdup(text);

  g_ptr_array_add(block->owned, copy);
  return copy;
}

/* ---- words ---- */

static void
read_vantage(Block *block, const char *text)
{
  g_auto(GStrv) halves = g_strsplit(text, ": ", 2);
  g_auto(GStrv) words = g_strsplit(halves[1], ", ", -1);
  SceneVantage *seen = &block->scene.vantages[block->vantages++];

  g_assert_cmpuint(block->vantages, <=, SCENE_MAX_VANTAGES);
  *seen = (SceneVantage){ .name = own(block, halves[0]), .was_up = TRUE, .self_check = TRUE };
  for (char **word = words; *word != NULL; word++) {
    if (g_str_has_prefix(*word, "dark "))
      g_assert_cmpint(sscanf(*word, "dark %u in %lf s", &seen->dark, &seen->seconds), ==, 2);
    else if (g_str_has_prefix(*word, "healed "))
      seen->healed = g_ascii_strtod(*word + strlen("healed "), NULL);
    else if (g_str_equal(*word, "never-up"))
      seen->was_up = FALSE;
    else if (g_str_equal(*word, "no-self-check"))
      seen->self_check = FALSE;
    else if (g_str_equal(*word, "alive"))
      seen->alive = TRUE;
    else if (g_str_equal(*word, "refused"))
      seen->refused = TRUE;
    else
      g_assert_cmpstr(*word, ==, "silent");
  }
}

static void
read_power(Block *block, const char *text)
{
  static const char *const powers[] = { "unknown", "running", "stopped", "deallocated", NULL };
  static const char *const causes[] = { "unknown", "requested", "ended", NULL };
  g_auto(GStrv) words = g_strsplit(text, " ", 2);

  block->scene.power = (AzlinPower) index_of(powers, words[0]);
  g_assert_cmpstr(az_power_to_string(block->scene.power), ==, words[0]);
  if (words[1] != NULL)
    block->scene.cause = (AzlinStopCause) index_of(causes, words[1]);
}

static void
read_policy(Block *block, const char *text)
{
  block->typed = g_str_has_suffix(text, " typed");
  block->policy = g_strndup(text, strlen(text) - (block->typed ? strlen(" typed") : 0));
}

static void
read_line(Block *block, const char *word, const char *rest)
{
  static const char *const modes[] = { "hybrid", "auto", "manual", NULL };
  static const char *const targets[] = { "healthy", "unhealthy", "maintenance", "none", "never-promote", NULL };
  Scene *scene = &block->scene;

  if (g_str_equal(word, "case")) {
    block->name = g_strdup(rest);
  } else if (g_str_equal(word, "failure")) {
    scene->healthy = g_str_equal(rest, "healthy");
    scene->failure = scene->healthy ? AZLIN_FAILURE_NONE : az_failure_from_string(rest);
  } else if (g_str_equal(word, "mode")) {
    scene->mode = (AzlinMode) index_of(modes, rest);
  } else if (g_str_equal(word, "power")) {
    read_power(block, rest);
  } else if (g_str_equal(word, "platform")) {
    scene->platform_outcome = own(block, rest);
  } else if (g_str_equal(word, "control-plane")) {
    scene->power_outcome = "error";
  } else if (g_str_equal(word, "score")) {
    scene->self_score = (guint) atoi(rest);
  } else if (g_str_equal(word, "blind")) {
    scene->blind = TRUE;
  } else if (g_str_equal(word, "maintenance")) {
    scene->maintenance = TRUE;
  } else if (g_str_equal(word, "target")) {
    int target = index_of(targets, rest); /* never-promote is an option; the machine is healthy */
    scene->target = target > SCENE_TARGET_NONE ? SCENE_TARGET_HEALTHY : (SceneTarget) target;
  } else if (g_str_equal(word, "vantage")) {
    read_vantage(block, rest);
  } else if (g_str_equal(word, "options")) {
    block->options = g_strdup(rest);
  } else if (g_str_equal(word, "policy")) {
    read_policy(block, rest);
  } else {
    g_assert_cmpstr(word, ==, "=>");
    block->expected = g_strsplit(rest, " | ", 4);
    g_assert_cmpuint(g_strv_length(block->expected), ==, 4);
  }
}

static void
read_block(const char *text, Block *block)
{
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

  block->owned = g_ptr_array_new_with_free_func(g_free);
  for (char **line = lines; *line != NULL; line++) {
    g_auto(GStrv) halves = g_strsplit(*line, " ", 2);
    if (**line != '\0')
      read_line(block, halves[0], halves[1] != NULL ? halves[1] : "");
  }
  g_assert_nonnull(block->expected);
}

/* ---- the policy ---- */

static AzHold
hold_of(const Block *block)
{
  static const char *const never[] = { "westus2", NULL };
  g_autoptr(GPtrArray) fences = g_ptr_array_new();
  AzFencePending fence = { .region = g_strdup("westus2"), .epoch = 3, .since = SCENE_NOW - HOUR_US };
  AzFailoverState state = { .fences = fences };
  AzPolicyInput input = { .state = &state,
                          .now = SCENE_NOW,
                          .automatic = !block->typed,
                          .target = "westus2",
                          .cool_down_s = 3600,
                          .last_sync = SCENE_NOW - 2 * HOUR_US };

  state.paused = g_str_equal(block->policy, "paused");
  if (g_str_equal(block->policy, "window-open"))
    state.window_until = SCENE_NOW + HOUR_US;
  if (g_str_equal(block->policy, "cooling-down"))
    state.automatic_at = SCENE_NOW - HOUR_US / 2;
  if (g_str_equal(block->policy, "no-target"))
    input.target = NULL;
  if (g_str_equal(block->policy, "never-promote"))
    input.never_promote = never;
  if (g_str_equal(block->policy, "fence-pending"))
    g_ptr_array_add(fences, &fence);
  if (g_str_equal(block->policy, "data-age"))
    input.max_sync_age_s = 600;
  g_autofree char *reason = NULL, *step = NULL;
  AzHold hold = az_failover_policy(&input, &reason, &step);
  if (hold != AZ_HOLD_NONE)
    g_assert_nonnull(g_strstr_len(step, -1, "azlin "));
  g_free(fence.region);
  return hold;
}

static const char *
acts(const Block *block, const AzlinDecision *decision)
{
  if (block->policy != NULL && hold_of(block) != AZ_HOLD_NONE)
    return "held";
  if (block->typed)
    return "typed";
  return decision->should_auto_failover ? "automatic" : "manual";
}

/* ---- one block, one file ---- */

static void
check_block(const char *text)
{
  g_auto(Block) block = { 0 };
  g_auto(AzlinDecision) decision = { 0 };

  read_block(text, &block);
  g_autoptr(SceneBrick) brick = scene_brick_with(block.options != NULL ? block.options : "", NULL);
  g_assert_nonnull(brick);
  scene_decide(brick, &block.scene, &decision);
  g_autofree char *confidence = g_strdup_printf("%.3f", decision.confidence);
  g_autofree char *found = g_strdup_printf("%s | %s | %s", decision.verdict, acts(&block, &decision), confidence);
  g_autofree char *wanted = g_strdup_printf("%s | %s | %s", block.expected[0], block.expected[1], block.expected[2]);
  if (!g_str_equal(found, wanted) || g_strstr_len(decision.reason, -1, block.expected[3]) == NULL) {
    g_test_message("%s: wanted %s | %s; found %s | %s", block.name, wanted, block.expected[3], found, decision.reason);
    g_test_fail();
  }
}

static void
test_file(gconstpointer path)
{
  g_autofree char *text = NULL;
  guint n = 0;

  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  g_auto(GStrv) blocks = g_strsplit(text, "\n\n", -1);
  for (char **block = blocks; *block != NULL; block++, n++)
    check_block(*block);
  g_assert_cmpuint(n, >, 0);
}

int
main(int argc, char **argv)
{
  static const char *const files[]
      = { "network", "service", "stopped", "notices", "settling", "numbers", "observer", "maintenance", "policy" };

  g_test_init(&argc, &argv, NULL);
  g_assert_cmpint(argc, ==, 2);
  g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
  for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
    g_autofree char *name = g_strconcat("/failover/corpus/", files[i], NULL);
    char *path = g_strdup_printf("%s/%s.txt", argv[1], files[i]);
    g_ptr_array_add(paths, path);
    g_test_add_data_func(name, path, test_file);
  }
  return g_test_run();
}
