/* Time as the engine sees it: real (CLOCK_BOOTTIME, main loop timers) or virtual (jumps to the next timer when idle).
 */
#include "clock.h"

#include <time.h>

struct _AzClock {
  gboolean is_virtual;
  gint64 virtual_now; /* microseconds since the Unix epoch */
  guint holds;
  gboolean freed; /* by its owner: goes with the last of those who hold it */
  guint64 next_serial;
  GTree *timers;    /* virtual: AzTimer by due time and serial */
  GSource *advance; /* virtual: runs when nothing else is ready */
};

struct _AzTimer {
  AzClock *clock;
  gint64 due;
  guint64 serial;
  GSource *source; /* real clock only */
  void (*func)(gpointer);
  gpointer data;
};

static int
compare_timers(gconstpointer a, gconstpointer b, gpointer unused)
{
  const AzTimer *x = a, *y = b;
  if (x->due != y->due)
    return x->due < y->due ? -1 : 1;
  return x->serial < y->serial ? -1 : x->serial > y->serial;
}

static AzTimer *
first_timer(AzClock *clock)
{
  GTreeNode *node = g_tree_node_first(clock->timers);
  return node == NULL ? NULL : g_tree_node_key(node);
}

static gboolean
advance_prepare(GSource *source, int *timeout)
{
  AzClock *clock = *(AzClock **) (source + 1);
  *timeout = -1;
  return clock->holds == 0 && g_tree_nnodes(clock->timers) > 0;
}

static gboolean
advance_dispatch(GSource *source, GSourceFunc unused_func, gpointer unused_data)
{
  AzClock *clock = *(AzClock **) (source + 1);
  AzTimer *timer = clock->holds == 0 ? first_timer(clock) : NULL;
  if (timer == NULL)
    return G_SOURCE_CONTINUE;
  g_tree_remove(clock->timers, timer);
  clock->virtual_now = MAX(clock->virtual_now, timer->due);
  timer->func(timer->data);
  g_free(timer);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs advance_funcs = { .prepare = advance_prepare, .dispatch = advance_dispatch };

AzClock *
az_clock_new_real(void)
{
  return g_new0(AzClock, 1);
}

AzClock *
az_clock_new_virtual(gint64 start)
{
  AzClock *clock = g_new0(AzClock, 1);
  clock->is_virtual = TRUE;
  clock->virtual_now = start;
  clock->timers = g_tree_new_full(compare_timers, NULL, NULL, NULL);
  clock->advance = g_source_new(&advance_funcs, sizeof(GSource) + sizeof(AzClock *));
  *(AzClock **) (clock->advance + 1) = clock;
  g_source_set_priority(clock->advance, G_PRIORITY_LOW);
  g_source_attach(clock->advance, g_main_context_get_thread_default());
  return clock;
}

static gboolean
free_timer(gpointer key, gpointer value, gpointer unused)
{
  g_free(key);
  return FALSE;
}

void
az_clock_free(AzClock *clock)
{
  if (clock == NULL)
    return;
  if (clock->timers != NULL) {
    g_tree_foreach(clock->timers, free_timer, NULL);
    g_tree_unref(clock->timers);
    g_source_destroy(clock->advance);
    g_source_unref(clock->advance);
  }
  clock->freed = TRUE;
  if (clock->holds == 0)
    g_free(clock);
}

gboolean
az_clock_is_virtual(AzClock *clock)
{
  return clock->is_virtual;
}

gint64
az_clock_now(AzClock *clock)
{
  return clock->is_virtual ? clock->virtual_now : g_get_real_time();
}

gint64
az_clock_monotonic(AzClock *clock)
{
  struct timespec ts;
  if (clock->is_virtual)
    return clock->virtual_now;
  /* not g_get_monotonic_time(): that one stands still while the machine is suspended */
  clock_gettime(CLOCK_BOOTTIME, &ts);
  return (gint64) ts.tv_sec * G_USEC_PER_SEC + ts.tv_nsec / 1000;
}

static gboolean
fire_real(gpointer data)
{
  AzTimer *timer = data;
  GSource *source = g_steal_pointer(&timer->source);
  timer->func(timer->data);
  g_source_unref(source);
  g_free(timer);
  return G_SOURCE_REMOVE;
}

AzTimer *
az_clock_after(AzClock *clock, guint32 ms, void (*func)(gpointer), gpointer data)
{
  AzTimer *timer = g_new0(AzTimer, 1);
  *timer = (AzTimer){ .clock = clock, .func = func, .data = data, .serial = ++clock->next_serial };
  timer->due = az_clock_monotonic(clock) + (gint64) ms * 1000;
  if (clock->is_virtual) {
    g_tree_insert(clock->timers, timer, timer);
    return timer;
  }
  timer->source = g_timeout_source_new(ms);
  g_source_set_callback(timer->source, fire_real, timer, NULL);
  g_source_attach(timer->source, g_main_context_get_thread_default());
  return timer;
}

void
az_timer_cancel(AzTimer *timer)
{
  if (timer == NULL)
    return;
  if (timer->source != NULL) {
    g_source_destroy(timer->source);
    g_source_unref(timer->source);
  } else if (timer->clock->is_virtual) {
    g_tree_remove(timer->clock->timers, timer);
  }
  g_free(timer);
}

void
az_clock_hold(AzClock *clock)
{
  clock->holds++;
}

void
az_clock_release(AzClock *clock)
{
  g_return_if_fail(clock->holds > 0);
  clock->holds--;
  if (clock->holds == 0 && clock->freed)
    g_free(clock);
}
