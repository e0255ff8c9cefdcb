/* sync --watch, the short way: the programs on the machines, and whether they may be asked alone. */
#include "flow-sync-live-private.h"
#include "error.h"
#include <string.h>

#define MOST_BYTES "8388608" /* that a short way takes; what is more has time for a look */
#define MOST_NAMES "4000"
#define WARM_UP "43000" /* bytes that go with the news of a change: the first two flights */
#define HEARD "heard\n"
#define PYTHON "/usr/bin/python3"
#define ROOT_MOVED 3 /* the status of a source whose folder was taken away */

AzLiveEnd *
az_live_target(AzSyncLive *live, guint index)
{
  return g_ptr_array_index(live->targets, index);
}

void
az_live_say(AzSyncLive *live, char kind, const char *payload, gsize length)
{
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  az_live_frames_add(bytes, kind, payload, length);
  for (guint i = 0; i < live->targets->len; i++)
    if (az_live_target(live, i)->talk != NULL)
      az_talk_say(az_live_target(live, i)->talk, (const char *) bytes->data, bytes->len);
}

/* ---- its end ---- */

static void
end_clear(AzLiveEnd *end)
{
  if (end->talk != NULL)
    az_talk_end(g_steal_pointer(&end->talk));
  az_live_frames_clear(&end->frames);
  az_vm_free(end->vm);
  g_free(end->folder);
  g_strfreev(end->left_out);
  g_clear_pointer(&end->listing, az_listing_unref);
  g_clear_pointer(&end->records, g_bytes_unref);
  g_clear_pointer(&end->hashes, g_bytes_unref);
  g_clear_pointer(&end->digest, g_bytes_unref);
}

static void
target_free(gpointer data)
{
  end_clear(data);
  g_free(data);
}

static void
live_clear(gpointer data)
{
  AzSyncLive *live = data;
  end_clear(&live->source);
  g_ptr_array_unref(live->targets);
  g_clear_pointer(&live->sync, az_sync_unref);
  g_clear_pointer(&live->changes, az_listing_unref);
  g_clear_pointer(&live->gone, g_ptr_array_unref);
  g_free(live->primary);
  g_free(live->digest);
  g_free(live->path);
}

void
az_live_unref(AzSyncLive *live)
{
  g_rc_box_release_full(live, live_clear);
}

static void
hang_up(AzLiveEnd *end)
{
  if (end->talk != NULL)
    az_talk_end(g_steal_pointer(&end->talk));
  az_live_frames_clear(&end->frames);
  end->awaited = FALSE;
}

void
az_sync_live_close(AzSyncLive *live)
{
  if (live == NULL)
    return;
  live->closed = TRUE;
  hang_up(&live->source);
  for (guint i = 0; i < live->targets->len; i++)
    hang_up(az_live_target(live, i));
  az_live_unref(live);
}

/* ---- talking ---- */

/* What the source has not told by now it never will: all is to be looked at once more. */
static void
lost(AzLiveEnd *end, gboolean for_good)
{
  AzSyncLive *live = g_rc_box_acquire(end->live);
  gboolean listened = end == &live->source;
  end->awaited = FALSE;
  end->hopeless = for_good;
  az_live_frames_clear(&end->frames);
  live->based = live->based && !listened;
  live->covered = live->covered && !listened;
  live->up = live->up && !listened;
  az_live_give_up(live, "a program of it has ended");
  if (listened && !live->closed)
    live->news.deaf(for_good, live->news.data);
  az_live_unref(live);
}

void
az_live_break(AzLiveEnd *end)
{
  if (end->talk == NULL)
    return;
  az_talk_end(g_steal_pointer(&end->talk));
  lost(end, FALSE);
}

static void
on_ended(int status, const GError *error, gpointer data)
{
  AzLiveEnd *end = data;
  g_autoptr(GError) kept = error != NULL ? g_error_copy(error) : NULL;
  end->talk = NULL;
  lost(end, kept == NULL && status != ROOT_MOVED && status < 128);
}

static void
take_news(AzSyncLive *live, char kind)
{
  if (kind == 'u')
    live->up = TRUE;
  if (live->op != NULL && !live->answering && kind == 'x') /* it was said before the answer, which has it */
    return;
  for (guint i = 0; live->based && i < live->targets->len; i++)
    az_remote_warm(az_engine_remote(live->engine), az_live_target(live, i)->vm);
  live->news.heard(kind == 'u', live->news.data);
}

static void
take(AzLiveEnd *end, char kind, GBytes *payload)
{
  AzSyncLive *live = end->live;
  if (end != &live->source)
    az_live_take_target(end, kind, payload);
  else if (kind == 'u' || kind == 'x')
    take_news(live, kind);
  else if (kind != 'w')
    az_live_take_source(live, kind, payload);
}

static void
on_heard(const char *bytes, gsize length, gpointer data)
{
  AzLiveEnd *end = data;
  AzSyncLive *live = g_rc_box_acquire(end->live);
  g_autoptr(GError) error = NULL;
  az_live_frames_push(&end->frames, bytes, length);
  while (end->talk != NULL && error == NULL) {
    char kind = 0;
    g_autoptr(GBytes) payload = az_live_frames_next(&end->frames, &kind, &error);
    if (payload == NULL)
      break;
    take(end, kind, payload);
  }
  if (error != NULL)
    az_live_break(end);
  az_live_unref(live);
}

