/* sync: does the target hold what the source holds? Names in batches from the source, both sides read side by side. */
#include "flow-sync-private.h"
#include "error.h"
#include <string.h>

#define NAMES_MS 1800000u
#define PROBE_MS (6 * 3600000u)

typedef struct {
  AzSyncCheck *check;
  AzlinOp *op;
  guint64 from; /* first entry of the batch in work, from 1 */
  guint64 total;
  char *digest; /* of all names, as the first batch saw them */
  GPtrArray *filter;
  GBytes *names; /* batch in work */
  AzManifest *source, *target;
  GError *error;
  guint pending;
} State;

static void next_batch(State *state);

static void
state_end(State *state, GError *error)
{
  if (error != NULL)
    az_op_fail(state->op, error);
  else
    az_op_finish(state->op);
  g_free(state->digest);
  g_clear_pointer(&state->filter, g_ptr_array_unref);
  g_clear_pointer(&state->names, g_bytes_unref);
  g_clear_pointer(&state->source, az_manifest_free);
  g_clear_pointer(&state->target, az_manifest_free);
  g_clear_error(&state->error);
  g_free(state);
}

/* ---- both sides of one batch ---- */

static void
compare(State *state)
{
  AzSyncCheck *check = state->check;
  az_manifest_compare(state->names, state->source, state->target, check->differences);
  g_clear_pointer(&state->source, az_manifest_free);
  g_clear_pointer(&state->target, az_manifest_free);
  if (check->differences->len > AZ_SYNC_MAX_DIFFERENCES) {
    g_ptr_array_set_size(check->differences, AZ_SYNC_MAX_DIFFERENCES);
    check->capped = TRUE;
    state_end(state, NULL);
    return;
  }
  next_batch(state);
}

static void
take_side(State *state, AzlinOp *op, AzManifest **ret_side)
{
  const AzlinReply *reply = az_op_reply(op);
  if (az_op_error(op) != NULL && state->error == NULL)
    state->error = g_error_copy(az_op_error(op));
  else if (az_op_error(op) == NULL)
    *ret_side = az_manifest_parse(reply->out, state->error == NULL ? &state->error : NULL);
  if (--state->pending > 0)
    return;
  if (state->error != NULL)
    state_end(state, g_steal_pointer(&state->error));
  else
    compare(state);
}

static void
on_source(AzlinOp *op, gpointer data)
{
  State *state = data;
  take_side(state, op, &state->source);
}

static void
on_target(AzlinOp *op, gpointer data)
{
  State *state = data;
  take_side(state, op, &state->target);
}

static void
probe(State *state, const AzlinVm *vm, const char *folder, AzlinDone done)
{
  const char *argv[] = { "sh", "-c", az_manifest_probe_script, "sh", folder, NULL };
  AzlinExec request
      = { .size = sizeof request, .vm = vm, .argv = argv, .input = state->names, .max_output = AZ_MANIFEST_MAX_ANSWER };
  az_engine_exec(state->check->engine, &request, az_op_new(state->op, "compare", PROBE_MS, done, state));
}

static void
probe_both(State *state)
{
  state->pending = 2;
  probe(state, state->check->source, state->check->source_folder, on_source);
  probe(state, state->check->target, state->check->target_folder, on_target);
}

/* ---- names ---- */

static GError *
take_names(State *state, const AzlinReply *reply)
{
  GError *error = NULL;
  g_autoptr(AzManifestNames) names = az_manifest_names_parse(reply->out, &error);
  if (names == NULL)
    return error;
  if (state->digest != NULL && !g_str_equal(state->digest, names->digest))
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC, "files came or went on the source while they were compared");
  g_free(state->digest);
  state->digest = g_strdup(names->digest);
  state->total = names->total;
  state->from += names->n_names;
  state->check->checked += names->n_names;
  g_clear_pointer(&state->names, g_bytes_unref);
  state->names = g_bytes_ref(names->names);
  if (names->n_names == 0 && state->from <= state->total)
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC, "the list of names stopped before its end");
  return NULL;
}

static void
on_names(AzlinOp *op, gpointer data)
{
  State *state = data;
  GError *error = az_op_error(op) != NULL ? g_error_copy(az_op_error(op)) : take_names(state, az_op_reply(op));
  if (error != NULL)
    state_end(state, error);
  else if (g_bytes_get_size(state->names) == 0)
    state_end(state, NULL);
  else
    probe_both(state);
}

static void
next_batch(State *state)
{
  AzSyncCheck *check = state->check;
  if (check->only != NULL || (state->digest != NULL && state->from > state->total)) {
    state_end(state, NULL);
    return;
  }
  g_autofree char *root = check->base != NULL ? g_strconcat("./", check->base, NULL) : g_strdup(".");
  g_autofree char *from = g_strdup_printf("%" G_GUINT64_FORMAT, state->from);
  g_autofree char *to = g_strdup_printf("%" G_GUINT64_FORMAT, state->from + AZ_MANIFEST_BATCH - 1);
  const char *fixed[] = { "sh", "-c", az_manifest_names_script, "sh", check->source_folder, root, from, to };
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  for (guint i = 0; i < G_N_ELEMENTS(fixed); i++)
    g_ptr_array_add(argv, (gpointer) (guintptr) fixed[i]);
  for (guint i = 0; i < state->filter->len; i++)
    g_ptr_array_add(argv, g_ptr_array_index(state->filter, i));
  g_ptr_array_add(argv, NULL);
  AzlinExec request = { .size = sizeof request,
                        .vm = check->source,
                        .argv = (const char *const *) argv->pdata,
                        .max_output = AZ_MANIFEST_MAX_ANSWER };
  az_engine_exec(check->engine, &request, az_op_new(state->op, "names", NAMES_MS, on_names, state));
}

void
az_sync_check(AzSyncCheck *check, AzlinOp *op)
{
  GError *error = NULL;
  State *state = g_new0(State, 1);
  *state = (State){ .check = check, .op = op, .from = 1 };
  state->filter = az_manifest_filter(check->exclude, &error);
  if (state->filter == NULL) {
    state_end(state, error);
  } else if (check->only != NULL) {
    state->names = g_bytes_ref(check->only);
    probe_both(state);
  } else {
    next_batch(state);
  }
}
