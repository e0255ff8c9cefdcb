/* One run of the simulate flow: what its parts share. */
#pragma once
#include "flow-simulate.h"

typedef struct {
  AzJob *job;
  AzEngine *engine;
  AzlinOp *root;
  AzSimScenario *scenario;
  AzSimPlan plan;
  const char *without; /* as typed, "" = nothing is left out */
  guint64 first, n;
  AzSimRun *run;
  gint64 began; /* of the real clock: how fast it is, not when things happen */
  double windows_s;
  AzSimTotals *totals;
} AzSimulate;

void az_sim_say_start(AzSimulate *sim);
void az_sim_say_totals(AzSimulate *sim);
/* Says the rest, and ends the job: 0, or 1 when something went wrong in it. */
void az_sim_end(AzSimulate *sim, const AzSimExecuted *executed);
