/* Looks at the resources of one machine: which of them stand, and whose they are. */
#include "pieces.h"
#include "arm.h"

typedef struct {
  Azure *azure;
  AzureSight sight;
  AzureNames *names;
  char *op_uuid;
  json_t *disk;
  guint left;
  AzureLooked done;
  gpointer data;
} Look;

typedef struct {
  Look *look;
  AzurePiece piece;
} Glance;

const char *
azure_piece_id(const AzureNames *names, AzurePiece piece)
{
  const char *const ids[AZURE_N_PIECES] = {
    [AZURE_VM] = names->vm,       [AZURE_NIC] = names->nic,         [AZURE_ADDRESS] = names->address,
    [AZURE_RULES] = names->rules, [AZURE_NETWORK] = names->network, [AZURE_DISK] = names->disk,
  };
  return ids[piece];
}

const char *
azure_piece_version(AzurePiece piece)
{
  if (piece == AZURE_VM)
    return ARM_COMPUTE;
  return piece == AZURE_DISK ? ARM_DISKS : ARM_NETWORK;
}

const char *
azure_piece_word(AzurePiece piece)
{
  static const char *const words[AZURE_N_PIECES] = {
    [AZURE_VM] = "machine",
    [AZURE_NIC] = "network interface",
    [AZURE_ADDRESS] = "public address",
    [AZURE_RULES] = "network security group",
    [AZURE_NETWORK] = "virtual network",
    [AZURE_DISK] = "disk",
  };
  return words[piece];
}

/* The dots in a path of arm_string() are steps; tags may hold dots, and these hold none. */
static const char *
tag(const json_t *resource, const char *name)
{
  const char *value = json_string_value(json_object_get(json_object_get(resource, "tags"), name));
  return value ? value : "";
}

AzureOwner
azure_owner_of(const json_t *resource, const char *op_uuid)
{
  if (!resource)
    return AZURE_ABSENT;
  if (g_ascii_strcasecmp(tag(resource, AZLIN_TAG_MANAGED), "true") != 0)
    return AZURE_FOREIGN;
  if (!op_uuid || g_ascii_strcasecmp(tag(resource, AZLIN_TAG_OP), op_uuid) == 0)
    return AZURE_OURS;
  return AZURE_OTHER_RUN;
}

char *
azure_making_of(const json_t *vm)
{
  return g_strdup_printf("%s %s", tag(vm, AZLIN_TAG_OP), tag(vm, AZLIN_TAG_CREATED));
}

void
azure_settle_disk(AzureSight *sight, const json_t *disk, const AzureNames *names)
{
  const char *of_vm = arm_string(sight->vm, "properties.storageProfile.osDisk.managedDisk.id", "");
  gboolean attached = arm_same_id(of_vm, names->disk) || arm_same_id(arm_string(disk, "managedBy", ""), names->vm);
  if (!disk || !sight->vm || !attached || sight->owner[AZURE_DISK] == AZURE_OURS)
    return;
  if (*tag(disk, AZLIN_TAG_MANAGED) == '\0')
    sight->owner[AZURE_DISK] = sight->owner[AZURE_VM];
}

static void
look_end(Look *look)
{
  azure_settle_disk(&look->sight, look->disk, look->names);
  look->done(&look->sight, look->data);
  for (guint i = 0; i < AZURE_N_PIECES; i++)
    g_free(look->sight.op[i]);
  json_decref(look->sight.vm);
  json_decref(look->disk);
  g_clear_error(&look->sight.error);
  azure_names_free(look->names);
  g_free(look->op_uuid);
  g_free(look);
}

static void
looked(const ArmReply *reply, gpointer data)
{
  g_autofree Glance *glance = data;
  Look *look = glance->look;
  AzureSight *sight = &look->sight;
  if (reply->status == 404) {
    sight->owner[glance->piece] = AZURE_ABSENT;
  } else if (reply->error || !json_is_object(reply->body)) {
    if (!sight->error)
      sight->error = reply->error
                         ? g_error_copy(reply->error)
                         : g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "Azure's answer about the %s is no JSON",
                                       azure_piece_word(glance->piece));
  } else {
    sight->owner[glance->piece] = azure_owner_of(reply->body, look->op_uuid);
    sight->op[glance->piece] = g_strdup(tag(reply->body, AZLIN_TAG_OP));
    if (glance->piece == AZURE_VM)
      sight->vm = json_deep_copy(reply->body);
    if (glance->piece == AZURE_DISK)
      look->disk = json_deep_copy(reply->body);
  }
  if (--look->left == 0)
    look_end(look);
}

void
azure_look(Azure *azure, AzlinOp *op, const AzureNames *names, const char *op_uuid, AzureLooked done, gpointer data)
{
  Look *look = g_new0(Look, 1);
  *look = (Look){ .azure = azure, .op_uuid = g_strdup(op_uuid), .left = AZURE_N_PIECES, .done = done, .data = data };
  look->names = azure_names_from_vm_id(names->vm);
  for (guint i = 0; i < AZURE_N_PIECES; i++) {
    Glance *glance = g_new0(Glance, 1);
    *glance = (Glance){ look, (AzurePiece) i };
    const ArmCall call = { .method = "GET",
                           .path = azure_piece_id(names, glance->piece),
                           .version = azure_piece_version(glance->piece) };
    arm_call(azure, op, &call, looked, glance);
  }
}
