/* Which service works in a home: at most one, and others can tell without asking a bus. */
#pragma once
#include <glib.h>

/* A descriptor that holds the lock of `home` for as long as it is open. -1: LOCKED when another process has it. */
int az_home_lock_take(const char *home, GError **error);
gboolean az_home_lock_is_taken(const char *home); /* by a process that lives */
