/* Sessions: the pools of connections, whose certificates are trusted, and the watch over deadlines. */
#include "http-private.h"

#define WATCH_MS 100

AzHttpSession *
http_session_new(const char *ca_file, GError **error)
{
  const char *named = g_getenv("SSL_CERT_FILE");
  const char *file = ca_file != NULL && *ca_file != '\0' ? ca_file : named;
  AzHttpSession *session = g_new0(AzHttpSession, 1);
  g_autoptr(GError) reason = NULL;

  if (file != NULL && *file != '\0') {
    g_autofree char *absolute = g_canonicalize_filename(file, NULL);
    session->trusted = g_tls_file_database_new(absolute, &reason);
    if (session->trusted == NULL) {
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "cannot read the certificates in %s: %s", file,
                  reason->message);
      g_free(session);
      return NULL;
    }
    /* each new connection first reads the default one whole, megabytes, and only then hears of another */
    g_tls_backend_set_default_database(g_tls_backend_get_default(), session->trusted);
  }
  session->proxies = http_proxies_from_environment();
  session->hosts = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify) http_host_free);
  return session;
}

static void
stop_watch(AzHttpSession *session)
{
  if (session->watch == NULL)
    return;
  g_source_destroy(session->watch);
  g_clear_pointer(&session->watch, g_source_unref);
}

void
http_session_free(AzHttpSession *session)
{
  if (session == NULL)
    return;
  session->closing = TRUE;
  stop_watch(session);
  for (GList *link = session->calls.head; link != NULL;) {
    AzHttpCall *call = link->data;
    link = link->next;
    http_call_abandon(call);
  }
  g_hash_table_unref(session->hosts);
  for (guint i = 0; i < N_POOLS * 2; i++) {
    SoupSession *pool = session->pools[i / 2][i % 2];
    if (pool != NULL)
      soup_session_abort(pool);
    g_clear_object(&pool);
  }
  g_clear_object(&session->trusted);
  g_clear_object(&session->proxies);
  g_free(session);
}

static SoupSession *
make_pool(AzHttpSession *session, HttpPool which, gboolean direct, GTlsDatabase *trusted)
{
  static const int connections[N_POOLS] = { HTTP_PLAIN_CONNECTIONS, HTTP_TLS_CONNECTIONS, HTTP_OLD_CONNECTIONS };
  /* several hosts share a pool, so that its own limit must not bind before that of a host */
  SoupSession *pool = soup_session_new_with_options("max-conns", connections[which] * 8, "max-conns-per-host",
                                                    connections[which], NULL);
  soup_session_set_proxy_resolver(pool, direct ? NULL : session->proxies);
  if (trusted != NULL)
    soup_session_set_tls_database(pool, trusted);
  if (direct || session->proxies == NULL) /* it is there for the passwords of proxies */
    soup_session_remove_feature_by_type(pool, SOUP_TYPE_AUTH_MANAGER);
  return pool;
}

SoupSession *
http_session_pool(HttpHost *host)
{
  HttpPool which = !host->secure ? POOL_PLAIN : host->version == VERSION_1 ? POOL_TLS_OLD : POOL_TLS;
  SoupSession **pool = host->alone ? &host->pools[which] : &host->session->pools[which][host->direct];
  if (*pool == NULL)
    *pool
        = make_pool(host->session, which, host->direct, host->trusted != NULL ? host->trusted : host->session->trusted);
  return *pool;
}

static const char *
or_none(const char *file)
{
  return file != NULL ? file : "";
}

HttpHost *
http_session_host(AzHttpSession *session, GUri *uri, const AzHttpSend *request)
{
  gboolean secure = g_str_equal(g_uri_get_scheme(uri), "https");
  gboolean straight = request->direct || !secure || session->proxies == NULL;
  g_autofree char *key = g_strdup_printf("%s %d %d %s\n%s\n%s\n%s", g_uri_get_scheme(uri), straight,
                                         g_uri_get_port(uri), g_uri_get_host(uri), or_none(request->ca_file),
                                         or_none(request->certificate_file), or_none(request->key_file));
  HttpHost *host = g_hash_table_lookup(session->hosts, key);
  if (host != NULL)
    return host;
  host = g_new0(HttpHost, 1);
  *host = (HttpHost){ .session = session, .key = g_steal_pointer(&key), .direct = straight, .secure = secure };
  host->alone = secure && (request->ca_file != NULL || request->certificate_file != NULL);
  g_queue_init(&host->waiting);
  g_hash_table_insert(session->hosts, host->key, host);
  return host;
}

static void
check_deadline(AzHttpCall *call, gint64 now)
{
  gint64 quiet = (now - call->last_sign) / 1000;
  if (call->stage == CALL_CONNECTING && quiet > call->connect_ms)
    http_call_cut(call, AZ_HTTP_UNREACHED, "no connection came about in time");
  else if ((call->stage == CALL_SENT || call->stage == CALL_READING) && quiet > call->idle_ms)
    http_call_cut(call, AZ_HTTP_LOST, "the server has not sent a byte for too long");
}

static gboolean
on_watch(gpointer data)
{
  AzHttpSession *session = data;
  gint64 now = g_get_monotonic_time();

  if (session->calls.length == 0) {
    g_clear_pointer(&session->watch, g_source_unref);
    return G_SOURCE_REMOVE;
  }
  for (GList *link = session->calls.head; link != NULL;) {
    AzHttpCall *call = link->data;
    link = link->next;
    check_deadline(call, now);
  }
  return G_SOURCE_CONTINUE;
}

void
http_session_watch(AzHttpSession *session)
{
  if (session->watch != NULL)
    return;
  session->watch = g_timeout_source_new(WATCH_MS);
  g_source_set_callback(session->watch, on_watch, session, NULL);
  g_source_attach(session->watch, g_main_context_get_thread_default());
}
