/* Takes the resources of one machine away, in the order that Azure wants, and only those that bear azlin's tag. */
#include "remove.h"
#include "arm.h"
#include "deployment.h"
#include <string.h>

#define MAX_ROUNDS 6
#define PAUSE_MS 3000

typedef struct {
  Azure *azure;
  AzlinOp *op;
  AzureNames *names;
  char *op_uuid, *deployment;
  gboolean deployment_expected;
  gboolean group;
  gboolean mine[AZURE_N_PIECES]; /* stands, and was seen to be ours */
  guint pending, round;
  GError *error; /* the first of this round */
  AzureRemoved done;
  gpointer data;
} Removal;

static void take_away(Removal *removal);
static void check_group(Removal *removal);
static void list_rest(Removal *removal);

static void
removal_end(Removal *removal, const GError *error)
{
  removal->done(error, removal->data);
  azure_names_free(removal->names);
  g_clear_error(&removal->error);
  g_free(removal->op_uuid);
  g_free(removal->deployment);
  g_free(removal);
}

/* ---- one piece ---- */

typedef struct {
  Removal *removal;
  AzurePiece piece;
  void (*then)(Removal *removal);
} Taking;

static void
taken(const ArmReply *reply, gpointer data)
{
  g_autofree Taking *taking = data;
  Removal *removal = taking->removal;
  if (!reply->error || reply->status == 404)
    removal->mine[taking->piece] = FALSE;
  else if (!removal->error)
    removal->error = g_error_copy(reply->error);
  if (--removal->pending == 0)
    taking->then(removal);
}

static void
take(Removal *removal, AzurePiece piece, void (*then)(Removal *removal))
{
  Taking *taking = g_new0(Taking, 1);
  *taking = (Taking){ removal, piece, then };
  const ArmCall call
      = { .method = "DELETE", .path = azure_piece_id(removal->names, piece), .version = azure_piece_version(piece) };
  arm_run(removal->azure, removal->op, &call, NULL, taken, taking);
}

/* ---- machine, then what hangs on it, then what that hangs on ---- */

static void
take_rest(Removal *removal)
{
  static const AzurePiece rest[] = { AZURE_ADDRESS, AZURE_RULES, AZURE_NETWORK, AZURE_DISK };
  removal->pending = 1; /* held until all were asked for */
  for (gsize i = 0; i < G_N_ELEMENTS(rest); i++)
    if (removal->mine[rest[i]] && !removal->error) {
      removal->pending++;
      take(removal, rest[i], list_rest);
    }
  if (--removal->pending == 0)
    list_rest(removal);
}

static void
take_nic(Removal *removal)
{
  if (!removal->mine[AZURE_NIC] || removal->error) {
    take_rest(removal);
    return;
  }
  removal->pending = 1;
  take(removal, AZURE_NIC, take_rest);
}

static void
take_away(Removal *removal)
{
  removal->round++;
  if (!removal->mine[AZURE_VM]) {
    take_nic(removal);
    return;
  }
  removal->pending = 1;
  take(removal, AZURE_VM, take_nic);
}

/* ---- what still stands: the group's list is a view of its own, and shows what a single read may still miss ---- */

static void
paused(AzlinOp *op, gpointer data)
{
  Removal *removal = data;
  const GError *error = removal->azure->api->op_error(op);
  if (error)
    removal_end(removal, error);
  else
    take_away(removal);
}

typedef struct {
  gboolean left, found, others; /* of ours; of ours and not known to stand; of anybody else's */
} Rest;

static Rest
note_rest(Removal *removal, const json_t *list)
{
  Rest rest = { FALSE, FALSE, FALSE };
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *item = json_array_get(list, i);
    gboolean ours = FALSE;
    for (guint piece = 0; piece < AZURE_N_PIECES && !ours; piece++) {
      ours = arm_same_id(arm_string(item, "id", ""), azure_piece_id(removal->names, (AzurePiece) piece))
             && azure_owner_of(item, removal->op_uuid) == AZURE_OURS;
      rest.found |= ours && !removal->mine[piece];
      removal->mine[piece] |= ours;
    }
    rest.left |= ours;
    rest.others |= !ours;
  }
  return rest;
}

