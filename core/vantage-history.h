/* How well each vantage's word can be trusted: for how long it watched, and how often what it called dark healed by
 * itself. Pure; vantages.json keeps it under the key "history". */
#pragma once
#include <glib.h>

#define AZ_VANTAGE_WINDOW_S 600 /* the unit of the rate: ten minutes of watching */

/* History (a{sv}: pair -> a{sv} of watched_s and healed; NULL = none yet) with what `news` adds to it: a{s(xx)},
 * "vantage>region" -> seconds watched, long dark spells that healed. Old windows fade, and of too many pairs the least
 * watched go. Floating. */
GVariant *az_vantage_history_add(GVariant *history, GVariant *news);
/* Long dark spells that healed by themselves, per window, of all pairs of each vantage: name -> double, 0 = too little
 * history; those without any are missing. Owned. */
GHashTable *az_vantage_history_rates(GVariant *history);
