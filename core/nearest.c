/* The word that somebody probably meant: edit distance with transpositions, bounded in length. */
#include "nearest.h"

#include <glib.h>
#include <string.h>

#define LONGEST 64

/* Optimal string alignment: three rows are all that a transposition needs. */
static guint
distance(const char *a, gsize a_length, const char *b, gsize b_length)
{
  guint rows[3][LONGEST + 1];
  guint *before = rows[0], *last = rows[1], *row = rows[2];

  for (gsize j = 0; j <= b_length; j++)
    last[j] = (guint) j;
  for (gsize i = 1; i <= a_length; i++) {
    guint *oldest = before;
    row[0] = (guint) i;
    for (gsize j = 1; j <= b_length; j++) {
      guint same = g_ascii_tolower(a[i - 1]) == g_ascii_tolower(b[j - 1]) ? 0 : 1;
      row[j] = MIN(MIN(last[j] + 1, row[j - 1] + 1), last[j - 1] + same);
      if (i > 1 && j > 1 && g_ascii_tolower(a[i - 1]) == g_ascii_tolower(b[j - 2])
          && g_ascii_tolower(a[i - 2]) == g_ascii_tolower(b[j - 1]))
        row[j] = MIN(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
    row = oldest;
  }
  return last[b_length];
}

/* The only candidate that the word begins: "hea" means "health", however many letters are missing. */
static const char *
completed(const char *word, gsize length, const char *const *candidates)
{
  const char *only = NULL;

  for (; *candidates != NULL; candidates++) {
    if (g_ascii_strncasecmp(*candidates, word, length) != 0)
      continue;
    if (only != NULL)
      return NULL;
    only = *candidates;
  }
  return only;
}

const char *
az_nearest(const char *word, const char *const *candidates)
{
  gsize length = word != NULL ? strnlen(word, LONGEST + 1) : 0;
  guint best = length <= 3 ? 1 : length <= 6 ? 2 : 3;
  const char *nearest = NULL;

  if (length == 0 || length > LONGEST || candidates == NULL)
    return NULL;
  nearest = length >= 3 ? completed(word, length, candidates) : NULL;
  if (nearest != NULL)
    return nearest;
  for (; *candidates != NULL; candidates++) {
    gsize other = strnlen(*candidates, LONGEST + 1);
    gsize gap = other > length ? other - length : length - other;
    guint steps;
    if (other == 0 || other > LONGEST || gap > best)
      continue;
    steps = distance(word, length, *candidates, other);
    if (steps > best || (steps == best && nearest != NULL))
      continue;
    best = steps;
    nearest = *candidates;
  }
  return nearest;
}
