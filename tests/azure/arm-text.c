/* Pure parts of the azure brick: URLs, origins, waits, ids, names, words, options that are refused. */
#include "arm-world.h"
#include "engine-private.h"
#include "flow-names.h"
#include "names.h"
#include "record.h"
#include <glib/gstdio.h>
#include <string.h>

static void
expect_url(const char *path, const char *version, const char *url)
{
  g_autofree char *built = arm_url(ENDPOINT, path, version);
  g_autofree char *wanted = url != NULL ? g_strconcat(ENDPOINT, url, NULL) : NULL;
  g_assert_cmpstr(built, ==, wanted);
}

static void
test_urls(void)
{
  expect_url("/subscriptions", "1", "/subscriptions?api-version=1");
  expect_url("/a?b=c", "1", "/a?b=c&api-version=1");
  expect_url("/a?$filter=location eq 'eastus'", "1", "/a?$filter=location%20eq%20%27eastus%27&api-version=1");
  expect_url("/gr\xc3\xbc\xc3\x9f"
             "e(1)",
             NULL, "/gr%C3%BC%C3%9Fe(1)");
  expect_url("/a%2Fb%zz", NULL, "/a%2Fb%25zz");
  expect_url("/a\r\nHost: evil", NULL, "/a%0D%0AHost:%20evil");
  expect_url("/a#b", NULL, "/a%23b");
  expect_url(ENDPOINT "/next?$skiptoken=%5B", NULL, "/next?$skiptoken=%5B");
  expect_url("//evil.example/a", "1", NULL);
  expect_url("https://evil.example/a", NULL, NULL);
  expect_url("relative", NULL, NULL);
  expect_url("", NULL, NULL);
}

static void
test_origins(void)
{
  g_assert_true(arm_same_origin(ENDPOINT, "https://MANAGEMENT.azure.com:443/x"));
  g_assert_true(arm_same_origin("http://127.0.0.1:8080", "http://127.0.0.1:8080/x?y"));
  g_assert_false(arm_same_origin("http://127.0.0.1:8080", "http://127.0.0.1:8081/x"));
  g_assert_false(arm_same_origin(ENDPOINT, "https://management.azure.com:444/x"));
  g_assert_false(arm_same_origin(ENDPOINT, "https://management.azure.com./x"));
  g_assert_false(arm_same_origin(ENDPOINT, "https://management.azure.com%2eevil.example/x"));
  g_assert_false(arm_same_origin(ENDPOINT, "https://management.azure.com/\r\nx: y"));
}

static void
test_words(void)
{
  g_autofree char *east = arm_region_name("East US 2"), *nothing = arm_region_name(NULL);
  g_autofree char *name = arm_call_name("GET", VM "?secret=1"), *poll = arm_call_name("GET", ENDPOINT "/x?sig=1");
  g_autofree char *top = arm_call_name("GET", "/subscriptions");
  g_assert_cmpstr(east, ==, "eastus2");
  g_assert_cmpstr(nothing, ==, "");
  g_assert_cmpstr(name, ==, "GET virtualMachines/m1");
  g_assert_cmpstr(poll, ==, "GET x");
  g_assert_cmpstr(top, ==, "GET subscriptions");
  g_assert_cmpint(arm_time("1970-01-01T00:00:10Z"), ==, 10 * G_USEC_PER_SEC);
  g_assert_cmpint(arm_time("yesterday"), ==, 0);
}

static void
test_members(void)
{
  json_auto_t *body = json_loads("{\"a\":{\"b\":\"c\"},\"n\":1,\"l\":[{\"b\":1}]}", 0, NULL);
  g_assert_cmpstr(arm_string(body, "a.b", "x"), ==, "c");
  g_assert_cmpstr(arm_string(body, "a.b.c", "x"), ==, "x");
  g_assert_cmpstr(arm_string(body, "n.b", "x"), ==, "x");
  g_assert_cmpstr(arm_string(body, "l.b", "x"), ==, "x");
  g_assert_cmpstr(arm_string(body, "n", "x"), ==, "x");
  g_assert_null(arm_string(NULL, "a.b", NULL));
}

/* ---- names ---- */

