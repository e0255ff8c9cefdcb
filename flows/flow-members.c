/* The daemons that watch together: their facts to JSON and back, their sights as evidence, and who is there. */
#include "flow-members.h"
#include "record.h"
#include "rendezvous.h"
#include <string.h>

#define VERSION 1
#define NAME_BYTES G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "._-"
#define MAX_NAME 64
#define MAX_BASE 56 /* what makes it unique has room behind it */
#define MAX_TEXT 200
#define MAX_REGION 90
#define DARK_FRESH_S 8.0 /* it says so more often than that as long as it works */

/* ---- one member ---- */

static void
sight_free(gpointer data)
{
  AzMemberSight *sight = data;

  g_free(sight->region);
  g_free(sight);
}

AzMember *
az_member_new(const char *name)
{
  AzMember *member = g_new0(AzMember, 1);

  member->name = g_strdup(name);
  member->key = az_rendezvous_key(name);
  member->vantage = g_strconcat("daemon ", name, NULL);
  member->seen = g_ptr_array_new_with_free_func(sight_free);
  return member;
}

void
az_member_free(AzMember *member)
{
  if (member == NULL)
    return;
  g_ptr_array_unref(member->seen);
  g_free(member->name);
  g_free(member->place);
  g_free(member->records);
  g_free(member->home);
  g_free(member->holds);
  g_free(member->vantage);
  g_free(member);
}

AzMemberSight *
az_member_add_sight(AzMember *member, const char *region)
{
  AzMemberSight *sight = g_new0(AzMemberSight, 1);

  *sight = (AzMemberSight){ .region = g_strdup(region), .alive_s = -1 };
  sight->seen = (AzlinVantage){ .size = sizeof sight->seen, .vantage = member->vantage };
  g_ptr_array_add(member->seen, sight);
  return sight;
}

const AzMemberSight *
az_member_sight(const AzMember *member, const char *region)
{
  for (guint i = 0; i < member->seen->len; i++) {
    const AzMemberSight *sight = g_ptr_array_index(member->seen, i);
    if (g_str_equal(sight->region, region))
      return sight;
  }
  return NULL;
}

char *
az_member_name(const char *text)
{
  char *name = g_strndup(text, MAX_BASE);

  return g_strcanon(name, NAME_BYTES, '-');
}

char *
az_member_records(const char *where)
{
  g_autofree char *path = g_path_is_absolute(where) ? g_canonicalize_filename(where, NULL) : NULL;
  g_autofree char *named = path != NULL ? g_strdup_printf("%s:%s", g_get_host_name(), path) : g_strdup(where);

  return g_strdup_printf("%016" G_GINT64_MODIFIER "x", az_rendezvous_key(named));
}

/* ---- to JSON ---- */

static void
add(GVariantBuilder *facts, const char *name, GVariant *value)
{
  g_variant_builder_add(facts, "{sv}", name, value);
}

static GVariant *
sight_value(const AzMemberSight *sight)
{
  GVariantBuilder facts;

  g_variant_builder_init(&facts, G_VARIANT_TYPE_VARDICT);
  add(&facts, "region", g_variant_new_string(sight->region));
  add(&facts, "state", g_variant_new_string(az_region_state_name(sight->state)));
  add(&facts, "was_up", g_variant_new_boolean(sight->seen.was_up));
  add(&facts, "self_check_ok", g_variant_new_boolean(sight->seen.self_check_ok));
  add(&facts, "refused", g_variant_new_boolean(sight->seen.refused));
  add(&facts, "dark_probes", g_variant_new_uint32(sight->seen.dark_probes));
  add(&facts, "dark_seconds", g_variant_new_double(sight->seen.dark_seconds));
  add(&facts, "alive_seconds", sight->alive_s < 0 ? az_null() : g_variant_new_double(sight->alive_s));
  return g_variant_builder_end(&facts);
}

static char *
print_with(const AzMember *member, guint sights)
{
  GVariantBuilder facts, seen;
  g_autofree char *since = az_time_to_string(member->since);

  g_variant_builder_init(&seen, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < sights; i++)
    g_variant_builder_add_value(&seen, sight_value(g_ptr_array_index(member->seen, i)));
  g_variant_builder_init(&facts, G_VARIANT_TYPE_VARDICT);
  add(&facts, "version", g_variant_new_uint32(VERSION));
  add(&facts, "place", az_variant_str(member->place));
  add(&facts, "records", az_variant_str(member->records));
  add(&facts, "home", az_variant_str(member->home));
  add(&facts, "held_by", az_variant_str(member->holds));
  add(&facts, "since", az_variant_str(since));
  add(&facts, "said", g_variant_new_uint64(member->said));
  add(&facts, "epoch", g_variant_new_uint64(member->epoch));
  add(&facts, "regions", g_variant_new_uint32(member->regions));
  add(&facts, "share", g_variant_new_uint32(member->share));
  add(&facts, "lag_seconds", g_variant_new_double(member->lag_s));
  add(&facts, "seen", g_variant_builder_end(&seen));
  return az_json_from_variant(g_variant_builder_end(&facts), 0);
}

