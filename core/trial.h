/* A further instance of a brick with other options, for asking what it would have said: nothing in the engine uses it
 * by itself, and the selected instance is left alone. */
#pragma once
#include "engine-private.h"

typedef struct _AzTrial AzTrial;
/* Of the brick `owner` ("failover-hybrid"), which is loaded if need be. `texts` a{ss}: options as the file spells them,
 * over those in force. A word that is no option (the nearest is named) or a value that it cannot have is USAGE. */
AzTrial *az_trial_new(AzEngine *engine, const char *owner, GVariant *texts, GError **error);
gconstpointer az_trial_iface(const AzTrial *trial); /* as long as the engine's own table */
gpointer az_trial_self(const AzTrial *trial);
/* a{ss}: every option of it, as the file would spell it; borrowed. */
GVariant *az_trial_texts(const AzTrial *trial);
void az_trial_free(AzTrial *trial);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzTrial, az_trial_free)
/* a{ss}: every option in force of the brick `owner`, which is loaded; floating. */
GVariant *az_trial_texts_in_force(AzEngine *engine, const char *owner);
