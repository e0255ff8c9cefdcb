/* What stands in a lock's blob, and what blobs are called. */
#include "blob.h"
#include <string.h>

static void
test_records(void)
{
  LockRecord record = { .epoch = 41, .mark = (char *) (guintptr) "m", .holder = (char *) (guintptr) "host, process 7" };
  g_autoptr(GBytes) body = lock_record_print(&record);
  g_auto(LockRecord) read = { 0 };
  g_assert_true(lock_record_parse(body, &read));
  g_assert_cmpuint(read.epoch, ==, 41);
  g_assert_cmpstr(read.mark, ==, "m");
  g_assert_cmpstr(read.holder, ==, "host, process 7");
  LockRecord fresh = { 0 };
  g_autoptr(GBytes) first = lock_record_print(&fresh);
  g_assert_cmpmem(g_bytes_get_data(first, NULL), g_bytes_get_size(first), "{\"epoch\":0}", 11);
}

static void
test_damaged_records(void)
{
  static const char *const damaged[] = { "",
                                         "{}",
                                         "[]",
                                         "7",
                                         "{\"epoch\":\"7\"}",
                                         "{\"epoch\":-1}",
                                         "{\"epoch\":1.5}",
                                         "{\"epoch\":9223372036854775807}",
                                         "{\"epoch\":1}x",
                                         "{\"epoch\":1,\"epoch\":2}",
                                         "{\"epoch\":9223372036854775808}" };
  g_auto(LockRecord) none = { 0 };
  g_assert_false(lock_record_parse(NULL, &none));
  for (gsize i = 0; i < G_N_ELEMENTS(damaged); i++) {
    g_autoptr(GBytes) body = g_bytes_new_static(damaged[i], strlen(damaged[i]));
    g_auto(LockRecord) record = { 0 };
    g_assert_false(lock_record_parse(body, &record));
  }
}

static void
test_names(void)
{
  static const struct {
    const char *key, *name;
  } rows[] = {
    { "failover", "failover" }, { "deploy/azlin-vms", "deploy=2Fazlin-vms" },
    { "..", "=2E=2E" },         { "a=2Fb", "a=3D2Fb" },
    { "\xc3\xa9", "=C3=A9" },   { "A", "A" },
  };
  g_autofree char *long_key = g_strnfill(3000, 'x'), *longer_key = g_strnfill(3001, 'x');
  g_autofree char *one = lock_blob_name(long_key), *other = lock_blob_name(longer_key);
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *name = lock_blob_name(rows[i].key);
    g_assert_cmpstr(name, ==, rows[i].name);
  }
  g_assert_cmpuint(strlen(one), ==, 65);
  g_assert_cmpstr(one, !=, other);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/blob-lock/records", test_records);
  g_test_add_func("/blob-lock/damaged-records", test_damaged_records);
  g_test_add_func("/blob-lock/names", test_names);
  return g_test_run();
}
