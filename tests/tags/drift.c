/* Drift as a table: a record, the machine as its cloud shows it, and what must be said of the two. */
#include "flow-regions-drift.h"
#include <string.h>

#define PRIMARY "eastus"
#define EPOCH 5
#define MADE "'azlin:managed': 'true', 'azlin:op': 'u', 'azlin:region': 'eastus', 'azlin:created_at': 'T'"
#define OTHER "'azlin:managed': 'true', 'azlin:op': 'u', 'azlin:region': 'westus2', 'azlin:created_at': 'T'"
#define IS_PRIMARY ", 'azlin:primary': 'true', 'azlin:epoch': '5'"

typedef struct {
  const char *name;
  const char *record, *cloud; /* what differs from a plain machine, as a{sv} */
  const char *tags;           /* of the machine, a{ss} */
  AzlinPower power;
  const char *wanted; /* "field record>cloud action" lines */
} Row;

static const Row rows[] = {
  { "same", "{}", "{}", "{" MADE IS_PRIMARY "}", AZLIN_POWER_RUNNING, "" },
  { "address", "{}", "{'public_ip': <'10.0.0.9'>}", "{" MADE IS_PRIMARY "}", AZLIN_POWER_RUNNING,
    "public_ip 10.0.0.1>10.0.0.9 update-record\n" },
  { "no address keeps the old one", "{}", "{'public_ip': <''>}", "{" MADE IS_PRIMARY "}", AZLIN_POWER_RUNNING, "" },
  { "id and port", "{}", "{'id': <'/b'>, 'ssh_port': <uint32 2222>}", "{" MADE IS_PRIMARY "}", AZLIN_POWER_RUNNING,
    "ssh_port 22>2222 update-record\nid /a>/b update-record\n" },
  { "stopped", "{}", "{}", "{" MADE IS_PRIMARY "}", AZLIN_POWER_DEALLOCATED, "status ok>deallocated update-record\n" },
  { "runs again", "{'status': <'stopped'>}", "{}", "{" MADE IS_PRIMARY "}", AZLIN_POWER_RUNNING,
    "status stopped>running update-record\n" },
  { "power is not known", "{'status': <'stopped'>}", "{}", "{" MADE IS_PRIMARY "}", AZLIN_POWER_UNKNOWN, "" },
  { "not azlin's to write on", "{}", "{}", "@a{ss} {}", AZLIN_POWER_RUNNING, "" },
  { "bare", "{}", "{}", "{'azlin:managed': 'true'}", AZLIN_POWER_RUNNING,
    "azlin:region eastus>- write-tags\nazlin:created_at 2025-12-01T10:00:00Z>- write-tags\n"
    "azlin:primary true>- write-tags\nazlin:epoch 5>- write-tags\n" },
  { "primary says no", "{}", "{}", "{" MADE ", 'azlin:primary': 'false', 'azlin:epoch': '5'}", AZLIN_POWER_RUNNING,
    "azlin:primary true>false write-tags\n" },
  { "primary behind", "{}", "{}", "{" MADE ", 'azlin:primary': 'true', 'azlin:epoch': '4'}", AZLIN_POWER_RUNNING,
    "azlin:epoch 5>4 write-tags\n" },
  { "primary ahead", "{}", "{}", "{" MADE ", 'azlin:primary': 'true', 'azlin:epoch': '9'}", AZLIN_POWER_RUNNING,
    "azlin:epoch 5>9 update-record\n" },
  { "primary ahead, no creation named", "{}", "{}",
    "{'azlin:managed': 'true', 'azlin:region': 'eastus', 'azlin:created_at': 'T', 'azlin:primary': 'true', "
    "'azlin:epoch': '9'}",
    AZLIN_POWER_RUNNING, "azlin:epoch 5>9 write-tags\n" },
  { "epoch beyond belief", "{}", "{}", "{" MADE ", 'azlin:primary': 'true', 'azlin:epoch': '9223372036854775807'}",
    AZLIN_POWER_RUNNING, "azlin:epoch 5>9223372036854775807 write-tags\n" },
  { "epoch is no number", "{}", "{}", "{" MADE ", 'azlin:primary': 'TRUE', 'azlin:epoch': '-1'}", AZLIN_POWER_RUNNING,
    "azlin:epoch 5>-1 write-tags\n" },
  { "names without case", "{}", "{}",
    "{'AZLIN:Managed': 'True', 'AZLIN:Region': 'EastUS', 'Azlin:Created_At': 'T', 'azlin:PRIMARY': 'true', "
    "'azlin:Epoch': '5'}",
    AZLIN_POWER_RUNNING, "" },
  { "other machine", "{'region': <'westus2'>}", "{'region': <'westus2'>}", "{" OTHER "}", AZLIN_POWER_RUNNING, "" },
  { "other machine, was primary", "{'region': <'westus2'>}", "{'region': <'westus2'>}",
    "{" OTHER ", 'azlin:primary': 'false', 'azlin:epoch': '7'}", AZLIN_POWER_RUNNING, "" },
  { "other machine, old claim", "{'region': <'westus2'>}", "{'region': <'westus2'>}",
    "{" OTHER ", 'azlin:primary': 'true', 'azlin:epoch': '5'}", AZLIN_POWER_RUNNING,
    "azlin:primary false>true write-tags\n" },
  { "other machine, newer claim", "{'region': <'westus2'>}", "{'region': <'westus2'>}",
    "{" OTHER ", 'azlin:primary': 'true', 'azlin:epoch': '6'}", AZLIN_POWER_RUNNING,
    "azlin:primary false at epoch 5>true since epoch 6 refuse\n" },
  { "other machine, newer claim, no creation named", "{'region': <'westus2'>}", "{'region': <'westus2'>}",
    "{'azlin:managed': 'true', 'azlin:region': 'westus2', 'azlin:created_at': 'T', 'azlin:primary': 'true', "
    "'azlin:epoch': '6'}",
    AZLIN_POWER_RUNNING, "azlin:primary false>true write-tags\n" },
  { "other machine, newer claim, not azlin's to write on", "{'region': <'westus2'>}", "{'region': <'westus2'>}",
    "{'azlin:op': 'u', 'azlin:region': 'westus2', 'azlin:primary': 'true', 'azlin:epoch': '6'}", AZLIN_POWER_RUNNING,
    "azlin:primary false>true none\n" },
  { "other machine, tag of another region", "{'region': <'westus2'>}", "{'region': <'westus2'>}",
    "{" MADE ", 'azlin:primary': 'true', 'azlin:epoch': '6'}", AZLIN_POWER_RUNNING,
    "azlin:region westus2>eastus write-tags\nazlin:primary false>true write-tags\n" },
};

