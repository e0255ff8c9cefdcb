/* Pipes between two machines over real SSH: every byte arrives, memory stays bounded, whoever ends early or is lost is
 * told apart. */
#include "fixture.h"

#include "record.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

typedef struct {
  World *world;
  Sshd *east, *west;
  AzlinVm *from, *to;
  guint64 moved;
  guint n_moved;
  gboolean many; /* several pipes count at once */
  GPtrArray *said;
  AzlinOp *cancel_at_line; /* by the callback itself */
} Setup;

static void
set_up(Setup *setup, gconstpointer unused)
{
  setup->world = fixture_world(NULL);
  setup->east = fixture_sshd(setup->world->public_key);
  setup->west = fixture_sshd(setup->world->public_key);
  setup->from = fixture_vm(setup->east);
  setup->to = fixture_vm(setup->west);
  az_vm_set(&setup->to->vm_name, "vm-2");
  setup->said = g_ptr_array_new_with_free_func(g_free);
}

static void
tear_down(Setup *setup, gconstpointer unused)
{
  fixture_world_free(setup->world);
  fixture_sshd_stop(setup->east);
  fixture_sshd_stop(setup->west);
  az_vm_free(setup->from);
  az_vm_free(setup->to);
  g_ptr_array_unref(setup->said);
}

static void
on_moved(guint64 bytes, gpointer data)
{
  Setup *setup = data;
  g_assert_true(setup->many || bytes > setup->moved);
  setup->moved = bytes;
  setup->n_moved++;
}

static void
on_said(const char *line, gpointer data)
{
  Setup *setup = data;
  g_ptr_array_add(setup->said, g_strdup(line));
  if (setup->cancel_at_line != NULL)
    az_op_cancel(g_steal_pointer(&setup->cancel_at_line), "enough");
}

static AzlinOp *
begin(Setup *setup, const char *from, const char *to, GBytes *input, guint32 bwlimit_kib, Wait *wait)
{
  const char *const from_argv[] = { "sh", "-c", from, NULL };
  const char *const to_argv[] = { "sh", "-c", to, NULL };
  AzlinPipe request = { .size = sizeof request,
                        .from = setup->from,
                        .to = setup->to,
                        .from_argv = from_argv,
                        .to_argv = to_argv,
                        .from_input = input,
                        .bwlimit_kib = bwlimit_kib,
                        .moved = on_moved,
                        .said = on_said,
                        .data = setup };
  AzlinOp *op = wait_new(setup->world, 0, wait);
  az_remote_pipe(setup->world->remote, &request, op);
  return op;
}

static void
run(Setup *setup, const char *from, const char *to, Wait *wait)
{
  begin(setup, from, to, NULL, 0, wait);
  wait_for(wait);
}

static int
status_of(const Wait *wait, const char *which)
{
  int status = -1;
  g_assert_no_error(wait->error);
  g_assert_true(g_variant_lookup(wait->variant, which, "i", &status));
  return status;
}

static guint64
bytes_of(const Wait *wait)
{
  guint64 bytes = 0;
  g_assert_true(g_variant_lookup(wait->variant, "bytes", "t", &bytes));
  return bytes;
}

static char *
text_of(const Wait *wait, const char *which)
{
  char *text = NULL;
  g_assert_true(g_variant_lookup(wait->variant, which, "s", &text));
  return text;
}

static gint64
number_in(const Sshd *sshd, const char *name)
{
  g_autofree char *file = g_build_filename(sshd->home, name, NULL);
  g_autofree char *text = NULL;
  return g_file_get_contents(file, &text, NULL, NULL) ? g_ascii_strtoll(text, NULL, 10) : 0;
}

static void
test_small(Setup *setup, gconstpointer unused)
{
  Wait wait;
  g_autoptr(GBytes) input = g_bytes_new_static("two words\n", 10);
  begin(setup, "cat; echo 'from \\377 here' >&2; exit 3", "wc -c; echo 'at the end' >&2; exit 4", input, 0, &wait);
  wait_for(&wait);
  g_assert_cmpint(status_of(&wait, "from_status"), ==, 3);
  g_assert_cmpint(status_of(&wait, "to_status"), ==, 4);
  g_autofree char *from_err = text_of(&wait, "from_err");
  g_autofree char *to_err = text_of(&wait, "to_err");
  g_assert_nonnull(strstr(from_err, "here"));
  g_assert_cmpstr(to_err, ==, "at the end\n");
  g_assert_cmpuint(setup->said->len, ==, 1);
  g_assert_cmpint(g_ascii_strtoll(setup->said->pdata[0], NULL, 10), ==, 10);
  wait_clear(&wait);
}

