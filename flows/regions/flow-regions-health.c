/* regions health: every machine checked at once, said as it comes; the primary also seen from other regions. */
#include "error.h"
#include "flow-watch.h"
#include "health.h"
#include "sight.h"

#define MAX_WITNESSES 3
#define ALL_MS 10500 /* what others see of the primary is not worth more than the checks themselves take */

typedef struct _Health Health;

typedef struct { /* one machine */
  Health *all;
  AzlinVm *vm; /* the record, status and last check filled in */
  GVariant *result;
  gboolean healthy, asked; /* asked: as a witness about the primary */
} Check;

struct _Health {
  AzJob *job;
  AzEngine *engine;
  AzlinOp *root;
  AzStored *stored;
  GPtrArray *checks; /* of Check, in the order of the list */
  GHashTable *verdicts;
  GPtrArray *witnessed; /* of GVariant a{sv}: evidence about the primary from elsewhere */
  gint64 began;         /* monotonic */
  guint left;
  guint pending; /* what still runs before the end; the checks together count as one */
};

static void
check_free(gpointer data)
{
  Check *check = data;
  g_clear_pointer(&check->vm, az_vm_free);
  g_clear_pointer(&check->result, g_variant_unref);
  g_free(check);
}

static void
health_free(gpointer data)
{
  Health *all = data;
  g_clear_pointer(&all->stored, az_stored_unref);
  g_ptr_array_unref(all->checks);
  g_ptr_array_unref(all->witnessed);
  g_hash_table_unref(all->verdicts);
  g_free(all);
}

static const Check *
check_at(const Health *all, guint i)
{
  return g_ptr_array_index(all->checks, i);
}

/* ---- the screen of one region ---- */

typedef struct {
  const char *probe, *title, *good;
} Line;

static void
say_evidence(AzJob *job, const char *region, GVariant *evidence)
{
  static const Line lines[] = {
    { "power", "VM Status", "Running" },
    { "tcp", "Network", "Reachable" },
    { "ssh", "SSH", "Host key verified" },
    { "login", "Login", "Connected" },
  };
  const char *probe = "", *outcome = "", *detail = NULL;
  double ms = -1;
  g_variant_lookup(evidence, "probe", "&s", &probe);
  g_variant_lookup(evidence, "outcome", "&s", &outcome);
  g_variant_lookup(evidence, "detail", "&s", &detail);
  g_variant_lookup(evidence, "ms", "d", &ms);
  for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
    gboolean good = g_str_equal(outcome, "ok") || g_str_equal(outcome, "running");
    if (!g_str_equal(probe, lines[i].probe))
      continue;
    if (good && ms >= 0 && i > 0)
      az_job_message(job, "ok", region, "%s: %s (%.0fms)", lines[i].title, lines[i].good, ms);
    else if (good)
      az_job_message(job, "ok", region, "%s: %s", lines[i].title, lines[i].good);
    else if (i == 0 && detail) /* how it is, and why */
      az_job_message(job, "fail", region, "%s: %s (%s)", lines[i].title, outcome, detail);
    else
      az_job_message(job, "fail", region, "%s: %s", lines[i].title, detail ? detail : outcome);
  }
}

static void
say_platform(AzJob *job, const char *region, GVariant *evidence)
{
  const char *probe = "", *outcome = "", *detail = NULL;
  g_variant_lookup(evidence, "probe", "&s", &probe);
  g_variant_lookup(evidence, "outcome", "&s", &outcome);
  g_variant_lookup(evidence, "detail", "&s", &detail);
  if (g_str_equal(probe, "platform") && detail)
    az_job_message(job, g_str_equal(outcome, "ok") ? "detail" : "fail", region, "Platform: %s", detail);
}

static void
say_maintenance(AzJob *job, const char *region, GVariant *health)
{
  const char *when = NULL;
  if (g_variant_lookup(health, "maintenance_at", "&s", &when))
    az_job_message(job, "warn", region, "Maintenance: announced for %s", when);
}

static void
say_check(const Check *check)
{
  AzJob *job = check->all->job;
  const char *region = check->vm->region;
  g_autoptr(GVariant) list = g_variant_lookup_value(check->result, "evidence", G_VARIANT_TYPE("aa{sv}"));
  for (gsize i = 0; list && i < g_variant_n_children(list); i++) {
    g_autoptr(GVariant) evidence = g_variant_get_child_value(list, i);
    say_evidence(job, region, evidence);
    say_platform(job, region, evidence);
  }
  say_maintenance(job, region, check->result);
  az_job_message(job, check->healthy ? "ok" : "fail", region, "Overall: %s", check->healthy ? "HEALTHY" : "UNHEALTHY");
  if (!check->healthy && check->vm->is_primary)
    az_job_message(job, "warn", region, "Recommend: azlin failover --check-only");
  GVariantDict facts;
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "status", "s", check->healthy ? "success" : "failed");
  az_job_region(job, region, g_variant_dict_end(&facts));
}

