/* Landing: with real shells, any names, any attacker; what is staged ends up in place, and nothing anywhere else. */
#include "landing.h"

#include <glib/gstdio.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  char *base, *source, *target, *outside;
} Place;

static const char *const ways[] = { "dash", "bash", "dash without Python", "bash without Python" };

static char *
sh_out(Place *place, const char *script, int *ret_status)
{
  const char *const argv[] = { "bash", "-c", script, "test", place->source, place->target, place->outside, NULL };
  g_autoptr(GError) error = NULL;
  char *out = NULL;
  int status = 0;
  g_spawn_sync(place->base, (char **) (guintptr) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, &status,
               &error);
  g_assert_no_error(error);
  if (ret_status != NULL)
    *ret_status = status;
  else
    g_assert_cmpint(status, ==, 0);
  return out;
}

static void
sh(Place *place, const char *script)
{
  g_free(sh_out(place, script, NULL));
}

static void
set_up(Place *place, gconstpointer shell)
{
  if (strstr(shell, "without") != NULL)
    g_setenv("AZLIN_NO_PYTHON", "1", TRUE);
  else
    g_unsetenv("AZLIN_NO_PYTHON");
  g_autofree char *made = g_dir_make_tmp("azlin-landing-XXXXXX", NULL);
  place->base = realpath(made, NULL);
  place->source = g_build_filename(place->base, "source", NULL);
  place->target = g_build_filename(place->base, "the target's $(folder)", NULL);
  place->outside = g_build_filename(place->base, "outside", NULL);
  g_mkdir(place->source, 0755);
  g_mkdir(place->target, 0755);
  g_mkdir(place->outside, 0755);
}

static void
tear_down(Place *place, gconstpointer shell)
{
  sh(place, "chmod -R u+rwX .; rm -rf -- \"$PWD\"");
  g_assert_false(g_file_test(place->base, G_FILE_TEST_EXISTS));
  free(place->base);
  g_free(place->source);
  g_free(place->target);
  g_free(place->outside);
}

static const char open_stage[] = "azlin_open \"$1\" \"$2\"\n";
static const char place_stage[] = "azlin_open \"$1\" \"$2\" && azlin_place\n";

/* Runs a landing command by `shell`; its status, or 1000 when a signal ended it. */
static int
land(const char *shell, GPtrArray *argv, GBytes **ret_out)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) owned = argv;
  g_free(owned->pdata[0]);
  owned->pdata[0] = g_strndup(shell, 4);
  g_autoptr(GSubprocess) child
      = g_subprocess_newv((const char *const *) owned->pdata, G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error);
  g_assert_no_error(error);
  g_autoptr(GBytes) out = NULL;
  g_subprocess_communicate(child, NULL, NULL, &out, NULL, &error);
  g_assert_no_error(error);
  if (ret_out != NULL)
    *ret_out = g_steal_pointer(&out);
  return g_subprocess_get_if_exited(child) ? g_subprocess_get_exit_status(child) : 1000;
}

/* The whole source into the stage. */
static void
stage(Place *place, const char *shell)
{
  g_assert_cmpint(land(shell, landing_argv(open_stage, place->target, "run-1"), NULL), ==, 0);
  sh(place, "tar -C \"$1\" --format=pax -cf - . | tar -C \"$2/.azlin-partial/run-1/tree\" --delay-directory-restore "
            "-xpf -");
}

static int
put_in_place(Place *place, const char *shell, GPtrArray *errors)
{
  g_autoptr(GBytes) out = NULL;
  int status = land(shell, landing_argv(place_stage, place->target, "run-1"), &out);
  if (errors != NULL)
    landing_read_report(out, "/it", errors);
  g_assert_cmpint(land(shell, landing_drop_argv(place->target, "run-1"), NULL), ==, 0);
  return status;
}

static const char same[] = "list() { cd \"$1\" && find . -printf '%p %y %m %T@ %l\\0' | sort -z | md5sum; }\n"
                           "content() { cd \"$1\" && find . -type f -print0 | sort -z | xargs -0r cat | md5sum; }\n"
                           "[ \"$(list \"$1\")\" = \"$(list \"$2\")\" ] || { diff -r \"$1\" \"$2\" >&2; exit 1; }\n"
                           "[ \"$(content \"$1\")\" = \"$(content \"$2\")\" ]\n";

static void
test_fresh(Place *place, gconstpointer shell)
{
  sh(place, "cd \"$1\"; for d in a b/c 'new\nline' -x '*' '$(touch ran)' .hid ..two $'\\377\\300' ' '; do\n"
            "mkdir -p -- \"$d/ \"; for f in 1 -rf '?' '*' $'\\n' .x ..y '..' $'\\376'; do\n"
            "[ \"$f\" = .. ] || echo \"$f\" > \"./$d/$f\"; done; done\n"
            "ln -s /nowhere link; ln -s ../outside there; touch -d @1.123456789 a/1 b; touch -h -d @5.000000001 link\n"
            "mkdir -p locked/in; echo x > locked/in/x; chmod 2755 a; chmod 0444 a/1; chmod 0555 locked locked/in");
  stage(place, shell);
  g_assert_cmpint(put_in_place(place, shell, NULL), ==, 0);
  sh(place, same);
  sh(place, "[ ! -e \"$2/.azlin-partial\" ]");
}

