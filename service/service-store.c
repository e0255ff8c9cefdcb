/* Jobs at work, on disk: a file each, gone with the job's end. No file is forced out to the disk: the page cache
 * outlives the process, and a machine that lost its power has its journal. */
#include "service-store.h"

#include "paths.h"

#include <glib/gstdio.h>
#include <string.h>

#define FOLDER "jobs"
#define LAST "last"
#define SUFFIX ".job"
#define MAX_BYTES (1 << 20)
#define MAX_NUMBER (G_GUINT64_CONSTANT(1) << 53) /* what every JSON reader still tells apart */

void
service_stored_free(gpointer data)
{
  StoredJob *job = data;
  g_free(job->kind);
  g_clear_pointer(&job->args, g_variant_unref);
  g_free(job);
}

static char *
path_of(const char *home, guint64 number)
{
  g_autofree char *name = g_strdup_printf("%" G_GUINT64_FORMAT SUFFIX, number);
  return g_build_filename(home, FOLDER, name, NULL);
}

static void
write_text(const char *path, const char *text, GFileSetContentsFlags how)
{
  g_autoptr(GError) error = NULL;
  if (!g_file_set_contents_full(path, text, -1, how, 0600, &error))
    g_warning("a job would not be found again after a crash: %s", error->message);
}

static GVariant *
describe(const char *kind, guint32 owner, GVariant *args)
{
  return owner == SERVICE_NOBODY ? g_variant_new("(s@a{sv})", kind, args)
                                 : g_variant_new("(s@a{sv}u)", kind, args, owner);
}

void
service_store_begin(const char *home, guint64 last, guint64 number, const char *kind, guint32 owner, GVariant *args)
{
  g_autofree char *folder = g_build_filename(home, FOLDER, NULL), *last_path = g_build_filename(folder, LAST, NULL);
  g_autofree char *path = path_of(home, number), *count = g_strdup_printf("%" G_GUINT64_FORMAT "\n", last);
  g_autoptr(GVariant) both = g_variant_ref_sink(describe(kind, owner, args));
  g_autofree char *text = g_variant_print(both, TRUE);
  g_autoptr(GError) error = NULL;
  if (!az_paths_make_dir(folder, &error)) {
    g_warning("a job would not be found again after a crash: %s", error->message);
    return;
  }
  write_text(last_path, count, G_FILE_SET_CONTENTS_NONE);
  write_text(path, text, G_FILE_SET_CONTENTS_CONSISTENT);
}

void
service_store_end(const char *home, guint64 number)
{
  g_autofree char *path = path_of(home, number);
  g_unlink(path);
}

/* NULL: there is none, or none that is one. */
static char *
read_text(const char *path)
{
  GStatBuf facts;
  char *text = NULL;
  if (g_lstat(path, &facts) != 0 || !S_ISREG(facts.st_mode) || facts.st_size > MAX_BYTES)
    return NULL;
  return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

/* Who made it stands there in system mode alone. */
static GVariant *
parse(const char *text)
{
  GVariant *owned = g_variant_parse(G_VARIANT_TYPE("(sa{sv}u)"), text, NULL, NULL, NULL);
  return owned != NULL ? owned : g_variant_parse(G_VARIANT_TYPE("(sa{sv})"), text, NULL, NULL, NULL);
}

static StoredJob *
read_job(const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename(folder, name, NULL), *text = read_text(path);
  g_autofree char *digits = g_strndup(name, strlen(name) - strlen(SUFFIX));
  guint64 number = 0;
  g_autoptr(GVariant) both = text != NULL ? parse(text) : NULL;
  gboolean counts = digits[0] != '0' && g_ascii_string_to_unsigned(digits, 10, 1, MAX_NUMBER, &number, NULL);
  if (both == NULL || !counts) {
    g_unlink(path);
    return NULL;
  }
  StoredJob *job = g_new0(StoredJob, 1);
  job->number = number;
  job->owner = SERVICE_NOBODY;
  g_variant_get_child(both, 0, "s", &job->kind);
  g_variant_get_child(both, 1, "@a{sv}", &job->args);
  if (g_variant_n_children(both) > 2)
    g_variant_get_child(both, 2, "u", &job->owner);
  return job;
}

static int
by_number(gconstpointer a, gconstpointer b)
{
  guint64 one = (*(StoredJob *const *) a)->number, other = (*(StoredJob *const *) b)->number;
  return one < other ? -1 : one > other;
}

/* Of a process that was killed while it wrote: the file under its last name is whole, or was not there yet. */
static void
forget_half(const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename(folder, name, NULL);
  if (strstr(name, SUFFIX ".") != NULL)
    g_unlink(path);
}

GPtrArray *
service_store_read(const char *home, guint64 *ret_last)
{
  g_autofree char *folder = g_build_filename(home, FOLDER, NULL), *last = g_build_filename(folder, LAST, NULL);
  g_autofree char *count = read_text(last);
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  GPtrArray *jobs = g_ptr_array_new_with_free_func(service_stored_free);
  *ret_last = count != NULL ? MIN(g_ascii_strtoull(count, NULL, 10), MAX_NUMBER) : 0;
  for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
    forget_half(folder, name);
    StoredJob *job = g_str_has_suffix(name, SUFFIX) ? read_job(folder, name) : NULL;
    if (job == NULL)
      continue;
    *ret_last = MAX(*ret_last, job->number);
    g_ptr_array_add(jobs, job);
  }
  g_ptr_array_sort(jobs, by_number);
  return jobs;
}
