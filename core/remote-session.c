/* Commands over SSH: one session per machine is opened on first need, shared by several commands, closed when idle. */
#include "remote-private.h"

#include "error.h"
#include "record.h"

#include <string.h>

#define CONNECT_MS 15000
#define IDLE_MS 30000
/* sshd's MaxSessions is 10 by default */
#define MAX_COMMANDS 8
#define MAX_BULK_SESSIONS 24
/* sshd's MaxStartups refuses some of more than ten logins at a time */
#define MAX_CONNECTING 6
/* One SSH packet holds at most 256 KiB; more belongs on standard input. */
#define MAX_COMMAND_BYTES (128 * 1024)

typedef struct _Session Session;

struct _AzRun {
  AzRemote *remote;
  Session *session; /* NULL while it has none */
  AzlinVm *vm;
  char *text;
  AzRunRequest request; /* the strings and `input` in it are not to be used */
  GBytes *input;
  AzSshCommand *command;
  gboolean paused;
  gsize window;    /* 0 = as the module has it */
  gboolean second; /* a session that died while it was idle is worth one more try */
};

struct _Session {
  AzPool *pool;
  char *place;
  char *key; /* place and stored pin: what must agree for a session to be shared */
  AzlinVm *vm;
  AzSshConn *conn; /* NULL: it waits until others have logged in */
  gboolean ready, used, lost;
  gboolean warm;                /* wanted, once it is ready */
  GPtrArray *waiting, *running; /* of AzRun */
  AzTimer *timer;               /* until it is ready: the deadline; without commands: the idle time */
  AzSshStep step;
};

struct _AzPool {
  AzRemote *remote;
  GHashTable *sessions; /* key -> GPtrArray of Session */
  GHashTable *held;     /* place -> how often */
  GHashTable *rtt;      /* place -> double, ms */
  GPtrArray *stranded;  /* of AzRun: their session is gone, and they have not been told yet */
};

static void submit(AzRun *run);
static void connect_next(GPtrArray *same);

static void
run_free(AzRun *run)
{
  az_clock_release(run->remote->clock);
  if (run->request.free != NULL)
    run->request.free(run->request.data);
  g_clear_pointer(&run->input, g_bytes_unref);
  az_vm_free(run->vm);
  g_free(run->text);
  g_free(run);
}

static void
run_fail(AzRun *run, GError *error)
{
  run->request.ended(0, error, run->request.data);
  g_error_free(error);
  run_free(run);
}

/* user@host:port, whatever is pinned */
static char *
place_of(AzRemote *remote, const AzlinVm *vm)
{
  return g_strdup_printf("%s@%s:%u", az_remote_user(remote, vm), vm->public_ip, az_remote_port(vm));
}

static gboolean
is_held(Session *session)
{
  return g_hash_table_contains(session->pool->held, session->place);
}

static void
note_rtt(Session *session)
{
  GHashTable *rtt = session->pool->rtt;
  double ms = session->conn != NULL ? session->pool->remote->ssh->rtt_ms(session->conn) : -1;
  const double *before = g_hash_table_lookup(rtt, session->place);
  if (ms >= 0 && (before == NULL || ms < *before))
    g_hash_table_replace(rtt, g_strdup(session->place), g_memdup2(&ms, sizeof ms));
}

/* Off its pool's table and closed; its commands must be gone already. */
static void
session_free(Session *session)
{
  AzPool *pool = session->pool;
  GPtrArray *same = g_hash_table_lookup(pool->sessions, session->key);
  note_rtt(session);
  g_ptr_array_remove_fast(same, session);
  if (same->len == 0)
    g_hash_table_remove(pool->sessions, session->key);
  else
    connect_next(same);
  az_timer_cancel(session->timer);
  if (session->conn != NULL)
    pool->remote->ssh->close(session->conn);
  g_ptr_array_unref(session->waiting);
  g_ptr_array_unref(session->running);
  az_vm_free(session->vm);
  g_free(session->place);
  g_free(session->key);
  g_free(session);
}

static void
on_idle(gpointer data)
{
  Session *session = data;
  session->timer = NULL;
  session_free(session);
}

static void
set_timer(Session *session, guint32 ms, void (*func)(gpointer))
{
  az_timer_cancel(session->timer);
  session->timer = ms > 0 ? az_clock_after(session->pool->remote->clock, ms, func, session) : NULL;
}

static void
rest_if_idle(Session *session)
{
  if (session->ready && session->waiting->len == 0 && session->running->len == 0)
    set_timer(session, is_held(session) ? 0 : IDLE_MS, on_idle);
}

/* Ends the session; what has not begun gets a second session if this one had worked before, else the error. Whoever is
 * told may cancel others of the same session. */
