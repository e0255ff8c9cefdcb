/* Options of a brick as C has them. */
#pragma once
#include "azlin-plugin.h"

/* The option of the brick behind `host`, of type "s"; owned. */
char *option_string(AzlinHost *host, const char *name);
/* Of type "u". */
guint32 option_uint(AzlinHost *host, const char *name);
