/* vm_get: calls that come in one turn of the main loop are answered together, from two lists when they are many. */
#include "record.h"

#define ONE_BY_ONE 4u /* up to as many are read each by itself */
#define LISTS_MS 60000

struct _AzureGets {
  Azure *azure;
  GPtrArray *asked; /* of Asked */
  GSource *turn;    /* ends the gathering */
  AzlinOp *lists;   /* beside the trees of those who ask, so that the end of one is not the end of all */
};

typedef struct {
  Azure *azure;
  AzureGets *gets; /* NULL = handed out */
  AzlinVm *known;
  AzlinOp *op;
  AzlinOp *answer; /* child of `op`: ends with it */
} Asked;

void
azure_gets_free(AzureGets *gets)
{
  if (gets == NULL)
    return;
  g_source_destroy(gets->turn);
  g_source_unref(gets->turn);
  g_ptr_array_unref(gets->asked);
  g_free(gets);
}

static void
on_answer(AzlinOp *answer, gpointer data)
{
  Asked *asked = data;
  const AzlinHostApi *api = asked->azure->api;
  const GError *error = api->op_error(answer);
  if (asked->gets != NULL)
    g_ptr_array_remove(asked->gets->asked, asked);
  if (error != NULL)
    api->op_fail(asked->op, g_error_copy(error));
  else
    api->op_finish_vm(asked->op, api->op_vm(answer));
  api->vm_free(asked->known);
  g_free(asked);
}

typedef void (*HandOut)(Asked *asked, gconstpointer what);

static void
hand_out_all(AzureGets *gets, HandOut hand_out, gconstpointer what)
{
  for (guint i = 0; i < gets->asked->len; i++) {
    Asked *asked = g_ptr_array_index(gets->asked, i);
    asked->gets = NULL;
    hand_out(asked, what);
  }
  g_ptr_array_set_size(gets->asked, 0);
}

static void
read_alone(Asked *asked, gconstpointer nothing)
{
  azure_get_one(asked->azure, asked->known, asked->answer);
}

static void
read_from(Asked *asked, gconstpointer inventory)
{
  azure_get_from(asked->azure, inventory, asked->known, asked->answer);
}

static void
fail_with(Asked *asked, gconstpointer error)
{
  asked->azure->api->op_fail(asked->answer, g_error_copy(error));
}

static void
on_inventory(const AzureInventory *inventory, const GError *error, gpointer data)
{
  AzureGets *gets = data;
  g_autoptr(GError) late
      = g_error_new(AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT, "Azure did not list the machines within %d s", LISTS_MS / 1000);
  if (error == NULL)
    hand_out_all(gets, read_from, inventory);
  else if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED))
    hand_out_all(gets, fail_with, late);
  else if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_PERMISSION)) /* rights on the groups alone */
    hand_out_all(gets, read_alone, NULL);
  else
    hand_out_all(gets, fail_with, error);
  gets->azure->api->op_finish(gets->lists);
  azure_gets_free(gets);
}

static void
on_ready(Azure *azure, const GError *error, gpointer data)
{
  AzureGets *gets = data;
  if (error == NULL)
    azure_inventory(azure, gets->lists, FALSE, on_inventory, gets);
  else
    on_inventory(NULL, error, gets);
}

static gboolean
on_turn(gpointer data)
{
  AzureGets *gets = data;
  Azure *azure = gets->azure;
  azure->gets = NULL;
  if (gets->asked->len <= ONE_BY_ONE) {
    hand_out_all(gets, read_alone, NULL);
    azure_gets_free(gets);
    return G_SOURCE_REMOVE;
  }
  Asked *first = g_ptr_array_index(gets->asked, 0);
  gets->lists = azure->api->op_new_detached(first->op, "list the machines", LISTS_MS, NULL, NULL);
  azure_ready(azure, gets->lists, on_ready, gets);
  return G_SOURCE_REMOVE;
}

static AzureGets *
gather(Azure *azure)
{
  AzureGets *gets = g_new0(AzureGets, 1);
  gets->azure = azure;
  gets->asked = g_ptr_array_new();
  gets->turn = g_idle_source_new();
  g_source_set_priority(gets->turn, G_PRIORITY_DEFAULT);
  g_source_set_callback(gets->turn, on_turn, gets, NULL);
  g_source_attach(gets->turn, g_main_context_get_thread_default());
  return gets;
}

void
azure_vm_get(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  Azure *azure = self;
  if (azure->gets == NULL)
    azure->gets = gather(azure);
  Asked *asked = g_new0(Asked, 1);
  *asked = (Asked){ .azure = azure, .gets = azure->gets, .known = azure->api->vm_dup(vm), .op = op };
  g_ptr_array_add(azure->gets->asked, asked);
  asked->answer = azure->api->op_new(op, "read the machine", 0, on_answer, asked);
}
