/* vm_create: the group, an intent in the journal before the first write, and undoing when it fails or is cancelled. */
#include "creation.h"
#include "option.h"
#include "deployment.h"
#include "remove.h"

#define UNDO_MS (20 * 60 * 1000)
#define SETTLE_MS 5000

/* ---- the end ---- */

void
creation_free(Creation *creation)
{
  azure_blueprint_free(creation->blueprint);
  g_clear_error(&creation->error);
  g_clear_error(&creation->stage_error);
  g_free(creation->uuid_taken_over);
  g_free(creation->address);
  g_free(creation->host_key);
  g_free(creation->guest_trouble);
  g_clear_pointer(&creation->adopted, creation->azure->api->vm_free);
  g_free(creation);
}

static void
fail_now(Creation *creation)
{
  if (!creation->cut)
    creation->azure->api->op_fail(creation->op, g_steal_pointer(&creation->error));
  creation_free(creation);
}

/* The op of the undoing may end first, by its deadline; the removal then still calls back. */
static void
undo_ended(AzlinOp *op, gpointer data)
{
  Creation *creation = data;
  creation->undo_over = TRUE;
  if (creation->undone)
    fail_now(creation);
}

static void
undone(const GError *error, gpointer data)
{
  Creation *creation = data;
  const AzlinHostApi *api = creation->azure->api;
  creation->undone = TRUE;
  if (!error) {
    api->journal_done(creation->azure->host, creation->intent);
  } else {
    api->log(creation->azure->host, G_LOG_LEVEL_WARNING, "What was begun of %s could not be taken away: %s",
             creation->blueprint->vm_name, error->message);
    api->error_add_step(creation->error, "Take away what was begun: azlin recover");
  }
  if (creation->undo_over)
    fail_now(creation);
  else
    api->op_finish(creation->undo);
}

static void
note_undoing(Creation *creation)
{
  GVariantDict facts;
  g_autoptr(GError) unwritten = NULL;
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "undoing", "b", TRUE);
  if (!creation->azure->api->journal_update(creation->azure->host, creation->intent, g_variant_dict_end(&facts),
                                            &unwritten))
    creation->azure->api->log(creation->azure->host, G_LOG_LEVEL_WARNING, "%s", unwritten->message);
}

static AzlinOp *
undo_op(Creation *creation)
{
  return creation->azure->api->op_new_detached(creation->op, "take away what was begun", UNDO_MS, undo_ended, creation);
}

void
creation_fail(Creation *creation, GError *error)
{
  const AzureNames *names = creation->blueprint->names;
  gboolean running = creation->deployment_sent && !creation->deployment_over;
  gboolean unclear = g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NETWORK)
                     || g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
  creation->error = error;
  if (!creation->journalled) {
    fail_now(creation);
    return;
  }
  if (!creation->undo)
    creation->undo = undo_op(creation);
  note_undoing(creation);
  const AzureRemoval removal = { .names = names,
                                 .op_uuid = creation->blueprint->op,
                                 .deployment = running ? names->deployment : NULL,
                                 .deployment_expected = TRUE,
                                 .settle_ms = creation->cut || unclear ? SETTLE_MS : 0,
                                 .group = creation->group_is_new };
  azure_remove(creation->azure, creation->undo, &removal, undone, creation);
}

/* Here the tree still stands and can be left; the request under way then brings the creation to creation_fail(). */
static void
cut(gpointer data)
{
  Creation *creation = data;
  creation->cut = TRUE;
  if (creation->journalled && !creation->undo)
    creation->undo = undo_op(creation);
}

/* ---- steps ---- */

gboolean
creation_goes_on(Creation *creation, const ArmReply *reply)
{
  if (reply && reply->error) {
    creation_fail(creation, g_error_copy(reply->error));
    return FALSE;
  }
  if (!creation->cut)
    return TRUE;
  creation_fail(creation, g_error_new(AZLIN_ERROR, AZLIN_ERROR_CANCELLED, "the creation of %s was cancelled",
                                      creation->blueprint->vm_name));
  return FALSE;
}

