/* Bytes that wait for somebody slower, in pieces that fit into packets of SSH. */
#pragma once
#include <glib.h>

typedef struct {
  GQueue pieces; /* of GByteArray, the first one read up to `at` */
  gsize at;
  gsize length; /* of all that waits */
} AzByteQueue;

/* An AzByteQueue of zeros is an empty one. The bytes are copied. */
void az_byte_queue_push(AzByteQueue *queue, const char *bytes, gsize length);
/* What of the beginning lies in one piece, valid until the next pop; 0 = the queue is empty. */
gsize az_byte_queue_peek(const AzByteQueue *queue, const char **ret_bytes);
void az_byte_queue_pop(AzByteQueue *queue, gsize length); /* at most what peek returned */
void az_byte_queue_clear(AzByteQueue *queue);
