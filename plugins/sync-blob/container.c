/* Staging containers: made, removed and listed by azlin itself, and what the service's refusals mean. */
#include "blob.h"
#include <string.h>

#define REQUEST_MINUTES 30 /* how long azlin's own signature admits what it asks for */
#define MAX_LISTED 1000

typedef struct {
  Blob *blob;
  AzlinOp *op;
  int good, also_good; /* statuses */
  const char *what;    /* for people: "make the staging container" */
} Request;

char *
blob_container_name(gint64 now)
{
  g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(now / G_USEC_PER_SEC);
  g_autofree char *stamp = g_date_time_format(time, "%Y%m%dt%H%M%S"), *uuid = g_uuid_string_random();
  uuid[13] = '\0'; /* 48 bits of it, with one hyphen */
  return g_strconcat(BLOB_PREFIX, stamp, "-", uuid, NULL);
}

/* ---- requests ---- */

/* azlin's own signature is of the account: a service signature cannot make a container. */
static char *
signed_url(Blob *blob, const char *path_and_query, GError **error)
{
  if (blob->key_file == NULL)
    return g_strconcat(blob->endpoint->url, path_and_query, NULL);
  gint64 now = blob->api->now(blob->host);
  BlobTerms terms = { .account = blob->endpoint->account,
                      .permissions = "dlc",
                      .start = now - REQUEST_MINUTES * 60 * G_USEC_PER_SEC,
                      .expiry = now + REQUEST_MINUTES * 60 * G_USEC_PER_SEC,
                      .https_only = blob->endpoint->https };
  char *key = blob_read_key(blob->key_file, error);
  if (key == NULL)
    return NULL;
  g_autofree char *sas = blob_sas_by_account_key(&terms, key);
  explicit_bzero(key, strlen(key));
  g_free(key);
  return g_strconcat(blob->endpoint->url, path_and_query, "&", sas, NULL);
}

void
blob_request(Blob *blob, const char *method, const char *path_and_query, const char *const *headers, GBytes *body,
             AzlinOp *op)
{
  GError *error = NULL;
  g_autoptr(GStrvBuilder) all = g_strv_builder_new();
  g_autofree char *url = signed_url(blob, path_and_query, &error);
  g_autofree char *pace = g_strconcat("storage:", blob->endpoint->account, NULL);
  if (url == NULL) {
    blob->api->op_fail(op, error);
    return;
  }
  g_strv_builder_add_many(all, "x-ms-version", BLOB_VERSION, NULL);
  for (; headers != NULL && *headers != NULL; headers++)
    g_strv_builder_add(all, *headers);
  g_auto(GStrv) pairs = g_strv_builder_end(all);
  AzlinHttp request = { .size = sizeof request,
                        .method = method,
                        .url = url,
                        .identity = blob->key_file == NULL ? &blob->identity : NULL,
                        .headers = (const char *const *) pairs,
                        .body = body,
                        .content_type = "application/xml",
                        .account = pace };
  blob->api->http(blob->host, &request, op);
  explicit_bzero(url, strlen(url));
}

/* ---- what refusals mean ---- */

static const char *
header(const AzlinHttpReply *reply, const char *name)
{
  for (const char *const *pair = reply->headers; pair != NULL && pair[0] != NULL; pair += 2)
    if (g_str_equal(pair[0], name))
      return pair[1];
  return "";
}

static const struct {
  const char *code;
  AzlinError class;
  const char *step;
} refusals[] = {
  { "AuthorizationPermissionMismatch", AZLIN_ERROR_PERMISSION,
    "Give whom azlin logs in as the role Storage Blob Data Contributor on the storage account: Owner and Contributor "
    "do "
    "not suffice" },
  { "AuthorizationFailure", AZLIN_ERROR_PERMISSION, "Let this host through the storage account's firewall" },
  { "KeyBasedAuthenticationNotPermitted", AZLIN_ERROR_PERMISSION,
    "The account takes no keys: take key-file out of [sync.blob], so that azlin logs in by a token" },
  { "AuthenticationFailed", AZLIN_ERROR_AUTH,
    "Check the account and the key-file of [sync.blob], and the clock of this host" },
  { "InvalidAuthenticationInfo", AZLIN_ERROR_AUTH, "Log in again: az login" },
};

GError *
blob_error(Blob *blob, const char *what, const AzlinHttpReply *reply)
{
  const char *code = header(reply, "x-ms-error-code");
  g_autofree char *shown = g_str_to_ascii(code, NULL);
  gsize known = 0;
  while (known < G_N_ELEMENTS(refusals) && !g_str_equal(refusals[known].code, code))
    known++;
  AzlinError class = known < G_N_ELEMENTS(refusals) ? refusals[known].class
                     : reply->status == 401         ? AZLIN_ERROR_AUTH
                     : reply->status == 403         ? AZLIN_ERROR_PERMISSION
                                                    : AZLIN_ERROR_FAILED;
  GError *error = g_error_new(AZLIN_ERROR, (int) class, "%s did not %s: HTTP %d%s%.60s", blob->endpoint->origin, what,
                              reply->status, *shown != '\0' ? ", " : "", shown);
  if (known < G_N_ELEMENTS(refusals))
    blob->api->error_add_step(error, "%s", refusals[known].step);
  return error;
}

