/* The elements of a long list, one at a time: what Azure says of one region's sizes is megabytes, and as a whole tree
 * ten times that. */
#pragma once
#include <glib.h>
#include <jansson.h>

typedef void (*ElementsTake)(const json_t *element, gpointer data);
/* Gives each element of the array `value` of a JSON object to `take`; `ret_next`: its `nextLink`, owned, or NULL. FALSE
 * when the text is no such object; some elements may have been given by then. */
gboolean elements_each(const char *text, gsize length, ElementsTake take, gpointer data, char **ret_next);
