/* The error taxonomy: one table from code to the specification's ErrorResult, retry policy and suggested steps. */
#include "error.h"

#include "record.h"

#include <string.h>

typedef struct {
  const char *type;    /* error_type of the specification */
  guint retries;       /* after the first attempt */
  guint base_delay_ms; /* doubled at each attempt, then full jitter */
  int exit_code;
  const char *steps[3];
} ErrorRow;

static const ErrorRow rows[AZLIN_N_ERRORS] = {
  [AZLIN_ERROR_FAILED]
  = { "UnexpectedError", 0, 0, 1, { "Run the command again with --verbose", "Look at the log: azlin audit show" } },
  [AZLIN_ERROR_NETWORK]
  = { "NetworkFailure",
      0,
      0,
      1,
      { "Check all regions: azlin regions health", "Fail over when the region is down: azlin failover --auto" } },
  [AZLIN_ERROR_CAPACITY]
  = { "CapacityUnavailable", 2, 2000, 1, { "Try another region", "Try another machine size with --vm-size" } },
  [AZLIN_ERROR_PERMISSION] = { "PermissionDenied", 0, 0, 1, { "Check the rights of the account that azlin uses" } },
  [AZLIN_ERROR_TIMED_OUT] = { "Timeout",
                              0,
                              0,
                              1,
                              { "Give it longer with --timeout", "Try a smaller machine size with --vm-size",
                                "See what was left behind: azlin recover" } },
  [AZLIN_ERROR_SSH] = { "SSHConnectionFailed",
                        3,
                        1000,
                        1,
                        { "Check that port 22 is open to this host", "Check the machine: azlin vm status" } },
  [AZLIN_ERROR_AUTH]
  = { "AuthenticationFailed",
      0,
      0,
      1,
      { "Check the key: [ssh] key-file in azlin.conf", "Check the user name: [ssh] user in azlin.conf" } },
  [AZLIN_ERROR_HOST_KEY]
  = { "HostKeyMismatch",
      0,
      0,
      1,
      { "Find out why the key differs before you trust it",
        "Register the machine again with the key that you checked: azlin regions add --host-key" } },
  [AZLIN_ERROR_SYNC] = { "SyncFailure",
                         3,
                         1000,
                         1,
                         { "Check disk space on the target", "Run the command again: what was copied is kept" } },
  [AZLIN_ERROR_PARTIAL] = { "PartialFailure", 0, 0, 1, { "Run the command again for what failed" } },
  [AZLIN_ERROR_USAGE] = { "InvalidUsage", 0, 0, 64, { NULL } },
  [AZLIN_ERROR_CONFIG]
  = { "InvalidConfig",
      0,
      0,
      78,
      { "Review the file that is named", "See every value and its origin: azlin config show --origin" } },
  [AZLIN_ERROR_THROTTLED]
  = { "ApiThrottled", 5, 1000, 1, { "Wait and run the command again", "Lower --max-concurrent" } },
  [AZLIN_ERROR_NOT_FOUND]
  = { "NotFound",
      0,
      0,
      1,
      { "See what is known: azlin regions list", "Compare with the provider: azlin regions refresh" } },
  [AZLIN_ERROR_EXISTS] = { "AlreadyExists", 0, 0, 1, { "See what is known: azlin regions list" } },
  [AZLIN_ERROR_NOT_SUPPORTED] = { "NotSupported", 0, 0, 1, { "See what each brick can do: azlin bricks list" } },
  [AZLIN_ERROR_POLICY]
  = { "HeldBackByPolicy",
      0,
      0,
      3,
      { "See the reasons: azlin failover --explain", "Decide yourself: azlin failover --to REGION" } },
  [AZLIN_ERROR_LOCKED]
  = { "LockUnavailable", 0, 0, 4, { "Wait until the other azlin has finished", "After a crash: azlin recover" } },
  [AZLIN_ERROR_FENCED] = { "Superseded", 0, 0, 5, { "Look at the present state: azlin regions list" } },
  [AZLIN_ERROR_DECLINED] = { "Declined", 0, 0, 2, { "Answer yes, or give --yes" } },
  [AZLIN_ERROR_CANCELLED] = { "Cancelled", 0, 0, 130, { "See what stands: azlin recover" } },
  [AZLIN_ERROR_STORAGE] = { "StorageFailure", 0, 0, 1, { "Check free space and rights of $AZLIN_HOME" } },
};

/* Steps that belong to one error travel in its message after this separator, since a GError has no other room. */
#define STEP_MARK "\x1f"
#define FINAL_STEP "\x1e" /* no step, but the word that trying again is of no use */

static const ErrorRow *
row_of(const GError *error)
{
  if (error == NULL || error->domain != AZLIN_ERROR || error->code < 0 || error->code >= AZLIN_N_ERRORS)
    return &rows[AZLIN_ERROR_FAILED];
  return &rows[error->code];
}

const char *
az_error_type(const GError *error)
{
  return row_of(error)->type;
}

