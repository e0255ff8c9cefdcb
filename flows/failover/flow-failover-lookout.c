/* Drives a detector with real probes: health checks and glances from here, scans through witnesses. */
#include "flow-failover-lookout.h"
#include "error.h"
#include "flow-failover-options.h"
#include "flow-failover.h"
#include "health.h"
#include <string.h>

#define STORE_US (60 * G_USEC_PER_SEC) /* how often who saw whom is written while nothing changes */
#define MAX_LOOKS 4096u /* under way: a host that cannot keep up asks less often, and takes no memory for it */
#define MANY 200        /* regions */
#define REST_US (10 * G_USEC_PER_SEC)                      /* between two writes of changes, where there are many */
#define RATE_US (G_GINT64_CONSTANT(3600) * G_USEC_PER_SEC) /* how often the rates of vantages are computed anew */
#define WITNESS_MS 1500                                    /* what a command over SSH takes beside the scan */
#define SCAN_MS 6000 /* a scan of a machine that hangs ends by itself before that, whatever the beat; scans overlap */
#define LEFT_US (10 * G_USEC_PER_SEC)  /* what the lookout before this one has seen is of use for so long */
#define SYNCS_US (30 * G_USEC_PER_SEC) /* how often the audit log is read for the age of the data */

typedef struct { /* one region */
  AzlinVm *vm;
  AzHealthCopy *health;  /* of the last whole check */
  GHashTable *answers;   /* witness -> GVariant a{sv} */
  GPtrArray *answers_of; /* what az_lookout_answers() last gave away */
  double latency_ms;
} Post;

struct _AzLookout {
  AzEngine *engine;
  AzlinOp *root;
  void (*seen)(const char *region, gpointer data);
  gpointer data;
  AzLookoutPeers peers; /* or NULL */
  gpointer peers_data;
  AzDetector *detector;
  GHashTable *posts;    /* region -> Post */
  GHashTable *verdicts; /* "vantage>region" -> up, not stored yet */
  GHashTable *known;    /* the same, as stored */
  GHashTable *syncs;    /* region -> gint64, of `syncs_of`; NULL = not read yet */
  char *syncs_of;
  gint64 syncs_at; /* monotonic */
  AzStored *stored;
  AzTimer *timer;
  GPtrArray *looks;           /* of Look, under way */
  gint64 stored_at, rated_at; /* monotonic */
  gboolean changed;           /* a verdict differs from the one before */
};

typedef struct { /* what one lookout leaves to the next */
  AzDetector *detector;
  GHashTable *posts, *known;
  gint64 at; /* monotonic */
} Left;

typedef struct {      /* one question under way */
  AzLookout *lookout; /* NULL: it is gone */
  AzTimer *early;
  guint64 id;
  char *vantage, *region;
  gboolean whole; /* a whole check */
  gboolean brief; /* a glance that only has to tell where it does not see life */
} Look;

G_STATIC_ASSERT(AZ_SIGHT_REFUSED + 1 == AZ_PROBE_N_OUTCOMES);

static GSList *running; /* of AzLookout, the oldest first */

static void pump(AzLookout *lookout);

static gint64
monotonic(AzLookout *lookout)
{
  return az_clock_monotonic(az_engine_clock(lookout->engine));
}

/* ---- making ---- */

static void
post_free(gpointer data)
{
  Post *post = data;
  g_clear_pointer(&post->vm, az_vm_free);
  g_clear_pointer(&post->health, az_health_copy_free);
  g_clear_pointer(&post->answers_of, g_ptr_array_unref);
  g_hash_table_unref(post->answers);
  g_free(post);
}

/* What is under way is no matter of this lookout any more, whatever comes of it. */
static void
drop_looks(AzLookout *lookout)
{
  for (guint i = 0; i < lookout->looks->len; i++) {
    Look *look = g_ptr_array_index(lookout->looks, i);
    look->lookout = NULL;
    az_timer_cancel(g_steal_pointer(&look->early));
  }
  g_ptr_array_set_size(lookout->looks, 0);
}

