/* Whether tags may be written as they are: the rules of Azure, the strictest that is known. */
#include "legal.h"
#include <string.h>

/* What is foreign may hold terminal codes: it is shown as far as it is plain. */
static char *
shown(const char *text)
{
  g_autofree char *valid = g_utf8_make_valid(text, (gssize) MIN(strlen(text), 60));
  for (char *p = valid; *p != '\0'; p++)
    *p = g_ascii_iscntrl(*p) ? '?' : *p;
  return g_steal_pointer(&valid);
}

static gboolean
has_control(const char *text)
{
  for (; *text != '\0'; text = g_utf8_find_next_char(text, NULL))
    if (g_unichar_iscntrl(g_utf8_get_char(text)))
      return TRUE;
  return FALSE;
}

char *
tag_problem(const char *name, const char *value)
{
  g_autofree char *plain = shown(name);
  if (*name == '\0')
    return g_strdup("a tag needs a name");
  if (!g_utf8_validate(name, -1, NULL) || !g_utf8_validate(value, -1, NULL))
    return g_strdup_printf("the tag %s is not UTF-8", plain);
  if (strpbrk(name, "<>%&\\?/") != NULL || has_control(name))
    return g_strdup_printf("the name of the tag %s holds one of < > %% & \\ ? / or a control character", plain);
  if (g_utf8_strlen(name, -1) > TAG_MAX_NAME)
    return g_strdup_printf("the name of the tag %s is longer than %d characters", plain, TAG_MAX_NAME);
  if (has_control(value))
    return g_strdup_printf("the value of the tag %s holds a control character", plain);
  if (g_utf8_strlen(value, -1) > TAG_MAX_VALUE)
    return g_strdup_printf("the value of the tag %s is longer than %d characters", plain, TAG_MAX_VALUE);
  return NULL;
}

static gboolean
same_name(const char *a, const char *b)
{
  g_autofree char *left = g_utf8_casefold(a, -1);
  g_autofree char *right = g_utf8_casefold(b, -1);
  return strcmp(left, right) == 0;
}

const char *
tag_find(GVariant *tags, const char *name)
{
  GVariantIter iter;
  const char *other, *value;
  if (tags == NULL)
    return NULL;
  g_variant_iter_init(&iter, tags);
  while (g_variant_iter_next(&iter, "{&s&s}", &other, &value))
    if (same_name(other, name))
      return value;
  return NULL;
}

gboolean
tags_may_set(GVariant *tags, GVariant *set, GError **error)
{
  GVariantIter iter;
  const char *name, *value;
  gsize count = tags != NULL ? g_variant_n_children(tags) : 0;
  g_variant_iter_init(&iter, set);
  while (g_variant_iter_next(&iter, "{&s&s}", &name, &value)) {
    g_autofree char *problem = tag_problem(name, value);
    if (problem != NULL) {
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "%s", problem);
      return FALSE;
    }
    count += tag_find(tags, name) == NULL;
  }
  if (count <= TAG_MAX_COUNT)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "the machine would have %" G_GSIZE_FORMAT " tags; it may have %d",
              count, TAG_MAX_COUNT);
  return FALSE;
}
