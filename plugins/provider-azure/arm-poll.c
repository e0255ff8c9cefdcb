/* Long-running operations: polled until they have ended, each Retry-After honoured, then the resource itself read. */
#include "arm.h"
#include <string.h>

#define LOST_READS 3u      /* polls answered 404 before the resource is asked instead */
#define FAILED_READS 4u    /* other polls without an answer in a row before the resource is asked instead */
#define LEAST_PAUSE_MS 250 /* where Azure says "at once", it is not asked in a circle */

typedef enum {
  BY_STATUS,   /* Azure-AsyncOperation: {"status": ...} */
  BY_LOCATION, /* Location: 202 = running */
  BY_EITHER,   /* a URL out of a journal: whatever the body shows */
  BY_RESOURCE, /* the resource's own provisioningState */
} How;

typedef enum { RUNNING, SUCCEEDED, FAILED } State;

typedef struct {
  Azure *azure;
  AzlinOp *op;
  char *method, *path, *version; /* the call that began it; method NULL = resumed */
  char *poll_url, *answer_url;   /* answer_url: read at the end where the status holds no output */
  How how;
  gboolean wants_resource, wants_answer;
  ArmPollUrl tell;
  ArmDone done;
  gpointer data;
  guint polls, lost, unread;
  gint64 asked_ms; /* the last answer's Retry-After; -1 = none */
} Run;

static void poll(Run *run);
static void read_resource(Run *run);

static const AzlinHostApi *
api_of(Run *run)
{
  return run->azure->api;
}

static void
run_free(Run *run)
{
  g_free(run->method);
  g_free(run->path);
  g_free(run->version);
  g_free(run->poll_url);
  g_free(run->answer_url);
  g_free(run);
}

static void
deliver(Run *run, const ArmReply *reply)
{
  run->done(reply, run->data);
  run_free(run);
}

static void
deliver_error(Run *run, const ArmReply *last, const GError *error, const char *code)
{
  ArmReply reply = { .status = last->status, .body = last->body, .http = last->http, .error = error, .code = code };
  deliver(run, &reply);
}

/* The error that an operation ended with: {"error": {...}} beside its status. */
static void
deliver_failure(Run *run, const ArmReply *last)
{
  g_autofree char *code = NULL;
  g_autoptr(GError) error = arm_error_of_reply(run->azure, 0, last->body, last->http, &code);
  deliver_error(run, last, error, code);
}

static void
note_pause(Run *run, const AzlinHttpReply *http)
{
  run->asked_ms = http != NULL ? http->retry_after_ms : -1;
}

/* ---- what an answer says ---- */

static State
state_of_word(const char *word)
{
  if (g_ascii_strcasecmp(word, "Succeeded") == 0)
    return SUCCEEDED;
  if (g_ascii_strcasecmp(word, "Failed") == 0 || g_ascii_strcasecmp(word, "Canceled") == 0
      || g_ascii_strcasecmp(word, "Cancelled") == 0)
    return FAILED;
  return RUNNING;
}

/* A resource without a provisioningState is there at once. */
static State
state_of_resource(const json_t *body)
{
  return state_of_word(arm_string(body, "properties.provisioningState", "Succeeded"));
}

static State
state_of_poll(How how, int status, const json_t *body)
{
  const char *word = arm_string(body, "status", NULL);
  if (how == BY_RESOURCE)
    return state_of_resource(body);
  if (word != NULL && how != BY_LOCATION)
    return state_of_word(word);
  if (status == 202)
    return RUNNING;
  if (how == BY_STATUS) /* answered with the resource instead */
    return state_of_resource(body);
  return SUCCEEDED;
}

/* ---- the end ---- */

