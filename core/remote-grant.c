/* Per-job keys between two machines: made on the source, admitted on the target for one command alone, taken away
 * afterwards. */
#include "remote-private.h"

#include "error.h"
#include "record.h"

#include <string.h>

#define STEP_MS 30000
#define KEY_TYPE "ecdsa-sha2-nistp256"

typedef struct {
  AzRemote *remote;
  AzlinVm *from, *to;
  char *id, *dir;
  char *receiver, *run; /* NULL: rrsync */
  guint32 ttl_s;
  AzlinOp *made, *op; /* grant: `made` is NULL once it has ended, or where nobody asked */
  char *job_dir;      /* on the source */
  guint pending;      /* revoke: ends that have not answered */
  GError *error;      /* revoke: the first end that could not be cleaned */
} Grant;

extern const char az_remote_make_key_script[], az_remote_admit_script[], az_remote_expel_script[]; /* *.sh */

/* $1 id */
static const char drop_key_script[] = "rm -rf -- \"$HOME/.local/state/azlin/jobs/$1\"\n";

static void
grant_free(Grant *grant)
{
  az_vm_free(grant->from);
  az_vm_free(grant->to);
  g_free(grant->id);
  g_free(grant->dir);
  g_free(grant->receiver);
  g_free(grant->run);
  g_free(grant->job_dir);
  g_clear_error(&grant->error);
  g_free(grant);
}

static void
grant_fail(Grant *grant, GError *error)
{
  if (grant->made != NULL)
    az_op_fail(grant->made, g_error_copy(error));
  az_op_fail(grant->op, error);
  grant_free(grant);
}

/* Runs a constant script on `vm`; `arguments` follow as $1, $2, ... */
static void
run_script(Grant *grant, const AzlinVm *vm, const char *script, const char *const *arguments, AzlinDone done)
{
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  g_ptr_array_add(argv, (gpointer) (gsize) "sh");
  g_ptr_array_add(argv, (gpointer) (gsize) "-c");
  g_ptr_array_add(argv, (gpointer) (gsize) script);
  g_ptr_array_add(argv, (gpointer) (gsize) "azlin");
  for (; *arguments != NULL; arguments++)
    g_ptr_array_add(argv, (gpointer) (gsize) *arguments);
  g_ptr_array_add(argv, NULL);
  AzlinExec request
      = { .size = sizeof request, .vm = vm, .argv = (const char *const *) argv->pdata, .max_output = 16384 };
  az_remote_exec(grant->remote, &request, az_op_new(grant->op, "job key", STEP_MS, done, grant));
}

/* NULL when the script worked; else why not, in the words of the machine. */
static GError *
script_error(AzlinOp *op, const AzlinVm *vm)
{
  const AzlinReply *reply = az_op_reply(op);
  gsize size;
  if (az_op_error(op) != NULL)
    return g_error_copy(az_op_error(op));
  if (reply->status == 0)
    return NULL;
  const char *bytes = g_bytes_get_data(reply->err, &size);
  g_autofree char *raw = g_strndup(bytes != NULL ? bytes : "", MIN(size, 500));
  g_autofree char *text = g_utf8_make_valid(g_strstrip(raw), -1);
  return g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC, "the job key on %s (%s): %s (status %d)", vm->vm_name, vm->region,
                     *text != '\0' ? text : "no reason given", reply->status);
}

/* Exactly "ecdsa-sha2-nistp256 BASE64": a hostile source must not be able to write options into authorized_keys. */
static char *
clean_public_key(const char *line)
{
  g_auto(GStrv) words = g_strsplit(line, " ", 3);
  static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
  if (g_strv_length(words) < 2 || !g_str_equal(words[0], KEY_TYPE))
    return NULL;
  gsize length = strlen(words[1]);
  if (length < 120 || length > 160 || strspn(words[1], base64) != length)
    return NULL;
  return g_strdup_printf(KEY_TYPE " %s", words[1]);
}

