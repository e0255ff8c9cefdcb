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

#define TEST(path, func) g_test_add(path, Scene, NULL, scene_set_up, func, scene_tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("/http/exchange/plain-get", test_plain_get);
  TEST("/http/exchange/token", test_token);
  return g_test_run();
}
