/* What people see: the screen of a running job, tables, results, errors. */
#pragma once
#include "command.h"
G_BEGIN_DECLS

/* ---- a running job (render-job.c): messages in blocks, one per region, live lines under them on a terminal ---- */
typedef struct _Screen Screen;
Screen *screen_new(Terminal *terminal, Client *client, gboolean quiet);
void screen_free(Screen *screen); /* prints what is still held back, restores the last line */
void screen_message(Screen *screen, const char *level, const char *region, const char *text);
void screen_region(Screen *screen, const char *region, GVariant *facts);
void screen_progress(Screen *screen, guint64 done, guint64 total, const char *text);
/* While a question stands nothing is redrawn. */
void screen_pause(Screen *screen);
void screen_resume(Screen *screen);

/* How a message of this level begins, and in which ink. */
Ink render_level(const char *level, const char **ret_glyph);
/* With --quiet: only what went wrong, and not on stdout, which a script reads. */
void render_quietly(const char *level, const char *region, const char *text);

/* ---- what is watched (render-board.c): a log, and on a terminal one table under it that is repainted ---- */
typedef struct _Board Board;
Board *board_new(Terminal *terminal, Client *client, gboolean quiet);
void board_free(Board *board); /* leaves the last table on the terminal */
void board_message(Board *board, const char *level, const char *region, const char *text);
/* One row: state, since, last_answer (ISO 8601 or null), latency_ms, seen_by, dark_from (as), is_primary; `gone` (b)
 * takes it out. */
void board_region(Board *board, const char *region, GVariant *facts);
void board_progress(Board *board, guint64 done, guint64 total, const char *text);
/* Shows `line` under the table as long as the event stands; `level` (s) inks it. */
void board_event(Board *board, const char *name, GVariant *facts);
void board_pause(Board *board); /* calls nest with board_resume() */
void board_resume(Board *board);

/* ---- the live lines (render-live.c) ---- */
typedef struct _Live Live;
Live *live_new(Terminal *terminal, Client *client);
void live_free(Live *live);
void live_region(Live *live, const char *region, const char *text); /* starts it, or changes its text (NULL = keep) */
void live_region_done(Live *live, const char *region);
void live_progress(Live *live, guint64 done, guint64 total, const char *text);
void live_hide(Live *live); /* calls nest with live_show() */
void live_show(Live *live);
/* "[████░░] 85% text ETA: 1m 12s"; `seconds` since the first progress. */
char *live_bar(guint64 done, guint64 total, const char *text, double seconds);

/* ---- tables (render-table.c) ---- */
typedef struct _Table Table;
Table *table_new(const char *const *headers); /* ends NULL */
void table_free(Table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)
void table_add(Table *table, Ink ink, const char *const *cells); /* as many as headers; foreign text is cleaned */
void table_print(Table *table, Terminal *terminal);

/* ---- results ---- */
/* One value on one line: lists joined by commas, records as key=value. Not cleaned. */
char *render_plain(GVariant *value);
/* A text in a record (a{sv}), or in none at all; "" = it has none. */
const char *render_word(GVariant *record, const char *key);
/* How long ago an ISO 8601 time was; "" = never. */
char *render_ago(const char *time, gint64 now);
/* The record (a{sv}) at `index` of a list, owned; NULL when it is none. */
GVariant *render_child(GVariant *list, gsize index);
/* The records of result[list] as a table: one column per key. */
void
render_records(Terminal *t, GVariant *result, const char *list, const char *const *headers, const char *const *keys);
void render_regions(const Invocation *invocation, Client *client, GVariant *result);
void render_status(const Invocation *invocation, Client *client, GVariant *result);
void render_config(const Invocation *invocation, Client *client, GVariant *result);
void render_bricks(const Invocation *invocation, Client *client, GVariant *result);
void render_brick(const Invocation *invocation, Client *client, GVariant *result);
void render_jobs(const Invocation *invocation, Client *client, GVariant *result);
/* One record of the log, on a line. */
void render_log(const Invocation *invocation, const char *name, GVariant *record);
void render_audit(const Invocation *invocation, Client *client, GVariant *result);
void render_audit_verdict(const Invocation *invocation, Client *client, GVariant *result);
/* "azlin: sentence" and the next steps on stderr; `error` is an ErrorResult (a{sv}). */
void render_error(const Invocation *invocation, GVariant *error);
/* `result`, owned; where it is an error of usage, with the step that says where to read on. The engine cannot know how
 * its caller names the command. */
GVariant *render_with_help(const Invocation *invocation, GVariant *result, int exit_code);
/* The error before there was a result, in the format that was asked for; returns its exit code. */
int render_gerror(const Invocation *invocation, const GError *error);
/* One JSON document, or one event line, on stdout. */
void render_document(const Invocation *invocation, GVariant *result, int exit_code);
G_END_DECLS
