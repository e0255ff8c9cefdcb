/* Private keys: read once, shared by all connections; new ones are made without ever overwriting one. */
#include "azlin-plugin.h"
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct _AzSshKey {
  int refs;
  ssh_key key;
};

ssh_key
key_get(AzSshKey *key)
{
  return key->key;
}

AzSshKey *
key_ref(AzSshKey *key)
{
  key->refs++;
  return key;
}

void
key_free(AzSshKey *key)
{
  if (key == NULL || --key->refs > 0)
    return;
  ssh_key_free(key->key);
  g_free(key);
}

AzSshKey *
key_load(const char *private_file, GError **error)
{
  GStatBuf info;
  ssh_key imported = NULL;
  if (g_stat(private_file, &info) < 0) {
    AzlinError code = errno == ENOENT || errno == ENOTDIR ? AZLIN_ERROR_NOT_FOUND : AZLIN_ERROR_AUTH;
    g_set_error(error, AZLIN_ERROR, (int) code, "key file %s: %s", private_file, g_strerror(errno));
    return NULL;
  }
  if ((info.st_mode & 077) != 0) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_AUTH, "key file %s can be read by others (mode %03o); set it to 600",
                private_file, info.st_mode & 0777);
    return NULL;
  }
  /* without a passphrase: where the file has one, ssh-agent is the way */
  if (ssh_pki_import_privkey_file(private_file, NULL, NULL, NULL, &imported) != SSH_OK) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_AUTH,
                "key file %s is not readable, no private key, or protected by a passphrase", private_file);
    return NULL;
  }
  AzSshKey *key = g_new0(AzSshKey, 1);
  *key = (AzSshKey){ .refs = 1, .key = imported };
  return key;
}

char *
key_public(AzSshKey *key)
{
  ssh_key public_half = NULL;
  char *base64 = NULL;
  char *text = NULL;
  if (ssh_pki_export_privkey_to_pubkey(key->key, &public_half) != SSH_OK)
    return NULL;
  if (ssh_pki_export_pubkey_base64(public_half, &base64) == SSH_OK)
    text = g_strdup_printf("%s %s", ssh_key_type_to_char(ssh_key_type(public_half)), base64);
  ssh_string_free_char(base64);
  ssh_key_free(public_half);
  return text;
}

/* libssh writes by path and with the umask's mode: the temporary file exists with 0600 before a secret is in it. */
static gboolean
export_private(ssh_key key, const char *temporary)
{
  int fd = open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return FALSE;
  gboolean ok = ssh_pki_export_privkey_file(key, NULL, NULL, NULL, temporary) == SSH_OK && fsync(fd) == 0;
  close(fd);
  return ok;
}

gboolean
key_generate(const char *private_file, GError **error)
{
  ssh_key key = NULL;
  g_autofree char *temporary = g_strdup_printf("%s.%d.tmp", private_file, (int) getpid());
  if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_FAILED, "cannot make an Ed25519 key");
    return FALSE;
  }
  g_unlink(temporary);
  gboolean written = export_private(key, temporary);
  ssh_key_free(key);
  /* link() fails where rename() would replace the key that another process has just made */
  gboolean ok = written && (link(temporary, private_file) == 0 || errno == EEXIST);
  int saved = errno;
  g_unlink(temporary);
  if (!ok)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot write key file %s: %s", private_file,
                g_strerror(saved));
  return ok;
}
