/* The regions by when they are asked next: a heap, so that ten thousand of them cost a question little more than ten.
 */
#include "detector-private.h"

static Region *
at(const AzDetector *detector, guint place)
{
  return g_ptr_array_index(detector->queue, place);
}

/* Of regions that are due together, the one that was listed first. */
static gboolean
comes_before(const Region *left, const Region *right)
{
  return left->due != right->due ? left->due < right->due : left->serial < right->serial;
}

static void
put(AzDetector *detector, guint place, Region *region)
{
  g_ptr_array_index(detector->queue, place) = region;
  region->place = place;
}

static void
rise(AzDetector *detector, Region *region)
{
  guint place = region->place;
  while (place > 0 && comes_before(region, at(detector, (place - 1) / 2))) {
    put(detector, place, at(detector, (place - 1) / 2));
    place = (place - 1) / 2;
  }
  put(detector, place, region);
}

static void
sink(AzDetector *detector, Region *region)
{
  guint place = region->place, n = detector->queue->len;
  for (guint next; (next = 2 * place + 1) < n; place = next) {
    if (next + 1 < n && comes_before(at(detector, next + 1), at(detector, next)))
      next++;
    if (!comes_before(at(detector, next), region))
      break;
    put(detector, place, at(detector, next));
  }
  put(detector, place, region);
}

void
az_detector_queue_add(AzDetector *detector, Region *region)
{
  region->serial = detector->next_serial++;
  region->place = detector->queue->len;
  g_ptr_array_add(detector->queue, region);
  az_detector_queue_renew(detector, region);
}

void
az_detector_queue_remove(AzDetector *detector, const Region *region)
{
  guint place = region->place;
  Region *last = at(detector, detector->queue->len - 1);
  g_ptr_array_set_size(detector->queue, (int) detector->queue->len - 1);
  if (last == region)
    return;
  put(detector, place, last);
  rise(detector, last);
  sink(detector, last);
}

void
az_detector_queue_renew(AzDetector *detector, Region *region)
{
  region->due = NEVER;
  for (guint i = 0; i < region->rows->len; i++)
    region->due = MIN(region->due, g_array_index(region->rows, Row, i).due);
  rise(detector, region);
  sink(detector, region);
}

Region *
az_detector_queue_first(const AzDetector *detector)
{
  return detector->queue->len > 0 ? at(detector, 0) : NULL;
}

void
az_detector_plan(AzDetector *detector, Region *region, Row *row, gint64 due)
{
  row->due = due;
  az_detector_queue_renew(detector, region);
}
