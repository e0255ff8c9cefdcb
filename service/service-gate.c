/* The door of system mode: who calls, how often, whether polkit grants it; in that order, and nothing waits for an
 * answer but the call itself. */
#include "service-gate-private.h"

#include "wire.h"

static const char *
sender_of(const GateCall *call)
{
  return g_dbus_method_invocation_get_sender(call->invocation);
}

static gboolean
is_method(const GateCall *call, const char *interface, const char *method)
{
  return g_str_equal(g_dbus_method_invocation_get_interface_name(call->invocation), interface)
         && g_str_equal(g_dbus_method_invocation_get_method_name(call->invocation), method);
}

/* ---- the end of a call ---- */

static void
call_free(gpointer data)
{
  GateCall *call = data;
  if (call->question != NULL)
    service_polkit_withdraw(call->question);
  if (call->user != NULL)
    call->user->waiting--;
  g_free(call);
}

/* The invocation has its answer. */
static void
forget(GateCall *call)
{
  Service *service = call->gate->service;
  g_ptr_array_remove_fast(call->gate->calls, call);
  service_look_busy(service);
}

static void
refuse(GateCall *call, AzlinError code, const char *why)
{
  service_refuse_new(call->invocation, code, why);
  forget(call);
}

/* ---- limits ---- */

static guint
count_open_jobs(Service *service, guint32 owner)
{
  GHashTableIter iter;
  gpointer job;
  guint n = 0;
  g_hash_table_iter_init(&iter, service->jobs);
  while (g_hash_table_iter_next(&iter, NULL, &job))
    n += service_job_owner(job) == owner && !service_job_is_ended(job);
  return n;
}

/* NULL: there is room for what it makes. Owned. */
static char *
no_room(const GateCall *call)
{
  Service *service = call->gate->service;
  if (is_method(call, AZ_WIRE_NAME ".Manager", "Submit")
      && count_open_jobs(service, call->user->id) >= SERVICE_MAX_OPEN_JOBS)
    return g_strdup_printf("you have %u jobs that have not ended, as many as one user may", SERVICE_MAX_OPEN_JOBS);
  if (is_method(call, AZ_WIRE_NAME ".Manager", "Inhibit")
      && service_inhibitions_of(service, call->user->id) >= SERVICE_MAX_INHIBITIONS)
    return g_strdup_printf("you hold failovers back %u times, as often as one user may", SERVICE_MAX_INHIBITIONS);
  return NULL;
}

/* Long answers cost more than short ones. */
static double
cost_of(const GateCall *call)
{
  const ServiceJob *job = service_gate_job(call);
  guint told = 0;
  if (is_method(call, AZ_WIRE_OBJECTS, "GetManagedObjects"))
    told = g_hash_table_size(call->gate->service->jobs)
           + g_hash_table_size(service_objects_regions(call->gate->service->objects));
  else if (job != NULL && is_method(call, AZ_WIRE_NAME ".Job", "Listen"))
    told = service_job_said(job);
  return 1 + told / SERVICE_TOLD_PER_CALL;
}

/* What has been wanted lately, too. */
static char *
too_much(GateCall *call)
{
  gint64 now = g_get_monotonic_time();
  ServiceUser *user = call->user;
  if (!service_bucket_take(&user->calls, cost_of(call), SERVICE_MAX_CALLS, SERVICE_CALLS_PER_SECOND, now))
    return g_strdup_printf("azlind takes %u calls a second from one user; wait, and call again",
                           SERVICE_CALLS_PER_SECOND);
  if (user->waiting > SERVICE_MAX_WAITING)
    return g_strdup_printf("%u calls of yours wait for a permission, as many as one user may", SERVICE_MAX_WAITING);
  return no_room(call);
}

/* The same once it is granted: others of his may have come first. */
static char *
too_much_now(GateCall *call)
{
  gint64 now = g_get_monotonic_time();
  if (is_method(call, AZ_WIRE_NAME ".Manager", "Submit")
      && !service_bucket_take(&call->user->jobs, 1, SERVICE_MAX_NEW_JOBS, SERVICE_NEW_JOBS_PER_MINUTE / 60.0, now))
    return g_strdup_printf("azlind makes %u jobs a minute for one user; wait, and call again",
                           SERVICE_NEW_JOBS_PER_MINUTE);
  return no_room(call);
}

/* ---- the question ---- */