static void
on_resource(const ArmReply *reply, gpointer data)
{
  Run *run = data;
  note_pause(run, reply->http);
  gboolean deleted = g_strcmp0(run->method, "DELETE") == 0;
  if (deleted && reply->status == 404) {
    ArmReply gone = { .status = 204, .http = reply->http, .code = "" };
    deliver(run, &gone);
    return;
  }
  if (reply->error != NULL) {
    deliver(run, reply);
    return;
  }
  State state = state_of_resource(reply->body);
  if (state == FAILED)
    deliver_failure(run, reply);
  else if (state == SUCCEEDED && !deleted)
    deliver(run, reply);
  else { /* read sooner than it shows what was done, or its operation is known by this alone */
    run->how = BY_RESOURCE;
    poll(run);
  }
}

static void
read_resource(Run *run)
{
  ArmCall call = { .method = "GET", .path = run->path, .version = run->version, .fresh = run->wants_resource };
  arm_call(run->azure, run->op, &call, on_resource, run);
}

static void
on_answer(const ArmReply *reply, gpointer data)
{
  deliver(data, reply);
}

static void
succeed(Run *run, const ArmReply *last)
{
  if (run->wants_resource) {
    read_resource(run);
    return;
  }
  if (run->answer_url != NULL && arm_member(last->body, "properties.output") == NULL) {
    const ArmCall call = { .method = "GET", .path = run->answer_url };
    arm_call(run->azure, run->op, &call, on_answer, run);
    return;
  }
  deliver(run, last);
}

/* ---- polling ---- */

static gboolean
is_final_refusal(Run *run, const ArmReply *reply)
{
  if (reply->status == 0) /* the op ended, there is no login any more, or the URL may not be used */
    return g_error_matches(reply->error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED)
           || g_error_matches(reply->error, AZLIN_ERROR, AZLIN_ERROR_AUTH)
           || g_error_matches(reply->error, AZLIN_ERROR, AZLIN_ERROR_CONFIG)
           || g_error_matches(reply->error, AZLIN_ERROR, AZLIN_ERROR_THROTTLED);
  if (reply->status == 401 || reply->status == 429) /* after all that is tried for these */
    return TRUE;
  return run->how == BY_LOCATION && reply->status >= 400 && reply->status < 500 && reply->status != 404
         && reply->status != 408;
}

/* The read failed, not the operation. */
static void
on_unread(Run *run, const ArmReply *reply)
{
  guint *count = reply->status == 404 ? &run->lost : &run->unread;
  if (is_final_refusal(run, reply)) {
    deliver(run, reply);
    return;
  }
  ++*count;
  if (run->lost < LOST_READS && run->unread < FAILED_READS) {
    poll(run);
    return;
  }
  if (run->path == NULL) {
    deliver(run, reply);
    return;
  }
  run->how = BY_RESOURCE;
  read_resource(run);
}

static void
on_polled(const ArmReply *reply, gpointer data)
{
  Run *run = data;
  note_pause(run, reply->http);
  if (reply->error != NULL) {
    on_unread(run, reply);
    return;
  }
  run->unread = 0;
  switch (state_of_poll(run->how, reply->status, reply->body)) {
  case SUCCEEDED:
    succeed(run, reply);
    break;
  case FAILED:
    deliver_failure(run, reply);
    break;
  case RUNNING:
  default:
    poll(run);
  }
}

static void
on_pause(AzlinOp *child, gpointer data)
{
  Run *run = data;
  const GError *error = api_of(run)->op_error(child);
  if (error != NULL) {
    ArmReply reply = { .error = error, .code = "" };
    deliver(run, &reply);
    return;
  }
  if (run->how == BY_RESOURCE) {
    read_resource(run);
    return;
  }
  ArmCall call = { .method = "GET", .path = run->poll_url };
  arm_call(run->azure, run->op, &call, on_polled, run);
}

