/* Commands that are jobs of the engine: runs one, shows what it says, asks what it asks, prints its result. */
#include "cmd-job.h"

#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "render.h"
#include "text.h"

typedef struct {
  const Invocation *inv;
  Client *client;
  ClientJob *job;
  Screen *screen; /* of a job that ends */
  Board *board;   /* of one that is watched; both NULL with -o jsonl */
  GMainLoop *loop;
  GString *answer;     /* what was typed so far */
  guint answer_source; /* 0 = nothing is asked */
  guint64 attach;      /* number of the job that is followed; 0 = one of its own */
  gboolean live;       /* runs until it is interrupted */
  gboolean interrupted, finished;
  guint leaving; /* source that ends it */
} Run;

/* ---- events as lines ---- */

static GVariantBuilder *
new_event(const char *event, const char *region)
{
  GVariantBuilder *builder = g_variant_builder_new(G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(builder, "{sv}", "event", g_variant_new_string(event));
  if (region)
    g_variant_builder_add(builder, "{sv}", "region", g_variant_new_string(region));
  return builder;
}

static gboolean
stop_watching(gpointer data)
{
  Run *run = data;
  run->leaving = 0;
  if (run->attach > 0) /* it is somebody else's */
    g_main_loop_quit(run->loop);
  else
    client_cancel(run->job);
  return G_SOURCE_REMOVE;
}

/* What runs for ever must not go on for a reader that has gone. */
static void
check_reader(Run *run)
{
  if (!run->live || run->interrupted || !ferror(stdout))
    return;
  run->interrupted = TRUE;
  run->leaving = g_idle_add(stop_watching, run);
}

static void
put_event(Run *run, GVariantBuilder *builder) /* takes it */
{
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_builder_end(builder));
  g_autofree char *json = client_json(value, 0);
  puts(json);
  fflush(stdout);
  check_reader(run);
  g_variant_builder_unref(builder);
}

static void
pause_screen(Run *run)
{
  if (run->screen)
    screen_pause(run->screen);
  if (run->board)
    board_pause(run->board);
  fflush(stdout);
}

static void
resume_screen(Run *run)
{
  if (run->screen)
    screen_resume(run->screen);
  if (run->board)
    board_resume(run->board);
}

static void
on_message(const char *level, const char *region, const char *text, gpointer data)
{
  Run *run = data;
  if (run->screen)
    screen_message(run->screen, level, region, text);
  if (run->board) {
    board_message(run->board, level, region, text);
    check_reader(run);
  }
  if (run->screen || run->board)
    return;
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  GVariantBuilder *event = new_event("message", region);
  g_variant_builder_add(event, "{sv}", "level", g_variant_new_string(level));
  g_variant_builder_add(event, "{sv}", "text", g_variant_new_string(valid));
  put_event(run, event);
}

/* A watch has a row for each answer, all day long: a script reads what changed, and who wants to see each asks for it.
 */
static gboolean
wants_rows(const Run *run)
{
  return run->inv->verbose || g_strcmp0(run->inv->command->live, "");
}

static void
on_region(const char *region, GVariant *facts, gpointer data)
{
  Run *run = data;
  if (run->screen)
    screen_region(run->screen, region, facts);
  if (run->board)
    board_region(run->board, region, facts);
  if (run->screen || run->board || !wants_rows(run))
    return;
  GVariantBuilder *event = new_event("region", region);
  g_variant_builder_add(event, "{sv}", "facts", facts);
  put_event(run, event);
}

static void
on_progress(guint64 done, guint64 total, const char *text, gpointer data)
{
  Run *run = data;
  if (run->screen)
    screen_progress(run->screen, done, total, text);
  if (run->board)
    board_progress(run->board, done, total, text);
  if (run->screen || run->board)
    return;
  g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
  GVariantBuilder *event = new_event("progress", NULL);
  g_variant_builder_add(event, "{sv}", "done", g_variant_new_uint64(done));
  g_variant_builder_add(event, "{sv}", "total", g_variant_new_uint64(total));
  g_variant_builder_add(event, "{sv}", "text", g_variant_new_string(valid));
  put_event(run, event);
}

static void
on_event(const char *name, GVariant *facts, gpointer data)
{
  Run *run = data;
  GVariantIter iter;
  const char *key;
  GVariant *value;
  if (run->board)
    board_event(run->board, name, facts);
  if (run->screen && run->inv->command->event) {
    pause_screen(run);
    run->inv->command->event(run->inv, name, facts);
    resume_screen(run);
    check_reader(run);
  }
  if (run->screen || run->board)
    return;
  GVariantBuilder *event = new_event(name, NULL);
  g_variant_iter_init(&iter, facts);
  while (g_variant_iter_loop(&iter, "{&sv}", &key, &value))
    g_variant_builder_add(event, "{sv}", key, value);
  put_event(run, event);
}

