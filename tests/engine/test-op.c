/* Operations end exactly once: by result, deadline or cancel; children go with their parent; late finishes do no harm.
 */
#include "op.h"

#include "error.h"
#include "host.h"
#include "record.h"

typedef struct {
  AzClock *clock;
  GString *trace;
} Fixture;

static void
set_up(Fixture *f, gconstpointer unused)
{
  f->clock = az_clock_new_virtual(0);
  f->trace = g_string_new(NULL);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  az_clock_free(f->clock);
  g_string_free(f->trace, TRUE);
}

static void
run_until_idle(void)
{
  while (g_main_context_iteration(NULL, FALSE))
    continue;
}

static void
note_end(AzlinOp *op, gpointer data)
{
  Fixture *f = data;
  const GError *error = az_op_error(op);
  g_string_append_printf(f->trace, "%s:%s ", az_op_label(op), error == NULL ? "ok" : az_error_type(error));
}

static void
test_once(Fixture *f, gconstpointer unused)
{
  guint before = az_op_late_finishes();
  AzlinOp *op = az_op_new_root(f->clock, "op", 1000, NULL, note_end, f);
  az_op_finish(op);
  g_assert_cmpstr(f->trace->str, ==, "");
  az_op_finish(op);
  az_op_fail_new(op, AZLIN_ERROR_SSH, "too late");
  run_until_idle();
  az_op_finish(op);
  az_op_finish_vm(op, NULL);
  g_assert_cmpstr(f->trace->str, ==, "op:ok ");
  g_assert_cmpuint(az_op_late_finishes() - before, ==, 4);
  g_assert_cmpint(az_clock_now(f->clock), ==, 0);
}

static void
test_deadline(Fixture *f, gconstpointer unused)
{
  AzlinOp *root = az_op_new_root(f->clock, "root", 0, NULL, note_end, f);
  AzlinOp *region = az_op_new(root, "region", 600 * 1000, note_end, f);
  az_op_new(region, "step", 0, note_end, f);
  run_until_idle();
  g_assert_cmpstr(f->trace->str, ==, "step:Cancelled region:Timeout ");
  g_assert_cmpint(az_clock_now(f->clock), ==, (gint64) 600 * G_USEC_PER_SEC);
  az_op_finish(root);
  run_until_idle();
  g_assert_true(g_str_has_suffix(f->trace->str, "root:ok "));
}

static void
test_cancel_tree(Fixture *f, gconstpointer unused)
{
  AzlinOp *root = az_op_new_root(f->clock, "root", 0, NULL, note_end, f);
  AzlinOp *child = az_op_new(root, "child", 0, note_end, f);
  az_op_new(child, "grandchild", 0, note_end, f);
  az_op_cancel(root, "by the test");
  AzlinOp *late = az_op_new(child, "late", 0, note_end, f);
  g_assert_true(az_op_cancelled(late));
  run_until_idle();
  g_assert_cmpstr(f->trace->str, ==, "grandchild:Cancelled child:Cancelled root:Cancelled late:Cancelled ");
}

static void
test_sleep(Fixture *f, gconstpointer unused)
{
  AzlinOp *root = az_op_new_root(f->clock, "root", 0, NULL, note_end, f);
  az_host_sleep(5000, az_op_new(root, "slept", 0, note_end, f));
  az_host_sleep(9000, az_op_new(root, "cut", 7000, note_end, f));
  run_until_idle();
  g_assert_cmpstr(f->trace->str, ==, "slept:ok cut:Timeout ");
  g_assert_cmpint(az_clock_now(f->clock), ==, (gint64) 7 * G_USEC_PER_SEC);
  az_op_finish(root);
  run_until_idle();
}

static void
check_vm(AzlinOp *op, gpointer data)
{
  g_assert_null(az_op_error(op));
  g_assert_cmpstr(az_op_vm(op)->region, ==, "eastus");
  az_op_forward(op, data);
}

static void
test_forward(Fixture *f, gconstpointer unused)
{
  AzlinOp *root = az_op_new_root(f->clock, "root", 0, NULL, note_end, f);
  AzlinOp *child = az_op_new(root, "child", 0, check_vm, root);
  g_autoptr(AzlinVm) vm = az_vm_new("eastus", "vm-1");
  az_op_finish_vm(child, vm);
  run_until_idle();
  g_assert_cmpstr(f->trace->str, ==, "root:ok ");
}

static void
count_region(AzlinOp *op, const char *region, const AzlinVm *vm, const GError *error, gpointer data)
{
  g_string_append_printf(data, "[%s]", region);
}

static void
test_sink(Fixture *f, gconstpointer unused)
{
  const AzOpSink sink = { .region = count_region, .data = f->trace };
  AzlinOp *root = az_op_new_root(f->clock, "root", 0, &sink, note_end, f);
  AzlinOp *child = az_op_new(root, "child", 0, NULL, NULL);
  az_op_region(child, "eastus", NULL, NULL);
  az_op_finish(child);
  az_op_region(child, "too-late", NULL, NULL);
  az_op_finish(root);
  run_until_idle();
  g_assert_cmpstr(f->trace->str, ==, "[eastus]root:ok ");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/op/" name, Fixture, NULL, set_up, func, tear_down)
  ADD("once", test_once);
  ADD("deadline", test_deadline);
  ADD("cancel-tree", test_cancel_tree);
  ADD("sleep", test_sleep);
  ADD("forward", test_forward);
  ADD("sink", test_sink);
  return g_test_run();
}
