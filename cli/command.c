/* The table of commands: words, what each becomes in the engine, its flags, its help, how its result is shown. */
#include "command.h"

#include <string.h>

#include "render.h"

static const char *const hidden_in_new[] = { "primary", "max-concurrent", "sync-after", "resume", NULL };

/* How a result is told is the output's matter. */
static const char *const hidden_stream[] = { "stream", NULL };

static const Flag origin_flags[] = {
  { .name = "origin", .type = "b", .help = "show where each value comes from" },
  { 0 },
};

static const Flag limit_flags[] = {
  { .name = "limit", .letter = 'n', .type = "u", .argument = "N", .help = "only the last N records" },
  { 0 },
};

static const Flag job_flags[] = {
  { .name = "job", .type = "u", .argument = "N", .help = "its number: azlin jobs list" },
  { 0 },
};

const Flag command_globals[] = {
  { .name = "output",
    .letter = 'o',
    .type = "s",
    .argument = "FORMAT",
    .help = "table (for people), json (one document) or jsonl (one event a line)" },
  { .name = "config", .type = "s", .argument = "FILE", .help = "read this azlin.conf" },
  { .name = "home", .type = "s", .argument = "DIR", .help = "keep state here instead of ~/.azlin" },
  { .name = "quiet", .letter = 'q', .type = "b", .help = "print results and errors only" },
  { .name = "verbose", .letter = 'v', .type = "b", .help = "print the details of errors and the engine's log" },
  { .name = "no-daemon", .type = "b", .help = "work in this process, also where azlind runs" },
  { .name = "system", .type = "b", .help = "let the azlind of this machine do it, on the system bus" },
  { .name = "no-color", .type = "b", .help = "no colours (also: NO_COLOR in the environment)" },
  { .name = "help", .letter = 'h', .type = "b", .help = "show this help" },
  { .name = "version", .letter = 'V', .type = "b", .help = "show the version" },
  { 0 },
};

/* clang-format off */
const Command command_table[] = {
  { .name = "deploy", .kind = "deploy", .run = cmd_job_run },
  { .name = "new", .kind = "deploy", .single = "regions", .hidden = hidden_in_new, .run = cmd_job_run,
    .summary = "Create one machine in one region" },
  { .name = "list", .kind = "regions-list", .hidden = hidden_stream, .run = cmd_job_run, .show = render_regions,
    .summary = "List the machines of all regions" },
  { .name = "status", .kind = "status", .run = cmd_job_run, .show = render_status },
  { .name = "destroy", .kind = "destroy", .run = cmd_job_run },
  { .name = "regions list", .kind = "regions-list", .hidden = hidden_stream, .run = cmd_job_run,
    .show = render_regions },
  { .name = "regions add", .kind = "regions-add", .operand = "region", .run = cmd_job_run },
  { .name = "regions remove", .kind = "regions-remove", .operand = "region", .run = cmd_job_run },
  { .name = "regions set-primary", .kind = "regions-set-primary", .operand = "region", .run = cmd_job_run },
  { .name = "regions health", .kind = "regions-health", .live = "watch", .run = cmd_job_run },
  { .name = "regions refresh", .kind = "regions-refresh", .run = cmd_job_run },
  { .name = "vm status", .kind = "vm-status", .operand = "region", .run = cmd_job_run },
  { .name = "vm start", .kind = "vm-start", .operand = "region", .run = cmd_job_run },
  { .name = "vm stop", .kind = "vm-stop", .operand = "region", .run = cmd_job_run },
  { .name = "vm restart", .kind = "vm-restart", .operand = "region", .run = cmd_job_run },
  { .name = "vm deallocate", .kind = "vm-deallocate", .operand = "region", .run = cmd_job_run },
  { .name = "vm delete", .kind = "vm-delete", .operand = "region", .run = cmd_job_run },
  { .name = "ssh", .kind = "ssh-target", .rest = "COMMAND...", .run = cmd_ssh_run,
    .summary = "Log in to a machine (without --region: the primary), or run a command there" },
  { .name = "ssh-config", .kind = "ssh-config", .run = cmd_job_run },
  { .name = "sync", .kind = "sync", .live = "watch", .run = cmd_job_run },
  { .name = "sync verify", .kind = "sync-verify", .run = cmd_job_run },
  { .name = "failover", .kind = "failover", .run = cmd_job_run },
  { .name = "failover replay", .kind = "failover-replay", .operand = "id", .run = cmd_job_run },
  { .name = "failover pause", .kind = "failover-pause", .run = cmd_job_run },
  { .name = "failover resume", .kind = "failover-resume", .run = cmd_job_run },
  { .name = "failover ack", .kind = "failover-ack", .run = cmd_job_run },
  { .name = "failover commit", .kind = "failover-commit", .run = cmd_job_run },
  { .name = "failover rollback", .kind = "failover-rollback", .run = cmd_job_run },
  { .name = "simulate", .kind = "simulate", .operand = "scenario", .run = cmd_job_run, .alone = TRUE },
  { .name = "watch", .kind = "watch", .live = "", .run = cmd_job_run },
  { .name = "jobs list", .query = "jobs", .run = cmd_query_run, .show = render_jobs,
    .summary = "List the jobs of azlind: those at work, and the last that ended" },
  { .name = "jobs attach", .operand = "job", .operand_required = TRUE, .flags = job_flags, .run = cmd_jobs_attach_run,
    .summary = "Follow a job from its beginning; Ctrl-C leaves it alone" },
  { .name = "jobs cancel", .operand = "job", .operand_required = TRUE, .flags = job_flags, .run = cmd_jobs_cancel_run,
    .summary = "End a job in good order" },
  { .name = "config show", .query = "config", .flags = origin_flags, .run = cmd_query_run, .show = render_config,
    .summary = "Show the configuration in force" },
  { .name = "bricks list", .query = "bricks", .run = cmd_query_run, .show = render_bricks,
    .summary = "List the bricks that can be found, and which are in use" },
  { .name = "bricks info", .query = "bricks-info", .operand = "name", .operand_required = TRUE, .run = cmd_query_run,
    .show = render_brick, .summary = "Show one brick: what it is, where it comes from, its options" },
  { .name = "logs", .kind = "logs", .hidden = hidden_stream, .live = "follow", .run = cmd_logs_run,
    .event = render_log },
  { .name = "audit show", .query = "audit", .flags = limit_flags, .run = cmd_query_run, .show = render_audit,
    .summary = "Show who did what, on which evidence, and how it ended" },
  { .name = "audit verify", .query = "audit-verify", .run = cmd_query_run, .show = render_audit_verdict,
    .summary = "Check that no record of the audit log was changed or taken out" },
  { .name = "recover", .kind = "recover", .run = cmd_job_run },
  { .name = "version", .run = cmd_version_run, .summary = "Show the version" },
  { .name = "help", .run = cmd_help_run, .operand = "command", .summary = "Show the help of a command" },
  { .name = "complete", .run = cmd_complete_run, .rest = "WORD...", .summary = NULL },
  { 0 },
};
/* clang-format on */

