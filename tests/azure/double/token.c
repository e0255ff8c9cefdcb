/* Issues tokens as Entra ID, IMDS and App Service do, and judges the ones that requests bring. */
#include "token.h"
#include "settings.h"
#include <string.h>

typedef struct {
  char *audience;
  double expires; /* ms of the world's clock */
} Token;

static const char *const audiences[]
    = { "https://management.azure.com", "https://management.core.windows.net", "https://management.chinacloudapi.cn",
        "https://management.usgovcloudapi.net", NULL };

static void
token_free(gpointer data)
{
  g_free(((Token *) data)->audience);
  g_free(data);
}

GHashTable *
tokens_new(void)
{
  return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, token_free);
}

static char *
base64url(const char *text)
{
  char *encoded = g_base64_encode((const guchar *) text, strlen(text));
  g_strdelimit(encoded, "+", '-');
  g_strdelimit(encoded, "/", '_');
  encoded[strcspn(encoded, "=")] = '\0';
  return encoded;
}

/* Borrowed from the world. */
static const char *
issue(Double *world, const char *audience, gint64 life)
{
  g_autofree char *id = g_uuid_string_random();
  gint64 now = g_get_real_time() / G_USEC_PER_SEC;
  g_autofree char *claims = g_strdup_printf("{\"aud\":\"%s\",\"iat\":%" G_GINT64_FORMAT ",\"exp\":%" G_GINT64_FORMAT
                                            ",\"tid\":\"%s\",\"uti\":\"%s\"}",
                                            audience, now, now + life, json_text_at(world->settings, "tenant", ""), id);
  g_autofree char *header = base64url("{\"typ\":\"JWT\",\"alg\":\"RS256\",\"kid\":\"double\"}");
  g_autofree char *payload = base64url(claims);
  g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA512, claims, -1);
  char *text = g_strdup_printf("%s.%s.%s", header, payload, sum);
  Token *token = g_new0(Token, 1);
  token->audience = g_strdup(audience);
  /* By its own clock the token ends when it says so, not a fraction of a second later. */
  token->expires = double_now(world) + (double) life * 1000.0;
  g_hash_table_insert(world->tokens, text, token);
  journal_token_issued(world);
  return text;
}

static void
oauth_error(Exchange *exchange, guint status, const char *error, int number, const char *text)
{
  json_t *body = json_pack("{s:s, s:[i]}", "error", error, "error_codes", number);
  json_object_set_new(body, "error_description",
                      json_text_f("AADSTS%d: %s\r\nTrace ID: 0\r\nCorrelation ID: 0", number, text));
  exchange_json(exchange, status, body);
}

static gboolean
client_known(Exchange *exchange, GHashTable *form)
{
  json_t *clients = json_object_get(exchange->world->settings, "clients");
  const char *id = g_hash_table_lookup(form, "client_id"), *secret = g_hash_table_lookup(form, "client_secret");
  if (json_array_size(clients) == 0)
    return TRUE;
  size_t i;
  json_t *client;
  json_array_foreach(clients, i, client)
  {
    if (!same_text(json_text_at(client, "id", NULL), id))
      continue;
    if (secret == NULL || g_strcmp0(json_text_at(client, "secret", NULL), secret) == 0)
      return TRUE;
    oauth_error(exchange, 401, "invalid_client", 7000215, "Invalid client secret provided.");
    return FALSE;
  }
  oauth_error(exchange, 400, "unauthorized_client", 700016, "Application was not found in the directory.");
  return FALSE;
}

static json_t *
jwt_part(const char *part)
{
  g_autofree char *text = g_strdup(part);
  g_strdelimit(text, "-", '+');
  g_strdelimit(text, "_", '/');
  GString *padded = g_string_new(text);
  while (padded->len % 4 != 0)
    g_string_append_c(padded, '=');
  g_autofree char *whole = g_string_free(padded, FALSE);
  gsize length = 0;
  g_autofree guchar *raw = g_base64_decode(whole, &length);
  return json_loadb((const char *) raw, length, 0, NULL);
}