/* A probe that spans a sleep says nothing of the machine, and neither does the network that is not up yet. */
static void
on_sleep(gboolean asleep, gpointer data)
{
  AzLookout *lookout = data;
  drop_looks(lookout);
  az_detector_reset(lookout->detector, monotonic(lookout));
  pump(lookout);
}

static void
left_free(gpointer data)
{
  Left *left = data;
  az_detector_free(left->detector);
  g_clear_pointer(&left->posts, g_hash_table_unref);
  g_clear_pointer(&left->known, g_hash_table_unref);
  g_free(left);
}

/* Virtual time is each engine's own. */
static void
leave_to_heir(AzLookout *lookout)
{
  AzEngine *heir = az_engine_heir(lookout->engine);
  if (heir == NULL || az_clock_is_virtual(az_engine_clock(lookout->engine)))
    return;
  Left *left = g_new0(Left, 1);
  *left = (Left){ .detector = g_steal_pointer(&lookout->detector),
                  .posts = g_steal_pointer(&lookout->posts),
                  .known = g_steal_pointer(&lookout->known),
                  .at = monotonic(lookout) };
  az_engine_leave(heir, left, left_free);
}

static void
make_detector(AzLookout *lookout, const AzDetectorRules *rules)
{
  gint64 now = monotonic(lookout);
  Left *left = az_engine_take_left(lookout->engine);
  if (left != NULL && now - left->at < LEFT_US && !az_clock_is_virtual(az_engine_clock(lookout->engine))) {
    lookout->detector = g_steal_pointer(&left->detector);
    lookout->posts = g_steal_pointer(&left->posts);
    lookout->known = g_steal_pointer(&left->known);
    az_detector_set_rules(lookout->detector, rules, now);
  } else {
    lookout->detector = az_detector_new(rules, now);
    lookout->posts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, post_free);
    lookout->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  }
  if (left != NULL)
    left_free(left);
}

gboolean
az_lookout_rules(AzEngine *engine, AzDetectorRules *ret_rules, GError **error)
{
  /* its options are declared when it is loaded */
  if (az_engine_lookup(engine, AZLIN_KIND_FAILOVER, NULL, NULL, error) == NULL)
    return FALSE;
  *ret_rules = az_failover_option_rules(engine);
  return az_detector_rules_check(ret_rules, error);
}

AzLookout *
az_lookout_new(AzEngine *engine, AzlinOp *root, void (*seen)(const char *region, gpointer data), gpointer data,
               GError **error)
{
  AzDetectorRules rules;
  if (!az_lookout_rules(engine, &rules, error))
    return NULL;
  AzLookout *lookout = g_new0(AzLookout, 1);
  *lookout = (AzLookout){ .engine = engine, .root = root, .seen = seen, .data = data };
  make_detector(lookout, &rules);
  lookout->verdicts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  lookout->looks = g_ptr_array_new();
  running = g_slist_append(running, lookout);
  az_engine_hear_sleep(engine, on_sleep, lookout);
  return lookout;
}

static GVariant *
take_watched(AzLookout *lookout)
{
  AzWatched watched;
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{s(xx)}"));
  while (az_detector_take_watched(lookout->detector, &watched)) {
    g_autofree char *pair = g_strdup_printf("%s>%s", watched.vantage, watched.region);
    g_variant_builder_add(&builder, "{s(xx)}", pair, (gint64) watched.watched_s, (gint64) watched.healed);
  }
  return g_variant_builder_end(&builder);
}

static void
set_rate(AzLookout *lookout, GHashTable *rates, const char *vantage)
{
  const double *rate = g_hash_table_lookup(rates, vantage);
  az_detector_set_healed_rate(lookout->detector, vantage, rate != NULL ? *rate : 0);
}

static void
read_rates(AzLookout *lookout, GVariant *all, const AzStored *stored)
{
  lookout->rated_at = monotonic(lookout);
  g_autoptr(GHashTable) rates = az_vantage_healed_rates(all);
  set_rate(lookout, rates, AZ_VANTAGE_HERE);
  for (guint i = 0; i < stored->vms->len; i++)
    set_rate(lookout, rates, ((const AzlinVm *) g_ptr_array_index(stored->vms, i))->region);
}

