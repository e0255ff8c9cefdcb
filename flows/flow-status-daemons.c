/* The part of status about the watches that share the regions: each with its share, and who judges the primary. */
#include "flow-status-daemons.h"
#include "flow-members.h"
#include "record.h"
#include "rendezvous.h"

/* Of those with the same records: the one that has the primary. */
static gboolean
is_judge(const GPtrArray *members, const AzMember *member, const char *primary)
{
  g_autoptr(GArray) equals = g_array_new(FALSE, FALSE, sizeof(AzRendezvousMember));
  guint which = 0;

  for (guint i = 0; i < members->len; i++) {
    const AzMember *other = g_ptr_array_index(members, i);
    AzRendezvousMember one = { other->name, other->key };
    if (!g_str_equal(other->records, member->records))
      continue;
    if (other == member)
      which = equals->len;
    g_array_append_val(equals, one);
  }
  return az_rendezvous_owner((const AzRendezvousMember *) (gpointer) equals->data, equals->len,
                             az_rendezvous_key(primary))
         == which;
}

static GVariant *
daemon_value(const GPtrArray *members, const AzMember *member, const char *primary, const char *home)
{
  GVariantDict facts;
  g_autofree char *since = az_time_to_string(member->since);

  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "name", "s", member->name);
  g_variant_dict_insert(&facts, "place", "s", member->place);
  g_variant_dict_insert_value(&facts, "since", az_variant_str(since));
  g_variant_dict_insert(&facts, "regions", "u", member->regions);
  g_variant_dict_insert(&facts, "share", "u", member->share);
  g_variant_dict_insert(&facts, "lag_seconds", "d", member->lag_s);
  g_variant_dict_insert(&facts, "epoch", "t", member->epoch);
  g_variant_dict_insert_value(&facts, "held_by", az_variant_str(member->holds));
  g_variant_dict_insert(&facts, "judges_primary", "b", *primary != '\0' && is_judge(members, member, primary));
  g_variant_dict_insert(&facts, "is_here", "b", g_strcmp0(member->home, home) == 0);
  return g_variant_dict_end(&facts);
}

GVariant *
az_status_daemons(const GPtrArray *members, const char *primary, const char *home)
{
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("av"));
  for (guint i = 0; i < members->len; i++)
    g_variant_builder_add(&list, "v", daemon_value(members, g_ptr_array_index(members, i), primary, home));
  return g_variant_builder_end(&list);
}
