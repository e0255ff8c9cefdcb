/* Authentication through ssh-agent in a thread of its own: libssh talks to the agent in blocking calls. */
#include "private.h"

#include <gio/gio.h>
#include <poll.h>

typedef struct _Agent {
  ssh_session session;
  int abandoned; /* atomic */
  int result;
  void (*done)(int result, gpointer data);
  gpointer data;
} Agent;

static void
authenticate(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Agent *agent = data;
  struct pollfd wait = { .fd = ssh_get_fd(agent->session), .events = POLLIN };
  do {
    agent->result = ssh_userauth_agent(agent->session, NULL);
    if (agent->result == SSH_AUTH_AGAIN)
      poll(&wait, 1, 100);
  } while (agent->result == SSH_AUTH_AGAIN && !g_atomic_int_get(&agent->abandoned));
  g_task_return_boolean(task, TRUE);
}

static void
on_done(GObject *unused, GAsyncResult *result, gpointer unused_data)
{
  Agent *agent = g_task_get_task_data(G_TASK(result));
  if (!agent->abandoned) {
    agent->done(agent->result, agent->data);
    return;
  }
  session_end(agent->session);
}

Agent *
agent_start(ssh_session session, void (*done)(int, gpointer), gpointer data)
{
  Agent *agent = g_new0(Agent, 1);
  *agent = (Agent){ .session = session, .done = done, .data = data };
  g_autoptr(GTask) task = g_task_new(NULL, NULL, on_done, NULL);
  g_task_set_task_data(task, agent, g_free);
  g_task_run_in_thread(task, authenticate);
  return agent;
}

void
agent_abandon(Agent *agent)
{
  g_atomic_int_set(&agent->abandoned, 1);
}
