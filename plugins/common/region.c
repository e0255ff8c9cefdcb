/* One region's record between its JSON object and AzlinVm: a table over AZLIN_VM_FIELDS. */
#include "region.h"
#include <string.h>

#define DEFAULT_PORT 22
#define DEFAULT_STATUS "unknown"
#define MAX_PORT 65535
#define JULIAN_1970 719163 /* day number of 1970-01-01 in GDate */

gboolean
region_is_name(const char *name)
{
  if (name == NULL || *name == '\0' || strlen(name) > REGION_MAX_NAME || !g_utf8_validate(name, -1, NULL))
    return FALSE;
  for (const char *c = name; *c != '\0'; c++)
    if (g_ascii_iscntrl(*c))
      return FALSE;
  return TRUE;
}

/* ---- times ---- */

static int
digits(const char *text, guint n)
{
  int value = 0;
  for (guint i = 0; i < n; i++) {
    if (!g_ascii_isdigit(text[i]))
      return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

/* azlin's own form, "2025-12-01T10:00:00Z", without the cost of a general parser per record. */
static gboolean
read_plain_time(const char *text, gint64 *ret_usec)
{
  static const char form[] = "....-..-..T..:..:..Z";
  for (guint i = 0; i < sizeof form; i++)
    if (form[i] != '.' && text[i] != form[i])
      return FALSE;
    else if (text[i] == '\0' && form[i] != '\0')
      return FALSE;
  int year = digits(text, 4), month = digits(text + 5, 2), day = digits(text + 8, 2);
  int hour = digits(text + 11, 2), minute = digits(text + 14, 2), second = digits(text + 17, 2);
  if (year < 1970 || month < 1 || day < 1 || hour < 0 || minute < 0 || second < 0 || hour > 23 || minute > 59
      || second > 59 || !g_date_valid_dmy((GDateDay) day, (GDateMonth) month, (GDateYear) year))
    return FALSE;
  GDate date;
  g_date_clear(&date, 1);
  g_date_set_dmy(&date, (GDateDay) day, (GDateMonth) month, (GDateYear) year);
  gint64 days = (gint64) g_date_get_julian(&date) - JULIAN_1970;
  *ret_usec = (((days * 24 + hour) * 60 + minute) * 60 + second) * G_USEC_PER_SEC;
  return TRUE;
}

static gint64
read_time(const char *text)
{
  gint64 usec = 0;
  if (text == NULL || read_plain_time(text, &usec))
    return usec;
  g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
  g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, utc);
  return time != NULL ? g_date_time_to_unix(time) * G_USEC_PER_SEC + g_date_time_get_microsecond(time) : 0;
}

static char *
print_time(gint64 usec)
{
  g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(usec / G_USEC_PER_SEC);
  return time != NULL ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ") : NULL;
}

/* ---- checking ---- */

static gboolean
is_string(json_t *value)
{
  return value == NULL || json_is_null(value) || json_is_string(value);
}

static gboolean
is_port(json_t *value)
{
  return value == NULL
         || (json_is_integer(value) && json_integer_value(value) > 0 && json_integer_value(value) <= MAX_PORT);
}

static gboolean
is_bool(json_t *value)
{
  return value == NULL || json_is_boolean(value);
}

static gboolean
is_time(json_t *value)
{
  if (value == NULL || json_is_null(value))
    return TRUE;
  return json_is_string(value) && read_time(json_string_value(value)) != 0;
}

static gboolean
is_tags(json_t *value)
{
  return value == NULL || json_is_null(value) || json_is_object(value);
}

gboolean
region_check(json_t *region, const char **ret_field)
{
#define CHECK(field, test)                                                                                             \
  if (!test(json_object_get(region, #field))) {                                                                        \
    *ret_field = #field;                                                                                               \
    return FALSE;                                                                                                      \
  }
#define CHECK_STRING(field) CHECK(field, is_string)
#define CHECK_PORT(field) CHECK(field, is_port)
#define CHECK_BOOL(field) CHECK(field, is_bool)
#define CHECK_TIME(field) CHECK(field, is_time)
#define CHECK_TAGS(field) CHECK(field, is_tags)
  AZLIN_VM_FIELDS(CHECK_STRING, CHECK_PORT, CHECK_BOOL, CHECK_TIME, CHECK_TAGS)
#undef CHECK
#undef CHECK_STRING
#undef CHECK_PORT
#undef CHECK_BOOL
#undef CHECK_TIME
#undef CHECK_TAGS
  return TRUE;
}

/* ---- reading ---- */

static const char *
read_string(json_t *region, const char *key, GStringChunk *chunk)
{
  const char *text = json_string_value(json_object_get(region, key));
  return text != NULL ? g_string_chunk_insert(chunk, text) : "";
}

static GVariant *
read_tags(json_t *tags)
{
  GVariantBuilder builder;
  const char *key;
  json_t *value;
  if (json_object_size(tags) == 0)
    return NULL;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{ss}"));
  json_object_foreach(tags, key, value)
  {
    if (json_is_string(value))
      g_variant_builder_add(&builder, "{ss}", key, json_string_value(value));
  }
  return g_variant_ref_sink(g_variant_builder_end(&builder));
}

void
region_read(json_t *region, const char *group, GStringChunk *chunk, AzlinVm *vm)
{
  *vm = (AzlinVm){ .size = sizeof *vm };
#define READ_STRING(field) vm->field = read_string(region, #field, chunk);
#define READ_UINT(field) vm->field = (guint32) json_integer_value(json_object_get(region, #field));
#define READ_BOOL(field) vm->field = json_is_true(json_object_get(region, #field));
#define READ_TIME(field) vm->field = read_time(json_string_value(json_object_get(region, #field)));
#define READ_TAGS(field) vm->field = read_tags(json_object_get(region, #field));
  AZLIN_VM_FIELDS(READ_STRING, READ_UINT, READ_BOOL, READ_TIME, READ_TAGS)
#undef READ_STRING
#undef READ_UINT
#undef READ_BOOL
#undef READ_TIME
#undef READ_TAGS
  if (vm->ssh_port == 0)
    vm->ssh_port = DEFAULT_PORT;
  if (*vm->resource_group == '\0')
    vm->resource_group = g_string_chunk_insert_const(chunk, group);
  if (*vm->status == '\0')
    vm->status = DEFAULT_STATUS;
  if (*vm->host_key == '\0')
    vm->host_key = NULL;
}

/* ---- writing ---- */

static void
write_string(json_t *region, const char *key, const char *value)
{
  if (value == NULL || *value == '\0') {
    json_object_del(region, key);
    return;
  }
  g_autofree char *valid = g_utf8_make_valid(value, -1);
  json_object_set_new(region, key, json_string(valid));
}

static void
write_time(json_t *region, const char *key, gint64 usec)
{
  const char *now = json_string_value(json_object_get(region, key));
  if (usec <= 0) {
    json_object_del(region, key);
    return;
  }
  /* The same second in another spelling is left as it stands. */
  if (now != NULL && read_time(now) / G_USEC_PER_SEC == usec / G_USEC_PER_SEC)
    return;
  g_autofree char *text = print_time(usec);
  write_string(region, key, text);
}

/* Tags are texts; what else a hand put among them is kept. */
static void
write_tags(json_t *region, const char *key, GVariant *tags)
{
  json_auto_t *fresh = json_object();
  json_t *old = json_object_get(region, key);
  const char *name, *text;
  json_t *value;
  GVariantIter iter;
  json_object_foreach(old, name, value)
  {
    if (!json_is_string(value))
      json_object_set(fresh, name, value);
  }
  if (tags != NULL) {
    g_variant_iter_init(&iter, tags);
    while (g_variant_iter_next(&iter, "{&s&s}", &name, &text))
      json_object_set_new(fresh, name, json_string(text));
  }
  if (json_object_size(fresh) == 0)
    json_object_del(region, key);
  else if (!json_equal(fresh, old))
    json_object_set(region, key, fresh);
}

void
region_write(json_t *region, const AzlinVm *given, const char *group, gint64 now)
{
  AzlinVm copy = *given;
  const AzlinVm *vm = &copy;
  if (copy.created_at <= 0)
    copy.created_at = read_time(json_string_value(json_object_get(region, "created_at")));
  if (copy.created_at <= 0)
    copy.created_at = now;
  if (copy.resource_group == NULL || *copy.resource_group == '\0')
    copy.resource_group = group;
  if (copy.status == NULL || *copy.status == '\0')
    copy.status = DEFAULT_STATUS;
#define IGNORE(field)
#define WRITE_STRING(field) write_string(region, #field, vm->field);
#define WRITE_UINT(field) json_object_set_new(region, #field, json_integer(vm->field > 0 ? vm->field : DEFAULT_PORT));
#define WRITE_TIME(field) write_time(region, #field, vm->field);
#define WRITE_TAGS(field) write_tags(region, #field, vm->field);
  AZLIN_VM_FIELDS(WRITE_STRING, WRITE_UINT, IGNORE, WRITE_TIME, WRITE_TAGS)
#undef WRITE_STRING
#undef WRITE_UINT
#undef WRITE_TIME
#undef WRITE_TAGS
#undef IGNORE
}

void
region_write_status(json_t *region, const char *status, gint64 last_health_check)
{
  write_string(region, "status", status);
  write_time(region, "last_health_check", last_health_check);
}

void
region_set_primary(json_t *region, gboolean primary)
{
  json_object_set_new(region, "is_primary", json_boolean(primary));
}
