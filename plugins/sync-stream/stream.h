/* What the files of this brick share: a copy at work, its two roads, the scripts for the machines, the prediction. */
#pragma once
#include "azlin-plugin.h"

typedef enum { STREAM_AUTO, STREAM_DIRECT, STREAM_RELAY } StreamRoad;

typedef struct {
  AzlinHost *host;
  StreamRoad road; /* as configured */
} Stream;

typedef struct {        /* see stream_predict() */
  double direct, relay; /* seconds; < 0 = cannot be gone */
  guint connections;    /* to begin with on the direct road */
  guint level;          /* for zstd */
  guint rtt_ms;         /* between the machines, 0 = next to nothing */
  StreamRoad road;      /* the quicker one */
  double wire;          /* bytes that are to go through azlin */
  double archive;       /* bytes that are to come out of it there */
  double trial;         /* seconds after which it has shown what it carries */
  double leave;         /* it is left when the rest takes so many times as long as all of it on the direct one */
} StreamForecast;

typedef struct {      /* what the relayed road carries; zero at first */
  double marked;      /* seconds: the stretch under way began, */
  double moved;       /* when so many bytes had arrived */
  double rates[3];    /* bytes a second, of those before it, the latest first */
  guint stretches;    /* how many there were */
  double unpacked;    /* bytes of the archive, as the target's tar counts them; 0 = it has not yet, or never will */
  double count_began; /* seconds: a count was first seen, */
  double count_first; /* bytes: what it said then */
} StreamPace;

typedef struct { /* one copy; `only` of its job names the folders above, too */
  Stream *self;
  AzlinOp *op;
  AzlinSyncJob job;
  StreamForecast forecast;
  char *stage;        /* where it arrives, as landing.h has it */
  guint most;         /* connections of the direct road */
  GPtrArray *command; /* of the source, on the direct road */
  guint attempt;
  const char *note;   /* static: what people should know of the way it went, or NULL */
  GByteArray *report; /* of azlin_place, by the relayed road */
  gboolean unpacking; /* by the relayed road: tar has not ended there */
  GString *words;     /* what that tar says beside its count */
  GPtrArray *errors;  /* of char* */
  guint64 sent;       /* bytes that went over the line */
  AzlinOp *relaying;  /* NULL = no archive is under way */
  gint64 began;       /* monotonic: the archive did */
  StreamPace pace;    /* of the archive */
  gboolean leaving;   /* the relayed road, which turned out to be slow */
} StreamCopy;

/* ---- stream.c: the ends of a copy; each frees it ---- */

void stream_done(StreamCopy *copy, gboolean incomplete);
/* Also takes the stage away. */
void stream_fail(StreamCopy *copy, GError *error);
/* What the script that places things ended with; `report` as landing_read_report() reads it. `incomplete`: something
 * was missing before. */
void stream_placed(StreamCopy *copy, int status, GBytes *report, const char *words, gboolean incomplete);

/* Takes its stage away, beside whatever comes next. */
void stream_drop(StreamCopy *copy);

/* A note: */
extern const char stream_unreachable[];

/* ---- direct.c: from machine to machine; relay.c: through azlin ---- */

void stream_direct(StreamCopy *copy);
void stream_relay(StreamCopy *copy);

/* ---- *.sh and *.py; receive, finish and unpack go behind landing_script() ---- */

extern const char stream_send_script[], stream_receive_script[], stream_finish_script[];
extern const char stream_pack_script[], stream_unpack_script[], stream_dial_script[];

/* ---- score.c: pure ---- */

#define STREAM_TAR_RECORD 10240 /* bytes */
#define STREAM_COUNT_RECORDS 20 /* of the archive, between two counts of the target's tar */

/* `most` connections at once. */
StreamForecast stream_predict(const AzlinSyncJob *job, guint most, StreamRoad wanted);
/* So many bytes went through azlin in so many seconds: is it better to begin again on the direct road? To be asked
 * whenever more has arrived, with the same `pace`. */
gboolean stream_is_to_leave(const StreamForecast *forecast, StreamPace *pace, double moved, double seconds);
