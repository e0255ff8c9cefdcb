/* Replies that hold a token: read with every type checked, and wiped from all memory they went through. */
#include "credential-private.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_TOKEN (64 * 1024)
#define LONGEST_QUOTE 300
#define LONGEST_LIFE (30 * 86400)

static void
wipe_and_free(void *memory)
{
  az_secret_wipe(memory, malloc_usable_size(memory));
  free(memory);
}

/* While it is set, what jansson frees (its lexer's buffers, strings) leaves nothing behind. */
static void
wipe_what_jansson_frees(gboolean wipe)
{
  static json_free_t usual;
  json_malloc_t get_memory;
  json_free_t free_memory;
  json_get_alloc_funcs(&get_memory, &free_memory);
  if (usual == NULL)
    usual = free_memory;
  json_set_alloc_funcs(get_memory, wipe ? wipe_and_free : usual);
}

static gboolean
refuse(GError **error, const char *why)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_FAILED, "%s", why);
  return FALSE;
}

gboolean
az_token_is_token(const char *text, gsize length)
{
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum(text[i]) && (text[i] == '\0' || strchr("._~+/=-", text[i]) == NULL))
      return FALSE;
  return length > 0 && length <= LONGEST_TOKEN;
}

static AzSecret *
take_token(json_t *member, GError **error)
{
  const char *text = json_string_value(member);
  if (text == NULL)
    refuse(error, "it holds no token");
  else if (!az_token_is_token(text, json_string_length(member)))
    refuse(error, "what it holds is no token: too long, or of characters that no header may carry");
  else
    return az_secret_new(text, (gssize) json_string_length(member));
  return NULL;
}

/* A whole number, as such or as a string; FALSE when it is neither. */
static gboolean
read_number(json_t *member, gint64 *ret)
{
  if (json_is_integer(member))
    *ret = json_integer_value(member);
  else if (!json_is_string(member)
           || !g_ascii_string_to_signed(json_string_value(member), 10, 0, G_MAXINT64, ret, NULL))
    return FALSE;
  return TRUE;
}

/* "2026-11-23 22:51:09.000000", local time. */
static gboolean
read_local_time(json_t *member, gint64 *ret)
{
  int year, month, day, hour, minute, second;
  const char *text = json_string_value(member);
  if (text == NULL || sscanf(text, "%4d-%2d-%2d %2d:%2d:%2d", &year, &month, &day, &hour, &minute, &second) != 6)
    return FALSE;
  g_autoptr(GDateTime) time = g_date_time_new_local(year, month, day, hour, minute, second);
  if (time == NULL)
    return FALSE;
  *ret = g_date_time_to_unix(time);
  return TRUE;
}

static gboolean
read_life(json_t *object, gint64 now, gint64 *ret_seconds)
{
  gint64 number;
  if (read_number(json_object_get(object, "expires_in"), &number))
    *ret_seconds = number;
  else if (read_number(json_object_get(object, "expires_on"), &number)
           || read_local_time(json_object_get(object, "expiresOn"), &number))
    *ret_seconds = number - now / G_USEC_PER_SEC;
  else
    return FALSE;
  *ret_seconds = MIN(*ret_seconds, LONGEST_LIFE);
  return TRUE;
}

static gboolean
read_object(json_t *object, const char *token_name, gint64 now, AzTokenReply *ret, GError **error)
{
  gint64 seconds;
  const char *type = json_string_value(json_object_get(object, "token_type"));
  if (!json_is_object(object))
    return refuse(error, "it is no JSON object");
  if (type != NULL && g_ascii_strcasecmp(type, "Bearer") != 0)
    return refuse(error, "its token is not of the type Bearer");
  if (!read_life(object, now, &seconds))
    return refuse(error, "it does not say how long its token is good for");
  if (seconds <= 0)
    return refuse(error, "its token has expired already");
  g_autoptr(AzSecret) token = take_token(json_object_get(object, token_name), error);
  if (token == NULL)
    return FALSE;
  *ret = (AzTokenReply){ .token = g_steal_pointer(&token), .seconds = seconds };
  return TRUE;
}

