/* The azure brick alone: real ops on a virtual clock, and an HTTP that answers from a script. */
#pragma once
#include "arm.h"
#include "host.h"
#include "op.h"

#define SUBSCRIPTION "11111111-1111-4111-8111-111111111111"
#define ENDPOINT "https://management.azure.com"
#define GROUP "/subscriptions/" SUBSCRIPTION "/resourceGroups/azlin-eastus"
#define VM GROUP "/providers/Microsoft.Compute/virtualMachines/m1"

typedef struct {       /* one answer; taken by the first request that holds `to`, in their order */
  const char *to;      /* part of "METHOD url"; NULL = any */
  int status;          /* 0 = no answer: `error` */
  const char *headers; /* "name: value\nname: value" or NULL */
  const char *body;
  AzlinError error;
  gboolean always; /* stays in the script */
} Answer;

typedef struct {
  AzlinHost host; /* first: the brick's host is the world */
  AzlinHostApi api;
  AzClock *clock;
  Azure azure;
  GPtrArray *script; /* of Answer, borrowed */
  GString *log;      /* "0.0 GET /path?query\n", seconds since the beginning */
  GString *bodies;   /* one line for each request with a body */
  GHashTable *options;
  guint requests;
  /* how the op ended */
  gboolean ended;
  GError *error;
  AzlinVm *vm;
  GPtrArray *vms;
  ArmReply reply; /* of world_reply(): status, code; body in `body` */
  char *code;
  json_t *body;
} ArmWorld;

ArmWorld *arm_world_new(const Answer *answers, gsize n);
void arm_world_free(ArmWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ArmWorld, arm_world_free)
/* A root op whose end the world keeps. */
AzlinOp *arm_world_op(ArmWorld *world, guint32 timeout_ms);
void arm_world_wait(ArmWorld *world); /* until it has ended; then everything that is still to come */
/* An ArmDone: keeps the reply in the world and finishes the op given as `arm_world_keep(world, op)`. */
gpointer arm_world_keep(ArmWorld *world, AzlinOp *op);
void arm_world_reply(const ArmReply *reply, gpointer kept);
#define WORLD(answers) arm_world_new(answers, G_N_ELEMENTS(answers))
