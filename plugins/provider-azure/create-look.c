/* vm_create in a group that exists: what stands there decides whether a machine is adopted, waited for or made. */
#include "creation.h"
#include "deployment.h"

static const char *
vm_state(const AzureSight *sight)
{
  return arm_string(sight->vm, "properties.provisioningState", "");
}

static GError *
foreign_error(const Creation *creation, AzurePiece piece)
{
  GError *error = g_error_new(
      AZLIN_ERROR, AZLIN_ERROR_EXISTS,
      "the %s of the name %s in %s was not made by azlin (no tag " AZLIN_TAG_MANAGED "); nothing was changed",
      azure_piece_word(piece), strrchr(azure_piece_id(creation->blueprint->names, piece), '/') + 1,
      creation->blueprint->resource_group);
  creation->azure->api->error_add_step(error, "Choose another name with --vm-name");
  return error;
}

static GError *
find_foreign(const Creation *creation, const AzureSight *sight)
{
  for (guint i = 0; i < AZURE_N_PIECES; i++)
    if (sight->owner[i] == AZURE_FOREIGN)
      return foreign_error(creation, (AzurePiece) i);
  return NULL;
}

static GError *
find_elsewhere(const Creation *creation, const AzureSight *sight)
{
  const char *location = arm_string(sight->vm, "location", "");
  g_auto(GStrv) words = g_strsplit(location, " ", -1);
  g_autofree char *joined = g_strjoinv("", words);
  if (!sight->vm || g_ascii_strcasecmp(joined, creation->blueprint->region) == 0)
    return NULL;
  return g_error_new(AZLIN_ERROR, AZLIN_ERROR_EXISTS, "the machine %s stands already, in %s and not in %s",
                     creation->blueprint->vm_name, location, creation->blueprint->region);
}

/* What a run before left is finished under its own uuid, so that undoing this one leaves nothing of either. */
static void
take_over(Creation *creation, const AzureSight *sight)
{
  g_clear_pointer(&creation->uuid_taken_over, g_free);
  for (guint i = 0; i < AZURE_N_PIECES && !creation->uuid_taken_over; i++)
    if (sight->op[i] && *sight->op[i])
      creation->uuid_taken_over = g_strdup(sight->op[i]);
}

static void
looked(const AzureSight *sight, gpointer data)
{
  Creation *creation = data;
  GError *error = sight->error ? g_error_copy(sight->error) : find_foreign(creation, sight);
  if (!error)
    error = find_elsewhere(creation, sight);
  if (error) {
    creation_fail(creation, error);
    return;
  }
  if (!creation_goes_on(creation, NULL))
    return;
  take_over(creation, sight);
  creation->vm_stands = sight->vm != NULL;
  if (sight->vm && g_ascii_strcasecmp(vm_state(sight), "Succeeded") == 0)
    creation_adopt(creation);
  else if (sight->vm && !azure_state_is_final(vm_state(sight)))
    creation_later(creation, creation_look_around); /* it is being made, changed or deleted by somebody else */
  else
    creation_start(creation);
}

void
creation_look_around(Creation *creation)
{
  azure_look(creation->azure, creation->op, creation->blueprint->names, NULL, looked, creation);
}
