/* The host key of a machine, read through Azure: by run-command, else from the serial log. */
#include "host-key.h"
#include "arm.h"

#define HOST_KEY_MS 120000
#define RUN_COMMAND_MS 90000
#define MAX_LOG (4u << 20)

typedef struct {
  Azure *azure;
  AzlinOp *op;  /* a child of the caller's with a deadline of its own */
  AzlinOp *run; /* a child of that, so that a slow agent leaves time for the log */
  char *vm_id, *key, *why_not;
  AzureHostKeyDone done;
  gpointer data;
} Reading;

static void
reading_free(Reading *reading)
{
  g_free(reading->vm_id);
  g_free(reading->key);
  g_free(reading->why_not);
  g_free(reading);
}

static void
reading_ended(AzlinOp *op, gpointer data)
{
  Reading *reading = data;
  reading->done(reading->key, reading->why_not ? reading->why_not : "it did not answer in time", reading->data);
  reading_free(reading);
}

static void
not_there(Reading *reading, const char *why)
{
  g_free(reading->why_not);
  reading->why_not = g_strdup(why);
  reading->azure->api->op_finish(reading->op);
}

/* ---- serial log ---- */

/* The address of the log is a secret of its own: neither it nor an error that may hold it is passed on. */
static void
on_log(AzlinOp *op, gpointer data)
{
  Reading *reading = data;
  const AzlinHttpReply *http = reading->azure->api->op_http(op);
  gsize length = 0;
  if (!http || http->status != 200 || !http->body) {
    not_there(reading, "run-command and the serial log were not to be had");
    return;
  }
  const char *log = g_bytes_get_data(http->body, &length);
  reading->key = azure_host_key_of_serial_log(log, length);
  not_there(reading, "neither run-command nor the serial log holds it");
}

static void
on_log_url(const ArmReply *reply, gpointer data)
{
  Reading *reading = data;
  const char *url = arm_string(reply->body, "serialConsoleLogBlobUri", NULL);
  if (reply->error || !azure_serial_log_url_is_good(url, reading->azure->endpoint)) {
    not_there(reading, "run-command was refused, and there is no serial log");
    return;
  }
  const AzlinHttp request = { .size = sizeof request, .method = "GET", .url = url, .max_body = MAX_LOG };
  reading->azure->api->http(reading->azure->host, &request,
                            reading->azure->api->op_new(reading->op, "serial log", 0, on_log, reading));
}

static void
read_serial_log(Reading *reading)
{
  g_autofree char *path = g_strconcat(reading->vm_id, "/retrieveBootDiagnosticsData", NULL);
  const ArmCall call = { .method = "POST", .path = path, .version = ARM_COMPUTE };
  arm_call(reading->azure, reading->op, &call, on_log_url, reading);
}

/* ---- run-command ---- */

static void
run_ended(AzlinOp *op, gpointer data)
{
  Reading *reading = data;
  if (reading->key)
    reading->azure->api->op_finish(reading->op);
  else if (!reading->azure->api->op_cancelled(reading->op))
    read_serial_log(reading);
}

static void
on_run(const ArmReply *reply, gpointer data)
{
  Reading *reading = data;
  if (!reply->error)
    reading->key = azure_host_key_of_run_command(reply->body);
  reading->azure->api->op_finish(reading->run);
}

void
azure_host_key(Azure *azure, AzlinOp *op, const char *vm_id, AzureHostKeyDone done, gpointer data)
{
  Reading *reading = g_new0(Reading, 1);
  *reading = (Reading){ .azure = azure, .vm_id = g_strdup(vm_id), .done = done, .data = data };
  reading->op = azure->api->op_new(op, "host key", HOST_KEY_MS, reading_ended, reading);
  reading->run = azure->api->op_new(reading->op, "run-command", RUN_COMMAND_MS, run_ended, reading);
  g_autofree char *path = g_strconcat(vm_id, "/runCommand", NULL);
  const ArmCall call = { .method = "POST",
                         .path = path,
                         .version = ARM_COMPUTE,
                         .body = json_pack("{s:s, s:[s]}", "commandId", "RunShellScript", "script",
                                           "cat /etc/ssh/ssh_host_ed25519_key.pub") };
  arm_run(azure, reading->run, &call, NULL, on_run, reading);
}