/* ---- questions ---- */

static void
answer(Run *run, gboolean yes)
{
  run->answer_source = 0;
  resume_screen(run);
  client_answer(run->job, yes);
}

static gboolean
on_typed(int fd, GIOCondition condition, gpointer data)
{
  Run *run = data;
  char c = 0;
  gssize n = read(fd, &c, 1);
  if (n == 1 && c != '\n') {
    if (run->answer->len < 16)
      g_string_append_c(run->answer, c);
    return G_SOURCE_CONTINUE;
  }
  g_strstrip(run->answer->str);
  gboolean yes = n == 1 && (!g_ascii_strcasecmp(run->answer->str, "y") || !g_ascii_strcasecmp(run->answer->str, "yes"));
  if (n != 1)
    fputc('\n', stderr);
  if (n == 1 || run->attach == 0) {
    answer(run, yes);
    return G_SOURCE_REMOVE;
  }
  run->answer_source = 0; /* whoever follows and has no answer leaves it to others */
  resume_screen(run);
  return G_SOURCE_REMOVE;
}

static void
on_question(const char *text, gpointer data)
{
  Run *run = data;
  g_autofree char *harmless = text_clean_line(text);
  if (run->answer_source > 0)
    resume_screen(run);
  g_clear_handle_id(&run->answer_source, g_source_remove);
  pause_screen(run);
  if (run->attach > 0 && !run->inv->terminal->can_ask) {
    fprintf(stderr, "azlin: it asks, and nobody can answer here: %s\n", harmless);
    resume_screen(run);
    return;
  }
  if (!run->inv->terminal->can_ask) {
    fprintf(stderr, "azlin: %s Nobody can answer here, so nothing was changed; give --yes to go ahead.\n", harmless);
    answer(run, FALSE);
    return;
  }
  fprintf(stderr, "%s [y/N] ", harmless);
  fflush(stderr);
  g_string_truncate(run->answer, 0);
  run->answer_source = g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_typed, run);
}

/* ---- interruption ---- */

static gboolean
only_reads(const Run *run)
{
  static const char *const readers[]
      = { "regions-list", "regions-health", "status", "vm-status", "ssh-target", "simulate", "logs", NULL };
  return g_strv_contains(readers, run->inv->command->kind);
}

static void
leave_at_once(const Run *run)
{
  if (!only_reads(run))
    fprintf(stderr, "\nazlin: left at once. What was begun may still stand: azlin recover\n");
  _exit(130);
}

static gboolean
on_signal(gpointer data)
{
  Run *run = data;
  if (run->interrupted)
    leave_at_once(run);
  run->interrupted = TRUE;
  if (run->attach > 0) {
    g_main_loop_quit(run->loop);
    return G_SOURCE_CONTINUE;
  }
  if (!run->live) {
    pause_screen(run);
    fprintf(stderr, "\nazlin: interrupted; stopping%s. Press Ctrl-C again to leave at once.\n",
            only_reads(run) ? "" : ", and undoing what was half done");
    resume_screen(run);
  }
  g_clear_handle_id(&run->answer_source, g_source_remove);
  client_cancel(run->job);
  return G_SOURCE_CONTINUE;
}

/* As nohup leaves it. */
static gboolean
is_ignored(int number)
{
  struct sigaction action;
  return !sigaction(number, NULL, &action) && action.sa_handler == SIG_IGN;
}

static void
on_finished(gpointer data)
{
  Run *run = data;
  run->finished = TRUE;
  g_main_loop_quit(run->loop);
}

static void
say_what_stands(const Run *run)
{
  if (only_reads(run))
    return;
  const char *kind = run->inv->command->kind;
  fprintf(stderr, "azlin: the journal says what stands. %s\n",
          !strcmp(kind, "deploy") ? "Go on with: azlin deploy --resume. Clear up with: azlin recover"
                                  : "Finish or undo it with: azlin recover");
}

/* ---- the whole run ---- */

