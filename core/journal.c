/* Write-ahead journal on a log file: intents, their updates and their ends; open ones are what recover works on. */
#include "journal.h"
#include "journal-owner.h"
#include "record.h"
#include <string.h>

#define RESERVE_BYTES (64u << 10)
#define SHORTEN_BYTES (64u << 10)

struct _AzJournal {
  AzLogfile *file;
  guint64 shorten_at; /* length from which it is worth asking whether all is done */
};

/* ---- one record ---- */

/* GVariant's own text keeps every type (a port stays uint32), so recover() reads what the intent said. */
static GVariant *
text_of(GVariant *dict)
{
  g_autoptr(GVariant) held = g_variant_ref_sink(dict);
  return g_variant_new_take_string(g_variant_print(held, TRUE));
}

static gboolean
append(AzJournal *journal, GVariantBuilder *record, GError **error)
{
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_builder_end(record));
  g_autofree char *json = az_json_from_variant(value, 0);
  return az_logfile_append(journal->file, json, error);
}

static void
start_record(GVariantBuilder *record, const char *step, guint64 id)
{
  g_variant_builder_init(record, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(record, "{sv}", "step", g_variant_new_string(step));
  g_variant_builder_add(record, "{sv}", "id", g_variant_new_int64((gint64) id));
}

/* ---- writing ---- */

static guint64
new_id(void)
{
  /* 62 random bits: unique among processes without asking any; fits the integers of JSON. */
  guint64 id = ((guint64) g_random_int() << 30) ^ g_random_int();
  return id > 0 ? id : 1;
}

gboolean
az_journal_intent(AzJournal *journal, const char *owner, const char *what, GVariant *undo, guint64 *ret_id,
                  GError **error)
{
  const AzJournalOwner *self = az_journal_owner_self();
  g_autoptr(GVariant) held = g_variant_ref_sink(undo != NULL ? undo : g_variant_new("a{sv}", NULL));
  guint64 id = new_id();
  GVariantBuilder record;
  if (!az_logfile_reserve(journal->file, RESERVE_BYTES, error))
    return FALSE;
  start_record(&record, "intent", id);
  g_variant_builder_add(&record, "{sv}", "owner", g_variant_new_string(owner));
  g_variant_builder_add(&record, "{sv}", "what", g_variant_new_string(what));
  g_variant_builder_add(&record, "{sv}", "undo", text_of(held));
  g_variant_builder_add(&record, "{sv}", "at", g_variant_new_int64(g_get_real_time()));
  g_variant_builder_add(&record, "{sv}", "pid", g_variant_new_int64(self->pid));
  g_variant_builder_add(&record, "{sv}", "start", g_variant_new_int64((gint64) self->start));
  g_variant_builder_add(&record, "{sv}", "boot", g_variant_new_string(self->boot));
  if (!append(journal, &record, error))
    return FALSE;
  *ret_id = id;
  return TRUE;
}

gboolean
az_journal_update(AzJournal *journal, guint64 id, GVariant *facts, GError **error)
{
  GVariantBuilder record;
  start_record(&record, "update", id);
  g_variant_builder_add(&record, "{sv}", "undo", text_of(facts));
  return append(journal, &record, error);
}

/* ---- reading ---- */

gboolean
az_journal_head(AzJournal *journal, char *ret_head, GError **error)
{
  return az_logfile_head(journal->file, ret_head, error);
}

void
az_journal_entry_free(AzJournalEntry *entry)
{
  if (entry == NULL)
    return;
  g_free(entry->owner);
  g_free(entry->what);
  g_clear_pointer(&entry->undo, g_variant_unref);
  g_free(entry);
}

static char *
take_string(GVariant *record, const char *name)
{
  char *text = NULL;
  return g_variant_lookup(record, name, "s", &text) ? text : g_strdup("");
}

static gint64
take_integer(GVariant *record, const char *name)
{
  gint64 number = 0;
  g_variant_lookup(record, name, "x", &number);
  return number;
}

static GVariant *
take_dict(GVariant *record)
{
  g_autofree char *text = take_string(record, "undo");
  GVariant *dict = g_variant_parse(G_VARIANT_TYPE_VARDICT, text, NULL, NULL, NULL);
  return dict != NULL ? dict : g_variant_ref_sink(g_variant_new("a{sv}", NULL));
}

static AzJournalEntry *
entry_of(GVariant *record, guint64 id)
{
  AzJournalEntry *entry = g_new0(AzJournalEntry, 1);
  g_autofree char *boot = take_string(record, "boot");
  AzJournalOwner owner = {
    .pid = (int) take_integer(record, "pid"),
    .start = (guint64) take_integer(record, "start"),
    .boot = boot,
  };
  entry->id = id;
  entry->owner = take_string(record, "owner");
  entry->what = take_string(record, "what");
  entry->undo = take_dict(record);
  entry->at = take_integer(record, "at");
  entry->pid = owner.pid;
  entry->alive = az_journal_owner_alive(&owner);
  return entry;
}

static void
merge(AzJournalEntry *entry, GVariant *facts)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(entry->undo);
  GVariantIter iter;
  const char *key;
  GVariant *value;
  g_variant_iter_init(&iter, facts);
  while (g_variant_iter_loop(&iter, "{&sv}", &key, &value))
    g_variant_dict_insert_value(&dict, key, value);
  GVariant *merged = g_variant_ref_sink(g_variant_dict_end(&dict));
  g_variant_unref(entry->undo);
  entry->undo = merged;
}

