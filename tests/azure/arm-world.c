/* The azure brick alone: real ops on a virtual clock, and an HTTP that answers from a script. */
#include "arm-world.h"
#include "catalogue.h"
#include "http-private.h"
#include "record.h"
#include <string.h>

static const char *
path_of(const char *url)
{
  return g_str_has_prefix(url, ENDPOINT) ? url + strlen(ENDPOINT) : url;
}

static const Answer *
take(ArmWorld *world, const char *request)
{
  for (guint i = 0; i < world->script->len; i++) {
    const Answer *answer = g_ptr_array_index(world->script, i);
    if (answer->to != NULL && strstr(request, answer->to) == NULL)
      continue;
    if (!answer->always)
      g_ptr_array_remove_index(world->script, i);
    return answer;
  }
  g_error("the script has no answer to %s after:\n%s", request, world->log->str);
  return NULL;
}

static char **
headers_of(const char *text)
{
  g_auto(GStrv) lines = g_strsplit(text != NULL ? text : "", "\n", -1);
  g_autoptr(GStrvBuilder) headers = g_strv_builder_new();
  for (char **line = lines; *line != NULL && **line != '\0'; line++) {
    g_auto(GStrv) parts = g_strsplit(*line, ": ", 2);
    g_autofree char *name = g_ascii_strdown(parts[0], -1);
    g_strv_builder_add(headers, name);
    g_strv_builder_add(headers, parts[1]);
  }
  return g_strv_builder_end(headers);
}

static void
world_http(AzlinHost *host, const AzlinHttp *request, AzlinOp *op)
{
  ArmWorld *world = (ArmWorld *) host;
  if (az_op_cancelled(op)) /* as the engine does */
    return;
  g_autofree char *line = g_strdup_printf("%s %s", request->method, path_of(request->url));
  double at = (double) az_clock_monotonic(world->clock) / G_USEC_PER_SEC;
  g_string_append_printf(world->log, "%.1f %s\n", at, line);
  if (request->body != NULL)
    g_string_append_printf(world->bodies, "%.*s\n", (int) g_bytes_get_size(request->body),
                           (const char *) g_bytes_get_data(request->body, NULL));
  g_assert_cmpstr(request->identity->origin, ==, ENDPOINT);
  g_assert_true(g_str_has_prefix(request->url, ENDPOINT "/"));
  world->requests++;
  const Answer *answer = take(world, line);
  if (answer->status == 0) {
    az_op_fail_new(op, answer->error, "no answer");
    return;
  }
  g_auto(GStrv) headers = headers_of(answer->headers);
  g_autoptr(GBytes) body = g_bytes_new(answer->body, answer->body != NULL ? strlen(answer->body) : 0);
  AzlinHttpReply reply = { .status = answer->status, .headers = (const char *const *) headers, .body = body };
  reply.retry_after_ms = az_http_retry_after_ms(reply.headers, az_clock_now(world->clock));
  az_op_finish_http(op, &reply);
}

static GVariant *
world_option(AzlinHost *host, const char *name)
{
  GVariant *value = g_hash_table_lookup(((ArmWorld *) host)->options, name);
  g_assert_nonnull(value);
  return g_variant_ref(value);
}

static gint64
world_now(AzlinHost *host)
{
  return az_clock_now(((ArmWorld *) host)->clock);
}

static gint64
world_monotonic(AzlinHost *host)
{
  return az_clock_monotonic(((ArmWorld *) host)->clock);
}

static void
add_option(ArmWorld *world, const char *name, GVariant *value)
{
  g_hash_table_insert(world->options, g_strdup(name), g_variant_ref_sink(value));
}

ArmWorld *
arm_world_new(const Answer *answers, gsize n)
{
  ArmWorld *world = g_new0(ArmWorld, 1);
  world->clock = az_clock_new_virtual(0);
  world->api = *az_host_api();
  world->api.http = world_http;
  world->api.option = world_option;
  world->api.now = world_now;
  world->api.monotonic = world_monotonic;
  world->host.api = &world->api;
  world->script = g_ptr_array_new();
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(world->script, (gpointer) (guintptr) &answers[i]);
  world->log = g_string_new(NULL);
  world->bodies = g_string_new(NULL);
  world->options = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_variant_unref);
  add_option(world, "subscription", g_variant_new_string(""));
  add_option(world, "resource-health", g_variant_new_string("never"));
  add_option(world, "stop-timeout", g_variant_new_uint32(5));
  world->azure = (Azure){ .host = &world->host, .api = &world->api, .has_health = -1 };
  world->azure.endpoint = g_strdup(ENDPOINT);
  world->azure.subscription = g_strdup(SUBSCRIPTION);
  world->azure.identity = (AzlinIdentity){ .size = sizeof(AzlinIdentity), .origin = ENDPOINT };
  return world;
}

void
arm_world_free(ArmWorld *world)
{
  g_clear_pointer(&world->azure.health_known, g_hash_table_unref);
  azure_gets_free(world->azure.gets);
  catalogue_free(world->azure.catalogue);
  g_free(world->azure.endpoint);
  g_free(world->azure.subscription);
  g_ptr_array_unref(world->script);
  g_string_free(world->log, TRUE);
  g_string_free(world->bodies, TRUE);
  g_hash_table_unref(world->options);
  g_clear_error(&world->error);
  g_clear_pointer(&world->vm, world->api.vm_free);
  g_clear_pointer(&world->vms, g_ptr_array_unref);
  json_decref(world->body);
  g_free(world->code);
  az_clock_free(world->clock);
  g_free(world);
}

static void
on_end(AzlinOp *op, gpointer data)
{
  ArmWorld *world = data;
  gsize n = 0;
  const AzlinVm *const *vms = az_op_vms(op, &n);
  world->ended = TRUE;
  world->error = az_op_error(op) != NULL ? g_error_copy(az_op_error(op)) : NULL;
  world->vm = az_op_vm(op) != NULL ? world->api.vm_dup(az_op_vm(op)) : NULL;
  world->vms = g_ptr_array_new_with_free_func((GDestroyNotify) world->api.vm_free);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(world->vms, world->api.vm_dup(vms[i]));
}

AzlinOp *
arm_world_op(ArmWorld *world, guint32 timeout_ms)
{
  return az_op_new_root(world->clock, "test", timeout_ms, NULL, on_end, world);
}

void
arm_world_wait(ArmWorld *world)
{
  while (!world->ended)
    g_main_context_iteration(NULL, TRUE);
  while (g_main_context_iteration(NULL, FALSE))
    continue;
}

typedef struct {
  ArmWorld *world;
  AzlinOp *op;
} Kept;

gpointer
arm_world_keep(ArmWorld *world, AzlinOp *op)
{
  Kept *kept = g_new0(Kept, 1);
  *kept = (Kept){ world, op };
  return kept;
}

void
arm_world_reply(const ArmReply *reply, gpointer data)
{
  g_autofree Kept *kept = data;
  ArmWorld *world = kept->world;
  world->reply = (ArmReply){ .status = reply->status };
  world->code = g_strdup(reply->code);
  world->body = reply->body != NULL ? json_deep_copy(reply->body) : NULL;
  if (reply->error != NULL)
    az_op_fail(kept->op, g_error_copy(reply->error));
  else
    az_op_finish(kept->op);
}
