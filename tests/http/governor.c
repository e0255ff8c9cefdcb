/* Budgets and turns on a virtual clock: pace, priority, corrections by headers, holds, cancelled ones. */
#include "http-governor.h"

#include <string.h>

typedef struct {
  AzClock *clock;
  AzGovernor *governor;
  GString *trace; /* names in the order in which they went */
  gint64 start;
  guint gone;
} Fixture;

typedef struct {
  Fixture *f;
  char name;
  AzTurn *turn;
  gint64 went_ms, wait_ms;
} Request;

static void
set_up(Fixture *f, gconstpointer unused)
{
  f->clock = az_clock_new_virtual(0);
  f->governor = az_governor_new(f->clock);
  f->trace = g_string_new(NULL);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  az_governor_free(f->governor);
  az_clock_free(f->clock);
  g_string_free(f->trace, TRUE);
}

static void
run_until_idle(void)
{
  while (g_main_context_iteration(NULL, FALSE))
    continue;
}

static void
on_go(gint64 wait_ms, gpointer data)
{
  Request *request = data;
  request->wait_ms = wait_ms;
  request->went_ms = az_clock_monotonic(request->f->clock) / 1000;
  request->f->gone++;
  g_string_append_c(request->f->trace, request->name);
}

static Request *
ask(Fixture *f, char name, const char *method, const char *path, AzOpPriority priority, gint64 deadline)
{
  Request *request = g_new0(Request, 1);
  AzTurnRequest what = { .account = "subscription",
                         .method = method,
                         .path = path,
                         .priority = priority,
                         .deadline = deadline,
                         .go = on_go,
                         .data = request };
  *request = (Request){ .f = f, .name = name, .went_ms = -1 };
  request->turn = az_turn_new(f->governor, &what);
  az_turn_ask(request->turn);
  return request;
}

static void
end(Request *request, const char *header, const char *value)
{
  const char *headers[] = { header, value, NULL };
  az_turn_end(request->turn, header != NULL ? headers : NULL);
}

static void
discard(gpointer data)
{
  Request *request = data;
  az_turn_free(request->turn);
  g_free(request);
}

static GPtrArray *
ask_many(Fixture *f, guint n, const char *method)
{
  GPtrArray *all = g_ptr_array_new_with_free_func(discard);
  for (guint i = 0; i < n; i++)
    g_ptr_array_add(all, ask(f, '.', method, "/x", AZ_PRIORITY_DEPLOY, 0));
  return all;
}

static void
test_pace(Fixture *f, gconstpointer unused)
{
  g_autoptr(GPtrArray) writes = ask_many(f, 300, "PUT");
  g_autoptr(GPtrArray) reads = ask_many(f, 250, "GET");
  g_autoptr(GPtrArray) deletes = ask_many(f, 200, "DELETE");
  g_assert_cmpuint(f->gone, ==, 650); /* the bursts, at once */
  run_until_idle();
  g_assert_cmpuint(f->gone, ==, 750);
  const Request *last = g_ptr_array_index(writes, 299);
  g_assert_cmpint(last->went_ms, >=, 10000); /* 100 at 10 a second */
  g_assert_cmpint(last->went_ms, <=, 10200);
}

static void
test_accounts_are_apart(Fixture *f, gconstpointer unused)
{
  g_autoptr(GPtrArray) writes = ask_many(f, 200, "PUT");
  Request request = { .f = f, .name = 'o' };
  AzTurnRequest what = { .account = "other", .method = "PUT", .path = "/x", .go = on_go, .data = &request };
  request.turn = az_turn_new(f->governor, &what);
  az_turn_ask(request.turn);
  g_assert_cmpuint(f->gone, ==, 201);
  az_turn_free(request.turn);
}

static void
test_priority(Fixture *f, gconstpointer unused)
{
  g_autoptr(GPtrArray) others = ask_many(f, 200, "PUT");
  g_autoptr(GPtrArray) late = g_ptr_array_new_with_free_func(discard);
  g_string_truncate(f->trace, 0);
  g_ptr_array_add(late, ask(f, 'l', "PATCH", "/x", AZ_PRIORITY_LIST, 0));
  g_ptr_array_add(late, ask(f, 'd', "PUT", "/x", AZ_PRIORITY_DEPLOY, 0));
  g_ptr_array_add(late, ask(f, 'm', "POST", "/x", AZ_PRIORITY_LIST, 0));
  g_ptr_array_add(late, ask(f, 'e', "PUT", "/x", AZ_PRIORITY_DEPLOY, 0));
  g_ptr_array_add(late, ask(f, 'f', "POST", "/x", AZ_PRIORITY_FAILOVER, 0));
  g_assert_cmpstr(f->trace->str, ==, "");
  run_until_idle();
  g_assert_cmpstr(f->trace->str, ==, "fdelm");
}

