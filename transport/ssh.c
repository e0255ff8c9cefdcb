/* The one symbol of the SSH module: its table of functions. */
#include "private.h"

__attribute__((visibility("default"))) extern const AzTransportSsh azlin_transport_ssh_v1;
const AzTransportSsh azlin_transport_ssh_v1 = {
  .size = sizeof(AzTransportSsh),
  .key_load = key_load,
  .key_free = key_free,
  .key_public = key_public,
  .key_generate = key_generate,
  .connect = conn_connect,
  .close = conn_close,
  .exec = channel_exec,
  .cancel = channel_cancel,
  .feed = channel_feed,
  .pause = channel_pause,
  .set_window = channel_set_window,
  .keep_spare = spare_keep,
  .rtt_ms = conn_rtt_ms,
  .warm = warm_start,
};
