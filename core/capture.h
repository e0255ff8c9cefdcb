/* What a command writes, local or remote: capped, or cut into lines as it comes. */
#pragma once
#include "op.h"
#include "process.h"

typedef struct {
  GByteArray *out, *err;
  gsize max_output;
  AzLineSplitter lines; /* in use when on_line is set */
  gboolean over;
} AzCapture;

void az_capture_init(AzCapture *capture, const AzlinExec *request);
/* FALSE: more came on stdout than the request allows. What stderr has beyond 256 KiB is dropped. */
gboolean az_capture_push(AzCapture *capture, gboolean is_stderr, const char *bytes, gsize length);
/* Ends `op` with what was written; an overrun is an error. */
void az_capture_finish(AzCapture *capture, AzlinOp *op, int status, const char *what);
void az_capture_clear(AzCapture *capture);
