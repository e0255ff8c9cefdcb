/* What is asked for one machine, checked before anything is sent: user, key, user data, addresses that may come in. */
#include "machine.h"
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
  g_autofree char *path = azure_option_string(azure, "user-data-file"), *text = NULL;
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

AzureMachine *
azure_machine_new(Azure *azure, const AzlinVmSpec *spec, GError **error)
{
  g_autoptr(AzureMachine) machine = g_new0(AzureMachine, 1);
  if (!azure_user_check(spec->ssh_user, error) || !check_key(spec, error)
      || !read_ssh_source(azure, &machine->ssh_source, error) || !read_user_data(azure, &machine->custom_data, error))
    return NULL;
  machine->image = azure_image_reference(spec->image, error);
  if (!machine->image)
    return NULL;
  machine->region = g_strdup(spec->region);
  machine->vm_name = g_strdup(spec->vm_name);
  machine->resource_group = g_strdup(spec->resource_group);
  machine->vm_size = g_strdup(spec->vm_size);
  machine->zone = spec->zone && *spec->zone ? g_strdup(spec->zone) : NULL;
  machine->user = g_strdup(spec->ssh_user);
  machine->ssh_key = g_strdup(spec->ssh_public_key);
  machine->vm_type = azure_option_string(azure, "vm-type");
  machine->tags = spec->tags ? g_variant_ref_sink(spec->tags) : NULL;
  machine->op = g_uuid_string_random();
  machine->created_at = now_text(azure);
  return g_steal_pointer(&machine);
}

void
azure_machine_place(AzureMachine *machine, const char *subscription)
{
  g_clear_pointer(&machine->names, azure_names_free);
  machine->names = azure_names_new(subscription, machine->resource_group, machine->vm_name);
}

void
azure_machine_free(AzureMachine *machine)
{
  g_clear_pointer(&machine->names, azure_names_free);
  g_free(machine->region);
  g_free(machine->vm_name);
  g_free(machine->resource_group);
  g_free(machine->vm_size);
  g_free(machine->zone);
  g_free(machine->user);
  g_free(machine->ssh_key);
  g_free(machine->vm_type);
  g_free(machine->custom_data);
  g_free(machine->op);
  g_free(machine->created_at);
  g_strfreev(machine->ssh_source);
  json_decref(machine->image);
  g_clear_pointer(&machine->tags, g_variant_unref);
  g_free(machine);
}
