/* Where tokens come from: each source, what it is asked, in which order, and what is said when none has one. */
#include "cloud.h"

#include <string.h>

#define SECRET_FORM                                                                                                    \
  "grant_type=client_credentials&client_id=client&scope=https%3A%2F%2Fmanagement.azure.com%2F.default&"                \
  "client_secret=canary-secret"

static void
test_secret(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-1");
  g_assert_cmpstr(cloud_seen(cloud, 0), ==,
                  "POST /tenant/oauth2/v2.0/token?|Content-Type: application/x-www-form-urlencoded;|" SECRET_FORM);
}

static void
test_secret_is_escaped(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  g_setenv("AZURE_CLIENT_SECRET", "a&b=c+d %\xff~|\n", TRUE);
  g_unsetenv("AZURE_CLIENT_CERTIFICATE_PATH");
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-1");
  g_assert_nonnull(strstr(cloud_seen(cloud, 0), "&client_secret=a%26b%3Dc%2Bd%20%25%FF~%7C%0A"));
}

static void
test_secret_wins(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  g_setenv("AZURE_CLIENT_CERTIFICATE_PATH", "/nowhere", TRUE);
  g_setenv("AZURE_FEDERATED_TOKEN_FILE", "/nowhere", TRUE);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-1");
}

static char *
write_file(Cloud *cloud, const char *name, const char *text)
{
  char *path = g_build_filename(cloud->dir, name, NULL);
  g_assert_true(g_file_set_contents(path, text, -1, NULL));
  return path;
}

static void
test_federated(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  g_unsetenv("AZURE_CLIENT_SECRET");
  g_autofree char *file = write_file(cloud, "token", "canary.one.x\n");
  g_setenv("AZURE_FEDERATED_TOKEN_FILE", file, TRUE);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-1");
  g_autofree char *first = cloud_field(cloud, 0, "client_assertion");
  g_autofree char *type = cloud_field(cloud, 0, "client_assertion_type");
  g_assert_cmpstr(first, ==, "canary.one.x");
  g_assert_cmpstr(type, ==, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
  g_assert_null(strstr(cloud_seen(cloud, 0), "client_secret"));
  g_free(write_file(cloud, "token", "canary.two.x")); /* somebody renews it */
  g_autoptr(AzSecret) rejected = az_secret_new("canary-1", -1);
  cloud_ask(cloud, rejected);
  cloud_expect_token(cloud, "canary-2");
  g_autofree char *second = cloud_field(cloud, 1, "client_assertion");
  g_assert_cmpstr(second, ==, "canary.two.x");
}

static void
test_federated_errors(Cloud *cloud, gconstpointer unused)
{
  static const char *const contents[] = { "", "two words", "canary\n\ncanary", "{\"a\":1}" };
  cloud_name_principal();
  g_unsetenv("AZURE_CLIENT_SECRET");
  for (guint i = 0; i < G_N_ELEMENTS(contents); i++) {
    g_autofree char *file = write_file(cloud, "token", contents[i]);
    g_setenv("AZURE_FEDERATED_TOKEN_FILE", file, TRUE);
    cloud_ask(cloud, NULL);
    cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "workload identity: AZURE_FEDERATED_TOKEN_FILE: cannot read");
    cloud_pass_time(cloud, 6000);
  }
  g_setenv("AZURE_FEDERATED_TOKEN_FILE", "/dev/zero", TRUE);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "no regular file");
  cloud_pass_time(cloud, 6000);
  g_setenv("AZURE_FEDERATED_TOKEN_FILE", cloud->dir, TRUE);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "no regular file");
  g_assert_cmpuint(cloud->seen->len, ==, 0);
}

static void
test_metadata(Cloud *cloud, gconstpointer unused)
{
  cloud_show_metadata(cloud);
  cloud_answer(cloud, 200,
               "{\"access_token\":\"canary-m\",\"client_id\":\"c\",\"expires_in\":\"86399\",\"expires_on\":"
               "\"1800086399\",\"ext_expires_in\":\"86399\",\"not_before\":\"1\",\"resource\":\"r\",\"token_type\":"
               "\"Bearer\"}",
               NULL);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-m");
  g_assert_cmpstr(cloud_seen(cloud, 0), ==,
                  "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource="
                  "https%3A%2F%2Fmanagement.azure.com%2F|Metadata: true;|");
  g_setenv("AZURE_CLIENT_ID", "user-assigned", TRUE);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-1");
  g_assert_nonnull(strstr(cloud_seen(cloud, 1), "management.azure.com%2F&client_id=user-assigned|"));
}