static void
again(Removal *removal)
{
  const AzlinHostApi *api = removal->azure->api;
  g_clear_error(&removal->error);
  api->sleep(removal->azure->host, PAUSE_MS, api->op_new(removal->op, "wait", 0, paused, removal));
}

/* A piece that could not go because of one that a read had missed goes in the next round. */
static void
listed(const ArmReply *reply, gpointer data)
{
  Removal *removal = data;
  if (reply->error) { /* 404: the group went, and all with it */
    const GError *first = removal->error ? removal->error : reply->error;
    removal_end(removal, reply->status == 404 ? NULL : first);
    return;
  }
  Rest rest = note_rest(removal, reply->body);
  if (removal->round < MAX_ROUNDS && (removal->error ? rest.found : rest.left)) {
    again(removal);
    return;
  }
  if (rest.left && !removal->error)
    removal->error
        = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "Azure still lists resources of %s that it said it had deleted",
                      removal->names->vm_name);
  if (removal->group && !rest.others && !removal->error)
    check_group(removal);
  else
    removal_end(removal, removal->error);
}

static void
list_rest(Removal *removal)
{
  const char *vm = removal->names->vm;
  g_autofree char *path = g_strdup_printf("%.*s/resources", (int) (strstr(vm, "/providers/") - vm), vm);
  arm_list(removal->azure, removal->op, path, ARM_RESOURCES, listed, removal);
}

/* ---- the group ---- */

static void
group_gone(const ArmReply *reply, gpointer data)
{
  removal_end(data, reply->status == 404 ? NULL : reply->error);
}

static void
group_seen(const ArmReply *reply, gpointer data)
{
  Removal *removal = data;
  if (reply->error || azure_owner_of(reply->body, NULL) != AZURE_OURS) {
    removal_end(removal, reply->status == 404 ? NULL : reply->error);
    return;
  }
  const ArmCall call = { .method = "DELETE", .path = removal->names->group, .version = ARM_RESOURCES };
  arm_run(removal->azure, removal->op, &call, NULL, group_gone, removal);
}

static void
check_group(Removal *removal)
{
  const ArmCall call = { .method = "GET", .path = removal->names->group, .version = ARM_RESOURCES };
  arm_call(removal->azure, removal->op, &call, group_seen, removal);
}

/* ---- the beginning ---- */

static void
looked(const AzureSight *sight, gpointer data)
{
  Removal *removal = data;
  if (sight->error) {
    removal_end(removal, sight->error);
    return;
  }
  for (guint i = 0; i < AZURE_N_PIECES; i++)
    removal->mine[i] = sight->owner[i] == AZURE_OURS;
  take_away(removal);
}

static void
stopped(const json_t *deployment, const GError *error, gpointer data)
{
  Removal *removal = data;
  if (error)
    removal_end(removal, error);
  else
    azure_look(removal->azure, removal->op, removal->names, removal->op_uuid, looked, removal);
}

static void
settled(AzlinOp *op, gpointer data)
{
  Removal *removal = data;
  const GError *error = op ? removal->azure->api->op_error(op) : NULL;
  if (!error && removal->deployment)
    azure_deployment_stop(removal->azure, removal->op, removal->deployment, removal->deployment_expected, stopped,
                          removal);
  else
    stopped(NULL, error, removal);
}

void
azure_remove(Azure *azure, AzlinOp *op, const AzureRemoval *what, AzureRemoved done, gpointer data)
{
  Removal *removal = g_new0(Removal, 1);
  *removal = (Removal){ .azure = azure, .op = op, .group = what->group, .done = done, .data = data };
  removal->names = azure_names_from_vm_id(what->names->vm);
  removal->op_uuid = g_strdup(what->op_uuid);
  removal->deployment = g_strdup(what->deployment);
  removal->deployment_expected = what->deployment_expected;
  if (what->sight)
    looked(what->sight, removal);
  else if (what->settle_ms)
    azure->api->sleep(azure->host, what->settle_ms, azure->api->op_new(op, "settle", 0, settled, removal));
  else
    settled(NULL, removal);
}
