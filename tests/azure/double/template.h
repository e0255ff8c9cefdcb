/* Expressions of deployment templates: "[resourceId('a/b', parameters('name'))]" and their like. */
#pragma once
#include "double.h"

typedef struct {
  Double *world;
  const char *group_id; /* of the deployment */
  json_t *template;     /* for variables and default values */
  json_t *given;        /* parameters: name -> {"value"} */
  gboolean references;  /* reference() may look at resources; else it stays unevaluated */
  guint depth;
  char *problem; /* owned; the first thing that went wrong, NULL = nothing */
} TemplateScope;

/* The value with all expressions in it evaluated, owned; NULL and `scope->problem` when that fails. */
json_t *template_value(TemplateScope *scope, json_t *value);
/* Id of a type and a name, both with as many parts: "a/b/c" and "x/y". Owned; NULL = they do not fit. */
char *template_id(const char *group_id, const char *type, const char *name);
