/* What the target runs on the direct road: one receiver for each connection, and once all has arrived, the end. */
#include "stream.h"

#include "landing.h"

/* After landing_functions; $1 the folder, $2 the run. Large files arrive in pieces under numbers of their own outside
 * the tree, so that no name of the sender's is ever opened by it. */
static const char receive[]
    = "azlin_open \"$1\" \"$2\" || exit\n"
      "cd -P /proc/self/fd/5/ || exit 66\n"
      "take() {\n"
      "  azlin_got=$(dd bs=1M count=\"$1\" iflag=fullblock,count_bytes \"$2\" conv=notrunc \"$3\" \"$4\" 2>&1) ||\n"
      "    { printf '%s\\n' \"$azlin_got\" >&2; exit 70; }\n"
      "  case $azlin_got in *\"\n"
      "$1 byte\"*) ;; *) exit 74;; esac\n"
      "}\n"
      "while read -r azlin_what azlin_unit azlin_a azlin_b azlin_c; do\n"
      "  case $azlin_unit$azlin_a$azlin_b$azlin_c in ''|*[!a-z0-9.]*) echo 'this is no copy of azlin' >&2; exit 65;; "
      "esac\n"
      "  case $azlin_what in\n"
      "  F)\n"
      "    case $azlin_a in large|large.tar|folders.tar) ;; *) exit 65;; esac\n"
      "    rm -f \"$azlin_a\"\n"
      "    take \"$azlin_b\" of=\"$azlin_a\" oflag=seek_bytes seek=0 ;;\n"
      "  A)\n"
      "    dd bs=1M count=\"$azlin_a\" iflag=fullblock,count_bytes status=none |\n"
      "      tar -C /proc/self/fd/3/ --xattrs --xattrs-include='user.*' --delay-directory-restore -xpf - || exit 70 "
      ";;\n"
      "  R)\n"
      "    case $azlin_a in ''|*[!0-9]*) exit 65;; esac\n"
      "    take \"$azlin_c\" of=\"large.$azlin_a\" oflag=seek_bytes seek=\"$azlin_b\" ;;\n"
      "  *)\n"
      "    exit 65 ;;\n"
      "  esac\n"
      "  echo \"done $azlin_unit\"\n"
      "done\n";

/* $3: "kept" or "all", see azlin_place. The twins of large files, empty but with all that a file has beside its
 * content, are unpacked first; folders last, since whatever is put into one changes its time. */
static const char finish[]
    = "azlin_open \"$1\" \"$2\" || exit\n"
      "cd -P /proc/self/fd/5/ || exit 66\n"
      "unpack() { tar -C /proc/self/fd/3/ --xattrs --xattrs-include='user.*' --delay-directory-restore -xpf \"$1\"; }\n"
      "words() { sed -z \"s/'/'\\\\\\\\''/g; s/^/'/; s/\\$/'/\" \"$1\" | tr '\\0' ' '; }\n"
      "if [ -s large ]; then\n"
      "  unpack large.tar || exit 70\n"
      "  eval \"set -- \\\"\\$1\\\" \\\"\\$2\\\" \\\"\\$3\\\" $(words large)\"\n"
      "  azlin_n=0\n"
      "  for azlin_it; do\n"
      "    azlin_n=$((azlin_n + 1)); [ $azlin_n -gt 3 ] || continue\n"
      "    azlin_above=${azlin_it%/*}\n"
      "    cd -P -- \"/proc/self/fd/3/${azlin_above#.}\" && [ \"$PWD\" = "
      "\"$AZLIN_ROOT/.azlin-partial/$2/tree${azlin_above#.}\" ] || exit 65\n"
      "    cp --attributes-only --preserve=all -- \"./${azlin_it##*/}\" \"/proc/self/fd/5/large.$((azlin_n - 3))\" &&\n"
      "      mv -f -T -- \"/proc/self/fd/5/large.$((azlin_n - 3))\" \"./${azlin_it##*/}\" || exit 70\n"
      "  done\n"
      "  cd -P /proc/self/fd/5/\n"
      "fi\n"
      "[ ! -s folders.tar ] || unpack folders.tar || exit 70\n"
      "azlin_place \"$3\"; azlin_status=$?\n"
      "azlin_drop\n"
      "exit $azlin_status\n";

char *
stream_receive_script(void)
{
  return landing_script(receive);
}

char *
stream_finish_script(void)
{
  return landing_script(finish);
}
