/* The relayed road of sync-stream with its real scripts, on folders of this machine: how far a compressed archive has
 * come is what the target's tar counts. */
#include "../../plugins/sync-stream/stream.h"

#include "landing.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>

#define MIB 1048576u

typedef struct {
  AzlinHost host;
  Stream stream;
  StreamCopy copy;
  char *base, *source, *target;
  gsize cut;       /* so many bytes of the archive get through; 0 = all */
  gboolean deaf;   /* nobody hears what the target says */
  gboolean silent; /* nothing is run: the test speaks for the target */
  AzlinPipe pipe;
  gint64 now;
  guint64 done;
  int status;
  gboolean left;
} Scene;

static Scene *scene; /* op_progress and op_cancel are not told of the host */

static gint64
monotonic(AzlinHost *host)
{
  return scene->now;
}

static AzlinOp *
op_new(AzlinOp *parent, const char *label, guint32 timeout_ms, AzlinDone done, gpointer data)
{
  return NULL;
}

static void
op_cancel(AzlinOp *op, const char *why)
{
  scene->left = TRUE;
}

static void
op_progress(AzlinOp *op, guint64 done, guint64 total, const char *text)
{
  g_assert_cmpuint(done, >=, scene->done);
  g_assert_cmpuint(done, <=, total);
  scene->done = done;
}

/* A pipe that nobody reads from. */
static int
nobody(void)
{
  int ends[2];
  g_assert_true(g_unix_open_pipe(ends, FD_CLOEXEC, NULL));
  close(ends[0]);
  return ends[1];
}

static GBytes *
run(const char *const *argv, GBytes *input, gboolean deaf, int *ret_status)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) out = NULL;
  g_autoptr(GSubprocessLauncher) launcher
      = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | (deaf ? 0 : G_SUBPROCESS_FLAGS_STDOUT_PIPE));
  if (deaf)
    g_subprocess_launcher_take_stdout_fd(launcher, nobody());
  g_autoptr(GSubprocess) child = g_subprocess_launcher_spawnv(launcher, argv, &error);
  g_assert_no_error(error);
  g_subprocess_communicate(child, input, NULL, &out, NULL, &error);
  g_clear_error(&error); /* who has failed reads no more */
  *ret_status = g_subprocess_get_if_exited(child) ? g_subprocess_get_exit_status(child) : -1;
  return out != NULL ? g_steal_pointer(&out) : g_bytes_new_static("", 0);
}

static void
pipe_both(AzlinHost *host, const AzlinPipe *request, AzlinOp *op)
{
  scene->pipe = *request;
  if (scene->silent)
    return;
  g_autoptr(GBytes) archive = run(request->from_argv, request->from_input, FALSE, &scene->status);
  g_assert_cmpint(scene->status, ==, 0);
  g_autoptr(GBytes) arrived = scene->cut > 0 ? g_bytes_new_from_bytes(archive, 0, scene->cut) : g_bytes_ref(archive);
  g_autoptr(GBytes) said = run(request->to_argv, arrived, scene->deaf, &scene->status);
  g_autoptr(GString) text = g_string_new_len(g_bytes_get_data(said, NULL), (gssize) g_bytes_get_size(said));
  g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
  request->moved(g_bytes_get_size(arrived) - 1, request->data);
  for (guint i = 0; lines[i] != NULL && (lines[i + 1] != NULL || *lines[i] != '\0'); i++)
    request->said(lines[i], request->data);
  request->moved(g_bytes_get_size(arrived), request->data);
}

static const AzlinHostApi api = { .size = sizeof api,
                                  .monotonic = monotonic,
                                  .op_new = op_new,
                                  .op_cancel = op_cancel,
                                  .op_progress = op_progress,
                                  .pipe = pipe_both };

