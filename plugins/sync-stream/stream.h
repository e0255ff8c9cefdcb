/* What the files of this brick share: a copy at work, its two roads, the scripts for the machines, the prediction. */
#pragma once
#include "azlin-plugin.h"

typedef enum { STREAM_AUTO, STREAM_DIRECT, STREAM_RELAY } StreamRoad;

typedef struct {
  AzlinHost *host;
  StreamRoad road; /* as configured */
} Stream;

typedef struct { /* one copy; `only` of its job names the folders above, too */
  Stream *self;
  AzlinOp *op;
  AzlinSyncJob job;
  guint connections, most; /* of the direct road, to begin with and at most */
  guint level;             /* for zstd; 0 = as it is */
  guint rtt_ms;            /* between the machines; 0 = unknown, or next to nothing */
  GPtrArray *command;      /* of the source, on the direct road */
  guint attempt;
  const char *note;   /* static: what people should know of the way it went, or NULL */
  GByteArray *report; /* of azlin_place, by the relayed road */
  GPtrArray *errors;  /* of char* */
  guint64 sent;       /* bytes that went over the line */
} StreamCopy;

/* ---- stream.c: the ends of a copy; each frees it ---- */

void stream_done(StreamCopy *copy, gboolean incomplete);
/* Also takes the stage away. */
void stream_fail(StreamCopy *copy, GError *error);
/* What the script that places things ended with; `report` as landing_read_report() reads it. `incomplete`: something
 * was missing before. */
void stream_placed(StreamCopy *copy, int status, GBytes *report, const char *words, gboolean incomplete);

/* A note: */
extern const char stream_unreachable[];

/* ---- direct.c: from machine to machine; relay.c: through azlin ---- */

void stream_direct(StreamCopy *copy);
void stream_relay(StreamCopy *copy);

/* ---- *.sh; receive, finish and unpack go behind landing_script() ---- */

extern const char stream_send_script[], stream_receive_script[], stream_finish_script[];
extern const char stream_pack_script[], stream_unpack_script[];

/* ---- score.c: pure ---- */

typedef struct {
  double direct, relay; /* seconds; < 0 = cannot be gone */
  guint connections;    /* to begin with on the direct road */
  guint level;          /* for zstd */
  guint rtt_ms;         /* between the machines, 0 = next to nothing */
  StreamRoad road;      /* the quicker one */
} StreamForecast;

/* `most` connections at once. */
StreamForecast stream_predict(const AzlinSyncJob *job, guint most, StreamRoad wanted);
