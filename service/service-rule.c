/* Who may do what in system mode: what stands in no table is refused. */
#include "service-rule.h"

#include "wire.h"

#define LOOK SERVICE_ACTION "look"
#define INSPECT SERVICE_ACTION "inspect"
#define DEPLOY SERVICE_ACTION "deploy"
#define CHANGE SERVICE_ACTION "change"
#define SYNC SERVICE_ACTION "sync"
#define CONNECT SERVICE_ACTION "connect"
#define FAILOVER SERVICE_ACTION "failover"
#define DESTROY SERVICE_ACTION "destroy"
#define OTHERS SERVICE_ACTION "jobs-of-others"

#define MANAGER AZ_WIRE_NAME ".Manager"
#define JOB AZ_WIRE_NAME ".Job"

typedef struct {
  const char *name, *action;
  const char *wider;
} Entry;

/* `action` NULL: not in system mode. */
static const Entry kinds[] = {
  { "deploy", DEPLOY },
  { "destroy", DESTROY },
  { "failover", FAILOVER },
  { "failover-ack", FAILOVER },
  { "failover-commit", FAILOVER },
  { "failover-pause", FAILOVER },
  { "failover-replay", INSPECT },
  { "failover-resume", FAILOVER },
  { "failover-rollback", FAILOVER },
  { "logs", INSPECT },
  { "recover", CHANGE },
  { "regions-add", CHANGE },
  { "regions-health", LOOK },
  { "regions-list", LOOK },
  { "regions-refresh", CHANGE },
  { "regions-remove", DESTROY },
  { "regions-set-primary", FAILOVER },
  { "simulate", NULL }, /* reads files, takes all processors, and needs nothing that the service has */
  { "ssh-config", CONNECT },
  { "ssh-target", CONNECT },
  { "status", LOOK },
  { "sync", SYNC },
  { "sync-verify", SYNC },
  { "vm-deallocate", CHANGE },
  { "vm-delete", DESTROY },
  { "vm-restart", CHANGE },
  { "vm-start", CHANGE },
  { "vm-status", LOOK },
  { "vm-stop", CHANGE },
  { "watch", FAILOVER },
};

static const Entry queries[] = {
  { "audit", INSPECT }, { "audit-verify", INSPECT }, { "bricks", LOOK }, { "bricks-info", LOOK },
  { "counts", LOOK },   { "config", INSPECT },       { "engine", LOOK }, { "jobs", LOOK, OTHERS },
};

typedef enum { FIXED, BY_KIND, BY_QUERY } Way;

typedef struct {
  const char *interface, *method;
  gboolean of_job; /* else of the Manager's object */
  Way way;
  Entry fixed;
} Method;

/* What goes on in a job needs what its beginning needed; who may look may see and end what is his own. */
static const Method methods[] = {
  { MANAGER, "Submit", FALSE, BY_KIND },
  { MANAGER, "Query", FALSE, BY_QUERY },
  { MANAGER, "Inhibit", FALSE, FIXED, { .action = FAILOVER } },
  { JOB, "Start", TRUE, BY_KIND },
  { JOB, "Answer", TRUE, BY_KIND },
  { JOB, "Cancel", TRUE, FIXED, { .action = LOOK } },
  { JOB, "Listen", TRUE, FIXED, { .action = LOOK } },
  { AZ_WIRE_PROPERTIES, "Get", FALSE, FIXED, { .action = LOOK } },
  { AZ_WIRE_PROPERTIES, "GetAll", FALSE, FIXED, { .action = LOOK } },
  { AZ_WIRE_PROPERTIES, "Get", TRUE, FIXED, { .action = LOOK } },
  { AZ_WIRE_PROPERTIES, "GetAll", TRUE, FIXED, { .action = LOOK } },
  { AZ_WIRE_OBJECTS, "GetManagedObjects", FALSE, FIXED, { .action = LOOK, .wider = OTHERS } },
};

static const Entry *
find_entry(const Entry *entries, gsize n, const char *name)
{
  for (gsize i = 0; i < n; i++)
    if (g_str_equal(entries[i].name, name))
      return &entries[i];
  return NULL;
}

static const Method *
find_method(const ServiceCall *call)
{
  gboolean of_job = call->object != SERVICE_OBJECT_MANAGER;
  for (gsize i = 0; i < G_N_ELEMENTS(methods); i++)
    if (g_str_equal(methods[i].interface, call->interface) && g_str_equal(methods[i].method, call->method)
        && methods[i].of_job == of_job)
      return &methods[i];
  return NULL;
}

/* What the engine, or the list of jobs, is about to refuse needs no more than a look. */
static const Entry *
entry_of(const Method *method, const ServiceCall *call)
{
  static const Entry unknown = { .action = LOOK };
  if (method->way == FIXED)
    return &method->fixed;
  if (!call->kind_known || call->object == SERVICE_OBJECT_MISSING)
    return &unknown;
  return method->way == BY_KIND ? find_entry(kinds, G_N_ELEMENTS(kinds), call->kind)
                                : find_entry(queries, G_N_ELEMENTS(queries), call->kind);
}

gboolean
service_rule_find(const ServiceCall *call, ServiceRule *ret_rule, char **ret_why)
{
  const Method *method = find_method(call);
  const Entry *entry = method != NULL ? entry_of(method, call) : NULL;
  *ret_rule = (ServiceRule){ 0 };
  if (method == NULL)
    *ret_why = g_strdup_printf("azlind --system has no rule for %s.%s here", call->interface, call->method);
  else if (entry == NULL)
    *ret_why = g_strdup_printf("azlind --system has no rule for '%s'", call->kind);
  else if (entry->action == NULL)
    *ret_why = g_strdup_printf("'%s' is nothing for azlind --system; run it yourself", call->kind);
  if (entry == NULL || entry->action == NULL)
    return FALSE;
  ret_rule->needed[0] = entry->action;
  ret_rule->needed[1] = call->object == SERVICE_OBJECT_FOREIGN ? OTHERS : NULL;
  ret_rule->wider = entry->wider;
  return TRUE;
}