static void
set_up(Scene *it, gconstpointer unused)
{
  static const char names[] = "d\0d/text\0d/f";
  g_autofree char *made = g_dir_make_tmp("azlin-relay-XXXXXX", NULL);
  scene = it;
  it->base = realpath(made, NULL);
  it->source = g_build_filename(it->base, "source", NULL);
  it->target = g_build_filename(it->base, "target", NULL);
  g_autofree char *folder = g_build_filename(it->source, "d", NULL);
  g_autofree char *text = g_build_filename(folder, "text", NULL), *file = g_build_filename(folder, "f", NULL);
  g_autofree char *much = g_strnfill(20 * MIB, 'x');
  g_assert_cmpint(g_mkdir_with_parents(folder, 0755) + g_mkdir(it->target, 0755), ==, 0);
  g_assert_true(g_file_set_contents(text, much, 20 * MIB, NULL) && g_file_set_contents(file, "f", 1, NULL));
  it->host.api = &api;
  it->stream.host = &it->host;
  it->copy
      = (StreamCopy){ .self = &it->stream,
                      .job = { .size = sizeof(AzlinSyncJob),
                               .source_folder = it->source,
                               .target_folder = it->target,
                               .run = "run-1",
                               .bytes = 20 * MIB + 1,
                               .files = 2,
                               .only = g_bytes_new_static(names, sizeof names) },
                      .forecast
                      = { .level = 3, .wire = 12 * MIB, .archive = 20 * MIB, .direct = 3, .trial = 1, .leave = 1.25 },
                      .report = g_byte_array_new(),
                      .words = g_string_new(NULL),
                      .errors = g_ptr_array_new_with_free_func(g_free) };
}

static void
tear_down(Scene *it, gconstpointer unused)
{
  const char *const argv[] = { "rm", "-rf", "--", it->base, NULL };
  int status;
  g_bytes_unref(run(argv, it->copy.job.only, FALSE, &status));
  g_bytes_unref(it->copy.job.only);
  g_byte_array_unref(it->copy.report);
  g_string_free(it->copy.words, TRUE);
  g_ptr_array_unref(it->copy.errors);
  g_free(it->copy.stage);
  free(it->base);
  g_free(it->source);
  g_free(it->target);
}

