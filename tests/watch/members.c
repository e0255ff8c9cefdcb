/* What watches tell each other: to JSON and back, whatever stands there; what it is worth as evidence; who judges. */
#include "flow-members.h"
#include "flow-status-daemons.h"
#include <string.h>

static AzMember *
member_new(const char *name, guint64 order)
{
  AzMember *member = az_member_new(name);
  member->place = g_strdup("office");
  member->records = g_strdup("0123456789abcdef");
  member->home = g_strdup("fedcba9876543210");
  member->order = order;
  member->since = G_GINT64_CONSTANT(1764000000) * G_USEC_PER_SEC;
  member->said = 7;
  member->epoch = 3;
  member->regions = 10000;
  member->share = 3333;
  member->lag_s = 1.5;
  return member;
}

static AzMemberSight *
add_dark(AzMember *member, const char *region)
{
  AzMemberSight *sight = az_member_add_sight(member, region);
  sight->state = AZ_REGION_DARK;
  sight->seen.was_up = sight->seen.self_check_ok = TRUE;
  sight->seen.dark_probes = 9;
  sight->seen.dark_seconds = 40.5;
  return sight;
}

static AzMember *
again(const AzMember *member)
{
  g_autofree char *text = az_member_print(member);
  AzMember *read = az_member_parse(member->name, member->order, text);
  g_assert_nonnull(read);
  return read;
}

static void
test_round_trip(void)
{
  g_autoptr(AzMember) member = member_new("host-1", 42);
  add_dark(member, "eastus");
  az_member_add_sight(member, "westus2")->alive_s = 2;
  member->holds = g_strdup("paused");
  g_autoptr(AzMember) read = again(member);
  g_assert_cmpstr(read->name, ==, "host-1");
  g_assert_cmpstr(read->place, ==, "office");
  g_assert_cmpstr(read->records, ==, member->records);
  g_assert_cmpstr(read->home, ==, member->home);
  g_assert_cmpstr(read->holds, ==, "paused");
  g_assert_cmpstr(read->vantage, ==, "daemon host-1");
  g_assert_cmpuint(read->order, ==, 42);
  g_assert_cmpint(read->since, ==, member->since);
  g_assert_cmpuint(read->said, ==, 7);
  g_assert_cmpuint(read->epoch, ==, 3);
  g_assert_cmpuint(read->regions, ==, 10000);
  g_assert_cmpuint(read->share, ==, 3333);
  g_assert_cmpfloat(read->lag_s, ==, 1.5);
  g_assert_cmpuint(read->seen->len, ==, 2);
  const AzMemberSight *dark = az_member_sight(read, "eastus"), *alive = az_member_sight(read, "westus2");
  g_assert_cmpint(dark->state, ==, AZ_REGION_DARK);
  g_assert_true(dark->seen.was_up && dark->seen.self_check_ok && !dark->seen.refused);
  g_assert_cmpuint(dark->seen.dark_probes, ==, 9);
  g_assert_cmpfloat(dark->seen.dark_seconds, ==, 40.5);
  g_assert_cmpfloat(dark->alive_s, <, 0);
  g_assert_cmpfloat(alive->alive_s, ==, 2);
}

/* Regions with names that are long in JSON: it says less, and never more than fits. */
static void
test_it_fits(void)
{
  g_autoptr(AzMember) member = member_new("host-1", 1);
  for (guint i = 0; i < 40; i++) {
    g_autofree char *odd = g_strnfill(80, '\001'), *region = g_strdup_printf("%s%u", odd, i);
    add_dark(member, region)->seen.dark_seconds = 1234567.890123;
  }
  g_autofree char *text = az_member_print(member);
  g_assert_cmpuint(strlen(text), <=, AZLIN_FACTS_MAX);
  g_autoptr(AzMember) read = again(member);
  g_assert_cmpuint(read->seen->len, >=, 10);
  g_assert_cmpuint(read->seen->len, <=, AZ_MEMBER_SIGHTS_MAX);
}

