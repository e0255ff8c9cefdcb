/* A channel that is open before it is needed: the next command saves the round trip of opening its own. */
#include "private.h"

static void
drop(AzSshConn *conn)
{
  if (conn->spare != NULL && conn->session != NULL)
    ssh_channel_free(conn->spare);
  conn->spare = NULL;
  conn->spare_open = FALSE;
}

void
spare_keep(AzSshConn *conn, gboolean keep)
{
  conn->keep_spare = keep;
  if (!keep && conn->spare_open)
    drop(conn);
  conn_kick(conn);
}

void
spare_step(AzSshConn *conn)
{
  if (conn->spare_open && !ssh_channel_is_open(conn->spare))
    drop(conn); /* the server has a limit for channels that do nothing */
  if (conn->spare_open || (conn->spare == NULL && !conn->keep_spare))
    return;
  if (conn->spare == NULL)
    conn->spare = ssh_channel_new(conn->session);
  int result = ssh_channel_open_session(conn->spare);
  if (result == SSH_OK) {
    window_open(conn->spare, FIRST_WINDOW);
    conn->spare_open = TRUE;
    if (!conn->keep_spare)
      drop(conn);
  } else if (result != SSH_AGAIN) {
    drop(conn);
    conn->keep_spare = FALSE; /* it allows no more: commands open their own */
  }
}

ssh_channel
spare_take(AzSshConn *conn)
{
  if (!conn->spare_open || !ssh_channel_is_open(conn->spare))
    return NULL;
  conn->spare_open = FALSE;
  return g_steal_pointer(&conn->spare);
}
