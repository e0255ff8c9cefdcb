/* Looks at the resources of one machine: which of them stand, and whose they are. */
#pragma once
#include "names.h"

typedef enum { /* in the order in which they are taken away */
               AZURE_VM,
               AZURE_NIC,
               AZURE_ADDRESS,
               AZURE_RULES,
               AZURE_NETWORK,
               AZURE_DISK,
               AZURE_N_PIECES
} AzurePiece;

typedef enum {
  AZURE_ABSENT,
  AZURE_OURS,      /* bears azlin's tag, and the creation's when one was asked for */
  AZURE_OTHER_RUN, /* bears azlin's tag, but of another creation */
  AZURE_FOREIGN
} AzureOwner;

typedef struct {
  AzureOwner owner[AZURE_N_PIECES];
  char *op[AZURE_N_PIECES]; /* AZLIN_TAG_OP of each, or NULL */
  json_t *vm;               /* the machine as GET answered it; NULL = absent */
  GError *error;            /* the first that could not be read; nothing may be concluded then */
} AzureSight;

/* `sight` is valid in the call. `op_uuid` NULL: all that bears azlin's tag is ours. */
typedef void (*AzureLooked)(const AzureSight *sight, gpointer data);
void
azure_look(Azure *azure, AzlinOp *op, const AzureNames *names, const char *op_uuid, AzureLooked done, gpointer data);

/* ---- pure ---- */
AzureOwner azure_owner_of(const json_t *resource, const char *op_uuid); /* NULL = AZURE_ABSENT */
/* Which creation made this machine (or NULL), as its tags say: another text = another one. Owned. */
char *azure_making_of(const json_t *vm);
const char *azure_piece_id(const AzureNames *names, AzurePiece piece);
const char *azure_piece_version(AzurePiece piece);
const char *azure_piece_word(AzurePiece piece); /* "network interface" */
/* A disk of a machine bears no tag where the platform does not hand the machine's on: then it is whose the machine is.
 */
void azure_settle_disk(AzureSight *sight, const json_t *disk, const AzureNames *names);
