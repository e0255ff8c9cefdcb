/* The record of requests and misdeeds that GET /__state and GET /__log show. */
#include "journal.h"

enum { MOST_REQUESTS = 500000 };

struct _Journal {
  GPtrArray *requests;
  json_t *violations, *early, *outside, *leaks;
  gint64 tokens, without_id;
};

static void
request_clear(gpointer data)
{
  Request *request = data;
  g_free(request->method);
  g_free(request->target);
  g_free(request->kind);
}

Request *
request_ref(Request *request)
{
  return g_rc_box_acquire(request);
}

void
request_unref(Request *request)
{
  g_rc_box_release_full(request, request_clear);
}

Journal *
journal_new(void)
{
  Journal *journal = g_new0(Journal, 1);
  journal->requests = g_ptr_array_new_with_free_func((GDestroyNotify) request_unref);
  journal->violations = json_array();
  journal->early = json_array();
  journal->outside = json_array();
  journal->leaks = json_array();
  return journal;
}

void
journal_free(Journal *journal)
{
  g_ptr_array_unref(journal->requests);
  json_decref(journal->violations);
  json_decref(journal->early);
  json_decref(journal->outside);
  json_decref(journal->leaks);
  g_free(journal);
}

Request *
journal_request(Double *world, const char *method, const char *target)
{
  if (world->journal->requests->len >= MOST_REQUESTS)
    g_error("the double remembers at most %d requests: reset it between tests", MOST_REQUESTS);
  Request *request = g_rc_box_new0(Request);
  request->at = double_now(world);
  request->method = g_strdup(method);
  request->target = g_strdup(target);
  g_ptr_array_add(world->journal->requests, request);
  return request;
}

void
journal_violation(Double *world, const char *method, const char *url, const char *reason)
{
  json_array_append_new(world->journal->violations,
                        json_pack("{s:s, s:s, s:s}", "method", method, "url", url, "reason", reason));
}

void
journal_early(Double *world, const char *method, const char *url, const char *scope, double ms)
{
  json_array_append_new(world->journal->early, json_pack("{s:s, s:s, s:s, s:f, s:f}", "method", method, "url", url,
                                                         "scope", scope, "ms", ms, "at", double_now(world)));
}

void
journal_outside(Double *world, const char *method, const char *url, const char *id)
{
  json_array_append_new(world->journal->outside, json_pack("{s:s, s:s, s:s}", "method", method, "url", url, "id", id));
}

void
journal_leak(Double *world, const char *where, const char *url)
{
  json_array_append_new(world->journal->leaks, json_pack("{s:s, s:s}", "where", where, "url", url));
}

void
journal_token_issued(Double *world)
{
  world->journal->tokens++;
}

void
journal_without_id(Double *world)
{
  world->journal->without_id++;
}

static void
count(json_t *table, const char *name)
{
  json_object_set_new(table, name, json_integer(json_integer_value(json_object_get(table, name)) + 1));
}

static json_t *
count_requests(Journal *journal)
{
  json_t *kinds = json_object(), *methods = json_object(), *statuses = json_object();
  for (guint i = 0; i < journal->requests->len; i++) {
    const Request *request = g_ptr_array_index(journal->requests, i);
    g_autofree char *status = g_strdup_printf("%u", request->status);
    count(kinds, request->kind != NULL ? request->kind : "unknown");
    count(methods, request->method);
    count(statuses, status);
  }
  return json_pack("{s:i, s:o, s:o, s:o}", "total", (int) journal->requests->len, "kinds", kinds, "methods", methods,
                   "statuses", statuses);
}

void
journal_report(Double *world, json_t *state)
{
  Journal *journal = world->journal;
  json_object_set(state, "violations", journal->violations);
  json_object_set(state, "early_requests", journal->early);
  json_object_set(state, "writes_outside", journal->outside);
  json_object_set(state, "leaked_tokens", journal->leaks);
  json_object_set_new(state, "tokens_issued", json_integer(journal->tokens));
  json_object_set_new(state, "without_client_request_id", json_integer(journal->without_id));
  json_object_set_new(state, "requests", count_requests(journal));
}

json_t *
journal_requests(Double *world)
{
  json_t *list = json_array();
  for (guint i = 0; i < world->journal->requests->len; i++) {
    const Request *request = g_ptr_array_index(world->journal->requests, i);
    json_array_append_new(list, json_pack("{s:f, s:f, s:s, s:s, s:s, s:i}", "at", request->at, "answered",
                                          request->answered, "method", request->method, "target", request->target,
                                          "kind", request->kind != NULL ? request->kind : "unknown", "status",
                                          (int) request->status));
  }
  return list;
}
