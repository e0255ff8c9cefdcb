/* What the audit log says of a machine that is off: meant by azlin itself, or nothing; and causes through the codec. */
#include "health.h"
#include "record.h"
#include <string.h>

#define AT(hour) "2025-12-01T" hour ":00:00.000001Z"
#define EVENT(hour, what, facts) "<{'time': <'" AT(hour) "'>, 'what': <'" what "'>, 'facts': <{" facts "}>}>"
#define OF(outcome) "'region': <'eastus'>, 'vm_name': <'m'>, 'outcome': <'" outcome "'>"
#define SWITCH(outcome, fence) "'source_region': <'eastus'>, 'outcome': <'" outcome "'>, 'fence': <" fence ">"

static gint64
at(const char *hour)
{
  g_autofree char *text = g_strdup_printf("2025-12-01T%s:00:00Z", hour);
  return az_time_from_string(text);
}

typedef struct {
  const char *events;
  const char *status, *seen; /* of the record; seen = hour of its last health check or NULL */
  AzlinStopCause cause;
} Row;

#define STOPPED "stopped", NULL

static const Row rows[] = {
  { "", STOPPED, AZLIN_STOP_UNKNOWN },
  { EVENT("10", "vm.stop", OF("requested")), STOPPED, AZLIN_STOP_REQUESTED },
  { EVENT("10", "vm.deallocate", OF("done")), STOPPED, AZLIN_STOP_REQUESTED },
  /* it may have come through although its answer was lost */
  { EVENT("10", "vm.stop", OF("requested")) "," EVENT("11", "vm.stop", OF("timed out")), STOPPED,
    AZLIN_STOP_REQUESTED },
  { EVENT("10", "vm.stop", OF("done")) "," EVENT("11", "vm.start", OF("requested")), STOPPED, AZLIN_STOP_UNKNOWN },
  { EVENT("10", "vm.stop", OF("done")) "," EVENT("11", "vm.restart", OF("done")), STOPPED, AZLIN_STOP_UNKNOWN },
  { EVENT("10", "vm.start", OF("done")) "," EVENT("11", "vm.stop", OF("done")), STOPPED, AZLIN_STOP_REQUESTED },
  /* what lies between is about something else */
  { EVENT("10", "vm.stop", OF("done")) "," EVENT("11", "sync", OF("done")) "," EVENT("12", "hostkey.trusted",
                                                                                     "'x': <1>"),
    STOPPED, AZLIN_STOP_REQUESTED },
  { EVENT("10", "vm.stop", "'region': <'westus2'>, 'vm_name': <'m'>"), STOPPED, AZLIN_STOP_UNKNOWN },
  { EVENT("10", "vm.stop", "'region': <'eastus'>, 'vm_name': <'other'>"), STOPPED, AZLIN_STOP_UNKNOWN },
  { EVENT("10", "vm.stop", OF("done")) "," EVENT("11", "vm.start", "'region': <'westus2'>, 'vm_name': <'m'>"), STOPPED,
    AZLIN_STOP_REQUESTED },
  /* seen alive since: somebody else has started it */
  { EVENT("10", "vm.stop", OF("done")), "ok", "11", AZLIN_STOP_UNKNOWN },
  { EVENT("10", "vm.stop", OF("done")), "ok", "09", AZLIN_STOP_REQUESTED },
  { EVENT("10", "vm.stop", OF("done")), "down", "11", AZLIN_STOP_REQUESTED },
  /* older than the machine: a namesake */
  { EVENT("07", "vm.stop", OF("done")), STOPPED, AZLIN_STOP_UNKNOWN },
  /* fenced by a failover */
  { EVENT("10", "failover", SWITCH("switched", "'confirmed'")), STOPPED, AZLIN_STOP_REQUESTED },
  { EVENT("10", "failover", SWITCH("switched, target unhealthy afterwards", "'unconfirmed'")), STOPPED,
    AZLIN_STOP_REQUESTED },
  { EVENT("10", "failover", SWITCH("aborted, source still off", "'unconfirmed'")), STOPPED, AZLIN_STOP_REQUESTED },
  { EVENT("10", "failover", SWITCH("aborted", "'confirmed'")), STOPPED, AZLIN_STOP_UNKNOWN },
  { EVENT("10", "failover", SWITCH("switched", "'epoch'")), STOPPED, AZLIN_STOP_UNKNOWN },
  { EVENT("10", "failover", SWITCH("switched", "()")), STOPPED, AZLIN_STOP_UNKNOWN },
  { EVENT("10", "vm.stop", OF("done")) "," EVENT("11", "failover", SWITCH("aborted", "'confirmed'")), STOPPED,
    AZLIN_STOP_REQUESTED },
  /* anything may stand in a log */
  { "<{'what': <5>}>,<{'time': <()>, 'facts': <'x'>}>", STOPPED, AZLIN_STOP_UNKNOWN },
};

static void
test_intent(void)
{
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *text = g_strdup_printf("[%s]", rows[i].events);
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) events = g_variant_parse(G_VARIANT_TYPE("av"), text, NULL, NULL, &error);
    g_assert_no_error(error);
    AzlinVm vm = { .size = sizeof vm, .region = "eastus", .vm_name = "m", .status = rows[i].status };
    vm.created_at = at("08");
    vm.last_health_check = rows[i].seen != NULL ? at(rows[i].seen) : 0;
    g_autofree char *detail = NULL;
    g_test_message("%s", rows[i].events);
    g_assert_cmpint(az_intent_of(events, &vm, &detail), ==, rows[i].cause);
    g_assert_true((detail != NULL) == (rows[i].cause == AZLIN_STOP_REQUESTED));
  }
  AzlinVm vm = { .size = sizeof vm, .region = "eastus", .vm_name = "m" };
  g_assert_cmpint(az_intent_of(NULL, &vm, NULL), ==, AZLIN_STOP_UNKNOWN);
}

/* Cause and maintenance survive on their way to whoever decides. */
static void
test_codec(void)
{
  for (guint cause = AZLIN_STOP_UNKNOWN; cause <= AZLIN_STOP_ENDED; cause++) {
    AzlinVm vm = { .size = sizeof vm, .region = "eastus", .vm_name = "m", .power = AZLIN_POWER_STOPPED };
    AzlinHealth health = { .size = sizeof health, .vm = &vm };
    vm.stop_cause = (AzlinStopCause) cause;
    vm.maintenance_at = cause == AZLIN_STOP_ENDED ? 0 : at("12");
    g_autoptr(GVariant) value = g_variant_ref_sink(az_health_to_variant(&health));
    AzlinVm stale = { .size = sizeof stale, .region = "eastus", .vm_name = "m", .maintenance_at = at("01") };
    g_autoptr(AzHealthCopy) copy = az_health_from_variant(value, &stale);
    g_assert_cmpint(az_health_copy_get(copy)->vm->stop_cause, ==, cause);
    g_assert_cmpint(az_health_copy_get(copy)->vm->maintenance_at, ==, vm.maintenance_at);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/intent/table", test_intent);
  g_test_add_func("/intent/codec", test_codec);
  return g_test_run();
}
