/* Two operators at once on one home, each a process of its own, set off by one signal: of each epoch there is one
 * commit. AZLIN_RACES=N rounds (default 50). */
#include "place.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_RACES 50

static const char *const regions[] = { "eastus", "westus2", "westeurope" };

typedef struct {
  const char *kind;
  char *args;
} Move;

static Move
any_move(GRand *chance)
{
  const char *to = regions[g_rand_int_range(chance, 0, G_N_ELEMENTS(regions))];

  if (g_rand_int_range(chance, 0, 4) == 0)
    return (Move){ "regions-set-primary", g_strdup_printf("{'region': <'%s'>}", to) };
  return (Move){ "failover", g_strdup_printf("{'to': <'%s'>, 'yes': <true>}", to) };
}

/* Ready once it has written a byte to `ready`; off when `start` is closed. */
static pid_t
begin(const TestPlace *place, const Move *move, int ready, const int *start)
{
  pid_t child = fork();

  if (child != 0)
    return child;
  char byte = 0;
  close(start[1]);
  g_random_set_seed((guint32) getpid());
  AzEngine *engine = test_engine_at(place);
  if (write(ready, "r", 1) != 1 || read(start[0], &byte, 1) < 0)
    _exit(99);
  _exit(az_job_exit_code(test_run_job(engine, move->kind, move->args)));
}

static int
code_of(pid_t child)
{
  int status = 0;

  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    continue;
  g_assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void
race(const TestPlace *place, const Move *moves, int *ret_codes)
{
  int ready[2], start[2];
  pid_t rivals[2];

  g_assert_cmpint(pipe(ready), ==, 0);
  g_assert_cmpint(pipe(start), ==, 0);
  for (guint i = 0; i < 2; i++)
    rivals[i] = begin(place, &moves[i], ready[1], start);
  close(start[0]);
  for (guint i = 0; i < 2; i++) {
    char byte;
    g_assert_cmpint((int) read(ready[0], &byte, 1), ==, 1);
  }
  close(start[1]);
  for (guint i = 0; i < 2; i++)
    ret_codes[i] = code_of(rivals[i]);
  close(ready[0]);
  close(ready[1]);
}

/* ---- what the home says ---- */

typedef struct {
  guint64 epoch;
  guint commits, doubles, open; /* in the audit log: moves, and moves with an epoch that was there before */
  char primary[32];
} Standing;

static guint64
epoch_of_move(GVariant *event)
{
  const char *what = "", *outcome = "switched";
  guint64 epoch = 0;
  gint64 number = 0;
  g_autoptr(GVariant) facts = g_variant_lookup_value(event, "facts", G_VARIANT_TYPE_VARDICT);

  g_variant_lookup(event, "what", "&s", &what);
  if (facts == NULL || (!g_str_equal(what, "failover") && !g_str_equal(what, "regions.set-primary")))
    return 0;
  g_variant_lookup(facts, "outcome", "&s", &outcome);
  if (g_variant_lookup(facts, "epoch", "x", &number))
    epoch = (guint64) number;
  return g_str_equal(outcome, "switched") ? epoch : 0;
}

static void
count_moves(AzEngine *engine, Standing *standing)
{
  g_autoptr(GVariant) shown = az_engine_query(engine, "audit", NULL, NULL);
  g_autoptr(GVariant) events = g_variant_lookup_value(shown, "events", NULL);
  g_autoptr(GHashTable) seen = g_hash_table_new(g_direct_hash, g_direct_equal);

  for (gsize i = 0; i < g_variant_n_children(events); i++) {
    g_autoptr(GVariant) box = g_variant_get_child_value(events, i);
    g_autoptr(GVariant) event = g_variant_get_variant(box);
    guint64 epoch = epoch_of_move(event);
    if (epoch == 0)
      continue;
    standing->commits++;
    standing->doubles += !g_hash_table_add(seen, GUINT_TO_POINTER((guint) epoch));
  }
}

/* In a process of its own: an engine here would be inherited by the rivals. */
static Standing
look(const TestPlace *place)
{
  int fds[2];
  Standing standing = { 0 };

  g_assert_cmpint(pipe(fds), ==, 0);
  pid_t child = fork();
  if (child == 0) {
    AzEngine *engine = test_engine_at(place);
    AzJob *job = test_run_job(engine, "regions-list", "@a{sv} {}");
    const char *primary = "";
    g_variant_lookup(az_job_result(job), "epoch", "t", &standing.epoch);
    g_variant_lookup(az_job_result(job), "primary", "&s", &primary);
    g_strlcpy(standing.primary, primary, sizeof standing.primary);
    g_autoptr(GPtrArray) entries = az_journal_open_entries(az_engine_journal(engine, NULL), NULL);
    standing.open = entries->len;
    count_moves(engine, &standing);
    _exit(write(fds[1], &standing, sizeof standing) == sizeof standing ? 0 : 1);
  }
  close(fds[1]);
  g_assert_cmpint((int) read(fds[0], &standing, sizeof standing), ==, (int) sizeof standing);
  close(fds[0]);
  g_assert_cmpint(code_of(child), ==, 0);
  return standing;
}

static void
test_rivals(void)
{
  const char *text = g_getenv("AZLIN_RACES");
  guint races = text != NULL ? (guint) g_ascii_strtoull(text, NULL, 10) : DEFAULT_RACES;
  guint outcomes[8] = { 0 };
  TestPlace place = test_place_new();
  g_autoptr(GRand) chance = g_rand_new_with_seed(races);

  test_put(place.config, "[bricks]\nprovider=sim\n");
  Move deploy = { "deploy", g_strdup("{'regions': <['eastus', 'westus2', 'westeurope']>}") };
  Move calm = { "regions-list", g_strdup("@a{sv} {}") };
  int codes[2];
  race(&place, (const Move[]){ deploy, calm }, codes);
  g_assert_cmpint(codes[0], ==, 0);
  for (guint i = 0; i < races; i++) {
    Move moves[2] = { any_move(chance), any_move(chance) };
    race(&place, moves, codes);
    for (guint j = 0; j < 2; j++) {
      g_test_message("%u: %s %s: %d", i, moves[j].kind, moves[j].args, codes[j]);
      g_assert_true(codes[j] == 0 || codes[j] == 4 || codes[j] == 5);
      outcomes[codes[j]]++;
      g_free(moves[j].args);
    }
  }
  Standing after = look(&place);
  printf("# %u races: %u moves, %u went through or had nothing to do, %u found the lock taken, %u were superseded, "
         "%u double commits\n",
         races, after.commits, outcomes[0], outcomes[4], outcomes[5], after.doubles);
  g_assert_cmpuint(after.doubles, ==, 0);
  g_assert_cmpuint(after.epoch, ==, 1 + after.commits); /* no move without a record, no record without a move */
  g_assert_cmpuint(after.open, ==, 0);
  g_assert_cmpuint(after.commits, >, races / 4);
  g_free(deploy.args);
  g_free(calm.args);
  test_place_free(&place);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/failover/rivals", test_rivals);
  return g_test_run();
}
