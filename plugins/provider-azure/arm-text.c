/* Pure helpers around one call: URLs, ids, header fields, members of JSON that may be anything. */
#include "arm.h"
#include <string.h>

#define MAX_URL 8192
#define MAX_ID 2048
#define MAX_TEXT 300

const json_t *
arm_member(const json_t *object, const char *dotted_path)
{
  g_auto(GStrv) keys = g_strsplit(dotted_path, ".", -1);
  for (char **key = keys; *key != NULL && object != NULL; key++)
    object = json_object_get(object, *key); /* NULL when it is no object */
  return object;
}

const char *
arm_string(const json_t *object, const char *dotted_path, const char *fallback)
{
  const char *text = json_string_value(arm_member(object, dotted_path));
  return text != NULL ? text : fallback;
}

const char *
arm_header(const AzlinHttpReply *reply, const char *lower_case_name)
{
  const char *const *header = reply != NULL ? reply->headers : NULL;
  for (; header != NULL && header[0] != NULL && header[1] != NULL; header += 2)
    if (g_ascii_strcasecmp(header[0], lower_case_name) == 0)
      return header[1];
  return NULL;
}

gboolean
arm_same_id(const char *a, const char *b)
{
  return a != NULL && b != NULL && *a != '\0' && g_ascii_strcasecmp(a, b) == 0;
}

gboolean
arm_id_is_sane(const char *id)
{
  if (id == NULL || *id == '\0' || strlen(id) > MAX_ID || strstr(id, "..") != NULL)
    return FALSE;
  for (const char *p = id; *p != '\0'; p++)
    if (!g_ascii_isalnum(*p) && strchr("._()/-", *p) == NULL)
      return FALSE;
  return TRUE;
}

/* ---- URLs ---- */

gboolean
arm_is_loopback(const char *host)
{
  g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);
  return address != NULL ? g_inet_address_get_is_loopback(address) : g_ascii_strcasecmp(host, "localhost") == 0;
}

static int
port_of(GUri *uri)
{
  int port = g_uri_get_port(uri);
  if (port != -1)
    return port;
  return g_str_equal(g_uri_get_scheme(uri), "https") ? 443 : 80;
}

gboolean
arm_same_origin(const char *endpoint, const char *url)
{
  g_autoptr(GUri) ours = g_uri_parse(endpoint, G_URI_FLAGS_HAS_PASSWORD | G_URI_FLAGS_ENCODED, NULL);
  g_autoptr(GUri) theirs = g_uri_parse(url, G_URI_FLAGS_HAS_PASSWORD | G_URI_FLAGS_ENCODED, NULL);
  if (ours == NULL || theirs == NULL || g_uri_get_host(ours) == NULL || g_uri_get_host(theirs) == NULL)
    return FALSE;
  if (strchr(url, '\\') != NULL || g_uri_get_userinfo(theirs) != NULL || g_uri_get_fragment(theirs) != NULL)
    return FALSE;
  for (const char *p = url; *p != '\0'; p++)
    if (!g_ascii_isgraph(*p))
      return FALSE;
  return g_str_equal(g_uri_get_scheme(ours), g_uri_get_scheme(theirs))
         && g_ascii_strcasecmp(g_uri_get_host(ours), g_uri_get_host(theirs)) == 0 && port_of(ours) == port_of(theirs);
}

static void
append_encoded(GString *url, const char *path)
{
  for (const char *p = path; *p != '\0'; p++) {
    gboolean escape = *p == '%' && g_ascii_isxdigit(p[1]) && g_ascii_isxdigit(p[2]);
    if (escape || g_ascii_isalnum(*p) || strchr("-._~/?&=$:,()@;!*", *p) != NULL)
      g_string_append_c(url, *p);
    else
      g_string_append_printf(url, "%%%02X", (guint8) *p);
  }
}

char *
arm_url(const char *endpoint, const char *path, const char *version)
{
  if (path == NULL || *path != '/' || path[1] == '/' || strchr(path, '\\') != NULL) {
    gboolean ours = path != NULL && strlen(path) <= MAX_URL && arm_same_origin(endpoint, path);
    return ours ? g_strdup(path) : NULL;
  }
  g_autoptr(GString) url = g_string_new(endpoint);
  append_encoded(url, path);
  if (version != NULL)
    g_string_append_printf(url, "%capi-version=%s", strchr(path, '?') != NULL ? '&' : '?', version);
  return url->len <= MAX_URL ? g_strdup(url->str) : NULL;
}

char *
arm_call_name(const char *method, const char *path)
{
  const char *scheme = strstr(path, "://");
  const char *rest = scheme != NULL ? scheme + 3 + strcspn(scheme + 3, "/?#") : path;
  g_autofree char *bare = g_strndup(rest, strcspn(rest, "?#"));
  char *end = bare + strlen(bare);
  for (guint slashes = 0; end > bare && slashes < 2; end--)
    slashes += end[-1] == '/';
  g_autofree char *tail = arm_clean(end > bare || *end == '/' ? end + (*end == '/') : end);
  return g_strdup_printf("%s %s", method, tail);
}

gint64
arm_time(const char *text)
{
  g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
  g_autoptr(GDateTime) time = text != NULL ? g_date_time_new_from_iso8601(text, utc) : NULL;
  return time != NULL ? g_date_time_to_unix(time) * G_USEC_PER_SEC : 0;
}

/* ---- words ---- */

char *
arm_region_name(const char *location)
{
  g_autoptr(GString) name = g_string_new(NULL);
  for (const char *p = location; p != NULL && *p != '\0' && name->len < 64; p++)
    if (g_ascii_isalnum(*p))
      g_string_append_c(name, g_ascii_tolower(*p));
  return g_strdup(name->str);
}

/* Direction marks and the like: they make a terminal show something else than what is there. */
static gboolean
deceives(gunichar c)
{
  GUnicodeType type = g_unichar_type(c);
  return type == G_UNICODE_CONTROL || type == G_UNICODE_FORMAT || type == G_UNICODE_LINE_SEPARATOR
         || type == G_UNICODE_PARAGRAPH_SEPARATOR || type == G_UNICODE_SURROGATE || type == G_UNICODE_UNASSIGNED;
}

/* After the last whole sentence, where that is not too little. */
static void
cut(GString *text)
{
  const char *end = g_strrstr(text->str, ". ");
  if (end != NULL && end - text->str >= MAX_TEXT / 2)
    g_string_truncate(text, (gsize) (end - text->str) + 1);
  else
    g_string_append(text, "...");
}

char *
arm_clean(const char *text)
{
  g_autofree char *valid = g_utf8_make_valid(text != NULL ? text : "", -1);
  g_strchug(valid);
  valid[strcspn(valid, "\r\n")] = '\0';
  g_autoptr(GString) clean = g_string_new(NULL);
  guint n = 0;
  for (char *p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
    if (n++ >= MAX_TEXT) {
      cut(clean);
      break;
    }
    gunichar c = g_utf8_get_char(p);
    g_string_append_unichar(clean, deceives(c) ? ' ' : c);
  }
  return g_strdup(g_strchomp(clean->str));
}
