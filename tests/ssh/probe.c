/* Probes of real sshds and of servers that misbehave: which step fails, how, and never later than its deadline. */
#include "fixture.h"

#include "evidence.h"
#include "record.h"

#include <string.h>

static const AzProbeLimits limits = { .tcp_ms = 1000, .ssh_ms = 700, .login_ms = 3000 };
static const AzProbeLimits patience = { .tcp_ms = 10000, .ssh_ms = 20000, .login_ms = 20000 };

static GPtrArray *
probe_within(World *world, const AzlinVm *vm, const AzProbeLimits *within)
{
  Wait wait;
  GPtrArray *evidence = az_evidence_list();
  az_remote_probe(world->remote, vm, within, evidence, wait_new(world, 0, &wait));
  wait_for(&wait);
  g_assert_no_error(wait.error);
  wait_clear(&wait);
  return evidence;
}

/* Of who is not expected to be late, however slow the host. */
static const AzProbeLimits *
limits_for(const char *wanted)
{
  return strstr(wanted, "timeout") != NULL ? &limits : &patience;
}

/* "tcp=ok ssh=timeout" */
static char *
summary(GPtrArray *evidence)
{
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < evidence->len; i++) {
    const AzlinEvidence *one = g_ptr_array_index(evidence, i);
    g_assert_cmpstr(one->vantage, ==, "here");
    g_string_append_printf(text, "%s%s=%s", i > 0 ? " " : "", one->probe, one->outcome);
  }
  return g_string_free(text, FALSE);
}

static void
expect(World *world, const AzlinVm *vm, const char *wanted)
{
  g_autoptr(GPtrArray) records = probe_within(world, vm, limits_for(wanted));
  g_autofree char *text = summary(records);
  g_assert_cmpstr(text, ==, wanted);
}

static void
test_healthy(void)
{
  World *world = fixture_world(NULL);
  Sshd *sshd = fixture_sshd(world->public_key);
  g_autoptr(AzlinVm) vm = fixture_vm(sshd);
  expect(world, vm, "tcp=ok ssh=ok login=ok");
  az_vm_set(&vm->public_ip, "localhost"); /* a name, resolved without blocking */
  expect(world, vm, "tcp=ok ssh=ok login=ok");
  fixture_sshd_stop(sshd);
  expect(world, vm, "tcp=refused");
  fixture_world_free(world);
}

