/* The slots that work on machines that exist, and recovery. `self` is the Local. */
#pragma once
#include "local.h"

void task_get(gpointer self, const AzlinVm *vm, AzlinOp *op);
void task_list(gpointer self, AzlinOp *op);
void task_power(gpointer self, const AzlinVm *vm, AzlinPower want, AzlinOp *op);
void task_restart(gpointer self, const AzlinVm *vm, AzlinOp *op);
void task_delete(gpointer self, const AzlinVm *vm, AzlinOp *op);
void task_recover(gpointer self, const char *what, GVariant *undo, AzlinOp *op);
void task_tag(gpointer self, const AzlinVm *vm, GVariant *set, const char *const *unset, AzlinOp *op); /* tag.c */