static gboolean
note_step(Creation *creation, const char *step, GError **error)
{
  const AzlinHostApi *api = creation->azure->api;
  GVariantDict facts;
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "step", "s", step);
  g_variant_dict_insert(&facts, "at", "x", api->now(creation->azure->host));
  return api->journal_update(creation->azure->host, creation->intent, g_variant_dict_end(&facts), error);
}

gboolean
creation_step(Creation *creation, const char *step)
{
  GError *error = NULL;
  if (!creation_goes_on(creation, NULL))
    return FALSE;
  if (note_step(creation, step, &error))
    return TRUE;
  creation_fail(creation, error);
  return FALSE;
}

/* Without it a recovery reads the resources instead: not worth failing for. */
void
creation_note_url(const char *url, gpointer data)
{
  Creation *creation = data;
  g_autoptr(GError) error = NULL;
  GVariantDict facts;
  creation->deployment_accepted = TRUE;
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "poll", "s", url);
  if (!creation->azure->api->journal_update(creation->azure->host, creation->intent, g_variant_dict_end(&facts),
                                            &error))
    creation->azure->api->log(creation->azure->host, G_LOG_LEVEL_WARNING, "%s", error->message);
}

typedef struct {
  Creation *creation;
  void (*then)(Creation *creation);
} Later;

static void
later(AzlinOp *op, gpointer data)
{
  g_autofree Later *later = data;
  const GError *error = later->creation->azure->api->op_error(op);
  if (error)
    creation_fail(later->creation, g_error_copy(error));
  else
    later->then(later->creation);
}

void
creation_later(Creation *creation, void (*then)(Creation *creation))
{
  const AzlinHostApi *api = creation->azure->api;
  Later *state = g_new(Later, 1);
  *state = (Later){ creation, then };
  api->sleep(creation->azure->host, azure_wait_ms(creation->tries++),
             api->op_new(creation->op, "wait", 0, later, state));
}

gboolean
creation_outcome_unknown(const ArmReply *reply)
{
  if (!reply->error)
    return FALSE;
  if (reply->status == 0)
    return g_error_matches(reply->error, AZLIN_ERROR, AZLIN_ERROR_NETWORK)
           || g_error_matches(reply->error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT)
           || g_error_matches(reply->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  return reply->status == 408 || reply->status >= 500;
}

gboolean
creation_guest_is_late(const char *code)
{
  return code && (g_str_equal(code, "OSProvisioningTimedOut") || g_str_equal(code, "OSProvisioningClientError"));
}

/* ---- intent ---- */

static GVariant *
intent_facts(const Creation *creation, const char *road)
{
  const AzureNames *names = creation->blueprint->names;
  GVariantDict facts;
  json_auto_t *machine = azure_vm_body(creation->blueprint);
  g_autofree char *making = azure_making_of(machine);
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "making", "s", making);
  g_variant_dict_insert(&facts, "vm_name", "s", creation->blueprint->vm_name);
  g_variant_dict_insert(&facts, "region", "s", creation->blueprint->region);
  g_variant_dict_insert(&facts, "op", "s", creation->blueprint->op);
  g_variant_dict_insert(&facts, "road", "s", road);
  g_variant_dict_insert(&facts, "at", "x", creation->azure->api->now(creation->azure->host));
  g_variant_dict_insert(&facts, "group", "s", names->group);
  g_variant_dict_insert(&facts, "group_is_new", "b", creation->group_is_new);
  g_variant_dict_insert(&facts, "deployment", "s", names->deployment);
  g_variant_dict_insert(&facts, "vm", "s", names->vm);
  g_variant_dict_insert(&facts, "nic", "s", names->nic);
  g_variant_dict_insert(&facts, "address", "s", names->address);
  g_variant_dict_insert(&facts, "rules", "s", names->rules);
  g_variant_dict_insert(&facts, "network", "s", names->network);
  g_variant_dict_insert(&facts, "disk", "s", names->disk);
  return g_variant_dict_end(&facts);
}

