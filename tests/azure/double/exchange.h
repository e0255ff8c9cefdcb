/* One request and its answer, from arrival to the last byte. */
#pragma once
#include "double.h"
#include "journal.h"
#include "rules.h"

typedef struct {
  Double *world;
  SoupServerMessage *message; /* NULL once the client or the connection is gone */
  gboolean foreign;           /* it came to the other origin */
  const char *method;
  char *path, *target; /* percent-encoded; target = path?query */
  char *base;          /* "http://127.0.0.1:8080": how the client calls us */
  GHashTable *query;   /* name -> decoded value */
  GHashTable *segments;
  const Rule *rule; /* NULL = none of the official files */
  const char *kind; /* operationId or "Token", "Poll", ... */
  const char *subscription;
  json_t *body; /* NULL = none, or no JSON */
  gboolean has_body;
  GPtrArray *faults;
  Request *record;
  gboolean paused;
  /* the answer */
  guint status;
  json_t *answer; /* NULL = none */
  gboolean answered;
} Exchange;

void
exchange_receive(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer world);

/* Exactly one of these ends a handler. `body` is stolen; NULL = none. */
void exchange_json(Exchange *exchange, guint status, json_t *body);
void exchange_error(Exchange *exchange, guint status, const char *code, const char *format, ...) G_GNUC_PRINTF(4, 5);
void exchange_text(Exchange *exchange, guint status, const char *type, const char *text, gssize length);

void exchange_header(Exchange *exchange, const char *name, const char *value);
void exchange_retry_after(Exchange *exchange, guint seconds);
const char *exchange_segment(const Exchange *exchange, const char *name); /* "" = none */
const char *exchange_query(const Exchange *exchange, const char *name);   /* NULL = none */
/* Records what is wrong and, when the double is strict, answers 400: TRUE = it is answered. */
gboolean exchange_blame(Exchange *exchange, const char *reason);
/* {"error":{"code","message"}} */
json_t *error_body(const char *code, const char *message);