char *
az_member_print(const AzMember *member)
{
  guint sights = MIN(member->seen->len, AZ_MEMBER_SIGHTS_MAX);
  char *text = print_with(member, sights);

  while (strlen(text) > AZLIN_FACTS_MAX && sights > 0) {
    g_free(text);
    sights /= 2;
    text = print_with(member, sights);
  }
  return text;
}

/* ---- from JSON ---- */

/* JSON does not tell whole numbers from others. */
static double
number_of(GVariant *facts, const char *name, double fallback)
{
  gint64 whole;
  double number;

  if (g_variant_lookup(facts, name, "x", &whole))
    return (double) whole;
  return g_variant_lookup(facts, name, "d", &number) ? number : fallback;
}

static guint64
count_of(GVariant *facts, const char *name)
{
  gint64 whole = 0;

  g_variant_lookup(facts, name, "x", &whole);
  return (guint64) MAX(whole, 0);
}

static gboolean
flag_of(GVariant *facts, const char *name)
{
  gboolean flag = FALSE;

  g_variant_lookup(facts, name, "b", &flag);
  return flag;
}

/* It goes to terminals and logs. */
static char *
text_of(GVariant *facts, const char *name)
{
  const char *text = NULL;

  if (!g_variant_lookup(facts, name, "&s", &text) || *text == '\0' || strlen(text) > MAX_TEXT)
    return NULL;
  for (const char *c = text; *c != '\0'; c++)
    if (!g_ascii_isprint(*c))
      return NULL;
  return g_strdup(text);
}

static AzRegionState
state_of(GVariant *facts)
{
  const char *word = "";

  g_variant_lookup(facts, "state", "&s", &word);
  for (int state = AZ_REGION_UP; state <= AZ_REGION_DARK; state++)
    if (g_str_equal(word, az_region_state_name((AzRegionState) state)))
      return (AzRegionState) state;
  return AZ_REGION_UNKNOWN;
}

static void
take_sight(AzMember *member, GVariant *facts)
{
  const char *region = NULL;

  if (!g_variant_is_of_type(facts, G_VARIANT_TYPE_VARDICT) || !g_variant_lookup(facts, "region", "&s", &region)
      || strlen(region) > MAX_REGION || az_member_sight(member, region) != NULL)
    return;
  AzMemberSight *sight = az_member_add_sight(member, region);
  sight->state = state_of(facts);
  sight->alive_s = number_of(facts, "alive_seconds", -1);
  sight->seen.was_up = flag_of(facts, "was_up");
  sight->seen.self_check_ok = flag_of(facts, "self_check_ok");
  sight->seen.refused = flag_of(facts, "refused");
  sight->seen.dark_probes = (guint32) MIN(count_of(facts, "dark_probes"), 1000000);
  sight->seen.dark_seconds = CLAMP(number_of(facts, "dark_seconds", 0), 0, 1e9);
}

static void
take_sights(AzMember *member, GVariant *facts)
{
  g_autoptr(GVariant) seen = g_variant_lookup_value(facts, "seen", G_VARIANT_TYPE("av"));
  gsize n = seen != NULL ? MIN(g_variant_n_children(seen), AZ_MEMBER_SIGHTS_MAX) : 0;

  for (gsize i = 0; i < n; i++) {
    g_autoptr(GVariant) one = az_variant_element(seen, i);
    take_sight(member, one);
  }
}

