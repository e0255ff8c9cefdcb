/* A token for a user and the password in a file. */
#include "etcd-cluster.h"
#include "secret-file.h"
#include <string.h>

#define MAX_PASSWORD 1024

typedef struct {
  EtcdCluster *cluster;
  AzlinOp *op;
  char *endpoint;
} Login;

static void
wipe_body(gpointer data)
{
  secret_wipe(data);
}

/* jansson would keep copies that nobody wipes. */
static char *
append_quoted(char *at, const char *text)
{
  static const char digits[] = "0123456789abcdef";
  *at++ = '"';
  for (const guchar *c = (const guchar *) text; *c != '\0'; c++) {
    if (*c >= ' ' && *c != '"' && *c != '\\') {
      *at++ = (char) *c;
      continue;
    }
    memcpy(at, "\\u00", 4);
    at[4] = digits[*c >> 4];
    at[5] = digits[*c & 15];
    at += 6;
  }
  *at++ = '"';
  return at;
}

static GBytes *
body_of(const char *user, const char *password)
{
  char *text = g_malloc0(64 + 6 * (strlen(user) + strlen(password)));
  char *at = g_stpcpy(text, "{\"name\":");
  at = append_quoted(at, user);
  at = g_stpcpy(at, ",\"password\":");
  at = append_quoted(at, password);
  at = g_stpcpy(at, "}");
  return g_bytes_new_with_free_func(text, (gsize) (at - text), wipe_body, text);
}

static void
finish(Login *login, GError *error)
{
  if (error != NULL)
    login->cluster->api->op_fail(login->op, error);
  else
    login->cluster->api->op_finish(login->op);
  g_free(login->endpoint);
  g_free(login);
}

static gboolean
is_token(const char *text)
{
  gsize length = text != NULL ? strlen(text) : 0;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isgraph(text[i]))
      return FALSE;
  return length > 0 && length <= 8192;
}

static GError *
take_token(EtcdCluster *cluster, const char *endpoint, const AzlinHttpReply *http)
{
  gsize length = 0;
  const char *bytes = http->body != NULL ? g_bytes_get_data(http->body, &length) : NULL;
  json_auto_t *answer = length > 0 ? json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
  EtcdVerdict verdict = etcd_judge(http->status, answer);
  const char *token = json_string_value(json_object_get(answer, "token"));
  g_autofree char *complaint = etcd_complaint(http->status, answer);
  if (verdict == ETCD_ELSEWHERE)
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_NETWORK, "%s: %s", endpoint, complaint);
  if (verdict != ETCD_ANSWERED)
    return etcd_refusal(cluster->api, cluster->section, endpoint, http->status, answer);
  if (!is_token(token))
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_AUTH, "etcd at %s gave no token for user %s", endpoint, cluster->user);
  secret_wipe(cluster->token);
  cluster->token = g_strdup(token);
  return NULL;
}

static void
on_reply(AzlinOp *op, gpointer data)
{
  Login *login = data;
  const AzlinHostApi *api = login->cluster->api;
  if (api->op_error(op) != NULL)
    finish(login, g_error_copy(api->op_error(op)));
  else
    finish(login, take_token(login->cluster, login->endpoint, api->op_http(op)));
}

void
etcd_login(EtcdCluster *cluster, const char *endpoint, AzlinOp *op)
{
  const AzlinHostApi *api = cluster->api;
  GError *error = NULL;
  g_autofree char *option = g_strdup_printf("[%s] password-file", cluster->section);
  char *password = secret_file_read(cluster->password_file, option, MAX_PASSWORD, &error);
  if (password == NULL) {
    api->op_fail(op, error);
    return;
  }
  Login *login = g_new0(Login, 1);
  *login = (Login){ .cluster = cluster, .op = op, .endpoint = g_strdup(endpoint) };
  g_autoptr(GBytes) body = body_of(cluster->user, password);
  secret_wipe(password);
  g_autofree char *url = g_strconcat(endpoint, "/v3/auth/authenticate", NULL);
  AzlinHttp request = {
    .size = sizeof request, .method = "POST", .url = url, .body = body, .single = TRUE, .tls = etcd_tls(cluster)
  };
  api->http(cluster->host, &request, api->op_new(op, "authenticate", 0, on_reply, login));
}