static gboolean
is_plain_path(const char *path)
{
  if (path[0] != '/' || strlen(path) > 4096)
    return FALSE;
  for (const char *c = path; *c != '\0'; c++) {
    if ((guchar) *c < 0x20 || *c == 0x7f)
      return FALSE;
  }
  return TRUE;
}

static GVariant *
facts_of(const Grant *grant)
{
  GVariantDict dict;
  g_autofree char *identity = g_strdup_printf("%s/id", grant->job_dir);
  g_autofree char *known_hosts = g_strdup_printf("%s/known_hosts", grant->job_dir);
  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert(&dict, "id", "s", grant->id);
  g_variant_dict_insert(&dict, "identity_file", "s", identity);
  g_variant_dict_insert(&dict, "known_hosts_file", "s", known_hosts);
  g_variant_dict_insert(&dict, "user", "s", az_remote_user(grant->remote, grant->to));
  g_variant_dict_insert(&dict, "host", "s", grant->to->public_ip);
  g_variant_dict_insert(&dict, "port", "u", (guint32) az_remote_port(grant->to));
  return g_variant_dict_end(&dict);
}

/* TRUE: the step on `vm` did not work, and the grant has ended with it. */
static gboolean
step_failed(Grant *grant, AzlinOp *op, const AzlinVm *vm)
{
  GError *error = script_error(op, vm);
  if (error != NULL)
    grant_fail(grant, error);
  return error != NULL;
}

static void
on_admitted(AzlinOp *op, gpointer data)
{
  Grant *grant = data;
  if (step_failed(grant, op, grant->to))
    return;
  az_op_finish_variant(grant->op, facts_of(grant));
  grant_free(grant);
}

static void
on_key_made(AzlinOp *op, gpointer data)
{
  Grant *grant = data;
  gsize size;
  if (step_failed(grant, op, grant->from))
    return;
  const char *bytes = g_bytes_get_data(az_op_reply(op)->out, &size);
  g_autofree char *text = g_strndup(bytes != NULL ? bytes : "", size);
  g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
  guint n = g_strv_length(lines);
  /* a login script may print before */
  g_autofree char *key = n >= 2 ? clean_public_key(lines[n - 1]) : NULL;
  if (key == NULL || !is_plain_path(lines[n - 2])) {
    grant_fail(grant, g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC, "%s (%s) made no usable job key", grant->from->vm_name,
                                  grant->from->region));
    return;
  }
  grant->job_dir = g_strdup(lines[n - 2]);
  const char *const words[] = { grant->dir, grant->run, NULL };
  g_autofree char *quoted = az_remote_quote(words);
  g_autofree char *ttl = g_strdup_printf("%u", grant->ttl_s);
  const char *receiver = grant->receiver != NULL ? grant->receiver : "";
  const char *const arguments[] = { grant->id, grant->dir, quoted, ttl, key, receiver, NULL };
  AzlinOp *made = g_steal_pointer(&grant->made);
  GVariant *facts = made != NULL ? facts_of(grant) : NULL;
  run_script(grant, grant->to, az_remote_admit_script, arguments, on_admitted); /* may end `grant` */
  if (made != NULL)
    az_op_finish_variant(made, facts);
}

/* It goes into a line of known_hosts. */
static gboolean
is_host(const char *host)
{
  return host != NULL && *host != '\0' && *host != '-'
         && strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:_%-") == strlen(host);
}

/* What is wrong with it, or NULL. */
static GError *
check_job_id(const char *id)
{
  gsize length = strlen(id);
  if (length > 0 && length <= 64 && id[0] != '-'
      && strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == length)
    return NULL;
  return g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_USAGE, "a job id has 1 to 64 letters, digits and hyphens");
}

