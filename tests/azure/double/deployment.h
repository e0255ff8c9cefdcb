/* Deployments: a template is checked as a whole, then its resources are made in the order of their dependencies. */
#pragma once
#include "exchange.h"

void deployment_handle_put(Exchange *exchange);
void deployment_handle_validate(Exchange *exchange);
void deployment_handle_get(Exchange *exchange);
void deployment_handle_list(Exchange *exchange);
void deployment_handle_cancel(Exchange *exchange);
void deployment_handle_delete(Exchange *exchange);
void deployment_handle_operations(Exchange *exchange);
