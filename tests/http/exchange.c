/* Exchanges against a real server: what is sent, what comes back, tokens, redirects, origins. */
#include "scene.h"

#include <string.h>

static void
answer(SoupServerMessage *message, int status, const char *json)
{
  soup_server_message_set_status(message, (guint) status, NULL);
  soup_server_message_set_response(message, "application/json", SOUP_MEMORY_COPY, json, strlen(json));
}

static void
on_echo(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  Scene *scene = data;
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
  const char *names[] = { "Authorization", "User-Agent", "Accept", "Content-Length", "Content-Type", "Cookie" };
  g_autoptr(GString) text = g_string_new("{");
  scene->requests++;
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    const char *value = soup_message_headers_get_list(headers, names[i]);
    g_string_append_printf(text, "%s\"%s\":\"%s\"", i > 0 ? "," : "", names[i], value != NULL ? value : "");
  }
  g_string_append_printf(text, ",\"id\":%d}", soup_message_headers_get_one(headers, "x-ms-client-request-id") != NULL);
  soup_message_headers_append(soup_server_message_get_response_headers(message), "Set-Cookie", "a=b");
  soup_message_headers_append(soup_server_message_get_response_headers(message), "X-Ms-Request-Id", "42");
  answer(message, 200, text->str);
}

static void
test_plain_get(Scene *scene, gconstpointer unused)
{
  soup_server_add_handler(scene->server, "/echo", on_echo, scene, NULL);
  for (int i = 0; i < 2; i++) { /* the second finds no cookie */
    scene_get(scene, "/echo");
    g_assert_no_error(scene->error);
    g_assert_cmpint(scene->status, ==, 200);
    g_assert_cmpstr(scene_header(scene, "x-ms-request-id"), ==, "42");
    g_assert_cmpstr(g_bytes_get_data(scene->body, NULL), !=, NULL);
    g_autofree char *text = g_strndup(g_bytes_get_data(scene->body, NULL), g_bytes_get_size(scene->body));
    g_assert_cmpstr(text, ==,
                    "{\"Authorization\":\"\",\"User-Agent\":\"azlin/" AZLIN_VERSION
                    "\",\"Accept\":\"application/json\",\"Content-Length\":\"\",\"Content-Type\":\"\",\"Cookie\":\"\","
                    "\"id\":0}");
  }
}

static void
test_token(Scene *scene, gconstpointer unused)
{
  g_autofree char *url = scene_url(scene, "/echo");
  AzlinHttp request = { .size = sizeof request, .method = "POST", .url = url, .identity = &scene->identity };
  soup_server_add_handler(scene->server, "/echo", on_echo, scene, NULL);
  scene_start(scene, &request, 20000);
  scene_wait(scene, 1);
  g_assert_no_error(scene->error);
  g_autofree char *text = g_strndup(g_bytes_get_data(scene->body, NULL), g_bytes_get_size(scene->body));
  g_assert_nonnull(strstr(text, "\"Authorization\":\"Bearer canary-1\""));
  g_assert_nonnull(strstr(text, "\"Content-Length\":\"0\""));
  g_assert_nonnull(strstr(text, "\"id\":1"));
  g_assert_cmpuint(scene->tokens, ==, 1);
}

static void
on_redirect(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  Scene *scene = data;
  g_autofree char *target = scene_url(scene, "/echo");
  soup_server_message_set_redirect(message, 307, target);
}

static void
test_redirect_is_handed_over(Scene *scene, gconstpointer unused)
{
  g_autofree char *url = scene_url(scene, "/redirect");
  AzlinHttp request = { .size = sizeof request, .method = "GET", .url = url, .identity = &scene->identity };
  soup_server_add_handler(scene->server, "/echo", on_echo, scene, NULL);
  soup_server_add_handler(scene->server, "/redirect", on_redirect, scene, NULL);
  scene_start(scene, &request, 20000);
  scene_wait(scene, 1);
  g_assert_no_error(scene->error);
  g_assert_cmpint(scene->status, ==, 307);
  g_assert_cmpuint(scene->requests, ==, 0);
}

/* Takes the second token alone, and below /never none. */
static void
on_picky(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  Scene *scene = data;
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
  gboolean wanted = g_strcmp0(soup_message_headers_get_one(headers, "Authorization"), "Bearer canary-2") == 0;
  scene->requests++;
  answer(message, wanted && g_str_equal(path, "/picky") ? 200 : 401, "{}");
}

static void
test_401_renews_the_token_once(Scene *scene, gconstpointer unused)
{
  g_autofree char *url = scene_url(scene, "/picky");
  g_autofree char *never = scene_url(scene, "/picky/never");
  AzlinHttp request
      = { .size = sizeof request, .method = "PUT", .url = url, .identity = &scene->identity, .once = TRUE };
  soup_server_add_handler(scene->server, "/picky", on_picky, scene, NULL);
  scene_start(scene, &request, 20000);
  scene_wait(scene, 1);
  g_assert_cmpint(scene->status, ==, 200);
  g_assert_cmpuint(scene->requests, ==, 2);
  g_assert_cmpuint(scene->tokens, ==, 2);
  request.url = never;
  scene_start(scene, &request, 20000);
  scene_wait(scene, 2);
  g_assert_cmpint(scene->status, ==, 401);
  g_assert_cmpuint(scene->requests, ==, 4);
}