/* ---- the end ---- */

static GVariant *
result_of(const Health *all, guint healthy)
{
  GVariantBuilder result, list, witnesses;
  g_variant_builder_init(&list, G_VARIANT_TYPE("av"));
  for (guint i = 0; i < all->checks->len; i++)
    g_variant_builder_add(&list, "v", check_at(all, i)->result);
  g_variant_builder_init(&witnesses, G_VARIANT_TYPE("av"));
  for (guint i = 0; i < all->witnessed->len; i++)
    g_variant_builder_add(&witnesses, "v", g_ptr_array_index(all->witnessed, i));
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "regions", g_variant_builder_end(&list));
  g_variant_builder_add(&result, "{sv}", "healthy", g_variant_new_uint32(healthy));
  g_variant_builder_add(&result, "{sv}", "total", g_variant_new_uint32(all->checks->len));
  g_variant_builder_add(&result, "{sv}", "primary", az_variant_str(all->stored->primary));
  g_variant_builder_add(&result, "{sv}", "witnesses", g_variant_builder_end(&witnesses));
  return g_variant_builder_end(&result);
}

static void
say_witnesses(const Health *all)
{
  for (guint i = 0; i < all->witnessed->len; i++) {
    const char *vantage = "", *outcome = "";
    GVariant *evidence = g_ptr_array_index(all->witnessed, i);
    g_variant_lookup(evidence, "vantage", "&s", &vantage);
    g_variant_lookup(evidence, "outcome", "&s", &outcome);
    az_job_message(all->job, "detail", NULL, "Seen from %s, the primary %s: %s", vantage, all->stored->primary,
                   outcome);
  }
}

static void
step_done(Health *all)
{
  guint healthy = 0, total = all->checks->len;
  if (--all->pending > 0 || az_op_cancelled(all->root))
    return;
  for (guint i = 0; i < total; i++)
    healthy += check_at(all, i)->healthy;
  az_flow_keep_sightings(all->engine, all->verdicts);
  say_witnesses(all);
  az_job_message(all->job, healthy == total ? "ok" : "warn", NULL, "Health Summary: %u/%u regions healthy (%.1f%%)",
                 healthy, total, 100.0 * healthy / total);
  az_job_finish(all->job, healthy == total ? 0 : 1, result_of(all, healthy));
}

static void
on_kept(AzlinOp *op, gpointer data)
{
  Health *all = data;
  if (az_op_error(op) && !az_op_cancelled(all->root))
    az_job_message(all->job, "warn", NULL, "The result was not stored: %s", az_op_error(op)->message);
  step_done(all);
}

static void
on_witness(AzlinOp *op, gpointer data)
{
  Health *all = data;
  const char *vantage = NULL;
  GVariant *evidence = az_op_variant(op);
  if (evidence && g_variant_lookup(evidence, "vantage", "&s", &vantage)) {
    AzSightOutcome outcome = az_sight_of_evidence(evidence);
    /* A question that could not be put says nothing about the primary; what was known of it stays. */
    if (outcome != AZ_SIGHT_NOTHING)
      g_hash_table_insert(all->verdicts, g_strdup_printf("%s>%s", vantage, all->stored->primary),
                          GINT_TO_POINTER(outcome == AZ_SIGHT_ALIVE));
    g_ptr_array_add(all->witnessed, g_variant_ref(evidence));
  }
  step_done(all);
}

static guint32
left_ms(const Health *all)
{
  gint64 spent = (az_clock_monotonic(az_engine_clock(all->engine)) - all->began) / 1000;
  return (guint32) MAX(ALL_MS - spent, 1);
}

/* What others see of the primary: a failover needs to know whether they ever could reach it. The first in the list that
 * are healthy are asked; while machines are still being checked, only those whose turn it is whatever the rest say. */
static void
ask_witnesses(Health *all)
{
  const AzlinVm *primary = az_stored_primary(all->stored);
  guint asked = 0;
  for (guint i = 0; primary && i < all->checks->len && asked < MAX_WITNESSES; i++) {
    Check *check = g_ptr_array_index(all->checks, i);
    if (g_str_equal(check->vm->region, primary->region) || (all->left == 0 && !check->healthy))
      continue;
    asked++;
    if (!check->healthy || check->asked)
      continue;
    check->asked = TRUE;
    all->pending++;
    az_health_ask_witness(all->engine, check->vm, primary,
                          az_op_new(all->root, "witness", left_ms(all), on_witness, all));
  }
}

