/* Tokens by client secret alone. */
#include "credential.h"

#include <jansson.h>
#include <string.h>

struct _AzCredentials {
  AzHttp *http;
  AzClock *clock;
  AzSecret *token;
};

typedef struct {
  AzCredentials *credentials;
  AzTokenDone done;
  gpointer data;
  gboolean cached;
} Ask;

AzCredentials *
az_credentials_new(AzHttp *http, AzClock *clock)
{
  AzCredentials *credentials = g_new0(AzCredentials, 1);
  *credentials = (AzCredentials){ .http = http, .clock = clock };
  return credentials;
}

void
az_credentials_free(AzCredentials *credentials)
{
  az_secret_unref(credentials->token);
  g_free(credentials);
}

static void
on_answer(AzlinOp *op, gpointer data)
{
  g_autofree Ask *ask = data;
  const AzlinHttpReply *reply = az_op_http(op);
  g_autoptr(GError) error = NULL;
  if (ask->cached && az_op_error(op) == NULL) {
    ask->done(ask->credentials->token, NULL, ask->data);
    return;
  }
  if (reply == NULL) {
    ask->done(NULL, az_op_error(op), ask->data);
    return;
  }
  gsize length;
  const char *text = g_bytes_get_data(reply->body, &length);
  json_t *json = json_loadb(text, length, 0, NULL);
  const char *token = json_string_value(json_object_get(json, "access_token"));
  if (token != NULL) {
    az_secret_unref(ask->credentials->token);
    ask->credentials->token = az_secret_new(token, -1);
    ask->done(ask->credentials->token, NULL, ask->data);
  } else {
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_AUTH, "no token");
    ask->done(NULL, error, ask->data);
  }
  json_decref(json);
}

void
az_credentials_get(AzCredentials *credentials, const AzlinIdentity *identity, const AzSecret *rejected, AzlinOp *parent,
                   AzTokenDone done, gpointer data)
{
  const char *tenant = g_getenv("AZURE_TENANT_ID"), *client = g_getenv("AZURE_CLIENT_ID");
  const char *password = g_getenv("AZURE_CLIENT_SECRET");
  const char *host = g_getenv("AZURE_AUTHORITY_HOST");
  Ask *ask = g_new0(Ask, 1);
  *ask = (Ask){ .credentials = credentials, .done = done, .data = data };
  AzlinOp *op = az_op_new(parent, "token", 0, on_answer, ask);
  if (credentials->token != NULL && rejected == NULL) {
    ask->cached = TRUE;
    az_op_finish(op);
    return;
  }
  if (tenant == NULL || client == NULL || password == NULL) {
    az_op_fail_new(op, AZLIN_ERROR_AUTH, "no credential: tried the environment (AZURE_TENANT_ID is not set)");
    return;
  }
  g_autofree char *url = g_strdup_printf("%s/%s/oauth2/v2.0/token", host != NULL ? host : identity->authority, tenant);
  g_autofree char *scope = g_uri_escape_string(identity->scope, NULL, FALSE);
  g_autofree char *key = g_uri_escape_string(password, NULL, FALSE);
  g_autofree char *form
      = g_strdup_printf("grant_type=client_credentials&client_id=%s&scope=%s&client_secret=%s", client, scope, key);
  g_autoptr(AzSecret) body = az_secret_new(form, -1);
  AzHttpPlain request
      = { .method = "POST", .url = url, .content_type = "application/x-www-form-urlencoded", .secret_body = body };
  az_http_send_plain(credentials->http, &request, op);
}
