/* azlin ssh: asks the engine where the machine is and which key it pinned, then becomes OpenSSH's client. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cmd-job.h"
#include "render.h"

/* The words behind "--" are one command line of the remote login shell, joined by spaces as OpenSSH does it. */
static GPtrArray *
build_argv(GVariant *target, char **words)
{
  GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
  g_autofree const char **options = NULL;
  g_variant_lookup(target, "argv", "^a&s", &options);
  for (guint i = 0; options && options[i]; i++)
    g_ptr_array_add(argv, g_strdup(options[i]));
  if (words && *words) {
    g_ptr_array_add(argv, g_strdup("--"));
    g_ptr_array_add(argv, g_strjoinv(" ", words));
  }
  g_ptr_array_add(argv, NULL);
  return argv;
}

static int
become_ssh(const Invocation *invocation, Client *client, GVariant *result, int exit_code)
{
  if (exit_code || invocation->output != OUTPUT_TABLE)
    return cmd_job_show(invocation, client, result, exit_code);

  g_autoptr(GPtrArray) argv = build_argv(result, invocation->rest);
  signal(SIGPIPE, SIG_DFL);
  execvp(argv->pdata[0], (char **) argv->pdata);
  g_autofree char *why = g_strdup_printf("ssh cannot be started: %s", g_strerror(errno));
  g_autoptr(GError) failed = client_failure(why);
  return render_gerror(invocation, failed);
}

int
cmd_ssh_run(const Invocation *invocation)
{
  return cmd_job_run_then(invocation, become_ssh);
}
