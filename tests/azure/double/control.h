/* What tests say to the double and ask of it: /__control, /__state, /__log, /__reset. */
#pragma once
#include "exchange.h"

void control_handle(Exchange *exchange);
void control_handle_state(Exchange *exchange);
void control_handle_log(Exchange *exchange);
void control_handle_reset(Exchange *exchange);
/* Takes a control document over. NULL = taken; else what is wrong with it, owned. */
char *control_apply(Double *world, json_t *document);
/* An empty world in a double whose rules are loaded. */
void control_begin_world(Double *world);
void control_end_world(Double *world);
