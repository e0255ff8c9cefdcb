/* What the files of this brick share: a copy at work, its two roads, the scripts for the machines, the prediction. */
#pragma once
#include "azlin-plugin.h"

typedef struct {
  AzlinHost *host;
} Stream;

typedef struct { /* one copy; what `job` points to is its own */
  Stream *self;
  AzlinOp *op;
  AzlinSyncJob job;
  GBytes *names;     /* job.only and the folders above */
  GPtrArray *errors; /* of char* */
  guint64 sent;      /* bytes that went over the line */
} StreamCopy;

/* ---- stream.c: the ends of a copy; each frees it ---- */

void stream_done(StreamCopy *copy, gboolean incomplete);
void stream_fail(StreamCopy *copy, GError *error);
/* "incomplete" when the report of azlin_place names something; its sentences go to copy->errors. */
void stream_placed(StreamCopy *copy, int status, GBytes *out, GBytes *err);

/* ---- direct.c: from machine to machine ---- */

void stream_direct(StreamCopy *copy);

/* ---- script-*.c ---- */

extern const char stream_send_script[];
char *stream_receive_script(void); /* for sync_grant() */
char *stream_finish_script(void);
