/* Everybody who gives out tokens, on loopback in this process, and an AzCredentials that asks them. */
#include "cloud.h"

#include <glib/gstdio.h>
#include <libsoup/soup.h>
#include <string.h>

typedef struct {
  int status;
  GBytes *body;
  char *retry_after;
} CloudAnswer;

static void
answer_free(gpointer data)
{
  CloudAnswer *answer = data;
  g_bytes_unref(answer->body);
  g_free(answer->retry_after);
  g_free(answer);
}

static void
record(Cloud *cloud, SoupServerMessage *message)
{
  static const char *const shown[] = { "Content-Type", "Metadata", "X-Identity-Header", "Authorization" };
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
  SoupMessageBody *body = soup_server_message_get_request_body(message);
  GUri *uri = soup_server_message_get_uri(message);
  const char *query = g_uri_get_query(uri);
  g_autoptr(GBytes) bytes = soup_message_body_flatten(body);
  GString *line = g_string_new(soup_server_message_get_method(message));
  g_string_append_printf(line, " %s?%s|", g_uri_get_path(uri), query != NULL ? query : "");
  for (guint i = 0; i < G_N_ELEMENTS(shown); i++) {
    const char *value = soup_message_headers_get_one(headers, shown[i]);
    if (value != NULL)
      g_string_append_printf(line, "%s: %s;", shown[i], value);
  }
  g_string_append_c(line, '|');
  g_string_append_len(line, g_bytes_get_data(bytes, NULL), (gssize) g_bytes_get_size(bytes));
  g_ptr_array_add(cloud->seen, g_string_free(line, FALSE));
}

static void
on_request(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  Cloud *cloud = data;
  record(cloud, message);
  if (cloud->silent) {
    soup_server_message_pause(message);
    g_ptr_array_add(cloud->silenced, g_object_ref(message));
    return;
  }
  if (cloud->answers.length == 0) {
    g_autofree char *json = g_strdup_printf(
        "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"canary-%u\"}", ++cloud->issued);
    cloud_answer(cloud, 200, json, NULL);
  }
  CloudAnswer *answer = g_queue_pop_head(&cloud->answers);
  gsize size;
  const char *bytes = g_bytes_get_data(answer->body, &size);
  soup_server_message_set_status(message, (guint) answer->status, NULL);
  soup_server_message_set_response(message, "application/json", SOUP_MEMORY_COPY, bytes, size);
  if (answer->retry_after != NULL)
    soup_message_headers_append(soup_server_message_get_response_headers(message), "Retry-After", answer->retry_after);
  answer_free(answer);
}

static void
clear_environment(Cloud *cloud)
{
  static const char *const names[] = { "AZURE_TENANT_ID",
                                       "AZURE_CLIENT_ID",
                                       "AZURE_CLIENT_SECRET",
                                       "AZURE_CLIENT_CERTIFICATE_PATH",
                                       "AZURE_CLIENT_CERTIFICATE_PASSWORD",
                                       "AZURE_FEDERATED_TOKEN_FILE",
                                       "AZURE_TOKEN_CREDENTIALS",
                                       "AZURE_CONFIG_DIR",
                                       "IDENTITY_ENDPOINT",
                                       "IDENTITY_HEADER",
                                       "HTTPS_PROXY",
                                       "https_proxy",
                                       "HTTP_PROXY",
                                       "http_proxy" };
  g_autofree char *bin = g_build_filename(cloud->dir, "bin", NULL);
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    g_unsetenv(names[i]);
  g_assert_cmpint(g_mkdir_with_parents(bin, 0700), ==, 0);
  g_setenv("PATH", bin, TRUE);
  g_setenv("HOME", cloud->dir, TRUE);
  g_setenv("AZURE_AUTHORITY_HOST", cloud->origin, TRUE);
  g_setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1", TRUE); /* nobody listens there */
}

static void
set_up(Cloud *cloud, AzClock *clock)
{
  g_autoptr(GError) error = NULL;
  *cloud = (Cloud){ .clock = clock, .seen = g_ptr_array_new_with_free_func(g_free) };
  cloud->silenced = g_ptr_array_new_with_free_func(g_object_unref);
  cloud->dir = g_build_filename(g_getenv("AZLIN_TEST_DIR"), "cloud-XXXXXX", NULL);
  g_assert_cmpint(g_mkdir_with_parents(g_getenv("AZLIN_TEST_DIR"), 0700), ==, 0);
  g_assert_nonnull(g_mkdtemp(cloud->dir));
  cloud->server = soup_server_new(NULL, NULL);
  g_assert_true(soup_server_listen_local(cloud->server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY, &error));
  g_assert_no_error(error);
  GSList *uris = soup_server_get_uris(cloud->server);
  cloud->origin = g_strdup_printf("http://127.0.0.1:%d", g_uri_get_port(uris->data));
  g_slist_free_full(uris, (GDestroyNotify) g_uri_unref);
  soup_server_add_handler(cloud->server, NULL, on_request, cloud, NULL);
  clear_environment(cloud);
  cloud->identity = (AzlinIdentity){ .size = sizeof cloud->identity,
                                     .origin = "https://management.azure.com",
                                     .authority = "https://login.microsoftonline.com",
                                     .scope = "https://management.azure.com/.default" };
  cloud->http = az_http_new(cloud->clock, NULL);
  cloud->credentials = az_credentials_new(cloud->http, cloud->clock);
}

void
cloud_set_up(Cloud *cloud, gconstpointer unused)
{
  set_up(cloud, az_clock_new_real());
}

