/* What a caller of the system's service needs for a call: tables and a function over them, no I/O. */
#pragma once
#include <glib.h>

#define SERVICE_ACTION "io.azlin.Azlin1." /* before the name of an action, as polkit knows it */

typedef enum {
  SERVICE_OBJECT_MANAGER, /* the service itself */
  SERVICE_OBJECT_OWN,     /* a job of the caller's own user */
  SERVICE_OBJECT_FOREIGN, /* a job of somebody else, or of nobody */
  SERVICE_OBJECT_MISSING  /* there is none, or not any more */
} ServiceObject;

typedef struct {
  const char *interface, *method;
  ServiceObject object;
  const char *kind;    /* of the job that is made or called; what is queried; NULL: neither */
  gboolean kind_known; /* to the engine: what it does not know, it refuses in its own words */
} ServiceCall;

typedef struct {
  const char *needed[3]; /* polkit actions, each of which must be granted; ends NULL */
  const char *wider;     /* an action that shows the jobs of others, too; NULL: there is nothing to widen */
} ServiceRule;

/* FALSE: refused, whoever asks; `ret_why` says why, in a sentence without full stop; owned. */
gboolean service_rule_find(const ServiceCall *call, ServiceRule *ret_rule, char **ret_why);
