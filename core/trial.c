/* A further instance of a brick with other options, for asking what it would have said. */
#include "trial.h"

#include <string.h>

#include "config-private.h"
#include "host.h"
#include "nearest.h"
#include "registry.h"

struct _AzTrial {
  const AzlinBrick *brick;
  gconstpointer iface;
  AzlinHost *host;
  gpointer self;
  GVariant *texts;
};

/* "failover-hybrid" -> "failover.hybrid" */
static char *
group_of(const char *owner)
{
  char *group = g_strdup(owner), *dash = strchr(group, '-');

  if (dash != NULL)
    *dash = '.';
  return group;
}

GVariant *
az_trial_texts_in_force(AzEngine *engine, const char *owner)
{
  g_autofree char *group = group_of(owner);
  g_autoptr(GVariant) all = g_variant_ref_sink(az_config_show(az_engine_config(engine)));
  GVariantBuilder texts;

  g_variant_builder_init(&texts, G_VARIANT_TYPE("a{ss}"));
  for (gsize i = 0; i < g_variant_n_children(all); i++) {
    g_autoptr(GVariant) entry = g_variant_get_child_value(all, i);
    const char *of = "", *name = "", *value = "";
    g_variant_lookup(entry, "group", "&s", &of);
    g_variant_lookup(entry, "name", "&s", &name);
    g_variant_lookup(entry, "value", "&s", &value);
    if (g_str_equal(of, group))
      g_variant_builder_add(&texts, "{ss}", name, value);
  }
  return g_variant_builder_end(&texts);
}

static const AzlinOption *
find_option(const AzlinBrick *brick, const char *name, GError **error)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new();

  for (const AzlinOption *option = brick->options; option != NULL && option->name != NULL; option++) {
    if (g_str_equal(option->name, name))
      return option;
    g_ptr_array_add(names, (gpointer) (guintptr) option->name);
  }
  g_ptr_array_add(names, NULL);
  const char *nearest = az_nearest(name, (const char *const *) names->pdata);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "%s-%s has no option '%s'%s%s%s", az_kind_to_string(brick->kind),
              brick->name, name, nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
              nearest != NULL ? "'?" : "");
  return NULL;
}

static GVariant *
parse(const AzlinOption *option, const char *text, GError **error)
{
  g_autoptr(GKeyFile) file = g_key_file_new();
  g_autoptr(GError) local = NULL;

  g_key_file_set_value(file, "trial", option->name, text);
  GVariant *value = az_config_value_parse(file, "trial", option, &local);
  if (value == NULL)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "%s=%s: %s", option->name, text, local->message);
  return value;
}

/* Fills `values` (a{sv}) and `spelt` (a{ss}); FALSE: one of them cannot be. */
static gboolean
read_texts(const AzlinBrick *brick, GVariant *texts, GVariantDict *values, GVariantDict *spelt, GError **error)
{
  GVariantIter iter;
  const char *name, *text;

  g_variant_iter_init(&iter, texts);
  while (g_variant_iter_next(&iter, "{&s&s}", &name, &text)) {
    const AzlinOption *option = find_option(brick, name, error);
    GVariant *value = option != NULL ? parse(option, text, error) : NULL;
    if (value == NULL)
      return FALSE;
    g_variant_dict_insert_value(values, name, value);
    g_variant_dict_insert(spelt, name, "s", text);
  }
  return TRUE;
}

static GVariant *
spell(const AzlinBrick *brick, GVariantDict *spelt)
{
  GVariantBuilder all;

  g_variant_builder_init(&all, G_VARIANT_TYPE("a{ss}"));
  for (const AzlinOption *option = brick->options; option != NULL && option->name != NULL; option++) {
    const char *text = NULL;
    if (g_variant_dict_lookup(spelt, option->name, "&s", &text))
      g_variant_builder_add(&all, "{ss}", option->name, text);
  }
  return g_variant_ref_sink(g_variant_builder_end(&all));
}

static gboolean
start(AzTrial *trial, AzEngine *engine, GVariant *texts, GError **error)
{
  g_autofree char *owner = g_strdup_printf("%s-%s", az_kind_to_string(trial->brick->kind), trial->brick->name);
  g_autoptr(GVariant) in_force = g_variant_ref_sink(az_trial_texts_in_force(engine, owner));
  g_auto(GVariantDict) values = G_VARIANT_DICT_INIT(NULL), spelt = G_VARIANT_DICT_INIT(NULL);
  g_autoptr(GError) local = NULL;

  if (!read_texts(trial->brick, in_force, &values, &spelt, error)
      || !read_texts(trial->brick, texts, &values, &spelt, error))
    return FALSE;
  trial->texts = spell(trial->brick, &spelt);
  trial->host = az_host_new(engine, trial->brick);
  az_host_set_options(trial->host, g_variant_dict_end(&values));
  if (trial->brick->init == NULL || trial->brick->init(trial->host, &trial->self, &local))
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "%s cannot have these options: %s", owner,
              local != NULL ? local->message : "it gives no reason");
  return FALSE;
}

AzTrial *
az_trial_new(AzEngine *engine, const char *owner, GVariant *texts, GError **error)
{
  const AzlinBrick *brick = az_registry_brick(az_engine_registry(engine), owner, NULL);
  g_autoptr(AzTrial) trial = NULL;

  if (brick == NULL) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "the brick %s cannot be loaded", owner);
    return NULL;
  }
  trial = g_new0(AzTrial, 1);
  trial->brick = brick;
  trial->iface = az_engine_lookup(engine, brick->kind, brick->name, NULL, error);
  return trial->iface != NULL && start(trial, engine, texts, error) ? g_steal_pointer(&trial) : NULL;
}

gconstpointer
az_trial_iface(const AzTrial *trial)
{
  return trial->iface;
}

gpointer
az_trial_self(const AzTrial *trial)
{
  return trial->self;
}

GVariant *
az_trial_texts(const AzTrial *trial)
{
  return trial->texts;
}

void
az_trial_free(AzTrial *trial)
{
  if (trial == NULL)
    return;
  if (trial->self != NULL && trial->brick->free != NULL)
    trial->brick->free(trial->self);
  g_clear_pointer(&trial->host, az_host_free);
  g_clear_pointer(&trial->texts, g_variant_unref);
  g_free(trial);
}
