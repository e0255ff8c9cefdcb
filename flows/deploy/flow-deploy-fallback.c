/* deploy, where a region has no room: which places the provider found to fit, and with --allow-fallback the move there.
 */
#include "error.h"
#include "flow-deploy.h"

typedef struct {
  AzDeployTarget *target;
  void (*then)(AzDeployTarget *target);
} Question;

typedef struct { /* borrows from the variant */
  const char *region, *vm_size, *zone;
} Place;

static Place
place_of(GVariant *variant)
{
  Place place = { "", "", "" };
  g_variant_lookup(variant, "region", "&s", &place.region);
  g_variant_lookup(variant, "vm_size", "&s", &place.vm_size);
  g_variant_lookup(variant, "zone", "&s", &place.zone);
  return place;
}

static char *
place_text(const Place *place)
{
  return g_strdup_printf("%s, %s%s%s", place->region, place->vm_size, *place->zone ? ", zone " : "", place->zone);
}

gboolean
az_deploy_may_move(const AzDeploy *deploy)
{
  const AzlinProvider *provider = az_flow_provider(deploy->engine, NULL);
  return az_deploy_arg_bool(deploy, "allow-fallback") && provider && provider->alternatives;
}

GVariant *
az_deploy_moved_from(const AzDeployTarget *target)
{
  return az_variant_str(g_str_equal(target->asked, target->region) ? NULL : target->asked);
}

/* ---- regions that may be asked about ---- */

static gboolean
is_taken(const AzDeployTarget *target, const char *region)
{
  const AzDeploy *deploy = target->deploy;
  if (az_stored_find(deploy->stored, region))
    return TRUE;
  for (guint i = 0; i < deploy->targets->len; i++) {
    const AzDeployTarget *other = g_ptr_array_index(deploy->targets, i);
    if (other != target && (g_str_equal(other->region, region) || g_str_equal(other->asked, region)))
      return TRUE;
  }
  return FALSE;
}

/* Sets are taken from where the machine was asked for, so that no chain of moves leads out of them. Without
 * --allow-fallback the places are for people to choose from: then any allowed region, unless there are sets to respect.
 */
static char **
regions_for(const AzDeployTarget *target)
{
  AzConfig *config = az_engine_config(target->deploy->engine);
  g_auto(GStrv) sets = az_config_strv(config, "policy", "allowed-fallback");
  g_auto(GStrv) all = az_config_strv(config, "policy", "allowed-regions");
  g_autofree char **inside = az_config_fallback_regions(config, target->asked);
  gboolean any = !*sets && !az_deploy_arg_bool(target->deploy, "allow-fallback");
  g_autoptr(GStrvBuilder) regions = g_strv_builder_new();
  for (char **region = any ? all : inside; *region; region++)
    if (!g_str_equal(*region, target->asked) && !is_taken(target, *region))
      g_strv_builder_add(regions, *region);
  return g_strv_builder_end(regions);
}

/* ---- asking ---- */

static void
on_alternatives(AzlinOp *op, gpointer data)
{
  g_autofree Question *question = data;
  AzDeployTarget *target = question->target;
  GVariant *places = az_op_error(op) ? NULL : az_op_variant(op);
  if (az_op_cancelled(target->deploy->root))
    return;
  target->places = g_ptr_array_new_with_free_func((GDestroyNotify) g_variant_unref);
  for (gsize i = 0; places && i < g_variant_n_children(places); i++)
    g_ptr_array_add(target->places, g_variant_get_child_value(places, i));
  question->then(target);
}

void
az_deploy_find_places(AzDeployTarget *target, void (*then)(AzDeployTarget *target))
{
  if (target->places) {
    then(target);
    return;
  }
  g_auto(GStrv) regions = regions_for(target);
  Question *question = g_new0(Question, 1);
  *question = (Question){ .target = target, .then = then };
  az_flow_alternatives(target->deploy->engine, target->deploy->root, target->spec, (const char *const *) regions,
                       on_alternatives, question);
}

static char *
first_place(const AzDeployTarget *target, gboolean here)
{
  for (guint i = 0; i < target->places->len; i++) {
    Place place = place_of(g_ptr_array_index(target->places, i));
    if (g_str_equal(place.region, target->region) == here)
      return place_text(&place);
  }
  return NULL;
}

/* One in the same region and one in another, where there are both: before all general advice, since they were checked.
 */
void
az_deploy_suggest(AzDeployTarget *target)
{
  g_autofree char *here = first_place(target, TRUE), *elsewhere = first_place(target, FALSE);
  if (elsewhere)
    az_error_add_first_step(target->error, "%s (checked)", elsewhere);
  if (here)
    az_error_add_first_step(target->error, "%s (checked)", here);
}

