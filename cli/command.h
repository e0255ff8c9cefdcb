/* The table of commands: words, what each becomes in the engine, its flags, its help, how its result is shown. */
#pragma once
#include "client.h"
#include "terminal.h"
G_BEGIN_DECLS

typedef enum { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL } Output;

typedef struct _Command Command;

typedef struct {          /* one command line, understood */
  const Command *command; /* NULL for the bare program and a bare group */
  char *group;            /* "regions", or NULL */
  GVariant *args;         /* a{sv}: what was given, under the engine's names */
  char **rest;            /* words behind "--", or NULL */
  Output output;
  ClientPlace place;
  gboolean quiet, verbose, no_color, help, version;
  Terminal *terminal;
} Invocation;

struct _Command {
  const char *name;    /* "regions set-primary" */
  const char *kind;    /* job kind, or NULL */
  const char *query;   /* query, or NULL */
  const char *operand; /* flag that a bare word fills, or NULL */
  gboolean operand_required;
  const char *single;             /* a list flag of the kind that is given here as one "--region" */
  const char *const *hidden;      /* flags of the kind that mean nothing here; ends NULL */
  const Flag *flags;              /* flags beside the kind's; ends {0}; or NULL */
  const char *rest;               /* placeholder of the words behind "--", or NULL */
  const char *live;               /* flag with which it runs until Ctrl-C; "" = always, NULL = never */
  gboolean alone;                 /* computes, and touches nothing: no matter for a service */
  const char *summary;            /* one line; NULL = the kind's own */
  int (*run)(const Invocation *); /* returns the exit code */
  /* Events for people, one by one, in place of a live screen; or NULL. */
  void (*event)(const Invocation *, const char *name, GVariant *facts);
  void (*show)(const Invocation *, Client *, GVariant *); /* the result for people; NULL = messages said it all */
};

extern const Command command_table[]; /* ends {0} */
extern const Flag command_globals[];  /* flags of every command; ends {0} */

const Command *command_find(const char *name);
const Command *command_of_kind(const char *kind); /* the first that runs such jobs; or NULL */
const char *command_summary(const Command *command);
/* TRUE when the engine knows the command's kind, or the program answers by itself. */
gboolean command_available(const Command *command);
/* All flags of a command without the global ones, its own names; ends {0}; owned by the table. */
const Flag *command_flags(const Command *command);
const Flag *flag_find(const Flag *flags, const char *name);
const Flag *flag_find_letter(const Flag *flags, char letter);
gboolean flag_is_switch(const Flag *flag);
/* TRUE when this command line runs until somebody ends it: Ctrl-C is its normal end then. */
gboolean invocation_is_live(const Invocation *invocation);

int cmd_job_run(const Invocation *invocation);
int cmd_query_run(const Invocation *invocation);
int cmd_logs_run(const Invocation *invocation);
int cmd_jobs_attach_run(const Invocation *invocation);
int cmd_jobs_cancel_run(const Invocation *invocation);
int cmd_ssh_run(const Invocation *invocation);
int cmd_version_run(const Invocation *invocation);
int cmd_help_run(const Invocation *invocation);
int cmd_complete_run(const Invocation *invocation);
void help_overview(FILE *out);
void help_command(const Command *command, FILE *out);
void help_group(const char *group, FILE *out);
G_END_DECLS