static void
test_nothing(Setup *setup, gconstpointer unused)
{
  Wait wait;
  run(setup, "true", "wc -c", &wait);
  g_assert_cmpint(status_of(&wait, "to_status"), ==, 0);
  g_assert_cmpuint(bytes_of(&wait), ==, 0);
  g_assert_cmpint(g_ascii_strtoll(setup->said->pdata[0], NULL, 10), ==, 0);
  wait_clear(&wait);
}

static gsize
resident_kib(void)
{
  g_autofree char *text = NULL;
  g_assert_true(g_file_get_contents("/proc/self/status", &text, NULL, NULL));
  const char *line = strstr(text, "VmHWM:");
  return (gsize) g_ascii_strtoull(line + strlen("VmHWM:"), NULL, 10);
}

#ifdef __SANITIZE_ADDRESS__ /* slow, and it keeps what was freed */
#define LARGE 104857601u
#define MAX_GROWTH_KIB G_MAXINT
#else
#define LARGE 314572801u
#define MAX_GROWTH_KIB (32 * 1024)
#endif

static void
test_large(Setup *setup, gconstpointer unused)
{
  Wait wait;
  gsize before = resident_kib();
  g_autofree char *from
      = g_strdup_printf("openssl enc -aes-128-ctr -nosalt -pass pass:x -in /dev/zero 2>/dev/null | head -c %u | tee "
                        "\"$HOME/copy\"; b2sum < \"$HOME/copy\" > \"$HOME/sum\"; rm \"$HOME/copy\"",
                        LARGE);
  run(setup, from, "b2sum", &wait);
  g_assert_cmpint(status_of(&wait, "from_status"), ==, 0);
  g_assert_cmpint(status_of(&wait, "to_status"), ==, 0);
  g_assert_cmpuint(bytes_of(&wait), ==, LARGE);
  g_assert_cmpuint(setup->moved, ==, LARGE);
  g_assert_cmpuint(setup->n_moved, >, 30);
  g_autofree char *file = g_build_filename(setup->east->home, "sum", NULL);
  g_autofree char *sum = NULL;
  g_assert_true(g_file_get_contents(file, &sum, NULL, NULL));
  g_assert_cmpuint(setup->said->len, ==, 1);
  g_assert_cmpstr(g_strchomp(sum), ==, setup->said->pdata[0]);
  g_assert_cmpuint(resident_kib() - before, <, MAX_GROWTH_KIB);
  wait_clear(&wait);
}

/* As long as the target reads nothing, the source must stop writing. */
static void
test_backpressure(Setup *setup, gconstpointer unused)
{
  Wait wait;
  const char *from = "i=0; while [ $i -lt 400 ]; do head -c 262144 /dev/zero; i=$((i+1)); echo $i > \"$HOME/n\"; done";
  begin(setup, from, "sleep 3; wc -c", NULL, 0, &wait);
  gint64 end = g_get_monotonic_time() + 2 * G_USEC_PER_SEC;
  while (g_get_monotonic_time() < end)
    g_main_context_iteration(NULL, FALSE);
  g_assert_false(wait.over);
  gint64 written = number_in(setup->east, "n");
  g_assert_cmpint(written, >, 4);   /* the first MiB has left */
  g_assert_cmpint(written, <, 160); /* sockets of loopback hold much, but not 40 MiB */
  g_assert_cmpuint(setup->moved, <, 3 * 1024 * 1024);
  wait_for(&wait);
  g_assert_cmpint(status_of(&wait, "to_status"), ==, 0);
  g_assert_cmpuint(bytes_of(&wait), ==, 400 * 262144);
  g_assert_cmpint(g_ascii_strtoll(setup->said->pdata[0], NULL, 10), ==, 400 * 262144);
  wait_clear(&wait);
}

