/* x */
#include "credential-private.h"
void
az_token_from_managed(AzTokenFetch *fetch)
{
  az_token_fetch_pass(fetch, "none");
}
