/* sync: the road between two machines: how far they are apart, how much it has carried, what was predicted of it. */
#include "flow-sync-private.h"
#include "kept.h"

#define LINKS "links.ini"
#define MEASURE_MS 4000u
#define KEEP_US ((gint64) 86400 * G_USEC_PER_SEC) /* distances hardly change */
#define LEARN_BYTES (16u << 20)                   /* less says more about logins than about the road */

static char *
group_of(AzSyncPair *pair)
{
  return g_strdup_printf("%s>%s", pair->sync->source->region, pair->target->region);
}

void
az_sync_link_learn(AzSyncPair *pair, guint64 bytes, double seconds)
{
  g_autoptr(GKeyFile) file = az_sync_kept_open(pair->sync->engine, LINKS);
  g_autofree char *group = group_of(pair);
  g_autofree char *predicted = g_strconcat(pair->strategy, "-predicted", NULL);
  g_autofree char *took = g_strconcat(pair->strategy, "-took", NULL);
  g_key_file_set_double(file, group, predicted, pair->predicted);
  g_key_file_set_double(file, group, took, seconds);
  double rate = seconds > 0 ? (double) bytes / 1048576.0 / seconds : 0;
  if (bytes >= LEARN_BYTES && pair->sync->bwlimit_kib == 0 && rate > 0)
    g_key_file_set_double(file, group, "mib-per-second", rate);
  az_sync_kept_save(pair->sync->engine, LINKS, file);
}

static void
keep_rtt(AzSyncPair *pair)
{
  if (pair->rtt_between_ms < 0)
    return;
  g_autoptr(GKeyFile) file = az_sync_kept_open(pair->sync->engine, LINKS);
  g_autofree char *group = group_of(pair);
  g_key_file_set_double(file, group, "rtt-ms", pair->rtt_between_ms);
  g_key_file_set_int64(file, group, "rtt-at", az_clock_now(az_engine_clock(pair->sync->engine)));
  az_sync_kept_save(pair->sync->engine, LINKS, file);
}

static void
on_measured(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
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
  keep_rtt(pair);
  pair->measuring = NULL;
  if (pair->measured != NULL)
    pair->measured(pair);
  pair->measured = NULL;
  az_sync_pair_unref(pair);
}

/* What earlier runs know; distances do not last for ever. */
static void
recall(AzSyncPair *pair)
{
  g_autoptr(GKeyFile) file = az_sync_kept_open(pair->sync->engine, LINKS);
  g_autofree char *group = group_of(pair);
  gint64 at = g_key_file_get_int64(file, group, "rtt-at", NULL);
  gint64 age = az_clock_now(az_engine_clock(pair->sync->engine)) - at;
  double rtt = g_key_file_get_double(file, group, "rtt-ms", NULL);
  double rate = g_key_file_get_double(file, group, "mib-per-second", NULL);
  if (at > 0 && age >= 0 && age <= KEEP_US && rtt > 0 && rtt < 60000)
    pair->rtt_between_ms = rtt;
  pair->mib_per_second = rate > 0 && rate < 1e6 ? rate : 0;
}

void
az_sync_link_measure(AzSyncPair *pair, AzlinOp *parent)
{
  g_autofree char *port = g_strdup_printf("%u", pair->target->ssh_port != 0 ? pair->target->ssh_port : 22);
  const char *argv[] = { "sh", "-c", az_sync_measure_script, "sh", pair->target->public_ip, port, NULL };
  recall(pair);
  if (pair->rtt_between_ms > 0)
    return;
  AzlinExec request = { .size = sizeof request, .vm = pair->sync->source, .argv = argv };
  g_rc_box_acquire(pair);
  pair->measuring = az_op_new(parent, "measure", MEASURE_MS, on_measured, pair);
  az_engine_exec(pair->sync->engine, &request, pair->measuring);
}

void
az_sync_link_await(AzSyncPair *pair, void (*done)(AzSyncPair *pair))
{
  if (pair->measuring != NULL)
    pair->measured = done;
  else
    done(pair);
}
