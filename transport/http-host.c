/* The turns of calls to one host: as many as its connections carry, and one alone until it is known what it speaks. */
#include "http-private.h"

/* The limits are those of the pools, so that a call never waits inside libsoup, where no deadline of ours could tell
 * waiting from connecting; over HTTP/2 it is what servers usually let one connection carry. */
static guint
limit_of(const HttpHost *host)
{
  if (!host->secure)
    return HTTP_PLAIN_CONNECTIONS;
  if (host->version == VERSION_UNKNOWN)
    return 1;
  return host->version == VERSION_2 ? HTTP_STREAMS : HTTP_OLD_CONNECTIONS;
}

static void
start(HttpHost *host, AzHttpCall *call)
{
  host->active++;
  call->active = TRUE;
  if (host->secure && host->version == VERSION_UNKNOWN)
    host->scout = call;
  http_call_start(call);
}

static void
start_waiting(HttpHost *host)
{
  while (!host->session->closing && host->waiting.length > 0 && host->active < limit_of(host)) {
    GList *link = g_queue_pop_head_link(&host->waiting);
    start(host, link->data);
  }
}

void
http_host_admit(HttpHost *host, AzHttpCall *call)
{
  g_queue_push_tail_link(&host->waiting, &call->in_queue);
  start_waiting(host);
}

void
http_host_learn(HttpHost *host, gboolean version_2)
{
  if (host->version != VERSION_UNKNOWN)
    return;
  host->version = version_2 ? VERSION_2 : VERSION_1;
  host->scout = NULL;
  start_waiting(host);
}

void
http_host_leave(HttpHost *host, AzHttpCall *call)
{
  if (call->active)
    host->active--;
  else
    g_queue_unlink(&host->waiting, &call->in_queue);
  call->active = FALSE;
  if (host->scout == call)
    host->scout = NULL;
  start_waiting(host);
}

void
http_host_free(HttpHost *host)
{
  for (guint i = 0; i < N_POOLS; i++) {
    if (host->pools[i] != NULL)
      soup_session_abort(host->pools[i]);
    g_clear_object(&host->pools[i]);
  }
  g_clear_object(&host->trusted);
  g_free(host->key);
  g_free(host);
}
