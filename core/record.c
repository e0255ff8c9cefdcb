/* Machine records: copying, the one codec to and from GVariant, and the names of their enumerations. */
#include "record.h"
#include <string.h>

#define DEFAULT_SSH_PORT 22

static const char *const failure_names[] = {
  [AZLIN_FAILURE_NETWORK_UNREACHABLE] = "network_unreachable",
  [AZLIN_FAILURE_SSH_CONNECTION_FAILED] = "ssh_connection_failed",
  [AZLIN_FAILURE_VM_STOPPED] = "vm_stopped",
  [AZLIN_FAILURE_VM_DEALLOCATED] = "vm_deallocated",
  [AZLIN_FAILURE_PERFORMANCE_DEGRADED] = "performance_degraded",
  [AZLIN_FAILURE_UNKNOWN] = "unknown",
  [AZLIN_FAILURE_AUTH_FAILED] = "auth_failed",
  [AZLIN_FAILURE_HOST_KEY_CHANGED] = "host_key_changed",
};
static const char *const power_names[] = {
  [AZLIN_POWER_UNKNOWN] = "unknown",
  [AZLIN_POWER_RUNNING] = "running",
  [AZLIN_POWER_STOPPED] = "stopped",
  [AZLIN_POWER_DEALLOCATED] = "deallocated",
};

/* ---- copies ---- */

static char *
own_string(const char *text)
{
  return g_strdup(text != NULL ? text : "");
}

static void
drop_string(const char *text)
{
  g_free((gpointer) (guintptr) text);
}

#define IGNORE(field)

AzlinVm *
az_vm_dup(const AzlinVm *vm)
{
  AzlinVm *copy = g_new0(AzlinVm, 1);
  /* A brick built against an older header hands over a shorter record. */
  memcpy(copy, vm, vm->size > 0 ? MIN(vm->size, sizeof *copy) : sizeof *copy);
  copy->size = sizeof *copy;
#define COPY_STRING(field) copy->field = own_string(copy->field);
#define COPY_TAGS(field) copy->field = copy->field != NULL ? g_variant_ref_sink(copy->field) : NULL;
  AZLIN_VM_FIELDS(COPY_STRING, IGNORE, IGNORE, IGNORE, COPY_TAGS)
#undef COPY_STRING
#undef COPY_TAGS
  if (*copy->host_key == '\0')
    az_vm_set(&copy->host_key, NULL);
  copy->platform = g_strdup(copy->platform);
  copy->platform_detail = g_strdup(copy->platform_detail);
  return copy;
}

void
az_vm_free(AzlinVm *vm)
{
  if (vm == NULL)
    return;
#define FREE_STRING(field) drop_string(vm->field);
#define FREE_TAGS(field) g_clear_pointer(&vm->field, g_variant_unref);
  AZLIN_VM_FIELDS(FREE_STRING, IGNORE, IGNORE, IGNORE, FREE_TAGS)
#undef FREE_STRING
#undef FREE_TAGS
  drop_string(vm->platform);
  drop_string(vm->platform_detail);
  g_free(vm);
}

AzlinVm *
az_vm_new(const char *region, const char *vm_name)
{
  AzlinVm vm = {
    .size = sizeof vm,
    .region = region,
    .vm_name = vm_name,
    .ssh_port = DEFAULT_SSH_PORT,
    .status = "unknown",
  };
  return az_vm_dup(&vm);
}

void
az_vm_set(const char **field, const char *value)
{
  const char *old = *field;
  *field = g_strdup(value);
  drop_string(old);
}

/* ---- codec ---- */

static GVariant *
variant_of_time(gint64 usec)
{
  g_autofree char *text = az_time_to_string(usec);
  return az_variant_str(text);
}

static GVariant *
variant_of_tags(GVariant *tags)
{
  return tags != NULL ? tags : g_variant_new_array(G_VARIANT_TYPE("{ss}"), NULL, 0);
}

GVariant *
az_vm_to_variant(const AzlinVm *vm)
{
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
#define ADD(field, value) g_variant_builder_add(&builder, "{sv}", #field, value);
#define ADD_STRING(field) ADD(field, az_variant_str(vm->field))
#define ADD_UINT(field) ADD(field, g_variant_new_uint32(vm->field))
#define ADD_BOOL(field) ADD(field, g_variant_new_boolean(vm->field))
#define ADD_TIME(field) ADD(field, variant_of_time(vm->field))
#define ADD_TAGS(field) ADD(field, variant_of_tags(vm->field))
  AZLIN_VM_FIELDS(ADD_STRING, ADD_UINT, ADD_BOOL, ADD_TIME, ADD_TAGS)
#undef ADD
#undef ADD_STRING
#undef ADD_UINT
#undef ADD_BOOL
#undef ADD_TIME
#undef ADD_TAGS
  return g_variant_builder_end(&builder);
}

