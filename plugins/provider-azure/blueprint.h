/* One machine to be made: what was asked for, checked before anything is sent, and the JSON of each of its resources.
 */
#pragma once
#include "names.h"

typedef struct {                                            /* all owned */
  AzureNames *names;                                        /* NULL until azure_blueprint_place() */
  char *region, *vm_name, *resource_group, *vm_size, *zone; /* zone: NULL = none */
  char *user, *ssh_key, *vm_type;
  char *custom_data; /* base64, or NULL */
  char *op;          /* uuid of the creation, the value of AZLIN_TAG_OP */
  char *created_at;  /* ISO 8601 */
  char **ssh_source; /* IPv4 ranges that may reach SSH; NULL = everybody */
  json_t *image;     /* imageReference */
  GVariant *tags;    /* a{ss} or NULL */
} AzureBlueprint;

/* Checks `spec` and the options of the brick: USAGE or CONFIG. */
AzureBlueprint *azure_blueprint_new(Azure *azure, const AzlinVmSpec *spec, GError **error);
/* Once the subscription is known. FALSE and USAGE: group or machine have a name that Azure does not take. */
gboolean azure_blueprint_place(AzureBlueprint *blueprint, Azure *azure, GError **error);
void azure_blueprint_free(AzureBlueprint *blueprint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzureBlueprint, azure_blueprint_free)

/* ---- checks, pure ---- */
gboolean azure_user_check(const char *user, GError **error);
/* IPv4 addresses and ranges in one spelling; NULL and no error = unset. */
char **azure_ssh_source_parse(const char *const *words, GError **error);

/* ---- resources.c: new JSON objects ---- */
json_t *azure_group_body(const char *region);
json_t *azure_rules_body(const AzureBlueprint *blueprint);
json_t *azure_network_body(const AzureBlueprint *blueprint);
json_t *azure_address_body(const AzureBlueprint *blueprint);
json_t *azure_nic_body(const AzureBlueprint *blueprint);
json_t *azure_vm_body(const AzureBlueprint *blueprint);
GVariant *azure_vm_tags(const AzureBlueprint *blueprint); /* a{ss}, owned: all tags that the machine bears */

/* The rule that lets azlin's own machines in; `addresses` is not empty. */
#define AZURE_MACHINES_RULE "azlin-machines"
#define AZURE_SSH_RULE "ssh"
json_t *azure_machines_rule(const char *const *addresses);

/* ---- template.c ---- */
/* One deployment of all of these: ids and values are literal, what is secret travels as a secure parameter. */
json_t *azure_deployment_body(const AzureBlueprint *blueprint);
