/* The watches that share the regions: says that this one is there, and hears who else is and what they see. */
#include "flow-watch-members.h"
#include "error.h"
#include "flow-failover-options.h"

#define REFRESH_MS 2000
#define MARGIN_S 5    /* clocks run differently: it counts as gone so long before others may think so */
#define MAX_NUMBER 32 /* watches of one name */

/* ---- making ---- */

static char *
option(AzEngine *engine, const char *name)
{
  const char *value = az_config_string(az_engine_config(engine), "watch", name);

  return az_member_name(*value != '\0' ? value : g_get_host_name());
}

AzWatchMembers *
az_watch_members_new(AzWatch *watch)
{
  AzDetectorRules rules = az_failover_option_rules(watch->engine);
  AzWatchMembers *members = g_new0(AzWatchMembers, 1);

  *members = (AzWatchMembers){ .watch = watch,
                               .base = option(watch->engine, "name"),
                               .number = 1,
                               .ttl_s = az_config_uint(az_engine_config(watch->engine), "watch", "member-ttl"),
                               .span_s = (rules.fall - 1) * (double) rules.primary_interval_s + rules.probe_timeout_s,
                               .interval_s = rules.interval_s,
                               .others = g_ptr_array_new_with_free_func((GDestroyNotify) az_member_free),
                               .ranked = g_array_new(FALSE, FALSE, sizeof(AzRendezvousMember)),
                               .keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
                               .suspects = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                               .judge = TRUE };
  members->self = az_member_new(members->base);
  members->self->place = option(watch->engine, "place");
  members->self->home = az_member_records(az_paths_home(az_engine_paths(watch->engine)));
  members->self->since = az_clock_now(az_engine_clock(watch->engine));
  return members;
}

void
az_watch_members_free(AzWatchMembers *members)
{
  if (members == NULL)
    return;
  az_member_free(members->self);
  g_ptr_array_unref(members->others);
  g_array_unref(members->ranked);
  g_hash_table_unref(members->keys);
  g_hash_table_unref(members->suspects);
  g_clear_pointer(&members->company, g_hash_table_unref);
  g_free(members->base);
  g_free(members->shared);
  g_free(members);
}

/* ---- what this one says ---- */

static const char *
holds_of(AzWatch *watch)
{
  const AzFailoverState *state = watch->state;
  gint64 now = az_clock_now(az_engine_clock(watch->engine));

  if (az_engine_inhibitor(watch->engine) != NULL)
    return "a program forbids it";
  if (state == NULL)
    return NULL;
  if (az_failover_is_paused(state, now))
    return "paused";
  if (az_failover_cools_until(state, az_failover_option_cool_down_s(watch->engine), now) != 0)
    return "cooling down";
  return NULL;
}

static void
add_sight(AzWatchMembers *members, const AzWatchRow *row)
{
  AzLookout *lookout = members->watch->lookout;
  AzRegionView view = { 0 };
  g_autoptr(GArray) vantages
      = az_detector_vantages(az_lookout_detector(lookout), row->region, az_watch_members_monotonic(members));
  AzMemberSight *sight = az_member_add_sight(members->self, row->region);

  az_detector_view(az_lookout_detector(lookout), row->region, &view);
  sight->state = view.state;
  for (guint i = 0; i < vantages->len; i++) {
    const AzlinVantage *seen = &g_array_index(vantages, AzlinVantage, i);
    if (seen->fresh_success)
      sight->alive_s = MAX(az_watch_members_since(members, view.last_alive), 0);
    if (!g_str_equal(seen->vantage, AZ_VANTAGE_HERE))
      continue;
    sight->seen = *seen;
    sight->seen.vantage = members->self->vantage;
  }
}

/* The primary first: there is room for so many. */
static void
add_sights(AzWatchMembers *members)
{
  GHashTableIter iter;
  gpointer value;
  const char *primary = members->watch->stored->primary;
  const AzWatchRow *first = g_hash_table_lookup(members->watch->rows, primary);

  g_ptr_array_set_size(members->self->seen, 0);
  if (first != NULL && (az_region_is_suspect(first->state) || g_hash_table_contains(members->suspects, primary)))
    add_sight(members, first);
  g_hash_table_iter_init(&iter, members->watch->rows);
  while (g_hash_table_iter_next(&iter, NULL, &value) && members->self->seen->len < AZ_MEMBER_SIGHTS_MAX) {
    const AzWatchRow *row = value;
    if (row != first && (az_region_is_suspect(row->state) || g_hash_table_contains(members->suspects, row->region)))
      add_sight(members, row);
  }
}

