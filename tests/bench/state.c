/* Read + change one + durable write of config.json through the context brick: median milliseconds by number of regions.
 */
#include "brick-host.h"
#include <stdlib.h>
#include <string.h>

extern const AzlinPlugin azlin_plugin_v1;

#define ROUNDS 21

/* What azlin stores for a machine, every field filled. */
static void
append_region(GString *text, guint i)
{
  g_string_append_printf(
      text,
      "%s{\"region\": \"region%05u\", \"vm_name\": \"azlin-region%05u-3f9c\", \"public_ip\": "
      "\"10.%u.%u.%u\", \"ssh_port\": 22, \"ssh_user\": \"azureuser\", \"resource_group\": "
      "\"azlin-vms-region%05u\", \"provider\": \"azure\", \"id\": \"/vms/region%05u\", \"host_key\": "
      "\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx0Yb1m2o9s0b2w%05u\", \"created_at\": "
      "\"2025-12-01T10:00:00Z\", \"last_health_check\": \"2025-12-01T10:00:00Z\", \"is_primary\": %s, "
      "\"status\": \"ok\", \"tags\": {\"azlin:region\": \"region%05u\"}}",
      i > 0 ? ",\n" : "", i, i, i >> 16, (i >> 8) & 255, i & 255, i, i, i, i == 0 ? "true" : "false", i);
}

static void
fill(BrickHost *host, guint regions)
{
  g_autoptr(GString) text = g_string_new("{\"version\": \"2.0\", \"resource_group\": \"azlin-vms\", \"regions\": [\n");
  for (guint i = 0; i < regions; i++)
    append_region(text, i);
  g_string_append(text, "]}");
  home_write(host, "config.json", text->str);
}

static int
compare(gconstpointer a, gconstpointer b)
{
  const double *left = a;
  const double *right = b;
  return *left < *right ? -1 : *left > *right;
}

static double
median(double *samples, guint n)
{
  qsort(samples, n, sizeof *samples, compare);
  return samples[n / 2];
}

static double
timed_put(BrickHost *host, guint round, guint regions)
{
  g_autofree char *region = g_strdup_printf("region%05u", regions / 2);
  g_autofree char *ip = g_strdup_printf("192.0.2.%u", round);
  gint64 start = g_get_monotonic_time();
  g_auto(Reply) reply = context_add(host, region, ip, FALSE);
  gint64 end = g_get_monotonic_time();
  g_assert_no_error(reply.error);
  return (double) (end - start) / 1000;
}

static double
timed_set_primary(BrickHost *host, guint round, guint regions)
{
  g_autofree char *from = context_primary(host);
  g_autofree char *to = g_strdup_printf("region%05u", 1 + round % (regions - 1));
  guint64 epoch = context_epoch(host);
  gint64 start = g_get_monotonic_time();
  g_auto(Reply) reply = context_set_primary(host, from, to, epoch);
  gint64 end = g_get_monotonic_time();
  g_assert_no_error(reply.error);
  return (double) (end - start) / 1000;
}

static double
timed_list(BrickHost *host, guint regions)
{
  gint64 start = g_get_monotonic_time();
  g_auto(Reply) reply = context_list(host);
  gint64 end = g_get_monotonic_time();
  g_assert_cmpuint(reply.vms->len, ==, regions);
  return (double) (end - start) / 1000;
}

static double
measure(guint regions)
{
  double puts[ROUNDS], moves[ROUNDS], lists[ROUNDS];
  BrickHost *host = brick_host_new(&azlin_plugin_v1, NULL);
  fill(host, regions);
  double first = timed_put(host, 0, regions);
  for (guint i = 0; i < ROUNDS; i++) {
    puts[i] = timed_put(host, i + 1, regions);
    moves[i] = timed_set_primary(host, i, regions);
    lists[i] = timed_list(host, regions);
  }
  double put = median(puts, ROUNDS);
  g_print("%6u regions: read + change one + durable write %8.2f ms (p95 %.2f), set-primary %8.2f ms, "
          "list all %8.2f ms; a foreign file is taken over in %.2f ms\n",
          regions, put, puts[ROUNDS * 95 / 100], median(moves, ROUNDS), median(lists, ROUNDS), first);
  brick_host_remove_home(host);
  brick_host_free(host);
  return put;
}

int
main(int argc, char **argv)
{
  const guint sizes[] = { 3, 1000, 10000 };
  double last = 0;
  for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
    last = measure(sizes[i]);
  return last < 100 ? EXIT_SUCCESS : EXIT_FAILURE;
}
