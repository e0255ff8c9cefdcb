/* What an image word means: an alias as `az vm create` knows it, publisher:offer:sku:version, or a resource id. */
#pragma once
#include <glib.h>
#include <jansson.h>

/* A new imageReference; NULL and USAGE when `word` is none of the three. */
json_t *azure_image_reference(const char *word, GError **error);
