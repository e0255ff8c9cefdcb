/* provider-sim: a cloud in memory on the engine's virtual clock, with faults by script and a world that outlives azlin.
 */
#include "sim.h"
#include "option.h"

gboolean
sim_read_rules(Sim *sim, GError **error)
{
  if (sim->rules != NULL)
    return TRUE;
  g_autoptr(GVariant) file = sim->host->api->option(sim->host, "script");
  g_autoptr(GVariant) lines = sim->host->api->option(sim->host, "events");
  const char *path = g_variant_get_string(file, NULL);
  g_autoptr(GPtrArray) rules = NULL;
  if (path[0] != '\0') {
    g_autofree char *text = NULL;
    g_autoptr(GError) inner = NULL;
    gsize length = 0;
    /* A device or pipe would be read for ever. */
    if (!g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[provider.sim] script: %s is not a file", path);
      return FALSE;
    }
    if (!g_file_get_contents(path, &text, &length, &inner)) {
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[provider.sim] script: %s", inner->message);
      return FALSE;
    }
    rules = script_parse(text, length, path, error);
  } else
    rules = script_new();
  g_autofree const char **events = g_variant_get_strv(lines, NULL);
  for (guint i = 0; rules != NULL && events[i] != NULL; i++) {
    g_autofree char *where = g_strdup_printf("[provider.sim] events, entry %u", i + 1);
    if (!script_parse_line(rules, events[i], where, error))
      return FALSE;
  }
  sim->rules = g_steal_pointer(&rules);
  return sim->rules != NULL;
}

gboolean
sim_ready(Sim *sim, GError **error)
{
  if (!sim_read_rules(sim, error))
    return FALSE;
  if (sim->world != NULL)
    return world_refresh(sim->world, error);
  g_autofree char *path = g_build_filename(sim->host->api->state_dir(sim->host), "world.log", NULL);
  sim->world = world_open(path, error);
  if (sim->world == NULL)
    return FALSE;
  sim->seed = option_uint(sim->host, "seed");
  sim->elapsed = world_elapsed(sim->world);
  sim->began = sim->host->api->monotonic(sim->host);
  return TRUE;
}

gint64
sim_now(Sim *sim)
{
  return sim->elapsed + sim->host->api->monotonic(sim->host) - sim->began;
}

void
sim_sleep(Sim *sim, AzlinOp *op, double seconds, AzlinDone done, gpointer data)
{
  guint32 ms = (guint32) MIN(seconds * 1000, (double) G_MAXUINT32);
  sim->host->api->sleep(sim->host, ms, sim->host->api->op_new(op, "simulated time", 0, done, data));
}

gboolean
sim_is_up(Sim *sim, const SimVm *vm)
{
  return vm->power == AZLIN_POWER_RUNNING && vm->ready_at <= sim_now(sim);
}

AzlinVm *
sim_to_vm(Sim *sim, const SimVm *vm)
{
  gboolean on = vm->power == AZLIN_POWER_RUNNING;
  gboolean ended = !on && vm->cause == AZLIN_STOP_ENDED;
  AzlinVm record = {
    .size = sizeof record,
    .region = vm->region,
    .vm_name = vm->name,
    .public_ip = vm->address,
    .resource_group = vm->resource_group,
    .provider = "sim",
    .id = vm->id,
    .ssh_user = vm->ssh_user,
    .host_key = vm->host_key,
    .ssh_port = vm->port,
    .created_at = vm->created_at,
    .status = on      ? "ok"
              : ended ? "down"
                      : "stopped",
    .tags = vm->tags,
    .power = vm->power,
    .stop_cause = on ? AZLIN_STOP_UNKNOWN : vm->cause,
  };
  return sim->host->api->vm_dup(&record);
}

static const AzlinOption OPTIONS[] = {
  { "script", "s", "", NULL, NULL, "File of rules, one a line: what fails, dies or is slow, and when" },
  { "events", "as", "", NULL, NULL, "Rules given here, after those of the script" },
  { "create-seconds", "u", "180", "0", "100000", "Virtual seconds that making a machine takes" },
  { "power-seconds", "u", "20", "0", "100000", "Virtual seconds that switching or deleting a machine takes" },
  { "probe-ms", "u", "45", "0", "100000", "Virtual milliseconds until a machine has answered a probe" },
  { "silence-seconds", "u", "10", "1", "100000",
    "Virtual seconds until a probe or command that nobody answers gives up" },
  { "seed", "u", "1", NULL, NULL, "Seed of all that is left to chance" },
  { 0 },
};

static const AzlinProvider PROVIDER = {
  .size = sizeof(AzlinProvider),
  .vm_create = sim_create,
  .vm_get = sim_get,
  .vm_power = sim_power,
  .vm_restart = sim_restart,
  .vm_delete = sim_delete,
  .vm_list = sim_list,
  .vm_exec = sim_exec,
  .vm_probe = sim_probe,
  .virtual_time = TRUE,
  .vm_tag = sim_tag,
  .preflight = sim_preflight,
  .alternatives = sim_alternatives,
  .vm_isolate = sim_isolate,
};

static gboolean
sim_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Sim *sim = g_new0(Sim, 1);
  sim->host = host;
  *ret_self = sim;
  return TRUE;
}

static void
sim_free(gpointer self)
{
  Sim *sim = self;
  if (sim->world != NULL)
    world_pass(sim->world, sim_now(sim));
  world_close(sim->world);
  g_clear_pointer(&sim->rules, g_ptr_array_unref);
  g_free(sim);
}

static const AzlinBrick BRICK = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_PROVIDER,
  .name = "sim",
  .summary = "A simulated cloud on a virtual clock, with faults by script",
  .options = OPTIONS,
  .init = sim_init,
  .free = sim_free,
  .recover = sim_recover,
  .iface = &PROVIDER,
};

AZLIN_PLUGIN_DEFINE("provider-sim", "0.1.0", "MIT", &BRICK)