static void
test_app_service(Cloud *cloud, gconstpointer unused)
{
  g_autofree char *endpoint = g_strconcat(cloud->origin, "/msi/token", NULL);
  g_setenv("IDENTITY_ENDPOINT", endpoint, TRUE);
  g_setenv("IDENTITY_HEADER", "canary-header", TRUE);
  cloud_answer(cloud, 200,
               "{\"access_token\":\"canary-a\",\"expires_on\":\"1800003600\",\"resource\":\"r\",\"token_type\":"
               "\"Bearer\",\"client_id\":\"c\"}",
               NULL);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-a");
  g_assert_cmpstr(cloud_seen(cloud, 0), ==,
                  "GET /msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fmanagement.azure.com%2F"
                  "|X-Identity-Header: canary-header;|");
  cloud_pass_time(cloud, 3200 * 1000); /* within the last 5 minutes of its hour */
  cloud_answer(cloud, 400, "{\"error\":\"bad\",\"error_description\":\"no canary-header for you\"}", NULL);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-a"); /* good for some minutes still */
  cloud_pass_time(cloud, 500 * 1000);
  cloud_answer(cloud, 400, "{\"error\":\"bad\",\"error_description\":\"no canary-header for you\"}", NULL);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "managed identity: IDENTITY_ENDPOINT says: no *** for you");
}

static char *
read_scratch(Cloud *cloud, const char *name)
{
  char *text = NULL;
  g_autofree char *path = g_build_filename(cloud->dir, name, NULL);
  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  return text;
}

static void
test_az(Cloud *cloud, gconstpointer unused)
{
  cloud_install_az(cloud, "echo \"$@\" >> \"$DIR/argv\"; export -p > \"$DIR/environment\"\n"
                          "echo '{\"accessToken\":\"canary-az\",\"expires_on\":1800003600,\"expiresOn\":"
                          "\"2001-01-01 00:00:00.000000\",\"subscription\":\"s\",\"tenant\":\"t\","
                          "\"tokenType\":\"Bearer\"}'");
  g_setenv("AZURE_CONFIG_DIR", "/config-dir", TRUE);
  g_setenv("AZURE_TENANT_ID", "tenant", TRUE);
  g_setenv("AZURE_CLIENT_SECRET", "canary-secret", TRUE); /* half of a principal */
  for (int i = 0; i < 3; i++) {
    cloud_ask(cloud, NULL);
    cloud_expect_token(cloud, "canary-az");
  }
  g_autofree char *argv = read_scratch(cloud, "argv");
  g_assert_cmpstr(argv, ==,
                  "account get-access-token --output json --scope https://management.azure.com/.default "
                  "--tenant tenant\n");
  g_autofree char *environment = read_scratch(cloud, "environment");
  g_assert_nonnull(strstr(environment, "AZURE_CONFIG_DIR='/config-dir'"));
  g_assert_null(strstr(environment, "canary"));
  cloud->identity.subscription = "my subscription";
  cloud_ask(cloud, NULL);
  g_autofree char *second = read_scratch(cloud, "argv");
  g_assert_true(g_str_has_suffix(second, "/.default --subscription my subscription\n"));
}

/* az before 2.54 says local time, and nothing else. */
static void
test_az_local_time(Cloud *cloud, gconstpointer unused)
{
  g_setenv("TZ", "Asia/Tokyo", TRUE); /* 2027-01-15 08:00:00 UTC is 1800000000 */
  cloud_install_az(cloud, "echo \"$TZ\" >> \"$DIR/zone\"\n"
                          "echo '{\"accessToken\":\"canary-az\",\"expiresOn\":\"2027-01-15 18:00:00.000000\"}'");
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-az");
  cloud_pass_time(cloud, 3200 * 1000);
  cloud_ask(cloud, NULL);
  cloud_pass_time(cloud, 300 * 1000);
  cloud_ask(cloud, NULL);
  g_setenv("TZ", "UTC", TRUE);
  g_autofree char *zones = read_scratch(cloud, "zone");
  g_assert_cmpstr(zones, ==, "Asia/Tokyo\nAsia/Tokyo\n");
}

