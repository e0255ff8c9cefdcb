/* Time as the engine sees it: real (CLOCK_BOOTTIME, main loop timers) or virtual (jumps to the next timer when idle).
 */
#pragma once
#include <glib.h>
G_BEGIN_DECLS
typedef struct _AzClock AzClock;

AzClock *az_clock_new_real(void);
/* Starts at `start` (microseconds since the Unix epoch); timers fire in order as soon as nothing else is ready. */
AzClock *az_clock_new_virtual(gint64 start);
/* Whoever holds it, as for a process that is not reaped yet, may still release it afterwards. */
void az_clock_free(AzClock *clock);

gboolean az_clock_is_virtual(AzClock *clock);
gint64 az_clock_now(AzClock *clock);       /* wall time, microseconds since the Unix epoch */
gint64 az_clock_monotonic(AzClock *clock); /* CLOCK_BOOTTIME or virtual, microseconds */

typedef struct _AzTimer AzTimer;
/* Calls `func` once after `ms`; the timer is gone after that. */
AzTimer *az_clock_after(AzClock *clock, guint32 ms, void (*func)(gpointer), gpointer data);
void az_timer_cancel(AzTimer *timer);

/* While real I/O is under way a virtual clock must not jump. Calls nest. */
void az_clock_hold(AzClock *clock);
void az_clock_release(AzClock *clock);
G_END_DECLS
