/* Time as the engine sees it: real (CLOCK_BOOTTIME, timers of the main loop) or virtual (jumps to the next timer when
 * idle). Either has one source for all of its timers: the main loop looks at each source in every turn, and thousands
 * of deadlines are under way. */
#include "clock.h"

#include <time.h>

struct _AzClock {
  gboolean is_virtual;
  gint64 virtual_now; /* microseconds since the Unix epoch */
  guint holds;
  gboolean freed; /* by its owner: goes with the last of those who hold it */
  guint64 next_serial;
  GTree *timers;    /* AzTimer by due time and serial */
  GSource *advance; /* real: runs when the first is due; virtual: when nothing else is ready */
};

struct _AzTimer {
  AzClock *clock;
  gint64 due; /* real: as g_get_monotonic_time(), which the main loop goes by */
  guint64 serial;
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

static AzClock *
clock_of(GSource *source)
{
  return *(AzClock **) (source + 1);
}

static void
fire_first(AzClock *clock)
{
  AzTimer *timer = first_timer(clock);
  g_tree_remove(clock->timers, timer);
  clock->virtual_now = MAX(clock->virtual_now, timer->due);
  timer->func(timer->data); /* may free the clock */
  g_free(timer);
}

static gboolean
advance_prepare(GSource *source, int *timeout)
{
  AzClock *clock = clock_of(source);
  *timeout = -1;
  return clock->holds == 0 && g_tree_nnodes(clock->timers) > 0;
}

static gboolean
advance_dispatch(GSource *source, GSourceFunc unused_func, gpointer unused_data)
{
  AzClock *clock = clock_of(source);
  if (clock->holds == 0 && first_timer(clock) != NULL)
    fire_first(clock);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs advance_funcs = { .prepare = advance_prepare, .dispatch = advance_dispatch };

static gboolean
is_due(GSource *source)
{
  const AzTimer *timer = first_timer(clock_of(source));
  return timer != NULL && timer->due <= g_source_get_time(source);
}

static gboolean
wait_prepare(GSource *source, int *timeout)
{
  const AzTimer *timer = first_timer(clock_of(source));
  gint64 ms = timer != NULL ? (timer->due - g_source_get_time(source) + 999) / 1000 : -1;
  *timeout = (int) MIN(ms, G_MAXINT);
  return timer != NULL && ms <= 0;
}

static gboolean
wait_dispatch(GSource *source, GSourceFunc unused_func, gpointer unused_data)
{
  if (is_due(source))
    fire_first(clock_of(source));
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs wait_funcs = { .prepare = wait_prepare, .check = is_due, .dispatch = wait_dispatch };

static AzClock *
clock_new(GSourceFuncs *funcs, int priority)
{
  AzClock *clock = g_new0(AzClock, 1);
  clock->timers = g_tree_new_full(compare_timers, NULL, NULL, NULL);
  clock->advance = g_source_new(funcs, sizeof(GSource) + sizeof(AzClock *));
  *(AzClock **) (clock->advance + 1) = clock;
  g_source_set_priority(clock->advance, priority);
  g_source_attach(clock->advance, g_main_context_get_thread_default());
  return clock;
}

AzClock *
az_clock_new_real(void)
{
  AzClock *clock = clock_new(&wait_funcs, G_PRIORITY_DEFAULT);
  g_source_set_can_recurse(clock->advance, TRUE); /* whoever waits inside a timer waits for others */
  return clock;
}

AzClock *
az_clock_new_virtual(gint64 start)
{
  AzClock *clock = clock_new(&advance_funcs, G_PRIORITY_LOW);
  clock->is_virtual = TRUE;
  clock->virtual_now = start;
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
  g_tree_foreach(clock->timers, free_timer, NULL);
  g_tree_unref(clock->timers);
  g_source_destroy(clock->advance);
  g_source_unref(clock->advance);
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

AzTimer *
az_clock_after(AzClock *clock, guint32 ms, void (*func)(gpointer), gpointer data)
{
  AzTimer *timer = g_new0(AzTimer, 1);
  gint64 now = clock->is_virtual ? clock->virtual_now : g_get_monotonic_time();
  *timer = (AzTimer){ .clock = clock, .func = func, .data = data, .serial = ++clock->next_serial };
  timer->due = now + (gint64) ms * 1000;
  g_tree_insert(clock->timers, timer, timer);
  return timer;
}

void
az_timer_cancel(AzTimer *timer)
{
  if (timer == NULL)
    return;
  g_tree_remove(timer->clock->timers, timer);
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
