/* Rate limits as Azure Resource Manager has them: buckets per subscription, and Retry-After taken seriously. */
#include "budget.h"
#include "journal.h"
#include <math.h>

/* Requests that were on their way when the first refusal of a bucket went out are nobody's fault. */
#define UNDER_WAY_MS 250.0
#define CLOCK_SLACK_MS 2.0

typedef struct {
  double tokens, at;     /* at: ms of the last change; < 0 = never used */
  double refused, until; /* ms; a 429 was sent at `refused` and asks to wait until `until` */
} Bucket;

typedef struct {
  Bucket buckets[3];
} Account;

typedef struct {
  double until;
  gboolean firm;
} Wait;

struct _Budget {
  GHashTable *accounts; /* subscription -> Account */
  GHashTable *waits;    /* "METHOD target" -> Wait */
};

Budget *
budget_new(void)
{
  Budget *budget = g_new0(Budget, 1);
  budget->accounts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  budget->waits = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  return budget;
}

void
budget_free(Budget *budget)
{
  g_hash_table_unref(budget->accounts);
  g_hash_table_unref(budget->waits);
  g_free(budget);
}

BudgetKind
budget_kind(const char *method)
{
  if (g_str_equal(method, "GET") || g_str_equal(method, "HEAD"))
    return BUDGET_READS;
  return g_str_equal(method, "DELETE") ? BUDGET_DELETES : BUDGET_WRITES;
}

const char *
budget_name(BudgetKind kind)
{
  static const char *const names[] = { "reads", "writes", "deletes" };
  return names[kind];
}

static Bucket *
bucket_of(Double *world, const char *subscription, BudgetKind kind)
{
  Account *account = g_hash_table_lookup(world->budget->accounts, subscription);
  if (account == NULL) {
    account = g_new0(Account, 1);
    for (guint i = 0; i < G_N_ELEMENTS(account->buckets); i++)
      account->buckets[i].at = -1;
    g_hash_table_insert(world->budget->accounts, g_ascii_strdown(subscription, -1), account);
  }
  return &account->buckets[kind];
}

guint
budget_take(Double *world, const char *subscription, BudgetKind kind, guint *ret_left)
{
  g_autofree char *lower = g_ascii_strdown(subscription, -1);
  json_t *limits = json_object_get(json_object_get(world->settings, "budget"), budget_name(kind));
  double burst = json_number_value(json_array_get(limits, 0)), rate = json_number_value(json_array_get(limits, 1));
  Bucket *bucket = bucket_of(world, lower, kind);
  double now = double_now(world);
  bucket->tokens = bucket->at < 0 ? burst : MIN(burst, bucket->tokens + (now - bucket->at) / 1000.0 * rate);
  bucket->at = now;
  if (bucket->tokens >= 1) {
    bucket->tokens -= 1;
    *ret_left = (guint) bucket->tokens;
    return 0;
  }
  *ret_left = 0;
  guint seconds = (guint) MAX(1, ceil((1 - bucket->tokens) / MAX(rate, 0.01)));
  if (bucket->until <= now)
    bucket->refused = now;
  bucket->until = now + seconds * 1000.0;
  return seconds;
}

void
budget_wait(Double *world, const char *method, const char *target, guint seconds, gboolean firm)
{
  Wait *wait = g_new0(Wait, 1);
  wait->until = double_now(world) + seconds * 1000.0;
  wait->firm = firm;
  g_hash_table_insert(world->budget->waits, g_strdup_printf("%s %s", method, target), wait);
}

void
budget_unwait(Double *world, const char *method, const char *target)
{
  g_autofree char *key = g_strdup_printf("%s %s", method, target);
  g_hash_table_remove(world->budget->waits, key);
}

static void
check_bucket(Double *world, const char *method, const char *target, const char *subscription)
{
  g_autofree char *lower = g_ascii_strdown(subscription, -1);
  const Bucket *bucket = bucket_of(world, lower, budget_kind(method));
  double now = double_now(world);
  if (now > bucket->refused + UNDER_WAY_MS && now + CLOCK_SLACK_MS < bucket->until)
    journal_early(world, method, target, "budget", bucket->until - now);
}

guint
budget_arrive(Double *world, const char *method, const char *target, const char *subscription)
{
  g_autofree char *key = g_strdup_printf("%s %s", method, target);
  const Wait *wait = g_hash_table_lookup(world->budget->waits, key);
  double now = double_now(world);
  if (wait == NULL) {
    if (subscription != NULL)
      check_bucket(world, method, target, subscription);
    return 0;
  }
  double early = wait->until - now;
  gboolean firm = wait->firm;
  g_hash_table_remove(world->budget->waits, key);
  if (early <= CLOCK_SLACK_MS)
    return 0;
  journal_early(world, method, target, firm ? "request" : "poll", early);
  return firm ? (guint) ceil(early / 1000.0) : 0;
}

void
budget_forget_waits(Double *world)
{
  g_hash_table_remove_all(world->budget->waits);
  GHashTableIter iter;
  gpointer account;
  g_hash_table_iter_init(&iter, world->budget->accounts);
  while (g_hash_table_iter_next(&iter, NULL, &account)) {
    for (guint i = 0; i < 3; i++)
      ((Account *) account)->buckets[i].until = 0;
  }
}
