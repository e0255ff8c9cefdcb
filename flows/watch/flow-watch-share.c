/* Who has what of the regions: the owner of each by rendezvous hashing, further vantages for suspects, and the
 * primary's company, which all look at. */
#include "flow-watch-members.h"
#include "flow-failover-options.h"

#define VANTAGES 3 /* how many of a suspect's ranking look at it, its owner first */
#define COMPANY 16 /* the primary and where it may go */
#define COMPANY_US (300 * G_USEC_PER_SEC)

static guint64
key_of(AzWatchMembers *members, const char *region)
{
  guint64 *key = g_hash_table_lookup(members->keys, region);

  if (key != NULL)
    return *key;
  key = g_new(guint64, 1);
  *key = az_rendezvous_key(region);
  g_hash_table_insert(members->keys, g_strdup(region), key);
  return *key;
}

/* This one's place in the ranking of `region`: 0 = it is its owner. */
static guint
place_in(AzWatchMembers *members, const char *region)
{
  if (members->ranked->len <= 1)
    return 0;
  return az_rendezvous_place((const AzRendezvousMember *) (gpointer) members->ranked->data, members->ranked->len, 0,
                             key_of(members, region));
}

void
az_watch_share_rank(AzWatchMembers *members)
{
  g_array_set_size(members->ranked, 0);
  for (guint i = 0; i <= members->others->len; i++) {
    const AzMember *member = i == 0 ? members->self : g_ptr_array_index(members->others, i - 1);
    AzRendezvousMember one = { member->name, member->key };
    g_array_append_val(members->ranked, one);
  }
}

typedef struct {
  const char *region;
  gboolean never;
  double age_s;
} Target;

static int
compare_targets(gconstpointer a, gconstpointer b)
{
  const Target *left = a, *right = b;

  if (left->never != right->never)
    return left->never ? 1 : -1;
  if ((left->age_s < 0) != (right->age_s < 0))
    return left->age_s < 0 ? 1 : -1;
  return left->age_s < right->age_s ? -1 : left->age_s > right->age_s ? 1 : g_strcmp0(left->region, right->region);
}

/* Whoever comes to judge the primary must know where it could go: to those whose data is the youngest. */
static void
choose_company(AzWatchMembers *members)
{
  AzWatch *watch = members->watch;
  const char *primary = watch->stored->primary;
  g_autoptr(GArray) targets = g_array_new(FALSE, FALSE, sizeof(Target));
  g_autoptr(GHashTable) never = az_failover_option_set(watch->engine, "never-promote");

  for (guint i = 0; i < watch->stored->vms->len; i++) {
    Target target = { .region = ((const AzlinVm *) g_ptr_array_index(watch->stored->vms, i))->region, .age_s = -1 };
    target.never = g_hash_table_contains(never, target.region);
    if (g_str_equal(target.region, primary))
      continue;
    if (*primary != '\0')
      target.age_s = az_lookout_data_age(watch->lookout, primary, target.region);
    g_array_append_val(targets, target);
  }
  g_array_sort(targets, compare_targets);
  g_clear_pointer(&members->company, g_hash_table_unref);
  members->company = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_hash_table_add(members->company, g_strdup(primary));
  for (guint i = 0; i < MIN(targets->len, COMPANY - 1); i++)
    g_hash_table_add(members->company, g_strdup(g_array_index(targets, Target, i).region));
  members->company_at = az_watch_members_monotonic(members);
}

static gboolean
looks_at(const AzlinVm *vm, gpointer data)
{
  AzWatchMembers *members = data;
  guint place = place_in(members, vm->region);

  members->self->share += place == 0 ? 1 : 0;
  return place == 0 || g_hash_table_contains(members->company, vm->region)
         || (place < VANTAGES && g_hash_table_contains(members->suspects, vm->region));
}

static gboolean
is_same_part(const AzStored *old, const AzStored *new)
{
  if (old == NULL || old->whole != new->whole || old->vms->len != new->vms->len)
    return FALSE;
  for (guint i = 0; i < new->vms->len; i++)
    if (g_ptr_array_index(old->vms, i) != g_ptr_array_index(new->vms, i))
      return FALSE;
  return TRUE;
}

/* Others look at these from now on. */
static void
forget_others(AzWatch *watch)
{
  GHashTableIter iter;
  gpointer region;
  g_autoptr(GHashTable) watched = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(g_free);

  for (guint i = 0; i < watch->watched->vms->len; i++)
    g_hash_table_add(watched, g_strdup(((const AzlinVm *) g_ptr_array_index(watch->watched->vms, i))->region));
  g_hash_table_iter_init(&iter, watch->rows);
  while (g_hash_table_iter_next(&iter, &region, NULL))
    if (!g_hash_table_contains(watched, region))
      g_ptr_array_add(gone, g_strdup(region));
  for (guint i = 0; i < gone->len; i++)
    az_watch_forget(watch, g_ptr_array_index(gone, i));
}

static void
note_judge(AzWatchMembers *members)
{
  gboolean judge = place_in(members, members->watch->stored->primary) == 0;

  if (judge != members->judge && !judge)
    az_watch_primary_moved(members->watch); /* what was said about it is another's to say */
  members->judge = judge;
}

gboolean
az_watch_share(AzWatch *watch)
{
  AzWatchMembers *members = watch->members;

  if (members == NULL || watch->lookout == NULL) {
    if (watch->lookout != NULL)
      az_lookout_set_stored(watch->lookout, watch->stored);
    return TRUE;
  }
  if (members->company == NULL || watch->watched->whole != watch->stored
      || az_watch_members_monotonic(members) - members->company_at >= COMPANY_US)
    choose_company(members);
  members->self->share = 0;
  note_judge(members);
  g_autoptr(AzStored) part = az_stored_part(watch->stored, looks_at, members);
  if (is_same_part(watch->watched, part))
    return FALSE;
  g_clear_pointer(&watch->watched, az_stored_unref);
  watch->watched = g_steal_pointer(&part);
  members->shared_at = az_watch_members_monotonic(members);
  az_lookout_set_stored(watch->lookout, watch->watched);
  forget_others(watch);
  return TRUE;
}

void
az_watch_share_refresh(AzWatchMembers *members)
{
  if (az_watch_members_monotonic(members) - members->company_at >= COMPANY_US && az_watch_share(members->watch))
    az_watch_show_all(members->watch);
}

gboolean
az_watch_owns(AzWatch *watch, const char *region)
{
  return watch->members == NULL || place_in(watch->members, region) == 0;
}

double
az_watch_share_lag(AzWatchMembers *members)
{
  const AzStored *watched = members->watch->watched;
  double lag = 0;

  for (guint i = 0; watched != NULL && i < watched->vms->len; i++) {
    const char *region = ((const AzlinVm *) g_ptr_array_index(watched->vms, i))->region;
    const AzWatchRow *row = g_hash_table_lookup(members->watch->rows, region);
    if (place_in(members, region) != 0)
      continue;
    gint64 looked = row != NULL ? MAX(row->looked, members->shared_at) : members->shared_at;
    lag = MAX(lag, az_watch_members_since(members, looked) - members->interval_s);
  }
  return lag;
}
