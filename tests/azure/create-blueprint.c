/* A machine of fixed values for tests of what is made of it. */
#include "create-blueprint.h"
#include <string.h>

static GHashTable *options;

void
test_option(const char *name, const char *value)
{
  if (value)
    g_hash_table_insert(options, g_strdup(name), g_variant_ref_sink(g_variant_new_parsed(value)));
  else
    g_hash_table_remove(options, name);
}

static GVariant *
fake_option(AzlinHost *host, const char *name)
{
  GVariant *value = g_hash_table_lookup(options, name);
  if (value)
    return g_variant_ref(value);
  return g_variant_ref_sink(g_str_equal(name, "ssh-source") ? g_variant_new("as", NULL) : g_variant_new_string(""));
}

static gint64
fake_now(AzlinHost *host)
{
  return G_GINT64_CONSTANT(1796000000) * G_USEC_PER_SEC;
}

Azure *
test_azure_new(void)
{
  static const AzlinHostApi api = { .size = sizeof api, .option = fake_option, .now = fake_now };
  static AzlinHost host = { &api };
  Azure *azure = g_new0(Azure, 1);
  *azure = (Azure){ .host = &host, .api = &api, .subscription = g_strdup(TEST_SUBSCRIPTION) };
  options = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_variant_unref);
  return azure;
}

void
test_azure_free(Azure *azure)
{
  g_clear_pointer(&options, g_hash_table_unref);
  g_free(azure->subscription);
  g_free(azure);
}

AzlinVmSpec
test_spec(void)
{
  return (AzlinVmSpec){ .size = sizeof(AzlinVmSpec),
                        .region = "eastus",
                        .vm_name = "azlin-eastus-ab12",
                        .resource_group = "azlin-eastus",
                        .vm_size = "Standard_B2s",
                        .image = "Ubuntu2204",
                        .ssh_user = "azureuser",
                        .ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEexample azlin" };
}

AzureBlueprint *
test_blueprint_new(Azure *azure, const AzlinVmSpec *spec)
{
  g_autoptr(GError) error = NULL;
  AzureBlueprint *blueprint = azure_blueprint_new(azure, spec, &error);
  g_assert_no_error(error);
  azure_blueprint_place(blueprint, azure, &error);
  g_assert_no_error(error);
  g_free(blueprint->op);
  blueprint->op = g_strdup(TEST_OP);
  return blueprint;
}

void
test_assert_golden(json_t *actual, const char *file)
{
  g_autofree char *path = g_build_filename(g_getenv("AZLIN_SOURCE_ROOT"), "tests", "azure", "golden", file, NULL);
  json_t *expected = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
  if (!json_equal(expected, actual)) {
    char *text = json_dumps(actual, JSON_INDENT(1));
    g_printerr("%s should be\n%s\n", path, text);
    free(text);
    g_test_fail();
  }
  json_decref(expected);
  json_decref(actual);
}
