/* Token endpoints of Entra, IMDS and App Service, and the check of bearer tokens. */
#pragma once
#include "exchange.h"

/* How every access token of the double begins. */
#define TOKEN_BEGINNING "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsImtpZCI6ImRvdWJsZSJ9."

GHashTable *tokens_new(void);
void token_endpoint(Exchange *exchange);
void token_imds(Exchange *exchange);
void token_app_service(Exchange *exchange);
/* TRUE: the request may go on; else it is answered with 401. */
gboolean token_check(Exchange *exchange);
/* A request that must carry no token: records the leak when one is there. */
void token_forbid(Exchange *exchange, const char *where);