static void
test_again(Place *place, gconstpointer shell)
{
  test_fresh(place, shell);
  sh(place, "cd \"$1\"; chmod 0755 locked; echo more >> locked/y; chmod 0555 locked; chmod 0700 a; echo new > b/c/1\n"
            "mkdir -p '*/deeper/new'; echo x > '*/deeper/new/x'; echo y > '\n'; rm link; echo file > link\n"
            "mkdir b/empty; touch -d @77.7 b/c b .");
  sh(place, "mkdir \"$2/b/empty\" \"$2/a/file\"; echo is-file > \"$1/a/file\"");
  stage(place, shell);
  g_assert_cmpint(put_in_place(place, shell, NULL), ==, 0);
  sh(place, same);
}

static int
by_text(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void
test_obstacles(Place *place, gconstpointer shell)
{
  g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
  sh(place, "cd \"$1\"; mkdir -p folder/in link/in ok; echo 1 > folder/in/x; echo 1 > link/in/x; echo f > file\n"
            "echo 2 > ok/x; cd \"$2\"; echo stays > folder; ln -s \"$3\" link; mkdir file; echo stays > file/x");
  stage(place, shell);
  g_assert_cmpint(put_in_place(place, shell, errors), ==, 23);
  g_ptr_array_sort(errors, by_text);
  g_assert_cmpuint(errors->len, ==, 3);
  g_assert_true(g_str_has_prefix(errors->pdata[0], "/it/file: a folder that is not empty"));
  g_assert_true(g_str_has_prefix(errors->pdata[1], "/it/folder: something that is no folder"));
  g_assert_true(g_str_has_prefix(errors->pdata[2], "/it/link: something that is no folder"));
  sh(place, "cd \"$2\"; [ \"$(cat folder file/x)\" = \"$(printf 'stays\\nstays')\" ] && [ -L link ]\n"
            "[ \"$(cat ok/x)\" = 2 ] && [ -z \"$(ls -A \"$3\")\" ] && [ ! -e .azlin-partial ]");
}

/* Where nobody has said anything of the folder itself, its mode and time stay. */
static void
test_unsaid(Place *place, gconstpointer shell)
{
  sh(place, "chmod 0711 \"$2\"; echo x > \"$1/x\"");
  g_assert_cmpint(land(shell, landing_argv(open_stage, place->target, "run-1"), NULL), ==, 0);
  sh(place, "cp \"$1/x\" \"$2/.azlin-partial/run-1/tree/x\"");
  g_assert_cmpint(put_in_place(place, shell, NULL), ==, 0);
  sh(place, "[ \"$(stat -c %a \"$2\")\" = 711 ] && cmp \"$1/x\" \"$2/x\"");
}

/* The stage itself may be what somebody else has put there. */
static void
test_planted_stage(Place *place, gconstpointer shell)
{
  sh(place, "ln -s \"$3\" \"$2/.azlin-partial\"");
  g_assert_cmpint(land(shell, landing_argv(open_stage, place->target, "run-1"), NULL), ==, 66);
  sh(place, "[ -z \"$(ls -A \"$3\")\" ] && rm \"$2/.azlin-partial\" && mkdir -p \"$2/.azlin-partial\"\n"
            "ln -s \"$3\" \"$2/.azlin-partial/run-1\"");
  g_assert_cmpint(land(shell, landing_argv(open_stage, place->target, "run-1"), NULL), !=, 0);
  sh(place, "rm \"$2/.azlin-partial/run-1\"; mv \"$2\" \"$2.moved\"; ln -s \"$3\" \"$2\"");
  g_assert_cmpint(land(shell, landing_argv(open_stage, place->target, "run-1"), NULL), ==, 66);
  sh(place, "[ -z \"$(ls -A \"$3\")\" ] && rm \"$2\" && mv \"$2.moved\" \"$2\"");
}

/* Swaps the folders of the target with links that lead outside, as fast as it can, until it is killed. */
static pid_t
attack(Place *place)
{
  pid_t parent = getpid(), pid = fork();
  if (pid != 0)
    return pid;
  for (guint i = 0; getppid() == parent; i = (i + 1) % 10) {
    char folder[64], link[64];
    snprintf(folder, sizeof folder, "%s/d%u", place->target, i);
    snprintf(link, sizeof link, "%s/.link%u", place->base, i);
    renameat2(AT_FDCWD, folder, AT_FDCWD, link, RENAME_EXCHANGE);
  }
  _exit(0);
}

static void
test_attack(Place *place, gconstpointer shell)
{
  g_free(place->target); /* short enough for the attacker's buffers */
  place->target = g_build_filename(place->base, "t", NULL);
  guint rounds = g_test_slow() ? 500 : 20;
  for (guint round = 0; round < rounds; round++) {
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    sh(place,
       "rm -rf \"$1\" \"$2\" .link?; mkdir -p \"$1\" \"$2\"\n"
       "for i in 0 1 2 3 4 5 6 7 8 9; do mkdir -p \"$1/d$i/sub/new\" \"$2/d$i/sub\"; echo x > \"$1/d$i/f\"\n"
       "echo y > \"$1/d$i/sub/g\"; echo z > \"$1/d$i/sub/new/h\"; ln -s \"$3\" \".link$i\"; done; mkdir -p \"$3/sub\"");
    stage(place, shell);
    pid_t attacker = attack(place);
    put_in_place(place, shell, errors);
    kill(attacker, SIGKILL);
    waitpid(attacker, NULL, 0);
    sh(place, "[ -z \"$(find \"$3\" ! -type d)\" ] && [ \"$(find \"$3\")\" = \"$3\n$3/sub\" ]");
  }
}

/* Few processes for what is new, and few for each folder that is there. */
static void
test_count_processes(Place *place, gconstpointer shell)
{
  g_autofree char *strace = g_find_program_in_path("strace");
  if (strace == NULL) {
    g_test_skip("strace is missing");
    return;
  }
  sh(place, "cd \"$1\"; mkdir d{1..100}; for d in d*; do echo x | tee $d/f{1..10} > /dev/null; done");
  stage(place, shell);
  g_autoptr(GPtrArray) argv = landing_argv(place_stage, place->target, "run-1");
  static const char *const before[]
      = { "strace", "-f", "-qq", "-e", "trace=execve", "-e", "signal=none", "-o", "trace" };
  for (guint i = G_N_ELEMENTS(before); i > 0; i--)
    g_ptr_array_insert(argv, 0, g_strdup(before[i - 1]));
  g_free(argv->pdata[G_N_ELEMENTS(before)]);
  argv->pdata[G_N_ELEMENTS(before)] = g_strndup(shell, 4);
  g_assert_true(
      g_spawn_sync(place->base, (char **) argv->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
  g_autofree char *count = sh_out(place, "grep -c ' = 0$' trace; rm trace", NULL);
  g_assert_cmpint(atoi(count), <=, 20);
  g_assert_cmpint(land(shell, landing_drop_argv(place->target, "run-1"), NULL), ==, 0);
  sh(place, same);
}

/* What was told to end may not have begun: a stage that it makes behind the back of the cleaning up would stay. */
static void
test_late_maker(Place *place, gconstpointer shell)
{
  sh(place,
     "setsid sh -c 'sleep 0.5; mkdir -p \"$1/.azlin-partial/$2/tree\"' late \"$2\" run-1 </dev/null >/dev/null 2>&1 &");
  g_assert_cmpint(land(shell, landing_drop_argv(place->target, "run-1"), NULL), ==, 0);
  sh(place, "sleep 0.5; ! [ -e \"$2/.azlin-partial\" ]");
}

static void
check_parents(const char *names, gsize size, gboolean with_folder, const char *expected, gsize expected_size)
{
  g_autoptr(GBytes) only = g_bytes_new_static(names, size);
  g_autoptr(GBytes) all = landing_with_parents(only, with_folder);
  g_autoptr(GBytes) wanted = g_bytes_new_static(expected, expected_size);
  g_assert_cmpmem(g_bytes_get_data(all, NULL), g_bytes_get_size(all), g_bytes_get_data(wanted, NULL),
                  g_bytes_get_size(wanted));
}

static void
test_parents(void)
{
#define CHECK(names, with, expected) check_parents(names, sizeof names - 1, with, expected, sizeof expected - 1)
  CHECK("./a/b/c\0./a/b\0./a/d\0", TRUE, ".\0./a\0./a/b\0./a/b/c\0./a/d\0");
  CHECK("./file\0", FALSE, "./file\0");
  CHECK(".\0./x\0", TRUE, ".\0./x\0");
  CHECK("/etc/x\0./../x\0../x\0./a/../b\0./a//b\0./a/.\0\0x\0./...\0./..a/b\0", TRUE, ".\0./...\0./..a\0./..a/b\0");
  CHECK("./cut", TRUE, "");
#undef CHECK
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/landing/parents", test_parents);
  for (guint i = 0; i < G_N_ELEMENTS(ways); i++) {
#define ADD(name, func)                                                                                                \
  g_autofree char *path_##func = g_strdup_printf("/landing/%s/" name, ways[i]);                                        \
  g_test_add(path_##func, Place, ways[i], set_up, func, tear_down)
    ADD("fresh", test_fresh);
    ADD("again", test_again);
    ADD("obstacles", test_obstacles);
    ADD("unsaid", test_unsaid);
    ADD("planted-stage", test_planted_stage);
    ADD("attack", test_attack);
    ADD("count-processes", test_count_processes);
    ADD("late-maker", test_late_maker);
  }
  return g_test_run();
}