typedef struct {
  GPtrArray *order;  /* of AzJournalEntry, owned; NULL where one has ended */
  GHashTable *by_id; /* id -> index + 1 in order */
} Replay;

static void
replay_record(guint64 line, const char *json, gpointer data)
{
  Replay *replay = data;
  g_autoptr(GVariant) record = az_json_parse(json, strlen(json), NULL);
  if (record == NULL || !g_variant_is_of_type(record, G_VARIANT_TYPE_VARDICT))
    return;
  g_autofree char *step = take_string(record, "step");
  gint64 id = take_integer(record, "id");
  guint index = GPOINTER_TO_UINT(g_hash_table_lookup(replay->by_id, &id));
  if (g_str_equal(step, "intent") && index == 0) {
    g_ptr_array_add(replay->order, entry_of(record, (guint64) id));
    g_hash_table_insert(replay->by_id, g_memdup2(&id, sizeof id), GUINT_TO_POINTER(replay->order->len));
    return;
  }
  AzJournalEntry *entry = index > 0 ? g_ptr_array_index(replay->order, index - 1) : NULL;
  if (entry != NULL && g_str_equal(step, "update")) {
    g_autoptr(GVariant) facts = take_dict(record);
    merge(entry, facts);
  }
  if (entry != NULL && g_str_equal(step, "done")) {
    g_ptr_array_index(replay->order, index - 1) = NULL;
    az_journal_entry_free(entry);
  }
}

static void
free_entry(gpointer data)
{
  az_journal_entry_free(data);
}

GPtrArray *
az_journal_open_entries(AzJournal *journal, GError **error)
{
  g_autoptr(GPtrArray) order = g_ptr_array_new_with_free_func(free_entry);
  g_autoptr(GHashTable) by_id = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
  Replay replay = { order, by_id };
  guint64 bad_line = 0;
  if (!az_logfile_foreach(journal->file, replay_record, &replay, &bad_line, error))
    return NULL;
  if (bad_line > 0)
    g_warning("the journal is damaged at line %" G_GUINT64_FORMAT "; the records around it were read", bad_line);
  GPtrArray *open = g_ptr_array_new_with_free_func(free_entry);
  for (guint i = 0; i < order->len; i++)
    if (g_ptr_array_index(order, i) != NULL)
      g_ptr_array_add(open, g_steal_pointer(&g_ptr_array_index(order, i)));
  return open;
}

/* ---- ends, and a short file ---- */

/* Under the lock: nobody can announce something between the look and the reset. */
static void
shorten(AzJournal *journal)
{
  if (az_logfile_size(journal->file) < journal->shorten_at || !az_logfile_lock(journal->file, NULL))
    return;
  g_autoptr(GPtrArray) open = az_journal_open_entries(journal, NULL);
  if (open != NULL && open->len == 0)
    az_logfile_reset(journal->file, NULL);
  journal->shorten_at = MAX(SHORTEN_BYTES, 2 * az_logfile_size(journal->file));
  az_logfile_unlock(journal->file);
}

gboolean
az_journal_done(AzJournal *journal, guint64 id, GError **error)
{
  GVariantBuilder record;
  start_record(&record, "done", id);
  if (!append(journal, &record, error))
    return FALSE;
  shorten(journal);
  return TRUE;
}

AzJournal *
az_journal_open(const char *path, GError **error)
{
  AzLogfile *file = az_logfile_open(path, error);
  if (file == NULL)
    return NULL;
  AzJournal *journal = g_new0(AzJournal, 1);
  journal->file = file;
  journal->shorten_at = SHORTEN_BYTES;
  shorten(journal);
  return journal;
}

void
az_journal_close(AzJournal *journal)
{
  if (journal == NULL)
    return;
  journal->shorten_at = SHORTEN_BYTES;
  shorten(journal);
  az_logfile_close(journal->file);
  g_free(journal);
}
