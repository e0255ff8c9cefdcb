/* Landing what was copied: a private stage at the target, and the way from there into place that nobody can redirect.
 *
 * Whoever may write into the target folder may put a symbolic link, or another folder, where one of its folders stood a
 * moment ago. So nothing is written below it by name: what arrives goes to TARGET/.azlin-partial/RUN/tree, 0700, and
 * from there each entry is renamed into a folder that was entered first and then asked where it is. A rename replaces a
 * link, it does not follow it. Missing folders come over in whole with one rename.
 *
 * All of it is constant shell text for the target (POSIX sh and GNU coreutils, findutils; /proc). Names may be any
 * bytes. The variables and functions that it uses begin with azlin_ or AZLIN_; file descriptors 3, 4 and 5 are taken.
 */
#pragma once
#include "azlin-plugin.h"

/* Functions for the scripts of the target, to be followed by what calls them:
 *   azlin_open TARGET RUN   makes the stage, or enters the one that stands: the working directory, and fd 3, is the
 *                           empty `tree` then, fd 5 the folder above it (for files of one's own; `report` is taken),
 *                           fd 4 TARGET. Status 66 and a sentence on stderr when TARGET is not what its name says.
 *   azlin_place [kept]      after it: places all that stands in `tree`. "kept": mode and times of TARGET itself stay.
 *                           Status 0, or 23 and what could not be placed on stdout, as landing_read_report() reads it.
 *   azlin_words FILE        the names in FILE, each ended by NUL, quoted for eval.
 *   azlin_tell N NAME...    after azlin_place: tells the comparison that follows (see scan.sh) the hashes in sum.N,
 *                           sum.N+1, ... of the stage, of those files in place that are what was.N, ... say.
 *   azlin_drop              after azlin_open: removes the stage; an empty .azlin-partial goes too, unseen by TARGET's
 *                           time.
 * Times and modes of folders come from their twins in `tree`: put all the parents there too
 * (landing_with_parents()). */
extern const char landing_functions[];

/* landing_functions and `body` after them. Owned. */
char *landing_script(const char *body);

/* Whole commands, `sh -c ... azlin FOLDER RUN`: `body` finds these two as $1 and $2. Elements owned, ends NULL. FOLDER
 * is canonical. */
GPtrArray *landing_argv(const char *body, const char *folder, const char *run);
/* azlin_drop of a stage, of one that does not stand, too, once what was ended a moment ago has gone: it might make the
 * stage anew. */
GPtrArray *landing_drop_argv(const char *folder, const char *run);

/* The NUL-terminated names of `only` and the folders above each, parents first, none twice; the "." above them all only
 * with `with_folder` (not for a single file). Names that are not "." or "./...", or hold "..", are left out. Owned. */
GBytes *landing_with_parents(GBytes *only, gboolean with_folder);

/* Sentences for people, at most 20 and one that counts the rest, appended to `errors` (of char*); how many names there
 * are. */
guint landing_read_report(GBytes *report, const char *path, GPtrArray *errors);