static gboolean
is_final(const GError *error)
{
  return error != NULL && strstr(error->message, STEP_MARK FINAL_STEP) != NULL;
}

int
az_error_code(const char *type)
{
  for (int code = 0; code < AZLIN_N_ERRORS; code++)
    if (g_str_equal(rows[code].type, type))
      return code;
  return AZLIN_ERROR_FAILED;
}

gboolean
az_error_retry_possible(const GError *error)
{
  return row_of(error)->retries > 0 && !is_final(error);
}

int
az_error_retry_delay_ms(const GError *error, guint32 attempt)
{
  const ErrorRow *row = row_of(error);
  if (attempt > row->retries || is_final(error))
    return -1;
  guint ceiling = row->base_delay_ms << MIN(attempt, 6);
  return g_random_int_range((gint32) ceiling / 2, (gint32) ceiling + 1);
}

GVariant *
az_error_result(const GError *error)
{
  GVariantDict result;
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert_value(&result, "error", az_error_to_variant(error, NULL));
  return g_variant_dict_end(&result);
}

GError *
az_error_service_ended(void)
{
  GError *error = g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_FAILED,
                                      "azlind ended while it was at work; what had begun stands in the journal");
  az_error_add_first_step(error, "Finish or undo it: azlin recover");
  return error;
}

int
az_error_exit_code(const GError *error)
{
  return row_of(error)->exit_code;
}

void
az_error_add_step(GError *error, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *step = g_strdup_vprintf(format, args);
  va_end(args);
  g_autofree char *message = error->message;
  error->message = g_strconcat(message, STEP_MARK, step, NULL);
}

void
az_error_set_final(GError *error)
{
  az_error_add_step(error, FINAL_STEP);
}

void
az_error_add_first_step(GError *error, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *step = g_strdup_vprintf(format, args);
  va_end(args);
  g_autofree char *plain = az_error_message(error);
  g_autofree char *message = error->message;
  error->message = g_strconcat(plain, STEP_MARK, step, message + strlen(plain), NULL);
}

GVariant *
az_error_to_variant(const GError *error, const char *context)
{
  const ErrorRow *row = row_of(error);
  g_autofree char *message = g_utf8_make_valid(error != NULL ? error->message : "", -1); /* may quote foreign bytes */
  g_auto(GStrv) parts = g_strsplit(message, STEP_MARK, -1);
  g_autoptr(GStrvBuilder) builder_of_steps = g_strv_builder_new();
  gboolean complete = FALSE;
  for (guint i = 1; parts[0] != NULL && parts[i] != NULL; i++) {
    complete |= *parts[i] == '\0';
    if (*parts[i] != '\0' && !g_str_equal(parts[i], FINAL_STEP))
      g_strv_builder_add(builder_of_steps, parts[i]);
  }
  for (guint i = 0; !complete && i < G_N_ELEMENTS(row->steps) && row->steps[i] != NULL; i++)
    g_strv_builder_add(builder_of_steps, row->steps[i]);
  g_auto(GStrv) steps = g_strv_builder_end(builder_of_steps);
  g_autofree char *details
      = context == NULL ? g_strdup_printf("%s", row->type) : g_strdup_printf("%s: %s", row->type, context);
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", "error_type", g_variant_new_string(row->type));
  g_variant_builder_add(&builder, "{sv}", "error_message", g_variant_new_string(parts[0] != NULL ? parts[0] : ""));
  g_variant_builder_add(&builder, "{sv}", "resolution_steps", g_variant_new_strv((const char *const *) steps, -1));
  g_variant_builder_add(&builder, "{sv}", "retry_possible", g_variant_new_boolean(az_error_retry_possible(error)));
  g_variant_builder_add(&builder, "{sv}", "log_details", g_variant_new_string(details));
  return g_variant_builder_end(&builder);
}

void
az_error_cut_steps(char *text)
{
  text[strcspn(text, STEP_MARK)] = '\0';
}

char *
az_error_message(const GError *error)
{
  const char *mark = strstr(error->message, STEP_MARK);
  return mark == NULL ? g_strdup(error->message) : g_strndup(error->message, (gsize) (mark - error->message));
}

GVariant *
az_error_table(void)
{
  GVariantBuilder table;
  g_variant_builder_init(&table, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < AZLIN_N_ERRORS; i++) {
    guint n_steps = 0;
    while (n_steps < G_N_ELEMENTS(rows[i].steps) && rows[i].steps[n_steps] != NULL)
      n_steps++;
    g_variant_builder_open(&table, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&table, "{sv}", "error_type", g_variant_new_string(rows[i].type));
    g_variant_builder_add(&table, "{sv}", "retries", g_variant_new_uint32(rows[i].retries));
    g_variant_builder_add(&table, "{sv}", "exit_code", g_variant_new_int32(rows[i].exit_code));
    g_variant_builder_add(&table, "{sv}", "resolution_steps", g_variant_new_strv(rows[i].steps, n_steps));
    g_variant_builder_close(&table);
  }
  return g_variant_builder_end(&table);
}
