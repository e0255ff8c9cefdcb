/* What each home tells the others of its journal, where records are shared: whether an operation of it is open. */
#pragma once
#include "engine-private.h"

/* Tells the others how the journal of this home stands; `hash` (AZ_LOGFILE_HASH + 1 bytes, "" at first) remembers what
 * was told, and nothing is when it is the same, or where nothing is shared. `op` ends with what came of it; who acts
 * does not depend on that. */
void az_heads_publish(AzEngine *engine, char *hash, AzlinOp *op);
/* Can others be told at all? */
gboolean az_heads_are_shared(AzEngine *engine);
/* The place that carries what is told, or NULL. Names in it that begin with AZ_HEADS_NO_HOME are no home's. */
const AzlinContext *az_heads_place(AzEngine *engine, gpointer *ret_self);
#define AZ_HEADS_NO_HOME "failover-"
/* What the others tell: `op` finishes with aa{sv}, one for each home but this: host, home, open u, what (of the oldest
 * open entry), since, at; or fails. Nothing shared: none. */
void az_heads_read(AzEngine *engine, AzlinOp *op);
/* "HOST: 1 open (flow-failover switch) since 2026-11-28T10:00:00Z" of one of those, NULL = nothing of it is open.
 * Owned. */
char *az_heads_line(GVariant *head);
