/* sync: one path to several targets by a strategy that reads the source once for all: who comes first waits for the
 * others. */
#include "flow-sync-private.h"

/* Will this one still come to `path` of this source, without having waited for anybody? */
static gboolean
is_on_its_way(const AzSyncPair *pair, guint path)
{
  if (!pair->running || pair->turn != NULL)
    return FALSE;
  return pair->next < path || (pair->next == path && pair->transfer == NULL);
}

static void
set_off(GPtrArray *group)
{
  AzSyncPair *first = g_ptr_array_index(group, 0);
  g_autofree AzlinSyncJob *jobs = g_new0(AzlinSyncJob, group->len);
  g_autofree AzlinSyncFacts *facts = g_new0(AzlinSyncFacts, group->len);
  g_autofree const AzlinSyncJob **borrowed = g_new0(const AzlinSyncJob *, group->len);
  g_autofree AzlinOp **ops = g_new0(AzlinOp *, group->len);
  for (guint i = 0; i < group->len; i++) {
    AzSyncPair *pair = g_ptr_array_index(group, i);
    facts[i] = az_sync_pair_facts(pair);
    facts[i].n_targets = group->len;
    jobs[i] = az_sync_pair_job(pair, &facts[i]);
    borrowed[i] = &jobs[i];
    ops[i] = g_steal_pointer(&pair->turn);
    pair->transfer_started = az_clock_monotonic(az_engine_clock(pair->sync->engine));
  }
  first->brick->transfer_all(first->brick_self, borrowed, ops, group->len);
}

void
az_sync_together_look(AzSync *sync)
{
  for (guint i = 0; sync->pairs != NULL && i < sync->pairs->len; i++) {
    AzSyncPair *first = g_ptr_array_index(sync->pairs, i);
    gboolean complete = first->turn != NULL;
    g_autoptr(GPtrArray) group = g_ptr_array_new();
    for (guint j = 0; complete && j < sync->pairs->len; j++) {
      AzSyncPair *pair = g_ptr_array_index(sync->pairs, j);
      complete = !is_on_its_way(pair, first->next);
      if (pair->turn != NULL && pair->next == first->next && pair->brick == first->brick)
        g_ptr_array_add(group, pair);
    }
    if (complete)
      set_off(group);
  }
}

gboolean
az_sync_together_join(AzSyncPair *pair)
{
  if (pair->brick->transfer_all == NULL || pair->sync->pairs == NULL || pair->sync->pairs->len < 2 || pair->round > 0)
    return FALSE;
  pair->turn = az_sync_transfer_op(pair);
  return TRUE;
}
