/* What a command writes, local or remote: capped, or cut into lines as it comes. */
#include "capture.h"

#include <string.h>

#define DEFAULT_MAX_OUTPUT (1024 * 1024)
#define MAX_ERR (256 * 1024)
#define MAX_LINE (64 * 1024)

static void
emit(AzLineSplitter *splitter)
{
  /* a NUL would end the line early for whoever reads it as a string */
  for (gsize i = 0; i < splitter->rest->len; i++) {
    if (splitter->rest->str[i] == '\0')
      splitter->rest->str[i] = '?';
  }
  g_autofree char *line = g_strndup(splitter->rest->str, splitter->rest->len);
  g_string_truncate(splitter->rest, 0);
  splitter->on_line(line, splitter->data);
}

void
az_line_splitter_push(AzLineSplitter *splitter, const char *bytes, gsize length)
{
  if (splitter->rest == NULL)
    splitter->rest = g_string_new(NULL);
  for (gsize i = 0; i < length; i++) {
    gboolean ends = bytes[i] == '\n' || bytes[i] == '\r';
    gboolean second_half = bytes[i] == '\n' && splitter->after_cr;
    splitter->after_cr = bytes[i] == '\r';
    if (second_half)
      continue;
    if (!ends)
      g_string_append_c(splitter->rest, bytes[i]);
    if (ends || splitter->rest->len >= MAX_LINE)
      emit(splitter);
  }
}

void
az_line_splitter_end(AzLineSplitter *splitter)
{
  if (splitter->rest == NULL)
    return;
  if (splitter->rest->len > 0)
    emit(splitter);
  g_string_free(g_steal_pointer(&splitter->rest), TRUE);
}

void
az_capture_init(AzCapture *capture, const AzlinExec *request)
{
  *capture = (AzCapture){ .out = g_byte_array_new(), .err = g_byte_array_new() };
  capture->max_output = request->max_output > 0 ? request->max_output : DEFAULT_MAX_OUTPUT;
  capture->lines.on_line = request->on_line;
  capture->lines.data = request->line_data;
}

static void
push_err(AzCapture *capture, const char *bytes, gsize length)
{
  gsize room = MAX_ERR - MIN((gsize) capture->err->len, MAX_ERR);
  g_byte_array_append(capture->err, (const guint8 *) bytes, (guint) MIN(length, room));
}

gboolean
az_capture_push(AzCapture *capture, gboolean is_stderr, const char *bytes, gsize length)
{
  if (is_stderr) {
    push_err(capture, bytes, length);
    return TRUE;
  }
  if (capture->lines.on_line != NULL) {
    az_line_splitter_push(&capture->lines, bytes, length);
    return TRUE;
  }
  if (length > capture->max_output - capture->out->len) {
    capture->over = TRUE;
    return FALSE;
  }
  g_byte_array_append(capture->out, (const guint8 *) bytes, (guint) length);
  return TRUE;
}

void
az_capture_finish(AzCapture *capture, AzlinOp *op, int status, const char *what)
{
  if (capture->over) {
    az_op_fail_new(op, AZLIN_ERROR_FAILED, "%s wrote more than %" G_GSIZE_FORMAT " bytes", what, capture->max_output);
    return;
  }
  if (capture->lines.on_line != NULL)
    az_line_splitter_end(&capture->lines);
  g_autoptr(GBytes) out = g_byte_array_free_to_bytes(g_steal_pointer(&capture->out));
  g_autoptr(GBytes) err = g_byte_array_free_to_bytes(g_steal_pointer(&capture->err));
  az_op_finish_reply(op, status, 0, out, err);
}

void
az_capture_clear(AzCapture *capture)
{
  g_clear_pointer(&capture->out, g_byte_array_unref);
  g_clear_pointer(&capture->err, g_byte_array_unref);
  if (capture->lines.rest != NULL)
    g_string_free(g_steal_pointer(&capture->lines.rest), TRUE);
}
