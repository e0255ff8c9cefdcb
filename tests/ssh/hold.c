/* Sessions that are held, channels that are open ahead, the receive window, and round trips that are known: over a way
 * that is long. */
#include "fixture.h"

#include "record.h"

#include <string.h>

typedef struct {
  World *world;
  Sshd *sshd;
  Relay *relay;
  AzlinVm *vm;
} Setup;

static void
set_up(Setup *setup, gconstpointer extra)
{
  setup->world = fixture_world(NULL);
  setup->sshd = fixture_sshd_with(setup->world->public_key, extra != NULL ? extra : "");
  setup->vm = fixture_vm(setup->sshd);
}

static void
tear_down(Setup *setup, gconstpointer unused)
{
  fixture_world_free(setup->world);
  if (setup->relay != NULL)
    fixture_relay_stop(setup->relay);
  fixture_sshd_stop(setup->sshd);
  az_vm_free(setup->vm);
}

static void
go_by_relay(Setup *setup, guint delay_ms)
{
  setup->relay = fixture_relay(setup->sshd->port, delay_ms);
  setup->vm->ssh_port = setup->relay->port;
}

static void
start(Setup *setup, const char *script, Wait *wait)
{
  const char *const argv[] = { "sh", "-c", script, NULL };
  AzlinExec request = { .size = sizeof request, .vm = setup->vm, .argv = argv, .max_output = 64 * 1024 * 1024 };
  az_remote_exec(setup->world->remote, &request, wait_new(setup->world, 0, wait));
}

/* Seconds. */
static double
run(Setup *setup, const char *script)
{
  Wait wait;
  gint64 began = g_get_monotonic_time();
  start(setup, script, &wait);
  wait_for(&wait);
  g_assert_no_error(wait.error);
  g_assert_cmpint(wait.status, ==, 0);
  wait_clear(&wait);
  return (double) (g_get_monotonic_time() - began) / G_USEC_PER_SEC;
}

static void
settle(double seconds)
{
  gint64 end = g_get_monotonic_time() + (gint64) (seconds * G_USEC_PER_SEC);
  while (g_get_monotonic_time() < end) {
    g_main_context_iteration(NULL, FALSE);
    g_usleep(1000);
  }
}

/* With a clock that jumps as soon as no command runs: sessions that may rest no longer are gone at once. */
static void
make_time_virtual(Setup *setup)
{
  World *world = setup->world;
  az_remote_free(world->remote);
  az_clock_free(world->clock);
  world->clock = az_clock_new_virtual(G_USEC_PER_SEC);
  world->remote = az_remote_new(world->clock, world->config, world->paths, world->audit);
}

static void
test_idle(Setup *setup, gconstpointer unused)
{
  make_time_virtual(setup);
  run(setup, "true");
  settle(0.2);
  run(setup, "true");
  g_assert_cmpuint(fixture_logins(setup->sshd), ==, 2);
}

static void
test_held(Setup *setup, gconstpointer unused)
{
  AzRemote *remote;
  make_time_virtual(setup);
  remote = setup->world->remote;
  az_remote_hold(remote, setup->vm);
  az_remote_hold(remote, setup->vm);
  run(setup, "true");
  settle(0.2);
  az_remote_release(remote, setup->vm);
  run(setup, "true");
  settle(0.2);
  run(setup, "true");
  g_assert_cmpuint(fixture_logins(setup->sshd), ==, 1);
  az_remote_release(remote, setup->vm);
  settle(0.2);
  run(setup, "true");
  g_assert_cmpuint(fixture_logins(setup->sshd), ==, 2);
  az_remote_hold(remote, setup->vm); /* one that stands already */
  run(setup, "true");
  settle(0.2);
  run(setup, "true");
  g_assert_cmpuint(fixture_logins(setup->sshd), <=, 3);
}

static void
test_round_trips(Setup *setup, gconstpointer unused)
{
  go_by_relay(setup, 100);
  run(setup, "true");
  double plain = run(setup, "true"), held = 9;
  g_assert_cmpfloat(plain, >, 0.4); /* opens its channel first */
  az_remote_hold(setup->world->remote, setup->vm);
  for (guint i = 0; i < 3; i++) {
    settle(0.5);
    held = MIN(held, run(setup, "true"));
  }
  g_assert_cmpfloat(held, >, 0.2);
  g_assert_cmpfloat(held, <, 0.4);
  az_remote_release(setup->world->remote, setup->vm);
  settle(0.5);
  g_assert_cmpfloat(run(setup, "true"), >, 0.4);
  g_assert_cmpuint(fixture_logins(setup->sshd), ==, 1);
}

