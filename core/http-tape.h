/* Tapes: exchanges written down without secrets, and played back without network or credentials. */
#pragma once
#include "transport-http.h"

typedef struct _AzTape AzTape;
/* `how`: "record:FILE" (made anew, 0600) or "replay:FILE". NULL and CONFIG: neither, or the file cannot be used. */
AzTape *az_tape_open(const char *how, GError **error);
void az_tape_close(AzTape *tape); /* or NULL */
gboolean az_tape_replays(const AzTape *tape);

typedef struct {
  const char *method, *url, *origin; /* origin: "https://management.azure.com", the part of `url` that names the host */
  GBytes *body;                      /* or NULL */
} AzTapeRequest;
/* Subscriptions become zeros, signatures of storage addresses go; headers of the request are never written. */
void az_tape_record(AzTape *tape, const AzTapeRequest *request, const AzHttpEnd *end);

/* The next recorded end of this request; requests that differ in GUIDs alone, or in their host, count as one, and of
 * several the one with the same body goes first. What the answer says of host and subscription is that of the request;
 * it asks for no waiting. NULL = the tape has none (left). Free with az_tape_end_free(). */
AzHttpEnd *az_tape_play(AzTape *tape, const AzTapeRequest *request);
void az_tape_end_free(AzHttpEnd *end);
