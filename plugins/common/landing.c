/* Landing what was copied: a private stage at the target, and the way from there into place that nobody can redirect.
 */
#include "landing.h"
#include <string.h>

#define MAX_SENTENCES 20u

<<<<<<< HEAD
/* `cd -P` leaves in PWD where the kernel says that we are, so comparing it needs no process. AZLIN_BATCH gets the
 * folders that exist on both sides, deepest first, so that what is left in one when its turn comes is new, and goes
 * over in one rename; it may not hold what find would replace, which is why it comes by the environment. What stat says
 * of the target's folders (`here`) saves processes and decides nothing else. */
const char landing_functions[]
    = "azlin_astray() { echo \"$1 is not azlin's own folder\" >&2; return 66; }\n"
      "azlin_open() {\n"
      "  umask 077; LC_ALL=C; export LC_ALL; unset CDPATH; azlin_run=$2\n"
      "  cd -P -- \"$1\" && [ \"$PWD\" = \"$1\" ] || { echo \"$1 is no folder, or leads elsewhere\" >&2; return 66; }\n"
      "  AZLIN_ROOT=${PWD%/}; export AZLIN_ROOT\n"
      "  exec 4<.\n"
      "  mkdir .azlin-partial 2>/dev/null; azlin_made=$?\n"
      "  cd -P ./.azlin-partial && [ \"$PWD\" = \"$AZLIN_ROOT/.azlin-partial\" ] && [ -O . ] || azlin_astray \"$PWD\" "
      "|| return\n"
      "  if [ $azlin_made = 0 ]; then mkdir -p -- \"$2/tree\"; else chmod 700 . && { [ -d \"$2\" ] || mkdir -p -- \"$2\"; "
      "}; fi || return 66\n"
      "  cd -P -- \"./$2\" && [ \"$PWD\" = \"$AZLIN_ROOT/.azlin-partial/$2\" ] && [ -O . ] || azlin_astray \"$PWD\" || "
      "return\n"
      "  [ -d tree ] || mkdir -p tree || return 66\n"
      "  exec 5<.\n"
      "  cd -P tree && [ \"$PWD\" = \"$AZLIN_ROOT/.azlin-partial/$2/tree\" ] || azlin_astray \"$PWD\" || return\n"
      "  exec 3<.\n"
      "}\n"
      "AZLIN_BATCH='\n"
      "again() {\n"
      "  find \"$twin\" -mindepth 1 -maxdepth 1 -exec mv -f -t . -- {} + 2>/dev/null\n"
      "  for it in \"$@\"; do\n"
      "    name=./${it##*/}\n"
      "    [ ! -d \"$it\" ] || [ -L \"$it\" ] || continue\n"
      "    [ -e \"$it\" ] || [ -L \"$it\" ] || continue\n"
      "    [ -d \"$name\" ] && [ ! -L \"$name\" ] && rmdir -- \"$name\" 2>/dev/null && mv -f -t . -- \"$it\" "
      "2>/dev/null\n"
      "  done\n"
      "}\n"
      "locked() {\n"
      "  bits=$(stat -c 00%a -- \"$1\") && chmod u+w -- \"$1\" && mv -f -t . -- \"$1\" 2>/dev/null || return\n"
      "  (cd -P -- \"$2\" && [ \"$PWD\" = \"$here/${2#./}\" ] && chmod \"$bits\" .)\n"
      "}\n"
      "folders() {\n"
      "  set --\n"
      "  for sub in \"$twin\"/*/ \"$twin\"/.[!.]*/ \"$twin\"/..?*/; do\n"
      "    sub=${sub%/}; name=./${sub##*/}\n"
      "    [ -d \"$sub\" ] && [ ! -L \"$sub\" ] || continue\n"
      "    if [ -L \"$name\" ] || { [ -e \"$name\" ] && [ ! -d \"$name\" ]; }; then\n"
      "      printf \"f%s\\0\" \"$dir/${name#./}\"\n"
      "      rm -rf -- \"$sub\" 2>/dev/null || { chmod -R u+w -- \"$sub\"; rm -rf -- \"$sub\"; }\n"
      "    elif [ -d \"$name\" ]; then\n"
      "      set -- \"$@\" \"$sub\"\n"
      "      [ $# -lt 200 ] || { rmdir -- \"$@\" 2>/dev/null; set --; }\n"
      "    elif [ ! -w \"$sub\" ]; then\n"
      "      locked \"$sub\" \"$name\"\n"
      "    fi\n"
      "  done\n"
      "  [ $# = 0 ] || rmdir -- \"$@\" 2>/dev/null\n"
      "}\n"
      "place() {\n"
      "  dir=$1; twin=/proc/self/fd/3/${1#.}; here=$AZLIN_ROOT${1#.}\n"
      "  cd -P -- \"/proc/self/fd/4/${1#.}\" 2>/dev/null && [ \"$PWD\" = \"${here:-/}\" ] || return 0\n"
      "  [ -w . ] || { chmod u+w . 2>/dev/null; mode_here=; }\n"
      "  [ -w \"$twin\" ] || chmod u+w -- \"$twin\"\n"
      "  folders\n"
      "  set -- \"$twin\"/*; [ -e \"$1\" ] || [ -L \"$1\" ] || shift\n"
      "  set -- \"$twin\"/.[!.]* \"$@\"; [ -e \"$1\" ] || [ -L \"$1\" ] || shift\n"
      "  set -- \"$twin\"/..?* \"$@\"; [ -e \"$1\" ] || [ -L \"$1\" ] || shift\n"
      "  [ $# = 0 ] || mv -f -t . -- \"$@\" 2>/dev/null || again \"$@\"\n"
      "  [ \"$dir$0\" != .kept ] || return 0\n"
      "  [ \"$owner\" = \"$owner_here\" ] || chown \"$owner\" . 2>/dev/null\n"
      "  { [ \"$mode\" = \"$mode_here\" ] || chmod \"00$mode\" .; } 2>/dev/null && touch -d \"$time\" . 2>/dev/null "
      "||\n"
      "    printf \"a%s\\0\" \"$dir\"\n"
      "}\n"
      "stat -c \"@%.9Y %a %u:%g\" -- \"$@\" > /proc/self/fd/5/twins\n"
      "(cd -P /proc/self/fd/4/ && stat -c \"%a %u:%g\" -- \"$@\") > /proc/self/fd/5/here 2>/dev/null\n"
      "while read -r time mode owner <&6 && { read -r mode_here owner_here <&7 || :; }; do\n"
      "  [ -O / ] || owner=$owner_here\n"
      "  place \"$1\"; shift\n"
      "done 6< /proc/self/fd/5/twins 7< /proc/self/fd/5/here'\n"
      "AZLIN_THERE='for it; do [ ! -d \"/proc/self/fd/4/$it\" ] || printf \"%s\\0\" \"$it\"; done'\n"
      "AZLIN_LEFT='\n"
      "for it; do\n"
      "  above=${it%/*}; name=./${it##*/}; here=$AZLIN_ROOT${above#.}; why=e\n"
      "  if cd -P -- \"/proc/self/fd/4/${above#.}\" 2>/dev/null; then\n"
      "    if [ \"$PWD\" != \"${here:-/}\" ]; then why=s; elif [ -d \"$name\" ] && [ ! -L \"$name\" ]; then why=d; fi\n"
      "  fi\n"
      "  printf \"$why%s\\0\" \"$it\"\n"
      "done'\n"
      "azlin_place() {\n"
      "  cd -P /proc/self/fd/3/ || return 66\n"
      "  export AZLIN_THERE AZLIN_BATCH AZLIN_LEFT\n"
      "  find . -depth -type d -exec sh -c 'eval \"$AZLIN_THERE\"' sh {} + |\n"
      "    xargs -0 sh -c 'eval \"$AZLIN_BATCH\"' \"${1:-all}\" > /proc/self/fd/5/report\n"
      "  find . -mindepth 1 \\( ! -type d -o -empty \\) -exec sh -c 'eval \"$AZLIN_LEFT\"' sh {} + >> "
      "/proc/self/fd/5/report\n"
      "  [ -s /proc/self/fd/5/report ] || return 0\n"
      "  cat /proc/self/fd/5/report\n"
      "  return 23\n"
      "}\n"
      "azlin_drop() {\n"
      "  cd -P /proc/self/fd/4/ && azlin_time=$(stat -c @%.9Y .) && cd -P /proc/self/fd/5/.. || return 66\n"
      "  rm -rf -- \"$azlin_run\" 2>/dev/null || { chmod -R u+w -- \"$azlin_run\"; rm -rf -- \"$azlin_run\"; } || "
      "return 66\n"
      "  cd -P /proc/self/fd/4/ || return 66\n"
      "  ! rmdir .azlin-partial 2>/dev/null || touch -d \"$azlin_time\" .\n"
      "}\n";

