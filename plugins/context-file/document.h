/* config.json in memory: its top-level keys, its regions, primary, epoch and generation. */
#pragma once
#include "azlin-plugin.h"
#include "seal.h"
#include <jansson.h>

typedef struct {
  char *name;
  char *text; /* its line in the file while nobody needed more; inside Document.text, or `own` */
  gsize length;
  char *own;    /* its line as it was changed */
  json_t *json; /* parsed on first need */
} Region;

typedef struct {
  char *text; /* the file, kept for the regions that are not parsed */
  gsize length;
  json_t *top; /* everything but the regions, in the file's order */
  GPtrArray *regions;
  guint64 epoch, generation;
  Seal seal;
} Document;

typedef enum {
  DOCUMENT_FINE,
  DOCUMENT_CORRUPT, /* not JSON, or not a state file: an earlier generation may stand in */
  DOCUMENT_REFUSED  /* readable, but acting on it would be a guess: only its user can mend it */
} DocumentState;

Document *document_new(void);
/* Takes `text`. What azlin itself wrote is trusted by its seal; everything else is checked against the schema. */
DocumentState document_parse(char *text, gsize length, Document **ret_document, char **ret_problem);
/* The bytes to store. Counts no generation: the caller does. */
GString *document_print(Document *document, gint64 saved_at);
void document_append_line(GString *text, json_t *region); /* one record as it stands in a large file */
void document_free(Document *document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Document, document_free)

int document_find(Document *document, const char *region); /* index, or -1 */
int document_primary(Document *document);                  /* index, or -1 */
const char *document_primary_name(Document *document);     /* "" = none */
/* The record of a region: to read; or to change, after which it is printed anew. Borrowed. */
json_t *document_region(Document *document, guint index);
json_t *document_change(Document *document, guint index);
/* Parses a record and gives it away, keeping nothing: for reading all of many. */
json_t *document_region_once(Document *document, guint index);
/* Keeps a record that document_region_once() gave and somebody has changed, as a line where it was one: of many that
 * change, each is parsed for a moment. */
void document_keep(Document *document, guint index, json_t *json);
/* name, borrowed -> index and one more: for many; until a region comes or goes. */
GHashTable *document_places(Document *document);
json_t *document_add(Document *document, const char *region);
void document_remove(Document *document, guint index);
const char *document_resource_group(Document *document);

/* Pure check of a parsed file that azlin did not write; the problem is a sentence without subject. */
DocumentState document_check(json_t *root, char **ret_problem);