static void
expect_az(Cloud *cloud, const char *script, const char *words)
{
  cloud_install_az(cloud, script);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, words);
  cloud_pass_time(cloud, 6000);
}

static void
test_az_errors(Cloud *cloud, gconstpointer unused)
{
  expect_az(cloud, "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
            "az: Please run 'az login' to setup account.");
  expect_az(cloud, "echo 'WARNING: old' >&2; echo 'ERROR: AADSTS700082: The refresh token has expired' >&2; exit 1",
            "az: AADSTS700082: The refresh token has expired");
  expect_az(cloud, "exit 3", "az: ended with status 3");
  expect_az(cloud, "echo canary-but-no-json", "az: what az writes cannot be used: it is no JSON object");
  expect_az(cloud, "echo '{\"accessToken\":\"canary\"}'", "it does not say how long its token is good for");
  expect_az(cloud, "echo '{\"accessToken\":\"canary\",\"expires_on\":5}'", "its token has expired already");
  expect_az(cloud, "echo '{\"accessToken\":\"canary\",\"expiresOn\":\"2027-99-99 18:00:00\"}'", "how long");
  expect_az(cloud, "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done", "wrote more than");
  expect_az(cloud, "printf 'ERROR: a\\033]0;b\\n' >&2; exit 1", "az: a ]0;b");
}

static void
test_none(Cloud *cloud, gconstpointer unused)
{
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH,
                     "no login to Azure works: environment: AZURE_TENANT_ID, AZURE_CLIENT_ID and "
                     "AZURE_CLIENT_SECRET are not set; workload identity: AZURE_FEDERATED_TOKEN_FILE is not set; "
                     "managed identity: AZURE_POD_IDENTITY_AUTHORITY_HOST does not answer; az: not installed");
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "Log in: az login");
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "name a service principal: AZURE_TENANT_ID");
  g_assert_cmpuint(cloud->seen->len, ==, 0);
}

static void
test_half_set(Cloud *cloud, gconstpointer unused)
{
  g_setenv("AZURE_CLIENT_ID", "client", TRUE);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "environment: AZURE_TENANT_ID and AZURE_CLIENT_SECRET are not set;");
  cloud_pass_time(cloud, 6000);
  g_setenv("AZURE_CLIENT_SECRET", "canary", TRUE);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "environment: AZURE_CLIENT_SECRET is set, but AZURE_TENANT_ID is not");
  cloud_pass_time(cloud, 6000);
  g_unsetenv("AZURE_CLIENT_SECRET");
  g_setenv("AZURE_FEDERATED_TOKEN_FILE", "/nowhere", TRUE);
  g_setenv("IDENTITY_HEADER", "canary", TRUE);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "AZURE_FEDERATED_TOKEN_FILE is set, but AZURE_TENANT_ID is not set");
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "of IDENTITY_ENDPOINT and IDENTITY_HEADER one is set alone");
}

static void
test_selection(Cloud *cloud, gconstpointer unused)
{
  cloud_show_metadata(cloud);
  cloud_install_az(cloud, "echo '{\"accessToken\":\"canary-az\",\"expires_on\":1800003600}'");
  g_setenv("AZURE_TOKEN_CREDENTIALS", "azureclicredential", TRUE);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-az");
  g_assert_cmpuint(cloud->seen->len, ==, 0);
  g_setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential", TRUE);
  cloud->identity.scope = "other"; /* not the cached one */
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-1");
  g_setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential", TRUE);
  cloud->identity.scope = "third";
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "works: environment: AZURE_TENANT_ID");
  g_assert_null(strstr(cloud->error->message, "identity"));
  g_assert_null(strstr(cloud->error->message, "az login"));
  g_assert_nonnull(strstr(cloud->error->message, "unset AZURE_TOKEN_CREDENTIALS"));
  g_setenv("AZURE_TOKEN_CREDENTIALS", "prod", TRUE);
  cloud_answer(cloud, 400, "{}", NULL);
  cloud->identity.scope = "fourth";
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "HOST says: HTTP 400");
  g_assert_null(strstr(cloud->error->message, "; az"));
  g_setenv("AZURE_TOKEN_CREDENTIALS", "production", TRUE);
  cloud->identity.scope = "fifth";
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_CONFIG, "AZURE_TOKEN_CREDENTIALS is 'production'");
}