=======
>>>>>>> main
char *
landing_script(const char *body)
{
  return g_strconcat(landing_functions, body, NULL);
}

static GPtrArray *
command(const char *body, const char *folder, const char *run)
{
  GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(argv, g_strdup("sh"));
  g_ptr_array_add(argv, g_strdup("-c"));
  g_ptr_array_add(argv, landing_script(body));
  g_ptr_array_add(argv, g_strdup("azlin"));
  g_ptr_array_add(argv, g_strdup(folder));
  g_ptr_array_add(argv, g_strdup(run));
  g_ptr_array_add(argv, NULL);
  return argv;
}

GPtrArray *
landing_open_argv(const char *folder, const char *run)
{
  return command("azlin_open \"$1\" \"$2\"\n", folder, run);
}

GPtrArray *
landing_place_argv(const char *folder, const char *run, gboolean keep_folder)
{
  return command(keep_folder ? "azlin_open \"$1\" \"$2\" && azlin_place kept\n"
                             : "azlin_open \"$1\" \"$2\" && azlin_place\n",
                 folder, run);
}

GPtrArray *
landing_drop_argv(const char *folder, const char *run)
{
  return command("[ -d \"$1/.azlin-partial\" ] || exit 0\nazlin_open \"$1\" \"$2\" && azlin_drop\n", folder, run);
}

