/* A command that stays on a machine and is spoken to both ways, in raw bytes. */
#include "remote-private.h"

#include "byte-queue.h"

struct _AzTalk {
  AzRun *run; /* NULL once it has ended */
  AzByteQueue input;
  void (*heard)(const char *bytes, gsize length, gpointer data);
  void (*ended)(int status, const GError *error, gpointer data);
  gpointer data;
};

static void
talk_free(gpointer data)
{
  AzTalk *talk = data;
  az_byte_queue_clear(&talk->input);
  g_free(talk);
}

static void
on_output(gboolean is_stderr, const char *bytes, gsize length, gpointer data)
{
  AzTalk *talk = data;
  if (!is_stderr)
    talk->heard(bytes, length, talk->data);
}

static void
on_ended(int status, const GError *error, gpointer data)
{
  AzTalk *talk = data;
  talk->run = NULL;
  talk->ended(status, error, talk->data);
}

static gssize
peek(const char **ret_bytes, gpointer data)
{
  AzTalk *talk = data;
  return (gssize) az_byte_queue_peek(&talk->input, ret_bytes);
}

static void
took(gsize length, gpointer data)
{
  AzTalk *talk = data;
  az_byte_queue_pop(&talk->input, length);
}

AzTalk *
az_remote_talk(AzRemote *remote, const AzTalkRequest *request, GError **error)
{
  AzTalk *talk = g_new0(AzTalk, 1);
  talk->heard = request->heard;
  talk->ended = request->ended;
  talk->data = request->data;
  AzRunRequest run = { .vm = request->vm,
                       .argv = request->argv,
                       .peek = peek,
                       .took = took,
                       .output = on_output,
                       .ended = on_ended,
                       .data = talk,
                       .free = talk_free };
  talk->run = az_run_new(remote, &run, error);
  if (talk->run != NULL)
    return talk;
  talk_free(talk);
  return NULL;
}

void
az_talk_say(AzTalk *talk, const char *bytes, gsize length)
{
  az_byte_queue_push(&talk->input, bytes, length);
  if (talk->run != NULL)
    az_run_feed(talk->run);
}

void
az_talk_end(AzTalk *talk)
{
  if (talk->run != NULL)
    az_run_cancel(talk->run);
}
