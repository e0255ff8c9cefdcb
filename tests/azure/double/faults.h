/* Faults that a test asked for: which of them strike a request, decided by match, count and seeded chance. */
#pragma once
#include "double.h"

/* What a fault may look at. NULL = unknown. */
typedef struct {
  const char *kind; /* operationId, or "Token", "Imds", "AppService", "Poll", "SerialLog" */
  const char *method, *path, *region;
} FaultTarget;

Faults *faults_new(void);
void faults_free(Faults *faults);
void faults_clear(Faults *faults);
void faults_seed(Faults *faults, guint32 seed);
/* One fault of the control endpoint. NULL = taken; else what is wrong with it, owned. */
char *faults_add(Faults *faults, json_t *spec);
/* The specifications that strike now; each counts as fired. Owned array of owned json_t. */
GPtrArray *faults_pick(Faults *faults, const FaultTarget *target);
/* The first with this "do"; `when` (or NULL): and this "when". Borrowed; NULL = none. */
json_t *faults_find(const GPtrArray *picked, const char *act, const char *when);
/* [{"do":.., "matched":n, "fired":n}] */
json_t *faults_report(const Faults *faults);
