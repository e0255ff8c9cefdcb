/* One request to a cluster: asked of its members in turn until one can answer. */
#include "etcd-cluster.h"
#include "secret-file.h"
#include <string.h>

#define ATTEMPT_MS 3000              /* a member that is there answers in milliseconds, or says that it has no leader */
#define PAUSE_MS 250                 /* after a round: an election takes a second or two */
#define MAX_ANSWER (8 * 1024 * 1024) /* a page of records */

typedef struct {
  EtcdCluster *cluster;
  AzlinOp *op;
  char *path;
  GBytes *body;
  EtcdDone done;
  gpointer data;
  gint64 until, sent; /* monotonic; until 0 = one round */
  guint asked;        /* members, in this round */
  gboolean renewed;   /* the token, for this request */
  GError *last;       /* why the last member could not tell */
} Ask;

static void ask_next(Ask *ask);

gboolean
etcd_complains(const EtcdReply *reply, const char *text)
{
  return reply->complaint != NULL && strstr(reply->complaint, text) != NULL;
}

static void
deliver(Ask *ask, const EtcdReply *reply)
{
  ask->done(reply, ask->data);
  g_clear_error(&ask->last);
  g_free(ask->path);
  g_bytes_unref(ask->body);
  g_free(ask);
}

static void
fail(Ask *ask, const GError *error)
{
  EtcdReply reply = { .error = error, .sent = ask->sent };
  deliver(ask, &reply);
}

static const char *
endpoint_of(Ask *ask)
{
  return ask->cluster->endpoints[ask->cluster->current];
}

static gboolean
is_late(Ask *ask)
{
  const EtcdCluster *cluster = ask->cluster;
  return ask->until > 0 && cluster->api->monotonic(cluster->host) >= ask->until;
}

/* ---- on to the next member ---- */

static void
on_paused(AzlinOp *op, gpointer data)
{
  Ask *ask = data;
  const GError *error = ask->cluster->api->op_error(op);
  if (error != NULL)
    fail(ask, error);
  else
    ask_next(ask);
}

static void
give_up(Ask *ask)
{
  g_autoptr(GError) error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_NETWORK, "no member of etcd could answer: %s",
                                        ask->last != NULL ? ask->last->message : "there was no time");
  ask->cluster->api->error_add_step(error, "See which members are there: etcdctl endpoint status --cluster");
  fail(ask, error);
}

/* Takes `why`. */
static void
go_elsewhere(Ask *ask, GError *why)
{
  EtcdCluster *cluster = ask->cluster;
  g_clear_error(&ask->last);
  ask->last = why;
  cluster->current = (cluster->current + 1) % g_strv_length(cluster->endpoints);
  ask->asked++;
  gboolean round_over = ask->asked >= g_strv_length(cluster->endpoints);
  if (is_late(ask) || (round_over && ask->until == 0)) {
    give_up(ask);
    return;
  }
  if (!round_over) {
    ask_next(ask);
    return;
  }
  ask->asked = 0;
  cluster->api->sleep(cluster->host, PAUSE_MS, cluster->api->op_new(ask->op, "wait for etcd", 0, on_paused, ask));
}

/* ---- an attempt ---- */

static void
on_login(AzlinOp *op, gpointer data)
{
  Ask *ask = data;
  const GError *error = ask->cluster->api->op_error(op);
  if (error == NULL)
    ask_next(ask);
  else if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NETWORK)
           || g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT))
    go_elsewhere(ask, g_error_copy(error));
  else
    fail(ask, error);
}

static void
log_in(Ask *ask)
{
  EtcdCluster *cluster = ask->cluster;
  etcd_login(cluster, endpoint_of(ask), cluster->api->op_new(ask->op, "log in to etcd", ATTEMPT_MS, on_login, ask));
}

static void
renew_token(Ask *ask)
{
  g_clear_pointer(&ask->cluster->token, secret_wipe);
  ask->renewed = TRUE;
  log_in(ask);
}

