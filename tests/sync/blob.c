/* The blob strategy's pure parts: addresses, signatures, what is stored, how it is cut, what is swept. */
#include "blob.h"
#include "ledger.h"
#include "staging.h"
#include <glib/gstdio.h>
#include <fcntl.h>
#include <string.h>

#define KEY "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

static gint64
at(const char *iso)
{
  g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(iso, NULL);
  return g_date_time_to_unix(time) * G_USEC_PER_SEC;
}

static void
test_endpoints(void)
{
  const struct {
    const char *url, *account, *expect_url, *expect_account;
  } good[] = {
    { "https://acct.blob.core.windows.net", "", "https://acct.blob.core.windows.net", "acct" },
    { "https://acct.blob.core.windows.net/", NULL, "https://acct.blob.core.windows.net", "acct" },
    { "https://blobs.example.org", "other1", "https://blobs.example.org", "other1" },
    { "http://127.0.0.1:10000/devstoreaccount1", "", "http://127.0.0.1:10000/devstoreaccount1", "devstoreaccount1" },
    { "http://[::1]:10000/devstoreaccount1/", "", "http://[::1]:10000/devstoreaccount1", "devstoreaccount1" },
  };
  const char *const bad[] = { "http://acct.blob.core.windows.net",
                              "http://10.0.0.1:10000/acct",
                              "ftp://acct.blob.core.windows.net",
                              "https://acct.blob.core.windows.net?sv=1",
                              "https://acct.blob.core.windows.net/a\"b",
                              "https://user@acct.blob.core.windows.net",
                              "https://",
                              "acct",
                              "https://A_B.example.org" };
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageEndpoint) endpoint = storage_endpoint_parse("sync.blob", good[i].url, good[i].account, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(endpoint->url, ==, good[i].expect_url);
    g_assert_cmpstr(endpoint->account, ==, good[i].expect_account);
    g_assert_true(g_str_has_prefix(endpoint->url, endpoint->origin));
  }
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(storage_endpoint_parse("sync.blob", bad[i], NULL, &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  }
}

/* The signatures were computed by another implementation. */
static void
test_signatures(void)
{
  StorageTerms terms = { .account = "devstoreaccount1",
                         .container = "azlin-sync-x",
                         .permissions = "w",
                         .start = at("2026-11-27T22:25:00Z"),
                         .expiry = at("2026-11-28T02:30:00Z"),
                         .https_only = TRUE };
  g_autofree char *service = storage_sas_by_account_key(&terms, KEY);
  g_assert_cmpstr(service, ==,
                  "sv=2021-12-02&sr=c&sp=w&st=2026-11-27T22%3A25%3A00Z&se=2026-11-28T02%3A30%3A00Z&spr=https"
                  "&sig="
                  "v3RQv33lzBRDwa0zyP4KAFpr8Wb0P%2Bgf202pQ5WMy9c%3D");
  terms.container = NULL;
  terms.permissions = "dlc";
  terms.types = "sc";
  terms.https_only = FALSE;
  g_autofree char *account = storage_sas_by_account_key(&terms, KEY);
  g_assert_true(g_str_has_suffix(account, "&sig=oTlbd5E6mQJpH2gprFggq6dBRZO%2BFhBHq2uq5Ey6YWk%3D"));
  g_assert_nonnull(strstr(account, "&srt=sc&sp=dlc&"));
  char oid[] = "oid", tid[] = "tid", begins[] = "2026-11-27T22:25:00Z", ends[] = "2026-11-28T03:00:00Z",
       version[] = STORAGE_VERSION, service_name[] = "b", value[] = KEY;
  StorageDelegation key = { oid, tid, begins, ends, service_name, version, value };
  StorageTerms delegated
      = { "acct", "azlin-sync-x", "r", at("2026-11-27T22:25:00Z"), at("2026-11-28T02:30:00Z"), TRUE };
  g_autofree char *by_token = storage_sas_by_delegation(&delegated, &key);
  g_assert_true(g_str_has_suffix(by_token, "&sig=txFPu6dCyzqGIBdN2cYY9X1uLqWapRk9KgE19xE2lW4%3D"));
  g_assert_nonnull(strstr(by_token, "&skoid=oid&sktid=tid&skt=2026-11-27T22%3A25%3A00Z&ske="));
}