static AzlinVm *
machine(const char *differs)
{
  GVariantDict dict;
  g_autoptr(GVariant) plain = g_variant_ref_sink(g_variant_new_parsed(
      "{'region': <'eastus'>, 'vm_name': <'vm'>, 'public_ip': <'10.0.0.1'>, 'ssh_port': <uint32 22>, 'id': <'/a'>, "
      "'status': <'ok'>, 'created_at': <'2025-12-01T10:00:00Z'>}"));
  g_autoptr(GVariant) more = g_variant_parse(G_VARIANT_TYPE_VARDICT, differs, NULL, NULL, NULL);
  GVariantIter iter;
  const char *name;
  GVariant *value;
  g_variant_dict_init(&dict, plain);
  g_variant_iter_init(&iter, more);
  while (g_variant_iter_loop(&iter, "{&sv}", &name, &value))
    g_variant_dict_insert_value(&dict, name, value);
  g_autoptr(GVariant) all = g_variant_ref_sink(g_variant_dict_end(&dict));
  return az_vm_from_variant(all);
}

static char *
printed(GPtrArray *list)
{
  GString *text = g_string_new(NULL);
  g_autoptr(GVariant) all = g_variant_ref_sink(az_drift_to_variant(list));
  GVariantIter iter;
  GVariant *one;
  g_variant_iter_init(&iter, all);
  while (g_variant_iter_loop(&iter, "v", &one)) {
    const char *field = NULL, *record = "-", *cloud = "-", *action = NULL;
    g_variant_lookup(one, "field", "&s", &field);
    g_variant_lookup(one, "record", "&s", &record);
    g_variant_lookup(one, "cloud", "&s", &cloud);
    g_variant_lookup(one, "action", "&s", &action);
    g_string_append_printf(text, "%s %s>%s %s\n", field, record, cloud, action);
  }
  return g_string_free(text, FALSE);
}

