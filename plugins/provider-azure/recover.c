/* After a crash: a machine that is complete stays, one under way is waited for, what is half made or half deleted goes.
 */
#include "admission.h"
#include "arm.h"
#include "deployment.h"
#include "remove.h"
#include <string.h>

#define ADMISSION_MS 120000
#define SETTLE_MS 5000
#define YOUNG_MS 60000
#define PATIENCE_MS 600000 /* since the last step: a creation that goes on for longer is taken away */

typedef struct {
  Azure *azure;
  AzlinOp *op;
  AzureNames *names;
  GVariant *undo;
  char *op_uuid; /* NULL: a deletion */
  guint looks;
  char *said;
} Recovery;

static void look(Recovery *recovery);

static const char *
fact(const Recovery *recovery, const char *key)
{
  const char *text = "";
  g_variant_lookup(recovery->undo, key, "&s", &text);
  return text;
}

static gboolean
flag(const Recovery *recovery, const char *key)
{
  gboolean value = FALSE;
  g_variant_lookup(recovery->undo, key, "b", &value);
  return value;
}

/* A machine of that name was made since by a run that knew nothing of this entry: it is none of its business. An older
 * one under the same uuid is: this entry was to finish it. */
static gboolean
is_newer(const Recovery *recovery, const json_t *vm)
{
  const char *was = NULL;
  g_autofree char *making = azure_making_of(vm);
  if (!vm || !g_variant_lookup(recovery->undo, "making", "&s", &was))
    return FALSE;
  gsize op_length = strcspn(was, " ");
  if (g_ascii_strncasecmp(was, making, op_length + 1) != 0)
    return TRUE;
  return strcmp(making + op_length, was + op_length) > 0;
}

/* Milliseconds since the last step was journalled; a clock that was set back counts as "just now". */
static gint64
age_ms(const Recovery *recovery)
{
  gint64 at = 0;
  g_variant_lookup(recovery->undo, "at", "x", &at);
  return MAX(0, (recovery->azure->api->now(recovery->azure->host) - at) / 1000);
}

/* ---- the end ---- */

static void
recovery_free(Recovery *recovery)
{
  g_clear_pointer(&recovery->names, azure_names_free);
  g_variant_unref(recovery->undo);
  g_free(recovery->op_uuid);
  g_free(recovery->said);
  g_free(recovery);
}

static void
fail(Recovery *recovery, GError *error)
{
  recovery->azure->api->op_fail(recovery->op, error);
  recovery_free(recovery);
}

static void
on_admitted(AzlinOp *op, gpointer data)
{
  Recovery *recovery = data;
  const AzlinHostApi *api = recovery->azure->api;
  if (op && api->op_error(op))
    api->log(recovery->azure->host, G_LOG_LEVEL_WARNING,
             "The rules that let azlin's machines in are not up to date: %s", api->op_error(op)->message);
  api->op_finish_variant(recovery->op, g_variant_new_string(recovery->said));
  recovery_free(recovery);
}

static void
finish(Recovery *recovery, char *said)
{
  const AzlinHostApi *api = recovery->azure->api;
  recovery->said = said;
  if (azure_ssh_is_closed(recovery->azure))
    azure_admit(recovery->azure, api->op_new(recovery->op, "let machines in", ADMISSION_MS, on_admitted, recovery));
  else
    on_admitted(NULL, recovery);
}

/* ---- what is half there goes ---- */

static void
on_removed(const GError *error, gpointer data)
{
  Recovery *recovery = data;
  if (error)
    fail(recovery, g_error_copy(error));
  else
    finish(recovery, g_strdup_printf(recovery->op_uuid ? "what was begun of %s was taken away" : "%s was deleted",
                                     recovery->names->vm_name));
}

static void
take_away(Recovery *recovery)
{
  gboolean by_template = g_str_equal(fact(recovery, "road"), "template") && *fact(recovery, "step") != '\0';
  const AzureRemoval removal = { .names = recovery->names,
                                 .op_uuid = recovery->op_uuid,
                                 .deployment = by_template ? recovery->names->deployment : NULL,
                                 .group = recovery->op_uuid == NULL || flag(recovery, "group_is_new") };
  azure_remove(recovery->azure, recovery->op, &removal, on_removed, recovery);
}

/* ---- what a creation left ---- */

static void
looked_again(AzlinOp *op, gpointer data)
{
  Recovery *recovery = data;
  const GError *error = recovery->azure->api->op_error(op);
  if (error)
    fail(recovery, g_error_copy(error));
  else
    look(recovery);
}

