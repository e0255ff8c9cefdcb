/* Runs the blob brick alone on folders of this host: what the tests and measurements of it drive machines with. */
#include "engine-private.h"
#include "blob.h"
#include "host.h"
#include "registry.h"
#include "remote.h"
#include <stdlib.h>
#include <string.h>
#include <glib-unix.h>
#include <signal.h>
#include <unistd.h>

typedef struct { /* one command */
  GSubprocess *process;
  GDataInputStream *out;
  GOutputStream *in;
  GQueue writes; /* of GBytes */
  gboolean writing, closing, ended;
  AzlinOp *op;
  AzlinExec request;
  GString *err;
  guint open;
} Run;

typedef struct {
  AzEngine *engine;
  GMainLoop *loop;
  guint open;
  int status;
} Drive;

static GHashTable *runs; /* op -> Run */

static void write_next(Run *run);

static void
run_unref(Run *run)
{
  if (--run->open > 0)
    return;
  g_object_unref(run->process);
  g_object_unref(run->out);
  g_queue_clear_full(&run->writes, (GDestroyNotify) g_bytes_unref);
  g_string_free(run->err, TRUE);
  g_free(run);
}

static void
on_written(GObject *source, GAsyncResult *result, gpointer data)
{
  Run *run = data;
  gboolean good = g_output_stream_write_all_finish(G_OUTPUT_STREAM(source), result, NULL, NULL);
  run->writing = FALSE;
  g_bytes_unref(g_queue_pop_head(&run->writes));
  if (good)
    write_next(run);
  run_unref(run);
}

static void
write_next(Run *run)
{
  GBytes *bytes = g_queue_peek_head(&run->writes);
  if (run->writing || run->ended)
    return;
  if (bytes == NULL) {
    if (run->closing)
      g_output_stream_close(run->in, NULL, NULL);
    return;
  }
  gsize length = 0;
  const char *start = g_bytes_get_data(bytes, &length);
  run->writing = TRUE;
  run->open++;
  g_output_stream_write_all_async(run->in, start, length, G_PRIORITY_DEFAULT, NULL, on_written, run);
}

static gboolean
drive_write(AzlinOp *op, const char *bytes, gsize length)
{
  Run *run = g_hash_table_lookup(runs, op);
  if (run == NULL)
    return FALSE;
  if (g_getenv("DRIVE_TRACE") != NULL)
    g_printerr("%.3f > %.*s", (double) g_get_monotonic_time() / G_USEC_PER_SEC, (int) length, bytes);
  g_queue_push_tail(&run->writes, g_bytes_new(bytes, length));
  write_next(run);
  return TRUE;
}

static void
on_line(GObject *source, GAsyncResult *result, gpointer data)
{
  Run *run = data;
  g_autofree char *line = g_data_input_stream_read_line_finish(run->out, result, NULL, NULL);
  if (line != NULL && run->op != NULL && !az_op_cancelled(run->op)) {
    if (g_getenv("DRIVE_TRACE") != NULL)
      g_printerr("%.3f < %s %s\n", (double) g_get_monotonic_time() / G_USEC_PER_SEC, run->request.vm->region, line);
    run->request.on_line(line, run->request.line_data);
  }
  if (line != NULL) {
    g_data_input_stream_read_line_async(run->out, G_PRIORITY_DEFAULT, NULL, on_line, run);
    return;
  }
  g_subprocess_wait(run->process, NULL, NULL);
  run->ended = TRUE;
  if (run->op != NULL) {
    AzlinOp *op = g_steal_pointer(&run->op);
    int status = g_subprocess_get_if_exited(run->process) ? g_subprocess_get_exit_status(run->process) : 137;
    g_autoptr(GBytes) none = g_bytes_new(NULL, 0);
    g_hash_table_remove(runs, op);
    az_op_finish_reply(op, status, 0, none, none);
  }
  run_unref(run);
}

static void
on_cancel(gpointer data)
{
  Run *run = data;
  if (run->op == NULL)
    return;
  g_hash_table_remove(runs, run->op);
  run->op = NULL;
  run->closing = TRUE;
  if (!run->ended)
    g_subprocess_send_signal(run->process, SIGTERM);
  write_next(run);
}

static void
new_session(gpointer data)
{
  setsid();
}

