/* Bytes that must not be seen: kept out of core dumps, wiped when freed, never printed. */
#pragma once
#include <glib.h>
typedef struct _AzSecret AzSecret; /* counted */
/* Copies `length` bytes (-1 = up to NUL). From the first secret on this process writes no core file and cannot be
 * traced by other processes of the user. */
AzSecret *az_secret_new(const char *bytes, gssize length);
AzSecret *az_secret_ref(const AzSecret *secret);
void az_secret_unref(AzSecret *secret);                                /* the last one wipes the bytes */
const char *az_secret_peek(const AzSecret *secret, gsize *ret_length); /* NUL-terminated; for the moment of use */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzSecret, az_secret_unref)
/* Wipes a buffer through which a secret went. */
void az_secret_wipe(void *bytes, gsize length);
/* The same for the content of `bytes` (or NULL), which nobody else may read afterwards and which is not static. */
void az_secret_wipe_bytes(GBytes *bytes);
gboolean az_secret_equal(const AzSecret *one, const AzSecret *other); /* NULL equals NULL alone */
/* `text` with every occurrence of the secret (or NULL) replaced by "***". Owned. */
char *az_secret_redact(const AzSecret *secret, const char *text);
