/* The options of the core itself: group, key, type, default, range, one line of help; config/azlin.conf shows the same.
 */
#include "config-private.h"

#define ALLOWED_REGIONS                                                                                                \
  "eastus;eastus2;westus;westus2;centralus;northeurope;westeurope;uksouth;ukwest;southeastasia;eastasia;"              \
  "australiaeast;japaneast"

static const AzlinOption azlin_options[] = {
  { "plugins", "as", NULL, NULL, NULL,
    "plugin files to load besides kind-name.so, for files that bring several bricks" },
  { 0 },
};

static const AzlinOption bricks_options[] = {
  { "provider", "s", "local", NULL, NULL,
    "where machines live: local, static, azure, or any installed provider brick" },
  { "deployer", "s", "parallel", NULL, NULL, "how several regions are deployed" },
  { "failover", "s", "hybrid", NULL, NULL, "who decides that a region is down" },
  { "sync", "s", "auto", NULL, NULL, "how data is copied; auto: the best of sync-strategies for each job" },
  { "sync-strategies", "as", "rsync;stream;blob", NULL, NULL, "the strategies that auto chooses from" },
  { "context", "as", "file", NULL, NULL,
    "where region records are kept: written to all, read from the first; with coordinator=etcd it is etcd;file" },
  { "coordinator", "s", "file", NULL, NULL,
    "who hands out the locks: file (on this host alone), etcd or blob (among many hosts)" },
  { 0 },
};

static const AzlinOption policy_options[] = {
  { "allowed-regions", "as", ALLOWED_REGIONS, NULL, NULL, "the regions that azlin may act in" },
  { "allowed-fallback", "as", NULL, NULL, NULL,
    "sets of regions, each written a,b,c, inside which deploy --allow-fallback may move a machine; empty: never" },
  { 0 },
};

static const AzlinOption aliases_options[] = {
  { "us", "s", "eastus", NULL, NULL, "short name of a region; add your own lines, an empty value removes one" },
  { "eu", "s", "westeurope", NULL, NULL, "short name of a region" },
  { "asia", "s", "southeastasia", NULL, NULL, "short name of a region" },
  { 0 },
};

static const AzlinOption defaults_options[] = {
  { "resource-group", "s", "azlin-vms", NULL, NULL, "base name of resource groups; the region is added to it" },
  { "vm-size", "s", "Standard_B2s", NULL, NULL, "size of new machines" },
  { "image", "s", "Ubuntu2204", NULL, NULL, "image of new machines" },
  { 0 },
};

static const AzlinOption ssh_options[] = {
  { "user", "s", "azureuser", NULL, NULL, "login name on the machines" },
  { "key-file", "s", NULL, NULL, NULL, "private key; empty: keys/id_ed25519 in azlin's home, made on first need" },
  { "accept-new", "b", "false", NULL, NULL,
    "trust the host key seen first (audited); a changed key is always refused" },
  { 0 },
};

static const AzlinOption http_options[] = {
  { "ca-file", "s", NULL, NULL, NULL,
    "certificates to trust instead of the system's, a PEM file; empty: $SSL_CERT_FILE, else the system's" },
  { 0 },
};

static const AzlinOption health_options[] = {
  { "tcp-timeout", "d", "5", "0.1", "600", "seconds to wait for a connection to the SSH port" },
  { "ssh-timeout", "d", "5", "0.1", "600", "seconds to wait for banner, key exchange and the pinned host key" },
  { "login-timeout", "d", "5", "0.1", "600", "seconds to wait for the login and its echo" },
  { "power-timeout", "d", "10", "0.1", "600", "seconds to wait for the provider's answer about the power state" },
  { "slow-ms", "d", "3000", "0", "600000", "a login that takes longer counts as performance_degraded; 0: never" },
  { 0 },
};

static const AzlinOption watch_options[] = {
  { "name", "s", NULL, NULL, NULL,
    "what this host's watch is called among those that share the regions; empty: the host's name" },
  { "place", "s", NULL, NULL, NULL,
    "where it looks from: watches of one place share a network and count as one; empty: the host's name" },
  { "member-ttl", "u", "15", "10", "300",
    "seconds until others take over what this watch looks after when nothing is heard of it" },
  { 0 },
};

static const AzlinOption metrics_options[] = {
  { "listen", "s", NULL, NULL, NULL,
    "where azlind offers its figures to Prometheus: the path of a socket, or as 127.0.0.1:9469; empty: nowhere" },
  { 0 },
};

const AzConfigGroup az_config_core_groups[] = {
  { "azlin", "the program itself", azlin_options, FALSE },
  { "bricks", "which bricks run; a name here loads kind-name.so and no other file", bricks_options, FALSE },
  { "policy", "what azlin may do", policy_options, FALSE },
  { "aliases", "short names of regions", aliases_options, TRUE },
  { "defaults", "what new machines are made of", defaults_options, FALSE },
  { "ssh", "how machines are entered", ssh_options, FALSE },
  { "http", "how clouds are spoken to", http_options, FALSE },
  { "health", "how health is checked", health_options, FALSE },
  { "watch", "several watches that share the regions, by a coordinator that knows who is there: etcd", watch_options,
    FALSE },
  { "metrics", "figures for a monitoring system", metrics_options, FALSE },
  { 0 },
};
