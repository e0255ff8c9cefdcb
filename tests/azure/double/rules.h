/* The rules of requests taken from the official files: which operation a request is, and what is wrong with it. */
#pragma once
#include "double.h"

typedef struct {
  char *id; /* operationId: "VirtualMachines_CreateOrUpdate" */
  char *method, *version;
  char **parts; /* of the path template, without the empty first one */
  guint count, literals;
  gboolean scoped;          /* the first part stands for any number of parts */
  json_t *segments, *query; /* borrowed from the file: name -> rules */
  json_t *body;             /* borrowed: {"required", "schema"}; NULL = the operation takes none */
} Rule;

Rules *rules_load(const char *file, GError **error);
void rules_free(Rules *rules);
/* The operation of a raw (percent-encoded) path; NULL = none. `ret_segments` (or NULL): name -> decoded value. */
const Rule *rules_match(Rules *rules, const char *method, const char *path, GHashTable **ret_segments);
/* TRUE: some operation has this path, with another method. */
gboolean rules_know_path(Rules *rules, const char *path);
/* The operation that makes resources of a type ("Microsoft.Network/publicIPAddresses") at an id; NULL = none. */
const Rule *rules_for_put(Rules *rules, const char *id);

/* Appends to `reasons` (of owned strings) whatever is wrong. `query`: name -> decoded value, with the api-version.
 * `body` NULL = none was sent. */
void
rules_check(Rules *rules, const Rule *rule, GHashTable *segments, GHashTable *query, json_t *body, GPtrArray *reasons);
void rules_check_body(Rules *rules, const Rule *rule, json_t *body, GPtrArray *reasons);

/* schema.c: one value against one schema of the file. */
typedef struct {
  json_t *schemas;
  GHashTable *patterns; /* pattern -> GRegex */
  GPtrArray *reasons;   /* NULL elements never */
} SchemaCheck;
void schema_check(SchemaCheck *check, json_t *schema, json_t *value, const char *where);
gboolean schema_matches(GHashTable *patterns, const char *pattern, const char *text);