static void
test_row(gconstpointer data)
{
  const Row *row = data;
  g_autoptr(AzlinVm) record = machine(row->record);
  g_autoptr(AzlinVm) cloud = machine(row->cloud);
  g_autoptr(GPtrArray) list = az_drift_list_new();
  cloud->power = row->power;
  cloud->tags = g_variant_ref_sink(g_variant_new_parsed(row->tags));
  az_drift_machine(list, record, cloud);
  az_drift_tags(list, cloud, record, PRIMARY, EPOCH, TRUE);
  g_autofree char *got = printed(list);
  g_assert_cmpstr(got, ==, row->wanted);
}

/* ---- claims ---- */

static gboolean
not_asia(const char *region, gpointer data)
{
  return !g_str_equal(region, "asia");
}

/* "region epoch", '!' in front: no creation named. */
static GPtrArray *
fleet(const char *const *words)
{
  GPtrArray *vms = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  for (; *words; words++) {
    g_auto(GStrv) parts = g_strsplit(*words + (**words == '!'), " ", 2);
    AzlinVm *vm = az_vm_new(parts[0], "vm");
    GVariantBuilder tags;
    az_vm_set(&vm->id, "/a");
    g_variant_builder_init(&tags, G_VARIANT_TYPE("a{ss}"));
    g_variant_builder_add(&tags, "{ss}", "azlin:managed", **words == '!' ? "false" : "true");
    g_variant_builder_add(&tags, "{ss}", "azlin:op", "u");
    if (parts[1]) {
      g_variant_builder_add(&tags, "{ss}", "azlin:primary", "true");
      g_variant_builder_add(&tags, "{ss}", "azlin:epoch", parts[1]);
    }
    vm->tags = g_variant_ref_sink(g_variant_builder_end(&tags));
    g_ptr_array_add(vms, vm);
  }
  return vms;
}

static void
claim(const char *const *words, guint n, const char *winner, guint64 epoch, guint rivals)
{
  guint64 got_epoch = 99;
  guint got_rivals = 99;
  g_autoptr(GPtrArray) vms = fleet(words);
  g_autoptr(GArray) claims = az_claims_new((const AzlinVm *const *) vms->pdata, vms->len, not_asia, NULL);
  const AzClaim *got = az_claims_winner(claims, &got_epoch, &got_rivals);
  g_assert_cmpuint(claims->len, ==, n);
  g_assert_cmpstr(got ? got->vm->region : NULL, ==, winner);
  g_assert_cmpuint(got_epoch, ==, epoch);
  g_assert_cmpuint(got_rivals, ==, rivals);
}
#define CLAIM(n, winner, epoch, rivals, ...) claim((const char *const[]){ __VA_ARGS__, NULL }, n, winner, epoch, rivals)

static void
test_claims(void)
{
  CLAIM(0, NULL, 0, 0, "eastus", "westus2");
  CLAIM(1, "eastus", 3, 0, "eastus 3", "westus2");
  CLAIM(2, "westus2", 4, 0, "eastus 3", "westus2 4");
  CLAIM(2, NULL, 4, 2, "eastus 4", "westus2 4");
  CLAIM(3, "uk", 5, 0, "eastus 4", "westus2 4", "uk 5");
  CLAIM(3, NULL, 5, 2, "uk 5", "eastus 4", "westus2 5");
  CLAIM(2, "eastus", 3, 0, "eastus 3", "!westus2 9");
  CLAIM(2, "eastus", 3, 0, "asia 9", "eastus 3");
  CLAIM(1, NULL, 0, 0, "!eastus 9");
  CLAIM(2, "eastus", 1, 0, "eastus 1", "westus2 99999999999999999999");
}

static void
test_no_id_no_belief(void)
{
  const char *words[] = { "eastus 3", NULL };
  g_autoptr(GPtrArray) vms = fleet(words);
  AzlinVm *vm = g_ptr_array_index(vms, 0);
  az_vm_set(&vm->id, NULL);
  g_autoptr(GArray) claims = az_claims_new((const AzlinVm *const *) vms->pdata, 1, not_asia, NULL);
  g_assert_nonnull(strstr(g_array_index(claims, AzClaim, 0).disbelief, "no id"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *path = g_strdup_printf("/tags/drift/%s", rows[i].name);
    g_test_add_data_func(path, &rows[i], test_row);
  }
  g_test_add_func("/tags/claims", test_claims);
  g_test_add_func("/tags/claims/id", test_no_id_no_belief);
  return g_test_run();
}
