/* Staging containers: made, removed and listed by azlin itself. */
#include "blob.h"
#include <string.h>

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
    api->op_fail(request->op, storage_error(&request->blob->account, request->what, reply));
}

static void
ask(Request asked, const char *method, const char *path_and_query, const char *const *headers)
{
  const AzlinHostApi *api = asked.blob->api;
  Request *request = g_memdup2(&asked, sizeof asked);
  StorageRequest http = { .method = method, .path = path_and_query, .headers = headers };
  storage_send(&asked.blob->account, &http, api->op_new(asked.op, asked.what, 0, on_answer, request));
}

void
blob_container_make(Blob *blob, const char *name, AzlinOp *op)
{
  gint64 now = blob->api->now(blob->host);
  g_autofree char *path = g_strdup_printf("/%s?restype=container", name), *made = storage_time(now),
                  *expiry = storage_time(now + BLOB_KEPT_HOURS * G_TIME_SPAN_HOUR);
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
    error = storage_error(&request->blob->account, request->what, reply);
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
  StorageRequest http = { .method = "GET", .path = path };
  storage_send(&blob->account, &http, blob->api->op_new(op, asked.what, 0, on_listed, request));
}