static void
session_lost(Session *session, AzSshOutcome outcome, const char *detail)
{
  AzPool *pool = session->pool;
  gboolean was_used = session->used;
  AzSshStep step = session->step;
  for (guint i = 0; i < session->waiting->len; i++) {
    ((AzRun *) g_ptr_array_index(session->waiting, i))->session = NULL;
    g_ptr_array_add(pool->stranded, g_ptr_array_index(session->waiting, i));
  }
  session_free(session);
  while (pool->stranded->len > 0) {
    AzRun *run = g_ptr_array_steal_index(pool->stranded, 0);
    if (was_used && !run->second) {
      run->second = TRUE;
      submit(run);
    } else {
      run_fail(run, az_remote_error(run->vm, step, outcome, detail));
    }
  }
}

static void
on_deadline(gpointer data)
{
  Session *session = data;
  session->timer = NULL;
  session_lost(session, AZ_SSH_TIMEOUT,
               session->step == AZ_SSH_TCP ? "no connection within 15 s" : "no login within 15 s");
}

static void
on_output(gboolean is_stderr, const char *bytes, gsize length, gpointer data)
{
  AzRun *run = data;
  run->request.output(is_stderr, bytes, length, run->request.data);
}

static gssize
on_peek(const char **ret_bytes, gpointer data)
{
  AzRun *run = data;
  return run->request.peek(ret_bytes, run->request.data);
}

static void
on_took(gsize length, gpointer data)
{
  AzRun *run = data;
  run->request.took(length, run->request.data);
}

static void
on_delivered(guint64 bytes, gpointer data)
{
  AzRun *run = data;
  run->request.delivered(bytes, run->request.data);
}

static void start_waiting(Session *session);

static void
finish_run(AzRun *run, const AzSshExit *how)
{
  if (how->ended) {
    run->request.ended(how->status, NULL, run->request.data);
    run_free(run);
    return;
  }
  if (!how->started && !run->second) {
    run->second = TRUE;
    submit(run);
    return;
  }
  run_fail(run, az_remote_error(run->vm, AZ_SSH_SESSION, AZ_SSH_CLOSED, how->detail));
}

static void
on_finished(const AzSshExit *how, gpointer data)
{
  AzRun *run = data;
  Session *session = run->session;
  run->command = NULL;
  run->session = NULL;
  g_ptr_array_remove_fast(session->running, run);
  session->used = TRUE;
  session->lost = how->lost;
  /* before the run: its end may start another command here */
  if (!how->lost) {
    start_waiting(session);
    rest_if_idle(session);
  }
  finish_run(run, how);
}

static void
start_run(Session *session, AzRun *run)
{
  const AzTransportSsh *ssh = session->pool->remote->ssh;
  AzSshExec exec = { .command = run->text,
                     .input = run->input,
                     .peek = run->request.peek != NULL ? on_peek : NULL,
                     .took = on_took,
                     .delivered = run->request.delivered != NULL ? on_delivered : NULL,
                     .output = on_output,
                     .finished = on_finished,
                     .data = run };
  g_ptr_array_add(session->running, run);
  run->command = ssh->exec(session->conn, &exec);
  if (run->paused)
    ssh->pause(run->command, TRUE);
  if (run->window > 0)
    ssh->set_window(run->command, run->window);
}

static void
start_waiting(Session *session)
{
  while (session->ready && session->waiting->len > 0 && session->running->len < MAX_COMMANDS)
    start_run(session, g_ptr_array_steal_index(session->waiting, 0));
}

static gboolean
on_trust(const char *host_key, gpointer data)
{
  Session *session = data;
  return az_remote_trust(session->pool->remote, session->vm, host_key);
}

static void
on_event(AzSshStep step, AzSshOutcome outcome, const char *detail, gpointer data)
{
  Session *session = data;
  session->step = step;
  if (outcome != AZ_SSH_OK) {
    session_lost(session, outcome, detail);
    return;
  }
  note_rtt(session);
  if (step != AZ_SSH_LOGIN)
    return;
  session->ready = TRUE;
  connect_next(g_hash_table_lookup(session->pool->sessions, session->key));
  session->pool->remote->ssh->keep_spare(session->conn, is_held(session));
  set_timer(session, 0, NULL);
  start_waiting(session);
  if (session->warm)
    session->pool->remote->ssh->warm(session->conn);
  rest_if_idle(session);
}

/* What was trusted on first use does not count: it is the key of the session that is there. */
static char *
session_key(AzRemote *remote, const AzlinVm *vm)
{
  g_autofree char *place = place_of(remote, vm);
  return g_strdup_printf("%s %s", place, vm->host_key != NULL ? vm->host_key : "");
}