/* What others wrote may be anything. */
static void
test_nonsense(void)
{
  static const char *const wrong[] = {
    "",
    "null",
    "[]",
    "{",
    "{\"version\":2,\"place\":\"p\",\"records\":\"r\"}",
    "{\"version\":1,\"records\":\"r\"}",
    "{\"version\":1,\"place\":\"p\"}",
    "{\"version\":1,\"place\":\"p\\u001b[2J\",\"records\":\"r\"}",
    "{\"version\":\"1\",\"place\":\"p\",\"records\":\"r\"}",
  };
  static const char *const names[] = { "", "a b", "a/b", "\xc3\xa9", "a\n" };
  const char *fine = "{\"version\":1,\"place\":\"p\",\"records\":\"r\",\"seen\":[1,{\"region\":5},{\"region\":\"x\","
                     "\"dark_probes\":-5,\"dark_seconds\":1e300,\"alive_seconds\":\"soon\",\"state\":\"lost\"},"
                     "{\"region\":\"x\",\"dark_probes\":3}],\"since\":\"yesterday\",\"share\":-1,\"lag_seconds\":-7}";
  for (guint i = 0; i < G_N_ELEMENTS(wrong); i++)
    g_assert_null(az_member_parse("a", 1, wrong[i]));
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    g_assert_null(az_member_parse(names[i], 1, fine));
  g_autofree char *deep = g_strnfill(4000, '[');
  g_assert_null(az_member_parse("a", 1, deep));
  g_autoptr(AzMember) read = az_member_parse("a", 1, fine);
  g_assert_nonnull(read);
  g_assert_cmpuint(read->seen->len, ==, 1);
  const AzMemberSight *sight = az_member_sight(read, "x");
  g_assert_cmpuint(sight->seen.dark_probes, ==, 0);
  g_assert_cmpfloat(sight->seen.dark_seconds, <=, 1e9);
  g_assert_cmpfloat(sight->alive_s, <, 0);
  g_assert_cmpint(sight->state, ==, AZ_REGION_UNKNOWN);
  g_assert_cmpuint(read->share, ==, 0);
  g_assert_cmpfloat(read->lag_s, ==, 0);
  g_assert_cmpint(read->since, ==, 0);
}

/* Life vetoes for as long as darkness must last; darkness counts while it is fresh. */
static void
test_evidence(void)
{
  g_autoptr(AzMember) member = member_new("host-1", 1);
  AzlinVantage seen;
  g_assert_false(az_member_vantage(member, "eastus", 0, 28, &seen));
  add_dark(member, "eastus");
  AzMemberSight *alive = add_dark(member, "westus2");
  alive->alive_s = 3;
  g_assert_true(az_member_vantage(member, "eastus", 1, 28, &seen));
  g_assert_cmpstr(seen.vantage, ==, "daemon host-1");
  g_assert_false(seen.fresh_success);
  g_assert_cmpuint(seen.dark_probes, ==, 9);
  g_assert_false(az_member_vantage(member, "eastus", 9, 28, &seen));
  g_assert_false(az_member_sees_life(member, "eastus", 0, 28));
  g_assert_true(az_member_vantage(member, "westus2", 20, 28, &seen) && seen.fresh_success);
  g_assert_false(az_member_sees_life(member, "westus2", 26, 28));
  g_assert_true(az_member_vantage(member, "westus2", 1, 28, &seen) && seen.fresh_success);
  g_assert_false(az_member_vantage(member, "westus2", 26, 28, &seen));
}

static gboolean
is_judge(GVariant *daemons, guint i)
{
  gboolean judge = FALSE;
  g_autoptr(GVariant) box = g_variant_get_child_value(daemons, i), one = g_variant_get_variant(box);
  g_assert_true(g_variant_lookup(one, "judges_primary", "b", &judge));
  return judge;
}

/* One of those that share the records judges, whoever else is there. */
static void
test_judge(void)
{
  g_autoptr(GPtrArray) members = g_ptr_array_new_with_free_func((GDestroyNotify) az_member_free);
  static const char *const names[] = { "azlin-1", "azlin-2", "azlin-3", "other" };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    g_ptr_array_add(members, member_new(names[i], i + 1));
  AzMember *other = g_ptr_array_index(members, 3);
  g_free(other->records);
  other->records = g_strdup("others");
  g_autoptr(GVariant) daemons = g_variant_ref_sink(az_status_daemons(members, "westeurope", "nowhere"));
  g_assert_cmpuint(g_variant_n_children(daemons), ==, 4);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpint(is_judge(daemons, i), ==, i == 1 || i == 3);
  g_autoptr(GVariant) none = g_variant_ref_sink(az_status_daemons(members, "", "nowhere"));
  for (guint i = 0; i < 4; i++)
    g_assert_false(is_judge(none, i));
}

static void
test_names(void)
{
  g_autofree char *name = az_member_name("Host of \xc3\xa9 / 1"), *here = az_member_records("/x/../home"),
                  *same = az_member_records("/home"), *there = az_member_records("etcd /azlin/"),
                  *other = az_member_records("/home2");
  g_assert_cmpstr(name, ==, "Host-of------1");
  g_assert_cmpstr(here, ==, same);
  g_assert_cmpstr(here, !=, other);
  g_assert_cmpstr(there, !=, here);
  g_assert_cmpuint(strlen(there), ==, 16);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/members/round-trip", test_round_trip);
  g_test_add_func("/members/it-fits", test_it_fits);
  g_test_add_func("/members/nonsense", test_nonsense);
  g_test_add_func("/members/evidence", test_evidence);
  g_test_add_func("/members/judge", test_judge);
  g_test_add_func("/members/names", test_names);
  return g_test_run();
}
