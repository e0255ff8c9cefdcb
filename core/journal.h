/* Write-ahead journal: an intent stands on disk before every side effect, so that a killed process can be finished or
 * undone. */
#pragma once
#include "azlin-plugin.h"
#include "logfile.h"
typedef struct _AzJournal AzJournal;

AzJournal *az_journal_open(const char *path, GError **error);
void az_journal_close(AzJournal *journal);
/* `owner`: who undoes it: "provider-local", "flow-failover", ...; `undo`: a{sv}. FALSE: not durable, do nothing. */
gboolean az_journal_intent(AzJournal *journal, const char *owner, const char *what, GVariant *undo, guint64 *ret_id,
                           GError **error);
/* Adds facts to an open intent (the step a failover has reached); recover sees the last value of each key. */
gboolean az_journal_update(AzJournal *journal, guint64 id, GVariant *facts, GError **error);
/* The hash that covers all records: AZ_LOGFILE_HASH digits and a NUL are copied to `ret_head`. */
gboolean az_journal_head(AzJournal *journal, char *ret_head, GError **error);
gboolean az_journal_done(AzJournal *journal, guint64 id, GError **error);

typedef struct {
  guint64 id;
  char *owner, *what;
  GVariant *undo; /* a{sv}, updates merged in */
  gint64 at;
  int pid;
  gboolean alive; /* the process that wrote it still runs: leave it alone */
} AzJournalEntry;
void az_journal_entry_free(AzJournalEntry *entry);
/* Open intents of all processes, oldest first; of AzJournalEntry, frees its entries. */
GPtrArray *az_journal_open_entries(AzJournal *journal, GError **error);
