/* A machine's deletion as the records see it: noted before the machine goes, over when its record is gone, too. */
#pragma once
#include "flow.h"

#define AZ_DELETION_OWNER "flow-vm"

/* Notes that `vm`, which is on record, is about to be deleted. Without a journal a warning is all: the provider notes
 * what it does itself, and the record can be refreshed by hand. Returns the note, 0 = none. */
guint64 az_deletion_begin(AzEngine *engine, const AzlinVm *vm);
/* How the noted deletion ended: with the record gone (`error` NULL), or not. What was refused is over, too; after other
 * errors the note stays for recover. */
void az_deletion_end(AzEngine *engine, guint64 note, const GError *error);
/* Takes the machine off the record if it is gone. Ends with op_variant s, what was done. */
void az_deletion_recover(AzEngine *engine, const AzJournalEntry *entry, AzlinOp *op);
