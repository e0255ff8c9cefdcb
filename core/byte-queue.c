/* Bytes that wait for somebody slower, in pieces that fit into packets of SSH. */
#include "byte-queue.h"

/* a packet of OpenSSH carries 32768 bytes, of which libssh keeps 10 free */
#define PIECE (4 * (32768 - 10))

void
az_byte_queue_push(AzByteQueue *queue, const char *bytes, gsize length)
{
  queue->length += length;
  while (length > 0) {
    GByteArray *last = g_queue_peek_tail(&queue->pieces);
    if (last == NULL || last->len == PIECE) {
      last = g_byte_array_sized_new((guint) MIN(length, PIECE));
      g_queue_push_tail(&queue->pieces, last);
    }
    gsize n = MIN(length, PIECE - last->len);
    g_byte_array_append(last, (const guint8 *) bytes, (guint) n);
    bytes += n;
    length -= n;
  }
}

gsize
az_byte_queue_peek(const AzByteQueue *queue, const char **ret_bytes)
{
  const GByteArray *first = queue->pieces.head != NULL ? queue->pieces.head->data : NULL;
  if (first == NULL)
    return 0;
  *ret_bytes = (const char *) first->data + queue->at;
  return first->len - queue->at;
}

void
az_byte_queue_pop(AzByteQueue *queue, gsize length)
{
  GByteArray *first = g_queue_peek_head(&queue->pieces);
  queue->at += length;
  queue->length -= length;
  if (first == NULL || queue->at < first->len)
    return;
  queue->at = 0;
  g_byte_array_unref(g_queue_pop_head(&queue->pieces));
}

void
az_byte_queue_clear(AzByteQueue *queue)
{
  g_queue_clear_full(&queue->pieces, (GDestroyNotify) g_byte_array_unref);
  queue->at = queue->length = 0;
}
