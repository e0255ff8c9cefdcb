/* Rendezvous hashing: shares are equal, only what must move moves, and all members come to the same answer. */
#include "rendezvous.h"

#define REGIONS 10000u

static guint64 *
regions_new(void)
{
  guint64 *keys = g_new(guint64, REGIONS);
  for (guint i = 0; i < REGIONS; i++) {
    g_autofree char *name = g_strdup_printf("region-%05u", i);
    keys[i] = az_rendezvous_key(name);
  }
  return keys;
}

static AzRendezvousMember
member(const char *name)
{
  return (AzRendezvousMember){ name, az_rendezvous_key(name) };
}

static void
count_shares(const AzRendezvousMember *members, guint n, const guint64 *regions, guint *ret_shares)
{
  for (guint i = 0; i < REGIONS; i++)
    ret_shares[az_rendezvous_owner(members, n, regions[i])]++;
}

/* Names as hosts have them differ in one letter: their shares must not. */
static void
test_balance(void)
{
  g_autofree guint64 *regions = regions_new();
  const AzRendezvousMember members[] = { member("azlin-1"), member("azlin-2"), member("azlin-3") };
  for (guint places = 1; places <= G_N_ELEMENTS(members); places++) {
    guint shares[G_N_ELEMENTS(members)] = { 0 }, least = REGIONS, most = 0;
    count_shares(members, places, regions, shares);
    for (guint i = 0; i < places; i++) {
      least = MIN(least, shares[i]);
      most = MAX(most, shares[i]);
    }
    g_test_message("%u members: %u to %u regions", places, least, most);
    g_assert_cmpuint(most - least, <=, most / 10);
  }
}

/* Also those who take over what a member had share it alike. */
static void
test_movement(void)
{
  g_autofree guint64 *regions = regions_new();
  const AzRendezvousMember all[] = { member("a"), member("b"), member("c"), member("d") };
  const AzRendezvousMember rest[] = { all[0], all[1], all[3] };
  guint moved = 0, heirs[G_N_ELEMENTS(rest)] = { 0 };
  for (guint i = 0; i < REGIONS; i++) {
    guint before = az_rendezvous_owner(all, G_N_ELEMENTS(all), regions[i]);
    guint after = az_rendezvous_owner(rest, G_N_ELEMENTS(rest), regions[i]);
    if (before != 2) {
      g_assert_cmpstr(all[before].name, ==, rest[after].name);
      continue;
    }
    g_assert_cmpuint(az_rendezvous_place(all, G_N_ELEMENTS(all), after < 2 ? after : 3, regions[i]), ==, 1);
    moved++;
    heirs[after]++;
  }
  for (guint i = 0; i < G_N_ELEMENTS(heirs); i++) {
    g_assert_cmpuint(heirs[i], >, moved * 27 / 100);
    g_assert_cmpuint(heirs[i], <, moved * 40 / 100);
  }
}

/* The order in which a coordinator lists them must not matter, and nobody stands twice in a ranking. */
static void
test_agreement(void)
{
  g_autofree guint64 *regions = regions_new();
  const AzRendezvousMember one[] = { member("a"), member("b"), member("c") }, other[] = { one[2], one[0], one[1] };
  for (guint i = 0; i < REGIONS; i++) {
    guint seen = 0;
    for (guint k = 0; k < 3; k++) {
      guint place = az_rendezvous_place(one, 3, k, regions[i]);
      g_assert_cmpuint(place, ==, az_rendezvous_place(other, 3, (k + 1) % 3, regions[i]));
      seen |= 1u << place;
    }
    g_assert_cmpuint(seen, ==, 7);
    g_assert_cmpstr(one[az_rendezvous_owner(one, 3, regions[i])].name, ==,
                    other[az_rendezvous_owner(other, 3, regions[i])].name);
  }
}

/* Whoever runs another version must come to the same shares: what these names gave once stands for ever. */
static void
test_same_for_ever(void)
{
  const AzRendezvousMember members[] = { member("azlin-1"), member("azlin-2"), member("azlin-3") };
  static const char *const names[] = { "eastus", "westus2", "westeurope", "southeastasia", "uksouth", "japaneast" };
  GString *owners = g_string_new(NULL);
  g_assert_cmphex(az_rendezvous_key("abc"), ==, G_GUINT64_CONSTANT(0xba7816bf8f01cfea));
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    g_string_append_printf(owners, "%u", az_rendezvous_owner(members, 3, az_rendezvous_key(names[i])));
  g_assert_cmpstr(owners->str, ==, "221111");
  g_string_free(owners, TRUE);
}

static void
test_ties(void)
{
  const AzRendezvousMember members[] = { { "b", 7 }, { "a", 7 }, { "c", 7 } };
  g_assert_cmpuint(az_rendezvous_owner(members, 3, 99), ==, 1);
  g_assert_cmpuint(az_rendezvous_place(members, 3, 1, 99), ==, 0);
  g_assert_cmpuint(az_rendezvous_place(members, 3, 0, 99), ==, 1);
  g_assert_cmpuint(az_rendezvous_place(members, 3, 2, 99), ==, 2);
  g_assert_cmpuint(az_rendezvous_owner(members, 1, 99), ==, 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/rendezvous/balance", test_balance);
  g_test_add_func("/rendezvous/movement", test_movement);
  g_test_add_func("/rendezvous/agreement", test_agreement);
  g_test_add_func("/rendezvous/same-for-ever", test_same_for_ever);
  g_test_add_func("/rendezvous/ties", test_ties);
  return g_test_run();
}
