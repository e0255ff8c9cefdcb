/* Health through the engine with provider static: the record of the contract, a witness that scans for real, stored
 * verdicts. */
#include "fixture.h"

#include "engine-private.h"
#include "health.h"
#include "record.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
  World *world; /* for its key pair and clock; the engine has a home of its own beside it */
  AzEngine *engine;
  Sshd *sshd;
  AzlinVm *vm;
} Setup;

static void
set_up(Setup *setup, gconstpointer extra)
{
  g_autoptr(GError) error = NULL;
  setup->world = fixture_world(NULL);
  g_autofree char *key = az_paths_file(setup->world->paths, "keys/id_ed25519");
  g_autofree char *config = g_build_filename(setup->world->dir, "engine.conf", NULL);
  g_autofree char *home = g_build_filename(setup->world->dir, "engine", NULL);
  g_autofree char *text
      = g_strdup_printf("[bricks]\nprovider=static\n[ssh]\nkey-file=%s\n[health]\ntcp-timeout=3\nssh-timeout=3\n"
                        "login-timeout=20\n%s",
                        key, extra != NULL ? (const char *) extra : "");
  g_assert_true(g_file_set_contents(config, text, -1, NULL));
  setup->engine = az_engine_new(config, home, &error);
  g_assert_no_error(error);
  setup->sshd = fixture_sshd(setup->world->public_key);
  setup->vm = fixture_vm(setup->sshd);
  az_vm_set(&setup->vm->provider, "static");
}

static void
tear_down(Setup *setup, gconstpointer unused)
{
  az_engine_free(setup->engine);
  fixture_sshd_stop(setup->sshd);
  fixture_world_free(setup->world);
  az_vm_free(setup->vm);
}

static GVariant *
check(Setup *setup, const AzlinVm *vm)
{
  Wait wait;
  World world = { .clock = az_engine_clock(setup->engine) };
  az_health_check(setup->engine, vm, wait_new(&world, 0, &wait));
  wait_for(&wait);
  g_assert_no_error(wait.error);
  return wait.variant;
}

static void
expect(Setup *setup, const AzlinVm *vm, const char *failure)
{
  g_autoptr(GVariant) health = check(setup, vm);
  gboolean healthy = FALSE;
  const char *type = NULL;
  double ms = -1;
  g_assert_true(g_variant_lookup(health, "is_healthy", "b", &healthy));
  g_variant_lookup(health, "failure_type", "&s", &type);
  g_assert_cmpstr(type, ==, failure);
  g_assert_cmpint(healthy, ==, failure == NULL);
  /* a response time is there exactly when a login was */
  gboolean timed = g_variant_lookup(health, "response_time_ms", "d", &ms);
  g_assert_cmpint(timed, ==, failure == NULL || g_str_equal(failure, "performance_degraded"));
  g_assert_true(!timed || ms > 0);
}

static void
test_healthy(Setup *setup, gconstpointer unused)
{
  expect(setup, setup->vm, NULL);
}

static void
test_slow(Setup *setup, gconstpointer unused)
{
  expect(setup, setup->vm, "performance_degraded");
}

