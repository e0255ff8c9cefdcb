/* What the files of the configuration share: the core's own option tables and the typed parser. */
#pragma once
#include "config.h"

typedef struct {
  const char *name, *help;
  const AzlinOption *options; /* ends {0} */
  gboolean free_keys;         /* [aliases]: keys that people make up, all of type "s" */
} AzConfigGroup;
extern const AzConfigGroup az_config_core_groups[]; /* ends {0} */

/* The value that `file` holds for an option, checked for type and range; the message says what is wrong, not where. */
GVariant *az_config_value_parse(GKeyFile *file, const char *group, const AzlinOption *option, GError **error);

typedef struct {    /* one declared group */
  const char *name; /* interned */
  const AzlinOption *options;
  GHashTable *values; /* option name -> GVariant */
} AzConfigValues;

struct _AzConfig {
  GKeyFile *merged;    /* raw text: files over one another; defaults join as groups are declared */
  GHashTable *origins; /* "group\nkey" -> file, "group\n" for an empty group; no entry = default */
  GPtrArray *groups;   /* of AzConfigValues, in the order declared */
  GHashTable *allowed; /* set of the allowed regions */
  GHashTable *aliases; /* name -> region */
  GPtrArray *fallback; /* of char **: the sets of [policy] allowed-fallback */
  char *source;        /* the main file, or NULL = built-in */
};

/* Finds the main file and lays it and its conf.d over config->merged. */
gboolean az_config_read_files(AzConfig *config, const char *path, GError **error);
/* Sets a key that no file sets where it follows from other keys; its origin names those. */
void az_config_derive(AzConfig *config, const char *group, const char *key);
/* Where a key was set; NULL = nowhere, so the default holds. */
const char *az_config_origin(AzConfig *config, const char *group, const char *key);
