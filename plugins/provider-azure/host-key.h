/* The host key of a machine, read through Azure and not from whoever answers at its address. */
#pragma once
#include "azure.h"

/* `key`: "ssh-ed25519 AAAA...", or NULL and `why_not`, a clause for people. At most two minutes. Valid in the call. */
typedef void (*AzureHostKeyDone)(const char *key, const char *why_not, gpointer data);
void azure_host_key(Azure *azure, AzlinOp *op, const char *vm_id, AzureHostKeyDone done, gpointer data);

/* ---- pure; both owned, NULL = none ---- */
char *azure_host_key_of_run_command(const json_t *answer); /* the key stands alone between [stdout] and [stderr] */
char *azure_host_key_of_serial_log(const char *log, gsize length); /* the last block that cloud-init wrote */
/* TRUE: an address that boot diagnostics may be fetched from: https and the cloud's blob store, or loopback when the
 * cloud itself is on loopback. */
gboolean azure_serial_log_url_is_good(const char *url, const char *endpoint);
