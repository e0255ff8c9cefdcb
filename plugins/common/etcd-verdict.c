/* What etcd's refusals mean, and to whom they matter. */
#include "etcd-wire.h"
#include <string.h>

#define LONGEST_COMPLAINT 200

/* Before 3.4 and for streams the complaint is an object of its own. */
static const json_t *
error_of(const json_t *answer)
{
  const json_t *error = json_object_get(answer, "error");
  return json_is_object(error) ? error : answer;
}

static int
status_of(int status, const json_t *answer)
{
  const json_t *error = json_object_get(answer, "error");
  json_int_t inner = json_integer_value(json_object_get(error_of(answer), "http_code"));
  if (status >= 300 || error == NULL)
    return status;
  return inner >= 300 && inner < 600 ? (int) inner : 503;
}

char *
etcd_complaint(int status, const json_t *answer)
{
  const json_t *error = error_of(answer);
  const char *text = json_string_value(json_object_get(error, "message"));
  if (text == NULL)
    text = json_string_value(json_object_get(answer, "error"));
  if (text == NULL)
    return g_strdup_printf("HTTP status %d", status);
  if (g_str_has_prefix(text, "etcdserver: "))
    text += strlen("etcdserver: ");
  char *shown = g_strndup(text, LONGEST_COMPLAINT);
  for (char *c = shown; *c != '\0'; c++)
    if (!g_ascii_isprint(*c))
      *c = '?';
  return shown;
}

EtcdVerdict
etcd_judge(int status, const json_t *answer)
{
  g_autofree char *complaint = etcd_complaint(status, answer);
  int meant = status_of(status, answer);
  if (g_str_equal(complaint, "invalid auth token") || strstr(complaint, "auth store is old") != NULL)
    return ETCD_LOGIN;
  if (meant >= 500 || meant == 408 || meant == 429)
    return ETCD_ELSEWHERE;
  if (meant >= 300)
    return ETCD_REFUSED;
  return json_is_object(answer) ? ETCD_ANSWERED : ETCD_ELSEWHERE;
}

static const struct {
  const char *complaint;
  AzlinError class;
  const char *step; /* to do in the section of its options */
} refusals[] = {
  { "user name is empty", AZLIN_ERROR_AUTH, "name user and password-file: this etcd asks for them" },
  { "authentication failed", AZLIN_ERROR_AUTH, "check user and password-file" },
  { "authentication is not enabled", AZLIN_ERROR_CONFIG,
    "take user out, or let etcd ask for passwords: etcdctl auth enable" },
  { "permission denied", AZLIN_ERROR_PERMISSION,
    "name a user who may read and write below the prefix: etcdctl role grant-permission" },
};

GError *
etcd_refusal(const AzlinHostApi *api, const char *section, const char *endpoint, int status, const json_t *answer)
{
  g_autofree char *complaint = etcd_complaint(status, answer);
  AzlinError class = AZLIN_ERROR_FAILED;
  const char *step = NULL;
  for (gsize i = 0; i < G_N_ELEMENTS(refusals) && step == NULL; i++)
    if (strstr(complaint, refusals[i].complaint) != NULL) {
      class = refusals[i].class;
      step = refusals[i].step;
    }
  if (answer == NULL && status == 404) {
    class = AZLIN_ERROR_CONFIG;
    step = "name the client URLs of an etcd of version 3.4 or newer as endpoints";
  }
  GError *error = g_error_new(AZLIN_ERROR, (int) class, "etcd at %s refused: %s", endpoint, complaint);
  if (step != NULL)
    api->error_add_step(error, "In [%s], %s", section, step);
  return error;
}
