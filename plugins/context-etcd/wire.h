/* Shared state as it stands in etcd: what is asked for it, and what the answers say. Pure.
 *
 * Below the prefix: state/head (epoch, primary), state/changed (its mod revision is the generation), and one
 * state/region/NAME for each record. */
#pragma once
#include "etcd-wire.h"

#define STATE_PAGE 250               /* records asked for at once */
#define STATE_CHUNK 100              /* records of one transaction; etcd takes 128 operations and 1.5 MB */
#define STATE_MAX_RECORD (12 * 1024) /* bytes of one */
#define STATE_MAX_RECORDS 100000

typedef struct {
  char *source;          /* which cluster and prefix: "etcd 14841639068965178418 /azlin/" */
  guint64 revision;      /* what the answer shows is that of etcd at this revision */
  guint64 head_modified; /* mod revision; 0 = there is no head yet */
  guint64 epoch, generation;
  char *primary, *by; /* "" = none; by: who wrote it last, a number drawn for each write */
} StateHead;
void state_head_clear(StateHead *head);

typedef struct {
  char *region;
  json_t *json;     /* checked: region, vm_name, types */
  guint64 modified; /* mod revision */
} StateRecord;
void state_record_free(StateRecord *record);

/* ---- requests; owned ---- */

char *state_region_key(const char *prefix, const char *region);
/* /v3/kv/txn: the head, and these records of one moment; the same with the first page of all records. */
json_t *state_read_some(const char *prefix, const char *const *regions, gsize n);
json_t *state_read_first(const char *prefix);
/* /v3/kv/range: the page behind the record of `region`, as it was at `revision`. */
json_t *state_read_next(const char *prefix, const char *region, guint64 revision);

typedef struct { /* one transaction: compares, and what is written when all of them hold */
  json_t *compare, *success, *failure;
} StateCommit;
void state_commit_init(StateCommit *commit);
void state_commit_clear(StateCommit *commit);
void state_commit_unchanged(StateCommit *commit, const char *key, guint64 modified); /* 0 = it must not exist */
void state_commit_exists(StateCommit *commit, const char *key);
void state_commit_put(StateCommit *commit, const char *key, const char *text);
void state_commit_delete(StateCommit *commit, const char *key);
/* The key of a lease must be that of `token`; the answer to a refusal shows what stands there. */
void state_commit_held(StateCommit *commit, const char *key, guint64 token);
json_t *state_commit_take(StateCommit *commit); /* /v3/kv/txn; empties it */

char *state_head_text(guint64 epoch, const char *primary, const char *by);

/* ---- answers; FALSE and STORAGE: what stands there is not azlin's, or the answer makes no sense ---- */

/* Of state_read_some() and state_read_first(); records are added to `records` (of StateRecord), in their order. */
gboolean state_parse(const json_t *answer, const char *prefix, StateHead *ret_head, GPtrArray *records,
                     gboolean *ret_more, GError **error);
/* Of state_read_next(). */
gboolean
state_parse_page(const json_t *answer, const char *prefix, GPtrArray *records, gboolean *ret_more, GError **error);
/* Of a commit that was refused: the create revision of the lease's key, and who holds it (owned, or NULL). */
guint64 state_parse_holder(const json_t *answer, char **ret_holder);