static gboolean
read_reply(GBytes *body, const char *token_name, gint64 now, AzTokenReply *ret, GError **error)
{
  gsize length;
  const char *text = g_bytes_get_data(body, &length);
  wipe_what_jansson_frees(TRUE);
  json_t *object = json_loadb(text != NULL ? text : "", length, JSON_REJECT_DUPLICATES, NULL);
  gboolean ok = read_object(object, token_name, now, ret, error);
  json_decref(object);
  wipe_what_jansson_frees(FALSE);
  az_secret_wipe_bytes(body);
  return ok;
}

gboolean
az_token_reply_read(GBytes *body, gint64 now, AzTokenReply *ret, GError **error)
{
  return read_reply(body, "access_token", now, ret, error);
}

gboolean
az_token_reply_read_cli(GBytes *body, gint64 now, AzTokenReply *ret, GError **error)
{
  return read_reply(body, "accessToken", now, ret, error);
}

char *
az_token_quote(const char *bytes, gsize length)
{
  const char *end = length > 0 ? memchr(bytes, '\n', length) : NULL;
  gsize line = MIN(end != NULL ? (gsize) (end - bytes) : length, LONGEST_QUOTE);
  g_autofree char *text = g_utf8_make_valid(line > 0 ? bytes : "", (gssize) line);
  g_autoptr(GString) shown = g_string_new(NULL);
  for (char *c = text; *c != '\0'; c = g_utf8_next_char(c)) {
    GUnicodeType type = g_unichar_type(g_utf8_get_char(c)); /* FORMAT: direction marks show what is not there */
    gboolean hidden = type == G_UNICODE_CONTROL || type == G_UNICODE_FORMAT || type == G_UNICODE_UNASSIGNED;
    g_string_append_unichar(shown, hidden ? ' ' : g_utf8_get_char(c));
  }
  return g_strdup(g_strstrip(shown->str));
}

static const char *
complaint_of(json_t *object)
{
  json_t *error = json_object_get(object, "error");
  const char *text = json_string_value(json_object_get(object, "error_description"));
  if (text == NULL && json_is_object(error))
    text = json_string_value(json_object_get(error, "message"));
  if (text == NULL)
    text = json_string_value(json_object_get(object, "message"));
  return text != NULL ? text : json_string_value(error);
}

/* As it is, and as it stands in a form. */
static char *
redact(const AzSecret *hidden, const char *text)
{
  if (hidden == NULL)
    return g_strdup(text);
  char *escaped = g_uri_escape_string(az_secret_peek(hidden, NULL), NULL, FALSE);
  g_autoptr(AzSecret) in_form = az_secret_new(escaped, -1);
  az_secret_wipe(escaped, strlen(escaped));
  g_free(escaped);
  g_autofree char *once = az_secret_redact(hidden, text);
  return az_secret_redact(in_form, once);
}

char *
az_token_reply_complaint(int status, GBytes *body, const AzSecret *hidden)
{
  gsize length;
  const char *bytes = g_bytes_get_data(body, &length);
  json_t *object = json_loadb(bytes != NULL ? bytes : "", length, 0, NULL);
  const char *text = complaint_of(object);
  /* redacted before it is cut: half a secret is one too */
  g_autofree char *shown = text != NULL ? redact(hidden, text) : NULL;
  json_decref(object);
  az_secret_wipe_bytes(body);
  if (shown == NULL || *shown == '\0')
    return g_strdup_printf(status >= 300 && status < 400 ? "HTTP %d, a redirect, and none is followed" : "HTTP %d",
                           status);
  char *for_support = strstr(shown, " Trace ID:"); /* a line of its own in older answers */
  if (for_support != NULL)
    *for_support = '\0';
  return az_token_quote(shown, strlen(shown));
}