static const char *
string_in(GVariant *dict, const char *name)
{
  const char *text = NULL;
  return g_variant_lookup(dict, name, "&s", &text) ? text : NULL;
}

/* JSON has one integer type, so every width is taken. */
static gboolean
integer_in(GVariant *dict, const char *name, gint64 *ret_number)
{
  guint32 narrow;
  guint64 wide;
  gint32 small;
  if (g_variant_lookup(dict, name, "x", ret_number))
    return TRUE;
  if (g_variant_lookup(dict, name, "u", &narrow)) {
    *ret_number = narrow;
    return TRUE;
  }
  if (g_variant_lookup(dict, name, "i", &small)) {
    *ret_number = small;
    return TRUE;
  }
  if (g_variant_lookup(dict, name, "t", &wide) && wide <= G_MAXINT64) {
    *ret_number = (gint64) wide;
    return TRUE;
  }
  return FALSE;
}

static gboolean
bool_in(GVariant *dict, const char *name)
{
  gboolean value;
  return g_variant_lookup(dict, name, "b", &value) && value;
}

static guint32
uint_in(GVariant *dict, const char *name, guint32 fallback)
{
  gint64 number;
  if (!integer_in(dict, name, &number) || number < 0 || number > G_MAXUINT32)
    return fallback;
  return (guint32) number;
}

static gint64
time_in(GVariant *dict, const char *name)
{
  gint64 usec;
  const char *text = string_in(dict, name);
  if (text != NULL)
    return az_time_from_string(text);
  return integer_in(dict, name, &usec) ? usec : 0;
}

static GVariant *
tags_in(GVariant *dict, const char *name)
{
  g_autoptr(GVariant) tags = g_variant_lookup_value(dict, name, G_VARIANT_TYPE_DICTIONARY);
  GVariantBuilder builder;
  GVariantIter iter;
  const char *key;
  GVariant *value;
  if (tags != NULL && g_variant_is_of_type(tags, G_VARIANT_TYPE("a{ss}")))
    return g_steal_pointer(&tags);
  if (tags == NULL || !g_variant_is_of_type(tags, G_VARIANT_TYPE_VARDICT))
    return NULL;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{ss}"));
  g_variant_iter_init(&iter, tags);
  while (g_variant_iter_loop(&iter, "{&sv}", &key, &value))
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
      g_variant_builder_add(&builder, "{ss}", key, g_variant_get_string(value, NULL));
  return g_variant_ref_sink(g_variant_builder_end(&builder));
}

AzlinVm *
az_vm_from_variant(GVariant *value)
{
  AzlinVm *vm = az_vm_new(NULL, NULL);
  if (value == NULL || !g_variant_is_of_type(value, G_VARIANT_TYPE_VARDICT))
    return vm;
#define GET_STRING(field)                                                                                              \
  if (string_in(value, #field) != NULL)                                                                                \
    az_vm_set(&vm->field, string_in(value, #field));
#define GET_UINT(field) vm->field = uint_in(value, #field, vm->field);
#define GET_BOOL(field) vm->field = bool_in(value, #field);
#define GET_TIME(field) vm->field = time_in(value, #field);
#define GET_TAGS(field) vm->field = tags_in(value, #field);
  AZLIN_VM_FIELDS(GET_STRING, GET_UINT, GET_BOOL, GET_TIME, GET_TAGS)
#undef GET_STRING
#undef GET_UINT
#undef GET_BOOL
#undef GET_TIME
#undef GET_TAGS
  if (vm->host_key != NULL && *vm->host_key == '\0')
    az_vm_set(&vm->host_key, NULL);
  return vm;
}

/* ---- names ---- */

const char *
az_failure_to_string(AzlinFailure failure)
{
  return (guint) failure < G_N_ELEMENTS(failure_names) ? failure_names[failure] : NULL;
}

AzlinFailure
az_failure_from_string(const char *text)
{
  if (text == NULL)
    return AZLIN_FAILURE_NONE;
  for (guint i = AZLIN_FAILURE_NONE + 1; i < G_N_ELEMENTS(failure_names); i++)
    if (g_str_equal(text, failure_names[i]))
      return (AzlinFailure) i;
  return AZLIN_FAILURE_UNKNOWN;
}

const char *
az_power_to_string(AzlinPower power)
{
  return (guint) power < G_N_ELEMENTS(power_names) ? power_names[power] : "unknown";
}

char *
az_time_to_string(gint64 usec)
{
  if (usec == 0)
    return NULL;
  g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(usec / G_USEC_PER_SEC);
  return time != NULL ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ") : NULL;
}

gint64
az_time_from_string(const char *text)
{
  if (text == NULL)
    return 0;
  g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
  g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, utc);
  if (time == NULL)
    return 0;
  return g_date_time_to_unix(time) * G_USEC_PER_SEC + g_date_time_get_microsecond(time);
}
