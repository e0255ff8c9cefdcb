/* What the programs of a kept sync say to azlin: frames, "KIND LENGTH\n" and so many bytes. */
#pragma once
#include <glib.h>

typedef struct {
  GByteArray *bytes; /* NULL = nothing waits */
} AzLiveFrames;      /* one of zeros is empty */

void az_live_frames_push(AzLiveFrames *frames, const char *bytes, gsize length);
/* The next one that is whole: its payload, owned; NULL = none yet, or SYNC with `error`: these are no frames. */
GBytes *az_live_frames_next(AzLiveFrames *frames, char *ret_kind, GError **error);
void az_live_frames_clear(AzLiveFrames *frames);
/* Appends one. */
void az_live_frames_add(GByteArray *bytes, char kind, const char *payload, gsize length);
