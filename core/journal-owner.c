/* Which process wrote a journal record, and does it still run? Answered from /proc: id, start time and boot id. */
#include "journal-owner.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Fields 3 (state) and 22 (start time) of /proc/PID/stat; the name before them may hold blanks and brackets. */
static gboolean
read_stat(int pid, char *ret_state, guint64 *ret_start)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
  g_autofree char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL))
    return FALSE;
  const char *rest = strrchr(text, ')');
  if (rest == NULL || rest[1] != ' ')
    return FALSE;
  g_auto(GStrv) fields = g_strsplit(rest + 2, " ", 21);
  if (g_strv_length(fields) < 20)
    return FALSE;
  *ret_state = fields[0][0];
  *ret_start = g_ascii_strtoull(fields[19], NULL, 10);
  return TRUE;
}

static char *
read_boot_id(void)
{
  char *text = NULL;
  if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &text, NULL, NULL))
    return g_strdup("");
  return g_strstrip(text);
}

const AzJournalOwner *
az_journal_owner_self(void)
{
  static AzJournalOwner self;
  char state;
  if (self.pid == getpid())
    return &self;
  self.pid = getpid();
  if (!read_stat(self.pid, &state, &self.start))
    self.start = 0;
  if (self.boot == NULL)
    self.boot = read_boot_id();
  return &self;
}

gboolean
az_journal_owner_alive(const AzJournalOwner *owner)
{
  char state;
  guint64 start;
  if (!g_str_equal(owner->boot, az_journal_owner_self()->boot) || !read_stat(owner->pid, &state, &start))
    return FALSE;
  return start == owner->start && state != 'Z' && state != 'X';
}
