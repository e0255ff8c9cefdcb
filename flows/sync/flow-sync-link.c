/* sync: the road between two machines: how far they are apart, how much it has carried, what was predicted of it. */
#include "files.h"
#include "flow-sync-private.h"
#include <glib/gstdio.h>

#define MEASURE_MS 4000u
#define LEARN_BYTES (16u << 20) /* less says more about logins than about the road */

/* HOST PORT: milliseconds to a connection, or "shut". What answers there is no web server: curl leaves at its first
 * words. */
static const char measure_script[]
    = "LC_ALL=C; export LC_ALL; host=$1; case $host in *:*) host=[$host] ;; esac\n"
      "if command -v curl >/dev/null; then\n"
      "took=$(curl -s -o /dev/null --noproxy '*' --connect-timeout 3 --max-time 3 -w '%{time_connect}' "
      "\"http://$host:$2/\" </dev/null)\n"
      "case $took in 0|0.000000) echo shut ;; *) echo \"$took\" ;; esac; fi\n";

typedef struct {
  AzSyncPair *pair;
  AzlinDone done;
  gpointer data;
} Measure;

static void
on_measured(AzlinOp *op, gpointer data)
{
  g_autofree Measure *measure = data;
  AzSyncPair *pair = measure->pair;
  const AzlinReply *reply = az_op_error(op) == NULL ? az_op_reply(op) : NULL;
  gsize length = 0;
  const char *bytes = reply != NULL ? g_bytes_get_data(reply->out, &length) : NULL;
  g_autofree char *text = g_strndup(bytes != NULL ? bytes : "", length);
  char *end = NULL;
  g_strchomp(text);
  double seconds = g_ascii_strtod(text, &end);
  if (g_str_equal(text, "shut"))
    pair->rtt_between_ms = AZ_SYNC_SHUT;
  else if (end != text && *end == 0 && seconds > 0 && seconds < 60)
    pair->rtt_between_ms = seconds * 1000;
  measure->done(op, measure->data);
}

void
az_sync_link_measure(AzSyncPair *pair, AzlinDone done, gpointer data)
{
  g_autofree char *port = g_strdup_printf("%u", pair->target->ssh_port != 0 ? pair->target->ssh_port : 22);
  const char *argv[] = { "sh", "-c", measure_script, "sh", pair->target->public_ip, port, NULL };
  Measure *measure = g_new(Measure, 1);
  *measure = (Measure){ pair, done, data };
  AzlinExec request = { .size = sizeof request, .vm = pair->sync->source, .argv = argv };
  az_engine_exec(pair->sync->engine, &request, az_op_new(pair->op, "measure", MEASURE_MS, on_measured, measure));
}

/* ---- what is kept ---- */

static char *
file_of(AzSyncPair *pair)
{
  return az_paths_file(az_engine_paths(pair->sync->engine), "sync/links.ini");
}

static char *
group_of(AzSyncPair *pair)
{
  return g_strdup_printf("%s>%s", pair->sync->source->region, pair->target->region);
}

double
az_sync_link_rate(AzSyncPair *pair)
{
  g_autoptr(GKeyFile) file = g_key_file_new();
  g_autofree char *path = file_of(pair), *group = group_of(pair);
  if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, NULL))
    return 0;
  double rate = g_key_file_get_double(file, group, "mib-per-second", NULL);
  return rate > 0 && rate < 1e6 ? rate : 0;
}

void
az_sync_link_learn(AzSyncPair *pair, guint64 bytes, double seconds)
{
  g_autoptr(GKeyFile) file = g_key_file_new();
  g_autofree char *path = file_of(pair), *group = group_of(pair), *folder = g_path_get_dirname(path);
  g_autofree char *predicted = g_strconcat(pair->strategy, "-predicted", NULL);
  g_autofree char *took = g_strconcat(pair->strategy, "-took", NULL);
  g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, NULL);
  g_key_file_set_double(file, group, predicted, pair->predicted);
  g_key_file_set_double(file, group, took, seconds);
  double rate = seconds > 0 ? (double) bytes / 1048576.0 / seconds : 0;
  if (bytes >= LEARN_BYTES && pair->sync->bwlimit_kib == 0 && rate > 0)
    g_key_file_set_double(file, group, "mib-per-second", rate);
  g_autofree char *text = g_key_file_to_data(file, NULL, NULL);
  if (az_paths_make_dir(folder, NULL))
    az_files_write(path, text, AZ_FILES_QUICK, NULL);
}