static void
take_road(Creation *creation)
{
  g_autofree char *road = option_string(creation->azure->host, "create");
  if (g_strcmp0(road, "direct") == 0)
    creation_by_direct_puts(creation);
  else
    creation_by_template(creation);
}

static void put_group(Creation *creation);

/* A group that stands is all that is asked for: of an answer cut off on its way the status is enough. */
static void
on_group_made(const ArmReply *reply, gpointer data)
{
  Creation *creation = data;
  gboolean stands = reply->status >= 200 && reply->status < 300;
  if (!creation->cut && reply->status == 409 && g_str_equal(reply->code, "ResourceGroupBeingDeleted")) {
    creation_later(creation, put_group);
    return;
  }
  if (!creation_goes_on(creation, stands ? NULL : reply))
    return;
  creation->tries = 0;
  take_road(creation);
}

static void
put_group(Creation *creation)
{
  const ArmCall call = { .method = "PUT",
                         .path = creation->blueprint->names->group,
                         .version = ARM_RESOURCES,
                         .body = azure_group_body(creation->blueprint->region) };
  arm_call(creation->azure, creation->op, &call, on_group_made, creation);
}

void
creation_start(Creation *creation)
{
  const AzlinHostApi *api = creation->azure->api;
  g_autofree char *road = option_string(creation->azure->host, "create");
  GError *error = NULL;
  if (!creation_goes_on(creation, NULL))
    return;
  creation->tries = 0;
  if (creation->uuid_taken_over) {
    g_free(creation->blueprint->op);
    creation->blueprint->op = g_strdup(creation->uuid_taken_over);
  }
  creation->journalled = api->journal_intent(creation->azure->host, creation->op, "vm-create",
                                             intent_facts(creation, road), &creation->intent, &error);
  if (!creation->journalled)
    creation_fail(creation, error);
  else if (creation->group_is_new)
    put_group(creation);
  else
    take_road(creation);
}

/* ---- the beginning ---- */

static void look_at_group(Creation *creation);

static void
on_group(const ArmReply *reply, gpointer data)
{
  Creation *creation = data;
  if (reply->status == 404 && g_ascii_strcasecmp(reply->code, "SubscriptionNotFound") != 0) {
    creation->group_is_new = TRUE;
    creation_start(creation);
    return;
  }
  if (!creation_goes_on(creation, reply))
    return;
  if (g_ascii_strcasecmp(arm_string(reply->body, "properties.provisioningState", ""), "Deleting") == 0)
    creation_later(creation, look_at_group);
  else
    creation_look_around(creation);
}

static void
look_at_group(Creation *creation)
{
  const ArmCall call = { .method = "GET", .path = creation->blueprint->names->group, .version = ARM_RESOURCES };
  arm_call(creation->azure, creation->op, &call, on_group, creation);
}

static void
on_ready(Azure *azure, const GError *error, gpointer data)
{
  Creation *creation = data;
  GError *wrong = error ? g_error_copy(error) : NULL;
  if (!wrong)
    azure_blueprint_place(creation->blueprint, azure, &wrong);
  if (wrong)
    creation_fail(creation, wrong);
  else
    look_at_group(creation);
}

void
azure_vm_create(gpointer self, const AzlinVmSpec *spec, AzlinOp *op)
{
  Azure *azure = self;
  GError *error = NULL;
  AzureBlueprint *blueprint = azure_blueprint_new(azure, spec, &error);
  if (!blueprint) {
    azure->api->op_fail(op, error);
    return;
  }
  Creation *creation = g_new0(Creation, 1);
  *creation = (Creation){ .azure = azure, .op = op, .blueprint = blueprint };
  azure->api->op_on_cancel(op, cut, creation);
  azure_ready(azure, op, on_ready, creation);
}
