/* Where a record, a machine and its tags differ, and what follows from it. No I/O, no clock. */
#include "flow-regions-drift.h"
#include <string.h>

static const char *const action_names[] = {
  [AZ_DRIFT_RECORD] = "update-record",
  [AZ_DRIFT_TAGS] = "write-tags",
  [AZ_DRIFT_REFUSED] = "refuse",
  [AZ_DRIFT_SHOWN] = "none",
};

/* ---- the list ---- */

static void
drift_free(gpointer data)
{
  AzDrift *drift = data;
  g_free(drift->region);
  g_free(drift->field);
  g_free(drift->record);
  g_free(drift->cloud);
  g_free(drift);
}

GPtrArray *
az_drift_list_new(void)
{
  return g_ptr_array_new_with_free_func(drift_free);
}

static char *
some(const char *text)
{
  return text && *text ? g_strdup(text) : NULL;
}

void
az_drift_add(GPtrArray *list, const char *region, const char *field, const char *record, const char *cloud,
             AzDriftAction action)
{
  AzDrift *drift = g_new(AzDrift, 1);
  *drift = (AzDrift){ g_strdup(region), g_strdup(field), some(record), some(cloud), action };
  g_ptr_array_add(list, drift);
}

GVariant *
az_drift_to_variant(GPtrArray *list)
{
  GVariantBuilder all;
  g_variant_builder_init(&all, G_VARIANT_TYPE("av"));
  for (guint i = 0; i < list->len; i++) {
    const AzDrift *drift = g_ptr_array_index(list, i);
    GVariantBuilder one;
    g_variant_builder_init(&one, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&one, "{sv}", "region", az_variant_str(drift->region));
    g_variant_builder_add(&one, "{sv}", "field", g_variant_new_string(drift->field));
    g_variant_builder_add(&one, "{sv}", "record", az_variant_str(drift->record));
    g_variant_builder_add(&one, "{sv}", "cloud", az_variant_str(drift->cloud));
    g_variant_builder_add(&one, "{sv}", "action", g_variant_new_string(action_names[drift->action]));
    g_variant_builder_add(&all, "v", g_variant_builder_end(&one));
  }
  return g_variant_builder_end(&all);
}

/* Of whole machines: here and there, or only in one place. */
static char *
machine_text(const AzDrift *drift, gboolean dry)
{
  if (!drift->cloud)
    return g_strdup_printf("the provider does not know %s any more", drift->record);
  if (drift->action == AZ_DRIFT_RECORD)
    return g_strdup_printf("%s %s on record", drift->cloud, dry ? "would go" : "goes");
  if (!drift->record)
    return g_strdup_printf("%s has azlin's tags, but is not on record here", drift->cloud);
  return g_strdup_printf("%s is left out: a region holds one machine, here %s", drift->cloud, drift->record);
}

char *
az_drift_text(const AzDrift *drift, gboolean dry)
{
  if (g_str_equal(drift->field, "machine"))
    return machine_text(drift, dry);
  const char *record = drift->record ? drift->record : "nothing";
  const char *cloud = drift->cloud ? drift->cloud : "nothing";
  switch (drift->action) {
  case AZ_DRIFT_RECORD:
    return g_strdup_printf("%s is %s, the record says %s: the record %s", drift->field, cloud, record,
                           dry ? "would follow" : "follows");
  case AZ_DRIFT_TAGS:
    return g_strdup_printf("the tag %s says %s, the record %s: the tag %s", drift->field, cloud, record,
                           dry ? "would be written" : "is written");
  case AZ_DRIFT_REFUSED:
    return g_strdup_printf("the tag %s says %s, the record %s: a tag is a hint and moves nothing", drift->field, cloud,
                           record);
  case AZ_DRIFT_SHOWN:
  default:
    return g_strdup_printf("%s is %s, the record says %s", drift->field, cloud, record);
  }
}

/* ---- facts of the cloud ---- */

