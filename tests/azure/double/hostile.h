/* Answers that no honest server gives: bombs, nonsense, and connections that end too early. */
#pragma once
#include "exchange.h"

/* Replaces the answer by the "body" fault's. */
void hostile_body(Exchange *exchange, json_t *fault);
/* Cuts the connection with a reset, now. */
void hostile_reset(SoupServerMessage *message);
/* Half an answer, then the reset. The message must not be touched afterwards. */
void hostile_cut(SoupServerMessage *message, guint status, const char *text);
/* Replaces "{base}", "{path}", "{port}" and "{foreign}" in a forged URL. `original` NULL = none. Owned. */
char *hostile_url(Exchange *exchange, const char *template, const char *original);
