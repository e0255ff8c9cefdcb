/* Which proxies the environment names. */
#include "../../transport/http-private.h"

static char *
proxy_for(const char *uri)
{
  g_autoptr(GProxyResolver) resolver = http_proxies_from_environment();
  if (resolver == NULL)
    return g_strdup("none");
  g_auto(GStrv) proxies = g_proxy_resolver_lookup(resolver, uri, NULL, NULL);
  return g_strjoinv(" ", proxies);
}

static void
expect(const char *uri, const char *proxy)
{
  g_autofree char *found = proxy_for(uri);
  g_assert_cmpstr(found, ==, proxy);
}

static void
forget(void)
{
  static const char *const names[]
      = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY" };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    g_unsetenv(names[i]);
}

static void
test_variables(void)
{
  forget();
  g_setenv("HTTP_PROXY", "http://plain:1", TRUE); /* plain http goes to loopback alone */
  expect("https://a.example", "none");
  g_setenv("ALL_PROXY", "socks5://all:1", TRUE);
  expect("https://a.example", "socks5://all:1");
  g_setenv("HTTPS_PROXY", "upper:3128", TRUE);
  expect("https://a.example", "http://upper:3128");
  g_setenv("https_proxy", "http://lower:3128", TRUE);
  expect("https://a.example", "http://lower:3128");
  g_setenv("https_proxy", "", TRUE);
  expect("https://a.example", "http://upper:3128");
}

static void
test_exceptions(void)
{
  forget();
  g_setenv("HTTPS_PROXY", "http://proxy:3128", TRUE);
  g_setenv("NO_PROXY", "in.example, .corp.example,10.0.0.0/8 ,192.168.1.1", TRUE);
  expect("https://a.example", "http://proxy:3128");
  expect("https://in.example", "direct://");
  expect("https://vm.in.example", "direct://");
  expect("https://notin.example", "http://proxy:3128");
  expect("https://x.corp.example", "direct://");
  expect("https://10.1.2.3", "direct://");
  expect("https://192.168.1.1", "direct://");
  expect("https://192.168.1.2", "http://proxy:3128");
  g_setenv("no_proxy", "*", TRUE);
  expect("https://a.example", "none");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/http/proxies/variables", test_variables);
  g_test_add_func("/http/proxies/exceptions", test_exceptions);
  return g_test_run();
}