static void
on_answer(AzlinOp *child, gpointer data)
{
  g_autofree Request *request = data;
  const AzlinHostApi *api = request->blob->api;
  if (api->op_error(child) != NULL) {
    api->op_fail(request->op, g_error_copy(api->op_error(child)));
    return;
  }
  const AzlinHttpReply *reply = api->op_http(child);
  if (reply->status == request->good || reply->status == request->also_good)
    api->op_finish(request->op);
  else
    api->op_fail(request->op, blob_error(request->blob, request->what, reply));
}

static void
ask(Request asked, const char *method, const char *path_and_query, const char *const *headers)
{
  const AzlinHostApi *api = asked.blob->api;
  Request *request = g_memdup2(&asked, sizeof asked);
  blob_request(asked.blob, method, path_and_query, headers, NULL,
               api->op_new(asked.op, asked.what, 0, on_answer, request));
}

void
blob_container_make(Blob *blob, const char *name, AzlinOp *op)
{
  gint64 now = blob->api->now(blob->host);
  g_autofree char *path = g_strdup_printf("/%s?restype=container", name), *made = blob_time(now),
                  *expiry = blob_time(now + BLOB_KEPT_HOURS * G_TIME_SPAN_HOUR);
  const char *const headers[] = { "x-ms-meta-azlin_created", made, "x-ms-meta-azlin_expiry", expiry, NULL };
  Request request = { blob, op, 201, 409, "make the staging container" };
  ask(request, "PUT", path, headers);
}

void
blob_container_remove(Blob *blob, const char *name, AzlinOp *op)
{
  g_autofree char *path = g_strdup_printf("/%s?restype=container", name);
  Request request = { blob, op, 202, 404, "remove the staging container" };
  ask(request, "DELETE", path, NULL);
}

/* ---- the list ---- */

typedef struct {
  GVariantBuilder found;
  char *name, *created;
} Listing;

static void
on_list_text(GMarkupParseContext *context, const char *text, gsize length, gpointer data, GError **error)
{
  Listing *listing = data;
  const char *element = g_markup_parse_context_get_element(context);
  /* names of metadata come back as they were written, or as a proxy wrote them */
  char **place = g_str_equal(element, "Name")                        ? &listing->name
                 : g_ascii_strcasecmp(element, "azlin_created") == 0 ? &listing->created
                                                                     : NULL;
  if (place == NULL)
    return;
  g_free(*place);
  *place = g_strndup(text, length);
}

static gint64
time_of(const char *iso)
{
  g_autoptr(GDateTime) time = iso != NULL ? g_date_time_new_from_iso8601(iso, NULL) : NULL;
  return time != NULL ? g_date_time_to_unix(time) * G_USEC_PER_SEC : 0;
}

static void
on_list_end(GMarkupParseContext *context, const char *element, gpointer data, GError **error)
{
  Listing *listing = data;
  if (!g_str_equal(element, "Container"))
    return;
  gint64 created = time_of(listing->created);
  if (listing->name != NULL && created > 0)
    g_variant_builder_add(&listing->found, "(sx)", listing->name, created);
  g_clear_pointer(&listing->name, g_free);
  g_clear_pointer(&listing->created, g_free);
}

GVariant *
blob_container_parse(GBytes *xml, GError **error)
{
  static const GMarkupParser parser = { .text = on_list_text, .end_element = on_list_end };
  Listing listing = { 0 };
  gsize length = 0;
  const char *bytes = xml != NULL ? g_bytes_get_data(xml, &length) : "";
  g_autoptr(GMarkupParseContext) context = g_markup_parse_context_new(&parser, 0, &listing, NULL);
  gsize mark = length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
  g_variant_builder_init(&listing.found, G_VARIANT_TYPE("a(sx)"));
  gboolean good = g_markup_parse_context_parse(context, bytes + mark, (gssize) (length - mark), NULL)
                  && g_markup_parse_context_end_parse(context, NULL);
  g_autoptr(GVariant) found = g_variant_ref_sink(g_variant_builder_end(&listing.found));
  g_free(listing.name);
  g_free(listing.created);
  if (good)
    return g_steal_pointer(&found);
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_FAILED, "the blob service's list of containers is no XML");
  return NULL;
}

static void
on_listed(AzlinOp *child, gpointer data)
{
  g_autofree Request *request = data;
  const AzlinHostApi *api = request->blob->api;
  const AzlinHttpReply *reply = api->op_http(child);
  GError *error = NULL;
  if (api->op_error(child) != NULL)
    error = g_error_copy(api->op_error(child));
  else if (reply->status != 200)
    error = blob_error(request->blob, request->what, reply);
  g_autoptr(GVariant) found = error == NULL ? blob_container_parse(reply->body, &error) : NULL;
  if (found != NULL)
    api->op_finish_variant(request->op, found);
  else
    api->op_fail(request->op, error);
}

void
blob_container_list(Blob *blob, AzlinOp *op)
{
  Request asked = { blob, op, 200, 200, "list its containers" };
  Request *request = g_memdup2(&asked, sizeof asked);
  g_autofree char *path
      = g_strdup_printf("/?comp=list&include=metadata&prefix=" BLOB_PREFIX "&maxresults=%d", MAX_LISTED);
  blob_request(blob, "GET", path, NULL, NULL, blob->api->op_new(op, asked.what, 0, on_listed, request));
}