void
cloud_set_up_virtual(Cloud *cloud, gconstpointer unused)
{
  set_up(cloud, az_clock_new_virtual(1800000000 * (gint64) G_USEC_PER_SEC));
}

void
cloud_tear_down(Cloud *cloud, gconstpointer unused)
{
  az_credentials_free(cloud->credentials);
  az_http_free(cloud->http);
  for (guint i = 0; i < cloud->silenced->len; i++)
    soup_server_message_unpause(g_ptr_array_index(cloud->silenced, i));
  soup_server_disconnect(cloud->server);
  while (g_main_context_iteration(NULL, FALSE))
    continue;
  g_object_unref(cloud->server);
  az_clock_free(cloud->clock);
  g_ptr_array_unref(cloud->seen);
  g_ptr_array_unref(cloud->silenced);
  g_queue_clear_full(&cloud->answers, answer_free);
  g_clear_error(&cloud->error);
  g_free(cloud->token);
  g_free(cloud->origin);
  g_free(cloud->dir);
}

void
cloud_name_principal(void)
{
  g_setenv("AZURE_TENANT_ID", "tenant", TRUE);
  g_setenv("AZURE_CLIENT_ID", "client", TRUE);
  g_setenv("AZURE_CLIENT_SECRET", "canary-secret", TRUE);
}

void
cloud_show_metadata(Cloud *cloud)
{
  g_setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", cloud->origin, TRUE);
}

void
cloud_install_az(Cloud *cloud, const char *script)
{
  g_autofree char *path = g_build_filename(cloud->dir, "bin", "az", NULL);
  g_autofree char *text = g_strdup_printf("#!/bin/sh\nDIR='%s'\n%s\n", cloud->dir, script);
  g_assert_true(g_file_set_contents(path, text, -1, NULL));
  g_assert_cmpint(g_chmod(path, 0700), ==, 0);
}

void
cloud_answer_bytes(Cloud *cloud, int status, GBytes *body)
{
  CloudAnswer *answer = g_new0(CloudAnswer, 1);
  *answer = (CloudAnswer){ .status = status, .body = g_bytes_ref(body) };
  g_queue_push_tail(&cloud->answers, answer);
}

void
cloud_answer(Cloud *cloud, int status, const char *body, const char *retry_after)
{
  g_autoptr(GBytes) bytes = g_bytes_new(body, strlen(body));
  cloud_answer_bytes(cloud, status, bytes);
  ((CloudAnswer *) g_queue_peek_tail(&cloud->answers))->retry_after = g_strdup(retry_after);
}

static void
on_token(const AzSecret *token, const GError *error, gpointer data)
{
  Cloud *cloud = data;
  g_assert_true((token == NULL) == (error != NULL));
  g_clear_error(&cloud->error);
  g_free(cloud->token);
  cloud->token = token != NULL ? g_strdup(az_secret_peek(token, NULL)) : NULL;
  cloud->error = error != NULL ? g_error_copy(error) : NULL;
  cloud->ended++;
}

AzlinOp *
cloud_start(Cloud *cloud, const AzSecret *rejected)
{
  AzlinOp *op = az_op_new_root(cloud->clock, "caller", 0, NULL, NULL, NULL);
  guint before = cloud->ended;
  az_credentials_get(cloud->credentials, &cloud->identity, rejected, op, on_token, cloud);
  g_assert_cmpuint(cloud->ended, ==, before); /* never from inside the call */
  return op;
}

void
cloud_wait(Cloud *cloud, guint ended)
{
  while (cloud->ended < ended)
    g_main_context_iteration(NULL, TRUE);
}

void
cloud_ask(Cloud *cloud, const AzSecret *rejected)
{
  guint before = cloud->ended;
  AzlinOp *op = cloud_start(cloud, rejected);
  cloud_wait(cloud, before + 1);
  az_op_finish(op);
  while (g_main_context_iteration(NULL, FALSE))
    continue;
  g_assert_cmpuint(cloud->ended, ==, before + 1);
}

void
cloud_expect_token(Cloud *cloud, const char *token)
{
  g_assert_no_error(cloud->error);
  g_assert_cmpstr(cloud->token, ==, token);
}

void
cloud_expect_error(Cloud *cloud, AzlinError code, const char *words)
{
  g_assert_error(cloud->error, AZLIN_ERROR, (int) code);
  if (strstr(cloud->error->message, words) == NULL)
    g_test_message("'%s' lacks '%s'", cloud->error->message, words);
  g_assert_nonnull(strstr(cloud->error->message, words));
  g_assert_null(strstr(cloud->error->message, "canary"));
  g_assert_null(cloud->token);
}

static void
set_flag(gpointer data)
{
  *(gboolean *) data = TRUE;
}

void
cloud_pass_time(Cloud *cloud, guint32 ms)
{
  gboolean over = FALSE;
  az_clock_after(cloud->clock, ms, set_flag, &over);
  while (!over)
    g_main_context_iteration(NULL, TRUE);
}

const char *
cloud_seen(Cloud *cloud, guint i)
{
  g_assert_cmpuint(i, <, cloud->seen->len);
  return g_ptr_array_index(cloud->seen, i);
}

char *
cloud_field(Cloud *cloud, guint i, const char *name)
{
  const char *body = strrchr(cloud_seen(cloud, i), '|') + 1;
  g_autoptr(GHashTable) form = soup_form_decode(body);
  return g_strdup(g_hash_table_lookup(form, name));
}