static void
serve(GateCall *call)
{
  g_autofree char *why = too_much_now(call);
  if (why != NULL) {
    refuse(call, AZLIN_ERROR_THROTTLED, why);
    return;
  }
  service_gate_serve(call);
  forget(call);
}

static void ask(GateCall *call);

static void
on_answer(const char *why, gpointer data)
{
  GateCall *call = data;
  call->question = NULL;
  if (why != NULL) {
    refuse(call, AZLIN_ERROR_PERMISSION, why);
    return;
  }
  call->granted++;
  ask(call);
}

/* Not granted: it sees less. */
static void
on_wider(const char *why, gpointer data)
{
  GateCall *call = data;
  call->question = NULL;
  call->sees_all = why == NULL;
  serve(call);
}

/* What the rules of polkit may decide by. */
static GVariant *
details_of(const GateCall *call)
{
  GVariantBuilder details;
  const ServiceJob *job = service_gate_job(call);
  const char *kind = NULL;
  if (is_method(call, AZ_WIRE_NAME ".Manager", "Submit"))
    g_variant_get_child(g_dbus_method_invocation_get_parameters(call->invocation), 0, "&s", &kind);
  else if (job != NULL)
    kind = service_job_kind(job);
  g_variant_builder_init(&details, G_VARIANT_TYPE("a{ss}"));
  g_variant_builder_add(&details, "{ss}", "method", g_dbus_method_invocation_get_method_name(call->invocation));
  if (kind != NULL && az_engine_kind(kind) != NULL)
    g_variant_builder_add(&details, "{ss}", "kind", kind);
  return g_variant_builder_end(&details);
}

static void
ask(GateCall *call)
{
  const char *action = call->rule.needed[call->granted];
  GDBusMessageFlags flags = g_dbus_message_get_flags(g_dbus_method_invocation_get_message(call->invocation));
  gboolean interactive = (flags & G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION) != 0;
  if (action != NULL)
    call->question
        = service_polkit_ask(call->gate->bus, sender_of(call), action, details_of(call), interactive, on_answer, call);
  else if (call->rule.wider != NULL)
    call->question = service_polkit_ask(call->gate->bus, sender_of(call), call->rule.wider, details_of(call), FALSE,
                                        on_wider, call);
  else
    serve(call);
}

/* ---- a call comes ---- */

/* The service would read with its own rights what the caller may not. Owned; NULL: there is none. */
static char *
names_a_file(const AzJobKind *kind, GVariant *args)
{
  for (const AzFlag *flag = kind != NULL ? kind->flags : NULL; flag != NULL && flag->name != NULL; flag++) {
    g_autoptr(GVariant) value = g_variant_lookup_value(args, flag->name, NULL);
    if (value != NULL && g_strcmp0(flag->argument, "FILE") == 0)
      return g_strdup_printf("'%s' names a file, and azlind --system reads none for its callers", flag->name);
  }
  return NULL;
}

/* NULL: the call has its rule. Owned. */
static char *
find_rule(GateCall *call)
{
  GVariant *parameters = g_dbus_method_invocation_get_parameters(call->invocation);
  const ServiceJob *job = service_gate_job(call);
  ServiceCall facts = { .interface = g_dbus_method_invocation_get_interface_name(call->invocation),
                        .method = g_dbus_method_invocation_get_method_name(call->invocation),
                        .object = call->object,
                        .kind = job != NULL ? service_job_kind(job) : NULL,
                        .kind_known = TRUE };
  g_autoptr(GVariant) args = NULL;
  char *why = NULL;
  if (facts.object == SERVICE_OBJECT_MANAGER && g_variant_is_of_type(parameters, G_VARIANT_TYPE("(sa{sv})")))
    g_variant_get(parameters, "(&s@a{sv})", &facts.kind, &args);
  if (is_method(call, AZ_WIRE_NAME ".Manager", "Submit")) {
    const AzJobKind *kind = az_engine_kind(facts.kind);
    facts.kind_known = kind != NULL;
    why = names_a_file(kind, args);
  }
  if (why == NULL)
    service_rule_find(&facts, &call->rule, &why);
  return why;
}

