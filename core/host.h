/* The host table: what one brick sees of the engine. */
#pragma once
#include "engine-private.h"

/* A view for `brick`, whose options stand in group "kind.name"; freed with az_host_free(). */
AzlinHost *az_host_new(AzEngine *engine, const AzlinBrick *brick);
void az_host_free(AzlinHost *host);
/* a{sv}, typed as declared: what this view's option() answers instead of what azlin.conf says; sinks it. */
void az_host_set_options(AzlinHost *host, GVariant *options);
/* The table itself, for tests that run a brick without a registry. */
const AzlinHostApi *az_host_api(void);
/* Finishes `op` after `ms` of `op`'s clock. */
void az_host_sleep(guint32 ms, AzlinOp *op);
