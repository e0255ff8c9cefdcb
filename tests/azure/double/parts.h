/* Subnets and security rules as resources of their own, below the resource that holds them. */
#pragma once
#include "exchange.h"

void parts_handle_put(Exchange *exchange);
void parts_handle_delete(Exchange *exchange);
void parts_handle_list(Exchange *exchange);
