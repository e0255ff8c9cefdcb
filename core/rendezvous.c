/* Rendezvous hashing: the weight of a member for a thing, and the ranking that follows from it. */
#include "rendezvous.h"
#include <string.h>

guint64
az_rendezvous_key(const char *name)
{
  guint64 key = 0;
  guint8 digest[32];
  gsize length = sizeof digest;
  g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);

  g_checksum_update(checksum, (const guchar *) name, (gssize) strlen(name));
  g_checksum_get_digest(checksum, digest, &length);
  for (guint i = 0; i < sizeof key; i++) /* the same on every machine */
    key = key << 8 | digest[i];
  return key;
}

/* The finalizer of splitmix64: each bit of the two keys changes half of the weight. Ten thousand digests for each
 * member would hold up the main loop. */
static guint64
weight_of(guint64 member, guint64 thing)
{
  guint64 x = member ^ (thing * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15));

  x = (x ^ (x >> 30)) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

static gboolean
comes_before(const AzRendezvousMember *left, const AzRendezvousMember *right, guint64 thing)
{
  guint64 a = weight_of(left->key, thing), b = weight_of(right->key, thing);

  return a != b ? a > b : strcmp(left->name, right->name) < 0;
}

guint
az_rendezvous_place(const AzRendezvousMember *members, guint n, guint which, guint64 thing)
{
  guint place = 0;

  for (guint i = 0; i < n; i++)
    place += i != which && comes_before(&members[i], &members[which], thing) ? 1 : 0;
  return place;
}

guint
az_rendezvous_owner(const AzRendezvousMember *members, guint n, guint64 thing)
{
  guint owner = 0;

  for (guint i = 1; i < n; i++)
    if (comes_before(&members[i], &members[owner], thing))
      owner = i;
  return owner;
}
