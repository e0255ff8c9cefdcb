/* TLS and proxies: whose certificates are taken, how many connections a burst opens, what goes through a proxy. */
#include "scene.h"

#include <glib/gstdio.h>
#include <gnutls/x509.h>
#include <string.h>

/* ---- certificates made here ---- */

static void
make_certificate(const char *file, const char *name)
{
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t certificate;
  gnutls_datum_t pem[2] = { 0 };
  g_assert_cmpint(gnutls_x509_privkey_init(&key), ==, 0);
  g_assert_cmpint(
      gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), ==, 0);
  g_assert_cmpint(gnutls_x509_crt_init(&certificate), ==, 0);
  gnutls_x509_crt_set_version(certificate, 3);
  gnutls_x509_crt_set_serial(certificate, "\1", 1);
  gnutls_x509_crt_set_dn(certificate, "CN=azlin test", NULL);
  gnutls_x509_crt_set_activation_time(certificate, 1700000000);
  gnutls_x509_crt_set_expiration_time(certificate, 1900000000);
  gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, name, (unsigned) strlen(name), GNUTLS_FSAN_SET);
  gnutls_x509_crt_set_key(certificate, key);
  g_assert_cmpint(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), ==, 0);
  g_assert_cmpint(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem[0]), ==, 0);
  g_assert_cmpint(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &pem[1]), ==, 0);
  g_autofree char *text = g_strdup_printf("%.*s%.*s", (int) pem[0].size, pem[0].data, (int) pem[1].size, pem[1].data);
  g_assert_true(g_file_set_contents(file, text, -1, NULL));
  gnutls_free(pem[0].data);
  gnutls_free(pem[1].data);
  gnutls_x509_privkey_deinit(key);
  gnutls_x509_crt_deinit(certificate);
}

/* ---- a server of TLS, and a proxy before it ---- */

typedef struct {
  Scene scene; /* its own server is not used */
  char *folder, *good, *other;
  SoupServer *server;
  guint16 port;
  GHashTable *connections; /* of the server: addresses of clients */
  guint requests;
  GSocketService *proxy;
  guint16 proxy_port;
  GString *asked; /* first lines that the proxy was sent */
} Fixture;

static void
on_request(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  Fixture *f = data;
  GInetSocketAddress *client = G_INET_SOCKET_ADDRESS(soup_server_message_get_remote_address(message));
  f->requests++;
  g_hash_table_add(f->connections, GUINT_TO_POINTER(g_inet_socket_address_get_port(client)));
  soup_server_message_set_status(message, 200, NULL);
  soup_server_message_set_response(message, "application/json", SOUP_MEMORY_STATIC, "{}", 2);
}

typedef struct {
  GSocketConnection *client, *cloud;
  char head[4096];
  gsize length;
  Fixture *f;
} Tunnel;

static void
on_spliced(GObject *source, GAsyncResult *result, gpointer data)
{
  Tunnel *tunnel = data;
  g_io_stream_splice_finish(result, NULL);
  g_object_unref(tunnel->client);
  g_clear_object(&tunnel->cloud);
  g_free(tunnel);
}

static void
on_head(GObject *source, GAsyncResult *result, gpointer data)
{
  static const char yes[] = "HTTP/1.1 200 Connection established\r\n\r\n";
  Tunnel *tunnel = data;
  g_autoptr(GSocketClient) dial = g_socket_client_new();
  GInputStream *in = g_io_stream_get_input_stream(G_IO_STREAM(tunnel->client));
  gssize n = g_input_stream_read_finish(in, result, NULL);
  g_assert_cmpint(n, >, 0);
  tunnel->length += (gsize) n;
  if (strstr(tunnel->head, "\r\n\r\n") == NULL) {
    g_input_stream_read_async(in, tunnel->head + tunnel->length, sizeof tunnel->head - tunnel->length - 1, 0, NULL,
                              on_head, tunnel);
    return;
  }
  g_string_append_len(tunnel->f->asked, tunnel->head, strcspn(tunnel->head, "\r") + 1);
  g_assert_null(strstr(tunnel->head, "canary"));
  tunnel->cloud = g_socket_client_connect_to_host(dial, "127.0.0.1", tunnel->f->port, NULL, NULL);
  g_assert_nonnull(tunnel->cloud);
  g_output_stream_write_all(g_io_stream_get_output_stream(G_IO_STREAM(tunnel->client)), yes, strlen(yes), NULL, NULL,
                            NULL);
  g_io_stream_splice_async(G_IO_STREAM(tunnel->client), G_IO_STREAM(tunnel->cloud),
                           G_IO_STREAM_SPLICE_CLOSE_STREAM1 | G_IO_STREAM_SPLICE_CLOSE_STREAM2, 0, NULL, on_spliced,
                           tunnel);
}

static gboolean
on_client(GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  Tunnel *tunnel = g_new0(Tunnel, 1);
  tunnel->f = data;
  tunnel->client = g_object_ref(connection);
  g_input_stream_read_async(g_io_stream_get_input_stream(G_IO_STREAM(connection)), tunnel->head,
                            sizeof tunnel->head - 1, 0, NULL, on_head, tunnel);
  return TRUE;
}

static void
start_proxy(Fixture *f)
{
  g_autoptr(GInetAddress) here = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
  g_autoptr(GSocketAddress) address = g_inet_socket_address_new(here, 0);
  g_autoptr(GSocketAddress) effective = NULL;
  f->asked = g_string_new(NULL);
  f->proxy = g_socket_service_new();
  g_assert_true(g_socket_listener_add_address(G_SOCKET_LISTENER(f->proxy), address, G_SOCKET_TYPE_STREAM,
                                              G_SOCKET_PROTOCOL_TCP, NULL, &effective, NULL));
  f->proxy_port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(effective));
  g_signal_connect(f->proxy, "incoming", G_CALLBACK(on_client), f);
}