/* What the cloud has left counts, less what it may not have counted yet. */
static void
test_corrected_by_headers(Fixture *f, gconstpointer unused)
{
  g_autoptr(GPtrArray) all = ask_many(f, 3, "GET");
  end(g_ptr_array_index(all, 0), "x-ms-ratelimit-remaining-subscription-reads", "4");
  g_autoptr(GPtrArray) more = ask_many(f, 4, "GET"); /* 4 left, 2 under way */
  g_assert_cmpuint(f->gone, ==, 5);
  run_until_idle();
  const Request *last = g_ptr_array_index(more, 3);
  g_assert_cmpint(last->went_ms, >=, 80); /* two more at 25 a second */
  g_assert_cmpint(last->went_ms, <=, 90);
  end(g_ptr_array_index(all, 1), "x-ms-ratelimit-remaining-subscription-reads", "240"); /* not upward */
  g_autoptr(GPtrArray) again = ask_many(f, 2, "GET");
  g_assert_cmpuint(f->gone, ==, 7);
  end(g_ptr_array_index(all, 2), "x-ms-ratelimit-remaining-subscription-reads", "nonsense");
  end(g_ptr_array_index(more, 0), "x-ms-ratelimit-remaining-subscription-writes", "0");
  run_until_idle();
  g_assert_cmpuint(f->gone, ==, 9);
}

static void
test_hold(Fixture *f, gconstpointer unused)
{
  g_autoptr(GPtrArray) all = ask_many(f, 2, "PUT");
  end(g_ptr_array_index(all, 0), NULL, NULL);
  az_turn_hold(((Request *) g_ptr_array_index(all, 0))->turn, 5000, FALSE);
  g_autoptr(GPtrArray) held = ask_many(f, 3, "PUT");
  g_autoptr(GPtrArray) reads = ask_many(f, 1, "GET"); /* another budget */
  g_assert_cmpuint(f->gone, ==, 3);
  run_until_idle();
  g_assert_cmpuint(f->gone, ==, 6);
  for (guint i = 0; i < held->len; i++)
    g_assert_cmpint(((Request *) g_ptr_array_index(held, i))->went_ms, >=, 5000);
}

static void
test_hold_of_one_path(Fixture *f, gconstpointer unused)
{
  g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(discard);
  Request *first = ask(f, '1', "PUT", "/a", AZ_PRIORITY_DEPLOY, 0);
  g_ptr_array_add(all, first);
  end(first, NULL, NULL);
  az_turn_hold(first->turn, 5000, TRUE);
  Request *same = ask(f, 's', "PUT", "/a", AZ_PRIORITY_FAILOVER, 0);
  Request *other = ask(f, 'o', "PUT", "/b", AZ_PRIORITY_LIST, 0);
  g_ptr_array_add(all, same);
  g_ptr_array_add(all, other);
  g_assert_cmpstr(f->trace->str, ==, "1o");
  run_until_idle();
  g_assert_cmpint(same->went_ms, >=, 5000);
  g_assert_cmpstr(f->trace->str, ==, "1os");
}

/* Those that would wait in vain hear it at once; those that only wait for the pace do not. */
static void
test_hold_beyond_the_deadline(Fixture *f, gconstpointer unused)
{
  g_autoptr(GPtrArray) all = ask_many(f, 200, "PUT");
  Request *waiting = ask(f, 'w', "PUT", "/x", AZ_PRIORITY_DEPLOY, 60 * G_USEC_PER_SEC);
  Request *patient = ask(f, 'p', "PUT", "/x", AZ_PRIORITY_DEPLOY, 0);
  g_ptr_array_add(all, waiting);
  g_ptr_array_add(all, patient);
  end(g_ptr_array_index(all, 0), NULL, NULL);
  az_turn_hold(((Request *) g_ptr_array_index(all, 0))->turn, 1200000, FALSE);
  g_assert_cmpint(waiting->went_ms, ==, 0);
  g_assert_cmpint(waiting->wait_ms, ==, 1200000);
  Request *later = ask(f, 'l', "PUT", "/x", AZ_PRIORITY_DEPLOY, 60 * G_USEC_PER_SEC);
  g_ptr_array_add(all, later);
  g_assert_cmpint(later->wait_ms, ==, 1200000);
  g_assert_cmpint(patient->went_ms, ==, -1);
  run_until_idle();
  g_assert_cmpint(patient->went_ms, >=, 1200000);
  g_assert_cmpint(patient->wait_ms, ==, 0);
}

static void
test_cancelled_leave_the_queue(Fixture *f, gconstpointer unused)
{
  g_autoptr(GPtrArray) all = ask_many(f, 200, "PUT");
  Request *gone = ask(f, 'g', "PUT", "/x", AZ_PRIORITY_DEPLOY, 0);
  Request *next = ask(f, 'n', "PUT", "/x", AZ_PRIORITY_DEPLOY, 0);
  discard(gone);
  g_ptr_array_add(all, next);
  run_until_idle();
  g_assert_cmpint(next->went_ms, >=, 100); /* the place of the one that left */
  g_assert_cmpint(next->went_ms, <=, 110);
}

