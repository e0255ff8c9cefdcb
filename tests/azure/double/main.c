/* arm-double: a server that plays Azure Resource Manager and the token endpoints, for tests. */
#include "control.h"
#include "exchange.h"
#include <glib-unix.h>
#include <stdio.h>
#include <unistd.h>

static struct {
  int port;
  char *certificate, *key, *rules;
  char **control;
  gboolean with_parent;
} options;

static const GOptionEntry entries[]
    = { { "port", 0, 0, G_OPTION_ARG_INT, &options.port, "Port on 127.0.0.1; 0 = the kernel chooses (default)", "N" },
        { "tls-cert", 0, 0, G_OPTION_ARG_FILENAME, &options.certificate, "Serve https with this certificate (PEM)",
          "FILE" },
        { "tls-key", 0, 0, G_OPTION_ARG_FILENAME, &options.key, "Its private key (PEM)", "FILE" },
        { "rules", 0, 0, G_OPTION_ARG_FILENAME, &options.rules, "arm-rules.json", "FILE" },
        { "control", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.control, "A control document to begin with (repeatable)",
          "JSON" },
        { "with-parent", 0, 0, G_OPTION_ARG_NONE, &options.with_parent, "End when standard input ends", NULL },
        { NULL } };

/* GSocket's own backlog of 10 turns away a client that opens hundreds of connections at once. */
static GSocket *
listen_on(int port, GError **error)
{
  g_autoptr(GSocketAddress) address = g_inet_socket_address_new_from_string("127.0.0.1", (guint) port);
  g_autoptr(GSocket) socket = g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, error);
  if (socket == NULL)
    return NULL;
  g_socket_set_listen_backlog(socket, 4096);
  if (!g_socket_bind(socket, address, TRUE, error) || !g_socket_listen(socket, error))
    return NULL;
  return g_steal_pointer(&socket);
}

static SoupServer *
serve(Double *world, int port, GTlsCertificate *certificate, guint *ret_port, GError **error)
{
  g_autoptr(GSocket) socket = listen_on(port, error);
  if (socket == NULL)
    return NULL;
  SoupServer *server = soup_server_new("tls-certificate", certificate, "server-header", "Microsoft-HTTPAPI/2.0 ", NULL);
  SoupServerListenOptions flags = certificate != NULL ? SOUP_SERVER_LISTEN_HTTPS : 0;
  if (!soup_server_listen_socket(server, socket, flags, error)) {
    g_object_unref(server);
    return NULL;
  }
  GSList *uris = soup_server_get_uris(server);
  *ret_port = (guint) g_uri_get_port(uris->data);
  g_slist_free_full(uris, (GDestroyNotify) g_uri_unref);
  soup_server_add_handler(server, NULL, exchange_receive, world, NULL);
  return server;
}

static gboolean
begin(Double *world, GError **error)
{
  g_autoptr(GTlsCertificate) certificate = NULL;
  world->rules = rules_load(options.rules, error);
  if (world->rules == NULL)
    return FALSE;
  for (guint i = 0; options.control != NULL && options.control[i] != NULL; i++) {
    json_t *document = json_loads(options.control[i], 0, NULL);
    g_autofree char *problem = control_apply(world, document);
    json_decref(document);
    if (problem == NULL)
      continue;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "--control: %s", problem);
    return FALSE;
  }
  if (options.certificate != NULL) {
    /* libsoup's server offers h2 only when it is asked in this way, and only over TLS. */
    g_setenv("SOUP_SERVER_HTTP2", "1", TRUE);
    certificate = g_tls_certificate_new_from_files(options.certificate, options.key, error);
    if (certificate == NULL)
      return FALSE;
  }
  world->server = serve(world, options.port, certificate, &world->port, error);
  if (world->server == NULL)
    return FALSE;
  world->foreign = serve(world, 0, NULL, &world->foreign_port, error);
  return world->foreign != NULL;
}

static gboolean
stop(gpointer loop)
{
  g_main_loop_quit(loop);
  return G_SOURCE_REMOVE;
}

static gboolean
input_ended(int fd, GIOCondition condition, gpointer loop)
{
  char byte;
  return read(fd, &byte, 1) > 0 ? G_SOURCE_CONTINUE : stop(loop);
}

int
main(int argc, char **argv)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GOptionContext) context = g_option_context_new("- plays Azure Resource Manager for tests");
  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  Double world = { 0 };
  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error) || options.rules == NULL) {
    g_printerr("arm-double: %s\n", error != NULL ? error->message : "--rules is needed");
    return 2;
  }
  control_begin_world(&world);
  if (!begin(&world, &error)) {
    g_printerr("arm-double: %s\n", error->message);
    return 1;
  }
  printf("{\"port\": %u, \"foreign_port\": %u}\n", world.port, world.foreign_port);
  fflush(stdout);
  g_unix_signal_add(SIGTERM, stop, loop);
  g_unix_signal_add(SIGINT, stop, loop);
  if (options.with_parent)
    g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, input_ended, loop);
  g_main_loop_run(loop);
  g_object_unref(world.server);
  g_object_unref(world.foreign);
  control_end_world(&world);
  rules_free(world.rules);
  return 0;
}