static void
session_connect(Session *session)
{
  AzRemote *remote = session->pool->remote;
  const AzlinVm *vm = session->vm;
  AzSshConnect request = { .host = vm->public_ip,
                           .port = az_remote_port(vm),
                           .user = az_remote_user(remote, vm),
                           .host_key = az_remote_pin(remote, vm),
                           .key = remote->key,
                           .trust = on_trust,
                           .event = on_event,
                           .data = session };
  session->conn = remote->ssh->connect(&request);
  set_timer(session, CONNECT_MS, on_deadline);
}

static void
connect_next(GPtrArray *same)
{
  guint connecting = 0;
  for (guint i = 0; i < same->len; i++) {
    Session *session = g_ptr_array_index(same, i);
    connecting += session->conn != NULL && !session->ready;
  }
  for (guint i = 0; i < same->len && connecting < MAX_CONNECTING; i++) {
    Session *session = g_ptr_array_index(same, i);
    if (session->conn != NULL)
      continue;
    session_connect(session);
    connecting++;
  }
}

static Session *
session_new(AzPool *pool, const AzlinVm *vm, GPtrArray *same, const char *key)
{
  AzRemote *remote = pool->remote;
  Session *session = g_new0(Session, 1);
  session->pool = pool;
  session->key = g_strdup(key);
  session->place = place_of(remote, vm);
  session->vm = az_vm_dup(vm);
  session->waiting = g_ptr_array_new();
  session->running = g_ptr_array_new();
  g_ptr_array_add(same, session);
  connect_next(same);
  return session;
}

static guint
count_bulk(const GPtrArray *runs)
{
  guint n = 0;
  for (guint i = 0; i < runs->len; i++)
    n += ((AzRun *) g_ptr_array_index(runs, i))->request.bulk;
  return n;
}

/* The less the better: first one where nothing large is under way, then one that stands, then the one with least to do.
 */
static guint
burden(const Session *session)
{
  guint bulk = count_bulk(session->waiting) + count_bulk(session->running);
  return bulk * 1000 + (session->ready ? 0 : 100) + session->waiting->len + session->running->len;
}

static Session *
session_for(AzPool *pool, const AzlinVm *vm, gboolean bulk)
{
  g_autofree char *key = session_key(pool->remote, vm);
  GPtrArray *same = g_hash_table_lookup(pool->sessions, key);
  Session *best = NULL;
  if (same == NULL) {
    same = g_ptr_array_new();
    g_hash_table_insert(pool->sessions, g_strdup(key), same);
  }
  for (guint i = 0; i < same->len; i++) {
    Session *session = g_ptr_array_index(same, i);
    if (session->lost || session->waiting->len + session->running->len >= MAX_COMMANDS)
      continue;
    if (best == NULL || burden(session) < burden(best))
      best = session;
  }
  gboolean taken = best != NULL && bulk && burden(best) >= 1000 && same->len < MAX_BULK_SESSIONS;
  return best != NULL && !taken ? best : session_new(pool, vm, same, key);
}

static void
submit(AzRun *run)
{
  Session *session = session_for(run->remote->pool, run->vm, run->request.bulk);
  run->session = session;
  g_ptr_array_add(session->waiting, run);
  if (session->ready) {
    set_timer(session, 0, NULL);
    start_waiting(session);
  }
}

AzRun *
az_run_new(AzRemote *remote, const AzRunRequest *request, GError **error)
{
  const AzlinVm *vm = request->vm;
  g_autofree char *text = az_remote_quote(request->argv);
  if (*text == '\0' || strlen(text) > MAX_COMMAND_BYTES) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "a remote command must have 1 to %d bytes", MAX_COMMAND_BYTES);
    return NULL;
  }
  if (vm->public_ip == NULL || *vm->public_ip == '\0') {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NETWORK, "%s (%s) has no address", vm->vm_name, vm->region);
    return NULL;
  }
  if (!az_remote_open(remote, error))
    return NULL;
  AzRun *run = g_new0(AzRun, 1);
  *run = (AzRun){ .remote = remote, .request = *request, .vm = az_vm_dup(vm), .text = g_steal_pointer(&text) };
  run->input = request->input != NULL ? g_bytes_ref(request->input) : NULL;
  az_clock_hold(remote->clock);
  submit(run);
  return run;
}

