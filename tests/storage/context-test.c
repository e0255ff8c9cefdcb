/* context-file as its users see it: records, order, primary, compare-and-swap, hand edits, restoring. */
#include "brick-host.h"
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

extern const AzlinPlugin azlin_plugin_v1;

#define SPEC_EXAMPLE                                                                                                   \
  "{\n  \"version\": \"2.0\",\n  \"resource_group\": \"azlin-vms\",\n  \"default_region\": \"eastus\",\n"              \
  "  \"default_vm_size\": \"Standard_B2s\",\n  \"regions\": [\n    {\n      \"region\": \"eastus\",\n"                 \
  "      \"vm_name\": \"vm-eastus-123\",\n      \"public_ip\": \"1.2.3.4\",\n      \"is_primary\": true,\n"            \
  "      \"created_at\": \"2025-12-01T10:00:00Z\"\n    },\n    {\n      \"region\": \"westus2\",\n"                    \
  "      \"vm_name\": \"vm-westus2-123\",\n      \"public_ip\": \"5.6.7.8\",\n      \"is_primary\": false,\n"          \
  "      \"created_at\": \"2025-12-01T10:05:00Z\"\n    }\n  ]\n}\n"

typedef struct {
  BrickHost *host;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
  fixture->host = brick_host_new(&azlin_plugin_v1, NULL);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
  brick_host_remove_home(fixture->host);
  brick_host_free(fixture->host);
}

static void
add(BrickHost *host, const char *region, gboolean primary)
{
  g_auto(Reply) reply = context_add(host, region, "1.2.3.4", primary);
  g_assert_no_error(reply.error);
}

static void
expect_primary(BrickHost *host, const char *region)
{
  g_autofree char *primary = context_primary(host);
  g_assert_cmpstr(primary, ==, region);
}

static void
expect_order(BrickHost *host, const char *wanted)
{
  g_auto(Reply) reply = context_list(host);
  g_autoptr(GString) names = g_string_new(NULL);
  g_assert_no_error(reply.error);
  for (guint i = 0; i < reply.vms->len; i++)
    g_string_append_printf(names, "%s%s", i > 0 ? " " : "", ((AzlinVm *) g_ptr_array_index(reply.vms, i))->region);
  g_assert_cmpstr(names->str, ==, wanted);
}

/* ---- records ---- */

static void
list_empty(Fixture *fixture, gconstpointer data)
{
  expect_order(fixture->host, "");
  expect_primary(fixture->host, "");
  g_assert_cmpuint(context_epoch(fixture->host), ==, 0);
  g_assert_false(home_has(fixture->host, "config.json"));
}

static void
list_sorted_primary_first(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "westus2", FALSE);
  add(fixture->host, "northeurope", TRUE);
  add(fixture->host, "eastus", FALSE);
  expect_order(fixture->host, "northeurope eastus westus2");
}

static void
metadata_full(Fixture *fixture, gconstpointer data)
{
  g_autoptr(AzlinVm) vm = az_vm_new("eastus", "vm-1");
  az_vm_set(&vm->public_ip, "10.0.0.7");
  az_vm_set(&vm->resource_group, "azlin-vms-eastus");
  az_vm_set(&vm->provider, "local");
  az_vm_set(&vm->id, "/vm/7");
  az_vm_set(&vm->ssh_user, "azureuser");
  az_vm_set(&vm->host_key, "ssh-ed25519 AAAA");
  az_vm_set(&vm->status, "ok");
  vm->ssh_port = 2222;
  vm->created_at = az_time_from_string("2025-12-01T10:00:00Z");
  vm->last_health_check = az_time_from_string("2025-12-02T11:30:05Z");
  vm->tags = g_variant_ref_sink(g_variant_new_parsed("{'env': 'dev', 'naïve \"key\"': 'line\\nbreak'}"));
  g_auto(Reply) reply = context_put(fixture->host, vm);
  g_assert_no_error(reply.error);
  g_autoptr(AzlinVm) read = context_get(fixture->host, "eastus");
  g_autoptr(GVariant) want = g_variant_ref_sink(az_vm_to_variant(vm));
  g_autoptr(GVariant) have = g_variant_ref_sink(az_vm_to_variant(read));
  g_autofree char *want_text = g_variant_print(want, FALSE);
  g_autofree char *have_text = g_variant_print(have, FALSE);
  g_assert_cmpstr(have_text, ==, want_text);
}

