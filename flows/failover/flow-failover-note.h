/* What switches and fences leave in the state of failovers, and how people hear of it. */
#pragma once
#include "flow-failover-state.h"

typedef struct {
  const char *from, *to;
  const char *from_vm; /* name of the machine that was left */
  guint64 epoch;       /* that the switch made */
  gboolean automatic;
  gboolean unfenced; /* the machine that was left may still run */
  gboolean isolated; /* it may have been cut off its network */
  guint32 window_s;  /* commit window that opens; 0 = none */
} AzSwitchNote;
/* Notes a switch that was committed; once or twice is the same. Another one's window is over with it. */
gboolean az_failover_note_switch(AzEngine *engine, const AzSwitchNote *note, GError **error);
/* Reads a journal entry of the failover flow; strings are borrowed from it. FALSE: it lacks its regions. */
gboolean az_failover_note_of_entry(const AzJournalEntry *entry, AzSwitchNote *ret_note);
/* Under the lock: notes what crashed failovers have committed as these records tell, so that no cool-down, window or
 * fence is lost before `recover` runs. */
gboolean az_failover_note_crashed(AzEngine *engine, const AzStored *stored, GError **error);

/* One more attempt at a pending fence: `how` it is sure now ("confirmed", "isolated", ...), or NULL. */
gboolean az_failover_note_fence(AzEngine *engine, const char *region, const char *how, GError **error);
/* The machine runs again, on its network, and knows that it is superseded. */
gboolean az_failover_note_returned(AzEngine *engine, const char *region, GError **error);

/* Says what stands in the way of failovers: a pause, fences that are pending, an open window, an interrupted switch,
 * and (`all`) the cool-down; `said` was said already. Nothing where nothing does. */
void az_failover_say_state(AzJob *job, gboolean all, AzHold said);
/* a{sv} for scripts: paused b, paused_until, pause_reason, cooling_down_until, fences_pending aa{sv}, commit_until;
 * az_null() when it cannot be read. Floating. */
GVariant *az_failover_state_to_variant(AzEngine *engine);
