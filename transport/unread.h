/* How much may wait at a server for the command that is to read it. */
#pragma once
#include <glib.h>

/* Bytes. `rtt_us`: as TCP sees it, < 0 = unknown; `start_us`: in which the server has begun a command at best. */
gsize unread_most(double rtt_us, gint64 start_us);
