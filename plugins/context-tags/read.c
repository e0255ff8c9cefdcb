/* Reads records out of the tags of machines: which are azlin's regions, and which of them is primary. */
#include "tags.h"
#include <string.h>

void
tags_list_cloud(Tags *tags, AzlinOp *parent, AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  const AzlinProvider *provider = tags->api->lookup(tags->host, AZLIN_KIND_PROVIDER, NULL, &self);
  AzlinOp *op = tags->api->op_new(parent, "list the machines", 0, done, data);
  if (provider != NULL)
    provider->vm_list(self, op);
  else
    tags->api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_CONFIG, "the provider cannot be loaded"));
}

static gboolean
is_true(GVariant *tags, const char *name)
{
  const char *value = tag_find(tags, name);
  return value != NULL && g_ascii_strcasecmp(value, "true") == 0;
}

static guint64
epoch_of(const AzlinVm *vm)
{
  const char *text = tag_find(vm->tags, AZLIN_TAG_EPOCH);
  guint64 epoch = 0;
  return text != NULL && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &epoch, NULL) ? epoch : 0;
}

static gint64
created_at(const AzlinVm *vm)
{
  const char *text = tag_find(vm->tags, AZLIN_TAG_CREATED);
  g_autoptr(GDateTime) time = text != NULL ? g_date_time_new_from_iso8601(text, NULL) : NULL;
  return time != NULL ? g_date_time_to_unix(time) * G_USEC_PER_SEC : 0;
}

/* Where the tag and the cloud differ about the region, the tag was written by somebody else. */
static gboolean
is_region(Tags *tags, const AzlinVm *vm)
{
  const char *region = tag_find(vm->tags, AZLIN_TAG_REGION);
  if (region == NULL || vm->region == NULL || vm->vm_name == NULL || *vm->region == '\0')
    return FALSE;
  if (g_ascii_strcasecmp(region, vm->region) == 0)
    return TRUE;
  tags->api->log(tags->host, G_LOG_LEVEL_WARNING, "%s in %s is left out: its tag names another region", vm->vm_name,
                 vm->region);
  return FALSE;
}

static AzlinVm *
find_region(const Reading *reading, const char *region)
{
  for (guint i = 0; i < reading->vms->len; i++) {
    AzlinVm *vm = g_ptr_array_index(reading->vms, i);
    if (strcmp(vm->region, region) == 0)
      return vm;
  }
  return NULL;
}

static void
take_in(Tags *tags, Reading *reading, const AzlinVm *machine)
{
  const AzlinVm *other = find_region(reading, machine->region);
  if (other != NULL) {
    tags->api->log(tags->host, G_LOG_LEVEL_WARNING, "%s is left out: %s says that it is the machine of %s too",
                   machine->vm_name, other->vm_name, machine->region);
    return;
  }
  AzlinVm *vm = tags->api->vm_dup(machine);
  vm->is_primary = FALSE;
  if (vm->created_at == 0)
    vm->created_at = created_at(machine);
  g_ptr_array_add(reading->vms, vm);
}

static void
find_primary(Tags *tags, Reading *reading)
{
  AzlinVm *best = NULL;
  guint equals = 0;
  for (guint i = 0; i < reading->vms->len; i++) {
    AzlinVm *vm = g_ptr_array_index(reading->vms, i);
    if (!is_true(vm->tags, AZLIN_TAG_PRIMARY) || !is_true(vm->tags, AZLIN_TAG_MANAGED))
      continue;
    guint64 epoch = epoch_of(vm);
    equals = best == NULL || epoch > reading->epoch ? 1 : equals + (epoch == reading->epoch);
    if (best == NULL || epoch > reading->epoch) {
      best = vm;
      reading->epoch = epoch;
    }
  }
  if (equals > 1)
    tags->api->log(tags->host, G_LOG_LEVEL_WARNING,
                   "%u machines say at epoch %" G_GUINT64_FORMAT " that they are primary; none of them is believed",
                   equals, reading->epoch);
  if (equals != 1)
    return;
  best->is_primary = TRUE;
  reading->primary = best->region;
}

static int
compare_vms(gconstpointer a, gconstpointer b)
{
  const AzlinVm *left = *(const AzlinVm *const *) a;
  const AzlinVm *right = *(const AzlinVm *const *) b;
  if (left->is_primary != right->is_primary)
    return left->is_primary ? -1 : 1;
  return strcmp(left->region, right->region);
}

Reading *
reading_new(Tags *tags, const AzlinVm *const *machines, gsize n)
{
  Reading *reading = g_new0(Reading, 1);
  reading->vms = g_ptr_array_new_with_free_func((GDestroyNotify) tags->api->vm_free);
  reading->primary = "";
  for (gsize i = 0; i < n; i++)
    if (is_region(tags, machines[i]))
      take_in(tags, reading, machines[i]);
  find_primary(tags, reading);
  g_ptr_array_sort(reading->vms, compare_vms);
  return reading;
}

void
reading_free(Reading *reading)
{
  g_ptr_array_unref(reading->vms);
  g_free(reading);
}
