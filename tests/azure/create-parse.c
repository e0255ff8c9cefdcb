/* What answers are taken for: host keys, owners, states, rules; each from hostile text, too. */
#include "admission.h"
#include "creation.h"
#include "deployment.h"
#include "host-key.h"
#include "pieces.h"
#include <string.h>

#define BLOB "AAAAC3NzaC1lZDI1NTE5AAAAIBYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYW"
#define OTHER "AAAAC3NzaC1lZDI1NTE5AAAAICUlJSUlJSUlJSUlJSUlJSUlJSUlJSUlJSUlJSUlJSUl"
#define KEY "ssh-ed25519 " BLOB

static char *
from_output(const char *out)
{
  g_autofree char *message = g_strdup_printf("Enable succeeded: \n[stdout]\n%s\n[stderr]\n", out);
  json_t *answer = json_pack("{s:[{s:s, s:s}]}", "value", "code", "ProvisioningState/succeeded", "message", message);
  char *key = azure_host_key_of_run_command(answer);
  json_decref(answer);
  return key;
}

static void
test_run_command(void)
{
  g_autofree char *plain = from_output(KEY), *comment = from_output(KEY " root@azlin-eastus\r");
  g_assert_cmpstr(plain, ==, KEY);
  g_assert_cmpstr(comment, ==, KEY);
  const char *const bad[] = {
    "",
    "ssh-ed25519",
    "ssh-rsa " BLOB,
    "ssh-ed25519 AAAA",
    KEY "A",
    KEY "\n" KEY,
    "cat: /etc/ssh/ssh_host_ed25519_key.pub: No such file",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\x1b[1m",
    "ssh-ed25519 AAAAC3NzaC1yc2EAAAADAQABAAAAIBYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYW",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autofree char *key = from_output(bad[i]);
    g_assert_null(key);
  }
}

static void
assert_no_key(const char *json)
{
  json_t *answer = json_loads(json, JSON_DECODE_ANY, NULL);
  g_autofree char *key = azure_host_key_of_run_command(answer);
  g_assert_null(key);
  json_decref(answer);
}

static void
test_run_command_shapes(void)
{
  json_t *wrapped = json_pack("{s:s, s:{s:{s:[{s:s}]}}}", "status", "Succeeded", "properties", "output", "value",
                              "message", "Enable succeeded: \n[stdout]\n" KEY "\n\n[stderr]\n");
  g_autofree char *key = azure_host_key_of_run_command(wrapped);
  g_assert_cmpstr(key, ==, KEY);
  json_decref(wrapped);
  assert_no_key("null");
  assert_no_key("[]");
  assert_no_key("{\"value\": \"[stdout] " KEY " [stderr]\"}");
  assert_no_key("{\"value\": [{\"message\": 7}, null, [], {\"message\": \"" KEY "\"}]}");
  assert_no_key("{\"value\": [{\"message\": \"[stderr] [stdout] " KEY "\"}]}");
  g_assert_null(azure_host_key_of_run_command(NULL));
}

static char *
from_log(const char *log)
{
  return azure_host_key_of_serial_log(log, strlen(log));
}

static void
test_serial_log(void)
{
  g_autofree char *plain
      = from_log("boot\r\n-----BEGIN SSH HOST KEY KEYS-----\r\necdsa-sha2-nistp256 AAAA root@x\r\n" KEY
                 " root@x\r\n-----END SSH HOST KEY KEYS-----\r\nlogin:");
  g_autofree char *prefixed
      = from_log("[   21.1] cloud-init[901]: -----BEGIN SSH HOST KEY KEYS-----\n[   21.1] cloud-init[901]: " KEY
                 " root@x\n[   21.1] cloud-init[901]: -----END SSH HOST KEY KEYS-----\n");
  g_autofree char *last = from_log("-----BEGIN SSH HOST KEY KEYS-----\nssh-ed25519 " OTHER
                                   "\n-----END SSH HOST KEY KEYS-----\n-----BEGIN SSH HOST KEY KEYS-----\n" KEY
                                   "\n-----END SSH HOST KEY KEYS-----\n");
  g_assert_cmpstr(plain, ==, KEY);
  g_assert_cmpstr(prefixed, ==, KEY);
  g_assert_cmpstr(last, ==, KEY);
  const char *const bad[] = {
    "",
    KEY,
    "-----BEGIN SSH HOST KEY KEYS-----\n" KEY,
    "-----END SSH HOST KEY KEYS-----\n" KEY "\n-----BEGIN SSH HOST KEY KEYS-----\n",
    "-----BEGIN SSH HOST KEY KEYS-----\nxssh-ed25519 " BLOB "\n-----END SSH HOST KEY KEYS-----\n",
    "-----BEGIN SSH HOST KEY KEYS-----\nssh-ed25519 AAAA\n-----END SSH HOST KEY KEYS-----\n",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autofree char *key = from_log(bad[i]);
    g_assert_null(key);
  }
}

static void
test_log_addresses(void)
{
  const char *const good[] = { "https://md-x.z12.blob.storage.azure.net/c/x.serialconsole.log?sig=%2B",
                               "https://a.blob.core.windows.net/l" };
  const char *const bad[] = { NULL,
                              "",
                              "http://a.blob.core.windows.net/l",
                              "https://a.blob.core.windows.net.evil.org/l",
                              "https://evil.org/a.blob.core.windows.net",
                              "https://u@a.blob.core.windows.net/l",
                              "https://core.windows.net/l",
                              "https://169.254.169.254/metadata",
                              "https://127.0.0.1/l",
                              "file:///etc/passwd" };
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
    g_assert_true(azure_serial_log_url_is_good(good[i], "https://management.azure.com"));
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
    g_assert_false(azure_serial_log_url_is_good(bad[i], "https://management.azure.com"));
  g_assert_false(azure_serial_log_url_is_good(good[0], "https://management.chinacloudapi.cn"));
  g_assert_true(azure_serial_log_url_is_good("http://127.0.0.1:81/l", "http://127.0.0.1:80"));
  g_assert_false(azure_serial_log_url_is_good("http://10.0.0.1/l", "http://127.0.0.1:80"));
}

static AzureOwner
owner(const char *json, const char *op)
{
  json_t *resource = json_loads(json, 0, NULL);
  AzureOwner is = azure_owner_of(resource, op);
  json_decref(resource);
  return is;
}

static void
test_owners(void)
{
  const char *ours = "{\"tags\": {\"azlin:managed\": \"true\", \"azlin:op\": \"A\"}}";
  g_assert_cmpint(azure_owner_of(NULL, "a"), ==, AZURE_ABSENT);
  g_assert_cmpint(owner(ours, "a"), ==, AZURE_OURS);
  g_assert_cmpint(owner(ours, NULL), ==, AZURE_OURS);
  g_assert_cmpint(owner(ours, "b"), ==, AZURE_OTHER_RUN);
  g_assert_cmpint(owner("{\"tags\": {\"azlin:managed\": \"true\"}}", "a"), ==, AZURE_OTHER_RUN);
  g_assert_cmpint(owner("{\"tags\": {\"azlin:op\": \"a\"}}", "a"), ==, AZURE_FOREIGN);
  g_assert_cmpint(owner("{\"tags\": {\"azlin:managed\": \"false\"}}", NULL), ==, AZURE_FOREIGN);
  g_assert_cmpint(owner("{\"tags\": [\"azlin:managed\"]}", NULL), ==, AZURE_FOREIGN);
  g_assert_cmpint(owner("{\"tags\": {\"azlin:managed\": true}}", NULL), ==, AZURE_FOREIGN);
  g_assert_cmpint(owner("{}", NULL), ==, AZURE_FOREIGN);
}

/* Where the platform hands no tags on to a disk it is whose the machine is, and only while it hangs on that machine. */
static void
test_disk(void)
{
  g_autoptr(AzureNames) names = azure_names_new("0b1f6471-1bf0-4dda-aec3-111122223333", "group", "vm");
  g_autofree char *upper = g_ascii_strup(names->vm, -1);
  AzureSight sight = { .owner = { [AZURE_VM] = AZURE_OURS, [AZURE_DISK] = AZURE_FOREIGN }, .vm = json_object() };
  json_t *bare = json_object(), *attached = json_pack("{s:s}", "managedBy", upper);
  azure_settle_disk(&sight, bare, names);
  g_assert_cmpint(sight.owner[AZURE_DISK], ==, AZURE_FOREIGN);
  azure_settle_disk(&sight, attached, names);
  g_assert_cmpint(sight.owner[AZURE_DISK], ==, AZURE_OURS);
  sight.owner[AZURE_VM] = sight.owner[AZURE_DISK] = AZURE_FOREIGN;
  azure_settle_disk(&sight, attached, names);
  g_assert_cmpint(sight.owner[AZURE_DISK], ==, AZURE_FOREIGN);
  json_decref(bare);
  json_decref(attached);
  json_decref(sight.vm);
}

static void
test_states(void)
{
  g_assert_true(azure_state_is_final("succeeded"));
  g_assert_true(azure_state_is_final("Failed"));
  g_assert_true(azure_state_is_final("Canceled"));
  g_assert_false(azure_state_is_final("Running"));
  g_assert_false(azure_state_is_final("Deleting"));
  g_assert_false(azure_state_is_final(""));
  g_assert_cmpuint(azure_wait_ms(0), ==, 1000);
  g_assert_cmpuint(azure_wait_ms(1), ==, 2000);
  g_assert_cmpuint(azure_wait_ms(1000), ==, 10000);
}

#define TAGGED "\"tags\": {\"azlin:managed\": \"true\"}"
#define NSG(rules) "{" TAGGED ", \"properties\": {\"securityRules\": [" rules "]}}"
#define SSH(prefix) "{\"name\": \"ssh\", \"properties\": {\"sourceAddressPrefix\": \"" prefix "\"}}"
#define MACHINES(members) "{\"name\": \"azlin-machines\", \"properties\": {" members "}}"

static gboolean
stale(const char *json)
{
  static const char *const addresses[] = { "20.0.0.1", "20.0.0.2", NULL };
  json_t *group = json_loads(json, 0, NULL);
  g_assert_nonnull(group);
  gboolean is = azure_rules_are_stale(group, addresses);
  json_decref(group);
  return is;
}

static void
test_stale_rules(void)
{
  g_assert_true(stale(NSG(SSH("203.0.113.7"))));
  g_assert_true(stale(NSG(SSH("203.0.113.7") "," MACHINES("\"sourceAddressPrefix\": \"20.0.0.1\""))));
  g_assert_true(stale(NSG(SSH("203.0.113.7") "," MACHINES("\"sourceAddressPrefixes\": [\"20.0.0.1\", \"20.0.0.9\"]"))));
  g_assert_false(
      stale(NSG(SSH("203.0.113.7") "," MACHINES("\"sourceAddressPrefixes\": [\"20.0.0.2\", \"20.0.0.1\"]"))));
  g_assert_false(stale(NSG(SSH("*"))));
  g_assert_false(stale(NSG()));
  g_assert_false(stale("{\"properties\": {\"securityRules\": [" SSH("203.0.113.7") "]}}"));
}

static void
test_addresses(void)
{
  json_t *list = json_loads("[{" TAGGED ", \"properties\": {\"ipAddress\": \"20.0.0.2\"}},"
                            "{" TAGGED ", \"properties\": {\"ipAddress\": \"20.0.0.1\"}},"
                            "{" TAGGED ", \"properties\": {\"ipAddress\": \"*\"}},"
                            "{" TAGGED ", \"properties\": {\"ipAddress\": \"::1\"}},"
                            "{" TAGGED ", \"properties\": {}}, null,"
                            "{\"properties\": {\"ipAddress\": \"20.0.0.3\"}}]",
                            0, NULL);
  g_auto(GStrv) found = azure_machine_addresses(list);
  g_autofree char *joined = g_strjoinv(" ", found);
  g_assert_cmpstr(joined, ==, "20.0.0.1 20.0.0.2");
  json_decref(list);
}

/* It becomes part of command lines. */
static void
test_address(void)
{
  Creation creation = { 0 };
  creation_note_address(&creation, "20.1.2.3");
  g_assert_cmpstr(creation.address, ==, "20.1.2.3");
  creation_note_address(&creation, "-oProxyCommand=id");
  g_assert_null(creation.address);
  creation_note_address(&creation, "");
  g_assert_null(creation.address);
  creation_note_address(&creation, NULL);
  g_assert_null(creation.address);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/create/run-command", test_run_command);
  g_test_add_func("/create/run-command-shapes", test_run_command_shapes);
  g_test_add_func("/create/serial-log", test_serial_log);
  g_test_add_func("/create/log-addresses", test_log_addresses);
  g_test_add_func("/create/owners", test_owners);
  g_test_add_func("/create/disk", test_disk);
  g_test_add_func("/create/states", test_states);
  g_test_add_func("/create/stale-rules", test_stale_rules);
  g_test_add_func("/create/addresses", test_addresses);
  g_test_add_func("/create/address-of-a-machine", test_address);
  return g_test_run();
}