/* $DRIVE_REGION, words that run a command "there"; with $DRIVE_QUOTE it is one string, as for ssh. */
static void
drive_exec(AzlinHost *host, const AzlinExec *request, AzlinOp *op)
{
  g_autofree char *variable = g_strconcat("DRIVE_", request->vm->region, NULL);
  g_auto(GStrv) prefix = g_strsplit(g_getenv(variable) != NULL ? g_getenv(variable) : "", " ", -1);
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
  g_autoptr(GSubprocessLauncher) launcher
      = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE);
  g_autoptr(GError) error = NULL;
  for (char **word = prefix; *word != NULL; word++)
    if (**word != '\0')
      g_strv_builder_add(builder, *word);
  g_autofree char *quoted = az_remote_quote(request->argv);
  if (g_getenv("DRIVE_QUOTE") != NULL)
    g_strv_builder_add(builder, quoted);
  else
    g_strv_builder_addv(builder, (const char **) (guintptr) request->argv);
  g_auto(GStrv) argv = g_strv_builder_end(builder);
  g_subprocess_launcher_set_child_setup(launcher, new_session, NULL, NULL);
  Run *run = g_new0(Run, 1);
  run->process = g_subprocess_launcher_spawnv(launcher, (const char *const *) argv, &error);
  if (run->process == NULL)
    g_error("%s", error->message);
  run->out = g_data_input_stream_new(g_subprocess_get_stdout_pipe(run->process));
  run->in = g_subprocess_get_stdin_pipe(run->process);
  run->err = g_string_new(NULL);
  run->op = op;
  run->request = *request;
  run->open = 1;
  g_queue_init(&run->writes);
  g_hash_table_insert(runs, op, run);
  if (request->input != NULL)
    g_queue_push_tail(&run->writes, g_bytes_ref(request->input));
  write_next(run);
  az_op_on_cancel(op, on_cancel, run);
  g_data_input_stream_read_line_async(run->out, G_PRIORITY_DEFAULT, NULL, on_line, run);
}

/* ---- the job ---- */

static void
leave(Drive *drive)
{
  if (--drive->open == 0)
    g_main_loop_quit(drive->loop);
}

static AzlinOp *on_detached(const char *label, guint32 timeout_ms, AzlinDone done, gpointer done_data, gpointer data);

typedef struct {
  Drive *drive;
  AzlinDone done;
  gpointer data;
} Detached;

static void
on_detached_done(AzlinOp *op, gpointer data)
{
  g_autofree Detached *detached = data;
  detached->done(op, detached->data);
  leave(detached->drive);
}

static void
on_progress(AzlinOp *op, guint64 done, guint64 total, const char *text, gpointer data)
{
}

static AzOpSink
sink_of(Drive *drive)
{
  return (AzOpSink){ .progress = on_progress, .detached = on_detached, .data = drive };
}

static AzlinOp *
on_detached(const char *label, guint32 timeout_ms, AzlinDone done, gpointer done_data, gpointer data)
{
  Drive *drive = data;
  AzOpSink sink = sink_of(drive);
  Detached *detached = g_new0(Detached, 1);
  *detached = (Detached){ drive, done, done_data };
  drive->open++;
  return az_op_new_root(az_engine_clock(drive->engine), label, timeout_ms, &sink, on_detached_done, detached);
}

static void
on_done(AzlinOp *op, gpointer data)
{
  Drive *drive = data;
  if (az_op_error(op) != NULL) {
    g_print("error %d %s\n", az_op_error(op)->code, az_op_error(op)->message);
    drive->status = 1;
  } else if (az_op_variant(op) != NULL) {
    g_autofree char *text = g_variant_print(az_op_variant(op), FALSE);
    g_print("done %.3f %s\n", (double) g_get_monotonic_time() / G_USEC_PER_SEC, text);
  }
  leave(drive);
}

