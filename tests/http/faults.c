/* Servers that misbehave: storms, resets, silence, bombs, nonsense; and a caller who goes away. */
#include "scene.h"

#include "error.h"

#include <string.h>
#include <sys/resource.h>

/* ---- a handler by script: one entry per request, the last one for ever ---- */

typedef struct {
  int status; /* 0 = the connection is closed, -1 = nothing comes */
  const char *header, *value;
} Step;

typedef struct {
  Scene *scene;
  const Step *steps;
  guint n;
  gint64 times[64]; /* of requests, monotonic microseconds */
} Script;

static void
on_script(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  Script *script = data;
  guint number = script->scene->requests++;
  const Step *step = &script->steps[MIN(number, script->n - 1)];
  script->times[number % 64] = g_get_monotonic_time();
  if (step->status == -1) {
    soup_server_message_pause(message);
    return;
  }
  if (step->status == 0) {
    g_autoptr(GIOStream) stream = soup_server_message_steal_connection(message);
    g_io_stream_close(stream, NULL, NULL);
    return;
  }
  if (step->header != NULL)
    soup_message_headers_append(soup_server_message_get_response_headers(message), step->header, step->value);
  soup_server_message_set_status(message, (guint) step->status, NULL);
  soup_server_message_set_response(message, "application/json", SOUP_MEMORY_STATIC, "{\"a\":1}", 7);
}

static void
play(Scene *scene, Script *script, const Step *steps, guint n)
{
  *script = (Script){ .scene = scene, .steps = steps, .n = n };
  soup_server_add_handler(scene->server, "/script", on_script, script, NULL);
}

static void
test_passing_failures(Scene *scene, gconstpointer unused)
{
  static const Step steps[] = { { 503, "retry-after-ms", "1" }, { 500, "retry-after-ms", "1" }, { 0 }, { 200 } };
  Script script;
  play(scene, &script, steps, G_N_ELEMENTS(steps));
  scene_get(scene, "/script");
  g_assert_no_error(scene->error);
  g_assert_cmpint(scene->status, ==, 200);
  g_assert_cmpuint(scene->requests, >=, 4);
}

static void
test_never_more_than_the_counts(Scene *scene, gconstpointer unused)
{
  static const Step failing[] = { { 503, "retry-after-ms", "1" } };
  static const Step storm[] = { { 429, "retry-after-ms", "1" } };
  Script script;
  play(scene, &script, failing, 1);
  scene_get(scene, "/script");
  g_assert_cmpint(scene->status, ==, 503);
  g_assert_cmpuint(scene->requests, ==, 4);
  scene->requests = 0;
  script.steps = storm;
  scene_get(scene, "/script");
  g_assert_cmpint(scene->status, ==, 429);
  g_assert_cmpuint(scene->requests, ==, 5);
}

static void
test_retry_after_is_kept(Scene *scene, gconstpointer unused)
{
  static const Step steps[] = { { 429, "Retry-After", "1" }, { 503, "x-ms-retry-after-ms", "300" }, { 200 } };
  Script script;
  play(scene, &script, steps, G_N_ELEMENTS(steps));
  scene_get(scene, "/script");
  g_assert_cmpint(scene->status, ==, 200);
  g_assert_cmpint(script.times[1] - script.times[0], >=, 1000000);
  g_assert_cmpint(script.times[2] - script.times[1], >=, 300000);
  g_assert_cmpint(script.times[2] - script.times[1], <, 900000);
}

/* A 429 holds the account's other requests of that kind as well. */
static void
test_storm_holds_everybody(Scene *scene, gconstpointer unused)
{
  static const Step steps[] = { { 429, "retry-after-ms", "400" }, { 200 } };
  Script script;
  g_autofree char *url = scene_url(scene, "/script/a");
  g_autofree char *other = scene_url(scene, "/script/b");
  AzlinHttp request = { .size = sizeof request, .method = "PUT", .url = url, .account = "s" };
  play(scene, &script, steps, G_N_ELEMENTS(steps));
  scene_start(scene, &request, 20000);
  while (scene->requests == 0)
    g_main_context_iteration(NULL, TRUE);
  gint64 until = g_get_monotonic_time() + 100000;
  while (g_get_monotonic_time() < until)
    g_main_context_iteration(NULL, FALSE);
  request.url = other;
  scene_start(scene, &request, 20000);
  scene_wait(scene, 2);
  g_assert_cmpuint(scene->requests, ==, 3);
  g_assert_cmpint(script.times[1] - script.times[0], >=, 400000);
}

static void
test_beyond_the_deadline(Scene *scene, gconstpointer unused)
{
  static const Step steps[] = { { 429, "Retry-After", "1200" } };
  Script script;
  play(scene, &script, steps, 1);
  scene_get(scene, "/script");
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_THROTTLED);
  g_assert_nonnull(strstr(scene->error->message, "1200 s"));
  g_assert_cmpuint(scene->requests, ==, 1);
}