static void
metadata_minimal_none_ip(Fixture *fixture, gconstpointer data)
{
  AzlinVm vm = { .size = sizeof vm, .region = "eastus", .vm_name = "vm-1" };
  g_auto(Reply) reply = context_put(fixture->host, &vm);
  g_assert_no_error(reply.error);
  g_autoptr(AzlinVm) read = context_get(fixture->host, "eastus");
  g_assert_cmpstr(read->public_ip, ==, "");
  g_assert_cmpstr(read->resource_group, ==, "azlin-vms");
  g_assert_cmpstr(read->status, ==, "unknown");
  g_assert_null(read->host_key);
  g_assert_null(read->tags);
  g_assert_cmpuint(read->ssh_port, ==, 22);
  g_assert_cmpint(read->created_at, >, 0);
  g_assert_cmpint(read->last_health_check, ==, 0);
}

static void
add_updates_existing(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", TRUE);
  g_autoptr(AzlinVm) before = context_get(fixture->host, "eastus");
  g_auto(Reply) reply = context_add(fixture->host, "eastus", "9.9.9.9", FALSE);
  g_assert_no_error(reply.error);
  g_autoptr(AzlinVm) after = context_get(fixture->host, "eastus");
  g_assert_cmpstr(after->public_ip, ==, "9.9.9.9");
  g_assert_cmpint(after->created_at, ==, before->created_at);
  g_assert_true(after->is_primary);
  expect_order(fixture->host, "eastus");
}

static void
add_empty_names(Fixture *fixture, gconstpointer data)
{
  const char *const pairs[][2] = { { NULL, "vm" }, { "", "vm" }, { "eastus", NULL }, { "eastus", "" } };
  for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
    AzlinVm vm = { .size = sizeof vm, .region = pairs[i][0], .vm_name = pairs[i][1] };
    g_auto(Reply) reply = context_put(fixture->host, &vm);
    g_assert_error(reply.error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
    g_assert_nonnull(strstr(reply.error->message, "cannot be empty"));
  }
  g_assert_false(home_has(fixture->host, "config.json"));
}

static void
unchanged_put_writes_nothing(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", TRUE);
  g_autofree char *before = home_read(fixture->host, "config.json");
  g_autoptr(AzlinVm) vm = context_get(fixture->host, "eastus");
  g_auto(Reply) reply = context_put(fixture->host, vm);
  g_assert_no_error(reply.error);
  g_autofree char *after = home_read(fixture->host, "config.json");
  g_assert_cmpstr(after, ==, before);
}

static void
put_status_of_several(Fixture *fixture, gconstpointer data)
{
  const AzlinContext *iface = fixture->host->brick->iface;
  AzlinVm east = { .size = sizeof east, .region = "eastus", .vm_name = "vm-eastus", .status = "ok" };
  AzlinVm renamed = { .size = sizeof east, .region = "westus2", .vm_name = "vm-other", .status = "down" };
  AzlinVm gone = { .size = sizeof east, .region = "uksouth", .vm_name = "vm-uksouth", .status = "down" };
  const AzlinVm *const all[] = { &east, &renamed, &gone };
  east.last_health_check = az_time_from_string("2025-12-02T11:30:05Z");
  add(fixture->host, "eastus", TRUE);
  add(fixture->host, "westus2", FALSE);
  g_auto(Reply) reply = { 0 };
  iface->put_status(fixture->host->self, all, G_N_ELEMENTS(all), reply_op(fixture->host, &reply, 0));
  reply_wait(&reply);
  g_assert_no_error(reply.error);
  g_autoptr(AzlinVm) first = context_get(fixture->host, "eastus");
  g_autoptr(AzlinVm) second = context_get(fixture->host, "westus2");
  g_assert_cmpstr(first->status, ==, "ok");
  g_assert_cmpint(first->last_health_check, ==, east.last_health_check);
  g_assert_cmpstr(first->public_ip, ==, "1.2.3.4");
  g_assert_cmpstr(second->status, ==, "unknown");
  expect_order(fixture->host, "eastus westus2");
}

