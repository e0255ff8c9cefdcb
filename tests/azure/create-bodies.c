/* The JSON of a machine's resources and of the deployment that makes them, against golden files; what is refused. */
#include "create-blueprint.h"
#include "image.h"
#include <glib/gstdio.h>
#include <string.h>

static void
test_direct(void)
{
  Azure *azure = test_azure_new();
  AzlinVmSpec spec = test_spec();
  test_option("vm-type", "'dev'");
  g_autoptr(AzureBlueprint) blueprint = test_blueprint_new(azure, &spec);
  json_t *all
      = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "group", azure_group_body(blueprint->region), "rules",
                  azure_rules_body(blueprint), "network", azure_network_body(blueprint), "address",
                  azure_address_body(blueprint), "nic", azure_nic_body(blueprint), "vm", azure_vm_body(blueprint));
  test_assert_golden(all, "create-direct.json");
  test_azure_free(azure);
}

/* A zone, ranges that may come in, user data, and tags that try to pass for azlin's own or for expressions. */
static void
test_template(void)
{
  Azure *azure = test_azure_new();
  AzlinVmSpec spec = test_spec();
  g_autofree char *path = g_build_filename(g_get_tmp_dir(), "azlin-user-data-XXXXXX", NULL);
  g_autofree char *option = NULL;
  int fd = g_mkstemp(path);
  g_assert_cmpint(fd, >=, 0);
  g_close(fd, NULL);
  g_assert_true(g_file_set_contents(path, "#cloud-config\npackages: [rsync]\n", -1, NULL));
  option = g_strdup_printf("'%s'", path);
  test_option("user-data-file", option);
  test_option("ssh-source", "['203.0.113.7', '198.51.100.0/24']");
  spec.zone = "2";
  g_autoptr(GVariant) tags = g_variant_ref_sink(g_variant_new_parsed(
      "{'azlin:region': 'eastus', 'azlin:managed': 'no', 'azlin:op': 'forged', 'note': '[deployment().name]'}"));
  spec.tags = tags;
  g_autoptr(AzureBlueprint) blueprint = test_blueprint_new(azure, &spec);
  test_assert_golden(azure_deployment_body(blueprint), "create-template.json");
  g_unlink(path);
  test_azure_free(azure);
}

static json_t *
template_part(json_t *body, const char *name)
{
  return json_object_get(json_object_get(json_object_get(body, "properties"), "template"), name);
}

/* What is secret must not stand in the template, which everybody who may read the group sees. */
static void
test_secrets_are_parameters(void)
{
  Azure *azure = test_azure_new();
  AzlinVmSpec spec = test_spec();
  g_autoptr(AzureBlueprint) blueprint = test_blueprint_new(azure, &spec);
  json_t *body = azure_deployment_body(blueprint);
  char *text = json_dumps(template_part(body, "resources"), 0);
  g_assert_null(strstr(text, "AAAAC3NzaC1lZDI1NTE5"));
  g_assert_nonnull(strstr(text, "[parameters('sshKey')]"));
  g_assert_null(strstr(text, "customData"));
  free(text);
  json_decref(body);
  test_azure_free(azure);
}

static void
test_users(void)
{
  static const char *const good[] = { "azureuser", "dev", "a1", "_x", "first.last", "x-y_z" };
  static const char *const bad[]
      = { "", "root", "admin", "user", "test", "guest", "Dev", "-x", "$x", "a b", "a/b", "ä" };
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
    g_assert_true(azure_user_check(good[i], NULL));
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_false(azure_user_check(bad[i], &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  }
  g_autofree char *longest = g_strnfill(64, 'x'), *longer = g_strnfill(65, 'x');
  g_assert_true(azure_user_check(longest, NULL));
  g_assert_false(azure_user_check(longer, NULL));
}

static void
test_ssh_source(void)
{
  static const char *const bad[] = { "203.0.113.7/24", "example.org", "2001:db8::/32", "203.0.113.7/33", "*" };
  const char *const good[] = { "203.0.113.7/32", "10.0.0.0/8", NULL };
  g_auto(GStrv) ranges = azure_ssh_source_parse(good, NULL);
  g_assert_cmpstr(ranges[0], ==, "203.0.113.7");
  g_assert_cmpstr(ranges[1], ==, "10.0.0.0/8");
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    const char *const words[] = { bad[i], NULL };
    g_assert_null(azure_ssh_source_parse(words, &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  }
  g_assert_null(azure_ssh_source_parse(NULL, NULL));
}

static void
test_refused(void)
{
  Azure *azure = test_azure_new();
  AzlinVmSpec spec = test_spec();
  const char *const keys[] = { NULL, "", "ssh-ed25519 AAAA\nssh-ed25519 BBBB", "ssh-ed25519 \xff" };
  for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
    g_autoptr(GError) error = NULL;
    spec.ssh_public_key = keys[i];
    g_assert_null(azure_blueprint_new(azure, &spec, &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  }
  g_autoptr(GError) error = NULL;
  spec = test_spec();
  test_option("user-data-file", "'/nonexistent/user-data'");
  g_assert_null(azure_blueprint_new(azure, &spec, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  test_azure_free(azure);
}

static void
assert_image(const char *word, const char *json)
{
  g_autoptr(GError) error = NULL;
  json_t *actual = azure_image_reference(word, &error), *expected = json ? json_loads(json, 0, NULL) : NULL;
  if (expected)
    g_assert_no_error(error);
  else
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  g_assert_true(actual == expected || json_equal(actual, expected));
  json_decref(actual);
  json_decref(expected);
}

static void
test_images(void)
{
  assert_image("ubuntu2204", "{\"publisher\": \"Canonical\", \"offer\": \"0001-com-ubuntu-server-jammy\","
                             "\"sku\": \"22_04-lts-gen2\", \"version\": \"latest\"}");
  assert_image("Debian:debian-12:12-gen2:0.20240717.1811",
               "{\"publisher\": \"Debian\", \"offer\": \"debian-12\", \"sku\": \"12-gen2\","
               "\"version\": \"0.20240717.1811\"}");
  assert_image("/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/mine",
               "{\"id\": \"/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/mine\"}");
  assert_image("/CommunityGalleries/x/Images/y/Versions/1.0.0",
               "{\"communityGalleryImageId\": \"/CommunityGalleries/x/Images/y/Versions/1.0.0\"}");
  assert_image("/SharedGalleries/x/Images/y", "{\"sharedGalleryImageId\": \"/SharedGalleries/x/Images/y\"}");
  const char *const bad[] = { "",           "Ubuntu",    "a:b:c",       "a:b:c:d:e",
                              "a::c:d",     "a:b:c:d e", "/etc/passwd", "/subscriptions/../x",
                              "Ubuntu2204 " };
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
    assert_image(bad[i], NULL);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/create/direct", test_direct);
  g_test_add_func("/create/template", test_template);
  g_test_add_func("/create/secrets", test_secrets_are_parameters);
  g_test_add_func("/create/users", test_users);
  g_test_add_func("/create/ssh-source", test_ssh_source);
  g_test_add_func("/create/refused", test_refused);
  g_test_add_func("/create/images", test_images);
  return g_test_run();
}
