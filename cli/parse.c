/* Command line to invocation. */
#include "parse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

typedef struct {
  char **args; /* what is left to read; ends NULL */
  Invocation *inv;
  GVariantDict dict; /* the arguments so far */
  char *group;       /* "regions": waits for its second word */
} Parser;

/* ---- values ---- */

static GVariant *
parse_list(const Flag *flag, const char *text, GVariant *before, GError **error)
{
  g_auto(GStrv) parts = g_strsplit(text, ",", -1);
  g_autoptr(GPtrArray) all = g_ptr_array_new();
  g_autofree const char **old = before ? g_variant_get_strv(before, NULL) : NULL;
  for (guint i = 0; old && old[i]; i++)
    g_ptr_array_add(all, (gpointer) (guintptr) old[i]);
  if (!*g_strstrip(parts[0] ? parts[0] : (char[]){ "" }) && !(parts[0] && parts[1])) {
    g_propagate_error(error, client_usage_error("the %s list cannot be empty", flag->name));
    return NULL;
  }
  for (guint i = 0; parts[i]; i++) {
    if (!*g_strstrip(parts[i])) {
      g_propagate_error(error,
                        client_usage_error("--%s has an empty entry between its commas: \"%s\"", flag->name, text));
      return NULL;
    }
    g_ptr_array_add(all, parts[i]);
  }
  return g_variant_new_strv((const char *const *) all->pdata, all->len);
}

static GVariant *
parse_number(const Flag *flag, const char *text, GError **error)
{
  char *end = NULL;
  errno = 0;
  guint64 n = g_ascii_strtoull(text, &end, 10);
  if (!g_ascii_isdigit(*text) || *end || errno || n > G_MAXUINT32) {
    g_propagate_error(
        error, client_usage_error("--%s needs a whole number from 0 to %u, not \"%s\"", flag->name, G_MAXUINT32, text));
    return NULL;
  }
  return g_variant_new_uint32((guint32) n);
}

static GVariant *
parse_real(const Flag *flag, const char *text, GError **error)
{
  char *end = NULL;
  double d = g_ascii_strtod(text, &end);
  if (!*text || *end || !isfinite(d)) {
    g_propagate_error(error, client_usage_error("--%s needs a number, not \"%s\"", flag->name, text));
    return NULL;
  }
  return g_variant_new_double(d);
}

static GVariant *
parse_value(const Flag *flag, const char *text, GVariant *before, GError **error)
{
  if (!g_utf8_validate(text, -1, NULL)) {
    g_propagate_error(error, client_usage_error("--%s holds bytes that are no UTF-8 text", flag->name));
    return NULL;
  }
  if (!strcmp(flag->type, "as"))
    return parse_list(flag, text, before, error);
  if (!strcmp(flag->type, "u"))
    return parse_number(flag, text, error);
  if (!strcmp(flag->type, "d"))
    return parse_real(flag, text, error);
  return g_variant_new_string(text);
}

/* ---- flags ---- */

static gboolean
set_output(Invocation *inv, const char *text, GError **error)
{
  static const char *const names[] = { "table", "json", "jsonl", NULL };
  for (guint i = 0; names[i]; i++)
    if (!strcmp(text, names[i])) {
      inv->output = (Output) i;
      return TRUE;
    }
  g_propagate_error(error, client_usage_error("--output is table, json or jsonl, not \"%s\"", text));
  return FALSE;
}

static gboolean
set_global(Invocation *inv, const Flag *flag, const char *value, GError **error)
{
  if (!strcmp(flag->name, "output"))
    return set_output(inv, value, error);
  if (value && !*value) {
    g_propagate_error(error, client_usage_error("--%s needs a value", flag->name));
    return FALSE;
  }
  if (!strcmp(flag->name, "config"))
    inv->place.config = value;
  else if (!strcmp(flag->name, "home"))
    inv->place.home = value;
  else if (!strcmp(flag->name, "quiet"))
    inv->quiet = TRUE;
  else if (!strcmp(flag->name, "verbose"))
    inv->verbose = TRUE;
  else if (!strcmp(flag->name, "no-daemon"))
    inv->place.no_daemon = TRUE;
  else if (!strcmp(flag->name, "system"))
    inv->place.of_system = TRUE;
  else if (!strcmp(flag->name, "no-color"))
    inv->no_color = TRUE;
  else if (!strcmp(flag->name, "version"))
    inv->version = TRUE;
  else
    inv->help = TRUE;
  return TRUE;
}

