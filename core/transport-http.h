/* What core asks of the HTTP module: single exchanges that are never repeated or redirected, and a signature; no soup
 * type crosses. */
#pragma once
#include <glib.h>
#define AZ_TRANSPORT_HTTP_MODULE "azlin-transport-http"
#define AZ_TRANSPORT_HTTP_SYMBOL "azlin_transport_http_v1"

typedef struct _AzHttpSession AzHttpSession; /* connections, proxies, certificates */
typedef struct _AzHttpCall AzHttpCall;       /* one request under way */

typedef enum {
  AZ_HTTP_ANSWERED,  /* headers and the whole body are there, whatever the status */
  AZ_HTTP_UNREACHED, /* no connection: the request has not been sent */
  AZ_HTTP_UNTRUSTED, /* TLS: the certificate or the protocol is not acceptable; the request has not been sent */
  AZ_HTTP_LOST,      /* the connection went, or no byte came for too long: the request may have arrived */
  AZ_HTTP_TOO_BIG    /* body or headers are over their cap; reading was stopped there */
} AzHttpOutcome;

typedef struct {
  AzHttpOutcome outcome;
  const char *detail; /* one clause for people; NULL when answered */
  int status;         /* of ANSWERED and TOO_BIG, and of LOST when that came after the headers */
  char **headers;     /* lower-case name, value, ..., NULL; of ANSWERED, and of LOST after the headers */
  GBytes *body;       /* decoded; ANSWERED only */
} AzHttpEnd;

typedef struct {
  const char *method, *url;   /* checked by the caller */
  const char *const *headers; /* name, value, ..., NULL; or NULL. Values of Authorization are wiped after use */
  const char *content_type;   /* of the body */
  GBytes *body;               /* or NULL: methods that usually have one send Content-Length: 0 */
  gboolean direct;            /* never through a proxy; http: never is anyway */
  gboolean once;              /* on a connection of its own if that is what it takes not to send it twice */
  const char *ca_file;        /* PEM, trusted instead of what the session trusts; or NULL */
  const char *certificate_file, *key_file; /* PEM, of this side; both or none. Unreadable files end it UNTRUSTED */
  gsize max_body;                          /* cap on the decoded body, bytes */
  guint32 connect_ms;                      /* until the connection stands */
  guint32 idle_ms;                         /* without a byte from the server, afterwards */
  /* Once, from the main loop, never from inside send(); what `end` holds is borrowed. The call is gone after it. */
  void (*finished)(const AzHttpEnd *end, gpointer data);
  gpointer data;
} AzHttpSend;

typedef struct {
  gsize size;
  /* `ca_file`: PEM file of the authorities to trust instead of the system's; NULL = $SSL_CERT_FILE, else the system's.
   * CONFIG when it cannot be read. */
  AzHttpSession *(*session_new)(const char *ca_file, GError **error);
  void (*session_free)(AzHttpSession *session); /* ends its calls silently */
  AzHttpCall *(*send)(AzHttpSession *session, const AzHttpSend *request);
  void (*cancel)(AzHttpCall *call); /* finished() does not come any more */
  /* RSASSA-PKCS1-v1_5 with SHA-256 over `data` by the private key in `pem_file`; `data` NULL = only the thumbprint.
   * `ret_thumbprint_sha1` (or NULL): 20 bytes of the first certificate of that file. AUTH when the file has no usable
   * key or certificate, NOT_FOUND when there is no such file. */
  gboolean (*sign_rs256)(const char *pem_file, GBytes *data, GBytes **ret_signature, GBytes **ret_thumbprint_sha1,
                         GError **error);
} AzTransportHttp;