/* Two commands at once and one ahead: a server that allows no third channel still runs everything. */
static void
test_few_channels(Setup *setup, gconstpointer unused)
{
  Wait waits[2];
  az_remote_hold(setup->world->remote, setup->vm);
  run(setup, "true");
  settle(0.2);
  start(setup, "sleep 0.5; echo one", &waits[0]);
  settle(0.2);
  start(setup, "sleep 0.5; echo two", &waits[1]);
  for (guint i = 0; i < 2; i++) {
    wait_for(&waits[i]);
    g_assert_no_error(waits[i].error);
    wait_clear(&waits[i]);
  }
  settle(0.2);
  run(setup, "true");
}

static void
test_one_channel(Setup *setup, gconstpointer unused)
{
  az_remote_hold(setup->world->remote, setup->vm);
  for (guint i = 0; i < 4; i++) {
    run(setup, "sleep 0.1");
    settle(0.1);
  }
  g_assert_cmpuint(fixture_logins(setup->sshd), ==, 1);
}

/* The eight commands of a session, the channel ahead, and more that wait. */
static void
test_many_commands(Setup *setup, gconstpointer unused)
{
  enum { N = 20 };
  Wait waits[N];
  az_remote_hold(setup->world->remote, setup->vm);
  run(setup, "true");
  settle(0.2);
  for (guint i = 0; i < N; i++)
    start(setup, "sleep 0.2; echo hello", &waits[i]);
  for (guint i = 0; i < N; i++) {
    wait_for(&waits[i]);
    g_assert_no_error(waits[i].error);
    g_assert_cmpuint(g_bytes_get_size(waits[i].out), ==, 6);
    wait_clear(&waits[i]);
  }
  g_assert_cmpuint(fixture_logins(setup->sshd), ==, 3);
}

static void
test_lost(Setup *setup, gconstpointer unused)
{
  az_remote_hold(setup->world->remote, setup->vm);
  run(setup,
      "p=$PPID; case $(cat /proc/$p/comm) in sshd*) ;; *) p=$(ps -o ppid= $p) ;; esac; (sleep 0.3; kill -KILL $p) "
      "> /dev/null 2>&1 < /dev/null & true");
  settle(0.6);
  run(setup, "true");
  g_assert_cmpuint(fixture_logins(setup->sshd), ==, 2);
}

/* 1.28 MB under way, as libssh has it by itself, would take 4.5 s. */
static void
test_window(Setup *setup, gconstpointer unused)
{
  go_by_relay(setup, 250);
  run(setup, "true");
  double seconds = run(setup, "head -c 12000000 /dev/zero");
  g_assert_cmpfloat(seconds, >, 0.9);
  g_assert_cmpfloat(seconds, <, 3.5);
}

static void
test_rtt(Setup *setup, gconstpointer unused)
{
  make_time_virtual(setup);
  AzRemote *remote = setup->world->remote;
  g_assert_cmpfloat(az_remote_rtt_ms(remote, setup->vm), <, 0);
  run(setup, "true");
  double ms = az_remote_rtt_ms(remote, setup->vm);
  g_assert_cmpfloat(ms, >, 0);
  g_assert_cmpfloat(ms, <, 50);
  settle(0.2); /* the session has gone, what was learnt stays */
  g_assert_cmpfloat(az_remote_rtt_ms(remote, setup->vm), >, 0);
  g_assert_cmpfloat(az_remote_rtt_ms(remote, setup->vm), <=, ms);
  setup->vm->ssh_port++;
  g_assert_cmpfloat(az_remote_rtt_ms(remote, setup->vm), <, 0);
  setup->vm->ssh_port--;
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_unsetenv("SSH_AUTH_SOCK");
#define ADD(name, extra, func) g_test_add("/hold/" name, Setup, extra, set_up, func, tear_down)
  ADD("idle", NULL, test_idle);
  ADD("held", NULL, test_held);
  ADD("round-trips", NULL, test_round_trips);
  ADD("two-channels", "MaxSessions 2\n", test_few_channels);
  ADD("one-channel", "MaxSessions 1\n", test_one_channel);
  ADD("many-commands", NULL, test_many_commands);
  ADD("lost", NULL, test_lost);
  ADD("window", NULL, test_window);
  ADD("rtt", NULL, test_rtt);
  return g_test_run();
}
