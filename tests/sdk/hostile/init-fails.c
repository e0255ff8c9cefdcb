/* Loads well, then says that it cannot run. */
#include "hostile.h"

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "the moon is in the wrong phase");
  return FALSE;
}

static const AzlinCoordinator iface = GOOD_IFACE;
static const AzlinBrick brick = { .size = sizeof(AzlinBrick),
                                  .kind = AZLIN_KIND_COORDINATOR,
                                  .name = "init-fails",
                                  .summary = "for tests",
                                  .init = init,
                                  .iface = &iface };

AZLIN_PLUGIN_DEFINE("test.init-fails", "1.0", "MIT", &brick);
