/* A server on loopback in this process, an AzHttp on the real clock, and one call that waits for an answer. */
#pragma once
#include "http.h"

#include <libsoup/soup.h>

typedef struct {
  AzClock *clock;
  AzHttp *http;
  SoupServer *server;
  char *origin; /* "http://127.0.0.1:PORT" */
  AzlinIdentity identity;
  /* the last answer */
  int status;
  GError *error;
  GBytes *body;
  char **headers;
  guint ended;
  /* what the server saw */
  guint requests, tokens;
} Scene;

void scene_set_up(Scene *scene, gconstpointer unused);
void scene_tear_down(Scene *scene, gconstpointer unused);
/* Owned address of `path` on the server. */
char *scene_url(Scene *scene, const char *path);
/* Starts the request under a root op; scene->ended counts it when it has ended. */
AzlinOp *scene_start(Scene *scene, const AzlinHttp *request, guint32 timeout_ms);
/* Runs the loop until `n` requests have ended. */
void scene_wait(Scene *scene, guint n);
/* GET of `path` without a token, and waits. */
void scene_get(Scene *scene, const char *path);
const char *scene_header(Scene *scene, const char *name);