/* NULL = fine. An assertion made from a certificate must have the claims of the contract; one from a file is opaque. */
static const char *
assertion_problem(Exchange *exchange, const char *assertion, const char *client)
{
  g_auto(GStrv) parts = g_strsplit(assertion, ".", -1);
  if (g_strv_length(parts) != 3)
    return NULL;
  json_t *header = jwt_part(parts[0]), *claims = jwt_part(parts[1]);
  const char *problem = NULL;
  g_autofree char *url = g_strconcat(exchange->base, exchange->path, NULL);
  if (!same_text(json_text_at(header, "alg", NULL), "RS256"))
    problem = "alg is not RS256";
  else if (json_at(header, "x5t") == NULL)
    ; /* a federated token of a cluster: its issuer is somebody else */
  else if (!same_text(json_text_at(claims, "aud", NULL), url))
    problem = "aud is not the token endpoint";
  else if (!same_text(json_text_at(claims, "iss", NULL), client)
           || !same_text(json_text_at(claims, "sub", NULL), client))
    problem = "iss and sub are not the client";
  else if (json_text_at(claims, "jti", NULL) == NULL)
    problem = "no jti";
  else if (json_int_at(claims, "exp", 0) <= g_get_real_time() / G_USEC_PER_SEC)
    problem = "exp is over";
  json_decref(header);
  json_decref(claims);
  return problem;
}

static gboolean
form_is_legal(Exchange *exchange, GHashTable *form)
{
  const char *grant = g_hash_table_lookup(form, "grant_type"), *client = g_hash_table_lookup(form, "client_id");
  const char *assertion = g_hash_table_lookup(form, "client_assertion");
  const char *kind = g_hash_table_lookup(form, "client_assertion_type");
  if (g_strcmp0(grant, "client_credentials") != 0 || client == NULL
      || (g_hash_table_lookup(form, "client_secret") == NULL && assertion == NULL)) {
    exchange_blame(exchange, "token: grant_type, client_id, and client_secret or client_assertion are needed");
    if (!exchange->answered)
      oauth_error(exchange, 400, "invalid_request", 900144, "The request body lacks a parameter.");
    return FALSE;
  }
  if (assertion == NULL)
    return TRUE;
  const char *problem = assertion_problem(exchange, assertion, client);
  if (g_strcmp0(kind, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer") != 0)
    problem = "client_assertion_type is wrong";
  if (problem == NULL)
    return TRUE;
  journal_violation(exchange->world, exchange->method, exchange->target, problem);
  oauth_error(exchange, 401, "invalid_client", 700027, problem);
  return FALSE;
}

void
token_endpoint(Exchange *exchange)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(exchange->message);
  SoupMessageBody *body = soup_server_message_get_request_body(exchange->message);
  g_autoptr(GBytes) bytes = soup_message_body_flatten(body);
  g_autofree char *text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
  token_forbid(exchange, "token endpoint");
  if (!same_text(soup_message_headers_get_content_type(headers, NULL), "application/x-www-form-urlencoded")
      && exchange_blame(exchange, "token: Content-Type is not application/x-www-form-urlencoded"))
    return;
  g_autoptr(GHashTable) form = soup_form_decode(text);
  if (!form_is_legal(exchange, form) || !client_known(exchange, form))
    return;
  const char *scope = g_hash_table_lookup(form, "scope");
  if (scope == NULL || !g_str_has_suffix(scope, "/.default")) {
    exchange_blame(exchange, "token: scope does not end in /.default");
    if (!exchange->answered)
      oauth_error(exchange, 400, "invalid_scope", 70011, "The scope is not valid.");
    return;
  }
  g_autofree char *audience = g_strndup(scope, strlen(scope) - strlen("/.default"));
  gint64 life = json_int_at(exchange->world->settings, "token_life", 3600);
  json_t *answer
      = json_pack("{s:s, s:I, s:I, s:s}", "token_type", "Bearer", "expires_in", (json_int_t) life, "ext_expires_in",
                  (json_int_t) life, "access_token", issue(exchange->world, audience, life));
  exchange_json(exchange, 200, answer);
}

static void
identity_answer(Exchange *exchange, gboolean imds)
{
  const char *resource = exchange_query(exchange, "resource");
  if (resource == NULL) {
    exchange_json(exchange, 400,
                  json_pack("{s:s, s:s}", "error", "invalid_request", "error_description",
                            "Required query variable 'resource' is missing"));
    return;
  }
  g_autofree char *audience = g_strdup(resource);
  if (g_str_has_suffix(audience, "/"))
    audience[strlen(audience) - 1] = '\0';
  gint64 life = json_int_at(exchange->world->settings, "token_life", 3600);
  json_t *body = json_pack("{s:s, s:s, s:s, s:s}", "access_token", issue(exchange->world, audience, life), "client_id",
                           "33333333-3333-4333-8333-333333333333", "resource", resource, "token_type", "Bearer");
  json_object_set_new(body, "expires_on", json_text_f("%" G_GINT64_FORMAT, g_get_real_time() / G_USEC_PER_SEC + life));
  if (imds)
    json_object_set_new(body, "expires_in", json_text_f("%" G_GINT64_FORMAT, life));
  exchange_json(exchange, 200, body);
}

static gboolean
identity_there(Exchange *exchange)
{
  token_forbid(exchange, "managed identity endpoint");
  if (json_true_at(exchange->world->settings, "identity"))
    return TRUE;
  exchange_json(exchange, 400,
                json_pack("{s:s, s:s}", "error", "invalid_request", "error_description", "Identity not found"));
  return FALSE;
}

void
token_imds(Exchange *exchange)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(exchange->message);
  if (g_strcmp0(soup_message_headers_get_one(headers, "Metadata"), "true") != 0) {
    exchange_blame(exchange, "IMDS: the header Metadata: true is missing");
    return;
  }
  if (g_strcmp0(exchange_query(exchange, "api-version"), "2018-02-01") != 0
      && exchange_blame(exchange, "IMDS: api-version is not 2018-02-01"))
    return;
  if (identity_there(exchange))
    identity_answer(exchange, TRUE);
}

