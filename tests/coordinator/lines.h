/* What the programs share that run one brick by commands on standard input: reading a line, saying what came of it. */
#pragma once
#include "engine-private.h"

/* "TYPE MESSAGE". */
void lines_say_error(const GError *error);
/* 0 for NULL. */
guint64 lines_number(const char *word);
/* The selected brick of `kind` by an engine of the environment; NULL = the reason was said. `ret_engine` is the
 * caller's. */
gconstpointer lines_brick(AzlinKind kind, AzEngine **ret_engine, gpointer *ret_self);
/* Says "ready" and gives each line to `obey` until there are no more. */
void lines_serve(void (*obey)(const char *line, gpointer data), gpointer data);
