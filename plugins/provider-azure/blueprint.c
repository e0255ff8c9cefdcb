/* What is asked for one machine, checked before anything is sent: user, key, user data, addresses that may come in. */
#include "blueprint.h"
#include "option.h"
#include "image.h"
#include <gio/gio.h>
#include <string.h>

#define MAX_USER_DATA 65535
#define MAX_USER 64

/* Names that Azure refuses for the first user of a machine. */
static const char *const refused_users[]
    = { "1",      "123",           "a",      "actuser", "adm",     "admin",   "admin1",
        "admin2", "administrator", "aspnet", "backup",  "console", "david",   "guest",
        "john",   "owner",         "root",   "server",  "sql",     "support", "support_388945a0",
        "sys",    "test",          "test1",  "test2",   "test3",   "user",    "user1",
        "user2",  "user3",         "user4",  "user5",   NULL };

gboolean
azure_user_check(const char *user, GError **error)
{
  gboolean legal = user && *user && strlen(user) <= MAX_USER && !strchr("-$.", *user)
                   && user[strspn(user, G_CSET_a_2_z G_CSET_DIGITS "_.-")] == '\0';
  if (!legal) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
                "Azure refuses the user name '%s': it takes lower-case letters, digits, '_', '.' and '-'",
                user ? user : "");
    return FALSE;
  }
  if (!g_strv_contains(refused_users, user))
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
              "Azure refuses the user name '%s': it is on its list of reserved names", user);
  return FALSE;
}

static char *
parse_source(const char *word, GError **error)
{
  g_autoptr(GInetAddressMask) mask = g_inet_address_mask_new_from_string(word, NULL);
  if (mask && g_inet_address_mask_get_family(mask) == G_SOCKET_FAMILY_IPV4)
    return g_inet_address_mask_to_string(mask);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
              "[provider.azure] ssh-source: '%s' is no IPv4 address and no range such as 203.0.113.0/24", word);
  return NULL;
}

char **
azure_ssh_source_parse(const char *const *words, GError **error)
{
  g_autoptr(GStrvBuilder) ranges = g_strv_builder_new();
  if (!words || !words[0])
    return NULL;
  for (; *words; words++) {
    g_autofree char *range = parse_source(*words, error);
    if (!range)
      return NULL;
    g_strv_builder_add(ranges, range);
  }
  return g_strv_builder_end(ranges);
}

static gboolean
read_user_data(Azure *azure, char **ret_base64, GError **error)
{
  g_autofree char *path = option_string(azure->host, "user-data-file"), *text = NULL;
  gsize length = 0;
  g_autoptr(GError) unread = NULL;
  if (!path || !*path)
    return TRUE;
  if (!g_file_test(path, G_FILE_TEST_IS_REGULAR) || !g_file_get_contents(path, &text, &length, &unread)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[provider.azure] user-data-file %s cannot be read: %s", path,
                unread ? unread->message : "it is no regular file");
    return FALSE;
  }
  if (length > MAX_USER_DATA) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                "[provider.azure] user-data-file %s has %" G_GSIZE_FORMAT " bytes; Azure takes at most %d", path,
                length, MAX_USER_DATA);
    return FALSE;
  }
  *ret_base64 = g_base64_encode((const guchar *) text, length);
  return TRUE;
}

static gboolean
check_key(const AzlinVmSpec *spec, GError **error)
{
  const char *key = spec->ssh_public_key;
  if (key && *key && g_utf8_validate(key, -1, NULL) && !strpbrk(key, "\r\n"))
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "%s needs an SSH public key of one line", spec->vm_name);
  return FALSE;
}

static gboolean
read_ssh_source(Azure *azure, char ***ret_ranges, GError **error)
{
  GError *wrong = NULL;
  g_autoptr(GVariant) option = azure->api->option(azure->host, "ssh-source");
  g_autofree const char **words = g_variant_get_strv(option, NULL);
  *ret_ranges = azure_ssh_source_parse(words, &wrong);
  if (wrong)
    g_propagate_error(error, wrong);
  return wrong == NULL;
}

static char *
now_text(Azure *azure)
{
  g_autoptr(GDateTime) now = g_date_time_new_from_unix_utc(azure->api->now(azure->host) / G_USEC_PER_SEC);
  return g_date_time_format_iso8601(now);
}

AzureBlueprint *
azure_blueprint_new(Azure *azure, const AzlinVmSpec *spec, GError **error)
{
  g_autoptr(AzureBlueprint) blueprint = g_new0(AzureBlueprint, 1);
  if (!azure_user_check(spec->ssh_user, error) || !check_key(spec, error)
      || !read_ssh_source(azure, &blueprint->ssh_source, error)
      || !read_user_data(azure, &blueprint->custom_data, error))
    return NULL;
  blueprint->image = azure_image_reference(spec->image, error);
  if (!blueprint->image)
    return NULL;
  blueprint->region = g_strdup(spec->region);
  blueprint->vm_name = g_strdup(spec->vm_name);
  blueprint->resource_group = g_strdup(spec->resource_group);
  blueprint->vm_size = g_strdup(spec->vm_size);
  blueprint->zone = spec->zone && *spec->zone ? g_strdup(spec->zone) : NULL;
  blueprint->user = g_strdup(spec->ssh_user);
  blueprint->ssh_key = g_strdup(spec->ssh_public_key);
  blueprint->vm_type = option_string(azure->host, "vm-type");
  blueprint->tags = spec->tags ? g_variant_ref_sink(spec->tags) : NULL;
  blueprint->op = g_uuid_string_random();
  blueprint->created_at = now_text(azure);
  return g_steal_pointer(&blueprint);
}

gboolean
azure_blueprint_place(AzureBlueprint *blueprint, Azure *azure, GError **error)
{
  const AzlinVm vm = { .size = sizeof vm, .vm_name = blueprint->vm_name, .resource_group = blueprint->resource_group };
  g_clear_pointer(&blueprint->names, azure_names_free);
  blueprint->names = azure_names_of_vm(azure, &vm, error);
  return blueprint->names != NULL;
}

void
azure_blueprint_free(AzureBlueprint *blueprint)
{
  g_clear_pointer(&blueprint->names, azure_names_free);
  g_free(blueprint->region);
  g_free(blueprint->vm_name);
  g_free(blueprint->resource_group);
  g_free(blueprint->vm_size);
  g_free(blueprint->zone);
  g_free(blueprint->user);
  g_free(blueprint->ssh_key);
  g_free(blueprint->vm_type);
  g_free(blueprint->custom_data);
  g_free(blueprint->op);
  g_free(blueprint->created_at);
  g_strfreev(blueprint->ssh_source);
  json_decref(blueprint->image);
  g_clear_pointer(&blueprint->tags, g_variant_unref);
  g_free(blueprint);
}