static void
store(AzLookout *lookout)
{
  lookout->stored_at = monotonic(lookout);
  lookout->changed = FALSE;
  az_flow_keep_watch(lookout->engine, lookout->verdicts, take_watched(lookout));
  g_hash_table_remove_all(lookout->verdicts);
  if (lookout->stored == NULL || lookout->stored_at - lookout->rated_at < RATE_US)
    return;
  g_autoptr(GVariant) all = az_vantage_all(lookout->engine);
  read_rates(lookout, all, lookout->stored);
}

void
az_lookout_free(AzLookout *lookout)
{
  if (lookout == NULL)
    return;
  running = g_slist_remove(running, lookout);
  az_engine_ignore_sleep(lookout->engine, lookout);
  store(lookout);
  az_timer_cancel(lookout->timer);
  drop_looks(lookout);
  leave_to_heir(lookout);
  g_ptr_array_unref(lookout->looks);
  g_clear_pointer(&lookout->syncs, g_hash_table_unref);
  g_free(lookout->syncs_of);
  az_detector_free(lookout->detector);
  g_clear_pointer(&lookout->posts, g_hash_table_unref);
  g_hash_table_unref(lookout->verdicts);
  g_clear_pointer(&lookout->known, g_hash_table_unref);
  g_clear_pointer(&lookout->stored, az_stored_unref);
  g_free(lookout);
}

AzLookout *
az_lookout_of(AzEngine *engine)
{
  for (GSList *link = running; link != NULL; link = link->next)
    if (((AzLookout *) link->data)->engine == engine)
      return link->data;
  return NULL;
}

/* ---- what is watched ---- */

static gboolean
is_same_machine(const AzlinVm *left, const AzlinVm *right)
{
  return g_strcmp0(left->vm_name, right->vm_name) == 0 && g_strcmp0(left->id, right->id) == 0
         && g_strcmp0(left->public_ip, right->public_ip) == 0 && left->ssh_port == right->ssh_port
         && g_strcmp0(left->host_key, right->host_key) == 0;
}

static Post *
post_of(AzLookout *lookout, const AzlinVm *vm)
{
  Post *post = g_hash_table_lookup(lookout->posts, vm->region);
  if (post != NULL && is_same_machine(post->vm, vm)) {
    az_vm_free(post->vm);
    post->vm = az_vm_dup(vm);
    return post;
  }
  post = g_new0(Post, 1);
  post->vm = az_vm_dup(vm);
  post->latency_ms = -1;
  post->answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_variant_unref);
  g_hash_table_replace(lookout->posts, g_strdup(vm->region), post);
  return post;
}

static char **
regions_of(const AzStored *stored, AzLookout *lookout, gboolean known_only)
{
  GStrvBuilder *builder = g_strv_builder_new();
  for (guint i = 0; i < stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(stored->vms, i);
    const Post *post = g_hash_table_lookup(lookout->posts, vm->region);
    if (!known_only || (post != NULL && is_same_machine(post->vm, vm)))
      g_strv_builder_add(builder, vm->region);
  }
  char **regions = g_strv_builder_end(builder);
  g_strv_builder_unref(builder);
  return regions;
}

