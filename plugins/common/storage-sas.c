/* Shared access signatures: which fields are signed, in which order, and how they stand in a query. Pure. */
#include "storage.h"
#include <string.h>

char *
storage_time(gint64 us)
{
  g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(us / G_USEC_PER_SEC);
  return g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
}

/* base64 of the HMAC-SHA256; "" when `key` is no base64. */
static char *
sign(const char *text, const char *key)
{
  gsize length = 0;
  guint8 digest[32];
  gsize digest_length = sizeof digest;
  g_autofree guchar *raw = g_base64_decode(key, &length);
  GHmac *hmac = g_hmac_new(G_CHECKSUM_SHA256, raw, length);
  g_hmac_update(hmac, (const guchar *) text, (gssize) strlen(text));
  g_hmac_get_digest(hmac, digest, &digest_length);
  g_hmac_unref(hmac);
  memset(raw, 0, length);
  return g_base64_encode(digest, digest_length);
}

static void
add(GString *query, const char *name, const char *value)
{
  if (value == NULL || *value == '\0')
    return;
  g_string_append_printf(query, "%s%s=", query->len > 0 ? "&" : "", name);
  g_string_append_uri_escaped(query, value, NULL, FALSE);
}

static const char *
protocol(const StorageTerms *terms)
{
  return terms->https_only ? "https" : "https,http";
}

/* Of the whole account: fields with a newline after each. */
static char *
account_sas(const StorageTerms *terms, const char *start, const char *expiry, const char *key)
{
  GString *query = g_string_new(NULL);
  g_autofree char *text = g_strdup_printf("%s\n%s\nb\n%s\n%s\n%s\n\n%s\n%s\n\n", terms->account, terms->permissions,
                                          terms->types, start, expiry, protocol(terms), STORAGE_VERSION);
  g_autofree char *signature = sign(text, key);
  add(query, "sv", STORAGE_VERSION);
  add(query, "ss", "b");
  add(query, "srt", terms->types);
  add(query, "sp", terms->permissions);
  add(query, "st", start);
  add(query, "se", expiry);
  add(query, "spr", protocol(terms));
  add(query, "sig", signature);
  return g_string_free(query, FALSE);
}

static void
add_common(GString *query, const StorageTerms *terms, const char *start, const char *expiry)
{
  add(query, "sv", STORAGE_VERSION);
  add(query, "sr", "c");
  add(query, "sp", terms->permissions);
  add(query, "st", start);
  add(query, "se", expiry);
  add(query, "spr", protocol(terms));
}

char *
storage_sas_by_account_key(const StorageTerms *terms, const char *key)
{
  g_autofree char *start = terms->start > 0 ? storage_time(terms->start) : g_strdup(""),
                  *expiry = storage_time(terms->expiry);
  if (terms->container == NULL)
    return account_sas(terms, start, expiry, key);
  GString *query = g_string_new(NULL);
  /* after sv: resource, snapshot, encryption scope, and five headers of answers that may be overridden */
  g_autofree char *text
      = g_strdup_printf("%s\n%s\n%s\n/blob/%s/%s\n\n\n%s\n%s\nc\n\n\n\n\n\n\n", terms->permissions, start, expiry,
                        terms->account, terms->container, protocol(terms), STORAGE_VERSION);
  g_autofree char *signature = sign(text, key);
  add_common(query, terms, start, expiry);
  add(query, "sig", signature);
  return g_string_free(query, FALSE);
}

char *
storage_sas_by_delegation(const StorageTerms *terms, const StorageDelegation *by)
{
  g_autofree char *start = terms->start > 0 ? storage_time(terms->start) : g_strdup(""),
                  *expiry = storage_time(terms->expiry);
  GString *query = g_string_new(NULL);
  /* the key's own six fields, three about who else may use it, then as above without a stored policy */
  g_autofree char *text
      = g_strdup_printf("%s\n%s\n%s\n/blob/%s/%s\n%s\n%s\n%s\n%s\n%s\n%s\n\n\n\n\n%s\n%s\nc\n\n\n\n\n\n\n",
                        terms->permissions, start, expiry, terms->account, terms->container, by->oid, by->tid,
                        by->start, by->expiry, by->service, by->version, protocol(terms), STORAGE_VERSION);
  g_autofree char *signature = sign(text, by->value);
  add_common(query, terms, start, expiry);
  add(query, "skoid", by->oid);
  add(query, "sktid", by->tid);
  add(query, "skt", by->start);
  add(query, "ske", by->expiry);
  add(query, "sks", by->service);
  add(query, "skv", by->version);
  add(query, "sig", signature);
  return g_string_free(query, FALSE);
}

/* ---- user delegation keys ---- */

char *
storage_delegation_request(gint64 start, gint64 expiry)
{
  g_autofree char *from = storage_time(start), *until = storage_time(expiry);
  return g_strdup_printf("<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>%s</Start><Expiry>%s</Expiry>"
                         "</KeyInfo>",
                         from, until);
}

static void
on_text(GMarkupParseContext *context, const char *text, gsize length, gpointer data, GError **error)
{
  StorageDelegation *key = data;
  const char *element = g_markup_parse_context_get_element(context);
  const struct {
    const char *name;
    char **value;
  } fields[] = {
    { "SignedOid", &key->oid },       { "SignedTid", &key->tid },         { "SignedStart", &key->start },
    { "SignedExpiry", &key->expiry }, { "SignedService", &key->service }, { "SignedVersion", &key->version },
    { "Value", &key->value },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
    if (g_str_equal(element, fields[i].name) && *fields[i].value == NULL)
      *fields[i].value = g_strndup(text, length);
}

StorageDelegation *
storage_delegation_parse(GBytes *xml, GError **error)
{
  static const GMarkupParser parser = { .text = on_text };
  g_autoptr(StorageDelegation) key = g_new0(StorageDelegation, 1);
  gsize length = 0;
  const char *bytes = xml != NULL ? g_bytes_get_data(xml, &length) : NULL;
  g_autoptr(GMarkupParseContext) context = g_markup_parse_context_new(&parser, 0, key, NULL);
  if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) { /* some answers begin with a byte order mark */
    bytes += 3;
    length -= 3;
  }
  if (length > 0 && g_markup_parse_context_parse(context, bytes, (gssize) length, NULL)
      && g_markup_parse_context_end_parse(context, NULL) && key->oid != NULL && key->tid != NULL && key->start != NULL
      && key->expiry != NULL && key->service != NULL && key->version != NULL && key->value != NULL)
    return g_steal_pointer(&key);
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_FAILED, "the blob service's answer holds no key to sign with");
  return NULL;
}

void
storage_delegation_free(StorageDelegation *key)
{
  if (key == NULL)
    return;
  if (key->value != NULL)
    memset(key->value, 0, strlen(key->value));
  g_free(key->oid);
  g_free(key->tid);
  g_free(key->start);
  g_free(key->expiry);
  g_free(key->service);
  g_free(key->version);
  g_free(key->value);
  g_free(key);
}