/* It is known by now who calls. */
static void
admit(GateCall *call, ServiceUser *user)
{
  call->user = user;
  call->object = service_gate_object(call);
  user->waiting++;
  g_autofree char *much = too_much(call);
  if (much != NULL) {
    refuse(call, AZLIN_ERROR_THROTTLED, much);
    return;
  }
  if (g_variant_get_size(g_dbus_method_invocation_get_parameters(call->invocation)) > SERVICE_MAX_BYTES) {
    refuse(call, AZLIN_ERROR_USAGE, "the arguments are larger than azlind --system takes");
    return;
  }
  g_autofree char *why = find_rule(call);
  if (why != NULL)
    refuse(call, AZLIN_ERROR_PERMISSION, why);
  else
    ask(call);
}

/* Of a connection whose user the bus has not told yet. */
static guint
count_unknown(ServiceGate *gate, const char *sender)
{
  guint n = 0;
  for (guint i = 0; i < gate->calls->len; i++) {
    const GateCall *call = g_ptr_array_index(gate->calls, i);
    n += call->user == NULL && g_str_equal(sender_of(call), sender);
  }
  return n;
}

static void
on_call(GDBusConnection *bus, const char *sender, const char *path, const char *interface, const char *method,
        GVariant *parameters, GDBusMethodInvocation *invocation, gpointer data)
{
  ServiceGate *gate = data;
  ServiceUser *user = service_peers_find(gate->peers, sender);
  if (user == NULL && count_unknown(gate, sender) >= SERVICE_MAX_WAITING) {
    service_refuse_new(invocation, AZLIN_ERROR_THROTTLED, "too many calls at once; wait for the first answer");
    return;
  }
  GateCall *call = g_new0(GateCall, 1);
  *call = (GateCall){ .gate = gate, .invocation = invocation };
  g_ptr_array_add(gate->calls, call);
  service_look_busy(gate->service);
  if (user != NULL)
    admit(call, user);
}

/* ---- those who call ---- */

/* In the order in which they came. */
static void
on_known(const char *name, ServiceUser *user, gpointer data)
{
  ServiceGate *gate = data;
  g_autoptr(GPtrArray) waiting = g_ptr_array_new();
  for (guint i = 0; i < gate->calls->len; i++) {
    GateCall *call = g_ptr_array_index(gate->calls, i);
    if (call->user == NULL && g_str_equal(sender_of(call), name))
      g_ptr_array_add(waiting, call);
  }
  for (guint i = 0; i < waiting->len; i++) {
    if (user != NULL)
      admit(g_ptr_array_index(waiting, i), user);
    else
      refuse(g_ptr_array_index(waiting, i), AZLIN_ERROR_PERMISSION, "the bus does not say who you are");
  }
}

static void
on_gone(const char *name, gpointer data)
{
  ServiceGate *gate = data;
  for (guint i = gate->calls->len; i > 0; i--) {
    GateCall *call = g_ptr_array_index(gate->calls, i - 1);
    if (g_str_equal(sender_of(call), name))
      refuse(call, AZLIN_ERROR_CANCELLED, "whoever called is gone");
  }
  service_teller_forget(gate->teller, name);
}

/* ---- what is shown ---- */

static const GDBusInterfaceVTable calls = { .method_call = on_call }; /* also for properties */

/* GDBus wants to be told, and whoever may see jobs asks for the list of them. */
static char **
enumerate(GDBusConnection *bus, const char *sender, const char *path, gpointer data)
{
  return g_new0(char *, 1);
}

/* The same for every number: who may not see a job does not learn here whether there is one. */
static GDBusInterfaceInfo **
introspect_region(GDBusConnection *bus, const char *sender, const char *path, const char *node, gpointer data)
{
  GDBusInterfaceInfo **infos = g_new0(GDBusInterfaceInfo *, 2);
  if (node != NULL)
    infos[0] = g_dbus_interface_info_ref(dbus_region_interface_info());
  return infos;
}

static GDBusInterfaceInfo **
introspect(GDBusConnection *bus, const char *sender, const char *path, const char *node, gpointer data)
{
  GDBusInterfaceInfo **infos = g_new0(GDBusInterfaceInfo *, 2);
  if (node != NULL)
    infos[0] = g_dbus_interface_info_ref(dbus_job_interface_info());
  return infos;
}

static const GDBusInterfaceVTable *
dispatch(GDBusConnection *bus, const char *sender, const char *path, const char *interface, const char *node,
         gpointer *ret_data, gpointer data)
{
  *ret_data = data;
  return &calls;
}

static guint
show_object(ServiceGate *gate, GDBusInterfaceInfo *interface, GError **error)
{
  return g_dbus_connection_register_object(gate->bus, AZ_WIRE_PATH, interface, &calls, gate, NULL, error);
}

