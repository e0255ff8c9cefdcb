/* The rule that lets azlin's machines reach each other by SSH where ssh-source closes it to the world. */
#include "admission.h"
#include "arm.h"
#include "blueprint.h"
#include "pieces.h"
#include <string.h>

#define ROUND_MS 120000

typedef struct _AzureAdmission { /* counted: an answer may be on its way when the deadline has ended the op */
  Azure *azure;
  AzlinOp *op;        /* beside the trees of those who wait */
  GPtrArray *waiting; /* of Waiter: who asked before this round began */
  GPtrArray *next;    /* of Waiter: who asked since */
  char **addresses;
  guint pending;
  GError *error;
  gboolean over;
} Round;

static void
round_clear(gpointer data)
{
  Round *round = data;
  g_ptr_array_unref(round->waiting);
  g_clear_pointer(&round->next, g_ptr_array_unref);
  g_strfreev(round->addresses);
  g_clear_error(&round->error);
}

static void
round_release(Round *round)
{
  g_rc_box_release_full(round, round_clear);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Round, round_release)

typedef struct {
  AzlinOp *op; /* NULL: it ended before its round */
} Waiter;

static void round_begin(Azure *azure, GPtrArray *waiting);

/* ---- pure ---- */

static int
compare(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *) a, *(const char *const *) b);
}

char **
azure_machine_addresses(const json_t *public_addresses)
{
  GPtrArray *found = g_ptr_array_new();
  for (size_t i = 0; i < json_array_size(public_addresses); i++) {
    const json_t *item = json_array_get(public_addresses, i);
    const char *address = arm_string(item, "properties.ipAddress", "");
    if (azure_owner_of(item, NULL) == AZURE_OURS && g_hostname_is_ip_address(address) && !strchr(address, ':'))
      g_ptr_array_add(found, g_strdup(address));
  }
  g_ptr_array_sort(found, compare);
  g_ptr_array_add(found, NULL);
  return (char **) g_ptr_array_free(found, FALSE);
}

static const json_t *
find_rule(const json_t *security_group, const char *name)
{
  const json_t *rules = json_object_get(json_object_get(security_group, "properties"), "securityRules");
  for (size_t i = 0; i < json_array_size(rules); i++)
    if (g_ascii_strcasecmp(arm_string(json_array_get(rules, i), "name", ""), name) == 0)
      return json_array_get(rules, i);
  return NULL;
}

static gboolean
rule_admits(const json_t *rule, const char *const *addresses)
{
  const json_t *list = json_object_get(json_object_get(rule, "properties"), "sourceAddressPrefixes");
  const char *single = arm_string(rule, "properties.sourceAddressPrefix", "");
  gsize n = 0;
  while (addresses[n])
    n++;
  if (json_array_size(list) == 0)
    return n == 1 && g_str_equal(single, addresses[0]);
  if (json_array_size(list) != n)
    return FALSE;
  for (size_t i = 0; i < n; i++) {
    const char *prefix = json_string_value(json_array_get(list, i));
    if (!prefix || !g_strv_contains(addresses, prefix))
      return FALSE;
  }
  return TRUE;
}

gboolean
azure_rules_are_stale(const json_t *security_group, const char *const *addresses)
{
  const json_t *ssh = find_rule(security_group, AZURE_SSH_RULE);
  const json_t *machines = find_rule(security_group, AZURE_MACHINES_RULE);
  if (azure_owner_of(security_group, NULL) != AZURE_OURS || !ssh || !addresses[0])
    return FALSE;
  if (g_str_equal(arm_string(ssh, "properties.sourceAddressPrefix", ""), "*"))
    return FALSE;
  return !machines || !rule_admits(machines, addresses);
}

/* ---- one round ---- */

static void
answer(Azure *azure, GPtrArray *waiting, const GError *error)
{
  for (guint i = 0; i < waiting->len; i++) {
    Waiter *waiter = g_ptr_array_index(waiting, i);
    if (waiter->op && error)
      azure->api->op_fail(waiter->op, g_error_copy(error));
    else if (waiter->op)
      azure->api->op_finish(waiter->op);
  }
}

static void
round_over(AzlinOp *op, gpointer data)
{
  g_autoptr(Round) round = data;
  Azure *azure = round->azure;
  round->over = TRUE;
  answer(azure, round->waiting, azure->api->op_error(op));
  azure->admission = NULL;
  round_begin(azure, g_steal_pointer(&round->next));
}

