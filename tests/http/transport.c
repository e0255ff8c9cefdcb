/* The HTTP module by itself: deadlines, those that wait for the first connection, ends that come while others are told.
 */
#include "loader.h"
#include "transport-http.h"

#include <gio/gio.h>
#include <string.h>

#define MAX_BODY 1000

typedef struct {
  const AzTransportHttp *module;
  AzHttpSession *session;
  GSocketService *server; /* takes connections and says nothing by itself */
  GPtrArray *taken;       /* of GSocketConnection */
  char *origin;           /* "127.0.0.1:PORT" */
  GString *ends;          /* one letter an end: A, U, T, L, B as in AzHttpOutcome */
  AzHttpCall *victim;     /* cancelled by the first end */
} Fixture;

static gboolean
on_client(GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  Fixture *f = data;
  g_ptr_array_add(f->taken, g_object_ref(connection));
  return TRUE;
}

static void
set_up(Fixture *f, gconstpointer unused)
{
  g_autoptr(GInetAddress) here = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
  g_autoptr(GSocketAddress) address = g_inet_socket_address_new(here, 0);
  g_autoptr(GSocketAddress) bound = NULL;
  g_autoptr(GError) error = NULL;
  *f = (Fixture){ .ends = g_string_new(NULL), .taken = g_ptr_array_new_with_free_func(g_object_unref) };
  f->module = az_loader_module(AZ_TRANSPORT_HTTP_MODULE, AZ_TRANSPORT_HTTP_SYMBOL, &error);
  g_assert_no_error(error);
  f->session = f->module->session_new(NULL, &error);
  g_assert_no_error(error);
  f->server = g_socket_service_new();
  g_assert_true(g_socket_listener_add_address(G_SOCKET_LISTENER(f->server), address, G_SOCKET_TYPE_STREAM,
                                              G_SOCKET_PROTOCOL_TCP, NULL, &bound, NULL));
  g_signal_connect(f->server, "incoming", G_CALLBACK(on_client), f);
  f->origin = g_strdup_printf("127.0.0.1:%u", g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound)));
}

static void
run_for(guint ms)
{
  gint64 until = g_get_monotonic_time() + ms * 1000;
  while (g_get_monotonic_time() < until)
    if (!g_main_context_iteration(NULL, FALSE))
      g_usleep(1000);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  f->module->session_free(f->session);
  run_for(50); /* what libsoup still gives back */
  g_socket_service_stop(f->server);
  g_object_unref(f->server);
  g_ptr_array_unref(f->taken);
  g_string_free(f->ends, TRUE);
  g_free(f->origin);
}

static void
on_end(const AzHttpEnd *end, gpointer data)
{
  Fixture *f = data;
  g_string_append_c(f->ends, "AUTLB"[end->outcome]);
  if (f->victim != NULL)
    f->module->cancel(g_steal_pointer(&f->victim));
}

static AzHttpCall *
start(Fixture *f, const char *scheme, guint32 connect_ms, guint32 idle_ms)
{
  g_autofree char *url = g_strdup_printf("%s://%s/x", scheme, f->origin);
  AzHttpSend request = { .method = "GET",
                         .url = url,
                         .max_body = MAX_BODY,
                         .connect_ms = connect_ms,
                         .idle_ms = idle_ms,
                         .finished = on_end,
                         .data = f };
  return f->module->send(f->session, &request);
}

static gint64
wait_for(Fixture *f, guint n)
{
  gint64 begin = g_get_monotonic_time();
  while (f->ends->len < n)
    g_main_context_iteration(NULL, TRUE);
  return (g_get_monotonic_time() - begin) / 1000;
}

/* To the client number `n`, once it has come. */
static void
answer(Fixture *f, guint n, const char *bytes, gsize length)
{
  while (f->taken->len <= n)
    g_main_context_iteration(NULL, TRUE);
  GOutputStream *out = g_io_stream_get_output_stream(g_ptr_array_index(f->taken, n));
  g_output_stream_write_all(out, bytes, length, NULL, NULL, NULL);
}

static void
test_silence(Fixture *f, gconstpointer unused)
{
  start(f, "http", 5000, 200);
  gint64 took = wait_for(f, 1);
  g_assert_cmpstr(f->ends->str, ==, "L");
  g_assert_cmpint(took, >=, 200);
  g_assert_cmpint(took, <, 2000);
}

