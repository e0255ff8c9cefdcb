/* Help, version and the listing that shell completion asks for; none of them needs an engine. */
#include <string.h>

#include "command.h"
#include "render.h"
#include "text.h"

static gboolean
is_listed(const Command *command)
{
  return command_available(command) && command_summary(command) != NULL;
}

static void
print_entry(FILE *out, const char *what, const char *help)
{
  g_autofree char *padded = text_pad(what, 26);
  if (text_width(what) > 26)
    fprintf(out, "  %s\n  %26s  %s\n", what, "", help);
  else
    fprintf(out, "  %s  %s\n", padded, help);
}

static void
print_flags(const Flag *flags, FILE *out)
{
  for (; flags->name; flags++) {
    char letter[] = { '-', flags->letter, ',', ' ', 0 };
    g_autofree char *what = g_strdup_printf("%s--%s%s%s", flags->letter ? letter : "    ", flags->name,
                                            flags->argument ? " " : "", flags->argument ? flags->argument : "");
    print_entry(out, what, flags->help ? flags->help : "");
  }
}

void
help_overview(FILE *out)
{
  fprintf(out, "azlin: machines in several regions, deployed, checked, copied between and failed over as one.\n\n"
               "Usage: azlin COMMAND [FLAGS]\n\nCommands:\n");
  for (const Command *c = command_table; c->name; c++)
    if (is_listed(c))
      print_entry(out, c->name, command_summary(c));
  fprintf(out, "\nFlags of every command:\n");
  print_flags(command_globals, out);
  fprintf(out, "\nTo begin: azlin deploy --regions us,eu,asia\nHelp of one command: azlin COMMAND --help\n");
}

void
help_group(const char *group, FILE *out)
{
  g_autofree char *prefix = g_strdup_printf("%s ", group);
  fprintf(out, "Usage: azlin %s COMMAND [FLAGS]\n\nCommands:\n", group);
  for (const Command *c = command_table; c->name; c++)
    if (g_str_has_prefix(c->name, prefix) && is_listed(c))
      print_entry(out, c->name, command_summary(c));
}

/* The commands whose first word this one is. */
static void
list_below(const char *name, FILE *out)
{
  g_autofree char *prefix = g_strdup_printf("%s ", name);
  gboolean any = FALSE;
  for (const Command *c = command_table; c->name; c++) {
    if (!g_str_has_prefix(c->name, prefix) || !is_listed(c))
      continue;
    if (!any)
      fprintf(out, "\nCommands:\n");
    any = TRUE;
    print_entry(out, c->name, command_summary(c));
  }
}

static char *
operand_usage(const Command *command)
{
  if (!command->operand)
    return g_strdup("");
  g_autofree char *upper = g_ascii_strup(command->operand, -1);
  return command->operand_required ? g_strdup_printf(" %s", upper) : g_strdup_printf(" [%s]", upper);
}

void
help_command(const Command *command, FILE *out)
{
  g_autofree char *operand = operand_usage(command);
  fprintf(out, "%s\n\nUsage: azlin %s%s [FLAGS]%s%s%s\n", command_summary(command), command->name, operand,
          command->rest ? " [-- " : "", command->rest ? command->rest : "", command->rest ? "]" : "");
  list_below(command->name, out);
  const Flag *flags = command_flags(command);
  if (flags->name) {
    fprintf(out, "\nFlags:\n");
    print_flags(flags, out);
  }
  fprintf(out, "\nFlags of every command:\n");
  print_flags(command_globals, out);
}

int
cmd_version_run(const Invocation *invocation)
{
  if (invocation->output == OUTPUT_TABLE)
    printf("azlin %s\n", AZLIN_VERSION);
  else if (invocation->output == OUTPUT_JSON)
    printf("{\"version\": \"%s\"}\n", AZLIN_VERSION);
  else
    printf("{\"event\": \"result\", \"exit_code\": 0, \"result\": {\"version\": \"%s\"}}\n", AZLIN_VERSION);
  return 0;
}

