/* Behind the door of system mode: methods go to the skeletons, properties and the list of objects are answered here, so
 * that nothing is shown that was not granted. */
#include "service-gate-private.h"

#include "wire.h"

ServiceJob *
service_gate_job(const GateCall *call)
{
  return g_hash_table_lookup(call->gate->service->jobs, g_dbus_method_invocation_get_object_path(call->invocation));
}

ServiceObject
service_gate_object(const GateCall *call)
{
  const ServiceJob *job = service_gate_job(call);
  const char *path = g_dbus_method_invocation_get_object_path(call->invocation);
  if (g_str_equal(path, AZ_WIRE_PATH) || g_str_has_prefix(path, SERVICE_REGIONS_PATH "/"))
    return SERVICE_OBJECT_MANAGER;
  if (job == NULL)
    return SERVICE_OBJECT_MISSING;
  return service_job_owner(job) == call->user->id ? SERVICE_OBJECT_OWN : SERVICE_OBJECT_FOREIGN;
}

static GVariant *
properties_of(gpointer skeleton)
{
  return g_dbus_interface_skeleton_get_properties(skeleton);
}

/* GDBus has looked by now whether the interface has such a property. */
static void
serve_properties(GateCall *call, GDBusInterfaceSkeleton *skeleton)
{
  const char *name = NULL, *interface = g_dbus_interface_skeleton_get_info(skeleton)->name;
  g_autoptr(GError) error = NULL;
  if (g_str_equal(g_dbus_method_invocation_get_method_name(call->invocation), "GetAll")) {
    g_autoptr(GVariant) all = properties_of(skeleton);
    g_dbus_method_invocation_return_value(call->invocation, g_variant_new("(@a{sv})", all));
    return;
  }
  g_variant_get_child(g_dbus_method_invocation_get_parameters(call->invocation), 1, "&s", &name);
  g_autoptr(GVariant) value = g_dbus_interface_skeleton_get_vtable(skeleton)->get_property(
      call->gate->bus, g_dbus_method_invocation_get_sender(call->invocation),
      g_dbus_method_invocation_get_object_path(call->invocation), interface, name, &error, skeleton);
  if (value == NULL)
    g_dbus_method_invocation_return_gerror(call->invocation, error);
  else
    g_dbus_method_invocation_return_value(call->invocation, g_variant_new("(v)", value));
}

static void
serve_region(GateCall *call, const ServiceRegion *region)
{
  const char *name = NULL;
  if (g_str_equal(g_dbus_method_invocation_get_method_name(call->invocation), "GetAll")) {
    g_autoptr(GVariant) all = g_variant_ref_sink(service_region_interfaces(region));
    g_autoptr(GVariant) properties = g_variant_lookup_value(all, AZ_WIRE_NAME ".Region", G_VARIANT_TYPE_VARDICT);
    g_dbus_method_invocation_return_value(call->invocation, g_variant_new("(@a{sv})", properties));
    return;
  }
  g_variant_get_child(g_dbus_method_invocation_get_parameters(call->invocation), 1, "&s", &name);
  g_dbus_method_invocation_return_value(call->invocation, g_variant_new("(v)", service_region_get(region, name)));
}

static gboolean
shows(const char *path, gpointer data)
{
  const GateCall *call = data;
  const ServiceJob *job = g_hash_table_lookup(call->gate->service->jobs, path);
  return job != NULL && service_gate_shows(call->gate, service_job_owner(job));
}

static void
refuse_to_follow(GateCall *call)
{
  service_refuse_new(call->invocation, AZLIN_ERROR_THROTTLED,
                     "you follow as much as one user may; close a connection that follows some");
}

/* Whoever has asked for all of them hears of regions from now on. */
static void
serve_objects(GateCall *call)
{
  const char *name = g_dbus_method_invocation_get_sender(call->invocation);
  if (service_teller_follow_regions(call->gate->teller, name, call->user->id))
    service_objects_tell(call->gate->service->objects, call->invocation, shows, call);
  else
    refuse_to_follow(call);
}

static void
serve_method(GateCall *call, GDBusInterfaceSkeleton *skeleton)
{
  GDBusMethodInvocation *invocation = call->invocation;
  g_autoptr(GDBusInterfaceSkeleton) kept = g_object_ref(skeleton);
  const GDBusInterfaceVTable *vtable = g_dbus_interface_skeleton_get_vtable(kept);
  vtable->method_call(call->gate->bus, g_dbus_method_invocation_get_sender(invocation),
                      g_dbus_method_invocation_get_object_path(invocation),
                      g_dbus_method_invocation_get_interface_name(invocation),
                      g_dbus_method_invocation_get_method_name(invocation),
                      g_dbus_method_invocation_get_parameters(invocation), invocation, kept);
}

/* Whoever asks what a job has said hears the rest, too. FALSE: refused. */
static gboolean
follow(GateCall *call, ServiceJob *job)
{
  const char *name = g_dbus_method_invocation_get_sender(call->invocation);
  if (!g_str_equal(g_dbus_method_invocation_get_method_name(call->invocation), "Listen") || service_job_is_ended(job)
      || service_teller_follow(call->gate->teller, service_job_path(job), name, call->user->id))
    return TRUE;
  refuse_to_follow(call);
  return FALSE;
}

static void
serve(GateCall *call)
{
  const char *interface = g_dbus_method_invocation_get_interface_name(call->invocation);
  const char *path = g_dbus_method_invocation_get_object_path(call->invocation);
  ServiceJob *job = service_gate_job(call);
  const ServiceRegion *region = service_objects_region_at(call->gate->service->objects, path);
  gpointer skeleton = job != NULL ? (gpointer) service_job_skeleton(job) : call->gate->service->manager;
  if (call->object == SERVICE_OBJECT_MISSING || service_gate_object(call) == SERVICE_OBJECT_MISSING)
    service_refuse_new(call->invocation, AZLIN_ERROR_NOT_FOUND, "there is no such job");
  else if (region != NULL)
    serve_region(call, region);
  else if (g_str_has_prefix(path, SERVICE_REGIONS_PATH "/"))
    service_refuse_new(call->invocation, AZLIN_ERROR_NOT_FOUND, "there is no such region");
  else if (g_str_equal(interface, AZ_WIRE_OBJECTS))
    serve_objects(call);
  else if (g_str_equal(interface, AZ_WIRE_PROPERTIES))
    serve_properties(call, skeleton);
  else if (job == NULL || follow(call, job))
    serve_method(call, skeleton);
}

void
service_gate_serve(GateCall *call)
{
  call->gate->serving = call;
  serve(call);
  call->gate->serving = NULL;
}
