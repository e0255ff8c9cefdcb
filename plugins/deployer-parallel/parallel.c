/* deployer-parallel: fan-out policy; so many regions at once, each with a deadline and retries of its own. */
#include "azlin-plugin.h"

typedef struct {
  AzlinHost *host;
} Parallel;

typedef struct { /* one deploy(); lives until its last region has ended */
  const AzlinHostApi *api;
  AzlinHost *host;
  AzlinOp *op;
  const AzlinProvider *provider;
  gpointer provider_self;
  const AzlinVmSpec *const *specs; /* the plan's, which outlives the op */
  gsize total, next, ended;
  guint32 timeout_s;
  gboolean no_capacity_retry;
} Fan;

typedef struct { /* one region of it; lives until its op has ended, and children of an op end before it does */
  Fan *fan;
  const AzlinVmSpec *spec;
  AzlinOp *op;
  guint32 attempt;
} Region;

static void start_next(Fan *fan);
static void try_create(Region *region);

/* What the taxonomy has no row for is still said as what it is, and never stops the others. */
static GError *
explain(const Region *region, const GError *error)
{
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT))
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT, "timeout: no machine in %s within %u s (%s)",
                       region->spec->region, region->fan->timeout_s, error->message);
  if (error->domain != AZLIN_ERROR || error->code == AZLIN_ERROR_FAILED)
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "Unexpected error: %s", error->message);
  return g_error_copy(error);
}

static void
region_ended(AzlinOp *op, gpointer data)
{
  Region *region = data;
  Fan *fan = region->fan;
  const GError *error = fan->api->op_error(op);
  g_autoptr(GError) said = error ? explain(region, error) : NULL;
  fan->api->op_region(fan->op, region->spec->region, error ? NULL : fan->api->op_vm(op), said);
  g_free(region);
  fan->ended++;
  start_next(fan);
}

static void
waited(AzlinOp *op, gpointer data)
{
  Region *region = data;
  if (!region->fan->api->op_error(op))
    try_create(region);
}

static void
retry_or_fail(Region *region, const GError *error)
{
  const AzlinHostApi *api = region->fan->api;
  gboolean final = region->fan->no_capacity_retry && g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CAPACITY);
  int delay = final || api->op_cancelled(region->op) ? -1 : api->retry_delay_ms(error, region->attempt);
  if (delay < 0) {
    api->op_fail(region->op, g_error_copy(error));
    return;
  }
  region->attempt++;
  api->op_region_started(region->fan->op, region->spec->region, error->message);
  if (api->op_cancelled(region->op)) /* by whoever heard that; a child made now would outlive the region */
    return;
  api->sleep(region->fan->host, (guint32) delay, api->op_new(region->op, "wait", 0, waited, region));
}

static void
created(AzlinOp *op, gpointer data)
{
  Region *region = data;
  const AzlinHostApi *api = region->fan->api;
  if (api->op_error(op))
    retry_or_fail(region, api->op_error(op));
  else
    api->op_finish_vm(region->op, api->op_vm(op));
}

static void
try_create(Region *region)
{
  Fan *fan = region->fan;
  fan->provider->vm_create(fan->provider_self, region->spec,
                           fan->api->op_new(region->op, "vm_create", 0, created, region));
}

static void
start_region(Fan *fan, const AzlinVmSpec *spec)
{
  Region *region = g_new0(Region, 1);
  g_autofree char *text = g_strdup_printf("Creating VM: %s", spec->vm_name);
  *region = (Region){ .fan = fan, .spec = spec, .attempt = 1 };
  region->op = fan->api->op_new(fan->op, spec->region, fan->timeout_s * 1000, region_ended, region);
  fan->api->op_region_started(fan->op, spec->region, text);
  if (!fan->api->op_cancelled(region->op))
    try_create(region);
}

/* A place has become free. Once the deploy was cancelled nothing new starts; what runs is cut by its parent. */
static void
start_next(Fan *fan)
{
  if (fan->next < fan->total && !fan->api->op_cancelled(fan->op))
    start_region(fan, fan->specs[fan->next++]);
  if (fan->ended < fan->next)
    return;
  fan->api->op_finish(fan->op);
  g_free(fan);
}

static void
parallel_deploy(gpointer self, const AzlinDeployPlan *plan, AzlinOp *op)
{
  Parallel *parallel = self;
  const AzlinHostApi *api = parallel->host->api;
  Fan *fan = g_new0(Fan, 1);
  *fan = (Fan){
    .api = api, .host = parallel->host, .op = op, .specs = plan->specs, .timeout_s = plan->region_timeout_s
  };
  fan->no_capacity_retry = plan->size > G_STRUCT_OFFSET(AzlinDeployPlan, no_capacity_retry) && plan->no_capacity_retry;
  fan->provider = api->lookup(parallel->host, AZLIN_KIND_PROVIDER, NULL, &fan->provider_self);
  if (!fan->provider) {
    g_free(fan);
    api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_CONFIG, "no provider brick is loaded"));
    return;
  }
  while (plan->specs[fan->total])
    fan->total++;
  if (fan->total == 0) {
    start_next(fan);
    return;
  }
  gsize first = MIN(MAX(plan->max_concurrent, 1), fan->total);
  for (gsize i = 0; i < first; i++)
    start_region(fan, fan->specs[fan->next++]);
}

static gboolean
parallel_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Parallel *parallel = g_new0(Parallel, 1);
  parallel->host = host;
  *ret_self = parallel;
  return TRUE;
}

static const AzlinDeployer deployer = { .size = sizeof deployer, .deploy = parallel_deploy };

static const AzlinBrick brick = {
  .size = sizeof brick,
  .kind = AZLIN_KIND_DEPLOYER,
  .name = "parallel",
  .summary = "all regions side by side, each with a deadline and retries of its own",
  .init = parallel_init,
  .free = g_free,
  .iface = &deployer,
};

AZLIN_PLUGIN_DEFINE("io.azlin.deployer-parallel", "0.1.0", "MIT", &brick)
