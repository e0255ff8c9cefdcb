/* What the coordinators say of leases, each in the same words, and how early each gives one up. */
#pragma once
#include "azlin-plugin.h"

/* A lease counts as lost so many seconds before another can have it: clocks run differently. */
#define LEASE_MARGIN_S 5u

/* Who has it from now on, for people: "HOST, process 1, since 2026-11-27T22:30:00Z"; owned. */
char *lease_holder(AzlinHost *host);
/* LOCKED; `holder` NULL or empty: nobody knows who. */
GError *lease_held(const char *key, const char *holder);
/* FENCED; `why`: "has run out". */
GError *lease_lost(const char *key, guint64 token, const char *why);