static guint
show_subtree(ServiceGate *gate, const char *path, const GDBusSubtreeVTable *table, GError **error)
{
  return g_dbus_connection_register_subtree(gate->bus, path, table, G_DBUS_SUBTREE_FLAGS_DISPATCH_TO_UNENUMERATED_NODES,
                                            gate, NULL, error);
}

static gboolean
show(ServiceGate *gate, GError **error)
{
  static const GDBusSubtreeVTable jobs = { .enumerate = enumerate, .introspect = introspect, .dispatch = dispatch };
  static const GDBusSubtreeVTable regions
      = { .enumerate = enumerate, .introspect = introspect_region, .dispatch = dispatch };
  return (gate->manager = show_object(gate, dbus_manager_interface_info(), error)) > 0
         && (gate->objects = show_object(gate, service_objects_interface(), error)) > 0
         && (gate->jobs = show_subtree(gate, AZ_WIRE_PATH "/job", &jobs, error)) > 0
         && (gate->regions = show_subtree(gate, SERVICE_REGIONS_PATH, &regions, error)) > 0;
}

/* ---- for the rest of the service ---- */

gboolean
service_gate_is_busy(const ServiceGate *gate)
{
  return gate != NULL && gate->calls->len > 0;
}

guint32
service_gate_caller(const ServiceGate *gate)
{
  return gate != NULL && gate->serving != NULL ? gate->serving->user->id : SERVICE_NOBODY;
}

gboolean
service_gate_shows(const ServiceGate *gate, guint32 owner)
{
  return gate == NULL || (gate->serving != NULL && (gate->serving->sees_all || gate->serving->user->id == owner));
}

static void
say(const char *path, const char *interface, const char *signal, GVariant *arguments, gpointer data)
{
  service_teller_say(((ServiceGate *) data)->teller, path, interface, signal, arguments);
}

void
service_gate_set_voice(ServiceGate *gate, ServiceVoice *voice)
{
  *voice = (ServiceVoice){ .say = say, .data = gate };
}

void
service_gate_add_job(ServiceGate *gate, ServiceJob *job)
{
  if (gate == NULL)
    return;
  service_teller_add_job(gate->teller, service_job_path(job), service_job_skeleton(job));
  if (gate->serving != NULL)
    service_teller_follow(gate->teller, service_job_path(job), sender_of(gate->serving), gate->serving->user->id);
}

void
service_gate_remove_job(ServiceGate *gate, ServiceJob *job)
{
  if (gate != NULL)
    service_teller_remove_job(gate->teller, service_job_path(job));
}

/* ---- its life ---- */

ServiceGate *
service_gate_new(Service *service, GDBusConnection *bus, GError **error)
{
  ServiceGate *gate = g_new0(ServiceGate, 1);
  const ServicePeersWatch watch = { .known = on_known, .gone = on_gone, .data = gate };
  gate->service = service;
  gate->bus = g_object_ref(bus);
  gate->peers = service_peers_new(bus, &watch);
  gate->teller = service_teller_new(bus);
  gate->calls = g_ptr_array_new_with_free_func(call_free);
  if (show(gate, error))
    return gate;
  service_gate_close(gate);
  return NULL;
}

/* Flushed, since the process is about to end. */
static void
refuse_all(ServiceGate *gate)
{
  gboolean any = gate->calls->len > 0;
  for (guint i = gate->calls->len; i > 0; i--)
    service_refuse_new(((GateCall *) g_ptr_array_index(gate->calls, i - 1))->invocation, AZLIN_ERROR_LOCKED,
                       "azlind is about to end");
  g_ptr_array_unref(gate->calls);
  if (any)
    g_dbus_connection_flush_sync(gate->bus, NULL, NULL);
}

void
service_gate_close(ServiceGate *gate)
{
  if (gate->regions > 0)
    g_dbus_connection_unregister_subtree(gate->bus, gate->regions);
  if (gate->jobs > 0)
    g_dbus_connection_unregister_subtree(gate->bus, gate->jobs);
  if (gate->objects > 0)
    g_dbus_connection_unregister_object(gate->bus, gate->objects);
  if (gate->manager > 0)
    g_dbus_connection_unregister_object(gate->bus, gate->manager);
  refuse_all(gate);
  service_teller_free(gate->teller);
  service_peers_free(gate->peers);
  g_object_unref(gate->bus);
  g_free(gate);
}