void
az_run_cancel(AzRun *run)
{
  Session *session = run->session;
  if (session == NULL) {
    g_ptr_array_remove(run->remote->pool->stranded, run);
    run_free(run);
    return;
  }
  if (run->command != NULL)
    session->pool->remote->ssh->cancel(run->command);
  if (!g_ptr_array_remove_fast(session->running, run))
    g_ptr_array_remove(session->waiting, run);
  run_free(run);
  if (session->ready)
    rest_if_idle(session);
  else if (session->waiting->len == 0)
    session_free(session); /* nobody waits for this connection any more */
}

void
az_run_feed(AzRun *run)
{
  if (run->command != NULL)
    run->remote->ssh->feed(run->command);
}

void
az_run_pause(AzRun *run, gboolean pause)
{
  run->paused = pause;
  if (run->command != NULL)
    run->remote->ssh->pause(run->command, pause);
}

void
az_run_set_window(AzRun *run, gsize bytes)
{
  run->window = bytes;
  if (run->command != NULL)
    run->remote->ssh->set_window(run->command, bytes);
}

/* Sessions to the same place that do nothing begin or cease to wait for their end. */
static void
hold_changed(AzPool *pool, const char *place)
{
  GHashTableIter iter;
  gpointer same;
  gboolean held = g_hash_table_contains(pool->held, place);
  g_hash_table_iter_init(&iter, pool->sessions);
  while (g_hash_table_iter_next(&iter, NULL, &same)) {
    for (guint i = 0; i < ((GPtrArray *) same)->len; i++) {
      Session *session = g_ptr_array_index((GPtrArray *) same, i);
      if (!session->ready || session->lost || !g_str_equal(session->place, place))
        continue;
      pool->remote->ssh->keep_spare(session->conn, held);
      rest_if_idle(session);
    }
  }
}

static void
change_hold(AzRemote *remote, const AzlinVm *vm, int by)
{
  AzPool *pool = remote->pool;
  g_autofree char *place = place_of(remote, vm);
  int before = GPOINTER_TO_INT(g_hash_table_lookup(pool->held, place));
  if (before + by > 0)
    g_hash_table_replace(pool->held, g_strdup(place), GINT_TO_POINTER(before + by));
  else
    g_hash_table_remove(pool->held, place);
  if ((before > 0) != (before + by > 0))
    hold_changed(pool, place);
}

void
az_remote_hold(AzRemote *remote, const AzlinVm *vm)
{
  change_hold(remote, vm, 1);
}

void
az_remote_release(AzRemote *remote, const AzlinVm *vm)
{
  change_hold(remote, vm, -1);
}

void
az_remote_warm(AzRemote *remote, const AzlinVm *vm)
{
  g_autofree char *key = session_key(remote, vm);
  GPtrArray *same = g_hash_table_lookup(remote->pool->sessions, key);
  for (guint i = 0; same != NULL && i < same->len; i++) {
    Session *session = g_ptr_array_index(same, i);
    session->warm = TRUE;
    if (session->ready && !session->lost)
      remote->ssh->warm(session->conn);
  }
}

double
az_remote_rtt_ms(AzRemote *remote, const AzlinVm *vm)
{
  AzPool *pool = remote->pool;
  g_autofree char *place = place_of(remote, vm);
  g_autofree char *key = session_key(remote, vm);
  GPtrArray *same = g_hash_table_lookup(pool->sessions, key);
  for (guint i = 0; same != NULL && i < same->len; i++)
    note_rtt(g_ptr_array_index(same, i));
  const double *ms = g_hash_table_lookup(pool->rtt, place);
  return ms != NULL ? *ms : -1;
}

AzPool *
az_pool_new(AzRemote *remote)
{
  AzPool *pool = g_new0(AzPool, 1);
  pool->remote = remote;
  pool->sessions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  pool->stranded = g_ptr_array_new();
  pool->held = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  pool->rtt = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  return pool;
}

static void
drop_runs(GPtrArray *runs)
{
  for (guint i = 0; i < runs->len; i++)
    run_free(g_ptr_array_index(runs, i));
  g_ptr_array_set_size(runs, 0);
}

void
az_pool_free(AzPool *pool)
{
  GHashTableIter iter;
  gpointer same;
  g_autoptr(GPtrArray) all = g_ptr_array_new();
  g_hash_table_iter_init(&iter, pool->sessions);
  while (g_hash_table_iter_next(&iter, NULL, &same))
    g_ptr_array_extend(all, same, NULL, NULL);
  for (guint i = 0; i < all->len; i++) {
    Session *session = g_ptr_array_index(all, i);
    drop_runs(session->waiting);
    drop_runs(session->running);
    session_free(session);
  }
  g_hash_table_unref(pool->sessions);
  g_hash_table_unref(pool->held);
  g_ptr_array_unref(pool->stranded);
  g_hash_table_unref(pool->rtt);
  g_free(pool);
}
