/* Bytes that must not be seen: kept out of core dumps, wiped when freed, never printed. */
#include "secret.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

struct _AzSecret {
  guint refs;
  gsize length;
  gsize mapped; /* bytes of whole pages: advice to the kernel counts for those alone */
  char *bytes;  /* NUL-terminated */
};

/* Also what passed through other memory of this process on its way here must not end in a core file. */
static void
close_process(void)
{
  static gboolean closed;
  const struct rlimit none = { 0, 0 };
  if (closed)
    return;
  closed = TRUE;
  if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
    g_warning("core files of this process cannot be switched off");
}

/* NULL when no memory can be mapped, which ends the process as g_malloc() would. */
static char *
map_pages(gsize size)
{
  void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED)
    return NULL;
  /* best effort: a small RLIMIT_MEMLOCK must not keep anybody from working */
  (void) mlock(pages, size);
  madvise(pages, size, MADV_DONTDUMP);
  madvise(pages, size, MADV_WIPEONFORK);
  return pages;
}

AzSecret *
az_secret_new(const char *bytes, gssize length)
{
  gsize size = length < 0 ? strlen(bytes) : (gsize) length;
  gsize page = (gsize) sysconf(_SC_PAGESIZE);
  AzSecret *secret = g_new0(AzSecret, 1);
  close_process();
  *secret = (AzSecret){ .refs = 1, .length = size, .mapped = (size / page + 1) * page };
  secret->bytes = map_pages(secret->mapped);
  if (secret->bytes == NULL) {
    secret->bytes = g_malloc0(secret->mapped);
    secret->mapped = 0;
  }
  if (size > 0)
    memcpy(secret->bytes, bytes, size);
  return secret;
}

AzSecret *
az_secret_ref(const AzSecret *secret)
{
  AzSecret *counted = (AzSecret *) (guintptr) secret; /* const keeps readers from its bytes, not from keeping it */
  counted->refs++;
  return counted;
}

void
az_secret_unref(AzSecret *secret)
{
  if (secret == NULL || --secret->refs > 0)
    return;
  az_secret_wipe(secret->bytes, secret->length);
  if (secret->mapped > 0)
    munmap(secret->bytes, secret->mapped);
  else
    g_free(secret->bytes);
  g_free(secret);
}

const char *
az_secret_peek(const AzSecret *secret, gsize *ret_length)
{
  if (ret_length != NULL)
    *ret_length = secret->length;
  return secret->bytes;
}

gboolean
az_secret_equal(const AzSecret *one, const AzSecret *other)
{
  if (one == NULL || other == NULL)
    return one == other;
  return one->length == other->length && memcmp(one->bytes, other->bytes, one->length) == 0;
}

char *
az_secret_redact(const AzSecret *secret, const char *text)
{
  if (secret == NULL || secret->length == 0)
    return g_strdup(text);
  g_autoptr(GString) shown = g_string_new(text);
  g_string_replace(shown, secret->bytes, "***", 0);
  return g_strdup(shown->str);
}

void
az_secret_wipe(void *bytes, gsize length)
{
  if (bytes != NULL && length > 0)
    explicit_bzero(bytes, length);
}

void
az_secret_wipe_bytes(GBytes *bytes)
{
  gsize length = 0;
  gconstpointer data = bytes != NULL ? g_bytes_get_data(bytes, &length) : NULL;
  az_secret_wipe((void *) (guintptr) data, length); /* by way of a number: the const is GBytes' promise to others */
}
