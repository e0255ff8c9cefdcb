/* What each home tells the others of its journal: kept in the first place of records, one text for each home. */
#include "flow-heads.h"
#include "flow-names.h"
#include "flow-support.h"
#include "record.h"
#include <string.h>

#define READ_MS 5000
#define MAX_WORD 128

const AzlinContext *
az_heads_place(AzEngine *engine, gpointer *ret_self)
{
  const AzlinContext *context = az_engine_lookup(engine, AZLIN_KIND_CONTEXT, NULL, ret_self, NULL);
  return context && context->publish && context->published ? context : NULL;
}

gboolean
az_heads_are_shared(AzEngine *engine)
{
  gpointer self = NULL;
  return az_heads_place(engine, &self) != NULL;
}

/* ---- ours ---- */

/* The id itself names machines; what it is told as must not lead to it. */
static char *
own_name(AzEngine *engine, gboolean make)
{
  g_autofree char *id = az_names_home_id(engine, make, NULL);
  return id ? az_names_home_tag(id) : NULL;
}

/* The JSON text of how this home's journal stands, or NULL: it cannot be read. */
static char *
own_head(AzEngine *engine, AzJournal *journal, const char *hash)
{
  g_autoptr(GPtrArray) entries = az_journal_open_entries(journal, NULL);
  const AzJournalEntry *oldest = entries && entries->len > 0 ? g_ptr_array_index(entries, 0) : NULL;
  GVariantBuilder head;
  if (!entries)
    return NULL;
  g_autofree char *since = oldest ? az_time_to_string(oldest->at) : NULL;
  g_autofree char *at = az_time_to_string(az_clock_now(az_engine_clock(engine)));
  g_autofree char *what = oldest ? g_strdup_printf("%s %s", oldest->owner, oldest->what) : NULL;
  g_variant_builder_init(&head, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&head, "{sv}", "host", g_variant_new_string(g_get_host_name()));
  g_variant_builder_add(&head, "{sv}", "hash", g_variant_new_string(hash));
  g_variant_builder_add(&head, "{sv}", "open", g_variant_new_uint32(entries->len));
  g_variant_builder_add(&head, "{sv}", "what", g_variant_new_string(what ? what : ""));
  g_variant_builder_add(&head, "{sv}", "since", g_variant_new_string(since ? since : ""));
  g_variant_builder_add(&head, "{sv}", "at", g_variant_new_string(at ? at : ""));
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_builder_end(&head));
  return az_json_from_variant(value, 0);
}

/* The journal is read after its hash: what comes in between is told once more rather than never. */
void
az_heads_publish(AzEngine *engine, char *hash, AzlinOp *op)
{
  char now[AZ_LOGFILE_HASH + 1];
  gpointer self = NULL;
  const AzlinContext *context = az_heads_place(engine, &self);
  AzJournal *journal = context ? az_engine_journal(engine, NULL) : NULL;
  gboolean news = journal && az_journal_head(journal, now, NULL) && !g_str_equal(now, hash);
  g_autofree char *home = news ? own_name(engine, TRUE) : NULL;
  g_autofree char *text = home ? own_head(engine, journal, now) : NULL;
  if (!text) {
    az_op_finish(op);
    return;
  }
  g_strlcpy(hash, now, sizeof now);
  context->publish(self, home, text, op);
}

/* ---- of the others ---- */

/* A word of somebody else's for a terminal: printable, and not long. */
static char *
word_of(GVariant *document, const char *key)
{
  const char *text = "";
  g_variant_lookup(document, key, "&s", &text);
  char *word = g_strndup(text, MAX_WORD);
  for (char *c = word; *c; c++)
    if (!g_ascii_isprint(*c))
      *c = '?';
  return word;
}

static GVariant *
head_of(const char *home, const char *text)
{
  static const char *const words[] = { "host", "what", "since", "at" };
  GVariantBuilder head;
  g_autoptr(GVariant) document = az_json_parse(text, strlen(text), NULL);
  if (!document || !g_variant_is_of_type(document, G_VARIANT_TYPE_VARDICT))
    return NULL;
  g_autoptr(GVariant) count = g_variant_lookup_value(document, "open", G_VARIANT_TYPE_INT64);
  gint64 open = count ? g_variant_get_int64(count) : 0;
  g_variant_builder_init(&head, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&head, "{sv}", "home", g_variant_new_string(home));
  g_variant_builder_add(&head, "{sv}", "open", g_variant_new_uint32((guint32) CLAMP(open, 0, 100000)));
  for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
    g_variant_builder_add(&head, "{sv}", words[i], g_variant_new_take_string(word_of(document, words[i])));
  return g_variant_builder_end(&head);
}

typedef struct {
  AzEngine *engine;
  AzlinOp *op;
} Heads;

static void
on_published(AzlinOp *op, gpointer data)
{
  g_autofree Heads *heads = data;
  g_autofree char *own = own_name(heads->engine, FALSE);
  const char *home, *text;
  GVariantBuilder list;
  GVariantIter iter;
  if (az_op_error(op)) {
    az_op_fail(heads->op, g_error_copy(az_op_error(op)));
    return;
  }
  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  g_variant_iter_init(&iter, az_op_variant(op));
  while (g_variant_iter_next(&iter, "{&s&s}", &home, &text)) {
    gboolean others = g_strcmp0(home, own) != 0 && !g_str_has_prefix(home, AZ_HEADS_NO_HOME);
    GVariant *head = others ? head_of(home, text) : NULL;
    if (head)
      g_variant_builder_add_value(&list, head);
  }
  az_op_finish_variant(heads->op, g_variant_builder_end(&list));
}

void
az_heads_read(AzEngine *engine, AzlinOp *op)
{
  gpointer self = NULL;
  const AzlinContext *context = az_heads_place(engine, &self);
  if (!context) {
    az_op_finish_variant(op, g_variant_new_array(G_VARIANT_TYPE_VARDICT, NULL, 0));
    return;
  }
  Heads *heads = g_new(Heads, 1);
  *heads = (Heads){ engine, op };
  context->published(self, az_op_expect(az_op_new(op, "heads", READ_MS, on_published, heads), "a{ss}"));
}

char *
az_heads_line(GVariant *head)
{
  guint32 open = 0;
  const char *host = "", *what = "", *since = "";
  g_variant_lookup(head, "open", "u", &open);
  g_variant_lookup(head, "host", "&s", &host);
  g_variant_lookup(head, "what", "&s", &what);
  g_variant_lookup(head, "since", "&s", &since);
  return open == 0 ? NULL : g_strdup_printf("%s: %u open (%s) since %s", host, open, what, since);
}