void
token_app_service(Exchange *exchange)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(exchange->message);
  const char *header = soup_message_headers_get_one(headers, "X-IDENTITY-HEADER");
  const char *wanted = json_text_at(exchange->world->settings, "identity_header", "");
  if (header == NULL || (wanted[0] != '\0' && !g_str_equal(header, wanted))) {
    exchange_blame(exchange, "App Service: X-IDENTITY-HEADER is missing or wrong");
    return;
  }
  if (g_strcmp0(exchange_query(exchange, "api-version"), "2019-08-01") != 0
      && exchange_blame(exchange, "App Service: api-version is not 2019-08-01"))
    return;
  if (identity_there(exchange))
    identity_answer(exchange, FALSE);
}

static const char *
bearer(const Exchange *exchange)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(exchange->message);
  const char *header = soup_message_headers_get_one(headers, "Authorization");
  return header != NULL && g_str_has_prefix(header, "Bearer ") ? header + strlen("Bearer ") : NULL;
}

static void
refuse(Exchange *exchange, const char *code, const char *message)
{
  g_autofree char *challenge = g_strdup_printf("Bearer authorization_uri=\"%s/%s\", error=\"invalid_token\"",
                                               exchange->base, json_text_at(exchange->world->settings, "tenant", ""));
  exchange_header(exchange, "WWW-Authenticate", challenge);
  exchange_error(exchange, 401, code, "%s", message);
}

static gboolean
audience_fits(const Exchange *exchange, const Token *token)
{
  return g_strv_contains(audiences, token->audience) || same_text(token->audience, exchange->base);
}

gboolean
token_check(Exchange *exchange)
{
  const char *text = bearer(exchange);
  if (text == NULL) {
    journal_violation(exchange->world, exchange->method, exchange->target, "no Authorization: Bearer");
    refuse(exchange, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.");
    return FALSE;
  }
  const Token *token = g_hash_table_lookup(exchange->world->tokens, text);
  if (token == NULL) {
    refuse(exchange, "InvalidAuthenticationToken", "The access token is invalid.");
    return FALSE;
  }
  if (!audience_fits(exchange, token)) {
    journal_violation(exchange->world, exchange->method, exchange->target, "the token is for another audience");
    refuse(exchange, "InvalidAuthenticationToken", "The access token has been obtained for wrong audience.");
    return FALSE;
  }
  if (double_now(exchange->world) >= token->expires) {
    refuse(exchange, "ExpiredAuthenticationToken",
           "The access token expiry UTC time is earlier than current UTC time.");
    return FALSE;
  }
  return TRUE;
}

void
token_forbid(Exchange *exchange, const char *where)
{
  if (bearer(exchange) != NULL)
    journal_leak(exchange->world, where, exchange->target);
}