static void
test_delegation_keys(void)
{
  static const char xml[]
      = "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><UserDelegationKey><SignedOid>o</SignedOid><SignedTid>t"
        "</SignedTid><SignedStart>s</SignedStart><SignedExpiry>e</SignedExpiry><SignedService>b</SignedService>"
        "<SignedVersion>v</SignedVersion><Value>a2V5</Value></UserDelegationKey>";
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) whole = g_bytes_new_static(xml, sizeof xml - 1);
  g_autoptr(StorageDelegation) key = storage_delegation_parse(whole, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(key->value, ==, "a2V5");
  g_assert_cmpstr(key->version, ==, "v");
  for (gsize length = 0; length < sizeof xml - 30; length += 7) {
    g_autoptr(GBytes) part = g_bytes_new_static(xml, length);
    g_autoptr(GError) torn = NULL;
    g_assert_null(storage_delegation_parse(part, &torn));
    g_assert_error(torn, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  }
}

static void
test_key_files(void)
{
  g_autofree char *path = g_build_filename(g_get_tmp_dir(), "azlin-blob-key-XXXXXX", NULL);
  StorageAccount account = { .group = "sync.blob", .key_file = path };
  g_autoptr(GError) error = NULL;
  int fd = g_mkstemp_full(path, O_RDWR, 0600);
  g_assert_cmpint(fd, >=, 0);
  g_close(fd, NULL);
  g_assert_true(g_file_set_contents_full(path, KEY "\n", -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  g_assert_cmpint(g_chmod(path, 0600), ==, 0);
  g_autofree char *key = storage_read_key(&account, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(key, ==, KEY);
  g_assert_cmpint(g_chmod(path, 0640), ==, 0);
  g_assert_null(storage_read_key(&account, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_clear_error(&error);
  g_assert_true(g_file_set_contents_full(path, "no key at all!", -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  g_assert_cmpint(g_chmod(path, 0600), ==, 0);
  g_assert_null(storage_read_key(&account, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_assert_null(strstr(error->message, "no key at all"));
  g_unlink(path);
  g_clear_error(&error);
  g_assert_null(storage_read_key(&account, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
}

/* ---- the ledger ---- */

static void
cut_plainly(BlobLedger *ledger, guint64 chunk, guint lanes)
{
  BlobCut cut = { .chunk_bytes = chunk, .lanes = lanes };
  g_assert_true(blob_ledger_cut(ledger, &cut));
}

static BlobLedger *
ledger_of(guint64 chunk, guint64 size)
{
  BlobLedger *ledger = blob_ledger_new();
  g_assert_true(blob_ledger_add(ledger, 0, size));
  cut_plainly(ledger, chunk, 1);
  return ledger;
}

static void
store(BlobLedger *ledger, guint32 big, guint32 chunk)
{
  blob_ledger_sum(ledger, big, chunk, "000102030405060708090a0b0c0d0e0f");
  g_assert_cmpint(blob_ledger_echo(ledger, big, chunk, "AAECAwQFBgcICQoLDA0ODw=="), ==, BLOB_CHUNK_STORED);
}

static void
test_chunks_are_stored_when_both_sums_agree(void)
{
  BlobLedger *ledger = ledger_of(10, 25);
  g_assert_cmpint(blob_ledger_length(ledger, 0, 0), ==, 10);
  g_assert_cmpint(blob_ledger_length(ledger, 0, 2), ==, 5);
  g_assert_null(blob_ledger_chunk(ledger, 0, 3));
  g_assert_null(blob_ledger_chunk(ledger, 1, 0));
  store(ledger, 0, 0);
  g_assert_cmpint(blob_ledger_sum(ledger, 0, 0, "ff"), ==, BLOB_CHUNK_KNOWN);
  g_assert_cmpint(blob_ledger_echo(ledger, 0, 1, "AAECAwQFBgcICQoLDA0ODw=="), ==, BLOB_CHUNK_WAITS);
  g_assert_cmpint(blob_ledger_sum(ledger, 0, 1, "ff0102030405060708090a0b0c0d0e0f"), ==, BLOB_CHUNK_TORN);
  g_assert_false(blob_ledger_is_stored(0, 1, ledger));
  store(ledger, 0, 1);
  g_assert_cmpint(blob_ledger_echo(ledger, 0, 2, "-"), ==, BLOB_CHUNK_TORN);
  g_assert_cmpint(blob_ledger_sum(ledger, 0, 2, "00"), ==, BLOB_CHUNK_WAITS);
  g_assert_cmpint(blob_ledger_echo(ledger, 0, 2, "AAECAwQFBgcICQoLDA0ODw=="), ==, BLOB_CHUNK_WAITS);
  g_assert_cmpint(blob_ledger_sum(ledger, 7, 7, "00"), ==, BLOB_CHUNK_KNOWN);
  g_assert_true(blob_ledger_add(ledger, 0, 25));
  g_assert_false(blob_ledger_add(ledger, 0, 26));
  g_assert_false(blob_ledger_add(ledger, 2, 26));
  g_assert_false(blob_ledger_add(ledger, 1, 0));
  blob_ledger_free(ledger);
}

/* Every chunk that is missing is in exactly one run, and no run holds one that is stored. */
static void
check_plan(BlobLedger *ledger, GQueue *runs)
{
  g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
  guint missing = 0;
  while (!g_queue_is_empty(runs)) {
    g_autofree BlobRun *run = g_queue_pop_head(runs);
    g_assert_cmpuint(run->count, >, 0);
    for (guint32 k = run->first; k < run->first + run->count; k++) {
      g_assert_false(blob_ledger_is_stored(run->big, k, ledger));
      g_assert_true(g_hash_table_add(seen, GUINT_TO_POINTER((run->big << 16) | k)));
    }
  }
  for (guint i = 0; i < ledger->bigs->len; i++)
    for (guint32 k = 0; blob_ledger_chunk(ledger, i, k) != NULL; k++)
      missing += blob_ledger_is_stored(i, k, ledger) ? 0 : 1;
  g_assert_cmpuint(g_hash_table_size(seen), ==, missing);
}

static void
test_plans(void)
{
  for (guint seed = 0; seed < 300; seed++) {
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    BlobLedger *ledger = blob_ledger_new();
    GQueue runs = G_QUEUE_INIT;
    for (guint i = 0; i < 4; i++)
      blob_ledger_add(ledger, i, (guint64) g_rand_int_range(random, 1, 2000));
    cut_plainly(ledger, 10, (guint) g_rand_int_range(random, 1, 20));
    for (guint i = 0; i < 4; i++)
      for (guint32 k = 0; blob_ledger_chunk(ledger, i, k) != NULL; k++)
        if (g_rand_int_range(random, 0, 3) == 0)
          store(ledger, i, k);
    blob_ledger_plan(ledger, 0, &runs);
    check_plan(ledger, &runs);
    blob_ledger_free(ledger);
  }
}

/* Whatever is cut how: chunks follow each other without a gap, and none is longer than it may be by more than a bit. */
static void
test_cuts(void)
{
  for (guint seed = 0; seed < 300; seed++) {
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    BlobLedger *ledger = blob_ledger_new();
    BlobCut cut = { .chunk_bytes = (guint64) g_rand_int_range(random, 1, 16) << 20,
                    .lanes = (guint) g_rand_int_range(random, 1, 20),
                    .graded = TRUE };
    for (guint i = 0; i < 3; i++)
      blob_ledger_add(ledger, i, (guint64) g_rand_int_range(random, 1, 700 << 20));
    g_assert_true(blob_ledger_cut(ledger, &cut));
    for (guint i = 0; i < 3; i++) {
      guint64 at = 0;
      for (guint32 k = 0; blob_ledger_chunk(ledger, i, k) != NULL; k++) {
        guint64 length = blob_ledger_length(ledger, i, k);
        g_assert_cmpuint(blob_ledger_chunk(ledger, i, k)->offset, ==, at);
        g_assert_cmpuint(length, >, 0);
        g_assert_cmpuint(length, <=, cut.chunk_bytes * 9 / 8);
        at += length;
      }
      g_assert_cmpuint(at, ==, ((BlobBig *) g_ptr_array_index(ledger->bigs, i))->size);
    }
    blob_ledger_free(ledger);
  }
}

static void
test_lanes_begin_and_end_with_short_chunks(void)
{
  BlobLedger *ledger = blob_ledger_new();
  BlobCut cut = { .chunk_bytes = 2 << 20, .lanes = 16, .graded = TRUE };
  GQueue runs = G_QUEUE_INIT;
  g_assert_true(blob_ledger_add(ledger, 0, 500 << 20));
  g_assert_true(blob_ledger_cut(ledger, &cut));
  blob_ledger_plan(ledger, 0, &runs);
  g_assert_cmpuint(runs.length, ==, 16);
  while (!g_queue_is_empty(&runs)) {
    g_autofree BlobRun *run = g_queue_pop_head(&runs);
    guint32 last = run->first + run->count - 1;
    g_assert_cmpuint(blob_ledger_length(ledger, 0, run->first), ==, 512 << 10);
    g_assert_cmpuint(blob_ledger_length(ledger, 0, run->first + 3), ==, 2 << 20);
    g_assert_cmpuint(blob_ledger_length(ledger, 0, last), <, 768 << 10);
    g_assert_cmpuint(run->count, <, 32);
  }
  blob_ledger_lose(ledger, 0, 5);
  g_assert_cmpuint(blob_ledger_chunk(ledger, 0, 5)->offset, >, 0);
  blob_ledger_free(ledger);
}

/* Chunks that any lane takes: short ones first and last, for all files together; a plan of single ones. */
static void
test_shared_chunks_are_short_at_both_ends(void)
{
  for (guint seed = 0; seed < 100; seed++) {
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    BlobLedger *ledger = blob_ledger_new();
    BlobCut cut = { .chunk_bytes = 1 << 20, .lanes = (guint) g_rand_int_range(random, 1, 32), .shared = TRUE };
    GQueue runs = G_QUEUE_INIT;
    guint nth = 0;
    for (guint i = 0; i < 3; i++)
      blob_ledger_add(ledger, i, (guint64) g_rand_int_range(random, 100 << 20, 300 << 20));
    g_assert_true(blob_ledger_cut(ledger, &cut));
    blob_ledger_plan(ledger, 1, &runs);
    for (GList *link = runs.head; link != NULL; link = link->next, nth++) {
      const BlobRun *run = link->data;
      guint64 length = blob_ledger_length(ledger, run->big, run->first);
      g_assert_cmpuint(run->count, ==, 1);
      g_assert_cmpuint(length, <=, cut.chunk_bytes * 9 / 8);
      if (nth < cut.lanes || link->next == NULL)
        g_assert_cmpuint(length, <=, 256 * 1024 * 3 / 2);
      if (nth == 3 * cut.lanes)
        g_assert_cmpuint(length, ==, cut.chunk_bytes);
    }
    check_plan(ledger, &runs);
    blob_ledger_free(ledger);
  }
}

static void
test_no_file_is_of_impossible_size(void)
{
  BlobLedger *ledger = blob_ledger_new();
  BlobCut cut = { .chunk_bytes = 1 << 20, .lanes = 16, .graded = TRUE };
  g_assert_true(blob_ledger_add(ledger, 0, G_MAXUINT64 / 2));
  g_assert_false(blob_ledger_cut(ledger, &cut));
  blob_ledger_free(ledger);
}

static void
test_spans(void)
{
  BlobLedger *ledger = ledger_of(10, 25);
  BlobRun run = { .big = 0, .first = 1, .count = 2 };
  g_autofree char *spans = blob_ledger_spans(ledger, &run);
  g_assert_cmpstr(spans, ==, "10 10 5");
  blob_ledger_free(ledger);
}

/* ---- the line ---- */

/* Flights of a connection that begins, each spread out by a line of so many MB a second, 80 ms apart. */
static BlobTrain
train_over(double mb_per_second, guint n_flights)
{
  BlobTrain train = { 0 };
  gint64 now = 1000000;
  for (guint flight = 0; flight < n_flights; flight++)
    for (guint packet = 0; packet < 10u << flight; packet++)
      blob_train_arrived(&train, 1448, now + 80000 * flight + (gint64) (packet * 1448 / mb_per_second));
  return train;
}

static void
test_a_train_tells_the_line(void)
{
  for (double line = 2; line < 200; line *= 1.5) {
    BlobTrain train = train_over(line, 5);
    g_assert_cmpfloat(blob_train_rate(&train) * 1.048576, >, line * 0.9);
    g_assert_cmpfloat(blob_train_rate(&train) * 1.048576, <, line * 1.1);
  }
  BlobTrain nothing = { 0 }, first_flights = train_over(25, 3);
  g_assert_cmpfloat(blob_train_rate(&nothing), <=, 0);
  g_assert_cmpfloat(blob_train_rate(&first_flights), <=, 0);
  /* a processor was busy while a longer flight arrived: the line is as broad as it was */
  BlobTrain held_up = train_over(119, 5);
  for (guint packet = 0; packet < 320; packet++)
    blob_train_arrived(&held_up, 1448, 2000000 + packet * 12 + (packet > 100 ? 9000 : 0));
  g_assert_cmpfloat(blob_train_rate(&held_up) * 1.048576, >, 119 * 0.9);
}

static void
test_what_a_broken_run_leaves(void)
{
  BlobLedger *ledger = ledger_of(10, 100);
  GQueue runs = G_QUEUE_INIT;
  BlobRun run = { .big = 0, .first = 2, .count = 5, .tries = 3, .done = 1 };
  blob_run_rest(&run, 0, blob_ledger_is_stored, ledger, &runs);
  g_assert_cmpuint(runs.length, ==, 1);
  g_assert_cmpuint(((BlobRun *) runs.head->data)->tries, ==, 4);
  g_queue_clear_full(&runs, g_free);
  store(ledger, 0, 4);
  blob_run_rest(&run, 0, blob_ledger_is_stored, ledger, &runs);
  g_assert_cmpuint(runs.length, ==, 2);
  const BlobRun *first = runs.head->data, *last = runs.tail->data;
  g_assert_cmpuint(first->first, ==, 2);
  g_assert_cmpuint(first->count, ==, 2);
  g_assert_cmpuint(last->first, ==, 5);
  g_assert_cmpuint(last->count, ==, 2);
  g_assert_cmpuint(last->tries, ==, 0); /* it came forward */
  g_assert_cmpuint(last->done, ==, 0);
  g_queue_clear_full(&runs, g_free);
  blob_ledger_free(ledger);
}

static void
test_runs_are_split(void)
{
  BlobRun run = { .big = 1, .first = 10, .count = 9 };
  g_autofree BlobRun *tail = blob_run_split(&run, 2);
  g_assert_cmpuint(tail->count, ==, 4);
  g_assert_cmpuint(tail->first, ==, 15);
  g_assert_cmpuint(run.count, ==, 5);
  g_assert_null(blob_run_split(&run, 5));
  g_assert_null(blob_run_split(&run, 7));
  g_autofree BlobRun *all = blob_run_split(&run, 4);
  g_assert_cmpuint(all->count, ==, 1);
  g_assert_cmpuint(run.count, ==, 4);
}

static void
test_little_is_not_taken_over(void)
{
  BlobPace unknown = { 0 }, slow = { .usual = 500000 };
  g_assert_false(blob_pace_worth_taking(&unknown, 64 << 20));
  g_assert_false(blob_pace_worth_taking(&slow, 1 << 20));
  g_assert_true(blob_pace_worth_taking(&slow, 4 << 20));
}

static void
test_late_runs_get_a_twin(void)
{
  BlobRun run = { .big = 1, .first = 10, .count = 3, .since = 1000000 };
  BlobPace pace = { 0 };
  g_assert_false(blob_run_is_late(&run, &pace, 1 << 20, TRUE, 90000000)); /* nobody knows what is usual */
  blob_run_moved(&run, &pace, 1 << 20, 2000000);
  g_assert_cmpint(pace.usual, ==, 1000000);
  g_assert_false(blob_run_is_late(&run, &pace, 1 << 20, TRUE, 2900000));
  g_assert_true(blob_run_is_late(&run, &pace, 1 << 20, TRUE, 3100000));
  g_assert_false(blob_run_is_late(&run, &pace, 1 << 20, FALSE, 4900000));
  g_assert_true(blob_run_is_late(&run, &pace, 1 << 20, FALSE, 5100000));
  g_autofree BlobRun *twin = blob_run_twin(&run);
  g_assert_cmpuint(twin->big, ==, 1);
  g_assert_cmpuint(twin->first, ==, 11);
  g_assert_cmpuint(twin->count, ==, 1);
  g_assert_false(blob_run_is_late(&run, &pace, 1 << 20, FALSE, 5100000)); /* once is enough */
  blob_run_moved(&run, &pace, 1 << 20, 6000000);
  g_assert_cmpint(pace.usual, ==, 1375000);
  run.since = 0; /* it waits for its next chunk to be stored */
  g_assert_false(blob_run_is_late(&run, &pace, 1 << 20, TRUE, 90000000));
}

/* ---- how it is cut, and what it is worth ---- */

/* Connections that stay need Python on both machines, and nobody who wants them slow. */
static void
test_warm_tuning(void)
{
  AzlinSyncFacts facts = { .size = sizeof facts, .rtt_source_ms = 80, .rtt_target_ms = 80, .rtt_between_ms = 80 };
  AzlinSyncJob job = { .size = sizeof job, .bytes = 500 << 20, .facts = &facts };
  BlobWishes none = { 0 };
  facts.tools_source = facts.tools_target = " curl zstd python3 ";
  BlobTuning warm = blob_tune(&job, &none);
  g_assert_true(warm.warm && warm.cut.shared && !warm.train);
  g_assert_cmpuint(warm.cut.lanes * warm.cut.chunk_bytes, <=, 16u << 20);
  g_assert_cmpuint(warm.piece_bytes, ==, 1 << 20);
  g_assert_cmpuint(warm.big_bytes, ==, 8 << 20);
  g_assert_cmpuint(blob_tune_longest_run(&warm), ==, 1);
  g_assert_cmpuint(blob_tune_told(&warm, 24), ==, 48);
  job.bytes = G_GUINT64_CONSTANT(8) << 30;
  BlobTuning large = blob_tune(&job, &none);
  g_assert_cmpuint(large.piece_bytes, ==, 4 << 20);
  g_assert_cmpuint(large.big_bytes, ==, 16 << 20);
  job.bytes = 500 << 20;
  job.bwlimit_kib = 1000;
  g_assert_false(blob_tune(&job, &none).warm);
  job.bwlimit_kib = 0;
  BlobWishes mixed = { .cold = TRUE }; /* another target has none */
  BlobTuning other = blob_tune(&job, &mixed);
  g_assert_false(other.warm || other.cut.shared);
  g_assert_true(other.train);
  facts.tools_target = " curl zstd ";
  BlobTuning cold = blob_tune(&job, &none);
  g_assert_false(cold.warm || cold.cut.shared);
  g_assert_cmpuint(blob_tune_told(&cold, 24), ==, 24);
}

static void
test_tuning(void)
{
  AzlinSyncFacts facts = { .size = sizeof facts,
                           .rtt_source_ms = 80,
                           .rtt_target_ms = 80,
                           .rtt_between_ms = 80,
                           .tools_source = " curl zstd ",
                           .tools_target = " curl zstd " };
  AzlinSyncJob job = { .size = sizeof job, .bytes = 500 << 20, .facts = &facts };
  BlobWishes none = { 0 }, wishes = { .connections = 5, .chunk_bytes = 3 << 20 };
  BlobTuning far = blob_tune(&job, &none), wished = blob_tune(&job, &wishes);
  g_assert_cmpuint(far.cut.lanes * far.cut.chunk_bytes, <=, 48u << 20);
  g_assert_cmpuint(far.level, >, 0);
  g_assert_true(far.train);
  blob_tune_to_line(&far, 24);
  g_assert_cmpuint(far.cut.chunk_bytes, ==, 1 << 20);
  g_assert_cmpuint(far.cut.lanes, ==, 24);
  blob_tune_to_line(&far, 45); /* a broad one of which a busy processor has hidden the most */
  g_assert_cmpuint(far.cut.lanes, ==, 16);
  g_assert_cmpuint(far.cut.chunk_bytes, ==, 4 << 20);
  blob_tune_to_line(&far, 120);
  g_assert_cmpuint(far.cut.lanes, ==, 16);
  g_assert_cmpuint(far.cut.chunk_bytes, ==, 5 << 20);
  blob_tune_to_line(&wished, 120);
  g_assert_cmpuint(wished.cut.lanes, ==, 5);
  g_assert_cmpuint(wished.cut.chunk_bytes, ==, 3 << 20);
  far = blob_tune(&job, &none);
  g_assert_cmpuint(wished.cut.lanes, ==, 5);
  g_assert_cmpuint(wished.cut.chunk_bytes, ==, 3 << 20);
  facts.tools_target = " curl ";
  g_assert_cmpuint(blob_tune(&job, &none).level, ==, 0);
  facts.rtt_source_ms = facts.rtt_target_ms = facts.rtt_between_ms = 0.1;
  g_assert_cmpuint(blob_tune(&job, &none).cut.chunk_bytes, >, far.cut.chunk_bytes);
  job.bwlimit_kib = 1000;
  BlobTuning limited = blob_tune(&job, &none);
  g_assert_cmpuint(limited.rate * (limited.cut.lanes + limited.packers), <=, 1000 * 1024);
  job.bytes = G_GUINT64_CONSTANT(1) << 45;
  job.facts = NULL;
  for (guint64 size = 1; size < G_GUINT64_CONSTANT(1) << 45; size *= 3) {
    job.bytes = size;
    BlobTuning tuning = blob_tune(&job, &none);
    g_assert_cmpuint(tuning.cut.chunk_bytes % 65536, ==, 0); /* the scripts read blocks of that */
    g_assert_cmpuint(tuning.cut.chunk_bytes, <=, 64 << 20);
  }
}

static void
test_predictions(void)
{
  AzlinVm vm = { .size = sizeof vm, .region = "eastus" };
  AzlinSyncFacts facts = { .size = sizeof facts, .tools_source = " curl ", .tools_target = " rsync " };
  AzlinSyncJob job = { .size = sizeof job, .source = &vm, .target = &vm, .bytes = 1000 << 20, .files = 1 };
  BlobSpeed speed = { 50, 5000 };
  g_autoptr(StorageEndpoint) endpoint
      = storage_endpoint_parse("sync.blob", "https://acct.blob.core.windows.net", NULL, NULL);
  char *reason = NULL;
  g_assert_cmpfloat(blob_predict(&speed, NULL, &job, &reason), <, 0);
  g_assert_nonnull(strstr(reason, "endpoint"));
  g_clear_pointer(&reason, g_free);
  double plain = blob_predict(&speed, endpoint, &job, NULL);
  g_assert_cmpfloat(plain, >, 20);
  g_assert_cmpfloat(plain, <, 30);
  job.facts = &facts;
  g_assert_cmpfloat(blob_predict(&speed, endpoint, &job, &reason), <, 0);
  g_assert_cmpstr(reason, ==, "eastus has no curl");
  g_clear_pointer(&reason, g_free);
  facts.tools_target = " curl ";
  job.bwlimit_kib = 1024;
  g_assert_cmpfloat(blob_predict(&speed, endpoint, &job, NULL), >, 1000);
  job.dry_run = TRUE;
  g_assert_cmpfloat(blob_predict(&speed, endpoint, &job, NULL), <, 0);
}

/* ---- old containers ---- */

static void
test_what_is_swept(void)
{
  static const char xml[]
      = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><EnumerationResults ServiceEndpoint=\"x\"><Containers>"
        "<Container><Name>azlin-sync-20261126t200000-1a2b3c4d-5e6f</Name><Properties><Last-Modified>x</Last-Modified>"
        "</Properties><Metadata><azlin_created>2026-11-26T20:00:00Z</azlin_created></Metadata></Container>"
        "<Container><Name>azlin-sync-20261127t200000-1a2b3c4d-5e6f</Name><Metadata><azlin_created>2026-11-27T20:00:00Z"
        "</azlin_created></Metadata></Container>"
        "<Container><Name>azlin-sync-of-mine</Name><Metadata><azlin_created>2020-11-26T20:00:00Z</azlin_created>"
        "</Metadata></Container>"
        "<Container><Name>azlin-sync-20201126t200000-1a2b3c4d-5e6f</Name></Container>"
        "</Containers><NextMarker/></EnumerationResults>";
  g_autoptr(GBytes) bytes = g_bytes_new_static(xml, sizeof xml - 1);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) listed = blob_container_parse(bytes, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(g_variant_n_children(listed), ==, 3);
  g_auto(GStrv) chosen = blob_sweep_choose(listed, at("2026-11-27T22:00:00Z"));
  g_assert_cmpuint(g_strv_length(chosen), ==, 1);
  g_assert_cmpstr(chosen[0], ==, "azlin-sync-20261126t200000-1a2b3c4d-5e6f");
  g_autoptr(GBytes) torn = g_bytes_new_static(xml, 100);
  g_assert_null(blob_container_parse(torn, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  g_autofree char *name = blob_container_name(at("2026-11-26T20:00:00Z"));
  g_assert_cmpuint(strlen(name), <=, 63);
  g_autoptr(GVariant) own = g_variant_ref_sink(g_variant_new_parsed("[(%s, int64 1)]", name));
  g_auto(GStrv) ours = blob_sweep_choose(own, at("2026-11-27T22:00:00Z"));
  g_assert_cmpuint(g_strv_length(ours), ==, 1);
}

static void
test_a_refusal_is_put_into_words(void)
{
  BlobSession session = { 0 };
  blob_session_refused(&session, "000"); /* nobody answered */
  g_assert_null(session.words);
  blob_session_refused(&session, "403");
  g_assert_cmpstr(session.words, ==, "the blob service answered with status 403");
  blob_session_refused(&session, "99999999999999999999");
  g_assert_cmpstr(session.words, ==, "the blob service answered with status 999");
  g_free(session.words);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/blob/endpoints", test_endpoints);
  g_test_add_func("/blob/signatures", test_signatures);
  g_test_add_func("/blob/delegation-keys", test_delegation_keys);
  g_test_add_func("/blob/key-files", test_key_files);
  g_test_add_func("/blob/chunks", test_chunks_are_stored_when_both_sums_agree);
  g_test_add_func("/blob/plans", test_plans);
  g_test_add_func("/blob/cuts", test_cuts);
  g_test_add_func("/blob/graded", test_lanes_begin_and_end_with_short_chunks);
  g_test_add_func("/blob/tuning/warm", test_warm_tuning);
  g_test_add_func("/blob/shared", test_shared_chunks_are_short_at_both_ends);
  g_test_add_func("/blob/impossible-sizes", test_no_file_is_of_impossible_size);
  g_test_add_func("/blob/spans", test_spans);
  g_test_add_func("/blob/trains", test_a_train_tells_the_line);
  g_test_add_func("/blob/broken-runs", test_what_a_broken_run_leaves);
  g_test_add_func("/blob/split-runs", test_runs_are_split);
  g_test_add_func("/blob/taken-over", test_little_is_not_taken_over);
  g_test_add_func("/blob/late-runs", test_late_runs_get_a_twin);
  g_test_add_func("/blob/tuning", test_tuning);
  g_test_add_func("/blob/predictions", test_predictions);
  g_test_add_func("/blob/sweep", test_what_is_swept);
  g_test_add_func("/blob/refusals", test_a_refusal_is_put_into_words);
  return g_test_run();
}
