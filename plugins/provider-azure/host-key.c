/* The host key of a machine, read through Azure: by run-command, else from the serial log. */
#include "host-key.h"
#include "arm.h"

#define HOST_KEY_MS 120000
#define RUN_COMMAND_MS 90000
#define MAX_LOG (4u << 20)

typedef struct { /* counted: an answer may still be on its way when the deadline has ended the op */
  Azure *azure;
  AzlinOp *op;  /* a child of the caller's with a deadline of its own */
  AzlinOp *run; /* a child of that, so that a slow agent leaves time for the log */
  gboolean over;
  char *vm_id, *key, *why_not;
  AzureHostKeyDone done;
  gpointer data;
} Reading;

static void
reading_clear(gpointer data)
{
  Reading *reading = data;
  g_free(reading->vm_id);
  g_free(reading->key);
  g_free(reading->why_not);
}

static void
reading_release(Reading *reading)
{
  g_rc_box_release_full(reading, reading_clear);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reading, reading_release)

static void
reading_ended(AzlinOp *op, gpointer data)
{
  g_autoptr(Reading) reading = data;
  reading->over = TRUE;
  reading->done(reading->key, reading->why_not ? reading->why_not : "it did not answer in time", reading->data);
}

static void
finish(Reading *reading, const char *why_not)
{
  if (reading->over)
    return;
  reading->why_not = g_strdup(why_not);
  reading->azure->api->op_finish(reading->op);
}

/* ---- serial log ---- */

/* The address of the log is a secret of its own: neither it nor an error that may hold it is passed on. */
static void
on_log(AzlinOp *op, gpointer data)
{
  g_autoptr(Reading) reading = data;
  const AzlinHttpReply *http = reading->azure->api->op_http(op);
  gsize length = 0;
  if (!http || http->status != 200 || !http->body) {
    finish(reading, "run-command was of no avail, and the serial log was not to be had");
    return;
  }
  const char *log = g_bytes_get_data(http->body, &length);
  if (!reading->over)
    reading->key = azure_host_key_of_serial_log(log, length);
  finish(reading, "neither run-command nor the serial log holds it");
}

static void
on_log_url(const ArmReply *reply, gpointer data)
{
  g_autoptr(Reading) reading = data;
  const AzlinHostApi *api = reading->azure->api;
  const char *url = arm_string(reply->body, "serialConsoleLogBlobUri", NULL);
  if (reading->over)
    return;
  if (reply->error || !azure_serial_log_url_is_good(url, reading->azure->endpoint)) {
    finish(reading, "run-command was of no avail, and there is no serial log");
    return;
  }
  const AzlinHttp request = { .size = sizeof request, .method = "GET", .url = url, .max_body = MAX_LOG };
  api->http(reading->azure->host, &request,
            api->op_new(reading->op, "serial log", 0, on_log, g_rc_box_acquire(reading)));
}

static void
read_serial_log(Reading *reading)
{
  g_autofree char *path = g_strconcat(reading->vm_id, "/retrieveBootDiagnosticsData", NULL);
  const ArmCall call = { .method = "POST", .path = path, .version = ARM_COMPUTE };
  arm_call(reading->azure, reading->op, &call, on_log_url, g_rc_box_acquire(reading));
}

/* ---- run-command ---- */

static void
run_ended(AzlinOp *op, gpointer data)
{
  g_autoptr(Reading) reading = data;
  reading->run = NULL;
  if (reading->over || reading->azure->api->op_cancelled(reading->op))
    return;
  if (reading->key)
    finish(reading, NULL);
  else
    read_serial_log(reading);
}

static void
on_run(const ArmReply *reply, gpointer data)
{
  g_autoptr(Reading) reading = data;
  if (!reading->run)
    return;
  if (!reply->error)
    reading->key = azure_host_key_of_run_command(reply->body);
  reading->azure->api->op_finish(reading->run);
}

void
azure_host_key(Azure *azure, AzlinOp *op, const char *vm_id, AzureHostKeyDone done, gpointer data)
{
  g_autoptr(Reading) reading = g_rc_box_new0(Reading);
  const AzlinHostApi *api = azure->api;
  *reading = (Reading){ .azure = azure, .vm_id = g_strdup(vm_id), .done = done, .data = data };
  reading->op = api->op_new(op, "host key", HOST_KEY_MS, reading_ended, g_rc_box_acquire(reading));
  reading->run = api->op_new(reading->op, "run-command", RUN_COMMAND_MS, run_ended, g_rc_box_acquire(reading));
  g_autofree char *path = g_strconcat(vm_id, "/runCommand", NULL);
  const ArmCall call = { .method = "POST",
                         .path = path,
                         .version = ARM_COMPUTE,
                         .wants_answer = TRUE,
                         .body = json_pack("{s:s, s:[s]}", "commandId", "RunShellScript", "script",
                                           "cat /etc/ssh/ssh_host_ed25519_key.pub") };
  arm_run(azure, reading->run, &call, NULL, on_run, g_rc_box_acquire(reading));
}