static void
expect_refused(Cloud *cloud, int status, const char *body, const char *words)
{
  guint before = cloud->seen->len;
  cloud_answer(cloud, status, body, NULL);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, words);
  g_assert_cmpuint(cloud->seen->len, ==, before + 1); /* asked once, and nobody else in its stead */
  cloud_pass_time(cloud, 6000);
}

static void
test_refused(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  cloud_show_metadata(cloud);
  expect_refused(cloud, 401,
                 "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client secret "
                 "provided: canary-secret.\\r\\nTrace ID: 1\\r\\nTimestamp: 2\",\"error_codes\":[7000215]}",
                 "refuses AZURE_CLIENT_SECRET: AADSTS7000215: Invalid client secret provided: ***.\x1f");
  g_assert_null(strstr(cloud->error->message, "Trace"));
  expect_refused(cloud, 400,
                 "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000222: expired Trace ID: x\"}",
                 "AADSTS7000222: expired\x1fMake a new secret");
  expect_refused(cloud, 400, "{\"error\":\"unauthorized_client\"}", "unauthorized_client");
  expect_refused(cloud, 404, "<html>", "refuses AZURE_CLIENT_SECRET: HTTP 404");
  expect_refused(cloud, 302, "", "HTTP 302");
  g_setenv("AZURE_CLIENT_SECRET", "ca&nary", TRUE);
  expect_refused(cloud, 400, "{\"error_description\":\"no ca&nary, no x=ca%26nary&y\"}", "no ***, no x=***&y");
  expect_refused(cloud, 400, "{\"error_description\":\"\\u001b[31mred\"}", "[31mred");
  g_assert_null(strchr(cloud->error->message, '\x1b'));
}

static void
test_busy(Cloud *cloud, gconstpointer unused)
{
  gint64 began = az_clock_monotonic(cloud->clock);
  cloud_name_principal();
  cloud_answer(cloud, 503, "", NULL);
  cloud_answer(cloud, 429, "{}", "7");
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-1");
  g_assert_cmpuint(cloud->seen->len, ==, 3);
  g_assert_cmpint(az_clock_monotonic(cloud->clock) - began, >=, 7 * G_USEC_PER_SEC);
  g_assert_cmpint(az_clock_monotonic(cloud->clock) - began, <, 20 * G_USEC_PER_SEC);
  cloud->identity.scope = "other";
  for (int i = 0; i < 4; i++)
    cloud_answer(cloud, 500, "canary", NULL);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_NETWORK, "answered 500 4 times");
  g_assert_cmpuint(cloud->seen->len, ==, 7);
}

static void
test_throttled(Cloud *cloud, gconstpointer unused)
{
  cloud_name_principal();
  cloud_answer(cloud, 429, "{}", "900");
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_THROTTLED, "900 s");
  cloud_pass_time(cloud, 899 * 1000);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_THROTTLED, "900 s");
  g_assert_cmpuint(cloud->seen->len, ==, 1); /* nothing was sent too early */
  cloud_pass_time(cloud, 1001);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-1");
}

static void
expect_backoff(Cloud *cloud, int status, guint requests, gint64 seconds)
{
  gint64 began = az_clock_monotonic(cloud->clock);
  guint before = cloud->seen->len;
  for (guint i = 0; i < requests; i++)
    cloud_answer(cloud, status, "{}", NULL);
  cloud_ask(cloud, NULL);
  g_autofree char *words = g_strdup_printf("says: HTTP %d", status);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, words);
  g_assert_cmpuint(cloud->seen->len - before, ==, requests);
  g_assert_cmpint((az_clock_monotonic(cloud->clock) - began) / G_USEC_PER_SEC, ==, seconds);
  cloud_pass_time(cloud, 6000);
}