static void
test_names(void)
{
  g_autoptr(AzureNames) names = azure_names_new(SUBSCRIPTION, "azlin-eastus", "m1");
  g_assert_cmpstr(names->vm, ==, VM);
  g_assert_cmpstr(names->group, ==, "/subscriptions/" SUBSCRIPTION "/resourcegroups/azlin-eastus");
  g_assert_cmpstr(names->nic, ==, GROUP "/providers/Microsoft.Network/networkInterfaces/m1-nic");
  g_assert_cmpstr(names->subnet, ==, GROUP "/providers/Microsoft.Network/virtualNetworks/m1-vnet/subnets/default");
  g_assert_true(g_str_has_suffix(names->deployment, "/Microsoft.Resources/deployments/azlin-m1"));
  g_autofree char *long_name = g_strnfill(64, 'm');
  g_autoptr(AzureNames) far = azure_names_new(SUBSCRIPTION, "g", long_name);
  g_assert_cmpuint(strlen(strrchr(far->deployment, '/') + 1), <=, 64);
}

static void
test_ids(void)
{
  g_autofree char *capitals = g_ascii_strup(VM, -1);
  g_autoptr(AzureNames) names = azure_names_from_vm_id(capitals);
  g_assert_nonnull(names);
  g_assert_true(arm_same_id(names->vm, VM));
  const char *const bad[] = {
    "",
    "/",
    "/subscriptions",
    "m1",
    VM "/extensions/x",
    VM "/",
    VM "?x",
    VM "#",
    "x" VM,
    "/subscriptions/x/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/m",
    GROUP "/providers/Microsoft.Compute/virtualMachines/",
    GROUP "/providers/Microsoft.Compute/disks/m",
    GROUP "/providers/Microsoft.Compute/virtualMachines/..",
    GROUP "/providers/Microsoft.Compute/virtualMachines/a b",
    GROUP "/providers/Microsoft.Compute/virtualMachines/a%2fb",
    GROUP "/providers/Microsoft.Compute/virtualMachines/-a",
    "/subscriptions/" SUBSCRIPTION "/resourceGroups/a./providers/Microsoft.Compute/virtualMachines/m",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(AzureNames) none = azure_names_from_vm_id(bad[i]);
    g_test_message("%s", bad[i]);
    g_assert_null(none);
  }
  g_autofree char *filler = g_strnfill(4000, 'a');
  g_assert_false(arm_id_is_sane(filler));
  g_assert_false(arm_id_is_sane(NULL));
}