static void
round_end(Round *round, const GError *error)
{
  if (round->over)
    return;
  if (error)
    round->azure->api->op_fail(round->op, g_error_copy(error));
  else
    round->azure->api->op_finish(round->op);
}

static void
on_rule(const ArmReply *reply, gpointer data)
{
  g_autoptr(Round) round = data;
  if (reply->error && reply->status != 404 && !round->error) /* 404: its machine was deleted meanwhile */
    round->error = g_error_copy(reply->error);
  if (--round->pending == 0)
    round_end(round, round->error);
}

static void
put_rule(Round *round, const json_t *security_group)
{
  g_autofree char *path
      = g_strconcat(arm_string(security_group, "id", ""), "/securityRules/" AZURE_MACHINES_RULE, NULL);
  const ArmCall call = { .method = "PUT",
                         .path = path,
                         .version = ARM_NETWORK,
                         .body = azure_machines_rule((const char *const *) round->addresses),
                         .no_final = TRUE };
  round->pending++;
  arm_run(round->azure, round->op, &call, NULL, on_rule, g_rc_box_acquire(round));
}

static void
on_groups(const ArmReply *reply, gpointer data)
{
  g_autoptr(Round) round = data;
  if (round->over)
    return;
  if (reply->error) {
    round_end(round, reply->error);
    return;
  }
  round->pending = 1; /* held until all were asked for */
  for (size_t i = 0; i < json_array_size(reply->body); i++) {
    const json_t *group = json_array_get(reply->body, i);
    if (azure_rules_are_stale(group, (const char *const *) round->addresses)
        && arm_id_is_sane(arm_string(group, "id", "")))
      put_rule(round, group);
  }
  if (--round->pending == 0)
    round_end(round, round->error);
}

static void
on_addresses(const ArmReply *reply, gpointer data)
{
  g_autoptr(Round) round = data;
  if (round->over)
    return;
  if (reply->error) {
    round_end(round, reply->error);
    return;
  }
  round->addresses = azure_machine_addresses(reply->body);
  g_autofree char *path = g_strdup_printf("/subscriptions/%s/providers/Microsoft.Network/networkSecurityGroups",
                                          round->azure->subscription);
  arm_list(round->azure, round->op, path, ARM_NETWORK, on_groups, g_rc_box_acquire(round));
}

static AzlinOp *
first_alive(GPtrArray *waiting)
{
  for (guint i = 0; i < waiting->len; i++)
    if (((Waiter *) g_ptr_array_index(waiting, i))->op)
      return ((Waiter *) g_ptr_array_index(waiting, i))->op;
  return NULL;
}

/* Takes `waiting`. */
static void
round_begin(Azure *azure, GPtrArray *waiting)
{
  AzlinOp *alive = first_alive(waiting);
  if (!alive) {
    g_ptr_array_unref(waiting);
    return;
  }
  g_autoptr(Round) round = g_rc_box_new0(Round);
  *round = (Round){ .azure = azure, .waiting = waiting, .next = g_ptr_array_new_with_free_func(g_free) };
  azure->admission = round;
  round->op = azure->api->op_new_detached(alive, "let machines in", ROUND_MS, round_over, g_rc_box_acquire(round));
  g_autofree char *path
      = g_strdup_printf("/subscriptions/%s/providers/Microsoft.Network/publicIPAddresses", azure->subscription);
  arm_list(azure, round->op, path, ARM_NETWORK, on_addresses, g_rc_box_acquire(round));
}

static void
ended(gpointer data)
{
  Waiter *waiter = data;
  waiter->op = NULL;
}

gboolean
azure_ssh_is_closed(Azure *azure)
{
  g_autoptr(GVariant) option = azure->api->option(azure->host, "ssh-source");
  return g_variant_n_children(option) > 0;
}

void
azure_admit(Azure *azure, AzlinOp *op)
{
  GPtrArray *waiting = azure->admission ? azure->admission->next : g_ptr_array_new_with_free_func(g_free);
  Waiter *waiter = g_new(Waiter, 1);
  waiter->op = op;
  g_ptr_array_add(waiting, waiter);
  azure->api->op_on_cancel(op, ended, waiter);
  if (!azure->admission)
    round_begin(azure, waiting);
}
