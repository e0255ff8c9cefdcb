/* What the parts of provider-local share: the brick's own state and its view of the engine. */
#pragma once
#include "azlin-plugin.h"

typedef struct {
  AzlinHost *host;
} Local;

/* The value of an option; the string is owned. */

/* A program by name or absolute path; also looks where a plain user's PATH does not. NULL = not installed. */
char *local_find_program(Local *local, const char *option);
/* NOT_SUPPORTED with the command that installs what is missing, or TRUE. */
gboolean local_check_programs(Local *local, GError **error);
/* What a command wrote to its standard error, as part of a sentence. */
char *local_said(const AzlinReply *reply);