static gboolean
is_run(const char *run)
{
  gsize length = run != NULL ? strlen(run) : 0;
  return length > 0 && length <= 63 && run[0] != '-' && strspn(run, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static Grant *
grant_new(AzRemote *remote, const AzlinVm *from, const AzlinVm *to, const char *id, AzlinOp *op)
{
  Grant *grant = g_new0(Grant, 1);
  *grant = (Grant){ .remote = remote, .from = az_vm_dup(from), .to = az_vm_dup(to), .id = g_strdup(id), .op = op };
  return grant;
}

/* Why nothing can be granted, or NULL. */
static GError *
check_request(AzRemote *remote, const AzlinVm *to, const char *id, const char *dir, const char *receiver,
              const char *run)
{
  if (az_remote_pin(remote, to) == NULL)
    return az_remote_error(to, AZ_SSH_KEX, AZ_SSH_HOST_KEY_UNKNOWN, "no host key is pinned");
  /* the two characters that mean something inside the quotes of authorized_keys */
  if (!is_plain_path(dir) || strpbrk(dir, "\"\\") != NULL)
    return g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_USAGE,
                               "this directory cannot be opened for a copy: it must be an absolute path "
                               "without control characters, double quotes and backslashes");
  if (receiver != NULL && !is_run(run))
    return g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_USAGE,
                               "a run has 1 to 63 lower-case letters, digits and hyphens");
  if (!is_host(to->public_ip))
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_NETWORK, "%s (%s) has no usable address", to->vm_name, to->region);
  return check_job_id(id);
}

void
az_remote_grant(AzRemote *remote, const AzlinVm *from, const AzlinVm *to, const char *id, const char *dir,
                const char *receiver, const char *run, guint32 ttl_s, AzlinOp *made, AzlinOp *op)
{
  if (az_op_cancelled(op))
    return;
  Grant *grant = grant_new(remote, from, to, id, op);
  grant->made = made;
  GError *error = check_request(remote, to, id, dir, receiver, run);
  if (error != NULL) {
    grant_fail(grant, error);
    return;
  }
  grant->dir = g_strdup(dir);
  grant->receiver = g_strdup(receiver);
  grant->run = receiver != NULL ? g_strdup(run) : NULL;
  grant->ttl_s = ttl_s;
  guint16 port = az_remote_port(to);
  g_autofree char *host = port == 22 ? g_strdup(to->public_ip) : g_strdup_printf("[%s]:%u", to->public_ip, port);
  g_autofree char *known = g_strdup_printf("%s %s", host, az_remote_pin(remote, to));
  const char *const arguments[] = { id, known, NULL };
  run_script(grant, grant->from, az_remote_make_key_script, arguments, on_key_made);
}

static void
end_gone(Grant *grant, GError *error)
{
  if (grant->error == NULL)
    grant->error = error;
  else
    g_clear_error(&error);
  if (--grant->pending > 0)
    return;
  if (grant->error != NULL)
    az_op_fail(grant->op, g_steal_pointer(&grant->error));
  else
    az_op_finish(grant->op);
  grant_free(grant);
}

static void
on_key_dropped(AzlinOp *op, gpointer data)
{
  Grant *grant = data;
  end_gone(grant, script_error(op, grant->from));
}

static void
on_expelled(AzlinOp *op, gpointer data)
{
  Grant *grant = data;
  end_gone(grant, script_error(op, grant->to));
}

void
az_remote_revoke(AzRemote *remote, const AzlinVm *from, const AzlinVm *to, const char *id, AzlinOp *op)
{
  if (az_op_cancelled(op))
    return;
  GError *error = check_job_id(id);
  const char *const arguments[] = { id, NULL };
  if (error != NULL) {
    az_op_fail(op, error);
    return;
  }
  Grant *grant = grant_new(remote, from, to, id, op);
  grant->pending = 2;
  run_script(grant, grant->to, az_remote_expel_script, arguments, on_expelled);
  run_script(grant, grant->from, drop_key_script, arguments, on_key_dropped);
}
