/* What all files of the ARM double share: its world, and the JSON helpers that they are written with. */
#pragma once
#include <gio/gio.h>
#include <jansson.h>
#include <libsoup/soup.h>

typedef struct _Rules Rules;
typedef struct _Faults Faults;
typedef struct _Journal Journal;
typedef struct _Budget Budget;

typedef struct {
  SoupServer *server;  /* token endpoint, IMDS and ARM */
  SoupServer *foreign; /* another origin: nothing of azlin has any business here */
  guint port, foreign_port;
  Rules *rules;
  json_t *settings;       /* see settings.c */
  GTree *resources;       /* lower-case id -> Resource */
  GHashTable *operations; /* guid -> Operation */
  GHashTable *tokens;     /* access token -> Token */
  GHashTable *graves;     /* lower-case ids of groups that were deleted */
  GHashTable *links;      /* request targets handed out as nextLink -> how many elements came before */
  Faults *faults;
  Journal *journal;
  Budget *budget;
  GRand *rand;
  guint next_address;
  gint64 began; /* monotonic, microseconds */
} Double;

/* The element behind "a.b.c" or "a.0.c"; NULL = none. Borrowed. */
json_t *json_at(json_t *object, const char *path);
const char *json_text_at(json_t *object, const char *path, const char *fallback);
gint64 json_int_at(json_t *object, const char *path, gint64 fallback);
gboolean json_true_at(json_t *object, const char *path);
/* Sets "a.b.c", making the objects on the way; `value` is stolen. */
void json_put_at(json_t *object, const char *path, json_t *value);
json_t *json_text_f(const char *format, ...) G_GNUC_PRINTF(1, 2);
gboolean same_text(const char *a, const char *b); /* without case; NULL equals NULL alone */

/* Milliseconds since the double began. */
double double_now(const Double *world);
/* "2026-11-23T21:56:07.3300000Z" */
char *double_timestamp(void);
