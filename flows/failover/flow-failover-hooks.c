/* hooks/failover-pre, which may veto a switch before anything is fenced, and hooks/failover-post, which hears of it. */
#include "flow-failover.h"
#include "error.h"
#include "flow-failover-options.h"
#include "process.h"
#include "trust.h"
#include <string.h>
#include <unistd.h>

#define DEADLINE_S 30

typedef struct {
  AzFailover *run;
  void (*done)(AzFailover *run);
} Pre;

/* NULL: there is none. One that others could have changed is an error. */
static char *
hook_path(AzEngine *engine, const char *name, GError **error)
{
  g_autofree char *path = az_paths_file(az_engine_paths(engine), name);

  if (!g_file_test(path, G_FILE_TEST_EXISTS) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK))
    return NULL;
  int fd = az_trust_open(path, FALSE, error);
  if (fd < 0)
    return NULL;
  close(fd);
  return g_steal_pointer(&path);
}

static void
start(AzFailover *run, const char *path, guint64 epoch, AzlinOp *op)
{
  g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, epoch);
  const char *argv[] = { path, run->source->region, run->target->region, number, run->cause, NULL };
  const AzlinExec request = { .size = sizeof request, .argv = argv };

  az_process_run(&request, op);
}

static guint32
deadline_ms(AzFailover *run)
{
  return az_failover_option_uint(run->engine, "hook-timeout", DEADLINE_S) * 1000;
}

/* ---- before ---- */

static GError *
veto_of(AzlinOp *op)
{
  const AzlinReply *reply = az_op_error(op) == NULL ? az_op_reply(op) : NULL;

  if (reply != NULL && reply->status == 0)
    return NULL;
  g_autofree char *words = reply != NULL ? az_flow_first_words(reply->err) : az_error_message(az_op_error(op));
  GError *error = *words != 0 ? g_error_new(AZLIN_ERROR, AZLIN_ERROR_POLICY,
                                            "hooks/failover-pre does not allow the switch: %s", words)
                              : g_error_new(AZLIN_ERROR, AZLIN_ERROR_POLICY,
                                            "hooks/failover-pre does not allow the switch (status %d)", reply->status);
  az_error_add_step(error, "See what it wants; it stands below hooks/ of azlin's home");
  az_error_add_step(error, "%s", "");
  return error;
}

static void
on_pre(AzlinOp *op, gpointer data)
{
  g_autofree Pre *pre = data;
  AzFailover *run = pre->run;

  if (az_op_cancelled(run->root))
    return;
  GError *veto = veto_of(op);
  if (veto != NULL)
    az_failover_abort(run, veto);
  else
    pre->done(run);
}

void
az_failover_hook_pre(AzFailover *run, void (*done)(AzFailover *run))
{
  GError *error = NULL;
  g_autofree char *path = hook_path(run->engine, "hooks/failover-pre", &error);

  if (error != NULL) { /* a veto that somebody may have taken out of it must not be missed */
    az_error_add_step(error, "Take the right to write it from others, or take the hook away");
    az_failover_abort(run, error);
    return;
  }
  if (path == NULL) {
    done(run);
    return;
  }
  Pre *pre = g_new(Pre, 1);
  *pre = (Pre){ run, done };
  az_job_message(run->job, "step", NULL, "Asking hooks/failover-pre");
  start(run, path, run->stored->epoch + 1, az_op_new(run->root, "hooks/failover-pre", deadline_ms(run), on_pre, pre));
}

/* ---- after ---- */

static void
on_post(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  const AzlinReply *reply = az_op_error(op) == NULL ? az_op_reply(op) : NULL;

  if (reply == NULL) {
    az_job_message(job, "warn", NULL, "hooks/failover-post: %s", az_op_error(op)->message);
  } else if (reply->status != 0) {
    g_autofree char *words = az_flow_first_words(reply->err);
    az_job_message(job, "warn", NULL, "hooks/failover-post ended with status %d%s%s", reply->status,
                   *words != 0 ? ": " : "", words);
  }
}

void
az_failover_hook_post(AzFailover *run)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *path = hook_path(run->engine, "hooks/failover-post", &error);

  if (error != NULL)
    az_job_message(run->job, "warn", NULL, "hooks/failover-post was not run: %s", error->message);
  else if (path != NULL)
    start(run, path, run->epoch,
          az_job_cleanup_op(run->job, "hooks/failover-post", deadline_ms(run), on_post, run->job));
}
