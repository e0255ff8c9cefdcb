/* The one symbol of the HTTP module: its table of functions. */
#include "http-private.h"

__attribute__((visibility("default"))) extern const AzTransportHttp azlin_transport_http_v1;
const AzTransportHttp azlin_transport_http_v1 = {
  .size = sizeof(AzTransportHttp),
  .session_new = http_session_new,
  .session_free = http_session_free,
  .send = http_call_send,
  .cancel = http_call_cancel,
  .sign_rs256 = http_sign_rs256,
};