const Command *
command_find(const char *name)
{
  for (const Command *c = command_table; c->name; c++)
    if (!strcmp(c->name, name))
      return c;
  return NULL;
}

const Command *
command_of_kind(const char *kind)
{
  for (const Command *c = command_table; c->name; c++)
    if (!g_strcmp0(c->kind, kind))
      return c;
  return NULL;
}

const char *
command_summary(const Command *command)
{
  return command->summary || !command->kind ? command->summary : client_kind_help(command->kind);
}

gboolean
command_available(const Command *command)
{
  return !command->kind || client_flags(command->kind) != NULL;
}

static gboolean
is_hidden(const Command *command, const char *flag)
{
  return command->hidden && g_strv_contains(command->hidden, flag);
}

static void
add_flags(const Command *command, const Flag *flags, GArray *into)
{
  for (; flags && flags->name; flags++) {
    if (is_hidden(command, flags->name))
      continue;
    Flag flag = *flags;
    if (command->single && !strcmp(flag.name, command->single)) {
      flag.name = "region";
      flag.type = "s";
      flag.argument = "REGION";
      flag.help = "the region, or an alias of it";
    }
    g_array_append_val(into, flag);
  }
}

const Flag *
command_flags(const Command *command)
{
  static GHashTable *made;
  if (!made)
    made = g_hash_table_new(g_direct_hash, g_direct_equal);
  GArray *flags = g_hash_table_lookup(made, command);
  if (!flags) {
    flags = g_array_new(TRUE, TRUE, sizeof(Flag));
    add_flags(command, command->kind ? client_flags(command->kind) : NULL, flags);
    add_flags(command, command->flags, flags);
    g_hash_table_insert(made, (gpointer) (guintptr) command, flags);
  }
  return (const Flag *) flags->data;
}

const Flag *
flag_find(const Flag *flags, const char *name)
{
  for (; flags && flags->name; flags++)
    if (!strcmp(flags->name, name))
      return flags;
  return NULL;
}

const Flag *
flag_find_letter(const Flag *flags, char letter)
{
  for (; flags && flags->name; flags++)
    if (letter && flags->letter == letter)
      return flags;
  return NULL;
}

gboolean
flag_is_switch(const Flag *flag)
{
  return !strcmp(flag->type, "b");
}

gboolean
invocation_is_live(const Invocation *invocation)
{
  const char *flag = invocation->command->live;
  gboolean given = FALSE;
  if (flag && *flag)
    g_variant_lookup(invocation->args, flag, "b", &given);
  return flag && (!*flag || given);
}
