/* Commands that only ask the engine: config show, bricks, audit. */
#include "render.h"

int
cmd_query_run(const Invocation *invocation)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Client) client = client_new(&invocation->place, &error);
  if (!client)
    return render_gerror(invocation, error);
  g_autoptr(GVariant) result = client_query(client, invocation->command->query, invocation->args, &error);
  if (!result)
    return render_gerror(invocation, error);

  gboolean valid = TRUE;
  g_variant_lookup(result, "valid", "b", &valid);
  int exit_code = valid ? 0 : 1;
  if (invocation->output == OUTPUT_TABLE)
    invocation->command->show(invocation, client, result);
  else
    render_document(invocation, result, exit_code);
  return exit_code;
}
