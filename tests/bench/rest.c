/* Requests through the engine's own road, with a token, as many at once as asked for: URL TOTAL AT-ONCE. */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

typedef struct {
  AzClock *clock;
  AzHttp *http;
  AzlinHttp request;
  guint total, sent, ended, failed;
} Bench;

static void send_next(Bench *bench);

static void
on_end(AzlinOp *op, gpointer data)
{
  Bench *bench = data;
  const AzlinHttpReply *reply = az_op_http(op);
  bench->ended++;
  if (reply == NULL || reply->status != 200) {
    if (bench->failed++ < 3)
      fprintf(stderr, "%s\n", reply == NULL ? az_op_error(op)->message : "another status than 200");
  }
  send_next(bench);
}

static void
send_next(Bench *bench)
{
  if (bench->sent == bench->total)
    return;
  bench->sent++;
  AzlinOp *op = az_op_new_root(bench->clock, "request", 60000, NULL, on_end, bench);
  az_http_send(bench->http, &bench->request, op);
}

static double
cpu_seconds(const struct rusage *usage)
{
  return (double) (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec)
         + (double) (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

/* Not ru_maxrss: that one begins with what the process was before it became this program. */
static long
peak_kib(void)
{
  g_autofree char *status = NULL;
  const char *line = NULL;
  if (g_file_get_contents("/proc/self/status", &status, NULL, NULL))
    line = strstr(status, "VmHWM:");
  return line != NULL ? strtol(line + strlen("VmHWM:"), NULL, 10) : 0;
}

int
main(int argc, char **argv)
{
  if (argc != 4)
    return 64;
  g_autoptr(GUri) uri = g_uri_parse(argv[1], G_URI_FLAGS_NONE, NULL);
  g_autofree char *origin
      = g_strdup_printf("%s://%s:%d", g_uri_get_scheme(uri), g_uri_get_host(uri), g_uri_get_port(uri));
  AzlinIdentity identity = {
    .size = sizeof identity, .origin = origin, .authority = origin, .scope = "https://management.azure.com/.default"
  };
  Bench bench = { .clock = az_clock_new_real(), .total = (guint) atoi(argv[2]) };
  bench.http = az_http_new(bench.clock, NULL);
  bench.request = (AzlinHttp){ .size = sizeof bench.request, .method = "GET", .url = argv[1], .identity = &identity };
  gint64 start = g_get_monotonic_time();
  for (int i = 0; i < atoi(argv[3]); i++)
    send_next(&bench);
  while (bench.ended < bench.sent)
    g_main_context_iteration(NULL, TRUE);
  double wall = (double) (g_get_monotonic_time() - start) / G_USEC_PER_SEC;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("%u %u %.4f %.4f %ld\n", bench.ended, bench.failed, wall, cpu_seconds(&usage), peak_kib());
  az_http_free(bench.http);
  az_clock_free(bench.clock);
  return bench.failed > 0;
}
