/* One HTTP request from a brick to its answer. */
#include "http.h"

struct _AzHttp {
  AzClock *clock;
  AzConfig *config;
};

AzHttp *
az_http_new(AzClock *clock, AzConfig *config)
{
  AzHttp *http = g_new0(AzHttp, 1);
  *http = (AzHttp){ .clock = clock, .config = config };
  return http;
}

void
az_http_free(AzHttp *http)
{
  g_free(http);
}

void
az_http_send(AzHttp *http, const AzlinHttp *request, AzlinOp *op)
{
  az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "this build has no HTTP");
}

void
az_http_send_plain(AzHttp *http, const AzHttpPlain *request, AzlinOp *op)
{
  az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "this build has no HTTP");
}