static gboolean
has_arrived(const Scene *it, const char *name)
{
  g_autofree char *path = g_build_filename(it->target, "d", name, NULL);
  return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void
test_tar_counts(Scene *it, gconstpointer unused)
{
  stream_relay(&it->copy);
  g_assert_cmpint(it->status, ==, 0);
  g_assert_true(has_arrived(it, "text") && has_arrived(it, "f"));
  g_assert_cmpuint(it->copy.sent, <, MIB);
  g_assert_cmpuint((guint64) it->copy.pace.unpacked, >, 19 * MIB);
  g_assert_cmpuint((guint64) it->copy.pace.unpacked, <, 21 * MIB);
  g_assert_cmpuint(it->done, >, 19 * MIB);
  g_assert_cmpuint(it->copy.report->len, ==, 0);
  g_assert_cmpstr(it->copy.words->str, ==, "");
}

static void
make_a_folder_of_f(const Scene *it)
{
  g_autofree char *folder = g_build_filename(it->target, "d", "f", "inside", NULL);
  g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
}

static void
test_what_cannot_be_placed_is_told(Scene *it, gconstpointer unused)
{
  make_a_folder_of_f(it);
  stream_relay(&it->copy);
  g_assert_cmpint(it->status, ==, 23);
  g_autoptr(GBytes) report = g_bytes_new(it->copy.report->data, it->copy.report->len);
  landing_read_report(report, "/it", it->copy.errors);
  g_assert_cmpuint(it->copy.errors->len, ==, 1);
  g_assert_nonnull(strstr(it->copy.errors->pdata[0], "/it/d/f"));
  g_assert_cmpstr(it->copy.words->str, ==, "");
}

/* azlin was killed, and there is something to tell. */
static void
test_where_nobody_listens_nothing_is_left(Scene *it, gconstpointer unused)
{
  g_autofree char *stage = g_build_filename(it->target, ".azlin-partial", NULL);
  make_a_folder_of_f(it);
  it->deaf = TRUE;
  it->copy.forecast.level = 0;
  stream_relay(&it->copy);
  g_assert_true(has_arrived(it, "text"));
  g_assert_false(g_file_test(stage, G_FILE_TEST_EXISTS));
}

/* Without compression nothing needs to be counted: what has gone is what there is. */
static void
test_what_is_not_compressed(Scene *it, gconstpointer unused)
{
  it->copy.forecast.level = 0;
  stream_relay(&it->copy);
  g_assert_cmpint(it->status, ==, 0);
  g_assert_true(has_arrived(it, "text"));
  g_assert_cmpuint((guint64) it->copy.pace.unpacked, ==, 0);
  g_assert_cmpuint(it->done, >, 19 * MIB);
  g_assert_cmpuint(it->copy.report->len, ==, 0);
}

static void
test_an_archive_that_is_cut_off(Scene *it, gconstpointer unused)
{
  it->cut = 300;
  stream_relay(&it->copy);
  g_assert_cmpint(it->status, ==, 70);
  g_assert_false(has_arrived(it, "text"));
  g_assert_nonnull(strstr(it->copy.words->str, "tar: "));
  g_assert_cmpuint(it->copy.report->len, ==, 0);
}

/* In a second 1 MiB goes over the line, of which `records` come out at the target, which says so behind `prefix`. */
static gboolean
is_left(Scene *it, const char *prefix, guint records)
{
  it->silent = TRUE;
  stream_relay(&it->copy);
  for (guint tenth = 1; tenth <= 30 && !it->left; tenth++) {
    g_autofree char *line = g_strdup_printf("%s%u", prefix, tenth * records / 10);
    it->now += G_USEC_PER_SEC / 10;
    it->pipe.moved(tenth * MIB / 10, it->pipe.data);
    it->pipe.said(line, it->pipe.data);
  }
  return it->left;
}

static void
test_what_shrinks_much_is_not_left(Scene *it, gconstpointer unused)
{
  g_assert_false(is_left(it, "tar: azlin-", 700)); /* 7 MiB a second */
}

static void
test_what_does_not_shrink_is_left(Scene *it, gconstpointer unused)
{
  g_assert_true(is_left(it, "/usr/local/bin/tar: azlin-", 100));
}

static void
test_where_nothing_is_counted_the_line_is_judged(Scene *it, gconstpointer unused)
{
  g_assert_true(is_left(it, "pax: ", 700));
}

/* All is there; that the last of it came slowly is past. */
static void
test_at_the_end_nothing_is_left(Scene *it, gconstpointer unused)
{
  it->copy.forecast.level = 0;
  it->silent = TRUE;
  stream_relay(&it->copy);
  it->pipe.said("", it->pipe.data);
  for (guint second = 1; second <= 5; second++) {
    it->now += G_USEC_PER_SEC;
    it->pipe.moved(second * MIB, it->pipe.data);
  }
  g_assert_false(it->left);
}

static void
test_the_last_words_count(Scene *it, gconstpointer unused)
{
  it->silent = TRUE;
  stream_relay(&it->copy);
  for (guint i = 0; i < 1000; i++)
    it->pipe.said("tar: d/f: time stamp 2031-01-01 is 1 s in the future", it->pipe.data);
  it->pipe.said("tar: d/f: Cannot write: No space left on device", it->pipe.data);
  g_assert_nonnull(strstr(it->copy.words->str, "No space left on device"));
  g_assert_cmpuint(it->copy.words->len, <=, 16384);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/stream-relay/" name, Scene, NULL, set_up, func, tear_down)
  ADD("tar-counts", test_tar_counts);
  ADD("not-placed", test_what_cannot_be_placed_is_told);
  ADD("nobody-listens", test_where_nobody_listens_nothing_is_left);
  ADD("not-compressed", test_what_is_not_compressed);
  ADD("cut-off", test_an_archive_that_is_cut_off);
  ADD("shrinks", test_what_shrinks_much_is_not_left);
  ADD("does-not-shrink", test_what_does_not_shrink_is_left);
  ADD("does-not-count", test_where_nothing_is_counted_the_line_is_judged);
  ADD("at-the-end", test_at_the_end_nothing_is_left);
  ADD("last-words", test_the_last_words_count);
  return g_test_run();
}
