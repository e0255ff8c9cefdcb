/* What the files of the short way share: both ends, what is known of them, the copy under way. */
#pragma once
#include "flow-sync-live.h"
#include "live-frames.h"

typedef struct {
  AzSyncLive *live;
  AzlinVm *vm;
  AzTalk *talk; /* with its program, or NULL */
  AzLiveFrames frames;
  gboolean hopeless; /* its program cannot run there */
  /* of a target, since a whole look found it equal */
  gboolean noted;
  char *folder;       /* where the path leads to */
  char **left_out;    /* names that are none of the copy's business */
  AzListing *listing; /* what both hold */
  /* of the copy under way */
  gboolean awaited; /* it owes an answer */
  gboolean equal;   /* it has shown that it holds what the source sent */
  GBytes *records, *hashes, *digest;
} AzLiveEnd;

struct _AzSyncLive { /* counted with g_rc_box */
  AzEngine *engine;
  char *path;
  AzSyncLiveNews news;
  AzLiveEnd source;
  GPtrArray *targets; /* of AzLiveEnd */
  gboolean closed;
  gboolean up;      /* the source listens */
  gboolean covered; /* and did when the whole look under way began */
  gboolean based;   /* all that it has not told of is equal */
  /* the copy under way */
  AzlinOp *op, *root;
  AzSync *sync;
  void (*done)(gboolean copied, gpointer data);
  gpointer data;
  gboolean answering, told; /* the source's answer has begun; the records are read */
  gint64 began;
  double seconds;
  AzEpochs epochs; /* of the source */
  guint64 epoch;
  char *primary;
  AzListing *changes;
  char *digest;    /* of them */
  GPtrArray *gone; /* of char*: names */
  guint64 files, bytes;
};

/* ---- flow-sync-live.c ---- */

void az_live_unref(AzSyncLive *live);
AzLiveEnd *az_live_target(AzSyncLive *live, guint index);
/* Says it to all targets. */
void az_live_say(AzSyncLive *live, char kind, const char *payload, gsize length);
/* Its program is ended, and news of that told. */
void az_live_break(AzLiveEnd *end);

/* ---- flow-sync-live-copy.c ---- */

/* A frame of an answer. */
void az_live_take_source(AzSyncLive *live, char kind, GBytes *payload);
void az_live_take_target(AzLiveEnd *end, char kind, GBytes *payload);
/* The copy under way, if there is one, has failed. */
void az_live_give_up(AzSyncLive *live, const char *why);

extern const char az_sync_live_common[], az_sync_live_source[], az_sync_live_target[]; /* live-*.py */