static gboolean
has_group(const char *word)
{
  g_autofree char *prefix = g_strdup_printf("%s ", word);
  for (const Command *c = command_table; c->name; c++)
    if (g_str_has_prefix(c->name, prefix))
      return TRUE;
  return FALSE;
}

int
cmd_help_run(const Invocation *invocation)
{
  const char *name = NULL;
  g_variant_lookup(invocation->args, "command", "&s", &name);
  const Command *command = name ? command_find(name) : NULL;
  if (!name)
    help_overview(stdout);
  else if (command && is_listed(command))
    help_command(command, stdout);
  else if (has_group(name))
    help_group(name, stdout);
  else {
    g_autoptr(GError) error = client_usage_error("there is no command \"%s\"; azlin --help lists them all", name);
    return render_gerror(invocation, error);
  }
  return 0;
}

/* ---- completion ---- */

static void
list_flags(const Command *command, const Flag *flags)
{
  for (; flags->name; flags++)
    printf("flag\t%s\t--%s\t%s\t%s\n", command ? command->name : "*", flags->name, flags->type,
           flags->letter ? (char[]){ '-', flags->letter, 0 } : "");
}

/* Everything there is, one line each: for tests and packagers. */
static void
list_all(void)
{
  for (const Command *c = command_table; c->name; c++) {
    if (!is_listed(c))
      continue;
    printf("command\t%s\t%s\n", c->name, command_summary(c));
    list_flags(c, command_flags(c));
  }
  list_flags(NULL, command_globals);
}

static gboolean
takes_next_word(const char *word)
{
  const Flag *flag = word[1] == '-' ? flag_find(command_globals, word + 2) : flag_find_letter(command_globals, word[1]);
  return flag && !flag_is_switch(flag) && (word[1] == '-' || !word[2]);
}

/* The command that the finished words name; `ret_prefix` is the group when only that is known. */
static const Command *
command_of_words(char **words, char **ret_prefix)
{
  g_autofree char *name = NULL;
  const Command *found = NULL;
  for (; *words; words++) {
    if (**words == '-') {
      if (takes_next_word(*words) && words[1])
        words++;
      continue;
    }
    g_autofree char *longer = name ? g_strdup_printf("%s %s", name, *words) : g_strdup(*words);
    const Command *longer_one = command_find(longer);
    found = longer_one ? longer_one : found;
    if (!has_group(longer))
      break;
    g_free(name);
    name = g_steal_pointer(&longer);
  }
  *ret_prefix = name ? g_strdup_printf("%s ", name) : g_strdup("");
  return found;
}

static void
suggest_words(const char *prefix, const char *begun)
{
  g_autoptr(GHashTable) said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (const Command *c = command_table; c->name; c++) {
    if (!is_listed(c) || !g_str_has_prefix(c->name, prefix))
      continue;
    const char *rest = c->name + strlen(prefix);
    char *word = g_strndup(rest, strcspn(rest, " "));
    if (g_str_has_prefix(word, begun) && !g_hash_table_contains(said, word))
      puts(word);
    g_hash_table_add(said, word);
  }
}

static void
suggest_flags(const Flag *flags, const char *begun)
{
  for (; flags->name; flags++) {
    g_autofree char *whole = g_strdup_printf("--%s", flags->name);
    if (g_str_has_prefix(whole, begun))
      puts(whole);
  }
}

/* The words of a line behind "azlin", the last one unfinished. */
int
cmd_complete_run(const Invocation *invocation)
{
  char **words = invocation->rest;
  guint n = words ? g_strv_length(words) : 0;
  g_autofree char *prefix = NULL;
  if (!n) {
    list_all();
    return 0;
  }
  g_autofree char *begun = g_steal_pointer(&words[n - 1]);
  const Command *command = command_of_words(words, &prefix);
  if (*begun == '-') {
    if (command)
      suggest_flags(command_flags(command), begun);
    suggest_flags(command_globals, begun);
  } else if (!command || has_group(command->name)) {
    suggest_words(prefix, begun);
  }
  return 0;
}
