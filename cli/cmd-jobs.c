/* azlin jobs: what a service is at, whoever began it. */
#include "cmd-job.h"
#include "render.h"

static int
with_job(const Invocation *invocation, int (*run)(const Invocation *invocation, Client *client, guint64 number))
{
  g_autoptr(GError) error = NULL;
  guint32 number = 0;
  g_autoptr(Client) client = client_new(&invocation->place, &error);
  if (!client)
    return render_gerror(invocation, error);
  g_variant_lookup(invocation->args, "job", "u", &number);
  if (number == 0) {
    error = client_usage_error("jobs are numbered from 1: azlin jobs list");
    return render_gerror(invocation, error);
  }
  return run(invocation, client, number);
}

static int
cancel(const Invocation *invocation, Client *client, guint64 number)
{
  g_autoptr(GError) error = NULL;
  GVariantDict facts;
  if (!client_cancel_job(client, number, &error))
    return render_gerror(invocation, error);
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "job", "t", number);
  g_variant_dict_insert(&facts, "asked_to_end", "b", TRUE);
  g_autoptr(GVariant) result = g_variant_ref_sink(g_variant_dict_end(&facts));
  if (invocation->output == OUTPUT_TABLE)
    terminal_line(invocation->terminal, INK_PLAIN,
                  "Job %" G_GUINT64_FORMAT " was asked to end. See how it does: azlin jobs attach %" G_GUINT64_FORMAT,
                  number, number);
  else
    render_document(invocation, result, 0);
  return 0;
}

int
cmd_jobs_attach_run(const Invocation *invocation)
{
  return with_job(invocation, cmd_job_follow);
}

int
cmd_jobs_cancel_run(const Invocation *invocation)
{
  return with_job(invocation, cancel);
}
