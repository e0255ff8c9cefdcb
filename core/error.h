/* The error taxonomy: one table from code to the specification's ErrorResult, retry policy and suggested steps. */
#pragma once
#include "azlin-plugin.h"

/* "NetworkFailure", "CapacityUnavailable", ...: the error_type of the specification. */
const char *az_error_type(const GError *error);
/* The code of such a type; FAILED for one that nobody knows. */
int az_error_code(const char *type);
gboolean az_error_retry_possible(const GError *error);
/* Delay before attempt + 1 (attempts count from 1), full jitter, or -1 = give up (the specification's counts). */
int az_error_retry_delay_ms(const GError *error, guint32 attempt);
/* a{sv} with error_type, error_message, resolution_steps as, retry_possible, log_details. `context` may be NULL, or
 * "region=eastus size=..." to make the steps concrete. Floating. */
GVariant *az_error_to_variant(const GError *error, const char *context);
/* {"error": ErrorResult}: the document of a job that failed. Floating. */
GVariant *az_error_result(const GError *error);
/* What a job has come to whose service died. */
GError *az_error_service_ended(void);
/* The exit code that an error gives to a command that produced no result: 1, 3, 4, 5, 64, 78 or 130. */
int az_error_exit_code(const GError *error);
/* Adds one suggested next step to the error; az_error_to_variant() puts these before the table's own. An empty step
 * says that nothing of the table fits: its steps are left out. */
void az_error_add_step(GError *error, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The same in front of those that it has. */
void az_error_add_first_step(GError *error, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Says that trying again is of no use this time, whatever the table says of errors of this kind. */
void az_error_set_final(GError *error);
/* The message without the steps that az_error_add_step() attached. Owned. */
char *az_error_message(const GError *error);
/* Ends `text`, into which such a message went, before its steps. */
void az_error_cut_steps(char *text);
/* Every row of the table, for docs/errors.md: code name order, a{sv} each (type, retries, exit_code, steps). */
GVariant *az_error_table(void);
