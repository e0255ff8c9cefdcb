/* Local processes: argv only, minimal environment, output capped, never a shell. */
#pragma once
#include "azlin-plugin.h"
/* Runs request->argv here (request->vm is NULL) and finishes `op` with its reply; cancelling kills the process group.
 */
void az_process_run(const AzlinExec *request, AzlinOp *op);
/* Its standard input stays open for more. */
gboolean az_exec_is_interactive(const AzlinExec *request);
/* Splits a byte stream into lines for AzlinExec.on_line ("\r\n" ends one line, not two); shared with remote.c. */
typedef struct {
  GString *rest;
  void (*on_line)(const char *line, gpointer data);
  gpointer data;
  gboolean after_cr;
} AzLineSplitter;
void az_line_splitter_push(AzLineSplitter *splitter, const char *bytes, gsize length);
void az_line_splitter_end(AzLineSplitter *splitter);
