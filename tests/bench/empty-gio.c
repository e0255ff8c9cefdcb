/* The smallest program that uses GIO: what start-up is measured against. */
#include <gio/gio.h>

int
main(void)
{
  g_autoptr(GFile) root = g_file_new_for_path("/");
  return g_file_get_path(root) == NULL;
}