/* What goes to a target that reads nothing, all in all. */
static guint64
sent_unread(Setup *setup, guint delay_ms)
{
  Wait wait;
  Relay *relay = fixture_relay(setup->west->port, delay_ms);
  setup->to->ssh_port = relay->port;
  setup->moved = 0;
  run(setup, "echo hello", "cat", &wait); /* logs in, and tells how far it is */
  wait_clear(&wait);
  setup->moved = 0;
  guint64 before = relay->forth, last = before;
  AzlinOp *op = begin(setup, "head -c 20000000 /dev/zero", "sleep 60", NULL, 0, &wait);
  gint64 calm_since = g_get_monotonic_time();
  while (!wait.over && (last == before || g_get_monotonic_time() - calm_since < G_USEC_PER_SEC)) {
    g_main_context_iteration(NULL, FALSE);
    if (relay->forth != last)
      calm_since = g_get_monotonic_time();
    last = relay->forth;
  }
  g_assert_false(wait.over);
  az_op_cancel(op, "enough");
  wait_for(&wait);
  wait_clear(&wait);
  fixture_relay_stop(relay);
  return last - before;
}

/* sshd pays for what waits; a long way needs it. */
static void
test_what_waits_unread(Setup *setup, gconstpointer unused)
{
  guint64 near_bytes = G_MAXUINT64;
  for (guint i = 0; i < 5 && near_bytes >= 1536 * 1024; i++) /* on a busy host a server may seem far */
    near_bytes = MIN(near_bytes, sent_unread(setup, 0));
  g_assert_cmpuint(near_bytes, <, 1536 * 1024);
  g_assert_cmpuint(near_bytes, >, 200 * 1024);
  g_assert_cmpuint(sent_unread(setup, 40), >, 2000 * 1024);
}

static void
test_second_ends_early(Setup *setup, gconstpointer unused)
{
  Wait wait;
  gint64 began = g_get_monotonic_time();
  run(setup, "yes", "head -c 5000000 | wc -c; exit 9", &wait);
  g_assert_cmpint(status_of(&wait, "from_status"), ==, 128 + SIGPIPE);
  g_assert_cmpint(status_of(&wait, "to_status"), ==, 9);
  g_assert_cmpstr(setup->said->pdata[0], ==, "5000000");
  g_assert_cmpint(g_get_monotonic_time() - began, <, 10 * G_USEC_PER_SEC);
  wait_clear(&wait);
}

static void
test_first_fails(Setup *setup, gconstpointer unused)
{
  Wait wait;
  run(setup, "head -c 1000000 /dev/zero; echo broken >&2; kill -KILL $$", "wc -c", &wait);
  g_assert_cmpint(status_of(&wait, "from_status"), ==, 128 + SIGKILL);
  g_assert_cmpint(status_of(&wait, "to_status"), ==, 0);
  g_assert_cmpstr(setup->said->pdata[0], ==, "1000000");
  g_autofree char *from_err = text_of(&wait, "from_err");
  g_assert_cmpstr(from_err, ==, "broken\n");
  wait_clear(&wait);
}

/* The sshd process of this session: our parent, or the login shell's. */
#define FIND_SSHD "p=$PPID; case $(cat /proc/$p/comm) in sshd*) ;; *) p=$(ps -o ppid= $p) ;; esac; "

static void
test_first_is_lost(Setup *setup, gconstpointer unused)
{
  Wait wait;
  run(setup, FIND_SSHD "head -c 20000000 /dev/zero; kill -KILL $p; sleep 5", "cat > /dev/null; echo end", &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_SSH);
  g_assert_nonnull(strstr(wait.error->message, "vm-1"));
  g_assert_cmpuint(setup->said->len, ==, 0);
  wait_clear(&wait);
}

static void
test_second_is_lost(Setup *setup, gconstpointer unused)
{
  Wait wait;
  run(setup, "cat /dev/zero", FIND_SSHD "head -c 20000000 > /dev/null; kill -KILL $p; sleep 5", &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_SSH);
  g_assert_nonnull(strstr(wait.error->message, "vm-2"));
  wait_clear(&wait);
}

static void
test_unreachable(Setup *setup, gconstpointer unused)
{
  Wait wait;
  setup->to->ssh_port = fixture_dead_port();
  run(setup, "cat /dev/zero", "cat", &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_NETWORK);
  g_assert_nonnull(strstr(wait.error->message, "vm-2"));
  wait_clear(&wait);
  setup->from->ssh_port = setup->to->ssh_port; /* both ends wait for the same connection */
  run(setup, "cat /dev/zero", "cat", &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_NETWORK);
  wait_clear(&wait);
  az_vm_set(&setup->to->public_ip, NULL);
  run(setup, "cat /dev/zero", "cat", &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_NETWORK);
  wait_clear(&wait);
}