static void
test_failures(Setup *setup, gconstpointer unused)
{
  Fake *fake = fixture_fake(FAKE_SILENT);
  guint port = setup->vm->ssh_port;
  setup->vm->ssh_port = fake->port;
  expect(setup, setup->vm, "ssh_connection_failed");
  setup->vm->ssh_port = fixture_dead_port();
  expect(setup, setup->vm, "ssh_connection_failed");
  setup->vm->ssh_port = port;
  az_vm_set(&setup->vm->host_key,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx0aGlzIGlzIG5vdCB0aGUga2V5IG9mIHRoaXMgaG9zdA==");
  expect(setup, setup->vm, "host_key_changed");
  az_vm_set(&setup->vm->host_key, setup->sshd->host_key);
  az_vm_set(&setup->vm->ssh_user, "azlin-nobody-here");
  expect(setup, setup->vm, "auth_failed");
  az_vm_set(&setup->vm->public_ip, "no-such-host.invalid");
  expect(setup, setup->vm, "unknown"); /* a name that does not resolve says nothing about the machine */
  az_vm_set(&setup->vm->public_ip, "");
  expect(setup, setup->vm, "unknown");
  fixture_fake_stop(fake);
}

static void
test_trusted_key_is_handed_on(Setup *setup, gconstpointer unused)
{
  const char *key = NULL;
  az_vm_set(&setup->vm->host_key, NULL);
  expect(setup, setup->vm, "unknown");
  az_remote_set_accept_new(az_engine_remote(setup->engine), TRUE);
  g_autoptr(GVariant) health = check(setup, setup->vm);
  g_assert_true(g_variant_lookup(health, "host_key", "&s", &key));
  g_assert_cmpstr(key, ==, setup->sshd->host_key);
}

static void
expect_witness(Setup *setup, const AzlinVm *suspect, const char *wanted)
{
  Wait wait;
  World world = { .clock = az_engine_clock(setup->engine) };
  const char *outcome = NULL, *vantage = NULL;
  g_autoptr(AzlinVm) witness = az_vm_dup(setup->vm);
  az_vm_set(&witness->region, "westus2");
  az_health_ask_witness(setup->engine, witness, suspect, wait_new(&world, 0, &wait));
  wait_for(&wait);
  g_assert_no_error(wait.error);
  g_assert_true(g_variant_lookup(wait.variant, "outcome", "&s", &outcome));
  g_assert_true(g_variant_lookup(wait.variant, "vantage", "&s", &vantage));
  g_assert_cmpstr(outcome, ==, wanted);
  g_assert_cmpstr(vantage, ==, "westus2");
  wait_clear(&wait);
}

static void
test_witness(Setup *setup, gconstpointer unused)
{
  Sshd *other = fixture_sshd(NULL);
  Fake *silent = fixture_fake(FAKE_SILENT);
  g_autoptr(AzlinVm) suspect = fixture_vm(other);
  expect_witness(setup, suspect, "ok");
  az_vm_set(&suspect->host_key, setup->sshd->host_key);
  expect_witness(setup, suspect, "host_key_changed");
  suspect->ssh_port = silent->port;
  expect_witness(setup, suspect, "timeout");
  suspect->ssh_port = fixture_dead_port();
  expect_witness(setup, suspect, "refused");
  setup->vm->ssh_port = fixture_dead_port(); /* the witness itself: no evidence about anybody */
  expect_witness(setup, suspect, "error");
  fixture_fake_stop(silent);
  fixture_sshd_stop(other);
}

static void
store(Setup *setup, const char *pair, gboolean up)
{
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sb}"));
  g_variant_builder_add(&builder, "{sb}", pair, up);
  az_vantage_store(setup->engine, g_variant_builder_end(&builder));
}

static void
test_vantages(Setup *setup, gconstpointer unused)
{
  GStatBuf info;
  g_autofree char *file = az_paths_file(az_engine_paths(setup->engine), "vantages.json");
  g_assert_false(az_vantage_was_up(setup->engine, "here", "eastus"));
  store(setup, "here>eastus", TRUE);
  store(setup, "westus2>eastus", TRUE);
  store(setup, "westus2>eastus", FALSE);
  g_assert_true(az_vantage_was_up(setup->engine, "here", "eastus")); /* others are kept */
  g_assert_false(az_vantage_was_up(setup->engine, "westus2", "eastus"));
  g_assert_false(az_vantage_was_up(setup->engine, "here", "westus2"));
  g_assert_cmpint(g_stat(file, &info), ==, 0);
  g_assert_cmpuint(info.st_mode & 0777, ==, 0600);
  g_assert_true(g_file_set_contents(file, "{ broken", -1, NULL)); /* no evidence, and no reason to stop */
  g_assert_false(az_vantage_was_up(setup->engine, "here", "eastus"));
  store(setup, "here>eastus", TRUE);
  g_assert_true(az_vantage_was_up(setup->engine, "here", "eastus"));
}

static void
watch(Setup *setup, const char *pair, gint64 watched_s, gint64 healed)
{
  GVariantBuilder watched;
  g_variant_builder_init(&watched, G_VARIANT_TYPE("a{s(xx)}"));
  g_variant_builder_add(&watched, "{s(xx)}", pair, watched_s, healed);
  az_vantage_store_history(setup->engine, g_variant_new_array(G_VARIANT_TYPE("{sb}"), NULL, 0),
                           g_variant_builder_end(&watched));
}

