/* azlin logs: a record a line as it comes, or one document. */
#include "cmd-job.h"
#include "render.h"

int
cmd_logs_run(const Invocation *invocation)
{
  Invocation streamed = *invocation;
  GVariantDict args;
  if (invocation->output == OUTPUT_JSON)
    return cmd_job_run(invocation);
  g_variant_dict_init(&args, invocation->args);
  g_variant_dict_insert(&args, "stream", "b", TRUE);
  streamed.args = g_variant_ref_sink(g_variant_dict_end(&args));
  int exit_code = cmd_job_run(&streamed);
  g_variant_unref(streamed.args);
  return exit_code;
}
