/* What simulated machines answer: to probes from any vantage, and to the few commands that they know. */
#include "sim.h"
#include "option.h"
#include <string.h>

#define HERE "here"
#define SCAN_S 4 /* a witness' own scan gives up after so long */

typedef struct {
  Sim *sim;
  AzlinOp *op;
  char *outcome, *detail; /* of a probe */
  GError *error;          /* what is in the way of a command or a witness */
  char *out;
  int status;
  void (*on_line)(const char *line, gpointer data);
  gpointer line_data;
} Answer;

static void
answer_free(Answer *answer)
{
  g_free(answer->outcome);
  g_free(answer->detail);
  g_free(answer->out);
  g_clear_error(&answer->error);
  g_free(answer);
}

/* The last rule that fits wins, so that a script reads in the order of events. */
static const char *
look(Sim *sim, const SimVm *suspect, const char *vantage, double *ret_seconds)
{
  const char *outcome = "ok";
  gboolean gone = suspect == NULL || suspect->power != AZLIN_POWER_RUNNING;
  *ret_seconds = option_uint(sim->host, "probe-ms") / 1000.0;
  for (guint i = 0; suspect != NULL && i < sim->rules->len; i++) {
    const Rule *rule = g_ptr_array_index(sim->rules, i);
    if (!rule_matches(rule, RULE_PROBE, sim_now(sim), suspect->region, suspect->name)
        || (rule->vantage != NULL && strcmp(rule->vantage, vantage) != 0))
      continue;
    if (rule->action == DO_SLOW)
      *ret_seconds = rule->from_s;
    else
      outcome = rule->text;
  }
  if (suspect != NULL && suspect->isolated) /* whatever it would have said, nobody hears it */
    outcome = "timeout";
  else if (gone && strcmp(outcome, "ok") == 0)
    outcome = suspect == NULL || suspect->silent ? "timeout" : "refused";
  else if (!gone && !sim_is_up(sim, suspect) && strcmp(outcome, "ok") == 0)
    outcome = "timeout";
  if (strcmp(outcome, "timeout") == 0)
    *ret_seconds = option_uint(sim->host, "silence-seconds");
  return outcome;
}

