/* Long-running operations: they end by a timer, well or badly or never, and can be asked about. */
#pragma once
#include "exchange.h"
#include "store.h"

/* Runs once, when the operation ends; `operation->error` tells how. */
typedef void (*OperationDone)(Double *world, Operation *operation, gpointer data);

struct _Operation {
  Double *world;
  char *guid;
  char *resource_id; /* of what it works on; the resource may be gone when it ends */
  char *provider;    /* "Microsoft.Compute" */
  char *location;
  char *started, *ended; /* timestamps; ended NULL = it runs */
  json_t *error;         /* {"code","message"}; NULL = none */
  gboolean canceled;
  json_t *result;                       /* of a POST: its final answer; NULL = none */
  char *async_target, *location_target; /* as handed out; NULL = never */
  guint timer;
  OperationDone done;
  gpointer data;
  OperationDone watch; /* of the deployment that waits for it; its id in `watcher` */
  char *watcher;
};

GHashTable *operations_new(void);
/* Starts one on a resource (NULL = none, then `id`). `faults` decide "duration", "fail" and "never". `ms` < 0: it lasts
 * until operation_end(). */
Operation *operation_start(Double *world, Resource *resource, const char *id, gint64 ms, const GPtrArray *faults,
                           OperationDone done, gpointer data);
/* Ends it before its time, badly. */
void operation_abort(Operation *operation, const char *code, const char *message);
void operation_end(Operation *operation, json_t *error); /* `error`: stolen; NULL = well */
gboolean operation_runs(const Operation *operation);
/* The headers of the 201 or 202 that begins it; `location`: with a Location, `async`: with an Azure-AsyncOperation. */
void operation_headers(Exchange *exchange, Operation *operation, gboolean async, gboolean location);
/* GET of a polling URL. */
void operation_poll(Exchange *exchange);
gboolean operation_is_poll(const char *path);
