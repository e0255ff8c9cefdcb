/* Which function answers which operation. */
#pragma once
#include "exchange.h"

/* Names the kind of a request that no rule of the official files covers: "Token", "Imds", "Poll", ...; NULL = none. */
const char *routes_kind(const char *method, const char *path);
/* Requests that belong to the test, not to Azure: TRUE = answered. */
gboolean routes_control(Exchange *exchange);
void routes_dispatch(Exchange *exchange);
