/* The fence token of a lease: a counter on disk that only rises. */
#pragma once
#include "azlin-plugin.h"

/* Durable before it is given out. Call it with the lease's lock held. */
gboolean token_next(const char *path, guint64 *ret_token, GError **error);
/* "cannot VERB PATH: reason of errno", as STORAGE. */
void token_fail(GError **error, const char *verb, const char *path);
