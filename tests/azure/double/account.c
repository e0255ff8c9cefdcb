/* What a login sees of its account: subscriptions, locations, registered providers. */
#include "account.h"
#include "regions.h"
#include "settings.h"
#include "operation.h"
#include "views.h"

static json_t *
subscription_view(const Exchange *exchange, json_t *entry)
{
  const char *id = json_text_at(entry, "id", "");
  json_t *view = json_pack("{s:s, s:s, s:s, s:s}", "subscriptionId", id, "displayName",
                           json_text_at(entry, "name", "Double"), "state", json_text_at(entry, "state", "Enabled"),
                           "tenantId", json_text_at(exchange->world->settings, "tenant", ""));
  json_object_set_new(view, "id", json_text_f("/subscriptions/%s", id));
  json_object_set_new(view, "authorizationSource", json_string("RoleBased"));
  return view;
}

void
account_handle_subscriptions(Exchange *exchange)
{
  json_t *list = json_array(), *entry;
  size_t i;
  json_array_foreach(json_object_get(exchange->world->settings, "subscriptions"), i, entry)
      json_array_append_new(list, subscription_view(exchange, entry));
  view_page(exchange, list);
  if (json_object_get(exchange->answer, "nextLink") == NULL) /* the official file demands it, empty at the end */
    json_object_set_new(exchange->answer, "nextLink", json_string(""));
}

void
account_handle_subscription(Exchange *exchange)
{
  json_t *entry;
  size_t i;
  json_array_foreach(json_object_get(exchange->world->settings, "subscriptions"), i, entry)
  {
    if (same_text(json_text_at(entry, "id", NULL), exchange->subscription)) {
      exchange_json(exchange, 200, subscription_view(exchange, entry));
      return;
    }
  }
}

static json_t *
location_view(const Exchange *exchange, const Region *region)
{
  json_t *metadata = json_pack("{s:s, s:s, s:s, s:s, s:s, s:[]}", "regionType", "Physical", "regionCategory",
                               "Recommended", "geographyGroup", region->geography, "geography", region->geography,
                               "physicalLocation", region->display, "pairedRegion");
  json_object_set_new(metadata, "latitude", json_text_f("%g", region->latitude));
  json_object_set_new(metadata, "longitude", json_text_f("%g", region->longitude));
  if (region->pair[0] != '\0')
    json_array_append_new(json_object_get(metadata, "pairedRegion"),
                          json_pack("{s:s, s:s}", "name", region->pair, "subscriptionId", exchange->subscription));
  json_t *view = json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", region->name, "type", "Region", "displayName",
                           region->display, "regionalDisplayName", region->display, "metadata", metadata);
  json_object_set_new(view, "id", json_text_f("/subscriptions/%s/locations/%s", exchange->subscription, region->name));
  return view;
}

void
account_handle_locations(Exchange *exchange)
{
  json_t *list = json_array();
  g_autoptr(GPtrArray) regions = regions_all(exchange->world);
  for (guint i = 0; i < regions->len; i++)
    json_array_append_new(list, location_view(exchange, g_ptr_array_index(regions, i)));
  exchange_json(exchange, 200, json_pack("{s:o}", "value", list));
}

static const char *const providers[] = { "Microsoft.Compute",        "Microsoft.Network", "Microsoft.Resources",
                                         "Microsoft.ResourceHealth", "Microsoft.Storage", NULL };

static gboolean
is_listed(json_t *list, const char *name)
{
  size_t i;
  json_t *entry;
  json_array_foreach(list, i, entry)
  {
    if (same_text(json_string_value(entry), name))
      return TRUE;
  }
  return FALSE;
}

static json_t *
provider_view(Exchange *exchange, const char *name)
{
  json_t *settings = exchange->world->settings;
  gboolean there = !is_listed(json_object_get(settings, "unregistered"), name);
  if (same_text(name, "Microsoft.ResourceHealth"))
    there = json_array_size(json_object_get(settings, "resource_health")) > 0;
  json_t *view = json_pack("{s:s, s:s, s:s, s:[]}", "namespace", name, "registrationState",
                           there ? "Registered" : "NotRegistered", "registrationPolicy", "RegistrationRequired",
                           "resourceTypes");
  json_object_set_new(view, "id", json_text_f("/subscriptions/%s/providers/%s", exchange->subscription, name));
  return view;
}

void
account_handle_providers(Exchange *exchange)
{
  json_t *list = json_array();
  for (guint i = 0; providers[i] != NULL; i++)
    json_array_append_new(list, provider_view(exchange, providers[i]));
  view_page(exchange, list);
}

void
account_handle_provider(Exchange *exchange)
{
  const char *name = exchange_segment(exchange, "resourceProviderNamespace");
  for (guint i = 0; providers[i] != NULL; i++) {
    if (same_text(providers[i], name)) {
      exchange_json(exchange, 200, provider_view(exchange, providers[i]));
      return;
    }
  }
  exchange_error(exchange, 404, "InvalidResourceNamespace", "The resource namespace '%s' is invalid.", name);
}

static void
registration_ended(Double *world, Operation *operation, gpointer data)
{
  const char *name = operation->provider;
  json_t *list = json_object_get(world->settings, "unregistered");
  for (size_t i = json_array_size(list); i-- > 0;) {
    if (same_text(json_string_value(json_array_get(list, i)), name))
      json_array_remove(list, i);
  }
}

void
account_handle_register(Exchange *exchange)
{
  Double *world = exchange->world;
  const char *name = exchange_segment(exchange, "resourceProviderNamespace");
  operation_start(world, NULL, exchange->path, settings_duration(world, "register", NULL), exchange->faults,
                  registration_ended, NULL);
  json_t *view = provider_view(exchange, name);
  if (g_str_equal(json_text_at(view, "registrationState", ""), "NotRegistered"))
    json_object_set_new(view, "registrationState", json_string("Registering"));
  exchange_json(exchange, 200, view);
}