static void
looked(const AzureSight *sight, gpointer data)
{
  Recovery *recovery = data;
  const AzlinHostApi *api = recovery->azure->api;
  const char *state = arm_string(sight->vm, "properties.provisioningState", "");
  gboolean ours = sight->owner[AZURE_VM] == AZURE_OURS;
  if (sight->error)
    fail(recovery, g_error_copy(sight->error));
  else if (ours && is_newer(recovery, sight->vm))
    finish(recovery, g_strdup_printf("%s was made anew since and was kept", recovery->names->vm_name));
  else if (!recovery->op_uuid || flag(recovery, "undoing"))
    take_away(recovery);
  else if (ours && !azure_state_is_final(state) && age_ms(recovery) < PATIENCE_MS)
    api->sleep(recovery->azure->host, azure_wait_ms(recovery->looks++),
               api->op_new(recovery->op, "wait", 0, looked_again, recovery));
  else if (ours && (g_ascii_strcasecmp(state, "Succeeded") == 0 || g_str_equal(fact(recovery, "step"), "made")))
    finish(recovery, g_strdup_printf("%s is complete and was kept", recovery->names->vm_name));
  else
    take_away(recovery);
}

static void
look(Recovery *recovery)
{
  azure_look(recovery->azure, recovery->op, recovery->names, recovery->op_uuid, looked, recovery);
}

static void
on_deployment(const json_t *deployment, const GError *error, gpointer data)
{
  Recovery *recovery = data;
  if (error)
    fail(recovery, g_error_copy(error));
  else
    look(recovery);
}

/* How it ended is read from the machine itself: the answer of an operation says nothing of what stands by now. */
static void
on_resumed(const ArmReply *reply, gpointer data)
{
  Recovery *recovery = data;
  if (recovery->azure->api->op_cancelled(recovery->op))
    fail(recovery,
         g_error_new(AZLIN_ERROR, AZLIN_ERROR_CANCELLED, "the recovery of %s was cancelled", recovery->names->vm_name));
  else
    look(recovery);
}

static void
mend(Recovery *recovery)
{
  const AzlinHostApi *api = recovery->azure->api;
  const char *step = fact(recovery, "step"), *url = fact(recovery, "poll");
  guint32 patience_ms = (guint32) CLAMP(PATIENCE_MS - age_ms(recovery), 1, PATIENCE_MS);
  if (!recovery->op_uuid || flag(recovery, "undoing"))
    look(recovery);
  else if (g_str_equal(step, "deployment"))
    azure_deployment_wait(recovery->azure, recovery->op, recovery->names->deployment, age_ms(recovery) < YOUNG_MS,
                          patience_ms, on_deployment, recovery);
  else if (g_str_equal(step, "vm") && *url)
    arm_resume(recovery->azure, api->op_new(recovery->op, "wait for the creation", patience_ms, NULL, NULL), url,
               on_resumed, recovery);
  else
    look(recovery);
}

/* ---- the beginning ---- */

static void
settled(AzlinOp *op, gpointer data)
{
  Recovery *recovery = data;
  const GError *error = recovery->azure->api->op_error(op);
  if (error)
    fail(recovery, g_error_copy(error));
  else
    mend(recovery);
}

/* A request of the process that was killed may still be on its way into effect. */
static void
on_ready(Azure *azure, const GError *error, gpointer data)
{
  Recovery *recovery = data;
  if (error) {
    fail(recovery, g_error_copy(error));
    return;
  }
  gint64 wait = SETTLE_MS - age_ms(recovery);
  if (wait > 0)
    azure->api->sleep(azure->host, (guint32) wait, azure->api->op_new(recovery->op, "settle", 0, settled, recovery));
  else
    mend(recovery);
}

void
azure_recover(gpointer self, const char *what, GVariant *undo, AzlinOp *op)
{
  Azure *azure = self;
  Recovery *recovery = g_new0(Recovery, 1);
  *recovery = (Recovery){ .azure = azure, .op = op, .undo = g_variant_ref(undo) };
  gboolean creation = g_str_equal(what, "vm-create");
  const char *id = fact(recovery, "vm"), *uuid = fact(recovery, "op");
  recovery->names = arm_id_is_sane(id) ? azure_names_from_vm_id(id) : NULL;
  if (!recovery->names || (creation && !g_uuid_string_is_valid(uuid))
      || (!creation && !g_str_equal(what, "vm-delete"))) {
    fail(recovery, g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED,
                               "the entry '%s' names no machine of Azure; it stays open", what));
    return;
  }
  recovery->op_uuid = creation ? g_strdup(uuid) : NULL;
  azure_ready(azure, op, on_ready, recovery);
}
