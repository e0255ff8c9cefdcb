/* Tags of any resource: read, merge, replace, delete; their rules of length and characters. */
#include "account.h"
#include "lifecycle.h"
#include "settings.h"
#include "views.h"
#include <string.h>

static gboolean
tags_are_legal(Exchange *exchange, json_t *tags)
{
  const char *name;
  json_t *value;
  json_object_foreach(tags, name, value)
  {
    const char *text = json_string_value(value);
    if (strpbrk(name, "<>%&\\?/") != NULL || g_utf8_strlen(name, -1) > 512)
      exchange_error(exchange, 400, "InvalidTagNameCharacters", "The tag name '%s' is not legal.", name);
    else if (text == NULL || g_utf8_strlen(text, -1) > 256)
      exchange_error(exchange, 400, "InvalidTagValueLength", "The value of tag '%s' is not legal.", name);
    if (exchange->answered)
      return FALSE;
  }
  return TRUE;
}

static const char *
present_name(json_t *tags, const char *name)
{
  const char *key;
  json_t *value;
  json_object_foreach(tags, key, value)
  {
    if (same_text(key, name))
      return key;
  }
  return name;
}

static json_t *
changed(json_t *before, json_t *given, const char *how)
{
  const char *name;
  json_t *value;
  if (same_text(how, "Replace"))
    return json_deep_copy(given);
  json_t *tags = before != NULL ? json_deep_copy(before) : json_object();
  json_object_foreach(given, name, value)
  {
    const char *key = present_name(tags, name);
    json_t *old = json_object_get(tags, key);
    if (!same_text(how, "Delete"))
      json_object_set(tags, key, value);
    else if (old != NULL && (json_string_length(value) == 0 || json_equal(old, value)))
      json_object_del(tags, key);
  }
  return tags;
}

static json_t *
tags_view(const char *scope, json_t *tags)
{
  json_t *view = json_pack("{s:s, s:s, s:{s:o}}", "name", "default", "type", "Microsoft.Resources/tags", "properties",
                           "tags", tags != NULL ? json_deep_copy(tags) : json_object());
  json_object_set_new(view, "id", json_text_f("%s/providers/Microsoft.Resources/tags/default", scope));
  return view;
}

static void
write_tags(Exchange *exchange, Resource *resource, json_t *tags)
{
  Double *world = exchange->world;
  if (!tags_are_legal(exchange, tags) || json_object_size(tags) > 50) {
    if (!exchange->answered)
      exchange_error(exchange, 400, "TooManyTags", "At most 50 tags are allowed.");
    json_decref(tags);
    return;
  }
  json_object_set_new(resource->body, "tags", tags);
  if (!json_true_at(world->settings, "tags_async")) {
    exchange_json(exchange, 200, tags_view(resource->id, tags));
    return;
  }
  g_autofree char *id = g_strdup_printf("%s/providers/Microsoft.Resources/tags/default", resource->id);
  Operation *operation
      = operation_start(world, NULL, id, settings_duration(world, "tags", NULL), exchange->faults, NULL, NULL);
  operation->result = tags_view(resource->id, tags);
  operation_headers(exchange, operation, FALSE, TRUE);
  exchange_json(exchange, 202, NULL);
}

void
tags_handle(Exchange *exchange)
{
  Double *world = exchange->world;
  g_autofree char *scope = g_uri_unescape_string(exchange_segment(exchange, "scope"), NULL);
  Resource *resource = store_find(world, scope);
  if (resource == NULL || resource->hidden > 0) {
    exchange_error(exchange, 404, "ResourceNotFound", "The resource '%s' was not found.", scope);
    return;
  }
  json_t *before = json_object_get(resource->body, "tags");
  if (g_str_equal(exchange->method, "GET")) {
    exchange_json(exchange, 200, tags_view(resource->id, before));
    return;
  }
  lifecycle_note_outside(world, exchange->method, exchange->target, scope, NULL);
  if (g_str_equal(exchange->method, "DELETE")) {
    json_object_del(resource->body, "tags");
    exchange_json(exchange, 200, NULL);
    return;
  }
  json_t *given = json_at(exchange->body, "properties.tags");
  const char *how = g_str_equal(exchange->method, "PUT") ? "Replace" : json_text_at(exchange->body, "operation", "");
  if (given == NULL || how[0] == '\0') {
    exchange_error(exchange, 400, "InvalidRequestContent", "The request has no tags or no operation.");
    return;
  }
  write_tags(exchange, resource, changed(before, given, how));
}

void
tags_handle_patch(Exchange *exchange)
{
  g_autofree char *id = g_uri_unescape_string(exchange->path, NULL);
  Resource *resource = store_find(exchange->world, id);
  json_t *tags = json_object_get(exchange->body, "tags");
  if (resource == NULL) {
    exchange_error(exchange, 404, "ResourceNotFound", "The Resource '%s' was not found.", id);
    return;
  }
  lifecycle_note_outside(exchange->world, "PATCH", exchange->target, id, NULL);
  if (tags != NULL && tags_are_legal(exchange, tags))
    json_object_set_new(resource->body, "tags", json_deep_copy(tags));
  if (!exchange->answered)
    exchange_json(exchange, 200, view_resource(exchange->world, resource));
}