static void
test_once_is_sent_once(Scene *scene, gconstpointer unused)
{
  static const Step steps[] = { { 200 }, { 0 }, { 200 } };
  Script script;
  g_autofree char *url = scene_url(scene, "/script");
  AzlinHttp request = { .size = sizeof request, .method = "PUT", .url = url, .once = TRUE };
  play(scene, &script, steps, G_N_ELEMENTS(steps));
  scene_get(scene, "/script"); /* from now on there is a kept connection, on which libsoup would try again by itself */
  scene_start(scene, &request, 20000);
  scene_wait(scene, 2);
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_NETWORK);
  for (int i = 0; i < 50; i++)
    g_main_context_iteration(NULL, FALSE);
  g_assert_cmpuint(scene->requests, ==, 2);
}

static void
test_nobody_listens(Scene *scene, gconstpointer unused)
{
  AzlinHttp request = { .size = sizeof request, .method = "GET", .url = "http://127.0.0.1:9/x", .once = TRUE };
  scene_start(scene, &request, 60000);
  scene_wait(scene, 1);
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_NETWORK);
  g_assert_nonnull(strstr(scene->error->message, "no connection to 127.0.0.1"));
}

static void
test_silence_ends_at_the_deadline(Scene *scene, gconstpointer unused)
{
  static const Step steps[] = { { -1 } };
  Script script;
  g_autofree char *url = scene_url(scene, "/script");
  AzlinHttp request = { .size = sizeof request, .method = "GET", .url = url };
  play(scene, &script, steps, 1);
  gint64 start = g_get_monotonic_time();
  scene_start(scene, &request, 300);
  scene_wait(scene, 1);
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
  g_assert_cmpint(g_get_monotonic_time() - start, <, 1500000);
}

static void
test_cancelled(Scene *scene, gconstpointer unused)
{
  static const Step steps[] = { { -1 } };
  Script script;
  g_autofree char *url = scene_url(scene, "/script");
  AzlinHttp request = { .size = sizeof request, .method = "GET", .url = url, .account = "s" };
  AzlinOp *ops[300];
  play(scene, &script, steps, 1);
  for (guint i = 0; i < G_N_ELEMENTS(ops); i++) /* more than connections and more than the budget */
    ops[i] = scene_start(scene, &request, 0);
  while (scene->requests < 64)
    g_main_context_iteration(NULL, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS(ops); i++)
    az_op_cancel(ops[i], NULL);
  scene_wait(scene, G_N_ELEMENTS(ops));
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED);
  while (g_main_context_iteration(NULL, FALSE))
    continue;
  g_assert_cmpuint(scene->requests, ==, 64);
}

/* ---- answers that must not be read ---- */

static long
peak_rss_kib(void)
{
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

/* 1 GiB of zeros, gzipped: one megabyte. */
static GBytes *
make_bomb(void)
{
  g_autoptr(GOutputStream) memory = g_memory_output_stream_new_resizable();
  g_autoptr(GConverter) gzip = G_CONVERTER(g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, 9));
  g_autoptr(GOutputStream) out = g_converter_output_stream_new(memory, gzip);
  g_autofree char *zeros = g_malloc0(1024 * 1024);
  for (int i = 0; i < 1024; i++)
    g_output_stream_write_all(out, zeros, 1024 * 1024, NULL, NULL, NULL);
  g_output_stream_close(out, NULL, NULL);
  return g_memory_output_stream_steal_as_bytes(G_MEMORY_OUTPUT_STREAM(memory));
}

static void
on_bytes(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
  soup_server_message_set_status(message, 200, NULL);
  if (g_str_has_suffix(path, "/gzip"))
    soup_message_headers_append(headers, "Content-Encoding", "gzip");
  soup_message_headers_set_content_type(headers, "application/json", NULL);
  soup_message_body_append_bytes(soup_server_message_get_response_body(message), data);
}

static void
test_gzip_bomb(Scene *scene, gconstpointer unused)
{
  g_autoptr(GBytes) bomb = make_bomb();
  long before = peak_rss_kib();
  soup_server_add_handler(scene->server, "/bomb", on_bytes, bomb, NULL);
  scene_get(scene, "/bomb/gzip");
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  g_assert_nonnull(strstr(scene->error->message, "at most 8 MiB"));
  g_test_message("peak RSS grew from %ld to %ld KiB", before, peak_rss_kib());
#ifdef __SANITIZE_ADDRESS__ /* it keeps what was freed for a while */
  g_assert_cmpint(peak_rss_kib(), <, 192 * 1024);
#else
  g_assert_cmpint(peak_rss_kib(), <, 64 * 1024);
#endif
}

static void
test_plain_flood(Scene *scene, gconstpointer unused)
{
  g_autoptr(GBytes) flood = g_bytes_new_take(g_strnfill(9 * 1024 * 1024, ' '), 9 * 1024 * 1024);
  soup_server_add_handler(scene->server, "/flood", on_bytes, flood, NULL);
  scene_get(scene, "/flood");
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
}