static void
read_verdicts(AzLookout *lookout, const AzStored *stored)
{
  GVariantIter iter;
  const char *pair;
  GVariant *value;
  g_autoptr(GVariant) all = az_vantage_all(lookout->engine);
  if (all == NULL)
    return;
  g_variant_iter_init(&iter, all);
  while (g_variant_iter_next(&iter, "{&sv}", &pair, &value)) {
    g_autoptr(GVariant) owned = value;
    const char *region = strchr(pair, '>');
    if (region == NULL || !g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
      continue;
    g_autofree char *vantage = g_strndup(pair, (gsize) (region - pair));
    az_detector_set_was_up(lookout->detector, vantage, region + 1, g_variant_get_boolean(value));
  }
  read_rates(lookout, all, stored);
}

void
az_lookout_set_stored(AzLookout *lookout, const AzStored *stored)
{
  gint64 now = monotonic(lookout);
  g_auto(GStrv) known = regions_of(stored, lookout, TRUE);
  g_auto(GStrv) all = regions_of(stored, lookout, FALSE);
  guint before = g_hash_table_size(lookout->posts);
  if (before > 0)
    store(lookout);                  /* the detector forgets who goes */
  if (g_strv_length(known) < before) /* gone, or another machine now */
    az_detector_set_regions(lookout->detector, (const char *const *) known, stored->primary, now);
  GHashTableIter iter;
  gpointer region;
  g_autoptr(GHashTable) stay = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; known[i] != NULL; i++)
    g_hash_table_add(stay, known[i]);
  g_hash_table_iter_init(&iter, lookout->posts);
  while (g_hash_table_iter_next(&iter, &region, NULL))
    if (!g_hash_table_contains(stay, region))
      g_hash_table_iter_remove(&iter);
  for (guint i = 0; i < stored->vms->len; i++)
    post_of(lookout, g_ptr_array_index(stored->vms, i));
  az_detector_set_regions(lookout->detector, (const char *const *) all, stored->primary, now);
  AzStored *old = lookout->stored;
  /* a switch asks who sees the new primary: nobody here had a reason to */
  if (g_strv_length(all) > g_strv_length(known) || (old != NULL && !g_str_equal(old->primary, stored->primary)))
    read_verdicts(lookout, stored);
  lookout->stored = g_rc_box_acquire((gpointer) (guintptr) stored);
  g_clear_pointer(&old, az_stored_unref);
  pump(lookout);
}

/* ---- answers ---- */

static void
look_free(Look *look)
{
  az_timer_cancel(look->early);
  if (look->lookout != NULL)
    g_ptr_array_remove_fast(look->lookout->looks, look);
  g_free(look->vantage);
  g_free(look->region);
  g_free(look);
}

static void
note_verdict(AzLookout *lookout, const Look *look, AzSightOutcome outcome)
{
  gpointer old;
  gboolean up = outcome == AZ_SIGHT_ALIVE;
  if (outcome == AZ_SIGHT_NOTHING)
    return;
  char *pair = g_strdup_printf("%s>%s", look->vantage, look->region);
  gboolean known = g_hash_table_lookup_extended(lookout->known, pair, NULL, &old);
  lookout->changed |= !known || GPOINTER_TO_INT(old) != up;
  g_hash_table_replace(lookout->known, g_strdup(pair), GINT_TO_POINTER(up));
  g_hash_table_replace(lookout->verdicts, pair, GINT_TO_POINTER(up));
}

static AzHealthCopy *
health_of_op(AzlinOp *op, const AzlinVm *vm)
{
  const GError *error = az_op_error(op);
  if (error == NULL && az_op_variant(op) != NULL)
    return az_health_from_variant(az_op_variant(op), vm);
  g_autofree char *why = error != NULL ? az_error_message(error) : NULL;
  gboolean late = g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
  AzlinHealth health = { .size = sizeof health,
                         .vm = vm,
                         .failure = late ? AZLIN_FAILURE_NETWORK_UNREACHABLE : AZLIN_FAILURE_UNKNOWN,
                         .response_time_ms = -1,
                         .detail = why != NULL ? why : "The check gave no result" };
  g_autoptr(GVariant) value = g_variant_ref_sink(az_health_to_variant(&health));
  return az_health_from_variant(value, vm);
}

static gboolean
sees_life(const AzlinHealth *health)
{
  return az_sight_of_health(health) == AZ_SIGHT_ALIVE;
}

/* A glance that sees life says less than the check before it, unless it refutes that; a banner is no key. */
static gboolean
has_said_more(const Post *post)
{
  const AzlinHealth *health = post->health != NULL ? az_health_copy_get(post->health) : NULL;
  return health != NULL && (sees_life(health) || health->failure == AZLIN_FAILURE_HOST_KEY_CHANGED);
}

static void
keep_health(Post *post, const Look *look, AzHealthCopy *copy, AzSightOutcome outcome)
{
  if (!look->whole && outcome == AZ_SIGHT_ALIVE && has_said_more(post)) {
    az_health_copy_free(copy);
    return;
  }
  g_clear_pointer(&post->health, az_health_copy_free);
  post->health = copy;
  if (az_health_copy_get(copy)->response_time_ms >= 0)
    post->latency_ms = az_health_copy_get(copy)->response_time_ms;
}

