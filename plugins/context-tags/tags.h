/* The state of context-tags, shared by its parts: which provider keeps no tags, and what a cloud listed last. */
#pragma once
#include "legal.h"

typedef struct {
  AzlinHost *host;
  const AzlinHostApi *api;
  GHashTable *silent;  /* set of the providers of which it was said that they keep no tags */
  GHashTable *writing; /* machine -> GQueue of Write: one at a time for each machine (write.c) */
  GPtrArray *listed;   /* of AzlinVm: the cloud's last answer in this process, or NULL */
  gint64 listed_at;    /* monotonic */
} Tags;

/* ---- write.c: tags of machines ---- */

/* Merges `set` (a{ss}, sunk) into the tags of `vm` and takes `unset` (static names, or NULL) away, through the provider
 * of the machine. One that azlin did not make (AZLIN_TAG_MANAGED) is left alone: NOT_SUPPORTED. A provider without tags
 * fails the first time with NOT_SUPPORTED, later ones pass in silence. Writes to one machine come one after the other:
 * clouds refuse two at once. */
void tags_write(Tags *tags, AzlinOp *parent, const AzlinVm *vm, GVariant *set, const char *const *unset, AzlinDone done,
                gpointer data);
/* Region and created_at, as far as its tags do not say them yet: who made the machine knows best when; floating. */
GVariant *tags_missing(const AzlinVm *vm);
GVariant *tags_of_move(Tags *tags, const AzlinVm *vm, guint64 epoch); /* the same, and that it is primary; floating */
extern const char *const tags_of_primary[];                           /* names that only a primary has */
extern const char *const tags_of_place[];                             /* names that a region has that is on record */

/* ---- read.c: what the machines say ---- */

/* The machines that the selected provider lists and that carry azlin:region, at most one for each region; a claim to be
 * primary counts when it stands alone at the highest epoch. */
typedef struct {
  GPtrArray *vms;      /* of AzlinVm, primary first, then by region */
  guint64 epoch;       /* the highest that a claim names; 0 = none */
  const char *primary; /* "" = none; borrowed from vms */
} Reading;
/* Takes over nothing. `machines`: AzlinVm, as the provider gave them. */
Reading *reading_new(Tags *tags, const AzlinVm *const *machines, gsize n);
void reading_free(Reading *reading);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reading, reading_free)
/* Lists the selected provider's machines under `parent`; op_vms in `done`. */
void tags_list_cloud(Tags *tags, AzlinOp *parent, AzlinDone done, gpointer data);

/* ---- move.c ---- */

void tags_set_primary(gpointer self, const char *from, const char *to, guint64 epoch, AzlinOp *op);