/* Of what may not be sent not even the token is asked for. */
static void
test_refused_unsent(Scene *scene, gconstpointer unused)
{
  static const char *const authorization[] = { "authorization", "Bearer x", NULL };
  static const char *const host[] = { "Host", "evil.example", NULL };
  static const char *const length[] = { "Content-Length", "7", NULL };
  static const char *const split[] = { "X-A", "b\r\nHost: evil.example", NULL };
  static const char *const unnamed[] = { "X A", "b", NULL };
  const char *const *bad[] = { authorization, host, length, split, unnamed };
  g_autofree char *url = scene_url(scene, "/echo");
  AzlinHttp request = { .size = sizeof request, .method = "GET", .url = url, .identity = &scene->identity };
  soup_server_add_handler(scene->server, "/echo", on_echo, scene, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    request.headers = bad[i];
    scene_start(scene, &request, 20000);
    scene_wait(scene, i + 1);
    g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  }
  request.headers = NULL;
  request.url = "http://127.0.0.2:9/echo";
  scene_start(scene, &request, 20000);
  scene_wait(scene, G_N_ELEMENTS(bad) + 1);
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_assert_nonnull(strstr(scene->error->message, "(127.0.0.2); it was not followed"));
  g_assert_cmpuint(scene->requests + scene->tokens, ==, 0);
}

/* The user gives up while the token is still on its way. */
static void
test_cancelled_before_the_token(Scene *scene, gconstpointer unused)
{
  g_autofree char *url = scene_url(scene, "/echo");
  AzlinHttp request = { .size = sizeof request, .method = "GET", .url = url, .identity = &scene->identity };
  soup_server_add_handler(scene->server, "/echo", on_echo, scene, NULL);
  az_op_cancel(scene_start(scene, &request, 20000), NULL);
  scene_wait(scene, 1);
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED);
  scene_start(scene, &request, 20000);
  scene_wait(scene, 2);
  g_assert_cmpint(scene->status, ==, 200);
  g_assert_cmpuint(scene->requests, ==, 1);
}

/* Everything ends after so many turns of the main loop: before the token, with it, before the answer. */
static void
test_ends_in_between(Scene *scene, gconstpointer unused)
{
  g_autofree char *url = scene_url(scene, "/echo");
  AzlinHttp request = { .size = sizeof request, .method = "GET", .url = url, .identity = &scene->identity };
  guint cut = 0;
  request.account = "account";
  soup_server_add_handler(scene->server, "/echo", on_echo, scene, NULL);
  for (guint turns = 0; scene->status != 200; turns++) {
    guint before = scene->ended;
    scene_start(scene, &request, 20000);
    scene_start(scene, &request, 20000);
    for (guint i = 0; i < turns && scene->ended < before + 2; i++)
      g_main_context_iteration(NULL, TRUE);
    az_http_free(scene->http);
    scene->http = az_http_new(scene->clock, NULL);
    scene_wait(scene, before + 2);
    if (scene->error != NULL)
      g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED);
    cut += scene->error != NULL;
  }
  g_assert_cmpuint(cut, >, 5);
}

static void
on_silent(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  Scene *scene = data;
  scene->requests++;
  soup_server_message_pause(message);
}

static void
on_plain_end(AzlinOp *op, gpointer data)
{
  Scene *scene = data;
  scene->ended++;
  g_assert_error(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_CANCELLED);
}

static void
test_plain_call_ends(Scene *scene, gconstpointer unused)
{
  g_autofree char *url = scene_url(scene, "/silent");
  AzHttpPlain request = { .method = "GET", .url = url };
  soup_server_add_handler(scene->server, "/silent", on_silent, scene, NULL);
  az_http_send_plain(scene->http, &request, az_op_new_root(scene->clock, "one", 20000, NULL, on_plain_end, scene));
  az_http_send_plain(scene->http, &request, az_op_new_root(scene->clock, "two", 20000, NULL, on_plain_end, scene));
  while (scene->requests < 2)
    g_main_context_iteration(NULL, TRUE);
  az_http_free(scene->http);
  scene->http = az_http_new(scene->clock, NULL);
  scene_wait(scene, 2);
}

#define TEST(path, func) g_test_add(path, Scene, NULL, scene_set_up, func, scene_tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("/http/exchange/plain-get", test_plain_get);
  TEST("/http/exchange/token", test_token);
  TEST("/http/exchange/redirect-is-handed-over", test_redirect_is_handed_over);
  TEST("/http/exchange/401-renews-the-token-once", test_401_renews_the_token_once);
  TEST("/http/exchange/refused-unsent", test_refused_unsent);
  TEST("/http/exchange/cancelled-before-the-token", test_cancelled_before_the_token);
  TEST("/http/exchange/ends-in-between", test_ends_in_between);
  TEST("/http/exchange/plain-call-ends", test_plain_call_ends);
  return g_test_run();
}