AzMember *
az_member_parse(const char *name, guint64 order, const char *text)
{
  const char *since = NULL;

  if (*name == '\0' || strlen(name) > MAX_NAME || name[strspn(name, NAME_BYTES)] != '\0'
      || strlen(text) > AZLIN_FACTS_MAX)
    return NULL;
  g_autoptr(GVariant) facts = az_json_parse(text, strlen(text), NULL);
  if (facts == NULL || !g_variant_is_of_type(facts, G_VARIANT_TYPE_VARDICT) || count_of(facts, "version") != VERSION)
    return NULL;
  g_autoptr(AzMember) member = az_member_new(name);
  member->order = order;
  member->place = text_of(facts, "place");
  member->records = text_of(facts, "records");
  member->home = text_of(facts, "home");
  member->holds = text_of(facts, "held_by");
  g_variant_lookup(facts, "since", "&s", &since);
  member->since = since != NULL ? az_time_from_string(since) : 0;
  member->said = count_of(facts, "said");
  member->epoch = count_of(facts, "epoch");
  member->regions = (guint) MIN(count_of(facts, "regions"), G_MAXINT);
  member->share = (guint) MIN(count_of(facts, "share"), G_MAXINT);
  member->lag_s = CLAMP(number_of(facts, "lag_seconds", 0), 0, 1e9);
  take_sights(member, facts);
  return member->place != NULL && member->records != NULL ? g_steal_pointer(&member) : NULL;
}

/* ---- as evidence ---- */

gboolean
az_member_sees_life(const AzMember *member, const char *region, double age_s, double span_s)
{
  const AzMemberSight *sight = az_member_sight(member, region);

  return sight != NULL && sight->alive_s >= 0 && sight->alive_s + age_s < span_s;
}

gboolean
az_member_vantage(const AzMember *member, const char *region, double age_s, double span_s, AzlinVantage *ret_seen)
{
  const AzMemberSight *sight = az_member_sight(member, region);

  if (sight == NULL)
    return FALSE;
  *ret_seen = sight->seen;
  ret_seen->fresh_success = az_member_sees_life(member, region, age_s, span_s);
  return ret_seen->fresh_success || (sight->seen.dark_probes > 0 && age_s <= DARK_FRESH_S);
}

/* ---- the coordinator ---- */

static const AzlinCoordinator *
coordinator(AzEngine *engine, gpointer *ret_self, GError **error)
{
  return az_engine_lookup(engine, AZLIN_KIND_COORDINATOR, NULL, ret_self, error);
}

gboolean
az_members_known(AzEngine *engine)
{
  gpointer self = NULL;
  const AzlinCoordinator *brick = coordinator(engine, &self, NULL);

  return brick != NULL && brick->announce != NULL && brick->members != NULL && brick->leave != NULL;
}

/* The brick for `op`, or NULL when that has been failed. */
static const AzlinCoordinator *
require(AzEngine *engine, gpointer *ret_self, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  const AzlinCoordinator *brick = coordinator(engine, ret_self, &error);

  if (brick != NULL && az_members_known(engine))
    return brick;
  if (error == NULL)
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, "this coordinator cannot say who is there");
  az_op_fail(op, g_steal_pointer(&error));
  return NULL;
}

void
az_members_announce(AzEngine *engine, const AzMember *self, guint32 ttl_s, AzlinOp *op)
{
  gpointer brick_self = NULL;
  const AzlinCoordinator *brick = require(engine, &brick_self, op);
  g_autofree char *facts = az_member_print(self);

  if (brick != NULL)
    brick->announce(brick_self, self->name, facts, ttl_s, az_op_expect(op, "t"));
}

void
az_members_ask(AzEngine *engine, AzlinOp *op)
{
  gpointer self = NULL;
  const AzlinCoordinator *brick = require(engine, &self, op);

  if (brick != NULL)
    brick->members(self, az_op_expect(op, "a(sts)"));
}

void
az_members_leave(AzEngine *engine, const char *name, AzlinOp *op)
{
  gpointer self = NULL;
  const AzlinCoordinator *brick = require(engine, &self, op);

  if (brick != NULL)
    brick->leave(self, name, op);
}

static int
compare_order(gconstpointer a, gconstpointer b)
{
  const AzMember *left = *(const AzMember *const *) a, *right = *(const AzMember *const *) b;

  return left->order != right->order ? (left->order > right->order ? 1 : -1) : strcmp(left->name, right->name);
}

GPtrArray *
az_members_of(AzlinOp *op)
{
  GPtrArray *members = g_ptr_array_new_with_free_func((GDestroyNotify) az_member_free);
  GVariantIter iter;
  const char *name, *facts;
  guint64 order;

  g_variant_iter_init(&iter, az_op_variant(op));
  while (g_variant_iter_next(&iter, "(&st&s)", &name, &order, &facts)) {
    AzMember *member = az_member_parse(name, order, facts);
    if (member != NULL)
      g_ptr_array_add(members, member);
  }
  g_ptr_array_sort(members, compare_order);
  if (members->len > AZ_MEMBERS_MAX)
    g_ptr_array_set_size(members, AZ_MEMBERS_MAX);
  return members;
}
