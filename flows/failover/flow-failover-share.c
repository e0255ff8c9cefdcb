/* Pause and cool-down are everybody's where records are shared: each home keeps them in its failover.json, and the
 * newest revision is told to all. */
#include "flow-failover-share.h"
#include "flow-failover-state.h"
#include "flow-heads.h"

static const char *const names[AZ_N_COMMON]
    = { [AZ_COMMON_PAUSE] = AZ_HEADS_NO_HOME "paused", [AZ_COMMON_SWITCH] = AZ_HEADS_NO_HOME "switched" };

typedef struct {
  AzEngine *engine;
  AzlinOp *op;
  char *told[AZ_N_COMMON]; /* by whoever was last; NULL = nobody has */
  char *news[AZ_N_COMMON]; /* what they are to be told; NULL = they know it */
} Share;

static void
share_free(Share *share)
{
  for (guint i = 0; i < AZ_N_COMMON; i++) {
    g_free(share->told[i]);
    g_free(share->news[i]);
  }
  g_free(share);
}

static void
share_end(Share *share, GError *error)
{
  if (error != NULL)
    az_op_fail(share->op, error);
  else
    az_op_finish(share->op);
  share_free(share);
}

static void tell(Share *share);

static void
on_told(AzlinOp *op, gpointer data)
{
  if (az_op_error(op) != NULL)
    share_end(data, g_error_copy(az_op_error(op)));
  else
    tell(data);
}

/* One part after the other; the end when nothing is left. */
static void
tell(Share *share)
{
  gpointer self = NULL;
  const AzlinContext *context = az_heads_place(share->engine, &self);

  for (guint i = 0; context != NULL && i < AZ_N_COMMON; i++) {
    g_autofree char *text = g_steal_pointer(&share->news[i]);
    if (text == NULL)
      continue;
    context->publish(self, names[i], text, az_op_new(share->op, names[i], 0, on_told, share));
    return;
  }
  share_end(share, NULL);
}

static void
settle(AzFailoverState *state, gpointer data)
{
  Share *share = data;

  state->from_others = TRUE;
  for (guint i = 0; i < AZ_N_COMMON; i++) {
    g_clear_pointer(&share->news[i], g_free);
    if (!az_failover_common_take(state, i, share->told[i]))
      share->news[i] = az_failover_common_text(state, i);
  }
}

static gboolean
is_changed_by_it(Share *share, AzFailoverState *state)
{
  gboolean changed = FALSE;
  char *before[AZ_N_COMMON];

  for (guint i = 0; i < AZ_N_COMMON; i++)
    before[i] = az_failover_common_text(state, i);
  settle(state, share);
  for (guint i = 0; i < AZ_N_COMMON; i++) {
    g_autofree char *was = before[i], *now = az_failover_common_text(state, i);
    changed |= !g_str_equal(was, now);
  }
  return changed;
}

/* The file is written durably, so only when it says something else. */
static void
on_published(AzlinOp *op, gpointer data)
{
  Share *share = data;
  GError *error = az_op_error(op) != NULL ? g_error_copy(az_op_error(op)) : NULL;

  for (guint i = 0; error == NULL && i < AZ_N_COMMON; i++)
    g_variant_lookup(az_op_variant(op), names[i], "s", &share->told[i]);
  g_autoptr(AzFailoverState) state = error == NULL ? az_failover_state_load(share->engine, &error) : NULL;
  if (state != NULL && is_changed_by_it(share, state))
    az_failover_state_change(share->engine, settle, share, &error);
  if (error != NULL)
    share_end(share, error);
  else
    tell(share);
}

void
az_failover_share(AzEngine *engine, AzlinOp *op)
{
  gpointer self = NULL;
  const AzlinContext *context = az_heads_place(engine, &self);

  if (context == NULL) {
    az_op_finish(op);
    return;
  }
  Share *share = g_new0(Share, 1);
  *share = (Share){ .engine = engine, .op = op };
  context->published(self, az_op_expect(az_op_new(op, "what others told", 0, on_published, share), "a{ss}"));
}