/* ---- names ---- */

static gboolean
is_below(const char *name)
{
  if (g_str_equal(name, "."))
    return TRUE;
  if (!g_str_has_prefix(name, "./") || name[2] == '\0')
    return FALSE;
  for (const char *part = name + 2; part != NULL; part = strchr(part, '/') != NULL ? strchr(part, '/') + 1 : NULL) {
    gsize length = strcspn(part, "/");
    if (length == 0 || (length <= 2 && strspn(part, ".") >= length))
      return FALSE;
  }
  return TRUE;
}

static void
add_name(GByteArray *names, GHashTable *seen, const char *name, gsize length)
{
  char *copy = g_strndup(name, length);
  if (g_hash_table_add(seen, copy)) /* which frees it when it was there */
    g_byte_array_append(names, (const guint8 *) copy, (guint) length + 1);
}

GBytes *
landing_with_parents(GBytes *only, gboolean with_folder)
{
  gsize size = 0;
  const char *bytes = g_bytes_get_data(only, &size);
  GByteArray *names = g_byte_array_new();
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (gsize at = 0; at < size && memchr(bytes + at, '\0', size - at) != NULL; at += strlen(bytes + at) + 1) {
    const char *name = bytes + at;
    if (!is_below(name))
      continue;
    if (with_folder)
      add_name(names, seen, ".", 1);
    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
      if (slash > name + 1)
        add_name(names, seen, name, (gsize) (slash - name));
    if (with_folder || !g_str_equal(name, "."))
      add_name(names, seen, name, strlen(name));
  }
  return g_byte_array_free_to_bytes(names);
}

/* ---- the report ---- */

static const char *
reason(char code)
{
  switch (code) {
  case 'd':
    return "a folder that is not empty stands where this belongs";
  case 'f':
    return "something that is no folder stands where this folder belongs";
  case 's':
    return "the folder that it belongs into is not where it should be: a symbolic link leads elsewhere";
  case 'a':
    return "mode and times of this folder could not be set";
  default:
    return "could not be put in place";
  }
}

guint
landing_read_report(GBytes *report, const char *path, GPtrArray *errors)
{
  gsize size = 0;
  guint n = 0;
  const char *bytes = g_bytes_get_data(report, &size);
  for (gsize at = 0; at < size && memchr(bytes + at, '\0', size - at) != NULL; at += strlen(bytes + at) + 1) {
    const char *entry = bytes + at;
    if (entry[0] == '\0' || entry[1] != '.' || ++n > MAX_SENTENCES)
      continue;
    g_autofree char *name = g_utf8_make_valid(entry[2] == '/' ? entry + 2 : "", -1);
    g_ptr_array_add(errors, g_strdup_printf("%s%s: %s", path, name, reason(entry[0])));
  }
  if (n > MAX_SENTENCES)
    g_ptr_array_add(errors, g_strdup_printf("and %u more of this kind", n - MAX_SENTENCES));
  return n;
}
