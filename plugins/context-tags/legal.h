/* Whether tags may be written as they are: what clouds do not take is said, nothing is cut to fit. Pure. */
#pragma once
#include "azlin-plugin.h"

#define TAG_MAX_NAME 512 /* characters */
#define TAG_MAX_VALUE 256
#define TAG_MAX_COUNT 50 /* on one machine */

/* NULL = legal; else one sentence about the name or the value. Owned. */
char *tag_problem(const char *name, const char *value);
/* The value of a tag in `tags` (a{ss} or NULL), whatever the case of its name; NULL = none. Borrowed. */
const char *tag_find(GVariant *tags, const char *name);
/* May `set` (a{ss}) be merged into `tags`? USAGE with what does not fit. */
gboolean tags_may_set(GVariant *tags, GVariant *set, GError **error);