static gboolean
set_flag(Parser *p, const Flag *flag, const char *value, GError **error)
{
  if (flag_find(command_globals, flag->name) == flag)
    return set_global(p->inv, flag, value, error);
  if (flag_is_switch(flag)) {
    g_variant_dict_insert(&p->dict, flag->name, "b", TRUE);
    return TRUE;
  }
  const Command *command = p->inv->command;
  gboolean single = command->single && !strcmp(flag->name, "region");
  g_autoptr(GVariant) before = single ? NULL : g_variant_dict_lookup_value(&p->dict, flag->name, NULL);
  GVariant *parsed = parse_value(flag, value, before, error);
  if (!parsed)
    return FALSE;
  if (single) {
    g_autoptr(GVariant) one = g_variant_ref_sink(parsed);
    const char *region = g_variant_get_string(one, NULL);
    g_variant_dict_insert_value(&p->dict, command->single, g_variant_new_strv(&region, 1));
    return TRUE;
  }
  g_variant_dict_insert_value(&p->dict, flag->name, parsed);
  return TRUE;
}

static GError *
unknown_flag(Parser *p, const char *name)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  const Flag *own = p->inv->command ? command_flags(p->inv->command) : NULL;
  for (const Flag *f = own; f && f->name; f++)
    g_ptr_array_add(names, (gpointer) (guintptr) f->name);
  for (const Flag *f = command_globals; f->name; f++)
    g_ptr_array_add(names, (gpointer) (guintptr) f->name);
  g_ptr_array_add(names, NULL);
  const char *near = client_nearest(name, (const char *const *) names->pdata);
  if (near)
    return client_usage_error("unknown flag --%s; did you mean --%s?", name, near);
  return client_usage_error("unknown flag --%s", name);
}

static gboolean
is_known_flag(Parser *p, const char *arg)
{
  const char *name = g_str_has_prefix(arg, "--") ? arg + 2 : "";
  return *name
         && (flag_find(command_globals, name) || (p->inv->command && flag_find(command_flags(p->inv->command), name)));
}

/* The value of a flag that has none attached: the next word, unless that is plainly another flag. */
static const char *
next_value(Parser *p, const Flag *flag, GError **error)
{
  const char *value = p->args[0];
  if (!value || !strcmp(value, "--") || is_known_flag(p, value)) {
    g_propagate_error(error, client_usage_error("--%s needs a value: %s", flag->name, flag->argument));
    return NULL;
  }
  p->args++;
  return value;
}

static const Flag *
look_up(Parser *p, const char *name)
{
  const Flag *own = p->inv->command ? flag_find(command_flags(p->inv->command), name) : NULL;
  return own ? own : flag_find(command_globals, name);
}

static gboolean
parse_long(Parser *p, const char *arg, GError **error)
{
  const char *equals = strchr(arg, '=');
  g_autofree char *name = equals ? g_strndup(arg, (gsize) (equals - arg)) : g_strdup(arg);
  const Flag *flag = look_up(p, name);
  if (!flag) {
    g_propagate_error(error, unknown_flag(p, name));
    return FALSE;
  }
  if (flag_is_switch(flag)) {
    if (!equals)
      return set_flag(p, flag, NULL, error);
    g_propagate_error(error, client_usage_error("--%s takes no value", name));
    return FALSE;
  }
  const char *value = equals ? equals + 1 : next_value(p, flag, error);
  return value && set_flag(p, flag, value, error);
}