/* Not fixture_until(): there is always something to do while a pipe runs. */
static void
until_moved(Setup *setup)
{
  gint64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
  while (setup->moved < 1000000) {
    g_assert_cmpint(g_get_monotonic_time(), <, end);
    g_main_context_iteration(NULL, TRUE);
  }
}

static void
test_cancel(Setup *setup, gconstpointer unused)
{
  Wait wait;
  AzlinOp *op = begin(setup, "cat /dev/zero", "cat > /dev/null; echo \"$?\" > \"$HOME/over\"", NULL, 0, &wait);
  until_moved(setup);
  az_op_cancel(op, "enough");
  guint64 moved = setup->moved;
  wait_for(&wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED);
  g_assert_cmpuint(setup->moved, ==, moved);
  wait_clear(&wait);
  setup->moved = 0;
  run(setup, "echo again", "cat", &wait); /* the connections are still good */
  g_assert_cmpint(status_of(&wait, "to_status"), ==, 0);
  wait_clear(&wait);
}

static void
test_cancel_from_a_callback(Setup *setup, gconstpointer unused)
{
  Wait wait;
  setup->cancel_at_line = begin(setup, "cat /dev/zero", "echo hello; echo again; cat > /dev/null", NULL, 0, &wait);
  wait_for(&wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED);
  g_assert_cmpuint(setup->said->len, ==, 1);
  wait_clear(&wait);
}

static void
test_limit(Setup *setup, gconstpointer unused)
{
  Wait wait;
  gint64 began = g_get_monotonic_time();
  begin(setup, "head -c 2097152 /dev/zero", "wc -c", NULL, 1024, &wait);
  wait_for(&wait);
  double seconds = (double) (g_get_monotonic_time() - began) / G_USEC_PER_SEC;
  g_assert_cmpint(status_of(&wait, "to_status"), ==, 0);
  g_assert_cmpstr(setup->said->pdata[0], ==, "2097152");
  g_assert_cmpfloat(seconds, >, 1.7);
  g_assert_cmpfloat(seconds, <, 6);
  wait_clear(&wait);
}

static void
run_parallel(Setup *setup, guint n)
{
  g_autofree Wait *waits = g_new0(Wait, n);
  setup->many = TRUE;
  for (guint i = 0; i < n; i++)
    begin(setup, "head -c 3000000 /dev/zero; sleep 0.3", "wc -c", NULL, 0, &waits[i]);
  for (guint i = 0; i < n; i++) {
    wait_for(&waits[i]);
    g_assert_cmpuint(bytes_of(&waits[i]), ==, 3000000);
    wait_clear(&waits[i]);
  }
}

static void
test_connections(Setup *setup, gconstpointer unused)
{
  run_parallel(setup, 1);
  g_assert_cmpuint(fixture_logins(setup->east), ==, 1);
  run_parallel(setup, 4);
  g_assert_cmpuint(fixture_logins(setup->east), ==, 4);
  g_assert_cmpuint(fixture_logins(setup->west), ==, 4);
  run_parallel(setup, 4);
  g_assert_cmpuint(fixture_logins(setup->east), ==, 4); /* those that stand are used first */
  run_parallel(setup, 30);
  g_assert_cmpuint(fixture_logins(setup->west), ==, 24);
}

static gboolean
cut(gpointer data)
{
  fixture_relay_cut(data);
  return G_SOURCE_REMOVE;
}

/* TRUE: everything has arrived. */
static gboolean
run_with_cut(Setup *setup, Relay *relay, guint after_ms, const char *sum)
{
  Wait wait;
  setup->moved = 0;
  g_ptr_array_set_size(setup->said, 0);
  guint timer = relay != NULL ? g_timeout_add(after_ms, cut, relay) : 0;
  run(setup, "cat \"$HOME/data\"", "b2sum", &wait);
  if (timer != 0 && g_main_context_find_source_by_id(NULL, timer) != NULL)
    g_source_remove(timer);
  gboolean complete = wait.error == NULL;
  if (complete) {
    g_assert_cmpint(status_of(&wait, "from_status"), ==, 0);
    g_assert_cmpint(status_of(&wait, "to_status"), ==, 0);
    g_assert_cmpstr(setup->said->pdata[0], ==, sum);
  } else {
    g_assert_true(g_error_matches(wait.error, AZLIN_ERROR, AZLIN_ERROR_SSH)
                  || g_error_matches(wait.error, AZLIN_ERROR, AZLIN_ERROR_NETWORK));
  }
  wait_clear(&wait);
  return complete;
}