static void
test_keys(void)
{
  World *world = fixture_world(NULL);
  Sshd *sshd = fixture_sshd(NULL);
  g_autoptr(AzlinVm) vm = fixture_vm(sshd);
  expect(world, vm, "tcp=ok ssh=ok login=auth_failed");
  az_vm_set(&vm->host_key, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx0aGlzIGlzIG5vdCB0aGUga2V5IG9mIHRoaXMgaG9zdA==");
  expect(world, vm, "tcp=ok ssh=host_key_changed");
  az_vm_set(&vm->host_key, NULL);
  expect(world, vm, "tcp=ok ssh=host_key_unknown");
  fixture_sshd_stop(sshd);
  fixture_world_free(world);
}

static guint
open_files(void)
{
  guint n = 0;
  g_autoptr(GDir) folder = g_dir_open("/proc/self/fd", 0, NULL);
  while (g_dir_read_name(folder) != NULL)
    n++;
  return n;
}

/* A server counts those that have not logged in, and refuses everybody when there are too many. */
static void
test_nothing_stays_open(void)
{
  AzProbeLimits glance = patience;
  glance.login_ms = 0;
  World *world = fixture_world(NULL);
  Sshd *sshd = fixture_sshd(world->public_key);
  g_autoptr(AzlinVm) vm = fixture_vm(sshd);
  expect(world, vm, "tcp=ok ssh=ok login=ok"); /* what the first one opens for all */
  guint before = open_files();
  for (guint i = 0; i < 20; i++) {
    g_autoptr(GPtrArray) records = probe_within(world, vm, &glance);
    g_autofree char *text = summary(records);
    g_assert_cmpstr(text, ==, "tcp=ok ssh=ok");
    expect(world, vm, "tcp=ok ssh=ok login=ok");
  }
  g_assert_cmpuint(open_files(), ==, before);
  fixture_sshd_stop(sshd);
  fixture_world_free(world);
}

static void
test_accept_new(void)
{
  World *world = fixture_world("accept-new=true\n");
  Sshd *sshd = fixture_sshd(world->public_key);
  g_autoptr(AzlinVm) vm = fixture_vm_at(sshd->port, NULL);
  expect(world, vm, "tcp=ok ssh=ok login=ok");
  g_assert_cmpstr(az_remote_trusted_key(world->remote, vm), ==, sshd->host_key);
  fixture_sshd_stop(sshd);
  fixture_world_free(world);
}

static void
expect_fake(World *world, FakeKind kind, const char *wanted)
{
  Fake *fake = fixture_fake(kind);
  g_autoptr(AzlinVm) vm = fixture_vm_at(fake->port, "ssh-ed25519 AAAA");
  gint64 began = g_get_monotonic_time();
  expect(world, vm, wanted);
  g_assert_cmpint(g_get_monotonic_time() - began, <, 2 * G_USEC_PER_SEC);
  fixture_fake_stop(fake);
}

static void
test_misbehaving(void)
{
  World *world = fixture_world(NULL);
  expect_fake(world, FAKE_SILENT, "tcp=ok ssh=timeout");
  expect_fake(world, FAKE_BANNER, "tcp=ok ssh=timeout");
  expect_fake(world, FAKE_DRIP, "tcp=ok ssh=timeout");
  expect_fake(world, FAKE_CLOSE, "tcp=ok ssh=closed");
  expect_fake(world, FAKE_GARBAGE, "tcp=ok ssh=timeout"); /* what is no banner is skipped */
  fixture_world_free(world);
}

static void
expect_banner(World *world, const AzlinVm *vm, const char *wanted)
{
  AzProbeLimits glance = *limits_for(wanted);
  glance.banner_only = TRUE;
  g_autoptr(GPtrArray) records = probe_within(world, vm, &glance);
  g_autofree char *text = summary(records);
  g_assert_cmpstr(text, ==, wanted);
}

/* The least that there is: no key is asked for, so that none can be wrong, but it has to be an SSH server. */
static void
test_banner_alone(void)
{
  static const struct {
    FakeKind kind;
    const char *wanted;
  } fakes[] = { { FAKE_BANNER, "tcp=ok ssh=ok" },
                { FAKE_SILENT, "tcp=ok ssh=timeout" },
                { FAKE_DRIP, "tcp=ok ssh=timeout" },
                { FAKE_CLOSE, "tcp=ok ssh=closed" } };
  World *world = fixture_world(NULL);
  Sshd *sshd = fixture_sshd(world->public_key);
  g_autoptr(AzlinVm) vm = fixture_vm_at(sshd->port, "ssh-ed25519 AAAA");
  expect_banner(world, vm, "tcp=ok ssh=ok");
  guint before = open_files();
  for (guint i = 0; i < 20; i++)
    expect_banner(world, vm, "tcp=ok ssh=ok");
  g_assert_cmpuint(open_files(), ==, before);
  az_vm_set(&vm->public_ip, "localhost"); /* a name takes the road of the key exchange */
  expect_banner(world, vm, "tcp=ok ssh=host_key_changed");
  az_vm_set(&vm->public_ip, "127.0.0.1");
  fixture_sshd_stop(sshd);
  expect_banner(world, vm, "tcp=refused");
  for (guint i = 0; i < G_N_ELEMENTS(fakes); i++) {
    Fake *fake = fixture_fake(fakes[i].kind);
    g_autoptr(AzlinVm) at = fixture_vm_at(fake->port, "ssh-ed25519 AAAA");
    expect_banner(world, at, fakes[i].wanted);
    fixture_fake_stop(fake);
  }
  fixture_world_free(world);
}

/* A command of a banner that never ends: the session's own deadline holds where the op has none. */
static void
test_exec_against_silence(void)
{
  World *world = fixture_world(NULL);
  Fake *fake = fixture_fake(FAKE_SILENT);
  g_autoptr(AzlinVm) vm = fixture_vm_at(fake->port, "ssh-ed25519 AAAA");
  const char *const argv[] = { "true", NULL };
  AzlinExec request = { .size = sizeof request, .vm = vm, .argv = argv };
  Wait wait;
  az_remote_exec(world->remote, &request, wait_new(world, 500, &wait));
  wait_for(&wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
  wait_clear(&wait);
  fixture_fake_stop(fake);
  fixture_world_free(world);
}

typedef struct {
  guint over;
  gint64 latest;
} Count;

static void
on_one(AzlinOp *op, gpointer data)
{
  Count *count = data;
  g_assert_no_error(az_op_error(op));
  count->over++;
  count->latest = g_get_monotonic_time();
}

/* 1,000 machines of which half never answer and half refuse: none waits for another. */
static void
test_thousand(void)
{
  enum { N = 1000 };
  World *world = fixture_world(NULL);
  Fake *fake = fixture_fake(FAKE_SILENT);
  g_autoptr(AzlinVm) silent = fixture_vm_at(fake->port, "ssh-ed25519 AAAA");
  g_autoptr(AzlinVm) refusing = fixture_vm_at(fixture_dead_port(), "ssh-ed25519 AAAA");
  AzProbeLimits long_limits = { .tcp_ms = 8000, .ssh_ms = 8000, .login_ms = 8000 };
  Count count = { 0 };
  GPtrArray *evidence[N];
  gint64 began = g_get_monotonic_time();
  for (int i = 0; i < N; i++)
    az_remote_probe(world->remote, i % 2 == 0 ? silent : refusing, &long_limits, evidence[i] = az_evidence_list(),
                    az_op_new_root(world->clock, "one", 0, NULL, on_one, &count));
  while (count.over < N)
    g_main_context_iteration(NULL, TRUE);
  for (int i = 0; i < N; i++) {
    g_autofree char *text = summary(evidence[i]);
    g_assert_cmpstr(text, ==, i % 2 == 0 ? "tcp=ok ssh=timeout" : "tcp=refused");
    g_ptr_array_unref(evidence[i]);
  }
  double ratio = (double) (count.latest - began) / (long_limits.ssh_ms * 1000.0);
  g_test_message("the last of %d ended at %.3f of its deadline", N, ratio);
  g_assert_cmpfloat(ratio, <, 1.10);
  fixture_fake_stop(fake);
  fixture_world_free(world);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_unsetenv("SSH_AUTH_SOCK");
  g_test_add_func("/probe/healthy", test_healthy);
  g_test_add_func("/probe/keys", test_keys);
  g_test_add_func("/probe/nothing-stays-open", test_nothing_stays_open);
  g_test_add_func("/probe/accept-new", test_accept_new);
  g_test_add_func("/probe/misbehaving", test_misbehaving);
  g_test_add_func("/probe/banner-alone", test_banner_alone);
  g_test_add_func("/probe/exec-against-silence", test_exec_against_silence);
  g_test_add_func("/probe/thousand", test_thousand);
  return g_test_run();
}