static void
prepare(AzWatchMembers *members)
{
  AzWatch *watch = members->watch;
  AzMember *self = members->self;

  self->said++;
  self->epoch = watch->stored->epoch;
  self->regions = watch->stored->vms->len;
  self->lag_s = az_watch_share_lag(members);
  g_free(self->holds);
  self->holds = g_strdup(holds_of(watch));
  g_free(self->records);
  self->records = az_member_records(watch->stored->source != NULL ? watch->stored->source : watch->stored->path);
  add_sights(members);
}

/* ---- whether it may act ---- */

static void
check_deadline(AzWatchMembers *members)
{
  if (!members->begun || members->watch->no_lock != NULL || az_watch_members_monotonic(members) < members->valid_until)
    return;
  az_watch_set_no_lock(members->watch, g_strdup("The coordinator has not heard of this watch in time; others may "
                                                "have taken over"));
}

gboolean
az_watch_is_judge(AzWatch *watch)
{
  if (watch->members == NULL)
    return TRUE;
  check_deadline(watch->members);
  return watch->members->judge;
}

char *
az_watch_held_elsewhere(AzWatch *watch)
{
  const AzWatchMembers *members = watch->members;

  for (guint i = 0; members != NULL && i < members->others->len; i++) {
    const AzMember *other = g_ptr_array_index(members->others, i);
    if (other->holds != NULL)
      return g_strdup_printf("%s holds switches back (%s)", other->vantage, other->holds);
  }
  return NULL;
}

/* ---- what the others see ---- */

/* Two of one place look by the same road: their darkness counts once. */
static gboolean
is_new_place(const AzWatchMembers *members, guint which)
{
  const AzMember *member = g_ptr_array_index(members->others, which);

  if (g_str_equal(member->place, members->self->place))
    return FALSE;
  for (guint i = 0; i < which; i++)
    if (g_str_equal(((const AzMember *) g_ptr_array_index(members->others, i))->place, member->place))
      return FALSE;
  return TRUE;
}

static void
add_peers(const char *region, GArray *vantages, gpointer data)
{
  AzWatchMembers *members = data;

  for (guint i = 0; i < members->others->len; i++) {
    const AzMember *member = g_ptr_array_index(members->others, i);
    AzlinVantage seen;
    if (!az_member_vantage(member, region, az_watch_members_since(members, member->heard), members->span_s, &seen))
      continue;
    if (seen.fresh_success || is_new_place(members, i))
      g_array_append_val(vantages, seen);
  }
}

const char *
az_watch_seen_elsewhere(AzWatch *watch, const char *region)
{
  const AzWatchMembers *members = watch->members;

  for (guint i = 0; members != NULL && i < members->others->len; i++) {
    const AzMember *member = g_ptr_array_index(members->others, i);
    if (az_member_sees_life(member, region, az_watch_members_since(members, member->heard), members->span_s))
      return member->vantage;
  }
  return NULL;
}

void
az_watch_tell_members(AzWatch *watch)
{
  if (watch->members != NULL)
    watch->members->news = TRUE;
}

/* ---- a look around ---- */

static void go_round(AzWatchMembers *members);

static void
on_tick(AzlinOp *op, gpointer data)
{
  AzWatchMembers *members = data;

  if (az_op_cancelled(members->watch->root))
    return;
  check_deadline(members);
  go_round(members);
}

/* The first one opens the watch, whatever came of it. */
static void
round_over(AzWatchMembers *members)
{
  if (!members->begun) {
    members->begun = TRUE;
    az_watch_begin_looking(members->watch);
  }
  az_op_new(members->watch->root, "members", REFRESH_MS, on_tick, members); /* ends by its deadline */
}

/* It goes on looking at what it had, and others take that over: twice watched is better than not at all. */
static void
say_trouble(AzWatchMembers *members, const GError *error)
{
  if (members->watch->no_lock == NULL
      && (!members->begun || az_watch_members_monotonic(members) >= members->valid_until))
    az_watch_set_no_lock(members->watch, az_error_message(error));
  round_over(members);
}

