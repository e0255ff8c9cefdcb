/* What an image word means: an alias as `az vm create` knows it, publisher:offer:sku:version, or a resource id. */
#include "image.h"
#include "arm.h"
#include <string.h>

typedef struct {
  const char *alias, *publisher, *offer, *sku;
} Alias;

static const Alias aliases[] = {
  { "Ubuntu2404", "Canonical", "ubuntu-24_04-lts", "server" },
  { "Ubuntu2404Pro", "Canonical", "ubuntu-24_04-lts", "ubuntu-pro" },
  { "Ubuntu2204", "Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2" },
  { "Ubuntu2004", "Canonical", "0001-com-ubuntu-server-focal", "20_04-lts-gen2" },
  { "Debian12", "Debian", "debian-12", "12-gen2" },
  { "Debian11", "Debian", "debian-11", "11-backports-gen2" },
  { "RHELRaw8LVMGen2", "RedHat", "RHEL", "8-lvm-gen2" },
  { "SuseSles15SP5", "SUSE", "sles-15-sp5", "gen2" },
  { "OpenSuseLeap154Gen2", "SUSE", "openSUSE-leap-15-4", "gen2" },
  { "FlatcarLinuxFreeGen2", "kinvolk", "flatcar-container-linux-free", "stable-gen2" },
};

static json_t *
from_alias(const char *word)
{
  for (gsize i = 0; i < G_N_ELEMENTS(aliases); i++)
    if (g_ascii_strcasecmp(aliases[i].alias, word) == 0)
      return json_pack("{s:s, s:s, s:s, s:s}", "publisher", aliases[i].publisher, "offer", aliases[i].offer, "sku",
                       aliases[i].sku, "version", "latest");
  return NULL;
}

static gboolean
is_urn_part(const char *part)
{
  return *part && part[strspn(part, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-")] == '\0';
}

static json_t *
from_urn(const char *word)
{
  g_auto(GStrv) parts = g_strsplit(word, ":", 5);
  if (g_strv_length(parts) != 4)
    return NULL;
  for (gsize i = 0; parts[i]; i++)
    if (!is_urn_part(parts[i]))
      return NULL;
  return json_pack("{s:s, s:s, s:s, s:s}", "publisher", parts[0], "offer", parts[1], "sku", parts[2], "version",
                   parts[3]);
}

static json_t *
from_id(const char *word)
{
  static const struct {
    const char *prefix, *key;
  } kinds[] = {
    { "/subscriptions/", "id" },
    { "/CommunityGalleries/", "communityGalleryImageId" },
    { "/SharedGalleries/", "sharedGalleryImageId" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
    if (g_ascii_strncasecmp(word, kinds[i].prefix, strlen(kinds[i].prefix)) == 0 && arm_id_is_sane(word))
      return json_pack("{s:s}", kinds[i].key, word);
  return NULL;
}

json_t *
azure_image_reference(const char *word, GError **error)
{
  json_t *reference = NULL;
  if (word && *word == '/')
    reference = from_id(word);
  else if (word && strchr(word, ':'))
    reference = from_urn(word);
  else if (word)
    reference = from_alias(word);
  if (!reference)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
                "The image '%s' is no alias that azlin knows (Ubuntu2404, Ubuntu2204, Debian12, ...), no "
                "publisher:offer:sku:version and no image id",
                word ? word : "");
  return reference;
}
