/* What the two parts of sharing have in common: who is there (flow-watch-members.c), and who has what
 * (flow-watch-share.c). */
#pragma once
#include "flow-members.h"
#include "flow-watch.h"
#include "rendezvous.h"

struct _AzWatchMembers {
  AzWatch *watch;
  AzMember *self; /* as it is announced */
  char *base;     /* its name, which gets a number where that is taken */
  guint number;
  guint32 ttl_s;
  double span_s, interval_s;
  gint64 asked, announced; /* monotonic: begin of the last announcement, and of the last that came through */
  gint64 valid_until;      /* monotonic: until then nobody else counts it as gone */
  gboolean begun;          /* it has looked around once, or could not */
  gboolean news;           /* something to say that cannot wait */
  GPtrArray *others;       /* of AzMember: those with the same records */
  GArray *ranked;          /* of AzRendezvousMember: this one, then the others */
  GHashTable *keys;        /* region -> guint64 */
  GHashTable *suspects;    /* what others suspect, a set */
  GHashTable *company;     /* a set; NULL = not known yet */
  gint64 company_at;       /* monotonic */
  char *shared;            /* what the present shares follow from */
  gint64 shared_at;        /* monotonic */
  gboolean judge;          /* the primary is this one's */
};

static inline gint64
az_watch_members_monotonic(const AzWatchMembers *members)
{
  return az_clock_monotonic(az_engine_clock(members->watch->engine));
}

static inline double
az_watch_members_since(const AzWatchMembers *members, gint64 then)
{
  return (double) (az_watch_members_monotonic(members) - then) / G_USEC_PER_SEC;
}

/* ---- flow-watch-share.c ---- */

void az_watch_share_rank(AzWatchMembers *members); /* anew, after `others` or the own name have changed */
/* How late the latest of its looks is, in seconds; 0 = none is. */
double az_watch_share_lag(AzWatchMembers *members);
/* The primary's company is chosen anew from time to time: data grows old. */
void az_watch_share_refresh(AzWatchMembers *members);
