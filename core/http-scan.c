/* The first look at an answer: whether a parser may see it at all. Bytes only, nothing is built. */
#include "http-private.h"

#include <string.h>

#define MAX_NESTING 64

static gboolean
is_json(const char *content_type, const char *bytes, gsize length)
{
  if (content_type != NULL && strstr(content_type, "json") != NULL)
    return TRUE;
  gsize i = 0;
  while (i < length && g_ascii_isspace(bytes[i]))
    i++;
  return i < length && (bytes[i] == '{' || bytes[i] == '[');
}

/* The end of the string that begins before `at`. */
static const char *
skip_string(const char *at, const char *end)
{
  for (; at < end && *at != '"'; at++)
    if (*at == '\\')
      at++;
  return at;
}

static gboolean
nests_too_deeply(const char *at, gsize length)
{
  const char *end = at + length;
  guint depth = 0;
  for (; at < end; at++) {
    if (*at == '"')
      at = skip_string(at + 1, end);
    else if (*at == '{' || *at == '[')
      depth++;
    else if ((*at == '}' || *at == ']') && depth > 0)
      depth--;
    if (depth > MAX_NESTING)
      return TRUE;
  }
  return FALSE;
}

const char *
az_http_scan(const char *content_type, GBytes *body)
{
  gsize length;
  const char *bytes = g_bytes_get_data(body, &length);
  if (!is_json(content_type, bytes, length))
    return NULL;
  if (length > 0 && memchr(bytes, '\0', length) != NULL)
    return "contains NUL bytes";
  if (!g_utf8_validate_len(bytes, length, NULL))
    return "is not UTF-8";
  return nests_too_deeply(bytes, length) ? "nests deeper than " G_STRINGIFY(MAX_NESTING) " levels" : NULL;
}
