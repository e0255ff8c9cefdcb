/* coordinator-hello: locks that live in memory, for one process; a small whole brick to start your own from. */
#include <azlin-plugin.h>

/* A brick knows this header and GLib, nothing else of azlin. What it needs of the world it asks its host for. */
typedef struct {
  AzlinHost *host;
  GHashTable *leases; /* key -> Lease */
  guint64 last_token;
} Hello;

typedef struct {
  guint64 token;
  gint64 expires; /* microseconds, as host->now() counts */
} Lease;

/* The lease of `key` if it stands and is this holder's; token 0 asks for anybody's. */
static Lease *
find(Hello *hello, const char *key, guint64 token)
{
  Lease *lease = g_hash_table_lookup(hello->leases, key);

  if (lease == NULL || lease->expires <= hello->host->api->now(hello->host))
    return NULL;
  return token == 0 || lease->token == token ? lease : NULL;
}

static gint64
expiry(Hello *hello, guint32 ttl_s)
{
  g_autoptr(GVariant) longest = hello->host->api->option(hello->host, "longest-lease");

  return hello->host->api->now(hello->host) + MIN(ttl_s, g_variant_get_uint32(longest)) * G_USEC_PER_SEC;
}

/* Every call ends its op exactly once: here, or later from a callback; never by waiting. */
static void
acquire(gpointer self, const char *key, guint32 ttl_s, AzlinOp *op)
{
  Hello *hello = self;
  Lease *lease = find(hello, key, 0);

  if (lease != NULL) {
    hello->host->api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_LOCKED, "'%s' is held by another job", key));
    return;
  }
  lease = g_new0(Lease, 1);
  lease->token = ++hello->last_token;
  lease->expires = expiry(hello, ttl_s);
  g_hash_table_replace(hello->leases, g_strdup(key), lease);
  hello->host->api->log(hello->host, G_LOG_LEVEL_INFO, "hello, holder of '%s'", key);
  hello->host->api->op_finish_variant(op, g_variant_new_uint64(lease->token));
}

static void
renew(gpointer self, const char *key, guint64 token, AzlinOp *op)
{
  Hello *hello = self;
  Lease *lease = find(hello, key, token);

  if (lease == NULL) {
    hello->host->api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_LOCKED, "the lease of '%s' has ended", key));
    return;
  }
  lease->expires = expiry(hello, G_MAXUINT32);
  hello->host->api->op_finish_variant(op, g_variant_new_uint64(token));
}

static void
release(gpointer self, const char *key, guint64 token, AzlinOp *op)
{
  Hello *hello = self;

  if (find(hello, key, token) != NULL)
    g_hash_table_remove(hello->leases, key);
  hello->host->api->op_finish(op);
}

/* init() does no I/O; FALSE with an error keeps the brick out, and azlin says why. */
static gboolean
hello_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Hello *hello = g_new0(Hello, 1);

  hello->host = host;
  hello->leases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  *ret_self = hello;
  return TRUE;
}

static void
hello_free(gpointer self)
{
  Hello *hello = self;

  g_hash_table_unref(hello->leases);
  g_free(hello);
}

/* azlin reads these from group [coordinator.hello] of azlin.conf and checks type and range before init() runs. */
static const AzlinOption hello_options[] = {
  { "longest-lease", "u", "60", "1", "3600", "seconds after which a lease ends unless it is renewed" },
  { 0 },
};

static const AzlinCoordinator hello_iface
    = { .size = sizeof(AzlinCoordinator), .acquire = acquire, .renew = renew, .release = release };

static const AzlinBrick hello_brick = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_COORDINATOR,
  .name = "hello",
  .summary = "locks in memory, for one process",
  .options = hello_options,
  .init = hello_init,
  .free = hello_free,
  .iface = &hello_iface,
};

AZLIN_PLUGIN_DEFINE("org.example.coordinator-hello", "0.1.0", "MIT", &hello_brick);
