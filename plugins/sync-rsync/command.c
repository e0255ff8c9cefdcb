/* The rsync command line that runs on the source machine, and the ssh command inside it. */
#include "rsync.h"
#include <string.h>

#define SHUT (-2)            /* of AzlinSyncFacts.rtt_between_ms */
#define COMPRESSOR_MIB 100.0 /* per second: what zstd takes in on one processor that also encrypts */

/* $1: the key, $2: ssh with its options; the rest is the command. Where the processor has instructions for AES, GCM
 * moves several times what the default cipher does. rsync would go on alone when azlin is killed or cancels: it must
 * not outlive its key, nor the session that started it. Beside the key stands its process id for whoever takes it back.
 */
static const char with_its_key[]
    = "dir=${1%/*}; RSYNC_RSH=$2; shift 2; exec 3<&0\n"
      "if grep -qsw aes /proc/cpuinfo; then RSYNC_RSH=\"$RSYNC_RSH -c aes128-gcm@openssh.com,"
      "aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr\"; fi; export RSYNC_RSH\n"
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

/* Words that end up inside RSYNC_RSH, which rsync splits itself: nothing that could split or be an option. */
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

/* The key exchange is named since the default one of newer servers takes half a round trip and 70 ms more. */
static char *
ssh_command(const char *identity, const char *known_hosts, guint32 port)
{
  return g_strdup_printf("ssh -F none -p %u -i %s -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes "
                         "-o StrictHostKeyChecking=yes -o UserKnownHostsFile=%s -o GlobalKnownHostsFile=none "
                         "-o ConnectTimeout=15 -o ServerAliveInterval=15 -o ServerAliveCountMax=4 "
                         "-o ClearAllForwardings=yes -o ControlPath=none -o LogLevel=ERROR -o Compression=no "
                         "-o KexAlgorithms=curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,"
                         "diffie-hellman-group14-sha256",
                         port, identity, known_hosts);
}

/* The guard with key and ssh, and the destination, from the grant. */
static gboolean
add_guard(GPtrArray *argv, GVariant *grant, char **ret_destination, GError **error)
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
  const char *const words[] = { "sh", "-c", with_its_key, "sh", identity };
  for (guint i = 0; i < G_N_ELEMENTS(words); i++)
    add(argv, words[i]);
  g_ptr_array_add(argv, ssh_command(identity, known_hosts, port));
  gboolean bracket = strchr(host, ':') != NULL;
  *ret_destination = g_strdup_printf("%s@%s%s%s:./", user, bracket ? "[" : "", host, bracket ? "]" : "");
  return TRUE;
}

/* What `only` names differs for certain: no look at sizes and times may leave it out. */
static void
add_choice(GPtrArray *argv, const AzlinSyncJob *job)
{
  if (job->only != NULL) {
    add(argv, "--ignore-times");
    add(argv, "--files-from=-");
    add(argv, "--from0");
  } else if (job->checksum) {
    add(argv, "--checksum");
  }
}

static char *
source_argument(const AzlinSyncJob *job)
{
  if (job->single_file && job->only == NULL)
    return g_strdup(job->path);
  g_autofree char *parent = job->single_file ? g_path_get_dirname(job->path) : g_strdup(job->path);
  const char *folder = job->source_folder != NULL ? job->source_folder : parent;
  return g_str_has_suffix(folder, "/") ? g_strdup(folder) : g_strconcat(folder, "/", NULL);
}

const char *
rsync_refusal(const AzlinSyncJob *job)
{
  if (job->dry_run || job->delete_extra || (job->exclude != NULL && job->exclude[0] != NULL))
    return "it copies; comparing, leaving out and deleting is for whoever asks it to";
  const AzlinSyncFacts *facts = job->facts;
  if (facts != NULL && facts->rtt_between_ms == SHUT)
    return "the source cannot reach the target's port for SSH";
  if (facts != NULL && facts->tools_source != NULL && strstr(facts->tools_source, " rsync ") == NULL)
    return "rsync is not installed on the source; install it there: sudo apt-get install rsync";
  if (facts != NULL && facts->tools_target != NULL && strstr(facts->tools_target, " rrsync ") == NULL)
    return "rrsync is not installed on the target; install it there: sudo apt-get install rsync";
  return NULL;
}

GPtrArray *
rsync_command(const AzlinSyncJob *job, const RsyncOptions *options, GError **error)
{
  static const char *const fixed[] = { "env",
                                       "LC_ALL=C",
                                       "rsync",
                                       "-aHS",
                                       "--no-D",
                                       "--filter=- .azlin-partial/",
                                       "--filter=- .azlin-trash/",
                                       "--partial-dir=.azlin-partial",
                                       "--info=none,progress2,stats2",
                                       "--no-human-readable",
                                       "--outbuf=L" };
  g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *destination = NULL;
  if (job->grant == NULL) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_FAILED, "no key was granted for the target");
    return NULL;
  }
  if (!add_guard(argv, job->grant, &destination, error))
    return NULL;
  for (guint i = 0; i < G_N_ELEMENTS(fixed); i++)
    add(argv, fixed[i]);
  g_ptr_array_add(argv, g_strdup_printf("--timeout=%u", options->io_timeout_s));
  if (job->bwlimit_kib > 0)
    g_ptr_array_add(argv, g_strdup_printf("--bwlimit=%u", job->bwlimit_kib));
  if (options->xattrs)
    add(argv, "--xattrs");
  if (options->compress)
    add(argv, "-z");
  add_choice(argv, job);
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

/* Between machines of one host nothing is to be saved. */
static gboolean
is_here(const char *host)
{
  return g_str_has_prefix(host, "127.") || g_str_equal(host, "::1") || g_str_equal(host, "localhost");
}

gboolean
rsync_should_compress(const char *setting, const AzlinSyncJob *job)
{
  const char *host = "";
  if (!g_str_equal(setting, "auto"))
    return g_str_equal(setting, "yes");
  if (job->grant != NULL)
    g_variant_lookup(job->grant, "host", "&s", &host);
  double link = rsync_link_mib(job->facts);
  if (job->bwlimit_kib > 0)
    link = link > 0 ? MIN(link, job->bwlimit_kib / 1024.0) : job->bwlimit_kib / 1024.0;
  return !is_here(host) && link < COMPRESSOR_MIB;
}
