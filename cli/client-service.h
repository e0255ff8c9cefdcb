/* The service that a command is about, and calls to it: of the session when it works in the same home, of the machine
 * when that was asked for. */
#pragma once
#include "client.h"

typedef struct {
  GDBusConnection *bus;
  char *owner; /* its unique name: signals of another one are not its */
  gboolean of_system, may_ask;
} ClientService;

/* FALSE without an error: no service works in this home with this configuration. `ret_facts`: the answer to the query
 * "engine". */
gboolean
client_service_find(const ClientPlace *place, ClientService *ret_service, GVariant **ret_facts, GError **error);
void client_service_clear(ClientService *service);

/* Waits for the answer; `arguments` may be NULL. Owned. */
GVariant *client_service_call(const ClientService *service, const char *path, const char *interface, const char *method,
                              GVariant *arguments, const char *reply_type, GError **error);
GVariant *client_service_query(const ClientService *service, const char *what, GVariant *args, GError **error);
/* `done` may be NULL: nobody wants to know. */
void client_service_call_async(const ClientService *service, const char *path, const char *interface,
                               const char *method, GVariant *arguments, GCancellable *cancellable,
                               GAsyncReadyCallback done, gpointer data);
/* What a call came to, as it would be said in this process. Takes `remote`. */
GError *client_service_error(const ClientService *service, GError *remote);