AzlinVm *
az_drift_merged(const AzlinVm *record, const AzlinVm *cloud)
{
  AzlinVm *vm = az_vm_dup(record);
  if (cloud->public_ip && *cloud->public_ip)
    az_vm_set(&vm->public_ip, cloud->public_ip);
  if (cloud->ssh_port)
    vm->ssh_port = cloud->ssh_port;
  if (cloud->id && *cloud->id)
    az_vm_set(&vm->id, cloud->id);
  if (cloud->power == AZLIN_POWER_STOPPED || cloud->power == AZLIN_POWER_DEALLOCATED)
    az_vm_set(&vm->status, "stopped");
  else if (cloud->power == AZLIN_POWER_RUNNING && g_strcmp0(vm->status, "stopped") == 0)
    az_vm_set(&vm->status, "unknown");
  if (cloud->tags) {
    g_clear_pointer(&vm->tags, g_variant_unref);
    vm->tags = g_variant_ref_sink(cloud->tags);
  }
  return vm;
}

static gboolean
differ(const char *a, const char *b)
{
  return g_strcmp0(a ? a : "", b ? b : "") != 0;
}

void
az_drift_machine(GPtrArray *list, const AzlinVm *record, const AzlinVm *cloud)
{
  g_autoptr(AzlinVm) merged = az_drift_merged(record, cloud);
  if (differ(record->public_ip, merged->public_ip))
    az_drift_add(list, record->region, "public_ip", record->public_ip, merged->public_ip, AZ_DRIFT_RECORD);
  if (record->ssh_port != merged->ssh_port) {
    g_autofree char *old = g_strdup_printf("%u", record->ssh_port), *new = g_strdup_printf("%u", merged->ssh_port);
    az_drift_add(list, record->region, "ssh_port", old, new, AZ_DRIFT_RECORD);
  }
  if (differ(record->id, merged->id))
    az_drift_add(list, record->region, "id", record->id, merged->id, AZ_DRIFT_RECORD);
  if (differ(record->status, merged->status))
    az_drift_add(list, record->region, "status", record->status, az_power_to_string(cloud->power), AZ_DRIFT_RECORD);
}

/* ---- tags ---- */

const char *
az_tag_of(const AzlinVm *vm, const char *name)
{
  GVariantIter iter;
  const char *other, *value;
  if (!vm->tags)
    return NULL;
  g_variant_iter_init(&iter, vm->tags);
  while (g_variant_iter_next(&iter, "{&s&s}", &other, &value))
    if (g_ascii_strcasecmp(other, name) == 0)
      return value;
  return NULL;
}

static gboolean
says(const AzlinVm *vm, const char *name, const char *value)
{
  const char *text = az_tag_of(vm, name);
  return text && g_ascii_strcasecmp(text, value) == 0;
}

/* What is beyond any number of moves is no epoch: taken over, it would leave no room for the next ones. */
static guint64
epoch_of(const AzlinVm *vm)
{
  const char *text = az_tag_of(vm, AZLIN_TAG_EPOCH);
  guint64 epoch = 0;
  return text && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &epoch, NULL) ? epoch : 0;
}

gboolean
az_drift_is_ours(const AzlinVm *vm)
{
  const char *op = az_tag_of(vm, AZLIN_TAG_OP);
  return says(vm, AZLIN_TAG_MANAGED, "true") && op && *op;
}

static const char *
disbelief(const AzlinVm *vm, gboolean allowed)
{
  const char *region = az_tag_of(vm, AZLIN_TAG_REGION);
  if (!az_drift_is_ours(vm))
    return "azlin did not make it";
  if (!allowed)
    return "[policy] allowed-regions does not hold its region";
  if (region && g_ascii_strcasecmp(region, vm->region) != 0)
    return "its tags name another region";
  if (!vm->id || !*vm->id)
    return "the provider gives no id for it";
  return NULL;
}