static gboolean
start(AzLiveEnd *end, const char *const *argv)
{
  g_autoptr(GError) error = NULL;
  AzTalkRequest request = { .vm = end->vm, .argv = argv, .heard = on_heard, .ended = on_ended, .data = end };
  end->talk = az_remote_talk(az_engine_remote(end->live->engine), &request, &error);
  return end->talk != NULL;
}

static void
start_target(AzLiveEnd *end)
{
  g_autofree char *program = g_strconcat(az_sync_live_common, az_sync_live_target, NULL);
  const char *argv[] = { PYTHON, "-I", "-S", "-c", program, end->live->path, end->folder, NULL };
  if (end->talk == NULL && !end->hopeless)
    start(end, argv);
}

gboolean
az_sync_live_listen(AzSyncLive *live)
{
  g_autofree char *program = g_strconcat(az_sync_live_common, az_sync_live_source, NULL);
  const char *argv[] = { PYTHON, "-I", "-S", "-c", program, live->path, MOST_BYTES, MOST_NAMES, WARM_UP, NULL };
  return live->source.talk != NULL || start(&live->source, argv);
}

/* ---- its beginning ---- */

static gboolean
is_over_ssh(AzEngine *engine, const AzlinVm *vm)
{
  gpointer self = NULL;
  const AzlinProvider *provider = az_engine_provider_of(engine, vm, &self, NULL);
  return provider != NULL && provider->vm_exec == NULL;
}

/* Its bytes go through azlin, which is for the strategies to allow. */
static gboolean
may_relay(AzSync *sync)
{
  AzConfig *config = az_engine_config(sync->engine);
  const char *wanted = sync->strategy != NULL ? sync->strategy : az_config_string(config, "bricks", "sync");
  g_auto(GStrv) names = az_config_strv(config, "bricks", "sync-strategies");
  if (wanted != NULL && *wanted != '\0' && !g_str_equal(wanted, "auto"))
    return g_str_equal(wanted, "stream");
  return names != NULL && g_strv_contains((const char *const *) names, "stream");
}

static gboolean
is_for(AzSync *sync, GPtrArray *targets)
{
  gboolean filtered = sync->exclude != NULL && sync->exclude[0] != NULL;
  gboolean fits = sync->paths->len == 1 && !filtered && sync->bwlimit_kib == 0 && !sync->fresh && may_relay(sync)
                  && is_over_ssh(sync->engine, sync->source);
  for (guint i = 0; i < targets->len; i++)
    fits = fits && is_over_ssh(sync->engine, g_ptr_array_index(targets, i));
  return fits;
}

AzSyncLive *
az_sync_live_new(AzSync *sync, GPtrArray *targets, const AzSyncLiveNews *news)
{
  if (!is_for(sync, targets))
    return NULL;
  AzSyncLive *live = g_rc_box_new0(AzSyncLive);
  live->engine = sync->engine;
  live->path = g_strdup(((AzSyncPath *) g_ptr_array_index(sync->paths, 0))->path);
  live->news = *news;
  live->source = (AzLiveEnd){ .live = live, .vm = az_vm_dup(sync->source) };
  live->targets = g_ptr_array_new_with_free_func(target_free);
  for (guint i = 0; i < targets->len; i++) {
    AzLiveEnd *end = g_new0(AzLiveEnd, 1);
    *end = (AzLiveEnd){ .live = live, .vm = az_vm_dup(g_ptr_array_index(targets, i)) };
    g_ptr_array_add(live->targets, end);
  }
  if (az_sync_live_listen(live))
    return live;
  az_sync_live_close(live);
  return NULL;
}

/* ---- what whole looks show ---- */

void
az_sync_live_look(AzSyncLive *live)
{
  live->covered = live->up;
  if (live->source.talk != NULL)
    az_talk_say(live->source.talk, HEARD, strlen(HEARD));
  for (guint i = 0; i < live->targets->len; i++)
    az_live_target(live, i)->noted = FALSE;
}

static AzLiveEnd *
end_of(AzSyncLive *live, const AzSyncPair *pair)
{
  for (guint i = 0; i < live->targets->len; i++)
    if (g_str_equal(az_live_target(live, i)->vm->region, pair->target->region))
      return az_live_target(live, i);
  return NULL;
}

void
az_sync_live_note(AzSyncLive *live, AzSyncPair *pair)
{
  AzLiveEnd *end = end_of(live, pair);
  if (end == NULL || az_sync_pair_path(pair)->scan.place->base != NULL)
    return;
  if (g_strcmp0(end->folder, pair->scan.place->folder) != 0) {
    hang_up(end);
    g_free(end->folder);
    end->folder = g_strdup(pair->scan.place->folder);
  }
  g_strfreev(end->left_out);
  end->left_out = g_strdupv(pair->left_out);
  g_clear_pointer(&end->listing, az_listing_unref);
  end->listing = az_listing_ref(az_sync_pair_source(pair));
  end->noted = TRUE;
}

void
az_sync_live_looked(AzSyncLive *live, gboolean verified)
{
  live->based = verified && live->covered;
  for (guint i = 0; i < live->targets->len; i++)
    live->based = live->based && az_live_target(live, i)->noted;
  for (guint i = 0; live->based && i < live->targets->len; i++)
    start_target(az_live_target(live, i));
}
