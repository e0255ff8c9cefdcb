/* Addresses: what may be used, and more than a hundred that only look as if. */
#include "http-private.h"

#include <string.h>

#define HOME "https://management.azure.com"

static const char *const good[] = {
  HOME "/subscriptions/1/operations/2?api-version=2024-07-01&t=638&c=MII%2b&s=a_b~c&h=x",
  HOME,
  HOME "/",
  HOME "?x=1",
  HOME ":443/x",
  "https://MANAGEMENT.azure.com/x",
  "HTTPS://management.azure.com/x",
  HOME "/a/../b",
  HOME "/a@b:c",
  HOME "//evil.example/x",
  HOME "/x?next=https://evil.example/",
};

static const char *const hostile[] = {
  /* other hosts */
  "https://evil.example/x",
  "https://management.azure.com.evil.example/x",
  "https://evilmanagement.azure.com/x",
  "https://management.azure.co/x",
  "https://management.azure.comm/x",
  "https://azure.com/x",
  "https://management-azure.com/x",
  "https://x.management.azure.com/x",
  "https://management.azure.com./x",
  "https://management.azure.com../x",
  "https://.management.azure.com/x",
  "https://management..azure.com/x",
  "https://management.chinacloudapi.cn/x",
  "https://login.microsoftonline.com/x",
  "https://localhost/x",
  "https://127.0.0.1/x",
  "https://[::1]/x",
  "https://169.254.169.254/metadata/identity",
  /* ports */
  "https://management.azure.com:444/x",
  "https://management.azure.com:80/x",
  "https://management.azure.com:8443/x",
  "https://management.azure.com:/x",
  "https://management.azure.com:0/x",
  "https://management.azure.com:00443/x",
  "https://management.azure.com:0443/x",
  "https://management.azure.com:443443/x",
  "https://management.azure.com:65979/x",
  "https://management.azure.com:-443/x",
  "https://management.azure.com:+443/x",
  "https://management.azure.com:4 43/x",
  "https://management.azure.com:443:443/x",
  "https://management.azure.com:443@evil.example/x",
  "https://management.azure.com:x/x",
  "https://management.azure.com:0x1bb/x",
  "https://management.azure.com:%34%34%33/x",
  /* users */
  "https://management.azure.com@evil.example/x",
  "https://user@management.azure.com/x",
  "https://user:password@management.azure.com/x",
  "https://@management.azure.com/x",
  "https://:@management.azure.com/x",
  "https://management.azure.com%40evil.example/x",
  "https://management.azure.com:pass@evil.example:443/x",
  "https://evil.example@management.azure.com@evil.example/x",
  "https://a%3Ab@management.azure.com/x",
  "https://management.azure.com;@evil.example/x",
  "https://management.azure.com&@evil.example/x",
  /* schemes */
  "http://management.azure.com/x",
  "HTTP://management.azure.com/x",
  "ftp://management.azure.com/x",
  "file:///etc/passwd",
  "file://management.azure.com/etc/passwd",
  "javascript:alert(1)",
  "data:text/plain,x",
  "ws://management.azure.com/x",
  "wss://management.azure.com/x",
  "gopher://management.azure.com/x",
  "httpss://management.azure.com/x",
  "https:management.azure.com/x",
  "https:/management.azure.com/x",
  "https:///management.azure.com/x",
  "https:////management.azure.com/x",
  "://management.azure.com/x",
  "//management.azure.com/x",
  "//evil.example/x",
  "/subscriptions/1",
  "subscriptions/1",
  "management.azure.com/x",
  "",
  "?x",
  "#x",
  "https",
  "https:",
  "https:/",
  "https://",
  "https://?x",
  "https:///x",
  "ht\ntps://management.azure.com/x",
  " https://management.azure.com/x",
  "\thttps://management.azure.com/x",
  "view-source:https://management.azure.com/x",
  "blob:https://management.azure.com/x",
  "https+unix://management.azure.com/x",
  "unix:/tmp/socket",
  /* backslashes, blanks, controls */
  "https:\\\\management.azure.com\\x",
  "https://management.azure.com\\@evil.example/x",
  "https://evil.example\\@management.azure.com/x",
  "https://evil.example\\.management.azure.com/x",
  "https://management.azure.com\\.evil.example/x",
  "https:/\\management.azure.com/x",
  "https://management.azure.com /x",
  "https://management.azure.com\t.evil.example/x",
  "https://management.azure.com\n.evil.example/x",
  "https://management.azure.com\r\nHost: evil.example/x",
  "https://management.azure.com/x\r\nX-Evil: 1",
  "https://management.azure.com/\x01",
  "https://management.azure.com/\x7f",
  "https://management.azure.com/a b",
  "https://management.azure.com/x ",
  "https://management.azure.com\x0b/x",
  /* escapes */
  "https://management.azure.com%00.evil.example/x",
  "https://management.azure.com/%00",
  "https://management.azure.com%2e/x",
  "https://management%2eazure.com/x",
  "https://%6danagement.azure.com/x",
  "https://management.azure.com%2f@evil.example/x",
  "https://management.azure.com%5c.evil.example/x",
  "https://management.azure.com%23.evil.example/x",
  "https://management.azure.com/%",
  "https://management.azure.com/%2",
  "https://management.azure.com/%zz",
  "https%3a//management.azure.com/x",
  "https://management.azure.com%09/x",
  "https://management.azure.com%3a443/x",
  /* fragments and queries in the wrong place */
  "https://evil.example#management.azure.com/x",
  "https://evil.example?management.azure.com/x",
  "https://management.azure.com/x#y",
  "https://management.azure.com#@evil.example/x",
  "https://evil.example#@management.azure.com/x",
  "https://evil.example;management.azure.com/x",
  /* letters of other scripts, and what turns into them */
  "https://management.\xd0\xb0zure.com/x",
  "https://management.azure\xe3\x80\x82"
  "com/x",
  "https://management\xef\xbc\x8e"
  "azure.com/x",
  "https://\xe2\x93\x9c"
  "anagement.azure.com/x",
  "https://management.azure.com\xe2\x88\x95.evil.example/x",
  "https://management.azure.com\xc2\xad/x",
  "https://xn--mnagement-azure-com/x",
  "https://management.azure.com/\xff\xfe",
  "https://management.azure.com\xef\xbc\xa0"
  "evil.example/x",
  "https://management.azure.com/\xe2\x80\xae",
  /* numbers */
  "https://2130706433/x",
  "https://0x7f000001/x",
  "https://0177.0.0.1/x",
  "https://127.1/x",
  "https://0/x",
  "https://127.0.0.1.:443/x",
  "https://[::ffff:127.0.0.1]/x",
  "https://[::1%25lo]/x",
  "https://[::1/x",
  "https://::1/x",
  "https://[management.azure.com]/x",
  "https://[::1]evil/x",
  "https://[]/x",
  "https://[/x",
  "https://]/x",
  /* odd hosts */
  "https://-management.azure.com/x",
  "https://management_azure.com/x",
  "https://management.azure.com,evil.example/x",
  "https://management.azure.com|evil.example/x",
  "https://*/x",
  "https://*.azure.com/x",
  "https://{host}/x",
  "https://management.azure.com\"/x",
  "https://management.azure.com'/x",
  "https://management.azure.com`id`/x",
  "https://$(id)/x",
  "https://management.azure.com<script>/x",
  "https://./x",
  "https://../x",
};