/* Slow is not silent: each byte counts. */
static void
test_slow_answer(Fixture *f, gconstpointer unused)
{
  static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"a\":12}";
  start(f, "http", 5000, 400);
  gsize head = strlen(text) - 8;
  answer(f, 0, text, head);
  for (int i = 0; i < 8; i++) {
    run_for(150);
    answer(f, 0, text + head + i, 1);
  }
  wait_for(f, 1);
  g_assert_cmpstr(f->ends->str, ==, "A");
}

/* Where libsoup is left a single byte of room for what stands behind the last chunk, it fails without an error. */
static void
test_chunked_answers_of_any_length(Fixture *f, gconstpointer unused)
{
  for (guint length = MAX_BODY - 3; length <= MAX_BODY + 3; length++) {
    g_autofree char *body = g_strnfill(length, 'x');
    g_autofree char *text = g_strdup_printf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                                            "%x\r\n%s\r\n0\r\n\r\n",
                                            length, body);
    guint before = f->taken->len;
    g_string_truncate(f->ends, 0);
    start(f, "http", 5000, 5000);
    answer(f, before, text, strlen(text));
    wait_for(f, 1);
    g_assert_cmpstr(f->ends->str, ==, length <= MAX_BODY ? "A" : "B");
  }
}

/* No handshake: the first call alone spends its deadline, and those behind it share its end. */
static void
test_no_connection(Fixture *f, gconstpointer unused)
{
  for (int i = 0; i < 20; i++)
    start(f, "https", 200, 60000);
  gint64 took = wait_for(f, 20);
  g_assert_cmpstr(f->ends->str, ==, "UUUUUUUUUUUUUUUUUUUU");
  g_assert_cmpint(took, <, 2000);
  g_assert_cmpuint(f->taken->len, ==, 1);
}

static void
test_cancelled_by_another_end(Fixture *f, gconstpointer which)
{
  AzHttpCall *calls[5];
  for (guint i = 0; i < G_N_ELEMENTS(calls); i++)
    calls[i] = start(f, "https", 200, 60000);
  f->victim = calls[GPOINTER_TO_UINT(which)]; /* the one that fails for all, or one that waited */
  wait_for(f, 4);
  run_for(100);
  g_assert_cmpstr(f->ends->str, ==, "UUUU");
}

static void
test_first_one_gives_up(Fixture *f, gconstpointer unused)
{
  AzHttpCall *first = start(f, "https", 60000, 60000);
  start(f, "https", 200, 60000);
  run_for(50);
  f->module->cancel(first);
  wait_for(f, 1); /* the second has become the first */
  g_assert_cmpstr(f->ends->str, ==, "U");
}

static void
test_session_goes(Fixture *f, gconstpointer unused)
{
  for (int i = 0; i < 100; i++)
    start(f, i % 2 == 0 ? "https" : "http", 60000, 60000);
  run_for(50);
  f->module->session_free(f->session);
  run_for(50);
  g_assert_cmpstr(f->ends->str, ==, "");
  f->session = f->module->session_new(NULL, NULL);
}

#define TEST(path, func, data) g_test_add(path, Fixture, data, set_up, func, tear_down)

int
main(int argc, char **argv)
{
  g_unsetenv("HTTPS_PROXY");
  g_unsetenv("https_proxy");
  g_test_init(&argc, &argv, NULL);
  TEST("/http/transport/silence", test_silence, NULL);
  TEST("/http/transport/slow-answer", test_slow_answer, NULL);
  TEST("/http/transport/chunked-answers-of-any-length", test_chunked_answers_of_any_length, NULL);
  TEST("/http/transport/no-connection", test_no_connection, NULL);
  TEST("/http/transport/cancelled-by-another-end/first", test_cancelled_by_another_end, GUINT_TO_POINTER(0));
  TEST("/http/transport/cancelled-by-another-end/waiting", test_cancelled_by_another_end, GUINT_TO_POINTER(3));
  TEST("/http/transport/first-one-gives-up", test_first_one_gives_up, NULL);
  TEST("/http/transport/session-goes", test_session_goes, NULL);
  return g_test_run();
}
