/* Subscriptions, locations, resource providers, resource groups and tags. */
#pragma once
#include "exchange.h"

void account_handle_subscriptions(Exchange *exchange);
void account_handle_subscription(Exchange *exchange);
void account_handle_locations(Exchange *exchange);
void account_handle_providers(Exchange *exchange);
void account_handle_provider(Exchange *exchange);
void account_handle_register(Exchange *exchange);

void groups_handle_list(Exchange *exchange);
void groups_handle_get(Exchange *exchange);
void groups_handle_put(Exchange *exchange);
void groups_handle_patch(Exchange *exchange);
void groups_handle_delete(Exchange *exchange);

void tags_handle(Exchange *exchange);       /* .../providers/Microsoft.Resources/tags/default */
void tags_handle_patch(Exchange *exchange); /* PATCH of a resource with "tags" */