/* Cut at any instant, a pipe has failed or moved everything. */
static void
test_cuts(Setup *setup, gconstpointer unused)
{
  enum { N = 40 };
  Wait wait;
  guint complete = 0;
  Relay *relays[] = { fixture_relay(setup->east->port, 5), fixture_relay(setup->west->port, 5) };
  run(setup, "head -c 3000000 /dev/urandom | tee \"$HOME/data\"", "b2sum", &wait);
  wait_clear(&wait);
  g_autofree char *sum = g_strdup(setup->said->pdata[0]);
  setup->from->ssh_port = relays[0]->port;
  setup->to->ssh_port = relays[1]->port;
  g_assert_true(run_with_cut(setup, NULL, 0, sum)); /* logs in */
  gint64 began = g_get_monotonic_time();
  g_assert_true(run_with_cut(setup, NULL, 0, sum));
  guint ms = (guint) ((g_get_monotonic_time() - began) / 1000);
  for (guint i = 0; i < N; i++)
    complete += run_with_cut(setup, relays[i % 2], i * ms / N, sum);
  g_test_message("%u of %d pipes got through in %u ms", complete, N, ms);
  g_assert_cmpuint(complete, <, N);
  g_assert_true(run_with_cut(setup, NULL, 0, sum));
  fixture_relay_stop(relays[0]);
  fixture_relay_stop(relays[1]);
}

/* azlin ends while they run. */
static void
test_shut_down(Setup *setup, gconstpointer unused)
{
  static AzlinOp *ops[3]; /* whoever ends the engine ends them no more */
  Wait waits[G_N_ELEMENTS(ops)];
  setup->many = TRUE;
  for (guint i = 0; i < G_N_ELEMENTS(ops); i++)
    ops[i] = begin(setup, "cat /dev/zero", "cat > /dev/null", NULL, 0, &waits[i]);
  until_moved(setup);
}

/* A server that wants new keys every few MiB, in the middle of everything. */
static void
test_new_keys(Setup *setup, gconstpointer unused)
{
  Wait wait;
  Sshd *east = fixture_sshd_with(setup->world->public_key, "RekeyLimit 4M\n");
  Sshd *west = fixture_sshd_with(setup->world->public_key, "RekeyLimit 5M\n");
  az_vm_free(setup->from);
  az_vm_free(setup->to);
  setup->from = fixture_vm(east);
  setup->to = fixture_vm(west);
  run(setup, "head -c 60000000 /dev/zero | tr '\\0' x", "tr -d x | wc -c; echo end", &wait);
  g_assert_cmpint(status_of(&wait, "to_status"), ==, 0);
  g_assert_cmpuint(bytes_of(&wait), ==, 60000000);
  g_assert_cmpstr(setup->said->pdata[0], ==, "0");
  wait_clear(&wait);
  fixture_sshd_stop(east);
  fixture_sshd_stop(west);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_unsetenv("SSH_AUTH_SOCK");
#define ADD(name, func) g_test_add("/pipe/" name, Setup, NULL, set_up, func, tear_down)
  ADD("small", test_small);
  ADD("nothing", test_nothing);
  ADD("large", test_large);
  ADD("backpressure", test_backpressure);
  ADD("what-waits-unread", test_what_waits_unread);
  ADD("second-ends-early", test_second_ends_early);
  ADD("first-fails", test_first_fails);
  ADD("first-is-lost", test_first_is_lost);
  ADD("second-is-lost", test_second_is_lost);
  ADD("unreachable", test_unreachable);
  ADD("cancel", test_cancel);
  ADD("cancel-from-a-callback", test_cancel_from_a_callback);
  ADD("limit", test_limit);
  ADD("cuts", test_cuts);
  ADD("shut-down", test_shut_down);
  ADD("new-keys", test_new_keys);
  ADD("connections", test_connections);
  return g_test_run();
}
