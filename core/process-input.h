/* Standard input of a local process that stays open: what is said to it while it runs. */
#pragma once
#include <glib.h>

typedef struct _AzProcessInput AzProcessInput;

/* `first`: what it gets at once, or NULL. `ret_fd` is the process's end, the caller's. NULL: no descriptor is left. */
AzProcessInput *az_process_input_new(GBytes *first, int *ret_fd, GError **error);
void az_process_input_free(AzProcessInput *input);                                       /* or NULL */
gboolean az_process_input_write(AzProcessInput *input, const char *bytes, gsize length); /* FALSE: nobody reads it */
void az_process_input_close(AzProcessInput *input); /* the process sees the end after all that was written */