static void
test_good(void)
{
  for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GUri) uri = az_http_url_check(good[i], HOME, &error);
    g_assert_no_error(error);
    g_assert_nonnull(uri);
  }
}

static void
test_hostile(void)
{
  g_assert_cmpuint(G_N_ELEMENTS(hostile), >=, 150);
  for (guint i = 0; i < G_N_ELEMENTS(hostile); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GUri) uri = az_http_url_check(hostile[i], HOME, &error);
    g_autofree char *shown = g_strescape(hostile[i], NULL);
    g_test_message("%s: %s", shown, error != NULL ? error->message : "taken");
    g_assert_null(uri);
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
    g_assert_true(g_utf8_validate(error->message, -1, NULL));
  }
}

static void
test_long(void)
{
  g_autofree char *path = g_strnfill(20000, 'a');
  g_autofree char *url = g_strconcat(HOME "/", path, NULL);
  g_assert_null(az_http_url_check(url, HOME, NULL));
  url[8000] = '\0';
  g_autoptr(GUri) uri = az_http_url_check(url, HOME, NULL);
  g_assert_nonnull(uri);
  g_assert_null(az_http_url_check(NULL, HOME, NULL));
}

static void
test_says_whose_address_it_was(void)
{
  g_autoptr(GError) error = NULL;
  g_assert_null(az_http_url_check("https://evil.example/token-canary", HOME, &error));
  g_assert_cmpstr(error->message, ==,
                  "management.azure.com answered with an address of another host (evil.example); it was not followed");
}

/* Without a token: https anywhere, http on this host alone. */
static void
test_without_origin(void)
{
  static const char *const fine[] = { "https://example.org/x", "http://127.0.0.1:8080/x", "http://127.9.8.7/x",
                                      "http://localhost:1/x",  "http://LOCALHOST/x",      "http://[::1]:8080/x" };
  static const char *const not [] = { "http://example.org/x",
                                      "http://127.1/x",
                                      "http://0x7f.1/x",
                                      "http://10.0.0.1/x",
                                      "http://localhost.evil/x",
                                      "http://localhost./x",
                                      "http://127.0.0.1.evil/x",
                                      "http://169.254.169.254/x",
                                      "http://[::ffff:7f00:1]/x",
                                      "http://2130706433/x",
                                      "http://0/x",
                                      "http://0.0.0.0/x",
                                      "http://[::]/x",
                                      "http://a@localhost/x",
                                      "http://localhost%2eevil/x" };
  for (guint i = 0; i < G_N_ELEMENTS(fine); i++) {
    g_autoptr(GUri) uri = az_http_url_check(fine[i], NULL, NULL);
    g_test_message("%s", fine[i]);
    g_assert_nonnull(uri);
  }
  for (guint i = 0; i < G_N_ELEMENTS(not ); i++) {
    g_test_message("%s", not [i]);
    g_assert_null(az_http_url_check(not [i], NULL, NULL));
  }
}

static void
test_loopback_origin(void)
{
  const char *origin = "http://127.0.0.1:4711";
  g_autoptr(GUri) uri = az_http_url_check("http://127.0.0.1:4711/x", origin, NULL);
  g_assert_nonnull(uri);
  g_assert_null(az_http_url_check("http://127.0.0.1:4712/x", origin, NULL));
  g_assert_null(az_http_url_check("http://127.0.0.2:4711/x", origin, NULL));
  g_assert_null(az_http_url_check("https://127.0.0.1:4711/x", origin, NULL));
  g_assert_null(az_http_url_check("http://localhost:4711/x", origin, NULL));
  g_assert_null(az_http_url_check("http://127.0.0.1/x", origin, NULL));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/http/url/good", test_good);
  g_test_add_func("/http/url/hostile", test_hostile);
  g_test_add_func("/http/url/long", test_long);
  g_test_add_func("/http/url/says-whose-address-it-was", test_says_whose_address_it_was);
  g_test_add_func("/http/url/without-origin", test_without_origin);
  g_test_add_func("/http/url/loopback-origin", test_loopback_origin);
  return g_test_run();
}
