/* Commands that are spoken to while they run, over SSH and on this host. */
#include "fixture.h"

#include "engine-private.h"
#include "process.h"
#include "record.h"

#include <string.h>

typedef struct {
  World *world;
  Sshd *sshd; /* NULL: the commands run here */
  AzlinVm *vm;
  AzlinOp *op;
  guint rounds_left;
  GString *heard;
} Setup;

static void
set_up(Setup *setup, gconstpointer where)
{
  setup->world = fixture_world(NULL);
  setup->heard = g_string_new(NULL);
  if (g_str_equal(where, "here"))
    return;
  setup->sshd = fixture_sshd(setup->world->public_key);
  setup->vm = fixture_vm(setup->sshd);
}

static void
tear_down(Setup *setup, gconstpointer where)
{
  fixture_world_free(setup->world);
  g_string_free(setup->heard, TRUE);
  if (setup->sshd == NULL)
    return;
  fixture_sshd_stop(setup->sshd);
  az_vm_free(setup->vm);
}

static void
begin(Setup *setup, AzlinExec *request, const char *script, Wait *wait)
{
  const char *const argv[] = { "sh", "-c", script, NULL };
  request->size = request->size > 0 ? request->size : sizeof *request;
  request->vm = setup->vm;
  request->argv = argv;
  setup->op = wait_new(setup->world, 20000, wait);
  if (setup->vm != NULL)
    az_remote_exec(setup->world->remote, request, setup->op);
  else
    az_process_run(request, setup->op);
}

static void
answer_line(const char *line, gpointer data)
{
  Setup *setup = data;
  g_string_append_printf(setup->heard, "%s|", line);
  if (setup->rounds_left == 0) {
    az_op_close(setup->op);
    return;
  }
  setup->rounds_left--;
  g_assert_true(az_op_write(setup->op, "more\n", 5));
}

static void
test_conversation(Setup *setup, gconstpointer where)
{
  Wait wait;
  g_autoptr(GBytes) input = g_bytes_new_static("first\n", 6);
  AzlinExec request = { .input = input, .on_line = answer_line, .line_data = setup, .interactive = TRUE };
  setup->rounds_left = 50;
  begin(setup, &request, "while read -r line; do echo \"<$line>\"; done; echo end; exit 5", &wait);
  wait_for(&wait);
  g_assert_no_error(wait.error);
  g_assert_cmpint(wait.status, ==, 5);
  g_assert_true(g_str_has_prefix(setup->heard->str, "<first>|<more>|<more>|"));
  g_assert_true(g_str_has_suffix(setup->heard->str, "<more>|end|"));
  g_assert_cmpuint(setup->heard->len, ==, strlen("<first>|end|") + 50 * strlen("<more>|"));
  g_assert_false(az_op_write(setup->op, "x", 1)); /* it has ended */
  wait_clear(&wait);
}

/* More than any buffer holds, said before anybody listens. */
static void
test_much(Setup *setup, gconstpointer where)
{
  Wait wait;
  AzlinExec request = { .max_output = 16 * 1024 * 1024, .interactive = TRUE };
  begin(setup, &request, "sleep 0.3; cat", &wait);
  g_autoptr(GByteArray) said = g_byte_array_new();
  for (guint i = 0; i < 1000; i++) {
    g_autofree char *text = g_strnfill(8000 + i, (char) ('a' + i % 26));
    g_byte_array_append(said, (const guint8 *) text, 8000 + i);
    g_assert_true(az_op_write(setup->op, text, 8000 + i));
  }
  az_op_close(setup->op);
  g_assert_false(az_op_write(setup->op, "x", 1));
  wait_for(&wait);
  g_assert_no_error(wait.error);
  g_autoptr(GBytes) expected = g_byte_array_free_to_bytes(g_steal_pointer(&said));
  g_assert_true(g_bytes_equal(wait.out, expected));
  wait_clear(&wait);
}

