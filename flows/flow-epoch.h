/* What epoch a machine has been told, kept on it below ~/.local/state/azlin: `epoch` is that of the data it holds (it
 * became primary then, or was brought up to date with who was); `superseded` is one that it has only heard of. */
#pragma once
#include "flow-support.h"

typedef struct {
  guint64 data, told; /* 0 = none; told is the higher of both files */
} AzEpochs;

/* Reads both; op_variant (tt): data, told. A machine that keeps none says zeros; one that cannot be asked is an error.
 */
void az_epoch_read(AzEngine *engine, const AzlinVm *vm, AzlinOp *op);
AzEpochs az_epoch_result(AzlinOp *op); /* of a finished az_epoch_read() without error */

/* The machine holds the data of `epoch` from now on. */
void az_epoch_write(AzEngine *engine, const AzlinVm *vm, guint64 epoch, AzlinOp *op);
/* The machine is told that `epoch` exists and that it is not primary in it: its data stays what it was. */
void az_epoch_supersede(AzEngine *engine, const AzlinVm *vm, guint64 epoch, AzlinOp *op);

/* ---- rules; pure ---- */

/* Our records know of `epoch`, the machine in `region` of `machine`: FENCED when it has seen a higher one. */
gboolean az_epoch_check(const char *region, guint64 epoch, AzEpochs machine, GError **error);
/* May `source` write over what `target` holds? `primary`: who it is in the records, at `epoch`. FENCED where the
 * records or the source are behind. */
gboolean az_epoch_may_push(const char *source, AzEpochs of_source, const char *target, AzEpochs of_target,
                           const char *primary, guint64 epoch, GError **error);
/* Of the data that such a copy brings to the target. */
guint64 az_epoch_of_data(const char *source, AzEpochs of_source, const char *primary, guint64 epoch);