static void
poll(Run *run)
{
  static const guint8 SECONDS[] = { 1, 2, 3, 5, 5, 5, 5, 5, 10 };
  guint step = MIN(run->polls, G_N_ELEMENTS(SECONDS) - 1u);
  gint64 least = MIN(LEAST_PAUSE_MS << MIN(run->polls, 3u), 1000); /* "Retry-After: 0" is no call to spend the budget */
  gint64 asked = run->asked_ms > 0 ? run->asked_ms + ARM_MARGIN_MS : run->asked_ms;
  gint64 ms = asked >= 0 ? MAX(asked, least) : SECONDS[step] * 1000;
  run->polls++;
  AzlinOp *child = api_of(run)->op_new(run->op, "wait for Azure", 0, on_pause, run);
  api_of(run)->sleep(run->azure->host, (guint32) MIN(ms, G_MAXINT32), child);
}

/* ---- the beginning ---- */

static void
follow(Run *run, const ArmReply *reply)
{
  const char *by_status = arm_header(reply->http, "azure-asyncoperation");
  const char *location = arm_header(reply->http, "location"), *url = by_status != NULL ? by_status : location;
  if (url == NULL) {
    run->how = BY_RESOURCE;
    poll(run);
    return;
  }
  run->poll_url = g_strdup(url);
  run->how = by_status != NULL ? BY_STATUS : BY_LOCATION;
  run->answer_url = run->wants_answer && by_status != NULL ? g_strdup(location) : NULL;
  if (run->tell != NULL && arm_same_origin(run->azure->endpoint, url))
    run->tell(url, run->data);
  poll(run);
}

/* Accepted and still going on. The state that a resource shows counts before any header. */
static gboolean
goes_on(Run *run, const ArmReply *reply)
{
  const char *state = arm_string(reply->body, "properties.provisioningState", NULL);
  gboolean has_url
      = arm_header(reply->http, "azure-asyncoperation") != NULL || arm_header(reply->http, "location") != NULL;
  if (reply->status == 204 || (reply->status != 202 && state != NULL && state_of_word(state) == SUCCEEDED))
    return FALSE;
  if (has_url)
    return TRUE;
  if (reply->status == 202) /* of a POST nothing shows when it is done */
    return !g_str_equal(run->method, "POST");
  return state != NULL && state_of_word(state) == RUNNING;
}

static void
on_begun(const ArmReply *reply, gpointer data)
{
  Run *run = data;
  note_pause(run, reply->http);
  gboolean begun = reply->status >= 200 && reply->status < 300;
  if (begun && goes_on(run, reply))
    follow(run, reply);
  else if (begun && reply->error != NULL && run->wants_resource) /* done, but its answer was broken on the way */
    read_resource(run);
  else if (begun && reply->error == NULL && state_of_resource(reply->body) == FAILED)
    deliver_failure(run, reply);
  else
    deliver(run, reply);
}

/* Where the resource itself is read: without the query, and for an action without its last word. */
static char *
resource_path(const ArmCall *call)
{
  char *path = g_strndup(call->path, strcspn(call->path, "?"));
  char *action = g_str_equal(call->method, "POST") ? strrchr(path, '/') : NULL;
  if (action != NULL)
    *action = '\0';
  return path;
}

void
arm_run(Azure *azure, AzlinOp *op, const ArmCall *call, ArmPollUrl poll_url, ArmDone done, gpointer data)
{
  Run *run = g_new0(Run, 1);
  gboolean makes = g_str_equal(call->method, "PUT") || g_str_equal(call->method, "PATCH");
  *run = (Run){ .azure = azure, .op = op, .tell = poll_url, .done = done, .data = data, .asked_ms = -1 };
  run->method = g_strdup(call->method);
  run->path = resource_path(call);
  run->version = g_strdup(call->version);
  run->wants_resource = makes && !call->no_final;
  run->wants_answer = call->wants_answer;
  arm_call(azure, op, call, on_begun, run);
}

void
arm_resume(Azure *azure, AzlinOp *op, const char *url, ArmDone done, gpointer data)
{
  Run *run = g_new0(Run, 1);
  *run = (Run){ .azure = azure, .op = op, .how = BY_EITHER, .done = done, .data = data, .asked_ms = -1 };
  run->poll_url = g_strdup(url);
  ArmCall call = { .method = "GET", .path = url };
  arm_call(azure, op, &call, on_polled, run);
}
