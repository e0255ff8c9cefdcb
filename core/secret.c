/* Bytes that must not be seen: wiped when the last holder lets go. */
#include "secret.h"

#include <string.h>

struct _AzSecret {
  int refs;
  gsize length;
  char bytes[];
};

AzSecret *
az_secret_new(const char *bytes, gssize length)
{
  gsize size = length < 0 ? strlen(bytes) : (gsize) length;
  AzSecret *secret = g_malloc0(sizeof *secret + size + 1);
  secret->refs = 1;
  secret->length = size;
  memcpy(secret->bytes, bytes, size);
  return secret;
}

AzSecret *
az_secret_ref(AzSecret *secret)
{
  secret->refs++;
  return secret;
}

void
az_secret_unref(AzSecret *secret)
{
  if (secret == NULL || --secret->refs > 0)
    return;
  az_secret_wipe(secret->bytes, secret->length);
  g_free(secret);
}

const char *
az_secret_peek(const AzSecret *secret, gsize *ret_length)
{
  if (ret_length != NULL)
    *ret_length = secret->length;
  return secret->bytes;
}

void
az_secret_wipe(void *bytes, gsize length)
{
  explicit_bzero(bytes, length);
}
