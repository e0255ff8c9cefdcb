/* A home of its own per test, and jobs run in this process until they end; with V=1 in the environment they are heard.
 */
#pragma once
#include "flow.h"

typedef struct {
  char *root, *home, *config, *script; /* paths; the last two hold nothing yet */
} TestPlace;

TestPlace test_place_new(void);
void test_place_free(TestPlace *place); /* with all that is in it */
void test_put(const char *path, const char *text);
void test_run_tool(const char *const *argv); /* ends NULL */
AzEngine *test_engine_at(const TestPlace *place);
AzJob *test_run_job(AzEngine *engine, const char *kind, const char *args); /* finished */