static json_t *
parse(const AzlinHttpReply *http)
{
  gsize length = 0;
  const char *bytes = http->body != NULL ? g_bytes_get_data(http->body, &length) : NULL;
  return length > 0 ? json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

static void
take_answer(Ask *ask, int status, const json_t *answer)
{
  EtcdCluster *cluster = ask->cluster;
  g_autofree char *complaint = etcd_complaint(status, answer);
  EtcdVerdict verdict = etcd_judge(status, answer);
  if (verdict == ETCD_LOGIN && cluster->user != NULL && !ask->renewed) {
    renew_token(ask);
    return;
  }
  if (verdict == ETCD_ELSEWHERE) {
    go_elsewhere(ask, g_error_new(AZLIN_ERROR, AZLIN_ERROR_NETWORK, "%s: %s", endpoint_of(ask), complaint));
    return;
  }
  g_autoptr(GError) error = verdict == ETCD_ANSWERED
                                ? NULL
                                : etcd_refusal(cluster->api, cluster->section, endpoint_of(ask), status, answer);
  EtcdReply reply
      = { .body = answer, .error = error, .complaint = error != NULL ? complaint : NULL, .sent = ask->sent };
  deliver(ask, &reply);
}

static void
on_reply(AzlinOp *op, gpointer data)
{
  Ask *ask = data;
  const AzlinHostApi *api = ask->cluster->api;
  const GError *error = api->op_error(op);
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED)
      || g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG)) {
    fail(ask, error);
    return;
  }
  if (error != NULL) {
    go_elsewhere(ask, g_error_copy(error));
    return;
  }
  json_auto_t *answer = parse(api->op_http(op));
  take_answer(ask, api->op_http(op)->status, answer);
}

static guint32
attempt_ms(Ask *ask)
{
  gint64 left_ms = ask->until > 0 ? (ask->until - ask->sent) / 1000 : ATTEMPT_MS;
  return (guint32) CLAMP(left_ms, 1, ATTEMPT_MS);
}

const AzlinTls *
etcd_tls(const EtcdCluster *cluster)
{
  return cluster->ca_file != NULL || cluster->certificate_file != NULL ? &cluster->tls : NULL;
}

/* A member that has lost the others would have it hang until its own patience ends: "hasleader" makes it say so. */
static void
send(Ask *ask)
{
  EtcdCluster *cluster = ask->cluster;
  g_autofree char *url = g_strconcat(endpoint_of(ask), ask->path, NULL);
  const char *headers[] = { "Grpc-Metadata-Hasleader", "true", "Grpc-Metadata-Token", cluster->token, NULL };
  if (cluster->token == NULL)
    headers[2] = NULL;
  AzlinHttp request = { .size = sizeof request,
                        .method = "POST",
                        .url = url,
                        .headers = headers,
                        .body = ask->body,
                        .max_body = MAX_ANSWER,
                        .single = TRUE,
                        .tls = etcd_tls(cluster) };
  ask->sent = cluster->api->monotonic(cluster->host);
  cluster->api->http(cluster->host, &request,
                     cluster->api->op_new(ask->op, "ask etcd", attempt_ms(ask), on_reply, ask));
}

static void
ask_next(Ask *ask)
{
  if (ask->cluster->user != NULL && ask->cluster->token == NULL)
    log_in(ask);
  else
    send(ask);
}

void
etcd_ask(EtcdCluster *cluster, AzlinOp *op, const char *path, json_t *body, guint32 seconds, EtcdDone done,
         gpointer data)
{
  json_auto_t *taken = body;
  char *text = json_dumps(taken, JSON_COMPACT);
  Ask *ask = g_new0(Ask, 1);
  *ask = (Ask){ .cluster = cluster,
                .op = op,
                .path = g_strdup(path),
                .body = g_bytes_new_with_free_func(text, strlen(text), free, text),
                .done = done,
                .data = data };
  if (seconds > 0)
    ask->until = cluster->api->monotonic(cluster->host) + seconds * G_USEC_PER_SEC;
  ask_next(ask);
}
