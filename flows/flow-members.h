/* The daemons that watch together: what each says of itself, what it sees of regions that somebody suspects, and the
 * coordinator's slots that carry it. */
#pragma once
#include "detector.h"
#include "engine-private.h"

#define AZ_MEMBERS_MAX 64 /* of the oldest; more than that share no regions */
#define AZ_MEMBER_SIGHTS_MAX 24
#define AZ_MEMBERS_MS 5000

typedef struct { /* of one region */
  char *region;
  AzRegionState state;
  AzlinVantage seen; /* by the member itself; its `vantage` is the member's */
  double alive_s;    /* since it last saw life; < 0 = it did not lately */
} AzMemberSight;

typedef struct {
  char *name;      /* unique among those that are there */
  guint64 key;     /* of it, see az_rendezvous_key() */
  char *place;     /* those of one place share a network: two of them are one vantage */
  char *records;   /* which records: only those that have the same share */
  char *home;      /* whose process it is, as az_member_records() tells it */
  char *holds;     /* why no switch may come by itself, as this one knows it; NULL = nothing does */
  guint64 order;   /* who came first has the lowest */
  gint64 since;    /* wall time */
  guint64 said;    /* counts what it has said */
  guint64 epoch;   /* of its records */
  guint regions;   /* on record */
  guint share;     /* of these it owns */
  double lag_s;    /* how late its latest look at one of them is; 0 = none is late */
  GPtrArray *seen; /* of AzMemberSight */
  char *vantage;   /* "daemon NAME" */
  gint64 heard;    /* monotonic: when `said` was new */
} AzMember;

AzMember *az_member_new(const char *name);
void az_member_free(AzMember *member);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzMember, az_member_free)
AzMemberSight *az_member_add_sight(AzMember *member, const char *region);
const AzMemberSight *az_member_sight(const AzMember *member, const char *region); /* NULL = it says nothing of it */

/* Pure: what it says, as it travels; sights that do not fit are left out, the last first. */
char *az_member_print(const AzMember *member);
/* Pure: the opposite, of hostile bytes. NULL: no member that this azlin understands. */
AzMember *az_member_parse(const char *name, guint64 order, const char *facts);

/* Pure: what `member` sees of `region`, as a vantage for decide(), `age_s` after it said so. Darkness must be fresh,
 * and life counts as long as a spell of darkness has to last (`span_s`). FALSE: nothing that counts. */
gboolean
az_member_vantage(const AzMember *member, const char *region, double age_s, double span_s, AzlinVantage *ret_seen);
/* Pure: it sees the machine alive, and not only this host's roads do not lead there. */
gboolean az_member_sees_life(const AzMember *member, const char *region, double age_s, double span_s);

/* Letters, digits, '.', '_', '-' of `text`, at most 56 of them; what else there is becomes '-'. Owned. */
char *az_member_name(const char *text);
/* Which records `where` names: a path is of this host alone, anything else of all that see the same. Owned. */
char *az_member_records(const char *where);

/* ---- the coordinator ---- */

gboolean az_members_known(AzEngine *engine); /* the selected one can say who is there */
void az_members_announce(AzEngine *engine, const AzMember *self, guint32 ttl_s, AzlinOp *op); /* op_variant t */
void az_members_ask(AzEngine *engine, AzlinOp *op);                                           /* op_variant a(sts) */
void az_members_leave(AzEngine *engine, const char *name, AzlinOp *op);
/* What `op`, an az_members_ask() that succeeded, found: of AzMember, the oldest first; owned. */
GPtrArray *az_members_of(AzlinOp *op);
