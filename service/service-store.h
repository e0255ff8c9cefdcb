/* Which jobs are at work, on disk: a service that died says what became of them when it is back. */
#pragma once
#include <gio/gio.h>

#define SERVICE_NOBODY G_MAXUINT32 /* no user's number: session mode */

typedef struct {
  guint64 number;
  char *kind;
  guint32 owner;  /* the user who made it */
  GVariant *args; /* a{sv} */
} StoredJob;
void service_stored_free(gpointer job);

/* `home`: where the service works; `last`: the highest number so far. What cannot be written is not worth a job: it is
 * logged. */
void
service_store_begin(const char *home, guint64 last, guint64 number, const char *kind, guint32 owner, GVariant *args);
void service_store_end(const char *home, guint64 number);
/* What was at work when the last service ended, in the order of the numbers; of StoredJob. `ret_last`: the highest
 * number that any job ever had. What cannot be understood is left out, and taken away. */
GPtrArray *service_store_read(const char *home, guint64 *ret_last);