static void
all_checked(Health *all)
{
  g_autofree const AzlinVm **vms = g_new0(const AzlinVm *, all->checks->len + 1);
  for (guint i = 0; i < all->checks->len; i++)
    vms[i] = check_at(all, i)->vm;
  all->pending++;
  az_flow_put_status(all->engine, all->root, vms, all->checks->len, on_kept, all);
  step_done(all);
}

static GVariant *
no_result(const Check *check, const GError *error)
{
  GVariantDict result;
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert_value(&result, "vm_name", az_variant_str(check->vm->vm_name));
  g_variant_dict_insert(&result, "region", "s", check->vm->region);
  g_variant_dict_insert(&result, "is_healthy", "b", FALSE);
  g_variant_dict_insert(&result, "failure_type", "s", az_failure_to_string(AZLIN_FAILURE_UNKNOWN));
  g_variant_dict_insert_value(&result, "response_time_ms", az_null());
  g_autofree char *why = az_error_message(error);
  g_variant_dict_insert(&result, "error_details", "s", why);
  g_variant_dict_insert_value(&result, "evidence", g_variant_new("aa{sv}", NULL));
  return g_variant_ref_sink(g_variant_dict_end(&result));
}

static void
one_less(Health *all)
{
  all->left--;
  ask_witnesses(all);
  if (all->left == 0)
    all_checked(all);
}

static void
on_pinned(AzlinOp *op, gpointer data)
{
  Health *all = data;
  if (az_op_cancelled(all->root))
    return;
  if (az_op_error(op))
    az_flow_say_error(all->job, NULL, az_op_error(op));
  one_less(all);
}

static void
on_checked(AzlinOp *op, gpointer data)
{
  Check *check = data;
  Health *all = check->all;
  if (az_op_cancelled(all->root))
    return;
  check->healthy = az_flow_note_health(all->engine, check->vm, az_op_variant(op));
  check->result = az_op_variant(op) ? g_variant_ref(az_op_variant(op)) : no_result(check, az_op_error(op));
  g_hash_table_insert(all->verdicts, g_strdup_printf("here>%s", check->vm->region), GINT_TO_POINTER(check->healthy));
  say_check(check);
  if (check->healthy && az_flow_pin_trusted(all->engine, check->vm)) {
    az_job_message(all->job, "warn", NULL, "The host key of %s was trusted as first seen, and is pinned now",
                   check->vm->region);
    az_flow_put(all->engine, all->root, check->vm, on_pinned, all);
    return;
  }
  one_less(all);
}

static void
health_ready(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  Health *all = g_new0(Health, 1);
  *all = (Health){ .job = job, .engine = az_job_engine(job), .root = root, .stored = stored, .pending = 1 };
  all->checks = g_ptr_array_new_with_free_func(check_free);
  all->witnessed = g_ptr_array_new_with_free_func((GDestroyNotify) g_variant_unref);
  all->verdicts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  all->left = stored->vms->len;
  all->began = az_clock_monotonic(az_engine_clock(all->engine));
  az_job_set_data(job, all, health_free);
  if (stored->vms->len == 0) {
    az_job_message(job, "warn", NULL, "No region is set up yet");
    az_job_message(job, "hint", NULL, "To create one: azlin new --region REGION");
    az_job_finish(job, 0, result_of(all, 0));
    return;
  }
  az_job_message(job, "step", NULL, "Checking health of all regions...");
  for (guint i = 0; i < stored->vms->len; i++) {
    Check *check = g_new0(Check, 1);
    check->all = all;
    check->vm = az_vm_dup(g_ptr_array_index(stored->vms, i));
    g_ptr_array_add(all->checks, check);
    az_flow_health(all->engine, root, check->vm, on_checked, check);
  }
}

static void
health_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  if (az_job_arg_bool(job, "watch"))
    az_watch_run(job, engine, root, FALSE);
  else
    az_stored_read(job, root, health_ready, NULL);
}

static gboolean
health_check(AzEngine *engine, GVariant *args, GError **error)
{
  gboolean watch = FALSE;
  guint32 seconds = 0;
  g_variant_lookup(args, "watch", "b", &watch);
  if (watch || !g_variant_lookup(args, "for", "u", &seconds))
    return az_watch_check_time(args, error);
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "--for goes with --watch: one look ends by itself");
  return FALSE;
}

static void
health_stop(AzJob *job)
{
  if (az_job_arg_bool(job, "watch"))
    az_watch_stop(job);
  else
    az_op_cancel(az_job_root(job), "interrupted");
}

static const AzFlag flags[] = {
  { "watch", 'w', "b", NULL, "go on looking, and repaint, until Ctrl-C" },
  { "for", 0, "u", "SECONDS", "with --watch: end after so long" },
  { 0 },
};

const AzFlow az_flow_regions_health = {
  .kind = { .kind = "regions-health", .help = "Check the health of all regions at once", .flags = flags },
  .check = health_check,
  .run = health_run,
  .stop = health_stop,
};