/* Who does not listen ends nobody else. */
static void
test_deaf(Setup *setup, gconstpointer where)
{
  Wait wait;
  AzlinExec request = { .interactive = TRUE };
  begin(setup, &request, "exec < /dev/null; sleep 0.3; exit 7", &wait);
  while (!wait.over) {
    az_op_write(setup->op, "hello\n", 6);
    g_main_context_iteration(NULL, FALSE);
    g_usleep(1000);
  }
  g_assert_no_error(wait.error);
  g_assert_cmpint(wait.status, ==, 7);
  wait_clear(&wait);
}

static void
cancel_at_line(const char *line, gpointer data)
{
  Setup *setup = data;
  g_string_append_printf(setup->heard, "%s|", line);
  az_op_cancel(setup->op, "enough");
  g_assert_false(az_op_write(setup->op, "x", 1));
  az_op_close(setup->op);
}

static void
test_cancel(Setup *setup, gconstpointer where)
{
  Wait wait;
  AzlinExec request = { .on_line = cancel_at_line, .line_data = setup, .interactive = TRUE };
  begin(setup, &request, "cat", &wait);
  az_op_write(setup->op, "one\ntwo\n", 8);
  wait_for(&wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED);
  g_assert_true(g_str_has_prefix(setup->heard->str, "one|"));
  wait_clear(&wait);
}

/* Whoever was built before 1.3 has a struct that ends earlier: what stands behind it means nothing. */
static void
test_older_brick(Setup *setup, gconstpointer where)
{
  Wait wait;
  AzlinExec request = { .size = G_STRUCT_OFFSET(AzlinExec, interactive), .interactive = TRUE };
  begin(setup, &request, "cat; exit 3", &wait);
  g_assert_false(az_op_write(setup->op, "x", 1));
  wait_for(&wait);
  g_assert_no_error(wait.error);
  g_assert_cmpint(wait.status, ==, 3);
  wait_clear(&wait);
}

/* Machines that SSH does not reach. */
static void
test_simulated(void)
{
  g_autoptr(GError) error = NULL;
  World *world = fixture_world(NULL);
  g_autofree char *config = g_build_filename(world->dir, "engine.conf", NULL);
  g_autofree char *home = g_build_filename(world->dir, "engine", NULL);
  g_assert_true(g_file_set_contents(config, "[bricks]\nprovider=sim\n", -1, NULL));
  AzEngine *engine = az_engine_new(config, home, &error);
  g_assert_no_error(error);
  g_autoptr(AzlinVm) vm = fixture_vm_at(22, NULL);
  World inside = { .clock = az_engine_clock(engine) };
  const char *const argv[] = { "cat", NULL };
  AzlinExec request = { .size = sizeof request, .vm = vm, .argv = argv, .interactive = TRUE };
  AzlinPipe pipe = { .size = sizeof pipe, .from = vm, .to = vm, .from_argv = argv, .to_argv = argv };
  Wait wait;
  az_engine_exec(engine, &request, wait_new(&inside, 0, &wait));
  wait_for(&wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED);
  wait_clear(&wait);
  az_engine_pipe(engine, &pipe, wait_new(&inside, 0, &wait));
  wait_for(&wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED);
  wait_clear(&wait);
  az_engine_free(engine);
  fixture_world_free(world);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_unsetenv("SSH_AUTH_SOCK");
#define ADD(name, func)                                                                                                \
  g_test_add("/talk/there/" name, Setup, "there", set_up, func, tear_down);                                            \
  g_test_add("/talk/here/" name, Setup, "here", set_up, func, tear_down)
  ADD("conversation", test_conversation);
  ADD("much", test_much);
  ADD("deaf", test_deaf);
  ADD("cancel", test_cancel);
  ADD("older-brick", test_older_brick);
  g_test_add_func("/talk/simulated", test_simulated);
  return g_test_run();
}
