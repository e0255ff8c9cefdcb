/* The elements of a long list, one at a time: what Azure says of one region's sizes is megabytes, and as a whole tree
 * ten times that. */
#include "elements.h"
#include <string.h>

typedef struct {
  const char *at, *end;
} Cursor;

static void
skip_space(Cursor *cursor)
{
  while (cursor->at < cursor->end && memchr(" \t\r\n", *cursor->at, 4))
    cursor->at++;
}

static gboolean
accept(Cursor *cursor, char c)
{
  skip_space(cursor);
  if (cursor->at == cursor->end || *cursor->at != c)
    return FALSE;
  cursor->at++;
  return TRUE;
}

/* Behind the closing quote; the opening one is where the cursor stands. */
static gboolean
skip_string(Cursor *cursor)
{
  for (cursor->at++; cursor->at < cursor->end; cursor->at++) {
    if (*cursor->at == '\\')
      cursor->at++;
    else if (*cursor->at == '"') {
      cursor->at++;
      return TRUE;
    }
  }
  cursor->at = cursor->end; /* a backslash at the very end may have led beyond it */
  return FALSE;
}

/* Behind one value of any kind; whether it is well formed is seen when it is parsed. */
static gboolean
skip_value(Cursor *cursor)
{
  const char *start;
  guint depth = 0;
  skip_space(cursor);
  for (start = cursor->at; cursor->at < cursor->end;) {
    char c = *cursor->at;
    gboolean opens = c == '{' || c == '[', closes = c == '}' || c == ']';
    if (depth == 0 && (closes || c == ',' || c == ':'))
      return cursor->at > start;
    if (c == '"') {
      if (!skip_string(cursor))
        return FALSE;
    } else
      cursor->at++;
    depth += opens;
    depth -= closes;
    if (depth == 0 && (closes || c == '"'))
      return TRUE;
  }
  return FALSE;
}

static gboolean
take_element(const char *text, gsize length, ElementsWant want, ElementsTake take, gpointer data)
{
  if (want && !want(text, length, data))
    return TRUE;
  json_t *element = json_loadb(text, length, JSON_DECODE_ANY, NULL);
  if (!element)
    return FALSE;
  take(element, data);
  json_decref(element);
  return TRUE;
}

static gboolean
take_elements(Cursor *cursor, ElementsWant want, ElementsTake take, gpointer data)
{
  if (!accept(cursor, '['))
    return FALSE;
  if (accept(cursor, ']'))
    return TRUE;
  do {
    skip_space(cursor);
    const char *start = cursor->at;
    if (!skip_value(cursor) || !take_element(start, (gsize) (cursor->at - start), want, take, data))
      return FALSE;
  } while (accept(cursor, ','));
  return accept(cursor, ']');
}

static gboolean
take_link(Cursor *cursor, char **ret_next)
{
  skip_space(cursor);
  const char *start = cursor->at;
  json_t *link = skip_value(cursor) ? json_loadb(start, (gsize) (cursor->at - start), JSON_DECODE_ANY, NULL) : NULL;
  if (!link)
    return FALSE;
  g_free(*ret_next);
  *ret_next = json_string_length(link) > 0 ? g_strdup(json_string_value(link)) : NULL;
  json_decref(link);
  return TRUE;
}

static gboolean
is_key(const char *key, gsize length, const char *name)
{
  return length == strlen(name) && memcmp(key, name, length) == 0;
}

gboolean
elements_each(const char *text, gsize length, ElementsWant want, ElementsTake take, gpointer data, char **ret_next)
{
  Cursor cursor = { .at = text, .end = text + length };
  gboolean found = FALSE, good;
  *ret_next = NULL;
  if (!accept(&cursor, '{'))
    return FALSE;
  do {
    skip_space(&cursor);
    const char *key = cursor.at + 1;
    if (cursor.at == cursor.end || *cursor.at != '"' || !skip_string(&cursor))
      return FALSE;
    gsize letters = (gsize) (cursor.at - 1 - key);
    if (!accept(&cursor, ':'))
      return FALSE;
    if (is_key(key, letters, "value") && !found)
      good = found = take_elements(&cursor, want, take, data);
    else if (is_key(key, letters, "nextLink"))
      good = take_link(&cursor, ret_next);
    else
      good = skip_value(&cursor);
  } while (good && accept(&cursor, ','));
  return good && found && accept(&cursor, '}');
}

gboolean
elements_holds(const char *text, gsize length, const char *word)
{
  gsize size = strlen(word);
  const char *at = text, *end = text + length;
  while ((at = memchr(at, '"', (gsize) (end - at))) && (gsize) (end - at) >= size + 2) {
    at++;
    if (at[size] == '"' && g_ascii_strncasecmp(at, word, size) == 0)
      return TRUE;
  }
  return FALSE;
}
