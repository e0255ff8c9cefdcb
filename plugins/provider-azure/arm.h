/* One call of Azure Resource Manager: JSON out, JSON or a classified error back; long-running operations; paging. */
#pragma once
#include "azure.h"

#define ARM_COMPUTE "2024-07-01"
#define ARM_DISKS "2024-03-02"
#define ARM_SKUS "2021-07-01"
#define ARM_NETWORK "2024-01-01"
#define ARM_RESOURCES "2024-07-01"
#define ARM_SUBSCRIPTIONS "2022-12-01"
#define ARM_MARGIN_MS 20 /* after a wait that Azure asks for: timers and clocks of two machines differ a little */

typedef struct {
  int status;                 /* HTTP status; 0 = no answer */
  const json_t *body;         /* parsed; NULL = empty or no JSON */
  const AzlinHttpReply *http; /* NULL = no answer */
  const GError *error;        /* set when there was no answer, and for every status of 400 and above (404 too) */
  const char *code;           /* ARM's own error code that says most ("AllocationFailed"), "" = none */
} ArmReply;
typedef void (*ArmDone)(const ArmReply *reply, gpointer data);

typedef struct {
  const char *method;
  /* "/subscriptions/...?$filter=location eq 'eastus'": what may not stand in a URL is encoded, a '%' that begins an
   * escape is left alone; or a whole URL of the same origin (nextLink, polling), sent as it is */
  const char *path;
  const char *version;        /* api-version; NULL = the path carries it */
  json_t *body;               /* stolen; NULL = none (POST and PUT then send an empty one) */
  const char *const *headers; /* name, value, ..., NULL; or NULL */
  gboolean once;              /* as AzlinHttp.once */
  gboolean fresh;             /* this id was made by us moments ago: 404 is asked again for 120 s */
  gboolean fleeting;          /* its body is out of date once something else was in the way: that ends the call */
  gboolean raw;               /* a good answer's body is not parsed: it is long, and ArmReply.http has it */
  gboolean no_final;          /* arm_run() of PUT or PATCH: the resource itself is not read at the end */
  /* arm_run() of POST: what the action answered is read from Location when its Azure-AsyncOperation does not hold it */
  gboolean wants_answer;
} ArmCall;

/* `done` runs once, from the main loop, also when `op` ends first. `op` is the parent of the request. Answers that say
 * that something else is in the way (409 AnotherOperationInProgress, 400 NicReservedForAnotherVm, ...) are asked again
 * with growing pauses. */
void arm_call(Azure *azure, AzlinOp *op, const ArmCall *call, ArmDone done, gpointer data);

/* The call, and when it is accepted as a long-running operation, polling until it has ended: Azure-AsyncOperation
 * before Location, each Retry-After honoured, terminal states, provisioningState. `reply` of `done` is the last answer:
 * for PUT and PATCH the resource itself. `poll_url` (or NULL): is told the polling URL as soon as it is known, to be
 * journalled. */
typedef void (*ArmPollUrl)(const char *url, gpointer data);
void arm_run(Azure *azure, AzlinOp *op, const ArmCall *call, ArmPollUrl poll_url, ArmDone done, gpointer data);
/* Goes on with an operation whose polling URL a journal kept. `done` as above, without a final resource. */
void arm_resume(Azure *azure, AzlinOp *op, const char *url, ArmDone done, gpointer data);
/* All pages of a list: `done` once, body = an array of all `value` elements. At most 10,000 of them, 1000 pages and
 * 64 MiB, else an error. */
void arm_list(Azure *azure, AzlinOp *op, const char *path, const char *version, ArmDone done, gpointer data);

/* ---- pure ---- */

/* The error of an answer: its class from the code chain and the message (arm-error.c), the message for people, steps.
 * `ret_code` (or NULL): owned, the code that says most. */
GError *arm_error(Azure *azure, int status, const json_t *body, char **ret_code);
/* The same with Azure's own number of the request, from the headers of `http` (or NULL), in the message. */
GError *arm_error_of_reply(Azure *azure, int status, const json_t *body, const AzlinHttpReply *http, char **ret_code);
/* An answer of that status and code says only that something else is in the way: for how long it is asked again, in
 * seconds; 0 = it is not. */
int arm_busy_seconds(int status, const char *code);
const json_t *arm_member(const json_t *object, const char *dotted_path);                     /* borrowed; NULL = none */
const char *arm_string(const json_t *object, const char *dotted_path, const char *fallback); /* borrowed */
const char *arm_header(const AzlinHttpReply *reply, const char *lower_case_name);            /* NULL = none */
gboolean arm_same_id(const char *a, const char *b); /* ids are compared without case */
/* FALSE for names and ids that could not be ours: characters outside [A-Za-z0-9._()/-], "..", over 2 kB. */
gboolean arm_id_is_sane(const char *id);
/* The URL that a call goes to, owned; NULL = `path` is neither a path nor a URL of the endpoint's origin. */
char *arm_url(const char *endpoint, const char *path, const char *version);
gboolean arm_is_loopback(const char *host); /* an address or a name */
gboolean arm_same_origin(const char *endpoint, const char *url);
/* "GET virtualMachines/azlin-eastus": what a call is called in messages; never with its query. Owned. */
char *arm_call_name(const char *method, const char *path);
char *arm_region_name(const char *location); /* "East US" -> "eastus"; owned */
/* `text` for people: first line, at most 300 characters, nothing that a terminal obeys. Owned. */
char *arm_clean(const char *text);
gint64 arm_time(const char *text); /* ISO 8601 to microseconds; 0 = none */