static gboolean
loop_until_finished(Run *run, GError **error)
{
  const ClientWatch watch = {
    .message = on_message,
    .region = on_region,
    .progress = on_progress,
    .event = on_event,
    .question = on_question,
    .finished = on_finished,
    .data = run,
  };
  run->job = run->attach > 0 ? client_attach(run->client, run->attach, &watch, error)
                             : client_submit(run->client, run->inv->command->kind, run->inv->args, &watch, error);
  if (!run->job)
    return FALSE;
  if (run->attach > 0)
    run->live = g_str_equal(client_kind(run->job), "watch");
  guint signals[] = { g_unix_signal_add(SIGINT, on_signal, run), g_unix_signal_add(SIGTERM, on_signal, run),
                      run->live && !is_ignored(SIGHUP) ? g_unix_signal_add(SIGHUP, on_signal, run) : 0 };
  if (run->live && run->inv->output == OUTPUT_TABLE && !run->inv->command->event)
    run->board = board_new(run->inv->terminal, run->client, run->inv->quiet);
  else if (run->inv->output != OUTPUT_JSONL)
    run->screen = screen_new(run->inv->terminal, run->client, run->inv->quiet);
  run->loop = g_main_loop_new(NULL, FALSE);
  run->answer = g_string_new(NULL);
  client_start(run->job);
  if (!run->finished)
    g_main_loop_run(run->loop);
  g_clear_handle_id(&run->answer_source, g_source_remove);
  g_clear_pointer(&run->screen, screen_free);
  g_clear_pointer(&run->board, board_free);
  g_clear_handle_id(&run->leaving, g_source_remove);
  for (guint i = 0; i < G_N_ELEMENTS(signals); i++)
    g_clear_handle_id(&signals[i], g_source_remove);
  g_string_free(run->answer, TRUE);
  g_main_loop_unref(run->loop);
  return TRUE;
}

static int
cmd_job_perform(const Invocation *invocation, Client *client, GVariant **ret_result, GError **error)
{
  Run run = { .inv = invocation, .client = client, .live = invocation_is_live(invocation) };
  if (run.live && invocation->output == OUTPUT_JSON) {
    g_propagate_error(error, client_usage_error("what is watched has no end to wait for, and so no one document; "
                                                "-o jsonl prints each event on a line"));
    return -1;
  }
  if (!loop_until_finished(&run, error))
    return -1;
  *ret_result = g_variant_ref(client_result(run.job));
  if (!run.interrupted || run.live)
    return client_exit_code(run.job);
  say_what_stands(&run);
  return 130;
}

/* What was done by then is on the screen; the job goes on. */
static int
detached(const Run *run)
{
  fprintf(stderr,
          "\nazlin: job %" G_GUINT64_FORMAT " goes on. See it again: azlin jobs attach %" G_GUINT64_FORMAT
          ". End it: azlin jobs cancel %" G_GUINT64_FORMAT "\n",
          run->attach, run->attach, run->attach);
  return 0;
}

int
cmd_job_follow(const Invocation *invocation, Client *client, guint64 number)
{
  Run run = { .inv = invocation, .client = client, .attach = number };
  g_autoptr(GError) error = NULL;
  if (!loop_until_finished(&run, &error))
    return render_gerror(invocation, error);
  GVariant *result = client_result(run.job);
  if (!result)
    return detached(&run);
  Invocation as_its_own = *invocation;
  as_its_own.command = command_of_kind(client_kind(run.job));
  return cmd_job_show(&as_its_own, client, result, client_exit_code(run.job));
}

int
cmd_job_show(const Invocation *invocation, Client *client, GVariant *plain, int exit_code)
{
  g_autoptr(GVariant) result = render_with_help(invocation, plain, exit_code);
  g_autoptr(GVariant) failure = g_variant_lookup_value(result, "error", G_VARIANT_TYPE_VARDICT);
  if (invocation->output != OUTPUT_TABLE)
    render_document(invocation, result, exit_code);
  else if (failure && exit_code != 130)
    render_error(invocation, failure);
  else if (!failure && invocation->command->show)
    invocation->command->show(invocation, client, result);
  return exit_code;
}

int
cmd_job_run_then(const Invocation *invocation,
                 int (*then)(const Invocation *invocation, Client *client, GVariant *result, int exit_code))
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  ClientPlace place = invocation->place;
  place.no_daemon |= invocation->command->alone;
  g_autoptr(Client) client = client_new(&place, &error);
  if (!client)
    return render_gerror(invocation, error);
  int exit_code = cmd_job_perform(invocation, client, &result, &error);
  if (!result)
    return render_gerror(invocation, error);
  return then(invocation, client, result, exit_code);
}

int
cmd_job_run(const Invocation *invocation)
{
  return cmd_job_run_then(invocation, cmd_job_show);
}