static GBytes *
names_below(const char *folder, guint64 *ret_files, guint64 *ret_bytes)
{
  const char *const argv[] = { "find", ".", "-print0", NULL };
  const char *const sizes[] = { "find", ".", "-type", "f", "-printf", "%s\\n", NULL };
  g_autofree char *out = NULL;
  char *names = NULL;
  g_autoptr(GError) error = NULL;
  g_spawn_sync(folder, (char **) (guintptr) sizes, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, NULL, NULL);
  g_auto(GStrv) lines = g_strsplit(out, "\n", -1);
  for (char **line = lines; *line != NULL && **line != '\0'; line++) {
    (*ret_files)++;
    *ret_bytes += g_ascii_strtoull(*line, NULL, 10);
  }
  int fd[2];
  GByteArray *all = g_byte_array_new();
  if (pipe(fd) != 0)
    abort();
  GPid pid = 0;
  g_spawn_async_with_fds(folder, (char **) (guintptr) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &pid, -1, fd[1], -1,
                         NULL);
  close(fd[1]);
  guint8 buffer[65536];
  gssize n;
  while ((n = read(fd[0], buffer, sizeof buffer)) > 0)
    g_byte_array_append(all, buffer, (guint) n);
  close(fd[0]);
  g_free(names);
  return g_byte_array_free_to_bytes(all);
}

static double
number_of(const char *name, double fallback)
{
  return g_getenv(name) != NULL ? g_ascii_strtod(g_getenv(name), NULL) : fallback;
}

static gboolean
on_interrupt(gpointer data)
{
  az_op_cancel(data, "interrupted");
  return G_SOURCE_REMOVE;
}

static void
on_root(AzlinOp *op, gpointer data)
{
}

static void
copy(Drive *drive, Blob *blob, const AzlinSync *brick, char **words)
{
  static const char *const names[] = { "west", "north", "south", NULL };
  AzlinVm source = { .size = sizeof source, .region = "east", .vm_name = "east" };
  AzlinVm targets[3] = { 0 };
  AzlinSyncJob jobs[3] = { 0 };
  const AzlinSyncJob *pointers[3] = { &jobs[0], &jobs[1], &jobs[2] };
  AzlinOp *ops[3];
  guint64 files = 0, bytes = 0;
  g_autoptr(GBytes) only = names_below(words[0], &files, &bytes);
  double rtt = number_of("DRIVE_RTT", 0);
  const char *tools = number_of("DRIVE_COLD", 0) == 0 ? " curl zstd python3 " : " curl zstd ";
  AzlinSyncFacts facts = { .size = sizeof facts,
                           .rtt_source_ms = rtt,
                           .rtt_target_ms = rtt,
                           .rtt_between_ms = rtt,
                           .tools_source = tools,
                           .tools_target = tools };
  AzOpSink sink = sink_of(drive);
  AzlinOp *root = az_op_new_root(az_engine_clock(drive->engine), "copy", 0, &sink, on_root, NULL);
  guint n = 0;
  for (; words[1 + n] != NULL && n < 3; n++) {
    targets[n] = (AzlinVm){ .size = sizeof source, .region = names[n], .vm_name = names[n] };
    jobs[n] = (AzlinSyncJob){ .size = sizeof source,
                              .source = &source,
                              .target = &targets[n],
                              .path = words[0],
                              .bytes = bytes,
                              .files = files,
                              .only = only,
                              .run = "run-1",
                              .source_folder = words[0],
                              .target_folder = words[1 + n],
                              .facts = &facts,
                              .bwlimit_kib = (guint32) number_of("DRIVE_LIMIT", 0) };
    drive->open++;
    ops[n] = az_op_new(root, names[n], 0, on_done, drive);
  }
  facts.n_targets = n;
  g_unix_signal_add(SIGINT, on_interrupt, root);
  g_print("start %.3f\n", (double) g_get_monotonic_time() / G_USEC_PER_SEC);
  brick->transfer_all(blob, pointers, ops, n);
}

/* blob-drive HOME copy SOURCE TARGET... | recover | request METHOD PATH | sas CONTAINER PERMISSIONS */
int
main(int argc, char **argv)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(AzEngine) engine = az_engine_new(NULL, argv[1], &error);
  Drive drive = { .engine = engine };
  gpointer self = NULL;
  const AzlinSync *brick = engine != NULL ? az_engine_lookup(engine, AZLIN_KIND_SYNC, "blob", &self, &error) : NULL;
  if (brick == NULL) {
    g_printerr("%s\n", error->message);
    return 2;
  }
  Blob *blob = self;
  AzlinHostApi api = *blob->api;
  api.exec = drive_exec;
  api.exec_write = drive_write;
  blob->api = &api;
  runs = g_hash_table_new(NULL, NULL);
  drive.loop = g_main_loop_new(NULL, FALSE);
  if (strcmp(argv[2], "copy") == 0)
    copy(&drive, blob, brick, argv + 3);
  g_main_loop_run(drive.loop);
  return drive.status;
}
