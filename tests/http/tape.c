/* Tapes: what is written down, and that it plays back without server, network and credentials. */
#include "scene.h"

#include "http-tape.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define MINE "12345678-aaaa-bbbb-cccc-123456789ABC"
#define NOBODY "00000000-0000-0000-0000-000000000000"
#define ROUND "/subscriptions/" MINE "/x?api-version=1"

typedef struct {
  Scene scene;
  char *folder, *file;
} Fixture;

static void
set_up(Fixture *f, gconstpointer unused)
{
  f->folder = g_dir_make_tmp("azlin-tape-XXXXXX", NULL);
  f->file = g_build_filename(f->folder, "tape", NULL);
  scene_set_up(&f->scene, NULL);
}

static void
tear_down(Fixture *f, gconstpointer unused)
{
  scene_tear_down(&f->scene, NULL);
  g_unsetenv("AZLIN_TAPE");
  g_unlink(f->file);
  g_rmdir(f->folder);
  g_free(f->file);
  g_free(f->folder);
}

static void
use_tape(Fixture *f, const char *how)
{
  g_autofree char *value = g_strconcat(how, ":", f->file, NULL);
  g_setenv("AZLIN_TAPE", value, TRUE);
  az_http_free(f->scene.http);
  f->scene.http = az_http_new(f->scene.clock, NULL);
}

/* The first request of all is refused, the second throttled, then answers count. */
static void
on_request(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  Scene *scene = data;
  guint n = scene->requests++;
  SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
  g_autofree char *json
      = g_strdup_printf("{\"n\":%u,\"id\":\"/subscriptions/" MINE "/x\",\"blob\":\"https://a.b/c?sv=1&sig=CANARY&x=1\","
                        "\"access_token\":\"CANARY\",\"subscriptionId\":\"" MINE "\"}",
                        n);
  g_autofree char *poll = g_strconcat(scene->origin, "/subscriptions/" MINE "/operations/1", NULL);
  soup_message_headers_append(headers, "Location", poll);
  soup_message_headers_append(headers, "Set-Cookie", "CANARY=1");
  if (n == 1)
    soup_message_headers_append(headers, "retry-after-ms", "300");
  soup_server_message_set_status(message, n == 0 ? 401 : n == 1 ? 429 : 200, NULL);
  soup_server_message_set_response(message, "application/json", SOUP_MEMORY_COPY, json, strlen(json));
}

static void
fetch(Scene *scene, const char *path)
{
  g_autofree char *url = scene_url(scene, path);
  AzlinHttp request
      = { .size = sizeof request, .method = "GET", .url = url, .identity = &scene->identity, .account = "s" };
  guint before = scene->ended;
  scene_start(scene, &request, 20000);
  scene_wait(scene, before + 1);
}

static char *
body_of(Scene *scene)
{
  return g_strndup(g_bytes_get_data(scene->body, NULL), g_bytes_get_size(scene->body));
}

static void
test_record_and_replay(Fixture *f, gconstpointer unused)
{
  Scene *scene = &f->scene;
  GStatBuf facts;
  g_autofree char *content = NULL;
  soup_server_add_handler(scene->server, "/subscriptions", on_request, scene, NULL);
  use_tape(f, "record");
  fetch(scene, ROUND);
  g_assert_cmpint(scene->status, ==, 200);
  g_autofree char *first = body_of(scene);
  fetch(scene, ROUND);
  g_autofree char *second = body_of(scene);
  g_assert_cmpuint(scene->requests, ==, 4);
  g_assert_cmpuint(scene->tokens, ==, 2);

  g_assert_cmpint(g_stat(f->file, &facts), ==, 0);
  g_assert_cmpint(facts.st_mode & 0777, ==, 0600);
  g_assert_true(g_file_get_contents(f->file, &content, NULL, NULL));
  g_assert_null(strstr(content, "CANARY"));
  g_assert_null(strstr(content, "canary-"));
  g_assert_null(strstr(content, MINE));
  g_assert_null(strstr(content, "127.0.0.1"));
  g_assert_nonnull(strstr(content, "/subscriptions/" NOBODY "/x"));

  use_tape(f, "replay");
  g_unsetenv("AZURE_CLIENT_SECRET");
  gint64 start = g_get_monotonic_time();
  fetch(scene, ROUND);
  g_autofree char *again = body_of(scene);
  g_assert_no_error(scene->error);
  g_assert_nonnull(strstr(again, "{\"n\":2,\"id\":\"/subscriptions/" MINE "/x\""));
  g_autofree char *poll = scene_url(scene, "/subscriptions/" MINE "/operations/1");
  g_assert_cmpstr(scene_header(scene, "location"), ==, poll);
  fetch(scene, "/subscriptions/" NOBODY "/x?api-version=1"); /* the same to the tape */
  g_autofree char *of_nobody = body_of(scene);
  g_assert_nonnull(strstr(of_nobody, "{\"n\":3,\"id\":\"/subscriptions/" NOBODY "/x\""));
  g_assert_cmpint(g_get_monotonic_time() - start, <, 250000);
  fetch(scene, ROUND);
  g_assert_error(scene->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  g_assert_nonnull(strstr(scene->error->message, "the tape has no answer to GET /subscriptions/"));
  g_assert_cmpuint(scene->requests, ==, 4);
  g_assert_cmpuint(scene->tokens, ==, 2);
}

static void
test_bad_tapes(Fixture *f, gconstpointer unused)
{
  static const char *const contents[] = { "{\"no\":\"key\"}\n", "[]\n", "nonsense\n", "{\"key\":1}\n" };
  g_assert_null(az_tape_open("rewind:x", NULL));
  g_assert_null(az_tape_open("record:", NULL));
  g_assert_null(az_tape_open("replay:/nonexistent/tape", NULL));
  g_assert_null(az_tape_open("record:/nonexistent/tape", NULL));
  for (guint i = 0; i < G_N_ELEMENTS(contents); i++) {
    g_autofree char *how = g_strconcat("replay:", f->file, NULL);
    g_autoptr(GError) error = NULL;
    g_assert_true(g_file_set_contents(f->file, contents[i], -1, NULL));
    g_assert_null(az_tape_open(how, &error));
    g_assert_nonnull(error);
  }
}

/* A tape takes the place of what is there: nothing is written into a file that others can read. */
static void
test_open_to_others(Fixture *f, gconstpointer unused)
{
  GStatBuf facts;
  g_autofree char *how = g_strconcat("record:", f->file, NULL);
  g_assert_true(g_file_set_contents(f->file, "old", -1, NULL));
  g_chmod(f->file, 0666);
  AzTape *tape = az_tape_open(how, NULL);
  g_assert_nonnull(tape);
  az_tape_close(tape);
  g_assert_cmpint(g_stat(f->file, &facts), ==, 0);
  g_assert_cmpint(facts.st_mode & 0777, ==, 0600);
}

#define TEST(path, func) g_test_add(path, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("/http/tape/record-and-replay", test_record_and_replay);
  TEST("/http/tape/bad-tapes", test_bad_tapes);
  TEST("/http/tape/open-to-others", test_open_to_others);
  return g_test_run();
}
