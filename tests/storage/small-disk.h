/* A real disk that is soon full: a small tmpfs in a mount namespace of the calling process. */
#pragma once
#include <glib.h>

/* Call it in a forked child. FALSE: not allowed here. */
gboolean small_disk_mount(const char *folder, const char *size);
/* To the last byte. */
void small_disk_fill(const char *folder);
