/* Token buckets of each subscription, and requests that come before the time an answer named. */
#pragma once
#include "double.h"

typedef enum { BUDGET_READS, BUDGET_WRITES, BUDGET_DELETES } BudgetKind;

Budget *budget_new(void);
void budget_free(Budget *budget);
BudgetKind budget_kind(const char *method);
const char *budget_name(BudgetKind kind); /* "reads" */
/* Takes one request out of the bucket. 0 = granted; else seconds until one is there again. `ret_left`: what remains. */
guint budget_take(Double *world, const char *subscription, BudgetKind kind, guint *ret_left);

/* An answer asked for this request not to come (again) before `seconds` are over. `firm`: it is refused until then. */
void budget_wait(Double *world, const char *method, const char *target, guint seconds, gboolean firm);
/* The answer that asked for it never left. */
void budget_unwait(Double *world, const char *method, const char *target);
/* Records a request that comes too early. The seconds it must still wait when it is to be refused, else 0. */
guint budget_arrive(Double *world, const char *method, const char *target, const char *subscription);
/* A new process knows nothing of what its predecessor was told. */
void budget_forget_waits(Double *world);