static void
tell_members(AzWatchMembers *members)
{
  AzWatch *watch = members->watch;
  guint n = members->others->len + 1;
  GVariantDict facts;
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();

  g_strv_builder_add(names, members->self->name);
  for (guint i = 0; i < members->others->len; i++)
    g_strv_builder_add(names, ((const AzMember *) g_ptr_array_index(members->others, i))->name);
  g_auto(GStrv) list = g_strv_builder_end(names);
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "name", "s", members->self->name);
  g_variant_dict_insert(&facts, "names", "^as", list);
  g_variant_dict_insert(&facts, "share", "u", members->self->share);
  g_variant_dict_insert(&facts, "judge", "b", members->judge);
  g_autofree char *text = g_strdup_printf("%u watch%s: this one, %s, owns %u of %u regions%s", n,
                                          n == 1 ? "" : "es share", members->self->name, members->self->share,
                                          watch->stored->vms->len, members->judge ? " and judges the primary" : "");
  if (az_watch_stand(watch, "members", text, "detail", text, g_variant_dict_end(&facts)))
    az_job_message(watch->job, "step", NULL, "%s", text);
}

/* What the shares follow from: who is there, and what they suspect. */
static char *
print_ground(AzWatchMembers *members)
{
  GString *ground = g_string_new(members->self->name);

  for (guint i = 0; i < members->others->len; i++)
    g_string_append_printf(ground, " %s", ((const AzMember *) g_ptr_array_index(members->others, i))->name);
  GList *suspects = g_list_sort(g_hash_table_get_keys(members->suspects), (GCompareFunc) g_strcmp0);
  for (GList *link = suspects; link != NULL; link = link->next)
    g_string_append_printf(ground, "\n%s", (const char *) link->data);
  g_list_free(suspects);
  return g_string_free(ground, FALSE);
}

static void
collect_suspects(AzWatchMembers *members)
{
  g_hash_table_remove_all(members->suspects);
  for (guint i = 0; i < members->others->len; i++) {
    const AzMember *member = g_ptr_array_index(members->others, i);
    for (guint k = 0; k < member->seen->len; k++) {
      const AzMemberSight *sight = g_ptr_array_index(member->seen, k);
      if (az_region_is_suspect(sight->state))
        g_hash_table_add(members->suspects, g_strdup(sight->region));
    }
  }
}

static void
share_anew(AzWatchMembers *members)
{
  collect_suspects(members);
  g_autofree char *ground = print_ground(members);
  if (g_strcmp0(ground, members->shared) != 0) {
    g_free(members->shared);
    members->shared = g_steal_pointer(&ground);
    az_watch_share_rank(members);
    members->news = TRUE; /* asked about what others suspect, or with another share */
    if (members->begun && az_watch_share(members->watch))
      az_watch_show_all(members->watch);
  }
  if (members->begun)
    tell_members(members);
}

static const AzMember *
find(const GPtrArray *list, const AzMember *like)
{
  for (guint i = 0; i < list->len; i++) {
    const AzMember *member = g_ptr_array_index(list, i);
    if (g_str_equal(member->name, like->name) && member->order == like->order)
      return member;
  }
  return NULL;
}

/* Takes over those of `all` that have the same records. `ret_rival` (borrowed) came first and has others. */
static void
take_others(AzWatchMembers *members, GPtrArray *all, const AzMember **ret_rival)
{
  GPtrArray *others = g_ptr_array_new_with_free_func((GDestroyNotify) az_member_free);

  *ret_rival = NULL;
  for (guint i = 0; i < all->len; i++) {
    AzMember *member = g_ptr_array_index(all, i);
    const AzMember *before = find(members->others, member);
    if (g_str_equal(member->name, members->self->name))
      continue;
    if (!g_str_equal(member->records, members->self->records)) {
      if (*ret_rival == NULL && member->order < members->self->order)
        *ret_rival = member;
      continue;
    }
    member->heard
        = before != NULL && before->said == member->said ? before->heard : az_watch_members_monotonic(members);
    if (member->epoch > members->watch->stored->epoch && members->begun)
      az_watch_read(members->watch);
    g_ptr_array_add(others, member);
  }
  for (guint i = 0; i < others->len; i++) { /* from one list to the other */
    guint at = 0;
    g_ptr_array_find(all, g_ptr_array_index(others, i), &at);
    g_ptr_array_steal_index(all, at);
  }
  g_ptr_array_unref(members->others);
  members->others = others;
}

static char *
rival_words(const AzMember *rival)
{
  return g_strdup_printf("Another watch, %s, looks after other records with this coordinator", rival->name);
}

