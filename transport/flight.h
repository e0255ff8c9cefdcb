/* When a connection of a long way gets its next flight of packets that mean nothing. */
#pragma once
#include <glib.h>
#include <linux/tcp.h>

#define LONG_WAY_US 10000u /* round trip; shorter ways are quick by themselves */

/* Bytes; 0 = not now, < 0 = no more: it is warm, too short a way, too narrow, or takes too long. */
gssize flight_next(const struct tcp_info *info, guint64 elapsed_us);