static gboolean
parse_letters(Parser *p, const char *letters, GError **error)
{
  for (; *letters; letters++) {
    const Flag *own = p->inv->command ? flag_find_letter(command_flags(p->inv->command), *letters) : NULL;
    const Flag *flag = own ? own : flag_find_letter(command_globals, *letters);
    if (!flag) {
      const char *end = g_utf8_validate(letters, -1, NULL) ? text_next(letters) : letters + 1;
      g_autofree char *shown = g_strndup(letters, (gsize) (end - letters));
      g_propagate_error(error, client_usage_error("unknown flag -%s", shown));
      return FALSE;
    }
    if (!flag_is_switch(flag)) {
      const char *value = letters[1] ? letters + 1 + (letters[1] == '=') : next_value(p, flag, error);
      return value && set_flag(p, flag, value, error);
    }
    if (!set_flag(p, flag, NULL, error))
      return FALSE;
  }
  return TRUE;
}

/* ---- words ---- */

static gboolean
is_group(const char *word)
{
  g_autofree char *prefix = g_strdup_printf("%s ", word);
  for (const Command *c = command_table; c->name; c++)
    if (g_str_has_prefix(c->name, prefix))
      return TRUE;
  return FALSE;
}

static GError *
unknown_command(const char *group, const char *word)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *whole = group ? g_strdup_printf("%s %s", group, word) : g_strdup(word);
  for (const Command *c = command_table; c->name; c++)
    if (command_summary(c) && !group == !strchr(c->name, ' ') && (!group || g_str_has_prefix(c->name, group)))
      g_ptr_array_add(names, g_strdup(c->name));
  if (!group)
    for (const char *const *g = (const char *const[]){ "regions", "vm", "jobs", "config", "bricks", "audit", NULL }; *g;
         g++)
      g_ptr_array_add(names, g_strdup(*g));
  g_ptr_array_add(names, NULL);
  const char *near = client_nearest(whole, (const char *const *) names->pdata);
  if (near)
    return client_usage_error("unknown command \"%s\"; did you mean \"%s\"?", whole, near);
  return client_usage_error("unknown command \"%s\"", whole);
}

static gboolean
parse_command_word(Parser *p, const char *word, GError **error)
{
  g_autofree char *name = p->group ? g_strdup_printf("%s %s", p->group, word) : g_strdup(word);
  const Command *found = command_find(name);
  if (found && command_available(found)) {
    p->inv->command = found;
    return TRUE;
  }
  if (!p->group && is_group(word)) {
    p->group = g_strdup(word);
    return TRUE;
  }
  g_propagate_error(error, unknown_command(p->group, word));
  return FALSE;
}

/* "failover" is a command of its own and has others below it: "failover pause". */
static gboolean
parse_second_word(Parser *p, const char *word, GError **error)
{
  g_autofree char *name = g_strdup_printf("%s %s", p->inv->command->name, word);
  const Command *found = command_find(name);
  g_autoptr(GVariant) given = g_variant_ref_sink(g_variant_dict_end(&p->dict));
  g_variant_dict_init(&p->dict, given);
  if (found && command_available(found) && g_variant_n_children(given) == 0) {
    p->inv->command = found;
    return TRUE;
  }
  g_propagate_error(error, found ? client_usage_error("give the flags of \"%s\" behind its name", name)
                                 : unknown_command(p->inv->command->name, word));
  return FALSE;
}

static gboolean
parse_operand(Parser *p, const char *word, GError **error)
{
  const Command *command = p->inv->command;
  if (!command->operand && is_group(command->name))
    return parse_second_word(p, word, error);
  if (!command->operand) {
    g_propagate_error(error, client_usage_error("\"%s\" takes no word \"%s\"", command->name, word));
    return FALSE;
  }
  if (command->run == cmd_help_run) { /* "help regions add": the words are one name */
    g_autofree char *before = NULL;
    g_variant_dict_lookup(&p->dict, command->operand, "s", &before);
    g_variant_dict_insert_value(
        &p->dict, command->operand,
        g_variant_new_take_string(g_strconcat(before ? before : "", before ? " " : "", word, NULL)));
    return TRUE;
  }
  if (g_variant_dict_contains(&p->dict, command->operand)) {
    g_propagate_error(error, client_usage_error("\"%s\" takes one %s; \"%s\" is one too many", command->name,
                                                command->operand, word));
    return FALSE;
  }
  const Flag *flag = flag_find(command_flags(command), command->operand);
  const Flag plain = { .name = command->operand, .type = "s" };
  return set_flag(p, flag ? flag : &plain, word, error);
}

