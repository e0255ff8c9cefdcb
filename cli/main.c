/* azlin: reads the command line, runs the command, gives its exit code. */
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "parse.h"
#include "render.h"
#include "text.h"

static gboolean verbose;

/* Warnings reach people as sentences; the rest of the log only who asked for it. Fatality is GLib's own affair. */
static GLogWriterOutput
write_log(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  const char *message = "", *domain = "";
  for (gsize i = 0; i < n; i++) {
    if (!strcmp(fields[i].key, "MESSAGE"))
      message = fields[i].value;
    else if (!strcmp(fields[i].key, "GLIB_DOMAIN"))
      domain = fields[i].value;
  }
  gboolean loud = (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING)) != 0;
  if (!loud && !verbose)
    return G_LOG_WRITER_HANDLED;
  g_autofree char *harmless = text_clean_line(message);
  fprintf(stderr, loud ? "azlin: warning: %s%s%s\n" : "azlin: %s%s%s\n", verbose ? domain : "", verbose ? ": " : "",
          harmless);
  return G_LOG_WRITER_HANDLED;
}

static int
run(const Invocation *invocation)
{
  if (invocation->version)
    return cmd_version_run(invocation);
  if (invocation->help) {
    if (invocation->command && command_summary(invocation->command))
      help_command(invocation->command, stdout);
    else if (invocation->group)
      help_group(invocation->group, stdout);
    else
      help_overview(stdout);
    return 0;
  }
  if (!invocation->command) {
    g_autoptr(GError) error = client_usage_error("a command is missing");
    if (invocation->output != OUTPUT_TABLE)
      return render_gerror(invocation, error);
    if (invocation->group)
      help_group(invocation->group, stderr);
    else
      help_overview(stderr);
    return 64;
  }
  return invocation->command->run(invocation);
}

/* Whoever read it has seen enough, as with "| head". */
static gboolean
reader_left(void)
{
  struct pollfd out = { .fd = STDOUT_FILENO };
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

/* What was printed must have arrived: a full disk is not success. */
static int
close_output(int exit_code)
{
  if ((!fflush(stdout) && !ferror(stdout)) || reader_left())
    return exit_code;
  fprintf(stderr, "azlin: the output could not be written\n");
  return exit_code ? exit_code : 1;
}

int
main(int argc, char **argv)
{
  g_autoptr(GError) error = NULL;
  Invocation invocation;
  Terminal terminal;

  setlocale(LC_CTYPE, "");               /* the other categories would only cost time */
  setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* unbuffered, each piece of a line is a system call */
  signal(SIGPIPE, SIG_IGN);
  g_log_set_writer_func(write_log, NULL, NULL);
  gboolean ok = parse_line(argc, argv, &invocation, &error);
  verbose = invocation.verbose;
  terminal_init(&terminal, invocation.output == OUTPUT_TABLE ? stdout : stderr, invocation.no_color);
  invocation.terminal = &terminal;
  invocation.place.may_ask = terminal.can_ask;
  int exit_code = close_output(ok ? run(&invocation) : render_gerror(&invocation, error));
  invocation_clear(&invocation);
  return exit_code;
}