static void
test_metadata_backoff(Cloud *cloud, gconstpointer unused)
{
  cloud_show_metadata(cloud);
  expect_backoff(cloud, 400, 1, 0);
  expect_backoff(cloud, 403, 1, 0);
  expect_backoff(cloud, 404, 5, 52);
  expect_backoff(cloud, 429, 5, 52);
  expect_backoff(cloud, 500, 5, 52);
  expect_backoff(cloud, 410, 6, 82);
}

/* Silence costs a few seconds, once. */
static void
test_metadata_silent(Cloud *cloud, gconstpointer unused)
{
  gint64 began = g_get_monotonic_time();
  cloud_show_metadata(cloud);
  cloud->silent = TRUE;
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "does not answer; az");
  cloud->identity.scope = "other";
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "does not answer; az");
  g_assert_cmpint(g_get_monotonic_time() - began, <, 9 * G_USEC_PER_SEC);
  g_assert_cmpuint(cloud->seen->len, ==, 1);
}

static void
expect_config(Cloud *cloud, const char *name, const char *value, AzlinError code, const char *words)
{
  g_autofree char *old = g_strdup(g_getenv(name));
  g_setenv(name, value, TRUE);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, code, words);
  cloud_pass_time(cloud, 6000);
  if (old != NULL)
    g_setenv(name, old, TRUE);
  else
    g_unsetenv(name);
}

static void
test_addresses(Cloud *cloud, gconstpointer unused)
{
  static const char *const authorities[]
      = { "http://login.example",     "ftp://login.example", "https://",
          "http://u@127.0.0.1:1",     "https://a?b",         "https://a#b",
          "http://169.254.169.254",   "https://a b",         "http://127.0.0.1.example",
          "http://localhost.example", "file:///etc/passwd",  "https://a\nb" };
  static const char *const hosts[] = { "http://169.254.169.254.example", "http://169.254.169.254:81",
                                       "http://169.254.169.253", "http://metadata.example" };
  for (guint i = 0; i < G_N_ELEMENTS(hosts); i++)
    expect_config(cloud, "AZURE_POD_IDENTITY_AUTHORITY_HOST", hosts[i], AZLIN_ERROR_AUTH, "it must be an https:");
  g_setenv("IDENTITY_HEADER", "canary", TRUE);
  expect_config(cloud, "IDENTITY_ENDPOINT", "http://example.com/msi", AZLIN_ERROR_AUTH, "IDENTITY_ENDPOINT is 'http:");
  cloud_name_principal();
  for (guint i = 0; i < G_N_ELEMENTS(authorities); i++)
    expect_config(cloud, "AZURE_AUTHORITY_HOST", authorities[i], AZLIN_ERROR_CONFIG, "AZURE_AUTHORITY_HOST is '");
  expect_config(cloud, "AZURE_TENANT_ID", "../evil", AZLIN_ERROR_CONFIG, "AZURE_TENANT_ID may have letters");
  expect_config(cloud, "AZURE_TENANT_ID", "a/b?c", AZLIN_ERROR_CONFIG, "AZURE_TENANT_ID may have letters");
  expect_config(cloud, "AZURE_CLIENT_ID", "\"x", AZLIN_ERROR_CONFIG, "AZURE_CLIENT_ID may have letters");
  cloud->identity.scope = "a b";
  expect_config(cloud, "A", "1", AZLIN_ERROR_CONFIG, "the scope");
  cloud->identity.scope = "a";
  cloud->identity.subscription = "--debug;x";
  expect_config(cloud, "A", "1", AZLIN_ERROR_CONFIG, "subscription");
  g_assert_cmpuint(cloud->seen->len, ==, 0);
}

