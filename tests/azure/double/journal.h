/* What the double remembers of its clients: each request, and everything that they did wrong. */
#pragma once
#include "double.h"

typedef struct {
  double at, answered; /* ms since the beginning; answered 0 = never */
  char *method, *target, *kind;
  guint status; /* 0 = no answer was given */
} Request;

Journal *journal_new(void);
void journal_free(Journal *journal);
/* Owned by the journal; request_ref() keeps it longer. */
Request *journal_request(Double *world, const char *method, const char *target);
Request *request_ref(Request *request);
void request_unref(Request *request);
void journal_violation(Double *world, const char *method, const char *url, const char *reason);
/* `scope`: "request" (the same request again), "budget" (of the subscription) or "poll". `ms`: how much too early. */
void journal_early(Double *world, const char *method, const char *url, const char *scope, double ms);
void journal_outside(Double *world, const char *method, const char *url, const char *id);
/* A token was seen where none may be. */
void journal_leak(Double *world, const char *where, const char *url);
void journal_token_issued(Double *world);
/* A request to ARM came without x-ms-client-request-id. */
void journal_without_id(Double *world);
/* Puts "violations", "early_requests", "requests", "leaked_tokens", ... into `state`. */
void journal_report(Double *world, json_t *state);
/* [{at, answered, method, target, kind, status}] */
json_t *journal_requests(Double *world);
