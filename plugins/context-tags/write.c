/* Writes the tags of one machine that azlin made through its provider, one write at a time for each machine. */
#include "tags.h"
#include <string.h>

const char *const tags_of_primary[] = { AZLIN_TAG_PRIMARY_SINCE, NULL };
const char *const tags_of_place[]
    = { AZLIN_TAG_REGION, AZLIN_TAG_PRIMARY, AZLIN_TAG_EPOCH, AZLIN_TAG_PRIMARY_SINCE, NULL };

typedef struct {
  Tags *tags;
  AzlinOp *op;
  AzlinVm *vm;
  GVariant *set;
  const char *const *unset;
  char *machine;
  const AzlinProvider *provider;
  gpointer provider_self;
  AzlinOp *step; /* under way, of `op` */
} Write;

static void
write_free(gpointer data)
{
  Write *write = data;
  write->tags->api->vm_free(write->vm);
  g_variant_unref(write->set);
  g_free(write->machine);
  g_free(write);
}

/* NULL: it was said before. */
static GError *
no_tags(Tags *tags, const char *provider)
{
  const char *name = provider != NULL && *provider != '\0' ? provider : "selected";
  if (!g_hash_table_add(tags->silent, g_strdup(name)))
    return NULL;
  return g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, "the provider %s keeps no tags; its machines are left out",
                     name);
}

static void start(Write *write);

static void
written(AzlinOp *op, gpointer data)
{
  Write *write = data;
  Tags *tags = write->tags;
  const GError *error = tags->api->op_error(op);
  GQueue *queue = g_hash_table_lookup(tags->writing, write->machine);
  if (error != NULL)
    tags->api->op_fail(write->op, g_error_copy(error));
  else
    tags->api->op_finish(write->op);
  g_queue_pop_head(queue);
  if (queue->head != NULL)
    start(queue->head->data);
  else
    g_hash_table_remove(tags->writing, write->machine);
  write_free(write);
}

static void
send(Write *write)
{
  GError *error = NULL;
  if (tags_may_set(write->vm->tags, write->set, &error))
    write->provider->vm_tag(write->provider_self, write->vm, write->set, write->unset, write->step);
  else
    write->tags->api->op_fail(write->step, error);
}

static gboolean
is_azlins(const AzlinVm *vm)
{
  const char *managed = tag_find(vm->tags, AZLIN_TAG_MANAGED);
  return managed != NULL && g_ascii_strcasecmp(managed, "true") == 0;
}

static void
on_seen(AzlinOp *op, gpointer data)
{
  Write *write = data;
  const AzlinHostApi *api = write->tags->api;
  const AzlinVm *vm = api->op_vm(op);
  if (api->op_error(op) != NULL) {
    api->op_fail(write->step, g_error_copy(api->op_error(op)));
  } else if (vm == NULL || !is_azlins(vm)) {
    api->op_fail(write->step, g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED,
                                          "%s was not made by azlin: it lacks the tag " AZLIN_TAG_MANAGED
                                          "=true, so nothing is written on it",
                                          write->vm->vm_name));
  } else if (!api->op_cancelled(write->step)) {
    g_clear_pointer(&write->vm->tags, g_variant_unref);
    write->vm->tags = g_variant_ref(vm->tags);
    send(write);
  }
}

/* A machine can be put on record by its name alone: then only its provider knows whose it is. */
static void
start(Write *write)
{
  Tags *tags = write->tags;
  GError *error = NULL;
  const char *name = write->vm->provider != NULL && *write->vm->provider != '\0' ? write->vm->provider : NULL;
  write->provider = tags->api->lookup(tags->host, AZLIN_KIND_PROVIDER, name, &write->provider_self);
  write->step = tags->api->op_new(write->op, "tag", 0, written, write);
  if (write->provider == NULL)
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_CONFIG, "its provider %s is not installed", name);
  else if (write->provider->vm_tag == NULL)
    error = no_tags(tags, name);
  else if (is_azlins(write->vm)) {
    send(write);
    return;
  } else {
    AzlinOp *look = tags->api->op_new(write->step, "whose machine", 0, on_seen, write);
    write->provider->vm_get(write->provider_self, write->vm, look);
    return;
  }
  if (error != NULL)
    tags->api->op_fail(write->step, error);
  else
    tags->api->op_finish(write->step);
}

/* One that still waits is taken out; one that is under way ends through its own op. */
static void
cut(gpointer data)
{
  Write *write = data;
  GQueue *queue = g_hash_table_lookup(write->tags->writing, write->machine);
  if (queue->head->data == write)
    return;
  g_queue_remove(queue, write);
  write_free(write);
}

static void
enqueue(Write *write)
{
  Tags *tags = write->tags;
  GQueue *queue = g_hash_table_lookup(tags->writing, write->machine);
  if (queue == NULL) {
    queue = g_queue_new();
    g_hash_table_insert(tags->writing, g_strdup(write->machine), queue);
  }
  g_queue_push_tail(queue, write);
  tags->api->op_on_cancel(write->op, cut, write);
  if (queue->head->data == write)
    start(write);
}

void
tags_write(Tags *tags, AzlinOp *parent, const AzlinVm *vm, GVariant *set, const char *const *unset, AzlinDone done,
           gpointer data)
{
  Write *write = g_new0(Write, 1);
  *write = (Write){ .tags = tags, .vm = tags->api->vm_dup(vm), .set = g_variant_ref_sink(set), .unset = unset };
  write->op = tags->api->op_new(parent, "tags", 0, done, data);
  write->machine = g_strdup_printf("%s/%s", vm->provider != NULL ? vm->provider : "", vm->vm_name);
  if (tags->api->op_cancelled(write->op))
    write_free(write);
  else
    enqueue(write);
}

static char *
iso_time(gint64 usec)
{
  g_autoptr(GDateTime) time = usec > 0 ? g_date_time_new_from_unix_utc(usec / G_USEC_PER_SEC) : NULL;
  return time != NULL ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ") : NULL;
}

static void
add_missing(GVariantBuilder *builder, const AzlinVm *vm)
{
  g_autofree char *created = iso_time(vm->created_at);
  const char *region = tag_find(vm->tags, AZLIN_TAG_REGION);
  if (g_strcmp0(region, vm->region) != 0)
    g_variant_builder_add(builder, "{ss}", AZLIN_TAG_REGION, vm->region);
  if (created != NULL && tag_find(vm->tags, AZLIN_TAG_CREATED) == NULL)
    g_variant_builder_add(builder, "{ss}", AZLIN_TAG_CREATED, created);
}

GVariant *
tags_missing(const AzlinVm *vm)
{
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{ss}"));
  add_missing(&builder, vm);
  return g_variant_builder_end(&builder);
}

GVariant *
tags_of_move(Tags *tags, const AzlinVm *vm, guint64 epoch)
{
  GVariantBuilder builder;
  g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, epoch);
  g_autofree char *since = iso_time(tags->api->now(tags->host));
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{ss}"));
  add_missing(&builder, vm);
  g_variant_builder_add(&builder, "{ss}", AZLIN_TAG_PRIMARY, "true");
  g_variant_builder_add(&builder, "{ss}", AZLIN_TAG_EPOCH, number);
  if (since != NULL)
    g_variant_builder_add(&builder, "{ss}", AZLIN_TAG_PRIMARY_SINCE, since);
  return g_variant_builder_end(&builder);
}
