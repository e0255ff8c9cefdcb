/* Small files below $AZLIN_HOME/sync: losing one costs time or a hint, never truth. */
#pragma once
#include "engine-private.h"
#include "files.h"

char *az_sync_kept_path(AzEngine *engine, const char *name);
/* Replaces it, 0600; what cannot be written stays as it was. */
void az_sync_kept_write(AzEngine *engine, const char *name, const char *text, AzFilesCare care);
/* As a key file; an empty one where there is none. */
GKeyFile *az_sync_kept_open(AzEngine *engine, const char *name);
void az_sync_kept_save(AzEngine *engine, const char *name, GKeyFile *file);
