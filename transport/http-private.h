/* What the files of the HTTP module share: a session with its hosts, and the calls on it. */
#pragma once
#include "azlin-plugin.h"
#include "transport-http.h"

#include <libsoup/soup.h>

#define HTTP_PLAIN_CONNECTIONS 64
#define HTTP_TLS_CONNECTIONS 2
#define HTTP_OLD_CONNECTIONS 7 /* TLS without HTTP/2, besides the one that found that out: each costs megabytes */
#define HTTP_STREAMS 100       /* calls at once over HTTP/2 */
#define HTTP_HEADERS_MAX (256 * 1024)

typedef enum {
  POOL_PLAIN, /* http: many connections cost nothing */
  POOL_TLS,   /* https until the host has shown that it knows HTTP/1.1 alone */
  POOL_TLS_OLD,
  N_POOLS
} HttpPool;

/* What is known of one host. libsoup 3.2 opens a connection for each request that comes before the first handshake is
 * over, each at megabytes; so the first one goes alone and the others wait for what it learns. */
typedef struct {
  AzHttpSession *session;
  char *key; /* scheme, host, port, direct or not, files of TLS */
  gboolean direct, secure;
  enum { VERSION_UNKNOWN, VERSION_1, VERSION_2 } version;
  AzHttpCall *scout; /* the first one, while the version is unknown */
  guint active;      /* calls given to libsoup */
  /* one with certificates of its own shares no connection: pools that no other host has, made on first use */
  gboolean alone;
  GTlsDatabase *trusted; /* NULL = as the session */
  SoupSession *pools[N_POOLS];
  GQueue waiting; /* of AzHttpCall */
} HttpHost;

typedef enum { CALL_WAITING, CALL_CONNECTING, CALL_SENT, CALL_READING } CallStage;

struct _AzHttpCall {
  HttpHost *host;                                        /* NULL once the session is gone */
  GList in_session;                                      /* link of session->calls */
  GList in_queue;                                        /* link of host->waiting */
  void (*finished)(const AzHttpEnd *end, gpointer data); /* NULL once nobody wants to hear */
  gpointer data;
  CallStage stage;
  gboolean active; /* counted in host->active */
  gsize max_body;
  guint32 connect_ms, idle_ms;
  gint64 last_sign; /* of life, monotonic microseconds */
  const char *cut;  /* why we ended it ourselves; static */
  AzHttpOutcome cut_outcome;
  gboolean untrusted, once;
  gboolean ending; /* its own end is being told: it must not be freed */
  guint64 serial;
  SoupMessage *message;
  GCancellable *cancellable;
  GInputStream *stream;
  GSource *readable;
  char *buffer;
  gsize length, allocated;
};

struct _AzHttpSession {
  GTlsDatabase *trusted;          /* NULL = the system's */
  GProxyResolver *proxies;        /* NULL = none */
  SoupSession *pools[N_POOLS][2]; /* each through the proxies, and direct; made on first use */
  GHashTable *hosts;              /* key -> HttpHost */
  GQueue calls;                   /* of AzHttpCall */
  guint64 last_serial;
  gboolean closing;
  GSource *watch; /* deadlines, while there are calls */
};

AzHttpSession *http_session_new(const char *ca_file, GError **error);
void http_session_free(AzHttpSession *session);
/* The pool that a call to this host belongs to now. */
SoupSession *http_session_pool(HttpHost *host);
HttpHost *http_session_host(AzHttpSession *session, GUri *uri, const AzHttpSend *request);
/* Sees to the deadlines of all calls. */
void http_session_watch(AzHttpSession *session);
/* From HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case of letters; NULL = no proxy is named. */
GProxyResolver *http_proxies_from_environment(void);

AzHttpCall *http_call_send(AzHttpSession *session, const AzHttpSend *request);
void http_call_cancel(AzHttpCall *call);
void http_call_start(AzHttpCall *call);
/* Ends it soon with an outcome of our own making; `why` is static. */
void http_call_cut(AzHttpCall *call, AzHttpOutcome outcome, const char *why);
/* Lets go of everything; `finished` is not called. */
void http_call_abandon(AzHttpCall *call);

/* A call that wants to go out: starts it, or lets it wait for its turn. */
void http_host_admit(HttpHost *host, AzHttpCall *call);
/* TLS is up: `version_2` was agreed on or not. */
void http_host_learn(HttpHost *host, gboolean version_2);
/* The call has ended or is given up. */
void http_host_leave(HttpHost *host, AzHttpCall *call);
void http_host_free(HttpHost *host);

gboolean http_sign_rs256(const char *pem_file, GBytes *data, GBytes **ret_signature, GBytes **ret_thumbprint_sha1,
                         GError **error);