static const char *
detail_of(const char *outcome)
{
  static const char *const SENTENCES[][2] = {
    { "ok", "answered" },
    { "refused", "the connection was refused" },
    { "timeout", "nothing answered in time" },
    { "unreachable", "there is no route to the machine" },
    { "closed", "the connection was closed before the SSH banner" },
    { "auth_failed", "the login was refused" },
    { "host_key_changed", "the host key is not the pinned one" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(SENTENCES); i++)
    if (strcmp(SENTENCES[i][0], outcome) == 0)
      return SENTENCES[i][1];
  return outcome;
}

static void
probed(AzlinOp *op, gpointer data)
{
  Answer *answer = data;
  const AzlinHostApi *api = answer->sim->host->api;
  AzlinOp *parent = answer->op;
  const GError *cut = api->op_error(op);
  GError *error = cut != NULL ? g_error_copy(cut) : NULL;
  GVariant *seen = error == NULL ? g_variant_new("(ss)", answer->outcome, answer->detail) : NULL;
  answer_free(answer);
  if (error != NULL)
    api->op_fail(parent, error);
  else
    api->op_finish_variant(parent, seen);
}

static AzlinError
error_of(const char *outcome)
{
  if (strcmp(outcome, "auth_failed") == 0)
    return AZLIN_ERROR_AUTH;
  if (strcmp(outcome, "host_key_changed") == 0)
    return AZLIN_ERROR_HOST_KEY;
  return strcmp(outcome, "closed") == 0 ? AZLIN_ERROR_SSH : AZLIN_ERROR_NETWORK;
}

/* The witness answers about the suspect only if it can be reached itself. */
static GError *
witness_trouble(Sim *sim, const AzlinVm *from, double *ret_seconds)
{
  GError *error = NULL;
  const SimVm *witness = sim_find(sim, from, &error);
  if (witness == NULL)
    return error;
  const char *outcome = look(sim, witness, HERE, ret_seconds);
  if (strcmp(outcome, "ok") == 0)
    return NULL;
  return g_error_new(AZLIN_ERROR, error_of(outcome), "%s: %s", from->vm_name, detail_of(outcome));
}

static void
trouble_told(AzlinOp *op, gpointer data)
{
  Answer *answer = data;
  const AzlinHostApi *api = answer->sim->host->api;
  AzlinOp *parent = answer->op;
  const GError *cut = api->op_error(op);
  GError *error = cut != NULL ? g_error_copy(cut) : g_steal_pointer(&answer->error);
  answer_free(answer);
  api->op_fail(parent, error);
}

static Answer *
answer_new(Sim *sim, AzlinOp *op)
{
  Answer *answer = g_new0(Answer, 1);
  answer->sim = sim;
  answer->op = op;
  return answer;
}

void
sim_probe(gpointer self, const AzlinVm *suspect, const AzlinVm *from, AzlinOp *op)
{
  Sim *sim = self;
  double seconds = 0;
  g_autoptr(GError) error = NULL;
  if (!sim_ready(sim, &error)) {
    sim->host->api->op_fail(op, g_steal_pointer(&error));
    return;
  }
  error = from != NULL ? witness_trouble(sim, from, &seconds) : NULL;
  if (error != NULL) {
    Answer *answer = answer_new(sim, op);
    answer->error = g_steal_pointer(&error);
    sim_sleep(sim, op, seconds, trouble_told, answer);
    return;
  }
  const SimVm *target = sim_find(sim, suspect, NULL);
  Answer *answer = answer_new(sim, op);
  answer->outcome = g_strdup(look(sim, target, from != NULL ? from->region : HERE, &seconds));
  answer->detail = g_strdup(detail_of(answer->outcome));
  if (from != NULL && strcmp(answer->outcome, "timeout") == 0)
    seconds = MIN(seconds, SCAN_S);
  sim_sleep(sim, op, seconds, probed, answer);
}

/* ---- commands ---- */

static char *
join(const char *const *words)
{
  GString *text = g_string_new(NULL);
  for (gsize i = 0; words[i] != NULL; i++)
    g_string_append_printf(text, "%s%s", i > 0 ? " " : "", words[i]);
  return g_string_free(text, FALSE);
}

static void
builtin(Answer *answer, const SimVm *vm, const char *const *argv)
{
  if (strcmp(argv[0], "echo") == 0) {
    g_autofree char *words = join(argv + 1);
    answer->out = g_strconcat(words, "\n", NULL);
  } else if (strcmp(argv[0], "hostname") == 0)
    answer->out = g_strconcat(vm->name, "\n", NULL);
  else if (strcmp(argv[0], "true") != 0) {
    answer->status = strcmp(argv[0], "false") == 0 ? 1 : 127;
    answer->detail = answer->status == 127 ? g_strdup_printf("%s: not in the simulated machine\n", argv[0]) : NULL;
  }
}

static void
run(Answer *answer, const SimVm *vm, const char *const *argv)
{
  Sim *sim = answer->sim;
  g_autofree char *line = join(argv);
  for (guint i = sim->rules->len; i-- > 0;) {
    const Rule *rule = g_ptr_array_index(sim->rules, i);
    if (!rule_matches(rule, RULE_EXEC, sim_now(sim), vm->region, vm->name)
        || !g_pattern_spec_match_string(rule->glob, line))
      continue;
    answer->out = g_strdup(rule->text);
    answer->status = rule->status;
    return;
  }
  builtin(answer, vm, argv);
}

static void
tell_lines(Answer *answer)
{
  g_auto(GStrv) lines = g_strsplit_set(answer->out, "\r\n", 0);
  for (guint i = 0; lines[i] != NULL; i++)
    if (lines[i + 1] != NULL || lines[i][0] != '\0')
      answer->on_line(lines[i], answer->line_data);
  answer->out[0] = '\0';
}

static void
ran(AzlinOp *op, gpointer data)
{
  Answer *answer = data;
  const AzlinHostApi *api = answer->sim->host->api;
  AzlinOp *parent = answer->op;
  if (api->op_error(op) != NULL) {
    GError *error = g_error_copy(api->op_error(op));
    answer_free(answer);
    api->op_fail(parent, error);
    return;
  }
  if (answer->on_line != NULL && answer->out != NULL)
    tell_lines(answer);
  const char *out = answer->out != NULL ? answer->out : "";
  const char *err = answer->detail != NULL ? answer->detail : "";
  g_autoptr(GBytes) out_bytes = g_bytes_new(out, strlen(out));
  g_autoptr(GBytes) err_bytes = g_bytes_new(err, strlen(err));
  int status = answer->status;
  answer_free(answer);
  api->op_finish_reply(parent, status, 0, out_bytes, err_bytes);
}

void
sim_exec(gpointer self, const AzlinVm *vm, const AzlinExec *request, AzlinOp *op)
{
  Sim *sim = self;
  GError *error = NULL;
  double seconds = 0;
  const SimVm *found = request->argv[0] != NULL ? sim_find(sim, vm, &error) : NULL;
  if (found == NULL) {
    if (error == NULL)
      error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE, "no command");
    sim->host->api->op_fail(op, error);
    return;
  }
  Answer *answer = answer_new(sim, op);
  const char *outcome = look(sim, found, HERE, &seconds);
  answer->on_line = request->on_line;
  answer->line_data = request->line_data;
  if (strcmp(outcome, "ok") == 0) {
    run(answer, found, request->argv);
    sim_sleep(sim, op, seconds, ran, answer);
    return;
  }
  answer->error = g_error_new(AZLIN_ERROR, error_of(outcome), "%s: %s", found->name, detail_of(outcome));
  sim_sleep(sim, op, seconds, trouble_told, answer);
}