static void
drift_of_claim(GPtrArray *list, const AzlinVm *cloud, const char *region, guint64 epoch, gboolean allowed)
{
  guint64 claimed = epoch_of(cloud);
  gboolean newer = claimed > epoch && !disbelief(cloud, allowed);
  g_autofree char *text = newer ? g_strdup_printf("true since epoch %" G_GUINT64_FORMAT, claimed) : g_strdup("true");
  g_autofree char *ours = newer ? g_strdup_printf("false at epoch %" G_GUINT64_FORMAT, epoch) : g_strdup("false");
  az_drift_add(list, region, AZLIN_TAG_PRIMARY, ours, text, newer ? AZ_DRIFT_REFUSED : AZ_DRIFT_TAGS);
}

/* Its machine and the record agree who is primary: then the higher epoch is the one that others have seen. */
static void
drift_of_primary(GPtrArray *list, const AzlinVm *cloud, const char *region, guint64 epoch, gboolean allowed)
{
  g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, epoch);
  gboolean claims = says(cloud, AZLIN_TAG_PRIMARY, "true");
  gboolean newer = claims && epoch_of(cloud) > epoch && !disbelief(cloud, allowed);
  if (!claims)
    az_drift_add(list, region, AZLIN_TAG_PRIMARY, "true", az_tag_of(cloud, AZLIN_TAG_PRIMARY), AZ_DRIFT_TAGS);
  if (!says(cloud, AZLIN_TAG_EPOCH, number))
    az_drift_add(list, region, AZLIN_TAG_EPOCH, number, az_tag_of(cloud, AZLIN_TAG_EPOCH),
                 newer ? AZ_DRIFT_RECORD : AZ_DRIFT_TAGS);
}

void
az_drift_tags(GPtrArray *list, const AzlinVm *cloud, const AzlinVm *record, const char *primary, guint64 epoch,
              gboolean allowed)
{
  const char *region = az_tag_of(cloud, AZLIN_TAG_REGION);
  g_autofree char *created = az_time_to_string(record->created_at);
  if (!says(cloud, AZLIN_TAG_MANAGED, "true")) { /* not azlin's to write on */
    if (says(cloud, AZLIN_TAG_PRIMARY, "true") && !g_str_equal(record->region, primary))
      az_drift_add(list, record->region, AZLIN_TAG_PRIMARY, "false", "true", AZ_DRIFT_SHOWN);
    return;
  }
  if (!region || g_ascii_strcasecmp(region, record->region) != 0)
    az_drift_add(list, record->region, AZLIN_TAG_REGION, record->region, region, AZ_DRIFT_TAGS);
  if (created && !az_tag_of(cloud, AZLIN_TAG_CREATED))
    az_drift_add(list, record->region, AZLIN_TAG_CREATED, created, NULL, AZ_DRIFT_TAGS);
  if (g_str_equal(record->region, primary))
    drift_of_primary(list, cloud, record->region, epoch, allowed);
  else if (says(cloud, AZLIN_TAG_PRIMARY, "true"))
    drift_of_claim(list, cloud, record->region, epoch, allowed);
}

/* ---- who says that it is primary ---- */

GArray *
az_claims_new(const AzlinVm *const *vms, gsize n, AzClaimAllowed allowed, gpointer data)
{
  GArray *claims = g_array_new(FALSE, FALSE, sizeof(AzClaim));
  for (gsize i = 0; i < n; i++) {
    AzClaim claim = { .vm = vms[i], .epoch = epoch_of(vms[i]) };
    if (!says(vms[i], AZLIN_TAG_PRIMARY, "true"))
      continue;
    claim.disbelief = disbelief(vms[i], allowed(vms[i]->region, data));
    g_array_append_val(claims, claim);
  }
  return claims;
}

const AzClaim *
az_claims_winner(GArray *claims, guint64 *ret_epoch, guint *ret_rivals)
{
  const AzClaim *best = NULL;
  guint equals = 0;
  for (guint i = 0; i < claims->len; i++) {
    const AzClaim *claim = &g_array_index(claims, AzClaim, i);
    if (claim->disbelief)
      continue;
    if (!best || claim->epoch > best->epoch) {
      best = claim;
      equals = 1;
    } else if (claim->epoch == best->epoch) {
      equals++;
    }
  }
  *ret_epoch = best ? best->epoch : 0;
  *ret_rivals = equals > 1 ? equals : 0;
  return equals == 1 ? best : NULL;
}