static gboolean
parse_rest(Parser *p, GError **error)
{
  const Command *command = p->inv->command;
  if (!command || !command->rest) {
    for (; *p->args; p->args++)
      if (!(command ? parse_operand(p, *p->args, error) : parse_command_word(p, *p->args, error)))
        return FALSE;
    return TRUE;
  }
  p->inv->rest = g_strdupv(p->args);
  while (*p->args)
    p->args++;
  return TRUE;
}

static gboolean
parse_word(Parser *p, const char *arg, GError **error)
{
  if (!strcmp(arg, "--"))
    return parse_rest(p, error);
  if (g_str_has_prefix(arg, "--"))
    return parse_long(p, arg + 2, error);
  if (arg[0] == '-' && arg[1])
    return parse_letters(p, arg + 1, error);
  if (!p->inv->command)
    return parse_command_word(p, arg, error);
  return parse_operand(p, arg, error);
}

/* The service of the machine has its own place, and nothing of what this process would read. */
static gboolean
check_place(const Invocation *inv, GError **error)
{
  const ClientPlace *place = &inv->place;
  const char *other = place->no_daemon ? "no-daemon" : place->home ? "home" : place->config ? "config" : NULL;
  if (place->of_system && other) {
    g_propagate_error(error, client_usage_error("--system means the azlind of this machine, with its own state and "
                                                "configuration; leave --%s away, or --system",
                                                other));
    return FALSE;
  }
  if (place->of_system && inv->command->alone) {
    g_propagate_error(
        error, client_usage_error("\"%s\" needs no service and uses none; leave --system away", inv->command->name));
    return FALSE;
  }
  return TRUE;
}

static gboolean
parse_all(Parser *p, GError **error)
{
  while (*p->args)
    if (!parse_word(p, *p->args++, error))
      return FALSE;
  const Command *command = p->inv->command;
  if (p->inv->help || p->inv->version)
    return TRUE;
  if (command && command->operand_required && !g_variant_dict_contains(&p->dict, command->operand)) {
    g_propagate_error(error, client_usage_error("\"%s\" needs a %s", command->name, command->operand));
    return FALSE;
  }
  return !command || check_place(p->inv, error);
}

/* An error before -o was read must still come in the format that the line asks for. */
static void
peek_output(char **args, Invocation *inv)
{
  for (; *args && strcmp(*args, "--"); args++) {
    const char *value = NULL;
    if (g_str_has_prefix(*args, "--output="))
      value = *args + strlen("--output=");
    else if (!strcmp(*args, "-o") || !strcmp(*args, "--output"))
      value = args[1];
    else if (g_str_has_prefix(*args, "-o"))
      value = *args + 2;
    if (value)
      set_output(inv, value, NULL);
  }
}

gboolean
parse_line(int argc, char **argv, Invocation *ret_invocation, GError **error)
{
  *ret_invocation = (Invocation){ 0 };
  Parser p = { .args = argv + MIN(argc, 1), .inv = ret_invocation };
  peek_output(p.args, ret_invocation);
  g_variant_dict_init(&p.dict, NULL);
  gboolean ok = parse_all(&p, error);
  ret_invocation->args = g_variant_ref_sink(g_variant_dict_end(&p.dict));
  ret_invocation->group = p.group;
  return ok;
}

void
invocation_clear(Invocation *invocation)
{
  g_clear_pointer(&invocation->args, g_variant_unref);
  g_clear_pointer(&invocation->rest, g_strfreev);
  g_clear_pointer(&invocation->group, g_free);
}
