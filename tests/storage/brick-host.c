/* A small engine for the storage bricks: a real clock, a home of its own, every call awaited. */
#include "brick-host.h"
#include "host.h"
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the host table ---- */

static void
host_log(AzlinHost *host, GLogLevelFlags level, const char *format, ...)
{
  BrickHost *self = (BrickHost *) host;
  va_list args;
  va_start(args, format);
  g_string_append_vprintf(self->log, format, args);
  va_end(args);
  g_string_append_c(self->log, '\n');
}

static const char *
host_home_dir(AzlinHost *host)
{
  return ((BrickHost *) host)->home;
}

static gint64
host_now(AzlinHost *host)
{
  return az_clock_now(((BrickHost *) host)->clock);
}

static gint64
host_monotonic(AzlinHost *host)
{
  return az_clock_monotonic(((BrickHost *) host)->clock);
}

static char *
fresh_home(void)
{
  const char *scratch = g_getenv("AZLIN_TEST_DIR");
  g_autofree char *pattern = g_build_filename(scratch != NULL ? scratch : g_get_tmp_dir(), "home-XXXXXX", NULL);
  g_mkdir_with_parents(scratch != NULL ? scratch : g_get_tmp_dir(), 0700);
  g_assert_nonnull(g_mkdtemp(pattern));
  return g_steal_pointer(&pattern);
}

BrickHost *
brick_host_new(const AzlinPlugin *plugin, const char *home)
{
  BrickHost *host = g_new0(BrickHost, 1);
  g_autoptr(GError) error = NULL;
  host->table = *az_host_api();
  host->table.log = host_log;
  host->table.home_dir = host_home_dir;
  host->table.state_dir = host_home_dir;
  host->table.now = host_now;
  host->table.monotonic = host_monotonic;
  host->public.api = &host->table;
  host->clock = az_clock_new_real();
  host->home = home != NULL ? g_strdup(home) : fresh_home();
  host->log = g_string_new(NULL);
  host->brick = plugin->bricks[0];
  gboolean ok = host->brick->init(&host->public, &host->self, &error);
  g_assert_no_error(error);
  g_assert_true(ok);
  return host;
}

void
brick_host_free(BrickHost *host)
{
  if (host == NULL)
    return;
  host->brick->free(host->self);
  az_clock_free(host->clock);
  g_string_free(host->log, TRUE);
  g_free(host->home);
  g_free(host);
}

void
brick_host_remove_home(BrickHost *host)
{
  GDir *dir = g_dir_open(host->home, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *path = home_file(host, name);
    g_remove(path);
  }
  if (dir != NULL)
    g_dir_close(dir);
  g_rmdir(host->home);
}

/* ---- awaiting ---- */

void
reply_clear(Reply *reply)
{
  g_clear_error(&reply->error);
  g_clear_pointer(&reply->vms, g_ptr_array_unref);
  g_clear_pointer(&reply->variant, g_variant_unref);
}

static void
take_result(AzlinOp *op, gpointer data)
{
  Reply *reply = data;
  gsize n = 0;
  reply->done = TRUE;
  if (az_op_error(op) != NULL) {
    reply->error = g_error_copy(az_op_error(op));
    return;
  }
  if (az_op_variant(op) != NULL)
    reply->variant = g_variant_ref(az_op_variant(op));
  const AzlinVm *const *vms = az_op_vms(op, &n);
  reply->vms = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(reply->vms, az_vm_dup(vms[i]));
}

AzlinOp *
reply_op(BrickHost *host, Reply *reply, guint32 timeout_ms)
{
  return az_op_new_root(host->clock, "test", timeout_ms, NULL, take_result, reply);
}

void
reply_wait(Reply *reply)
{
  while (!reply->done)
    g_main_context_iteration(NULL, TRUE);
}

/* ---- the context brick ---- */

static const AzlinContext *
context(BrickHost *host)
{
  return host->brick->iface;
}

Reply
context_list(BrickHost *host)
{
  Reply reply = { 0 };
  context(host)->list(host->self, reply_op(host, &reply, 0));
  reply_wait(&reply);
  return reply;
}

Reply
context_info(BrickHost *host)
{
  Reply reply = { 0 };
  context(host)->info(host->self, reply_op(host, &reply, 0));
  reply_wait(&reply);
  return reply;
}

Reply
context_put(BrickHost *host, const AzlinVm *vm)
{
  Reply reply = { 0 };
  context(host)->put(host->self, vm, reply_op(host, &reply, 0));
  reply_wait(&reply);
  return reply;
}

Reply
context_add(BrickHost *host, const char *region, const char *ip, gboolean primary)
{
  g_autofree char *name = g_strconcat("vm-", region, NULL);
  AzlinVm vm = {
    .size = sizeof vm,
    .region = region,
    .vm_name = name,
    .public_ip = ip,
    .is_primary = primary,
    .resource_group = "azlin-vms",
    .provider = "static",
  };
  return context_put(host, &vm);
}

Reply
context_forget(BrickHost *host, const char *region)
{
  Reply reply = { 0 };
  context(host)->forget(host->self, region, reply_op(host, &reply, 0));
  reply_wait(&reply);
  return reply;
}

Reply
context_set_primary(BrickHost *host, const char *from, const char *to, guint64 epoch)
{
  Reply reply = { 0 };
  context(host)->set_primary(host->self, from, to, epoch, reply_op(host, &reply, 0));
  reply_wait(&reply);
  return reply;
}

guint64
context_epoch(BrickHost *host)
{
  guint64 epoch = 0;
  g_auto(Reply) reply = context_info(host);
  g_assert_no_error(reply.error);
  g_assert_true(g_variant_lookup(reply.variant, "epoch", "t", &epoch));
  return epoch;
}

char *
context_primary(BrickHost *host)
{
  char *primary = NULL;
  g_auto(Reply) reply = context_info(host);
  g_assert_no_error(reply.error);
  g_assert_true(g_variant_lookup(reply.variant, "primary", "s", &primary));
  return primary;
}

AzlinVm *
context_get(BrickHost *host, const char *region)
{
  g_auto(Reply) reply = context_list(host);
  g_assert_no_error(reply.error);
  for (guint i = 0; i < reply.vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(reply.vms, i);
    if (g_str_equal(vm->region, region))
      return az_vm_dup(vm);
  }
  return NULL;
}

/* ---- files ---- */

char *
home_file(BrickHost *host, const char *name)
{
  return g_build_filename(host->home, name, NULL);
}

char *
home_read(BrickHost *host, const char *name)
{
  g_autofree char *path = home_file(host, name);
  g_autoptr(GError) error = NULL;
  char *text = NULL;
  g_file_get_contents(path, &text, NULL, &error);
  g_assert_no_error(error);
  return text;
}

void
home_write(BrickHost *host, const char *name, const char *text)
{
  home_write_bytes(host, name, text, strlen(text));
}

void
home_write_bytes(BrickHost *host, const char *name, const char *bytes, gsize length)
{
  g_autofree char *path = home_file(host, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  g_assert_cmpint(fd, >=, 0);
  g_assert_cmpint(write(fd, bytes, length), ==, (gssize) length);
  close(fd);
}

gboolean
home_has(BrickHost *host, const char *name)
{
  g_autofree char *path = home_file(host, name);
  return g_file_test(path, G_FILE_TEST_EXISTS);
}