/* ---- moving ---- */

/* What a provider answers is checked against the policy once more. */
static gboolean
is_open(const AzDeployTarget *target, const Place *place)
{
  AzConfig *config = az_engine_config(target->deploy->engine);
  const AzlinVmSpec *now = target->spec;
  g_autofree char **inside = az_config_fallback_regions(config, target->asked);
  gboolean same = g_str_equal(place->region, now->region) && g_str_equal(place->vm_size, now->vm_size)
                  && g_str_equal(place->zone, now->zone ? now->zone : "");
  if (same || !*place->vm_size || is_taken(target, place->region))
    return FALSE;
  return g_str_equal(place->region, target->asked) || g_strv_contains((const char *const *) inside, place->region);
}

static void
audit_move(AzDeploy *deploy, const AzlinVmSpec *from, const AzlinVmSpec *to)
{
  GVariantDict facts;
  if (az_deploy_arg_bool(deploy, "dry-run"))
    return;
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "region", "s", from->region);
  g_variant_dict_insert(&facts, "vm_size", "s", from->vm_size);
  g_variant_dict_insert(&facts, "to_region", "s", to->region);
  g_variant_dict_insert(&facts, "to_vm_size", "s", to->vm_size);
  g_variant_dict_insert(&facts, "to_zone", "s", to->zone ? to->zone : "");
  az_flow_audit(deploy->job, "deploy-fallback", g_variant_dict_end(&facts));
}

static void
say_move(const AzDeployTarget *target, const Place *place)
{
  AzDeploy *deploy = target->deploy;
  g_autofree char *text = place_text(place);
  g_autofree char *why = az_error_message(target->error);
  az_job_message(deploy->job, "warn", deploy->intent ? target->region : NULL, "Attempt %u: %s; trying %s",
                 target->attempts->len, why, text);
  if (deploy->intent && !g_str_equal(place->region, target->region))
    az_deploy_region_status(target, "moved");
}

static gboolean
journal_move(AzDeploy *deploy)
{
  GVariantDict facts;
  if (!deploy->intent)
    return TRUE;
  g_variant_dict_init(&facts, NULL);
  az_deploy_journal_names(deploy, &facts);
  return az_deploy_journal(deploy, g_variant_dict_end(&facts));
}

static void
no_place_left(AzDeployTarget *target)
{
  g_autofree char **inside = az_config_fallback_regions(az_engine_config(target->deploy->engine), target->asked);
  target->held_back = *inside == NULL;
  if (target->moves == AZ_DEPLOY_MAX_MOVES)
    az_error_add_first_step(target->error, "another size or region by hand: %d places were tried", AZ_DEPLOY_MAX_MOVES);
  else if (target->held_back)
    az_error_add_first_step(target->error, "another region: [policy] allowed-fallback holds no set with %s",
                            target->asked);
  else
    az_error_add_first_step(target->error, "a wider set for %s in [policy] allowed-fallback: nothing else in it fits",
                            target->asked);
}

gboolean
az_deploy_move(AzDeployTarget *target)
{
  AzDeploy *deploy = target->deploy;
  while (target->moves < AZ_DEPLOY_MAX_MOVES && target->next_place < target->places->len) {
    Place place = place_of(g_ptr_array_index(target->places, target->next_place++));
    if (!is_open(target, &place))
      continue;
    AzlinVmSpec *spec = az_deploy_spec(deploy, place.region, place.vm_size, place.zone, target->spec->image);
    AzlinVmSpec *before = target->spec;
    say_move(target, &place);
    target->moves++;
    az_deploy_use(target, spec);
    if (!journal_move(deploy)) {
      az_deploy_use(target, before);
      return FALSE;
    }
    audit_move(deploy, before, spec);
    g_clear_error(&target->error);
    target->fresh = TRUE;
    return TRUE;
  }
  no_place_left(target);
  return FALSE;
}

static void
on_places(AzDeployTarget *target)
{
  if (!az_deploy_may_move(target->deploy)) {
    az_deploy_suggest(target);
    az_deploy_failed(target);
    return;
  }
  if (!az_deploy_move(target)) {
    az_deploy_failed(target);
    return;
  }
  target->alone = TRUE;
  target->ended = FALSE;
  az_deploy_run_alone(target);
}

gboolean
az_deploy_fall_back(AzDeployTarget *target)
{
  const AzlinProvider *provider = az_flow_provider(target->deploy->engine, NULL);
  gboolean room = g_error_matches(target->error, AZLIN_ERROR, AZLIN_ERROR_CAPACITY);
  if (!room || !provider || !provider->alternatives)
    return FALSE;
  az_deploy_find_places(target, on_places);
  return TRUE;
}
