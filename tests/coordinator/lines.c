/* What the programs share that run one brick by commands on standard input: reading a line, saying what came of it. */
#include "lines.h"

#include "error.h"
#include "registry.h"

#include <gio/gunixinputstream.h>
#include <stdio.h>

typedef struct {
  GDataInputStream *in;
  GMainLoop *loop;
  void (*obey)(const char *line, gpointer data);
  gpointer data;
} Lines;

void
lines_say_error(const GError *error)
{
  g_autofree char *message = az_error_message(error);
  g_print("%s %s\n", az_error_type(error), message);
}

guint64
lines_number(const char *word)
{
  return word != NULL ? g_ascii_strtoull(word, NULL, 10) : 0;
}

gconstpointer
lines_brick(AzlinKind kind, AzEngine **ret_engine, gpointer *ret_self)
{
  g_autoptr(GError) error = NULL;
  gconstpointer brick = NULL;
  setvbuf(stdout, NULL, _IOLBF, 0);
  *ret_engine = az_engine_new(NULL, NULL, &error);
  if (*ret_engine != NULL)
    brick = az_engine_lookup(*ret_engine, kind, NULL, ret_self, &error);
  if (brick == NULL)
    lines_say_error(error);
  return brick;
}

static void
on_line(GObject *source, GAsyncResult *result, gpointer data)
{
  Lines *lines = data;
  g_autofree char *line = g_data_input_stream_read_line_finish(lines->in, result, NULL, NULL);
  if (line == NULL) {
    g_main_loop_quit(lines->loop);
    return;
  }
  lines->obey(line, lines->data);
  g_data_input_stream_read_line_async(lines->in, G_PRIORITY_DEFAULT, NULL, on_line, lines);
}

void
lines_serve(void (*obey)(const char *line, gpointer data), gpointer data)
{
  g_autoptr(GInputStream) input = g_unix_input_stream_new(0, FALSE);
  g_autoptr(GDataInputStream) in = g_data_input_stream_new(input);
  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  Lines lines = { in, loop, obey, data };
  g_print("ready\n");
  g_data_input_stream_read_line_async(in, G_PRIORITY_DEFAULT, NULL, on_line, &lines);
  g_main_loop_run(loop);
}
