/* Where a machine listens: a loopback address and port of its own. */
#pragma once
#include "machine.h"

/* Derives address and port from the state folder and the name; goes on to the next pair while one is taken. */
gboolean place_choose(Local *local, Machine *machine, GError **error);
/* Can a listener be put there now? */
gboolean place_is_free(const char *address, guint32 port);
/* Checks an address range in CIDR form inside 127.0.0.0/8. Pure. */
gboolean place_parse_range(const char *text, guint32 *ret_base, guint32 *ret_size, GError **error);

/* One step of asking whether a machine answers: opens or reads on without ever waiting. */
typedef struct {
  int fd;
  char seen[4];
  gsize length;
} Knock;
void knock_init(Knock *knock);
void knock_clear(Knock *knock);
/* TRUE once the other side has begun an SSH banner. */
gboolean knock_step(Knock *knock, const char *address, guint32 port);
