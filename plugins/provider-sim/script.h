/* The script of a simulated cloud: rules, one a line, parsed into a list and asked what happens now. Pure. */
#pragma once
#include "azlin-plugin.h"

typedef enum {
  RULE_CREATE,
  RULE_POWER,
  RULE_DELETE,
  RULE_GET,
  RULE_TAG,
  RULE_ISOLATE,
  RULE_MACHINE,
  RULE_PROBE,
  RULE_EXEC,
  RULE_ROOM, /* `text`: the code of a region, or region/size, without room */
} RuleKind;

typedef enum {
  DO_SECONDS, /* takes from_s to to_s */
  DO_FAIL,    /* fails with `code` after from_s */
  DO_HANG,    /* never answers */
  DO_KILL,    /* machine: ends by itself, its address refuses */
  DO_VANISH,  /* machine: ends by itself, its address is silent */
  DO_STOP,
  DO_DEALLOCATE,
  DO_START,
  DO_REMOVE,
  DO_OUTCOME, /* probe: `text` */
  DO_SLOW,    /* probe: from_s */
  DO_REFUSE,  /* room: `text` */
  DO_REPLY,   /* exec: `status` and `text` for command lines like `glob` */
} RuleAction;

typedef struct {
  char *key; /* the line itself and how often it stood before: what counts are kept under */
  RuleKind kind;
  RuleAction action;
  gint64 at; /* microseconds of the world's time */
  GPatternSpec *target;
  AzlinError code;
  guint32 count; /* 0 = always */
  double probability, from_s, to_s;
  char *vantage; /* probe: NULL = all */
  char *text;
  GPatternSpec *glob;
  int status;
} Rule;

/* Parses lines; `where` names them in errors (CONFIG). An array of Rule, freeing its rules. */
GPtrArray *script_parse(const char *text, gsize length, const char *where, GError **error);
/* Adds one line to `rules`. */
gboolean script_parse_line(GPtrArray *rules, const char *line, const char *where, GError **error);
GPtrArray *script_new(void);

/* Is the rule about this machine at this time? */
gboolean rule_matches(const Rule *rule, RuleKind kind, gint64 now, const char *region, const char *vm_name);
/* 0 <= result < 1, the same for the same arguments: faults do not depend on the order of events. */
double script_chance(guint32 seed, const char *what, const char *who, guint32 attempt);