static void
set_up(Fixture *f, gconstpointer unused)
{
  g_autoptr(GError) error = NULL;
  scene_set_up(&f->scene, NULL);
  f->folder = g_dir_make_tmp("azlin-tls-XXXXXX", NULL);
  f->good = g_build_filename(f->folder, "good.pem", NULL);
  f->other = g_build_filename(f->folder, "other.pem", NULL);
  make_certificate(f->good, "cloud.example");
  make_certificate(f->other, "cloud.example");
  g_autoptr(GTlsCertificate) certificate = g_tls_certificate_new_from_file(f->good, &error);
  g_assert_no_error(error);
  f->connections = g_hash_table_new(NULL, NULL);
  f->server = soup_server_new("tls-certificate", certificate, NULL);
  g_assert_true(
      soup_server_listen_local(f->server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY | SOUP_SERVER_LISTEN_HTTPS, &error));
  g_assert_no_error(error);
  GSList *uris = soup_server_get_uris(f->server);
  f->port = (guint16) g_uri_get_port(uris->data);
  g_slist_free_full(uris, (GDestroyNotify) g_uri_unref);
  soup_server_add_handler(f->server, NULL, on_request, f, NULL);
  start_proxy(f);
  g_autofree char *proxy = g_strdup_printf("http://127.0.0.1:%u", f->proxy_port);
  g_setenv("HTTPS_PROXY", proxy, TRUE);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  scene_tear_down(&f->scene, NULL);
  g_socket_service_stop(f->proxy);
  g_socket_listener_close(G_SOCKET_LISTENER(f->proxy));
  soup_server_disconnect(f->server);
  for (int i = 0; i < 200; i++)
    g_main_context_iteration(NULL, FALSE);
  g_object_unref(f->proxy);
  g_object_unref(f->server);
  g_hash_table_unref(f->connections);
  g_string_free(f->asked, TRUE);
  g_unlink(f->good);
  g_unlink(f->other);
  g_rmdir(f->folder);
  g_free(f->good);
  g_free(f->other);
  g_free(f->folder);
  g_unsetenv("SSL_CERT_FILE");
  g_unsetenv("HTTPS_PROXY");
}

static void
fetch(Fixture *f, const char *url, guint n)
{
  AzlinHttp request = { .size = sizeof request, .method = "GET", .url = url };
  guint before = f->scene.ended;
  for (guint i = 0; i < n; i++)
    scene_start(&f->scene, &request, 20000);
  scene_wait(&f->scene, before + n);
}

/* The name is not looked up here: the proxy is told it. The server speaks HTTP/1.1 alone, so few connections serve all,
 * and the first one alone finds that out. */
static void
test_burst_through_a_proxy(Fixture *f, gconstpointer unused)
{
  g_setenv("SSL_CERT_FILE", f->good, TRUE);
  fetch(f, "https://cloud.example/x", 60);
  g_assert_no_error(f->scene.error);
  g_assert_cmpint(f->scene.status, ==, 200);
  g_assert_cmpuint(f->requests, ==, 60);
  g_assert_cmpuint(g_hash_table_size(f->connections), <=, 8);
  g_assert_true(g_str_has_prefix(f->asked->str, "CONNECT cloud.example:443 HTTP/1.1\r"));
}

static void
expect_refused(Fixture *f, const char *url)
{
  fetch(f, url, 3);
  g_assert_error(f->scene.error, AZLIN_ERROR, AZLIN_ERROR_NETWORK);
  g_test_message("%s", f->scene.error->message);
  g_assert_nonnull(strstr(f->scene.error->message, "is not who it says"));
  g_assert_cmpuint(f->requests, ==, 0);
}

static void
test_strange_certificate(Fixture *f, gconstpointer unused)
{
  g_setenv("SSL_CERT_FILE", f->other, TRUE);
  expect_refused(f, "https://cloud.example/x");
}

static void
test_certificate_of_another_host(Fixture *f, gconstpointer unused)
{
  g_setenv("SSL_CERT_FILE", f->good, TRUE);
  expect_refused(f, "https://other.example/x");
}

/* Loopback hosts are reached directly, whatever proxy is named. */
static void
test_loopback_needs_no_proxy(Fixture *f, gconstpointer unused)
{
  g_autofree char *url = g_strdup_printf("https://127.0.0.1:%u/x", f->port);
  g_setenv("SSL_CERT_FILE", f->good, TRUE);
  expect_refused(f, url); /* it was reached: its certificate names another host */
  g_assert_cmpstr(f->asked->str, ==, "");
}

static void
test_no_such_file(Fixture *f, gconstpointer unused)
{
  g_setenv("SSL_CERT_FILE", "/nonexistent/ca.pem", TRUE);
  fetch(f, "https://cloud.example/x", 1);
  g_assert_error(f->scene.error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
}

#define TEST(path, func) g_test_add(path, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("/http/tls/burst-through-a-proxy", test_burst_through_a_proxy);
  TEST("/http/tls/strange-certificate", test_strange_certificate);
  TEST("/http/tls/certificate-of-another-host", test_certificate_of_another_host);
  TEST("/http/tls/loopback-needs-no-proxy", test_loopback_needs_no_proxy);
  TEST("/http/tls/no-such-file", test_no_such_file);
  return g_test_run();
}