static void
expect_unusable(Cloud *cloud, const char *body, gsize length)
{
  g_autoptr(GBytes) bytes = g_bytes_new(body, length);
  cloud_answer_bytes(cloud, 200, bytes);
  cloud_ask(cloud, NULL);
  g_assert_null(cloud->token);
  g_assert_error(cloud->error, AZLIN_ERROR, cloud->error->code);
  g_assert_null(strstr(cloud->error->message, "canary"));
  g_clear_pointer(&cloud->token, g_free);
  g_queue_clear(&cloud->answers); /* retries may have left none */
  cloud_pass_time(cloud, 6000);
}

static void
test_hostile_replies(Cloud *cloud, gconstpointer unused)
{
  static const char *const bodies[] = {
    "",
    "null",
    "[]",
    "\"canary\"",
    "{",
    "{}",
    "{\"access_token\":\"canary\"}",
    "{\"expires_in\":3599}",
    "{\"access_token\":5,\"expires_in\":3599}",
    "{\"access_token\":null,\"expires_in\":3599}",
    "{\"access_token\":[\"canary\"],\"expires_in\":3599}",
    "{\"access_token\":\"\",\"expires_in\":3599}",
    "{\"access_token\":\"canary\\r\\nX: y\",\"expires_in\":3599}",
    "{\"access_token\":\"can ary\",\"expires_in\":3599}",
    "{\"access_token\":\"can\\u00e4ry\",\"expires_in\":3599}",
    "{\"access_token\":\"can\\u0000ary\",\"expires_in\":3599}",
    "{\"access_token\":\"canary\",\"expires_in\":0}",
    "{\"access_token\":\"canary\",\"expires_in\":-5}",
    "{\"access_token\":\"canary\",\"expires_in\":\"soon\"}",
    "{\"access_token\":\"canary\",\"expires_in\":{}}",
    "{\"access_token\":\"canary\",\"expires_in\":1e400}",
    "{\"access_token\":\"canary\",\"expires_in\":3599.5}",
    "{\"access_token\":\"canary\",\"expires_in\":99999999999999999999999}",
    "{\"access_token\":\"canary\",\"expires_in\":3599,\"token_type\":\"mac\"}",
    "{\"access_token\":\"canary\",\"access_token\":\"canary2\",\"expires_in\":3599}",
    "{\"access_token\":\"canary\",\"expires_on\":\"0x7fffffff\"}",
    "\xff\xfe{}",
  };
  g_autofree char *deep = g_strnfill(200000, '[');
  g_autofree char *filler = g_strnfill(64 * 1024 + 1, 'a');
  g_autofree char *long_token = g_strdup_printf("{\"access_token\":\"%s\",\"expires_in\":3599}", filler);
  cloud_name_principal();
  for (guint i = 0; i < G_N_ELEMENTS(bodies); i++)
    expect_unusable(cloud, bodies[i], strlen(bodies[i]));
  expect_unusable(cloud, "{\"access_token\":\"canary\0\",\"expires_in\":3599}", 44);
  expect_unusable(cloud, deep, strlen(deep));
  expect_unusable(cloud, long_token, strlen(long_token));
  cloud_ask(cloud, NULL);
  g_assert_no_error(cloud->error);
}

#define TEST(name, func) g_test_add("/credential/" name, Cloud, NULL, cloud_set_up_virtual, func, cloud_tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("secret", test_secret);
  TEST("secret-is-escaped", test_secret_is_escaped);
  TEST("secret-wins", test_secret_wins);
  TEST("federated", test_federated);
  TEST("federated-errors", test_federated_errors);
  TEST("metadata", test_metadata);
  TEST("app-service", test_app_service);
  TEST("az", test_az);
  TEST("az-local-time", test_az_local_time);
  TEST("az-errors", test_az_errors);
  TEST("none", test_none);
  TEST("half-set", test_half_set);
  TEST("selection", test_selection);
  TEST("refused", test_refused);
  TEST("busy", test_busy);
  TEST("throttled", test_throttled);
  TEST("metadata-backoff", test_metadata_backoff);
  g_test_add("/credential/metadata-silent", Cloud, NULL, cloud_set_up, test_metadata_silent, cloud_tear_down);
  TEST("addresses", test_addresses);
  TEST("hostile-replies", test_hostile_replies);
  return g_test_run();
}