static void
test_cap_of_the_request(Scene *scene, gconstpointer unused)
{
  g_autoptr(GBytes) bytes = g_bytes_new_static("{\"a\":123}", 9);
  g_autofree char *url = scene_url(scene, "/bytes");
  AzlinHttp request = { .size = sizeof request, .method = "GET", .url = url, .max_body = 9 };
  soup_server_add_handler(scene->server, "/bytes", on_bytes, bytes, NULL);
  scene_start(scene, &request, 20000);
  scene_wait(scene, 1);
  g_assert_no_error(scene->error);
  request.max_body = 8;
  scene_start(scene, &request, 20000);
  scene_wait(scene, 2);
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
}

static void
test_unparsable(Scene *scene, gconstpointer unused)
{
  g_autoptr(GBytes) deep = g_bytes_new_take(g_strnfill(200000, '['), 200000);
  g_autoptr(GBytes) nul = g_bytes_new_static("{\"a\":\"\0\"}", 9);
  g_autoptr(GBytes) latin = g_bytes_new_static("{\"a\":\"\xe4\"}", 9);
  soup_server_add_handler(scene->server, "/deep", on_bytes, deep, NULL);
  soup_server_add_handler(scene->server, "/nul", on_bytes, nul, NULL);
  soup_server_add_handler(scene->server, "/latin", on_bytes, latin, NULL);
  scene_get(scene, "/deep");
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  g_assert_nonnull(strstr(scene->error->message, "nests deeper than 64 levels"));
  scene_get(scene, "/nul");
  g_assert_nonnull(strstr(scene->error->message, "contains NUL bytes"));
  scene_get(scene, "/latin");
  g_assert_nonnull(strstr(scene->error->message, "is not UTF-8"));
}

/* Content-Length says more than comes: that is a lost connection and no answer. */
static void
on_truncated(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  static const char text[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\":";
  ((Scene *) data)->requests++;
  g_autoptr(GIOStream) stream = soup_server_message_steal_connection(message);
  g_output_stream_write_all(g_io_stream_get_output_stream(stream), text, strlen(text), NULL, NULL, NULL);
  g_io_stream_close(stream, NULL, NULL);
}

static void
test_truncated(Scene *scene, gconstpointer unused)
{
  g_autofree char *url = scene_url(scene, "/truncated");
  AzlinHttp request = { .size = sizeof request, .method = "PATCH", .url = url, .once = TRUE };
  soup_server_add_handler(scene->server, "/truncated", on_truncated, scene, NULL);
  scene_start(scene, &request, 20000);
  scene_wait(scene, 1);
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_NETWORK);
  g_assert_cmpuint(scene->requests, ==, 1);
}

/* A refusal whose body breaks off after its headers: the wait that these ask for is kept. */
static void
on_broken_refusal(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  static const char text[] = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 100\r\n\r\n{\"a\":";
  Script *script = data;
  script->times[script->scene->requests++ % 64] = g_get_monotonic_time();
  if (script->scene->requests > 1) {
    soup_server_message_set_status(message, 200, NULL);
    return;
  }
  g_autoptr(GIOStream) stream = soup_server_message_steal_connection(message);
  g_output_stream_write_all(g_io_stream_get_output_stream(stream), text, strlen(text), NULL, NULL, NULL);
  g_io_stream_close(stream, NULL, NULL);
}

static void
test_broken_refusal(Scene *scene, gconstpointer unused)
{
  Script script = { .scene = scene };
  soup_server_add_handler(scene->server, "/refusal", on_broken_refusal, &script, NULL);
  scene_get(scene, "/refusal");
  g_assert_no_error(scene->error);
  g_assert_cmpuint(scene->requests, ==, 2);
  g_assert_cmpint(script.times[1] - script.times[0], >=, G_USEC_PER_SEC);
}

#define TEST(path, func) g_test_add(path, Scene, NULL, scene_set_up, func, scene_tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("/http/faults/gzip-bomb", test_gzip_bomb);
  TEST("/http/faults/passing-failures", test_passing_failures);
  TEST("/http/faults/never-more-than-the-counts", test_never_more_than_the_counts);
  TEST("/http/faults/retry-after-is-kept", test_retry_after_is_kept);
  TEST("/http/faults/storm-holds-everybody", test_storm_holds_everybody);
  TEST("/http/faults/beyond-the-deadline", test_beyond_the_deadline);
  TEST("/http/faults/once-is-sent-once", test_once_is_sent_once);
  TEST("/http/faults/nobody-listens", test_nobody_listens);
  TEST("/http/faults/silence-ends-at-the-deadline", test_silence_ends_at_the_deadline);
  TEST("/http/faults/cancelled", test_cancelled);
  TEST("/http/faults/plain-flood", test_plain_flood);
  TEST("/http/faults/cap-of-the-request", test_cap_of_the_request);
  TEST("/http/faults/unparsable", test_unparsable);
  TEST("/http/faults/truncated", test_truncated);
  TEST("/http/faults/broken-refusal", test_broken_refusal);
  return g_test_run();
}