/* Nearly all of many regions' glances see what is known: nothing is made of them. */
static gboolean
is_as_before(const Look *look, AzlinOp *op)
{
  return look->brief && az_op_error(op) == NULL && az_op_variant(op) == NULL;
}

static AzSightOutcome
note_here(Post *post, const Look *look, AzlinOp *op)
{
  if (is_as_before(look, op))
    return AZ_SIGHT_ALIVE;
  AzHealthCopy *copy = health_of_op(op, post->vm);
  AzSightOutcome outcome = az_sight_of_health(az_health_copy_get(copy));
  if (outcome == AZ_SIGHT_NOTHING && g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT))
    outcome = AZ_SIGHT_DARK;
  keep_health(post, look, copy, outcome);
  return outcome;
}

static AzSightOutcome
note_witness(Post *post, const Look *look, AzlinOp *op)
{
  if (az_op_error(op) != NULL || az_op_variant(op) == NULL)
    return AZ_SIGHT_NOTHING;
  g_hash_table_replace(post->answers, g_strdup(look->vantage), g_variant_ref(az_op_variant(op)));
  return az_sight_of_evidence(az_op_variant(op));
}

/* Of many regions some change all the time, and the file is written as a whole. */
static gboolean
is_to_store(AzLookout *lookout)
{
  gint64 passed = monotonic(lookout) - lookout->stored_at;
  gboolean many = g_hash_table_size(lookout->posts) >= MANY;
  return passed >= STORE_US || (lookout->changed && (!many || passed >= REST_US));
}

static void
on_answer(AzlinOp *op, gpointer data)
{
  Look *look = data;
  AzLookout *lookout = look->lookout;
  if (lookout == NULL || az_op_cancelled(lookout->root)) {
    look_free(look);
    return;
  }
  Post *post = g_hash_table_lookup(lookout->posts, look->region);
  gboolean here = g_str_equal(look->vantage, AZ_VANTAGE_HERE);
  AzSightOutcome outcome = AZ_SIGHT_NOTHING;
  if (post != NULL) {
    outcome = here ? note_here(post, look, op) : note_witness(post, look, op);
    note_verdict(lookout, look, outcome);
    az_engine_probes(lookout->engine)[outcome]++;
  }
  az_detector_answer(lookout->detector, look->id, outcome, monotonic(lookout));
  g_autofree char *region = g_strdup(look->region);
  look_free(look);
  if (is_to_store(lookout))
    store(lookout);
  pump(lookout);
  if (post != NULL)
    lookout->seen(region, lookout->data); /* may free it */
}

/* ---- questions ---- */

static void
on_early(gpointer data)
{
  Look *look = data;
  look->early = NULL;
  az_detector_silent(look->lookout->detector, look->id, monotonic(look->lookout));
  pump(look->lookout);
}

static void
ask(AzLookout *lookout, const AzQuestion *question)
{
  AzClock *clock = az_engine_clock(lookout->engine);
  Post *post = g_hash_table_lookup(lookout->posts, question->region);
  Post *witness = g_hash_table_lookup(lookout->posts, question->vantage);
  Look *look = g_new0(Look, 1);
  *look = (Look){ .lookout = lookout, .id = question->id, .whole = question->with_login };
  look->vantage = g_strdup(question->vantage);
  look->region = g_strdup(question->region);
  g_ptr_array_add(lookout->looks, look);
  guint32 limit = (guint32) (question->timeout_s * 1000);
  if (witness != NULL) {
    az_health_ask_witness(lookout->engine, witness->vm, post->vm,
                          az_op_new(lookout->root, "witness", MAX(limit + WITNESS_MS, SCAN_MS), on_answer, look));
    return;
  }
  look->brief = !look->whole && has_said_more(post);
  look->early = az_clock_after(clock, AZ_DETECTOR_EARLY_US / 1000, on_early, look);
  const AzHealthLimits limits = { .tcp_ms = limit,
                                  .ssh_ms = limit,
                                  .login_ms = look->whole ? limit : 0,
                                  .power_ms = look->whole ? limit : 0,
                                  .probe_ms = limit,
                                  .banner_only = !question->with_key,
                                  .is_known = look->brief ? sees_life : NULL };
  az_health_check_within(lookout->engine, post->vm, &limits,
                         az_op_new(lookout->root, "look", 3 * limit + 1000, on_answer, look));
}

