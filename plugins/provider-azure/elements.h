/* The elements of a long list, one at a time: what Azure says of one region's sizes is megabytes, and as a whole tree
 * ten times that. */
#pragma once
#include <glib.h>
#include <jansson.h>

typedef void (*ElementsTake)(const json_t *element, gpointer data);
/* Whether an element is worth being parsed, by its text. */
typedef gboolean (*ElementsWant)(const char *text, gsize length, gpointer data);
/* Gives each element of the array `value` of a JSON object that `want` (NULL = all) lets pass to `take`; `ret_next`:
 * its `nextLink`, owned, or NULL. FALSE when the text is no such object; some elements may have been given by then. */
gboolean
elements_each(const char *text, gsize length, ElementsWant want, ElementsTake take, gpointer data, char **ret_next);
/* A string "word" stands in the text, in whatever case of its letters. */
gboolean elements_holds(const char *text, gsize length, const char *word);
