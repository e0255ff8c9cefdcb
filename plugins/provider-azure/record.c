/* A machine's record out of the JSON of Azure: names, region, tags, power state, announced maintenance. */
#include "record.h"
#include "arm.h"
#include <string.h>

#define SSH_PORT 22
#define MAX_TAGS 50u
#define TAGS "tags"

const char *
azure_first_nic(const json_t *body)
{
  const json_t *all = arm_member(body, "properties.networkProfile.networkInterfaces");
  const char *first = "";
  gsize i;
  json_t *one;
  json_array_foreach(all, i, one)
  {
    if (json_is_true(arm_member(one, "properties.primary")) || *first == '\0')
      first = arm_string(one, "id", "");
  }
  return first;
}

/* Lists spell the group of a machine in capitals; ids that it only mentions keep how it was written. */
static AzureNames *
names_as_written(const json_t *body)
{
  const char *id = arm_string(body, "id", NULL);
  g_autoptr(AzureNames) names = azure_names_from_vm_id(id);
  g_auto(GStrv) nic = g_strsplit(azure_first_nic(body), "/", -1);
  if (names == NULL || g_strv_length(nic) < 5 || g_ascii_strcasecmp(nic[4], names->group_name) != 0)
    return g_steal_pointer(&names);
  g_auto(GStrv) words = g_strsplit(id, "/", -1);
  g_autofree char *subscription = g_ascii_strdown(words[2], -1);
  return azure_names_new(subscription, nic[4], names->vm_name);
}

static GVariant *
tags_of(const json_t *body)
{
  GVariantBuilder builder;
  const char *name;
  json_t *value;
  guint n = 0;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{ss}"));
  json_t *tags = json_object_get(body, TAGS);
  json_object_foreach(tags, name, value)
  {
    if (json_is_string(value) && n++ < MAX_TAGS)
      g_variant_builder_add(&builder, "{ss}", name, json_string_value(value));
  }
  return g_variant_ref_sink(g_variant_builder_end(&builder));
}

static gint64
created_at(const json_t *body)
{
  const json_t *tags = json_object_get(body, TAGS);
  gint64 tagged = arm_time(arm_string(tags, AZLIN_TAG_CREATED, NULL));
  return tagged > 0 ? tagged : arm_time(arm_string(body, "properties.timeCreated", NULL));
}

gboolean
azure_record_read(AzureRecord *record, const json_t *body, const AzlinVm *known)
{
  *record = (AzureRecord){ .vm = { .size = sizeof(AzlinVm), .ssh_port = SSH_PORT, .status = "unknown" } };
  if (known != NULL)
    memcpy(&record->vm, known, MIN(known->size, sizeof record->vm));
  AzlinVm *vm = &record->vm;
  vm->size = sizeof *vm;
  record->names = names_as_written(body);
  record->region = arm_region_name(arm_string(body, "location", ""));
  if (record->names == NULL || *record->region == '\0')
    return FALSE;
  record->tags = tags_of(body);
  vm->tags = record->tags;
  vm->provider = "azure";
  if (known == NULL) {
    vm->region = record->region;
    vm->vm_name = record->names->vm_name;
    vm->resource_group = record->names->group_name;
  }
  if (vm->ssh_user == NULL || *vm->ssh_user == '\0')
    vm->ssh_user = arm_string(body, "properties.osProfile.adminUsername", "");
  if (vm->id == NULL || *vm->id == '\0')
    vm->id = record->names->vm;
  if (vm->created_at == 0)
    vm->created_at = created_at(body);
  azure_record_read_status(record, arm_member(body, "properties.instanceView"));
  return TRUE;
}

static AzlinPower
power_of(const char *word)
{
  if (g_ascii_strcasecmp(word, "running") == 0)
    return AZLIN_POWER_RUNNING;
  if (g_ascii_strcasecmp(word, "stopped") == 0)
    return AZLIN_POWER_STOPPED;
  if (g_ascii_strcasecmp(word, "deallocated") == 0)
    return AZLIN_POWER_DEALLOCATED;
  return AZLIN_POWER_UNKNOWN; /* on its way: what is not known to be off counts as on */
}

gint64
azure_maintenance_at(const json_t *instance_view, gint64 now)
{
  const json_t *status = json_object_get(instance_view, "maintenanceRedeployStatus");
  gint64 end = arm_time(arm_string(status, "maintenanceWindowEndTime", NULL));
  gboolean done = g_ascii_strcasecmp(arm_string(status, "lastOperationResultCode", ""), "MaintenanceCompleted") == 0;
  if (done || (end > 0 && end < now))
    return 0;
  return arm_time(arm_string(status, "maintenanceWindowStartTime", NULL));
}

void
azure_record_read_status(AzureRecord *record, const json_t *instance_view)
{
  static const char prefix[] = "PowerState/";
  const json_t *statuses = json_object_get(instance_view, "statuses");
  AzlinVm *vm = &record->vm;
  gsize i;
  json_t *status;
  vm->power = AZLIN_POWER_UNKNOWN;
  json_array_foreach(statuses, i, status)
  {
    const char *code = arm_string(status, "code", "");
    if (g_ascii_strncasecmp(code, prefix, strlen(prefix)) == 0)
      vm->power = power_of(code + strlen(prefix));
  }
  /* A machine is taken off its host by a request alone; in itself it may also have been shut down or have crashed. */
  vm->stop_cause = vm->power == AZLIN_POWER_DEALLOCATED ? AZLIN_STOP_REQUESTED : AZLIN_STOP_UNKNOWN;
  vm->maintenance_at = azure_maintenance_at(instance_view, g_get_real_time());
}

void
azure_record_clear(AzureRecord *record)
{
  g_clear_pointer(&record->names, azure_names_free);
  g_clear_pointer(&record->region, g_free);
  g_clear_pointer(&record->tags, g_variant_unref);
}
