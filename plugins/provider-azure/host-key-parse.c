/* Host keys in what run-command and the serial log say: hostile text, of which only a whole ed25519 key is believed. */
#include "host-key.h"
#include "arm.h"
#include <gio/gio.h>
#include <string.h>

#define TYPE "ssh-ed25519"
#define BLOB_BYTES 51 /* two counted strings: the type, and 32 bytes */
#define BLOB_TEXT 68
#define BEGIN_KEYS "-----BEGIN SSH HOST KEY KEYS-----"
#define END_KEYS "-----END SSH HOST KEY KEYS-----"

static gboolean
is_blob(const char *text)
{
  static const guint8 head[] = "\0\0\0\013" TYPE "\0\0\0\040";
  gsize length = 0;
  if (strlen(text) != BLOB_TEXT || text[strspn(text, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "+/")] != '\0')
    return FALSE;
  g_autofree guchar *blob = g_base64_decode(text, &length);
  return length == BLOB_BYTES && memcmp(blob, head, sizeof head - 1) == 0;
}

/* A line of a .pub file: type, key, and perhaps a comment. */
static char *
key_of_line(const char *line)
{
  g_autofree char *text = g_strstrip(g_strdup(line));
  g_auto(GStrv) words = g_strsplit(text, " ", 3);
  if (g_strv_length(words) < 2 || strcmp(words[0], TYPE) != 0 || !is_blob(words[1]))
    return NULL;
  return g_strconcat(TYPE " ", words[1], NULL);
}

/* ---- run-command ---- */

/* Exactly one line between the markers, so that nothing else that a guest prints can be taken for the key. */
static char *
key_of_output(const char *message)
{
  const char *out = strstr(message, "[stdout]");
  const char *end = out ? strstr(out, "[stderr]") : NULL;
  if (!out || !end)
    return NULL;
  out += strlen("[stdout]");
  g_autofree char *text = g_strstrip(g_strndup(out, (gsize) (end - out)));
  return strpbrk(text, "\r\n") ? NULL : key_of_line(text);
}

char *
azure_host_key_of_run_command(const json_t *answer)
{
  const json_t *value = json_object_get(answer, "value");
  if (!value) /* the status of an Azure-AsyncOperation wraps the same */
    value = json_object_get(json_object_get(json_object_get(answer, "properties"), "output"), "value");
  for (size_t i = 0; i < json_array_size(value); i++) {
    const char *message = arm_string(json_array_get(value, i), "message", "");
    char *key = strlen(message) < 65536 ? key_of_output(message) : NULL;
    if (key)
      return key;
  }
  return NULL;
}

/* ---- serial log ---- */

/* The console puts a time and the program's name before some lines. */
static char *
key_in_console_line(const char *line)
{
  const char *at = strstr(line, TYPE " ");
  return at && (at == line || at[-1] == ' ') ? key_of_line(at) : NULL;
}

char *
azure_host_key_of_serial_log(const char *log, gsize length)
{
  g_autofree char *text = g_strndup(log, length);
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  g_autofree char *found = NULL, *last = NULL;
  gboolean inside = FALSE;
  for (gsize i = 0; lines[i]; i++) {
    if (strstr(lines[i], BEGIN_KEYS)) {
      inside = TRUE;
      g_clear_pointer(&found, g_free);
    } else if (strstr(lines[i], END_KEYS)) {
      inside = FALSE;
      if (found) {
        g_free(last);
        last = g_steal_pointer(&found);
      }
    } else if (inside && !found) {
      found = key_in_console_line(lines[i]);
    }
  }
  return g_steal_pointer(&last);
}

/* ---- where the log may lie ---- */

gboolean
azure_serial_log_url_is_good(const char *url, const char *endpoint)
{
  static const struct {
    const char *cloud, *suffix;
  } stores[] = {
    { "management.azure.com", ".core.windows.net" },
    { "management.azure.com", ".storage.azure.net" },
    { "management.chinacloudapi.cn", ".core.chinacloudapi.cn" },
    { "management.usgovcloudapi.net", ".core.usgovcloudapi.net" },
  };
  g_autoptr(GUri) at = url ? g_uri_parse(url, G_URI_FLAGS_ENCODED, NULL) : NULL;
  g_autoptr(GUri) cloud = g_uri_parse(endpoint, G_URI_FLAGS_NONE, NULL);
  const char *host = at ? g_uri_get_host(at) : NULL, *home = cloud ? g_uri_get_host(cloud) : NULL;
  if (!host || !home || g_uri_get_userinfo(at))
    return FALSE;
  if (arm_is_loopback(home))
    return arm_is_loopback(host);
  if (g_strcmp0(g_uri_get_scheme(at), "https") != 0 || !strstr(host, ".blob."))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS(stores); i++)
    if (g_ascii_strcasecmp(home, stores[i].cloud) == 0 && g_str_has_suffix(host, stores[i].suffix))
      return TRUE;
  return FALSE;
}
