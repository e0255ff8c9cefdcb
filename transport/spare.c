/* Channels that are open before they are needed: the next commands save the round trip of opening their own. */
#include "private.h"

static void
drop(AzSshConn *conn, Spare *spare)
{
  if (spare->channel != NULL && conn->session != NULL)
    ssh_channel_free(spare->channel);
  *spare = (Spare){ 0 };
}

void
spare_keep(AzSshConn *conn, gboolean keep)
{
  conn->most_spare = keep ? MAX_SPARE : 0;
  for (guint i = 0; i < MAX_SPARE && !keep; i++)
    if (conn->spare[i].open)
      drop(conn, &conn->spare[i]);
  conn_kick(conn);
}

static guint
count_open(const AzSshConn *conn)
{
  guint n = 0;
  for (guint i = 0; i < MAX_SPARE; i++)
    n += conn->spare[i].open ? 1 : 0;
  return n;
}

static void
step_one(AzSshConn *conn, Spare *spare, gboolean wanted)
{
  if (spare->open && !ssh_channel_is_open(spare->channel))
    drop(conn, spare); /* the server has a limit for channels that do nothing */
  if (spare->open || (spare->channel == NULL && !wanted))
    return;
  if (spare->channel == NULL)
    spare->channel = ssh_channel_new(conn->session);
  int result = ssh_channel_open_session(spare->channel);
  if (result == SSH_OK) {
    window_open(spare->channel, FIRST_WINDOW);
    spare->open = TRUE;
    if (!wanted)
      drop(conn, spare);
  } else if (result != SSH_AGAIN) {
    drop(conn, spare);
    conn->most_spare = count_open(conn); /* it allows no more: commands open their own */
  }
}

void
spare_step(AzSshConn *conn)
{
  for (guint i = 0; i < MAX_SPARE; i++)
    step_one(conn, &conn->spare[i], i < conn->most_spare);
}

ssh_channel
spare_take(AzSshConn *conn)
{
  for (guint i = 0; i < MAX_SPARE; i++) {
    Spare *spare = &conn->spare[i];
    if (!spare->open || !ssh_channel_is_open(spare->channel))
      continue;
    spare->open = FALSE;
    return g_steal_pointer(&spare->channel);
  }
  return NULL;
}
