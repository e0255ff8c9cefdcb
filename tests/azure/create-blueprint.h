/* A machine of fixed values for tests of what is made of it. */
#pragma once
#include "blueprint.h"

#define TEST_SUBSCRIPTION "0b1f6471-1bf0-4dda-aec3-111122223333"
#define TEST_OP "7c9e6679-7425-40de-944b-e07fc1f90ae7"

/* An Azure of a host that knows the options of the brick and a clock that stands still. */
Azure *test_azure_new(void);
void test_azure_free(Azure *azure);
void test_option(const char *name, const char *value); /* GVariant text; NULL = unset */
AzlinVmSpec test_spec(void);
/* Checked, placed, and with TEST_OP; fails the test when it is refused. */
AzureBlueprint *test_blueprint_new(Azure *azure, const AzlinVmSpec *spec);
void test_assert_golden(json_t *actual, const char *file); /* steals `actual` */
