/* Which process wrote a journal record, and does it still run? */
#pragma once
#include <glib.h>

typedef struct {
  int pid;
  guint64 start; /* clock ticks after boot: a process id that was given out again has another */
  char *boot;    /* id of this run of the kernel */
} AzJournalOwner;

/* The calling process; kept, never freed. Asked again after a fork. */
const AzJournalOwner *az_journal_owner_self(void);
gboolean az_journal_owner_alive(const AzJournalOwner *owner);