static void
put_all_in_one_write(Fixture *fixture, gconstpointer data)
{
  const AzlinContext *iface = fixture->host->brick->iface;
  AzlinVm east = { .size = sizeof east, .region = "eastus", .vm_name = "vm-eastus", .public_ip = "9.9.9.9" };
  AzlinVm west = { .size = sizeof west, .region = "westus2", .vm_name = "vm-westus2" };
  AzlinVm nameless = { .size = sizeof nameless, .region = "uksouth", .vm_name = "" };
  const AzlinVm *const good[] = { &west, &east };
  const AzlinVm *const bad[] = { &west, &nameless };
  add(fixture->host, "eastus", TRUE);
  g_auto(Reply) refused = { 0 };
  iface->put_all(fixture->host->self, bad, G_N_ELEMENTS(bad), reply_op(fixture->host, &refused, 0));
  reply_wait(&refused);
  g_assert_error(refused.error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  expect_order(fixture->host, "eastus");
  g_auto(Reply) reply = { 0 };
  iface->put_all(fixture->host->self, good, G_N_ELEMENTS(good), reply_op(fixture->host, &reply, 0));
  reply_wait(&reply);
  g_assert_no_error(reply.error);
  g_autoptr(AzlinVm) first = context_get(fixture->host, "eastus");
  g_assert_cmpstr(first->public_ip, ==, "9.9.9.9");
  expect_order(fixture->host, "eastus westus2");
  expect_primary(fixture->host, "eastus");
}

static void
remove_exists_and_nonexistent(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", TRUE);
  add(fixture->host, "westus2", FALSE);
  g_auto(Reply) missing = context_forget(fixture->host, "uksouth");
  g_assert_error(missing.error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND);
  g_assert_cmpstr(missing.error->message, ==, "Region uksouth does not exist");
  g_auto(Reply) reply = context_forget(fixture->host, "westus2");
  g_assert_no_error(reply.error);
  expect_order(fixture->host, "eastus");
  expect_primary(fixture->host, "eastus");
}

static void
remove_primary_leaves_none(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", TRUE);
  add(fixture->host, "westus2", FALSE);
  guint64 epoch = context_epoch(fixture->host);
  g_auto(Reply) reply = context_forget(fixture->host, "eastus");
  g_assert_no_error(reply.error);
  expect_primary(fixture->host, "");
  g_assert_cmpuint(context_epoch(fixture->host), >, epoch);
}

/* ---- primary ---- */

static void
first_region_is_primary_only_if_asked(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", FALSE);
  expect_primary(fixture->host, "");
  add(fixture->host, "westus2", TRUE);
  expect_primary(fixture->host, "westus2");
  g_assert_cmpuint(context_epoch(fixture->host), ==, 1);
}

static void
only_one_primary_at_a_time(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", TRUE);
  add(fixture->host, "westus2", TRUE);
  expect_primary(fixture->host, "eastus");
  g_auto(Reply) reply = context_set_primary(fixture->host, "eastus", "westus2", 1);
  g_assert_no_error(reply.error);
  g_assert_cmpuint(g_variant_get_uint64(reply.variant), ==, 2);
  expect_primary(fixture->host, "westus2");
  g_auto(Reply) list = context_list(fixture->host);
  guint primaries = 0;
  for (guint i = 0; i < list.vms->len; i++)
    primaries += ((AzlinVm *) g_ptr_array_index(list.vms, i))->is_primary ? 1 : 0;
  g_assert_cmpuint(primaries, ==, 1);
}

static void
set_primary_is_compare_and_swap(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", TRUE);
  add(fixture->host, "westus2", FALSE);
  g_auto(Reply) other_primary = context_set_primary(fixture->host, "westus2", "eastus", 1);
  g_assert_error(other_primary.error, AZLIN_ERROR, AZLIN_ERROR_FENCED);
  g_auto(Reply) old_epoch = context_set_primary(fixture->host, "eastus", "westus2", 0);
  g_assert_error(old_epoch.error, AZLIN_ERROR, AZLIN_ERROR_FENCED);
  g_assert_nonnull(strstr(old_epoch.error->message, "eastus at epoch 1"));
  expect_primary(fixture->host, "eastus");
  g_assert_cmpuint(context_epoch(fixture->host), ==, 1);
}

static void
set_primary_nonexistent(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", TRUE);
  g_auto(Reply) reply = context_set_primary(fixture->host, "eastus", "mars", 1);
  g_assert_error(reply.error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND);
  g_assert_cmpstr(reply.error->message, ==, "Region mars does not exist");
  expect_primary(fixture->host, "eastus");
}

static void
set_primary_to_none_and_back(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", TRUE);
  g_auto(Reply) none = context_set_primary(fixture->host, "eastus", "", 1);
  g_assert_no_error(none.error);
  expect_primary(fixture->host, "");
  g_auto(Reply) back = context_set_primary(fixture->host, "", "eastus", 2);
  g_assert_no_error(back.error);
  expect_primary(fixture->host, "eastus");
  g_assert_cmpuint(context_epoch(fixture->host), ==, 3);
}

/* ---- what people write ---- */

static void
spec_example_as_it_is(Fixture *fixture, gconstpointer data)
{
  home_write(fixture->host, "config.json", SPEC_EXAMPLE);
  expect_order(fixture->host, "eastus westus2");
  expect_primary(fixture->host, "eastus");
  g_autoptr(AzlinVm) vm = context_get(fixture->host, "westus2");
  g_assert_cmpstr(vm->resource_group, ==, "azlin-vms");
  g_assert_cmpstr(vm->provider, ==, "");
  g_assert_cmpuint(vm->ssh_port, ==, 22);
  g_autofree char *text = home_read(fixture->host, "config.json");
  g_assert_cmpstr(text, ==, SPEC_EXAMPLE);
  g_assert_cmpstr(fixture->host->log->str, ==, "");
}

static void
keeps_unknown_keys_and_order(Fixture *fixture, gconstpointer data)
{
  home_write(
      fixture->host, "config.json",
      "{\"zeta\": [1, 2.5, null], \"version\": \"2.0\", \"resource_group\": \"rg\", \"regions\": [{\"note\": {\"deep\":"
      " true}, \"region\": \"eastus\", \"vm_name\": \"a\", \"alpha\": \"\\u001b[31m\"}], \"beta\": \"end\"}");
  g_auto(Reply) reply = context_set_primary(fixture->host, "", "eastus", 0);
  g_assert_no_error(reply.error);
  g_autofree char *text = home_read(fixture->host, "config.json");
  const char *const order[] = { "\"zeta\": [",
                                "2.5",
                                "null",
                                "\"version\"",
                                "\"resource_group\": \"rg\"",
                                "\"regions\"",
                                "\"note\": {",
                                "\"deep\": true",
                                "\"region\": \"eastus\"",
                                "\"vm_name\": \"a\"",
                                "\"alpha\": \"\\u001B[31m\"",
                                "\"is_primary\": true",
                                "\"beta\": \"end\"",
                                "\"epoch\": 1",
                                "\"generation\": 1" };
  const char *at = text;
  for (guint i = 0; i < G_N_ELEMENTS(order); i++) {
    at = strstr(at, order[i]);
    if (at == NULL)
      g_test_message("missing, or out of order: %s in %s", order[i], text);
    g_assert_nonnull(at);
  }
}

static void
hand_edit_is_accepted(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", TRUE);
  g_autofree char *text = home_read(fixture->host, "config.json");
  g_autoptr(GString) edited = g_string_new(text);
  g_string_replace(edited, "1.2.3.4", "7.7.7.7", 0);
  home_write(fixture->host, "config.json", edited->str);
  g_autoptr(AzlinVm) vm = context_get(fixture->host, "eastus");
  g_assert_cmpstr(vm->public_ip, ==, "7.7.7.7");
  g_assert_cmpstr(fixture->host->log->str, ==, "");
  add(fixture->host, "westus2", FALSE);
  g_autoptr(AzlinVm) again = context_get(fixture->host, "eastus");
  g_assert_cmpstr(again->public_ip, ==, "7.7.7.7");
}

static void
hand_moved_primary_is_told_and_raises_the_epoch(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", TRUE);
  add(fixture->host, "westus2", FALSE);
  g_autofree char *text = home_read(fixture->host, "config.json");
  g_autoptr(GString) edited = g_string_new(text);
  g_string_replace(edited, "\"is_primary\": true", "\"is_primary\": maybe", 0);
  g_string_replace(edited, "\"is_primary\": false", "\"is_primary\": true", 0);
  g_string_replace(edited, "\"is_primary\": maybe", "\"is_primary\": false", 0);
  home_write(fixture->host, "config.json", edited->str);
  expect_primary(fixture->host, "westus2");
  g_assert_nonnull(
      strstr(fixture->host->log->str, "edited by hand: the primary is now westus2, azlin had stored eastus"));
  g_assert_cmpuint(context_epoch(fixture->host), ==, 2);
  g_auto(Reply) stale = context_set_primary(fixture->host, "westus2", "eastus", 1);
  g_assert_error(stale.error, AZLIN_ERROR, AZLIN_ERROR_FENCED);
  g_auto(Reply) reply = context_set_primary(fixture->host, "westus2", "eastus", 2);
  g_assert_no_error(reply.error);
}

static void
two_primaries_are_refused(Fixture *fixture, gconstpointer data)
{
  g_autoptr(GString) text = g_string_new(SPEC_EXAMPLE);
  g_string_replace(text, "\"is_primary\": false", "\"is_primary\": true", 0);
  home_write(fixture->host, "config.json", text->str);
  g_auto(Reply) list = context_list(fixture->host);
  g_assert_error(list.error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_assert_nonnull(strstr(list.error->message, "two primary regions, eastus and westus2"));
  g_auto(Reply) put = context_add(fixture->host, "uksouth", "1.1.1.1", FALSE);
  g_assert_error(put.error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_autofree char *after = home_read(fixture->host, "config.json");
  g_assert_cmpstr(after, ==, text->str);
}

static void
newer_version_is_refused(Fixture *fixture, gconstpointer data)
{
  home_write(fixture->host, "config.json", "{\"version\": \"3.0\", \"resource_group\": \"x\", \"regions\": []}");
  g_auto(Reply) list = context_list(fixture->host);
  g_assert_error(list.error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_assert_nonnull(strstr(list.error->message, "newer azlin"));
}

/* ---- damage ---- */

static void
corrupt_is_restored_and_told(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", TRUE);
  add(fixture->host, "westus2", FALSE);
  g_auto(Reply) moved = context_set_primary(fixture->host, "eastus", "westus2", 1);
  g_assert_no_error(moved.error);
  home_write(fixture->host, "config.json", "{\"version\": \"2.0\", \"regions\": [");
  expect_primary(fixture->host, "westus2");
  g_assert_cmpuint(context_epoch(fixture->host), ==, 2);
  expect_order(fixture->host, "westus2 eastus");
  g_assert_nonnull(strstr(fixture->host->log->str, "is not JSON"));
  g_assert_nonnull(strstr(fixture->host->log->str, "was restored (primary: westus2)"));
  g_autofree char *bad = home_read(fixture->host, "config.json.corrupt-1");
  g_assert_cmpstr(bad, ==, "{\"version\": \"2.0\", \"regions\": [");
}

static void
corrupt_without_copies_is_refused(Fixture *fixture, gconstpointer data)
{
  const char *const broken[]
      = { "",
          "{",
          "[]",
          "null",
          "{\"regions\": 7}",
          "{\"regions\": [{\"region\": \"a\"}]}",
          "{\"version\": \"2.0\", \"regions\": [{\"region\": \"a\", \"vm_name\": \"b\", \"ssh_port\": 0}]}",
          "{\"version\": 2, \"regions\": []}",
          "{\"epoch\": -1}",
          "{\"regions\": [{\"region\": \"a\", \"vm_name\": \"b\"}, {\"region\": \"a\", \"vm_name\": \"c\"}]}",
          "{\"regions\": [{\"region\": \"a\", \"vm_name\": \"b\", \"created_at\": \"soon\"}]}" };
  for (guint i = 0; i < G_N_ELEMENTS(broken); i++) {
    home_write(fixture->host, "config.json", broken[i]);
    g_auto(Reply) list = context_list(fixture->host);
    g_assert_error(list.error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
    g_auto(Reply) put = context_add(fixture->host, "eastus", "1.1.1.1", TRUE);
    g_assert_error(put.error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
    g_autofree char *after = home_read(fixture->host, "config.json");
    g_assert_cmpstr(after, ==, broken[i]);
    g_assert_false(home_has(fixture->host, "config.json.corrupt-1"));
  }
}

static void
bit_flip_under_our_own_seal_is_seen(Fixture *fixture, gconstpointer data)
{
  struct stat st;
  g_autofree char *path = home_file(fixture->host, "config.json");
  add(fixture->host, "eastus", TRUE);
  g_assert_cmpint(stat(path, &st), ==, 0);
  struct timespec times[2] = { st.st_atim, st.st_mtim };
  g_autofree char *text = home_read(fixture->host, "config.json");
  *strstr(text, "1.2.3.4") = '9';
  home_write(fixture->host, "config.json", text);
  g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
  g_autoptr(AzlinVm) vm = context_get(fixture->host, "eastus");
  g_assert_cmpstr(vm->public_ip, ==, "1.2.3.4");
  g_assert_nonnull(strstr(fixture->host->log->str, "nobody edited it"));
  g_assert_true(home_has(fixture->host, "config.json.corrupt-1"));
}

static void
removed_file_is_restored(Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = home_file(fixture->host, "config.json");
  add(fixture->host, "eastus", TRUE);
  g_assert_cmpint(g_unlink(path), ==, 0);
  expect_primary(fixture->host, "eastus");
  g_assert_nonnull(strstr(fixture->host->log->str, "is gone"));
}

static void
older_copy_never_lowers_the_epoch(Fixture *fixture, gconstpointer data)
{
  g_autofree char *good = home_file(fixture->host, "config.json.good");
  add(fixture->host, "eastus", TRUE);
  add(fixture->host, "westus2", FALSE);
  g_auto(Reply) moved = context_set_primary(fixture->host, "eastus", "westus2", 1);
  g_assert_no_error(moved.error);
  home_write(fixture->host, "config.json", "");
  g_assert_cmpint(g_unlink(good), ==, 0);
  expect_primary(fixture->host, "eastus");
  g_assert_cmpuint(context_epoch(fixture->host), >, 2);
}

static void
previous_generation_is_kept(Fixture *fixture, gconstpointer data)
{
  add(fixture->host, "eastus", TRUE);
  g_autofree char *first = home_read(fixture->host, "config.json");
  add(fixture->host, "westus2", FALSE);
  g_autofree char *previous = home_read(fixture->host, "config.json.1");
  g_assert_cmpstr(previous, ==, first);
}

static void
symlink_and_modes(Fixture *fixture, gconstpointer data)
{
  struct stat st;
  g_autofree char *path = home_file(fixture->host, "config.json");
  g_autofree char *real = home_file(fixture->host, "real.json");
  home_write(fixture->host, "real.json", SPEC_EXAMPLE);
  g_assert_cmpint(symlink(real, path), ==, 0);
  g_auto(Reply) list = context_list(fixture->host);
  g_assert_error(list.error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_assert_cmpint(g_unlink(path), ==, 0);
  home_write(fixture->host, "config.json", SPEC_EXAMPLE);
  g_assert_cmpint(g_chmod(path, 0666), ==, 0);
  expect_primary(fixture->host, "eastus");
  g_assert_cmpint(stat(path, &st), ==, 0);
  g_assert_cmphex(st.st_mode & 0777, ==, 0600);
}

/* ---- many regions, and waiting ---- */

/* Each stays a line, also the primary's, which was parsed to be found; and the file one that azlin reads line by line.
 */
static void
expect_status_of_many(Fixture *fixture)
{
  const AzlinContext *iface = fixture->host->brick->iface;
  AzlinVm primary = { .size = sizeof primary, .region = "region005", .vm_name = "vm-region005", .status = "ok" };
  AzlinVm other = { .size = sizeof other, .region = "region129", .vm_name = "vm-region129", .status = "down" };
  AzlinVm renamed = { .size = sizeof renamed, .region = "region100", .vm_name = "vm-other", .status = "down" };
  const AzlinVm *const all[] = { &primary, &other, &renamed };
  primary.last_health_check = other.last_health_check = az_time_from_string("2025-12-02T11:30:05Z");
  for (guint i = 0; i < 2; i++) { /* the second one says nothing new */
    g_autofree char *before = home_read(fixture->host, "config.json");
    g_auto(Reply) reply = { 0 };
    iface->put_status(fixture->host->self, all, G_N_ELEMENTS(all), reply_op(fixture->host, &reply, 0));
    reply_wait(&reply);
    g_assert_no_error(reply.error);
    g_autofree char *after = home_read(fixture->host, "config.json");
    g_assert_true(g_str_equal(before, after) == (i == 1));
    g_assert_nonnull(strstr(after, "\n    {\"region\": \"region129\", "));
    g_assert_nonnull(strstr(after, "\n    {\"region\": \"region005\", "));
  }
  g_autoptr(AzlinVm) first = context_get(fixture->host, "region005");
  g_autoptr(AzlinVm) second = context_get(fixture->host, "region129");
  g_autoptr(AzlinVm) third = context_get(fixture->host, "region100");
  g_assert_cmpstr(first->status, ==, "ok");
  g_assert_cmpstr(second->status, ==, "down");
  g_assert_cmpstr(third->status, ==, "unknown");
  g_assert_cmpint(second->last_health_check, ==, other.last_health_check);
  expect_primary(fixture->host, "region005");
}

static void
many_regions_one_line_each(Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < 130; i++) {
    g_autofree char *region = g_strdup_printf("region%03u", 129 - i);
    add(fixture->host, region, i == 40);
  }
  expect_primary(fixture->host, "region089");
  g_autofree char *text = home_read(fixture->host, "config.json");
  g_assert_nonnull(strstr(text, "\n    {\"region\": \"region129\", "));
  g_auto(Reply) moved = context_set_primary(fixture->host, "region089", "region005", 1);
  g_assert_no_error(moved.error);
  g_auto(Reply) gone = context_forget(fixture->host, "region128");
  g_assert_no_error(gone.error);
  expect_status_of_many(fixture);
  g_auto(Reply) list = context_list(fixture->host);
  g_assert_cmpuint(list.vms->len, ==, 129);
  g_assert_cmpstr(((AzlinVm *) g_ptr_array_index(list.vms, 0))->region, ==, "region005");
  g_assert_cmpstr(((AzlinVm *) g_ptr_array_index(list.vms, 1))->region, ==, "region000");
  for (guint i = 0; i < 60; i++) {
    g_autofree char *region = g_strdup_printf("region%03u", i);
    g_auto(Reply) reply = context_forget(fixture->host, region);
    g_assert_no_error(reply.error);
  }
  expect_primary(fixture->host, "");
  g_autofree char *small = home_read(fixture->host, "config.json");
  g_assert_nonnull(strstr(small, "\n      \"region\": \"region127\",\n"));
  g_assert_cmpstr(fixture->host->log->str, ==, "");
}

static void
a_held_lock_ends_at_the_deadline(Fixture *fixture, gconstpointer data)
{
  const AzlinContext *iface = fixture->host->brick->iface;
  g_autofree char *path = home_file(fixture->host, "config.lock");
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  int fd = open(path, O_RDWR | O_CREAT, 0600);
  g_assert_cmpint(fcntl(fd, F_OFD_SETLK, &lock), ==, 0);
  AzlinVm vm = { .size = sizeof vm, .region = "eastus", .vm_name = "vm" };
  g_auto(Reply) reply = { 0 };
  gint64 start = g_get_monotonic_time();
  iface->put(fixture->host->self, &vm, reply_op(fixture->host, &reply, 200));
  g_assert_false(reply.done);
  reply_wait(&reply);
  g_assert_error(reply.error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
  g_assert_cmpint(g_get_monotonic_time() - start, <, 5 * G_USEC_PER_SEC);
  close(fd);
  add(fixture->host, "westus2", FALSE);
  expect_order(fixture->host, "westus2");
}

static void
epoch_only_rises(Fixture *fixture, gconstpointer data)
{
  BrickHost *host = fixture->host;
  const AzlinContext *context = host->brick->iface;
  static const guint64 wanted[] = { 7, 3, 7 };
  add(host, "eastus", FALSE);
  for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++) {
    g_auto(Reply) reply = { 0 };
    context->raise_epoch(host->self, wanted[i], reply_op(host, &reply, 0));
    reply_wait(&reply);
    g_assert_no_error(reply.error);
    g_assert_cmpuint(context_epoch(host), ==, 7);
  }
  g_auto(Reply) moved = context_set_primary(host, "", "eastus", 7);
  g_assert_no_error(moved.error);
  g_assert_cmpuint(g_variant_get_uint64(moved.variant), ==, 8);
}

#define ADD(name) g_test_add("/context/" #name, Fixture, NULL, set_up, name, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  ADD(list_empty);
  ADD(list_sorted_primary_first);
  ADD(metadata_full);
  ADD(metadata_minimal_none_ip);
  ADD(add_updates_existing);
  ADD(add_empty_names);
  ADD(unchanged_put_writes_nothing);
  ADD(put_status_of_several);
  ADD(put_all_in_one_write);
  ADD(epoch_only_rises);
  ADD(remove_exists_and_nonexistent);
  ADD(remove_primary_leaves_none);
  ADD(first_region_is_primary_only_if_asked);
  ADD(only_one_primary_at_a_time);
  ADD(set_primary_is_compare_and_swap);
  ADD(set_primary_nonexistent);
  ADD(set_primary_to_none_and_back);
  ADD(spec_example_as_it_is);
  ADD(keeps_unknown_keys_and_order);
  ADD(hand_edit_is_accepted);
  ADD(hand_moved_primary_is_told_and_raises_the_epoch);
  ADD(two_primaries_are_refused);
  ADD(newer_version_is_refused);
  ADD(corrupt_is_restored_and_told);
  ADD(corrupt_without_copies_is_refused);
  ADD(bit_flip_under_our_own_seal_is_seen);
  ADD(removed_file_is_restored);
  ADD(older_copy_never_lowers_the_epoch);
  ADD(previous_generation_is_kept);
  ADD(symlink_and_modes);
  ADD(many_regions_one_line_each);
  ADD(a_held_lock_ends_at_the_deadline);
  return g_test_run();
}
