/* One vm_create from its first look to its end; the roads (create-template.c, create-direct.c) share it. */
#pragma once
#include "arm.h"
#include "blueprint.h"
#include "pieces.h"

typedef struct {
  Azure *azure;
  AzlinOp *op;
  AzureBlueprint *blueprint;
  char *uuid_taken_over; /* a half-made machine of an earlier run is finished under its uuid */
  guint64 intent;
  gboolean journalled;
  gboolean group_is_new; /* it was absent when this run began, so this run takes it away again */
  gboolean vm_stands;    /* a failed one of ours is put again */

  gboolean deployment_sent, deployment_accepted, deployment_over;
  guint tries;
  guint pending; /* of stages with several requests */
  GError *stage_error;
  char *address, *host_key;
  AzlinVm *adopted;    /* as it stood before, or NULL */
  char *guest_trouble; /* what the platform says of a machine that stands but whose guest did not report */
  /* failing */
  gboolean cut;  /* its op has ended, and may be gone */
  AzlinOp *undo; /* beside the tree; NULL until something went wrong */
  GError *error;
  gboolean undone, undo_over;
} Creation;

/* ---- the roads; each ends in creation_made() or creation_fail() ---- */
void creation_by_template(Creation *creation);
void creation_by_direct_puts(Creation *creation);

/* ---- create.c ---- */
void creation_made(Creation *creation);
/* Takes `error`; what was made is taken away, then vm_create fails. */
void creation_fail(Creation *creation, GError *error);
/* FALSE: the creation was failed, because its op has ended or the journal cannot be written. */
gboolean creation_step(Creation *creation, const char *step);
/* TRUE: `reply` is no error and the op goes on. FALSE: the creation was failed. */
gboolean creation_goes_on(Creation *creation, const ArmReply *reply);
/* Keeps `text` (or NULL) when it is an address: it ends up in commands, so that nothing else may. */
void creation_note_address(Creation *creation, const char *text);
void creation_note_url(const char *url, gpointer creation); /* as ArmPollUrl */
/* Goes on in `then` after a pause that grows with `tries`, unless the op ends. */
void creation_later(Creation *creation, void (*then)(Creation *creation));

/* ---- create-look.c ---- */
void creation_look_around(Creation *creation); /* an existing group: what stands there decides how it goes on */
void creation_start(Creation *creation);       /* nothing of ours is in the way: journalled, then the road */

/* ---- create-finish.c: address, host key, rules of the others, record ---- */
void creation_adopt(Creation *creation);
void creation_free(Creation *creation);

/* ---- pure ---- */
/* TRUE: it is not known whether the request had an effect. */
gboolean creation_outcome_unknown(const ArmReply *reply);
/* TRUE: the machine stands; only its guest did not report in time. */
gboolean creation_guest_is_late(const char *code);
