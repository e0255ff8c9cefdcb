/* A server on loopback in this process, an AzHttp on the real clock, and one call that waits for an answer. */
#include "scene.h"

#include <string.h>

static void
on_token(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  Scene *scene = data;
  g_autofree char *json = g_strdup_printf("{\"access_token\":\"canary-%u\",\"expires_in\":3599}", ++scene->tokens);
  soup_server_message_set_status(message, 200, NULL);
  soup_server_message_set_response(message, "application/json", SOUP_MEMORY_COPY, json, strlen(json));
}

void
scene_set_up(Scene *scene, gconstpointer unused)
{
  g_autoptr(GError) error = NULL;
  *scene = (Scene){ .clock = az_clock_new_real() };
  scene->server = soup_server_new(NULL, NULL);
  g_assert_true(soup_server_listen_local(scene->server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY, &error));
  g_assert_no_error(error);
  GSList *uris = soup_server_get_uris(scene->server);
  scene->origin = g_strdup_printf("http://127.0.0.1:%d", g_uri_get_port(uris->data));
  g_slist_free_full(uris, (GDestroyNotify) g_uri_unref);
  soup_server_add_handler(scene->server, "/tenant/oauth2/v2.0/token", on_token, scene, NULL);
  g_setenv("AZURE_AUTHORITY_HOST", scene->origin, TRUE);
  g_setenv("AZURE_TENANT_ID", "tenant", TRUE);
  g_setenv("AZURE_CLIENT_ID", "client", TRUE);
  g_setenv("AZURE_CLIENT_SECRET", "secret", TRUE);
  scene->identity = (AzlinIdentity){ .size = sizeof scene->identity,
                                     .origin = scene->origin,
                                     .authority = scene->origin,
                                     .scope = "https://management.azure.com/.default" };
  scene->http = az_http_new(scene->clock, NULL);
}

static void
clear_answer(Scene *scene)
{
  scene->status = 0;
  g_clear_error(&scene->error);
  g_clear_pointer(&scene->body, g_bytes_unref);
  g_clear_pointer(&scene->headers, g_strfreev);
}

void
scene_tear_down(Scene *scene, gconstpointer unused)
{
  clear_answer(scene);
  az_http_free(scene->http);
  soup_server_disconnect(scene->server);
  while (g_main_context_iteration(NULL, FALSE))
    continue;
  g_object_unref(scene->server);
  az_clock_free(scene->clock);
  g_free(scene->origin);
}

char *
scene_url(Scene *scene, const char *path)
{
  return g_strconcat(scene->origin, path, NULL);
}

static void
on_end(AzlinOp *op, gpointer data)
{
  Scene *scene = data;
  const AzlinHttpReply *reply = az_op_http(op);
  clear_answer(scene);
  scene->ended++;
  if (az_op_error(op) != NULL) {
    scene->error = g_error_copy(az_op_error(op));
    return;
  }
  g_assert_nonnull(reply);
  scene->status = reply->status;
  scene->body = g_bytes_ref(reply->body);
  scene->headers = g_strdupv((char **) (guintptr) reply->headers);
}

AzlinOp *
scene_start(Scene *scene, const AzlinHttp *request, guint32 timeout_ms)
{
  AzlinOp *op = az_op_new_root(scene->clock, "request", timeout_ms, NULL, on_end, scene);
  az_http_send(scene->http, request, op);
  return op;
}

void
scene_wait(Scene *scene, guint n)
{
  while (scene->ended < n)
    g_main_context_iteration(NULL, TRUE);
}

void
scene_get(Scene *scene, const char *path)
{
  g_autofree char *url = scene_url(scene, path);
  AzlinHttp request = { .size = sizeof request, .method = "GET", .url = url };
  guint before = scene->ended;
  scene_start(scene, &request, 20000);
  scene_wait(scene, before + 1);
}

const char *
scene_header(Scene *scene, const char *name)
{
  for (char **header = scene->headers; header != NULL && header[0] != NULL; header += 2)
    if (g_str_equal(header[0], name))
      return header[1];
  return NULL;
}
