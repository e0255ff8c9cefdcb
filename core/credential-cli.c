/* The login of the Azure CLI: asks `az` for its token, as a process of its own. */
#include "credential-private.h"

#include "process.h"

#include <string.h>

#define AZ_MS 13000
#define MAX_OUTPUT (256 * 1024)

static void
granted(AzTokenFetch *fetch, GBytes *out)
{
  g_autoptr(GError) error = NULL;
  AzTokenReply token;
  if (!az_token_reply_read_cli(out, az_clock_now(fetch->place.clock), &token, &error)) {
    az_token_fetch_pass(fetch, "what az writes cannot be used: %s", error->message);
    return;
  }
  az_token_fetch_end(fetch, &token);
  az_secret_unref(token.token);
}

/* The line that begins with ERROR:, else the first one. */
static char *
complaint_of(GBytes *err)
{
  gsize length;
  const char *bytes = g_bytes_get_data(err, &length);
  const char *error = length > 0 ? g_strstr_len(bytes, (gssize) length, "ERROR: ") : NULL;
  if (error == NULL)
    return az_token_quote(bytes, length);
  error += strlen("ERROR: ");
  return az_token_quote(error, length - (gsize) (error - bytes));
}

static void
refused(AzTokenFetch *fetch, const AzlinReply *reply)
{
  g_autofree char *complaint = complaint_of(reply->err);
  az_secret_wipe_bytes(reply->out);
  if (*complaint == '\0')
    az_token_fetch_pass(fetch, "ended with status %d", reply->status);
  else
    az_token_fetch_pass(fetch, "%s", complaint);
}

static void
on_written(AzlinOp *op, gpointer data)
{
  g_autoptr(AzTokenFetch) fetch = data;
  const GError *error = az_op_error(op);
  const AzlinReply *reply = az_op_reply(op);
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT))
    az_token_fetch_pass(fetch, "no answer within %d s", AZ_MS / 1000);
  else if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND))
    az_token_fetch_pass(fetch, "not installed");
  else if (error != NULL)
    az_token_fetch_pass(fetch, "%s", error->message);
  else if (reply->status == 0)
    granted(fetch, reply->out);
  else
    refused(fetch, reply);
}

void
az_token_from_cli(AzTokenFetch *fetch)
{
  const char *tenant = az_token_env("AZURE_TENANT_ID");
  const char *argv[]
      = { "az", "account", "get-access-token", "--output", "json", "--scope", fetch->scope, NULL, NULL, NULL };
  if (tenant != NULL && !az_token_plain_word(tenant, ".-")) {
    az_token_fetch_pass(fetch, "AZURE_TENANT_ID may have letters, digits, '.' and '-' alone");
    return;
  }
  /* az takes one of the two: a subscription belongs to one tenant */
  if (fetch->subscription != NULL || tenant != NULL) {
    argv[7] = fetch->subscription != NULL ? "--subscription" : "--tenant";
    argv[8] = fetch->subscription != NULL ? fetch->subscription : tenant;
  }
  AzlinExec request = { .size = sizeof request, .argv = argv, .max_output = MAX_OUTPUT };
  az_process_run(&request, az_op_new(fetch->op, "az", AZ_MS, on_written, az_token_fetch_ref(fetch)));
}
