/* Resources as answers show them. */
#pragma once
#include "lifecycle.h"

json_t *view_resource(Double *world, const Resource *resource); /* as a GET: without secrets */
json_t *view_vm_instance(Double *world, const Resource *vm);    /* the instance view */
/* As a list shows it; Compute writes groups in upper case there. */
json_t *view_listed(Double *world, const Resource *resource);
/* {"value":[..],"nextLink"?}: the page of `items` (stolen) that the request asks for. */
void view_page(Exchange *exchange, json_t *items);

/* Handlers */
void views_handle_get(Exchange *exchange);
void views_handle_list(Exchange *exchange);
void views_handle_part(Exchange *exchange);
void views_handle_resources(Exchange *exchange);
