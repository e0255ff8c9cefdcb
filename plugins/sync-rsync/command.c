/* The rsync command line that runs on the source machine, and the ssh command inside it. */
#include "rsync.h"
#include <string.h>

/* $1: the key; the rest is the command. rsync would go on alone when azlin is killed or cancels: it must not outlive
 * its key, nor the session that started it. Beside the key stands its process id for whoever takes the key back. */
static const char with_its_key[]
    = "dir=${1%/*}; shift; exec 3<&0\n"
      "\"$@\" <&3 3<&- & job=$!\n"
      "echo \"$job\" > \"$dir/pid\"\n"
      "{ while kill -0 \"$job\" && kill -0 \"$PPID\" && [ -e \"$dir/pid\" ]; do sleep 0.5; done; kill \"$job\"; } "
      "</dev/null >/dev/null 2>&1 3<&- & watch=$!\n"
      "wait \"$job\"; status=$?; kill \"$watch\" 2>/dev/null; exit \"$status\"\n";

static void
add(GPtrArray *argv, const char *word)
{
  g_ptr_array_add(argv, g_strdup(word));
}

/* Words that end up inside rsync's -e string, which rsync splits itself: nothing that could split or be an option. */
static gboolean
is_plain(const char *word, const char *also)
{
  if (word == NULL || word[0] == 0 || word[0] == '-')
    return FALSE;
  for (const char *byte = word; *byte != 0; byte++)
    if (!g_ascii_isalnum(*byte) && strchr(also, *byte) == NULL)
      return FALSE;
  return TRUE;
}

static char *
ssh_command(const char *identity, const char *known_hosts, guint32 port)
{
  return g_strdup_printf("ssh -F none -p %u -i %s -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes "
                         "-o StrictHostKeyChecking=yes -o UserKnownHostsFile=%s -o GlobalKnownHostsFile=none "
                         "-o ConnectTimeout=15 -o ServerAliveInterval=15 -o ServerAliveCountMax=4 "
                         "-o ClearAllForwardings=yes -o ControlPath=none -o LogLevel=ERROR",
                         port, identity, known_hosts);
}

/* -e and the destination, from the grant. */
static gboolean
add_destination(GPtrArray *argv, GVariant *grant, char **ret_destination, GError **error)
{
  const char *identity = "", *known_hosts = "", *user = "", *host = "";
  guint32 port = 22;
  g_variant_lookup(grant, "identity_file", "&s", &identity);
  g_variant_lookup(grant, "known_hosts_file", "&s", &known_hosts);
  g_variant_lookup(grant, "user", "&s", &user);
  g_variant_lookup(grant, "host", "&s", &host);
  g_variant_lookup(grant, "port", "u", &port);
  if (!is_plain(identity, "/._-+@~") || !is_plain(known_hosts, "/._-+@~") || !is_plain(user, "._-")
      || !is_plain(host, ".:-_%")) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_FAILED,
                        "the key or the address of the target holds characters that ssh could misread");
    return FALSE;
  }
  add(argv, "-e");
  g_ptr_array_add(argv, ssh_command(identity, known_hosts, port));
  gboolean bracket = strchr(host, ':') != NULL;
  *ret_destination = g_strdup_printf("%s@%s%s%s:./", user, bracket ? "[" : "", host, bracket ? "]" : "");
  return TRUE;
}

static void
add_limits(GPtrArray *argv, const AzlinSyncJob *job, const RsyncOptions *options)
{
  g_ptr_array_add(argv, g_strdup_printf("--timeout=%u", options->io_timeout_s));
  if (job->bwlimit_kib > 0)
    g_ptr_array_add(argv, g_strdup_printf("--bwlimit=%u", job->bwlimit_kib));
  if (job->delete_extra && !job->single_file && job->only == NULL) {
    add(argv, "--delete-delay");
    if (job->max_delete > 0)
      g_ptr_array_add(argv, g_strdup_printf("--max-delete=%u", job->max_delete));
  }
  for (guint i = 0; job->exclude != NULL && job->exclude[i] != NULL; i++)
    g_ptr_array_add(argv, g_strconcat("--filter=- ", job->exclude[i], NULL));
}

static void
add_reporting(GPtrArray *argv, const AzlinSyncJob *job)
{
  add(argv, "--no-human-readable");
  add(argv, "--outbuf=L");
  if (job->dry_run) { /* without the partial folder: a forced rrsync would make it */
    add(argv, "--dry-run");
    add(argv, "--out-format=" RSYNC_ITEM_PREFIX "%i %n%L");
    add(argv, "--info=none,name1,del1,stats2");
  } else {
    add(argv, "--partial-dir=.azlin-partial");
    add(argv, "--info=none,progress2,stats2");
  }
}

static char *
source_argument(const AzlinSyncJob *job)
{
  if (job->single_file && job->only == NULL)
    return g_strdup(job->path);
  g_autofree char *folder = job->single_file ? g_path_get_dirname(job->path) : g_strdup(job->path);
  return g_str_has_suffix(folder, "/") ? g_strdup(folder) : g_strconcat(folder, "/", NULL);
}

static void
add_guard(GPtrArray *argv, GVariant *grant)
{
  const char *identity = "";
  if (grant == NULL || !g_variant_lookup(grant, "identity_file", "&s", &identity))
    return;
  const char *const words[] = { "sh", "-c", with_its_key, "sh", identity };
  for (guint i = 0; i < G_N_ELEMENTS(words); i++)
    add(argv, words[i]);
}

GPtrArray *
rsync_command(const AzlinSyncJob *job, const RsyncOptions *options, GError **error)
{
  static const char *const fixed[] = { "env", "LC_ALL=C", "rsync", "-aH", "--no-D", "--filter=- .azlin-partial/" };
  g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *destination = g_strdup("/nonexistent/azlin/");
  add_guard(argv, job->grant);
  for (guint i = 0; i < G_N_ELEMENTS(fixed); i++)
    add(argv, fixed[i]);
  add_reporting(argv, job);
  add_limits(argv, job, options);
  if (options->compress)
    add(argv, "-z");
  if (job->checksum)
    add(argv, "--checksum");
  if (job->only != NULL) {
    add(argv, "--files-from=-");
    add(argv, "--from0");
  }
  if (job->grant != NULL) {
    g_clear_pointer(&destination, g_free);
    if (!add_destination(argv, job->grant, &destination, error))
      return NULL;
  } else if (!job->dry_run) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_FAILED, "no key was granted for the target");
    return NULL;
  }
  add(argv, "--");
  g_ptr_array_add(argv, source_argument(job));
  g_ptr_array_add(argv, g_steal_pointer(&destination));
  g_ptr_array_add(argv, NULL);
  return g_steal_pointer(&argv);
}

GBytes *
rsync_names(GBytes *only)
{
  gsize length = 0;
  const char *at = g_bytes_get_data(only, &length), *end = at + length;
  GByteArray *names = g_byte_array_new();
  for (gsize size; at < end; at += size) {
    size = strlen(at) + 1;
    if (strcmp(at, ".") != 0)
      g_byte_array_append(names, (const guint8 *) at, (guint) size);
  }
  return g_byte_array_free_to_bytes(names);
}

gboolean
rsync_should_compress(const char *setting, const AzlinSyncJob *job)
{
  const char *host = "";
  if (!g_str_equal(setting, "auto"))
    return g_str_equal(setting, "yes");
  if (job->grant != NULL)
    g_variant_lookup(job->grant, "host", "&s", &host);
  return !g_str_has_prefix(host, "127.") && !g_str_equal(host, "::1") && !g_str_equal(host, "localhost");
}
