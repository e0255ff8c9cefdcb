/* The prediction of sync-stream: which road a copy takes, on the links and data sets that are measured. */
#include "../../plugins/sync-stream/stream.h"

static const AzlinVm source = { .size = sizeof source, .region = "eastus" };
static const AzlinVm target = { .size = sizeof target, .region = "westus2" };

static StreamForecast
predict(double mib, guint64 files, double rtt_ms, double between_ms, double mib_per_second, guint32 bwlimit_kib)
{
  AzlinSyncFacts facts = { .size = sizeof facts,
                           .rtt_source_ms = rtt_ms,
                           .rtt_target_ms = rtt_ms,
                           .rtt_between_ms = between_ms,
                           .mib_per_second = mib_per_second,
                           .tools_source = " rsync zstd ",
                           .tools_target = " zstd " };
  AzlinSyncJob job = { .size = sizeof job,
                       .source = &source,
                       .target = &target,
                       .path = "/x",
                       .bytes = (guint64) (mib * 1048576),
                       .files = files,
                       .bwlimit_kib = bwlimit_kib,
                       .facts = &facts };
  return stream_predict(&job, 32, STREAM_AUTO);
}

static void
test_small_goes_through_azlin(void)
{
  StreamForecast edited = predict(1, 100, 80, 80, 20, 0), tree = predict(109, 3943, 80, 80, 20, 0);
  g_assert_cmpint(edited.road, ==, STREAM_RELAY);
  g_assert_cmpfloat(edited.relay, <, 1.2);
  g_assert_cmpint(tree.road, ==, STREAM_RELAY);
  g_assert_cmpuint(tree.level, ==, 3);
}

static void
test_large_goes_straight(void)
{
  StreamForecast fast = predict(500, 1, 80, 80, 110, 0), slow = predict(500, 1, 80, 80, 22, 0);
  g_assert_cmpint(fast.road, ==, STREAM_DIRECT);
  g_assert_cmpfloat(fast.direct, >, 4.5);
  g_assert_cmpfloat(fast.direct, <, 9);
  g_assert_cmpuint(fast.connections, ==, 6);
  g_assert_cmpint(slow.road, ==, STREAM_DIRECT); /* so much does not go through azlin's own line */
  g_assert_cmpfloat(slow.direct, >, 20);
}

static void
test_near(void)
{
  StreamForecast near = predict(100, 10000, 0.1, 0.1, 0, 0);
  g_assert_cmpint(near.road, ==, STREAM_RELAY);
  g_assert_cmpuint(near.level, ==, 0);
  g_assert_cmpfloat(near.relay, <, 1.5);
}

static void
test_shut_and_unknown(void)
{
  StreamForecast shut = predict(500, 1, 80, -2, 110, 0), unknown = predict(500, 1, -1, -1, 0, 0);
  g_assert_cmpfloat(shut.direct, <, 0);
  g_assert_cmpint(shut.road, ==, STREAM_RELAY);
  g_assert_cmpfloat(unknown.direct, >, 0);
  AzlinSyncJob bare = { .size = sizeof bare, .source = &source, .target = &target, .path = "/x", .bytes = 1 << 20 };
  g_assert_cmpfloat(stream_predict(&bare, 32, STREAM_AUTO).direct, >, 0);
  g_assert_cmpint(stream_predict(&bare, 32, STREAM_DIRECT).road, ==, STREAM_DIRECT);
  g_assert_cmpint(stream_predict(&bare, 32, STREAM_RELAY).road, ==, STREAM_RELAY);
}

/* Is it left somewhere on its way, told every tenth of a second from that one on? It carried mib_per_second[i] in the
 * second i. */
static gboolean
is_left_from(const StreamForecast *forecast, guint first_tenth, const double *mib_per_second, guint seconds)
{
  StreamPace pace = { 0 };
  double mib = 0.1;
  for (guint tenth = first_tenth; tenth < seconds * 10; tenth++) {
    if (stream_is_to_leave(forecast, &pace, mib * 1048576, tenth / 10.0))
      return TRUE;
    mib += mib_per_second[tenth / 10] / 10;
  }
  return FALSE;
}

static gboolean
is_left(const StreamForecast *forecast, const double *mib_per_second, guint seconds)
{
  return is_left_from(forecast, 4, mib_per_second, seconds);
}

static void
test_a_slow_road_is_left(void)
{
  const StreamForecast forecast = { .leave = 1.25, .wire = 6 * 1048576.0, .direct = 3, .trial = 1 };
  StreamForecast alone = forecast;
  alone.direct = -1;
  g_assert_true(is_left(&forecast, (double[]){ 0.9, 0.9 }, 2));  /* 5.5 MiB more: 6 seconds, or 3 for all of it */
  g_assert_false(is_left(&forecast, (double[]){ 0.9, 0.9 }, 1)); /* too early to say */
  g_assert_false(is_left(&forecast, (double[]){ 1.5, 1.5, 1.5, 1.5, 1.5 }, 5)); /* 3.3 */
  g_assert_false(is_left(&alone, (double[]){ 0.1, 0.1, 0.1 }, 3));
}

/* There the machines may be slower than was thought, and a line is as narrow as anywhere. */
static void
test_next_to_each_other_it_takes_more(void)
{
  const StreamForecast near = predict(100, 10000, 0.1, 0.1, 0, 0);
  StreamForecast far = predict(100, 10000, 5, 5, 0, 0);
  far.level = 0; /* as near: there is no count to be waited for */
  g_assert_false(is_left(&near, (double[]){ 20, 20, 20, 20, 20 }, 5));
  g_assert_false(is_left(&near, (double[]){ 10, 10, 10, 10, 10 }, 5));
  g_assert_true(is_left(&near, (double[]){ 2, 2, 2, 2, 2 }, 5));
  g_assert_true(is_left(&far, (double[]){ 20, 20, 20, 20, 20 }, 5));
}