static void
test_stored_records(void)
{
  g_autoptr(ArmWorld) world = arm_world_new(NULL, 0);
  AzlinVm vm = { .size = sizeof vm, .vm_name = "m1", .resource_group = "azlin-eastus" };
  g_autoptr(GError) foreign = NULL, junk = NULL, unnamed = NULL;
  g_autoptr(AzureNames) by_name = azure_names_of_vm(&world->azure, &vm, NULL);
  g_assert_cmpstr(by_name->vm, ==, VM);
  vm.id = "/subscriptions/99999999-1111-4111-8111-111111111111/resourceGroups/g/providers/Microsoft.Compute/"
          "virtualMachines/m1";
  g_assert_null(azure_names_of_vm(&world->azure, &vm, &foreign));
  g_assert_error(foreign, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  g_assert_nonnull(strstr(foreign->message, "another subscription"));
  vm.id = "i-0123";
  g_assert_null(azure_names_of_vm(&world->azure, &vm, &junk));
  g_assert_error(junk, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  vm.id = "";
  vm.vm_name = "../x";
  g_assert_null(azure_names_of_vm(&world->azure, &vm, &unnamed));
  g_assert_error(unnamed, AZLIN_ERROR, AZLIN_ERROR_USAGE);
}

static void
test_tag_rules(void)
{
  g_autofree char *long_name = g_strnfill(513, 'n'), *long_value = g_strnfill(257, 'v');
  const char *const bad[] = { "",    "a<b",  "a>b",         "a%b",    "a&b",     "a\\b", "a?b",
                              "a/b", "a\tb", "Microsoft.x", "azureX", "windows", "\xff", long_name };
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_false(azure_tag_check(bad[i], "v", &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  }
  g_assert_false(azure_tag_check("a", long_value, NULL));
  g_assert_true(azure_tag_check("azlin:region", "eastus", NULL));
  g_assert_true(azure_tag_check("a b.c-d:e", "<>%&\\?/", NULL));
}

/* ---- azlin.conf ---- */

/* An engine with `options` in [provider.azure]; NULL and the error when the brick stays out. */
static AzEngine *
engine_with(const char *options, GError **error)
{
  const char *scratch = g_getenv("AZLIN_TEST_DIR");
  g_mkdir_with_parents(scratch, 0700);
  g_autofree char *path = g_build_filename(scratch, "azure-text.conf", NULL);
  g_autofree char *home = g_build_filename(scratch, "azure-text", NULL);
  g_autofree char *text = g_strdup_printf("[bricks]\nprovider=azure\n[provider.azure]\n%s\n", options);
  gpointer self = NULL;
  g_assert_true(g_file_set_contents(path, text, -1, NULL));
  g_chmod(path, 0600);
  AzEngine *engine = az_engine_new(path, home, error);
  if (engine == NULL || az_engine_lookup(engine, AZLIN_KIND_PROVIDER, NULL, &self, error) != NULL)
    return engine;
  az_engine_free(engine);
  return NULL;
}

static void
test_options(void)
{
  static const struct {
    const char *options, *word; /* NULL = it is taken */
  } rows[] = {
    { "", NULL },
    { "cloud=china", NULL },
    { "resource-manager-endpoint=http://127.0.0.1:8080", NULL },
    { "resource-manager-endpoint=http://[::1]:8080/", NULL },
    { "resource-manager-endpoint=http://localhost", NULL },
    { "resource-manager-endpoint=http://management.azure.com", "resource-manager-endpoint" },
    { "resource-manager-endpoint=http://127.0.0.1.evil.example", "resource-manager-endpoint" },
    { "resource-manager-endpoint=ftp://127.0.0.1", "resource-manager-endpoint" },
    { "resource-manager-endpoint=management.azure.com", "resource-manager-endpoint" },
    { "resource-manager-endpoint=https://u:p@management.azure.com", "resource-manager-endpoint" },
    { "resource-manager-endpoint=https://management.azure.com/path", "resource-manager-endpoint" },
    { "resource-manager-endpoint=https://management.azure.com?x", "resource-manager-endpoint" },
    { "authority-host=http://login.example", "authority-host" },
    { "cloud=germany", "cloud" },
    { "create=magic", "create" },
    { "resource-health=sometimes", "resource-health" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(AzEngine) engine = engine_with(rows[i].options, &error);
    g_test_message("%s", rows[i].options);
    g_assert_cmpint(engine != NULL, ==, rows[i].word == NULL);
    if (rows[i].word == NULL)
      continue;
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
    g_assert_nonnull(strstr(error->message, rows[i].word));
  }
}

static void
test_authority_variable(void)
{
  g_autoptr(GError) error = NULL;
  g_setenv("AZURE_AUTHORITY_HOST", "http://login.example", TRUE);
  g_autoptr(AzEngine) refused = engine_with("", &error);
  g_assert_null(refused);
  g_assert_nonnull(strstr(error->message, "AZURE_AUTHORITY_HOST"));
  g_autoptr(AzEngine) option_wins = engine_with("authority-host=https://login.example", NULL);
  g_assert_nonnull(option_wins);
  g_unsetenv("AZURE_AUTHORITY_HOST");
}

/* The provider's own base name goes before that of [defaults]. */
static void
test_resource_group(void)
{
  g_autoptr(AzEngine) own = engine_with("resource-group=mine", NULL);
  g_autoptr(AzEngine) none = engine_with("[defaults]\nresource-group=theirs", NULL);
  g_autofree char *first = az_names_resource_group(own, "eastus"), *second = az_names_resource_group(none, "eastus");
  g_assert_cmpstr(first, ==, "mine-eastus");
  g_assert_cmpstr(second, ==, "theirs-eastus");
}

int
main(int argc, char **argv)
{
  g_unsetenv("AZURE_AUTHORITY_HOST");
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/text/urls", test_urls);
  g_test_add_func("/text/origins", test_origins);
  g_test_add_func("/text/words", test_words);
  g_test_add_func("/text/members", test_members);
  g_test_add_func("/names/all", test_names);
  g_test_add_func("/names/ids", test_ids);
  g_test_add_func("/names/stored-records", test_stored_records);
  g_test_add_func("/names/tags", test_tag_rules);
  g_test_add_func("/options/refused", test_options);
  g_test_add_func("/options/authority-variable", test_authority_variable);
  g_test_add_func("/options/resource-group", test_resource_group);
  return g_test_run();
}