static void
on_timer(gpointer data)
{
  AzLookout *lookout = data;
  lookout->timer = NULL;
  pump(lookout);
}

/* Asks what is due, and sets the clock for what comes next. */
static void
pump(AzLookout *lookout)
{
  AzQuestion question;
  if (az_op_cancelled(lookout->root) || az_engine_is_asleep(lookout->engine))
    return;
  while (lookout->looks->len < MAX_LOOKS && az_detector_next(lookout->detector, monotonic(lookout), &question))
    ask(lookout, &question);
  az_timer_cancel(g_steal_pointer(&lookout->timer));
  if (lookout->looks->len >= MAX_LOOKS)
    return; /* the next answer goes on, with those that have waited longest */
  gint64 now = monotonic(lookout), wake = az_detector_wake(lookout->detector, now);
  if (wake == G_MAXINT64)
    return;
  guint32 ms = (guint32) CLAMP((wake - now + 999) / 1000, 0, G_MAXINT32);
  lookout->timer = az_clock_after(az_engine_clock(lookout->engine), ms, on_timer, lookout);
}

void
az_lookout_check_whole(AzLookout *lookout, const char *region)
{
  az_detector_check_whole(lookout->detector, region, monotonic(lookout));
  pump(lookout);
}

/* ---- what is known ---- */

AzDetector *
az_lookout_detector(AzLookout *lookout)
{
  return lookout->detector;
}

void
az_lookout_set_peers(AzLookout *lookout, AzLookoutPeers peers, gpointer data)
{
  lookout->peers = peers;
  lookout->peers_data = data;
}

GArray *
az_lookout_vantages(AzLookout *lookout, const char *region)
{
  GArray *vantages = az_detector_vantages(lookout->detector, region, monotonic(lookout));
  if (lookout->peers != NULL)
    lookout->peers(region, vantages, lookout->peers_data);
  return vantages;
}

static Post *
find(AzLookout *lookout, const char *region)
{
  return region != NULL ? g_hash_table_lookup(lookout->posts, region) : NULL;
}

const AzlinHealth *
az_lookout_health(AzLookout *lookout, const char *region)
{
  const Post *post = find(lookout, region);
  return post != NULL && post->health != NULL ? az_health_copy_get(post->health) : NULL;
}

double
az_lookout_latency_ms(AzLookout *lookout, const char *region)
{
  const Post *post = find(lookout, region);
  return post != NULL ? post->latency_ms : -1;
}

GPtrArray *
az_lookout_answers(AzLookout *lookout, const char *region)
{
  GHashTableIter iter;
  gpointer answer;
  Post *post = find(lookout, region);
  if (post == NULL)
    return NULL;
  g_clear_pointer(&post->answers_of, g_ptr_array_unref);
  post->answers_of = g_ptr_array_new_with_free_func((GDestroyNotify) g_variant_unref);
  g_hash_table_iter_init(&iter, post->answers);
  while (g_hash_table_iter_next(&iter, NULL, &answer))
    g_ptr_array_add(post->answers_of, g_variant_ref(answer));
  return post->answers_of;
}

double
az_lookout_data_age(AzLookout *lookout, const char *source, const char *region)
{
  gint64 now = monotonic(lookout);
  if (lookout->syncs == NULL || now - lookout->syncs_at >= SYNCS_US || !g_str_equal(lookout->syncs_of, source)) {
    g_clear_pointer(&lookout->syncs, g_hash_table_unref);
    g_free(lookout->syncs_of);
    lookout->syncs = az_failover_syncs(lookout->engine, source);
    lookout->syncs_of = g_strdup(source);
    lookout->syncs_at = now;
  }
  const gint64 *at = g_hash_table_lookup(lookout->syncs, region);
  if (at == NULL)
    return -1;
  return MAX((double) (az_clock_now(az_engine_clock(lookout->engine)) - *at) / G_USEC_PER_SEC, 0);
}

const AzStored *
az_lookout_stored(AzLookout *lookout)
{
  return lookout->stored;
}
