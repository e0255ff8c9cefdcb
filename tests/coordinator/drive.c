/* Runs the selected coordinator brick alone, by commands on standard input: what the tests hold leases with. */
#include "lines.h"
#include <string.h>

typedef struct {
  AzEngine *engine;
  const AzlinCoordinator *brick;
  gpointer self;
} Drive;

static void
say_members(GVariant *members)
{
  GVariantIter iter;
  const char *name, *facts;
  guint64 order;
  g_print("ok");
  g_variant_iter_init(&iter, members);
  while (g_variant_iter_next(&iter, "(&st&s)", &name, &order, &facts))
    g_print(" %s=%" G_GUINT64_FORMAT "=%s", name, order, facts);
  g_print("\n");
}

/* "ok", "ok TOKEN", "ok NAME=NUMBER=FACTS ..." or "TYPE MESSAGE", a line per command. */
static void
on_done(AzlinOp *op, gpointer data)
{
  const GError *error = az_op_error(op);
  if (error != NULL)
    lines_say_error(error);
  else if (az_op_variant(op) != NULL && g_variant_is_of_type(az_op_variant(op), G_VARIANT_TYPE("a(sts)")))
    say_members(az_op_variant(op));
  else if (az_op_variant(op) != NULL)
    g_print("ok %" G_GUINT64_FORMAT "\n", g_variant_get_uint64(az_op_variant(op)));
  else
    g_print("ok\n");
}

/* announce NAME TTL FACTS | members | leave NAME */
static gboolean
obey_about_members(Drive *drive, char **words, AzlinOp *op)
{
  const AzlinCoordinator *brick = drive->brick;
  guint n = g_strv_length(words);
  if (strcmp(words[0], "announce") == 0)
    brick->announce(drive->self, words[1], words[3], (guint32) lines_number(words[2]), op);
  else if (strcmp(words[0], "members") == 0)
    brick->members(drive->self, op);
  else if (strcmp(words[0], "leave") == 0 && n > 1)
    brick->leave(drive->self, words[1], op);
  else
    return FALSE;
  return TRUE;
}

/* acquire KEY TTL | renew KEY TOKEN | release KEY TOKEN | check; a last word MS is the time that it may take */
static void
obey(const char *line, gpointer data)
{
  Drive *drive = data;
  g_auto(GStrv) words = g_strsplit(line, " ", 4);
  guint n = g_strv_length(words);
  const char *key = n > 1 ? words[1] : NULL, *second = n > 2 ? words[2] : NULL;
  AzlinOp *op = az_op_new_root(az_engine_clock(drive->engine), words[0],
                               n > 3 && lines_number(words[3]) > 0 ? (guint32) lines_number(words[3]) : 30000, NULL,
                               on_done, drive);
  if (obey_about_members(drive, words, op))
    return;
  if (strcmp(words[0], "acquire") == 0)
    drive->brick->acquire(drive->self, key, (guint32) lines_number(second), op);
  else if (strcmp(words[0], "renew") == 0)
    drive->brick->renew(drive->self, key, lines_number(second), op);
  else if (strcmp(words[0], "release") == 0)
    drive->brick->release(drive->self, key, lines_number(second), op);
  else if (drive->brick->check != NULL)
    drive->brick->check(drive->self, op);
  else
    az_op_finish(op);
}

int
main(int argc, char **argv)
{
  Drive drive = { 0 };
  drive.brick = lines_brick(AZLIN_KIND_COORDINATOR, &drive.engine, &drive.self);
  if (drive.brick != NULL)
    lines_serve(obey, &drive);
  az_engine_free(drive.engine);
  return drive.brick != NULL ? 0 : 2;
}