static void
test_a_road_is_judged_by_its_better_side(void)
{
  const StreamForecast forecast = { .leave = 1.25, .wire = 20 * 1048576.0, .direct = 3, .trial = 2 };
  g_assert_false(is_left(&forecast, (double[]){ 0.5, 5, 5, 5 }, 4));           /* it has yet to reach its pace */
  g_assert_false(is_left(&forecast, (double[]){ 8, 8, 0, 8 }, 4));             /* it stood still */
  g_assert_true(is_left(&forecast, (double[]){ 5, 2, 1, 1 }, 4));              /* it gets slower and slower */
  g_assert_false(is_left(&forecast, (double[]){ 20, 20, 0, 0 }, 4));           /* it shrank less than was thought */
  g_assert_false(is_left_from(&forecast, 25, (double[]){ 0, 0, 0.5, 20 }, 4)); /* its first bytes were late */
}

/* Is it left where the target's tar has counted `unpacked[i]` MiB in the midst of the second i, at which it is judged?
 * Next to nothing arrives. */
static gboolean
is_left_counting(const StreamForecast *forecast, const double *unpacked, guint seconds)
{
  StreamPace pace = { .marked = 0.1 };
  for (guint i = 0; i < seconds; i++) {
    pace.unpacked = unpacked[i] * 1048576;
    if (stream_is_to_leave(forecast, &pace, (1 + 0.1 * i) * 1048576, i + 0.5))
      return TRUE;
  }
  return FALSE;
}

/* What has come out of it tells how much more there is; it is waited for from the trial's end, 2 s, until 4 s. */
static void
test_what_shrinks_more_is_stayed_with(void)
{
  const StreamForecast forecast
      = { .level = 3, .leave = 1.25, .wire = 60 * 1048576.0, .archive = 100 * 1048576.0, .direct = 4, .trial = 2 };
  StreamForecast plain = forecast, small = forecast;
  plain.level = 0;
  small.archive = 0.5 * 1048576;
  g_assert_false(is_left_counting(&forecast, (double[]){ 1, 20, 40, 60, 80, 99 }, 6));
  g_assert_true(is_left_counting(&forecast, (double[]){ 1, 10, 20 }, 3));
  g_assert_false(is_left_counting(&forecast, (double[]){ 0, 0, 0, 0, 1, 40 }, 6)); /* its first bytes were late, */
  g_assert_true(is_left_counting(&forecast, (double[]){ 0, 0, 0, 0, 1, 2 }, 6));   /* and so are those behind them */
  g_assert_true(is_left_counting(&forecast, (double[]){ 0, 0, 0, 0, 40, 41 }, 6)); /* a burst is no pace */
  g_assert_false(is_left_counting(&forecast, (double[]){ 0, 0, 0, 0 }, 4));
  g_assert_true(is_left_counting(&forecast, (double[]){ 0, 0, 0, 0, 0 }, 5));         /* it does not count at all */
  g_assert_true(is_left_counting(&forecast, (double[]){ 1, 20, 40, 40, 40, 40 }, 6)); /* it stands still */
  g_assert_false(is_left_counting(&small, (double[]){ 0.2, 0.2, 0.2 }, 3));           /* the next count is on its way */
  g_assert_true(is_left_counting(&plain, (double[]){ 0, 0, 0 }, 3));                  /* nothing is waited for */
}

/* More to copy, or less of a line, never takes less time; a limit is never beaten. */
static void
test_bounds(void)
{
  double before_direct = 0, before_relay = 0;
  for (double mib = 0; mib < 100000; mib = mib * 2 + 1) {
    StreamForecast forecast = predict(mib, 10, 80, 80, 50, 0), limited = predict(mib, 10, 80, 80, 50, 1024);
    g_assert_cmpfloat(forecast.direct, >=, before_direct);
    g_assert_cmpfloat(forecast.relay, >=, before_relay);
    g_assert_cmpfloat(limited.direct, >=, mib);
    g_assert_cmpuint(forecast.connections, >=, 1);
    g_assert_cmpuint(forecast.connections, <=, 32);
    before_direct = forecast.direct;
    before_relay = forecast.relay;
  }
  g_assert_cmpfloat(predict(G_MAXUINT32, 1, 80, 80, 50, 0).direct, >, 1e6);
  g_assert_cmpfloat(predict(1, 1000000, 1, 1, 50, 0).relay, >, predict(1, 1, 1, 1, 50, 0).relay);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/stream-score/slow-road", test_a_slow_road_is_left);
  g_test_add_func("/stream-score/next-to-each-other", test_next_to_each_other_it_takes_more);
  g_test_add_func("/stream-score/better-side", test_a_road_is_judged_by_its_better_side);
  g_test_add_func("/stream-score/small", test_small_goes_through_azlin);
  g_test_add_func("/stream-score/large", test_large_goes_straight);
  g_test_add_func("/stream-score/near", test_near);
  g_test_add_func("/stream-score/shut-and-unknown", test_shut_and_unknown);
  g_test_add_func("/stream-score/shrinks", test_what_shrinks_more_is_stayed_with);
  g_test_add_func("/stream-score/bounds", test_bounds);
  return g_test_run();
}
