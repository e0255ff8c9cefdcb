/* Frames of a kept sync, read as they come: foreign bytes, so that nothing is believed that is not whole. */
#include "live-frames.h"
#include "azlin-plugin.h"
#include <string.h>

#define MAX_HEAD 16u           /* "d 1048576\n" and some room */
#define MAX_PAYLOAD (8u << 20) /* records and hashes of all that may go at once */

void
az_live_frames_push(AzLiveFrames *frames, const char *bytes, gsize length)
{
  if (frames->bytes == NULL)
    frames->bytes = g_byte_array_new();
  g_byte_array_append(frames->bytes, (const guint8 *) bytes, (guint) length);
}

static GBytes *
malformed(GError **error)
{
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_SYNC, "what the machine says cannot be understood");
  return NULL;
}

GBytes *
az_live_frames_next(AzLiveFrames *frames, char *ret_kind, GError **error)
{
  GByteArray *bytes = frames->bytes;
  if (bytes == NULL || bytes->len == 0)
    return NULL;
  const guint8 *newline = memchr(bytes->data, '\n', MIN(bytes->len, MAX_HEAD));
  if (newline == NULL)
    return bytes->len >= MAX_HEAD ? malformed(error) : NULL;
  guint head = (guint) (newline - bytes->data) + 1;
  guint64 length = 0;
  char digits[MAX_HEAD] = "";
  if (head < 4 || bytes->data[1] != ' ')
    return malformed(error);
  memcpy(digits, bytes->data + 2, head - 3);
  if (!g_ascii_string_to_unsigned(digits, 10, 0, MAX_PAYLOAD, &length, NULL))
    return malformed(error);
  if (bytes->len - head < length)
    return NULL;
  *ret_kind = (char) bytes->data[0];
  GBytes *payload = g_bytes_new(bytes->data + head, length);
  g_byte_array_remove_range(bytes, 0, head + (guint) length);
  return payload;
}

void
az_live_frames_clear(AzLiveFrames *frames)
{
  g_clear_pointer(&frames->bytes, g_byte_array_unref);
}

void
az_live_frames_add(GByteArray *bytes, char kind, const char *payload, gsize length)
{
  g_autofree char *head = g_strdup_printf("%c %" G_GSIZE_FORMAT "\n", kind, length);
  g_byte_array_append(bytes, (const guint8 *) head, (guint) strlen(head));
  if (length > 0)
    g_byte_array_append(bytes, (const guint8 *) payload, (guint) length);
}
