/* The direct road: the source sends to the target over several connections at once, with a key made for it. */
#include "stream.h"

#include "landing.h"

#include <string.h>

#define UNREACHABLE 255 /* as of ssh */

static void
add(GPtrArray *argv, const char *word)
{
  g_ptr_array_add(argv, g_strdup(word));
}

static GPtrArray *
send_command(StreamCopy *copy, GVariant *grant)
{
  const char *identity = "", *known_hosts = "", *user = "", *host = "";
  guint32 port = 22;
  GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
  g_variant_lookup(grant, "identity_file", "&s", &identity);
  g_variant_lookup(grant, "known_hosts_file", "&s", &known_hosts);
  g_variant_lookup(grant, "user", "&s", &user);
  g_variant_lookup(grant, "host", "&s", &host);
  g_variant_lookup(grant, "port", "u", &port);
  add(argv, "sh");
  add(argv, "-c");
  add(argv, stream_send_script);
  add(argv, "azlin");
  add(argv, identity);
  add(argv, known_hosts);
  g_ptr_array_add(argv, g_strdup_printf("%s@%s", user, host));
  g_ptr_array_add(argv, g_strdup_printf("%u", port));
  add(argv, copy->job.source_folder);
  g_ptr_array_add(argv, g_strdup_printf("%u", copy->forecast.connections));
  g_ptr_array_add(argv, g_strdup_printf("%u", MAX(copy->most, copy->forecast.connections)));
  g_ptr_array_add(argv, g_strdup_printf("%u", copy->job.bwlimit_kib));
  g_ptr_array_add(argv, g_strdup_printf("%u", copy->forecast.level));
  g_ptr_array_add(argv, g_strdup_printf("%u", copy->forecast.rtt_ms));
  add(argv, stream_dial_script);
  g_ptr_array_add(argv, NULL);
  return argv;
}

static char *
said(GBytes *err)
{
  gsize size = 0;
  const char *bytes = g_bytes_get_data(err, &size);
  g_autofree char *raw = g_strndup(bytes != NULL ? bytes : "", MIN(size, 500));
  return g_utf8_make_valid(g_strstrip(raw), -1);
}

static void
on_finished(AzlinOp *op, gpointer data)
{
  StreamCopy *copy = data;
  const AzlinHostApi *api = copy->self->host->api;
  if (api->op_error(op) != NULL) {
    stream_fail(copy, g_error_copy(api->op_error(op)));
    return;
  }
  const AzlinReply *reply = api->op_reply(op);
  g_autofree char *words = said(reply->err);
  stream_placed(copy, reply->status, reply->out, words, copy->errors->len > 0);
}

static void
finish(StreamCopy *copy)
{
  const AzlinHostApi *api = copy->self->host->api;
  g_autofree char *script = landing_script(stream_finish_script);
  const char *const argv[]
      = { "sh", "-c", script, "azlin", copy->job.target_folder, copy->stage, copy->job.single_file ? "kept" : "all",
          NULL };
  AzlinExec request = { .size = sizeof request, .vm = copy->job.target, .argv = argv };
  api->exec(copy->self->host, &request, api->op_new(copy->op, "placing", 0, on_finished, copy));
}

/* ---- sending ---- */

static void send(StreamCopy *copy);

static GError *
sending_failed(StreamCopy *copy, int status, const char *words)
{
  AzlinError code = status == UNREACHABLE ? AZLIN_ERROR_SSH : AZLIN_ERROR_SYNC;
  if (strstr(words, "Host key verification failed") != NULL)
    code = AZLIN_ERROR_HOST_KEY;
  if (strstr(words, "No space left on device") != NULL)
    code = AZLIN_ERROR_STORAGE;
  return g_error_new(AZLIN_ERROR, (int) code, "%s could not be sent from %s to %s: %s (status %d)", copy->job.path,
                     copy->job.source->region, copy->job.target->region, *words != '\0' ? words : "no reason given",
                     status);
}

static void
on_slept(AzlinOp *op, gpointer data)
{
  StreamCopy *copy = data;
  const GError *error = copy->self->host->api->op_error(op);
  if (error != NULL)
    stream_fail(copy, g_error_copy(error));
  else
    send(copy);
}

/* What had arrived whole stands in the stage and is not sent again. */
static void
send_again_or_fail(StreamCopy *copy, GError *error)
{
  const AzlinHostApi *api = copy->self->host->api;
  int delay = api->retry_delay_ms(error, ++copy->attempt);
  if (delay < 0) {
    stream_fail(copy, error);
    return;
  }
  api->op_progress(copy->op, 0, copy->job.bytes, "connections lost, trying again");
  g_error_free(error);
  api->sleep(copy->self->host, (guint32) delay, api->op_new(copy->op, "wait to retry", 0, on_slept, copy));
}

static void
on_sent(AzlinOp *op, gpointer data)
{
  StreamCopy *copy = data;
  const AzlinHostApi *api = copy->self->host->api;
  if (api->op_error(op) != NULL) {
    stream_fail(copy, g_error_copy(api->op_error(op)));
    return;
  }
  const AzlinReply *reply = api->op_reply(op);
  g_autofree char *words = said(reply->err);
  g_autoptr(GError) error = reply->status != 0 ? sending_failed(copy, reply->status, words) : NULL;
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_SSH)) {
    copy->note = stream_unreachable;
    copy->forecast.direct = -1;
    stream_relay(copy);
  } else if (error != NULL) {
    send_again_or_fail(copy, g_steal_pointer(&error));
  } else {
    if (*words != '\0') /* of files that could not be read */
      g_ptr_array_add(copy->errors, g_steal_pointer(&words));
    finish(copy);
  }
}

static void
on_line(const char *line, gpointer data)
{
  StreamCopy *copy = data;
  if (!g_str_has_prefix(line, "sent "))
    return;
  copy->sent = g_ascii_strtoull(line + strlen("sent "), NULL, 10);
  copy->self->host->api->op_progress(copy->op, MIN(copy->sent, copy->job.bytes), copy->job.bytes, NULL);
}

static void
send(StreamCopy *copy)
{
  const AzlinHostApi *api = copy->self->host->api;
  AzlinExec request = { .size = sizeof request,
                        .vm = copy->job.source,
                        .argv = (const char *const *) copy->command->pdata,
                        .input = copy->job.only,
                        .on_line = on_line,
                        .line_data = copy };
  api->exec(copy->self->host, &request, api->op_new(copy->op, "sending", 0, on_sent, copy));
}

static void
on_granted(AzlinOp *op, gpointer data)
{
  StreamCopy *copy = data;
  const AzlinHostApi *api = copy->self->host->api;
  GVariant *grant = api->op_variant(op);
  if (api->op_error(op) != NULL || grant == NULL) {
    stream_fail(copy, api->op_error(op) != NULL
                          ? g_error_copy(api->op_error(op))
                          : g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_FAILED, "no key was granted for the target"));
    return;
  }
  copy->command = send_command(copy, grant);
  send(copy);
}

void
stream_direct(StreamCopy *copy)
{
  const AzlinHostApi *api = copy->self->host->api;
  g_autofree char *receiver = landing_script(stream_receive_script);
  g_free(copy->stage);
  copy->stage = g_strdup(copy->job.run); /* which its key admits */
  api->sync_grant(copy->self->host, &copy->job, receiver, api->op_new(copy->op, "key", 0, on_granted, copy));
}