/* Between a turn and its request a token may be asked for: what is forbidden meanwhile takes the turn back. */
static void
test_hold_takes_a_turn_back(Fixture *f, gconstpointer unused)
{
  g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(discard);
  Request *first = ask(f, '1', "PUT", "/a", AZ_PRIORITY_DEPLOY, 0);
  Request *second = ask(f, '2', "PUT", "/b", AZ_PRIORITY_DEPLOY, 0);
  g_ptr_array_add(all, first);
  g_ptr_array_add(all, second);
  g_assert_true(az_turn_stands(second->turn));
  az_turn_hold(first->turn, 1000, TRUE);
  g_assert_false(az_turn_stands(first->turn));
  g_assert_true(az_turn_stands(second->turn));
  az_turn_hold(first->turn, 5000, FALSE);
  g_assert_false(az_turn_stands(second->turn));
  end(second, NULL, NULL);
  az_turn_ask(second->turn);
  run_until_idle();
  g_assert_cmpint(second->went_ms, >=, 5000);
  g_assert_true(az_turn_stands(second->turn));
  end(second, NULL, NULL);
  g_assert_false(az_turn_stands(second->turn));
}

/* Two answers about one path: the later one asks for less, which does not shorten what the first asked for. */
static void
test_longer_hold_stays(Fixture *f, gconstpointer unused)
{
  g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(discard);
  Request *first = ask(f, '1', "GET", "/a", AZ_PRIORITY_DEPLOY, 0);
  Request *second = ask(f, '2', "GET", "/a", AZ_PRIORITY_DEPLOY, 0);
  g_ptr_array_add(all, first);
  g_ptr_array_add(all, second);
  az_turn_hold(first->turn, 60000, TRUE);
  az_turn_hold(second->turn, 1000, TRUE);
  Request *late = ask(f, 'l', "GET", "/a", AZ_PRIORITY_DEPLOY, 0);
  g_ptr_array_add(all, late);
  run_until_idle();
  g_assert_cmpint(late->went_ms, >=, 60000);
}

#define TEST(path, func) g_test_add(path, Fixture, NULL, set_up, func, tear_down)

/* A cloud whose bucket is larger than the documented one, and one that never speaks of a bucket. */
static void
test_what_the_cloud_says_of_its_budget(void)
{
  AzBudget large, silent, writes;
  az_budget_init(&large, AZ_BUDGET_READS, 0);
  az_budget_init(&silent, AZ_BUDGET_READS, 0);
  az_budget_init(&writes, AZ_BUDGET_WRITES, 0);
  for (guint i = 0; i < 250; i++) {
    az_budget_take(&large, 0);
    az_budget_take(&silent, 0);
    az_budget_take(&writes, 0);
  }
  g_assert_cmpint(az_budget_next(&large, 0), >, 0);
  az_budget_end(&large, 11999, 0);
  g_assert_cmpint(az_budget_next(&large, 0), ==, 0);
  g_assert_cmpfloat(large.level, ==, 11999 - 249);
  for (guint i = 0; i < 9; i++)
    az_budget_end(&silent, -1, 0);
  g_assert_cmpint(az_budget_next(&silent, 0), >, 0);
  az_budget_end(&silent, -1, 0);
  g_assert_cmpint(az_budget_next(&silent, 0), ==, 0);
  for (guint i = 0; i < 500; i++)
    az_budget_take(&silent, 0);
  az_budget_hold(&silent, G_USEC_PER_SEC, 0); /* a 429: from here on it is paced, without a debt from before */
  g_assert_cmpint(az_budget_next(&silent, G_USEC_PER_SEC), <=, G_USEC_PER_SEC);
  for (guint i = 0; i < 250; i++)
    az_budget_end(&writes, -1, 0);
  g_assert_cmpint(az_budget_next(&writes, 0), >, 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("/http/governor/pace", test_pace);
  TEST("/http/governor/accounts-are-apart", test_accounts_are_apart);
  TEST("/http/governor/priority", test_priority);
  TEST("/http/governor/corrected-by-headers", test_corrected_by_headers);
  TEST("/http/governor/hold", test_hold);
  TEST("/http/governor/hold-of-one-path", test_hold_of_one_path);
  TEST("/http/governor/hold-takes-a-turn-back", test_hold_takes_a_turn_back);
  TEST("/http/governor/longer-hold-stays", test_longer_hold_stays);
  TEST("/http/governor/hold-beyond-the-deadline", test_hold_beyond_the_deadline);
  TEST("/http/governor/cancelled-leave-the-queue", test_cancelled_leave_the_queue);
  g_test_add_func("/http/governor/what-the-cloud-says", test_what_the_cloud_says_of_its_budget);
  return g_test_run();
}