static double
rate_of(Setup *setup, const char *vantage)
{
  g_autoptr(GVariant) all = az_vantage_all(setup->engine);
  g_autoptr(GHashTable) rates = az_vantage_healed_rates(all);
  const double *rate = g_hash_table_lookup(rates, vantage);
  return rate != NULL ? *rate : 0;
}

static void
test_history(Setup *setup, gconstpointer unused)
{
  g_autofree char *file = az_paths_file(az_engine_paths(setup->engine), "vantages.json");
  g_assert_cmpfloat(rate_of(setup, "here"), ==, 0);
  g_assert_true(az_paths_ensure(az_engine_paths(setup->engine), NULL));
  g_assert_true(
      g_file_set_contents(file, "{\"here>eastus\": true}", -1, NULL)); /* as it was before there was history */
  watch(setup, "here>eastus", 50 * 600, 1);
  g_assert_cmpfloat(rate_of(setup, "here"), ==, 0); /* fifty windows say nothing */
  watch(setup, "here>westus2", 150 * 600, 1);       /* all that a vantage looked at counts */
  watch(setup, "hereabouts>eastus", 5000 * 600, 0);
  g_assert_cmpfloat_with_epsilon(rate_of(setup, "here"), 2.3 / 300, 1e-9);
  store(setup, "westus2>eastus", TRUE);
  g_assert_cmpfloat_with_epsilon(rate_of(setup, "here"), 2.3 / 300, 1e-9);
  g_assert_true(az_vantage_was_up(setup->engine, "here", "eastus"));
  g_assert_false(az_vantage_was_up(setup->engine, "here", "westus2"));
  watch(setup, "eu>eastus", 1000 * 600, 0);
  g_assert_cmpfloat_with_epsilon(rate_of(setup, "eu"), 0.1 / 1100, 1e-9);
}

/* Years of watching, and more pairs than a fleet has. */
static void
test_history_is_bounded(Setup *setup, gconstpointer unused)
{
  g_autofree char *text = NULL;
  gsize length;
  GVariantBuilder verdicts, watched;
  g_autofree char *file = az_paths_file(az_engine_paths(setup->engine), "vantages.json");
  for (guint i = 0; i < 8; i++)
    watch(setup, "here>eastus", 4000 * 600, 40);
  g_assert_cmpfloat_with_epsilon(rate_of(setup, "here"), 0.01, 0.001); /* the rate stays while windows fade */
  g_variant_builder_init(&verdicts, G_VARIANT_TYPE("a{sb}"));
  g_variant_builder_init(&watched, G_VARIANT_TYPE("a{s(xx)}"));
  for (guint i = 0; i < 60000; i++) {
    g_autofree char *pair = g_strdup_printf("region-with-a-long-name-%05u>region-with-a-long-name-%05u", i, i + 1);
    g_variant_builder_add(&verdicts, "{sb}", pair, i % 100 == 0);
    if (i < 2000)
      g_variant_builder_add(&watched, "{s(xx)}", pair, (gint64) i, (gint64) 0);
  }
  az_vantage_store_history(setup->engine, g_variant_builder_end(&verdicts), g_variant_builder_end(&watched));
  g_assert_true(g_file_get_contents(file, &text, &length, NULL));
  g_assert_cmpuint(length, <, 3 * 1024 * 1024);
  g_assert_cmpfloat_with_epsilon(rate_of(setup, "here"), 0.01, 0.001);
  g_assert_true(az_vantage_was_up(setup->engine, "region-with-a-long-name-59900", "region-with-a-long-name-59901"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_unsetenv("SSH_AUTH_SOCK");
  g_test_add("/health/healthy", Setup, NULL, set_up, test_healthy, tear_down);
  g_test_add("/health/slow", Setup, "slow-ms=0.001\n", set_up, test_slow, tear_down);
  g_test_add("/health/failures", Setup, NULL, set_up, test_failures, tear_down);
  g_test_add("/health/trusted-key-is-handed-on", Setup, NULL, set_up, test_trusted_key_is_handed_on, tear_down);
  g_test_add("/health/witness", Setup, NULL, set_up, test_witness, tear_down);
  g_test_add("/health/vantages", Setup, NULL, set_up, test_vantages, tear_down);
  g_test_add("/health/history", Setup, NULL, set_up, test_history, tear_down);
  g_test_add("/health/history-is-bounded", Setup, NULL, set_up, test_history_is_bounded, tear_down);
  return g_test_run();
}