static void
refuse_rival(AzWatchMembers *members, const AzMember *rival)
{
  g_autofree char *words = rival_words(rival);
  GError *error = g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_LOCKED, words);

  az_error_add_step(error, "Keep the records where both see them, or give this one a prefix of its own in "
                           "[coordinator.etcd]");
  az_error_add_step(error, "Look without acting: azlin regions health --watch");
  az_job_fail(members->watch->job, error);
}

static void
on_members(AzlinOp *op, gpointer data)
{
  AzWatchMembers *members = data;
  const AzMember *rival = NULL;

  if (az_op_cancelled(members->watch->root))
    return;
  if (az_op_error(op) != NULL) {
    say_trouble(members, az_op_error(op));
    return;
  }
  g_autoptr(GPtrArray) all = az_members_of(op);
  take_others(members, all, &rival);
  if (rival != NULL && !members->begun) {
    refuse_rival(members, rival);
    return;
  }
  if (rival == NULL)
    members->valid_until = members->announced + (gint64) (members->ttl_s - MARGIN_S) * G_USEC_PER_SEC;
  az_watch_set_no_lock(members->watch, rival != NULL ? rival_words(rival) : NULL);
  share_anew(members);
  if (members->begun)
    az_watch_share_refresh(members);
  round_over(members);
}

/* Whoever waits for longer learns too late that its time is over. */
static guint32
limit_ms(const AzWatchMembers *members)
{
  gint64 most = (gint64) (members->ttl_s - MARGIN_S) * 1000;
  gint64 left = (members->valid_until - az_watch_members_monotonic(members)) / 1000;

  return (guint32) (left > 0 ? CLAMP(left, 1000, most) : most);
}

static void
ask(AzWatchMembers *members)
{
  az_members_ask(members->watch->engine,
                 az_op_new(members->watch->root, "who is there", limit_ms(members), on_members, members));
}

static void announce(AzWatchMembers *members);

/* A watch of another process has it, or the one before this whose time is not over. */
static void
take_another_name(AzWatchMembers *members)
{
  AzMember *old = members->self;

  members->number++;
  g_autofree char *name = g_strdup_printf("%s-%u", members->base, members->number);
  members->self = az_member_new(name);
  members->self->place = g_steal_pointer(&old->place);
  members->self->home = g_steal_pointer(&old->home);
  members->self->since = old->since;
  az_member_free(old);
  announce(members);
}

static void
on_announced(AzlinOp *op, gpointer data)
{
  AzWatchMembers *members = data;

  if (az_op_cancelled(members->watch->root))
    return;
  if (g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_LOCKED) && members->number < MAX_NUMBER) {
    take_another_name(members);
    return;
  }
  if (az_op_error(op) != NULL) {
    members->news = TRUE;
    say_trouble(members, az_op_error(op));
    return;
  }
  members->self->order = g_variant_get_uint64(az_op_variant(op));
  members->announced = members->asked;
  ask(members);
}

static void
announce(AzWatchMembers *members)
{
  prepare(members);
  members->news = FALSE;
  members->asked = az_watch_members_monotonic(members);
  az_members_announce(members->watch->engine, members->self, members->ttl_s,
                      az_op_new(members->watch->root, "announce", limit_ms(members), on_announced, members));
}

/* What it sees of suspects is evidence as long as it is fresh. */
static void
go_round(AzWatchMembers *members)
{
  gint64 third = (gint64) (members->ttl_s - MARGIN_S) * G_USEC_PER_SEC / 3; /* one of them may be lost */
  gboolean due = az_watch_members_monotonic(members) - members->announced >= third;

  if (due || members->news || members->self->seen->len > 0)
    announce(members);
  else
    ask(members);
}

/* ---- the life of it ---- */

static void
on_left(AzlinOp *op, gpointer data)
{
  if (az_op_error(op) != NULL)
    g_info("others take over when the time of this watch is over: %s", az_op_error(op)->message);
}

static void
on_end(AzlinOp *op, gpointer data)
{
  AzWatchMembers *members = data;

  if (members->announced > 0)
    az_members_leave(members->watch->engine, members->self->name,
                     az_job_cleanup_op(members->watch->job, "leave", AZ_MEMBERS_MS, on_left, NULL));
}

void
az_watch_members_begin(AzWatch *watch)
{
  AzWatchMembers *members = watch->members;

  az_lookout_set_peers(watch->lookout, add_peers, members);
  az_op_new(watch->root, "member", 0, on_end, members); /* ends with its parent */
  members->news = TRUE;
  az_watch_share_rank(members);
  go_round(members);
}
