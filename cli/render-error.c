/* Errors and machine documents: one sentence with its next steps for people, exactly one document for programs. */
#include "render.h"

#include "text.h"

static void
print_details(GVariant *error)
{
  const char *details = "";
  g_variant_lookup(error, "log_details", "&s", &details);
  g_autofree char *shown = text_clean_line(details);
  fprintf(stderr, "  Details: %s\n", shown);
}

void
render_error(const Invocation *invocation, GVariant *error)
{
  const char *message = "";
  g_autofree const char **steps = NULL;
  g_variant_lookup(error, "error_message", "&s", &message);
  g_variant_lookup(error, "resolution_steps", "^a&s", &steps);
  g_autofree char *sentence = text_clean_line(message);
  fflush(stdout);
  fprintf(stderr, "azlin: %s\n", sentence);
  for (guint i = 0; steps && steps[i]; i++) {
    g_autofree char *step = text_clean_line(steps[i]);
    fprintf(stderr, "  %s%s\n", g_str_has_prefix(step, "See azlin ") ? "" : "Try: ", step);
  }
  if (invocation->verbose)
    print_details(error);
}

static GVariant *
add_help_step(const Invocation *invocation, GVariant *error)
{
  const char *name = invocation->command ? invocation->command->name : invocation->group;
  g_autofree char *step = g_strdup_printf("See azlin %s%s--help", name ? name : "", name ? " " : "");
  g_autofree const char **steps = NULL;
  g_autoptr(GPtrArray) all = g_ptr_array_new();
  GVariantDict dict;
  g_variant_lookup(error, "resolution_steps", "^a&s", &steps);
  for (guint i = 0; steps && steps[i]; i++)
    g_ptr_array_add(all, (gpointer) (guintptr) steps[i]);
  g_ptr_array_add(all, step);
  g_variant_dict_init(&dict, error);
  g_variant_dict_insert_value(&dict, "resolution_steps",
                              g_variant_new_strv((const char *const *) all->pdata, (gssize) all->len));
  return g_variant_dict_end(&dict);
}

GVariant *
render_with_help(const Invocation *invocation, GVariant *result, int exit_code)
{
  g_autoptr(GVariant) error = g_variant_lookup_value(result, "error", G_VARIANT_TYPE_VARDICT);
  if (exit_code != 64 || !error)
    return g_variant_ref(result);
  GVariantDict dict;
  g_variant_dict_init(&dict, result);
  g_variant_dict_insert_value(&dict, "error", add_help_step(invocation, error));
  return g_variant_ref_sink(g_variant_dict_end(&dict));
}

int
render_gerror(const Invocation *invocation, const GError *error)
{
  int exit_code = client_error_exit_code(error);
  g_autoptr(GVariant) plain = g_variant_ref_sink(client_error_result(error));
  g_autoptr(GVariant) result = render_with_help(invocation, plain, exit_code);
  g_autoptr(GVariant) inner = g_variant_lookup_value(result, "error", G_VARIANT_TYPE_VARDICT);
  if (invocation->output == OUTPUT_TABLE)
    render_error(invocation, inner);
  else
    render_document(invocation, result, exit_code);
  return exit_code;
}

void
render_document(const Invocation *invocation, GVariant *result, int exit_code)
{
  if (invocation->output == OUTPUT_JSON) {
    g_autofree char *json = client_json(result, 2);
    puts(json);
    return;
  }
  GVariantBuilder event;
  g_variant_builder_init(&event, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&event, "{sv}", "event", g_variant_new_string("result"));
  g_variant_builder_add(&event, "{sv}", "exit_code", g_variant_new_int32(exit_code));
  g_variant_builder_add(&event, "{sv}", "result", result);
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_builder_end(&event));
  g_autofree char *json = client_json(value, 0);
  puts(json);
}
